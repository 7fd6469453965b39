//! The configuration of `wkg` ([wasm-pkg-tools]), read as it is, so that nobody writes it
//! twice.
//!
//! ```toml
//! default_registry = "acme.registry.com"
//!
//! [namespace_registries]
//! wasi = "wasi.dev"                               # asks /.well-known/wasm-pkg/registry.json
//! acme = { registry = "acme", metadata = { preferredProtocol = "oci", oci = { registry = "ghcr.io", namespacePrefix = "acme/" } } }
//!
//! [package_registry_overrides]
//! "acme:hardening" = "localhost:5000"
//!
//! [registry."acme.registry.com".oci]
//! auth = { username = "open", password = "sesame" }   # or "<base64 of name:password>"
//! protocol = "https"
//! ```
//!
//! Keys of other protocols (`local`, `warg`) are passed over. Values are picked by hand
//! and messages name keys only: this file holds passwords. Nothing here opens a file.
//!
//! [wasm-pkg-tools]: https://github.com/bytecodealliance/wasm-pkg-tools

use std::collections::BTreeMap;

use serde_json::Value as Json;
use toml::{Table, Value};

use super::docker::basic_from_base64;
use super::well_known::{self, Base};
use super::{ConfigError, Credentials, Secret};

/// What `wkg` is told about registries.
#[derive(Clone, Debug, Default)]
pub struct Wkg {
    pub(super) default: Option<String>,
    pub(super) namespaces: BTreeMap<String, Mapping>,
    pub(super) packages: BTreeMap<String, Mapping>,
    pub(super) options: BTreeMap<String, Options>,
}

/// A registry that is named, and where it is if that is written too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) registry: String,
    pub(super) base: Option<Base>,
}

/// How one registry is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Who asks; `None` when nothing is said.
    pub credentials: Option<Credentials>,
    /// Whether it is spoken to in plain http; `None` when nothing is said.
    pub plain: Option<bool>,
    /// Certificates (PEM) that vouch for it beside the system's.
    pub roots: Vec<Vec<u8>>,
}

impl Wkg {
    /// Reads the file's text; `file` is how messages call it.
    ///
    /// # Errors
    /// It isn't TOML, or a key that matters has another shape.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let table: Table = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| {
                text.bytes()
                    .take(span.start)
                    .filter(|one| *one == b'\n')
                    .count()
                    + 1
            });
            ConfigError::syntax(file, line, error.message())
        })?;
        let read = Reader { file };
        let mut wkg = Self::default();
        if let Some(value) = table.get("default_registry") {
            wkg.default = Some(read.text(value, "default_registry")?);
        }
        wkg.namespaces = read.mappings(&table, "namespace_registries")?;
        wkg.packages = read.mappings(&table, "package_registry_overrides")?;
        for (name, value) in read.table(&table, "registry")? {
            let key = format!("registry.\"{name}\"");
            let oci = value
                .as_table()
                .ok_or_else(|| read.shape(&key, "a table"))?
                .get("oci");
            let Some(oci) = oci else { continue };
            let key = format!("{key}.oci");
            let oci = oci.as_table().ok_or_else(|| read.shape(&key, "a table"))?;
            wkg.options.insert(name.clone(), read.options(oci, &key)?);
        }
        wkg.share_options();
        Ok(wkg)
    }

    /// What is said about a name also holds for the host that the name stands for.
    fn share_options(&mut self) {
        for mapping in self.namespaces.values().chain(self.packages.values()) {
            let Some(base) = &mapping.base else { continue };
            if let Some(options) = self.options.get(&mapping.registry).cloned() {
                self.options.entry(base.registry.clone()).or_insert(options);
            }
        }
    }
}

struct Reader<'a> {
    file: &'a str,
}

