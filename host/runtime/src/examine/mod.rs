//! All that is wrong with a component, at once, for its author: `darkroom component
//! check`.
//!
//! Loading stops at the first problem, because whoever loads wants an answer in
//! milliseconds; an author wants the whole list. What is a problem for loading is wrong
//! here too, by the same functions (`load`, `imports`, the contract's description). What
//! doesn't keep a component from running, such as a missing licence, is advice.

mod finding;
mod limits;
mod surface;

use darkroom_contract::Description;

pub use finding::{Finding, Level, Topic};

use crate::assets::{self, Assets};
use crate::failure::CallError;
use crate::imports;
use crate::load::{self, LoadProblem};
use crate::pack::{self, Check, Metadata, PackError};
use crate::runtime::Runtime;
use crate::sections::{self, Kind, Outline};

/// Examines a component; `origin` names it. Only one that nothing is wrong with is run:
/// `describe` is called once. It blocks.
pub fn examine(runtime: &Runtime, bytes: &[u8], origin: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let allowed = runtime.limits().component_bytes;
    if bytes.len() > allowed {
        let bytes = bytes.len();
        findings.push(Finding::of(
            Topic::Limits,
            &LoadProblem::TooLarge { bytes, allowed },
        ));
    }
    match readable(bytes) {
        Err(problem) => findings.push(Finding::of(Topic::File, &problem)),
        Ok(outline) => {
            limits::examine(bytes, runtime.limits(), &mut findings);
            surface::examine(bytes, &outline, &mut findings);
            described(&outline, &mut findings);
            said(&outline, &mut findings);
            shipped(&outline, &mut findings);
        }
    }
    if !findings.iter().any(|finding| finding.level == Level::Wrong) {
        findings.extend(run(runtime, bytes, origin));
    }
    findings
}

/// The outer layer of what is a valid component.
fn readable(bytes: &[u8]) -> Result<Outline<'_>, LoadProblem> {
    if !bytes.starts_with(b"\0asm") {
        let looks_like = load::looks_like(bytes);
        return Err(LoadProblem::NotWebAssembly { looks_like });
    }
    let outline = sections::outline(bytes).map_err(LoadProblem::Damaged)?;
    if outline.kind == Kind::Module {
        return Err(LoadProblem::CoreModule);
    }
    wasmparser::Validator::new()
        .validate_all(bytes)
        .map_err(|error| LoadProblem::Damaged(error.to_string()))?;
    Ok(outline)
}

/// The description: there once, a description, and one that serves people.
fn described(outline: &Outline<'_>, findings: &mut Vec<Finding>) {
    let topic = Topic::Description;
    let text = match outline.section(sections::DESCRIPTION) {
        Err(twice) => return findings.push(Finding::of(topic, &twice.into())),
        Ok(None) => return findings.push(Finding::of(topic, &LoadProblem::NoDescription)),
        Ok(Some(section)) => String::from_utf8_lossy(section),
    };
    let mistakes = Description::mistakes(&text);
    let problems = mistakes.iter().cloned().map(LoadProblem::Description);
    findings.extend(problems.map(|problem| Finding::of(topic, &problem)));
    let Ok(description) = Description::parse(&text) else {
        return;
    };
    for family in &description.families {
        if !["linux", "windows"].contains(&family.as_str()) {
            findings.push(
                Finding::wrong(
                    topic,
                    format!("the family {family:?} is none of the machines'"),
                )
                .hint("name `linux` and `windows`, or leave `families` out for both"),
            );
        }
    }
    for (name, schema) in description.properties() {
        if wit_parser::validate_id(name).is_err() || name.contains(|c: char| c.is_uppercase()) {
            findings.push(
                Finding::advice(topic, format!("the parameter {name:?} is not of one form"))
                    .hint("name it of lower-case words between dashes: `install-from`"),
            );
        }
        if schema
            .get("description")
            .and_then(|text| text.as_str())
            .is_none()
        {
            findings.push(
                Finding::advice(
                    topic,
                    format!("the parameter {name:?} says nothing of itself"),
                )
                .hint("give its schema a `description`"),
            );
        }
    }
}

