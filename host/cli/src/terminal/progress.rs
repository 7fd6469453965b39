//! Shows a run, or several at once, while they run: a live picture on a terminal, one line an event where
//! there is none or in CI, NDJSON with `--json` or `--progress json`.
//!
//! The engine's watcher must not block, so it only puts events into a channel; a
//! thread of its own draws. It ends when it is told to, not when every watcher is gone:
//! a run that was stopped at once may leave one behind.

use std::collections::{BTreeMap, VecDeque};
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use console::Term;
use darkroom_engine::event::{Event, Kind, Level, Watcher};
use jiff::Timestamp;

use super::forest::Forest;
use super::tree::{Tree, seconds};

/// How often the picture moves.
const FRAME: Duration = Duration::from_millis(100);

/// How a run is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A picture that is drawn again and again.
    Tree,
    /// One line an event, for logs.
    Plain,
    /// Events as JSON on standard error, beside results for people.
    Json,
    /// Events as JSON on standard output, where the result follows.
    Stream,
}

impl Shape {
    /// From the word that was said for it, if any, and `--json`.
    pub(super) fn of(word: Option<&str>, json: bool) -> Self {
        let drawable = std::io::stderr().is_terminal()
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        match word {
            _ if json => Self::Stream,
            Some("tree") => Self::Tree,
            Some("plain") => Self::Plain,
            Some("json") => Self::Json,
            _ if drawable && !super::is_ci() => Self::Tree,
            _ => Self::Plain,
        }
    }
}

/// What the thread is told.
enum Said {
    Event(Box<Event>),
    /// Events of an earlier process, which have been shown then.
    Earlier(Vec<Event>),
    /// A line for people that belongs to no event.
    Note(String),
    /// Somebody else needs the screen; he is told when it is free.
    Pause(Sender<()>),
    Resume,
    End,
}

/// The right to use the screen while a run is shown on it.
#[derive(Clone)]
pub(crate) struct Screen(Sender<Said>);

/// The screen, for as long as this value lives.
pub(crate) struct Taken(Sender<Said>);

impl Screen {
    /// Takes the screen: the picture goes until the returned value is dropped. It blocks
    /// for no longer than a frame.
    pub(crate) fn take(&self) -> Taken {
        let (free, is_free) = channel();
        // Without a thread that draws the screen is free already.
        if self.0.send(Said::Pause(free)).is_ok() {
            let _ = is_free.recv();
        }
        Taken(self.0.clone())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        drop(self.0.send(Said::Resume));
    }
}

/// Leaves the screen to whoever asked for it, and returns what was said meanwhile.
fn pause(free: &Sender<()>, said: &Receiver<Said>) -> Vec<Said> {
    let _ = free.send(());
    let mut meanwhile = Vec::new();
    while let Ok(next) = said.recv() {
        match next {
            Said::Resume => break,
            Said::End => {
                meanwhile.push(Said::End);
                break;
            }
            next => meanwhile.push(next),
        }
    }
    meanwhile
}

/// The display of one run, or of several.
pub(crate) struct Progress {
    said: Sender<Said>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// `several` is how many runs there will be, if not one.
    pub(super) fn start(shape: Shape, color: ColorChoice, several: Option<usize>) -> Self {
        let (said, received) = channel();
        let draw = move || match shape {
            Shape::Stream => as_json(&received, &mut std::io::stdout()),
            Shape::Json => as_json(&received, &mut std::io::stderr()),
            Shape::Tree => as_picture(&received, color, Picture::of(several)),
            Shape::Plain => as_lines(&received, color, several.is_some()),
        };
        // Without a thread nothing is shown; the run is more important than its picture.
        let thread = std::thread::Builder::new()
            .name("terminal".into())
            .spawn(draw)
            .ok();
        Self { said, thread }
    }

    /// What the engine calls with every event.
    pub(crate) fn watcher(&self) -> Watcher {
        let said = self.said.clone();
        Arc::new(move |event| drop(said.send(Said::Event(Box::new(event.clone())))))
    }

