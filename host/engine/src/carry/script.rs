//! One attempt of a wrapped script, through lost agents and power cuts.
//!
//! A power cut leaves a script in one of three states, and the wrapper, sent again,
//! tells which (see [`super::wrap`]): not started, ended, or interrupted. Interrupted
//! ones get a new attempt in a new receipt folder, at most [`INTERRUPTIONS`] times.

use darkroom_ecs::action::{CommandType, RunCommand};
use darkroom_journal::Waited;

use super::file;
use super::invocation::Invocation;
use super::log::{Keeper, keep, patience};
use super::record::AttemptRecord;
use super::request::{Target, command, parcel};
use super::revive::through_losses;
use super::wrap::{INTERRUPTED_CODE, Place, Wrapped};
use crate::folder::RunFolder;
use crate::operation::{Condition, Operation, SecretForm};
use crate::trouble::Trouble;
use crate::{Scope, Stop};

/// How often a script may be interrupted before its step has failed.
pub const INTERRUPTIONS: u32 = 3;

/// What one attempt is made of.
pub(super) struct Job<'a> {
    pub target: &'a Target,
    pub folder: &'a RunFolder,
    /// The step's path.
    pub path: &'a str,
    /// The step's name.
    pub name: &'a str,
    pub timeout_seconds: u32,
    /// Whether the run has secrets.
    pub hides: bool,
    /// What the script is given of them.
    pub secrets: Option<(SecretForm, String)>,
    /// The wrapped text at a place.
    pub wrapped: &'a (dyn Fn(&Place) -> Option<Wrapped> + Sync),
}

/// Makes attempt `number`; more than one record when it was interrupted.
pub(super) async fn attempt(
    scope: &Scope,
    job: &Job<'_>,
    number: u32,
) -> Result<Vec<AttemptRecord>, Stop> {
    let mut records = Vec::new();
    for interruption in 0..INTERRUPTIONS {
        let label = match interruption {
            0 => number.to_string(),
            n => format!("{number}.{}", n + 1),
        };
        let place = super::place(job.target.run.as_str(), job.path, &label);
        let scope = scope.scope(&format!("attempt {label}"));
        let invocation = until_taken(&scope, job, &place).await?;
        let interrupted = is_interrupted(&invocation, &place);
        records.push(record(&scope, job, &place, &invocation, interrupted).await?);
        if !interrupted {
            return Ok(records);
        }
    }
    if let Some(last) = records.last_mut() {
        last.unmet.push(
            "the instance went away each time it ran; a script that restarts the machine must use a reboot step instead".into(),
        );
    }
    Ok(records)
}

/// Sends the wrapped script until the agent has taken it and it has ended.
async fn until_taken(scope: &Scope, job: &Job<'_>, place: &Place) -> Result<Invocation, Stop> {
    let wrapped = (job.wrapped)(place).ok_or_else(|| {
        Stop::Failed(Trouble::Internal {
            subject: job.path.into(),
            problem: "the step has no script".into(),
        })
    })?;
    let parcel = parcel(place, &wrapped);
    let mut request = command(job.target, job.name, &parcel.command, job.timeout_seconds);
    if wrapped.is_power_shell() {
        request.r#type = CommandType::PowerShell;
    }
    let (parcel, request) = (&parcel, &request);
    through_losses(scope, job.target, "send", |scope| async move {
        if let Some((form, text)) = &job.secrets {
            send_secret(&scope, job, *form, text, place).await?;
        }
        if let Some((text, folder)) = &parcel.file {
            file::push(&scope, job.folder, job.target, text.as_bytes(), folder).await?;
        }
        let ended = send(&scope, job.target, request, job.path, job.timeout_seconds).await?;
        Ok((!ended.is_lost()).then_some(ended))
    })
    .await
}

/// Sends what the script is given of secrets. Each time anew: an attempt that began has
/// taken what there was.
async fn send_secret(
    scope: &Scope,
    job: &Job<'_>,
    form: SecretForm,
    text: &str,
    place: &Place,
) -> Result<(), Stop> {
    let kept = job.folder.keep(text.as_bytes());
    let file = kept.map_err(|error| Stop::Failed(Trouble::file("write", "files", &error)))?;
    let operation = Operation::SendSecret {
        region: job.target.region.clone(),
        instance: job.target.instance.clone(),
        file,
        form,
        folder: place.secrets(),
    };
    scope.run(operation).await?;
    darkroom_failpoint::reach("engine.secret").await;
    Ok(())
}

/// Sends a command and waits for its end.
pub(crate) async fn send(
    scope: &Scope,
    target: &Target,
    request: &RunCommand,
    step: &str,
    timeout_seconds: u32,
) -> Result<Invocation, Stop> {
    let operation = Operation::ecs(&target.region, request).map_err(Stop::Failed)?;
    let answer = crate::answer::<RunCommand>(scope.run(operation).await?)?;
    darkroom_failpoint::reach("engine.command").await;
    let condition = Condition::Invocation {
        region: target.region.clone(),
        instance: target.instance.clone(),
        invoke: answer.invoke_id,
        step: step.into(),
    };
    match scope.wait(condition, patience(timeout_seconds)).await? {
        Waited::Ready(value) => serde_json::from_value(value)
            .map_err(|error| Stop::Failed(Trouble::internal("Invocation", &error))),
        Waited::TimedOut => Err(Stop::Failed(Trouble::TooLong {
            subject: format!("the command \"{}\"", request.name.as_deref().unwrap_or("")),
            seconds: patience(timeout_seconds).as_secs(),
        })),
    }
}

fn is_interrupted(invocation: &Invocation, place: &Place) -> bool {
    invocation.exit_code == Some(INTERRUPTED_CODE)
        && invocation.text().trim_end() == place.interrupted_mark()
}

async fn record(
    scope: &Scope,
    job: &Job<'_>,
    place: &Place,
    invocation: &Invocation,
    interrupted: bool,
) -> Result<AttemptRecord, Stop> {
    let to = format!("logs/{}/{}.log", job.path, place.attempt);
    let log = format!("{}/log", place.folder());
    let keeper = Keeper {
        target: job.target,
        folder: job.folder,
        hides: job.hides,
    };
    let measured = keep(scope, keeper, invocation, &log, &to).await?;
    Ok(AttemptRecord {
        attempt: place.attempt.clone(),
        ended: if interrupted {
            "interrupted".into()
        } else {
            invocation.words()
        },
        interrupted,
        exit_code: invocation.exit_code.filter(|_| !interrupted),
        size: measured.size,
        sha256: measured.sha256,
        log: to,
        started: invocation.started.clone(),
        finished: invocation.finished.clone(),
        unmet: Vec::new(),
    })
}
