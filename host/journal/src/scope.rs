//! Where primitives are called: a named place in a run, which gives its entries their
//! keys, and the first primitive, an operation.
//!
//! A scope is used by one future at a time: two that took turns in one scope would
//! take them in another order at replay. That is checked. Branches get scopes of their
//! own from `all` and `race`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tracing::Instrument;

use crate::key::{self, UndoKey};
use crate::session::Inner;
use crate::stop::Stop;
use crate::store::record::{self, Answer, Intent, Outcome, Undo};
use crate::store::{Entry, Place, StoreError};
use crate::world::{Attempt, Class, Failure, World};

/// A named place in a run. Clones are the same place.
pub struct Scope<W: World>(Arc<Node<W>>);

struct Node<W: World> {
    session: Arc<Inner<W>>,
    stage: Arc<OpenStage>,
    parent: Option<Scope<W>>,
    path: String,
    state: Mutex<State<W::Error>>,
}

/// What all scopes of a stage share.
struct OpenStage {
    name: String,
    epoch: u32,
    /// What was recorded when the stage was opened.
    history: HashMap<String, Entry>,
}

struct State<E: std::error::Error + 'static> {
    /// How many entries were asked for.
    asked: u32,
    /// How many scopes were made of each name.
    names: HashMap<String, u32>,
    /// Whether a primitive or combinator is being awaited.
    busy: bool,
    /// Why nothing can be asked any more in this process.
    stopped: Option<Stop<E>>,
}

impl<W: World> Scope<W> {
    /// The scope of a stage.
    pub(crate) fn root(
        session: Arc<Inner<W>>,
        stage: &str,
        epoch: u32,
        history: HashMap<String, Entry>,
    ) -> Self {
        let path = key::numbered(key::segment(stage), epoch);
        let stage = OpenStage {
            name: stage.into(),
            epoch,
            history,
        };
        Self::node(session, Arc::new(stage), None, path)
    }

    fn node(
        session: Arc<Inner<W>>,
        stage: Arc<OpenStage>,
        parent: Option<Self>,
        path: String,
    ) -> Self {
        let stopped = parent.as_ref().and_then(Self::stopped);
        let state = State {
            asked: 0,
            names: HashMap::new(),
            busy: false,
            stopped,
        };
        Self(Arc::new(Node {
            session,
            stage,
            parent,
            path,
            state: Mutex::new(state),
        }))
    }

    /// A scope in this one. The second of one name is `name#2`, so that loops work.
    #[must_use]
    pub fn scope(&self, name: &str) -> Self {
        let segment = key::segment(name);
        let count = {
            let mut state = self.state();
            let count = state.names.entry(segment.clone()).or_default();
            *count += 1;
            *count
        };
        let path = format!("{}/{}", self.0.path, key::numbered(segment, count));
        let session = Arc::clone(&self.0.session);
        Self::node(session, Arc::clone(&self.0.stage), Some(self.clone()), path)
    }

    /// The path that the keys of this scope's entries begin with.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Whether the next primitive called here will be answered from the journal. For
    /// telling people what is new; never for deciding what to do.
    pub fn is_replaying(&self) -> bool {
        let next = format!("{}/{}", self.0.path, self.state().asked + 1);
        self.0
            .stage
            .history
            .get(&next)
            .is_some_and(|entry| entry.outcome.is_some())
    }

