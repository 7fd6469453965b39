//! The one place that prints.
//!
//! Results go to standard output, progress and errors to standard error. With `--json`
//! everything is one JSON object a line on standard output, in the shapes of
//! [`json`]. Colours are used on a terminal only, unless `--color`,
//! `NO_COLOR` or `CLICOLOR_FORCE` say otherwise. A reader that has gone away (`| head`)
//! is no error: what can't be written is dropped.

mod ask;
mod forest;
mod interrupts;
pub(crate) mod json;
mod progress;
mod report;
mod table;
mod tree;

use std::io::{IsTerminal, Write};
use std::path::Path;

use anstream::{AutoStream, ColorChoice};
use serde::Serialize;

use crate::args::Global;
use crate::failure::Failure;
use crate::settings::{Config, Key};

pub(crate) use ask::Consent;
pub(crate) use interrupts::Interrupts;
use progress::Shape;
pub(crate) use progress::{Progress, Screen};
pub(crate) use table::Table;
pub(crate) use tree::seconds;

/// Where everything is printed.
#[derive(Clone, Debug)]
pub(crate) struct Terminal {
    json: bool,
    color: ColorChoice,
    shape: Shape,
}

impl Terminal {
    /// Before any setting is read: as the flags say. Starts the log of what happens
    /// inside.
    pub(crate) fn of(global: &Global) -> Self {
        start_log(global.verbose);
        Self {
            json: global.json,
            color: choice(global.color.as_deref()),
            shape: Shape::of(global.progress.as_deref(), global.json),
        }
    }

    /// Takes in what the settings say of colours and progress. A file that is wrong
    /// changes nothing here: a verb that needs it says what is wrong, and the others
    /// need not fail.
    pub(crate) fn configure(&mut self, global: &Global, project: &Path) -> Result<(), Failure> {
        if let Ok(config) = Config::load(project) {
            let color = config.text(Key::Color, global.color.as_deref())?;
            let progress = config.text(Key::Progress, global.progress.as_deref())?;
            self.color = choice(color.as_deref());
            self.shape = Shape::of(progress.as_deref(), global.json);
        }
        Ok(())
    }

    /// Whether results are wanted as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether somebody sits at a terminal and can answer a question. A machine that
    /// builds for others may have a terminal, but nobody in front of it.
    pub(crate) fn is_interactive(&self) -> bool {
        !self.json && !is_ci() && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// A line of a result.
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        if !self.json {
            let mut out = AutoStream::new(std::io::stdout(), self.color);
            drop(writeln!(out, "{}", text.as_ref()));
        }
    }

    /// Bytes of a result, as they are: a log, a page of the manual.
    pub(crate) fn raw(bytes: &[u8]) {
        let mut out = std::io::stdout();
        drop(out.write_all(bytes).and_then(|()| out.flush()));
    }

    /// All bytes of a reader, as they are.
    pub(crate) fn copy(from: &mut impl std::io::Read) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        match std::io::copy(from, &mut out).and_then(|_| out.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }

    /// A result as JSON, with the version of its shape; nothing without `--json`.
    pub(crate) fn json(&self, value: &impl Serialize) {
        if self.json
            && let Ok(text) = json::line(value)
        {
            let mut out = std::io::stdout();
            drop(writeln!(out, "{text}").and_then(|()| out.flush()));
        }
    }

    /// A line for people beside the result: what is being done, what to do next.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        if !self.json {
            let mut out = AutoStream::new(std::io::stderr(), self.color);
            drop(writeln!(out, "{}", text.as_ref()));
        }
    }

    /// A question without a line's end, before reading the answer.
    pub(crate) fn prompt(&self, text: &str) {
        if self.is_interactive() {
            let mut out = std::io::stderr();
            drop(write!(out, "{text}").and_then(|()| out.flush()));
        }
    }

    /// What went wrong, with causes and hints, or every mistake with its lines.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            self.json(&report::as_json(failure));
            return;
        }
        let stderr = AutoStream::new(std::io::stderr(), self.color);
        let colored = stderr.current_choice() != ColorChoice::Never;
        let width = console::Term::stderr().size_checked();
        let width = width.map_or(100, |(_, width)| usize::from(width).clamp(40, 120));
        let mut stderr = stderr;
        drop(write!(
            stderr,
            "{}",
            report::as_text(failure, colored, width)
        ));
    }

    /// Watches a run until the returned value is dropped or finished.
    pub(crate) fn progress(&self) -> Progress {
        Progress::start(self.shape, self.color, None)
    }

    /// Watches this many runs at once, each line with the name of its run.
    pub(crate) fn progress_of(&self, runs: usize) -> Progress {
        Progress::start(self.shape, self.color, Some(runs))
    }
}

/// `auto` leaves the choice to the stream: a terminal, `NO_COLOR`, `CLICOLOR_FORCE`.
fn choice(color: Option<&str>) -> ColorChoice {
    match color {
        Some("always") => ColorChoice::Always,
        Some("never") => ColorChoice::Never,
        _ => ColorChoice::Auto,
    }
}

/// Whether this is a machine that builds for others: most of them set `CI`.
fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !["", "0", "false"].iter().any(|no| value == *no))
}

/// What happens inside goes to standard error when it is asked for: `-v`, `-vv`, or
/// `DARKROOM_LOG` with the filters of `tracing`.
fn start_log(verbose: u8) {
    let filter = match (std::env::var("DARKROOM_LOG"), verbose) {
        (Ok(filter), _) if !filter.is_empty() => filter,
        (_, 0) => return,
        (_, 1) => "darkroom=info,warn".into(),
        // `oci_client` tells at this level where to an upload goes, with all that is in it.
        (_, _) => {
            "debug,hyper=info,h2=info,oci_client=warn,reqwest=info,wasmtime=info,cranelift=info"
                .into()
        }
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .finish();
    // A second one in the same process can't be set; the first goes on.
    drop(tracing::subscriber::set_global_default(subscriber));
}
