//! What the command line holds to beside what a registry says: `--locked`, bundles, whose
//! signature a lock knows, and what is only claimed.

use crate::registry::Registry;
use crate::{house, lock, package, publish_three, run, trust};

#[test]
fn locked_means_no_file_in_the_place_of_a_package() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let house = house(&registry);
    publish_three(&house);
    run(&house, &["fetch", "t"]).exits(0);
    let other = package(&house, "files", "acme:files", "1.0.0", "mine");
    let over = |path: &str| {
        let line = format!("[override]\n\"acme:files\" = \"{path}\"\n");
        house.write("t/darkroom.toml", &line);
    };
    over(&format!("../{other}"));
    run(&house, &["validate", "t"]).exits(0);
    run(&house, &["validate", "t", "--locked"]).exits(2).says(&[
        "acme:files is ../files-1.0.0",
        "image.yaml:5",
        "[override]",
    ]);
    run(&house, &["bundle", "t", "-o", "web.tar"])
        .exits(2)
        .says(&["a bundle holds packages", "[override]"]);
    assert!(!house.path("web.tar").exists());

    // What is no file is not waited for, and what is endless is not read.
    let status = std::process::Command::new("mkfifo")
        .arg(house.path("t/pipe"))
        .status();
    assert!(status.unwrap().success());
    for (path, why) in [("pipe", "it is no file"), ("site", "it is a folder")] {
        over(path);
        run(&house, &["validate", "t"]).exits(2).says(&[why]);
    }
    let endless = std::fs::File::create(house.path("t/endless.wasm")).unwrap();
    endless.set_len(1 << 40).unwrap();
    over("endless.wasm");
    run(&house, &["validate", "t"])
        .exits(2)
        .says(&["it has more than"]);
}

#[test]
fn a_signer_that_is_gone_or_another_is_told_and_refused_where_all_is_locked() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let house = house(&registry);
    trust(&house, "signed");
    publish_three(&house);
    run(&house, &["fetch", "t"]).exits(0);
    run(&house, &["validate", "t", "--locked"]).exits(0);
    let pinned = lock(&house);
    let signer = pinned.split("signer = \"").nth(1).unwrap();
    let signer = signer.split('"').next().unwrap();

    // Nobody judges any more.
    std::fs::remove_file(house.path("home/.config/darkroom/trust.yaml")).unwrap();
    run(&house, &["validate", "t"])
        .exits(0)
        .says(&["warning:", "acme:files@1.0.0", signer]);
    run(&house, &["validate", "t", "--locked"]).exits(2).says(&[
        "acme:files@1.0.0 is signed by nobody whom trust.yaml names for it",
        signer,
        "darkroom update acme:files",
    ]);

    // Somebody else is in the lock.
    trust(&house, "signed");
    let other = format!("sha256:{}", "0".repeat(64));
    house.write("t/darkroom.lock", &pinned.replace(signer, &other));
    run(&house, &["validate", "t"]).exits(0).says(&[&format!(
        "is signed by {signer}; darkroom.lock knows it from {other}"
    )]);
    run(&house, &["validate", "t", "--locked"])
        .exits(2)
        .says(&["acme:files@1.0.0 is signed by", &other]);
}

#[test]
fn what_is_claimed_and_what_is_verified_are_told_apart() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let house = house(&registry);
    publish_three(&house);
    let seen = |says: &[&str]| {
        let seen = run(&house, &["component", "inspect", "acme:files@1"]).exits(0);
        let words: Vec<_> = seen.out.split_whitespace().collect();
        let words = words.join(" ");
        for text in says {
            assert!(words.contains(text), "{text}: {}", seen.out);
        }
    };
    seen(&[
        "signature says it is by sha256:",
        "trust not checked: there is no trust.yaml",
        ", unsigned",
    ]);
    trust(&house, "none");
    seen(&["trust not checked: trust.yaml asks for no signature of it"]);
    trust(&house, "signed");
    seen(&["trust trusted: acme.pub"]);
}

#[test]
fn an_editor_knows_the_types_of_packages_that_are_pinned() {
    let Some(mut registry) = Registry::start() else {
        return;
    };
    let house = house(&registry);
    publish_three(&house);
    let before = run(&house, &["schema", "t"]).exits(0);
    let before = before.says(&["acme:files@^1.0 has no types", "darkroom fetch"]);
    assert!(!before.out.contains("acme:files"));
    run(&house, &["fetch", "t"]).exits(0);
    registry.stop();
    let schema = run(&house, &["schema", "t"]).exits(0).out;
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let rules = serde_json::to_string(&schema["$defs"]).unwrap();
    assert!(rules.contains(r"^acme:files@\\^1\\.0$"), "{rules}");
    let typed = schema["$defs"].as_object().unwrap().iter();
    let mut typed = typed.filter(|(name, _)| name.starts_with("with-acme-files"));
    let (_, files) = typed.next().unwrap();
    assert!(files["properties"]["path"].is_object(), "{files}");
}
