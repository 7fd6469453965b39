//! Processes that die in the middle, and processes that do the same at once.
//!
//! The test binary starts itself again as `deaths::the_child`, which does what a variable
//! tells it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use darkroom_registry::cache::{Cache, Found, Limit};

use crate::cache::{files, kept};
use crate::{contents, key};

const TASK: &str = "DARKROOM_TEST_CACHE_TASK";
const FOLDER: &str = "DARKROOM_TEST_CACHE_FOLDER";
const SIZE: usize = 300_000;

fn child(folder: &Path, task: &str, failpoint: Option<(&str, &Path)>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "deaths::the_child", "--nocapture"])
        .env(TASK, task)
        .env(FOLDER, folder)
        .stdout(Stdio::null());
    if let Some((name, file)) = failpoint {
        command.env(
            darkroom_failpoint::VARIABLE,
            format!("{name}={}", file.display()),
        );
    }
    command.spawn().unwrap()
}

/// Not a test by itself.
#[test]
fn the_child() {
    let (Ok(task), Ok(folder)) = (std::env::var(TASK), std::env::var(FOLDER)) else {
        return;
    };
    let cache = Cache::open(Path::new(&folder), Limit::default()).unwrap();
    match task.as_str() {
        "store" => {
            cache
                .store(&key("1.0.0"), &contents("1.0.0", SIZE))
                .unwrap();
        }
        "store-old-again" => {
            cache
                .store(&key("0.9.0"), &contents("other", SIZE))
                .unwrap();
        }
        "prune" => {
            cache.prune(0).unwrap();
        }
        "pull" => {
            for number in 0..12 {
                let version = format!("{number}.0.0");
                let (key, package) = (key(&version), contents(&version, SIZE));
                if cache.find(&key, None).unwrap() == Found::Missing {
                    cache.store(&key, &package).unwrap();
                }
                assert_eq!(kept(&cache, &key), package);
            }
        }
        other => panic!("{other}"),
    }
}

/// Waits until the process is held at its point, and kills it there.
fn kill_at(mut child: Child, file: &Path) {
    let begun = Instant::now();
    while !file.exists() {
        assert!(begun.elapsed() < Duration::from_secs(30), "never came by");
        assert_eq!(child.try_wait().unwrap(), None, "went past");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// At each point, the process that dies there and the ones that come after.
#[test]
fn a_process_killed_anywhere_leaves_the_cache_whole() {
    let old = contents("0.9.0", SIZE);
    let new = contents("1.0.0", SIZE);
    // The blobs are three drafts, the row is the fourth.
    let points = [
        ("store", "registry.cache.draft@1"),
        ("store", "registry.cache.draft@2"),
        ("store", "registry.cache.draft@3"),
        ("store", "registry.cache.row"),
        ("store", "registry.cache.draft@4"),
        ("store-old-again", "registry.cache.draft@4"),
        ("prune", "registry.cache.prune"),
    ];
    for (task, point) in points {
        let folder = tempfile::tempdir().unwrap();
        let hit = folder.path().join("hit");
        let place = folder.path().join("cache");
        let cache = Cache::open(&place, Limit::default()).unwrap();
        cache.store(&key("0.9.0"), &old).unwrap();
        kill_at(child(&place, task, Some((point, &hit))), &hit);

        let drafts = place.join("drafts");
        let half = usize::from(point.contains("draft"));
        assert_eq!(files(&drafts).len(), half, "{task} {point}");
        let cache = Cache::open(&place, Limit::default()).unwrap();
        assert!(files(&drafts).is_empty(), "{task} {point}");
        assert_eq!(cache.find(&key("1.0.0"), None).unwrap(), Found::Missing);
        if task == "prune" {
            assert_eq!(cache.find(&key("0.9.0"), None).unwrap(), Found::Missing);
        } else {
            assert_eq!(kept(&cache, &key("0.9.0")), old, "{task} {point}");
        }
        cache.store(&key("1.0.0"), &new).unwrap();
        assert_eq!(kept(&cache, &key("1.0.0")), new, "{task} {point}");
        // Nothing that the dead one wrote stays for ever.
        let size: u64 = cache.list().unwrap().iter().map(|entry| entry.bytes).sum();
        cache.prune(u64::MAX).unwrap();
        assert_eq!(cache.size().unwrap(), size, "{task} {point}");
    }
}

/// A process that only reads or stores isn't mistaken for a dead one.
#[test]
fn the_draft_of_a_living_process_stays() {
    let folder = tempfile::tempdir().unwrap();
    let hit = folder.path().join("hit");
    let place = folder.path().join("cache");
    let mut writer = child(&place, "store", Some(("registry.cache.draft@2", &hit)));
    let begun = Instant::now();
    while !hit.exists() {
        assert!(begun.elapsed() < Duration::from_secs(30), "never came by");
        std::thread::sleep(Duration::from_millis(5));
    }
    let cache = Cache::open(&place, Limit { bytes: 100 }).unwrap();
    // Over the limit, and nothing can be removed now: it doesn't wait for the writer.
    cache
        .store(&key("0.9.0"), &contents("0.9.0", SIZE))
        .unwrap();
    kept(&cache, &key("0.9.0"));
    assert_eq!(files(&place.join("drafts")).len(), 1);
    // It comes by that point again for each file that is left.
    let status = loop {
        drop(std::fs::remove_file(&hit));
        match writer.try_wait().unwrap() {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "never ended");
    };
    assert!(status.success());
    assert_eq!(kept(&cache, &key("1.0.0")), contents("1.0.0", SIZE));
}

#[test]
fn processes_that_pull_the_same_all_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..3).map(|_| child(folder.path(), "pull", None)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let cache = Cache::open(folder.path(), Limit::default()).unwrap();
    assert_eq!(cache.list().unwrap().len(), 12);
    assert!(files(&folder.path().join("drafts")).is_empty());
    assert_eq!(files(&folder.path().join("blobs/sha256")).len(), 36);
}
