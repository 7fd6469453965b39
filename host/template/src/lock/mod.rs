//! `darkroom.lock`: which component each name of a template stands for.
//!
//! ```toml
//! version = 1
//!
//! [[component]]
//! name = "darkroom:packages"
//! version = "0.1.0"
//! digest = "sha256:0123…"
//! ```
//!
//! A build adds what is missing and never moves an entry; only `darkroom update` does.
//! Components by path are never pinned: they are the author's own files. Like the rest
//! of this crate it opens no file; whoever holds the file reads it, calls [`Lock::pin`]
//! or [`Lock::update`], both pure, and writes [`Lock::to_text`].

mod parse;
mod rules;

use std::cmp::Reverse;
use std::fmt;

use darkroom_contract::Requirement;
use semver::Version;

use crate::mistake::Mistakes;

pub use rules::{Change, Pinning, Refusal, Update, UpdateError, Used};

/// The version of the file's format.
pub const VERSION: i64 = 1;

/// The name of the file, beside the template.
pub const FILE_NAME: &str = "darkroom.lock";

/// The pinned components of a template, by name and version, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    components: Vec<LockedComponent>,
}

/// One pinned component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockedComponent {
    /// Its name with the namespace, such as `darkroom:packages`.
    pub name: String,
    /// Its version, such as `0.1.0`.
    pub version: String,
    /// `sha256:` and 64 hexadecimal digits, of the whole component file.
    pub digest: String,
    /// The registry that it came from; `None` for what ships with Darkroom.
    pub registry: Option<String>,
    /// Who signed it, as far as that was checked.
    pub signer: Option<String>,
}

impl Lock {
    /// Of these components, sorted. The first of several with one name and version
    /// stays.
    pub fn new(components: impl IntoIterator<Item = LockedComponent>) -> Self {
        let mut components: Vec<_> = components.into_iter().collect();
        components.sort_by(|a, b| a.order().cmp(&b.order()));
        components.dedup_by(|later, earlier| later.key() == earlier.key());
        Self { components }
    }

    /// The components, by name, the newest version of each first.
    pub fn components(&self) -> &[LockedComponent] {
        &self.components
    }

    /// Reads the file. `file_name` is how messages call it.
    ///
    /// # Errors
    /// Every mistake, with its place.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, Mistakes> {
        parse::parse(text, file_name)
    }

    /// The newest pinned version of a component that a template asks for; `requirement`
    /// is what stands after `@`.
    pub fn find(&self, name: &str, requirement: Option<&str>) -> Option<&LockedComponent> {
        self.components
            .iter()
            .find(|one| one.name == name && one.satisfies(requirement))
    }

    /// The text of the file: the same for the same components, whatever their order was.
    pub fn to_text(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# The components of the template beside this file, made by `darkroom build`.\n\
             # Keep it with the template; `darkroom update` moves it.\n\
             version = {VERSION}"
        )?;
        for one in &self.components {
            writeln!(f, "\n[[component]]")?;
            let fields = [
                ("name", Some(&one.name)),
                ("version", Some(&one.version)),
                ("digest", Some(&one.digest)),
                ("registry", one.registry.as_ref()),
                ("signer", one.signer.as_ref()),
            ];
            for (key, value) in fields {
                if let Some(value) = value {
                    writeln!(f, "{key} = {}", toml::Value::from(value.as_str()))?;
                }
            }
        }
        Ok(())
    }
}

impl LockedComponent {
    /// Whether its version is one that `requirement` asks for, by the rules of
    /// [`Requirement`]. Nothing asks for any that is no pre-release; what ships with
    /// Darkroom is always meant.
    pub fn satisfies(&self, requirement: Option<&str>) -> bool {
        let Ok(version) = Version::parse(&self.version) else {
            return false;
        };
        match requirement {
            None => self.registry.is_none() || version.pre.is_empty(),
            Some(wanted) => wanted
                .parse::<Requirement>()
                .is_ok_and(|wanted| wanted.matches(&version)),
        }
    }

    /// As a template would name this very version.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    fn key(&self) -> (&str, &str) {
        (&self.name, &self.version)
    }

    /// By name, then the newest version first.
    fn order(&self) -> (&str, Reverse<Option<Version>>, Reverse<&str>) {
        let version = Version::parse(&self.version).ok();
        (&self.name, Reverse(version), Reverse(&self.version))
    }
}
