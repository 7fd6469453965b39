//! `darkroom component` on files: build, check, inspect and the contract, with no compiler
//! on the machine.

use std::path::Path;

use serde_json::Value;
use wit_component::{DecodedWasm, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::desk::{Desk, Ran};

/// The module of all roles, as WebAssembly text.
fn module() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/all-roles.wat");
    std::fs::read_to_string(path).unwrap()
}

fn build(desk: &Desk, more: &[&str]) -> Ran {
    let words = [
        "component",
        "build",
        "web.wat",
        "--world",
        "all-roles",
        "--json",
    ];
    desk.run(&[&words, more].concat())
}

const NAMED: [&str; 6] = [
    "--name",
    "acme:web",
    "--version",
    "1.0.0",
    "--license",
    "MIT",
];

#[test]
fn a_module_is_built_checked_and_inspected() {
    let desk = Desk::new();
    desk.write("web.wat", &module());
    let built = build(&desk, &NAMED).expect(0).json().remove(0);
    assert_eq!(built["file"], "web.wasm");
    assert_eq!(built["metadata"]["name"], "acme:web");
    let bytes = std::fs::read(desk.at("web.wasm")).unwrap();
    assert_eq!(built["bytes"], bytes.len());

    let ran = desk.run(&["component", "check", "web.wasm"]).expect(0);
    assert!(ran.out.contains("nothing is wrong"), "{}", ran.out);
    let seen = desk
        .run(&["component", "inspect", "web.wasm"])
        .expect(0)
        .out;
    for said in [
        "acme:web 1.0.0: ",
        "licence   MIT",
        "contract  0.1.0",
        "imports   ",
        "built     ",
    ] {
        assert!(seen.contains(said), "{said}: {seen}");
    }
    let digest = built["digest"].as_str().unwrap();
    assert!(seen.contains(digest), "{seen}");

    // The same again, somewhere else.
    let other = Desk::new();
    other.write("web.wat", &module());
    assert_eq!(build(&other, &NAMED).expect(0).json()[0]["digest"], digest);
    let statement = |desk: &Desk| std::fs::read_to_string(desk.at("web.wasm.provenance.json"));
    assert_eq!(statement(&desk).unwrap(), statement(&other).unwrap());

    // A statement that is about other bytes is shown to nobody.
    build(&desk, &["--no-attest"]).expect(0);
    assert!(!desk.at("web.wasm.provenance.json").exists());
    std::fs::copy(
        other.at("web.wasm.provenance.json"),
        desk.at("web.wasm.provenance.json"),
    )
    .unwrap();
    let ran = desk.run(&["component", "inspect", "web.wasm"]).expect(2);
    assert!(ran.err.contains("another build"), "{}", ran.err);
}

/// `darkroom help json` says which keys there are.
#[test]
fn every_verb_has_the_documented_keys() {
    let desk = Desk::new();
    desk.write("web.wat", &module());
    let table = desk.run(&["help", "json"]).expect(0).out;
    let documented = |verb: &str| {
        // Long lists are wrapped; an empty line ends each.
        let at = table.lines().position(|line| line == verb).unwrap();
        let keys = table
            .lines()
            .skip(at + 2)
            .take_while(|line| !line.is_empty());
        let mut keys: Vec<_> = keys
            .flat_map(|line| line.trim().split(", "))
            .map(|key| key.trim_end_matches(','))
            .chain(["v"])
            .map(str::to_owned)
            .collect();
        keys.sort_unstable();
        keys
    };
    let words = |verb: &str| -> Vec<String> {
        let more = match verb {
            "build" => "web.wat --world all-roles",
            "wit" => "-o wit",
            _ => "web.wasm",
        };
        let words = format!("component {verb} {more} --json");
        words.split(' ').map(str::to_owned).collect()
    };
    for verb in ["build", "check", "inspect", "wit"] {
        let words = words(verb);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let told = desk.run(&words).expect(0).json().remove(0);
        let mut keys: Vec<_> = told.as_object().unwrap().keys().cloned().collect();
        keys.sort_unstable();
        assert_eq!(keys, documented(&format!("component {verb}")), "{verb}");
    }
}

