//! The examples, run as their readers run them: the real binary, real packages, a real
//! system that comes up by its own init. Then what a reader changes first: the greeting.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what surprises a test ends it; one that did not run says so"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use darkroom_tests::house::{House, binary, sandbox_can_run};
use serde_json::Value;

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Where guests are compiled; shared, so that what has been compiled is reused.
fn guests() -> String {
    binary()
        .with_file_name("../guests")
        .to_str()
        .unwrap()
        .to_owned()
}

/// Copies a folder of sources without what was made of them.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_name() == "target" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Holds all that a build asked of the cloud against what `darkroom policy` allows.
fn allowed_by_policy(house: &House, template: &Path) {
    let printed = house.succeed(&["policy", template.to_str().unwrap(), "--json"]);
    let printed: Value = serde_json::from_str(&printed).unwrap();
    let statements = printed["policy"]["Statement"].as_array().unwrap();
    let allowed: BTreeSet<&str> = statements
        .iter()
        .flat_map(|one| one["Action"].as_array().unwrap())
        .map(|action| action.as_str().unwrap().split_once(':').unwrap().1)
        .collect();
    let recorded = house.admin("/-/requests");
    let requests = recorded["requests"].as_array().unwrap();
    let asked: BTreeSet<_> = requests
        .iter()
        .map(|one| one["action"].as_str().unwrap())
        .collect();
    assert!(asked.contains("RunInstances"), "{asked:?}");
    let beyond: Vec<_> = asked.difference(&allowed).collect();
    assert!(beyond.is_empty(), "the policy lacks {beyond:?}");
}

/// Replaces text in a file, which must be there.
fn edit(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{} has no {from:?}", path.display());
    std::fs::write(path, text.replace(from, to)).unwrap();
}

fn digest(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Whether the packages that the base's sources name can be had.
fn mirror_answers() -> bool {
    let output = Command::new("apt-get")
        .args(["--print-uris", "update"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let Some(address) = text.lines().find_map(|line| line.split('\'').nth(1)) else {
        return false;
    };
    let answered = Command::new("curl")
        .args(["-sSf", "-o", "/dev/null", "-m", "20", address])
        .status()
        .unwrap()
        .success();
    if !answered {
        println!("not run: {address} does not answer");
    }
    answered
}

/// Copies all sources of guests into a house, where they find each other.
fn guest_sources(house: &House) -> PathBuf {
    let tree = house.path("tree");
    for part in ["components", "examples", "sdk", "wit"] {
        copy(&workspace().join(part), &tree.join(part));
    }
    tree
}

#[test]
fn a_web_server_whose_greeting_was_edited() {
    if !sandbox_can_run() || !mirror_answers() {
        return;
    }
    let house = House::sandbox();
    let folder = guest_sources(&house).join("examples/01-web-server");
    let host = digest(&binary());
    edit(
        &folder.join("greeting/src/lib.rs"),
        "from Darkroom",
        "from my own darkroom",
    );
    edit(
        &folder.join("image.yaml"),
        "from Darkroom",
        "from my own darkroom",
    );
    house.succeed(&[
        "component",
        "build",
        folder.join("greeting").to_str().unwrap(),
        "--target-dir",
        &guests(),
    ]);
    let template = folder.join("image.yaml");
    house.succeed(&[
        "build",
        template.to_str().unwrap(),
        "-p",
        "greeting=good day",
    ]);
    assert_eq!(digest(&binary()), host);
    allowed_by_policy(&house, &template);
    let manifest = house.manifest();
    assert_eq!(manifest["status"], "SUCCESS");
    let cases: Vec<&Value> = manifest["roles"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|role| role["cases"].as_array().unwrap())
        .collect();
    let failed = |case: &&&Value| case["status"] != "passed";
    assert!(cases.len() >= 4, "{cases:?}");
    assert_eq!(cases.iter().filter(failed).count(), 0, "{cases:?}");
    let regions: Vec<_> = manifest["regions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["region"], one["shared_with"].as_array().unwrap().len()))
        .collect();
    assert_eq!(regions.len(), 2, "{regions:?}");
    assert!(
        regions.iter().all(|(_, shared)| *shared == 1),
        "{regions:?}"
    );
}

/// The test cases of a build, none of which may have failed. (What the kernel says can't be
/// read in a namespace, so that a case of it is skipped.)
fn passed(manifest: &Value) -> Vec<String> {
    assert_eq!(manifest["status"], "SUCCESS", "{manifest:#}");
    manifest["roles"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|role| role["cases"].as_array().unwrap())
        .map(|case| {
            assert_ne!(case["status"], "failed", "{case}");
            case["name"].as_str().unwrap().to_owned()
        })
        .collect()
}

/// An example's folder in a house, without what was made of it.
fn example(house: &House, name: &str) -> PathBuf {
    let folder = house.path("tree/examples").join(name);
    copy(&workspace().join("examples").join(name), &folder);
    folder
}

#[test]
fn a_hardened_base() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let template = example(&house, "02-hardened-base").join("image.yaml");
    house.succeed(&["build", template.to_str().unwrap()]);
    let cases = passed(&house.manifest());
    assert!(cases.len() >= 6, "{cases:?}");
    allowed_by_policy(&house, &template);
}

#[test]
fn an_application_with_files_and_a_secret() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let template = example(&house, "03-app-with-files-and-secrets").join("image.yaml");
    let secret = "correct horse & $(battery) staple";
    let output = house
        .command(&["build", template.to_str().unwrap()])
        .env("DATABASE_PASSWORD", secret)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("battery"), "{said}");
    passed(&house.manifest());
    allowed_by_policy(&house, &template);
}

#[test]
fn one_image_for_two_regions_and_another_account() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let template = example(&house, "04-two-regions-and-accounts").join("image.yaml");
    house.succeed(&["build", template.to_str().unwrap(), "-p", "team=research"]);
    let manifest = house.manifest();
    passed(&manifest);
    let regions = manifest["regions"].as_array().unwrap();
    let places: Vec<_> = regions.iter().map(|one| &one["region"]).collect();
    assert_eq!(places, ["cn-hangzhou", "cn-beijing"]);
    for one in regions {
        assert_eq!(one["shared_with"].as_array().unwrap().len(), 1, "{one}");
    }
    allowed_by_policy(&house, &template);
}

