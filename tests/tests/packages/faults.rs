//! What goes wrong around the verbs: bytes that are no component, processes that die or
//! work at once, disks that are full.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Instant;

use darkroom_registry::client::{Client, Settings};
use darkroom_registry::config::Registries;
use darkroom_registry::layout::Metadata;
use darkroom_registry::publish::With;
use darkroom_tests::house::House;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::registry::Registry;
use crate::{house, lock, publish_three, run};

/// Publishes bytes as they are, as a foreign tool may.
fn push(registry: &Registry, name: &str, bytes: Vec<u8>) {
    let client = Client::new(Registries::new(), Settings::default());
    let place = format!("{}/team/{}", registry.host, name.replace(':', "/"));
    let metadata = Metadata::new(name.parse().unwrap(), "1.0.0".parse().unwrap());
    let (place, with) = (place.parse().unwrap(), With::default());
    let pushed = client.publish(&place, bytes.into(), &metadata, &with);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(pushed).unwrap();
}

#[test]
fn what_is_no_component_is_refused_with_its_name_and_its_registry() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let house = house(&registry);
    let junk = b"#!/bin/sh\necho this is no component\n".to_vec();
    let cut = b"\0asm\x0d\0\x01\0\x01".to_vec();
    let module = b"\0asm\x01\0\0\0".to_vec();
    for (name, bytes) in [("junk", junk), ("cut", cut), ("module", module)] {
        push(&registry, &format!("acme:{name}"), bytes);
        let template =
            format!("name: x\nsource: {{ family: debian-12 }}\nbuild:\n  - uses: acme:{name}@1\n");
        house.write(&format!("{name}/image.yaml"), &template);
        // From the registry, and then from the cache.
        for _ in 0..2 {
            run(&house, &["build", name]).exits(2).says(&[
                &format!("acme:{name}@1"),
                &format!("acme:{name}@1.0.0 from {}/team/acme/{name}", registry.host),
                "image.yaml:4",
            ]);
        }
        assert!(!house.path(&format!("{name}/darkroom.lock")).exists());
    }
}

fn fetch(house: &House) -> Child {
    let mut command = house.command(&["fetch", "t"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// How many packages are in the cache.
fn cached(house: &House) -> usize {
    run(house, &["cache", "list", "--json"])
        .exits(0)
        .json()
        .len()
}

/// Forgets what is fetched and pinned.
fn forget(house: &House) {
    run(house, &["cache", "prune"]).exits(0);
    drop(std::fs::remove_file(house.path("t/darkroom.lock")));
}

#[test]
fn a_fetch_that_is_killed_is_begun_anew() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let house = house(&registry);
    publish_three(&house);
    let since = Instant::now();
    run(&house, &["fetch", "t"]).exits(0);
    let whole = since.elapsed();
    let right = lock(&house);

    // At each of its own points, and in between at moments that nobody has chosen.
    for point in ["registry.cache.draft", "registry.cache.row"] {
        forget(&house);
        let hit = house.path("hit");
        drop(std::fs::remove_file(&hit));
        let mut armed = house.start_armed(&["fetch", "t"], point, &hit);
        let pid = darkroom_tests::house::reached(point, &hit);
        darkroom_tests::house::kill(pid);
        drop(armed.wait());
        goes_on(&house, &right);
    }
    let moments: u32 = if std::env::var_os("DARKROOM_LONG").is_some() {
        24
    } else {
        println!("long tier: a fetch killed at 24 moments");
        4
    };
    for moment in 0..moments {
        forget(&house);
        let mut child = fetch(&house);
        std::thread::sleep(whole * (2 * moment + 1) / (2 * moments));
        child.kill().unwrap();
        child.wait().unwrap();
        goes_on(&house, &right);
    }
}

/// After a death: the right result, a cache that is whole, and nothing that was left.
fn goes_on(house: &House, right: &str) {
    run(house, &["fetch", "t"]).exits(0);
    assert_eq!(lock(house), right);
    run(house, &["validate", "t", "--locked", "--offline"]).exits(0);
    assert_eq!(cached(house), 3);
    let drafts = house.path("cache/packages/drafts");
    assert_eq!(std::fs::read_dir(drafts).map_or(0, Iterator::count), 0);
    let beside: Vec<_> = std::fs::read_dir(house.path("t"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".tmp"))
        .collect();
    // A lock's draft is the only thing that a death may leave, and it means nothing.
    for name in beside {
        std::fs::remove_file(house.path("t").join(name)).unwrap();
    }
}

#[test]
fn several_fetches_at_once_come_to_the_same() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let house = house(&registry);
    publish_three(&house);
    let children: Vec<_> = (0..4).map(|_| fetch(&house)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    run(&house, &["validate", "t", "--locked", "--offline"]).exits(0);
    assert_eq!(lock(&house).matches("registry =").count(), 3);
    assert_eq!(cached(&house), 3);
}

/// A file system of 64 KiB, gone at the end.
struct Tiny<'p>(&'p Path);

impl<'p> Tiny<'p> {
    /// `None` for whoever may not mount.
    fn mount(place: &'p Path) -> Option<Self> {
        let options = c"size=64k,mode=0700";
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
    let Some(registry) = Registry::start() else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    let Some(_tiny) = Tiny::mount(place.path()) else {
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "not run: only root can mount a small disk"
        );
        println!("not run: only root can mount a small disk");
        return;
    };
    let house = house(&registry);
    publish_three(&house);
    run(&house, &["fetch", "t"]).exits(0);
    let at = |name: &str| place.path().join(name).display().to_string();
    let full = "No space left on device";
    for (file, verb) in [
        (
            at("files.wasm"),
            ["component", "pull", "acme:files@1"].as_slice(),
        ),
        (at("web.tar"), &["bundle", "t"]),
    ] {
        // What was there before stays.
        std::fs::write(&file, "old").unwrap();
        run(&house, &[verb, &["-o", &file]].concat())
            .exits(3)
            .says(&[full, "can't be written"]);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
        std::fs::remove_file(&file).unwrap();
    }

    // The lock, beside a template that fills its disk to the last byte.
    for name in ["image.yaml", "motd", "site/index.html"] {
        std::fs::create_dir_all(place.path().join("site")).unwrap();
        std::fs::copy(house.path("t").join(name), at(name)).unwrap();
    }
    let mut byte = 0_usize;
    while std::fs::write(at(&format!("filler-{byte}")), [b'x'; 4096]).is_ok() {
        byte += 1;
    }
    let fetched = run(&house, &["fetch", &at("")]);
    fetched
        .exits(3)
        .says(&[full, "darkroom.lock can't be written"]);
    let mut left = std::fs::read_dir(place.path()).unwrap();
    assert!(!left.any(|one| {
        let name = one.unwrap().file_name().into_string().unwrap();
        name.starts_with(".tmp") || name == "darkroom.lock"
    }));
    // Where there is room again, it goes on.
    std::fs::remove_file(at("filler-0")).unwrap();
    run(&house, &["fetch", &at("")]).exits(0);
}
