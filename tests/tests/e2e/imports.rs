//! Root file systems that somebody else has made: from a folder, an archive or an OCI
//! image layout to an image that boots, by templates and by builds of one line.

use std::path::{Path, PathBuf};
use std::process::Command;

use darkroom_tests::house::{House, cache, sandbox_can_run};
use serde_json::{Value, json};

use crate::support::{HERE, Told, built, image_in, run};

/// What no instance needs, left out of what is imported.
const SPARED: [&str; 5] = [
    "--exclude=./usr/share/doc",
    "--exclude=./usr/share/locale",
    "--exclude=./usr/share/man",
    "--exclude=./var/lib/apt",
    "--exclude=./var/cache",
];

/// A house with a cache of its own, in which there is no base yet, and a whole system as
/// an archive.
fn stranger() -> Option<(House, PathBuf)> {
    if !sandbox_can_run() {
        return None;
    }
    let house = House::sandbox();
    house.make("cache");
    let archive = house.path("system.tar");
    tar(
        &archive,
        &SPARED,
        &cache().join("bases/debian-12/rootfs"),
        &["."],
    );
    Some((house, archive))
}

/// The base of the cache is shared: another test's cloud may give a file of it another
/// name meanwhile, which `tar` sees as a change and tells by exit code 1.
fn tar(archive: &Path, options: &[&str], folder: &Path, names: &[&str]) {
    let mut command = Command::new("tar");
    command.args(["--create", "--numeric-owner", "--xattrs"]);
    command.args(["--warning=no-file-changed", "--file"]);
    command.arg(archive).args(options).arg("--directory");
    let code = command.arg(folder).args(names).status().unwrap().code();
    assert!(matches!(code, Some(0 | 1)), "{code:?}");
}

/// Imports something, and gives what is said of the base.
#[track_caller]
fn import(house: &House, source: &Path, name: &str) -> Value {
    let words = ["local", "import", source.to_str().unwrap(), name, "--json"];
    run(house, &words).exits(0).json().pop().unwrap()
}

/// An OCI image layout, written by hand.
struct Layout {
    folder: PathBuf,
}

impl Layout {
    fn new(folder: PathBuf) -> Self {
        std::fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
        let version = json!({ "imageLayoutVersion": "1.0.0" }).to_string();
        std::fs::write(folder.join("oci-layout"), version).unwrap();
        Self { folder }
    }

    /// A blob and its descriptor.
    fn blob(&self, kind: &str, content: &[u8]) -> Value {
        let digest = darkroom_contract::sha256(content);
        std::fs::write(self.folder.join("blobs/sha256").join(&digest), content).unwrap();
        json!({ "mediaType": kind, "digest": format!("sha256:{digest}"), "size": content.len() })
    }

    /// The layout with one image of these archives, the lowest first.
    fn of(self, layers: &[&Path]) -> PathBuf {
        let layer = |path: &&Path| {
            let kind = "application/vnd.oci.image.layer.v1.tar";
            self.blob(kind, &std::fs::read(path).unwrap())
        };
        let architecture = if cfg!(target_arch = "aarch64") {
            "arm64"
        } else {
            "amd64"
        };
        let config = json!({ "architecture": architecture, "os": "linux" }).to_string();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.blob("application/vnd.oci.image.config.v1+json", config.as_bytes()),
            "layers": layers.iter().map(layer).collect::<Vec<_>>(),
        });
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let mut descriptor = self.blob(kind, manifest.to_string().as_bytes());
        descriptor["platform"] = json!({ "architecture": architecture, "os": "linux" });
        let index = json!({ "schemaVersion": 2, "manifests": [descriptor] }).to_string();
        std::fs::write(self.folder.join("index.json"), index).unwrap();
        self.folder
    }
}

