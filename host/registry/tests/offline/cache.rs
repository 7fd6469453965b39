//! The cache in one process: what goes in comes out, or nothing does.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use darkroom_registry::cache::{Cache, Contents, Found, Key, Limit};
use darkroom_registry::digest::Digest;

use crate::{contents, key};

const ROOM: Limit = Limit { bytes: 1 << 30 };

fn open(folder: &Path) -> Cache {
    Cache::open(folder, ROOM).unwrap()
}

/// The package, which must be there.
pub(crate) fn kept(cache: &Cache, key: &Key) -> Contents {
    match cache.find(key, None).unwrap() {
        Found::Kept(contents) => *contents,
        other => panic!("{key:?}: {other:?}"),
    }
}

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn blob(folder: &Path, bytes: &[u8]) -> PathBuf {
    folder.join("blobs/sha256").join(Digest::of(bytes).hex())
}

#[test]
fn what_is_stored_is_found_by_its_whole_key() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    let package = contents("1.0.0", 5000);
    let entry = cache.store(&key("1.0.0"), &package).unwrap();
    assert_eq!(entry.manifest, Digest::of(&package.manifest));
    assert_eq!(entry.component, Digest::of(&package.component));
    assert_eq!(kept(&open(folder.path()), &key("1.0.0")), package);
    for other in [
        key("1.0.1"),
        Key {
            registry: "ghcr.io/acm".into(),
            package: "eacme:hardening".into(),
            ..key("1.0.0")
        },
        Key {
            registry: "docker.io/acme".into(),
            ..key("1.0.0")
        },
    ] {
        assert_eq!(cache.find(&other, None).unwrap(), Found::Missing);
    }
    let listed = cache.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].key, key("1.0.0"));
    assert_eq!(listed[0].bytes, entry.bytes);
    assert!(listed[0].used >= entry.stored);
}

/// A tag that was moved doesn't take the component away that a lock pins.
#[test]
fn a_version_with_other_bytes_doesnt_displace_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    let (old, new) = (contents("old", 100), contents("new", 100));
    cache.store(&key("1.0.0"), &old).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(5));
    cache.store(&key("1.0.0"), &new).unwrap();
    let digest = Digest::of(&old.component);
    let found = cache.find(&key("1.0.0"), Some(&digest)).unwrap();
    assert_eq!(found, Found::Kept(Box::new(old)));
    // The use of the older doesn't make it the one that was stored last.
    assert_eq!(kept(&cache, &key("1.0.0")), new);
    let other = Digest::of(b"other");
    assert_eq!(
        cache.find(&key("1.0.0"), Some(&other)).unwrap(),
        Found::Missing
    );
}

/// Signatures are added to a package that was there already.
#[test]
fn storing_again_takes_the_new_attachments() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    let mut package = contents("1.0.0", 100);
    cache.store(&key("1.0.0"), &package).unwrap();
    package.attachments.push(package.attachments[0].clone());
    package.attachments[1].bytes = b"a signature".to_vec();
    cache.store(&key("1.0.0"), &package).unwrap();
    assert_eq!(kept(&cache, &key("1.0.0")), package);
    assert_eq!(cache.list().unwrap().len(), 1);
}

type Damage = fn(&Path);

#[test]
fn every_damaged_part_is_noticed_removed_and_replaced() {
    let package = contents("1.0.0", 4000);
    let parts = [
        &package.manifest,
        &package.component,
        &package.attachments[0].bytes,
    ];
    let damages: [Damage; 4] = [
        |path| {
            let mut bytes = fs::read(path).unwrap();
            bytes[7] ^= 1;
            fs::write(path, bytes).unwrap();
        },
        |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
        },
        |path| fs::write(path, b"").unwrap(),
        |path| {
            fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(1 << 40)
                .unwrap();
        },
    ];
    for part in parts {
        for damage in damages {
            let folder = tempfile::tempdir().unwrap();
            let cache = open(folder.path());
            cache.store(&key("1.0.0"), &package).unwrap();
            cache.store(&key("2.0.0"), &contents("2.0.0", 10)).unwrap();
            let path = blob(folder.path(), part);
            damage(&path);
            let digest = Digest::of(part);
            let found = cache.find(&key("1.0.0"), None).unwrap();
            assert_eq!(found, Found::Damaged { digest });
            assert!(!path.exists());
            assert_eq!(cache.find(&key("1.0.0"), None).unwrap(), Found::Missing);
            assert_eq!(cache.list().unwrap().len(), 1);
            cache.store(&key("1.0.0"), &package).unwrap();
            assert_eq!(kept(&cache, &key("1.0.0")), package);
            kept(&cache, &key("2.0.0"));
        }
    }
}

/// A damaged blob that nobody has read yet isn't taken for the one that is stored.
#[test]
fn storing_mends_a_damaged_blob() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    let package = contents("1.0.0", 4000);
    cache.store(&key("1.0.0"), &package).unwrap();
    fs::write(blob(folder.path(), &package.component), [0; 4000]).unwrap();
    cache.store(&key("1.0.1"), &package).unwrap();
    assert_eq!(kept(&cache, &key("1.0.0")), package);
    assert_eq!(kept(&cache, &key("1.0.1")), package);
}

