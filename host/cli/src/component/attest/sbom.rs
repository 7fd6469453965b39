//! The SBOM of a component, in `CycloneDX` 1.6 (ECMA-424) as JSON.
//!
//! Written by hand, because the few members that are needed are a page, and the crate
//! for the format brings all versions of it, XML and time. SPDX was not taken: it demands
//! a time and an address that is new for each document, so that no build could be
//! repeated.

use darkroom_runtime::pack::{Metadata, is_licence};
use serde_json::{Map, Value, json};

use super::bill::{Bill, Dependency, encoded};

/// The component that the SBOM is about.
#[derive(Clone, Debug)]
pub(crate) struct Subject<'a> {
    /// The name of the file, for one that has no name of its own.
    pub(crate) file: &'a str,
    pub(crate) says: &'a Metadata,
    /// The SHA-256 of the component.
    pub(crate) digest: &'a str,
    /// See [`super::time`].
    pub(crate) time: Option<&'a str>,
}

/// Writes it.
pub(crate) fn sbom(subject: &Subject<'_>, bill: &Bill) -> Value {
    let itself = reference(subject);
    let mut metadata = Map::new();
    if let Some(time) = subject.time {
        metadata.insert("timestamp".into(), time.into());
    }
    metadata.insert("lifecycles".into(), json!([{ "phase": "build" }]));
    let tool =
        json!({ "type": "application", "name": "darkroom", "version": env!("CARGO_PKG_VERSION") });
    metadata.insert("tools".into(), json!({ "components": [tool] }));
    metadata.insert("component".into(), about(subject, &itself));
    let components: Vec<_> = bill.all.values().map(component).collect();
    let needs: Vec<_> = bill
        .needs
        .iter()
        .map(|(of, needs)| {
            let of = if of.is_empty() { &itself } else { of };
            json!({ "ref": of, "dependsOn": needs })
        })
        .collect();
    let aggregate = if bill.complete {
        "complete"
    } else {
        "incomplete"
    };
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": metadata,
        "components": components,
        "dependencies": needs,
        "compositions": [{ "aggregate": aggregate, "assemblies": [itself] }],
    })
}

/// What the document calls the component itself.
fn reference(subject: &Subject<'_>) -> String {
    let (namespace, name) = name(subject);
    let version = subject.says.version.as_deref().unwrap_or("0.0.0");
    let namespace = namespace.map_or(String::new(), |text| format!("{}/", encoded(text)));
    format!(
        "pkg:generic/{namespace}{}@{}",
        encoded(name),
        encoded(version)
    )
}

fn name<'a>(subject: &Subject<'a>) -> (Option<&'a str>, &'a str) {
    match subject
        .says
        .name
        .as_deref()
        .and_then(|name| name.split_once(':'))
    {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, subject.file),
    }
}

fn about(subject: &Subject<'_>, itself: &str) -> Value {
    let (namespace, name) = name(subject);
    let says = subject.says;
    let mut about = Map::new();
    about.insert("type".into(), "application".into());
    about.insert("bom-ref".into(), itself.into());
    let mut add = |key: &str, value: Option<&str>| {
        if let Some(value) = value {
            about.insert(key.into(), value.into());
        }
    };
    add("group", namespace);
    add("name", Some(name));
    add("version", says.version.as_deref());
    add("description", says.description.as_deref());
    about.insert(
        "hashes".into(),
        json!([{ "alg": "SHA-256", "content": subject.digest }]),
    );
    if let Some(licence) = &says.licence {
        about.insert("licenses".into(), licences(licence));
    }
    about.insert("purl".into(), itself.into());
    Value::Object(about)
}

fn component(one: &Dependency) -> Value {
    let mut component = Map::new();
    component.insert("type".into(), "library".into());
    component.insert("bom-ref".into(), one.purl.clone().into());
    component.insert("name".into(), one.name.clone().into());
    component.insert("version".into(), one.version.clone().into());
    if let Some(hash) = &one.hash {
        let hash = json!([{ "alg": hash.algorithm, "content": hash.content }]);
        component.insert("hashes".into(), hash);
    }
    if let Some(licence) = &one.licence {
        component.insert("licenses".into(), licences(licence));
    }
    component.insert("purl".into(), one.purl.clone().into());
    Value::Object(component)
}

/// An expression where it is one, else the words.
fn licences(text: &str) -> Value {
    if is_licence(text) {
        json!([{ "expression": text }])
    } else {
        json!([{ "license": { "name": text } }])
    }
}
