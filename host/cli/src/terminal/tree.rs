//! The picture of a run: stages, their components and steps, with durations and the
//! last lines of output, built from events alone.
//!
//! A stage is drawn in place while it runs; when it ends, its final picture is handed
//! out once, to be printed for good. Nothing here prints or looks at a clock: the time
//! is an argument, so that pictures can be compared with golden ones.

use console::{Alignment, measure_text_width, pad_str, truncate_str};
use darkroom_engine::event::{Event, Kind, Level};
use jiff::Timestamp;

/// How many lines of a running step's output are shown.
const OUTPUT_LINES: usize = 5;
/// The pictures of something that runs, one after the other.
const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Good,
    Bad,
}

/// A stage, a component or a step.
#[derive(Debug)]
struct Node {
    path: String,
    name: String,
    state: State,
    since: Timestamp,
    seconds: f64,
    /// Such as `exit code 1, 2 attempts`.
    remark: String,
    output: Vec<String>,
    notes: Vec<(Level, String)>,
    progress: Option<String>,
    children: Vec<Node>,
}

/// The picture of one run.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    title: String,
    stages: Vec<Node>,
}

impl Tree {
    /// Takes an event in and returns the lines that can be printed for good.
    pub(crate) fn apply(&mut self, event: &Event) -> Vec<String> {
        match &event.kind {
            Kind::RunStarted {
                template,
                cloud,
                region,
            } => {
                self.title = format!("{template} · {} · {cloud} {region}", event.run);
                vec![bold(&self.title)]
            }
            Kind::RunResumed { .. } => vec![dim(&format!("run {} goes on", event.run))],
            Kind::StageStarted { path, .. } => {
                let name = path.clone();
                self.stages.push(Node::new(path, &name, event.at));
                Vec::new()
            }
            Kind::StageFinished { path, ok, seconds } => self.finish_stage(path, *ok, *seconds),
            Kind::ComponentStarted { path, name } => {
                self.add(path, name, event.at);
                Vec::new()
            }
            Kind::StepStarted { path, name, what } => {
                self.add(path, name, event.at);
                if let Some(node) = self.find(path) {
                    node.remark.clone_from(what);
                }
                Vec::new()
            }
            Kind::ComponentFinished { path, ok, seconds } => {
                self.finish(path, *ok, *seconds, String::new());
                Vec::new()
            }
            Kind::StepFinished {
                path,
                ok,
                exit_code,
                attempts,
                seconds,
            } => {
                self.finish(path, *ok, *seconds, remark(*ok, *exit_code, *attempts));
                Vec::new()
            }
            Kind::StepOutput { path, text } => {
                if let Some(node) = self.find(path) {
                    node.output = last_lines(text);
                }
                Vec::new()
            }
            Kind::Message { path, level, text } => self.message(path, *level, text),
            Kind::Progress { path, text } => {
                if let Some(node) = self.find(path) {
                    node.progress = Some(text.clone());
                }
                Vec::new()
            }
            Kind::RunFinished { .. } => {
                let stages = std::mem::take(&mut self.stages);
                stages.iter().flat_map(Node::drawn_for_good).collect()
            }
        }
    }

    /// The lines of what runs at present, at most `height` of them and none wider than
    /// `width`.
    pub(crate) fn live(&self, now: Timestamp, width: usize, height: usize) -> Vec<String> {
        let mut lines = Vec::new();
        for stage in &self.stages {
            stage.draw(0, Some(now), &mut lines);
        }
        // What is above the screen can't be redrawn; the newest lines are the wanted ones.
        let hidden = lines.len().saturating_sub(height.max(1));
        if hidden > 0 {
            lines.drain(..=hidden);
            lines.insert(0, dim(&format!("… {} lines above", hidden + 1)));
        }
        lines.iter().map(|line| cut(line, width)).collect()
    }

    fn add(&mut self, path: &str, name: &str, at: Timestamp) {
        let node = Node::new(path, name, at);
        match self.parent(path) {
            Some(parent) => parent.children.push(node),
            None => self.stages.push(node),
        }
    }

    /// The deepest node whose path begins this one.
    fn parent(&mut self, path: &str) -> Option<&mut Node> {
        descend(&mut self.stages, path, false)
    }