#[test]
fn rows_that_are_none_and_blobs_that_are_gone_are_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    let package = contents("1.0.0", 4000);
    cache.store(&key("1.0.0"), &package).unwrap();
    let row = files(&folder.path().join("rows")).remove(0);
    let text = fs::read_to_string(&row).unwrap();
    for broken in [
        "",
        &text[..text.len() / 2],
        &text.replace("\"format\":1", "\"format\":2"),
        // The row of another package under this one's name.
        &text.replace("acme:hardening", "evil:hardening"),
        &text.replace("sha256:", "sha256:../"),
    ] {
        fs::write(&row, broken).unwrap();
        assert_eq!(
            cache.find(&key("1.0.0"), None).unwrap(),
            Found::Missing,
            "{broken}"
        );
    }
    fs::write(&row, &text).unwrap();
    fs::remove_file(blob(folder.path(), &package.manifest)).unwrap();
    assert_eq!(cache.find(&key("1.0.0"), None).unwrap(), Found::Missing);
    assert!(!row.exists());
    // What nothing names is removed with the next removal.
    cache.prune(u64::MAX).unwrap();
    assert_eq!(cache.size().unwrap(), 0);
}

#[test]
fn the_least_recently_used_go_first() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    for version in ["1.0.0", "2.0.0", "3.0.0", "4.0.0"] {
        cache
            .store(&key(version), &contents(version, 10_000))
            .unwrap();
    }
    kept(&cache, &key("1.0.0"));
    kept(&cache, &key("3.0.0"));
    let order = |cache: &Cache| -> Vec<String> {
        let listed = cache.list().unwrap();
        listed.into_iter().map(|entry| entry.key.version).collect()
    };
    assert_eq!(order(&cache), ["3.0.0", "1.0.0", "4.0.0", "2.0.0"]);
    let pruned = cache.prune(25_000).unwrap();
    let gone: Vec<_> = pruned
        .entries
        .iter()
        .map(|one| one.key.version.as_str())
        .collect();
    assert_eq!(gone, ["2.0.0", "4.0.0"]);
    let bytes: u64 = pruned.entries.iter().map(|entry| entry.bytes).sum();
    assert_eq!(pruned.bytes, bytes);
    assert_eq!(order(&cache), ["3.0.0", "1.0.0"]);
    kept(&cache, &key("1.0.0"));
    let pruned = cache.prune(0).unwrap();
    assert_eq!(pruned.entries.len(), 2);
    assert_eq!(cache.size().unwrap(), 0);
    assert!(files(&folder.path().join("rows")).is_empty());
}

#[test]
fn storing_keeps_to_the_limit_and_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path(), Limit { bytes: 35_000 }).unwrap();
    for number in 0..10 {
        let version = format!("{number}.0.0");
        cache
            .store(&key(&version), &contents(&version, 10_000))
            .unwrap();
        assert!(cache.size().unwrap() <= 35_000);
        kept(&cache, &key("0.0.0"));
        kept(&cache, &key(&version));
    }
    assert_eq!(cache.list().unwrap().len(), 3);
    // One that alone is too large is of use nonetheless.
    cache
        .store(&key("large"), &contents("large", 50_000))
        .unwrap();
    kept(&cache, &key("large"));
    assert_eq!(cache.list().unwrap().len(), 1);
}

/// A blob that two packages share is counted once, and stays while one of them does.
#[test]
fn shared_blobs_outlive_one_of_their_packages() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    let package = contents("same", 10_000);
    cache.store(&key("1.0.0"), &package).unwrap();
    cache.store(&key("2.0.0"), &package).unwrap();
    let size = cache.size().unwrap();
    assert!(size < 11_000);
    assert!(cache.prune(size).unwrap().entries.is_empty());
    let mut other = package.clone();
    other.manifest.push(b'!');
    cache.store(&key("3.0.0"), &other).unwrap();
    let pruned = cache.prune(size + 1).unwrap();
    // Only with both of the others gone is a manifest too few.
    assert_eq!(pruned.entries.len(), 2);
    assert_eq!(kept(&cache, &key("3.0.0")), other);
}

#[test]
fn threads_that_store_read_and_remove_see_whole_packages_only() {
    let folder = tempfile::tempdir().unwrap();
    let packages: Arc<Vec<_>> = Arc::new(
        (0..6)
            .map(|number| {
                let version = format!("{number}.0.0");
                (key(&version), contents(&version, 20_000))
            })
            .collect(),
    );
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let packages = Arc::clone(&packages);
            let cache = Cache::open(folder.path(), Limit { bytes: 70_000 }).unwrap();
            std::thread::spawn(move || {
                let mut hits = 0;
                for round in 0..30 {
                    let (key, package) = &packages[(thread + round) % packages.len()];
                    match cache.find(key, None).unwrap() {
                        Found::Kept(found) => {
                            assert_eq!(*found, *package);
                            hits += 1;
                        }
                        Found::Missing => {
                            cache.store(key, package).unwrap();
                        }
                        Found::Damaged { digest } => panic!("{digest}"),
                    }
                    if round % 10 == 9 {
                        cache.prune(40_000).unwrap();
                    }
                }
                hits
            })
        })
        .collect();
    let hits: usize = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert!(hits > 0);
    assert!(files(&folder.path().join("drafts")).is_empty());
}

#[test]
fn nobody_else_may_look_into_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("cache");
    let cache = open(&folder);
    cache.store(&key("1.0.0"), &contents("1.0.0", 10)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&files(&folder.join("rows"))[0]), 0o600);
    assert_eq!(mode(&files(&folder.join("blobs/sha256"))[0]), 0o600);
}

#[test]
fn a_draft_of_another_process_is_not_written_into() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path(), Limit::default()).unwrap();
    // Of a process with our number, in another container.
    let number = std::process::id();
    let others: Vec<_> = (0..500)
        .map(|at| folder.path().join(format!("drafts/{number}-{at}")))
        .collect();
    for other in &others {
        fs::write(other, "of another").unwrap();
    }
    let package = contents("1.0.0", 1000);
    cache.store(&key("1.0.0"), &package).unwrap();
    assert_eq!(kept(&cache, &key("1.0.0")), package);
    for other in &others {
        assert_eq!(fs::read(other).unwrap(), b"of another");
    }
}
