//! The digest of a layer: BLAKE3 of a canonical manifest of everything in it that an
//! instance can see, times left out, so that the same writes make the same layer.
//!
//! The manifest is never stored. Each entry, in the order of paths, gives: path,
//! kind, mode, owner, size or device or link target, the digest of the content,
//! extended attributes, and for a further name of a file the number of the first.
//! Holes are not read.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{FileType, OFlags, SeekFrom};
use rustix::io::Errno;

use super::super::rootless::Standing;
use super::tree::{Entry, walk};

/// A layer's content in a number of bytes on disk and a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Lower-case hexadecimal.
    pub digest: String,
    /// Bytes on disk.
    pub size_bytes: u64,
}

/// Reads a whole tree.
///
/// # Errors
/// What the system answered.
pub fn digest(top: &Path) -> io::Result<Digest> {
    let mut writer = Writer {
        hash: blake3::Hasher::new(),
        seen: HashMap::new(),
        count: 0,
        size: 0,
        users: Standing::own() != Standing::Root,
    };
    writer.field(b"darkroom layer 1");
    walk(top, &mut |path, entry| writer.entry(path, entry))?;
    Ok(Digest {
        digest: writer.hash.finalize().to_hex().to_string(),
        size_bytes: writer.size,
    })
}

struct Writer {
    hash: blake3::Hasher,
    /// The number of the entry that names a file first.
    seen: HashMap<(u64, u64), u64>,
    count: u64,
    size: u64,
    /// Whether overlay's marks are users' attributes here.
    users: bool,
}

impl Writer {
    /// Fields have a length before them, so that no two manifests read alike.
    fn field(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.hash.update(bytes);
    }

    fn number(&mut self, number: u64) {
        self.hash.update(&number.to_le_bytes());
    }

    /// Attributes with their names, sorted.
    fn attributes(&self, entry: &Entry<'_>) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut attributes: Vec<_> = entry
            .attributes()?
            .into_iter()
            .map(|(name, value)| {
                if self.users {
                    (plain_name(name.as_bytes()), value)
                } else {
                    (name.into_bytes(), value)
                }
            })
            .collect();
        attributes.sort();
        Ok(attributes)
    }

    fn entry(&mut self, path: &[u8], entry: &Entry<'_>) -> io::Result<()> {
        let stat = &entry.stat;
        self.count += 1;
        self.field(path);
        self.number(u64::from(stat.st_mode));
        self.number(u64::from(stat.st_uid));
        self.number(u64::from(stat.st_gid));
        if entry.kind() != FileType::Directory && stat.st_nlink > 1 {
            let key = (stat.st_dev, stat.st_ino);
            let first = *self.seen.entry(key).or_insert(self.count);
            if first != self.count {
                self.field(b"again");
                self.number(first);
                return Ok(());
            }
        }
        self.size += stat.st_blocks.unsigned_abs() * 512;
        match entry.kind() {
            FileType::RegularFile => {
                self.number(stat.st_size.unsigned_abs());
                let content = content(entry)?;
                self.field(content.as_bytes());
            }
            FileType::Symlink => self.field(entry.target()?.as_bytes()),
            FileType::CharacterDevice | FileType::BlockDevice => self.number(stat.st_rdev),
            _ => {}
        }
        let attributes = self.attributes(entry)?;
        self.number(attributes.len() as u64);
        for (name, value) in attributes {
            self.field(&name);
            self.field(&value);
        }
        Ok(())
    }
}

/// An attribute of a file in the words of a layer that the machine's root has made.
/// Elsewhere overlay keeps its own marks among the users' attributes, and those of
/// users that are named like them one level deeper.
fn plain_name(name: &[u8]) -> Vec<u8> {
    const OVERLAY: &[u8] = b"user.overlay.";
    let Some(rest) = name.strip_prefix(OVERLAY) else {
        return name.to_vec();
    };
    match rest.strip_prefix(b"overlay.") {
        Some(users) => [OVERLAY, users].concat(),
        None => [b"trusted.overlay.", rest].concat(),
    }
}

/// Files up to here are hashed as they are.
const SMALL: u64 = 1 << 20;

/// Larger ones are hashed in blocks of this size.
const BLOCK: u64 = 64 * 1024;

