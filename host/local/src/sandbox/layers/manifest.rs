//! The digest of a layer: BLAKE3 of a canonical manifest of everything in it that an
//! instance can see, times left out, so that the same writes make the same layer.
//!
//! The manifest is never stored. Each entry, in the order of paths, gives: path,
//! kind, mode, owner, size or device or link target, the digest of the content,
//! extended attributes, and for a further name of a file the number of the first.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rustix::fs::{FileType, OFlags};

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

fn content(entry: &Entry<'_>) -> io::Result<blake3::Hash> {
    let mut hash = blake3::Hasher::new();
    let mut file = File::from(entry.open(OFlags::RDONLY)?);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hash.finalize());
        }
        hash.update(buffer.get(..read).unwrap_or_default());
    }
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
