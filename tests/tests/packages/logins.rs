//! Registries that ask who is there: every verb over TLS and with a password, out of the
//! files that docker and wkg keep, each in a house of its own.

use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use darkroom_tests::house::House;

use crate::registry::{Guard, PASSWORD, Registry, USER, certificate};
use crate::{house, package, run};

/// A registry with TLS that lets nobody in without the password.
pub(crate) fn guarded() -> Option<Registry> {
    Registry::guarded(Guard {
        tls: true,
        password: true,
    })
}

/// wkg's configuration of a host: whose certificate it has, and perhaps who asks.
pub(crate) fn wkg(house: &House, host: &str, auth: &str) {
    let certificate = certificate();
    let config = format!(
        "[registry.\"{host}\".oci]\nprotocol = \"https\"\n{auth}\
         extra_root_certificates = [{{ encoding = \"pem\", data = '''{certificate}''' }}]\n"
    );
    house.write("home/.config/wasm-pkg/config.toml", &config);
}

/// docker's, with the password in the file.
pub(crate) fn docker(house: &House, host: &str, password: &str) {
    let auth = STANDARD.encode(format!("{USER}:{password}"));
    let config = format!("{{\"auths\":{{\"{host}\":{{\"auth\":\"{auth}\"}}}}}}");
    house.write("home/.docker/config.json", &config);
}

/// Every verb that speaks with a registry.
fn every_verb(house: &House, host: &str) {
    for of in ["files", "sysctl", "service"] {
        let file = package(house, of, &format!("acme:{of}"), "1.0.0", "first");
        run(house, &["component", "publish", &file, "--sign", "key.pem"]).exits(0);
    }
    let versions = run(house, &["component", "versions", "acme:files"]).exits(0);
    assert_eq!(versions.out, "1.0.0\n");
    let mirror = format!("{host}/mirror/files:1.0.0");
    for verb in [
        ["inspect", "acme:files@1"].as_slice(),
        &["pull", "acme:files@1", "-o", "got.wasm"],
        &["copy", "acme:files@1.0.0", &mirror],
        &["search", "sysctl"],
        &["yank", "acme:service@1.0.0"],
        &["unyank", "acme:service@1.0.0"],
    ] {
        run(house, &[&["component"], verb].concat()).exits(0);
    }
    for verb in [
        ["fetch", "t"].as_slice(),
        &["update", "--template", "t"],
        &["bundle", "t", "-o", "web.tar"],
        &["validate", "t", "--locked"],
    ] {
        run(house, verb).exits(0);
    }
}

#[test]
fn every_verb_with_what_wkg_knows() {
    let Some(registry) = guarded() else { return };
    let house = house(&registry);
    let auth = format!("auth = {{ username = \"{USER}\", password = \"{PASSWORD}\" }}\n");
    wkg(&house, &registry.host, &auth);
    // Also where things are: darkroom's own file says nothing.
    let path = house.path("home/.config/wasm-pkg/config.toml");
    let known = std::fs::read_to_string(&path).unwrap();
    let place = format!(
        "[namespace_registries]\nacme = {{ registry = \"{host}\", metadata = {{ preferredProtocol = \"oci\", oci = {{ registry = \"{host}\", namespacePrefix = \"team/\" }} }} }}\n{known}",
        host = registry.host
    );
    std::fs::write(path, place).unwrap();
    // Searching wants a host, which only `[registries]` or a flag names.
    let other = format!("[registries]\nother = \"{}\"\n", registry.host);
    house.write("home/.config/darkroom/config.toml", &other);
    every_verb(&house, &registry.host);
    assert!(crate::lock(&house).contains(&format!("{}/team/acme/files", registry.host)));
}

#[test]
fn every_verb_with_what_docker_knows() {
    let Some(registry) = guarded() else { return };
    let house = house(&registry);
    wkg(&house, &registry.host, "");
    docker(&house, &registry.host, PASSWORD);
    every_verb(&house, &registry.host);

    // Nobody, and somebody else.
    std::fs::remove_file(house.path("home/.docker/config.json")).unwrap();
    run(&house, &["component", "versions", "acme:files"])
        .exits(3)
        .says(&[&registry.host, "docker login"]);
    docker(&house, &registry.host, "guessed");
    let refused = run(&house, &["component", "versions", "acme:files"]).exits(3);
    assert!(!refused.err.contains("guessed"), "{}", refused.err);
    // Without the certificate nothing is said to anybody.
    std::fs::remove_file(house.path("home/.config/wasm-pkg/config.toml")).unwrap();
    docker(&house, &registry.host, PASSWORD);
    run(&house, &["component", "versions", "acme:files"])
        .exits(3)
        .says(&["it speaks https, and was spoken to in plain http"]);
}

#[test]
fn a_program_of_dockers_knows_the_password() {
    let Some(registry) = guarded() else { return };
    let house = house(&registry);
    wkg(&house, &registry.host, "");
    let program = house.write(
        "bin/docker-credential-house",
        &format!("#!/bin/sh\nread host\n[ \"$1 $host\" = 'get {}' ] || exit 1\necho '{{\"Username\":\"{USER}\",\"Secret\":\"{PASSWORD}\"}}'\n", registry.host),
    );
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = format!("{{\"credHelpers\":{{\"{}\":\"house\"}}}}", registry.host);
    house.write("home/.docker/config.json", &config);
    let file = package(&house, "files", "acme:files", "1.0.0", "first");
    let path = std::env::var("PATH").unwrap();
    for verb in [
        ["component", "publish", &file].as_slice(),
        &["component", "pull", "acme:files", "-o", "got.wasm"],
    ] {
        let mut command = house.command(verb);
        command.env("PATH", format!("{}:{path}", house.path("bin").display()));
        crate::told(&mut command).exits(0);
    }
    run(&house, &["component", "versions", "acme:files"]).exits(3);
}
