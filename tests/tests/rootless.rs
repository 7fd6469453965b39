//! Everything that works as root works as an ordinary user, with a fresh one whom root
//! gives subordinate ids and a control group: a build with a reboot and a test, a copy
//! and a share, killed and resumed, and nothing of it left behind.
//!
//! Who lacks something is told all of it at once, each with its command.
#![expect(
    clippy::unwrap_used,
    reason = "what surprises a test ends it, also in its own functions"
)]

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use darkroom_tests::house::{House, kill, sandbox_can_run, wait_for};
use darkroom_tests::tenant::Tenant;
use serde_json::Value;

/// The second account, which has its own key.
const SECOND: &str = "2000000000000002";

/// What owners, marks of overlay and processes of other users are needed for, without a
/// network. The image is tested on another instance.
const TEMPLATE: &str = "\
name: mine
source: { family: debian-12 }
repair: none
build:
  - run: |
      set -eu
      useradd --create-home ann
      install -d -o ann -g ann -m 750 /srv/ann
      printf mine > /srv/ann/file && chown ann:daemon /srv/ann/file
      rm -r /etc/cron.daily && mkdir /etc/cron.daily && touch /etc/cron.daily/mine
      su ann -c 'touch ~/own'
  - reboot: {}
  - run: stat -c '%U %G %a' /srv/ann /srv/ann/file > /srv/owners
test:
  - uses: darkroom:shell
    with:
      test: |
        set -eu
        test \"$(cat /srv/owners)\" = \"$(printf 'ann ann 750\\nann daemon 644')\"
        test \"$(stat -c %U ~ann/own)\" = ann
        test \"$(ls /etc/cron.daily)\" = mine
        test \"$(systemctl is-system-running)\" = running
image: { family: mine }
distribute: { regions: [cn-hangzhou, cn-beijing], accounts: ['2000000000000002'] }
";

fn can_run() -> bool {
    sandbox_can_run() && Tenant::can_be()
}

/// That nothing of the tenant's cloud is left but its folders.
fn nothing_is_left(house: &House) {
    let tenant = house.tenant();
    wait_for("the end of the processes", || {
        tenant.processes().is_empty().then_some(())
    });
    assert_eq!(tenant.groups(), Vec::<std::path::PathBuf>::new());
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let own = house.path("");
    assert!(!mounts.contains(own.to_str().unwrap()), "{mounts}");
    shifted_files(house, &house.local());
}

/// That no file in a folder belongs to a subordinate id.
fn shifted_files(house: &House, folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let metadata = entry.metadata().unwrap();
        let (path, owner) = (entry.path(), metadata.uid());
        assert!(!house.tenant().is_subordinate(owner), "{}", path.display());
        if metadata.is_dir() {
            shifted_files(house, &path);
        }
    }
}

#[test]
fn an_ordinary_user_builds_kills_resumes_copies_and_shares() {
    if !can_run() {
        return;
    }
    let house = House::of(Tenant::new());
    house.bring_base();
    let template = house.write("image.yaml", TEMPLATE);
    let hit = house.path("hit");
    let arguments = ["build", template.to_str().unwrap()];
    let mut build = house.start_armed(&arguments, "engine.copy", &hit);
    let pid = wait_for("engine.copy", || {
        let ended = build.try_wait().unwrap();
        let said = || std::fs::read_to_string(house.path("armed.log")).unwrap_or_default();
        assert!(ended.is_none(), "the build ended: {}", said());
        std::fs::read_to_string(&hit).ok()?.trim().parse().ok()
    });
    kill(pid);
    build.wait().unwrap();
    house.succeed(&["resume", "last"]);

    let manifest = house.manifest();
    assert_eq!(manifest["status"], "SUCCESS", "{manifest:#}");
    let regions = manifest["regions"].as_array().unwrap();
    assert_eq!(regions.len(), 2, "{manifest:#}");
    for place in regions {
        let text = |name: &str| place[name].as_str().unwrap().to_owned();
        let (image, region) = (text("image"), text("region"));
        let mut shown = vec!["image", "show", &image, "--region", &region];
        shown.extend(["--account", "second"]);
        assert!(house.succeed(&shown).contains(&image));
    }
    assert!(manifest.to_string().contains(SECOND), "{manifest:#}");
    house.succeed(&["local", "reset", "--force", "--yes"]);
    // Layers that nobody needs any more go a moment later.
    wait_for("the end of the layers", || {
        let regions = std::fs::read_dir(house.local().join("regions")).unwrap();
        let layers = regions.map(|region| region.unwrap().path().join("layers"));
        let mut left = layers.flat_map(|folder| std::fs::read_dir(folder).unwrap());
        left.next().is_none().then_some(())
    });
    house.succeed(&["local", "stop"]);
    nothing_is_left(&house);
}

/// The base that he makes himself from the distribution's packages.
#[test]
fn an_ordinary_user_makes_a_base_and_builds_on_it() {
    if std::env::var_os("DARKROOM_LONG").is_none() {
        println!("long tier: an_ordinary_user_makes_a_base_and_builds_on_it");
        return;
    }
    if !can_run() {
        return;
    }
    let house = House::of(Tenant::new());
    house.succeed(&["local", "bootstrap", "debian-12"]);
    let template = house.write("image.yaml", TEMPLATE);
    house.succeed(&["build", template.to_str().unwrap()]);
    assert_eq!(house.manifest()["status"], "SUCCESS");
}