    /// What an earlier process of the run told: a picture goes on from there.
    pub(crate) fn recall(&self, events: Vec<Event>) {
        drop(self.said.send(Said::Earlier(events)));
    }

    /// The screen, for questions while the run is shown.
    pub(crate) fn screen(&self) -> Screen {
        Screen(self.said.clone())
    }

    /// A line for people while the run is shown.
    pub(crate) fn note(&self, text: impl Into<String>) {
        drop(self.said.send(Said::Note(text.into())));
    }

    /// Shows what has been told so far and ends.
    pub(crate) fn finish(self) {
        drop(self.said.send(Said::End));
        if let Some(thread) = self.thread {
            drop(thread.join());
        }
    }
}

/// Gives everything that is said, in order, to a function that keeps nothing on the
/// screen.
fn each(said: &Receiver<Said>, mut show: impl FnMut(Said)) {
    let mut waiting = VecDeque::new();
    loop {
        let next = waiting.pop_front().or_else(|| said.recv().ok());
        match next {
            Some(Said::Pause(free)) => waiting.extend(pause(&free, said)),
            Some(Said::End) | None => break,
            Some(next) => show(next),
        }
    }
}

fn as_json(said: &Receiver<Said>, out: &mut dyn Write) {
    each(said, |said| {
        if let Said::Event(event) = said
            && let Ok(text) = serde_json::to_string(&event)
        {
            drop(writeln!(out, "{text}").and_then(|()| out.flush()));
        }
    });
}

/// What is drawn.
enum Picture {
    One(Tree),
    Several(Forest),
}

impl Picture {
    fn of(several: Option<usize>) -> Self {
        match several {
            Some(total) => Self::Several(Forest::new(total)),
            None => Self::One(Tree::default()),
        }
    }

    fn apply(&mut self, event: &Event) -> Vec<String> {
        match self {
            Self::One(tree) => tree.apply(event),
            Self::Several(forest) => forest.apply(event),
        }
    }

    fn live(&self, now: Timestamp, width: usize, height: usize) -> Vec<String> {
        match self {
            Self::One(tree) => tree.live(now, width, height),
            Self::Several(forest) => forest.live(now, width, height),
        }
    }
}

fn as_picture(said: &Receiver<Said>, color: ColorChoice, mut picture: Picture) {
    let terminal = Term::buffered_stderr();
    let plain = AutoStream::new(std::io::stderr(), color).current_choice() == ColorChoice::Never;
    let mut drawn = 0;
    let mut ended = false;
    let mut waiting = VecDeque::new();
    drop(terminal.hide_cursor());
    while !ended {
        let mut lines = Vec::new();
        if waiting.is_empty() {
            match said.recv_timeout(FRAME) {
                Ok(first) => waiting.push_back(first),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => ended = true,
            }
        }
        waiting.extend(said.try_iter());
        let mut asked = None;
        while let Some(said) = waiting.pop_front() {
            match said {
                Said::Event(event) => lines.extend(picture.apply(&event)),
                Said::Earlier(events) => {
                    for event in &events {
                        picture.apply(event);
                    }
                }
                Said::Note(text) => lines.push(text),
                Said::Pause(free) => {
                    asked = Some(free);
                    break;
                }
                Said::Resume => {}
                Said::End => ended = true,
            }
        }
        let (height, width) = terminal.size();
        let (width, height) = (usize::from(width), usize::from(height));
        let live = if ended || asked.is_some() {
            Vec::new()
        } else {
            picture.live(
                Timestamp::now(),
                width.saturating_sub(1),
                height.saturating_sub(2),
            )
        };
        drop(terminal.clear_last_lines(drawn));
        for line in lines.iter().chain(&live) {
            let line = if plain {
                console::strip_ansi_codes(line)
            } else {
                line.into()
            };
            drop(terminal.write_line(&line));
        }
        drop(terminal.flush());
        drawn = live.len();
        if let Some(free) = asked {
            drop(terminal.show_cursor().and_then(|()| terminal.flush()));
            let meanwhile = pause(&free, said);
            for said in meanwhile.into_iter().rev() {
                waiting.push_front(said);
            }
            drop(terminal.hide_cursor());
        }
    }
    drop(terminal.show_cursor().and_then(|()| terminal.flush()));
}

