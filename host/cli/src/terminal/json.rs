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
        verb: "build, resume, runs cancel, image copy|share|unshare|deprecate|delete",
        lines: "one line an event, as in the run's events.ndjson",
        keys: "at, run, event, and the event's own",
    },
    Shape {
        verb: "build, resume, runs cancel, image copy|share|unshare|deprecate|delete",
        lines: "the last line",
        keys: "result: { run, status, images, manifest }",
    },
    Shape {
        verb: "build, of several templates or cells",
        lines: "events, then one line",
        keys: "results: [{ name, begun, run?, status?, images?, manifest?, error? }]",
    },
    Shape {
        verb: "image try",
        lines: "events, then one line; with a command:",
        keys: "result: { run, status, exit_code, manifest }",
    },
    Shape {
        verb: "policy",
        lines: "one line",
        keys: "policy: { Version, Statement }, actions: [{ action, why, cleanup }]",
    },
    Shape {
        verb: "plan",
        lines: "one line, of a matrix one a cell",
        keys: "template, cloud, region, survey, image_name, parts, regions, accounts, family, reuse, forecast, warnings",
    },
    Shape {
        verb: "plan --graph",
        lines: "one line",
        keys: "graph, text",
    },
    Shape {
        verb: "validate",
        lines: "one line, of a matrix one a cell",
        keys: "valid, template, cloud, region, components, warnings",
    },
    Shape {
        verb: "chaos",
        lines: "one line",
        keys: "seed, schedules, undisturbed, lives, crashes, requests, endings, mishaps, leaks, failing",
    },
    Shape {
        verb: "config show",
        lines: "one line a setting",
        keys: "setting, value, origin, file, line",
    },
    Shape {
        verb: "init",
        lines: "one line",
        keys: "template",
    },
    Shape {
        verb: "init --list",
        lines: "one line an example",
        keys: "example, about",
    },
    Shape {
        verb: "fmt",
        lines: "one line a file",
        keys: "file, changed",
    },
    Shape {
        verb: "fetch",
        lines: "one line a package",
        keys: "package, version, registry, digest, signer, pulled",
    },
    Shape {
        verb: "bundle",
        lines: "one line",
        keys: "file, bytes, packages",
    },
    Shape {
        verb: "cache list",
        lines: "one line a package",
        keys: "package, version, registry, digest, bytes, used",
    },
    Shape {
        verb: "cache prune",
        lines: "one line",
        keys: "removed, bytes",
    },
    Shape {
        verb: "update",
        lines: "one line",
        keys: "changes, written",
    },
    Shape {
        verb: "runs list",
        lines: "one line a run",
        keys: "run, begun, template, cloud, region, status, pid, images, kept",
    },
    Shape {
        verb: "runs show",
        lines: "one line",
        keys: "run, begun, header, status, pid, folder, manifest",
    },
    Shape {
        verb: "runs logs",
        lines: "one line a log",
        keys: "step, attempt, bytes, file",
    },
    Shape {
        verb: "runs cleanup",
        lines: "events, then one line",
        keys: "run, removed",
    },
    Shape {
        verb: "gc",
        lines: "one line a thing that was found",
        keys: "what, id, region, run, fate, why, error",
    },
    Shape {
        verb: "doctor",
        lines: "one line a finding; `level` is ok, warning or error",
        keys: "check, level, text, hints",
    },
    Shape {
        verb: "doctor",
        lines: "the last line",
        keys: "result: { errors, warnings }",
    },
    Shape {
        verb: "image list",
        lines: "one line",
        keys: "place, images",
    },
    Shape {
        verb: "image show",
        lines: "one line",
        keys: "place, image, accounts",
    },
    Shape {
        verb: "local status",
        lines: "one line; without a server `running` and `root`",
        keys: "running, url, status, ledger",
    },
    Shape {
        verb: "local serve",
        lines: "one line, when it listens",
        keys: "url",
    },
    Shape {
        verb: "local bootstrap, local import",
        lines: "one line",
        keys: "base, reused",
    },
    Shape {
        verb: "component build",
        lines: "one line a component",
        keys: "component, file, bytes, digest, fresh, before, metadata",
    },
    Shape {
        verb: "component check",
        lines: "one line",
        keys: "file, same, findings",
    },
    Shape {
        verb: "component inspect",
        lines: "one line",
        keys: "file, digest, bytes, package, version, summary, roles, parameters, volatile, internet, families, assets, metadata, contract, imports, attached",
    },
    Shape {
        verb: "component inspect REF",
        lines: "the same line, with",
        keys: "signatures, trust",
    },
    Shape {
        verb: "component publish",
        lines: "one line",
        keys: "package, version, registry, digest, manifest, before, attached, signer",
    },
    Shape {
        verb: "component pull",
        lines: "one line",
        keys: "reference, file, bytes, digest, manifest, signer",
    },
    Shape {
        verb: "component versions",
        lines: "one line a version",
        keys: "version, yanked, reason",
    },
    Shape {
        verb: "component search",
        lines: "one line a package",
        keys: "package, newest, registry, description",
    },
    Shape {
        verb: "component copy",
        lines: "one line",
        keys: "from, to, manifest, attachments",
    },
    Shape {
        verb: "component yank, component unyank",
        lines: "one line",
        keys: "reference, yanked, changed",
    },
    Shape {
        verb: "component wit",
        lines: "one line",
        keys: "package, file, bytes",
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
