//! What `component check` finds: a table of components, each wrong in its own way, and
//! several faults of one told at once.

use std::sync::LazyLock;

use darkroom_runtime::Runtime;
use darkroom_runtime::examine::{Finding, Level, Topic, examine};
use darkroom_runtime::pack::{self, Metadata, Recipe};

use crate::support::{all_roles, build, guest, impatient, runtime};

/// A component of these imports, exports and sections around nothing.
fn shell(parts: &str) -> Vec<u8> {
    wat::parse_str(format!("(component (instance $i) {parts})")).unwrap()
}

const DESCRIBED: &str = r#"(@custom "darkroom:description" "{\"summary\":\"s\",\"parameters\":{\"type\":\"object\"}}")"#;

fn with_description(text: &str) -> Vec<u8> {
    pack::finish(&all_roles(&RUNTIME), text, &[]).unwrap()
}

/// One runtime for the whole table.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(runtime);

fn wrong(bytes: &[u8]) -> Vec<Finding> {
    let mut findings = examine(&RUNTIME, bytes, "guest");
    findings.retain(|finding| finding.level == Level::Wrong);
    findings
}

fn has(findings: &[Finding], topic: Topic, words: &[&str]) {
    let found = findings
        .iter()
        .any(|one| one.topic == topic && words.iter().all(|word| told(one).contains(word)));
    assert!(found, "{topic:?} {words:?} is not in {findings:#?}");
}

fn told(finding: &Finding) -> String {
    format!(
        "{}\n{}",
        finding.message,
        finding.hint.as_deref().unwrap_or_default()
    )
}

#[test]
fn nothing_is_wrong_with_a_good_one_and_advice_is_no_fault() {
    let runtime = runtime();
    let bare = all_roles(&runtime);
    let findings = examine(&runtime, &bare, "guest");
    assert!(
        findings.iter().all(|one| one.level == Level::Advice),
        "{findings:#?}"
    );
    has(
        &findings,
        Topic::Metadata,
        &["no licence", "component.toml"],
    );

    let text = |text: &str| Some(text.to_owned());
    let recipe = Recipe {
        metadata: Metadata {
            name: text("acme:all"),
            version: text("1.0.0"),
            licence: text("MIT"),
            ..Metadata::default()
        },
        ..Recipe::default()
    };
    let packed = pack::package(&runtime, &bare, &recipe, "guest").unwrap();
    let findings = examine(&runtime, &packed, "guest");
    assert!(
        findings.iter().all(|one| one.topic == Topic::Description),
        "{findings:#?}"
    );
}

