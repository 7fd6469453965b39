//! From a template's text to something that can be planned and built: every mistake at
//! once, each with its place, before anything is spent.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use darkroom_contract::{FileContent, Inputs, Language, PathPart, Role, Step, StepKind};
use darkroom_runtime::{Component, Runtime};
use darkroom_template::lock::{Lock, Pinning, Used};
use darkroom_template::{
    BuildItem, Copy, Draft, Mistake, Mistakes, Repair, ResolveWith, Resolved, Run, SecretFrom,
    SourceFile, Span, Spanned, TestItem, Uses, UsesRef, draft, parse,
};
use serde_json::{Map, Value, json};

use crate::carry::Material;
use crate::components::{Shelf, short, written};
use crate::copied::{Copied, target};
use crate::role::Part;

/// A template, ready to be planned and built.
pub struct Checked {
    pub(crate) resolved: Resolved,
    pub(crate) build: Vec<BuildPart>,
    pub(crate) test: Vec<BuildPart>,
    pub(crate) repair: Option<Part>,
    pub(crate) generalize: Part,
    /// The bytes of each component by its reference, to be kept with the run.
    pub(crate) bytes: BTreeMap<String, Vec<u8>>,
    /// What a lock pins, each with its first place in the template.
    used: Vec<(Used, Span)>,
    /// The template's text.
    pub(crate) text: String,
    /// What may be wrong; nothing that keeps the template from being built.
    pub warnings: Vec<Mistake>,
}

/// A file or folder beside a template that a build reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed {
    /// Where it lies, as the template writes it.
    pub path: String,
    /// A file's bytes, or a tar archive of a folder.
    pub bytes: Arc<Vec<u8>>,
    /// Whether it is an archive.
    pub is_folder: bool,
    /// Permission bits of a file; those of an archive are in it.
    pub mode: u32,
}

/// One item of `build` or of `test`.
pub(crate) enum BuildPart {
    Component(Part),
    Own(Own),
}

impl BuildPart {
    /// The component as the template names it, or what the step is called in paths.
    pub(crate) fn label(&self) -> &str {
        match self {
            Self::Component(part) => &part.label,
            Self::Own(own) => own.name,
        }
    }

    fn component(&self) -> Option<&Part> {
        match self {
            Self::Component(part) => Some(part),
            Self::Own(_) => None,
        }
    }
}

/// A step of the template's own.
pub(crate) struct Own {
    /// What it is called in paths and by people.
    pub name: &'static str,
    pub step: Step,
    /// What it copies.
    pub copied: Option<Copied>,
}

impl Own {
    /// A script by this title.
    pub(crate) fn script(
        name: &'static str,
        title: String,
        script: &str,
        environment: Vec<(String, String)>,
    ) -> Self {
        let language = Language::Sh;
        let script = script.to_owned();
        let mut step = Step::new(0, title, StepKind::Shell { language, script });
        step.environment = environment;
        Self {
            name,
            step,
            copied: None,
        }
    }

    pub(crate) fn material(&self) -> Material<'_> {
        match &self.copied {
            Some(copied) => Material::Copied(copied),
            None => Material::None,
        }
    }
}

impl Checked {
    /// The template's name.
    pub fn name(&self) -> &str {
        &self.resolved.name.value
    }

    /// The paths of the items of `build`, as events name them.
    pub(crate) fn item_paths(&self) -> Vec<String> {
        let parts = self.build.iter().enumerate();
        parts
            .map(|(index, part)| format!("build/{}", segment(index, part.label())))
            .collect()
    }

    /// The components that a lock pins, as they are here.
    pub fn used(&self) -> Vec<Used> {
        self.used.iter().map(|(used, _)| used.clone()).collect()
    }

    /// What a build makes of the template's lock: entries are added, none is moved.
    ///
    /// # Errors
    /// Each component that the lock doesn't let the template use, where it is used.
    pub fn pin(&self, lock: &Lock, pinning: Pinning) -> Result<Lock, Mistakes> {
        let refusals = match lock.pin(&self.used(), pinning) {
            Ok(lock) => return Ok(lock),
            Err(refusals) => refusals,
        };
        let resolved = &self.resolved;
        let mistakes = refusals.iter().map(|refusal| {
            let mut used = self.used.iter();
            let place = used.find(|(used, _)| used.found.name == refusal.name());
            let span = place.map_or(resolved.name.span, |(_, span)| *span);
            resolved.mistake_at(span, refusal.to_string(), Some(refusal.hint()))
        });
        match Mistakes::none_or(mistakes.collect(), ()) {
            Ok(()) => Ok(lock.clone()),
            Err(mistakes) => Err(mistakes),
        }
    }

