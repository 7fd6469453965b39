//! One waiter for the process: what its runs wait for in the cloud is asked for together.
//!
//! A condition is looked at through its run's [`Cloud`](crate::cloud::Cloud). When, says
//! [`policy`]: a pure function of how long it has been waited for, how long such
//! transitions took before ([`history`]), and how many wait. What is asked then is a
//! [`Group`]'s: one for each kind of question, region and account. Whoever's moment comes
//! first asks for all whose moment has come, and leaves them the answers:
//!
//! ```text
//! run A ──look(i-1)──┐ asked ┌── holds the turn, DescribeInstances [i-1, i-2, i-3]
//! run B ──look(i-2)──┤──────>│── waits for the turn, finds its answer
//! run C   due now ───┘       └── comes a moment later, finds its answer
//! ```
//! There is no task of the waiter's own. A run that is dropped while it asks gives up the
//! turn, and the next one asks; one that is dropped while it waits is missed by nobody.
//! With many waiting the moments fall on a common grid, as coarse as the account's rate of
//! polls demands, so that calls grow with time and not with the number of builds.
//!
//! Nothing here decides what an answer means, and nothing is durable: what is kept of
//! durations makes waits shorter, never right or wrong.

mod alike;
#[cfg(test)]
mod crowd;
mod group;
pub(crate) mod history;
pub(crate) mod policy;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use darkroom_ecs::action::{Image, Instance, InvocationResult};
use darkroom_ecs::id::{ImageId, InstanceId, InvokeId, RegionId};
use darkroom_journal::Clock;
use jiff::Timestamp;

use crate::cloud::Pace;
use alike::Sure;
pub(crate) use alike::Window;
pub(crate) use group::Group;
use history::History;
use policy::Bucket;

/// Instances that one `DescribeInstances` takes.
const INSTANCES: usize = 100;
/// Instances that one `DescribeCloudAssistantStatus` takes, and answers on one page.
const AGENTS: usize = 50;
/// Images of one `DescribeImages`.
const IMAGES: usize = 50;
/// Commands on one page of `DescribeInvocations`.
pub(crate) const COMMANDS: usize = 50;

/// Transitions that may be left alone at first. What a command takes depends on the
/// command.
const SLOW: [&str; 4] = ["start", "stop", "image", "gone"];

/// Shared by all runs of an engine.
pub(crate) struct Waiter {
    clock: Arc<dyn Clock>,
    accounts: Mutex<BTreeMap<String, Arc<Account>>>,
    history: Mutex<History>,
    /// Where the history is kept for the next process.
    file: PathBuf,
    polls: AtomicU64,
}

/// What is waited for as one account.
pub(crate) struct Account {
    bucket: Mutex<Option<Bucket>>,
    regions: Mutex<BTreeMap<RegionId, Arc<Place>>>,
}

/// What is waited for in one region.
pub(crate) struct Place {
    pub(crate) instances: Group<InstanceId, Instance>,
    pub(crate) agents: Group<InstanceId, bool>,
    pub(crate) images: Group<ImageId, Image>,
    pub(crate) commands: Group<(InvokeId, InstanceId), Command>,
}

