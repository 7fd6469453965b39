//! Where packages are and who asks for them: [`Registries`], made of the texts of three
//! configurations.
//!
//! * darkroom's own map, namespace (or `ns:name`) to `registry[/prefix]`;
//! * `wkg`'s `config.toml` ([`wkg`]), with `.well-known` files ([`well_known`]);
//! * docker's `config.json` with its programs ([`docker`]).
//!
//! The place of a package is the first of: darkroom's map, `wkg`'s override of the
//! package, of its namespace, `wkg`'s default. A namespace lies at
//! `registry/prefix/namespace/name`, as `wkg` has it. Credentials belong to the host that
//! they are sent to; `wkg`'s come before docker's.
//!
//! The command line finds the files and hands in their texts: nothing here knows a home
//! folder or an environment variable. No message repeats a value of these files.

pub mod docker;
mod secret;
pub mod well_known;
pub mod wkg;

use std::collections::BTreeMap;

use crate::name::{Located, PackageName, is_registry, is_repository, shortened};

use docker::{CredentialError, Docker};
use well_known::Base;
use wkg::{Mapping, Options, Wkg};

pub use secret::{Credentials, Secret};

/// Namespaces that `wkg` itself knows, after everything that is configured.
const KNOWN: [(&str, &str); 2] = [("wasi", "wasi.dev"), ("ba", "bytecodealliance.org")];

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It can't be read at all.
    #[error("{file}:{line}: {why}")]
    Syntax {
        /// How messages call it.
        file: String,
        /// Where.
        line: usize,
        /// What the parser says.
        why: String,
    },
    /// A key holds something else than it should.
    #[error("{file}: `{key}` must be {expected}")]
    Shape {
        /// How messages call it.
        file: String,
        /// The key, with those around it.
        key: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A place in darkroom's own map.
    #[error("`{place}` can't be the place of `{key}`")]
    Place {
        /// Namespace or package.
        key: String,
        /// What was there.
        place: String,
    },
    /// No configuration says where a package is.
    #[error("no registry is configured for {package}")]
    Nowhere {
        /// The package.
        package: PackageName,
    },
}

impl ConfigError {
    fn syntax(file: &str, line: usize, why: &str) -> Self {
        Self::Syntax {
            file: file.into(),
            line,
            why: why.lines().next().unwrap_or_default().into(),
        }
    }

    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::Syntax { file, .. } | Self::Shape { file, .. } => format!("correct {file}"),
            Self::Place { .. } => {
                "a key is a namespace or ns:name, a place is a host, and a folder if there is \
                 one: ghcr.io/acme-corp"
                    .into()
            }
            Self::Nowhere { package } => format!(
                "add the namespace `{}` to darkroom's registries or to wkg's config.toml, or \
                 set wkg's default_registry",
                package.namespace()
            ),
        }
    }
}

/// Where a package is, as far as configuration tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Here.
    Fixed(Base),
    /// Where this host's `.well-known` file says, else at the host itself.
    WellKnown(String),
}

/// All that is configured about registries.
#[derive(Clone, Debug, Default)]
pub struct Registries {
    own: BTreeMap<String, Base>,
    wkg: Wkg,
    docker: Docker,
    options: BTreeMap<String, Options>,
    /// Tokens of environment variables, by the middle of their names.
    variables: BTreeMap<String, Secret>,
}

