//! Where a base is made, and whether there is room.

use std::io;
use std::path::Path;

use tempfile::TempDir;

use super::{BootstrapError, at};

/// File systems in memory that a machine usually has.
const IN_MEMORY: [&str; 2] = ["/dev/shm", "/tmp"];

/// The kernel's number for tmpfs.
const TMPFS: i64 = 0x0102_1994;

/// A folder to make the base in, which vanishes with the value: in memory where
/// there is room, else beside the cache, which then needs room twice.
pub(super) fn workshop(bases: &Path, needed: u64) -> Result<TempDir, BootstrapError> {
    let free = free(bases).map_err(at(format!("looking at {}", bases.display())))?;
    let memory = IN_MEMORY.iter().map(Path::new).find(|folder| {
        is_in_memory(folder) && super::space::free(folder).is_ok_and(|free| free >= needed)
    });
    let all_needed = if memory.is_some() {
        needed
    } else {
        needed.saturating_mul(2)
    };
    if free < all_needed {
        return Err(BootstrapError::NoSpace {
            place: bases.to_owned(),
            needed: all_needed,
            free,
        });
    }
    let place = memory.unwrap_or(bases);
    tempfile::Builder::new()
        .prefix(".bootstrap-")
        .tempdir_in(place)
        .map_err(at(format!("making a folder in {}", place.display())))
}

fn free(folder: &Path) -> io::Result<u64> {
    let facts = rustix::fs::statvfs(folder)?;
    Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
}

fn is_in_memory(folder: &Path) -> bool {
    rustix::fs::statfs(folder).is_ok_and(|facts| i128::from(facts.f_type) == i128::from(TMPFS))
}
