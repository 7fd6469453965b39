//! One run of a role in a unit test: the host's half of the contract, as far as a test
//! needs it.
//!
//! How far the machine is, is a matter of position: the first `done` steps have been
//! carried out. A question about a later one ends the call; the steps that it had
//! declared are carried out, and the role is called again.
//!
//! ```text
//! call --question without an answer--> steps carried out --> call again
//!   \--returned--> remaining steps carried out --> Run
//! ```

use super::{Answer, Declared, StepKind};
use crate::Json;
use crate::description::{Kind, Parameter};

/// Why a call ended before its role returned.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A question has no answer yet.
    Question,
    /// The component broke a rule of the contract; the host would end it with this.
    Broken(String),
}

type Answered<T> = Result<T, Stop>;

/// What is known of the machine.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) family: String,
    pub(crate) distribution: String,
    pub(crate) release: String,
    pub(crate) architecture: String,
    pub(crate) root: String,
}

/// The role that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoleKind {
    Builder,
    Tester,
    Repairer,
}

/// What a tester found out about one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a test case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Passed,
    /// Not as it should be, and why.
    Failed(String),
    /// Not applicable, and why.
    Skipped(String),
}

/// What a repairer found out about one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// It was wrong and has been put right: item, message.
    Repaired(String, String),
    /// It is wrong and stays so: item, risk, message.
    Unrepaired(String, String, String),
    /// It is in order.
    Intact(String),
}

/// What came of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What it returned; an error too where a step failed that was not tolerated.
    pub result: Result<(), String>,
    /// All steps, in order.
    pub steps: Vec<Declared>,
    /// How many of them are in the first batch, which a plan shows.
    pub planned: usize,
    /// How often the role was called.
    pub calls: usize,
    /// Its messages with their levels (`debug`, `info`, `warning`).
    pub messages: Vec<(String, String)>,
    /// What it published, the last value of each name.
    pub published: Vec<(String, Json)>,
    /// Test cases: those of steps, then those reported.
    pub cases: Vec<Case>,
    /// Items of a repairer.
    pub items: Vec<Item>,
}

impl Run {
    /// The names of all steps.
    pub fn names(&self) -> Vec<&str> {
        self.steps.iter().map(|step| &*step.name).collect()
    }

    /// The step of this name.
    pub fn step(&self, name: &str) -> &Declared {
        match self.steps.iter().find(|step| step.name == name) {
            Some(step) => step,
            None => panic!("there is no step {name:?}, only {:?}", self.names()),
        }
    }

    /// The test case of this name.
    pub fn verdict(&self, case: &str) -> &Verdict {
        match self.cases.iter().find(|one| one.name == case) {
            Some(case) => &case.verdict,
            None => panic!("there is no case {case:?}, only {:?}", self.cases),
        }
    }
}

/// The host's half of one role.
#[derive(Debug)]
pub(crate) struct Session {
    role: RoleKind,
    facts: Facts,
    parameters: Vec<Parameter>,
    arguments: Vec<(String, Json)>,
    answers: Vec<(String, Answer)>,
    /// Steps of this call.
    steps: Vec<Declared>,
    /// What came of the first steps: whether it succeeded, and the answer.
    done: Vec<(bool, Answer)>,
    /// How far this call may look: a question at or beyond it ends the call, and what
    /// stands before it can't be refined any more.
    mark: usize,
    calls: usize,
    planned: Option<usize>,
    /// All calls of this call of the role, and those of the one before.
    transcript: Vec<String>,
    previous: Vec<String>,
    run: Results,
}

/// What was reported in this call.
#[derive(Debug, Default)]
struct Results {
    messages: Vec<(String, String)>,
    published: Vec<(String, Json)>,
    cases: Vec<Case>,
    items: Vec<Item>,
}

/// Calls that a component may make: one that declares steps in an endless loop ends.
const MOST_CALLS: usize = 8192;

impl Session {
    pub(crate) fn new(
        role: RoleKind,
        facts: Facts,
        parameters: Vec<Parameter>,
        arguments: Vec<(String, Json)>,
        answers: Vec<(String, Answer)>,
    ) -> Self {
        Self {
            role,
            facts,
            parameters,
            arguments,
            answers,
            steps: Vec::new(),
            done: Vec::new(),
            mark: 0,
            calls: 0,
            planned: None,
            transcript: Vec::new(),
            previous: Vec::new(),
            run: Results::default(),
        }
    }

