//! How the builders of this folder tell what they changed: the opening and the end that
//! their scripts share, and what is published afterwards.
//!
//! A builder that looks first and acts in a second step shows only the look in a plan.
//! So a script here looks and acts at once: it compares what is there with what is
//! wanted, changes what differs, and says in its last line whether it did. All steps of
//! a builder are then declared before the first question, and a plan shows all of them.
//!
//! This is no component. It must not know what any builder is for; a function belongs
//! here when a third builder needs it.

use darkroom::{Step, machine, report, shell};

/// The opening of every script: see `change.sh`.
const OPENING: &str = include_str!("change.sh");

/// Functions that tell families of distributions apart: see `family.sh`. A script that
/// needs them has them in its body.
pub const FAMILY: &str = include_str!("family.sh");

/// The last line of a script.
const END: &str = "printf 'changed: %s\\n' \"$darkroom_changed\"\n";

/// What the last line says where nothing had to be done.
const UNCHANGED: &str = "changed: no";

/// Declares a script whose `body` calls `changed` where it changes something. Values go
/// by [`Step::environment`]; `ROOT` is there already, empty for the machine itself.
pub fn script(name: impl AsRef<str>, body: &str) -> Step {
    let root = machine::root();
    shell(name, format!("{OPENING}{body}{END}")).environment("ROOT", root.trim_end_matches('/'))
}

/// Declares a script that only looks, with the same functions before its `body`.
pub fn look(name: impl AsRef<str>, body: &str) -> Step {
    let root = machine::root();
    shell(name, format!("{OPENING}{body}")).environment("ROOT", root.trim_end_matches('/'))
}

/// Whether one of these scripts changed something. It asks, so it belongs behind the
/// last step that a plan should show. A script that says nothing counts as a change.
pub fn made(steps: &[Step]) -> bool {
    steps.iter().fold(false, |made, step| {
        let unchanged = step.output().trim_end().ends_with(UNCHANGED);
        made || !unchanged
    })
}

/// Publishes `changed`, and says so where nothing had to be done.
pub fn tell(changed: bool) {
    if !changed {
        report::info("no change");
    }
    report::publish("changed", changed);
}

/// [`tell`]s what these scripts [`made`].
pub fn of(steps: &[Step]) {
    tell(made(steps));
}

/// The longest name of a step.
const NAME: usize = 100;

/// The name of a step: a verb and what it is about, cut where it is too long, and
/// without what would break a line.
pub fn named(verb: &str, subject: &str) -> String {
    let name: String = format!("{verb} {subject}").replace(char::is_control, "?");
    if name.chars().count() <= NAME {
        return name;
    }
    let cut: String = name.chars().take(NAME - 1).collect();
    cut + "…"
}

#[cfg(test)]
mod tests;
