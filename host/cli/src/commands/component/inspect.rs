//! `darkroom component inspect`: what is in a component.
//!
//! [`show`] takes what was read, wherever it came from.

use std::path::PathBuf;

use clap::Args;
use darkroom_registry::name::Reference;
use darkroom_registry::sign::{Bundle, Signature};
use darkroom_registry::trust::Verdict;

use super::desk::Desk;
use super::{inspect_failure, size};
use crate::component::{self, Inspection};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::terminal::{Table, Terminal};

/// Show what is in a component; its code is not run
///
/// What it says of itself, its roles, parameters, imports and assets, its size and digest, the
/// version of the contract, and the SBOM and build statement beside it; of a package in a
/// registry also who has signed it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom component inspect ./greeting/greeting.wasm\n  \
    darkroom component inspect target/components/packages.wasm --json\n  \
    darkroom component inspect acme:hardening@1.2")]
pub(super) struct Inspect {
    /// The component: a file, or a package of a registry (NAMESPACE:NAME@REQUIREMENT,
    /// HOST/REPOSITORY:TAG)
    #[arg(value_name = "FILE|REF")]
    file: PathBuf,
}

impl Inspect {
    pub(super) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let text = self.file.to_string_lossy();
        let seen = if self.file.exists() || text.parse::<Reference>().is_err() {
            component::inspect(&self.file).map_err(inspect_failure)?
        } else {
            of_registry(&text).await?
        };
        if terminal.is_json() {
            terminal.json(&seen);
        } else {
            show(&seen, terminal);
        }
        Ok(exit::DONE)
    }
}

/// Reads a package of a registry, with what is attached to it.
async fn of_registry(text: &str) -> Result<Inspection, Failure> {
    let desk = Desk::open()?;
    let asked = desk.place(text).await?;
    let inspected = desk.client.inspect(&asked.reference).await?;
    let judged = desk.judge(&asked, &inspected).await?;
    let reference = asked.reference;
    let (located, manifest) = (&reference.located, inspected.manifest.digest);
    let mut attached = Vec::new();
    for referrer in desk.client.referrers(located, &manifest).await? {
        let kinds = [component::SBOM_TYPE, component::PROVENANCE_TYPE];
        let Some(kind) = kinds
            .into_iter()
            .find(|kind| *kind == referrer.artifact_type())
        else {
            continue;
        };
        let digest = &referrer.descriptor.digest;
        let place = located.digested(*digest).to_string();
        let attachment = desk.client.attachment(located, &referrer).await?;
        attached.push(component::attached(kind, place.into(), &attachment.bytes));
    }
    let pulled = desk.client.pull_file(&reference, inspected).await?;
    let origin = PathBuf::from(reference.to_string());
    let seen = component::seen(&pulled.component, &origin);
    let mut seen = seen.map_err(|error| inspect_failure(error.into()))?;
    seen.attached = attached;
    seen.signatures = judged.signatures.iter().map(signed_by).collect();
    seen.trust = Some(match judged.verdict {
        Verdict::Trusted(signer) => format!("trusted: {}", signer.name),
        Verdict::Warned(refusal) => format!("warning: {refusal}"),
        Verdict::Unchecked if desk.is_checked() => {
            "not checked: trust.yaml asks for no signature of it".into()
        }
        Verdict::Unchecked => "not checked: there is no trust.yaml".into(),
        Verdict::Refused(refusal) => format!("refused: {refusal}"),
    });
    Ok(seen)
}

/// The key that a signature names; what it says is not believed here.
fn signed_by(signature: &Signature) -> String {
    match signature {
        Signature::Bundle(json) => {
            let key = Bundle::parse(json).ok().and_then(|bundle| bundle.key_id());
            key.map_or_else(|| "a key without a name".into(), |key| key.to_string())
        }
        Signature::Legacy(_) => "a key, in the older form".into(),
    }
}

