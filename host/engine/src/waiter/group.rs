//! One question about many things: asked by whoever's moment comes first, for all whose
//! moment has come.
//!
//! The turn is a mutex, so that there is no leader to be elected or replaced: who gets it
//! and finds no answer asks, and who is dropped meanwhile gives it up. An answer counts
//! only for those who wanted one from before it was asked for.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use darkroom_journal::{Clock, Failure};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

use crate::trouble::Trouble;

/// How long an answer is kept for somebody who may have gone away, and how long nobody is
/// asked for together with others after such a question was refused.
const KEPT: SignedDuration = SignedDuration::from_mins(1);

type Answer<V> = Result<Option<V>, Failure<Trouble>>;

/// Answers about many things at once; what is absent isn't there.
pub(crate) type Answers<K, V> = Result<BTreeMap<K, V>, Failure<Trouble>>;

/// A question about things named `K`, which is answered with a `V` each.
pub(crate) struct Group<K, V> {
    /// How many one call is about.
    size: usize,
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    /// What somebody waits for now: how many do, and from when on an answer counts for all
    /// of them.
    asked: BTreeMap<K, (u32, Timestamp)>,
    /// What somebody will look at, and when.
    due: BTreeMap<K, Timestamp>,
    /// What was answered, and when it had been asked for.
    answers: BTreeMap<K, (Timestamp, Answer<V>)>,
    /// Until then everything is asked for alone: one of many was refused.
    alone_until: Option<Timestamp>,
    /// When what is no longer needed was last forgotten.
    swept: Timestamp,
}

impl<K: Ord + Clone, V: Clone> Group<K, V> {
    /// A group whose calls are about `size` things at most.
    pub(crate) fn new(size: usize) -> Self {
        Self {
            size,
            turn: tokio::sync::Mutex::default(),
            state: Mutex::new(State {
                asked: BTreeMap::new(),
                due: BTreeMap::new(),
                answers: BTreeMap::new(),
                alone_until: None,
                swept: Timestamp::UNIX_EPOCH,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that something will be looked at.
    pub(crate) fn expect(&self, key: K, due: Timestamp) {
        self.state().due.insert(key, due);
    }

    /// Forgets that something will be looked at.
    pub(crate) fn forget(&self, key: &K) {
        self.state().due.remove(key);
    }

    /// How many are waited for: asked for now, or to be looked at.
    pub(crate) fn waiting(&self, now: Timestamp) -> usize {
        let mut state = self.state();
        // Whoever has not come for a minute won't. Each of many asks this: all of them are
        // gone through only now and then.
        if now.duration_since(state.swept) >= KEPT {
            state.swept = now;
            state.due.retain(|_, due| now.duration_since(*due) < KEPT);
            state
                .answers
                .retain(|_, (at, _)| now.duration_since(*at) < KEPT);
        }
        state.due.len().max(state.asked.len())
    }

    /// What the cloud says of something, as of `since` or later. `admit` waits until a call
    /// may be made, `ask` makes it.
    ///
    /// # Errors
    /// As of `ask`.
    pub(crate) async fn look<'a>(
        &'a self,
        key: &K,
        since: Timestamp,
        clock: &dyn Clock,
        admit: impl Fn() -> BoxFuture<'a, ()> + Send,
        ask: impl Fn(Vec<K>) -> BoxFuture<'a, Answers<K, V>> + Send,
    ) -> Answer<V> {
        let _asking = Asking::begin(self, key, since);
        let _turn = self.turn.lock().await;
        if let Some(answer) = self.answered(key, since) {
            return answer;
        }
        admit().await;
        // Those too who came while it was waited.
        let now = clock.now();
        let keys = self.state().batch(key, now, self.size);
        let several = keys.len() > 1;
        let mut answers = ask(keys.clone()).await;
        if several && matches!(answers, Err(Failure::Final(_))) {
            // One of them may be to blame: the others must not fail with it.
            self.state().alone_until = now.checked_add(KEPT).ok();
            admit().await;
            answers = ask(vec![key.clone()]).await;
            self.state().answer(vec![key.clone()], now, &answers);
        } else {
            self.state().answer(keys, now, &answers);
        }
        self.answered(key, Timestamp::MIN).unwrap_or(Ok(None))
    }

    /// What was answered of something, if that was asked for at `since` or later.
    pub(crate) fn lately(&self, key: &K, since: Timestamp) -> Option<V> {
        self.answered(key, since)?.ok().flatten()
    }

    fn answered(&self, key: &K, since: Timestamp) -> Option<Answer<V>> {
        let state = self.state();
        let (at, answer) = state.answers.get(key)?;
        (*at >= since).then(|| answer.clone())
    }
}

impl<K: Ord + Clone, V: Clone> State<K, V> {
    /// What is asked for together: the first, who else waits, and whose moment has come.
    fn batch(&self, first: &K, now: Timestamp, size: usize) -> Vec<K> {
        let alone = self.alone_until.is_some_and(|until| now < until);
        // Who has his answer and has not come for it yet is not asked for again: he would
        // be in the place of another.
        let asked = self.asked.iter().filter(|(key, (_, since))| {
            let answered = self.answers.get(key);
            answered.is_none_or(|(at, _)| at < since)
        });
        let due = self.due.iter().filter(|(_, due)| **due <= now);
        let others = asked.map(|(key, _)| key).chain(due.map(|(key, _)| key));
        let mut keys = vec![first.clone()];
        let mut seen = std::collections::BTreeSet::from([first]);
        for key in others {
            if alone || keys.len() >= size {
                break;
            }
            if seen.insert(key) {
                keys.push(key.clone());
            }
        }
        keys
    }

    fn answer(&mut self, keys: Vec<K>, at: Timestamp, answers: &Answers<K, V>) {
        for key in keys {
            self.due.remove(&key);
            let answer = match answers {
                Ok(found) => Ok(found.get(&key).cloned()),
                Err(failure) => Err(failure.clone()),
            };
            self.answers.insert(key, (at, answer));
        }
    }
}

/// Somebody waits, until this is dropped.
struct Asking<'a, K: Ord + Clone, V: Clone> {
    group: &'a Group<K, V>,
    key: K,
}

impl<'a, K: Ord + Clone, V: Clone> Asking<'a, K, V> {
    fn begin(group: &'a Group<K, V>, key: &K, since: Timestamp) -> Self {
        let mut state = group.state();
        let (count, latest) = state.asked.entry(key.clone()).or_insert((0, since));
        *count += 1;
        *latest = since.max(*latest);
        drop(state);
        Self {
            group,
            key: key.clone(),
        }
    }
}

impl<K: Ord + Clone, V: Clone> Drop for Asking<'_, K, V> {
    fn drop(&mut self) {
        let mut state = self.group.state();
        if let Some((count, _)) = state.asked.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                state.asked.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt;
    use futures::future::join_all;

    use super::*;

    /// A moment that doesn't pass.
    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn sleep_until(&self, _: Timestamp) -> BoxFuture<'static, ()> {
            futures::future::ready(()).boxed()
        }
    }

