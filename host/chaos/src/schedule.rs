//! A schedule: builds at once under a plan, life after life until each has ended, and then
//! a look at what they have left.
//!
//! What goes wrong goes wrong for a while only: after some lives the cloud is well, and a
//! run that can't be ended then either is a fault of ours, like one that leaves something.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use darkroom_engine::{Ask, EngineError, Status};
use darkroom_journal::RunId;
use darkroom_runtime::Runtime;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::books::{Books, executions};
use crate::clock::SimulatedClock;
use crate::life::Fate;
use crate::plan::{Mishap, Plan};
use crate::site::{End, Ground, Site, SiteError, Subject};

/// Lives in a cloud that is not well, beyond those that crash.
const ILL: usize = 4;

/// Lives in one that is well, in which every run must end.
const WELL: usize = 6;

/// Requests of a life that goes round in circles.
const MOST: u64 = 60_000;

/// Where schedules are played.
pub struct Stage {
    /// The cloud that they begin in.
    pub ground: Ground,
    /// What calls components.
    pub runtime: Arc<Runtime>,
    /// What is built.
    pub subject: Subject,
    /// The sim's plan of a cloud that is well, for `PUT /-/sim`.
    pub well: Value,
}

/// What came of a schedule.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// How each run ended.
    pub endings: Vec<Status>,
    /// Lives that ended by a crash.
    pub crashes: u64,
    /// All lives.
    pub lives: u64,
    /// Requests of all lives.
    pub requests: u64,
    /// What must not be.
    pub problem: Option<String>,
}

/// How a run ended that nothing disturbed.
#[derive(Clone, Debug)]
pub struct Calm {
    /// How.
    pub status: Status,
    /// What went wrong, if it did.
    pub error: Option<String>,
}

/// The sim's plan of a cloud in which nothing goes wrong and nothing takes long.
pub fn well() -> Value {
    json!({
        "latencies": {
            "start": 4.0, "agent": 2.0, "stop": 2.0, "reboot": 4.0, "delete": 1.0,
            "image": 8.0, "copy": 12.0, "command": 1.0,
        },
        "rules": [],
    })
}

impl Stage {
    /// Makes a cloud in which the subject has been built once, undisturbed, and says how
    /// that ended.
    ///
    /// # Errors
    /// When there can't be a simulation, or even that build could not be ended.
    pub fn make(
        subject: Subject,
        runtime: Arc<Runtime>,
        well: Value,
    ) -> Result<(Self, Calm), SiteError> {
        let accounts = subject.accounts();
        let (ground, calm) = SimulatedClock::run(Timestamp::now(), async |clock| {
            let mut site = Site::new(&clock, &runtime, &accounts).await?;
            site.admin("PUT", "/-/sim", well.clone()).await?;
            let run = site.start(&subject, 0).await?;
            let life = site.life(Fate::None);
            let end = site.live(&[run], &life, &subject.secrets).await?;
            let outcome = match end {
                End::Over(mut over) => over.pop(),
                End::Crashed => None,
            };
            let outcome = outcome
                .ok_or_else(|| SiteError::Wrong("an undisturbed build has crashed".into()))??;
            let calm = Calm {
                status: outcome.manifest.status,
                error: outcome.manifest.error.clone(),
            };
            site.clock().sleep(Duration::from_mins(10)).await;
            Ok::<_, SiteError>((site.keep().await?, calm))
        })?;
        let stage = Self {
            ground,
            runtime,
            subject,
            well,
        };
        Ok((stage, calm))
    }

    /// Plays a plan in a time of its own, on this thread.
    ///
    /// # Errors
    /// When there can't be a simulation.
    pub fn play(&self, plan: &Plan) -> Result<Played, SiteError> {
        SimulatedClock::run(self.ground.at(), async |clock| {
            let site = Site::on(&self.ground, &clock, &self.runtime).await?;
            let before = Books::read(&site).await?;
            let mut schedule = Schedule {
                stage: self,
                plan,
                site,
                open: Vec::new(),
                played: Played::default(),
            };
            schedule.set_out().await?;
            let runs = schedule.open.clone();
            schedule.live().await?;
            if schedule.played.problem.is_none() {
                schedule.played.problem = schedule.judge(&runs, &before).await?;
            }
            Ok(schedule.played)
        })
    }
}

struct Schedule<'a> {
    stage: &'a Stage,
    plan: &'a Plan,
    site: Site,
    /// The runs that have not ended.
    open: Vec<RunId>,
    played: Played,
}