/// Shows it to people.
pub(super) fn show(seen: &Inspection, terminal: &Terminal) {
    terminal.line(format!("{}: {}", title(seen), seen.summary));
    for (label, text) in facts(seen) {
        terminal.line(format!("{label:<9} {text}"));
    }
    let lines = seen.parameter_lines();
    if !lines.is_empty() {
        let mut table = Table::new(&["PARAMETER", "TYPE", "ABOUT", ""]);
        for line in lines {
            table.row([line.name, line.kind, line.about, line.notes]);
        }
        below(&table, terminal);
    }
    if !seen.assets.is_empty() {
        let mut table = Table::new(&["ASSET", "SIZE"]);
        for asset in &seen.assets {
            table.row([asset.name.clone(), size(asset.bytes)]);
        }
        below(&table, terminal);
    }
}

/// The package's name and version, else those that its SDK gave it, else the file.
fn title(seen: &Inspection) -> String {
    let says = &seen.metadata;
    let name = says.name.as_ref().or(seen.package.as_ref());
    let version = says.version.as_ref().or(seen.version.as_ref());
    match (name, version) {
        (Some(name), Some(version)) => format!("{name} {version}"),
        _ => seen.file.display().to_string(),
    }
}

/// One line each, in order.
fn facts(seen: &Inspection) -> Vec<(&'static str, String)> {
    let roles: Vec<_> = seen.roles.iter().map(|role| role.name()).collect();
    let mut facts = vec![("roles", roles.join(", "))];
    if !seen.families.is_empty() {
        facts.push(("for", seen.families.join(", ")));
    }
    if seen.volatile {
        let volatile = "volatile: its result depends on more than its arguments";
        facts.push(("needs", volatile.into()));
    }
    if seen.internet {
        facts.push(("needs", "internet: the machine must reach it".into()));
    }
    let says = &seen.metadata;
    let said = [
        ("licence", &says.licence),
        ("authors", &says.authors),
        ("source", &says.source),
        ("homepage", &says.homepage),
        ("revision", &says.revision),
        ("contract", &seen.contract),
    ];
    facts.extend(said.into_iter().filter_map(|(label, text)| {
        // Foreign text, in one line of a terminal.
        let line = text
            .as_ref()?
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c });
        Some((label, line.collect()))
    }));
    if !seen.imports.is_empty() {
        facts.push(("imports", imports(&seen.imports)));
    }
    let digest = seen.digest.trim_start_matches("sha256:");
    facts.push(("digest", format!("sha256:{digest}")));
    facts.push(("size", size(seen.bytes)));
    for signature in &seen.signatures {
        // Whoever attaches a signature writes this into it; `trust` is what was verified.
        facts.push(("signature", format!("says it is by {signature}")));
    }
    facts.extend(seen.trust.clone().map(|trust| ("trust", trust)));
    for one in &seen.attached {
        let what = match one.dependencies {
            Some(1) => "1 dependency, ".to_owned(),
            Some(count) => format!("{count} dependencies, "),
            None => String::new(),
        };
        let label = if one.dependencies.is_some() {
            "sbom"
        } else {
            "built"
        };
        let place = one.place.display();
        facts.push((label, format!("{what}{place}, unsigned")));
    }
    facts
}

/// The contract's interfaces by name, WASI's by number: a stock toolchain imports twenty.
fn imports(all: &[String]) -> String {
    let ours = all.iter().filter_map(|name| {
        let (name, _) = name.strip_prefix("darkroom:component/")?.split_once('@')?;
        Some(name.to_owned())
    });
    let mut parts: Vec<_> = ours.collect();
    let wasi = all.iter().filter(|name| name.starts_with("wasi:")).count();
    if wasi > 0 {
        parts.push(format!("{wasi} of WASI"));
    }
    parts.join(", ")
}

/// A table after an empty line.
fn below(table: &Table, terminal: &Terminal) {
    terminal.line("");
    for line in table.lines() {
        terminal.line(line);
    }
}
