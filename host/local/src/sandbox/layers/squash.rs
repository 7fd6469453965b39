//! Merges layers into one, so that an image built on an image built on an image can
//! still be mounted: overlay takes a limited number of layers, and each costs a
//! descriptor and a look at every lookup.
//!
//! Used by the commit. The first layer, the base that many images share, stays as it
//! is; those above it become one that does to the base what they did together. Files
//! are hard links of the layers', so that a merge costs no room.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;

use darkroom_ecs::id::RegionId;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, XattrFlags};
use rustix::io::Errno;

use super::manifest::digest;
use super::tree::{self, Entry};
use super::{Facts, Store, make_private, remove};
use crate::driver::LayerId;

/// A disk of more layers is squashed with its image. Every instance holds a mount and a descriptor
/// for each; a limit of the kernel's is 500.
pub const MOST_LAYERS: usize = 16;

/// The mark of a folder that hides what lies below it, and an ordinary user's.
const OPAQUE: [&CStr; 2] = [c"trusted.overlay.opaque", c"user.overlay.opaque"];

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

/// The layers of an image that holds the same as `layers`, merged if they are many.
///
/// # Errors
/// What the system answered; asked again it begins anew.
pub fn bounded(store: &Store, region: &RegionId, layers: &[LayerId]) -> io::Result<Vec<LayerId>> {
    let [base, above @ ..] = layers else {
        return Ok(Vec::new());
    };
    if layers.len() <= MOST_LAYERS {
        return Ok(layers.to_vec());
    }
    let mut sources = Vec::new();
    for layer in above {
        sources.push(tree::open(&store.tree(region, layer)?)?);
    }
    let draft = store.folder(region)?.join(".squashing");
    remove(&draft)?;
    make_private(&draft)?;
    let merged = draft.join("rootfs");
    rustix::fs::mkdir(&merged, Mode::from_raw_mode(0o700))?;
    merge(&sources, &tree::open(&merged)?, 0)?;
    let content = digest(&merged)?;
    let layer: LayerId = content.digest.parse().map_err(io::Error::other)?;
    if store.has(region, &layer)? {
        remove(&draft)?;
    } else {
        let facts = Facts {
            size_bytes: content.size_bytes,
        };
        store.finish(&draft, facts, region, &layer)?;
    }
    Ok(vec![base.clone(), layer])
}

/// Fills `target` with what these folders, the lowest first, show together, and gives
/// it the look of the topmost.
fn merge(sources: &[OwnedFd], target: &OwnedFd, depth: usize) -> io::Result<()> {
    tree::check_depth(depth)?;
    let mut all = BTreeSet::new();
    for source in sources {
        all.extend(tree::names(source)?);
    }
    for name in all {
        one(sources, &name, target, depth)?;
    }
    if let Some(top) = sources.last() {
        tree::copy_look(&tree::entry(top, c".")?, &tree::entry(target, c".")?)?;
    }
    Ok(())
}

fn one(sources: &[OwnedFd], name: &CString, target: &OwnedFd, depth: usize) -> io::Result<()> {
    let mut folders: Vec<OwnedFd> = Vec::new();
    let mut opaque = false;
    for source in sources.iter().rev() {
        let Some(entry) = existing(source, name)? else {
            continue;
        };
        if entry.kind() != FileType::Directory {
            if folders.is_empty() {
                return link(&entry, target);
            }
            // A file or a whiteout below a folder: what is below that is hidden.
            opaque = true;
            break;
        }
        folders.push(entry.open(FOLDER)?);
        if is_opaque(&entry)? {
            opaque = true;
            break;
        }
    }
    folders.reverse();
    rustix::fs::mkdirat(target, name.as_c_str(), Mode::from_raw_mode(0o700))?;
    let made = tree::entry(target, name)?.open(FOLDER)?;
    merge(&folders, &made, depth + 1)?;
    if opaque {
        make_opaque(&made)?;
    }
    Ok(())
}

