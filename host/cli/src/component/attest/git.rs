//! The commit that a folder is at, where git says that nothing in it has changed since.

use std::path::Path;
use std::process::Command;

/// The commit in hexadecimal digits; `None` where there is no repository, no git, or a
/// change. What a build itself writes is no change.
pub(crate) fn commit(folder: &Path) -> Option<String> {
    let git = |words: &[&str]| {
        let output = Command::new("git")
            // A look at the folder must not write to it.
            .arg("--no-optional-locks")
            // Nor may a folder of somebody else's start a program by its configuration.
            .args(["-c", "core.fsmonitor=false"])
            .arg("-C")
            .arg(folder)
            .args(words)
            .output()
            .ok()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(said)
    };
    let changes = git(&["status", "--porcelain", "--untracked-files=all", "--", "."])?;
    let made = |line: &str| {
        let ends = [".wasm", ".sbom.json", ".provenance.json"];
        line.starts_with("?? ")
            && ends
                .iter()
                .any(|end| line.trim_end_matches('"').ends_with(end))
    };
    if !changes.lines().all(made) {
        return None;
    }
    let head = git(&["rev-parse", "--verify", "HEAD"])?;
    let head = head.trim();
    let whole = head.len() >= 40 && head.chars().all(|c| c.is_ascii_hexdigit());
    whole.then(|| head.to_owned())
}
