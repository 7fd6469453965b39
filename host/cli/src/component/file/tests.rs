//! Packages of modules that no cargo made.

use super::*;
use crate::component::attest::{self, attachments};
use crate::component::inspect::{check, inspect};
use serde_json::Value;
use std::fs;
use tempfile::TempDir;

/// A folder with the module of all roles, as another toolchain would leave it.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/all-roles.wat");
    fs::copy(text, folder.path().join("web.wat")).unwrap();
    fs::write(
        folder.path().join("component.toml"),
        "name = 'acme:web'\nversion = '1.0.0'\nlicence = 'MIT'\nworld = 'all-roles'\n\
         source = 'https://example.org/web'\n",
    )
    .unwrap();
    fs::write(
        folder.path().join("requirements.txt"),
        "# by hand\ncomponentize-py==0.25.1\nPyYAML >= 6  # later\nfoo_bar[x]==1.0 ; python_version > '3'\n",
    )
    .unwrap();
    folder
}

fn request(folder: &TempDir, file: &str) -> Request {
    Request::of(folder.path().join(file))
}

#[test]
fn a_module_becomes_a_package_by_what_stands_beside_it() {
    let folder = folder();
    fs::create_dir(folder.path().join("assets")).unwrap();
    fs::write(folder.path().join("assets/page"), "hello").unwrap();
    let built = build(&request(&folder, "web.wat")).unwrap();
    assert_eq!(built.file, folder.path().join("web.wasm"));
    let examined = check(&built.file, None).unwrap();
    assert!(examined.same, "{examined:#?}");
    let seen = inspect(&built.file).unwrap();
    assert_eq!(seen.metadata.name.as_deref(), Some("acme:web"));
    assert_eq!(seen.contract.as_deref(), Some("0.1.0"));
    assert_eq!((seen.roles.len(), seen.assets.len()), (3, 1));
    assert_eq!(seen.digest, built.digest);
    assert_eq!(seen.attached[0].dependencies, Some(2));
    assert_eq!(seen.attached.len(), 2);

    // What the command line says counts before the file.
    let mut other = request(&folder, "web.wat");
    other.says.version = Some("2.0.0".into());
    other.attest = false;
    let other = build(&other).unwrap();
    let seen = inspect(&other.file).unwrap();
    assert_eq!(seen.metadata.version.as_deref(), Some("2.0.0"));
    assert_eq!(
        seen.attached.len(),
        0,
        "what was about the other bytes is gone"
    );
}

