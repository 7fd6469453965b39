//! Why a call failed, said so that the author of the component finds the place.

use std::fmt;
use std::time::Duration;

use darkroom_contract::{Fault, Message};
use wasmtime::{Error, FrameInfo, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::component::Inner as Component;
use crate::config::Limits;
use crate::state::State;

/// The frames of a backtrace that are kept; a recursion has thousands.
const FRAMES: usize = 16;

/// Lines of standard error that an error shows from each of its ends.
const STDERR_LINES: usize = 20;

/// Modules whose frames are those of an interpreter, or of what wit-component puts in
/// between: they say nothing of the component.
const INTERPRETERS: [&str; 4] = [
    "libpython",
    "libc.so",
    "componentize_py_runtime",
    "wit-component:",
];

/// What ended a call.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Failure {
    /// A mistake against the contract.
    #[error("{0}")]
    Fault(Fault),
    /// It hasn't got the role.
    #[error("the component has no such role")]
    NoRole,
    /// It computed for too long.
    #[error("it did not end within {} s", .0.as_secs_f64())]
    OutOfTime(Duration),
    /// It used too much memory.
    #[error("out of memory: {} MiB are allowed", .0 >> 20)]
    OutOfMemory(usize),
    /// It used too many table elements.
    #[error("out of table space: {0} elements are allowed")]
    OutOfTable(usize),
    /// It recursed too deeply.
    #[error("its stack overflowed: the recursion is too deep")]
    StackOverflow,
    /// It handed over too much in one call.
    #[error("it handed over too much at once: {} MiB are allowed", .0 >> 20)]
    TooMuchCopied(usize),
    /// It called `exit`.
    #[error("it called exit({0})")]
    Exited(i32),
    /// It trapped, or a call of it could not be made sense of.
    #[error("it trapped: {0}")]
    Trapped(String),
    /// It could not be instantiated: it has too many parts.
    #[error("it can't be started: {0}")]
    NotStarted(String),
    /// What it returned makes no sense as a value of its type.
    #[error("it returned garbage: {0}")]
    Garbage(String),
    /// The host failed, not the component.
    #[error("the host failed: {0}")]
    Host(String),
}

/// A call that did not come to an end that means something. The engine and the
/// runtime are unharmed.
#[derive(Debug, Clone)]
pub struct CallError(Box<Report>);

#[derive(Debug, Clone)]
struct Report {
    component: String,
    digest: String,
    export: String,
    failure: Failure,
    backtrace: Vec<String>,
    stderr: String,
    messages: Vec<Message>,
}

impl CallError {
    pub(crate) fn new(component: &Component, export: impl Into<String>, failure: Failure) -> Self {
        Self(Box::new(Report {
            component: component.origin.clone(),
            digest: component.digest.clone(),
            export: export.into(),
            failure,
            backtrace: Vec::new(),
            stderr: String::new(),
            messages: Vec::new(),
        }))
    }

    /// Adds what the guest left behind.
    pub(crate) fn with_traces(mut self, error: Option<&Error>, state: &State) -> Self {
        self.0.stderr = state.stderr.text();
        let mute = self.0.stderr.is_empty();
        self.0.backtrace = error
            .map(|error| backtrace(error, mute))
            .unwrap_or_default();
        self.0
            .messages
            .clone_from(&state.session.reported().messages);
        self
    }

    /// What ended the call.
    pub fn failure(&self) -> &Failure {
        &self.0.failure
    }

    /// Where the component came from.
    pub fn component(&self) -> &str {
        &self.0.component
    }

    /// Its SHA-256.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// The function that was called: `builder.build`.
    pub fn export(&self) -> &str {
        &self.0.export
    }

    /// The guest's calls, the innermost first; empty where there was no trap.
    pub fn backtrace(&self) -> &[String] {
        &self.0.backtrace
    }

    /// The end of what it wrote to its standard error.
    pub fn stderr(&self) -> &str {
        &self.0.stderr
    }

    /// The messages that it reported before.
    pub fn messages(&self) -> &[Message] {
        &self.0.messages
    }

    /// What its author can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match &self.0.failure {
            Failure::Fault(fault) => fault.hint(),
            Failure::Trapped(message) if message.contains("out of bounds memory") => Some(
                "in Rust and C a recursion that is too deep looks like this, too: their stack is \
                 in memory",
            ),
            Failure::Trapped(_) if self.0.stderr.is_empty() => Some(
                "build it with WASI (wasm32-wasip2) instead of stubs, and the message of its \
                 panic or exception stands here",
            ),
            _ => None,
        }
    }
}