/// The metadata: well formed, and enough to be published.
fn said(outline: &Outline<'_>, findings: &mut Vec<Finding>) {
    let metadata = Metadata::read(outline);
    let wrong = |mistake: pack::MetadataMistake| {
        Finding::wrong(Topic::Metadata, mistake.to_string()).hint(mistake.hint())
    };
    findings.extend(metadata.mistakes().into_iter().map(wrong));
    let names = pack::contract(outline);
    if let (Some(says), Some(names)) = (metadata.contract.as_deref(), names)
        && says != names
    {
        let message = format!("it says contract {says:?}, and its interfaces are of {names}");
        let hint = "pack it again with `darkroom component build`";
        findings.push(Finding::wrong(Topic::Metadata, message).hint(hint));
    }
    let wanted = [
        ("name", metadata.name.is_none(), "`--name acme:web`"),
        ("version", metadata.version.is_none(), "`--version 1.0.0`"),
        (
            "licence",
            metadata.licence.is_none(),
            "`--licence Apache-2.0`",
        ),
    ];
    for (what, _, flag) in wanted.into_iter().filter(|(_, missing, _)| *missing) {
        findings.push(
            Finding::advice(
                Topic::Metadata,
                format!("it has no {what}, which registries show"),
            )
            .hint(format!(
                "build it with {flag}, or say it in Cargo.toml or component.toml"
            )),
        );
    }
}

fn shipped(outline: &Outline<'_>, findings: &mut Vec<Finding>) {
    let problem = match outline.section(assets::SECTION) {
        Err(twice) => Some(twice.into()),
        Ok(None) => None,
        Ok(Some(section)) => Assets::read(section).err().map(LoadProblem::Assets),
    };
    findings.extend(problem.map(|problem| Finding::of(Topic::Assets, &problem)));
}

/// Loads and runs it: whether it fits the host, and says what its section says.
fn run(runtime: &Runtime, bytes: &[u8], origin: &str) -> Option<Finding> {
    match pack::check(runtime, bytes, origin) {
        Ok(Check::Same) => None,
        Ok(Check::Differs { section, answer }) => Some(
            Finding::wrong(
                Topic::Code,
                format!(
                    "the description is not what its code answers\n  in the file: {section}\n  \
                     its code:    {answer}"
                ),
            )
            .hint("build it again with `darkroom component build`, and don't use it before"),
        ),
        Err(PackError::Load(error)) => Some(Finding::of(Topic::World, &error.problem)),
        Err(PackError::Describe(error)) => Some(called(&error)),
        Err(error) => Some(Finding::wrong(Topic::File, error.to_string())),
    }
}

fn called(error: &CallError) -> Finding {
    let finding = Finding::wrong(Topic::Code, error.to_string());
    match error.hint() {
        Some(hint) => finding.hint(hint),
        None => finding,
    }
}

/// Which flag or line of which tool takes an import out that no host has.
fn remedy(import: &str) -> String {
    let package = import.split(['/', '@']).next().unwrap_or(import);
    if import.starts_with("wasi:http/") {
        return "let the machine fetch it: `download`, or a script; componentize-js: `--disable \
                http`; componentize-py: `--stub-wasi`"
            .into();
    }
    if package.starts_with("wasi:") && import.contains("@0.3") {
        return "build for WASI 0.2: the target wasm32-wasip2, or `--wasi 0.2` of the tool".into();
    }
    if package.starts_with("wasi:") {
        return format!(
            "take `import {import}` out of the world; componentize-py: `--stub-wasi`; \
             componentize-js: `--disable all`"
        );
    }
    if imports::interface(import).is_some() {
        return "update darkroom, or build it against the oldest contract that has what it needs"
            .into();
    }
    format!(
        "take `import {import}` out of the world, or put a component inside that has it: `wac \
         plug --plug {} …`",
        if package.contains(':') {
            "other.wasm"
        } else {
            "adapter.wasm"
        }
    )
}
