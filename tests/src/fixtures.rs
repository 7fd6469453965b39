//! The conformance component of each language, compiled once and kept: components of the
//! first release, which must run for ever.
//!
//! They are never made anew by a test run; `make fixtures` does that from the sources in
//! `tests/guests`, and whoever runs it compares what changed.

use std::path::{Path, PathBuf};

use darkroom_runtime::{Component, Runtime, pack};

/// The languages, in the order of `tests/guests/build`. `rust-wasip2` is the Rust source
/// again, compiled for `wasm32-wasip2` with its WASI imports.
pub const LANGUAGES: [&str; 6] = ["rust", "rust-wasip2", "javascript", "python", "go", "c"];

/// The one asset of each.
pub const ASSET: (&str, &str) = ("note.txt", "a note\n");

/// How hard Python's 18 MB are pressed.
const LEVEL: i32 = 19;

/// The kept component of a language.
pub fn kept(language: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/components");
    folder.join(format!("{language}.wasm.zst"))
}

/// The bytes of the kept component of a language.
pub fn bytes(language: &str) -> Vec<u8> {
    let file = std::fs::File::open(kept(language)).unwrap();
    zstd::decode_all(file).unwrap()
}

/// The kept component of a language, loaded.
pub fn load(runtime: &Runtime, language: &str) -> Component {
    runtime.load(&bytes(language), language).unwrap()
}

/// What a stock toolchain made, packed: described, with its asset.
pub fn packed(runtime: &Runtime, made: &Path, language: &str) -> Vec<u8> {
    let (name, text) = ASSET;
    let assets = [(name.to_owned(), text.as_bytes().to_vec())];
    pack::pack(runtime, &std::fs::read(made).unwrap(), &assets, language).unwrap()
}

/// Keeps a packed component.
pub fn keep(language: &str, packed: &[u8]) {
    let path = kept(language);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, zstd::encode_all(packed, LEVEL).unwrap()).unwrap();
}
