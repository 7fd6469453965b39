//! Components that are wrong, hostile or broken: each ends in an error that names
//! what happened, and the next call in the same process is unharmed.

use darkroom_contract::{Ending, Fault, Role, Transcript};
use darkroom_runtime::{CallError, Config, Failure, Limits, LoadProblem, Runtime, pack};

use crate::support::{build, builder, done, first, guest, impatient, load, runtime, with};

/// Runs `build` once.
async fn run(runtime: &Runtime, body: &str) -> Result<Ending, CallError> {
    let component = load(runtime, &build(body));
    let ended = runtime
        .call(&component, first(&component, Role::Builder))
        .await?;
    Ok(ended.ending)
}

/// Runs a bad `build`, then a good one; answers the error.
async fn fails(body: &str) -> CallError {
    fails_in(&runtime(), body).await
}

async fn fails_in(runtime: &Runtime, body: &str) -> CallError {
    let error = run(runtime, body).await.unwrap_err();
    let good = run(runtime, "(drop (call $one)) (call $ok)").await;
    assert_eq!(good.unwrap(), Ending::Returned(Ok(())));
    assert_eq!(error.component(), "guest");
    assert_eq!(error.export(), "builder.build");
    assert_eq!(error.digest().len(), 64);
    let text = error.to_string();
    let start = format!("guest (sha256 {}), builder.build: ", &error.digest()[..12]);
    assert!(text.starts_with(&start), "{text}");
    error
}

#[tokio::test]
async fn a_loop_is_cut_off() {
    let error = fails_in(&impatient(), "(loop $l (br $l)) (call $ok)").await;
    assert!(matches!(error.failure(), Failure::OutOfTime(_)), "{error}");
    assert!(error.to_string().contains("did not end within 0.3 s"));
    assert!(error.to_string().contains("\n    at "), "{error}");
}

#[tokio::test]
async fn memory_is_limited() {
    // Page by page, as an allocator does, and then a bare `unreachable`.
    let body =
        "(loop $l (br_if $l (i32.ge_s (memory.grow (i32.const 16)) (i32.const 0)))) unreachable";
    let error = fails(body).await;
    assert_eq!(error.failure(), &Failure::OutOfMemory(256 << 20));
    // Four gigabytes at once.
    let body = "(if (i32.lt_s (memory.grow (i32.const 65534)) (i32.const 0)) (then unreachable)) (call $ok)";
    let error = fails(body).await;
    assert!(
        error
            .to_string()
            .contains("out of memory: 256 MiB are allowed"),
        "{error}"
    );
}

#[tokio::test]
async fn memory_that_is_declared_is_limited_too() {
    let runtime = runtime();
    let text = build("(call $ok)").replace(
        "(memory (export \"memory\") 2)",
        "(memory (export \"memory\") 65536)",
    );
    let module = pack::embed(text.as_bytes(), "builder-only").unwrap();
    let error = pack::pack(&runtime, &module, &[], "guest").unwrap_err();
    assert!(error.to_string().contains("out of memory"), "{error}");
}

#[tokio::test]
async fn tables_are_limited() {
    let runtime = runtime();
    let text = builder(
        r#"(table $t 1 funcref)
        (func (export "darkroom:component/builder@0.1.0#build") (result i32)
          (if (i32.lt_s (table.grow $t (ref.null func) (i32.const 100000000)) (i32.const 0))
            (then unreachable))
          (call $ok))"#,
    );
    let component = load(&runtime, &text);
    let call = first(&component, Role::Builder);
    let error = runtime.call(&component, call).await.unwrap_err();
    assert_eq!(error.failure(), &Failure::OutOfTable(500_000));
}

