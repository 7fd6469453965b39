//! `copy`: files of the template's folder, packed as they go into the image.
//!
//! ```text
//! from is a folder    what is in it goes into the folder `to`, made where it isn't there
//! from is a file      it becomes the file `to`; the file `to`/name where `to` ends with /
//! ```
//!
//! A slash at the end of `from` only says that it must be a folder. The same files give
//! the same bytes: sorted by their names, without times, owned by root. Everything is
//! opened through a handle of the template's folder, so that neither `..` nor a symbolic
//! link leads out of it; a link is packed as a link where it stays inside of what is
//! copied, and is a mistake where it doesn't. Nothing here knows instances.

use std::io::{self, Read};
use std::path::{Component as Part, Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt};
use darkroom_template::Copy;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// Bytes of one `copy`. It is held in memory, and goes to the instance in slices of
/// 24 KiB: more of it is what downloads and object storage are for.
pub const LARGEST: u64 = 64 << 20;

/// Files and folders of one `copy`. Empty ones are no bytes.
const MOST: usize = 50_000;

/// Patterns of what is left out, in the folder that is copied.
const IGNORE_FILE: &str = ".darkroomignore";

/// What goes into the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// A file's bytes, or a tar archive of a folder.
    pub bytes: Arc<Vec<u8>>,
    /// Whether it is an archive.
    pub is_folder: bool,
    /// Permission bits of a file; those of an archive are in it.
    pub mode: u32,
}

/// Why something can't be copied.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CopyError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl CopyError {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Packs what `copy` names in the template's folder.
///
/// # Errors
/// What can't be read or must not be copied, by its path.
pub fn pack(template: &Path, copy: &Copy) -> Result<Copied, CopyError> {
    let from = copy.from.value.as_str();
    let failed = |error: io::Error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        let leads_out =
            error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none();
        match (missing, leads_out) {
            (true, _) => CopyError::new(format!("there is no {from} in the template's folder")),
            (_, true) => CopyError::new(format!("{from} leads out of the template's folder")),
            _ => CopyError::new(format!("{from} can't be read: {error}")),
        }
    };
    let dir = Dir::open_ambient_dir(template, ambient_authority()).map_err(failed)?;
    let metadata = dir.metadata(from).map_err(failed)?;
    if metadata.is_dir() {
        let folder = dir.open_dir(from).map_err(failed)?;
        return pack_folder(&folder, copy);
    }
    if from.ends_with('/') {
        return Err(CopyError::new(format!("{from} is no folder")));
    }
    if !metadata.is_file() {
        return Err(CopyError::new(format!(
            "{from} is neither a file nor a folder"
        )));
    }
    let mut bytes = Vec::new();
    let file = dir.open(from).map_err(failed)?;
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(too_large(from));
    }
    Ok(Copied {
        bytes: Arc::new(bytes),
        is_folder: false,
        mode: metadata.mode() & 0o777,
    })
}

/// Where a file goes, as an absolute path.
pub fn target(copy: &Copy, copied: &Copied) -> String {
    let to = copy.to.value.as_str();
    if copied.is_folder || !to.ends_with('/') {
        return to.to_owned();
    }
    let name = Path::new(&copy.from.value).file_name();
    format!("{to}{}", name.unwrap_or_default().to_string_lossy())
}

fn too_large(at: &str) -> CopyError {
    CopyError::new(format!(
        "it has more than {} MiB, counted up to {at}",
        LARGEST >> 20
    ))
    .hint("leave out what isn't needed with `ignore`, or let the instance download it")
}

fn pack_folder(folder: &Dir, copy: &Copy) -> Result<Copied, CopyError> {
    let mut packer = Packer {
        ignore: ignore(folder, copy)?,
        mode: copy.mode,
        bytes: 0,
        entries: 0,
        tar: tar::Builder::new(Vec::new()),
    };
    packer.folder(folder, Path::new(""))?;
    if packer.entries == 0 {
        return Err(CopyError::new(format!(
            "there is nothing to be copied in {}",
            copy.from.value
        ))
        .hint("all of it is left out, or it is empty"));
    }
    let bytes = packer
        .tar
        .into_inner()
        .map_err(|error| CopyError::new(format!("it can't be packed: {error}")))?;
    Ok(Copied {
        bytes: Arc::new(bytes),
        is_folder: true,
        mode: 0o755,
    })
}

