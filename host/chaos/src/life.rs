//! One life of a simulated process: what it reaches, what it asks the cloud, and where it
//! ends.
//!
//! A life ends like one that got SIGKILL. From that moment on none of its tasks gets any
//! further, at a point or at a request, and [`crate::site::Site`] goes on with a copy of
//! what it had written until then: nothing that its destructors do can be seen.

use std::collections::{HashMap, HashSet};
use std::future::pending;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use darkroom_ecs::action;
use darkroom_ecs::http::{HttpRequest, HttpResponse};
use darkroom_ecs::transport::{MemoryTransport, Transport, TransportError};
use darkroom_failpoint::within::{self, Point, Watching};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::{self, Id};

/// Where a process can end around a call that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// Before the intent is durable; where it is from an earlier life, before its attempt.
    BeforeIntent,
    /// After it and before the call.
    BeforeCall,
    /// After the effect, with the response lost.
    AfterEffect,
    /// After the response and before it is journaled.
    BeforeOutcome,
    /// After that.
    After,
}

impl Moment {
    /// All, in their order.
    pub const ALL: [Self; 5] = [
        Self::BeforeIntent,
        Self::BeforeCall,
        Self::AfterEffect,
        Self::BeforeOutcome,
        Self::After,
    ];
}

/// A call that changes something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Call {
    /// The key of the operation that makes it; empty where no operation does.
    pub place: String,
    /// Which of the operation's calls, from 0.
    pub nth: u32,
    /// The action.
    pub action: String,
    /// The region that it names, if any.
    pub region: String,
}

/// How a life ends, if not by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// By itself.
    #[default]
    None,
    /// At this moment of this call.
    Cut(Call, Moment),
    /// At this moment of its first call. These operations make calls.
    First(Moment, Arc<HashSet<String>>),
    /// When it has passed so many points and requests.
    At(u64),
}

/// What comes in the way of calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hindrance {
    /// Of which; none: of all that change something.
    pub call: Option<Call>,
    /// How often, for each call; none: always.
    pub times: Option<u32>,
    /// What happens.
    pub how: How,
}

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// This answer; nothing is done.
    Refuse {
        /// The status.
        status: u16,
        /// The error code.
        code: String,
    },
    /// It is done, and nobody is told.
    LoseResponse,
}

/// One life. Clones are the same one.
#[derive(Clone)]
pub struct Life(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    ended: Notify,
    asked: Notify,
}

#[derive(Default)]
struct State {
    fate: Fate,
    hindrances: Vec<Hindrance>,
    /// How often something came in the way of a call.
    hindered: HashMap<(usize, Call), u32>,
    /// Whether the life ends by a panic where its fate says.
    panics: bool,
    /// Whether it is only asked to end there.
    polite: bool,
    /// How many points and requests until those whose credentials have expired, how many
    /// those are.
    expired: Option<(u64, u64)>,
    /// What happens after so many points and requests.
    surprises: Vec<(u64, Surprise)>,
    /// Requests after which it ends; 0: none.
    most: u64,
    has_ended: bool,
    /// The call of the fate was answered.
    answered: bool,
    passed: u64,
    requests: u64,
    calls: Vec<Call>,
    /// How many calls each operation has made.
    counts: HashMap<String, u32>,
    /// The operation that each task attempts.
    tasks: HashMap<Option<Id>, String>,
    /// The tasks of earlier lives.
    buried: HashSet<Id>,
}

/// Something that happens to a life.
pub type Surprise = Box<dyn Fn() + Send>;

/// What becomes of a request.
enum Verdict {
    Hold,
    Answer(HttpResponse),
    Lose,
    Pass(Option<Call>),
}

