//! What happens in a run, as it happens: one versioned schema that the terminal, `--json`
//! and the log read alike.
//!
//! Each event is one line of JSON in the run's `events.ndjson` and one value for whoever
//! watches. A resumed run replays what it has done, so an event that the file has already
//! is neither written nor shown again. Fields may be added to the schema; none may change
//! without a new version.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use darkroom_journal::{Clock, RunId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of the schema.
pub const VERSION: u32 = 1;

/// The status of a run, in the words of ECS Image Builder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Inputs are checked and the instance is made.
    Preparing,
    /// The source image is looked at and repaired.
    Repairing,
    /// Components change the instance; then the image is made.
    Building,
    /// A fresh instance is made from the image and looked at.
    Testing,
    /// The image is copied and shared.
    Distributing,
    /// What isn't needed any more goes.
    Releasing,
    /// All is done.
    Success,
    /// The image is good, but not everywhere where it should be.
    PartitionSuccess,
    /// Nothing came of it.
    Failed,
    /// The image was made and failed its tests.
    TestFailed,
    /// The run was cancelled and has cleaned up.
    Cancelled,
}

impl Status {
    /// The word on the wire and on the screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Preparing => "PREPARING",
            Self::Repairing => "REPAIRING",
            Self::Building => "BUILDING",
            Self::Testing => "TESTING",
            Self::Distributing => "DISTRIBUTING",
            Self::Releasing => "RELEASING",
            Self::Success => "SUCCESS",
            Self::PartitionSuccess => "PARTITION_SUCCESS",
            Self::Failed => "FAILED",
            Self::TestFailed => "TEST_FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The version of the schema.
    pub v: u32,
    /// When it happened.
    pub at: Timestamp,
    /// The run.
    pub run: RunId,
    /// What happened.
    #[serde(flatten)]
    pub kind: Kind,
}

/// How important a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// For a component's author.
    Debug,
    /// For everybody.
    Info,
    /// Something may be wrong.
    Warning,
}

/// What happened. Paths are those of the journal, such as `build/1-packages/0`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Kind {
    /// The run begins.
    RunStarted {
        /// The template's name.
        template: String,
        /// The cloud: `local` or `aliyun`.
        cloud: String,
        /// The region in which the image is built.
        region: String,
    },
    /// Another process goes on with the run.
    RunResumed {
        /// Its process id.
        pid: u32,
    },
    /// A stage begins.
    StageStarted {
        /// Its path.
        path: String,
        /// The run's status meanwhile.
        status: Status,
    },
    /// A stage has ended.
    StageFinished {
        /// Its path.
        path: String,
        /// Whether the run goes on.
        ok: bool,
        /// How long it took, in this process or those before.
        seconds: f64,
    },
    /// A component begins.
    ComponentStarted {
        /// Its path.
        path: String,
        /// The component, as the template names it.
        name: String,
    },
    /// A component has ended.
    ComponentFinished {
        /// Its path.
        path: String,
        /// Whether it succeeded.
        ok: bool,
        /// How long it took.
        seconds: f64,
    },
    /// A step is sent.
    StepStarted {
        /// Its path.
        path: String,
        /// Its name.
        name: String,
        /// What it is, such as `a script`.
        what: String,
    },
    /// The present end of a running step's output.
    StepOutput {
        /// The step's path.
        path: String,
        /// At most the last 6,000 bytes.
        text: String,
    },
    /// A step has ended.
    StepFinished {
        /// Its path.
        path: String,
        /// Whether it succeeded.
        ok: bool,
        /// The exit code of a script's last attempt.
        exit_code: Option<i32>,
        /// How many attempts were made.
        attempts: u32,
        /// How long it took.
        seconds: f64,
    },
    /// A message of the host or of a component.
    Message {
        /// The path of who says it.
        path: String,
        /// How important it is.
        level: Level,
        /// One or more lines.
        text: String,
    },
    /// The host does something that takes its time.
    Progress {
        /// The path of who does it.
        path: String,
        /// What it is.
        text: String,
    },
    /// The run has ended.
    RunFinished {
        /// How.
        status: Status,
        /// The images, by region.
        images: Vec<ImageOf>,
        /// What went wrong, if anything did.
        error: Option<String>,
    },
}

