//! Packages of a registry that is made for a test, of one host that answers anything: under
//! which name they are judged, who asks, and files that are no components.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

use darkroom_registry::layout::{self, Metadata};

use crate::desk::{Desk, Ran};

const KEY: &str = include_str!("../../../registry/tests/fixtures/cosign.pub");
/// Unsigned packages of anybody, but not of acme.
const POLICY: &str = "version: 1\nrules:\n  - package: 'acme:*'\n    keys: [acme.pub]\n    \
                      require: signed\n  - package: '*'\n    require: none\n";

/// A host that has some paths, for as long as the test runs, to anybody or to whoever has
/// a token.
fn serve(
    token: Option<&'static str>,
    paths: impl FnOnce(u16) -> BTreeMap<String, Vec<u8>>,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let paths = paths(port);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // Who goes away early is no matter.
            drop(answer(&stream.unwrap(), token, &paths));
        }
    });
    format!("localhost:{port}")
}

fn answer(
    mut stream: &TcpStream,
    token: Option<&str>,
    paths: &BTreeMap<String, Vec<u8>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut said = None;
    while let Some(line) = lines.next().transpose()?.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap_or_default();
        if name.eq_ignore_ascii_case("authorization") {
            said = Some(value.to_owned());
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let known = token.is_none_or(|token| said == Some(format!("Bearer {token}")));
    let (status, body) = match paths.get(path) {
        _ if !known && path.starts_with("/v2/") => ("401 Unauthorized", [].as_slice()),
        Some(body) => ("200 OK", body.as_slice()),
        None => ("404 Not Found", [].as_slice()),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    )?;
    stream.write_all(body)
}

/// A registry whose packages lie under a prefix, as its host says, with one at the place
/// of `acme:x`, which says that it is `named`.
fn registry(token: Option<&'static str>, named: &str, file: &[u8]) -> String {
    let metadata = Metadata::new(named.parse().unwrap(), "1.0.0".parse().unwrap());
    let built = layout::build(file, &metadata).unwrap();
    serve(token, |port| {
        let at = |path: &str| format!("/v2/acme-org/acme/x/{path}");
        let says = format!(
            "{{\"oci\":{{\"registry\":\"localhost:{port}\",\"namespacePrefix\":\"acme-org/\"}}}}"
        );
        let catalog = b"{\"repositories\":[\"acme-org/acme/x\"]}".to_vec();
        [
            ("/.well-known/wasm-pkg/registry.json".into(), says.into()),
            ("/v2/".into(), b"{}".to_vec()),
            ("/v2/_catalog?n=1000".into(), catalog),
            (at("tags/list"), b"{\"tags\":[\"1.0.0\"]}".to_vec()),
            (at("manifests/1.0.0"), built.manifest),
            (
                at(&format!("blobs/{}", built.component_digest)),
                file.to_vec(),
            ),
        ]
        .into()
    })
}

/// A desk at which wkg's configuration names the registry of `acme`.
fn desk(host: &str) -> Desk {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.at("home/.config/wasm-pkg")).unwrap();
    let wkg = format!("[namespace_registries]\nacme = \"{host}\"\n");
    desk.write("home/.config/wasm-pkg/config.toml", &wkg);
    desk
}

/// Pulls what says that it is `named`.
fn pull(named: &str, asked: &str) -> Ran {
    let host = registry(None, named, b"\0asm\x0d\0\x01\0");
    let desk = desk(&host);
    std::fs::create_dir_all(desk.at("home/.config/darkroom")).unwrap();
    desk.write("home/.config/darkroom/trust.yaml", POLICY);
    desk.write("home/.config/darkroom/acme.pub", KEY);
    let asked = asked.replace("HOST", &host);
    let ran = desk.run(&["component", "pull", &asked, "-o", "x.wasm"]);
    assert_eq!(
        desk.at("x.wasm").exists(),
        ran.code == Some(0),
        "{}",
        ran.err
    );
    ran
}

#[test]
fn a_package_is_judged_under_the_name_that_was_asked_for() {
    for asked in ["acme:x", "acme:x@1.0.0"] {
        let ran = pull("acme:x", asked).expect(2);
        assert!(ran.err.contains("fails the rule 'acme:*'"), "{}", ran.err);
    }
    // What calls itself otherwise isn't what was asked for, whatever the policy says.
    let ran = pull("free:x", "acme:x").expect(2);
    assert!(ran.err.contains("says that it is free:x"), "{}", ran.err);
    // By its place alone it is nobody's package.
    pull("acme:x", "HOST/acme-org/acme/x:1.0.0").expect(0);
}

#[test]
fn a_token_of_the_environment_is_sent_to_its_registry() {
    let host = registry(Some("of-the-environment"), "acme:x", b"\0asm\x0d\0\x01\0");
    let desk = desk(&host);
    let pull = ["component", "pull", "acme:x", "-o", "x.wasm"];
    desk.run(&pull).expect(3);
    let name = host.replace(':', "_").to_uppercase();
    let ran = desk
        .darkroom(&pull)
        .env(
            format!("WKG_REGISTRY_{name}_AUTH_BEARER"),
            "of-the-environment",
        )
        .output();
    Ran::of(ran.unwrap()).expect(0);
}

#[test]
fn a_registry_that_lists_nothing_ends_no_search() {
    let host = registry(None, "acme:x", b"\0asm\x0d\0\x01\0");
    let other = registry(Some("nobody has it"), "acme:x", b"");
    let desk = desk(&host);
    let mut words = vec!["component", "search", "x", "--registry", &other];
    let ran = desk.run(&words).expect(3);
    assert!(
        ran.err.contains("can't list the repositories"),
        "{}",
        ran.err
    );
    words.extend(["--registry", &host]);
    let ran = desk.run(&words).expect(0);
    assert!(ran.out.contains("acme:x"), "{}", ran.out);
    assert!(
        ran.err.contains("can't list the repositories"),
        "{}",
        ran.err
    );
}

#[test]
fn a_file_that_is_no_component_is_told_at_its_line() {
    for file in [b"#!/bin/sh\necho hello\n".as_slice(), b"\0asm\x01\0\0\0"] {
        let desk = desk(&registry(None, "acme:x", file));
        desk.write(
            "image.yaml",
            "name: x\nsource: { family: debian-12 }\nbuild:\n  - uses: acme:x@1\n",
        );
        for verb in ["validate", "build"] {
            let ran = desk.run(&[verb, "image.yaml"]).expect(2);
            assert!(ran.err.contains("image.yaml:4"), "{}", ran.err);
            assert!(ran.err.contains("component"), "{}", ran.err);
        }
    }
}