/// Gives a file another name in the merged tree, or copies it where it has too many.
fn link(file: &Entry<'_>, target: &OwnedFd) -> io::Result<()> {
    match rustix::fs::linkat(file.parent, file.name, target, file.name, AtFlags::empty()) {
        Ok(()) => Ok(()),
        Err(Errno::XDEV | Errno::MLINK | Errno::PERM) => tree::copy_file(file, target),
        Err(error) => Err(error.into()),
    }
}

/// Whether a folder hides what lies below it.
fn is_opaque(folder: &Entry<'_>) -> io::Result<bool> {
    let attributes = folder.attributes()?;
    Ok(attributes
        .iter()
        .any(|(name, value)| OPAQUE.contains(&name.as_c_str()) && value == b"y"))
}

/// The attribute is the one that overlay reads here: an ordinary user's is another.
fn make_opaque(folder: &OwnedFd) -> io::Result<()> {
    let [privileged, unprivileged] = OPAQUE;
    let set = |name| rustix::fs::fsetxattr(folder, name, b"y", XattrFlags::empty());
    match set(privileged) {
        Err(Errno::PERM) => Ok(set(unprivileged)?),
        other => Ok(other?),
    }
}

fn existing<'a>(folder: &'a OwnedFd, name: &'a CString) -> io::Result<Option<Entry<'a>>> {
    match tree::entry(folder, name) {
        Ok(entry) => Ok(Some(entry)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn region() -> RegionId {
        "cn-hangzhou".parse().unwrap()
    }

    fn whiteout(path: &Path) {
        use rustix::fs::{CWD, mknodat};
        mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
    }

    /// Puts a layer into the store that `make` fills.
    fn layer(store: &Store, name: &str, make: impl FnOnce(&Path)) -> LayerId {
        let place = tempfile::tempdir().unwrap();
        make(place.path());
        let id: LayerId = name.parse().unwrap();
        let facts = Facts { size_bytes: 1 };
        store.import(place.path(), facts, &region(), &id).unwrap();
        id
    }

    #[test]
    fn what_many_layers_did_one_does() {
        if !rustix::process::geteuid().is_root() {
            println!("not run: needs root");
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let store = Store::new(place.path());
        let mut layers = vec![layer(&store, "base", |_| {})];
        for number in 0..MOST_LAYERS {
            layers.push(layer(&store, &format!("l{number}"), |top| {
                fs::create_dir_all(top.join("all")).unwrap();
                fs::write(top.join("all/latest"), number.to_string()).unwrap();
                fs::write(top.join(format!("all/{number}")), "").unwrap();
                match number {
                    0 => fs::write(top.join("was-file"), "").unwrap(),
                    1 => {
                        whiteout(&top.join("all/0"));
                        whiteout(&top.join("gone"));
                    }
                    2 => {
                        fs::create_dir(top.join("was-file")).unwrap();
                        fs::create_dir(top.join("gone")).unwrap();
                        fs::write(top.join("gone/new"), "").unwrap();
                    }
                    _ => {}
                }
            }));
        }
        assert_eq!(layers.len(), MOST_LAYERS + 1);
        let short = &layers[..MOST_LAYERS];
        assert_eq!(bounded(&store, &region(), short).unwrap(), short);
        let squashed = bounded(&store, &region(), &layers).unwrap();
        assert_eq!(squashed.len(), 2);
        assert_eq!(squashed[0], layers[0]);
        let tree = store.tree(&region(), &squashed[1]).unwrap();
        let latest = fs::read_to_string(tree.join("all/latest")).unwrap();
        assert_eq!(latest, (MOST_LAYERS - 1).to_string());
        assert!(tree.join("all/1").exists());
        let folder = tree::open(&tree).unwrap();
        let all = tree::open(&tree.join("all")).unwrap();
        let gone = tree::entry(&all, c"0").unwrap();
        assert_eq!(gone.kind(), FileType::CharacterDevice, "still hidden");
        for name in [c"was-file", c"gone"] {
            let entry = tree::entry(&folder, name).unwrap();
            assert_eq!(entry.kind(), FileType::Directory);
            assert!(is_opaque(&entry).unwrap(), "{name:?}");
        }
        assert!(!is_opaque(&tree::entry(&folder, c"all").unwrap()).unwrap());
        assert_eq!(bounded(&store, &region(), &layers).unwrap(), squashed);
    }
}