/// An image in a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageOf {
    /// The region.
    pub region: String,
    /// The image.
    pub image: String,
}

impl Kind {
    /// What makes the event one of its kind: its own form without durations, for the
    /// events that happen once. Output may come any number of times and is not kept.
    fn once(&self) -> Option<String> {
        match self {
            Self::StepOutput { .. } | Self::RunResumed { .. } | Self::RunFinished { .. } => None,
            Self::RunStarted { .. } => Some("run-started".into()),
            Self::StageStarted { path, .. } => Some(format!("stage-started {path}")),
            Self::StageFinished { path, ok, .. } => Some(format!("stage-finished {path} {ok}")),
            Self::ComponentStarted { path, .. } => Some(format!("component-started {path}")),
            Self::ComponentFinished { path, .. } => Some(format!("component-finished {path}")),
            Self::StepStarted { path, .. } => Some(format!("step-started {path}")),
            Self::StepFinished { path, .. } => Some(format!("step-finished {path}")),
            Self::Message { path, text, .. } => Some(format!("message {path} {text}")),
            Self::Progress { path, text } => Some(format!("progress {path} {text}")),
        }
    }
}

/// Whoever watches a run. Must not block.
pub type Watcher = Arc<dyn Fn(&Event) + Send + Sync>;

/// Where a run's events go.
#[derive(Clone)]
pub struct Events {
    run: RunId,
    clock: Arc<dyn Clock>,
    watcher: Watcher,
    state: Arc<Mutex<State>>,
}

struct State {
    file: File,
    seen: BTreeSet<String>,
}

impl Events {
    /// Opens the run's event file at `path`, reading what an earlier process wrote. A
    /// last line that a crash cut is passed over and ended.
    ///
    /// # Errors
    /// When the file can't be read or written.
    pub fn open(
        path: &Path,
        run: RunId,
        clock: Arc<dyn Clock>,
        watcher: Watcher,
    ) -> std::io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        let mut seen = BTreeSet::new();
        let mut cut = false;
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            cut = line.last() != Some(&b'\n');
            if let Ok(event) = serde_json::from_slice::<Event>(&line) {
                seen.extend(event.kind.once());
            }
            line.clear();
        }
        if cut {
            file.write_all(b"\n")?;
        }
        Ok(Self {
            run,
            clock,
            watcher,
            state: Arc::new(Mutex::new(State { file, seen })),
        })
    }

    /// Events that nobody wants: of what is done to a run from outside.
    ///
    /// # Errors
    /// When there is no such place.
    pub(crate) fn nowhere(run: RunId, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        Self::open(Path::new("/dev/null"), run, clock, Arc::new(|_| ()))
    }

    /// The present moment, to measure from.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Seconds since `start`, by the run's clock.
    pub fn seconds_since(&self, start: Timestamp) -> f64 {
        self.clock.now().duration_since(start).as_secs_f64()
    }

    /// Tells `kind`, unless an earlier process has done so. What can't be written is
    /// still shown: a full disk stops a run in the journal, not here.
    pub fn tell(&self, kind: Kind) {
        let event = Event {
            v: VERSION,
            at: self.clock.now(),
            run: self.run.clone(),
            kind,
        };
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(once) = event.kind.once()
                && !state.seen.insert(once)
            {
                return;
            }
            if !matches!(event.kind, Kind::StepOutput { .. })
                && let Ok(mut line) = serde_json::to_vec(&event)
            {
                line.push(b'\n');
                if let Err(error) = state.file.write_all(&line) {
                    tracing::warn!(%error, "an event was not written");
                }
            }
        }
        (self.watcher)(&event);
    }
}

/// The events of a run that has been, oldest first. Lines that can't be read are left
/// out.
///
/// # Errors
/// When the file can't be read.
pub fn read(path: &Path) -> std::io::Result<Vec<Event>> {
    let text = std::fs::read_to_string(path)?;
    Ok(text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect())
}
