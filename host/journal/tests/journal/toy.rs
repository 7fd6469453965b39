//! A pipeline with every kind of step, in a world of its own, run by a process of its
//! own that the crash tests kill.
//!
//! The world keeps what ECS keeps: things made by token are made once a token, a state
//! that is so already isn't brought about again, and a reboot counts. All of it is a list
//! of effects in one file, since a kill may come between any two writes.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use darkroom_journal::{
    Attempt, Class, Failure, Journal, Options, Poll, RunId, Scope, Session, Stop, SystemClock,
    UndoKey, World, branch,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_hours(1);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Op {
    Create(String),
    Remove,
    Set(String, String),
    Look(String),
    Reboot,
    Refuse,
}

/// A thing that is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct There(String);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

struct Files {
    folder: PathBuf,
    /// What was asked about once, which is answered with 'not yet'.
    asked: Mutex<HashSet<String>>,
}

impl Files {
    /// All effects that there were.
    fn effects(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join("effects")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn effect(&self, line: &str) {
        append(&self.folder.join("effects"), line);
    }

    fn boots(&self) -> usize {
        self.effects()
            .iter()
            .filter(|effect| *effect == "reboot")
            .count()
    }

    fn state(&self, name: &str) -> Option<String> {
        let set = format!("set {name} ");
        self.effects()
            .iter()
            .rev()
            .find_map(|effect| effect.strip_prefix(&set).map(str::to_owned))
    }

    fn apply(&self, operation: &Op, attempt: &Attempt) -> Result<Value, Refused> {
        match operation {
            Op::Create(name) => {
                let thing = format!("{name} {}", attempt.token);
                let create = format!("create {thing}");
                if !self.effects().contains(&create) {
                    self.effect(&create);
                }
                return Ok(thing.into());
            }
            Op::Remove => {
                let Some(undoes) = &attempt.undoes else {
                    return Err(Refused("removes what?".into()));
                };
                let token = undoes.token.to_string();
                for thing in things(&self.effects())
                    .iter()
                    .filter(|thing| thing.ends_with(&token))
                {
                    self.effect(&format!("remove {thing}"));
                }
            }
            Op::Set(name, value) => {
                if self.state(name).as_ref() != Some(value) {
                    self.effect(&format!("set {name} {value}"));
                }
            }
            Op::Look(name) => return Ok(json!(self.state(name))),
            Op::Reboot => {
                // Seen again, the boots before tell whether it was done.
                if attempt.repeat.is_none() || attempt.witness == Some(json!(self.boots())) {
                    self.effect("reboot");
                }
            }
            Op::Refuse => return Err(Refused("refused".into())),
        }
        Ok(Value::Null)
    }
}

/// The things that were made and not removed.
pub fn things(effects: &[String]) -> Vec<String> {
    let made = effects
        .iter()
        .filter_map(|effect| effect.strip_prefix("create "));
    let there = made.filter(|thing| !effects.contains(&format!("remove {thing}")));
    there.map(str::to_owned).collect()
}

/// Appends a line in one write, so that a kill leaves all of it or nothing.
fn append(path: &Path, line: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(
        format!(
            "{line}
"
        )
        .as_bytes(),
    )
    .unwrap();
}

#[async_trait]
impl World for Files {
    type Operation = Op;
    type Condition = There;
    type Error = Refused;

    fn class(&self, operation: &Op) -> Class {
        match operation {
            Op::Create(_) | Op::Refuse => Class::Token,
            Op::Remove | Op::Set(..) => Class::State,
            Op::Look(_) => Class::Read,
            Op::Reboot => Class::Witness,
        }
    }

    async fn witness(&self, _: &Op) -> Result<Value, Failure<Refused>> {
        Ok(self.boots().into())
    }

    async fn perform(&self, operation: &Op, attempt: &Attempt) -> Result<Value, Failure<Refused>> {
        self.apply(operation, attempt).map_err(Failure::Final)
    }