#[tokio::test]
async fn a_trap_names_the_place() {
    let error = fails(
        "(call $shell (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) drop (call $ok)",
    )
    .await;
    assert!(matches!(error.failure(), Failure::Fault(_)), "{error}");

    let runtime = runtime();
    let text = builder(
        r#"(func $deep (result i32) unreachable)
        (func (export "darkroom:component/builder@0.1.0#build") (result i32) (call $deep))"#,
    );
    let component = load(&runtime, &text);
    let call = first(&component, Role::Builder);
    let error = runtime.call(&component, call).await.unwrap_err();
    let Failure::Trapped(message) = error.failure() else {
        panic!("{error}");
    };
    assert!(message.contains("unreachable"), "{message}");
    assert!(
        error.backtrace()[0].starts_with("deep "),
        "{:?}",
        error.backtrace()
    );
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn recursion_is_stopped() {
    let runtime = runtime();
    let text = builder(
        r#"(func $down (param i64 i64 i64) (result i32)
          (i32.add (i32.const 1) (call $down (local.get 1) (local.get 2) (local.get 0))))
        (func (export "darkroom:component/builder@0.1.0#build") (result i32)
          (drop (call $down (i64.const 1) (i64.const 2) (i64.const 3))) (call $ok))"#,
    );
    let component = load(&runtime, &text);
    for _ in 0..2 {
        let call = first(&component, Role::Builder);
        let error = runtime.call(&component, call).await.unwrap_err();
        assert_eq!(error.failure(), &Failure::StackOverflow);
        assert!(error.backtrace().len() <= 17);
    }
}

#[tokio::test]
async fn garbage_is_named() {
    // A text that is not UTF-8: an error result whose text is two bytes 0xff.
    let body = "(i32.store8 (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const 64))
        (i32.store (i32.const 24) (i32.const 2)) (i32.store16 (i32.const 64) (i32.const 0xffff)) (i32.const 16)";
    let error = fails(body).await;
    assert!(matches!(error.failure(), Failure::Garbage(_)), "{error}");
    // A text beyond the end of the memory.
    let body =
        "(i32.store8 (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const -16))
        (i32.store (i32.const 24) (i32.const 32)) (i32.const 16)";
    let error = fails(body).await;
    assert!(matches!(error.failure(), Failure::Garbage(_)), "{error}");
    // A variant that the type doesn't have.
    let body = "(i32.store8 (i32.const 16) (i32.const 7)) (i32.const 16)";
    let error = fails(body).await;
    assert!(matches!(error.failure(), Failure::Garbage(_)), "{error}");
}

#[tokio::test]
async fn garbage_as_an_argument_is_named_with_its_place() {
    let error = fails(
        "(i32.store16 (i32.const 64) (i32.const 0xffff))
        (call $info (i32.const 64) (i32.const 2)) (call $ok)",
    )
    .await;
    let Failure::Trapped(message) = error.failure() else {
        panic!("{error}");
    };
    assert!(message.contains("utf-8"), "{message}");
    assert!(!error.backtrace().is_empty());
}

#[tokio::test]
async fn a_component_of_many_instances_is_not_started() {
    let runtime = Runtime::new(Config {
        limits: Limits {
            instances: 0,
            ..Limits::default()
        },
        ..Config::default()
    })
    .unwrap();
    let module = pack::embed(build("(call $ok)").as_bytes(), "builder-only").unwrap();
    let error = pack::pack(&runtime, &module, &[], "guest").unwrap_err();
    assert!(
        error.to_string().contains("it can't be started: "),
        "{error}"
    );
}

#[tokio::test]
async fn a_description_that_is_none_is_refused_when_packed() {
    let runtime = runtime();
    for (text, wanted) in [
        ("hello", "no JSON object"),
        ("{}", "missing field `summary`"),
        (r#"{"summary":"s","parameters":{}}"#, "type"),
        (
            r#"{"summary":"s","parameters":{"type":"object","properties":{"a":{"type":"strin"}}}}"#,
            "no JSON Schema",
        ),
    ] {
        let describe = format!(
            r#"(data (i32.const 0x100) "{}")
            (func (export "darkroom:component/about@0.1.0#describe") (result i32)
              (i32.store (i32.const 0) (i32.const 0x100))
              (i32.store (i32.const 4) (i32.const {}))
              (i32.const 0))"#,
            text.replace('"', "\\\""),
            text.len()
        );
        let build =
            r#"(func (export "darkroom:component/builder@0.1.0#build") (result i32) (call $ok))"#;
        let module = pack::embed(guest(&describe, build).as_bytes(), "builder-only").unwrap();
        let error = pack::pack(&runtime, &module, &[], "guest")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("about.describe: it returned garbage"),
            "{error}"
        );
        assert!(error.contains(wanted), "{error}");
    }
}

#[tokio::test]
async fn describe_calls_nothing() {
    let runtime = runtime();
    let describe = r#"(func (export "darkroom:component/about@0.1.0#describe") (result i32)
        (drop (call $one)) (i32.const 0))"#;
    let build =
        r#"(func (export "darkroom:component/builder@0.1.0#build") (result i32) (call $ok))"#;
    let module = pack::embed(guest(describe, build).as_bytes(), "builder-only").unwrap();
    let error = pack::pack(&runtime, &module, &[], "guest")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(r#"shell("one", "true"): `describe` must call no imported function"#),
        "{error}"
    );
}