#[test]
fn a_package_is_packed_again_beside_itself_and_keeps_what_it_has() {
    let folder = folder();
    fs::create_dir(folder.path().join("assets")).unwrap();
    fs::write(folder.path().join("assets/page"), "hello").unwrap();
    let first = build(&request(&folder, "web.wat")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::copy(&first.file, elsewhere.path().join("web.wasm")).unwrap();
    let again = build(&request(&elsewhere, "web.wasm")).unwrap();
    assert_eq!(again.file, elsewhere.path().join("web.component.wasm"));
    assert_eq!((&again.digest, &again.says), (&first.digest, &first.says));
    // Nothing tells what is in it.
    let found = attachments(&again.file, &again.digest).unwrap();
    let kinds: Vec<_> = found.iter().map(|one| one.media_type).collect();
    assert_eq!(kinds, [attest::PROVENANCE_TYPE]);
}

#[test]
fn the_same_input_gives_the_same_bytes_in_any_folder_and_at_any_time() {
    let (one, other) = (folder(), folder());
    let mut documents = Vec::new();
    for folder in [&one, &other] {
        let built = build(&request(folder, "web.wat")).unwrap();
        let mut files = vec![fs::read(&built.file).unwrap()];
        for attachment in attachments(&built.file, &built.digest).unwrap() {
            let text = String::from_utf8(attachment.bytes.clone()).unwrap();
            let path = folder.path().to_str().unwrap();
            assert!(!text.contains(path), "{text}");
            files.push(attachment.bytes);
        }
        documents.push(files);
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    assert_eq!(documents[0].len(), 3);
    assert_eq!(documents[0], documents[1]);

    // The one time that may stand in them is given.
    let mut timed = request(&one, "web.wat");
    timed.epoch = Some(1_700_000_000);
    let built = build(&timed).unwrap();
    assert_eq!(fs::read(&built.file).unwrap(), documents[0][0]);
    let found = attachments(&built.file, &built.digest).unwrap();
    let statement: Value = serde_json::from_slice(&found[1].bytes).unwrap();
    assert_eq!(
        statement["predicate"]["runDetails"]["metadata"]["startedOn"],
        "2023-11-14T22:13:20Z"
    );
}

#[test]
fn preview_1_is_translated_by_the_file_that_is_named() {
    let folder = folder();
    let text = fs::read_to_string(folder.path().join("web.wat")).unwrap();
    let import = "(import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i32)))";
    let at = text.find("(import").unwrap();
    let asking = format!("{}{import}\n{}", &text[..at], &text[at..]);
    fs::write(folder.path().join("web.wat"), asking).unwrap();
    let mut request = request(&folder, "web.wat");
    let null = build(&request).unwrap();

    let mark = "(module (import \"env\" \"memory\" (memory 0)) \
                (func (export \"proc_exit\") (param i32) \
                (i64.store (i32.const 0) (i64.const 0x6b72616d)) unreachable))";
    fs::write(folder.path().join("mine.wat"), mark).unwrap();
    request.adapter = Some(folder.path().join("mine.wat"));
    let mine = build(&request).unwrap();
    assert_ne!(mine.digest, null.digest);
    let found = attachments(&mine.file, &mine.digest).unwrap();
    let statement: Value = serde_json::from_slice(&found[1].bytes).unwrap();
    let from = &statement["predicate"]["buildDefinition"]["resolvedDependencies"];
    let names: Vec<_> = from
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].clone())
        .collect();
    assert_eq!(names[..3], ["web.wat", "mine.wat", "requirements.txt"]);

    fs::write(folder.path().join("mine.wat"), "(module)").unwrap();
    assert!(matches!(
        build(&request).unwrap_err(),
        BuildError::Pack { .. }
    ));
}

#[test]
fn a_statement_about_other_bytes_is_not_taken() {
    let folder = folder();
    let built = build(&request(&folder, "web.wat")).unwrap();
    let error = attachments(&built.file, &"0".repeat(64)).unwrap_err();
    assert!(error.to_string().contains(&built.digest), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn what_can_not_be_is_named() {
    let folder = folder();
    let hinted = |request: &Request| {
        let error = build(request).unwrap_err();
        (
            error.to_string(),
            error.hint().unwrap_or_default().to_owned(),
        )
    };
    let mut asked = request(&folder, "web.wat");
    asked.namespace = Some("acme".into());
    assert!(hinted(&asked).0.contains("--namespace is for a crate"));

    let mut worldless = request(&folder, "web.wat");
    worldless.world = Some("baker-only".into());
    assert!(matches!(
        build(&worldless).unwrap_err(),
        BuildError::Pack { .. }
    ));

    fs::write(folder.path().join("component.toml"), "nmae = 'a:b'\n").unwrap();
    let (message, hint) = hinted(&request(&folder, "web.wat"));
    assert!(
        message.contains("nmae") && hint.contains("world"),
        "{message} {hint}"
    );

    fs::write(folder.path().join("component.toml"), "name = 'web'\n").unwrap();
    let mut named = request(&folder, "web.wat");
    named.world = Some("all-roles".into());
    assert!(hinted(&named).1.contains("acme:web-server"));

    fs::remove_file(folder.path().join("component.toml")).unwrap();
    assert!(
        hinted(&request(&folder, "web.wat"))
            .1
            .contains("--world builder-only")
    );
    fs::write(folder.path().join("package-lock.json"), "{}").unwrap();
    assert!(
        hinted(&request(&folder, "web.wat"))
            .1
            .contains("--no-attest")
    );
}