    /// What is to be done after a call: the finished run, or the next call's session.
    pub(crate) fn settle(
        mut self,
        outcome: Result<Result<(), String>, Stop>,
    ) -> Result<Box<Run>, Box<Self>> {
        self.calls += 1;
        if let Err(Stop::Broken(rule)) = &outcome {
            panic!("{rule}");
        }
        assert!(
            self.transcript.len() >= self.previous.len(),
            "not deterministic: it ended after {} calls, but the next one was {}",
            self.transcript.len(),
            self.previous[self.transcript.len()]
        );
        self.planned.get_or_insert(self.steps.len());
        let stopped = self.carry_out();
        match (outcome, stopped) {
            (_, Some(step)) => Ok(self.finish(Err(format!("the step {step:?} failed")))),
            (Ok(result), None) => Ok(self.finish(result)),
            (Err(_), None) => {
                self.previous = std::mem::take(&mut self.transcript);
                self.steps.clear();
                self.run = Results::default();
                self.mark = 0;
                Err(Box::new(self))
            }
        }
    }

    /// Carries out the declared steps; the name of the one that ends the role.
    fn carry_out(&mut self) -> Option<String> {
        for index in self.done.len()..self.steps.len() {
            let step = &self.steps[index];
            let answer = self.scripted(index);
            let succeeded = succeeds(step, &answer);
            self.done.push((succeeded, answer));
            if !succeeded && !step.tolerated && self.role != RoleKind::Tester {
                let name = step.name.clone();
                self.steps.truncate(index + 1);
                return Some(name);
            }
        }
        None
    }

    /// The scripted answer of a step: the n-th of its name, else the last.
    fn scripted(&self, index: usize) -> Answer {
        let name = &self.steps[index].name;
        let nth = self.steps[..index]
            .iter()
            .filter(|step| step.name == *name)
            .count();
        let mut answers = self.answers.iter().filter(|(step, _)| step == name);
        let answer = answers.clone().nth(nth).or_else(|| answers.next_back());
        answer.map_or_else(Answer::success, |(_, answer)| answer.clone())
    }

    fn finish(self, result: Result<(), String>) -> Box<Run> {
        let mut cases = Vec::new();
        if self.role == RoleKind::Tester {
            for (step, (succeeded, answer)) in self.steps.iter().zip(&self.done) {
                if !step.tolerated {
                    let output = String::from_utf8_lossy(&answer.bytes).into_owned();
                    let verdict = if *succeeded {
                        Verdict::Passed
                    } else {
                        Verdict::Failed(output)
                    };
                    cases.push(Case {
                        name: step.name.clone(),
                        verdict,
                    });
                }
            }
        }
        cases.extend(self.run.cases);
        Box::new(Run {
            result,
            planned: self.planned.unwrap_or(self.steps.len()),
            steps: self.steps,
            calls: self.calls,
            messages: self.run.messages,
            published: self.run.published,
            cases,
            items: self.run.items,
        })
    }

    /// Records a call and compares it with the one before.
    fn record(&mut self, call: &str) -> Answered<()> {
        let at = self.transcript.len();
        if at == MOST_CALLS {
            return Err(Stop::Broken(format!("more than {MOST_CALLS} calls")));
        }
        match self.previous.get(at) {
            Some(was) if *was != call => Err(Stop::Broken(format!(
                "not deterministic at call {at}: was {was}, is {call}"
            ))),
            _ => {
                self.transcript.push(call.to_owned());
                Ok(())
            }
        }
    }

    fn declare(&mut self, name: &str, kind: StepKind) -> Answered<u32> {
        self.record(&format!("{name:?} {kind:?}"))?;
        if name.is_empty() || name.chars().count() > 100 {
            return Err(Stop::Broken(format!(
                "the name {name:?} has not 1 to 100 characters"
            )));
        }
        self.steps.push(Declared::new(name, kind));
        u32::try_from(self.steps.len() - 1).map_err(|_| Stop::Broken("too many steps".to_owned()))
    }

    /// Refines a step; `fits` says which ones `call` is for.
    fn refine(
        &mut self,
        of: u32,
        call: &str,
        fits: fn(&Declared) -> bool,
        refine: impl FnOnce(&mut Declared),
    ) -> Answered<()> {
        self.record(call)?;
        let mark = self.mark;
        match self.steps.get_mut(of as usize) {
            None => Err(Stop::Broken(format!("{call}: there is no step {of}"))),
            Some(step) if (of as usize) < mark => Err(Stop::Broken(format!(
                "{call}: the step {:?} has been carried out",
                step.name
            ))),
            Some(step) if !fits(step) => Err(Stop::Broken(format!(
                "{call} does not fit the step {:?}",
                step.name
            ))),
            Some(step) => {
                refine(step);
                Ok(())
            }
        }
    }

