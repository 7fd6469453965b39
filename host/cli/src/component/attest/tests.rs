//! The documents against their formats: `CycloneDX`'s own schema, and what in-toto and SLSA
//! require; and the lists that bills are read from.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use darkroom_runtime::pack::Metadata;
use serde_json::json;

use super::bill::{Dependency, Hash, purl};
use super::*;

fn dependency(name: &str, licence: Option<&str>, hash: Option<Hash>) -> Dependency {
    Dependency {
        name: name.into(),
        version: "1.0.0".into(),
        purl: purl("cargo", name, "1.0.0"),
        licence: licence.map(str::to_owned),
        hash,
    }
}

fn some_bill() -> Bill {
    let mut bill = Bill {
        complete: true,
        ..Bill::default()
    };
    let hash = Hash {
        algorithm: "SHA-256",
        content: "ab".repeat(32),
    };
    bill.add(dependency("one", Some("MIT OR Apache-2.0"), Some(hash)));
    bill.add(dependency("two", Some("as you like"), None));
    bill.add(dependency("three", None, None));
    bill.needs
        .insert(String::new(), vec!["pkg:cargo/one@1.0.0".into()]);
    bill.needs.insert(
        "pkg:cargo/one@1.0.0".into(),
        vec!["pkg:cargo/two@1.0.0".into()],
    );
    bill
}

fn says() -> Metadata {
    let text = |text: &str| Some(text.to_owned());
    Metadata {
        name: text("acme:web"),
        version: text("1.2.3"),
        licence: text("Apache-2.0"),
        description: text("Serves"),
        ..Metadata::default()
    }
}

fn mistakes(document: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(include_str!("cyclonedx-1.6.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    schema
        .iter_errors(document)
        .map(|error| error.to_string())
        .collect()
}

#[test]
fn the_sbom_is_what_cyclonedx_says() {
    let digest = "cd".repeat(32);
    let mut subject = Subject {
        file: "web.wasm",
        says: &says(),
        digest: &digest,
        time: Some("2023-11-14T22:13:20Z"),
    };
    let document = sbom(&subject, &some_bill());
    assert_eq!(mistakes(&document), [""; 0]);
    assert_eq!(
        document["metadata"]["component"]["bom-ref"],
        "pkg:generic/acme/web@1.2.3"
    );
    assert_eq!(
        document["components"][0]["licenses"][0]["expression"],
        "MIT OR Apache-2.0"
    );
    assert_eq!(
        document["components"][2]["licenses"][0]["license"]["name"],
        "as you like"
    );
    let graph = json!([
        { "ref": "pkg:generic/acme/web@1.2.3", "dependsOn": ["pkg:cargo/one@1.0.0"] },
        { "ref": "pkg:cargo/one@1.0.0", "dependsOn": ["pkg:cargo/two@1.0.0"] },
    ]);
    assert_eq!(document["dependencies"], graph);

    // One that says nothing of itself, and has nothing in it.
    let nothing = Metadata::default();
    (subject.says, subject.time) = (&nothing, None);
    let document = sbom(&subject, &Bill::default());
    assert_eq!(mistakes(&document), [""; 0]);
    assert_eq!(document["compositions"][0]["aggregate"], "incomplete");
    assert_eq!(document["metadata"].get("timestamp"), None);

    // The schema is able to refuse.
    let mut wrong = document;
    wrong["components"] = json!([{ "type": "libary" }]);
    assert!(!mistakes(&wrong).is_empty());
}

#[test]
fn the_statement_has_what_in_toto_and_slsa_require() {
    let bill = some_bill();
    let statement = provenance(&Build {
        file: "web.wasm",
        digest: "cd",
        asked: BTreeMap::from([("world", "builder-only".to_owned())]),
        tools: BTreeMap::from([("rustc", "rustc 1.95.0".to_owned())]),
        from: vec![Resource {
            name: "source".into(),
            uri: Some("git+https://example.org/web".into()),
            digest: Some(("gitCommit".into(), "ef".into())),
        }],
        bill: Some(&bill),
        time: None,
    });
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    assert_eq!(
        statement["subject"],
        json!([{ "name": "web.wasm", "digest": { "sha256": "cd" } }])
    );
    let definition = &statement["predicate"]["buildDefinition"];
    assert_eq!(definition["buildType"], "urn:darkroom:component-build:v1");
    assert_eq!(definition["externalParameters"]["world"], "builder-only");
    let from = definition["resolvedDependencies"].as_array().unwrap();
    assert_eq!(from.len(), 4);
    assert_eq!(from[0]["digest"]["gitCommit"], "ef");
    assert_eq!(from[1]["uri"], "pkg:cargo/one@1.0.0");
    assert_eq!(from[1]["digest"]["sha256"], "ab".repeat(32));
    // A descriptor names what it is about by an address or a digest.
    assert!(
        from.iter()
            .all(|one| one.get("uri").or(one.get("digest")).is_some())
    );
    let run = &statement["predicate"]["runDetails"];
    let id = run["builder"]["id"].as_str().unwrap();
    assert!(id.starts_with("pkg:generic/darkroom@"), "{id}");
    assert_eq!(run.get("metadata"), None);
}

fn listed(files: &[(&str, &str)]) -> Result<Option<Bill>, ListError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    of_lists(folder.path())
}

fn purls(bill: &Bill) -> Vec<&str> {
    bill.all.keys().map(String::as_str).collect()
}

#[test]
fn lists_of_other_languages_are_read() {
    assert_eq!(listed(&[]).unwrap(), None);
    let npm = r#"{"lockfileVersion":3,"packages":{
        "":{"name":"web"},
        "node_modules/left-pad":{"version":"1.3.0","license":"WTFPL","integrity":"sha512-q80="},
        "node_modules/@acme/x":{"version":"2.0.0+b"},
        "node_modules/a/node_modules/b":{"version":"0.1.0"},
        "node_modules/linked":{"link":true},
        "node_modules/jest":{"version":"29.0.0","dev":true}}}"#;
    let bill = listed(&[("package-lock.json", npm)]).unwrap().unwrap();
    assert_eq!(
        purls(&bill),
        [
            "pkg:npm/%40acme/x@2.0.0%2Bb",
            "pkg:npm/b@0.1.0",
            "pkg:npm/left-pad@1.3.0"
        ]
    );
    let hash = bill.all["pkg:npm/left-pad@1.3.0"].hash.clone().unwrap();
    assert_eq!(
        (hash.in_toto().as_str(), hash.content.as_str()),
        ("sha512", "abcd")
    );
    assert!(bill.complete);

    let go = "module example.org/web\n\ngo 1.26\n\nrequire example.org/a v1.0.0\nrequire (\n\
              \texample.org/b/v2 v2.0.0-rc1 // indirect\n\n)\nreplace x => ./x\n";
    let bill = listed(&[("go.mod", go), ("go.sum", "")]).unwrap().unwrap();
    let both = [
        "pkg:golang/example.org/a@v1.0.0",
        "pkg:golang/example.org/b/v2@v2.0.0-rc1",
    ];
    assert_eq!(purls(&bill), both);

    let loose = "# comment\n-r other.txt\nPyYAML==6.0  # why\nFoo_Bar[x]==1.0; python_version<'4'\nnumpy>=2\n";
    let bill = listed(&[("requirements.txt", loose), ("go.mod", go)])
        .unwrap()
        .unwrap();
    assert_eq!(
        purls(&bill)[2..],
        ["pkg:pypi/foo-bar@1.0", "pkg:pypi/pyyaml@6.0"]
    );
    assert!(!bill.complete, "what is not frozen is not complete");
    let frozen = "pyyaml==6.0 \\\n    --hash=sha256:ab\n";
    let bill = listed(&[("requirements.txt", frozen)]).unwrap().unwrap();
    assert!(bill.complete && bill.all.len() == 1);
}

