//! One run of cargo: crates in, core modules out.
//!
//! Cargo itself decides what is fresh, so it is run once and always. A folder may hold
//! one crate or a whole workspace; every `cdylib` in it is a component. The profile is
//! ours, given on the command line, so that a component's crate needs none.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::Deserialize;

use super::toolchain::{Route, TARGET, Tools};

/// The name of our profile: small code, one unit, nothing that only a debugger wants.
const PROFILE: &str = "component";

/// What the profile says.
const SETTINGS: [&str; 6] = [
    "inherits='release'",
    "opt-level='s'",
    "lto=true",
    "codegen-units=1",
    "strip=true",
    "panic='abort'",
];

/// What a crate was compiled to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Artifact {
    /// The name of the package.
    pub(crate) package: String,
    /// The folder of the crate.
    pub(crate) folder: PathBuf,
    /// The core module.
    pub(crate) module: PathBuf,
}

/// Cargo did not make components.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CargoError {
    /// Nothing to compile there.
    #[error("{0:?} holds no Cargo.toml")]
    NoCrate(PathBuf),
    /// Cargo could not be started or read.
    #[error("cargo could not be run")]
    Start(#[source] std::io::Error),
    /// Cargo can't tell what there is to compile; its own words.
    #[error("cargo could not read the crate:\n{0}")]
    Ask(String),
    /// The code does not compile; the compiler's own words.
    #[error("cargo could not compile it:\n{0}")]
    Compile(String),
    /// No crate is a component.
    #[error("no crate in {0:?} makes a component")]
    NoComponent(PathBuf),
}

impl CargoError {
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoCrate(_) => Some("name the folder of a Rust crate, or of a workspace of them"),
            Self::Start(_) => Some("install Rust, best with rustup (https://rustup.rs)"),
            Self::NoComponent(_) => {
                Some("add `[lib]` with `crate-type = [\"cdylib\"]` to its Cargo.toml")
            }
            Self::Compile(_) | Self::Ask(_) => None,
        }
    }
}

