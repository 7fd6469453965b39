//! How Rust code becomes WebAssembly on this machine.
//!
//! Routes, in this order: the compiler's own standard library for the target is there;
//! `rustup` can fetch it; a compiler that ships the library's source (Debian's
//! `rustc-web` with `rust-web-src`) compiles it. The choice is made anew each time, from
//! what is on the disk, in milliseconds. Nothing here compiles.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The only target that our components need: it imports nothing.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// A way to compile for [`TARGET`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The standard library is there.
    Installed,
    /// It was not, and rustup has just added it.
    Added,
    /// It is compiled from the source that this compiler ships.
    FromSource {
        /// The compiler.
        rustc: PathBuf,
        /// Its linker for WebAssembly.
        linker: PathBuf,
    },
}

/// The programs that are asked, so that tests can put others in their place.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    pub(crate) cargo: OsString,
    pub(crate) rustc: OsString,
    pub(crate) rustup: OsString,
    /// Compilers of the system that may ship the source of the standard library.
    pub(crate) system: Vec<PathBuf>,
    /// Linkers to try after the compiler's own.
    pub(crate) linkers: Vec<PathBuf>,
    /// Where cargo keeps the sources of packages.
    pub(crate) cargo_home: Option<PathBuf>,
}

impl Tools {
    /// Those of this machine; `CARGO` and `RUSTC` name others.
    pub(crate) fn from_environment() -> Self {
        let named = |variable: &str, default: &str| {
            std::env::var_os(variable)
                .filter(|value| !value.is_empty())
                .unwrap_or_else(|| default.into())
        };
        let rustc = named("RUSTC", "rustc");
        Self {
            cargo: named("CARGO", "cargo"),
            system: vec![PathBuf::from(&rustc), PathBuf::from("/usr/bin/rustc")],
            rustc,
            rustup: "rustup".into(),
            linkers: ["/usr/bin/wasm-ld-19", "/usr/bin/wasm-ld"]
                .map(PathBuf::from)
                .to_vec(),
            cargo_home: std::env::var_os("CARGO_HOME")
                .map(PathBuf::from)
                .or_else(|| Some(std::env::home_dir()?.join(".cargo"))),
        }
    }
}

/// No route was found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolchainError {
    /// There is no compiler at all.
    #[error("there is no Rust compiler: `{0}` could not be started")]
    NoRust(String),
    /// The target is missing and can't be had.
    #[error(
        "the Rust compiler has no standard library for {TARGET}, and rustup could not add it: {rustup}"
    )]
    NoTarget {
        /// What rustup said.
        rustup: String,
    },
}

impl ToolchainError {
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::NoRust(_) => {
                "install Rust, best with rustup (https://rustup.rs), or name the compiler in RUSTC"
            }
            Self::NoTarget { .. } => {
                "run `rustup target add wasm32-unknown-unknown`; without rustup's network, on Debian: \
                 `apt-get install --no-install-recommends rustc-web rust-web-src lld-19`"
            }
        }
    }
}

/// Finds a route for the crate in `folder`, whose own choice of toolchain counts. With
/// `source_before` an earlier build went from source, and rustup, which may wait for a
/// network that is not there, is not asked again.
pub(crate) fn choose(
    tools: &Tools,
    folder: &Path,
    source_before: bool,
) -> Result<Route, ToolchainError> {
    let rustc = has_target(tools, folder);
    if matches!(rustc, Ok(true)) {
        return Ok(Route::Installed);
    }
    if let Some(route) = source_before.then(|| from_source(tools)).flatten() {
        return Ok(route);
    }
    let rustup = match add_target(tools, folder) {
        Ok(()) if matches!(has_target(tools, folder), Ok(true)) => return Ok(Route::Added),
        Ok(()) => "it added it to another toolchain than the one that compiles here".to_owned(),
        Err(why) => why,
    };
    if let Some(route) = from_source(tools) {
        return Ok(route);
    }
    match rustc {
        Err(_) => Err(ToolchainError::NoRust(
            tools.rustc.to_string_lossy().into_owned(),
        )),
        Ok(_) => Err(ToolchainError::NoTarget { rustup }),
    }
}

/// Whether the compiler's library for the target is on the disk: `--print` names the
/// folder in either case.
fn has_target(tools: &Tools, folder: &Path) -> std::io::Result<bool> {
    let output = Command::new(&tools.rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(folder)
        .output()?;
    let libraries = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && Path::new(libraries.trim()).is_dir())
}

/// Lets rustup add the target; what it said where it could not.
fn add_target(tools: &Tools, folder: &Path) -> Result<(), String> {
    let output = Command::new(&tools.rustup)
        .args(["target", "add", TARGET])
        .current_dir(folder)
        .output();
    match output {
        Err(error) => Err(format!("`{}`: {error}", tools.rustup.to_string_lossy())),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().rev().find(|line| !line.trim().is_empty());
            Err(last.map_or_else(|| output.status.to_string(), |line| line.trim().to_owned()))
        }
    }
}

/// A compiler of the system that ships the library's source, with a linker.
fn from_source(tools: &Tools) -> Option<Route> {
    tools.system.iter().find_map(|rustc| {
        let output = Command::new(rustc)
            .args(["--print", "sysroot"])
            .output()
            .ok()?;
        let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        let source = sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml");
        let host = host_of(rustc)?;
        let own = sysroot.join("lib/rustlib").join(host).join("bin/rust-lld");
        let linker = std::iter::once(&own)
            .chain(&tools.linkers)
            .find(|linker| linker.is_file())?;
        source.is_file().then(|| Route::FromSource {
            rustc: rustc.clone(),
            linker: linker.clone(),
        })
    })
}