    fn ask<T>(
        &mut self,
        of: u32,
        call: &str,
        answer: impl FnOnce(bool, &Answer) -> T,
    ) -> Answered<T> {
        self.record(call)?;
        let index = of as usize;
        if index >= self.steps.len() {
            return Err(Stop::Broken(format!("{call}: there is no step {of}")));
        }
        if index >= self.mark {
            self.mark = self.steps.len();
        }
        match self.done.get(index) {
            Some((succeeded, known)) => Ok(answer(*succeeded, known)),
            None => Err(Stop::Question),
        }
    }

    /// The argument of a parameter of one of these kinds.
    fn given(&mut self, call: &str, name: &str, kinds: &[Kind]) -> Answered<Option<Json>> {
        self.record(&format!("{call}({name:?})"))?;
        match self
            .parameters
            .iter()
            .find(|parameter| parameter.name == name)
        {
            None => Err(Stop::Broken(format!(
                "the description has no parameter {name:?}"
            ))),
            Some(parameter) if !kinds.contains(&parameter.kind) => Err(Stop::Broken(format!(
                "the parameter {name:?} is {:?}, so {call} is not for it",
                parameter.kind
            ))),
            Some(_) => Ok(self
                .arguments
                .iter()
                .find_map(|(argument, value)| (argument == name).then(|| value.clone()))),
        }
    }

    fn message(&mut self, level: &str, message: &str) -> Answered<()> {
        self.record(&format!("{level}({message:?})"))?;
        self.run
            .messages
            .push((level.to_owned(), message.to_owned()));
        Ok(())
    }

    fn case(&mut self, name: &str, verdict: Verdict) -> Answered<()> {
        self.record(&format!("case {name:?} {verdict:?}"))?;
        self.run.cases.push(Case {
            name: name.to_owned(),
            verdict,
        });
        Ok(())
    }

    fn item(&mut self, item: Item) -> Answered<()> {
        self.record(&format!("{item:?}"))?;
        self.run.items.push(item);
        Ok(())
    }
}

/// Whether a step with this answer has succeeded.
fn succeeds(step: &Declared, answer: &Answer) -> bool {
    let output = String::from_utf8_lossy(&answer.bytes);
    let code = if step.exit_codes.is_empty() {
        answer.exit_code == 0
    } else {
        step.exit_codes.contains(&answer.exit_code)
    };
    !answer.fails
        && code
        && step.contains.iter().all(|text| output.contains(text))
        && !step.lacks.iter().any(|text| output.contains(text))
}

fn any(_: &Declared) -> bool {
    true
}

/// The functions of the contract, under its own names.
#[rustfmt::skip]
impl Session {
    pub(crate) fn shell(&mut self, name: &str, script: &str) -> Answered<u32> {
        self.declare(name, StepKind::Shell(script.to_owned()))
    }
    pub(crate) fn powershell(&mut self, name: &str, script: &str) -> Answered<u32> {
        self.declare(name, StepKind::PowerShell(script.to_owned()))
    }
    pub(crate) fn cmd(&mut self, name: &str, script: &str) -> Answered<u32> {
        self.declare(name, StepKind::Cmd(script.to_owned()))
    }
    pub(crate) fn write(&mut self, name: &str, path: &str, text: &str) -> Answered<u32> {
        self.write_bytes(name, path, text.as_bytes())
    }
    pub(crate) fn write_bytes(&mut self, name: &str, path: &str, bytes: &[u8]) -> Answered<u32> {
        absolute(path)?;
        self.declare(name, StepKind::Write { path: path.to_owned(), bytes: bytes.to_vec() })
    }
    pub(crate) fn write_asset(&mut self, name: &str, path: &str, asset: &str) -> Answered<u32> {
        absolute(path)?;
        self.declare(name, StepKind::WriteAsset { path: path.to_owned(), asset: asset.to_owned() })
    }
    pub(crate) fn download(&mut self, name: &str, path: &str, address: &str, sha256: &str) -> Answered<u32> {
        absolute(path)?;
        self.declare(name, StepKind::Download { path: path.to_owned(), address: address.to_owned(), sha256: sha256.to_owned() })
    }
    pub(crate) fn collect(&mut self, name: &str, path: &str, limit: u64) -> Answered<u32> {
        absolute(path)?;
        self.declare(name, StepKind::Collect { path: path.to_owned(), limit })
    }
    pub(crate) fn reboot(&mut self, name: &str) -> Answered<u32> {
        self.declare(name, StepKind::Reboot)
    }

