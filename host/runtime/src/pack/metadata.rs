//! What a package says of itself: name, version, licence, authors, where it comes from.
//!
//! The sections are the ecosystem's own, so that `wkg`, `wasm-tools metadata` and
//! registries show them. They are written by `wasm-metadata`, and read here section by
//! section: its reader refuses the whole file for one wrong section, and a reader of
//! foreign files should rather show the rest.

use serde::Serialize;
use wasm_metadata::{AddMetadata, AddMetadataField, Authors, Description, Homepage, Licenses};
use wasm_metadata::{Revision, Source, Version};
use wasmparser::{BinaryReader, ComponentName, ComponentNameSectionReader};

use super::PackError;
use crate::sections::Outline;

/// The section with the version of the contract.
pub(crate) const CONTRACT: &str = "darkroom:contract";

/// The section of the outermost component's name.
const NAME: &str = "component-name";

/// The sections of texts, in the order in which they are written.
const TEXTS: [&str; 7] = [
    "authors",
    "description",
    "licenses",
    "source",
    "homepage",
    "revision",
    "version",
];

/// Bytes of one text, 16 KiB: registries put them into annotations.
const MOST_BYTES: usize = 16 << 10;

/// The metadata of a package. All of it is optional, because components of before this
/// was written must run for ever; a registry wants name and version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// `namespace:name`, both as in WIT package names.
    pub name: Option<String>,
    /// A semantic version.
    pub version: Option<String>,
    /// An SPDX licence expression.
    pub licence: Option<String>,
    /// Who made it, as free text.
    pub authors: Option<String>,
    /// What it is, for lists.
    pub description: Option<String>,
    /// The address of its source code.
    pub source: Option<String>,
    /// The address of more about it.
    pub homepage: Option<String>,
    /// The commit that it was built from, where its maker says so.
    pub revision: Option<String>,
    /// The version of the contract that it was built against.
    pub contract: Option<String>,
}

/// Something wrong in metadata.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataMistake {
    /// The name isn't one.
    #[error("the name {0:?} is not `namespace:name`")]
    Name(String),
    /// The version isn't one.
    #[error("the version {0:?} is no semantic version: {1}")]
    Version(String, String),
    /// A registry's tag can't hold it.
    #[error("the version {0:?} has build metadata, which no registry can hold")]
    Build(String),
    /// The licence isn't an SPDX expression.
    #[error("the licence {0:?} is no SPDX expression: {1}")]
    Licence(String, String),
    /// An address isn't one.
    #[error("the {field} {text:?} is no address: {why}")]
    Address {
        /// `source` or `homepage`.
        field: &'static str,
        /// What stands there.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// An address with a password, which everybody would get.
    #[error("the {0} has a password in it")]
    Password(&'static str),
    /// A text that is too long, or no text.
    #[error("the {0} has control characters, or more than {MOST_BYTES} bytes")]
    Text(&'static str),
}

impl MetadataMistake {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Name(_) => {
                "write a namespace and a name of lower-case letters, digits and single dashes, \
                 such as `acme:web-server`"
            }
            Self::Version(..) => "write three numbers, such as `1.0.0`",
            Self::Build(_) => "leave out what follows the `+`",
            Self::Licence(..) => {
                "write one of https://spdx.org/licenses, such as `Apache-2.0`, or \
                 `LicenseRef-Ours` for one of your own"
            }
            Self::Address { .. } => "write it as `https://example.org/project`",
            Self::Password(_) => "leave user and password out of it",
            Self::Text(_) => "write it shorter, in one paragraph",
        }
    }
}

