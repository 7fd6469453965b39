//! Packing one module after the other, each only where something has changed, and
//! attesting what came of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use darkroom_runtime::pack::{self, Recipe};
use darkroom_runtime::{Config, Runtime};
use sha2::{Digest as _, Sha256};

use super::attest::{self, Bill, Build, Resource, Subject};
use super::build::{BuildError, Built, Request};
use super::output::{self, digest, hex};

/// Part of every stamp: a new number makes all components anew. It must change whenever
/// packing the same module gives other bytes.
const PACKING: &str = "darkroom packing 2";

/// One component to be packed.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// See [`Built::name`].
    name: String,
    /// What a compiler made.
    input: Vec<u8>,
    /// The component.
    file: PathBuf,
    /// The rest of what it is made of.
    pub(super) recipe: Recipe,
    /// Where it is kept what the output was made of; without it, it is always made.
    pub(super) stamp: Option<PathBuf>,
    /// What is in it, if that is known.
    pub(super) bill: Option<Bill>,
    /// What the person asked for.
    pub(super) asked: BTreeMap<&'static str, String>,
    /// What else made it.
    pub(super) tools: BTreeMap<&'static str, String>,
    /// What it was made of, beside the bill.
    from: Vec<Resource>,
}

impl Job {
    pub(super) fn new(name: &str, input: Vec<u8>, file: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            input,
            file,
            recipe: Recipe::default(),
            stamp: None,
            bill: None,
            asked: BTreeMap::new(),
            tools: BTreeMap::new(),
            from: Vec::new(),
        }
    }

    /// A file went into it.
    pub(super) fn went_in(&mut self, name: &str, bytes: &[u8]) {
        self.from.push(Resource {
            name: name.to_owned(),
            uri: None,
            digest: Some(("sha256".into(), digest(bytes))),
        });
    }

    /// The commit of its source, at the address that the package says.
    pub(super) fn came_from(&mut self, commit: Option<&str>) {
        let Some(commit) = commit else {
            return;
        };
        let source = self.recipe.metadata.source.as_deref();
        self.from.push(Resource {
            name: "source".into(),
            uri: source.map(|source| format!("git+{}", source.trim_start_matches("git+"))),
            digest: Some(("gitCommit".into(), commit.to_owned())),
        });
    }
}

/// Packs; its runtime is started with the first component that is not fresh.
pub(super) struct Packer<'a> {
    request: &'a Request,
    runtime: Option<Runtime>,
}

impl<'a> Packer<'a> {
    pub(super) fn new(request: &'a Request) -> Self {
        Self {
            request,
            runtime: None,
        }
    }

    /// Packs and attests one.
    pub(super) fn pack(&mut self, mut job: Job) -> Result<Built, BuildError> {
        job.recipe.strip = self.request.strip;
        let key = key(&job.input, &job.recipe);
        let (bytes, fresh) = match fresh(&job, &key) {
            Some(bytes) => (bytes, true),
            None => (self.make(&job, &key)?, false),
        };
        let refused = |source: pack::PackError| BuildError::Pack {
            component: job.name.clone(),
            source: Box::new(source),
        };
        let says = pack::read_sections(&bytes).map_err(refused)?.metadata;
        let built = Built {
            name: job.name.clone(),
            says,
            before: job.input.len() as u64,
            file: job.file.clone(),
            bytes: bytes.len() as u64,
            digest: digest(&bytes),
            fresh,
        };
        if self.request.attest {
            self.attest(&job, &built)?;
        } else {
            attest::clear(&job.file)?;
        }
        Ok(built)
    }

    fn make(&mut self, job: &Job, key: &str) -> Result<Vec<u8>, BuildError> {
        let runtime = match &mut self.runtime {
            Some(runtime) => runtime,
            none => none.insert(Runtime::new(Config::default())?),
        };
        let origin = job.file.display().to_string();
        let packed = pack::package(runtime, &job.input, &job.recipe, &origin);
        let packed = packed.map_err(|source| BuildError::Pack {
            component: job.name.clone(),
            source: Box::new(source),
        })?;
        output::write(&job.file, &packed)?;
        if let Some(stamp) = &job.stamp {
            output::write(stamp, stamped(key, &packed).as_bytes())?;
        }
        Ok(packed)
    }

    fn attest(&self, job: &Job, built: &Built) -> Result<(), BuildError> {
        let file = name(&job.file);
        let time = attest::time(self.request.epoch);
        let subject = Subject {
            file: &file,
            says: &built.says,
            digest: &built.digest,
            time: time.as_deref(),
        };
        let sbom = job.bill.as_ref().map(|bill| attest::sbom(&subject, bill));
        let mut asked = job.asked.clone();
        let strip = format!("{:?}", self.request.strip).to_lowercase();
        asked.insert("strip", strip);
        asked.extend(built.says.name.clone().map(|name| ("name", name)));
        asked.extend(
            built
                .says
                .version
                .clone()
                .map(|version| ("version", version)),
        );
        let provenance = attest::provenance(&Build {
            file: &file,
            digest: &built.digest,
            asked,
            tools: job.tools.clone(),
            from: job.from.clone(),
            bill: job.bill.as_ref(),
            time: time.as_deref(),
        });
        Ok(attest::write(&job.file, sbom.as_ref(), &provenance)?)
    }
}

/// The last part of a path.
pub(super) fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The output that is there, if the stamp says that it is of this.
fn fresh(job: &Job, key: &str) -> Option<Vec<u8>> {
    let there = std::fs::read(&job.file).ok()?;
    let stamp = std::fs::read_to_string(job.stamp.as_ref()?).ok()?;
    (stamp == stamped(key, &there)).then_some(there)
}

fn stamped(key: &str, packed: &[u8]) -> String {
    format!("{key} {}\n", digest(packed))
}

/// What an output depends on, as one digest. Lengths keep two lists of files apart.
fn key(input: &[u8], recipe: &Recipe) -> String {
    let mut hash = Sha256::new();
    hash.update(PACKING);
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(input);
    let mut rest = String::new();
    // Writing to a text can't fail.
    let _ = write!(
        rest,
        "{:?} {:?} {:?}",
        recipe.world, recipe.strip, recipe.metadata
    );
    part(rest.as_bytes());
    part(recipe.adapter.as_deref().unwrap_or_default());
    for (name, content) in recipe.files.iter().flatten() {
        part(name.as_bytes());
        part(content);
    }
    hex(&hash.finalize())
}
