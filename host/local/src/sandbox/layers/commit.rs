//! Turns what a stopped instance has written into a layer, in steps that can be
//! taken again from the start after a crash at any point.
//!
//! ```text
//! digest of upper ─► intent (synced) ─► rename upper into the draft of the layer
//!   ─► finish the layer ─► disk.json names it ─► fresh upper ─► squash if many
//!   ─► record, no intent
//! ```
//! An intent that is there says what the end must look like; disk.json, which is
//! replaced at once, says whether an `upper` that is there is the old one or the
//! fresh one. Nobody may start the instance meanwhile: the caller holds its lock.

use std::fs;
use std::io;

use darkroom_ecs::id::RegionId;
use serde::{Deserialize, Serialize};

use super::super::folder::{Disk, Folder, make_private, read_json, sync_parent, write_json};
use super::manifest::digest;
use super::squash::bounded;
use super::tree::{make_like, sync, walk};
use super::{Facts, Store, remove};
use crate::driver::{Commit, LayerId};

/// `commits/<id>.intent.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Intent {
    id: String,
    layer: LayerId,
    size_bytes: u64,
    /// All layers afterwards.
    after: Vec<LayerId>,
}

/// Commits, or tells what the commit of this id came to before.
///
/// # Errors
/// What the system answered; asked again it goes on where it was.
pub fn commit(store: &Store, folder: &Folder, id: &str) -> io::Result<Commit> {
    finish_pending(store, folder)?;
    let record = folder.commit(id, "")?;
    if record.exists() {
        return read_json(&record);
    }
    let upper = folder.upper();
    walk(&upper, &mut |_, entry| entry.forget_local_attributes())?;
    sync(&upper)?;
    let content = digest(&upper)?;
    let layer: LayerId = content.digest.parse().map_err(io::Error::other)?;
    let mut after = folder.disk()?.layers;
    after.push(layer.clone());
    let intent = Intent {
        id: id.to_owned(),
        layer,
        size_bytes: content.size_bytes,
        after,
    };
    let path = folder.commit(id, ".intent")?;
    if let Some(parent) = path.parent() {
        make_private(parent)?;
    }
    write_json(&path, &intent)?;
    finish(store, folder, &intent)
}

/// The layers that unfinished commits are about to make.
///
/// # Errors
/// When the folder can't be read.
pub fn pending_layers(folder: &Folder) -> io::Result<Vec<LayerId>> {
    Ok(pending(folder)?.into_iter().map(|one| one.layer).collect())
}

/// The layers of the images that were made of this instance. Until an image's row
/// names them, the records do.
///
/// # Errors
/// When the folder can't be read.
pub fn committed_layers(folder: &Folder) -> io::Result<Vec<LayerId>> {
    let commits = folder.file("commits");
    let mut layers = Vec::new();
    for name in super::folders(&commits)? {
        let id = name.strip_suffix(".json");
        if id.is_some_and(|id| !id.ends_with(".intent")) {
            layers.extend(read_json::<Commit>(&commits.join(name))?.layers);
        }
    }
    Ok(layers)
}

/// Takes unfinished commits to their end.
///
/// # Errors
/// What the system answered.
pub fn finish_pending(store: &Store, folder: &Folder) -> io::Result<()> {
    for intent in pending(folder)? {
        finish(store, folder, &intent)?;
    }
    Ok(())
}

fn pending(folder: &Folder) -> io::Result<Vec<Intent>> {
    let commits = folder.file("commits");
    super::folders(&commits)?
        .iter()
        .filter(|name| name.ends_with(".intent.json"))
        .map(|name| read_json(&commits.join(name)))
        .collect()
}

fn finish(store: &Store, folder: &Folder, intent: &Intent) -> io::Result<Commit> {
    let region = folder.spec()?.region;
    if folder.disk()?.layers != intent.after {
        put_layer(store, folder, intent, &region)?;
        folder.set_disk(&Disk {
            layers: intent.after.clone(),
        })?;
    }
    make_upper(store, folder, &region)?;
    // Its disk is made of what the image is made of: rows know one list. Cut off after
    // this, the steps above are taken again, with an upper that is fresh and empty.
    let layers = bounded(store, &region, &intent.after)?;
    if layers != intent.after {
        folder.set_disk(&Disk {
            layers: layers.clone(),
        })?;
    }
    let mut size_bytes = 0;
    for layer in &layers {
        size_bytes += store.facts(&region, layer)?.size_bytes;
    }
    let commit = Commit {
        layers,
        size_bytes,
        live: false,
    };
    write_json(&folder.commit(&intent.id, "")?, &commit)?;
    fs::remove_file(folder.commit(&intent.id, ".intent")?)?;
    Ok(commit)
}

/// Moves the instance's writes into the store. disk.json still names the old
/// layers, so that an `upper` that is there is the one that the intent is about.
fn put_layer(store: &Store, folder: &Folder, intent: &Intent, region: &RegionId) -> io::Result<()> {
    let upper = folder.upper();
    if store.has(region, &intent.layer)? {
        // The same content was committed before.
        return remove(&upper);
    }
    let draft = store.draft(region, &intent.layer)?;
    if upper.exists() {
        remove(&draft)?;
        make_private(&draft)?;
        fs::rename(&upper, draft.join("rootfs"))?;
        sync_parent(&upper)?;
    }
    let facts = Facts {
        size_bytes: intent.size_bytes,
    };
    store.finish(&draft, facts, region, &intent.layer)
}

