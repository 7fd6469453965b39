//! What the component asks for, and its scripts run with stand-ins for the tools.

use super::Certificates;
use darkroom::Json;
use darkroom::testing::{Machine, Outcome, Run};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tempfile::TempDir;

const PEM: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

fn machine(pem: &str) -> Machine {
    Machine::debian().argument("trust", Json::object([("our-ca", pem.into())]))
}

/// A machine whose os-release says this and that has these tools.
fn root(id: &str, tools: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    fs::write(root.path().join("etc/os-release"), format!("ID={id}\n")).unwrap();
    for (tool, body) in [("openssl", "cat >/dev/null")].iter().chain(tools) {
        let path = root.path().join(tool);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    root
}

fn carry_out(root: &Path, machine: &Machine, step: &str) -> Outcome {
    let run: Run = machine
        .clone()
        .root(root.to_str().unwrap())
        .build::<Certificates>();
    assert_eq!((run.result.clone(), run.planned), (Ok(()), run.steps.len()));
    run.step(step).run(root, root)
}

const LOG: &str = "echo \"${0##*/} $*\" >>\"$HOME/log\"";

#[test]
fn each_family_has_its_place_and_its_tool() {
    for (id, tool, place, logged) in [
        (
            "debian",
            "update-ca-certificates",
            "usr/local/share/ca-certificates/our-ca.crt",
            "update-ca-certificates",
        ),
        (
            "alpine",
            "update-ca-certificates",
            "usr/local/share/ca-certificates/our-ca.crt",
            "update-ca-certificates",
        ),
        (
            "alinux",
            "update-ca-trust",
            "etc/pki/ca-trust/source/anchors/our-ca.pem",
            "update-ca-trust extract",
        ),
        (
            "sles",
            "update-ca-certificates",
            "etc/pki/trust/anchors/our-ca.pem",
            "update-ca-certificates",
        ),
    ] {
        let root = root(id, &[(tool, LOG)]);
        let log = || fs::read_to_string(root.path().join("log")).unwrap();
        let outcome = carry_out(root.path(), &machine(PEM), "trust our-ca");
        assert!(
            outcome.output.ends_with("changed: yes\n"),
            "{id}: {}",
            outcome.output
        );
        assert_eq!(fs::read_to_string(root.path().join(place)).unwrap(), PEM);
        assert_eq!(log().trim_end(), logged);
        let again = carry_out(root.path(), &machine(PEM), "trust our-ca");
        assert_eq!(again.output, "changed: no\n", "{id}");

        let remove = Machine::debian().argument("remove", ["our-ca"]);
        let outcome = carry_out(root.path(), &remove, "trust no longer our-ca");
        assert!(outcome.output.ends_with("changed: yes\n"));
        assert!(!root.path().join(place).exists());
        let fresh = if tool == "update-ca-trust" {
            "update-ca-trust extract"
        } else {
            "update-ca-certificates --fresh"
        };
        assert_eq!(log().lines().last(), Some(fresh));
        let again = carry_out(root.path(), &remove, "trust no longer our-ca");
        assert_eq!(again.output, "changed: no\n");
    }
}

#[test]
fn bundles_that_could_not_be_made_are_made_the_next_time() {
    let root = root("debian", &[("update-ca-certificates", "exit 1")]);
    let step = "trust our-ca";
    assert_eq!(carry_out(root.path(), &machine(PEM), step).exit_code, 1);
    fs::write(root.path().join("update-ca-certificates"), "#!/bin/sh\n").unwrap();
    let outcome = carry_out(root.path(), &machine(PEM), step);
    assert_eq!(outcome.output, "changed: yes\n");
    assert_eq!(
        carry_out(root.path(), &machine(PEM), step).output,
        "changed: no\n"
    );
}

#[test]
fn a_missing_tool_and_a_bad_certificate_are_said() {
    // Whoever tests this on a machine with the tool would find that one.
    let bare = root("rhel", &[]);
    if !Path::new("/usr/bin/update-ca-trust").exists() {
        let outcome = carry_out(bare.path(), &machine(PEM), "trust our-ca");
        assert!(
            outcome
                .output
                .contains("install the package ca-certificates")
        );
    }
    let bad = root(
        "debian",
        &[("update-ca-certificates", LOG), ("openssl", "exit 1")],
    );
    let outcome = carry_out(bad.path(), &machine(PEM), "trust our-ca");
    assert_eq!(
        (outcome.exit_code, &*outcome.output),
        (1, "our-ca is no certificate: openssl can't read it\n")
    );
}

#[test]
fn line_ends_are_those_of_unix() {
    let run = machine(&format!("# ours\r\n{}", PEM.replace('\n', "\r\n"))).build::<Certificates>();
    let step = run.step("trust our-ca");
    assert_eq!(step.variable("PEM"), Some(&*format!("# ours\n{PEM}")));
}

#[test]
fn what_is_no_single_certificate_is_refused() {
    for (pem, message) in [
        ("hello", "no certificate in PEM"),
        (&*format!("{PEM}{PEM}"), "several certificates"),
        (
            &*format!("{PEM}-----BEGIN RSA PRIVATE KEY-----"),
            "private key",
        ),
    ] {
        let run = machine(pem).build::<Certificates>();
        assert!(run.result.unwrap_err().contains(message), "{message}");
        assert!(run.steps.is_empty());
    }
    let hostile = Json::object([("../x", PEM.into())]);
    let run = Machine::debian()
        .argument("trust", hostile)
        .build::<Certificates>();
    assert!(run.result.unwrap_err().contains("the name of a file"));
    assert!(Machine::debian().build::<Certificates>().result.is_err());
    let both = machine(PEM)
        .argument("remove", ["our-ca"])
        .build::<Certificates>();
    assert!(
        both.result
            .unwrap_err()
            .contains("in `trust` and in `remove`")
    );
}