    /// The newest node with this path.
    fn find(&mut self, path: &str) -> Option<&mut Node> {
        descend(&mut self.stages, path, true).filter(|node| node.path == path)
    }

    fn finish(&mut self, path: &str, ok: bool, seconds: f64, remark: String) {
        if let Some(node) = self.find(path) {
            node.finish(ok, seconds);
            node.remark = remark;
        }
    }

    fn finish_stage(&mut self, path: &str, ok: bool, seconds: f64) -> Vec<String> {
        let Some(place) = self.stages.iter().position(|stage| stage.path == path) else {
            return Vec::new();
        };
        let mut stage = self.stages.remove(place);
        stage.finish(ok, seconds);
        stage.drawn_for_good()
    }

    fn message(&mut self, path: &str, level: Level, text: &str) -> Vec<String> {
        if level == Level::Debug {
            return Vec::new();
        }
        match descend(&mut self.stages, path, true) {
            Some(node) => {
                node.notes.push((level, text.to_owned()));
                Vec::new()
            }
            None => text.lines().map(|line| note(level, line, 0)).collect(),
        }
    }
}

/// Follows a path downwards as far as nodes go; with `whole`, to the node itself.
fn descend<'n>(nodes: &'n mut [Node], path: &str, whole: bool) -> Option<&'n mut Node> {
    let node = nodes.iter_mut().rev().find(|node| {
        let rest = path.strip_prefix(node.path.as_str());
        rest.is_some_and(|rest| rest.starts_with('/') || (whole && rest.is_empty()))
    })?;
    // The borrow checker wants the question before the answer is taken.
    let deeper = descend(&mut node.children, path, whole).is_some();
    if deeper {
        descend(&mut node.children, path, whole)
    } else {
        Some(node)
    }
}

impl Node {
    fn new(path: &str, name: &str, since: Timestamp) -> Self {
        Self {
            path: path.to_owned(),
            name: name.lines().next().unwrap_or("").to_owned(),
            state: State::Running,
            since,
            seconds: 0.0,
            remark: String::new(),
            output: Vec::new(),
            notes: Vec::new(),
            progress: None,
            children: Vec::new(),
        }
    }

    fn finish(&mut self, ok: bool, seconds: f64) {
        self.state = if ok { State::Good } else { State::Bad };
        self.seconds = seconds;
        self.progress = None;
        // The end of a failed step's output stands in the error below the picture.
        self.output.clear();
    }

    fn drawn_for_good(&self) -> Vec<String> {
        let mut lines = Vec::new();
        self.draw(0, None, &mut lines);
        lines
    }

    /// Draws the node and what is below it; with a time while it runs, without one for
    /// good.
    fn draw(&self, depth: usize, now: Option<Timestamp>, lines: &mut Vec<String>) {
        lines.push(self.line(depth, now));
        for (level, text) in &self.notes {
            lines.extend(text.lines().map(|line| note(*level, line, depth + 1)));
        }
        // For good, output of something that was cut off would only be noise.
        for line in self.output.iter().filter(|_| now.is_some()) {
            lines.push(dim(&format!("{}│ {line}", indent(depth + 1))));
        }
        for child in &self.children {
            child.draw(depth + 1, now, lines);
        }
    }

    fn line(&self, depth: usize, now: Option<Timestamp>) -> String {
        /// Durations stand in one column where names leave room for it.
        const COLUMN: usize = 64;
        let (mark, took) = match (self.state, now) {
            (State::Good, _) => (green("✓"), self.seconds),
            (State::Bad, _) => (red("✗"), self.seconds),
            (State::Running, Some(now)) => {
                let ran = now.duration_since(self.since).as_secs_f64().max(0.0);
                (cyan(spinner(ran)), ran)
            }
            // The run ended around it.
            (State::Running, None) => (dim("·"), 0.0),
        };
        let name = match (&self.progress, self.remark.as_str(), self.state) {
            (Some(progress), _, _) => format!("{} {}", self.name, dim(progress)),
            (None, remark, State::Bad) if !remark.is_empty() => {
                format!("{} {}", self.name, red(&format!("({remark})")))
            }
            (None, remark, State::Good) if !remark.is_empty() => {
                format!("{} {}", self.name, dim(&format!("({remark})")))
            }
            _ => self.name.clone(),
        };
        let head = format!("{}{mark} {name}", indent(depth));
        let head = if measure_text_width(&head) < COLUMN {
            pad_str(&head, COLUMN, Alignment::Left, None).into_owned()
        } else {
            head
        };
        if self.state == State::Running && now.is_none() {
            return head.trim_end().to_owned();
        }
        format!("{head} {}", dim(&format!("{:>7}", seconds(took))))
    }
}

