//! From bytes to a component, and all that can be wrong on the way.
//!
//! What can be seen without compiling is looked at first, so that a wrong file is
//! refused in milliseconds.

use darkroom_contract::{Description, DescriptionError, Role};

use crate::assets::{self, AssetError, Assets};
use crate::imports;
use crate::sections::{self, Kind, Outline, Twice};

/// Why a component can't be loaded.
#[derive(Debug, thiserror::Error)]
#[error("{origin}: {problem}")]
pub struct LoadError {
    /// What was to be loaded: a path, or a package with its version.
    pub origin: String,
    /// What is wrong.
    pub problem: LoadProblem,
}

impl LoadError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        self.problem.hint()
    }
}

/// What is wrong with a component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadProblem {
    /// The file is too large.
    #[error("it has {bytes} bytes; {allowed} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        allowed: usize,
    },
    /// It doesn't begin like WebAssembly.
    #[error("it is not WebAssembly but {looks_like}")]
    NotWebAssembly {
        /// What it seems to be.
        looks_like: &'static str,
    },
    /// It begins like WebAssembly, but is damaged.
    #[error("it is damaged WebAssembly: {0}")]
    Damaged(String),
    /// A core module, which has no interfaces.
    #[error("it is a core module, not a component")]
    CoreModule,
    /// A component of something else.
    #[error("it is a component, but none of Darkroom: it exports no `darkroom:component/about`")]
    NotOurs,
    /// It has no role.
    #[error("it has no role: it exports none of `builder`, `tester` and `repairer`")]
    NoRole,
    /// It was built for another, incompatible version of the contract.
    #[error(
        "it is for another contract: {interface} (this host has {})",
        imports::VERSION
    )]
    OtherContract {
        /// The import or export.
        interface: String,
    },
    /// It uses something that a newer host has.
    #[error(
        "needs darkroom >= {needs}: this host (contract {}) has no {missing}",
        imports::VERSION
    )]
    NewerContract {
        /// The interface or function.
        missing: String,
        /// The version that it was built against.
        needs: String,
    },
    /// It wants to make HTTP requests.
    #[error("it imports {import}: components have no network, and wasi:http is not there")]
    Http {
        /// The import.
        import: String,
    },
    /// It imports something else that isn't there.
    #[error("it imports {import}, which is not there")]
    UnknownImport {
        /// The import.
        import: String,
    },
    /// An import or export is of another type than in the contract.
    #[error("its interfaces don't fit: {0}")]
    Interfaces(String),
    /// It was never packed.
    #[error("it has no section `{}`", sections::DESCRIPTION)]
    NoDescription,
    /// A section is there twice.
    #[error("it has the section `{0}` twice")]
    Twice(String),
    /// The description is wrong.
    #[error("{0}")]
    Description(DescriptionError),
    /// The assets are wrong.
    #[error("{0}")]
    Assets(AssetError),
    /// It can't be compiled.
    #[error("it can't be compiled: {0}")]
    Compile(String),
}

impl LoadProblem {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotWebAssembly { .. } => {
                "a component is a .wasm file; `darkroom component build` makes one"
            }
            Self::CoreModule | Self::NoDescription => {
                "pack it with `darkroom component build`, which makes a component of a module \
                 and embeds its description"
            }
            Self::NotOurs | Self::NoRole => {
                "build it against a world of darkroom:component, such as `builder-only`"
            }
            Self::OtherContract { .. } => {
                "build it against darkroom:component@0.1, or use a Darkroom of its version"
            }
            Self::NewerContract { .. } => {
                "update darkroom, or build the component against the oldest contract that has \
                 what it needs"
            }
            Self::Http { .. } => {
                "let the machine fetch it: `download`, or a script; where the toolchain adds \
                 wasi:http by itself, turn that off (componentize-js: `--disable http`)"
            }
            Self::UnknownImport { .. } => {
                "components may import darkroom:component@0.1 and WASI 0.2; build for \
                 wasm32-wasip2 or wasm32-unknown-unknown"
            }
            Self::Assets(AssetError::Version(_)) => "update darkroom",
            Self::Description(_) | Self::Assets(_) | Self::Twice(_) => {
                "pack it again with `darkroom component build`"
            }
            Self::TooLarge { .. } | Self::Damaged(_) | Self::Interfaces(_) | Self::Compile(_) => {
                return None;
            }
        })
    }
}

impl From<Twice> for LoadProblem {
    fn from(Twice(name): Twice) -> Self {
        Self::Twice(name)
    }
}

/// What is known of a component before it is compiled.
pub(crate) struct Seen {
    pub roles: Vec<Role>,
    pub description: Option<Description>,
    pub assets: Assets,
}

/// Looks at everything that needs no compiler. Only a packed component has a
/// description.
pub(crate) fn look(bytes: &[u8], packed: bool) -> Result<Seen, LoadProblem> {
    if !bytes.starts_with(b"\0asm") {
        return Err(LoadProblem::NotWebAssembly {
            looks_like: looks_like(bytes),
        });
    }
    let outline = sections::outline(bytes).map_err(LoadProblem::Damaged)?;
    if outline.kind == Kind::Module {
        return Err(LoadProblem::CoreModule);
    }
    let roles = roles(&outline)?;
    imports::check_names(&outline.imports)?;
    let description = match outline.section(sections::DESCRIPTION)? {
        None if packed => return Err(LoadProblem::NoDescription),
        None => None,
        Some(section) => Some(describe(section)?),
    };
    let assets = match outline.section(assets::SECTION)? {
        None => Assets::default(),
        Some(section) => Assets::read(section).map_err(LoadProblem::Assets)?,
    };
    Ok(Seen {
        roles,
        description,
        assets,
    })
}