/// A message of cargo's JSON, as far as it is of interest.
#[derive(Deserialize)]
struct Message {
    reason: String,
    package_id: Option<String>,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

/// Compiles what is in `folder`; `progress` gets cargo's own lines as they come. `renamed`
/// are folders of this machine, with the names that they get in the code, so that the
/// same sources give the same bytes anywhere.
pub(crate) fn compile(
    tools: &Tools,
    route: &Route,
    folder: &Path,
    target_dir: Option<&Path>,
    renamed: &[(PathBuf, String)],
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Vec<Artifact>, CargoError> {
    let manifest = folder.join("Cargo.toml");
    if !manifest.is_file() {
        return Err(CargoError::NoCrate(folder.to_owned()));
    }
    let mut command = command(tools, route, &manifest, target_dir);
    rename(&mut command, renamed);
    let mut child = command.spawn().map_err(CargoError::Start)?;
    let (said, artifacts) = listen(&mut child, progress).map_err(CargoError::Start)?;
    let status = child.wait().map_err(CargoError::Start)?;
    if !status.success() {
        return Err(CargoError::Compile(said.trim_end().to_owned()));
    }
    if artifacts.is_empty() {
        return Err(CargoError::NoComponent(folder.to_owned()));
    }
    Ok(artifacts)
}

fn command(tools: &Tools, route: &Route, manifest: &Path, target_dir: Option<&Path>) -> Command {
    let mut command = Command::new(&tools.cargo);
    command.args([
        "build",
        "--lib",
        "--message-format",
        "json-render-diagnostics",
    ]);
    command.args(["--target", TARGET, "--profile", PROFILE]);
    for setting in SETTINGS {
        command
            .arg("--config")
            .arg(format!("profile.{PROFILE}.{setting}"));
    }
    command.arg("--manifest-path").arg(manifest);
    if let Some(folder) = target_dir {
        command.arg("--target-dir").arg(folder);
    }
    if let Route::FromSource { rustc, linker } = route {
        // What is unstable is only that the library is compiled here; the variable allows
        // it on a stable compiler. A toolchain of rustup's must not come in between.
        command.arg("-Zbuild-std=std,panic_abort");
        command
            .env("RUSTC", rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .env_remove("RUSTUP_TOOLCHAIN");
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    }
    // Flags that somebody set for the host's own code are not meant for this.
    command
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Lets the compiler write other names for these folders, where panics tell of files. The
/// flags of the target's own configuration stay.
fn rename(command: &mut Command, renamed: &[(PathBuf, String)]) {
    let flags: Vec<_> = renamed
        .iter()
        .filter_map(|(folder, name)| {
            Some(format!("--remap-path-prefix={}={name}", folder.to_str()?))
        })
        .collect();
    // A list of texts is the same in JSON and in TOML.
    let flags = serde_json::Value::from(flags);
    command
        .arg("--config")
        .arg(format!("target.{TARGET}.rustflags={flags}"));
}

/// Reads both pipes at the same time, or a full one would stop cargo: its words, which
/// `progress` gets line by line, and what it made.
fn listen(
    child: &mut Child,
    progress: &(dyn Fn(&str) + Sync),
) -> std::io::Result<(String, Vec<Artifact>)> {
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(std::io::Error::other("its output was not piped"));
    };
    std::thread::scope(|scope| {
        let words = scope.spawn(move || {
            let mut said = String::new();
            for line in BufReader::new(stderr).lines() {
                let line = line?;
                progress(&line);
                said.push_str(&line);
                said.push('\n');
            }
            std::io::Result::Ok(said)
        });
        let mut artifacts = Vec::new();
        for line in BufReader::new(stdout).lines() {
            artifacts.extend(artifact(&line?));
        }
        let said = words
            .join()
            .map_err(|_| std::io::Error::other("its words were lost"))??;
        Ok((said, artifacts))
    })
}

/// The component that a message of cargo's tells of, if it does.
fn artifact(line: &str) -> Option<Artifact> {
    let message: Message = serde_json::from_str(line).ok()?;
    let made = message.reason == "compiler-artifact"
        && message
            .target?
            .crate_types
            .iter()
            .any(|kind| kind == "cdylib");
    let module = message
        .filenames
        .into_iter()
        .find(|file| file.extension() == Some(OsStr::new("wasm")))?;
    let folder = message.manifest_path?.parent()?.to_owned();
    made.then(|| Artifact {
        package: package(&message.package_id.unwrap_or_default()),
        folder,
        module,
    })
}

/// The name in `path+file:///x/shell#0.1.0` or `path+file:///x/y#shell@0.1.0`.
fn package(id: &str) -> String {
    let (path, fragment) = id.rsplit_once('#').unwrap_or((id, ""));
    match fragment.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => path.rsplit('/').next().unwrap_or(path).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &str, file: &str) -> String {
        format!(
            r#"{{"reason":"compiler-artifact","package_id":"path+file:///x/my-shell#0.1.0","manifest_path":"/x/my-shell/Cargo.toml","target":{{"kind":["{kind}"],"crate_types":["{kind}"],"name":"my_shell"}},"profile":{{}},"filenames":["{file}"],"fresh":true}}"#
        )
    }

    #[test]
    fn only_modules_of_cdylibs_are_components() {
        let artifact = artifact(&message("cdylib", "/t/my_shell.wasm")).unwrap();
        assert_eq!(artifact.package, "my-shell");
        assert_eq!(
            (artifact.folder, artifact.module),
            ("/x/my-shell".into(), "/t/my_shell.wasm".into())
        );
        assert_eq!(super::artifact(&message("rlib", "/t/my_shell.wasm")), None);
        assert_eq!(
            super::artifact(&message("cdylib", "/t/libmy_shell.so")),
            None
        );
        assert_eq!(
            super::artifact(r#"{"reason":"build-finished","success":true}"#),
            None
        );
        assert_eq!(super::artifact("no JSON"), None);
    }

    #[test]
    fn package_ids_of_both_kinds_are_read() {
        assert_eq!(package("path+file:///x/shell#0.1.0"), "shell");
        assert_eq!(package("path+file:///x/y#my-shell@0.1.0"), "my-shell");
    }

    #[test]
    fn the_library_is_compiled_only_on_the_route_that_needs_it() {
        let tools = Tools::from_environment();
        let arguments = |route: &Route| -> Vec<_> {
            let command = command(
                &tools,
                route,
                Path::new("/x/Cargo.toml"),
                Some(Path::new("/t")),
            );
            command
                .get_args()
                .map(|argument| argument.to_string_lossy().into_owned())
                .collect()
        };
        let installed = arguments(&Route::Installed);
        assert!(installed.ends_with(
            &["--manifest-path", "/x/Cargo.toml", "--target-dir", "/t"].map(str::to_owned)
        ));
        assert!(installed.contains(&"profile.component.panic='abort'".to_owned()));
        let route = Route::FromSource {
            rustc: "/usr/bin/rustc".into(),
            linker: "/ld".into(),
        };
        assert_eq!(
            arguments(&route).last().map(String::as_str),
            Some("-Zbuild-std=std,panic_abort")
        );
        assert!(!installed.iter().any(|argument| argument.starts_with("-Z")));
    }
}
