//! Components for tests, packed from WebAssembly text.

use std::path::Path;

use darkroom_runtime::{Runtime, pack};

/// The folder of guest sources.
pub fn sources() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/guests"))
}

/// `guests/all-roles.wat`, packed.
pub fn all_roles(runtime: &Runtime) -> Vec<u8> {
    let text = std::fs::read(sources().join("all-roles.wat")).unwrap();
    let module = pack::embed(&text, "all-roles").unwrap();
    pack::pack(runtime, &module, &[], "all-roles").unwrap()
}

/// The same, but its builder traps.
pub fn trapping(runtime: &Runtime) -> Vec<u8> {
    let text = std::fs::read_to_string(sources().join("all-roles.wat")).unwrap();
    let begin = "(local.set $look (call $shell";
    assert!(text.contains(begin));
    let text = text.replacen(begin, &format!("(unreachable) {begin}"), 1);
    let module = pack::embed(text.as_bytes(), "all-roles").unwrap();
    pack::pack(runtime, &module, &[], "trapping").unwrap()
}

/// A folder of system components that all are `all-roles`: enough for every stage.
pub fn system_folder(runtime: &Runtime, folder: &Path) {
    let bytes = all_roles(runtime);
    std::fs::create_dir_all(folder).unwrap();
    for name in ["generalize", "linux", "all-roles"] {
        std::fs::write(folder.join(format!("{name}.wasm")), &bytes).unwrap();
    }
}
