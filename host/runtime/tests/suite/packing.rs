//! Packing, its sections, and the cache of compiled code.

use std::os::unix::fs::PermissionsExt;

use darkroom_contract::Role;
use darkroom_runtime::pack::{Metadata, Recipe, Strip};
use darkroom_runtime::{Config, Runtime, pack};

use crate::support::{all_roles, build, first, runtime};

#[test]
fn sections_come_last_and_are_replaced() {
    let runtime = runtime();
    let once = all_roles(&runtime);
    let sections = pack::read_sections(&once).unwrap();
    assert!(sections.description.unwrap().contains("Serves a greeting"));
    assert!(sections.assets.is_empty());

    let files = vec![("site/index.html".to_owned(), b"<h1>".to_vec())];
    let twice = pack::pack(&runtime, &once, &files, "again").unwrap();
    assert!(twice.ends_with(b"<h1>"));
    let component = runtime.load(&twice, "again").unwrap();
    assert_eq!(component.asset("site/index.html").unwrap(), b"<h1>");
    assert_eq!(component.asset_names(), ["site/index.html"]);
    let back = pack::pack(&runtime, &twice, &[], "back").unwrap();
    assert_eq!(back, once);
}

#[test]
fn check_compares_the_section_with_the_answer() {
    let runtime = runtime();
    let packed = all_roles(&runtime);
    assert_eq!(
        pack::check(&runtime, &packed, "a").unwrap(),
        pack::Check::Same
    );
    let other = r#"{"summary":"Something else","parameters":{"type":"object"}}"#;
    let lying = pack::finish(&packed, other, &[]).unwrap();
    let found = pack::check(&runtime, &lying, "a").unwrap();
    let pack::Check::Differs { section, answer } = found else {
        panic!("it is the same");
    };
    assert_eq!(section, other);
    assert!(answer.contains("Serves a greeting"));
}