/// Makes the folder for the instance's writes, if it is missing, with the look of
/// the topmost layer's: it gives the instance's root folder its owner and mode.
///
/// # Errors
/// What the system answered.
pub fn make_upper(store: &Store, folder: &Folder, region: &RegionId) -> io::Result<()> {
    let upper = folder.upper();
    if upper.exists() {
        return Ok(());
    }
    let layers = folder.disk()?.layers;
    let top = layers
        .last()
        .ok_or_else(|| io::Error::other("the instance has no layer"))?;
    make_private(&folder.disk_folder())?;
    let draft = folder.disk_folder().join(".making-upper");
    remove(&draft)?;
    make_like(&draft, &store.tree(region, top)?)?;
    fs::rename(&draft, &upper)
}

#[cfg(test)]
mod tests {
    use super::super::squash::MOST_LAYERS;
    use super::*;
    use crate::driver::InstanceSpec;
    use std::path::Path;

    fn region() -> RegionId {
        "cn-hangzhou".parse().unwrap()
    }

    /// An instance on some layers that hold `base`, with `new` written.
    fn instance(place: &Path, depth: usize) -> (Store, Folder) {
        let store = Store::new(place);
        let base = place.join("base");
        fs::create_dir(&base).unwrap();
        fs::write(base.join("base"), "base").unwrap();
        let facts = Facts { size_bytes: 4096 };
        let put = |number| {
            let layer: LayerId = format!("base{number}").parse().unwrap();
            store.import(&base, facts, &region(), &layer).unwrap();
            layer
        };
        let layers: Vec<LayerId> = (0..depth).map(put).collect();
        let folder = Folder::new(place.join("i-1"));
        make_private(folder.path()).unwrap();
        let spec = InstanceSpec {
            id: "i-1".parse().unwrap(),
            region: region(),
            account: "1234567890123456".parse().unwrap(),
            name: "one".into(),
            host_name: "one".into(),
            layers: layers.clone(),
            private_ip: String::new(),
            internet: false,
            cpu: 1,
            memory_mib: 512,
            disk_gib: 20,
            user_data: None,
        };
        write_json(&folder.file("spec.json"), &spec).unwrap();
        folder.set_disk(&Disk { layers }).unwrap();
        make_upper(&store, &folder, &region()).unwrap();
        fs::write(folder.upper().join("new"), "new").unwrap();
        (store, folder)
    }

    fn check(store: &Store, folder: &Folder, commit: &Commit) {
        let top = commit.layers.last().unwrap();
        assert_eq!(commit.layers.len(), 2);
        assert_eq!(folder.disk().unwrap().layers, commit.layers);
        let tree = store.tree(&region(), top).unwrap();
        assert_eq!(fs::read_to_string(tree.join("new")).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.upper()).unwrap().count(), 0);
        assert!(pending(folder).unwrap().is_empty());
        assert_eq!(digest(&tree).unwrap().digest, top.as_str());
    }

    #[test]
    fn the_same_id_is_the_same_commit() {
        let place = tempfile::tempdir().unwrap();
        let (store, folder) = instance(place.path(), 1);
        let first = commit(&store, &folder, "c-1").unwrap();
        check(&store, &folder, &first);
        fs::write(folder.upper().join("later"), "later").unwrap();
        assert_eq!(commit(&store, &folder, "c-1").unwrap(), first);
        let second = commit(&store, &folder, "c-2").unwrap();
        assert_eq!(second.layers.len(), 3);
        assert!(second.size_bytes > first.size_bytes);
    }

    #[test]
    fn a_commit_goes_on_wherever_it_was_cut_off() {
        let depths = [1, MOST_LAYERS];
        for (cut, depth) in (0..6).flat_map(|cut| depths.map(|depth| (cut, depth))) {
            let place = tempfile::tempdir().unwrap();
            let (store, folder) = instance(place.path(), depth);
            let content = digest(&folder.upper()).unwrap();
            let layer: LayerId = content.digest.parse().unwrap();
            let mut after = folder.disk().unwrap().layers;
            after.push(layer.clone());
            let intent = Intent {
                id: "c-1".into(),
                layer: layer.clone(),
                size_bytes: content.size_bytes,
                after: after.clone(),
            };
            make_private(&folder.file("commits")).unwrap();
            write_json(&folder.commit("c-1", ".intent").unwrap(), &intent).unwrap();
            let draft = store.draft(&region(), &layer).unwrap();
            if cut > 0 {
                make_private(&draft).unwrap();
                fs::rename(folder.upper(), draft.join("rootfs")).unwrap();
            }
            if cut > 1 {
                let facts = Facts { size_bytes: 1 };
                store.finish(&draft, facts, &region(), &layer).unwrap();
            }
            if cut > 2 {
                let layers = after.clone();
                folder.set_disk(&Disk { layers }).unwrap();
            }
            if cut > 3 {
                make_upper(&store, &folder, &region()).unwrap();
            }
            if cut > 4 {
                let layers = bounded(&store, &region(), &after).unwrap();
                folder.set_disk(&Disk { layers }).unwrap();
            }
            let done = commit(&store, &folder, "c-1").unwrap();
            check(&store, &folder, &done);
        }
    }
}