impl Reader<'_> {
    fn shape(&self, key: &str, expected: &'static str) -> ConfigError {
        ConfigError::Shape {
            file: self.file.into(),
            key: key.into(),
            expected,
        }
    }

    fn text(&self, value: &Value, key: &str) -> Result<String, ConfigError> {
        let text = value.as_str().ok_or_else(|| self.shape(key, "a text"))?;
        Ok(text.into())
    }

    fn table<'t>(
        &self,
        table: &'t Table,
        key: &str,
    ) -> Result<Vec<(&'t String, &'t Value)>, ConfigError> {
        match table.get(key) {
            None => Ok(Vec::new()),
            Some(value) => {
                let table = value.as_table().ok_or_else(|| self.shape(key, "a table"))?;
                Ok(table.iter().collect())
            }
        }
    }

    fn mappings(&self, table: &Table, key: &str) -> Result<BTreeMap<String, Mapping>, ConfigError> {
        let mut all = BTreeMap::new();
        for (name, value) in self.table(table, key)? {
            let key = format!("{key}.\"{name}\"");
            all.insert(name.clone(), self.mapping(value, &key)?);
        }
        Ok(all)
    }

    fn mapping(&self, value: &Value, key: &str) -> Result<Mapping, ConfigError> {
        let Some(table) = value.as_table() else {
            let registry = self.text(value, key)?;
            return Ok(Mapping {
                registry,
                base: None,
            });
        };
        let registry = table
            .get("registry")
            .ok_or_else(|| self.shape(&format!("{key}.registry"), "a text"))?;
        let registry = self.text(registry, &format!("{key}.registry"))?;
        let base = match table.get("metadata") {
            None => None,
            Some(metadata) => {
                let key = format!("{key}.metadata");
                let json = serde_json::to_value(metadata).unwrap_or(Json::Null);
                let base = well_known::base(&json, &registry)
                    .map_err(|expected| self.shape(&key, expected))?;
                Some(base)
            }
        };
        Ok(Mapping { registry, base })
    }

    fn options(&self, oci: &Table, key: &str) -> Result<Options, ConfigError> {
        let credentials = match oci.get("auth") {
            None => None,
            Some(auth) => Some(self.credentials(auth, &format!("{key}.auth"))?),
        };
        let plain = match oci.get("protocol").map(Value::as_str) {
            None => None,
            Some(Some("http")) => Some(true),
            Some(Some("https")) => Some(false),
            Some(_) => return Err(self.shape(&format!("{key}.protocol"), "\"http\" or \"https\"")),
        };
        let mut roots = Vec::new();
        if let Some(found) = oci.get("extra_root_certificates") {
            let key = format!("{key}.extra_root_certificates");
            let pem = "a list of { encoding = \"pem\", data = \"…\" }";
            let found = found.as_array().ok_or_else(|| self.shape(&key, pem))?;
            for one in found {
                let part = |name| one.get(name).and_then(Value::as_str);
                match (part("encoding"), part("data")) {
                    (Some("pem"), Some(data)) => roots.push(data.as_bytes().to_vec()),
                    _ => return Err(self.shape(&key, pem)),
                }
            }
        }
        Ok(Options {
            credentials,
            plain,
            roots,
        })
    }

    fn credentials(&self, auth: &Value, key: &str) -> Result<Credentials, ConfigError> {
        const EXPECTED: &str =
            "{ username = \"…\", password = \"…\" } or the base64 of name:password";
        if let Some(text) = auth.as_str() {
            return basic_from_base64(text).ok_or_else(|| self.shape(key, EXPECTED));
        }
        let part = |name| auth.get(name).and_then(Value::as_str);
        match (part("username"), part("password")) {
            (Some(username), Some(password)) => Ok(Credentials::Basic {
                username: username.into(),
                password: Secret::new(password),
            }),
            _ => Err(self.shape(key, EXPECTED)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_its_own_documentation() {
        let wkg = Wkg::parse(
            r#"
            default_registry = "acme.registry.com"
            [namespace_registries]
            wasi = "wasi.dev"
            acme = { registry = "acme", metadata = { preferredProtocol = "oci", oci = { registry = "ghcr.io", namespacePrefix = "acme/" } } }
            [package_registry_overrides]
            "example:foo" = "example.com"
            [registry."wasi.dev".oci]
            auth = { username = "open", password = "sesame" }
            protocol = "http"
            [registry."acme"]
            type = "oci"
            [registry."acme".oci]
            auth = "cGluZzpwb25n"
            [registry."elsewhere"]
            type = "local"
            local = { root = "/tmp" }
            "#,
            "config.toml",
        )
        .expect("it is read");
        assert_eq!(wkg.default.as_deref(), Some("acme.registry.com"));
        assert_eq!(wkg.namespaces["wasi"].base, None);
        let base = wkg.namespaces["acme"].base.as_ref().expect("metadata");
        assert_eq!(
            (base.registry.as_str(), base.prefix.as_str()),
            ("ghcr.io", "acme/")
        );
        assert_eq!(wkg.packages["example:foo"].registry, "example.com");
        assert_eq!(wkg.options["wasi.dev"].plain, Some(true));
        // What is said of the name also holds where the name leads.
        let ping = Credentials::Basic {
            username: "ping".into(),
            password: Secret::new("pong"),
        };
        assert_eq!(wkg.options["acme"].credentials.as_ref(), Some(&ping));
        assert_eq!(wkg.options["ghcr.io"].credentials.as_ref(), Some(&ping));
    }

    #[test]
    fn mistakes_name_their_key_and_never_a_value() {
        for (text, said) in [
            ("a = 'hunter2\n", "config.toml:1"),
            (
                "[registry.x.oci]\nauth = ['hunter2']",
                "registry.\"x\".oci.auth",
            ),
            (
                "[registry.x.oci]\nauth = 'hunter2!'",
                "registry.\"x\".oci.auth",
            ),
            (
                "[registry.x.oci]\nauth = { username = 'a', password = 5 }",
                "registry.\"x\".oci.auth",
            ),
            (
                "[registry.x.oci]\nprotocol = 'hunter2'",
                "\"http\" or \"https\"",
            ),
            (
                "[namespace_registries]\na = { metadata = {} }",
                "namespace_registries.\"a\".registry",
            ),
            ("default_registry = 1", "default_registry"),
        ] {
            let error = Wkg::parse(text, "config.toml").expect_err(text);
            let shown = format!("{error} {error:?} {}", error.hint());
            assert!(
                shown.contains(said) || shown.contains(&said.replace('"', "\\\"")),
                "{shown}"
            );
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
