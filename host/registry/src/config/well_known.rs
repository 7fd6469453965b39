//! `/.well-known/wasm-pkg/registry.json`: where a host says in which OCI registry its
//! packages lie ([wasm-pkg-tools]).
//!
//! ```json
//! { "preferredProtocol": "oci", "oci": { "registry": "ghcr.io", "namespacePrefix": "acme/" } }
//! ```
//!
//! The client fetches it; a file of `wkg` may hold the same. Nothing here opens a
//! connection.
//!
//! [wasm-pkg-tools]: https://github.com/bytecodealliance/wasm-pkg-tools

use serde_json::Value;

use crate::name::{Located, PackageName, is_registry, is_repository};

/// Where under a host the file lies.
pub const PATH: &str = "/.well-known/wasm-pkg/registry.json";

/// A registry, and what stands there before `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The host.
    pub registry: String,
    /// The prefix, as it is put before the namespace; empty, or such as `acme/`.
    pub prefix: String,
}

impl Base {
    /// A host without a prefix.
    pub fn of_host(registry: impl Into<String>) -> Self {
        Self {
            registry: registry.into(),
            prefix: String::new(),
        }
    }

    /// Where a package is under it.
    pub fn locate(&self, name: &PackageName) -> Located {
        Located {
            registry: self.registry.clone(),
            repository: format!("{}{}/{}", self.prefix, name.namespace(), name.name()),
        }
    }

    /// Which package a repository under it holds.
    pub fn package(&self, repository: &str) -> Option<PackageName> {
        let rest = repository.strip_prefix(&self.prefix)?;
        rest.replacen('/', ":", 1).parse().ok()
    }
}

/// Reads the file; `host` is where packages lie when it doesn't say.
///
/// # Errors
/// What it should have been.
pub fn base(json: &Value, host: &str) -> Result<Base, &'static str> {
    let table = json.as_object().ok_or("an object")?;
    let text = |value: Option<&Value>, expected| match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(expected),
    };
    let oci = table.get("oci");
    let preferred = text(
        table.get("preferredProtocol"),
        "preferredProtocol as a text",
    )?;
    if preferred.as_deref().is_some_and(|other| other != "oci") && oci.is_none() {
        return Err("a registry of the protocol oci");
    }
    let part = |name: &str, old: &str| {
        let new = oci.and_then(|oci| oci.get(name));
        // The older, flat spelling.
        text(
            new.or_else(|| table.get(old)),
            "registry and namespacePrefix as texts",
        )
    };
    let registry = part("registry", "ociRegistry")?.unwrap_or_else(|| host.into());
    let prefix = part("namespacePrefix", "ociNamespacePrefix")?.unwrap_or_default();
    if !is_registry(&registry) {
        return Err("an oci registry that is a host");
    }
    if !is_repository(&format!("{prefix}a/b")) {
        return Err("a namespacePrefix such as \"acme/\"");
    }
    Ok(Base { registry, prefix })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_spellings() {
        let name: PackageName = "acme:hardening".parse().expect("a name");
        for file in [
            json!({"preferredProtocol": "oci", "oci": {"registry": "ghcr.io", "namespacePrefix": "acme-org/"}}),
            json!({"ociRegistry": "ghcr.io", "ociNamespacePrefix": "acme-org/"}),
        ] {
            let base = base(&file, "acme.com").expect("it is read");
            assert_eq!(
                base.locate(&name).to_string(),
                "ghcr.io/acme-org/acme/hardening"
            );
            assert_eq!(base.package("acme-org/acme/hardening"), Some(name.clone()));
            assert_eq!(base.package("other/acme/hardening"), None);
        }
        let bare = base(&json!({}), "acme.com").expect("it is read");
        assert_eq!(bare.locate(&name).to_string(), "acme.com/acme/hardening");
    }

    #[test]
    fn what_it_can_not_be() {
        for wrong in [
            json!([]),
            json!({"oci": {"registry": 5}}),
            json!({"oci": {"registry": "../etc"}}),
            json!({"oci": {"registry": "user:password@evil.com"}}),
            json!({"oci": {"registry": "ghcr.io", "namespacePrefix": "../"}}),
            json!({"preferredProtocol": "warg", "warg": {"url": "https://x"}}),
        ] {
            assert!(base(&wrong, "acme.com").is_err(), "{wrong}");
        }
    }
}