impl Life {
    /// A life with this fate, after others whose tasks are `buried`.
    pub fn new(fate: Fate, buried: HashSet<Id>) -> Self {
        let state = State {
            fate,
            buried,
            ..State::default()
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            ended: Notify::new(),
            asked: Notify::new(),
        }))
    }

    /// Ends by a panic instead of at once.
    pub fn panic(&self) {
        self.state().panics = true;
    }

    /// Is asked to end, as by SIGTERM, in place of ending.
    pub fn ask_to_end(&self) {
        self.state().polite = true;
    }

    /// Completes when the life is asked to end.
    pub async fn asked(&self) {
        self.0.asked.notified().await;
    }

    /// Whether its fate has not come yet.
    pub fn awaits_its_fate(&self) -> bool {
        self.state().fate != Fate::None
    }

    /// Puts these in the way of its calls.
    pub fn hinder(&self, hindrances: Vec<Hindrance>) {
        self.state().hindrances = hindrances;
    }

    /// Lets the credentials of `count` requests have expired, after `first` of them.
    pub fn expire(&self, first: u64, count: u64) {
        self.state().expired = Some((first, first.saturating_add(count)));
    }

    /// Lets something happen after so many points and requests.
    pub fn at(&self, passed: u64, surprise: Surprise) {
        self.state().surprises.push((passed, surprise));
    }

    /// Ends it when it has sent so many requests: it goes round in circles.
    pub fn limit(&self, requests: u64) {
        self.state().most = requests;
    }

    /// Watches this thread's points for this life.
    pub fn watch(&self) -> Watching {
        let life = self.clone();
        within::watch(Rc::new(move |point| life.reached(point)))
    }

    /// Completes when the life has ended as its fate says.
    pub async fn ended(&self) {
        self.0.ended.notified().await;
    }

    /// Whether it has ended as its fate says.
    pub fn has_ended(&self) -> bool {
        self.state().has_ended
    }

    /// Whether what was recorded is to be synced before it counts as ended.
    pub fn ends_synced(&self) -> bool {
        matches!(
            self.state().fate,
            Fate::Cut(_, Moment::After) | Fate::First(Moment::After, _)
        )
    }

    /// The calls that it made, in their order.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// How many points and requests it passed.
    pub fn passed(&self) -> u64 {
        self.state().passed
    }

    /// How many requests it sent.
    pub fn requests(&self) -> u64 {
        self.state().requests
    }

    /// Its tasks and those before, for the next life. Nothing of it gets any further.
    pub fn bury(&self) -> HashSet<Id> {
        let mut state = self.state();
        state.has_ended = true;
        let tasks: Vec<Id> = state.tasks.keys().copied().flatten().collect();
        state.buried.extend(tasks);
        state.buried.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the task that is at a point is held.
    fn reached(&self, point: &Point<'_>) -> bool {
        // The cloud is another process.
        if point.name.starts_with("server.") {
            return false;
        }
        let task = task::try_id();
        let mut state = self.state();
        if state.is_gone(task) {
            return true;
        }
        if point.name == "journal.attempt" {
            state.tasks.insert(task, point.place.to_owned());
        }
        let ends = match &state.fate {
            Fate::None | Fate::At(_) => state.is_due(),
            Fate::First(moment, places) => {
                *moment == Moment::BeforeIntent
                    && matches!(point.name, "journal.asked" | "journal.intent")
                    && places.contains(point.place)
            }
            Fate::Cut(call, moment) => {
                call.place == point.place
                    && match moment {
                        Moment::BeforeIntent => {
                            matches!(point.name, "journal.asked" | "journal.intent")
                        }
                        Moment::BeforeOutcome => point.name == "journal.effect",
                        Moment::After => point.name == "journal.outcome",
                        Moment::BeforeCall | Moment::AfterEffect => false,
                    }
            }
        };
        ends && self.end(state)
    }

    /// Looks at a request that is about to be sent.
    fn before(&self, request: &HttpRequest) -> Verdict {
        let task = task::try_id();
        let mut state = self.state();
        state.requests += 1;
        if state.is_gone(task) {
            return Verdict::Hold;
        }
        let number = state.requests;
        if state.most > 0 && number > state.most {
            self.end(state);
            return Verdict::Hold;
        }
        if let Some((first, last)) = state.expired
            && (first..last).contains(&number)
        {
            return Verdict::Answer(refusal(403, "InvalidSecurityToken.Expired"));
        }
        let place = state.tasks.get(&task).cloned().unwrap_or_default();
        let asked_on = matches!(&state.fate, Fate::Cut(call, Moment::BeforeOutcome)
            if state.answered && call.place == place);
        if asked_on {
            if self.end(state) {
                return Verdict::Hold;
            }
            state = self.state();
        }
        let Some(call) = state.call(request, place) else {
            return Verdict::Pass(None);
        };
        // A session's marks are no operation's calls: not every moment is one of theirs.
        if let Fate::First(moment, _) = &state.fate
            && !call.place.is_empty()
        {
            state.fate = Fate::Cut(call.clone(), *moment);
        }
        let ends = match &state.fate {
            Fate::Cut(cut, Moment::BeforeCall) => *cut == call,
            Fate::At(_) | Fate::None => state.is_due(),
            Fate::Cut(..) | Fate::First(..) => false,
        };
        if ends {
            if self.end(state) {
                return Verdict::Hold;
            }
            state = self.state();
        }
        if let Some(How::Refuse { status, code }) = state.hindrance(&call, false) {
            return Verdict::Answer(refusal(status, &code));
        }
        Verdict::Pass(Some(call))
    }

    /// Looks at a call that was answered: holds it, loses the answer, or neither.
    fn after(&self, call: Call) -> Verdict {
        let mut state = self.state();
        if state.is_gone(task::try_id()) {
            return Verdict::Hold;
        }
        let lost = state.hindrance(&call, true).is_some();
        if !lost {
            *state.counts.entry(call.place.clone()).or_default() += 1;
            state.calls.push(call.clone());
        }
        let ends = match &state.fate {
            Fate::Cut(cut, moment) if *cut == call => {
                let ends = *moment == Moment::AfterEffect;
                state.answered = true;
                ends
            }
            Fate::At(_) | Fate::None => state.is_due(),
            Fate::Cut(..) | Fate::First(..) => false,
        };
        if ends && self.end(state) {
            return Verdict::Hold;
        }
        if lost {
            return Verdict::Lose;
        }
        Verdict::Pass(Some(call))
    }

    /// The end; true, for who holds the task that came to it. False where the life is only
    /// asked to end, and goes on.
    fn end(&self, mut state: MutexGuard<'_, State>) -> bool {
        if state.polite {
            state.fate = Fate::None;
            state.polite = false;
            drop(state);
            self.0.asked.notify_one();
            return false;
        }
        state.has_ended = true;
        let panics = state.panics;
        drop(state);
        self.0.ended.notify_one();
        if panics {
            // As a panic, but without its message among a test's.
            std::panic::resume_unwind(Box::new("a simulated panic"));
        }
        true
    }
}

