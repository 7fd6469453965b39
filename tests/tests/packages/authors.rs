//! What authors do: publish a crate with all that is attested of it, and write a component
//! with nothing but the contract that this binary prints.

use std::path::{Path, PathBuf};
use std::process::Command;

use darkroom_tests::house::{House, binary};
use serde_json::Value;

use crate::registry::Registry;
use crate::{empty_house, house, run};

const SBOM: &str = "application/vnd.cyclonedx+json";
const STATEMENT: &str = "application/vnd.in-toto+json";

/// Where guests are compiled, once for all tests.
fn guests() -> PathBuf {
    binary().with_file_name("../guests")
}

/// What was attached, as JSON, by its media type.
fn attached(registry: &Registry, at: &str, manifest: &str, kind: &str) -> Value {
    let client = darkroom_registry::client::Client::new(
        darkroom_registry::config::Registries::new(),
        darkroom_registry::client::Settings::default(),
    );
    let place = format!("{}/{at}", registry.host).parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let referrers = client.referrers(&place, &manifest.parse().unwrap()).await;
        let referrers = referrers.unwrap();
        let one = referrers.iter().find(|one| one.artifact_type() == kind);
        let attachment = client.attachment(&place, one.unwrap()).await.unwrap();
        serde_json::from_slice(&attachment.bytes).unwrap()
    })
}

#[test]
fn a_crate_is_published_with_its_sbom_and_how_it_was_built() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let house = house(&registry);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/05-own-component/motd");
    let (source, guests) = (source.display().to_string(), guests().display().to_string());
    let build = [
        "component",
        "build",
        &source,
        "--target-dir",
        &guests,
        "-o",
        "motd.wasm",
        "--json",
    ];
    let built = run(&house, &build).exits(0).json();
    let digest = built[0]["digest"].as_str().unwrap();
    let config = format!("[registries]\nexample = \"{}/team\"\n", registry.host);
    house.write("home/.config/darkroom/config.toml", &config);
    let published = run(
        &house,
        &[
            "component",
            "publish",
            "motd.wasm",
            "--sign",
            "key.pem",
            "--json",
        ],
    );
    let published = &published.exits(0).json()[0];
    assert_eq!(published["package"], "example:motd");
    assert_eq!(published["digest"], format!("sha256:{digest}"));
    assert_eq!(published["attached"], serde_json::json!([SBOM, STATEMENT]));

    let seen = run(
        &house,
        &["component", "inspect", "example:motd@0.1", "--json"],
    );
    let seen = &seen.exits(0).json()[0];
    let mut types: Vec<_> = seen["attached"].as_array().unwrap().iter().collect();
    types.sort_by_key(|one| one["media_type"].to_string());
    assert_eq!(types.len(), 2);
    assert_eq!(
        (&types[0]["media_type"], &types[1]["media_type"]),
        (&SBOM.into(), &STATEMENT.into())
    );
    assert!(types[0]["dependencies"].as_u64().unwrap() >= 1);
    assert_eq!(seen["metadata"]["licence"], "Apache-2.0");
    assert_eq!(seen["signatures"][0], published["signer"]);

    // What is attached is about these bytes, and says what is in them.
    let manifest = published["manifest"].as_str().unwrap();
    let sbom = attached(&registry, "team/example/motd", manifest, SBOM);
    assert_eq!(
        sbom["metadata"]["component"]["hashes"][0]["content"],
        digest
    );
    let names: Vec<_> = sbom["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert!(names.contains(&&"darkroom".into()), "{names:?}");
    let statement = attached(&registry, "team/example/motd", manifest, STATEMENT);
    assert_eq!(statement["subject"][0]["digest"]["sha256"], digest);
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    let asked = &statement["predicate"]["buildDefinition"]["externalParameters"];
    assert_eq!(asked["crate"], "motd");

    // What is about another build is not published.
    let other = house.path("motd.wasm.sbom.json");
    let text = std::fs::read_to_string(&other).unwrap();
    std::fs::write(&other, text.replace(digest, &"0".repeat(64))).unwrap();
    run(&house, &["component", "publish", "motd.wasm"])
        .exits(2)
        .says(&["is about another build of it"]);
}

/// A guest of plain wit-bindgen whose contract is what `component wit` wrote.
fn guest(house: &House) -> Option<PathBuf> {
    let rustc = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", "wasm32-wasip2"])
        .output()
        .ok()?;
    if !Path::new(String::from_utf8(rustc.stdout).ok()?.trim()).is_dir() {
        println!("not run: the target wasm32-wasip2 is not installed");
        return None;
    }
    run(house, &["component", "wit", "-o", "guest/wit"]).exits(0);
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/plain-wasip2");
    for file in ["Cargo.toml", "Cargo.lock", "src/lib.rs"] {
        let text = std::fs::read_to_string(from.join(file)).unwrap();
        // A name of its own: what it compiles to lies beside the other's.
        let text = text.replace("plain-wasip2", "only-wit");
        let text = text.replace("path: \"../../../wit\"", "path: \"wit\"");
        assert!(!text.contains("../"), "{file} needs this repository");
        house.write(&format!("guest/{file}"), &text);
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--locked", "--quiet", "--target", "wasm32-wasip2"])
        .env("CARGO_TARGET_DIR", guests())
        .current_dir(house.path("guest"))
        .status();
    assert!(built.unwrap().success(), "the guest can't be built");
    Some(guests().join("wasm32-wasip2/debug/only_wit.wasm"))
}

#[test]
fn a_guest_is_built_of_the_written_contract_alone() {
    let house = empty_house();
    let Some(guest) = guest(&house) else { return };
    let guest = guest.display().to_string();
    run(
        &house,
        &[
            "component",
            "build",
            &guest,
            "--name",
            "acme:plain",
            "--version",
            "1.0.0",
            "--licence",
            "Apache-2.0",
            "-o",
            "plain.wasm",
        ],
    )
    .exits(0);
    run(&house, &["component", "check", "plain.wasm"]).exits(0);
    house.write(
        "image.yaml",
        "name: plain\nsource: { family: debian-12 }\nrepair: none\nbuild:\n  - uses: ./plain.wasm\n",
    );
    run(&house, &["build"]).exits(0);
}