    /// The files of the template's folder that a build reads, for whoever carries the
    /// template elsewhere: components by path, and what it copies.
    pub fn needed(&self) -> Vec<Needed> {
        let components = self
            .bytes
            .iter()
            .filter(|(label, _)| label.starts_with("./"));
        let components = components.map(|(path, bytes)| Needed {
            path: path.clone(),
            bytes: Arc::new(bytes.clone()),
            is_folder: false,
            mode: 0o644,
        });
        let copies = self.copied().filter_map(|(index, copied)| {
            let Some(BuildItem::Copy(copy)) = self.resolved.build.get(index) else {
                return None;
            };
            Some(Needed {
                path: copy.from.value.clone(),
                bytes: Arc::clone(&copied.bytes),
                is_folder: copied.is_folder,
                mode: copied.mode,
            })
        });
        components.chain(copies).collect()
    }

    /// What the template copies, by its place among the items of `build`.
    pub(crate) fn copied(&self) -> impl Iterator<Item = (usize, &Copied)> {
        let parts = self.build.iter().enumerate();
        parts.filter_map(|(index, part)| match part {
            BuildPart::Own(own) => Some((index, own.copied.as_ref()?)),
            BuildPart::Component(_) => None,
        })
    }

    /// The resolved template.
    pub fn resolved(&self) -> &Resolved {
        &self.resolved
    }

    /// The template's secrets by name, with their sources.
    pub(crate) fn secrets(&self) -> Vec<(String, SecretFrom)> {
        let secrets = self.resolved.secrets.iter();
        secrets
            .map(|secret| (secret.name.value.clone(), secret.from.clone()))
            .collect()
    }

    /// Each component by its reference, with its digest.
    pub fn digests(&self) -> BTreeMap<String, String> {
        let parts = self.build.iter().chain(&self.test);
        parts
            .filter_map(BuildPart::component)
            .chain(&self.repair)
            .chain([&self.generalize])
            .map(|part| (part.label.clone(), part.component.digest().to_owned()))
            .collect()
    }
}

/// What a template is checked with.
pub struct CheckWith<'a> {
    /// The file, as people call it.
    pub file_name: &'a str,
    /// Cloud, parameters, region.
    pub resolve: ResolveWith<'a>,
    /// Where components are.
    pub shelf: Shelf<'a>,
}

/// Checks a template. Components are loaded, which compiles those that are new; none is
/// called.
///
/// # Errors
/// Every mistake, with its place.
pub fn check(runtime: &Runtime, text: &str, with: &CheckWith<'_>) -> Result<Checked, Mistakes> {
    let resolved = parse(text, with.file_name).and_then(|template| template.resolve(with.resolve));
    match resolved {
        Ok(resolved) => Checker::new(runtime, with, resolved.source_file()).check(&resolved, text),
        Err(mistakes) => Err(match draft(text, with.file_name) {
            Some(draft) => {
                mistakes.and(Checker::new(runtime, with, &draft.source_file).look(&draft))
            }
            None => mistakes,
        }),
    }
}

/// The folder that a template's relative paths are relative to.
pub fn folder_of(template: &Path) -> &Path {
    match template.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

struct Checker<'a> {
    runtime: &'a Runtime,
    shelf: &'a Shelf<'a>,
    source: &'a Arc<SourceFile>,
    loaded: BTreeMap<String, Option<Component>>,
    bytes: BTreeMap<String, Vec<u8>>,
    used: Vec<(Used, Span)>,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
}