/// A folder, its archive and a one-line build from it, whose template is printed and is
/// itself built.
#[test]
fn a_folder_and_an_archive_are_built_from_by_one_line() {
    let Some((house, archive)) = stranger() else {
        return;
    };
    let folder = house.make("system");
    let status = Command::new("tar")
        .args([
            "--extract",
            "--numeric-owner",
            "--xattrs",
            "--preserve-permissions",
        ])
        .args(["--file", archive.to_str().unwrap(), "--directory"])
        .arg(&folder)
        .status();
    assert!(status.unwrap().success());
    let first = import(&house, &folder, "folder-1");
    let second = import(&house, &archive, "archive-1");
    assert_eq!(first["base"]["digest"], second["base"]["digest"], "{first}");

    let script = "ps -p 1 -o comm= > /srv/init\nprintf \"it's %s\" \"$HOME\" > /srv/word";
    let words = [
        "build",
        "--from",
        "folder-1",
        "--run",
        script,
        "--name",
        "web-2",
        "--internet",
        "0",
    ];
    let printed = run(&house, &[&words[..], &["--print"]].concat())
        .exits(0)
        .out;
    let told = run(&house, &words).exits(0);
    told.says(&[printed.trim_end(), "SUCCESS"]);
    let manifest = house.manifest();
    let run_id = manifest["run"].as_str().unwrap();
    let image = image_in(&manifest, HERE);
    let shown = run(&house, &["image", "show", &image]).exits(0).out;
    assert!(shown.contains(&format!("web-2-{run_id}")), "{shown}");

    // What was printed is a template like any other, here of what came as an archive.
    let template = printed.replace("folder-1", "archive-1");
    assert_ne!(template, printed);
    let again = built(&house, &template);
    for image in [&image, &image_in(&again, HERE)] {
        let look = ["image", "try", image, "--", "cat", "/srv/init", "/srv/word"];
        let told = run(&house, &look).exits(0);
        assert_eq!(told.out, "systemd\nit's /root", "{}", told.err);
    }
}

#[test]
fn an_image_layout_boots_with_its_layers_on_each_other() {
    let Some((house, archive)) = stranger() else {
        return;
    };
    let above = house.make("above");
    house.write("above/etc/mark", "above");
    house.write("above/etc/.wh.debian_version", "");
    let top = house.path("above.tar");
    tar(
        &top,
        &["--owner=0", "--group=0"],
        &above,
        &["etc/mark", "etc/.wh.debian_version"],
    );
    let layout = Layout::new(house.path("layout")).of(&[&archive, &top]);
    import(&house, &layout, "layers-1");
    built(
        &house,
        "name: layered\nsource: { family: layers-1 }\nrepair: none\nbuild:\n  - run: |\n      [ \"$(cat /etc/mark)\" = above ] && [ ! -e /etc/debian_version ]\n      [ \"$(ps -p 1 -o comm=)\" = systemd ]\n",
    );
    // A blob that was changed afterwards is not taken.
    let blobs = std::fs::read_dir(layout.join("blobs/sha256")).unwrap();
    let blob = blobs.map(|one| one.unwrap().path()).find(|path| {
        std::fs::metadata(path).unwrap().len() == std::fs::metadata(&top).unwrap().len()
    });
    let mut bytes = std::fs::read(&top).unwrap();
    let at = bytes.windows(5).position(|five| five == b"above").unwrap();
    bytes[at] = b'A';
    std::fs::write(blob.unwrap(), bytes).unwrap();
    let words = ["local", "import", layout.to_str().unwrap(), "layers-2"];
    run(&house, &words).exits(2).says(&["sha256:"]);
}

/// One that a peer has written.
#[test]
fn an_image_of_buildah_boots() {
    if std::env::var_os("DARKROOM_LONG").is_none() {
        println!("long tier: an_image_of_buildah_boots");
        return;
    }
    if Command::new("buildah").arg("--version").output().is_err() {
        println!("not run: buildah is not installed");
        return;
    }
    let Some((house, archive)) = stranger() else {
        return;
    };
    let buildah = |words: &[&str]| {
        let mut command = Command::new("buildah");
        command.arg("--root").arg(house.path("store"));
        command.arg("--runroot").arg(house.path("run"));
        command.args(["--storage-driver", "vfs"]).args(words);
        let told = Told::of(command.output().unwrap()).exits(0);
        told.out.trim().to_owned()
    };
    let container = buildah(&["from", "scratch"]);
    buildah(&["add", "--quiet", &container, archive.to_str().unwrap(), "/"]);
    let image = buildah(&["commit", "--quiet", &container]);
    let layout = house.path("pushed");
    let place = format!("oci:{}", layout.display());
    buildah(&["push", "--quiet", &image, &place]);
    import(&house, &layout, "pushed-1");
    built(
        &house,
        "name: pushed\nsource: { family: pushed-1 }\nrepair: none\nbuild:\n  - run: '[ \"$(ps -p 1 -o comm=)\" = systemd ]'\n",
    );
}
