//! What cargo knows of crates without compiling them: their fields in Cargo.toml, and
//! what they are linked with.
//!
//! `cargo metadata --no-deps` and `cargo tree` are asked, and nothing else is: a full
//! `cargo metadata` would fetch what only tests use. Nothing here compiles.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use darkroom_runtime::pack::Metadata;
use serde::Deserialize;
use serde_json::Value;

use super::cargo::CargoError;
use super::toolchain::{TARGET, Tools};

/// The crates of a folder.
#[derive(Clone, Debug, Default)]
pub(super) struct Crates {
    /// The folder of the workspace, with its Cargo.lock.
    pub(super) root: PathBuf,
    /// Those of the workspace, by their folders.
    pub(super) members: BTreeMap<PathBuf, Member>,
    /// What each package is linked with, by its name in `cargo tree`; build scripts,
    /// macros and tests left out.
    pub(super) linked: BTreeMap<Package, BTreeSet<Package>>,
}

/// A crate of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) package: String,
    pub(super) version: String,
    pub(super) says: Metadata,
}

/// A package in the graph.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// A folder, or the address of a repository; empty for crates.io.
    pub(super) origin: String,
    pub(super) licence: String,
}

/// `cargo metadata`, as far as it is of interest.
#[derive(Deserialize)]
struct Said {
    packages: Vec<Fields>,
    workspace_root: PathBuf,
    metadata: Option<Value>,
}

#[derive(Deserialize)]
struct Fields {
    name: String,
    version: String,
    manifest_path: PathBuf,
    license: Option<String>,
    description: Option<String>,
    repository: Option<String>,
    homepage: Option<String>,
    #[serde(default)]
    authors: Vec<String>,
    metadata: Option<Value>,
}

/// Asks cargo about the crates in `folder`. A crate is named by
/// `[package.metadata.darkroom] name`, else after its package in `namespace`, else in that
/// of `[workspace.metadata.darkroom]`.
pub(super) fn read(
    tools: &Tools,
    folder: &Path,
    namespace: Option<&str>,
) -> Result<Crates, CargoError> {
    let manifest = folder.join("Cargo.toml");
    let fields = ask(
        tools,
        &manifest,
        &["metadata", "--no-deps", "--format-version", "1"],
    )?;
    let said: Said = serde_json::from_slice(&fields)
        .map_err(|error| CargoError::Ask(format!("it said what can't be read: {error}")))?;
    let tree = [
        "tree",
        "--edges",
        "normal,no-proc-macro",
        "--target",
        TARGET,
        "--prefix",
        "depth",
        "--format",
        "\t{p}\t{l}",
    ];
    let tree = ask(tools, &manifest, &tree)?;
    let of_all = ours(said.metadata.as_ref(), "namespace");
    let namespace = namespace.or(of_all);
    let members = said.packages.into_iter().filter_map(|fields| {
        let folder = fields.manifest_path.parent()?.to_owned();
        Some((folder, member(fields, namespace)))
    });
    Ok(Crates {
        root: said.workspace_root,
        members: members.collect(),
        linked: linked(&String::from_utf8_lossy(&tree)),
    })
}

fn ask(tools: &Tools, manifest: &Path, words: &[&str]) -> Result<Vec<u8>, CargoError> {
    let output = Command::new(&tools.cargo)
        .args(words)
        .arg("--manifest-path")
        .arg(manifest)
        .output()
        .map_err(CargoError::Start)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(CargoError::Ask(said.trim_end().to_owned()))
}

/// A text of the table `darkroom` in a table of metadata.
fn ours<'a>(metadata: Option<&'a Value>, key: &str) -> Option<&'a str> {
    metadata?.get("darkroom")?.get(key)?.as_str()
}

fn member(fields: Fields, namespace: Option<&str>) -> Member {
    let named = ours(fields.metadata.as_ref(), "name").map(str::to_owned);
    let usual = || Some(format!("{}:{}", namespace?, fields.name.replace('_', "-")));
    let authors = fields.authors.join(", ");
    Member {
        says: Metadata {
            name: named.or_else(usual),
            version: Some(fields.version.clone()),
            // What cargo allowed before it was SPDX.
            licence: fields.license.map(|text| text.replace('/', " OR ")),
            authors: Some(authors).filter(|authors| !authors.is_empty()),
            description: fields.description.map(|text| text.trim().to_owned()),
            source: fields.repository,
            homepage: fields.homepage,
            ..Metadata::default()
        },
        package: fields.name,
        version: fields.version,
    }
}

/// The graph of `cargo tree`: lines of a depth, a package and its licence. What comes
/// again is marked with a star and has no children the second time.
fn linked(tree: &str) -> BTreeMap<Package, BTreeSet<Package>> {
    let mut graph: BTreeMap<Package, BTreeSet<Package>> = BTreeMap::new();
    let mut above: Vec<Package> = Vec::new();
    for line in tree.lines() {
        let mut columns = line.split('\t');
        let depth = columns.next().and_then(|depth| depth.parse::<usize>().ok());
        let (Some(depth), Some(id)) = (depth, columns.next()) else {
            continue;
        };
        let licence = columns.next().unwrap_or_default().trim_end_matches(" (*)");
        let Some(package) = package(id, licence) else {
            continue;
        };
        above.truncate(depth);
        if let Some(parent) = above.last() {
            graph
                .entry(parent.clone())
                .or_default()
                .insert(package.clone());
        }
        graph.entry(package.clone()).or_default();
        above.push(package);
    }
    graph
}