fn remark(ok: bool, exit_code: Option<i32>, attempts: u32) -> String {
    let mut parts = Vec::new();
    match exit_code {
        Some(code) if !ok || code != 0 => parts.push(format!("exit code {code}")),
        _ => {}
    }
    if attempts > 1 {
        parts.push(format!("{attempts} attempts"));
    }
    parts.join(", ")
}

/// The last lines of a command's output, fit for one line of the screen each: what a
/// program drew over with carriage returns is gone, escapes and control characters too.
fn last_lines(text: &str) -> Vec<String> {
    let lines: Vec<_> = text
        .lines()
        .map(|line| {
            let visible = line
                .trim_end_matches('\r')
                .rsplit('\r')
                .next()
                .unwrap_or("");
            let plain = console::strip_ansi_codes(visible).replace('\t', "    ");
            plain
                .chars()
                .filter(|c| !c.is_control())
                .collect::<String>()
        })
        .filter(|line| !line.trim().is_empty())
        .collect();
    let hidden = lines.len().saturating_sub(OUTPUT_LINES);
    lines.into_iter().skip(hidden).collect()
}

/// A duration as people say it: `3.2 s`, `4 m 05 s`, `1 h 02 m`.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds < 99.95 {
        return format!("{seconds:.1} s");
    }
    let whole = std::time::Duration::from_secs_f64(seconds.min(1e9)).as_secs();
    if whole < 3600 {
        format!("{} m {:02} s", whole / 60, whole % 60)
    } else {
        format!("{} h {:02} m", whole / 3600, whole % 3600 / 60)
    }
}

pub(super) fn spinner(ran: f64) -> &'static str {
    let tick = std::time::Duration::from_secs_f64(ran.min(1e9)).as_millis() / 100;
    let place = usize::try_from(tick).unwrap_or(0) % SPINNER.len();
    SPINNER[place]
}

/// A line that is no wider than this.
pub(super) fn cut(line: &str, width: usize) -> String {
    truncate_str(line, width, "…").into_owned()
}

fn indent(depth: usize) -> String {
    "  ".repeat(depth)
}

fn note(level: Level, text: &str, depth: usize) -> String {
    let mark = match level {
        Level::Warning => yellow("!"),
        Level::Info | Level::Debug => dim("·"),
    };
    format!("{}{mark} {text}", indent(depth))
}

fn paint(code: &str, text: &str) -> String {
    format!("\x1b[{code}m{text}\x1b[0m")
}

pub(super) fn bold(text: &str) -> String {
    paint("1", text)
}

pub(super) fn dim(text: &str) -> String {
    paint("2", text)
}

pub(super) fn green(text: &str) -> String {
    paint("32", text)
}

pub(super) fn red(text: &str) -> String {
    paint("31", text)
}

fn yellow(text: &str) -> String {
    paint("33", text)
}

fn cyan(text: &str) -> String {
    paint("36", text)
}

#[cfg(test)]
mod tests {
    use darkroom_engine::event::{Status, VERSION};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    fn event(second: i64, kind: Kind) -> Event {
        Event {
            v: VERSION,
            at: at(second),
            run: "261122-160402-k3x7qa".parse().unwrap(),
            kind,
        }
    }

    fn step(path: &str, name: &str) -> Kind {
        Kind::StepStarted {
            path: path.into(),
            name: name.into(),
            what: String::new(),
        }
    }

    fn done(path: &str, ok: bool, exit_code: i32, seconds: f64) -> Kind {
        Kind::StepFinished {
            path: path.into(),
            ok,
            exit_code: Some(exit_code),
            attempts: 1,
            seconds,
        }
    }

    fn output(path: &str, text: &str) -> Kind {
        Kind::StepOutput {
            path: path.into(),
            text: text.into(),
        }
    }

    fn run(tree: &mut Tree, kinds: Vec<(i64, Kind)>) -> String {
        let lines = kinds
            .into_iter()
            .flat_map(|(second, kind)| tree.apply(&event(second, kind)));
        plain(&lines.collect::<Vec<_>>())
    }

