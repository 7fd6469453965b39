//! `darkroom component pull NAME` where the namespace's host says that its packages lie
//! elsewhere, under a prefix: the policy judges them under the name that was asked for.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

use darkroom_registry::layout::{self, Metadata};

use crate::desk::{Desk, Ran};

const KEY: &str = include_str!("../../../registry/tests/fixtures/cosign.pub");
/// Unsigned packages of anybody, but not of acme.
const POLICY: &str = "version: 1\nrules:\n  - package: 'acme:*'\n    keys: [acme.pub]\n    \
                      require: signed\n  - package: '*'\n    require: none\n";

/// A host that has some paths, for as long as the test runs.
fn serve(paths: impl FnOnce(u16) -> BTreeMap<String, Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let paths = paths(port);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // Who goes away early is no matter.
            drop(answer(&stream.unwrap(), &paths));
        }
    });
    format!("localhost:{port}")
}

fn answer(mut stream: &TcpStream, paths: &BTreeMap<String, Vec<u8>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let path = first.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match paths.get(path) {
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

/// A package that says it is `named`, where `acme:x` is found.
fn pull(named: &str, asked: &str) -> Ran {
    let component = b"\0asm\x0d\0\x01\0".to_vec();
    let metadata = Metadata::new(named.parse().unwrap(), "1.0.0".parse().unwrap());
    let built = layout::build(&component, &metadata).unwrap();
    let host = serve(|port| {
        let at = |path: &str| format!("/v2/acme-org/acme/x/{path}");
        let says = format!(
            "{{\"oci\":{{\"registry\":\"localhost:{port}\",\"namespacePrefix\":\"acme-org/\"}}}}"
        );
        [
            (
                "/.well-known/wasm-pkg/registry.json".to_owned(),
                says.into_bytes(),
            ),
            ("/v2/".to_owned(), b"{}".to_vec()),
            (at("tags/list"), b"{\"tags\":[\"1.0.0\"]}".to_vec()),
            (at("manifests/1.0.0"), built.manifest),
            (at(&format!("blobs/{}", built.component_digest)), component),
        ]
        .into()
    });
    let desk = Desk::new();
    std::fs::create_dir_all(desk.at("home/.config/darkroom")).unwrap();
    desk.write("home/.config/darkroom/trust.yaml", POLICY);
    desk.write("home/.config/darkroom/acme.pub", KEY);
    let wkg = desk.write(
        "wkg.toml",
        &format!("[namespace_registries]\nacme = \"{host}\"\n"),
    );
    let asked = asked.replace("HOST", &host);
    let mut command = desk.darkroom(&["component", "pull", &asked, "-o", "x.wasm"]);
    let ran = Ran::of(command.env("WKG_CONFIG_FILE", wkg).output().unwrap());
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
