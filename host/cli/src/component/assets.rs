//! The folder `assets/` of a crate: the files that ship with its component.
//!
//! Everything goes through cap-std, so that no name and no link leads out of the folder:
//! absolute links, `..` and links to somewhere else are refused, never followed. A link
//! to a file inside is that file.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

/// The folder's name.
const FOLDER: &str = "assets";

/// Bytes of all assets together, 64 MiB as in the contract; checked before anything is
/// read, so that a huge file does not fill the memory first.
const MOST_BYTES: u64 = 64 << 20;

/// The assets can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AssetsError {
    /// A file or folder can't be read; a link out of the folder among them.
    #[error("the asset {0:?} can't be read")]
    Read(PathBuf, #[source] std::io::Error),
    /// A link that leads out, or to a folder.
    #[error(
        "the asset {0:?} is a symbolic link that does not lead to a file inside the folder `assets`"
    )]
    Link(PathBuf),
    /// The folder itself is a link.
    #[error("{0:?} is a symbolic link; it must be a folder of the crate")]
    LinkedFolder(PathBuf),
    /// Neither file nor folder.
    #[error("the asset {0:?} is neither a file nor a folder")]
    Special(PathBuf),
    /// A name that is no text.
    #[error("the name of the asset {0:?} is not UTF-8")]
    Name(PathBuf),
    /// Too many bytes.
    #[error("the assets have more than {} MiB", MOST_BYTES >> 20)]
    TooLarge,
}

impl AssetsError {
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Link(_) | Self::LinkedFolder(_) => {
                Some("put the file itself into the folder `assets`")
            }
            Self::TooLarge => Some("let the machine fetch large files: `download`"),
            _ => None,
        }
    }
}

/// All assets of the crate in `folder`, in the order of their names; `None` where it has
/// no folder `assets`.
pub(crate) fn find(folder: &Path) -> Result<Option<Files>, AssetsError> {
    let wrong = |error| AssetsError::Read(folder.join(FOLDER), error);
    let crate_folder = Dir::open_ambient_dir(folder, ambient_authority()).map_err(wrong)?;
    match crate_folder.symlink_metadata(FOLDER) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(error)),
        Ok(metadata) if metadata.is_symlink() => {
            return Err(AssetsError::LinkedFolder(folder.join(FOLDER)));
        }
        Ok(_) => {}
    }
    let root = crate_folder.open_dir(FOLDER).map_err(wrong)?;
    walk(&root).map(Some)
}

/// All files of a folder that somebody named as that of the assets.
pub(crate) fn read(folder: &Path) -> Result<Files, AssetsError> {
    let root = Dir::open_ambient_dir(folder, ambient_authority())
        .map_err(|error| AssetsError::Read(folder.to_owned(), error))?;
    walk(&root)
}

/// Names and contents.
pub(crate) type Files = Vec<(String, Vec<u8>)>;

fn walk(root: &Dir) -> Result<Files, AssetsError> {
    let mut walk = Walk {
        root,
        bytes: 0,
        files: Vec::new(),
    };
    walk.folder(Path::new(""))?;
    walk.files.sort();
    Ok(walk.files)
}

struct Walk<'a> {
    root: &'a Dir,
    bytes: u64,
    files: Vec<(String, Vec<u8>)>,
}

