//! The generated bindings are those of the contract, and nobody has edited them.
//!
//! Compares the digests at the head of `src/bindings.rs`; the generator itself takes a
//! minute to compile, so it runs only when this fails: `cargo run` in `generate/`.

use sha2::{Digest, Sha256};
use std::path::Path;

#[test]
fn bindings_are_those_of_the_contract() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let contract = std::fs::read_to_string(here.join("../../wit/component.wit")).unwrap();
    let bindings = std::fs::read_to_string(here.join("src/bindings.rs")).unwrap();
    let mut lines = bindings.splitn(4, '\n').skip(1);
    let hint = "run `cargo run` in sdk/rust/generate";
    assert_eq!(
        lines.next().unwrap(),
        format!("// contract: {}", hex(&contract)),
        "{hint}"
    );
    let digest = lines.next().unwrap();
    assert_eq!(
        digest,
        format!("// bindings: {}", hex(lines.next().unwrap())),
        "{hint}"
    );
}

fn hex(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}