    async fn poll(&self, There(name): &There) -> Result<Poll, Failure<Refused>> {
        let first = self.asked.lock().unwrap().insert(name.clone());
        let there = things(&self.effects())
            .iter()
            .any(|thing| thing.starts_with(&format!("{name} ")));
        Ok(if there && !first {
            Poll::Ready(json!(name))
        } else {
            Poll::Pending {
                again: Duration::from_millis(1),
            }
        })
    }
}

type End<T> = Result<T, Stop<Refused>>;

async fn create(scope: &Scope<Files>, name: &str) -> End<(Value, UndoKey)> {
    scope
        .run_undoable(Op::Create(name.into()), Op::Remove)
        .await
}

async fn wait(scope: &Scope<Files>, name: &str) -> End<bool> {
    Ok(scope.wait(There(name.into()), HOUR).await?.ready() == Some(json!(name)))
}

async fn set(scope: &Scope<Files>, name: &str, value: &str) -> End<Value> {
    scope.run(Op::Set(name.into(), value.into())).await
}

async fn prepare(scope: Scope<Files>) -> End<UndoKey> {
    let (_, undo) = create(&scope, "instance").await?;
    assert!(wait(&scope, "instance").await?);
    set(&scope, "power", "on").await?;
    scope.sleep(Duration::from_millis(1)).await?;
    Ok(undo)
}

async fn build(scope: Scope<Files>) -> End<(Value, String)> {
    scope.run(Op::Reboot).await?;
    let power = scope.run(Op::Look("power".into())).await?;
    // Never undone by the pipeline, so that the unwind has to.
    create(&scope, "scratch").await?;
    let refused = scope.run(Op::Refuse).await.unwrap_err().to_string();
    scope.run(Op::Reboot).await?;
    Ok((power, refused))
}

async fn image(scope: Scope<Files>) -> End<(Value, Value)> {
    let approval = scope.signal("approve").await?;
    let (image, undo) = create(&scope, "image").await?;
    scope.keep(&undo).await?;
    Ok((image, approval))
}

async fn distribute(scope: Scope<Files>) -> End<(Vec<Value>, usize)> {
    let copies = ["beijing", "shanghai"].map(|region| {
        branch(region, move |scope: Scope<Files>| async move {
            let (copy, undo) = create(&scope, region).await?;
            wait(&scope, region).await?;
            set(&scope, &format!("share-{region}"), "yes").await?;
            scope.keep(&undo).await?;
            Ok(copy)
        })
    });
    let copies = scope
        .all(copies.into())
        .await
        .into_iter()
        .collect::<End<Vec<_>>>()?;
    let straggler = branch("straggler", |scope: Scope<Files>| async move {
        create(&scope, "straggler").await?;
        scope.sleep(HOUR).await
    });
    let quick = branch("quick", |scope: Scope<Files>| async move {
        wait(&scope, "straggler").await?;
        set(&scope, "winner", "quick").await.map(drop)
    });
    let (winner, ()) = scope.race(vec![straggler, quick]).await?;
    Ok((copies, winner))
}

/// The whole pipeline; each stage's body leaves a line in `stages`.
async fn pipeline(session: &Session<Files>, toy: &Toy, journal: &Journal) -> End<Value> {
    let note = |stage: &str| append(&toy.folder.join("stages"), stage);
    let instance = session
        .stage("prepare", 1, |scope| (note("prepare"), prepare(scope)).1)
        .await?;
    let built = session
        .stage("build", 1, |scope| (note("build"), build(scope)).1)
        .await?;
    if toy.plan == Plan::Cancelled && !session.is_cancelled() {
        journal.cancel(session.run()).await?;
        session.cancelled().await;
    }
    if toy.plan == Plan::Stuck {
        session
            .stage("stuck", 1, async |scope| wait(&scope, "godot").await)
            .await?;
    }
    let image = session
        .stage("image", 1, |scope| (note("image"), image(scope)).1)
        .await?;
    let copies = session
        .stage("distribute", 1, |scope| {
            (note("distribute"), distribute(scope)).1
        })
        .await?;
    session
        .stage("release", 1, async |scope| {
            note("release");
            scope.undo(&instance).await
        })
        .await?;
    Ok(json!({ "built": built, "image": image, "copies": copies }))
}

/// What becomes of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// It goes to its end.
    Whole,
    /// It cancels itself after two stages.
    Cancelled,
    /// It waits for something that never comes.
    Stuck,
}