    fn plain(lines: &[String]) -> String {
        console::strip_ansi_codes(&lines.join("\n")).into_owned()
    }

    fn building() -> Vec<(i64, Kind)> {
        vec![
            (
                0,
                Kind::RunStarted {
                    template: "web-server".into(),
                    cloud: "local".into(),
                    region: "cn-hangzhou".into(),
                },
            ),
            (
                0,
                Kind::StageStarted {
                    path: "build".into(),
                    status: Status::Building,
                },
            ),
            (
                0,
                Kind::ComponentStarted {
                    path: "build/1-packages".into(),
                    name: "darkroom:packages@0.1".into(),
                },
            ),
            (0, step("build/1-packages/0", "Update the package lists")),
            (3, done("build/1-packages/0", true, 0, 3.21)),
            (3, step("build/1-packages/1", "Install nginx")),
            (
                4,
                output(
                    "build/1-packages/1",
                    "one\ntwo\nthree\nfour\nfive\rsix\n\n\x1b[31mseven\x1b[0m\teight\n",
                ),
            ),
        ]
    }

    #[test]
    fn a_running_stage_is_drawn_in_place() {
        let mut tree = Tree::default();
        insta::assert_snapshot!("for_good_at_first", run(&mut tree, building()));
        insta::assert_snapshot!("running", plain(&tree.live(at(9), 80, 40)));
        let narrow = tree.live(at(9), 30, 4);
        insta::assert_snapshot!("narrow", plain(&narrow));
        assert!(narrow.iter().all(|line| measure_text_width(line) <= 30));
    }

    #[test]
    fn a_finished_stage_is_printed_for_good_and_once() {
        let mut tree = Tree::default();
        run(&mut tree, building());
        let rest = vec![
            (
                5,
                Kind::Message {
                    path: "build/1-packages/1".into(),
                    level: Level::Warning,
                    text: "held back".into(),
                },
            ),
            (9, done("build/1-packages/1", false, 100, 6.0)),
            (
                9,
                Kind::ComponentFinished {
                    path: "build/1-packages".into(),
                    ok: false,
                    seconds: 9.2,
                },
            ),
            (
                10,
                Kind::StageFinished {
                    path: "build".into(),
                    ok: false,
                    seconds: 130.0,
                },
            ),
        ];
        insta::assert_snapshot!("failed", run(&mut tree, rest));
        assert!(tree.live(at(20), 80, 40).is_empty());
    }

    #[test]
    fn branches_side_by_side_and_the_end_of_a_run() {
        let mut tree = Tree::default();
        let progress = |path: &str, text: &str| Kind::Progress {
            path: path.into(),
            text: text.into(),
        };
        run(
            &mut tree,
            vec![
                (
                    0,
                    Kind::StageStarted {
                        path: "distribute".into(),
                        status: Status::Distributing,
                    },
                ),
                (
                    0,
                    Kind::ComponentStarted {
                        path: "distribute/cn-beijing".into(),
                        name: "cn-beijing".into(),
                    },
                ),
                (
                    1,
                    Kind::ComponentStarted {
                        path: "distribute/cn-shanghai".into(),
                        name: "cn-shanghai".into(),
                    },
                ),
                (2, progress("distribute/cn-shanghai", "copying 40%")),
                (
                    2,
                    Kind::Message {
                        path: "elsewhere".into(),
                        level: Level::Info,
                        text: "hello".into(),
                    },
                ),
            ],
        );
        insta::assert_snapshot!("branches", plain(&tree.live(at(4), 80, 40)));
        let finished = Kind::RunFinished {
            status: Status::Cancelled,
            images: vec![],
            error: None,
        };
        insta::assert_snapshot!("cut_off", run(&mut tree, vec![(9, finished)]));
    }

    #[test]
    fn durations_are_read_easily() {
        let said: Vec<_> = [0.04, 3.21, 99.94, 100.0, 245.0, 3725.0]
            .map(seconds)
            .to_vec();
        assert_eq!(
            said,
            [
                "0.0 s", "3.2 s", "99.9 s", "1 m 40 s", "4 m 05 s", "1 h 02 m"
            ]
        );
    }
}
