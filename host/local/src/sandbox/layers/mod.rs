//! The layer stores: `regions/<region>/layers/<digest>/` with the tree in `rootfs`
//! and `layer.json` beside it.
//!
//! Used by the driver. A layer appears whole: it is made under a name that begins
//! with a dot, synced and renamed. It never changes afterwards, so that regions can
//! share files by hard links; removing one region's layer leaves the others'.

pub mod capture;
pub mod commit;
pub mod manifest;
pub mod squash;
pub mod tree;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use darkroom_ecs::id::RegionId;
use serde::{Deserialize, Serialize};

use super::folder::{make_private, plain_name, read_json, sync_parent, write_json};
use crate::driver::LayerId;

/// `layer.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Bytes on disk.
    pub size_bytes: u64,
}

/// All regions' layers.
#[derive(Clone, Debug)]
pub struct Store {
    regions: PathBuf,
}

impl Store {
    /// The stores in the local cloud's folder.
    pub fn new(root: &Path) -> Self {
        Self {
            regions: root.join("regions"),
        }
    }

    /// A region's folder of layers, made when it is missing.
    ///
    /// # Errors
    /// When the region can't be a folder, or it can't be made.
    pub fn folder(&self, region: &RegionId) -> io::Result<PathBuf> {
        let folder = self
            .regions
            .join(plain_name(region.as_str())?)
            .join("layers");
        make_private(&folder)?;
        Ok(folder)
    }

    /// Where the tree of a layer is.
    ///
    /// # Errors
    /// As for [`Store::folder`].
    pub fn tree(&self, region: &RegionId, layer: &LayerId) -> io::Result<PathBuf> {
        Ok(self.folder(region)?.join(layer.as_str()).join("rootfs"))
    }

    /// Whether a layer is there.
    ///
    /// # Errors
    /// As for [`Store::folder`].
    pub fn has(&self, region: &RegionId, layer: &LayerId) -> io::Result<bool> {
        Ok(self
            .folder(region)?
            .join(layer.as_str())
            .join("layer.json")
            .exists())
    }

    /// What is known of a layer.
    ///
    /// # Errors
    /// When it isn't there.
    pub fn facts(&self, region: &RegionId, layer: &LayerId) -> io::Result<Facts> {
        let folder = self.folder(region)?;
        read_json(&folder.join(layer.as_str()).join("layer.json"))
    }

    /// Puts a copy of a tree into a region's store, unless it is there.
    ///
    /// # Errors
    /// What the system answered.
    pub fn import(
        &self,
        tree: &Path,
        facts: Facts,
        region: &RegionId,
        layer: &LayerId,
    ) -> io::Result<()> {
        if self.has(region, layer)? {
            return Ok(());
        }
        let draft = self.draft(region, layer)?;
        remove(&draft)?;
        make_private(&draft)?;
        tree::copy(tree, &draft.join("rootfs"))?;
        self.finish(&draft, facts, region, layer)
    }

    /// Where a layer is made.
    fn draft(&self, region: &RegionId, layer: &LayerId) -> io::Result<PathBuf> {
        Ok(self.folder(region)?.join(format!(".making-{layer}")))
    }

    /// Makes a draft the layer.
    fn finish(
        &self,
        draft: &Path,
        facts: Facts,
        region: &RegionId,
        layer: &LayerId,
    ) -> io::Result<()> {
        write_json(&draft.join("layer.json"), &facts)?;
        tree::sync(draft)?;
        let place = self.folder(region)?.join(layer.as_str());
        fs::rename(draft, &place)?;
        sync_parent(&place)
    }