/// A run of the toy pipeline in a folder.
#[derive(Clone, Debug)]
pub struct Toy {
    pub folder: PathBuf,
    pub plan: Plan,
    /// Whether outcomes are written at once, or only with the next commit.
    pub eager: bool,
}

impl Toy {
    pub fn run_id() -> RunId {
        "261122-160402-baaaaa".parse().unwrap()
    }

    pub async fn journal(&self) -> Journal {
        let flush_after = if self.eager { Duration::ZERO } else { HOUR };
        let options = Options {
            flush_after,
            look_every: Duration::from_millis(2),
        };
        let path = self.folder.join("journal.sqlite");
        Journal::open_with(path, Arc::new(SystemClock), options)
            .await
            .unwrap()
    }

    /// Makes the folder, the run and the signal that the run will want.
    pub async fn begin(&self) {
        fs::create_dir_all(&self.folder).unwrap();
        let journal = self.journal().await;
        journal
            .begin(&Self::run_id(), json!({ "toy": 1 }))
            .await
            .unwrap();
        journal
            .signal(&Self::run_id(), "approve", json!({ "by": "me" }))
            .await
            .unwrap();
    }

    /// Starts a process that runs, or resumes, the pipeline; with a fail point it waits
    /// there, having made the file `hit`.
    pub fn start(&self, point: Option<&str>) -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([
                "toy::child",
                "--exact",
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env("TOY_FOLDER", &self.folder)
            .env("TOY_PLAN", format!("{:?}", self.plan))
            .env("TOY_EAGER", self.eager.to_string())
            .env_remove("DARKROOM_FAILPOINT")
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.folder.join("stderr")).unwrap());
        if let Some(point) = point {
            command.env(
                "DARKROOM_FAILPOINT",
                format!("{point}={}", self.hit().display()),
            );
        }
        command.spawn().unwrap()
    }

    /// The file that says that the fail point was reached.
    pub fn hit(&self) -> PathBuf {
        self.folder.join("hit")
    }

    /// Runs or resumes in this process.
    async fn go(&self) {
        let journal = self.journal().await;
        let world = Files {
            folder: self.folder.clone(),
            asked: Mutex::default(),
        };
        let lock = journal.lock(&Self::run_id()).unwrap();
        let session = journal
            .session(lock, Arc::new(world), "toy 1")
            .await
            .unwrap();
        let result = match pipeline(&session, self, &journal).await {
            Ok(result) => result,
            Err(Stop::Cancelled) => json!("cancelled"),
            Err(stop) => panic!("{stop:?}"),
        };
        let failures = session.unwind().await.unwrap();
        assert!(failures.is_empty(), "{failures:?}");
        journal.finish(&Self::run_id(), result).await.unwrap();
        session.close().await.unwrap();
    }
}

/// Not a test: the process that the crash tests start and kill.
#[test]
#[ignore = "it is the process that other tests start"]
fn child() {
    // Asked for by hand, together with all other ignored tests, it has nothing to do.
    let Some(folder) = std::env::var_os("TOY_FOLDER") else {
        return;
    };
    let plan = match std::env::var("TOY_PLAN").unwrap().as_str() {
        "Whole" => Plan::Whole,
        "Cancelled" => Plan::Cancelled,
        "Stuck" => Plan::Stuck,
        other => panic!("no plan {other}"),
    };
    let eager = std::env::var("TOY_EAGER").unwrap() == "true";
    let toy = Toy {
        folder: folder.into(),
        plan,
        eager,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(toy.go());
}
