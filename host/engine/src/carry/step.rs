//! A step from declaration to record: its attempts, what must hold, what it brings.

use std::time::Duration;

use darkroom_contract::{Expectations, FileContent, Step, StepKind};
use darkroom_runtime::Component;

use super::record::{AttemptRecord, StepRecord};
use super::request::{Sent, Target, secrets, slice_folder, wrapped};
use super::script::{Job, attempt};
use super::{file, log, reboot};
use crate::copied::Copied;
use crate::event::{Events, Kind};
use crate::folder::RunFolder;
use crate::trouble::Trouble;
use crate::{Scope, Stop};

/// Bytes of output up to which checks are made. Above it they would need as much memory.
const CHECKED: u64 = 64 << 20;

/// The pause before the second attempt; twice as long before each further one.
const PAUSE: Duration = Duration::from_secs(2);

/// The longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// What carries steps out: where, and what is kept of them.
#[derive(Clone)]
pub(crate) struct Hands {
    pub target: Target,
    pub folder: RunFolder,
    pub events: Events,
    /// Whether the run has secrets, which must not be in what is kept of a step.
    pub hides: bool,
}

/// What a step's files are taken from.
#[derive(Clone, Copy)]
pub(crate) enum Material<'a> {
    /// A step has what it needs.
    None,
    /// The assets of a component's package.
    Package(&'a Component),
    /// What the template copies, which is the step's one asset.
    Copied(&'a Copied),
}

/// Carries out `step` at `path`.
pub(crate) async fn carry(
    scope: &Scope,
    hands: &Hands,
    material: Material<'_>,
    step: &Step,
    path: &str,
) -> Result<StepRecord, Stop> {
    let what = step.kind.words().to_owned();
    hands.events.tell(Kind::StepStarted {
        path: path.into(),
        name: step.name.clone(),
        what: what.clone(),
    });
    let started = hands.events.now();
    let mut record = StepRecord {
        path: path.into(),
        name: step.name.clone(),
        what,
        succeeded: false,
        tolerated: step.tolerate,
        attempts: Vec::new(),
        collected: None,
    };
    if let StepKind::Reboot = step.kind {
        let attempt = reboot::reboot(scope, &hands.target, step.timeout_seconds).await?;
        record.succeeded = attempt.unmet.is_empty();
        record.attempts.push(attempt);
    } else {
        commanded(scope, hands, material, step, &mut record).await?;
    }
    hands.events.tell(Kind::StepFinished {
        path: path.into(),
        ok: record.succeeded,
        exit_code: record.last().and_then(|last| last.exit_code),
        attempts: u32::try_from(record.attempts.len()).unwrap_or(u32::MAX),
        seconds: hands.events.seconds_since(started),
    });
    Ok(record)
}

/// All steps but a reboot: one wrapped command, tried until it holds.
async fn commanded(
    scope: &Scope,
    hands: &Hands,
    material: Material<'_>,
    step: &Step,
    record: &mut StepRecord,
) -> Result<(), Stop> {
    let first = super::place(hands.target.run.as_str(), &record.path, "1");
    let sent = match content(material, step).map_err(Stop::Failed)? {
        None => None,
        Some((bytes, is_folder)) => {
            let sent = file::push(
                scope,
                &hands.folder,
                &hands.target,
                &bytes,
                &slice_folder(&first),
            )
            .await?;
            Some(Sent {
                folder: is_folder,
                ..sent
            })
        }
    };
    let path = record.path.clone();
    let text = |place: &super::wrap::Place| wrapped(step, place, sent.as_ref());
    let job = Job {
        target: &hands.target,
        folder: &hands.folder,
        path: &path,
        name: &step.name,
        timeout_seconds: step.timeout_seconds,
        hides: hands.hides,
        secrets: secrets(step),
        wrapped: &text,
    };
    let mut pause = PAUSE;
    for number in 1..=step.attempts {
        let mut made = attempt(scope, &job, number).await?;
        if let Some(last) = made.last_mut() {
            judge(last, step, &hands.folder)?;
        }
        record.succeeded = made.last().is_some_and(|last| last.unmet.is_empty());
        record.attempts.append(&mut made);
        if record.succeeded || number == step.attempts {
            break;
        }
        scope.sleep(pause).await?;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    if let (StepKind::Collect { path: remote, .. }, true) = (&step.kind, record.succeeded) {
        let to = format!("collected/{}", record.path);
        // Among the receipts, which go: beside the file it would get into the image.
        let packed = format!("{}/collected.gz", first.folder());
        let keeper = log::Keeper {
            target: &hands.target,
            folder: &hands.folder,
            hides: hands.hides,
        };
        log::bring(scope, keeper, remote, &packed, &to, None).await?;
        record.collected = Some(to);
    }
    Ok(())
}

/// Says in the record what did not hold.
fn judge(record: &mut AttemptRecord, step: &Step, folder: &RunFolder) -> Result<(), Stop> {
    if !record.unmet.is_empty() {
        return Ok(());
    }
    if record.exit_code.is_none() {
        record.unmet.push(record.ended.clone());
        return Ok(());
    }
    let is_script = matches!(step.kind, StepKind::Shell { .. });
    let only_zero = Expectations::default();
    let expectations = if is_script {
        &step.expectations
    } else {
        &only_zero
    };
    if expectations.look_at_output() && record.size > CHECKED {
        return Err(Stop::Failed(Trouble::State {
            subject: format!("the step \"{}\"", step.name),
            problem: format!(
                "its output of {} bytes is more than the {CHECKED} that can be checked",
                record.size
            ),
            hint: Some("send less to standard output, or check in the script itself".into()),
        }));
    }
    let output = if expectations.look_at_output() {
        folder
            .read(&record.log)
            .map_err(|error| Stop::Failed(Trouble::file("read", &record.log, &error)))?
    } else {
        Vec::new()
    };
    let said = if is_script {
        None
    } else {
        last_line(record, folder)
    };
    record.unmet = expectations
        .unmet(record.exit_code, &output)
        .iter()
        .map(|unmet| said.clone().unwrap_or_else(|| unmet.to_string()))
        .collect();
    Ok(())
}

/// The scripts that the host writes itself say why they failed in their last line.
fn last_line(record: &AttemptRecord, folder: &RunFolder) -> Option<String> {
    let tail = folder.tail(&record.log, 1000).unwrap_or_default();
    let text = String::from_utf8_lossy(&tail);
    text.trim().lines().next_back().map(ToOwned::to_owned)
}

/// The bytes that a `write` step sends, and whether they are the archive of a folder. A
/// text with secrets in it goes another way, see [`secrets`].
pub(crate) fn content(
    material: Material<'_>,
    step: &Step,
) -> Result<Option<(Vec<u8>, bool)>, Trouble> {
    let StepKind::Write { content, .. } = &step.kind else {
        return Ok(None);
    };
    Ok(Some(match content {
        FileContent::Text(_) if secrets(step).is_some() => return Ok(None),
        FileContent::Text(text) => (text.clone().into_bytes(), false),
        FileContent::Bytes(bytes) => (bytes.clone(), false),
        FileContent::Asset(name) => asset(material, name)?,
    }))
}

/// An asset by its name: a file as it is, a folder as an archive.
fn asset(material: Material<'_>, name: &str) -> Result<(Vec<u8>, bool), Trouble> {
    let component = match material {
        Material::Package(component) => component,
        Material::Copied(copied) => return Ok((copied.bytes.to_vec(), copied.is_folder)),
        Material::None => {
            return Err(Trouble::Component {
                component: "the template".into(),
                problem: format!("there is no package for the asset \"{name}\""),
            });
        }
    };
    match component.asset(name) {
        Some(bytes) => Ok((bytes.to_vec(), false)),
        None => Ok((archive(component, name)?, true)),
    }
}

/// A tar archive of the assets below `folder`, sorted and without times, so that it is
/// the same each time.
fn archive(component: &Component, folder: &str) -> Result<Vec<u8>, Trouble> {
    let prefix = format!("{}/", folder.trim_end_matches('/'));
    let mut names: Vec<String> = component
        .asset_names()
        .iter()
        .filter(|name| name.starts_with(&prefix))
        .cloned()
        .collect();
    names.sort();
    if names.is_empty() {
        return Err(Trouble::Component {
            component: component.origin().to_owned(),
            problem: format!("it has no asset \"{folder}\""),
        });
    }
    let mut tar = tar::Builder::new(Vec::new());
    for name in names {
        let bytes = component.asset(&name).unwrap_or_default();
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        let inside = name.strip_prefix(&prefix).unwrap_or(&name);
        tar.append_data(&mut header, inside, bytes)
            .map_err(|error| Trouble::file("pack", &name, &error))?;
    }
    tar.into_inner()
        .map_err(|error| Trouble::file("pack", folder, &error))
}