impl<'a> Checker<'a> {
    fn new(runtime: &'a Runtime, with: &'a CheckWith<'_>, source: &'a Arc<SourceFile>) -> Self {
        Self {
            runtime,
            shelf: &with.shelf,
            source,
            loaded: BTreeMap::new(),
            bytes: BTreeMap::new(),
            used: Vec::new(),
            mistakes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// What is wrong with the use of components in a text that has other mistakes.
    /// Arguments that refer to parameters have no values yet, and are left alone.
    fn look(mut self, draft: &Draft) -> Vec<Mistake> {
        let build = draft.build.iter().map(|uses| (uses, Role::Builder));
        let test = draft.test.iter().map(|uses| (uses, Role::Tester));
        for (uses, role) in build.chain(test) {
            let Some(component) = self.fit(uses, role) else {
                continue;
            };
            let refers = |value: &Value| value.to_string().contains("${{");
            if !uses.with.values().any(refers) {
                self.inputs(uses, &component);
            }
        }
        self.mistakes
    }

    fn check(mut self, resolved: &Resolved, text: &str) -> Result<Checked, Mistakes> {
        let mut build = Vec::new();
        let mut test = Vec::new();
        for (index, item) in resolved.build.iter().enumerate() {
            match item {
                BuildItem::Uses(uses) => {
                    let part = self.part(resolved, uses, Role::Builder);
                    if let Some(part) = &part
                        && part.component.roles().contains(&Role::Tester)
                    {
                        test.push(BuildPart::Component(part.clone()));
                    }
                    build.extend(part.map(BuildPart::Component));
                }
                BuildItem::Copy(copy) => {
                    build.extend(self.copy(index, copy).map(BuildPart::Own));
                }
                BuildItem::Run(run) => build.push(script("run", run)),
                BuildItem::Reboot { .. } => build.push(BuildPart::Own(Own {
                    name: "reboot",
                    step: Step::new(0, "reboot", StepKind::Reboot),
                    copied: None,
                })),
            }
        }
        for item in &resolved.test {
            match item {
                TestItem::Uses(uses) => {
                    let part = self.part(resolved, uses, Role::Tester);
                    test.extend(part.map(BuildPart::Component));
                }
                TestItem::Run(run) => test.push(script("run", run)),
            }
        }
        let repair = self.repair(&resolved.repair);
        let generalize = self.system("generalize", Role::Builder, &Map::new(), resolved.name.span);
        match generalize {
            Some(generalize) if self.mistakes.is_empty() => Ok(Checked {
                resolved: resolved.clone(),
                build,
                test,
                repair,
                generalize,
                bytes: self.bytes,
                used: self.used,
                text: text.to_owned(),
                warnings: self.warnings,
            }),
            _ => {
                let mistakes = std::mem::take(&mut self.mistakes);
                let last = Mistake::new(self.source, resolved.name.span, "it can't be built");
                Err(Mistakes::none_or(mistakes, ())
                    .err()
                    .unwrap_or_else(|| last.into()))
            }
        }
    }

    fn note(&mut self, span: Span, message: impl Into<String>, help: Option<String>) {
        let mistake = Mistake::new(self.source, span, message);
        self.mistakes.push(match help {
            Some(help) => mistake.help(help),
            None => mistake,
        });
    }

    /// Reads what is copied and makes a step of it.
    fn copy(&mut self, index: usize, copy: &Copy) -> Option<Own> {
        let copied = match self.shelf.copied(index, copy) {
            Ok(copied) => copied,
            Err(error) => {
                self.note(copy.from.span, error.message, error.hint);
                return None;
            }
        };
        let kind = StepKind::Write {
            path: target(copy, &copied),
            content: FileContent::Asset(copy.from.value.clone()),
        };
        let mut step = Step::new(0, copy.title(), kind);
        step.mode = copy.mode.or(Some(copied.mode));
        step.owner.clone_from(&copy.owner);
        Some(Own {
            name: "copy",
            step,
            copied: Some(copied),
        })
    }

    /// Loads what `uses` names and checks its role and arguments.
    fn part(&mut self, resolved: &Resolved, uses: &Uses, role: Role) -> Option<Part> {
        let component = self.fit(uses, role)?;
        self.warn(resolved, uses, &component);
        Some(Part {
            label: written(&uses.reference),
            inputs: self.inputs(uses, &component)?,
            component,
        })
    }

    /// Loads what `uses` names, if it has the role.
    fn fit(&mut self, uses: &Uses, role: Role) -> Option<Component> {
        let component = self.load(&uses.reference, uses.span)?;
        if !component.roles().contains(&role) {
            let roles: Vec<_> = component.roles().iter().map(|role| role.name()).collect();
            self.note(
                uses.span,
                format!("{} is no {}", written(&uses.reference), role.name()),
                Some(format!("it is a {}", roles.join(" and a "))),
            );
            return None;
        }
        Some(component)
    }

    fn inputs(&mut self, uses: &Uses, component: &Component) -> Option<Inputs> {
        match component.description().inputs(&uses.with) {
            Ok(inputs) => Some(inputs),
            Err(mistakes) => {
                for mistake in mistakes {
                    let path: Vec<String> = mistake.path.iter().map(part_text).collect();
                    let span = uses.argument_span(&path);
                    self.note(span, mistake.message, argument_help(component, &path));
                }
                None
            }
        }
    }

    fn warn(&mut self, resolved: &Resolved, uses: &Uses, component: &Component) {
        let internet = resolved.instance.internet.as_ref();
        if component.description().internet && internet.is_none_or(|internet| internet.value == 0) {
            self.warnings.push(
                resolved.mistake_at(
                    uses.span,
                    format!(
                        "{} needs the internet, and the instance has no way out",
                        written(&uses.reference)
                    ),
                    Some(
                        "add `instance: { internet: 10 }`, or see that it needs nothing from there"
                            .into(),
                    ),
                )
                .warning(),
            );
        }
    }

    fn load(&mut self, reference: &UsesRef, span: Span) -> Option<Component> {
        let name = written(reference);
        if let Some(known) = self.loaded.get(&name) {
            return known.clone();
        }
        let loaded = match self.shelf.read(reference) {
            Ok(bytes) => match self.runtime.load(&bytes, &name) {
                Ok(component) => {
                    if let Some(found) = self.shelf.pinned(reference, component.digest()) {
                        let requirement = requirement(reference).map(str::to_owned);
                        self.used.push((Used { requirement, found }, span));
                    }
                    self.bytes.insert(name.clone(), bytes);
                    Some(component)
                }
                Err(error) => {
                    let hint = error.hint().map(ToOwned::to_owned);
                    let from = self.shelf.pinned(reference, "").and_then(|found| {
                        let registry = found.registry.as_deref()?;
                        Some(format!(" ({} from {registry})", found.reference()))
                    });
                    let message = format!("{error}{}", from.unwrap_or_default());
                    self.note(span, message, hint);
                    None
                }
            },
            Err(error) => {
                self.note(span, error.message, error.hint);
                None
            }
        };
        self.loaded.insert(name, loaded.clone());
        loaded
    }

    fn system(
        &mut self,
        name: &str,
        role: Role,
        with: &Map<String, Value>,
        span: Span,
    ) -> Option<Part> {
        let reference = UsesRef::System {
            name: name.into(),
            version: None,
        };
        let component = self.load(&reference, span)?;
        if !component.roles().contains(&role) {
            self.note(span, format!("darkroom:{name} is no {}", role.name()), None);
            return None;
        }
        match component.description().inputs(with) {
            Ok(inputs) => Some(Part {
                label: written(&reference),
                component,
                inputs,
            }),
            Err(mistakes) => {
                for mistake in mistakes {
                    self.note(span, mistake.message, None);
                }
                None
            }
        }
    }

    fn repair(&mut self, repair: &Spanned<Repair>) -> Option<Part> {
        let with = match &repair.value {
            Repair::None => return None,
            Repair::Standard => json!({ "mode": "standard" }),
            Repair::All => json!({ "mode": "all" }),
            Repair::Items(items) => {
                let names: Vec<_> = items.iter().map(|item| &item.value).collect();
                json!({ "items": names })
            }
        };
        let with = with.as_object().cloned().unwrap_or_default();
        self.system("linux", Role::Repairer, &with, repair.span)
    }
}

/// Which versions will do, if a template says so.
fn requirement(reference: &UsesRef) -> Option<&str> {
    match reference {
        UsesRef::System { version, .. } => version.as_deref(),
        UsesRef::Package { requirement, .. } => requirement.as_deref(),
        UsesRef::Path(_) => None,
    }
}

fn script(name: &'static str, run: &Run) -> BuildPart {
    BuildPart::Own(Own::script(name, run.title(), &run.script, run.env.clone()))
}

/// The name under which an item stands in paths: `1-packages`.
pub(crate) fn segment(index: usize, label: &str) -> String {
    let name: String = label
        .rsplit(['/', ':'])
        .next()
        .unwrap_or(label)
        .trim_end_matches(".wasm")
        .split('@')
        .next()
        .unwrap_or(label)
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '-'
            }
        })
        .take(40)
        .collect();
    format!("{}-{name}", index + 1)
}

fn part_text(part: &PathPart) -> String {
    match part {
        PathPart::Name(name) => name.clone(),
        PathPart::Index(index) => index.to_string(),
    }
}

/// Names the parameters that there are, where an unknown one was given.
fn argument_help(component: &Component, path: &[String]) -> Option<String> {
    let names: Vec<&str> = component
        .description()
        .properties()
        .keys()
        .map(String::as_str)
        .collect();
    let given = path.first()?;
    if names.contains(&given.as_str()) {
        return None;
    }
    match darkroom_template::nearest(given, names.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None => Some(format!("the parameters are {}", names.join(", "))),
    }
}

/// The short name of a reference, for people.
pub fn label(reference: &UsesRef) -> String {
    short(reference)
}