#[test]
fn mistakes_on_the_command_line_are_named() {
    let desk = Desk::new();
    desk.write("web.wat", &module());
    let ran = build(&desk, &["--name", "web", "--version", "1"]).expect(4);
    let error = ran.json().pop().unwrap()["error"].to_string();
    assert!(
        error.contains("namespace:name") && error.contains("semantic version"),
        "{error}"
    );
    build(&desk, &["--namespace", "acme"]).expect(2);
    let ran = desk.run(&["component", "build", "web.wat"]).expect(4);
    assert!(ran.err.contains("--world builder-only"), "{}", ran.err);
    let ran = desk.run(&["component", "build", "missing.wasm"]).expect(2);
    assert!(
        ran.err.contains("there is no \"missing.wasm\""),
        "{}",
        ran.err
    );
}

#[test]
fn check_tells_all_that_is_wrong_and_ends_with_2() {
    let desk = Desk::new();
    desk.write("web.wat", &module());
    let checked = desk
        .run(&["component", "check", "web.wat", "--json"])
        .expect(2)
        .json();
    assert_eq!(checked[0]["same"], false);
    assert_eq!(checked[0]["findings"][0]["topic"], "file");

    let wrong =
        "(component (import \"wasi:http/types@0.2.0\" (instance)) (core module (memory 65535)))";
    std::fs::write(desk.at("bad.wasm"), wat(wrong)).unwrap();
    let ran = desk.run(&["component", "check", "bad.wasm"]).expect(2);
    for said in [
        "wrong: imports:",
        "--disable http",
        "wrong: limits:",
        "wrong: world:",
        "wrong: description:",
        "5 things are wrong",
    ] {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
    let ran = desk.run(&["component", "check", "missing.wasm"]).expect(2);
    assert!(ran.err.contains("can't be read"), "{}", ran.err);
}

/// WebAssembly text as the runtime's packer makes it binary.
fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// The contract that the program writes is the whole of what an author needs.
#[test]
fn a_guest_is_built_from_the_written_contract_alone() {
    let desk = Desk::new();
    let wrote = desk
        .run(&["component", "wit", "-o", "wit", "--json"])
        .expect(0)
        .json();
    assert_eq!(wrote[0]["package"], "darkroom:component@0.1.0");
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/component.wit");
    let text = std::fs::read(desk.at("wit/component.wit")).unwrap();
    assert_eq!(text, std::fs::read(ours).unwrap());

    // As generators of bindings do it: the folder, one of its worlds, its type in a module.
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(desk.at("wit")).unwrap();
    let world = resolve.select_world(&[package], Some("all-roles")).unwrap();
    let mut typed = wat(&module());
    embed_component_metadata(&mut typed, &resolve, world, StringEncoding::UTF8, true).unwrap();
    std::fs::write(desk.at("typed.wasm"), typed).unwrap();
    desk.run(&["component", "build", "typed.wasm", "-o", "guest.wasm"])
        .expect(0);
    desk.run(&["component", "check", "guest.wasm"]).expect(0);

    // And an own world, where the contract is one of its packages.
    let place = "own/deps/darkroom-component-0.1.0";
    desk.run(&["component", "wit", "-o", place]).expect(0);
    let world = "package acme:web;\nworld web { include darkroom:component/tester-only@0.1.0; }\n";
    std::fs::write(desk.at("own/web.wit"), world).unwrap();
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(desk.at("own")).unwrap();
    resolve.select_world(&[package], Some("web")).unwrap();

    // The package for registries is the same contract.
    desk.run(&["component", "wit", "--wasm", "-o", "contract.wasm"])
        .expect(0);
    let bytes = std::fs::read(desk.at("contract.wasm")).unwrap();
    let DecodedWasm::WitPackage(decoded, package) = wit_component::decode(&bytes).unwrap() else {
        panic!("it is no package");
    };
    let name = &decoded.packages[package].name;
    assert_eq!(name.to_string(), "darkroom:component@0.1.0");
    assert_eq!(decoded.packages[package].worlds.len(), 6);
    let told: Value = wrote[0].clone();
    assert_eq!(told["bytes"], text.len());
}
