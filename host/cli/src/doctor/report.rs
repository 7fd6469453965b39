//! What was found, told as it is found: one line a finding, and what to do below it.

use darkroom_ecs::client::CallError;
use serde::Serialize;

use crate::failure::Failure;
use crate::terminal::Terminal;

/// The subject of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Check {
    Sandbox,
    Disk,
    Endpoint,
    Clock,
    Credentials,
    Region,
    Rights,
    Source,
    Stock,
    Quota,
    Egress,
}

impl Check {
    fn word(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Disk => "disk",
            Self::Endpoint => "endpoint",
            Self::Clock => "clock",
            Self::Credentials => "credentials",
            Self::Region => "region",
            Self::Rights => "rights",
            Self::Source => "source",
            Self::Stock => "stock",
            Self::Quota => "quota",
            Self::Egress => "egress",
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Level {
    Ok,
    /// A build may fail, or something could not be seen.
    Warning,
    /// A build will fail.
    Error,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    check: Check,
    level: Level,
    text: String,
    /// What to do, best first.
    hints: Vec<String>,
}

impl Finding {
    fn new(check: Check, level: Level, text: impl Into<String>) -> Self {
        Self {
            check,
            level,
            text: text.into(),
            hints: Vec::new(),
        }
    }

    pub(crate) fn ok(check: Check, text: impl Into<String>) -> Self {
        Self::new(check, Level::Ok, text)
    }

    pub(crate) fn warning(check: Check, text: impl Into<String>) -> Self {
        Self::new(check, Level::Warning, text)
    }

    pub(crate) fn error(check: Check, text: impl Into<String>) -> Self {
        Self::new(check, Level::Error, text)
    }

    /// An error, as a verb that met it would say it.
    pub(crate) fn failed(check: Check, failure: &Failure) -> Self {
        let mut finding = Self::error(check, failure.chain().join(": "));
        finding.hints.extend(failure.hints.iter().cloned());
        finding
    }

    /// Something could not be asked, whatever the answer would have been.
    pub(crate) fn unseen(check: Check, what: &str, error: &CallError) -> Self {
        let cause = match error.api() {
            Some(api) => api.to_string(),
            None => Failure::cloud(error.clone()).chain().join(": "),
        };
        let finding = Self::warning(check, format!("{what} can't be seen: {cause}"));
        error.hint().into_iter().fold(finding, Self::hint)
    }

    /// With one more line on what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    fn is_error(&self) -> bool {
        self.level == Level::Error
    }

    /// The line of the finding, then one for each hint. Colours are for a terminal to take
    /// out again.
    fn lines(&self) -> Vec<String> {
        let (color, mark) = match self.level {
            Level::Ok => ("32", "ok"),
            Level::Warning => ("33;1", "warning"),
            Level::Error => ("31;1", "error"),
        };
        let word = self.check.word();
        let text = self.text.replace('\n', "\n                      ");
        let mut lines = vec![format!("\x1b[{color}m{mark:<8}\x1b[0m {word:<12} {text}")];
        let hints = self.hints.iter();
        lines.extend(hints.map(|hint| format!("{:22}\x1b[36mhint:\x1b[0m {hint}", "")));
        lines
    }
}

/// Everything that was found so far.
pub(crate) struct Report<'a> {
    terminal: &'a Terminal,
    findings: Vec<Finding>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(terminal: &'a Terminal) -> Self {
        Self {
            terminal,
            findings: Vec::new(),
        }
    }

    /// Tells a finding.
    pub(crate) fn add(&mut self, finding: Finding) {
        self.terminal.json(&finding);
        for line in finding.lines() {
            self.terminal.line(line);
        }
        self.findings.push(finding);
    }

    /// How many errors and how many warnings there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let warnings = self
            .findings
            .iter()
            .filter(|one| one.level == Level::Warning);
        let errors = self.findings.iter().filter(|one| one.is_error());
        (errors.count(), warnings.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_what_to_do_below_it() {
        let finding = Finding::error(Check::Clock, "it is\nwrong").hint("set it");
        let plain: Vec<_> = finding
            .lines()
            .iter()
            .map(|line| anstream::adapter::strip_str(line).to_string())
            .collect();
        assert_eq!(
            plain,
            [
                "error    clock        it is\n                      wrong",
                "                      hint: set it"
            ]
        );
        assert_eq!(
            serde_json::to_value(&finding).unwrap(),
            serde_json::json!({
                "check": "clock", "level": "error", "text": "it is\nwrong", "hints": ["set it"]
            })
        );
    }
}