fn describe(section: &[u8]) -> Result<Description, LoadProblem> {
    std::str::from_utf8(section)
        .map_err(|error| DescriptionError::Json(error.to_string()))
        .and_then(Description::parse)
        .map_err(LoadProblem::Description)
}

/// The roles by the exported interfaces; unknown exports are nobody's business, as
/// some toolchains add their own.
fn roles(outline: &Outline<'_>) -> Result<Vec<Role>, LoadProblem> {
    let ours = || {
        outline
            .exports
            .iter()
            .filter_map(|name| Some((name, imports::interface(name)?)))
    };
    if let Some((name, _)) = ours().find(|(_, (_, version))| !imports::is_compatible(version)) {
        return Err(LoadProblem::OtherContract {
            interface: name.clone(),
        });
    }
    if !ours().any(|(_, (interface, _))| interface == "about") {
        return Err(LoadProblem::NotOurs);
    }
    let roles: Vec<_> = Role::ALL
        .into_iter()
        .filter(|role| ours().any(|(_, (interface, _))| interface == role.name()))
        .collect();
    if roles.is_empty() {
        return Err(LoadProblem::NoRole);
    }
    Ok(roles)
}

/// What a file that is no WebAssembly seems to be.
pub(crate) fn looks_like(bytes: &[u8]) -> &'static str {
    let start = bytes.trim_ascii_start();
    if start.is_empty() {
        "an empty file"
    } else if start.starts_with(b"(module") || start.starts_with(b"(component") {
        "WebAssembly text"
    } else if start.starts_with(b"\x7fELF") {
        "a native program, or compiled code of wasmtime"
    } else if start.starts_with(b"\x1f\x8b") || start.starts_with(b"PK") {
        "an archive"
    } else if start.starts_with(b"version https://git-lfs") {
        "a pointer to a large file of Git"
    } else if start.starts_with(b"<") {
        "a page of HTML or XML"
    } else if std::str::from_utf8(&bytes[..bytes.len().min(64)]).is_ok() {
        "text"
    } else {
        "something else"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> LoadProblem {
        match look(&wat::parse_str(text).unwrap(), true) {
            Ok(_) => panic!("it was taken"),
            Err(problem) => problem,
        }
    }

    #[test]
    fn files_that_are_no_components() {
        let kind = |bytes: &[u8]| match look(bytes, true) {
            Err(LoadProblem::NotWebAssembly { looks_like }) => looks_like,
            _ => "WebAssembly",
        };
        assert_eq!(kind(b""), "an empty file");
        assert_eq!(kind(b"(component)"), "WebAssembly text");
        assert_eq!(kind(b"name: web"), "text");
        assert_eq!(
            kind(b"\x7fELF\x02"),
            "a native program, or compiled code of wasmtime"
        );
        assert!(matches!(
            look(b"\0asm\x0d\0\x01\0\x09", true),
            Err(LoadProblem::Damaged(_))
        ));
        assert_eq!(problem("(module)"), LoadProblem::CoreModule);
        assert_eq!(problem("(component)"), LoadProblem::NotOurs);
    }

    #[test]
    fn a_nested_description_is_not_ours() {
        let text = r#"(component
            (component (@custom "darkroom:description" "{}"))
            (core module (@custom "darkroom:description" "{}"))
            (instance $about) (instance $builder)
            (export "darkroom:component/about@0.1.0" (instance $about))
            (export "darkroom:component/builder@0.1.0" (instance $builder)))"#;
        assert_eq!(problem(text), LoadProblem::NoDescription);
    }

    #[test]
    fn sections_of_ours_are_there_once_and_well_formed() {
        let with = |sections: &str| {
            problem(&format!(
                r#"(component (instance $i) {sections}
                    (export "darkroom:component/about@0.1.0" (instance $i))
                    (export "darkroom:component/tester@0.1.9" (instance $i)))"#
            ))
        };
        let section = r#"(@custom "darkroom:description" "nonsense")"#;
        assert!(matches!(
            with(section),
            LoadProblem::Description(DescriptionError::Json(_))
        ));
        assert_eq!(
            with(&section.repeat(2)),
            LoadProblem::Twice("darkroom:description".into())
        );
    }

    #[test]
    fn other_versions_and_missing_roles() {
        let exporting = |interface: &str| {
            problem(&format!(
                r#"(component (instance $i)
                    (export "darkroom:component/about@0.1.0" (instance $i))
                    (export "{interface}" (instance $i)))"#
            ))
        };
        assert_eq!(
            exporting("darkroom:component/baker@0.1.0"),
            LoadProblem::NoRole
        );
        assert_eq!(
            exporting("darkroom:component/builder@0.2.0"),
            LoadProblem::OtherContract {
                interface: "darkroom:component/builder@0.2.0".into()
            }
        );
    }
}
