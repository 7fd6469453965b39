//! Builds of real crates: a crate without the SDK would not be a component. They share
//! cargo's folder with the system components, so that the SDK is compiled once, and take
//! turns, because cargo puts modules of one name into one place.

use super::*;
use crate::component::attest;
use crate::component::inspect::{check, inspect};
use darkroom_contract::{Ended, Ending, Machine, Role};
use darkroom_runtime::examine::Topic;
use darkroom_runtime::{Call, CallError, Config, Runtime, pack};
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

const SOURCE: &str = r#"
    use darkroom::*;
    struct Hello;
    impl About for Hello {
        fn describe() -> Description {
            Description::new("Says hello")
                .parameter(Parameter::texts("to", "Whom").required())
                .parameter(Parameter::text("key", "Hidden").secret())
                .volatile()
        }
    }
    impl Builder for Hello {
        fn build() -> Result<(), String> {
            let whom = inputs::texts("to");
            assert!(!whom.is_empty(), "nobody to greet");
            write_asset("page", "/page", "page.html").mode(0o600);
            shell("look", "true").environment("WHOM", whom.join("\n")).output();
            Ok(())
        }
    }
    component!(Hello: builder);
"#;

impl Request {
    /// Everything as it is by default.
    pub(crate) fn of(path: PathBuf) -> Self {
        Self {
            path,
            output: Output::Beside,
            target_dir: None,
            says: Metadata::default(),
            namespace: None,
            world: None,
            adapter: None,
            assets: None,
            strip: Strip::default(),
            attest: true,
            epoch: None,
        }
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A crate `hello` in a folder of its own.
fn hello() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let sdk = repository().join("sdk/rust").canonicalize().unwrap();
    fs::create_dir_all(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("src/lib.rs"), SOURCE).unwrap();
    let manifest = format!(
        "[package]\nname = \"hel-lo\"\nversion = \"1.2.3\"\nedition = \"2024\"\n[workspace]\n\
         [lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\ndarkroom = {{ path = {sdk:?} }}\n"
    );
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    // The versions that are known to be had.
    fs::copy(
        repository().join("components/Cargo.lock"),
        folder.path().join("Cargo.lock"),
    )
    .unwrap();
    folder
}

fn request(folder: &TempDir) -> Request {
    Request {
        target_dir: Some(repository().join("target/guests")),
        ..Request::of(folder.path().to_owned())
    }
}

/// Held by each test that compiles.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(request: &Request) -> Result<Vec<Built>, BuildError> {
    build(request, &Tools::from_environment(), &|_| {})
}

#[test]
fn a_crate_becomes_a_component_once() {
    let _turn = turn();
    let folder = hello();
    fs::create_dir(folder.path().join("assets")).unwrap();
    fs::write(folder.path().join("assets/page.html"), "hello").unwrap();
    let request = request(&folder);
    let first = run(&request).unwrap().remove(0);
    assert_eq!(
        (&*first.name, &first.file, first.fresh),
        ("hel-lo", &folder.path().join("hel-lo.wasm"), false)
    );

    // Nothing has changed: nothing is written.
    let written = fs::metadata(&first.file).unwrap().modified().unwrap();
    let second = run(&request).unwrap().remove(0);
    assert_eq!(
        second,
        Built {
            fresh: true,
            ..first.clone()
        }
    );
    assert_eq!(
        fs::metadata(&first.file).unwrap().modified().unwrap(),
        written
    );

    let seen = inspect(&first.file).unwrap();
    assert_eq!(
        (seen.package.as_deref(), seen.version.as_deref()),
        (Some("hel-lo"), Some("1.2.3"))
    );
    assert_eq!(
        (&*seen.summary, &seen.roles[..], seen.volatile),
        ("Says hello", &[Role::Builder][..], true)
    );
    assert_eq!(
        (&*seen.assets[0].name, seen.assets[0].bytes),
        ("page.html", 5)
    );
    let lines: Vec<_> = seen
        .parameter_lines()
        .into_iter()
        .map(|line| (line.name, line.kind, line.notes))
        .collect();
    let line =
        |name: &str, kind: &str, notes: &str| (name.to_owned(), kind.to_owned(), notes.to_owned());
    assert_eq!(
        lines,
        [
            line("to", "list of string", "required"),
            line("key", "string", "secret")
        ]
    );
    assert!(check(&first.file, None).unwrap().same);

    // Another asset, another component; the same code.
    fs::write(folder.path().join("assets/page.html"), "goodbye").unwrap();
    let third = run(&request).unwrap().remove(0);
    assert!(!third.fresh && third.digest != first.digest);

    // A description that the code does not give is found out.
    let bytes = fs::read(&third.file).unwrap();
    let other = seen_description(&bytes).replace("Says hello", "Says nothing");
    let forged = pack::finish(&bytes, &other, &[]).unwrap();
    fs::write(&third.file, forged).unwrap();
    let examined = check(&third.file, None).unwrap();
    assert!(!examined.same);
    let wrong = examined
        .findings
        .iter()
        .find(|one| one.topic == Topic::Code);
    assert!(wrong.unwrap().message.contains(&other), "{wrong:?}");
    // And a changed output is made anew.
    assert_eq!(run(&request).unwrap().remove(0), third);
}

