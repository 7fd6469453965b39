//! Steps as a component declared them, for a test to look at.

/// A step with all of its refinements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// What it does.
    pub kind: StepKind,
    /// The user that a script runs as.
    pub user: Option<String>,
    /// The working directory of a script.
    pub directory: Option<String>,
    /// The arguments of a script.
    pub arguments: Vec<String>,
    /// The environment variables of a script, in the order of declaration.
    pub environment: Vec<(String, String)>,
    /// Seconds for one attempt.
    pub timeout: Option<u32>,
    /// How often it is tried.
    pub attempts: Option<u32>,
    /// The permission bits of a file.
    pub mode: Option<u32>,
    /// The owner of a file.
    pub owner: Option<String>,
    /// Whether the component goes on when it fails.
    pub tolerated: bool,
    /// The exit codes that count as success; empty for 0.
    pub exit_codes: Vec<i32>,
    /// Texts that the output must contain.
    pub contains: Vec<String>,
    /// Texts that the output must not contain.
    pub lacks: Vec<String>,
    /// Patterns that the output must match.
    pub matches: Vec<String>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// A script for `/bin/sh`.
    Shell(String),
    /// A script for `PowerShell`.
    PowerShell(String),
    /// A script for `cmd.exe`.
    Cmd(String),
    /// A file with these bytes.
    Write {
        /// Where.
        path: String,
        /// What.
        bytes: Vec<u8>,
    },
    /// A file of the component's assets.
    WriteAsset {
        /// Where.
        path: String,
        /// Which.
        asset: String,
    },
    /// A file that the machine fetches.
    Download {
        /// Where to.
        path: String,
        /// Where from.
        address: String,
        /// Its digest.
        sha256: String,
    },
    /// A file that is collected.
    Collect {
        /// Where.
        path: String,
        /// The most bytes it may have.
        limit: u64,
    },
    /// A reboot.
    Reboot,
}

impl Declared {
    pub(crate) fn new(name: &str, kind: StepKind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            user: None,
            directory: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            timeout: None,
            attempts: None,
            mode: None,
            owner: None,
            tolerated: false,
            exit_codes: Vec::new(),
            contains: Vec::new(),
            lacks: Vec::new(),
            matches: Vec::new(),
        }
    }

    /// The text of a script.
    pub fn script(&self) -> Option<&str> {
        match &self.kind {
            StepKind::Shell(script) | StepKind::PowerShell(script) | StepKind::Cmd(script) => {
                Some(script)
            }
            _ => None,
        }
    }

    /// The path of a file that is written, downloaded or collected.
    pub fn path(&self) -> Option<&str> {
        match &self.kind {
            StepKind::Write { path, .. }
            | StepKind::WriteAsset { path, .. }
            | StepKind::Download { path, .. }
            | StepKind::Collect { path, .. } => Some(path),
            _ => None,
        }
    }

    /// The text of a file that is written, where it is text.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            StepKind::Write { bytes, .. } => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The value of an environment variable of a script.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment
            .iter()
            .rev()
            .find_map(|(key, value)| (key == name).then_some(&**value))
    }

    /// Whether it is a script that can be given arguments.
    pub(crate) fn takes_arguments(&self) -> bool {
        matches!(self.kind, StepKind::Shell(_) | StepKind::PowerShell(_))
    }

    /// Whether it is a script.
    pub(crate) fn is_script(&self) -> bool {
        self.script().is_some()
    }

    /// Whether it puts a file on the machine.
    pub(crate) fn is_file(&self) -> bool {
        matches!(
            self.kind,
            StepKind::Write { .. } | StepKind::WriteAsset { .. } | StepKind::Download { .. }
        )
    }
}
