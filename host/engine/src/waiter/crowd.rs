//! A thousand waits beside each other against a cloud of numbers: how often it is asked.

use std::sync::Arc;
use std::time::Duration;

use darkroom_ecs::action::{Image, Instance};
use darkroom_journal::{Clock, Failure};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use jiff::Timestamp;

use super::{Account, COMMANDS, Command, Group, Waiter, Waits, between, later};
use crate::cloud::Pace;
use crate::trouble::Trouble;

/// The runtime's time, which moves on when everybody waits.
struct Paused(tokio::time::Instant);

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        later(Timestamp::UNIX_EPOCH, self.0.elapsed())
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let then = self.0 + between(Timestamp::UNIX_EPOCH, at);
        async move { tokio::time::sleep_until(then).await }.boxed()
    }
}

struct Scene {
    clock: Arc<Paused>,
    waiter: Waiter,
    account: Arc<Account>,
    pace: Pace,
    _folder: tempfile::TempDir,
}

/// What a build waits for, in its order: the seconds that it takes at the least and how
/// much longer it may take.
const BUILD: [(&str, f64, f64); 16] = [
    ("start", 20.0, 40.0),
    ("agent", 5.0, 15.0),
    ("command", 1.0, 4.0),
    ("command", 1.0, 4.0),
    ("command", 1.0, 60.0),
    ("command", 1.0, 4.0),
    ("command", 1.0, 4.0),
    ("command", 1.0, 4.0),
    ("command", 1.0, 4.0),
    ("command", 1.0, 4.0),
    ("stop", 10.0, 20.0),
    ("image", 80.0, 200.0),
    ("start", 20.0, 40.0),
    ("agent", 5.0, 15.0),
    ("gone", 3.0, 4.0),
    ("gone", 3.0, 4.0),
];

impl Scene {
    fn new(pace: Pace) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Paused(tokio::time::Instant::now()));
        let waiter = Waiter::new(
            Arc::clone(&clock) as Arc<dyn Clock>,
            folder.path().join("waits.json"),
        );
        Self {
            account: waiter.account("somebody"),
            clock,
            waiter,
            pace,
            _folder: folder,
        }
    }

    /// Waits for something that takes so many seconds; says how late that was seen.
    async fn wait<K: Ord + Clone + Send + Sync, V: Clone + Send>(
        &self,
        group: &Group<K, V>,
        kind: &str,
        key: K,
        seconds: f64,
        answer: fn() -> V,
    ) -> f64 {
        let region = "cn-hangzhou".parse().unwrap();
        let begun = self.clock.now();
        let done = later(begun, Duration::from_secs_f64(seconds));
        let waits = || Waits {
            kind,
            region: &region,
            waiting: group.waiting(self.clock.now()),
            longest: self.pace.longest,
            first: None,
        };
        let mut due = self.waiter.first(&self.account, &self.pace, &waits());
        let mut unseen = Duration::ZERO;
        loop {
            group.expect(key.clone(), due);
            self.clock.sleep_until(due).await;
            let admit = || self.waiter.admit(&self.account, &self.pace).boxed();
            let ask = |keys: Vec<K>| {
                async move {
                    // Of commands those that run are listed, page by page.
                    for _ in 1..keys.len().div_ceil(COMMANDS).max(1) {
                        if kind == "command" {
                            self.waiter.admit(&self.account, &self.pace).await;
                        }
                    }
                    Ok::<_, Failure<Trouble>>(keys.into_iter().map(|key| (key, answer())).collect())
                }
                .boxed()
            };
            let seen = group.look(&key, due, &*self.clock, admit, ask).await;
            assert!(seen.unwrap().is_some());
            let now = self.clock.now();
            if now >= done {
                self.waiter.note(&waits(), unseen, between(begun, now));
                return between(done, now).as_secs_f64();
            }
            unseen = between(begun, now);
            due = self.waiter.next(&self.account, &self.pace, &waits(), begun);
        }
    }

    /// Waits for all that a build waits for; says how long that took and how late it was.
    async fn build(&self, number: usize) -> (f64, f64) {
        let place = self.account.place(&"cn-hangzhou".parse().unwrap());
        let begun = self.clock.now();
        let mut late = 0.0;
        for (step, (kind, least, more)) in BUILD.into_iter().enumerate() {
            // Spread evenly, in an order without order.
            let part = (number * 7919 + step * 104_729) % 1000;
            let part = f64::from(u32::try_from(part).unwrap()) / 1000.0;
            let seconds = least + more * part * part;
            let instance = format!("i-{number}").parse().unwrap();
            late += match kind {
                "agent" => {
                    let alive = || true;
                    self.wait(&place.agents, kind, instance, seconds, alive)
                        .await
                }
                "image" => {
                    let image = format!("m-{number}").parse().unwrap();
                    self.wait(&place.images, kind, image, seconds, Image::default)
                        .await
                }
                "command" => {
                    let key = (format!("t-{number}-{step}").parse().unwrap(), instance);
                    let running = || Command::Running;
                    self.wait(&place.commands, kind, key, seconds, running)
                        .await
                }
                _ => {
                    self.wait(&place.instances, kind, instance, seconds, Instance::default)
                        .await
                }
            };
        }
        (between(begun, self.clock.now()).as_secs_f64(), late)
    }

    /// So many builds at once: of how many polls each 5 seconds for each one was made, and
    /// how much longer they took for it, as a part.
    async fn crowd(count: usize) -> (f64, f64) {
        let scene = Self::new(Pace::REMOTE);
        let builds = join_all((0..count).map(|number| scene.build(number))).await;
        let seconds: f64 = builds.iter().map(|(seconds, _)| seconds).sum();
        let late: f64 = builds.iter().map(|(_, late)| late).sum();
        let polls = f64::from(u32::try_from(scene.waiter.polls()).unwrap());
        (seconds / 5.0 / polls, late / (seconds - late))
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_builds_ask_a_twentieth_as_often_as_each_by_itself() {
    let (ratio, longer) = Scene::crowd(1000).await;
    assert!(ratio >= 20.0, "1/{ratio:.1}, {longer:.2} longer");
    assert!(longer <= 0.3, "1/{ratio:.1}, {longer:.2} longer");
}

#[tokio::test(start_paused = true)]
async fn a_few_builds_share_what_they_can() {
    let (alone, longer) = Scene::crowd(1).await;
    assert!(longer <= 0.1, "1/{alone:.1}, {longer:.2} longer");
    let (ratio, longer) = Scene::crowd(40).await;
    assert!(ratio >= 1.5 * alone, "1/{ratio:.1} and 1/{alone:.1}");
    assert!(longer <= 0.2, "1/{ratio:.1}, {longer:.2} longer");
}
