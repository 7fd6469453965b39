//! Keys: what a build, or its first items, depend on as far as that is known, as a digest;
//! and what depends on more.
//!
//! `stage::unchanged` takes an image with the same key for the one that would be built,
//! `stage::layers` begins from a layer. Whatever changes the image must be in a key;
//! [`Checked::volatile`] names what can't be. Secrets stand in a key as their markers:
//! another value is the same build.

use std::collections::BTreeMap;

use darkroom_contract::secret::Marker;
use darkroom_contract::{StepKind, sha256};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::carry::wrap::hex;
use crate::check::{BuildPart, Checked, segment};
use crate::forecast::TEXT;
use crate::role::Part;

/// The version of the contract between host and components: with another one the same
/// components may do something else.
const CONTRACT: &str = "0.1.0";

impl BuildPart {
    /// What it does, as data.
    fn identity(&self) -> Value {
        match self {
            Self::Component(part) => part.identity(),
            Self::Own(own) => json!({
                "step": own.step,
                "copied": own.copied.as_ref().map(|copied| sha256(&copied.bytes)),
            }),
        }
    }

    /// What people know it by, if it depends on the outside.
    fn volatile(&self) -> Option<String> {
        match self {
            Self::Component(part) => declared(part),
            Self::Own(own) => match own.step.kind {
                StepKind::Shell { .. } => Some(format!("`run: {}`", own.step.name)),
                _ => None,
            },
        }
    }
}

impl Checked {
    /// What a build of this template on this source image depends on, as a digest.
    pub(crate) fn build_key(&self, source: &str) -> String {
        let text = said(&self.text);
        let mut of = json!({
            "contract": CONTRACT,
            "source": source,
            "template": text,
            "parameters": self.resolved.parameters,
            "repair": self.repair.as_ref().map(Part::identity),
            "build": self.build.iter().map(BuildPart::identity).collect::<Vec<_>>(),
            "generalize": self.generalize.identity(),
            "test": self.test.iter().map(BuildPart::identity).collect::<Vec<_>>(),
        });
        if !self.resolved.matrix.is_empty() {
            of["matrix"] = Value::Object(self.resolved.matrix.clone());
        }
        key_of(&of)
    }

    /// The key of what the instance holds after each item of `build`; none where that is
    /// not to be kept: from the first item on that is given a secret, after a reboot, which
    /// changes nothing, and where there are data disks.
    pub(crate) fn layer_keys(&self, source: &str) -> Vec<Option<String>> {
        let instance = &self.resolved.instance;
        let mut so_far = Vec::new();
        let mut open = instance.disks.is_empty();
        let keys = self.build.iter().map(|part| {
            let identity = part.identity();
            open &= Marker::find(&identity.to_string()).is_empty();
            so_far.push(identity);
            let reboots = matches!(part, BuildPart::Own(own) if own.step.kind == StepKind::Reboot);
            (open && !reboots).then(|| {
                key_of(&json!({
                    "contract": CONTRACT,
                    "layer": 1,
                    "source": source,
                    "disk": instance.disk.as_ref().map(|disk| disk.value),
                    "internet": instance.internet.as_ref().is_some_and(|one| one.value > 0),
                    "repair": self.repair.as_ref().map(Part::identity),
                    "build": so_far,
                }))
            })
        });
        keys.collect()
    }

    /// Each of the inputs beside the source image, as a digest, for saying what has changed.
    pub(crate) fn inputs(&self) -> BTreeMap<String, String> {
        let mut inputs = BTreeMap::from([
            ("contract".to_owned(), CONTRACT.to_owned()),
            (TEXT.to_owned(), key_of(&json!(said(&self.text)))),
            ("generalize".to_owned(), key_of(&self.generalize.identity())),
        ]);
        for (name, value) in &self.resolved.parameters {
            inputs.insert(format!("the parameter {name}"), key_of(value));
        }
        for (name, value) in &self.resolved.matrix {
            inputs.insert(format!("the matrix's {name}"), key_of(value));
        }
        if let Some(repair) = &self.repair {
            inputs.insert("repair".into(), key_of(&repair.identity()));
        }
        let tests = self.test.iter().enumerate();
        let tests = tests.map(|(index, part)| format!("test/{}", segment(index, part.label())));
        let paths = self.item_paths().into_iter().chain(tests);
        for (path, part) in paths.zip(self.build.iter().chain(&self.test)) {
            inputs.insert(path, key_of(&part.identity()));
        }
        inputs
    }

    /// Whether something up to this item of `build` depends on the outside.
    pub(crate) fn is_volatile_until(&self, index: usize) -> bool {
        let parts = self.build.iter().take(index + 1);
        let repair = self.repair.iter().filter_map(declared);
        repair
            .chain(parts.filter_map(BuildPart::volatile))
            .next()
            .is_some()
    }

    /// What the build depends on beside its key, as people know it: components that say so,
    /// and scripts of the template's own, which can't say that they don't. Tests change no
    /// image.
    pub(crate) fn volatile(&self) -> Vec<String> {
        let repair = self.repair.iter().filter_map(declared);
        let items = self.build.iter().filter_map(BuildPart::volatile);
        let mut found: Vec<String> = repair.chain(items).collect();
        let mut seen = std::collections::BTreeSet::new();
        found.retain(|one| seen.insert(one.clone()));
        found
    }
}

/// A component that says that its result depends on the outside.
fn declared(part: &Part) -> Option<String> {
    let volatile = part.component.description().volatile;
    volatile.then(|| part.label.clone())
}

/// The keys at the top of a template that say nothing of the image. Of a matrix the values
/// of the one cell are in the key: other cells are other images.
const NOT_OF_THE_IMAGE: [&str; 5] = [
    "checkpoint",
    "matrix",
    "on-test-failure",
    "rebuild",
    "retain",
];

/// The lines of a template that say something of the image: neither comments nor empty
/// lines are a change, nor is how long an image is good or kept.
fn said(text: &str) -> Vec<&str> {
    let mut left_out = false;
    let lines = text.lines().map(str::trim_end);
    let lines = lines.filter(|line| !line.is_empty() && !line.trim_start().starts_with('#'));
    lines
        .filter(|line| {
            // What belongs to a key at the top is indented, or a list under it.
            if !line.starts_with([' ', '\t', '-']) {
                let key = line.split(':').next().unwrap_or_default();
                left_out = NOT_OF_THE_IMAGE.contains(&key);
            }
            !left_out
        })
        .collect()
}

fn key_of(parts: &Value) -> String {
    hex(&Sha256::digest(
        json!({ "key": 1, "of": parts }).to_string().as_bytes(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_an_image_is_kept_says_nothing_of_it() {
        let text = "# web\nname: web\n\nrebuild:\n  max-age: 1d\nmatrix:\n- a: 1\nbuild:\n- run: 'retain: 3'\nretain: { keep: 3 }\ncheckpoint: true\ntest:\n  # a test\n  - run: x \n";
        assert_eq!(
            said(text),
            [
                "name: web",
                "build:",
                "- run: 'retain: 3'",
                "test:",
                "  - run: x"
            ]
        );
    }

    /// A component of another contract may do something else.
    #[test]
    fn the_contract_is_that_of_the_wit() {
        let wit = include_str!("../../../wit/component.wit");
        assert!(wit.contains(&format!("package darkroom:component@{CONTRACT};")));
    }
}