/// A panic of the crate's own and what a package brings name files; none of this machine.
#[test]
fn the_same_sources_in_two_folders_give_the_same_bytes() {
    let _turn = turn();
    let (one, other) = (hello(), hello());
    let packages: Vec<_> = [&one, &other]
        .map(|folder| {
            fs::create_dir(folder.path().join("assets")).unwrap();
            fs::write(folder.path().join("assets/page.html"), "hello").unwrap();
            let built = run(&request(folder)).unwrap().remove(0);
            let mut files = vec![fs::read(&built.file).unwrap()];
            let attached = attest::attachments(&built.file, &built.digest).unwrap();
            assert_eq!(attached.len(), 2);
            files.extend(attached.into_iter().map(|one| one.bytes));
            files
        })
        .into_iter()
        .collect();
    assert!(packages[0] == packages[1], "the bytes differ");
    let home = Tools::from_environment().cargo_home.unwrap();
    for foreign in [one.path(), &repository().canonicalize().unwrap(), &home] {
        let foreign = foreign.to_str().unwrap();
        for file in &packages[0] {
            let found = file
                .windows(foreign.len())
                .any(|part| part == foreign.as_bytes());
            assert!(!found, "{foreign} is in it");
        }
    }
}

#[test]
fn a_crate_says_what_its_package_is_and_what_is_in_it() {
    let _turn = turn();
    let folder = hello();
    let manifest = folder.path().join("Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let more = "version = \"1.2.3\"\nlicense = \"MIT/Apache-2.0\"\nauthors = [\"Ann\"]\n\
                description = \"Greets\"\nrepository = \"https://example.org/hello\"";
    fs::write(&manifest, text.replace("version = \"1.2.3\"", more)).unwrap();
    let mut request = request(&folder);
    request.namespace = Some("acme".into());
    let built = run(&request).unwrap().remove(0);
    assert!(built.before > 10_000 && !built.fresh);
    let seen = inspect(&built.file).unwrap();
    let says = seen.metadata;
    assert_eq!(says.name.as_deref(), Some("acme:hel-lo"));
    assert_eq!(says.version.as_deref(), Some("1.2.3"));
    assert_eq!(says.licence.as_deref(), Some("MIT OR Apache-2.0"));
    assert_eq!(says.description.as_deref(), Some("Greets"));
    assert_eq!(says.source.as_deref(), Some("https://example.org/hello"));

    let attached = attest::attachments(&built.file, &built.digest).unwrap();
    let json =
        |at: usize| -> serde_json::Value { serde_json::from_slice(&attached[at].bytes).unwrap() };
    let components = json(0)["components"].as_array().unwrap().clone();
    let names: Vec<_> = components
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    // Neither macros nor what the SDK's own tests use.
    assert_eq!(names, ["darkroom", "wit-bindgen"]);
    assert_eq!(
        components[1]["hashes"][0]["content"]
            .as_str()
            .unwrap()
            .len(),
        64
    );
    let statement = json(1);
    let definition = &statement["predicate"]["buildDefinition"];
    assert_eq!(definition["externalParameters"]["crate"], "hel-lo");
    let rustc = definition["internalParameters"]["rustc"].as_str().unwrap();
    assert!(rustc.starts_with("rustc 1."), "{rustc}");
    assert_eq!(definition["resolvedDependencies"][0]["name"], "Cargo.lock");

    // Another name, another package of the same module; and back without compiling.
    request.says.name = Some("other:name".into());
    let renamed = run(&request).unwrap().remove(0);
    assert!(!renamed.fresh && renamed.digest != built.digest);
    let error = refuse_for_several(&request, 2).unwrap_err();
    assert!(
        matches!(error, BuildError::OneOnly { flag: "--name", .. }),
        "{error}"
    );
}

/// What a call of the builder comes to, with an empty history.
fn call(file: &Path, to: &[&str]) -> Result<Ended, CallError> {
    let runtime = Runtime::new(Config::default()).unwrap();
    let component = runtime.load(&fs::read(file).unwrap(), "hello").unwrap();
    let arguments = serde_json::json!({ "to": to });
    let inputs = component
        .description()
        .inputs(arguments.as_object().unwrap())
        .unwrap();
    let call = Call {
        role: Role::Builder,
        inputs,
        machine: Machine::default(),
        history: Arc::default(),
        previous: None,
    };
    let runs = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runs.block_on(runtime.call(&component, call))
}

#[test]
fn a_component_of_the_sdk_runs_and_its_panic_is_heard() {
    let _turn = turn();
    let folder = hello();
    fs::create_dir(folder.path().join("assets")).unwrap();
    fs::write(folder.path().join("assets/page.html"), "hello").unwrap();
    let file = run(&request(&folder)).unwrap().remove(0).file;
    let ended = call(&file, &["Ann", "Bob"]).unwrap();
    assert!(matches!(ended.ending, Ending::Suspended { .. }));
    assert_eq!(ended.steps[0].mode, Some(0o600));
    assert_eq!(
        ended.steps[1].environment,
        [("WHOM".to_owned(), "Ann\nBob".to_owned())]
    );

    let error = call(&file, &[]).unwrap_err();
    let heard: Vec<_> = error
        .messages()
        .iter()
        .map(|message| &*message.text)
        .collect();
    assert!(
        heard[0].contains("the component panicked") && heard[0].contains("nobody to greet"),
        "{heard:?}"
    );
    assert!(heard[0].contains("src/lib.rs"), "{heard:?}");
}

fn seen_description(bytes: &[u8]) -> String {
    pack::read_sections(bytes).unwrap().description.unwrap()
}

#[test]
fn an_asset_that_leads_out_is_refused() {
    let _turn = turn();
    let folder = hello();
    fs::create_dir(folder.path().join("assets")).unwrap();
    symlink("/etc/passwd", folder.path().join("assets/page.html")).unwrap();
    let error = run(&request(&folder)).unwrap_err();
    assert!(matches!(
        error,
        BuildError::Assets {
            source: AssetsError::Link(_),
            ..
        }
    ));
    assert!(!folder.path().join("hel-lo.wasm").exists());
}

#[test]
fn what_does_not_compile_is_shown_in_the_compilers_words() {
    let _turn = turn();
    let folder = hello();
    fs::write(
        folder.path().join("src/lib.rs"),
        SOURCE.replace("Ok(())", "Ok(1)"),
    )
    .unwrap();
    let lines = Mutex::new(Vec::new());
    let progress = |line: &str| lines.lock().unwrap().push(line.to_owned());
    let error = build(&request(&folder), &Tools::from_environment(), &progress).unwrap_err();
    assert!(error.to_string().contains("mismatched types"), "{error}");
    assert!(
        lines
            .into_inner()
            .unwrap()
            .iter()
            .any(|line| line.contains("Compiling hel-lo"))
    );
}

#[test]
fn a_crate_that_is_no_component_says_what_is_missing() {
    let _turn = turn();
    let folder = hello();
    let manifest = folder.path().join("Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("crate-type = [\"cdylib\"]", "")).unwrap();
    let error = run(&request(&folder)).unwrap_err();
    assert!(
        matches!(error, BuildError::Cargo(CargoError::NoComponent(_))),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("cdylib"));

    fs::write(&manifest, text).unwrap();
    fs::write(
        folder.path().join("src/lib.rs"),
        "#[unsafe(no_mangle)] pub extern \"C\" fn f() {}",
    )
    .unwrap();
    let error = run(&request(&folder)).unwrap_err();
    assert!(matches!(error, BuildError::Pack { .. }), "{error}");

    let empty = tempfile::tempdir().unwrap();
    let error = run(&request(&empty)).unwrap_err();
    assert!(
        matches!(error, BuildError::Cargo(CargoError::NoCrate(_))),
        "{error}"
    );
}

#[test]
fn outputs_have_their_places() {
    let artifact = |name: &str| Artifact {
        package: name.to_owned(),
        folder: format!("/w/{name}").into(),
        module: "/t/x.wasm".into(),
    };
    let at = |folder: &str, output: Output, count| {
        let request = Request {
            output,
            ..Request::of(folder.into())
        };
        place(&request, &artifact("a"), count)
    };
    assert_eq!(
        at("/w/a", Output::Beside, 1).unwrap(),
        Path::new("/w/a/a.wasm")
    );
    assert_eq!(
        at("/w", Output::Beside, 1).unwrap(),
        Path::new("/w/target/components/a.wasm")
    );
    assert_eq!(
        at("/w", Output::Folder("/o".into()), 2).unwrap(),
        Path::new("/o/a.wasm")
    );
    assert_eq!(
        at("/w/a", Output::File("/o.wasm".into()), 1).unwrap(),
        Path::new("/o.wasm")
    );
    let error = at("/w", Output::File("/o.wasm".into()), 2).unwrap_err();
    assert!(error.hint().unwrap().contains("--out-dir"));
}
