//! Unpacks tar archives, compressed or not, into the tree of a base.
//!
//! The archive may come from a stranger: an entry that would land outside of the tree
//! is an error (the tar library's own check for what it writes, cap-std for what is
//! removed). Device nodes are left out; an instance gets its own.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata};
use tar::{Archive, Entry, EntryType};

/// A layer's file that says: what has this name below is gone.
const WHITEOUT: &str = ".wh.";
/// A layer's file that says: this folder holds nothing from below.
const OPAQUE: &str = ".wh..wh..opq";

/// Opens an archive and takes its compression off, which its first bytes tell.
///
/// # Errors
/// What the system answered.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut file = BufReader::with_capacity(256 * 1024, File::open(path)?);
    let first = file.fill_buf()?;
    let begins = |magic: &[u8]| first.starts_with(magic);
    Ok(if begins(&[0x1f, 0x8b]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(file))
    } else if begins(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(zstd::stream::read::Decoder::with_buffer(file)?)
    } else if begins(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
        Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(file))
    } else {
        Box::new(file)
    })
}

/// Whether an archive holds a file of this name at its top.
///
/// # Errors
/// When it can't be read as an archive.
pub(super) fn holds(path: &Path, name: &str) -> io::Result<bool> {
    let mut archive = Archive::new(open(path)?);
    for entry in archive.entries()? {
        let entry = entry?;
        let path = entry.path()?;
        if path.strip_prefix(".").unwrap_or(&path) == Path::new(name) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Unpacks an archive into a tree; `layer`: what it says of the layers below it is
/// done to what is there.
///
/// # Errors
/// With the entry's name in the message.
pub(super) fn unpack(content: impl Read, root: &Path, layer: bool) -> io::Result<()> {
    let mut archive = Archive::new(content);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(rustix::process::geteuid().is_root());
    archive.set_unpack_xattrs(true);
    let tree = Dir::open_ambient_dir(root, ambient_authority())?;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = plain(&entry.path()?)?;
        one(&mut entry, &path, root, &tree, layer).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
    }
    Ok(())
}

fn one<R: Read>(
    entry: &mut Entry<'_, R>,
    path: &Path,
    root: &Path,
    tree: &Dir,
    layer: bool,
) -> io::Result<()> {
    let name = path.file_name().and_then(|name| name.to_str());
    if let Some(name) = name.filter(|name| layer && name.starts_with(WHITEOUT)) {
        let folder = path.parent().unwrap_or(Path::new(""));
        return match name.strip_prefix(WHITEOUT) {
            _ if name == OPAQUE => empty(tree, folder),
            Some(gone) => remove(tree, &folder.join(gone)),
            None => Ok(()),
        };
    }
    let kind = entry.header().entry_type();
    if matches!(kind, EntryType::Char | EntryType::Block) {
        return Ok(());
    }
    if layer && !path.as_os_str().is_empty() {
        let there = tree.symlink_metadata(path).ok();
        let both_folders = kind.is_dir() && there.as_ref().is_some_and(Metadata::is_dir);
        if there.is_some() && !both_folders {
            remove(tree, path)?;
        }
    }
    if entry.unpack_in(root)? {
        return Ok(());
    }
    Err(io::Error::other("the entry would land outside of the tree"))
}

/// A path without `.`; one with `..` or from the root is refused.
fn plain(path: &Path) -> io::Result<PathBuf> {
    use std::path::Component;
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                let message = format!("{} leads out of the tree", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        }
    }
    Ok(plain)
}

fn empty(tree: &Dir, folder: &Path) -> io::Result<()> {
    let entries = match tree.read_dir(if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    }) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        remove(tree, &folder.join(entry?.file_name()))?;
    }
    Ok(())
}

fn remove(tree: &Dir, path: &Path) -> io::Result<()> {
    match tree.symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(there) if there.is_dir() => tree.remove_dir_all(path),
        Ok(_) => tree.remove_file(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tar::{Builder, Header};

    /// An archive of files, folders (`/` at the end) and links (`name -> target`).
    fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (name, content) in entries {
            let mut header = Header::new_gnu();
            header.set_mode(0o755);
            header.set_uid(rustix::process::geteuid().as_raw().into());
            header.set_gid(rustix::process::getegid().as_raw().into());
            if let Some((name, target)) = name.split_once(" -> ") {
                header.set_entry_type(EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, name, target).unwrap();
            } else if name.ends_with('/') {
                header.set_entry_type(EntryType::Directory);
                header.set_size(0);
                builder.append_data(&mut header, name, io::empty()).unwrap();
            } else {
                header.set_size(content.len() as u64);
                // By hand: the library's own way refuses names that lead out.
                let bytes = name.as_bytes();
                header.as_gnu_mut().unwrap().name[..bytes.len()].copy_from_slice(bytes);
                header.set_cksum();
                builder.append(&header, content.as_bytes()).unwrap();
            }
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn a_layer_takes_away_what_it_says() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        let below = [
            ("etc/", ""),
            ("etc/a", "1"),
            ("opt/", ""),
            ("opt/old", "1"),
            ("lib -> opt", ""),
        ];
        unpack(archive(&below).as_slice(), root, true).unwrap();
        let above = [
            ("etc/.wh.a", ""),
            ("opt/.wh..wh..opq", ""),
            ("opt/new", "2"),
            ("lib/", ""),
            ("etc/b", "3"),
        ];
        unpack(archive(&above).as_slice(), root, true).unwrap();
        assert!(!root.join("etc/a").exists());
        assert!(!root.join("opt/old").exists());
        assert_eq!(fs::read_to_string(root.join("opt/new")).unwrap(), "2");
        assert!(fs::symlink_metadata(root.join("lib")).unwrap().is_dir());
        assert!(!root.join("etc/.wh.a").exists());
    }

    #[test]
    fn nothing_lands_outside() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        for entries in [
            vec![("../evil", "1")],
            vec![("link -> ..", ""), ("link/evil", "1")],
            vec![("link -> ..", ""), ("link/.wh.victim", "")],
        ] {
            let _ = fs::remove_dir_all(&root);
            fs::create_dir(&root).unwrap();
            fs::write(place.path().join("victim"), "").unwrap();
            let error = unpack(archive(&entries).as_slice(), &root, true).unwrap_err();
            assert!(error.to_string().contains('/'), "{error}");
            assert!(!place.path().join("evil").exists());
            assert!(place.path().join("victim").exists());
        }
    }

    #[test]
    fn every_compression_is_known_by_its_first_bytes() {
        use std::io::Write as _;
        let plain = archive(&[("index.json", "{}")]);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
        xz.write_all(&plain).unwrap();
        let zstd = zstd::encode_all(plain.as_slice(), 1).unwrap();
        let place = tempfile::tempdir().unwrap();
        for (name, bytes) in [
            ("plain", plain),
            ("gzip", gzip.finish().unwrap()),
            ("xz", xz.finish().unwrap()),
            ("zstd", zstd),
        ] {
            let file = place.path().join(name);
            fs::write(&file, bytes).unwrap();
            assert!(holds(&file, "index.json").unwrap(), "{name}");
            assert!(!holds(&file, "other").unwrap(), "{name}");
        }
    }
}