    pub(crate) fn run_as(&mut self, of: u32, user: &str) -> Answered<()> {
        self.refine(of, &format!("run-as({of}, {user:?})"), Declared::is_script, |step| step.user = Some(user.to_owned()))
    }
    pub(crate) fn directory(&mut self, of: u32, path: &str) -> Answered<()> {
        absolute(path)?;
        self.refine(of, &format!("directory({of}, {path:?})"), Declared::is_script, |step| step.directory = Some(path.to_owned()))
    }
    pub(crate) fn argument(&mut self, of: u32, value: &str) -> Answered<()> {
        let call = &format!("argument({of}, {value:?})");
        self.refine(of, call, Declared::takes_arguments, |step| step.arguments.push(value.to_owned()))
    }
    pub(crate) fn environment(&mut self, of: u32, name: &str, value: &str) -> Answered<()> {
        let call = &format!("environment({of}, {name:?}, {value:?})");
        self.refine(of, call, Declared::is_script, |step| step.environment.push((name.to_owned(), value.to_owned())))
    }
    pub(crate) fn timeout(&mut self, of: u32, seconds: u32) -> Answered<()> {
        between("timeout", seconds, 10, 86400)?;
        self.refine(of, &format!("timeout({of}, {seconds})"), any, |step| step.timeout = Some(seconds))
    }
    pub(crate) fn attempts(&mut self, of: u32, count: u32) -> Answered<()> {
        between("attempts", count, 1, 10)?;
        self.refine(of, &format!("attempts({of}, {count})"), |step| step.kind != StepKind::Reboot, |step| step.attempts = Some(count))
    }
    pub(crate) fn mode(&mut self, of: u32, bits: u32) -> Answered<()> {
        between("mode", bits, 0, 0o7777)?;
        self.refine(of, &format!("mode({of}, {bits:o})"), Declared::is_file, |step| step.mode = Some(bits))
    }
    pub(crate) fn owner(&mut self, of: u32, owner: &str) -> Answered<()> {
        self.refine(of, &format!("owner({of}, {owner:?})"), Declared::is_file, |step| step.owner = Some(owner.to_owned()))
    }
    pub(crate) fn tolerate(&mut self, of: u32) -> Answered<()> {
        self.refine(of, &format!("tolerate({of})"), any, |step| step.tolerated = true)
    }
    pub(crate) fn expect_exit_codes(&mut self, of: u32, codes: &[i32]) -> Answered<()> {
        self.refine(of, &format!("expect-exit-codes({of}, {codes:?})"), Declared::is_script, |step| step.exit_codes = codes.to_vec())
    }
    pub(crate) fn expect_output(&mut self, of: u32, text: &str) -> Answered<()> {
        self.refine(of, &format!("expect-output({of}, {text:?})"), Declared::is_script, |step| step.contains.push(text.to_owned()))
    }
    pub(crate) fn expect_no_output(&mut self, of: u32, text: &str) -> Answered<()> {
        self.refine(of, &format!("expect-no-output({of}, {text:?})"), Declared::is_script, |step| step.lacks.push(text.to_owned()))
    }
    pub(crate) fn expect_match(&mut self, of: u32, pattern: &str) -> Answered<()> {
        self.refine(of, &format!("expect-match({of}, {pattern:?})"), Declared::is_script, |step| step.matches.push(pattern.to_owned()))
    }

