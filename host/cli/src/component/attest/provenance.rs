//! How a component was built: an in-toto statement (v1) with a predicate of SLSA
//! provenance (v1).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::bill::Bill;

/// What `externalParameters` mean; a new meaning is a new one of these.
const BUILD_TYPE: &str = "urn:darkroom:component-build:v1";

/// Something that went into a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// What it is called: `Cargo.lock`, never a path.
    pub(crate) name: String,
    /// Where it comes from, if that is known.
    pub(crate) uri: Option<String>,
    /// Its digest: an algorithm of in-toto and hexadecimal digits.
    pub(crate) digest: Option<(String, String)>,
}

/// A build.
#[derive(Clone, Debug)]
pub(crate) struct Build<'a> {
    /// The name of the component's file.
    pub(crate) file: &'a str,
    /// The SHA-256 of the component.
    pub(crate) digest: &'a str,
    /// What the person asked for: world, namespace, strip.
    pub(crate) asked: BTreeMap<&'static str, String>,
    /// What else decided about the bytes: the compiler.
    pub(crate) tools: BTreeMap<&'static str, String>,
    /// Source, lock files, inputs.
    pub(crate) from: Vec<Resource>,
    /// What was linked.
    pub(crate) bill: Option<&'a Bill>,
    /// See [`super::time`].
    pub(crate) time: Option<&'a str>,
}

/// Writes it.
pub(crate) fn provenance(build: &Build<'_>) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let linked = build.bill.into_iter().flat_map(|bill| bill.all.values());
    let linked = linked.map(|one| Resource {
        name: one.name.clone(),
        uri: Some(one.purl.clone()),
        digest: one
            .hash
            .as_ref()
            .map(|hash| (hash.in_toto(), hash.content.clone())),
    });
    let from: Vec<_> = build
        .from
        .iter()
        .cloned()
        .chain(linked)
        .map(described)
        .collect();
    let mut run = Map::new();
    let builder = json!({
        "id": format!("pkg:generic/darkroom@{version}"),
        "version": { "darkroom": version },
    });
    run.insert("builder".into(), builder);
    if let Some(time) = build.time {
        run.insert(
            "metadata".into(),
            json!({ "startedOn": time, "finishedOn": time }),
        );
    }
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": build.file, "digest": { "sha256": build.digest } }],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": build.asked,
                "internalParameters": build.tools,
                "resolvedDependencies": from,
            },
            "runDetails": run,
        },
    })
}

/// A resource descriptor of in-toto.
fn described(resource: Resource) -> Value {
    let mut descriptor = Map::new();
    descriptor.insert("name".into(), resource.name.into());
    if let Some(uri) = resource.uri {
        descriptor.insert("uri".into(), uri.into());
    }
    if let Some((algorithm, content)) = resource.digest {
        descriptor.insert("digest".into(), json!({ algorithm: content }));
    }
    Value::Object(descriptor)
}