/// What a compiler is and where its parts lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compiler {
    /// `rustc 1.95.0 (…)`.
    pub(crate) version: String,
    /// The folder of its parts.
    pub(crate) sysroot: PathBuf,
}

/// Asks the compiler of a route.
pub(crate) fn compiler(tools: &Tools, route: &Route, folder: &Path) -> Option<Compiler> {
    let rustc = match route {
        Route::FromSource { rustc, .. } => rustc.as_os_str(),
        Route::Installed | Route::Added => &tools.rustc,
    };
    let ask = |words: &[&str]| {
        let output = Command::new(rustc).args(words).current_dir(folder).output();
        let said = String::from_utf8_lossy(&output.ok()?.stdout)
            .trim()
            .to_owned();
        Some(said).filter(|said| !said.is_empty())
    };
    Some(Compiler {
        version: ask(&["-V"])?,
        sysroot: ask(&["--print", "sysroot"])?.into(),
    })
}

/// The platform that a compiler runs on.
fn host_of(rustc: &Path) -> Option<String> {
    let output = Command::new(rustc).arg("-vV").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use tempfile::TempDir;

    /// Programs that answer as each of them would.
    struct Machine {
        folder: TempDir,
    }

    impl Machine {
        fn new() -> Self {
            Self {
                folder: tempfile::tempdir().unwrap(),
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn program(&self, name: &str, script: &str) -> PathBuf {
            let path = self.path(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        }

        /// A rustc whose libraries are in `folder`, and whose sysroot is `sysroot`.
        fn rustc(&self, name: &str) -> PathBuf {
            let base = self.folder.path().display();
            self.program(
                name,
                &format!(
                    "case $2 in target-libdir) echo '{base}/lib-{name}' ;; sysroot) echo '{base}/{name}-root' ;; *) echo 'host: here' ;; esac"
                ),
            )
        }

        fn tools(&self) -> Tools {
            Tools {
                cargo: "cargo".into(),
                rustc: self.path("rustc").into(),
                rustup: self.path("rustup").into(),
                system: vec![self.path("rustc"), self.path("debian")],
                linkers: vec![self.path("wasm-ld")],
                cargo_home: None,
            }
        }

        fn choose(&self) -> Result<Route, ToolchainError> {
            choose(&self.tools(), self.folder.path(), false)
        }
    }

    #[test]
    fn an_installed_target_is_used_and_rustup_not_asked() {
        let machine = Machine::new();
        machine.rustc("rustc");
        fs::create_dir(machine.path("lib-rustc")).unwrap();
        machine.program(
            "rustup",
            &format!("touch '{}'", machine.path("asked").display()),
        );
        assert_eq!(machine.choose().unwrap(), Route::Installed);
        assert!(!machine.path("asked").exists());
    }

    #[test]
    fn rustup_adds_a_missing_target() {
        let machine = Machine::new();
        machine.rustc("rustc");
        let library = machine.path("lib-rustc");
        machine.program(
            "rustup",
            &format!(
                "[ \"$*\" = 'target add {TARGET}' ] && mkdir '{}'",
                library.display()
            ),
        );
        assert_eq!(machine.choose().unwrap(), Route::Added);
        assert_eq!(machine.choose().unwrap(), Route::Installed);
    }

    #[test]
    fn a_compiler_with_the_source_is_the_last_resort() {
        let machine = Machine::new();
        machine.rustc("rustc");
        let debian = machine.rustc("debian");
        machine.program("rustup", "echo 'error: no network' >&2; exit 1");
        let source = machine.path("debian-root/lib/rustlib/src/rust/library/std");
        fs::create_dir_all(&source).unwrap();
        fs::write(source.join("Cargo.toml"), "").unwrap();
        assert!(machine.choose().is_err(), "there is no linker");
        fs::write(machine.path("wasm-ld"), "").unwrap();
        let route = Route::FromSource {
            rustc: debian.clone(),
            linker: machine.path("wasm-ld"),
        };
        assert_eq!(machine.choose().unwrap(), route);

        let own = machine.path("debian-root/lib/rustlib/here/bin");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("rust-lld"), "").unwrap();
        let route = Route::FromSource {
            rustc: debian,
            linker: own.join("rust-lld"),
        };
        assert_eq!(machine.choose().unwrap(), route);
    }

    #[test]
    fn rustup_is_not_asked_again_where_the_source_served_before() {
        let machine = Machine::new();
        machine.rustc("rustc");
        let debian = machine.rustc("debian");
        machine.program(
            "rustup",
            &format!("touch '{}'; exit 1", machine.path("asked").display()),
        );
        let source = machine.path("debian-root/lib/rustlib/src/rust/library/std");
        fs::create_dir_all(&source).unwrap();
        fs::write(source.join("Cargo.toml"), "").unwrap();
        fs::write(machine.path("wasm-ld"), "").unwrap();
        let route = choose(&machine.tools(), machine.folder.path(), true).unwrap();
        assert!(matches!(route, Route::FromSource { rustc, .. } if rustc == debian));
        assert!(!machine.path("asked").exists());
    }

    #[test]
    fn without_any_route_both_ways_are_named() {
        let machine = Machine::new();
        machine.rustc("rustc");
        machine.program("rustup", "echo 'error: no network' >&2; exit 1");
        let error = machine.choose().unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("rustup could not add it: error: no network")
        );
        assert!(error.hint().contains("rustup target add") && error.hint().contains("rustc-web"));
        fs::remove_file(machine.path("rustc")).unwrap();
        assert!(matches!(machine.choose(), Err(ToolchainError::NoRust(_))));
    }
}