impl Metadata {
    /// This, and what `other` says where this says nothing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            name: self.name.or(other.name),
            version: self.version.or(other.version),
            licence: self.licence.or(other.licence),
            authors: self.authors.or(other.authors),
            description: self.description.or(other.description),
            source: self.source.or(other.source),
            homepage: self.homepage.or(other.homepage),
            revision: self.revision.or(other.revision),
            contract: self.contract.or(other.contract),
        }
    }

    /// All that is wrong with it.
    pub fn mistakes(&self) -> Vec<MetadataMistake> {
        let mut mistakes = Vec::new();
        if let Some(name) = self.name.as_ref().filter(|name| !is_name(name)) {
            mistakes.push(MetadataMistake::Name(name.clone()));
        }
        match self
            .version
            .as_ref()
            .map(|text| (text, semver::Version::parse(text)))
        {
            Some((text, Err(error))) => {
                mistakes.push(MetadataMistake::Version(text.clone(), error.to_string()));
            }
            Some((text, Ok(version))) if !version.build.is_empty() => {
                mistakes.push(MetadataMistake::Build(text.clone()));
            }
            _ => {}
        }
        if let Some(text) = &self.licence
            && let Err(error) = Licenses::new(text)
        {
            // The message draws a picture of several lines; the reason is its last.
            let why = error.root_cause().to_string();
            let why = why.lines().last().unwrap_or_default().trim().to_owned();
            mistakes.push(MetadataMistake::Licence(text.clone(), why));
        }
        for (field, text) in [("source", &self.source), ("homepage", &self.homepage)] {
            mistakes.extend(text.as_ref().and_then(|text| address(field, text)));
        }
        for (field, text) in [
            ("authors", &self.authors),
            ("description", &self.description),
            ("revision", &self.revision),
        ] {
            let foul = |text: &&String| {
                text.len() > MOST_BYTES
                    || text
                        .chars()
                        .any(|c| c.is_control() && !matches!(c, '\n' | '\t'))
            };
            mistakes.extend(
                text.as_ref()
                    .filter(foul)
                    .map(|_| MetadataMistake::Text(field)),
            );
        }
        mistakes
    }

    /// Reads the outermost layer; what is no text is not there.
    pub(crate) fn read(outline: &Outline<'_>) -> Self {
        let text = |name: &str| {
            let section = outline.custom.iter().rev().find(|one| one.name == name)?;
            std::str::from_utf8(section.data).ok().map(str::to_owned)
        };
        let name = outline.custom.iter().rev().find(|one| one.name == NAME);
        Self {
            name: name.and_then(|section| component_name(section.data)),
            version: text("version"),
            licence: text("licenses"),
            authors: text("authors"),
            description: text("description"),
            source: text("source"),
            homepage: text("homepage"),
            revision: text("revision"),
            contract: text(CONTRACT),
        }
    }

    /// Writes all but the contract into a component that has none of these sections but
    /// the name's (see [`is_text`]).
    pub(super) fn write(&self, component: &[u8]) -> Result<Vec<u8>, PackError> {
        let mistakes = self.mistakes();
        if !mistakes.is_empty() {
            return Err(PackError::Metadata(mistakes));
        }
        let always = |text: &String| Ok::<_, ()>(text.clone());
        let mut add = AddMetadata::default();
        add.name = set(self.name.as_ref(), always);
        add.authors = set(self.authors.as_ref(), |text| always(text).map(Authors::new));
        add.description = set(self.description.as_ref(), |text| {
            always(text).map(Description::new)
        });
        add.licenses = set(self.licence.as_ref(), |text| Licenses::new(text));
        add.source = set(self.source.as_ref(), |text| Source::new(text));
        add.homepage = set(self.homepage.as_ref(), |text| Homepage::new(text));
        add.revision = set(self.revision.as_ref(), |text| {
            always(text).map(Revision::new)
        });
        add.version = set(self.version.as_ref(), |text| always(text).map(Version::new));
        add.to_wasm(component)
            .map_err(|error| PackError::Encode(format!("{error:#}")))
    }
}

/// How `wasm-metadata` is told of a text. What can't be made of one has been found before.
fn set<T: std::fmt::Debug + Clone, E>(
    text: Option<&String>,
    make: impl FnOnce(&String) -> Result<T, E>,
) -> AddMetadataField<T> {
    text.and_then(|text| make(text).ok())
        .map_or(AddMetadataField::Keep, AddMetadataField::Set)
}

/// Whether a text is an SPDX licence expression.
pub fn is_licence(text: &str) -> bool {
    Licenses::new(text).is_ok()
}