fn as_lines(said: &Receiver<Said>, color: ColorChoice, several: bool) {
    let mut out = AutoStream::new(std::io::stderr(), color);
    let mut begun = None;
    let mut names = BTreeMap::new();
    each(said, |said| match said {
        Said::Event(event) => {
            let begun = *begun.get_or_insert(event.at);
            let since = event.at.duration_since(begun).as_secs_f64();
            if let Kind::RunStarted { template, .. } = &event.kind {
                names.insert(event.run.clone(), template.clone());
            }
            if let Some(text) = as_line(&event) {
                let name = names.get(&event.run).filter(|_| several);
                let name = name.map_or_else(String::new, |name| format!("{name} │ "));
                drop(writeln!(out, "[{since:>7.1}] {name}{text}"));
            }
        }
        Said::Note(text) => drop(writeln!(out, "{text}")),
        Said::Earlier(_) | Said::Pause(_) | Said::Resume | Said::End => {}
    });
}

/// An event in one line; output and progress would only fill a log.
fn as_line(event: &Event) -> Option<String> {
    let ended = |path: &str, ok: bool, took: f64, more: String| {
        let word = if ok { "ok" } else { "FAILED" };
        Some(format!("{path}: {word}{more} ({})", seconds(took)))
    };
    match &event.kind {
        Kind::RunStarted {
            template,
            cloud,
            region,
        } => Some(format!("{template}: run {} on {cloud} {region}", event.run)),
        Kind::RunResumed { pid } => Some(format!("run {} goes on in process {pid}", event.run)),
        Kind::StageStarted { path, .. } => Some(path.clone()),
        Kind::ComponentStarted { path, name } | Kind::StepStarted { path, name, .. } => {
            Some(format!("{path}: {name}"))
        }
        Kind::StageFinished { path, ok, seconds }
        | Kind::ComponentFinished { path, ok, seconds } => {
            ended(path, *ok, *seconds, String::new())
        }
        Kind::StepFinished {
            path,
            ok,
            exit_code,
            seconds,
            ..
        } => {
            let code = exit_code.filter(|code| *code != 0);
            let code = code.map(|code| format!(", exit code {code}"));
            ended(path, *ok, *seconds, code.unwrap_or_default())
        }
        Kind::Message { path, level, text } => match level {
            Level::Debug => None,
            Level::Info => Some(format!("{path}: {text}")),
            Level::Warning => Some(format!("{path}: warning: {text}")),
        },
        Kind::StepOutput { .. } | Kind::Progress { .. } => None,
        Kind::RunFinished { status, .. } => Some(format!("run {}: {}", event.run, status.word())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_the_screen_is_taken_nothing_is_shown_and_nothing_is_lost() {
        let (said, received) = channel();
        let (show, shown) = channel();
        let thread = std::thread::spawn(move || {
            each(&received, |said| {
                if let Said::Note(text) = said {
                    drop(show.send(text));
                }
            });
        });
        let screen = Screen(said.clone());
        let note = |text: &str| drop(said.send(Said::Note(text.to_owned())));
        note("before");
        let taken = screen.take();
        assert_eq!(shown.recv().unwrap(), "before");
        note("meanwhile");
        let nothing = shown.recv_timeout(Duration::from_millis(20));
        assert!(nothing.is_err(), "{nothing:?}");
        drop(taken);
        assert_eq!(shown.recv().unwrap(), "meanwhile");
        drop(said.send(Said::End));
        thread.join().unwrap();
    }

    #[test]
    fn the_word_decides_how_a_run_is_shown_and_json_is_for_programs() {
        assert_eq!(Shape::of(Some("tree"), false), Shape::Tree);
        assert_eq!(Shape::of(Some("plain"), false), Shape::Plain);
        assert_eq!(Shape::of(Some("json"), false), Shape::Json);
        assert_eq!(Shape::of(Some("tree"), true), Shape::Stream);
    }
}