/// What is known of a command without asking for it alone.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// It runs.
    Running,
    /// It was asked for alone, so that its output is there too.
    Alone(Box<InvocationResult>),
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that holds one of these can leave it half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waiter {
    /// One that keeps what it learns in `file`.
    pub(crate) fn new(clock: Arc<dyn Clock>, file: PathBuf) -> Self {
        let history = std::fs::read(&file).map(|text| History::read(&text));
        Self {
            clock,
            accounts: Mutex::default(),
            history: Mutex::new(history.unwrap_or_default()),
            file,
            polls: AtomicU64::new(0),
        }
    }

    /// How many calls have been made to look at conditions.
    pub(crate) fn polls(&self) -> u64 {
        self.polls.load(Ordering::Relaxed)
    }

    /// What is shared by those who call as `identity`.
    pub(crate) fn account(&self, identity: &str) -> Arc<Account> {
        let mut accounts = locked(&self.accounts);
        let account = accounts.entry(identity.into()).or_insert_with(|| {
            Arc::new(Account {
                bucket: Mutex::default(),
                regions: Mutex::default(),
            })
        });
        Arc::clone(account)
    }

    /// Waits until the account may make another poll, and counts it.
    pub(crate) async fn admit(&self, account: &Account, pace: &Pace) {
        loop {
            let now = self.clock.now();
            let wait = locked(&account.bucket)
                .get_or_insert_with(|| Bucket::full(now, pace))
                .take(now, pace);
            let Some(wait) = wait else {
                break;
            };
            self.clock.sleep_until(later(now, wait)).await;
        }
        self.polls.fetch_add(1, Ordering::Relaxed);
    }

    /// When something that is first waited for is looked at: at once when nobody else
    /// waits, else at the next moment of the common grid. What is sure to take its time is
    /// not looked at before.
    pub(crate) fn first(&self, account: &Account, pace: &Pace, waits: &Waits<'_>) -> Timestamp {
        let now = self.clock.now();
        if self.sure(waits).is_some() {
            return self.next(account, pace, waits, now);
        }
        policy::align(now, account.grid(now, pace))
    }

    /// When something will have happened, as far as that is sure.
    fn sure(&self, waits: &Waits<'_>) -> Option<Sure> {
        if !SLOW.contains(&waits.kind) {
            return None;
        }
        locked(&self.history).sure(&waits.name(), waits.first)
    }

    /// When something is looked at again that has been waited for since `begun`.
    pub(crate) fn next(
        &self,
        account: &Account,
        pace: &Pace,
        waits: &Waits<'_>,
        begun: Timestamp,
    ) -> Timestamp {
        let now = self.clock.now();
        let elapsed = between(begun, now);
        let sure = self.sure(waits);
        let wait = {
            let history = locked(&self.history);
            policy::next_look(&policy::View {
                elapsed,
                sure,
                spans: &history.spans(&waits.name(), sure, pace),
                waiting: waits.waiting,
                longest: waits.longest,
                pace,
            })
        };
        policy::align(later(now, wait), account.grid(now, pace))
    }

    /// Takes note of a transition that was seen `hi` after its begin and not yet `lo`
    /// after it.
    pub(crate) fn note(&self, waits: &Waits<'_>, lo: Duration, hi: Duration) {
        let mut history = locked(&self.history);
        match waits.first {
            // It says of runs what they are like, not of the cloud.
            Some(first) => {
                let later = (lo.as_secs_f64(), hi.as_secs_f64());
                history.note_again(&waits.name(), first, later);
            }
            None => history.note(&waits.name(), lo, hi),
        }
    }

    /// Keeps what was learned for the next process. That it can't be is no trouble.
    pub(crate) fn keep(&self) {
        let Some(text) = locked(&self.history).changed() else {
            return;
        };
        let part = self.file.with_extension("part");
        let kept = std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, &self.file));
        if let Err(error) = kept {
            tracing::debug!(%error, file = %self.file.display(), "waits are not kept");
        }
    }
}

/// What is waited for.
pub(crate) struct Waits<'a> {
    /// The kind of transition, such as `image`.
    pub(crate) kind: &'a str,
    /// Where.
    pub(crate) region: &'a RegionId,
    /// How many are asked for in the same calls.
    pub(crate) waiting: usize,
    /// The longest time between two looks.
    pub(crate) longest: Duration,
    /// How the run's first one went, when this is a later one.
    pub(crate) first: Option<Window>,
}

impl Waits<'_> {
    /// What it is known by.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.kind, self.region)
    }
}

impl Account {
    /// What is waited for in a region.
    pub(crate) fn place(&self, region: &RegionId) -> Arc<Place> {
        let mut regions = locked(&self.regions);
        let place = regions.entry(region.clone()).or_insert_with(|| {
            Arc::new(Place {
                instances: Group::new(INSTANCES),
                agents: Group::new(AGENTS),
                images: Group::new(IMAGES),
                // One question is about all of them.
                commands: Group::new(usize::MAX),
            })
        });
        Arc::clone(place)
    }

    /// The grid on which looks fall at present.
    fn grid(&self, now: Timestamp, pace: &Pace) -> Duration {
        let (mut waiting, mut calls) = (0, 0);
        for place in locked(&self.regions).values() {
            for (count, size) in [
                (place.instances.waiting(now), INSTANCES),
                (place.agents.waiting(now), AGENTS),
                (place.images.waiting(now), IMAGES),
                (place.commands.waiting(now), COMMANDS),
            ] {
                waiting += count;
                calls += count.div_ceil(size);
            }
        }
        // And whoever asks, who is not among them yet.
        policy::grid(waiting + 1, calls.max(1), pace)
    }
}

pub(crate) fn later(now: Timestamp, time: Duration) -> Timestamp {
    now.checked_add(time).unwrap_or(Timestamp::MAX)
}

pub(crate) fn earlier(now: Timestamp, time: Duration) -> Timestamp {
    now.checked_sub(time).unwrap_or(Timestamp::MIN)
}

/// The time from `from` to `to`, none when `to` is before.
pub(crate) fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