impl Registries {
    /// Nothing configured: only `ghcr.io/…` references can be used, as anybody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry of darkroom's own map: a namespace, or `ns:name`, and where it is.
    ///
    /// # Errors
    /// Either can't be what it should.
    pub fn map(&mut self, key: &str, place: &str) -> Result<(), ConfigError> {
        let (registry, folder) = place
            .trim_end_matches('/')
            .split_once('/')
            .unwrap_or((place, ""));
        let prefix = match folder {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        let package = if key.contains(':') {
            key.to_owned()
        } else {
            format!("{key}:x")
        };
        let registry = registry.trim_end_matches('/');
        if package.parse::<PackageName>().is_err()
            || !is_registry(registry)
            || !is_repository(&format!("{prefix}a/b"))
        {
            return Err(ConfigError::Place {
                key: shortened(key),
                place: shortened(place),
            });
        }
        let registry = registry.to_owned();
        self.own.insert(key.into(), Base { registry, prefix });
        Ok(())
    }

    /// Takes over `wkg`'s configuration.
    #[must_use]
    pub fn with_wkg(mut self, wkg: Wkg) -> Self {
        self.wkg = wkg;
        self
    }

    /// Takes over docker's configuration.
    #[must_use]
    pub fn with_docker(mut self, docker: Docker) -> Self {
        self.docker = docker;
        self
    }

    /// Says how a host is reached, before anything that files say.
    pub fn set_options(&mut self, registry: impl Into<String>, options: Options) {
        self.options.insert(registry.into(), options);
    }

    /// Takes a token from an environment variable as `wkg` names them,
    /// `WKG_REGISTRY_GHCR_IO_AUTH_BEARER`; any other variable is passed over. It comes
    /// before what `wkg`'s file says.
    pub fn take_variable(&mut self, name: &str, value: &str) {
        let middle = name.strip_prefix("WKG_REGISTRY_");
        if let Some(host) = middle.and_then(|rest| rest.strip_suffix("_AUTH_BEARER"))
            && !value.is_empty()
        {
            self.variables.insert(host.into(), Secret::new(value));
        }
    }

    /// Where a package is.
    ///
    /// # Errors
    /// [`ConfigError::Nowhere`].
    pub fn source(&self, name: &PackageName) -> Result<Source, ConfigError> {
        let own = self.own.get(&name.to_string());
        if let Some(base) = own.or_else(|| self.own.get(name.namespace())) {
            return Ok(Source::Fixed(base.clone()));
        }
        let packages = self.wkg.packages.get(&name.to_string());
        let mapping = packages.or_else(|| self.wkg.namespaces.get(name.namespace()));
        let host = match mapping {
            Some(Mapping {
                base: Some(base), ..
            }) => return Ok(Source::Fixed(base.clone())),
            Some(Mapping { registry, .. }) => Some(registry.as_str()),
            None => self.wkg.default.as_deref().or_else(|| {
                let known = KNOWN.iter().find(|(known, _)| *known == name.namespace());
                known.map(|(_, host)| *host)
            }),
        };
        match host.filter(|host| is_registry(host)) {
            Some(host) => Ok(Source::WellKnown(host.into())),
            None => Err(ConfigError::Nowhere {
                package: name.clone(),
            }),
        }
    }

    /// Which package a repository holds: the one whose name leads there, by what is
    /// configured. `.well-known` files aren't asked for, so one that says another place
    /// than its host isn't known here: whoever has the name that was asked for uses that.
    pub fn package_at(&self, located: &Located) -> Option<PackageName> {
        let mappings = self.wkg.namespaces.values();
        let mapped = mappings.chain(self.wkg.packages.values());
        let bases = self.own.values();
        let bases = bases.chain(mapped.filter_map(|one| one.base.as_ref()));
        let plain = Base::of_host(&located.registry);
        let names = bases.filter_map(|base| base.package(&located.repository));
        let mut names = names.chain(plain.package(&located.repository));
        names.find(|name| match self.source(name) {
            Ok(Source::Fixed(base)) => base.locate(name) == *located,
            Ok(Source::WellKnown(host)) => Base::of_host(host).locate(name) == *located,
            Err(_) => false,
        })
    }

    /// How a host is reached.
    pub fn options(&self, registry: &str) -> Options {
        let set = self.options.get(registry).cloned().unwrap_or_default();
        let wkg = self.wkg.options.get(registry).cloned().unwrap_or_default();
        let plain = |one: char| {
            if one.is_ascii_alphanumeric() {
                one
            } else {
                '_'
            }
        };
        let variable: String = registry.chars().map(plain).collect();
        let variable = self.variables.get(&variable.to_ascii_uppercase());
        let token = variable.map(|token| Credentials::Bearer(token.clone()));
        Options {
            credentials: set.credentials.or(token).or(wkg.credentials),
            plain: set.plain.or(wkg.plain),
            roots: set.roots.into_iter().chain(wkg.roots).collect(),
        }
    }

    /// Who asks a host.
    ///
    /// # Errors
    /// See [`CredentialError`].
    pub async fn credentials(&self, registry: &str) -> Result<Credentials, CredentialError> {
        match self.options(registry).credentials {
            Some(credentials) => Ok(credentials),
            None => self.docker.credentials(registry).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> PackageName {
        text.parse().expect(text)
    }

    #[test]
    fn the_order_of_places() {
        let wkg = r#"
            default_registry = "default.example"
            [namespace_registries]
            acme = "acme.example"
            both = "wkg.example"
            fixed = { registry = "f", metadata = { oci = { registry = "ghcr.io", namespacePrefix = "f/" } } }
            [package_registry_overrides]
            "acme:one" = "one.example"
        "#;
        let mut all = Registries::new().with_wkg(Wkg::parse(wkg, "config.toml").expect("read"));
        all.map("both", "own.example/team").expect("a place");
        all.map("acme:two", "two.example").expect("a place");
        let host = |text: &str| Source::WellKnown(text.into());
        for (package, expected) in [
            ("acme:three", host("acme.example")),
            ("acme:one", host("one.example")),
            ("acme:two", Source::Fixed(Base::of_host("two.example"))),
            ("other:x", host("default.example")),
        ] {
            assert_eq!(all.source(&name(package)), Ok(expected), "{package}");
        }
        let placed = |package: &str| match all.source(&name(package)).expect("a place") {
            Source::Fixed(base) => base.locate(&name(package)).to_string(),
            Source::WellKnown(host) => panic!("{host}"),
        };
        assert_eq!(placed("both:x"), "own.example/team/both/x");
        assert_eq!(placed("fixed:x"), "ghcr.io/f/fixed/x");
        let located: Located = "own.example/team/both/x".parse().expect("a place");
        assert_eq!(all.package_at(&located), Some(name("both:x")));
        let at = |place: &str| all.package_at(&place.parse().expect("a place"));
        assert_eq!(at("ghcr.io/f/fixed/x"), Some(name("fixed:x")));
        assert_eq!(at("acme.example/acme/x"), Some(name("acme:x")));
        // A place that looks like a package's, but isn't where its name leads.
        for other in [
            "evil.example/acme/x",
            "own.example/team/other/x",
            "wkg.example/both/x",
            "ghcr.io/f/acme/x",
        ] {
            assert_eq!(at(other), None, "{other}");
        }
    }

    #[test]
    fn tokens_of_the_environment() {
        let mut all = Registries::new();
        all.take_variable("WKG_REGISTRY_GHCR_IO_AUTH_BEARER", "t");
        all.take_variable("WKG_REGISTRY_LOCALHOST_5000_AUTH_BEARER", "");
        all.take_variable("PATH", "/bin");
        let of = |host: &str| all.options(host).credentials;
        assert_eq!(of("ghcr.io"), Some(Credentials::Bearer(Secret::new("t"))));
        assert_eq!(of("localhost:5000"), None);
        assert!(!format!("{all:?}").contains("\"t\""));
    }

    #[test]
    fn without_any_place() {
        let all = Registries::new();
        assert_eq!(
            all.source(&name("wasi:http")),
            Ok(Source::WellKnown("wasi.dev".into()))
        );
        let error = all.source(&name("acme:x")).expect_err("nowhere");
        assert!(
            error.hint().contains("namespace `acme`"),
            "{}",
            error.hint()
        );
        for (key, place) in [
            ("acme", "ghcr"),
            ("acme", "ghcr.io/UP"),
            ("A", "ghcr.io"),
            ("a", "ghcr.io/../x"),
        ] {
            assert!(Registries::new().map(key, place).is_err(), "{key} {place}");
        }
    }
}