/// Root's folder and a user's can't be taken for each other, nor can a user's before and
/// after his subordinate ids were changed.
#[test]
fn a_cloud_is_refused_when_the_owners_of_its_files_would_be_wrong() {
    if !can_run() {
        return;
    }
    let mut house = House::of(Tenant::new());
    house.succeed(&["local", "reset", "--yes"]);
    house.succeed(&["local", "stop"]);
    let mut serve = house.as_root();
    serve
        .args(["local", "serve", "--idle", "1"])
        .env("DARKROOM_LOCAL", house.local());
    let told = serve.output().unwrap();
    let said = String::from_utf8(told.stderr).unwrap();
    assert_eq!(told.status.code(), Some(3), "{said}");
    assert!(said.contains("belongs to another user"), "{said}");

    house.tenant_mut().move_ids();
    let told = house.run(&["local", "serve", "--idle", "1"]);
    let said = String::from_utf8(told.stderr).unwrap();
    assert_eq!(told.status.code(), Some(3), "{said}");
    assert!(said.contains("were made by the ordinary user"), "{said}");
    assert!(
        said.contains("in /etc/subuid and /etc/subgid again"),
        "{said}"
    );
}

#[test]
fn who_lacks_everything_is_told_all_of_it_with_commands() {
    if !can_run() {
        return;
    }
    let house = House::of(Tenant::with_nothing());
    let name = house.tenant().name().to_owned();
    // The doctor says it too, beside all that it finds.
    for (arguments, code) in [
        (&["local", "serve"][..], 3),
        (&["local", "bootstrap"], 3),
        (&["doctor"], 1),
    ] {
        let told = house.run(arguments);
        let said = [told.stdout, told.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert_eq!(told.status.code(), Some(code), "{said}");
        for wanted in [
            &format!("{name} has too few subordinate user ids in /etc/subuid"),
            &format!("{name} has too few subordinate group ids in /etc/subgid"),
            "sudo usermod --add-subuids ",
            "sudo usermod --add-subgids ",
            &format!("{name} has no control group in which others can be made"),
            &format!("sudo loginctl enable-linger {name}"),
        ] {
            assert!(said.contains(wanted), "missing: {wanted}\nin: {said}");
        }
    }
}

#[test]
fn the_doctor_finds_nothing_in_the_way_of_who_can_build() {
    if !can_run() {
        return;
    }
    let ordinary = House::of(Tenant::new());
    ordinary.bring_base();
    for house in [House::sandbox(), ordinary] {
        let template = house.write("image.yaml", TEMPLATE);
        let told = house.succeed(&["doctor", template.to_str().unwrap()]);
        assert!(told.contains("Nothing is in the way."), "{told}");
        for able in [
            "user and group ids: ",
            "namespaces: user, mount",
            "overlay file systems: the kernel has them",
            "control groups: cgroup2 at ",
            "programs: ip and nft",
            "bases to begin from: debian-12",
        ] {
            assert!(told.contains(able), "missing: {able}\nin: {told}");
        }
        house.succeed(&["local", "stop"]);
    }
}

/// The digest of a layer is over the owners that an instance sees.
#[test]
fn the_same_files_have_the_same_digest_for_root_and_for_an_ordinary_user() {
    if !can_run() {
        return;
    }
    let house = House::of(Tenant::new());
    let tree = house.make("tree");
    for folder in ["etc", "bin", "srv"] {
        std::fs::create_dir_all(tree.join(folder)).unwrap();
    }
    std::fs::write(tree.join("etc/os-release"), "ID=mine\nPRETTY_NAME=Mine\n").unwrap();
    std::fs::write(tree.join("bin/sh"), "#!\n").unwrap();
    std::fs::write(tree.join("srv/file"), "file").unwrap();
    std::os::unix::fs::chown(tree.join("srv/file"), Some(33), Some(65_534)).unwrap();
    std::os::unix::fs::chown(tree.join("srv"), Some(0), Some(4)).unwrap();
    let archive = house.path("tree.tar");
    let packed = std::process::Command::new("tar")
        .args(["--create", "--numeric-owner", "--file"])
        .args([&archive, Path::new("--directory"), &tree, Path::new(".")])
        .status();
    assert!(packed.unwrap().success());
    let mut digests = Vec::new();
    for command in [house.as_root(), house.command(&[])] {
        let mut command = command;
        let told = command
            .args([
                "local",
                "import",
                archive.to_str().unwrap(),
                "mine",
                "--json",
            ])
            .args(["--replace"])
            .output()
            .unwrap();
        let said = String::from_utf8(told.stderr).unwrap();
        assert!(told.status.success(), "{said}");
        let out = String::from_utf8(told.stdout).unwrap();
        let told: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        digests.push(told["base"]["digest"].as_str().unwrap().to_owned());
    }
    assert_eq!(digests[0], digests[1]);
}
