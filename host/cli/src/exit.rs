//! The exit codes of `darkroom`: constants, and the table that `darkroom help
//! exit-codes` and the manual show. Scripts rely on them, so they never change.

use std::process::ExitCode;

/// A documented exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit(pub(crate) u8);

/// All is done.
pub(crate) const DONE: Exit = Exit(0);
/// `darkroom chaos` or `darkroom doctor` has found what it looks for.
pub(crate) const FOUND: Exit = Exit(1);
/// The command line, the template or a name is wrong.
pub(crate) const USER: Exit = Exit(2);
/// Configuration or keys are missing or wrong, or this machine lacks something.
pub(crate) const CONFIG: Exit = Exit(3);
/// A component or one of its steps failed.
pub(crate) const COMPONENT: Exit = Exit(4);
/// The cloud refused a request or could not be reached.
pub(crate) const CLOUD: Exit = Exit(5);
/// The image was made and failed its tests.
pub(crate) const TEST_FAILED: Exit = Exit(6);
/// The image is good, but not in every region or account.
pub(crate) const PARTLY: Exit = Exit(7);
/// A fault of Darkroom's own.
pub(crate) const INTERNAL: Exit = Exit(70);
/// Cancelled or stopped by Ctrl-C.
pub(crate) const CANCELLED: Exit = Exit(130);

/// Every code with its meaning, for people.
pub(crate) const TABLE: &[(Exit, &str, &str)] = &[
    (DONE, "done", "Everything that was asked for is done."),
    (
        FOUND,
        "left",
        "`chaos` has found a plan under which something is left behind, or `doctor` an error.",
    ),
    (
        USER,
        "user",
        "The command line or the template is wrong, or a name is unknown. Nothing was spent.",
    ),
    (
        CONFIG,
        "config",
        "Configuration or keys are missing or wrong, or this machine lacks something.",
    ),
    (
        COMPONENT,
        "component",
        "A component or one of its steps failed. The instance was cleaned up.",
    ),
    (
        CLOUD,
        "cloud",
        "The cloud refused a request or could not be reached.",
    ),
    (
        TEST_FAILED,
        "test-failed",
        "The image was made and failed its tests. It is kept, in no family.",
    ),
    (
        PARTLY,
        "partly",
        "The image is good, but not in every region or account.",
    ),
    (INTERNAL, "internal", "A fault of Darkroom's own."),
    (
        CANCELLED,
        "cancelled",
        "Cancelled, or stopped by a second Ctrl-C (then it can be resumed).",
    ),
];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

/// The table as text.
pub(crate) fn table() -> String {
    let mut text = String::from("code  name         meaning\n");
    for (exit, name, meaning) in TABLE {
        text.push_str(&format_row(*exit, name, meaning));
    }
    text
}

fn format_row(exit: Exit, name: &str, meaning: &str) -> String {
    format!("{:>4}  {name:<12} {meaning}\n", exit.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_sorted() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0.0 < pair[1].0.0));
    }

    #[test]
    fn the_table_does_not_change() {
        insta::assert_snapshot!(table());
    }
}
