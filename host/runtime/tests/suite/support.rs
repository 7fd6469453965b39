//! What the tests of the runtime share: a runtime with short limits, packing of
//! WebAssembly text, calls that are carried out by scripted results.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use darkroom_contract::{Ended, Ending, History, Machine, Role, StepResult, Transcript};
use darkroom_runtime::{Call, CallError, Component, Config, Limits, Runtime, pack};
use serde_json::{Map, Value};

/// A runtime as it is by default.
pub fn runtime() -> Runtime {
    Runtime::new(Config::default()).unwrap()
}

/// A runtime whose patience is soon at its end.
pub fn impatient() -> Runtime {
    Runtime::new(Config {
        limits: Limits {
            wall_time: Duration::from_millis(300),
            ..Limits::default()
        },
        ..Config::default()
    })
    .unwrap()
}

/// The component of `tests/guests/all-roles.wat`, packed.
pub fn all_roles(runtime: &Runtime) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/all-roles.wat");
    let module = pack::embed(&std::fs::read(path).unwrap(), "all-roles").unwrap();
    pack::pack(runtime, &module, &[], "all-roles").unwrap()
}

/// A builder whose core module has these imports, functions and body of `build`;
/// `describe` is the usual one. Texts are put at their addresses by `data`.
pub fn builder(rest: &str) -> String {
    guest(
        r#"(data (i32.const 0x100) "{\"summary\":\"s\",\"parameters\":{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\",\"default\":3},\"t\":{\"type\":\"string\"}}}}")
        (func (export "darkroom:component/about@0.1.0#describe") (result i32)
          (i32.store (i32.const 0) (i32.const 0x100))
          (i32.store (i32.const 4) (i32.const 118))
          (i32.const 0))"#,
        rest,
    )
}

/// A builder with its own `describe`.
pub fn guest(describe: &str, rest: &str) -> String {
    format!(
        r#"(module
        (import "darkroom:component/steps@0.1.0" "shell" (func $shell (param i32 i32 i32 i32) (result i32)))
        (import "darkroom:component/steps@0.1.0" "timeout" (func $timeout (param i32 i32)))
        (import "darkroom:component/steps@0.1.0" "mode" (func $mode (param i32 i32)))
        (import "darkroom:component/steps@0.1.0" "succeeded" (func $succeeded (param i32) (result i32)))
        (import "darkroom:component/steps@0.1.0" "output" (func $output (param i32 i32)))
        (import "darkroom:component/steps@0.1.0" "read" (func $read (param i32 i64 i32 i32)))
        (import "darkroom:component/steps@0.1.0" "expect-exit-codes" (func $codes (param i32 i32 i32)))
        (import "darkroom:component/inputs@0.1.0" "text" (func $text (param i32 i32 i32)))
        (import "darkroom:component/report@0.1.0" "info" (func $info (param i32 i32)))
        (import "darkroom:component/report@0.1.0" "publish" (func $publish (param i32 i32 i32 i32)))
        (memory (export "memory") 2)
        (global $heap (mut i32) (i32.const 65536))
        (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
          (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
          (global.set $heap (i32.add (local.get $at) (local.get 3)))
          (if (i32.gt_u (global.get $heap) (i32.shl (memory.size) (i32.const 16)))
            (then (if (i32.lt_s (memory.grow (i32.add (i32.const 1)
                (i32.shr_u (local.get 3) (i32.const 16)))) (i32.const 0))
              (then (unreachable)))))
          (local.get $at))
        (func $ok (result i32) (i32.store8 (i32.const 16) (i32.const 0)) (i32.const 16))
        ;; A script `true` by the name `one`.
        (data (i32.const 0x40) "onetrue")
        (func $one (result i32)
          (call $shell (i32.const 0x40) (i32.const 3) (i32.const 0x43) (i32.const 4)))
        {describe}
        {rest})"#
    )
}

/// A `build` of this body, which leaves the address of its result.
pub fn build(body: &str) -> String {
    builder(&format!(
        r#"(func (export "darkroom:component/builder@0.1.0#build") (result i32) {body})"#
    ))
}

/// Packs and loads text for the world `builder-only`.
pub fn load(runtime: &Runtime, text: &str) -> Component {
    let module = pack::embed(text.as_bytes(), "builder-only").unwrap();
    let packed = pack::pack(runtime, &module, &[], "guest").unwrap();
    runtime.load(&packed, "guest").unwrap()
}

/// A call of a role with nothing known.
pub fn first(component: &Component, role: Role) -> Call {
    with(component, role, &[], None)
}

/// A call after these results.
pub fn with(
    component: &Component,
    role: Role,
    results: &[StepResult],
    previous: Option<Transcript>,
) -> Call {
    Call {
        role,
        inputs: component.description().inputs(&Map::new()).unwrap(),
        machine: Machine::default(),
        history: Arc::new(History {
            results: results.to_vec(),
        }),
        previous,
    }
}

/// A step that succeeded with this output.
pub fn done(output: &str) -> StepResult {
    StepResult {
        succeeded: true,
        exit_code: 0,
        output_tail: output.into(),
        size: output.len() as u64,
        content: Some(Arc::new(output.as_bytes().to_vec())),
    }
}

/// Calls again and again, as an engine does, with results by the names of steps
/// (others succeed mutely), until the role returns. Answers the end and how many
/// calls it took.
pub async fn drive(
    runtime: &Runtime,
    component: &Component,
    role: Role,
    arguments: &Map<String, Value>,
    results: &HashMap<&str, StepResult>,
) -> (Result<Ended, CallError>, usize) {
    let mut history = History::default();
    let mut previous = None;
    let mut calls = 0;
    loop {
        calls += 1;
        let mut call = with(component, role, &history.results, previous.take());
        call.inputs = component.description().inputs(arguments).unwrap();
        let ended = match runtime.call(component, call).await {
            Ok(ended) => ended,
            Err(error) => return (Err(error), calls),
        };
        if matches!(ended.ending, Ending::Returned(_)) {
            return (Ok(ended), calls);
        }
        for step in &ended.steps[history.results.len()..] {
            let result = results.get(step.name.as_str()).cloned();
            history.results.push(result.unwrap_or_else(|| done("")));
        }
        previous = Some(ended.transcript);
    }
}

/// The transcript as lines.
pub fn lines(transcript: &Transcript) -> Vec<String> {
    transcript.0.iter().map(ToString::to_string).collect()
}
