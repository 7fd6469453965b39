//! A world that does what a test tells it, a clock that a test moves, and a journal in
//! a folder of its own.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use darkroom_journal::{
    Attempt, Class, Clock, Failure, Journal, Options, Poll, RunId, Session, Stop, World,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{Semaphore, watch};

/// An operation that returns its own name unless told otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Op {
    pub name: String,
    pub class: Class,
}

pub fn op(class: Class, name: &str) -> Op {
    Op {
        name: name.into(),
        class,
    }
}

pub fn token(name: &str) -> Op {
    op(Class::Token, name)
}

pub fn state(name: &str) -> Op {
    op(Class::State, name)
}

pub fn read(name: &str) -> Op {
    op(Class::Read, name)
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

pub type Told = Result<Value, Failure<Fault>>;
pub type Polled = Result<Poll, Failure<Fault>>;

pub fn broken(text: &str) -> Told {
    Err(Failure::Final(Fault(text.into())))
}

pub fn away(text: &str) -> Told {
    Err(Failure::Unavailable(Fault(text.into())))
}

type Hook = Box<dyn Fn(&Op) + Send + Sync>;

/// The world. It remembers what was done and how often it was asked.
#[derive(Default)]
pub struct Script {
    done: Mutex<Vec<(Op, Attempt)>>,
    told: Mutex<HashMap<String, VecDeque<Told>>>,
    polls: Mutex<HashMap<String, VecDeque<Polled>>>,
    polled: watch::Sender<Vec<String>>,
    witnessed: Mutex<Vec<String>>,
    gates: Mutex<HashMap<String, Arc<Semaphore>>>,
    hook: Mutex<Option<Hook>>,
    count: watch::Sender<usize>,
}

impl Script {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// What the next attempts of `name` come to.
    pub fn tell(&self, name: &str, results: impl IntoIterator<Item = Told>) {
        self.told
            .lock()
            .unwrap()
            .entry(name.into())
            .or_default()
            .extend(results);
    }

    /// What the next polls of `name` come to; afterwards it is pending for a second.
    pub fn answer(&self, name: &str, polls: impl IntoIterator<Item = Polled>) {
        self.polls
            .lock()
            .unwrap()
            .entry(name.into())
            .or_default()
            .extend(polls);
    }

    /// Attempts of `name` wait, after their effect, until the gate gets a permit.
    pub fn gate(&self, name: &str) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.gates
            .lock()
            .unwrap()
            .insert(name.into(), Arc::clone(&gate));
        gate
    }

    /// Called at each attempt.
    pub fn hook(&self, hook: impl Fn(&Op) + Send + Sync + 'static) {
        *self.hook.lock().unwrap() = Some(Box::new(hook));
    }

    /// The names of what was performed.
    pub fn done(&self) -> Vec<String> {
        self.done
            .lock()
            .unwrap()
            .iter()
            .map(|(op, _)| op.name.clone())
            .collect()
    }

    pub fn attempts(&self) -> Vec<Attempt> {
        self.done
            .lock()
            .unwrap()
            .iter()
            .map(|(_, attempt)| attempt.clone())
            .collect()
    }

    pub fn polled(&self) -> Vec<String> {
        self.polled.borrow().clone()
    }

    /// Completes when `count` polls have been made.
    pub async fn asked(&self, count: usize) {
        let mut polled = self.polled.subscribe();
        polled
            .wait_for(|polled| polled.len() >= count)
            .await
            .unwrap();
    }

    pub fn witnessed(&self) -> Vec<String> {
        self.witnessed.lock().unwrap().clone()
    }

    /// Completes when `count` attempts have begun.
    pub async fn begun(&self, count: usize) {
        self.count
            .subscribe()
            .wait_for(|begun| *begun >= count)
            .await
            .unwrap();
    }
}

#[async_trait]
impl World for Script {
    type Operation = Op;
    type Condition = String;
    type Error = Fault;

    fn class(&self, operation: &Op) -> Class {
        operation.class
    }

    async fn witness(&self, operation: &Op) -> Told {
        let mut witnessed = self.witnessed.lock().unwrap();
        witnessed.push(operation.name.clone());
        Ok(Value::from(witnessed.len()))
    }

    async fn perform(&self, operation: &Op, attempt: &Attempt) -> Told {
        if let Some(hook) = &*self.hook.lock().unwrap() {
            hook(operation);
        }
        self.done
            .lock()
            .unwrap()
            .push((operation.clone(), attempt.clone()));
        self.count.send_modify(|count| *count += 1);
        let gate = self.gates.lock().unwrap().get(&operation.name).cloned();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        let told = self
            .told
            .lock()
            .unwrap()
            .get_mut(&operation.name)
            .and_then(VecDeque::pop_front);
        told.unwrap_or_else(|| Ok(operation.name.clone().into()))
    }

    async fn poll(&self, condition: &String) -> Polled {
        self.polled
            .send_modify(|polled| polled.push(condition.clone()));
        let told = self
            .polls
            .lock()
            .unwrap()
            .get_mut(condition)
            .and_then(VecDeque::pop_front);
        told.unwrap_or(Ok(Poll::Pending {
            again: Duration::from_secs(1),
        }))
    }
}

/// A clock that stands still until it is moved.
pub struct ManualClock {
    now: watch::Sender<Timestamp>,
    parked: watch::Sender<usize>,
}

struct Parked(watch::Sender<usize>);

impl Drop for Parked {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl ManualClock {
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now += by);
    }

    /// Completes when `count` futures wait for this clock.
    pub async fn parked(&self, count: usize) {
        self.parked
            .subscribe()
            .wait_for(|parked| *parked == count)
            .await
            .unwrap();
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let mut now = self.now.subscribe();
        let parked = self.parked.clone();
        async move {
            if *now.borrow() < at {
                parked.send_modify(|count| *count += 1);
                let _parked = Parked(parked);
                now.wait_for(|now| *now >= at).await.unwrap();
            }
        }
        .boxed()
    }
}

/// A journal with one run in it.
pub struct Bench {
    pub journal: Journal,
    pub run: RunId,
    pub clock: Arc<ManualClock>,
    pub path: PathBuf,
    _folder: TempDir,
}

impl Bench {
    pub async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sqlite");
        let clock = Arc::new(ManualClock {
            now: watch::Sender::new("2026-11-22T16:04:02Z".parse().unwrap()),
            parked: watch::Sender::new(0),
        });
        let journal = Journal::open_with(&path, clock.clone(), options)
            .await
            .unwrap();
        let run = RunId::new(clock.now(), [1, 2, 3, 4]);
        journal.begin(&run, Value::Null).await.unwrap();
        Self {
            journal,
            run,
            clock,
            path,
            _folder: folder,
        }
    }

    pub async fn session(&self, world: &Arc<Script>) -> Session<Script> {
        self.session_of(world, "1").await
    }

    pub async fn session_of(&self, world: &Arc<Script>, pipeline: &str) -> Session<Script> {
        let lock = self.journal.lock(&self.run).unwrap();
        self.journal
            .session(lock, Arc::clone(world), pipeline)
            .await
            .unwrap()
    }

    /// Another process's handle on the same journal.
    pub async fn other(&self) -> Journal {
        Journal::open(&self.path, self.clock.clone()).await.unwrap()
    }
}

/// Ends a stage's body so that the stage stays open.
pub fn leave<T>() -> Result<T, Stop<Fault>> {
    Err(Stop::Failed(Fault("left open".into())))
}

/// The text of a stop that was left so or otherwise.
pub fn text<T: std::fmt::Debug>(result: Result<T, Stop<Fault>>) -> String {
    result.unwrap_err().to_string()
}