    /// Whether the run is to be cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.session.arrivals.borrow().cancelled
    }

    /// Performs an operation, or returns what was recorded of it.
    ///
    /// Once begun, it is finished and recorded, even if this future is dropped.
    ///
    /// # Errors
    /// [`Stop::Failed`] when it failed for good, now or when it was recorded.
    pub async fn run(&self, operation: W::Operation) -> Result<Value, Stop<W::Error>> {
        self.settle(self.operate(operation, None).await.map(|(value, _)| value))
    }

    /// As [`Scope::run`], with the operation that undoes it: that is registered before
    /// the attempt, in the same commit. It stays pending, also when `operation` fails,
    /// until it is performed ([`Scope::undo`], [`crate::Session::unwind`]) or kept
    /// ([`Scope::keep`]).
    ///
    /// # Errors
    /// As [`Scope::run`].
    pub async fn run_undoable(
        &self,
        operation: W::Operation,
        undo: W::Operation,
    ) -> Result<(Value, UndoKey), Stop<W::Error>> {
        self.settle(self.operate(operation, Some(undo)).await)
    }

    /// Marks an undo entry as not to be performed, by whomever, and returns when that is
    /// synced. One that was performed stays performed.
    ///
    /// # Errors
    /// When there is no such entry, or the journal can't be written.
    pub async fn keep(&self, key: &UndoKey) -> Result<(), Stop<W::Error>> {
        self.keep_all(std::slice::from_ref(key)).await
    }

    /// Marks several undo entries as not to be performed, all or none of them.
    ///
    /// # Errors
    /// As [`Scope::keep`]; none is kept then.
    pub async fn keep_all(&self, keys: &[UndoKey]) -> Result<(), Stop<W::Error>> {
        let session = &self.0.session;
        self.settle(
            session
                .store
                .keep(session.run(), keys)
                .await
                .map_err(Stop::from),
        )
    }

    /// Performs an undo entry now, as an operation of this scope. A kept one is left
    /// alone.
    ///
    /// # Errors
    /// As [`Scope::run`]; after a failure the entry is pending still.
    pub async fn undo(&self, key: &UndoKey) -> Result<(), Stop<W::Error>> {
        self.settle(self.perform_undo(key).await)
    }

    async fn operate(
        &self,
        operation: W::Operation,
        undo: Option<W::Operation>,
    ) -> Result<(Value, UndoKey), Stop<W::Error>> {
        let session = &self.0.session;
        let mut what = json!({ "run": record::normal(&operation, &self.0.path)? });
        let undo = undo
            .map(|undo| record::normal(&undo, &self.0.path))
            .transpose()?;
        if let Some(undo) = &undo {
            what["undo"] = undo.clone();
        }
        let turn = self.turn(what)?;
        let undo_key = UndoKey(turn.place.key.clone());
        if let Some(answer) = turn.answer() {
            return Ok((turn.value(answer)?, undo_key));
        }
        let mut attempt = turn.attempt();
        if turn.recorded.is_none() {
            turn.place.reach("journal.asked").await;
            let mut intent = turn.intent();
            let class = session.world.class(&operation);
            intent.class = Some(class);
            if class == Class::Witness {
                intent.witness = Some(self.observe(&turn, &intent, &operation).await?);
                attempt.witness.clone_from(&intent.witness);
            }
            if class.mutates() || undo.is_some() {
                intent.epoch = Some(session.epoch.clone());
                attempt.epoch.clone_from(&intent.epoch);
                attempt.at = intent.at;
                let undo = undo.map(|undo| Undo::new(intent.at, undo));
                session
                    .store
                    .intend(&turn.place, &intent, undo.as_ref())
                    .await?;
            } else {
                session.store.intend_later(&turn.place, &intent)?;
            }
        }
        turn.place.reach("journal.intent").await;
        let value = self.fly(&turn, operation, attempt, None).await?;
        Ok((value, undo_key))
    }

    /// What there is to see before a witnessed operation. Failing for good is its outcome.
    async fn observe(
        &self,
        turn: &Turn<'_, W>,
        intent: &Intent,
        operation: &W::Operation,
    ) -> Result<Value, Stop<W::Error>> {
        let session = &self.0.session;
        match session
            .unless_cancelled(session.world.witness(operation))
            .await?
        {
            Ok(seen) => Ok(seen),
            Err(Failure::Unavailable(error)) => Err(Stop::Unavailable(error)),
            Err(Failure::Final(error)) => {
                session.store.intend_later(&turn.place, intent)?;
                let answer = failed(&error, &turn.place.key)?;
                session
                    .store
                    .conclude(&turn.place, &Outcome::new(session.clock.now(), answer))?;
                Err(Stop::Failed(error))
            }
        }
    }

    async fn perform_undo(&self, undo: &UndoKey) -> Result<(), Stop<W::Error>> {
        let session = &self.0.session;
        let turn = self.turn(json!({ "undo": undo }))?;
        if let Some(answer) = turn.answer() {
            return turn.value(answer).map(drop);
        }
        let intent = turn.recorded.is_none().then(|| turn.intent());
        turn.place.reach("journal.asked").await;
        let place_and_intent = intent.as_ref().map(|intent| (&turn.place, intent));
        let entry = session
            .store
            .undo_entry(session.run(), undo, place_and_intent)
            .await?;
        turn.place.reach("journal.intent").await;
        if entry.state == crate::store::UndoState::Kept {
            let outcome = Outcome::new(session.clock.now(), Answer::Value(Value::Null));
            session.store.conclude(&turn.place, &outcome)?;
            return Ok(());
        }
        let attempt = Attempt {
            undoes: Some(entry.undoes(session.run())),
            ..turn.attempt()
        };
        let operation = entry.operation()?;
        self.fly(&turn, operation, attempt, Some(undo.clone()))
            .await
            .map(drop)
    }

    /// Performs and records, in a task of its own, so that an effect is never had without
    /// being recorded because somebody stopped listening.
    async fn fly(
        &self,
        turn: &Turn<'_, W>,
        operation: W::Operation,
        attempt: Attempt,
        undoes: Option<UndoKey>,
    ) -> Result<Value, Stop<W::Error>> {
        let session = Arc::clone(&self.0.session);
        let place = turn.place.clone();
        let flight = session.flights.start();
        let task = async move {
            let result = session
                .perform(&place, &operation, &attempt, undoes.as_ref())
                .await;
            // The session first: who waits for the landing may want the lock.
            drop(session);
            drop(flight);
            result
        };
        match tokio::spawn(task.in_current_span()).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only the end of the runtime aborts the task.
                Err(_) => Err(StoreError::Closed.into()),
            },
        }
    }

    /// Takes the next ordinal and compares what is asked with what is recorded there.
    pub(crate) fn turn(&self, what: Value) -> Result<Turn<'_, W>, Stop<W::Error>> {
        let busy = self.busy()?;
        self.0.session.go_on()?;
        let ordinal = {
            let mut state = self.state();
            state.asked += 1;
            state.asked
        };
        let stage = &self.0.stage;
        let key = format!("{}/{ordinal}", self.0.path);
        let recorded = stage.history.get(&key);
        if let Some(entry) = recorded
            && entry.intent.what != what
        {
            return Err(Stop::Diverged {
                key,
                was: Box::new(entry.intent.what.clone()),
                is: Box::new(what),
            });
        }
        let run = self.0.session.run().clone();
        let place = Place {
            run,
            stage: stage.name.clone(),
            epoch: stage.epoch,
            key,
        };
        Ok(Turn {
            busy,
            place,
            what,
            recorded,
        })
    }

    /// Has the scope to itself until what is returned is dropped.
    pub(crate) fn busy(&self) -> Result<Busy<'_, W>, Stop<W::Error>> {
        let mut state = self.state();
        if let Some(stop) = &state.stopped {
            return Err(stop.clone());
        }
        if state.busy {
            let problem = "two futures use one scope at once; give each a scope by `all` or `race`";
            return Err(Stop::Misused {
                key: self.0.path.clone(),
                problem,
            });
        }
        state.busy = true;
        Ok(Busy(self))
    }

    /// Remembers a stop after which this scope, and those around it, must not go on.
    pub(crate) fn settle<T>(&self, result: Result<T, Stop<W::Error>>) -> Result<T, Stop<W::Error>> {
        if let Err(stop) = &result
            && stop.is_lasting()
        {
            let mut scope = Some(self);
            while let Some(Self(node)) = scope {
                node.state
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .stopped
                    .get_or_insert(stop.clone());
                scope = node.parent.as_ref();
            }
        }
        result
    }

    /// Why nothing can be asked any more, if so.
    pub(crate) fn stopped(&self) -> Option<Stop<W::Error>> {
        self.state().stopped.clone()
    }

    pub(crate) fn session(&self) -> &Inner<W> {
        &self.0.session
    }

    fn state(&self) -> MutexGuard<'_, State<W::Error>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: World> Inner<W> {
    /// Performs an operation and records what came of it.
    async fn perform(
        &self,
        place: &Place,
        operation: &W::Operation,
        attempt: &Attempt,
        undoes: Option<&UndoKey>,
    ) -> Result<Value, Stop<W::Error>> {
        place.reach("journal.attempt").await;
        let result = self.world.perform(operation, attempt).await;
        place.reach("journal.effect").await;
        let (answer, result) = match result {
            Ok(value) => (Answer::Value(value.clone()), Ok(value)),
            Err(Failure::Final(error)) => (failed(&error, &place.key)?, Err(Stop::Failed(error))),
            Err(Failure::Unavailable(error)) => return Err(Stop::Unavailable(error)),
        };
        let outcome = Outcome::new(self.clock.now(), answer);
        match undoes {
            Some(key) => self.store.conclude_undo(place, key, &outcome)?,
            None => self.store.conclude(place, &outcome)?,
        }
        place.reach("journal.outcome").await;
        result
    }
}