/// The digest of a file's bytes. Of a larger file these are the blocks that hold
/// something else than zeros, each after its number: a hole is never read, and counts as
/// much as zeros that were written, because which of both there is depends on the file
/// system.
fn content(entry: &Entry<'_>) -> io::Result<blake3::Hash> {
    let size = entry.stat.st_size.unsigned_abs();
    let file = File::from(entry.open(OFlags::RDONLY)?);
    let mut hash = blake3::Hasher::new();
    if size <= SMALL {
        let mut bytes = Vec::new();
        file.take(SMALL).read_to_end(&mut bytes)?;
        hash.update(&bytes);
        return Ok(hash.finalize());
    }
    let mut buffer = vec![0; 64 * 1024];
    let mut at = 0;
    while let Some((begin, end)) = next_data(&file, at)? {
        let mut block = begin / BLOCK;
        while block * BLOCK < end {
            let read = read_block(&file, block * BLOCK, &mut buffer)?;
            let bytes = buffer.get(..read).unwrap_or_default();
            if bytes.iter().any(|byte| *byte != 0) {
                hash.update(&block.to_le_bytes());
                hash.update(bytes);
            }
            block += 1;
        }
        at = block * BLOCK;
    }
    Ok(hash.finalize())
}

/// Where the next data of a file begins and ends; none: nothing but a hole is left.
fn next_data(file: &File, at: u64) -> io::Result<Option<(u64, u64)>> {
    match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(begin) => Ok(Some((
            begin,
            rustix::fs::seek(file, SeekFrom::Hole(begin))?,
        ))),
        Err(Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Fills the buffer as far as the file goes.
fn read_block(file: &File, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn of(make: impl Fn(&Path)) -> String {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        make(place.path());
        digest(place.path()).unwrap().digest
    }

    #[test]
    fn everything_that_an_instance_sees_changes_the_digest() {
        let plain = of(|top| fs::write(top.join("a"), "1").unwrap());
        assert_eq!(plain, of(|top| fs::write(top.join("a"), "1").unwrap()));
        let others = [
            of(|top| fs::write(top.join("a"), "2").unwrap()),
            of(|top| fs::write(top.join("b"), "1").unwrap()),
            of(|top| fs::create_dir(top.join("a")).unwrap()),
            of(|top| symlink("1", top.join("a")).unwrap()),
            of(|top| {
                fs::write(top.join("a"), "1").unwrap();
                fs::set_permissions(top.join("a"), fs::Permissions::from_mode(0o600)).unwrap();
            }),
            of(|top| {
                fs::write(top.join("a"), "1").unwrap();
                fs::hard_link(top.join("a"), top.join("b")).unwrap();
            }),
            of(|top| {
                fs::write(top.join("a"), "1").unwrap();
                fs::write(top.join("b"), "1").unwrap();
            }),
        ];
        for (index, other) in others.iter().enumerate() {
            assert_ne!(&plain, other, "{index}");
            assert!(!others[..index].contains(other), "{index}");
        }
    }

    #[test]
    fn holes_are_zeros_and_are_not_read() {
        const HUGE: u64 = 1 << 40;
        let begun = std::time::Instant::now();
        let sparse = |at: u64, size: u64, zeros: bool| {
            of(move |top| {
                let file = File::create(top.join("a")).unwrap();
                file.set_len(size).unwrap();
                file.write_all_at(b"data", at).unwrap();
                if zeros {
                    file.write_all_at(&vec![0; 3 << 20], at + 4).unwrap();
                }
            })
        };
        let huge = sparse(HUGE - 100, HUGE, false);
        assert_ne!(huge, sparse(HUGE - 101, HUGE, false));
        assert_ne!(huge, sparse(HUGE - 100, HUGE + 1, false));
        let size = 8 << 20;
        assert_eq!(sparse(5, size, false), sparse(5, size, true));
        assert_ne!(sparse(5, size, false), sparse(5 + BLOCK, size, false));
        assert!(begun.elapsed().as_secs() < 20, "a terabyte was read");
    }

    #[test]
    fn marks_of_overlay_have_one_name_whoever_mounted_it() {
        let names = [
            ("user.overlay.opaque", "trusted.overlay.opaque"),
            ("user.overlay.overlay.mine", "user.overlay.mine"),
            ("user.mine", "user.mine"),
            ("security.capability", "security.capability"),
        ];
        for (name, plain) in names {
            assert_eq!(plain_name(name.as_bytes()), plain.as_bytes());
        }
    }

    #[test]
    fn times_do_not() {
        let early = of(|top| {
            let file = File::create(top.join("a")).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH)
                .unwrap();
        });
        let late = of(|top| drop(File::create(top.join("a")).unwrap()));
        assert_eq!(early, late);
    }
}
