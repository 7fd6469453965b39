//! The system components are packages too: those that ship are published as they are,
//! used as shipped where they are what a lock pins, and pulled where they are not.

use darkroom_tests::house::{House, binary};

use crate::registry::Registry;
use crate::{KEY, PUBLIC, empty_house, lock, package, run};

const TEMPLATE: &str = "\
name: system
source: { family: debian-12 }
repair: none
build:
  - uses: darkroom:sysctl
    with: { settings: { kernel.dmesg_restrict: 1 } }
test:
  - uses: darkroom:service@0.1
    with: { name: cron }
";

/// A house with a template of system components.
fn house(key: &str) -> House {
    let house = empty_house();
    house.write("t/image.yaml", TEMPLATE);
    house.write("key.pem", key);
    house
}

fn shipped(name: &str) -> String {
    let file = binary().with_file_name(format!("../components/{name}.wasm"));
    file.canonicalize().unwrap().to_str().unwrap().to_owned()
}

/// Says where the packages of `darkroom` are.
fn map(house: &House, place: &str) {
    let config = format!("[registries]\ndarkroom = \"{place}\"\n");
    house.write("home/.config/darkroom/config.toml", &config);
}

#[test]
fn what_ships_is_published_and_pulled_where_a_lock_pins_other_bytes() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let house = house(KEY);
    let place = format!("{}/team", registry.host);

    // As it ships, with what lies beside it.
    let published = run(
        &house,
        &[
            "component",
            "publish",
            &shipped("service"),
            "--registry",
            &place,
            "--sign",
            "key.pem",
            "--json",
        ],
    );
    let published = published.exits(0).json();
    assert_eq!(published[0]["package"], "darkroom:service");
    assert_eq!(published[0]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        published[0]["registry"],
        format!("{place}/darkroom/service")
    );
    let at = format!("{place}/darkroom/service:{}", env!("CARGO_PKG_VERSION"));
    let seen = run(&house, &["component", "inspect", &at, "--json"]);
    let seen = &seen.exits(0).json()[0];
    assert_eq!(seen["metadata"]["licence"], "Apache-2.0");
    assert_eq!(seen["metadata"]["authors"], "The Darkroom authors");
    let types: Vec<_> = seen["attached"].as_array().unwrap().iter().collect();
    let types: Vec<_> = types.iter().map(|one| &one["media_type"]).collect();
    assert!(types.contains(&&"application/vnd.cyclonedx+json".into()));
    assert!(types.contains(&&"application/vnd.in-toto+json".into()));

    // The lock pins what ships, and nobody is asked, whoever has a place for it.
    run(&house, &["validate", "t"]).exits(0);
    run(&house, &["fetch", "t"]).exits(0);
    let first = lock(&house);
    assert!(first.contains("name = \"darkroom:service\"") && !first.contains("registry"));
    map(&house, &place);
    let same = run(&house, &["fetch", "t", "--locked"]).exits(0);
    assert!(!same.err.contains("Pulled"), "{}", same.err);

    // Another one is pinned: it is pulled from where the user says, and verified.
    let other = package(&house, "sysctl", "darkroom:sysctl", "0.1.0", "another");
    run(
        &house,
        &["component", "publish", &other, "--sign", "key.pem"],
    )
    .exits(0);
    run(&house, &["update", "sysctl", "--template", "t"])
        .exits(0)
        .says(&["Pulled darkroom:sysctl@0.1.0"]);
    let pinned = lock(&house);
    assert!(
        pinned.contains(&format!("registry = \"{place}/darkroom/sysctl\"")),
        "{pinned}"
    );
    run(&house, &["build", "t", "--locked"]).exits(0);
    run(
        &house,
        &["build", "t", "--locked", "--offline", "--refresh"],
    )
    .exits(0);

    // Where the user says nothing the lock does, also without what ships.
    house.write("home/.config/darkroom/config.toml", "");
    run(&house, &["cache", "prune"]).exits(0);
    run(&house, &["fetch", "t", "--locked"])
        .exits(0)
        .says(&["Pulled darkroom:sysctl@0.1.0"]);
    verified(&house);

    // Nobody says where it is: what ships is not it, and that is a refusal as before.
    let nowhere: Vec<_> = pinned
        .lines()
        .filter(|line| !line.starts_with("registry"))
        .collect();
    house.write("t/darkroom.lock", &(nowhere.join("\n") + "\n"));
    run(&house, &["validate", "t"])
        .exits(2)
        .says(&["darkroom:sysctl", "darkroom update darkroom:sysctl"]);
}

/// A policy judges these packages as any other.
fn verified(house: &House) {
    let rules = |keys: &str| {
        format!(
            "version: 1\nrules:\n  - package: 'darkroom:*'\n    keys: [{keys}]\n    require: signed\n"
        )
    };
    let fixtures = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../host/registry/tests/fixtures/cosign.pub"
    );
    let other = std::fs::read_to_string(fixtures).unwrap();
    house.write("home/.config/darkroom/mine.pub", PUBLIC);
    house.write("home/.config/darkroom/other.pub", &other);
    house.write("home/.config/darkroom/trust.yaml", &rules("other.pub"));
    run(house, &["validate", "t"])
        .exits(2)
        .says(&["darkroom:sysctl@0.1.0", "trust.yaml:3"]);
    house.write("home/.config/darkroom/trust.yaml", &rules("mine.pub"));
    run(house, &["validate", "t"]).exits(0);
    std::fs::remove_file(house.path("home/.config/darkroom/trust.yaml")).unwrap();
}

#[test]
fn a_project_does_not_say_what_the_system_components_are() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let house = house(KEY);
    let place = format!("{}/evil", registry.host);
    let evil = package(&house, "sysctl", "darkroom:sysctl", "9.0.0", "evil");
    run(
        &house,
        &["component", "publish", &evil, "--registry", &place],
    )
    .exits(0);
    let project = format!("[registries]\ndarkroom = \"{place}\"\n");
    house.write("t/darkroom.toml", &project);
    let fetched = run(&house, &["fetch", "t"]).exits(0);
    assert!(!fetched.err.contains("Pulled"), "{}", fetched.err);
    assert!(!lock(&house).contains("9.0.0"));
}
