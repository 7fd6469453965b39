//! A role is called again and again with scripted answers, as an engine does it.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use darkroom_contract::{Ended, Ending, History, Role, StepResult};
use darkroom_runtime::{Call, CallError, Component, Config, Limits, Runtime};

use crate::golden::{Answer, Scenario, object};

/// Compiled code is kept from run to run, as on a machine that has built before.
pub(crate) fn config() -> Config {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cwasm");
    Config {
        cwasm_cache: Some(folder),
        ..Config::default()
    }
}

/// The one runtime of this program, with the default limits.
pub(crate) fn runtime() -> &'static Runtime {
    static ONE: OnceLock<Runtime> = OnceLock::new();
    ONE.get_or_init(|| Runtime::new(config()).unwrap())
}

/// One whose patience soon ends.
pub(crate) fn impatient() -> Runtime {
    Runtime::new(Config {
        limits: Limits {
            wall_time: Duration::from_secs(1),
            ..Limits::default()
        },
        ..config()
    })
    .unwrap()
}

/// A role that was played to its end.
pub(crate) struct Played {
    /// The first call.
    pub(crate) first: Ended,
    /// The last one.
    pub(crate) last: Ended,
    /// What each call took.
    pub(crate) took: Vec<Duration>,
}

fn role(name: &str) -> Role {
    Role::ALL
        .into_iter()
        .find(|role| role.name() == name)
        .unwrap()
}

fn result(answer: &Answer) -> StepResult {
    StepResult {
        succeeded: answer.exit_code == 0,
        exit_code: answer.exit_code,
        output_tail: answer.output.clone(),
        size: answer.output.len() as u64,
        content: Some(Arc::new(answer.output.clone().into_bytes())),
    }
}

/// Plays a scenario.
///
/// # Errors
/// What the call ended with that failed.
pub(crate) async fn play(
    runtime: &Runtime,
    component: &Component,
    scenario: &Scenario,
) -> Result<Played, CallError> {
    let inputs = component
        .description()
        .inputs(&object(&scenario.arguments))
        .unwrap();
    let (mut results, mut previous, mut first) = (Vec::new(), None, None);
    let mut took = Vec::new();
    loop {
        let call = Call {
            role: role(&scenario.role),
            inputs: inputs.clone(),
            machine: scenario.machine.clone(),
            history: Arc::new(History {
                results: results.clone(),
            }),
            previous: previous.take(),
        };
        let begun = Instant::now();
        let ended = runtime.call(component, call).await?;
        took.push(begun.elapsed());
        let first = first.get_or_insert_with(|| ended.clone());
        if matches!(ended.ending, Ending::Returned(_)) {
            return Ok(Played {
                first: first.clone(),
                last: ended,
                took,
            });
        }
        for step in &ended.steps[results.len()..] {
            let answer = scenario.answers.get(&step.name).cloned();
            results.push(result(&answer.unwrap_or_default()));
        }
        previous = Some(ended.transcript);
    }
}