    pub(crate) fn succeeded(&mut self, of: u32) -> Answered<bool> {
        self.ask(of, &format!("succeeded({of})"), |succeeded, _| succeeded)
    }
    pub(crate) fn exit_code(&mut self, of: u32) -> Answered<i32> {
        self.ask(of, &format!("exit-code({of})"), |_, answer| answer.exit_code)
    }
    pub(crate) fn output(&mut self, of: u32) -> Answered<String> {
        self.ask(of, &format!("output({of})"), |_, answer| {
            let tail = answer.bytes.len().saturating_sub(16 * 1024);
            let text = String::from_utf8_lossy(&answer.bytes[tail..]);
            text.trim_end_matches(['\r', '\n']).to_owned()
        })
    }
    pub(crate) fn size(&mut self, of: u32) -> Answered<u64> {
        self.ask(of, &format!("size({of})"), |_, answer| answer.bytes.len() as u64)
    }
    pub(crate) fn read(&mut self, of: u32, offset: u64, length: u32) -> Answered<Vec<u8>> {
        between("length", length, 0, 1024 * 1024)?;
        self.ask(of, &format!("read({of}, {offset}, {length})"), |_, answer| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(answer.bytes.len());
            let end = start.saturating_add(length as usize).min(answer.bytes.len());
            answer.bytes[start..end].to_vec()
        })
    }

    pub(crate) fn json_object(&mut self) -> Answered<String> {
        self.record("json-object()")?;
        Ok(Json::Object(self.arguments.clone()).to_string())
    }
    pub(crate) fn text(&mut self, name: &str) -> Answered<Option<String>> {
        let value = self.given("text", name, &[Kind::Text])?;
        Ok(value.and_then(|value| value.as_text().map(str::to_owned)))
    }
    pub(crate) fn integer(&mut self, name: &str) -> Answered<Option<i64>> {
        Ok(self.given("integer", name, &[Kind::Integer])?.and_then(|value| value.as_integer()))
    }
    pub(crate) fn number(&mut self, name: &str) -> Answered<Option<f64>> {
        let value = self.given("number", name, &[Kind::Number, Kind::Integer])?;
        Ok(value.and_then(|value| value.to_string().parse().ok()))
    }
    pub(crate) fn flag(&mut self, name: &str) -> Answered<Option<bool>> {
        Ok(self.given("flag", name, &[Kind::Flag])?.and_then(|value| value.as_flag()))
    }
    pub(crate) fn texts(&mut self, name: &str) -> Answered<Vec<String>> {
        let value = self.given("texts", name, &[Kind::Texts])?.unwrap_or(Json::Null);
        Ok(value.as_list().iter().filter_map(|text| text.as_text().map(str::to_owned)).collect())
    }
    pub(crate) fn json_text(&mut self, name: &str) -> Answered<Option<String>> {
        let all = [Kind::Text, Kind::Integer, Kind::Number, Kind::Flag, Kind::Texts, Kind::Map, Kind::Scalars, Kind::Objects, Kind::Any];
        Ok(self.given("json-text", name, &all)?.map(|value| value.to_string()))
    }

    pub(crate) fn family(&mut self) -> Answered<String> { self.fact("family", |facts| &facts.family) }
    pub(crate) fn distribution(&mut self) -> Answered<String> { self.fact("distribution", |facts| &facts.distribution) }
    pub(crate) fn release(&mut self) -> Answered<String> { self.fact("release", |facts| &facts.release) }
    pub(crate) fn architecture(&mut self) -> Answered<String> { self.fact("architecture", |facts| &facts.architecture) }
    pub(crate) fn root(&mut self) -> Answered<String> { self.fact("root", |facts| &facts.root) }
    fn fact(&mut self, call: &str, fact: fn(&Facts) -> &String) -> Answered<String> {
        self.record(&format!("{call}()"))?;
        Ok(fact(&self.facts).clone())
    }

    pub(crate) fn debug(&mut self, message: &str) -> Answered<()> { self.message("debug", message) }
    pub(crate) fn info(&mut self, message: &str) -> Answered<()> { self.message("info", message) }
    pub(crate) fn warning(&mut self, message: &str) -> Answered<()> { self.message("warning", message) }
    pub(crate) fn publish(&mut self, name: &str, value: &str) -> Answered<()> {
        self.record(&format!("publish({name:?}, {value:?})"))?;
        let value = value.parse().map_err(|error| Stop::Broken(format!("publish({name:?}): {error}")))?;
        self.run.published.retain(|(published, _)| published != name);
        self.run.published.push((name.to_owned(), value));
        Ok(())
    }
    pub(crate) fn passed(&mut self, case: &str) -> Answered<()> { self.case(case, Verdict::Passed) }
    pub(crate) fn failed(&mut self, case: &str, message: &str) -> Answered<()> { self.case(case, Verdict::Failed(message.to_owned())) }
    pub(crate) fn skipped(&mut self, case: &str, message: &str) -> Answered<()> { self.case(case, Verdict::Skipped(message.to_owned())) }
    pub(crate) fn repaired(&mut self, item: &str, message: &str) -> Answered<()> {
        self.item(Item::Repaired(item.to_owned(), message.to_owned()))
    }
    pub(crate) fn unrepaired(&mut self, item: &str, risk: &str, message: &str) -> Answered<()> {
        self.item(Item::Unrepaired(item.to_owned(), risk.to_owned(), message.to_owned()))
    }
    pub(crate) fn intact(&mut self, item: &str) -> Answered<()> { self.item(Item::Intact(item.to_owned())) }
}

fn absolute(path: &str) -> Answered<()> {
    if path.starts_with('/') {
        Ok(())
    } else {
        Err(Stop::Broken(format!("the path {path:?} is not absolute")))
    }
}

fn between(what: &str, number: u32, least: u32, most: u32) -> Answered<()> {
    if (least..=most).contains(&number) {
        Ok(())
    } else {
        Err(Stop::Broken(format!(
            "{what} {number} is not {least} to {most}"
        )))
    }
}
