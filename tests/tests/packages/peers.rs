//! `wkg`, of the WebAssembly ecosystem's own tools, gets the contract that this binary
//! writes and publishes. In the long tier.

use std::path::PathBuf;
use std::process::Command;

use crate::registry::Registry;
use crate::{empty_house, run};

/// Where wkg is, in the long tier; says why not otherwise.
fn wkg() -> Option<PathBuf> {
    if std::env::var_os("DARKROOM_LONG").is_none() {
        println!("long tier: wkg gets the contract");
        return None;
    }
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join("wkg"))
        .find(|path| path.is_file());
    if found.is_none() {
        println!("not run: there is no wkg on the path");
    }
    found
}

#[test]
fn wkg_gets_the_contract_that_component_wit_writes() {
    let Some(wkg) = wkg() else { return };
    let Some(registry) = Registry::start() else {
        return;
    };
    let house = empty_house();
    let host = &registry.host;
    run(
        &house,
        &["component", "wit", "--wasm", "-o", "contract.wasm"],
    )
    .exits(0);
    let published = run(
        &house,
        &[
            "component",
            "publish",
            "contract.wasm",
            "--registry",
            host,
            "--json",
        ],
    );
    let version = published.exits(0).json()[0]["version"]
        .as_str()
        .unwrap()
        .to_owned();
    let config = format!(
        "[namespace_registries]\ndarkroom = \"{host}\"\n\
         [registry.\"{host}\"]\ntype = \"oci\"\n[registry.\"{host}\".oci]\nprotocol = \"http\"\n"
    );
    let config = house.write("wkg.toml", &config);
    let get = |format: &str, out: &str| {
        let output = Command::new(&wkg)
            .current_dir(house.path(""))
            .args([
                "get",
                &format!("darkroom:component@{version}"),
                "--overwrite",
            ])
            .args([
                "--format",
                format,
                "--output",
                &format!("./{out}"),
                "--config",
            ])
            .arg(&config)
            .args(["--cache", "wkg-cache"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        std::fs::read(house.path(out)).unwrap()
    };
    let ours = std::fs::read(house.path("contract.wasm")).unwrap();
    assert!(get("wasm", "got.wasm") == ours);
    let text = String::from_utf8(get("wit", "got.wit")).unwrap();
    for wanted in [
        "package darkroom:component@",
        "world builder-only",
        "interface steps",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}