/// The first line says what happened to whom; then the standard error and the backtrace,
/// indented, where there are any. What the language itself said comes first, because in
/// most of them the backtrace is that of an interpreter.
impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.0;
        let digest = report.digest.get(..12).unwrap_or(&report.digest);
        write!(
            f,
            "{} (sha256 {digest}), {}: {}",
            report.component, report.export, report.failure
        )?;
        let lines: Vec<_> = report.stderr.lines().map(plain).collect();
        let lines: Vec<_> = lines
            .iter()
            .filter(|line| !line.trim().is_empty())
            .collect();
        if !lines.is_empty() {
            write!(f, "\n  standard error:")?;
        }
        for (i, line) in lines.iter().enumerate() {
            let left_out = lines.len().saturating_sub(2 * STDERR_LINES);
            match i.checked_sub(STDERR_LINES) {
                Some(0) if left_out > 0 => write!(f, "\n    … {left_out} more lines …")?,
                Some(after) if after < left_out => {}
                _ => write!(f, "\n    {line}")?,
            }
        }
        for frame in &report.backtrace {
            write!(f, "\n    at {frame}")?;
        }
        Ok(())
    }
}

/// A line without control characters: it is foreign text that ends up on a terminal.
fn plain(line: &str) -> String {
    let line = line.replace('\t', "    ");
    line.chars().filter(|c| !c.is_control()).collect()
}

impl std::error::Error for CallError {}

/// Finds out what ended a call that wasmtime ended with an error; `started` says
/// whether the component had been instantiated.
pub(crate) fn classify(error: &Error, state: &State, limits: &Limits, started: bool) -> Failure {
    // The session's own fault came first: the guest had no chance to do more.
    if let Some(fault) = state.session.fault() {
        return Failure::Fault(fault.clone());
    }
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return Failure::Exited(*code);
    }
    let trap = error.downcast_ref::<Trap>();
    match trap {
        Some(Trap::Interrupt) => return Failure::OutOfTime(limits.wall_time),
        Some(Trap::StackOverflow) => return Failure::StackOverflow,
        _ => {}
    }
    if state.limiter.refused_memory {
        return Failure::OutOfMemory(limits.memory_bytes);
    }
    if state.limiter.refused_table {
        return Failure::OutOfTable(limits.table_elements);
    }
    let cause = error.root_cause().to_string();
    match trap {
        Some(trap) => Failure::Trapped(trap.to_string().replace("wasm trap: ", "")),
        // wasmtime has no type for this one.
        None if cause.contains("too much data is being copied") => {
            Failure::TooMuchCopied(limits.copied_bytes)
        }
        // Where the guest stood on the stack, a call of it went wrong.
        None if error.downcast_ref::<WasmBacktrace>().is_some() => Failure::Trapped(cause),
        None if !started => Failure::NotStarted(cause),
        None => Failure::Garbage(cause),
    }
}

/// The frames that tell something; of a guest that said nothing itself, any.
fn backtrace(error: &Error, mute: bool) -> Vec<String> {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    let telling = trace.frames().iter().filter(|frame| tells(frame));
    let mut frames: Vec<_> = telling.map(words).collect();
    if frames.is_empty() && mute {
        frames = trace.frames().iter().map(words).collect();
    }
    let more = frames.len().saturating_sub(FRAMES);
    frames.truncate(FRAMES);
    if more > 0 {
        frames.push(format!("… {more} more"));
    }
    frames
}

/// Whether a frame tells anybody anything: it has a name, and is none of an interpreter.
fn tells(frame: &FrameInfo) -> bool {
    let module = frame.module().name().unwrap_or_default();
    frame
        .func_name()
        .is_some_and(|name| !name.starts_with("adapter "))
        && !INTERPRETERS.iter().any(|known| module.starts_with(known))
}

/// A frame in words.
fn words(frame: &FrameInfo) -> String {
    let module = frame.module().name().unwrap_or("module");
    let place = frame
        .symbols()
        .first()
        .and_then(|symbol| Some((symbol.file()?, symbol.line()?)));
    let name = match frame.func_name() {
        Some(name) => readable(name),
        None => format!("function {}", frame.func_index()),
    };
    match (place, frame.module_offset()) {
        (Some((file, line)), _) => format!("{name} ({file}:{line})"),
        (None, Some(offset)) => format!("{name} ({module}, 0x{offset:x})"),
        (None, None) => format!("{name} ({module})"),
    }
}

/// A name as the author wrote it. It is foreign text that ends up on a terminal: one
/// line, no control characters, not endless.
fn readable(name: &str) -> String {
    let name = format!("{:#}", rustc_demangle::demangle(name));
    name.chars().filter(|c| !c.is_control()).take(200).collect()
}
