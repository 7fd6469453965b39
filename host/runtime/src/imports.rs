//! What a component imports, judged before it runs, so that a component which can't
//! run says why instead of trapping in the middle of a build.

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use crate::load::LoadProblem;

/// The package of the contract and the version of it that this host speaks.
pub(crate) const PACKAGE: &str = "darkroom:component/";
/// See [`PACKAGE`].
pub(crate) const VERSION: &str = "0.1.0";
/// Any version that begins like this is compatible.
const COMPATIBLE: &str = "0.1.";

/// The packages of the empty WASI; any 0.2 of them.
const WASI: [&str; 6] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// The functions that this host has, by interface. A test compares the table with
/// the WIT.
const FUNCTIONS: [(&str, &[&str]); 4] = [
    (
        "steps",
        &[
            "shell",
            "powershell",
            "cmd",
            "write",
            "write-bytes",
            "write-asset",
            "download",
            "collect",
            "reboot",
            "run-as",
            "directory",
            "argument",
            "environment",
            "timeout",
            "attempts",
            "mode",
            "owner",
            "tolerate",
            "expect-exit-codes",
            "expect-output",
            "expect-no-output",
            "expect-match",
            "succeeded",
            "exit-code",
            "output",
            "size",
            "read",
        ],
    ),
    (
        "inputs",
        &[
            "json-object",
            "text",
            "integer",
            "number",
            "flag",
            "texts",
            "json-text",
        ],
    ),
    (
        "machine",
        &["family", "distribution", "release", "architecture", "root"],
    ),
    (
        "report",
        &[
            "debug",
            "info",
            "warning",
            "publish",
            "publish-text",
            "passed",
            "failed",
            "skipped",
            "repaired",
            "unrepaired",
            "intact",
        ],
    ),
];

/// An interface of the contract, taken apart: `steps` and `0.1.0`.
pub(crate) fn interface(name: &str) -> Option<(&str, &str)> {
    let (interface, version) = name.strip_prefix(PACKAGE)?.split_once('@')?;
    Some((interface, version))
}

/// Whether this host speaks that version of the contract.
pub(crate) fn is_compatible(version: &str) -> bool {
    version.starts_with(COMPATIBLE)
}

/// Judges imports by their names alone.
pub(crate) fn check_names(imports: &[String]) -> Result<(), LoadProblem> {
    imports
        .iter()
        .find_map(|name| judge(name))
        .map_or(Ok(()), Err)
}

/// What is wrong with an import, by its name alone.
pub(crate) fn judge(name: &str) -> Option<LoadProblem> {
    let import = name.to_owned();
    if name.starts_with("wasi:http/") {
        return Some(LoadProblem::Http { import });
    }
    if let Some((interface, version)) = interface(name) {
        if !is_compatible(version) {
            return Some(LoadProblem::OtherContract { interface: import });
        }
        return functions(interface)
            .is_none()
            .then(|| LoadProblem::NewerContract {
                missing: import,
                needs: version.to_owned(),
            });
    }
    let known = WASI.iter().any(|package| name.starts_with(package)) && name.contains("@0.2.");
    (!known).then_some(LoadProblem::UnknownImport { import })
}

/// Looks for functions of the contract that this host hasn't got; wasmtime would say
/// that their implementation is missing, which nobody would take for a version.
pub(crate) fn check_functions(engine: &Engine, component: &Component) -> Result<(), LoadProblem> {
    for (name, item) in component.component_type().imports(engine) {
        let Some((interface, version)) = interface(name) else {
            continue;
        };
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            continue;
        };
        let known = functions(interface).unwrap_or_default();
        for (function, item) in instance.exports(engine) {
            if matches!(item.ty, ComponentItem::ComponentFunc(_)) && !known.contains(&function) {
                return Err(LoadProblem::NewerContract {
                    missing: format!("{name}#{function}"),
                    needs: version.to_owned(),
                });
            }
        }
    }
    Ok(())
}

fn functions(interface: &str) -> Option<&'static [&'static str]> {
    FUNCTIONS
        .iter()
        .find(|(name, _)| *name == interface)
        .map(|(_, functions)| *functions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack;

    #[test]
    fn the_table_is_what_the_wit_says() {
        let mut resolve = wit_parser::Resolve::default();
        let package = resolve.push_str("component.wit", pack::WIT).unwrap();
        let version = resolve.packages[package].name.version.as_ref().unwrap();
        assert_eq!(version.to_string(), VERSION);
        let imported: Vec<(String, Vec<String>)> = resolve.packages[package]
            .interfaces
            .iter()
            .filter(|(name, _)| {
                !["about", "builder", "tester", "repairer"].contains(&name.as_str())
            })
            .map(|(name, id)| {
                let functions = resolve.interfaces[*id].functions.keys().cloned().collect();
                (name.clone(), functions)
            })
            .collect();
        let table: Vec<(String, Vec<String>)> = FUNCTIONS
            .iter()
            .map(|(name, functions)| {
                let functions = functions.iter().map(ToString::to_string).collect();
                ((*name).to_owned(), functions)
            })
            .collect();
        assert_eq!(imported, table);
    }

    /// The lines of each interface, without comments.
    fn printed(wit: &str) -> Vec<(String, String)> {
        let mut resolve = wit_parser::Resolve::default();
        let package = resolve.push_str("component.wit", wit).unwrap();
        let mut printer = wit_component::WitPrinter::default();
        printer.emit_docs(false);
        printer.print(&resolve, package, &[]).unwrap();
        let text = printer.output.to_string();
        let mut interface = String::new();
        let mut lines = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if line.ends_with('{') {
                line.clone_into(&mut interface);
            }
            lines.push((interface.clone(), line.to_owned()));
        }
        lines
    }

    /// The contract of the first release is frozen: functions may be added, and none may
    /// change or go.
    #[test]
    fn what_was_in_0_1_0_is_there_unchanged() {
        let frozen = include_str!("../../../tests/fixtures/component-0.1.0.wit");
        let (frozen, present) = (printed(frozen), printed(pack::WIT));
        assert!(frozen.len() > 80, "{frozen:#?}");
        for line in frozen {
            assert!(
                present.contains(&line),
                "{line:?} is missing or has changed"
            );
        }
    }

    #[test]
    fn imports_are_judged_by_name() {
        let problem = |name: &str| check_names(&[name.to_owned()]).unwrap_err().to_string();
        assert!(check_names(&["darkroom:component/steps@0.1.7".into()]).is_ok());
        assert!(check_names(&["wasi:cli/environment@0.2.6".into()]).is_ok());
        assert!(problem("wasi:http/types@0.2.0").contains("wasi:http"));
        assert!(problem("wasi:cli/environment@0.3.0").contains("wasi:cli/environment@0.3.0"));
        assert!(
            problem("darkroom:component/steps@0.2.0").contains("darkroom:component/steps@0.2.0")
        );
        let newer = problem("darkroom:component/clouds@0.1.3");
        assert!(newer.contains("needs darkroom >= 0.1.3"), "{newer}");
    }
}