impl Walk<'_> {
    fn folder(&mut self, path: &Path) -> Result<(), AssetsError> {
        let wrong = |error| AssetsError::Read(path.to_owned(), error);
        let here = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        for entry in self.root.read_dir(here).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let name = path.join(entry.file_name());
            let kind = entry.file_type().map_err(wrong)?;
            if kind.is_dir() {
                self.folder(&name)?;
            } else if kind.is_file() || kind.is_symlink() {
                self.file(name, kind.is_symlink())?;
            } else {
                return Err(AssetsError::Special(name));
            }
        }
        Ok(())
    }

    fn file(&mut self, path: PathBuf, link: bool) -> Result<(), AssetsError> {
        let wrong = |error| AssetsError::Read(path.clone(), error);
        // Asked before it is opened: opening a named pipe would wait for ever.
        let metadata = match self.root.metadata(&path) {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) | Err(_) if link => return Err(AssetsError::Link(path)),
            Ok(_) => return Err(AssetsError::Special(path)),
            Err(error) => return Err(wrong(error)),
        };
        self.bytes = self.bytes.saturating_add(metadata.len());
        if self.bytes > MOST_BYTES {
            return Err(AssetsError::TooLarge);
        }
        let mut content = Vec::new();
        let file = self.root.open(&path).map_err(wrong)?;
        file.take(MOST_BYTES)
            .read_to_end(&mut content)
            .map_err(wrong)?;
        let Some(name) = path.to_str() else {
            return Err(AssetsError::Name(path));
        };
        self.files.push((name.to_owned(), content));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    fn assets(files: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join("crate/assets").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        fs::create_dir_all(folder.path().join("crate/src")).unwrap();
        fs::write(folder.path().join("crate/src/secret"), "secret").unwrap();
        folder
    }

    fn names(folder: &TempDir) -> Result<Vec<String>, AssetsError> {
        Ok(find(&folder.path().join("crate"))?
            .unwrap_or_default()
            .into_iter()
            .map(|(name, _)| name)
            .collect())
    }

    #[test]
    fn files_are_read_in_order_and_none_is_fine() {
        let folder = assets(&["b", "a/z", "a/b/c", ".hidden"]);
        assert_eq!(names(&folder).unwrap(), [".hidden", "a/b/c", "a/z", "b"]);
        assert_eq!(
            read(&folder.path().join("crate/assets")).unwrap()[2].1,
            b"a/z"
        );
        assert_eq!(names(&assets(&[])).unwrap(), [""; 0]);
    }

    #[test]
    fn a_link_inside_is_the_file_it_names() {
        let folder = assets(&["a/file"]);
        symlink("a/file", folder.path().join("crate/assets/link")).unwrap();
        symlink("../a/file", folder.path().join("crate/assets/a/up")).unwrap();
        let files = find(&folder.path().join("crate")).unwrap().unwrap();
        let link = ("link".to_owned(), b"a/file".to_vec());
        assert!(files.contains(&link) && files.iter().any(|(name, _)| name == "a/up"));
    }

    #[test]
    fn links_that_lead_out_are_refused() {
        for target in [
            "/etc/passwd",
            "../src/secret",
            "a/../../src/secret",
            "nowhere",
            "a",
        ] {
            let folder = assets(&["a/file"]);
            symlink(target, folder.path().join("crate/assets/link")).unwrap();
            assert!(
                matches!(names(&folder), Err(AssetsError::Link(_))),
                "{target}"
            );
        }
        let folder = assets(&["a/file"]);
        symlink("/etc", folder.path().join("crate/assets/a/etc")).unwrap();
        assert!(matches!(names(&folder), Err(AssetsError::Link(_))));
    }

    #[test]
    fn the_folder_itself_may_not_be_a_link() {
        let folder = assets(&[]);
        symlink("src", folder.path().join("crate/assets")).unwrap();
        assert!(matches!(names(&folder), Err(AssetsError::LinkedFolder(_))));
    }

    #[test]
    fn what_is_no_file_and_what_is_too_large_is_refused() {
        let folder = assets(&["a"]);
        let _socket =
            std::os::unix::net::UnixListener::bind(folder.path().join("crate/assets/socket"))
                .unwrap();
        assert!(matches!(names(&folder), Err(AssetsError::Special(_))));
        let folder = assets(&["a"]);
        let large = fs::File::create(folder.path().join("crate/assets/large")).unwrap();
        large.set_len(MOST_BYTES + 1).unwrap();
        assert!(matches!(names(&folder), Err(AssetsError::TooLarge)));
    }
}