/// A final failure as an answer.
pub(crate) fn failed(error: &impl serde::Serialize, key: &str) -> Result<Answer, StoreError> {
    Ok(Answer::Failed(record::normal(error, key)?))
}

/// One entry's turn in its scope.
pub(crate) struct Turn<'a, W: World> {
    busy: Busy<'a, W>,
    pub(crate) place: Place,
    what: Value,
    pub(crate) recorded: Option<&'a Entry>,
}

impl<W: World> Turn<'_, W> {
    /// The recorded outcome, if there is one.
    pub(crate) fn answer(&self) -> Option<&Answer> {
        self.recorded?
            .outcome
            .as_ref()
            .map(|outcome| &outcome.result)
    }

    /// The intent of this entry, to be recorded.
    pub(crate) fn intent(&self) -> Intent {
        Intent::new(self.busy.0.session().clock.now(), self.what.clone())
    }

    /// The attempt to be made.
    fn attempt(&self) -> Attempt {
        Attempt {
            key: self.place.key.clone(),
            token: key::token(&self.place.run, &self.place.key),
            at: self.recorded.map_or_else(
                || self.busy.0.session().clock.now(),
                |entry| entry.intent.at,
            ),
            epoch: self.recorded.and_then(|entry| entry.intent.epoch.clone()),
            repeat: self.recorded.map(|entry| entry.intent.at),
            witness: self.recorded.and_then(|entry| entry.intent.witness.clone()),
            undoes: None,
        }
    }

    /// A recorded answer that is a value or a failure.
    pub(crate) fn value(&self, answer: &Answer) -> Result<Value, Stop<W::Error>> {
        match answer {
            Answer::Value(value) => Ok(value.clone()),
            Answer::Failed(error) => Err(match serde_json::from_value(error.clone()) {
                Ok(error) => Stop::Failed(error),
                Err(error) => self.unreadable(error.to_string()),
            }),
            Answer::TimedOut | Answer::Winner(_) => {
                Err(self.unreadable("its outcome is of another kind".into()))
            }
        }
    }

    /// The record of this entry makes no sense.
    pub(crate) fn unreadable<E: std::error::Error>(&self, problem: String) -> Stop<E> {
        StoreError::Record {
            subject: self.place.key.clone(),
            problem,
        }
        .into()
    }
}

/// The use of a scope by one future.
pub(crate) struct Busy<'a, W: World>(&'a Scope<W>);

impl<W: World> Drop for Busy<'_, W> {
    fn drop(&mut self) {
        self.0.state().busy = false;
    }
}

impl<W: World> Clone for Scope<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: World> std::fmt::Debug for Scope<W> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("Scope").field(&self.0.path).finish()
    }
}
