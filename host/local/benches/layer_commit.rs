//! How long a change of 300 MB takes to become a layer, digest and sync included, beside
//! `buildah commit` of the same files in the same run.
//!
//! `cargo bench -p darkroom-local --bench layer_commit`, as root, with the Debian package
//! buildah; without it that row says 'not run'. Each figure is the least of five.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark speaks to a person, and ends where something fails"
)]

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use darkroom_ecs::id::RegionId;
use darkroom_local::driver::{InstanceSpec, LayerId};
use darkroom_local::sandbox::folder::{Disk, Folder, make_private, write_json};
use darkroom_local::sandbox::layers::commit::{commit, make_upper};
use darkroom_local::sandbox::layers::{Facts, Store};

const FILES: u64 = 3000;
const FILE_SIZE: usize = 100_000;
const RUNS: usize = 5;

fn main() {
    if !rustix::process::geteuid().is_root() {
        println!("layer commit: not run: needs root");
        return;
    }
    let place = tempfile::Builder::new()
        .prefix("darkroom-bench-")
        .tempdir_in("/var/tmp")
        .unwrap();
    let change = place.path().join("change");
    write_change(&change);
    let floor = least(|| {
        read_all(&change);
    });
    let mut number = 0;
    let mut ours = Duration::MAX;
    let mut theirs = Some(Duration::MAX);
    for _ in 0..RUNS {
        number += 1;
        ours = ours.min(our_commit(place.path(), &change, number));
        theirs = theirs
            .zip(their_commit(place.path(), &change, number))
            .map(|(least, one)| least.min(one));
    }
    println!("a change of 300 MB in {FILES} files, least of {RUNS}");
    println!("  reading it once         {:>8.3} s", floor.as_secs_f64());
    println!("  layer commit            {:>8.3} s", ours.as_secs_f64());
    match theirs {
        Some(theirs) => {
            println!("  buildah commit          {:>8.3} s", theirs.as_secs_f64());
            println!(
                "  layer commit / buildah  {:>8.3}",
                ours.as_secs_f64() / theirs.as_secs_f64()
            );
        }
        None => println!("  buildah commit          not run: the package buildah is missing"),
    }
}

/// Files without a pattern that a compression or a hole could use.
fn write_change(folder: &Path) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for number in 0..FILES {
        let inner = folder.join(format!("d{}", number % 50));
        fs::create_dir_all(&inner).unwrap();
        let mut content = Vec::with_capacity(FILE_SIZE + 8);
        while content.len() < FILE_SIZE {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            content.extend_from_slice(&state.to_le_bytes());
        }
        fs::write(inner.join(format!("f{number}")), &content).unwrap();
    }
}

fn least(mut work: impl FnMut()) -> Duration {
    let time = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..RUNS).map(time).min().unwrap()
}

fn read_all(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path);
        } else {
            io::copy(&mut fs::File::open(path).unwrap(), &mut io::sink()).unwrap();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.unwrap().success());
    // What was written before is not the commit's to write.
    assert!(Command::new("sync").status().unwrap().success());
}

/// A stopped instance that has written the change.
fn our_commit(place: &Path, change: &Path, number: usize) -> Duration {
    let place = place.join(format!("ours-{number}"));
    fs::create_dir(&place).unwrap();
    let region: RegionId = "cn-hangzhou".parse().unwrap();
    let store = Store::new(&place);
    let base = place.join("base");
    fs::create_dir(&base).unwrap();
    let layer: LayerId = "base".parse().unwrap();
    let facts = Facts { size_bytes: 0 };
    store.import(&base, facts, &region, &layer).unwrap();
    let folder = Folder::new(place.join("i-bench"));
    make_private(folder.path()).unwrap();
    let spec = InstanceSpec {
        id: "i-bench".parse().unwrap(),
        region: region.clone(),
        account: "1234567890123456".parse().unwrap(),
        name: "bench".into(),
        host_name: "bench".into(),
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
    make_upper(&store, &folder, &region).unwrap();
    copy(change, &folder.upper());
    let start = Instant::now();
    let made = commit(&store, &folder, "c-1").unwrap();
    let time = start.elapsed();
    assert_eq!(made.layers.len(), 2);
    fs::remove_dir_all(&place).unwrap();
    time
}

/// A working container from nothing that holds the change.
fn their_commit(place: &Path, change: &Path, number: usize) -> Option<Duration> {
    let place = place.join(format!("theirs-{number}"));
    fs::create_dir(&place).unwrap();
    let buildah = |arguments: &[&str]| {
        Command::new("buildah")
            .arg("--root")
            .arg(place.join("root"))
            .arg("--runroot")
            .arg(place.join("run"))
            .args(["--storage-driver", "overlay"])
            .args(arguments)
            .env("BUILDAH_ISOLATION", "chroot")
            .output()
    };
    let text = |output: &std::process::Output| {
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let container = text(&buildah(&["from", "scratch"]).ok()?);
    let mounted = text(&buildah(&["mount", &container]).unwrap());
    copy(change, Path::new(&mounted));
    let start = Instant::now();
    text(&buildah(&["commit", "--quiet", &container, "bench"]).unwrap());
    let time = start.elapsed();
    text(&buildah(&["rm", &container]).unwrap());
    text(&buildah(&["rmi", "--all"]).unwrap());
    // Mounts of its storage may still be there.
    let _ = Command::new("umount")
        .arg(place.join("root/overlay"))
        .output();
    fs::remove_dir_all(&place).unwrap();
    Some(time)
}
