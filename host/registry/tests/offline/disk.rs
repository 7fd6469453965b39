//! A disk that is full, and one that can't be written to.

use std::error::Error as _;
use std::path::Path;

use darkroom_registry::cache::{Cache, CacheError, Found, Limit};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::cache::{files, kept};
use crate::{contents, key};

/// A file system of 256 KiB, gone at the end.
struct Tiny<'p>(&'p Path);

impl<'p> Tiny<'p> {
    /// `None` for whoever may not mount.
    fn mount(place: &'p Path) -> Option<Self> {
        let options = c"size=256k,mode=0700";
        mount("tmpfs", place, "tmpfs", MountFlags::empty(), Some(options)).ok()?;
        Some(Self(place))
    }
}

impl Drop for Tiny<'_> {
    fn drop(&mut self) {
        unmount(self.0, UnmountFlags::DETACH).unwrap();
    }
}

#[test]
fn a_full_disk_is_said_and_leaves_nothing_half() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_tiny) = Tiny::mount(folder.path()) else {
        let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
        assert!(!ci, "not run: only root can mount a small disk");
        println!("not run: only root can mount a small disk");
        return;
    };
    let cache = Cache::open(folder.path(), Limit::default()).unwrap();
    let small = contents("1.0.0", 20_000);
    cache.store(&key("1.0.0"), &small).unwrap();
    for _ in 0..3 {
        let error = cache
            .store(&key("2.0.0"), &contents("2.0.0", 400_000))
            .unwrap_err();
        assert!(matches!(error, CacheError::Full { .. }), "{error:?}");
        assert_eq!(
            error.to_string(),
            format!(
                "there is no room for 400000 bytes in the package cache {}",
                folder.path().display()
            )
        );
        let source = error.source().unwrap().to_string();
        assert_eq!(source, "No space left on device (os error 28)");
        assert!(error.hint().contains("cache prune"));
        assert!(files(&folder.path().join("drafts")).is_empty());
        assert_eq!(cache.find(&key("2.0.0"), None).unwrap(), Found::Missing);
    }
    assert_eq!(kept(&cache, &key("1.0.0")), small);
    // Where there is room again, it goes on.
    cache.prune(0).unwrap();
    let package = contents("2.0.0", 150_000);
    cache.store(&key("2.0.0"), &package).unwrap();
    assert_eq!(kept(&cache, &key("2.0.0")), package);
}

#[test]
fn a_folder_that_cant_be_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Cache::open(&file, Limit::default()).unwrap_err();
    assert!(matches!(error, CacheError::Folder { .. }), "{error:?}");
    let said = error.to_string();
    assert!(
        said.starts_with("the package cache /")
            && said.ends_with("/file/blobs/sha256 can't be opened"),
        "{said}"
    );
}
