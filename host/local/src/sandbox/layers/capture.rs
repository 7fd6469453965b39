//! A copy of what a running instance has written, as a layer: the instance goes on as it
//! is, on what it stood on.
//!
//! Like a snapshot of a running machine on Alibaba Cloud it holds what is on the disk at
//! the moment, not what programs have in memory. Files that come and go while they are
//! copied make it begin again, a few times. Nothing is left of one that was interrupted
//! but a draft that the next one removes.

use std::io;

use super::super::folder::{Folder, make_private, read_json, write_json};
use super::manifest::digest;
use super::squash::bounded;
use super::tree::{duplicate, sync, walk};
use super::{Facts, Store, remove};
use crate::driver::{Commit, LayerId};

/// How often it is begun.
const TRIES: u32 = 5;

/// Captures the disk, or tells what the capture of this id came to before.
///
/// # Errors
/// What the system answered; it can be asked for again.
pub fn capture(store: &Store, folder: &Folder, id: &str) -> io::Result<Commit> {
    let record = folder.commit(id, "")?;
    if record.exists() {
        return read_json(&record);
    }
    let region = folder.spec()?.region;
    let draft = folder.disk_folder().join(".captured");
    let mut tries = 1;
    loop {
        remove(&draft)?;
        match duplicate(&folder.upper(), &draft) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < TRIES => tries += 1,
            other => break other?,
        }
    }
    walk(&draft, &mut |_, entry| entry.forget_local_attributes())?;
    sync(&draft)?;
    let content = digest(&draft)?;
    let layer: LayerId = content.digest.parse().map_err(io::Error::other)?;
    let facts = Facts {
        size_bytes: content.size_bytes,
    };
    // The copy is no longer needed: the store may share its files.
    store.import(&draft, facts, &region, &layer)?;
    remove(&draft)?;
    let mut layers = folder.disk()?.layers;
    layers.push(layer);
    let layers = bounded(store, &region, &layers)?;
    let mut size_bytes = 0;
    for layer in &layers {
        size_bytes += store.facts(&region, layer)?.size_bytes;
    }
    let commit = Commit {
        layers,
        size_bytes,
        live: true,
    };
    if let Some(parent) = record.parent() {
        make_private(parent)?;
    }
    write_json(&record, &commit)?;
    Ok(commit)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::driver::InstanceSpec;
    use crate::sandbox::folder::Disk;

    #[test]
    fn the_instance_stays_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        let region: darkroom_ecs::id::RegionId = "cn-hangzhou".parse().unwrap();
        let store = Store::new(place.path());
        let base = place.path().join("base");
        fs::create_dir(&base).unwrap();
        let layer: LayerId = "base".parse().unwrap();
        let facts = Facts { size_bytes: 4096 };
        store.import(&base, facts, &region, &layer).unwrap();
        let folder = Folder::new(place.path().join("i-1"));
        make_private(folder.path()).unwrap();
        let spec = InstanceSpec {
            id: "i-1".parse().unwrap(),
            region: region.clone(),
            account: "1234567890123456".parse().unwrap(),
            name: "one".into(),
            host_name: "one".into(),
            layers: vec![layer.clone()],
            private_ip: String::new(),
            internet: false,
            cpu: 1,
            memory_mib: 512,
            disk_gib: 20,
            user_data: None,
        };
        write_json(&folder.file("spec.json"), &spec).unwrap();
        let layers = vec![layer];
        folder.set_disk(&Disk { layers }).unwrap();
        super::super::commit::make_upper(&store, &folder, &region).unwrap();
        fs::write(folder.upper().join("new"), "new").unwrap();

        let captured = capture(&store, &folder, "c-1").unwrap();
        fs::write(folder.upper().join("new"), "changed").unwrap();
        assert_eq!(capture(&store, &folder, "c-1").unwrap(), captured);
        assert_eq!(folder.disk().unwrap().layers.len(), 1);
        let tree = store.tree(&region, &captured.layers[1]).unwrap();
        assert_eq!(fs::read_to_string(tree.join("new")).unwrap(), "new");
        assert!(captured.live);
    }
}
