//! Components of a few lines, as WebAssembly text, packed to be used by path.
//!
//! Their bodies call `$one` (a script `true` by the name `one`), `$shell`, `$output`,
//! `$write` and `$timeout`, and leave the address of their result: `(call $ok)`.

use darkroom_runtime::{Config, Runtime, pack};

/// A packed builder with this body of `build`.
pub(crate) fn builder(body: &str) -> Vec<u8> {
    packed(&format!(
        r#"(func (export "darkroom:component/builder@0.1.0#build") (result i32) {body})"#
    ))
}

/// A packed builder of these functions, one of which is `build`.
pub(crate) fn packed(functions: &str) -> Vec<u8> {
    let runtime = Runtime::new(Config::default()).unwrap();
    let module = pack::embed(text(functions).as_bytes(), "builder-only").unwrap();
    pack::pack(&runtime, &module, &[], "guest").unwrap()
}

/// A builder whose memory is this many pages from the beginning. It can't be packed as
/// others are, because that calls it; what `describe` would say is put in by hand.
pub(crate) fn with_pages(pages: u32) -> Vec<u8> {
    let build =
        r#"(func (export "darkroom:component/builder@0.1.0#build") (result i32) (call $ok))"#;
    let memory = format!("(memory (export \"memory\") {pages})");
    let text = text(build).replace("(memory (export \"memory\") 2)", &memory);
    let module = pack::embed(text.as_bytes(), "builder-only").unwrap();
    let component = pack::encode(&module, None).unwrap();
    pack::finish(&component, DESCRIPTION, &[]).unwrap()
}

/// What they say of themselves.
const DESCRIPTION: &str = r#"{"summary":"s","parameters":{"type":"object","properties":{}}}"#;

/// The core module, not packed.
pub(crate) fn text(functions: &str) -> String {
    format!(
        r#"(module
        (import "darkroom:component/steps@0.1.0" "shell" (func $shell (param i32 i32 i32 i32) (result i32)))
        (import "darkroom:component/steps@0.1.0" "write" (func $write (param i32 i32 i32 i32 i32 i32) (result i32)))
        (import "darkroom:component/steps@0.1.0" "timeout" (func $timeout (param i32 i32)))
        (import "darkroom:component/steps@0.1.0" "output" (func $output (param i32 i32)))
        (memory (export "memory") 2)
        (global $heap (mut i32) (i32.const 65536))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
          (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
          (global.set $heap (i32.add (local.get $at) (local.get 3)))
          (if (i32.gt_u (global.get $heap) (i32.shl (memory.size) (i32.const 16)))
            (then (if (i32.lt_s (memory.grow (i32.add (i32.const 1)
                (i32.shr_u (local.get 3) (i32.const 16)))) (i32.const 0))
              (then (unreachable)))))
          (local.get $at))
        (func $ok (result i32) (i32.store8 (i32.const 16) (i32.const 0)) (i32.const 16))
        (data (i32.const 0x40) "onetrue")
        (func $one (result i32)
          (call $shell (i32.const 0x40) (i32.const 3) (i32.const 0x43) (i32.const 4)))
        (data (i32.const 0x100) "{{\"summary\":\"s\",\"parameters\":{{\"type\":\"object\",\"properties\":{{}}}}}}")
        (func (export "darkroom:component/about@0.1.0#describe") (result i32)
          (i32.store (i32.const 0) (i32.const 0x100))
          (i32.store (i32.const 4) (i32.const 62))
          (i32.const 0))
        {functions})"#
    )
}