/// The patterns of the folder, then those of the template, of which a later one wins.
fn ignore(folder: &Dir, copy: &Copy) -> Result<Gitignore, CopyError> {
    let mut builder = GitignoreBuilder::new("");
    let own = match folder.read_to_string(IGNORE_FILE) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(CopyError::new(format!(
                "{IGNORE_FILE} can't be read: {error}"
            )));
        }
    };
    let itself = std::iter::once("/.darkroomignore");
    let patterns = itself
        .chain(own.lines())
        .chain(copy.ignore.iter().map(String::as_str));
    for pattern in patterns {
        builder
            .add_line(None, pattern)
            .map_err(|error| CopyError::new(format!("the pattern {pattern:?}: {error}")))?;
    }
    builder
        .build()
        .map_err(|error| CopyError::new(error.to_string()))
}

struct Packer {
    ignore: Gitignore,
    mode: Option<u32>,
    bytes: u64,
    entries: usize,
    tar: tar::Builder<Vec<u8>>,
}

impl Packer {
    /// Packs what is in a folder, whose path inside of what is copied is `at`.
    fn folder(&mut self, folder: &Dir, at: &Path) -> Result<(), CopyError> {
        let failed = |path: &Path, error: &io::Error| {
            CopyError::new(format!("{} can't be read: {error}", path.display()))
        };
        let mut names = Vec::new();
        for entry in folder.entries().map_err(|error| failed(at, &error))? {
            names.push(entry.map_err(|error| failed(at, &error))?.file_name());
        }
        names.sort();
        for name in names {
            let path = at.join(&name);
            let metadata = folder
                .symlink_metadata(&name)
                .map_err(|error| failed(&path, &error))?;
            if self.ignore.matched(&path, metadata.is_dir()).is_ignore() {
                continue;
            }
            if metadata.is_dir() {
                let before = self.entries;
                let inner = folder
                    .open_dir(&name)
                    .map_err(|error| failed(&path, &error))?;
                self.folder(&inner, &path)?;
                // One with files in it is made with them, and one that is there already
                // keeps the permissions that it has.
                if self.entries == before {
                    self.entry(&path, tar::EntryType::Directory, 0o755, &[])?;
                }
            } else if metadata.is_symlink() {
                let to = folder
                    .read_link_contents(&name)
                    .map_err(|error| failed(&path, &error))?;
                self.link(&path, &to)?;
            } else if metadata.is_file() {
                let mut bytes = Vec::new();
                folder
                    .open(&name)
                    .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
                    .map_err(|error| failed(&path, &error))?;
                let mode = self.mode.unwrap_or(metadata.mode() & 0o777);
                self.entry(&path, tar::EntryType::Regular, mode, &bytes)?;
            } else {
                return Err(CopyError::new(format!(
                    "{} is neither a file, a folder nor a link",
                    path.display()
                ))
                .hint("leave it out with `ignore`"));
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        path: &Path,
        kind: tar::EntryType,
        mode: u32,
        bytes: &[u8],
    ) -> Result<(), CopyError> {
        self.count(path, bytes.len() as u64)?;
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        header.set_mode(mode);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        let packed = self.tar.append_data(&mut header, path, bytes);
        packed.map_err(|error| unpackable(path, &error))
    }

    fn link(&mut self, path: &Path, to: &Path) -> Result<(), CopyError> {
        if !stays_inside(path, to) {
            return Err(CopyError::new(format!(
                "the link {} leads to {}, which is not copied with it",
                path.display(),
                to.display()
            ))
            .hint("leave it out with `ignore`, or make it lead to a relative path inside"));
        }
        self.count(path, 0)?;
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        let packed = self.tar.append_link(&mut header, path, to);
        packed.map_err(|error| unpackable(path, &error))
    }

    fn count(&mut self, path: &Path, bytes: u64) -> Result<(), CopyError> {
        self.bytes += bytes;
        self.entries += 1;
        if self.bytes > LARGEST {
            return Err(too_large(&path.display().to_string()));
        }
        if self.entries > MOST {
            return Err(CopyError::new(format!("it has more than {MOST} files"))
                .hint("leave out what isn't needed with `ignore`, or copy an archive of it"));
        }
        Ok(())
    }
}

fn unpackable(path: &Path, error: &io::Error) -> CopyError {
    CopyError::new(format!("{} can't be packed: {error}", path.display()))
}

/// Whether a link at `path` to `to` leads to somewhere below the folder in which `path`
/// begins.
fn stays_inside(path: &Path, to: &Path) -> bool {
    let mut depth = path.components().count().saturating_sub(1);
    for part in to.components() {
        match part {
            Part::Normal(_) => depth += 1,
            Part::CurDir => {}
            Part::ParentDir if depth > 0 => depth -= 1,
            Part::ParentDir | Part::RootDir | Part::Prefix(_) => return false,
        }
    }
    true
}

/// The names in an archive, in order, for a plan.
pub fn listed(archive: &[u8]) -> Vec<PathBuf> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.path().ok().map(std::borrow::Cow::into_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use darkroom_template::{Cloud, ResolveWith, parse};

    use super::*;

    fn copy(fields: &str) -> Copy {
        let text = format!(
            "name: test\nsource: {{ family: debian-12 }}\nbuild:\n  - copy: {{ {fields} }}\n"
        );
        let with = ResolveWith {
            cloud: Cloud::Local,
            parameters: &[],
            region: None,
        };
        let resolved = parse(&text, "image.yaml").unwrap().resolve(with).unwrap();
        match resolved.build.into_iter().next() {
            Some(darkroom_template::BuildItem::Copy(copy)) => copy,
            other => unreachable!("{other:?}"),
        }
    }

    fn site() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let site = root.path().join("site");
        std::fs::create_dir_all(site.join("sub/empty")).unwrap();
        for (name, text) in [
            ("index.html", "hello"),
            ("sub/b", "b"),
            ("a.tmp", "x"),
            ("sub/keep.tmp", "k"),
            ("sub/run", "#!/bin/sh\n"),
        ] {
            std::fs::write(site.join(name), text).unwrap();
        }
        std::fs::write(site.join(".darkroomignore"), "# comment\n*.tmp\n").unwrap();
        let executable = std::fs::Permissions::from_mode(0o750);
        std::fs::set_permissions(site.join("sub/run"), executable).unwrap();
        symlink("../index.html", site.join("sub/link")).unwrap();
        root
    }

    fn names(copied: &Copied) -> Vec<String> {
        let names = listed(&copied.bytes);
        names
            .iter()
            .map(|name| name.display().to_string())
            .collect()
    }

    #[test]
    fn a_folder_is_packed_the_same_each_time() {
        let root = site();
        let copy = copy("from: ./site, to: /srv, ignore: ['!keep.tmp']");
        let packed = pack(root.path(), &copy).unwrap();
        assert!(packed.is_folder);
        assert_eq!(
            names(&packed),
            [
                "index.html",
                "sub/b",
                "sub/empty",
                "sub/keep.tmp",
                "sub/link",
                "sub/run"
            ]
        );
        assert_eq!(target(&copy, &packed), "/srv");
        // Neither times nor the order of the folder count.
        let again = site();
        assert_eq!(pack(again.path(), &copy).unwrap(), packed);
        let mut archive = tar::Archive::new(packed.bytes.as_slice());
        for entry in archive.entries().unwrap() {
            let header = entry.unwrap().header().clone();
            let path = header.path().unwrap().into_owned();
            assert_eq!((header.uid().unwrap(), header.mtime().unwrap()), (0, 0));
            if path == Path::new("sub/run") {
                assert_eq!(header.mode().unwrap(), 0o750);
            }
            if path == Path::new("sub/link") {
                let to = header.link_name().unwrap().unwrap().into_owned();
                assert_eq!(to, Path::new("../index.html"));
            }
        }
    }

    #[test]
    fn a_slash_at_the_end_of_to_puts_a_file_into_a_folder() {
        let root = site();
        for (to, path) in [("/srv/page", "/srv/page"), ("/srv/", "/srv/index.html")] {
            let copy = copy(&format!("from: site/index.html, to: {to}"));
            let packed = pack(root.path(), &copy).unwrap();
            assert_eq!(*packed.bytes, b"hello");
            assert_eq!(target(&copy, &packed), path);
        }
    }

    #[test]
    fn what_must_not_be_copied_is_named() {
        let root = site();
        let said = |fields: &str| pack(root.path(), &copy(fields)).unwrap_err().message;
        assert_eq!(
            said("from: ./sites, to: /srv"),
            "there is no ./sites in the template's folder"
        );
        assert_eq!(
            said("from: site/index.html/, to: /srv"),
            "site/index.html/ can't be read: Not a directory (os error 20)"
        );
        assert_eq!(
            said("from: site, to: /srv, ignore: ['*']"),
            "there is nothing to be copied in site"
        );
        symlink("/etc", root.path().join("out")).unwrap();
        assert_eq!(
            said("from: out, to: /srv"),
            "out leads out of the template's folder"
        );
        for to in ["/etc/passwd", "../../x", "../sub/../../x"] {
            let link = root.path().join("site/sub/bad");
            drop(std::fs::remove_file(&link));
            symlink(to, &link).unwrap();
            assert_eq!(
                said("from: site, to: /srv"),
                format!("the link sub/bad leads to {to}, which is not copied with it")
            );
        }
        std::fs::remove_file(root.path().join("site/sub/bad")).unwrap();
        let large = std::fs::File::create(root.path().join("site/large")).unwrap();
        large.set_len(LARGEST + 1).unwrap();
        assert_eq!(
            said("from: site, to: /srv"),
            "it has more than 64 MiB, counted up to large"
        );
    }
}
