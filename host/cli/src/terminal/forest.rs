//! The picture of several runs at once: the tree of each under its name, and a line that
//! counts them. As [`Tree`], it is built from events alone and asks no clock.

use darkroom_engine::event::{Event, Kind, Status};
use darkroom_journal::RunId;
use jiff::Timestamp;

use super::tree::{Tree, bold, cut, dim, green, red, seconds, spinner};

/// One of the runs.
#[derive(Debug)]
struct Sapling {
    run: RunId,
    name: String,
    since: Timestamp,
    ended: Option<Status>,
    tree: Tree,
}

/// The picture of several runs.
#[derive(Debug)]
pub(super) struct Forest {
    runs: Vec<Sapling>,
    /// How many runs there will be.
    total: usize,
}

impl Forest {
    pub(super) fn new(total: usize) -> Self {
        Self {
            runs: Vec::new(),
            total,
        }
    }

    /// Takes an event in and returns the lines that can be printed for good, each with the
    /// name of its run.
    pub(super) fn apply(&mut self, event: &Event) -> Vec<String> {
        if let Kind::RunStarted { template, .. } = &event.kind {
            self.runs.push(Sapling {
                run: event.run.clone(),
                name: template.clone(),
                since: event.at,
                ended: None,
                tree: Tree::default(),
            });
        }
        let width = self.runs.iter().map(|run| run.name.len()).max();
        let Some(run) = self.runs.iter_mut().find(|one| one.run == event.run) else {
            return Vec::new();
        };
        let mut lines = run.tree.apply(event);
        if let Kind::RunFinished { status, .. } = &event.kind {
            run.ended = Some(*status);
            let took = event.at.duration_since(run.since).as_secs_f64();
            let mark = if *status == Status::Success {
                green("✓")
            } else {
                red("✗")
            };
            let took = dim(&seconds(took));
            lines.push(format!("{mark} {} {took}", status.word()));
        }
        let name = format!("{:<1$}", run.name, width.unwrap_or_default());
        let named = lines.into_iter();
        named
            .map(|line| format!("{} {line}", dim(&format!("{name} │"))))
            .collect()
    }

    /// The lines of what runs at present, at most `height` of them and none wider than
    /// `width`: each run has its share.
    pub(super) fn live(&self, now: Timestamp, width: usize, height: usize) -> Vec<String> {
        let running: Vec<_> = self.runs.iter().filter(|run| run.ended.is_none()).collect();
        let room = height.saturating_sub(1);
        let share = room / running.len().max(1);
        let mut lines = Vec::new();
        for run in running.iter().take(room) {
            let ran = now.duration_since(run.since).as_secs_f64().max(0.0);
            let head = format!(
                "{} {} {}",
                spinner(ran),
                bold(&run.name),
                dim(&format!("{} {}", run.run, seconds(ran)))
            );
            lines.push(cut(&head, width));
            if share > 1 {
                let tree = run.tree.live(now, width.saturating_sub(2), share - 1);
                lines.extend(tree.into_iter().map(|line| format!("  {line}")));
            }
        }
        lines.push(cut(&dim(&self.counted(running.len())), width));
        lines
    }

    fn counted(&self, running: usize) -> String {
        let ended = self.runs.iter().filter_map(|run| run.ended);
        let good = ended.clone().filter(|end| *end == Status::Success).count();
        let bad = ended.count() - good;
        let waiting = self.total.saturating_sub(self.runs.len());
        let parts = [
            (running, "running"),
            (waiting, "waiting"),
            (good, "done"),
            (bad, "failed"),
        ];
        let said = parts.iter().filter(|(count, _)| *count > 0);
        let said: Vec<_> = said
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        format!("{} builds: {}", self.total, said.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use darkroom_engine::event::VERSION;

    use super::*;

    fn event(second: i64, run: &str, kind: Kind) -> Event {
        Event {
            v: VERSION,
            at: Timestamp::from_second(1_795_000_000 + second).unwrap(),
            run: run.parse().unwrap(),
            kind,
        }
    }

    fn plain(lines: &[String]) -> String {
        console::strip_ansi_codes(&lines.join("\n")).into_owned()
    }

    const A: &str = "261122-160402-aaaaaa";
    const B: &str = "261122-160402-bbbbbb";

    fn two() -> Forest {
        let mut forest = Forest::new(3);
        for (run, name) in [(A, "web-debian-12"), (B, "db")] {
            let started = Kind::RunStarted {
                template: name.into(),
                cloud: "local".into(),
                region: "cn-hangzhou".into(),
            };
            forest.apply(&event(0, run, started));
            let stage = Kind::StageStarted {
                path: "build".into(),
                status: Status::Building,
            };
            forest.apply(&event(1, run, stage));
            let step = Kind::StepStarted {
                path: "build/1-run/0".into(),
                name: format!("do it on {name}"),
                what: String::new(),
            };
            forest.apply(&event(1, run, step));
        }
        forest
    }

    #[test]
    fn each_run_has_its_share_of_the_screen() {
        let forest = two();
        let now = Timestamp::from_second(1_795_000_004).unwrap();
        insta::assert_snapshot!("share", plain(&forest.live(now, 80, 40)));
        insta::assert_snapshot!("little_room", plain(&forest.live(now, 40, 3)));
        for height in 1..12 {
            let drawn = forest.live(now, 40, height).len();
            assert!(drawn <= height, "{drawn} lines on {height}");
        }
    }

    #[test]
    fn what_stays_bears_the_name_of_its_run() {
        let mut forest = two();
        let ended = |ok| Kind::StageFinished {
            path: "build".into(),
            ok,
            seconds: 3.0,
        };
        let finished = |status| Kind::RunFinished {
            status,
            images: vec![],
            error: None,
        };
        let mut lines = forest.apply(&event(4, A, ended(true)));
        lines.extend(forest.apply(&event(5, A, finished(Status::Success))));
        lines.extend(forest.apply(&event(5, B, ended(false))));
        lines.extend(forest.apply(&event(6, B, finished(Status::Cancelled))));
        insta::assert_snapshot!("for_good", plain(&lines));
        let now = Timestamp::from_second(1_795_000_009).unwrap();
        let live = plain(&forest.live(now, 80, 40));
        assert_eq!(live, "3 builds: 1 waiting, 1 done, 1 failed");
    }
}