#[test]
fn a_component_of_ones_own_brings_its_test() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let folder = guest_sources(&house).join("examples/05-own-component");
    house.succeed(&[
        "component",
        "build",
        folder.join("motd").to_str().unwrap(),
        "--target-dir",
        &guests(),
    ]);
    let template = folder.join("image.yaml");
    house.succeed(&["build", template.to_str().unwrap()]);
    let cases = passed(&house.manifest());
    assert!(cases.len() >= 4, "{cases:?}");
    allowed_by_policy(&house, &template);
}

#[test]
fn each_cell_of_a_matrix_is_an_image() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let template = example(&house, "06-matrix").join("image.yaml");
    let said = house.succeed(&["build", template.to_str().unwrap(), "--json"]);
    let results = said.lines().find_map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["results"].as_array().cloned()
    });
    let results = results.unwrap();
    let names: Vec<_> = results.iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["web-debian-12", "worker-debian-12"]);
    for one in &results {
        let text = std::fs::read(one["manifest"].as_str().unwrap()).unwrap();
        let manifest: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(passed(&manifest), ["It knows its role"]);
    }
    allowed_by_policy(&house, &template);
}

#[test]
fn an_edited_system_component_is_used_without_touching_the_host() {
    let house = House::new(darkroom_tests::house::Driver::Sim);
    let host = digest(&binary());
    let tree = guest_sources(&house);
    edit(
        &tree.join("components/files/src/lib.rs"),
        "place(\"put in place\"",
        "place(\"lay down\"",
    );
    copy(
        &binary().with_file_name("../components"),
        &house.path("components"),
    );
    house.succeed(&[
        "component",
        "build",
        tree.join("components/files").to_str().unwrap(),
        "-o",
        house.path("components/files.wasm").to_str().unwrap(),
        "--target-dir",
        &guests(),
    ]);
    house.write(
        "image.yaml",
        "name: web\nsource: { family: debian-12 }\nbuild:\n  - uses: darkroom:files\n    with: { path: /etc/motd, text: hi }\n",
    );
    let plan = house.succeed(&["plan"]);
    assert!(plan.contains("lay down /etc/motd"), "{plan}");
    assert_eq!(digest(&binary()), host);
}