#[test]
fn each_fault_is_named_with_what_to_do() {
    let about = r#"(export "darkroom:component/about@0.1.0" (instance $i))"#;
    let builder = r#"(export "darkroom:component/builder@0.1.0" (instance $i))"#;
    let ours = format!("{about} {builder} {DESCRIBED}");
    let importing = |import: &str| shell(&format!("(import \"{import}\" (instance)) {ours}"));
    let cases: Vec<(Vec<u8>, Topic, &[&str])> = vec![
        (
            b"#!/bin/sh".to_vec(),
            Topic::File,
            &["not WebAssembly but text", "component build"],
        ),
        (b"\0asm\x0d\0\x01\0\x09".to_vec(), Topic::File, &["damaged"]),
        (
            wat::parse_str("(module)").unwrap(),
            Topic::File,
            &["core module", "component build"],
        ),
        (shell(builder), Topic::World, &["none of Darkroom"]),
        (shell(about), Topic::World, &["no role"]),
        (
            shell(&format!("{about} {builder}")),
            Topic::Description,
            &["no section"],
        ),
        (
            shell(&ours),
            Topic::World,
            &["about@0.1.0 has no function `describe`"],
        ),
        (
            shell(&ours),
            Topic::World,
            &["builder@0.1.0 has no function `build`"],
        ),
        (
            shell(&format!(
                r#"{ours} (export "darkroom:component/baker@0.1.0" (instance $i))"#
            )),
            Topic::World,
            &["baker", "contract doesn't have"],
        ),
        (
            shell(&format!(
                r#"{ours} (export "darkroom:component/tester@0.2.0" (instance $i))"#
            )),
            Topic::World,
            &["another contract", "tester@0.2.0"],
        ),
        (
            importing("wasi:http/types@0.2.0"),
            Topic::Imports,
            &["wasi:http", "--disable http"],
        ),
        (
            importing("wasi:keyvalue/store@0.2.0"),
            Topic::Imports,
            &["keyvalue", "--stub-wasi"],
        ),
        (
            importing("wasi:cli/stdin@0.3.0"),
            Topic::Imports,
            &["stdin@0.3.0", "wasm32-wasip2"],
        ),
        (
            importing("acme:db/query@1.0.0"),
            Topic::Imports,
            &["acme:db/query", "wac plug"],
        ),
        (
            importing("darkroom:component/clouds@0.1.3"),
            Topic::Imports,
            &["needs darkroom >= 0.1.3"],
        ),
        (
            shell(&format!(
                r#"(import "darkroom:component/steps@0.1.0" (instance
                  (export "timeout" (func (param "of" u32) (param "seconds" u64))))) {ours}"#
            )),
            Topic::Imports,
            &[
                "`timeout: func(of: u32, seconds: u64)`",
                "func(of: u32, seconds: u32)",
                "component wit",
            ],
        ),
        (
            shell(&format!(
                r#"(import "darkroom:component/steps@0.1.4" (instance
                  (export "shut-down" (func)))) {ours}"#
            )),
            Topic::Imports,
            &["needs darkroom >= 0.1.4", "shut-down"],
        ),
        (
            shell(&format!("{about} {builder} {DESCRIBED} {DESCRIBED}")),
            Topic::Description,
            &["darkroom:description` twice"],
        ),
        (
            shell(&format!(r#"{ours} (@custom "darkroom:assets" "\02")"#)),
            Topic::Assets,
            &["format 2", "update darkroom"],
        ),
        (
            shell(&format!(r#"{ours} (@custom "darkroom:contract" "0.1.9")"#)),
            Topic::Metadata,
            &["\"0.1.9\"", "of 0.1.0"],
        ),
        (
            shell(&format!(
                r#"{ours} (@custom "licenses" "Beerware 42!") (@custom "version" "one")"#
            )),
            Topic::Metadata,
            &["Beerware", "spdx.org"],
        ),
        (
            shell(&format!(
                "{ours} (core module (memory 65535) (table 600000 funcref))"
            )),
            Topic::Limits,
            &["4294901760 bytes of memory", "268435456 are allowed"],
        ),
        (
            shell(&format!(
                "{ours} (core module $m) {}",
                "(core instance (instantiate $m))".repeat(65)
            )),
            Topic::Limits,
            &["65 instances", "64 are allowed"],
        ),
        (
            with_description(r#"{"summary":" ","parameters":{"type":"object"}}"#),
            Topic::Description,
            &["`summary` is empty"],
        ),
        (
            with_description("[]"),
            Topic::Description,
            &["no JSON object"],
        ),
        (
            with_description(
                r#"{"summary":"s","parameters":{"type":"object"},"families":["debian"]}"#,
            ),
            Topic::Description,
            &["\"debian\"", "`linux`"],
        ),
        (
            with_description(r#"{"summary":"Other","parameters":{"type":"object"}}"#),
            Topic::Code,
            &["not what its code answers"],
        ),
    ];
    for (bytes, topic, words) in cases {
        has(&wrong(&bytes), topic, words);
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let findings = wrong(&shell(&format!(
        r#"(import "wasi:http/types@0.2.0" (instance)) (import "acme:db/query@1.0.0" (instance))
        (export "darkroom:component/baker@0.1.0" (instance $i))
        (core module (memory 65535)) (@custom "version" "one") (@custom "darkroom:assets" "\02")
        (@custom "darkroom:description" "{}")"#,
        r#"{\"summary\":\"\",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\",\"default\":\"x\"},\"b\":{\"type\":\"boolean\",\"secret\":true}}}}"#
    )));
    for (topic, words) in [
        (Topic::Imports, "wasi:http"),
        (Topic::Imports, "acme:db"),
        (Topic::World, "baker"),
        (Topic::World, "none of Darkroom"),
        (Topic::World, "no role"),
        (Topic::Limits, "memory"),
        (Topic::Metadata, "\"one\""),
        (Topic::Assets, "format 2"),
        (Topic::Description, "summary"),
        (Topic::Description, "\"a\""),
        (Topic::Description, "\"b\""),
    ] {
        has(&findings, topic, &[words]);
    }
    assert_eq!(findings.len(), 11, "{findings:#?}");
}

#[test]
fn what_only_running_shows_is_found_by_running() {
    let runtime = runtime();
    let describe =
        r#"(func (export "darkroom:component/about@0.1.0#describe") (result i32) unreachable)"#;
    let role =
        r#"(func (export "darkroom:component/builder@0.1.0#build") (result i32) (call $ok))"#;
    let module = pack::embed(guest(describe, role).as_bytes(), "builder-only").unwrap();
    let component = pack::encode(&module, None).unwrap();
    let description = r#"{"summary":"s","parameters":{"type":"object"}}"#;
    let lying = pack::finish(&component, description, &[]).unwrap();
    let findings = wrong(&lying);
    has(&findings, Topic::Code, &["about.describe", "unreachable"]);
    // And the process is unharmed.
    let module = pack::embed(build("(call $ok)").as_bytes(), "builder-only").unwrap();
    let good = pack::pack(&runtime, &module, &[], "guest").unwrap();
    assert_eq!(wrong(&good), []);
}

/// Foreign bytes never end the process: each flipped bit is a finding or a component, and
/// one that can still be packed can be looked at.
#[test]
fn damage_is_found_or_harmless() {
    let runtime = impatient();
    let whole = all_roles(&runtime);
    let mut found = 0;
    for round in 0..200_usize {
        // Spread over the file, and never the same twice.
        let at = round * 7919 % whole.len();
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (round % 8);
        if round % 10 == 0 {
            bytes.truncate(at);
        }
        let findings = examine(&runtime, &bytes, "damaged");
        let wrong = findings.iter().any(|one| one.level == Level::Wrong);
        found += usize::from(wrong);
        if !wrong {
            pack::look(&bytes, "damaged").unwrap();
        }
    }
    assert!(found > 50, "{found} of 200");
}
