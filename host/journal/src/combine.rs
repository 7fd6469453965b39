//! The combinators: branches that run side by side, in scopes of their own.
//!
//! Branches run in the task that awaits them: nothing is spawned but operations in
//! flight, so that dropping a race's loser stops it at its next `await`.

use std::future::Future;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all, select_all};
use serde_json::json;

use crate::scope::Scope;
use crate::stop::Stop;
use crate::store::record::{Answer, Outcome};
use crate::world::World;

type Body<'a, W, T> =
    Box<dyn FnOnce(Scope<W>) -> BoxFuture<'a, Result<T, Stop<<W as World>::Error>>> + Send + 'a>;

/// A branch for [`Scope::all`] or [`Scope::race`]; made by [`branch`].
pub struct Branch<'a, W: World, T> {
    name: String,
    body: Body<'a, W, T>,
}

/// A branch: `body` is called with a scope of this name.
pub fn branch<'a, W, T, F, Fut>(name: impl Into<String>, body: F) -> Branch<'a, W, T>
where
    W: World,
    F: FnOnce(Scope<W>) -> Fut + Send + 'a,
    Fut: Future<Output = Result<T, Stop<W::Error>>> + Send + 'a,
{
    Branch {
        name: name.into(),
        body: Box::new(move |scope| body(scope).boxed()),
    }
}

impl<W: World> Scope<W> {
    /// Runs all branches to their ends, side by side, and returns their results in the
    /// order given. One that fails doesn't stop the others.
    pub async fn all<T>(&self, branches: Vec<Branch<'_, W, T>>) -> Vec<Result<T, Stop<W::Error>>> {
        let _busy = match self.busy() {
            Ok(busy) => busy,
            Err(stop) => {
                let stop = || self.settle(Err(stop.clone()));
                return branches.iter().map(|_| stop()).collect();
            }
        };
        let started: Vec<_> = branches
            .into_iter()
            .map(|branch| self.start(branch))
            .collect();
        join_all(started).await
    }

    /// Runs branches side by side until the first of them ends, and drops the others.
    /// The winner is journaled, so that replay takes the same branch and runs no other.
    ///
    /// A loser's operation in flight is finished and recorded; what it has to undo stays
    /// pending.
    ///
    /// # Errors
    /// What the winner stops with. A branch that is cancelled or unavailable ends the
    /// race without winning it. [`Stop::Misused`] without branches.
    pub async fn race<T>(
        &self,
        branches: Vec<Branch<'_, W, T>>,
    ) -> Result<(usize, T), Stop<W::Error>> {
        self.settle(self.race_in_turn(branches).await)
    }

    async fn race_in_turn<T>(
        &self,
        branches: Vec<Branch<'_, W, T>>,
    ) -> Result<(usize, T), Stop<W::Error>> {
        let session = self.session();
        let names: Vec<&str> = branches.iter().map(|branch| branch.name.as_str()).collect();
        let turn = self.turn(json!({ "race": names }))?;
        // All are started, which gives them their scopes, and none runs before it is polled.
        let mut started: Vec<_> = branches
            .into_iter()
            .map(|branch| self.start(branch))
            .collect();
        match turn.answer() {
            Some(Answer::Winner(winner)) if *winner < started.len() => {
                let value = started.swap_remove(*winner).await?;
                return Ok((*winner, value));
            }
            Some(_) => return Err(turn.unreadable("its outcome is no winner".into())),
            None => {}
        }
        if started.is_empty() {
            let problem = "a race needs a branch";
            return Err(Stop::Misused {
                key: turn.place.key.clone(),
                problem,
            });
        }
        if turn.recorded.is_none() {
            session.store.intend_later(&turn.place, &turn.intent())?;
        }
        let (result, winner, losers) = select_all(started).await;
        drop(losers);
        if result.as_ref().err().is_none_or(Stop::is_outcome) {
            let outcome = Outcome::new(session.clock.now(), Answer::Winner(winner));
            session.store.conclude(&turn.place, &outcome)?;
        }
        Ok((winner, result?))
    }

    fn start<'a, T>(&self, branch: Branch<'a, W, T>) -> BoxFuture<'a, Result<T, Stop<W::Error>>> {
        (branch.body)(self.scope(&branch.name))
    }
}

impl<W: World, T> std::fmt::Debug for Branch<'_, W, T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Branch")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