    /// Removes a layer; one that is gone is no error.
    ///
    /// # Errors
    /// What the system answered.
    pub fn delete(&self, region: &RegionId, layer: &LayerId) -> io::Result<()> {
        let folder = self.folder(region)?;
        let doomed = folder.join(format!(".removing-{layer}"));
        remove(&doomed)?;
        match fs::rename(folder.join(layer.as_str()), &doomed) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        }
        remove(&doomed)
    }

    /// Removes every layer that `keep` doesn't name, and what interrupted work left.
    ///
    /// # Errors
    /// What the system answered.
    pub fn collect(&self, keep: &[(RegionId, LayerId)]) -> io::Result<()> {
        for region in folders(&self.regions)? {
            let Ok(id) = region.parse::<RegionId>() else {
                continue;
            };
            let folder = self.folder(&id)?;
            for name in folders(&folder)? {
                let kept = keep.iter().any(|(region, layer)| {
                    *region == id && *layer.as_str() == *name.trim_start_matches(".making-")
                });
                if !kept {
                    remove(&folder.join(name))?;
                }
            }
        }
        Ok(())
    }
}

/// The names in a folder that may not exist.
pub(super) fn folders(path: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Removes a tree, however deep an instance has made it; one that is gone is no error.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(there) if there.is_dir() => tree::flatten(path)?,
        Ok(_) | Err(_) => {}
    }
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str) -> LayerId {
        name.parse().unwrap()
    }

    #[test]
    fn a_copy_outlives_its_source() {
        let place = tempfile::tempdir().unwrap();
        let base = place.path().join("base");
        fs::create_dir(&base).unwrap();
        fs::write(base.join("file"), "content").unwrap();
        let store = Store::new(place.path());
        let (one, two): (RegionId, RegionId) = (
            "cn-hangzhou".parse().unwrap(),
            "cn-beijing".parse().unwrap(),
        );
        let facts = Facts { size_bytes: 7 };
        store.import(&base, facts, &one, &layer("abc")).unwrap();
        let source = store.tree(&one, &layer("abc")).unwrap();
        store.import(&source, facts, &two, &layer("abc")).unwrap();
        store.delete(&one, &layer("abc")).unwrap();
        store.delete(&one, &layer("abc")).unwrap();
        assert!(!store.has(&one, &layer("abc")).unwrap());
        let copy = store.tree(&two, &layer("abc")).unwrap();
        assert_eq!(fs::read_to_string(copy.join("file")).unwrap(), "content");
        assert_eq!(store.facts(&two, &layer("abc")).unwrap(), facts);
    }

    #[test]
    fn a_tree_of_any_depth_is_removed() {
        use rustix::fs::{Mode, OFlags, mkdirat, openat};
        let place = tempfile::tempdir().unwrap();
        let top = place.path().join("top");
        fs::create_dir(&top).unwrap();
        let mut folder = tree::open(&top).unwrap();
        for _ in 0..1000 {
            mkdirat(&folder, "d", Mode::from_raw_mode(0o700)).unwrap();
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            folder = openat(&folder, "d", flags, Mode::empty()).unwrap();
        }
        let depth = || tree::walk(&top, &mut |_, _| Ok(()));
        assert!(depth().is_err(), "too deep to be visited");
        tree::flatten(&top).unwrap();
        depth().unwrap();
        remove(&top).unwrap();
        assert!(!top.exists());
        remove(&top).unwrap();
    }

    #[test]
    fn what_nobody_names_is_collected() {
        let place = tempfile::tempdir().unwrap();
        let base = place.path().join("base");
        fs::create_dir(&base).unwrap();
        let store = Store::new(place.path());
        let region: RegionId = "cn-hangzhou".parse().unwrap();
        for name in ["kept", "lost"] {
            let facts = Facts { size_bytes: 0 };
            store.import(&base, facts, &region, &layer(name)).unwrap();
        }
        let folder = store.folder(&region).unwrap();
        fs::create_dir_all(folder.join(".making-half/rootfs")).unwrap();
        store.collect(&[(region.clone(), layer("kept"))]).unwrap();
        assert_eq!(folders(&folder).unwrap(), ["kept"]);
    }
}