#[tokio::test]
async fn too_many_bytes_at_once_are_refused() {
    // Four million exit codes, whose elements are read one by one.
    let body = "(drop (memory.grow (i32.const 300)))
        (call $codes (call $one) (i32.const 0) (i32.const 4000000)) (call $ok)";
    let error = fails(body).await;
    assert_eq!(error.failure(), &Failure::TooMuchCopied(8 << 20));
}

#[tokio::test]
async fn limits_of_the_contract_end_the_call() {
    let error = fails("(loop $l (drop (call $one)) (br $l)) (call $ok)").await;
    assert!(error.to_string().contains("more than 256 steps"), "{error}");

    let error = fails(
        "(local $s i32) (local.set $s (call $one))
        (loop $l (call $timeout (local.get $s) (i32.const 60)) (br $l)) (call $ok)",
    )
    .await;
    assert!(
        error.to_string().contains("more than 4096 refinements"),
        "{error}"
    );

    let error =
        fails("(loop $l (call $info (i32.const 0) (i32.const 65536)) (br $l)) (call $ok)").await;
    assert!(
        error
            .to_string()
            .contains("more than 262144 bytes of messages"),
        "{error}"
    );
    assert!(!error.messages().is_empty());

    // Reads of one byte of a step that has been answered.
    let runtime = runtime();
    let text = build("(local $s i32) (local.set $s (call $one))
        (loop $l (call $read (local.get $s) (i64.const 0) (i32.const 1) (i32.const 0)) (br $l)) (call $ok)");
    let component = load(&runtime, &text);
    let call = with(&component, Role::Builder, &[done("output")], None);
    let error = runtime.call(&component, call).await.unwrap_err();
    assert!(
        error.to_string().contains("more than 4096 questions"),
        "{error}"
    );

    let text = build(
        "(local $s i32) (local.set $s (call $one))
        (loop $l (call $read (local.get $s) (i64.const 0) (i32.const 1048576) (i32.const 0))
          (global.set $heap (i32.const 65536)) (br $l)) (call $ok)",
    );
    let component = load(&runtime, &text);
    let call = with(
        &component,
        Role::Builder,
        &[done(&"x".repeat(1 << 20))],
        None,
    );
    let error = runtime.call(&component, call).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("more than 4194304 bytes of answers"),
        "{error}"
    );
}

#[tokio::test]
async fn calls_that_make_no_sense_name_the_call_and_the_step() {
    for (body, wanted) in [
        // Refining a step that has been carried out: the question comes first.
        (
            "(local $s i32) (local.set $s (call $one)) (drop (call $succeeded (local.get $s)))
             (call $timeout (local.get $s) (i32.const 900)) (call $ok)",
            r#"timeout(0, 900): step 0 ("one") has been carried out"#,
        ),
        (
            "(call $mode (call $one) (i32.const 0x1ed)) (call $ok)",
            r#"mode(0, 493): step 0 ("one") is a script, not a file that is written or downloaded"#,
        ),
        (
            "(drop (call $one)) (call $timeout (i32.const 900) (i32.const 0)) (call $ok)",
            "timeout(900, 0): there is no step 900; the last one is 0",
        ),
        (
            "(call $timeout (call $one) (i32.const -1)) (call $ok)",
            "timeout(0, 4294967295): 4294967295 is out of range: seconds are 10 to 86400",
        ),
        // `n` is an integer, the function is for texts; `x` is nothing.
        (
            "(i32.store8 (i32.const 64) (i32.const 110)) (call $text (i32.const 64) (i32.const 1) (i32.const 0)) (call $ok)",
            r#"text("n"): the parameter "n" is of type integer, not string"#,
        ),
        (
            "(i32.store8 (i32.const 64) (i32.const 120)) (call $text (i32.const 64) (i32.const 1) (i32.const 0)) (call $ok)",
            r#"text("x"): the description declares no parameter "x"; there are "n" and "t""#,
        ),
        (
            "(call $publish (i32.const 0x40) (i32.const 3) (i32.const 0x43) (i32.const 3)) (call $ok)",
            r#"publish("one", "tru"): the value is no JSON text"#,
        ),
    ] {
        let runtime = runtime();
        let component = load(&runtime, &build(body));
        let call = with(&component, Role::Builder, &[done("")], None);
        let error = runtime
            .call(&component, call)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(wanted), "{error}\nwanted: {wanted}");
    }
}