impl Schedule<'_> {
    /// Puts the plan in force and begins the runs.
    async fn set_out(&mut self) -> Result<(), SiteError> {
        let mishaps = &self.plan.mishaps;
        let rules: Vec<_> = mishaps
            .iter()
            .filter_map(|mishap| match mishap {
                Mishap::Fault(rule) => Some(rule),
                _ => None,
            })
            .collect();
        let mut sim = self.stage.well.clone();
        let mut commands: Vec<Value> = Vec::new();
        let mut stock: Vec<Value> = Vec::new();
        for mishap in mishaps {
            match mishap {
                Mishap::Command(rule) => commands.push(json!(rule)),
                Mishap::SoldOut(one) => stock.push(json!(one)),
                Mishap::Slow { what, seconds } => sim["latencies"][what] = json!(seconds),
                _ => {}
            }
        }
        if let Some(Value::Array(more)) = sim.get("rules") {
            commands.extend(more.iter().cloned());
        }
        sim["rules"] = json!(commands);
        sim["stock"] = json!(stock);
        sim["seed"] = json!(self.plan.seed);
        self.site.admin("PUT", "/-/sim", sim).await?;
        let faults = json!({ "seed": self.plan.seed, "rules": rules });
        self.site.admin("PUT", "/-/faults", faults).await?;
        for number in 1..=self.plan.builds {
            let run = self.site.start(&self.stage.subject, number).await?;
            self.open.push(run);
        }
        Ok(())
    }

    /// Lives until every run has ended.
    async fn live(&mut self) -> Result<(), SiteError> {
        let mut crashes: Vec<u64> = self
            .plan
            .mishaps
            .iter()
            .filter_map(|mishap| match mishap {
                Mishap::Crash { after } => Some(*after),
                _ => None,
            })
            .rev()
            .collect();
        let ill = crashes.len() + ILL;
        let mut last = String::new();
        for number in 0..ill + WELL {
            if number == ill {
                self.recover().await?;
            }
            let fate = crashes.pop().map_or(Fate::None, Fate::At);
            match self.one_life(number, fate).await? {
                Some(problem) => last = problem,
                None => return Ok(()),
            }
            self.site.clock().sleep(Duration::from_mins(1)).await;
        }
        self.played.problem = Some(format!("a run could not be ended: {last}"));
        Ok(())
    }

    /// One life; why a run has not ended, if one has not.
    async fn one_life(&mut self, number: usize, fate: Fate) -> Result<Option<String>, SiteError> {
        let life = self.site.life(fate);
        life.limit(MOST);
        for mishap in self.plan.mishaps.iter().filter(|_| number == 0) {
            match mishap {
                Mishap::Expired { after, requests } => life.expire(*after, *requests),
                Mishap::Jump { after, seconds } => {
                    let clock = self.site.clock().clone();
                    let time = Duration::from_secs(*seconds);
                    life.at(*after, Box::new(move || clock.jump(time)));
                }
                _ => {}
            }
        }
        let runs = self.open.clone();
        let ask: Ask = Arc::clone(&self.stage.subject.secrets);
        let end = self.site.live(&runs, &life, &ask).await?;
        self.played.lives += 1;
        self.played.requests += life.requests();
        let over = match end {
            End::Crashed if life.requests() > MOST => {
                return Ok(Some(format!("it asked more than {MOST} times")));
            }
            End::Crashed => {
                self.played.crashes += 1;
                return Ok(Some("it crashed".into()));
            }
            End::Over(over) => over,
        };
        self.open.clear();
        let mut problem = None;
        for (run, result) in runs.into_iter().zip(over) {
            match result {
                Ok(_) | Err(EngineError::Ended { .. }) => {}
                Err(error) => {
                    problem = Some(format!("{run}: {}", darkroom_engine::chain(&error)));
                    self.open.push(run);
                }
            }
        }
        Ok(problem)
    }

    /// Nothing goes wrong any more.
    async fn recover(&self) -> Result<(), SiteError> {
        let mut sim = self.stage.well.clone();
        if sim.get("rules").is_none() {
            sim["rules"] = json!([]);
        }
        sim["stock"] = json!([]);
        self.site.admin("PUT", "/-/sim", sim).await?;
        let none = json!({ "seed": 0, "rules": [] });
        self.site.admin("PUT", "/-/faults", none).await?;
        Ok(())
    }

    /// What must not be, if something is so.
    async fn judge(&mut self, runs: &[RunId], before: &Books) -> Result<Option<String>, SiteError> {
        let engine = self.site.engine().await?;
        let mut listed = Vec::new();
        for run in runs {
            let view = engine.view(run).await?;
            self.played.endings.extend(view.status);
            let images = view.images.into_iter();
            listed.extend(images.map(|one| (one.region, one.image)));
        }
        let now = Books::read(&self.site).await?;
        let left: Vec<String> = now
            .counts
            .iter()
            .filter(|(what, _)| !what.starts_with("image ") && !what.starts_with("snapshot "))
            .filter(|(what, count)| before.counts.get(*what) != Some(count))
            .map(|(what, count)| format!("{count} {what}"))
            .collect();
        if !left.is_empty() {
            return Ok(Some(format!("left behind: {}", left.join(", "))));
        }
        let unknown: Vec<_> = now
            .images
            .iter()
            .filter(|one| !listed.contains(one) && !before.images.contains(one))
            .collect();
        if !unknown.is_empty() {
            return Ok(Some(format!("images of no run: {unknown:?}")));
        }
        // With several runs one's retention may remove what another has made.
        let missing: Vec<_> = listed
            .iter()
            .filter(|one| !now.images.contains(one))
            .collect();
        if runs.len() == 1 && !missing.is_empty() {
            return Ok(Some(format!("images that are not there: {missing:?}")));
        }
        let of = |books: &Books, kind: &str| -> usize {
            let counts = books.counts.iter();
            counts
                .filter(|(what, _)| what.starts_with(kind))
                .map(|(_, count)| count)
                .sum()
        };
        let (images, snapshots) = (of(&now, "image "), of(&now, "snapshot "));
        // Every image of a run has as many snapshots as every other.
        if images == 0 && snapshots > 0 || images > 0 && snapshots % images != 0 {
            return Ok(Some(format!("{snapshots} snapshots of {images} images")));
        }
        // A command whose instance went down is sent again: its receipt, which a simulated
        // instance has not, says that it was begun.
        let goes_down = |mishap: &Mishap| {
            matches!(mishap, Mishap::Command(_))
                || matches!(mishap, Mishap::Fault(rule) if rule.job.is_some())
        };
        if self.plan.mishaps.iter().any(goes_down) {
            return Ok(None);
        }
        let twice: BTreeMap<_, _> = executions(&self.site)
            .await?
            .into_iter()
            .filter(|(_, count)| *count > 1)
            .collect();
        Ok((!twice.is_empty()).then(|| format!("executed twice: {twice:?}")))
    }
}