/// Whether a section is one of the texts; `wasm-metadata` would write a second one
/// beside it.
pub(super) fn is_text(name: &str) -> bool {
    TEXTS.contains(&name)
}

/// `namespace:name` of lower-case words between dashes.
fn is_name(text: &str) -> bool {
    let plain = |part: &str| {
        part.len() <= 64
            && wit_parser::validate_id(part).is_ok()
            && !part.contains(|c: char| c.is_ascii_uppercase() || c == '%')
    };
    text.split_once(':')
        .is_some_and(|(namespace, name)| plain(namespace) && plain(name))
}

/// What is wrong with an address.
fn address(field: &'static str, text: &str) -> Option<MetadataMistake> {
    if let Err(error) = Source::new(text) {
        return Some(MetadataMistake::Address {
            field,
            text: text.into(),
            why: error.to_string(),
        });
    }
    let (_, after) = text.split_once("://")?;
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, _) = authority.rsplit_once('@')?;
    user.contains(':')
        .then_some(MetadataMistake::Password(field))
}

/// The component's own name in its section of names.
fn component_name(section: &[u8]) -> Option<String> {
    let names = ComponentNameSectionReader::new(BinaryReader::new(section, 0));
    names.into_iter().find_map(|name| match name {
        Ok(ComponentName::Component { name, .. }) => Some(name.to_owned()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sections::outline;

    fn whole() -> Metadata {
        let text = |text: &str| Some(text.to_owned());
        Metadata {
            name: text("acme:web-server"),
            version: text("1.2.3-rc.1"),
            licence: text("Apache-2.0 OR MIT"),
            authors: text("Ann <ann@example.org>, Bob"),
            description: text("Serves"),
            source: text("https://example.org/web"),
            homepage: text("https://example.org/"),
            revision: text("deadbeef"),
            contract: None,
        }
    }

    #[test]
    fn what_is_written_is_read_by_us_and_by_the_ecosystem() {
        let component = wat::parse_str("(component)").unwrap();
        let written = whole().write(&component).unwrap();
        assert_eq!(Metadata::read(&outline(&written).unwrap()), whole());
        let theirs = wasm_metadata::Payload::from_binary(&written).unwrap();
        let theirs = theirs.metadata();
        assert_eq!(theirs.name.as_deref(), Some("acme:web-server"));
        assert_eq!(theirs.version.as_ref().unwrap().to_string(), "1.2.3-rc.1");
        assert_eq!(
            theirs.licenses.as_ref().unwrap().to_string(),
            "Apache-2.0 OR MIT"
        );
        assert_eq!(
            theirs.source.as_ref().unwrap().to_string(),
            "https://example.org/web"
        );
        assert_eq!(
            theirs.authors.as_ref().unwrap().to_string(),
            "Ann <ann@example.org>, Bob"
        );
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let text = |text: &str| Some(text.to_owned());
        let wrong = Metadata {
            name: text("Acme:web"),
            version: text("1.2"),
            licence: text("Apache 2"),
            authors: text("a\u{7}"),
            source: text("example"),
            homepage: text("https://me:secret@example.org/"),
            ..Metadata::default()
        };
        let mistakes = wrong.mistakes();
        assert_eq!(mistakes.len(), 6, "{mistakes:#?}");
        let all: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
        assert!(!all.iter().any(|one| one.contains("secret")), "{all:?}");
        assert!(all.iter().all(|one| !one.contains('\n')), "{all:?}");
        assert!(matches!(wrong.write(b""), Err(PackError::Metadata(all)) if all.len() == 6));
        let built = Metadata {
            version: text("1.0.0+7"),
            ..Metadata::default()
        };
        assert_eq!(built.mistakes(), [MetadataMistake::Build("1.0.0+7".into())]);
        assert_eq!(Metadata::default().mistakes(), []);
        assert!(is_licence("LicenseRef-Ours") && !is_licence("Proprietary"));
        for bad in [
            "web", ":web", "a:b:c", "a:-b", "a:b--c", "a:b_c", "1:b", "%a:b", "a:b/c", "a:b@1",
        ] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(is_name("a:b") && is_name("acme2:x-86-64"));
    }
}
