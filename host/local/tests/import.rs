//! Imports of root file systems that somebody else has made: a folder, archives, and OCI
//! image layouts that a test writes by hand.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test's helpers fail and speak as tests do"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use darkroom_local::Agent;
use darkroom_local::bootstrap::import::{ImportError, ImportOptions, import};
use darkroom_local::bootstrap::{Made, bases, tree};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

fn unprivileged() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("not run: needs root");
    }
    !root
}

fn take(
    cache: &Path,
    source: &Path,
    tag: Option<&str>,
    replace: bool,
) -> Result<Made, ImportError> {
    import(ImportOptions {
        source: source.to_owned(),
        name: "strange-1".into(),
        cache: cache.to_owned(),
        tag: tag.map(ToOwned::to_owned),
        replace,
        agent: Agent::None,
        progress: &mut |_| {},
    })
}

/// A system as small as can be, with a file that says which it is.
fn system(mark: &str) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let top = place.path();
    fs::create_dir_all(top.join("bin")).unwrap();
    fs::create_dir_all(top.join("etc")).unwrap();
    fs::write(top.join("bin/sh"), "").unwrap();
    fs::write(top.join("etc/os-release"), "ID=alpine\nVERSION_ID=3.20.1\n").unwrap();
    fs::write(top.join("etc/mark"), mark).unwrap();
    place
}

fn archive(folder: &Path) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.follow_symlinks(false);
    builder.append_dir_all(".", folder).unwrap();
    builder.into_inner().unwrap()
}

/// An OCI image layout that is being written.
struct Layout {
    place: TempDir,
    manifests: Vec<Value>,
}

impl Layout {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("blobs/sha256")).unwrap();
        let version = json!({ "imageLayoutVersion": "1.0.0" });
        fs::write(place.path().join("oci-layout"), version.to_string()).unwrap();
        Self {
            place,
            manifests: Vec::new(),
        }
    }

    fn blob(&self, kind: &str, content: &[u8]) -> Value {
        let hash = Sha256::digest(content);
        let mut name = String::new();
        for byte in hash {
            write!(name, "{byte:02x}").unwrap();
        }
        fs::write(self.place.path().join("blobs/sha256").join(&name), content).unwrap();
        json!({
            "mediaType": kind,
            "digest": format!("sha256:{name}"),
            "size": content.len(),
        })
    }

    fn image(&mut self, tag: &str, architecture: &str, layers: &[Vec<u8>]) {
        let layers: Vec<Value> = layers
            .iter()
            .map(|layer| {
                let packed = zstd::encode_all(layer.as_slice(), 1).unwrap();
                self.blob("application/vnd.oci.image.layer.v1.tar+zstd", &packed)
            })
            .collect();
        let config = self.blob("application/vnd.oci.image.config.v1+json", b"{}");
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": layers,
        });
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let mut descriptor = self.blob(kind, manifest.to_string().as_bytes());
        descriptor["platform"] = json!({ "architecture": architecture, "os": "linux" });
        descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        self.manifests.push(descriptor);
    }

    fn finish(&self) -> PathBuf {
        let index = json!({ "schemaVersion": 2, "manifests": self.manifests });
        fs::write(self.place.path().join("index.json"), index.to_string()).unwrap();
        self.place.path().to_owned()
    }
}

fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    }
}

#[test]
fn a_folder_and_its_archive_are_the_same_base() {
    if unprivileged() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let folder = system("one");
    let made = take(cache.path(), folder.path(), None, false).unwrap();
    assert_eq!(made.base.os_name, "Alpine 3.20.1");
    assert_eq!(made.base.agent, Agent::None);
    assert_eq!(
        bases(cache.path()).unwrap(),
        std::slice::from_ref(&made.base)
    );
    let file = cache.path().join("rootfs.tar");
    fs::write(&file, archive(folder.path())).unwrap();
    let error = take(cache.path(), &file, None, false).unwrap_err();
    assert!(error.hint().unwrap().contains("--replace"), "{error}");
    let again = take(cache.path(), &file, None, true).unwrap();
    assert!(again.reused, "the digest is the same");
    // What becomes of the source is nothing to the base.
    fs::write(folder.path().join("etc/mark"), "changed").unwrap();
    let mark = tree(cache.path(), "strange-1").join("etc/mark");
    assert_eq!(fs::read_to_string(mark).unwrap(), "one");
}

#[test]
fn the_layers_of_an_image_are_put_on_each_other() {
    if unprivileged() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let (below, above) = (system("below"), tempfile::tempdir().unwrap());
    fs::write(below.path().join("etc/old"), "").unwrap();
    fs::create_dir(above.path().join("etc")).unwrap();
    fs::write(above.path().join("etc/.wh.old"), "").unwrap();
    fs::write(above.path().join("etc/mark"), "above").unwrap();
    let layers = [archive(below.path()), archive(above.path())];
    let mut layout = Layout::new();
    layout.image("one", architecture(), &layers);
    layout.image("one", "s390x", &[]);
    layout.image("other", architecture(), &layers[..1]);
    let folder = layout.finish();
    let error = take(cache.path(), &folder, None, false).unwrap_err();
    assert!(error.hint().unwrap().contains("one, other"), "{error}");
    take(cache.path(), &folder, Some("one"), false).unwrap();
    let made = tree(cache.path(), "strange-1");
    assert_eq!(fs::read_to_string(made.join("etc/mark")).unwrap(), "above");
    assert!(!made.join("etc/old").exists());
    let file = cache.path().join("layout.tar");
    fs::write(&file, archive(&folder)).unwrap();
    assert!(take(cache.path(), &file, Some("one"), true).unwrap().reused);
}

#[test]
fn what_is_broken_leaves_no_base_and_takes_none_away() {
    if unprivileged() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    take(cache.path(), system("good").path(), None, false).unwrap();
    let mut layout = Layout::new();
    layout.image("one", architecture(), &[archive(system("bad").path())]);
    let folder = layout.finish();
    let blobs = fs::read_dir(folder.join("blobs/sha256")).unwrap();
    for blob in blobs {
        let path = blob.unwrap().path();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        if whole != b"{}" {
            let error = take(cache.path(), &folder, None, true).unwrap_err();
            assert!(error.to_string().contains("digest"), "{error}");
        }
        fs::write(&path, &whole).unwrap();
    }
    let text = cache.path().join("notes.txt");
    fs::write(&text, "no archive").unwrap();
    for source in [
        text,
        cache.path().join("absent"),
        tempfile::tempdir().unwrap().path().into(),
    ] {
        let error = take(cache.path(), &source, None, true).unwrap_err();
        assert!(error.hint().is_some(), "{error}");
    }
    let mark = tree(cache.path(), "strange-1").join("etc/mark");
    assert_eq!(fs::read_to_string(mark).unwrap(), "good");
    let left: Vec<_> = fs::read_dir(cache.path().join("bases"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".lock")
        .collect();
    assert_eq!(left, ["strange-1"]);
}
