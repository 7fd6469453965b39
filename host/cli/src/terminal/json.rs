//! What each verb prints with `--json`: one object a line on standard output, with the
//! version of its shape in `v`.
//!
//! It is a promise to programs: keys are added, none is renamed, removed or given
//! another type without a new version. The table is what `darkroom help json` prints,
//! and the tests of the binary compare it with what verbs really print.

use serde::Serialize;
use serde_json::{Map, Value};

/// The version of all shapes together.
pub(crate) const VERSION: u32 = 1;

/// A value as a line: `v` first. Events have theirs already, which counts alike.
pub(crate) fn line(value: &impl Serialize) -> serde_json::Result<String> {
    match serde_json::to_value(value)? {
        Value::Object(fields) if !fields.contains_key("v") => {
            let mut all = Map::new();
            all.insert("v".into(), VERSION.into());
            all.extend(fields);
            serde_json::to_string(&all)
        }
        other => serde_json::to_string(&other),
    }
}

/// What one verb prints: which lines, and the keys beside `v`.
struct Shape {
    verb: &'static str,
    lines: &'static str,
    keys: &'static str,
}

const SHAPES: &[Shape] = &[
    Shape {
        verb: "any, when it fails",
        lines: "the last line",
        keys: "error: { kind, exit_code, message, causes, hints, mistakes? }",
    },
    Shape {
        verb: "build, resume, runs cancel, runs cleanup",
        lines: "one a event, as in the run's events.ndjson",
        keys: "at, run, event, and the event's own",
    },
    Shape {
        verb: "build, resume, runs cancel, runs cleanup",
        lines: "the last line",
        keys: "result: { run, status, images, manifest }",
    },
];

/// The table for people: `darkroom help json`.
pub(crate) fn table() -> String {
    let mut text = String::from(
        "With `--json` every line of standard output is one JSON object, with the version of\n\
         its shape in `v` (1). Keys are added, but none changes without a new version.\n",
    );
    for shape in SHAPES {
        text.extend(["\n", shape.verb, "\n    ", shape.lines]);
        text.extend(["\n    ", shape.keys, "\n"]);
    }
    text
}