impl State {
    /// Whether a task is one of a life that has ended.
    fn is_gone(&self, task: Option<Id>) -> bool {
        self.has_ended || task.is_some_and(|task| self.buried.contains(&task))
    }

    /// Counts what was passed.
    fn is_due(&mut self) -> bool {
        self.passed += 1;
        let passed = self.passed;
        let due = self.surprises.iter().filter(|(at, _)| *at == passed);
        due.for_each(|(_, surprise)| surprise());
        matches!(self.fate, Fate::At(last) if self.passed >= last)
    }

    /// The call that a request is; none when it only looks.
    fn call(&self, request: &HttpRequest, place: String) -> Option<Call> {
        let action = request.header("x-acs-action")?;
        let mutates = action::info(action).is_some_and(|info| info.mutating);
        mutates.then(|| Call {
            nth: self.counts.get(&place).copied().unwrap_or_default(),
            place,
            action: action.to_owned(),
            region: parameter(request, "RegionId").unwrap_or_default(),
        })
    }

    /// What comes in the way of a call, before or after it is done.
    fn hindrance(&mut self, call: &Call, after: bool) -> Option<How> {
        let fits = |one: &Hindrance| {
            (one.how == How::LoseResponse) == after
                && one.call.as_ref().is_none_or(|wanted| wanted == call)
        };
        let Self {
            hindrances,
            hindered,
            ..
        } = self;
        for (index, one) in hindrances.iter().enumerate().filter(|(_, one)| fits(one)) {
            let done = hindered.entry((index, call.clone())).or_default();
            if one.times.is_none_or(|times| *done < times) {
                *done += 1;
                return Some(one.how.clone());
            }
        }
        None
    }
}

/// A parameter of a request, in its query or its body.
fn parameter(request: &HttpRequest, name: &str) -> Option<String> {
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let pairs = request.query().split('&').chain(body.split('&'));
    let mut pairs = pairs.filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

fn refusal(status: u16, code: &str) -> HttpResponse {
    let body = json!({ "Code": code, "Message": "as a simulation wants it", "RequestId": "" });
    HttpResponse {
        status,
        headers: Vec::new(),
        body: body.to_string().into_bytes().into(),
    }
}

/// Carries the requests of a life to its cloud.
pub(crate) struct Gate {
    pub life: Life,
    pub cloud: MemoryTransport,
}

#[async_trait]
impl Transport for Gate {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let authority = request.authority.clone();
        let call = match self.life.before(&request) {
            Verdict::Hold | Verdict::Lose => return pending().await,
            Verdict::Answer(response) => return Ok(response),
            Verdict::Pass(call) => call,
        };
        let response = self.cloud.send(request).await;
        let Some(call) = call else {
            if self.life.has_ended() {
                return pending().await;
            }
            return response;
        };
        match self.life.after(call) {
            Verdict::Hold => pending().await,
            Verdict::Lose => Err(TransportError::Broken {
                authority,
                detail: "lost, as a simulation wants it".into(),
            }),
            Verdict::Answer(_) | Verdict::Pass(_) => response,
        }
    }
}