#[test]
fn preview_1_is_answered_by_the_null_adapter() {
    let text = build("(drop (call $write (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 64))) (call $ok)")
        .replace("(memory ", r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory "#);
    let module = pack::embed(text.as_bytes(), "builder-only").unwrap();
    let component = pack::encode(&module, None).unwrap();
    assert!(!component.windows(9).any(|part| part == b"wasi:cli/"));
    assert_eq!(pack::encode(&component, None).unwrap(), component);
    let runtime = runtime();
    let packed = pack::pack(&runtime, &module, &[], "guest").unwrap();
    runtime.load(&packed, "guest").unwrap();
}

/// What a package says of itself, with all of it given.
fn said() -> Metadata {
    let text = |text: &str| Some(text.to_owned());
    Metadata {
        name: text("acme:greeting"),
        version: text("1.2.3"),
        licence: text("Apache-2.0"),
        authors: text("Ann"),
        source: text("https://example.org/greeting"),
        ..Metadata::default()
    }
}

#[test]
fn a_package_is_made_of_a_bare_module_and_says_what_it_is() {
    let runtime = runtime();
    let text = build("(call $ok)").replace(
        "(module",
        r#"(module (@custom ".debug_info" "dwarf") (@custom "target_features" "left")"#,
    );
    let recipe = Recipe {
        world: Some("builder-only".into()),
        metadata: said(),
        files: Some(vec![("a".into(), b"asset".to_vec())]),
        ..Recipe::default()
    };
    let packed = pack::package(&runtime, text.as_bytes(), &recipe, "guest").unwrap();
    let seen = pack::look(&packed, "guest").unwrap();
    let whole = Metadata {
        description: Some("s".into()),
        contract: Some("0.1.0".into()),
        ..said()
    };
    assert_eq!(seen.metadata, whole);
    assert_eq!(seen.contract.as_deref(), Some("0.1.0"));
    assert_eq!(
        (&seen.roles[..], seen.assets.get("a")),
        (&[Role::Builder][..], Some(&b"asset"[..]))
    );
    assert_eq!(
        seen.digest,
        runtime.load(&packed, "guest").unwrap().digest()
    );
    let count = |bytes: &[u8], text: &str| {
        bytes
            .windows(text.len())
            .filter(|part| *part == text.as_bytes())
            .count()
    };
    assert_eq!((count(&packed, "dwarf"), count(&packed, "left")), (0, 0));

    // The same once more, of the same input and of itself.
    let again = pack::package(&runtime, text.as_bytes(), &recipe, "elsewhere").unwrap();
    assert_eq!(again, packed);
    let bare = Recipe::default();
    assert_eq!(
        pack::package(&runtime, &packed, &bare, "guest").unwrap(),
        packed
    );
    // What is given anew replaces what it said, and nothing is there twice.
    let newer = Recipe {
        metadata: Metadata {
            version: Some("2.0.0".into()),
            ..Metadata::default()
        },
        files: Some(Vec::new()),
        strip: Strip::Names,
        ..Recipe::default()
    };
    let newer = pack::package(&runtime, &packed, &newer, "guest").unwrap();
    let seen = pack::look(&newer, "guest").unwrap();
    assert_eq!(
        seen.metadata,
        Metadata {
            version: Some("2.0.0".into()),
            ..whole
        }
    );
    assert!(seen.assets.is_empty());
    assert_eq!((count(&newer, "1.2.3"), count(&newer, "licenses")), (0, 1));
    assert!(
        count(&packed, "ok") > count(&newer, "ok"),
        "names of functions went"
    );
    runtime.load(&newer, "guest").unwrap();
}

#[test]
fn a_package_is_refused_for_a_world_or_metadata_that_can_not_be() {
    let runtime = runtime();
    let packed = all_roles(&runtime);
    let refused = |recipe: Recipe| pack::package(&runtime, &packed, &recipe, "guest").unwrap_err();
    let error = refused(Recipe {
        world: Some("tester-only".into()),
        ..Recipe::default()
    });
    assert!(matches!(error, pack::PackError::WorldOfComponent(_)) && error.hint().is_some());
    let metadata = Metadata {
        name: Some("web".into()),
        version: Some("1".into()),
        ..said()
    };
    let error = refused(Recipe {
        metadata,
        ..Recipe::default()
    });
    let text = error.to_string();
    assert!(
        text.contains("`namespace:name`") && text.contains("semantic version"),
        "{text}"
    );
}

/// What the first release packed, before there was metadata, loads and is looked at.
#[test]
fn packages_without_metadata_run_for_ever() {
    let runtime = runtime();
    let packed = all_roles(&runtime);
    let seen = pack::look(&packed, "old").unwrap();
    assert_eq!(seen.metadata, Metadata::default());
    assert_eq!(
        (seen.roles.len(), seen.contract.as_deref()),
        (3, Some("0.1.0"))
    );
    runtime.load(&packed, "old").unwrap();
}

#[test]
fn inputs_that_can_not_be_packed_are_named() {
    let error = |bytes: &[u8]| pack::encode(bytes, None).unwrap_err();
    assert!(matches!(error(b"(module)"), pack::PackError::NoType));
    assert!(error(b"(module)").hint().is_some());
    assert!(matches!(
        error(b"hello"),
        pack::PackError::NotWebAssembly(_)
    ));
    let wrong = pack::embed(b"(module)", "baker-only").unwrap_err();
    assert!(wrong.to_string().contains("`baker-only`"), "{wrong}");
    assert!(matches!(
        pack::finish(b"\0asm\x01\0\0\0", "{}", &[]),
        Err(pack::PackError::CoreModule)
    ));
}

#[tokio::test]
async fn compiled_code_is_kept_and_reused() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache/cwasm");
    let config = || Config {
        cwasm_cache: Some(cache.clone()),
        ..Config::default()
    };
    let runtime = Runtime::new(config()).unwrap();
    let bytes = all_roles(&runtime);
    // Drafts of a process with our number, in another container.
    let number = std::process::id();
    let others: Vec<_> = (0..100)
        .map(|at| cache.join(format!("{number}-{at}.draft")))
        .collect();
    for other in &others {
        std::fs::write(other, b"of another").unwrap();
    }
    assert!(!runtime.load(&bytes, "a").unwrap().reused());
    for other in &others {
        assert_eq!(std::fs::read(other).unwrap(), b"of another");
    }
    assert!(runtime.load(&bytes, "a").unwrap().reused());
    let mode = std::fs::metadata(&cache).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);

    // In another process it would be the same; here another runtime stands for it.
    let second = Runtime::new(config()).unwrap();
    let component = second.load(&bytes, "a").unwrap();
    assert!(component.reused());
    second
        .call(&component, first(&component, Role::Builder))
        .await
        .unwrap();

    let digest = component.digest().to_owned();
    let kept: Vec<_> = std::fs::read_dir(&cache)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(&digest))
        .collect();
    assert_eq!(kept.len(), 1);
    // What wasmtime refuses is compiled anew, and replaced. (By renaming: the code of
    // living components is mapped from the file.)
    let other = cache.join("other");
    std::fs::write(&other, b"not compiled code").unwrap();
    std::fs::rename(&other, &kept[0]).unwrap();
    assert!(!second.load(&bytes, "a").unwrap().reused());
    assert!(second.load(&bytes, "a").unwrap().reused());

    // An open folder is closed, because what lies in it is executed.
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o777)).unwrap();
    Runtime::new(config()).unwrap();
    let mode = std::fs::metadata(&cache).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}