/// `regex-lite v0.1.9`, `change v0.1.0 (/folder)`, `x v1.0.0 (https://host/x?rev=1#abc)`.
fn package(id: &str, licence: &str) -> Option<Package> {
    let (name, rest) = id.split_once(" v")?;
    let (version, origin) = rest.split_once(" (").unwrap_or((rest, ""));
    Some(Package {
        name: name.to_owned(),
        version: version.trim().to_owned(),
        origin: origin.trim_end_matches(')').to_owned(),
        licence: licence.trim().replace('/', " OR "),
    })
}

impl Crates {
    /// A package of the workspace in the graph, with everything that it is linked with.
    pub(super) fn closure(&self, member: &Member) -> Vec<(&Package, &BTreeSet<Package>)> {
        let is_it = |one: &&Package| {
            one.name == member.package && one.version == member.version && !one.origin.is_empty()
        };
        let mut wanted: Vec<_> = self.linked.keys().filter(is_it).collect();
        let mut found = BTreeMap::new();
        while let Some(package) = wanted.pop() {
            if let Some((package, needs)) = self.linked.get_key_value(package)
                && found.insert(package, needs).is_none()
            {
                wanted.extend(needs);
            }
        }
        found.into_iter().collect()
    }

    /// The packages that lie in folders outside the workspace; their paths would be in the
    /// code as they are on this machine.
    pub(super) fn outside(&self) -> BTreeMap<PathBuf, String> {
        let folders = self.linked.keys().filter(|one| one.origin.starts_with('/'));
        folders
            .map(|one| (PathBuf::from(&one.origin), one.name.clone()))
            .filter(|(folder, _)| !folder.starts_with(&self.root))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "0\tweb v0.1.0 (/w/web)\tMIT\n\
        1\tchange v0.1.0 (/w/change)\tMIT/Apache-2.0\n\
        2\tdarkroom v0.1.0 (/sdk)\tApache-2.0\n\
        3\twit-bindgen v0.63.0\tMIT\n\
        1\tdarkroom v0.1.0 (/sdk)\tApache-2.0 (*)\n\
        \n\
        0\tother v0.1.0 (/w/other)\t\n\
        1\tgitty v1.0.0 (https://example.org/g?rev=1#abcdef)\tMIT\n\
        1\tdarkroom v0.1.0 (/sdk)\tApache-2.0 (*)\n";

    fn member(package: &str) -> Member {
        Member {
            package: package.into(),
            version: "0.1.0".into(),
            says: Metadata::default(),
        }
    }

    #[test]
    fn the_graph_is_read_with_what_is_told_once() {
        let crates = Crates {
            root: "/w".into(),
            linked: linked(TREE),
            ..Crates::default()
        };
        let names = |package: &str| -> Vec<_> {
            let closure = crates.closure(&member(package));
            closure.iter().map(|(one, _)| one.name.clone()).collect()
        };
        assert_eq!(names("web"), ["change", "darkroom", "web", "wit-bindgen"]);
        assert_eq!(
            names("other"),
            ["darkroom", "gitty", "other", "wit-bindgen"]
        );
        assert_eq!(names("absent"), [""; 0]);
        let all = crates.closure(&member("other"));
        assert_eq!(all[1].0.origin, "https://example.org/g?rev=1#abcdef");
        assert_eq!(
            crates.closure(&member("web"))[0].0.licence,
            "MIT OR Apache-2.0"
        );
        let outside = crates.outside();
        assert_eq!(
            outside.into_iter().collect::<Vec<_>>(),
            [("/sdk".into(), "darkroom".into())]
        );
    }

    #[test]
    fn crates_are_named_by_themselves_or_their_namespace() {
        let fields = |metadata: Value| Fields {
            name: "my_web".into(),
            version: "1.0.0".into(),
            manifest_path: "/w/Cargo.toml".into(),
            license: Some("MIT/Apache-2.0".into()),
            description: Some("Serves\n".into()),
            repository: None,
            homepage: None,
            authors: vec!["Ann".into(), "Bob".into()],
            metadata: Some(metadata),
        };
        let named = |metadata: Value, namespace| super::member(fields(metadata), namespace).says;
        assert_eq!(named(Value::Null, None).name, None);
        assert_eq!(
            named(Value::Null, Some("acme")).name.as_deref(),
            Some("acme:my-web")
        );
        let own = serde_json::json!({ "darkroom": { "name": "own:web" } });
        let says = named(own, Some("acme"));
        assert_eq!(says.name.as_deref(), Some("own:web"));
        assert_eq!(says.licence.as_deref(), Some("MIT OR Apache-2.0"));
        assert_eq!(says.authors.as_deref(), Some("Ann, Bob"));
        assert_eq!(says.description.as_deref(), Some("Serves"));
    }
}
