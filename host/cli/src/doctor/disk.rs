//! Room on disks, against what a build writes where.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use darkroom_local::bootstrap;
use darkroom_template::Cloud;

use super::{Check, Finding, Report};
use crate::places::roots::Roots;

const MIB: u64 = 1 << 20;

/// The journal, logs and records of a run.
const RUN: u64 = 64 * MIB;
/// The compiled code of components, and some packages.
const CODE: u64 = 256 * MIB;
/// What the steps of an ordinary template write into an instance, and once more when its
/// layer is committed.
const CHANGES: u64 = 1024 * MIB;
/// The files of a base of which nothing is known.
const BASE: u64 = 512 * MIB;

/// A folder and what a build writes into it.
struct Place {
    word: &'static str,
    variable: &'static str,
    path: PathBuf,
    needed: u64,
}

/// Looks at the folders that a build for this cloud writes to. `copies`: the regions to
/// which it copies its image.
pub(crate) fn look(roots: &Roots, cloud: Cloud, copies: usize, report: &mut Report<'_>) {
    for finding in findings(&places(roots, cloud, copies), &room) {
        report.add(finding);
    }
}

fn places(roots: &Roots, cloud: Cloud, copies: usize) -> Vec<Place> {
    let bases = bootstrap::bases(&roots.cache).unwrap_or_default();
    let mut code = CODE;
    let mut all = vec![Place {
        word: "runs",
        variable: "DARKROOM_STATE",
        path: roots.state.clone(),
        needed: RUN,
    }];
    if cloud == Cloud::Local {
        let base = bases.iter().map(|base| base.size_bytes).max();
        if base.is_none() {
            code += bootstrap::NEEDED_BYTES;
        }
        // A copy shares no file with what it is made from.
        let whole = base.unwrap_or(BASE) + CHANGES / 2;
        let copies = u64::try_from(copies).unwrap_or(u64::MAX);
        all.push(Place {
            word: "local cloud",
            variable: "DARKROOM_LOCAL",
            path: roots.local.clone(),
            needed: CHANGES.saturating_add(whole.saturating_mul(copies)),
        });
    }
    all.push(Place {
        word: "cache",
        variable: "DARKROOM_CACHE",
        path: roots.cache.clone(),
        needed: code,
    });
    all
}

/// The file system that a folder is on or will be on, and what is free there.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Room {
    device: u64,
    free: u64,
}

fn room(path: &Path) -> io::Result<Room> {
    // What isn't there yet is made below the first folder that is.
    let there = path.ancestors().find(|folder| folder.is_dir());
    let there = there.unwrap_or(Path::new("/"));
    let facts = rustix::fs::statvfs(there)?;
    Ok(Room {
        device: there.metadata()?.dev(),
        free: facts.f_bavail.saturating_mul(facts.f_frsize),
    })
}

fn findings(places: &[Place], room: &dyn Fn(&Path) -> io::Result<Room>) -> Vec<Finding> {
    let found: Vec<_> = places
        .iter()
        .map(|place| (place, room(&place.path)))
        .collect();
    let needed_on = |device: u64| -> u64 {
        let same = found
            .iter()
            .filter(|(_, room)| room.as_ref().is_ok_and(|room| room.device == device));
        same.map(|(place, _)| place.needed).sum()
    };
    let finding = |(place, room): &(&Place, io::Result<Room>)| {
        let (word, path, needed) = (place.word, place.path.display(), place.needed);
        let room = match room {
            Ok(room) => room,
            Err(error) => {
                let text = format!("{word}: {path} can't be looked at: {error}");
                return Finding::warning(Check::Disk, text);
            }
        };
        let text = |than: &str, needed: u64| {
            format!(
                "{word}: {} MiB are free at {path}, {than} the {} MiB",
                room.free / MIB,
                needed / MIB
            )
        };
        let hint = format!(
            "free some space, or set {} to another folder",
            place.variable
        );
        let all = needed_on(room.device);
        if room.free < needed {
            let text = format!("{} that a build needs there", text("less than", needed));
            Finding::error(Check::Disk, text).hint(hint)
        } else if room.free < all {
            let text = text("less than", all);
            let text = format!("{text} that a build needs in all folders of that disk");
            Finding::warning(Check::Disk, text).hint(hint)
        } else {
            let text = format!("{} that a build needs there", text("more than", needed));
            Finding::ok(Check::Disk, text)
        }
    };
    found.iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_one_disk_share_its_room() {
        let place = |path: &str, needed| Place {
            word: "cache",
            variable: "DARKROOM_CACHE",
            path: path.into(),
            needed,
        };
        let places = [
            place("/a", 10 * MIB),
            place("/b", 20 * MIB),
            place("/c", 30 * MIB),
        ];
        let levels = |free: u64| -> Vec<String> {
            let room = |path: &Path| {
                let device = u64::from(path == Path::new("/c"));
                Ok(Room { device, free })
            };
            let found = findings(&places, &room);
            let level = |one: &Finding| serde_json::to_value(one).unwrap()["level"].to_string();
            found.iter().map(level).collect()
        };
        assert_eq!(levels(30 * MIB), ["\"ok\""; 3]);
        assert_eq!(
            levels(29 * MIB),
            ["\"warning\"", "\"warning\"", "\"error\""]
        );
        assert_eq!(levels(MIB), ["\"error\""; 3]);
    }
}