#[tokio::test]
async fn an_error_text_is_not_a_failure() {
    let body =
        "(i32.store8 (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const 0x40))
        (i32.store (i32.const 24) (i32.const 3)) (i32.const 16)";
    let ending = run(&runtime(), body).await.unwrap();
    assert_eq!(ending, Ending::Returned(Err("one".into())));
}

#[tokio::test]
async fn a_repeated_call_that_differs_is_refused() {
    let runtime = runtime();
    // Asks, and then does as the output says: the answers are history, so that
    // another output at replay is what a component that rolls dice looks like.
    let text = build(
        "(local $s i32) (local.set $s (call $one)) (call $output (local.get $s) (i32.const 0))
         (if (i32.load (i32.const 4)) (then (call $timeout (call $one) (i32.const 60))))
         (call $ok)",
    );
    let component = load(&runtime, &text);
    let ended = |results: Vec<_>, previous| {
        let call = with(&component, Role::Builder, &results, previous);
        runtime.call(&component, call)
    };
    let suspended = ended(vec![], None).await.unwrap();
    let whole = ended(vec![done("x")], Some(suspended.transcript))
        .await
        .unwrap();
    assert_eq!(whole.transcript.0.len(), 4);

    let error = ended(vec![done("")], Some(whole.transcript.clone()))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains(
            r#"not deterministic: it ended after 2 calls, but call 3 was shell("one", "true")"#
        ),
        "{error}"
    );
    assert!(error.hint().is_some());

    let mut other = whole.transcript.0.clone();
    other[3].arguments[1] = 61.into();
    let error = ended(vec![done("x")], Some(Transcript(other)))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("not deterministic at call 4: was timeout(1, 61), is timeout(1, 60)"),
        "{error}"
    );
    assert!(matches!(
        error.failure(),
        Failure::Fault(Fault::NotDeterministic { call: 4, .. })
    ));
    // And the same once more, as it should be.
    ended(vec![done("x")], Some(whole.transcript))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_role_that_is_not_there_is_an_error() {
    let runtime = runtime();
    let component = load(&runtime, &build("(call $ok)"));
    assert_eq!(component.roles(), [Role::Builder]);
    let call = first(&component, Role::Tester);
    let error = runtime.call(&component, call).await.unwrap_err();
    assert_eq!(error.failure(), &Failure::NoRole);
}

#[test]
fn what_is_not_packed_or_newer_is_named() {
    let runtime = runtime();
    let module = pack::embed(build("(call $ok)").as_bytes(), "builder-only").unwrap();
    let problem = |bytes: &[u8]| runtime.load(bytes, "x.wasm").unwrap_err();
    assert_eq!(problem(&module).problem, LoadProblem::CoreModule);
    let component = pack::encode(&module, None).unwrap();
    let error = problem(&component);
    assert_eq!(error.problem, LoadProblem::NoDescription);
    assert!(error.to_string().starts_with("x.wasm: "), "{error}");
    assert!(error.hint().unwrap().contains("darkroom component build"));

    // A function that only a later contract has.
    let text = format!(
        r#"(component
            (import "darkroom:component/steps@0.1.4" (instance
              (export "shut-down" (func (param "name" string) (result u32)))))
            (instance $i)
            (export "darkroom:component/about@0.1.4" (instance $i))
            (export "darkroom:component/builder@0.1.4" (instance $i))
            (@custom "darkroom:description" "{}"))"#,
        r#"{\"summary\":\"s\",\"parameters\":{\"type\":\"object\"}}"#
    );
    let error = problem(&wat::parse_str(text).unwrap()).to_string();
    assert!(
        error.contains("needs darkroom >= 0.1.4") && error.contains("steps@0.1.4#shut-down"),
        "{error}"
    );
    let http = r#"(component (import "wasi:http/types@0.2.0" (instance)) (instance $i)
        (export "darkroom:component/about@0.1.0" (instance $i))
        (export "darkroom:component/builder@0.1.0" (instance $i)))"#;
    let error = problem(&wat::parse_str(http).unwrap());
    assert!(matches!(error.problem, LoadProblem::Http { .. }), "{error}");
}