#[test]
fn a_list_that_can_not_be_read_is_an_error() {
    for (name, text) in [
        ("package-lock.json", "{"),
        (
            "package-lock.json",
            r#"{"lockfileVersion":1,"dependencies":{}}"#,
        ),
        ("package-lock.json", r#"{"packages":{"node_modules/x":{}}}"#),
        ("go.mod", "require example.org/a\n"),
        ("requirements.txt", "pyyaml==\n"),
    ] {
        let error = listed(&[(name, text)]).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_commit_is_told_of_a_folder_that_is_clean() {
    let folder = tempfile::tempdir().unwrap();
    let run = |words: &[&str]| {
        let done = std::process::Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@example.org", "-C"])
            .arg(folder.path())
            .args(words)
            .output();
        done.is_ok_and(|done| done.status.success())
    };
    assert_eq!(commit(folder.path()), None);
    if !run(&["init", "-q"]) {
        println!("not run: git is not there");
        return;
    }
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("source", "one");
    assert_eq!(commit(folder.path()), None);
    assert!(run(&["add", "."]) && run(&["commit", "-q", "-m", "one"]));
    let at = commit(folder.path()).unwrap();
    assert_eq!(at.len(), 40);
    // What a build leaves is no change; anything else is.
    for made in ["web.wasm", "web.wasm.sbom.json", "web.wasm.provenance.json"] {
        write(made, "made");
    }
    assert_eq!(commit(folder.path()), Some(at));
    write("new", "file");
    assert_eq!(commit(folder.path()), None);
    fs::remove_file(folder.path().join("new")).unwrap();
    write("source", "two");
    assert_eq!(commit(folder.path()), None);
    assert_eq!(commit(Path::new("/nowhere")), None);
}