    /// A group whose cloud answers each number with its double, takes its time, refuses
    /// 13, and is gone while there is `broken`.
    struct Scene {
        group: Group<u32, u32>,
        calls: Mutex<Vec<Vec<u32>>>,
        broken: bool,
    }

    impl Scene {
        fn new(size: usize, broken: bool) -> Arc<Self> {
            Arc::new(Self {
                group: Group::new(size),
                calls: Mutex::default(),
                broken,
            })
        }

        async fn look(&self, key: u32) -> Answer<u32> {
            let ask = |keys: Vec<u32>| {
                async move {
                    self.calls.lock().unwrap().push(keys.clone());
                    tokio::task::yield_now().await;
                    let trouble = Trouble::Internal {
                        subject: "13".into(),
                        problem: "unlucky".into(),
                    };
                    if self.broken {
                        return Err(Failure::Unavailable(trouble));
                    }
                    if keys.contains(&13) {
                        return Err(Failure::Final(trouble));
                    }
                    Ok(keys.into_iter().map(|key| (key, 2 * key)).collect())
                }
                .boxed()
            };
            let free = || futures::future::ready(()).boxed();
            self.group.look(&key, Still.now(), &Still, free, ask).await
        }

        fn calls(&self) -> Vec<usize> {
            let calls = self.calls.lock().unwrap();
            calls.iter().map(Vec::len).collect()
        }
    }

    #[tokio::test]
    async fn many_are_asked_for_in_few_calls() {
        let scene = Scene::new(100, false);
        // In an order without order.
        let keys = || (0..250).map(|number| 100 + number * 107 % 250);
        let answers = join_all(keys().map(|key| scene.look(key))).await;
        for (key, answer) in keys().zip(answers) {
            assert_eq!(answer, Ok(Some(2 * key)));
        }
        // The first doesn't know yet that others come.
        assert_eq!(scene.calls(), [1, 100, 100, 49]);
        assert_eq!(scene.group.waiting(Still.now()), 0);
    }

    #[tokio::test]
    async fn who_comes_later_at_the_same_moment_was_asked_for_too() {
        let scene = Scene::new(100, false);
        let now = Still.now();
        for key in 0..10 {
            scene.group.expect(key, now);
        }
        scene.group.expect(10, now + SignedDuration::from_secs(1));
        for key in 0..11 {
            assert_eq!(scene.look(key).await, Ok(Some(2 * key)));
        }
        assert_eq!(scene.calls(), [10, 1]);
    }

    #[tokio::test]
    async fn who_goes_away_is_missed_by_nobody() {
        let scene = Scene::new(100, false);
        // The first asks and is dropped in the middle of it; the others wait behind it.
        let mut first = scene.look(0).boxed();
        assert!(futures::poll!(&mut first).is_pending());
        let mut rest: Vec<_> = (1..5).map(|key| scene.look(key).boxed()).collect();
        for one in &mut rest {
            assert!(futures::poll!(one).is_pending());
        }
        drop(first);
        drop(rest.remove(0));
        let answers = join_all(rest).await;
        assert_eq!(answers, [Ok(Some(4)), Ok(Some(6)), Ok(Some(8))]);
        assert_eq!(scene.group.waiting(Still.now()), 0);
    }

    #[tokio::test]
    async fn a_refusal_is_the_one_s_who_is_to_blame() {
        let scene = Scene::new(100, false);
        let answers = join_all((10..16).map(|key| scene.look(key))).await;
        for (key, answer) in (10..).zip(answers) {
            match key {
                13 => assert!(matches!(answer, Err(Failure::Final(_)))),
                _ => assert_eq!(answer, Ok(Some(2 * key))),
            }
        }
    }

    #[tokio::test]
    async fn a_cloud_that_is_away_is_not_asked_by_each() {
        let scene = Scene::new(100, true);
        let answers = join_all((0..50).map(|key| scene.look(key))).await;
        let away = |one: &Answer<u32>| matches!(one, Err(Failure::Unavailable(_)));
        assert!(answers.iter().all(away));
        assert_eq!(scene.calls(), [1, 49]);
    }
}
