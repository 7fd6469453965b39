//! Running commands in instances, and what became of them.
//!
//! A command is asynchronous: `RunCommand` answers when the driver has it. Its end is
//! looked up when somebody asks, and kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use darkroom_ecs::action::{
    CommandType, ContentEncoding, DescribeInvocationResults, DescribeInvocationResultsResponse,
    DescribeInvocations, DescribeInvocationsResponse, InstanceStatus, Invocation, InvocationPage,
    InvocationResult, InvocationResults, InvocationStatus, Invocations, InvokeInstance,
    InvokeInstances, RunCommand, RunCommandResponse, StopInvocation, StopInvocationResponse, Tag,
};
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{AccountId, InstanceId, InvokeId, RegionId};
use jiff::Timestamp;
use rusqlite::Transaction;

use super::page::{self, Paging};
use super::words::{fits, maybe_seconds, new_id, row_tags, seconds, shown_tags, tagged};
use super::{Context, Serve, Token};
use crate::driver::{CommandState, CommandStatus, Finished};
use crate::fault::Fault;
use crate::jobs::command::{States, decode, deliver};
use crate::jobs::{self, Trouble};
use crate::state::jobs::{self as job_rows, Task};
use crate::state::lookup::{self, Look};
use crate::state::rows::{self, Execution, InstanceRow, InvocationRow, Placed};

/// A command as base64, at most.
const LARGEST_CONTENT: usize = 24 * 1024;
const MOST_INSTANCES: usize = 100;
const DEFAULT_TIMEOUT: u64 = 60;
const LONGEST_TIMEOUT: u64 = 24 * 60 * 60;

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Self {
        Self::internal(&trouble)
    }
}

/// Checks that an instance can be sent something: the account's, in this region, on.
/// One that is rebooting counts: what is sent fails as "agent not running".
pub(super) fn reachable(
    tx: &Transaction<'_>,
    account: &AccountId,
    region: &RegionId,
    id: &InstanceId,
) -> Result<InstanceRow, Fault> {
    let row = rows::get::<InstanceRow>(tx, id.as_str())?
        .filter(|row| row.account == *account && row.region == *region)
        .ok_or_else(|| {
            Fault::missing(
                ErrorCode::InvalidInstanceNotFound,
                format!("The specified instance {id} does not exist."),
            )
        })?;
    let jobs = job_rows::of(tx, id.as_str())?;
    let reboots = jobs
        .iter()
        .any(|(_, job)| matches!(job.task, Task::Reboot { .. }));
    if row.status == InstanceStatus::Running || reboots {
        return Ok(row);
    }
    Err(Fault::forbidden(
        ErrorCode::InvalidInstanceNotMatch,
        format!(
            "The specified instance {id} is {}, it must be Running.",
            row.status
        ),
    ))
}

/// Checks the list of instances that something is sent to.
pub(super) fn check_list(ids: &[InstanceId], most: usize) -> Result<(), Fault> {
    if ids.is_empty() {
        return Err(Fault::missing_parameter("InstanceId.1"));
    }
    if ids.len() > most {
        return Err(Fault::forbidden(
            ErrorCode::InstanceIdsExceedLimit,
            format!("There may be at most {most} instances in one request."),
        ));
    }
    let twice = ids
        .iter()
        .enumerate()
        .any(|(at, id)| ids.iter().take(at).any(|other| other == id));
    if twice {
        return Err(Fault::invalid("InstanceId", "an instance is named twice"));
    }
    Ok(())
}

impl Serve for RunCommand {
    fn token(&self) -> Option<&str> {
        self.client_token.as_deref()
    }

    async fn serve(self, cx: &Context) -> Result<RunCommandResponse, Fault> {
        check(&self)?;
        let row = InvocationRow {
            id: new_id("t-"),
            command: new_id("c-"),
            region: self.region_id,
            account: cx.account.clone(),
            name: self.name.unwrap_or_default(),
            description: self.description.unwrap_or_default(),
            kind: self.r#type,
            content: self.command_content,
            encoding: self.content_encoding.unwrap_or(ContentEncoding::PlainText),
            timeout: self.timeout.unwrap_or(DEFAULT_TIMEOUT),
            working_dir: self.working_dir.filter(|text| !text.is_empty()),
            username: self.username.filter(|text| !text.is_empty()),
            termination: self
                .termination_mode
                .unwrap_or_else(|| "Process".to_owned()),
            created_at: cx.now,
            executions: self
                .instance_id
                .into_iter()
                .map(|instance| Execution {
                    instance,
                    delivered: false,
                    finished: None,
                })
                .collect(),
            tags: row_tags(&self.tag)?,
        };
        let response = RunCommandResponse {
            command_id: row.command.clone(),
            invoke_id: row.id.clone(),
            ..RunCommandResponse::default()
        };
        let (written, answer, token) = (row.clone(), response.clone(), cx.token.clone());
        cx.cloud
            .store
            .write(move |tx| {
                for execution in &written.executions {
                    let id = &execution.instance;
                    let mut instance = reachable(tx, &written.account, &written.region, id)?;
                    instance.invocations += 1;
                    instance.last_invoked_at = Some(written.created_at);
                    rows::put(tx, &instance)?;
                    rows::mark_running(tx, &written.id, id)?;
                }
                rows::put(tx, &written)?;
                Token::keep(token.as_ref(), tx, &answer)
            })
            .await?;
        deliver(&cx.cloud, &row).await?;
        darkroom_failpoint::reach("server.command").await;
        Ok(response)
    }
}

fn check(request: &RunCommand) -> Result<(), Fault> {
    if matches!(request.r#type, CommandType::Other(_)) {
        return Err(Fault::forbidden(
            ErrorCode::InvalidCmdTypeNotFound,
            format!("The specified Type {} is not supported.", request.r#type),
        ));
    }
    for (name, given) in [
        ("EnableParameter", request.enable_parameter == Some(true)),
        ("Parameters", request.parameters.is_some()),
        ("KeepCommand", request.keep_command == Some(true)),
        ("Frequency", request.frequency.is_some()),
        ("Launcher", request.launcher.is_some()),
        (
            "WindowsPasswordName",
            request.windows_password_name.is_some(),
        ),
        (
            "RepeatMode",
            request
                .repeat_mode
                .as_ref()
                .is_some_and(|mode| mode != "Once"),
        ),
    ] {
        if given {
            return Err(Fault::unsupported(name));
        }
    }
    check_list(&request.instance_id, MOST_INSTANCES)?;
    let encoding = request
        .content_encoding
        .clone()
        .unwrap_or(ContentEncoding::PlainText);
    let bytes = decode(&request.command_content, &encoding);
    if bytes.is_empty() {
        return Err(Fault::missing_parameter("CommandContent"));
    }
    if bytes.len().div_ceil(3) * 4 > LARGEST_CONTENT {
        return Err(Fault::forbidden(
            ErrorCode::CmdContentExceedLimit,
            "The length of the command content exceeds the upper limit: 24 KB after Base64 encoding.",
        ));
    }
    let long = |text: &Option<String>, most: usize| {
        text.as_ref()
            .is_some_and(|text| text.chars().count() > most)
    };
    let exceeded =
        |code, what: &str| Err(Fault::forbidden(code, format!("The {what} is too long.")));
    if long(&request.name, 128) {
        return exceeded(ErrorCode::CmdNameExceedLimit, "command name");
    }
    if long(&request.description, 512) {
        return exceeded(ErrorCode::CmdDescExceedLimit, "command description");
    }
    if long(&request.username, 255) {
        return exceeded(ErrorCode::UsernameExceedLimit, "user name");
    }
    if long(&request.working_dir, 200) {
        return Err(Fault::invalid(
            "WorkingDir",
            "it is longer than 200 characters",
        ));
    }
    let timeout = request.timeout.unwrap_or(DEFAULT_TIMEOUT);
    if !(1..=LONGEST_TIMEOUT).contains(&timeout) {
        return Err(Fault::invalid("Timeout", "it must be 1 to 86400 seconds"));
    }
    let modes = ["Process", "ProcessTree"];
    if request
        .termination_mode
        .as_ref()
        .is_some_and(|mode| !modes.contains(&mode.as_str()))
    {
        return Err(Fault::invalid(
            "TerminationMode",
            "it must be Process or ProcessTree",
        ));
    }
    Ok(())
}

/// A command's status in one instance.
fn status(state: &CommandState) -> InvocationStatus {
    match state {
        CommandState::Pending => InvocationStatus::Pending,
        CommandState::Running { .. } => InvocationStatus::Running,
        CommandState::Finished(finished) => match finished.status {
            CommandStatus::Success => InvocationStatus::Success,
            CommandStatus::Failed => InvocationStatus::Failed,
            CommandStatus::Timeout => InvocationStatus::Timeout,
            CommandStatus::Terminated => InvocationStatus::Terminated,
            CommandStatus::Error => InvocationStatus::Error,
        },
    }
}

/// The older word for a command's status in one instance.
fn old_status(state: &CommandState) -> &'static str {
    match state {
        CommandState::Pending | CommandState::Running { .. } => "Running",
        CommandState::Finished(finished) => match (finished.status, finished.exit_code) {
            (CommandStatus::Terminated, _) => "Stopped",
            (_, Some(_)) => "Finished",
            _ => "Failed",
        },
    }
}

/// A command's status over all its instances.
fn overall(states: &States) -> InvocationStatus {
    let all: Vec<InvocationStatus> = states.values().map(status).collect();
    let any = |wanted: &InvocationStatus| all.contains(wanted);
    for going_on in [InvocationStatus::Running, InvocationStatus::Pending] {
        if any(&going_on) {
            return going_on;
        }
    }
    let good = |status: &&InvocationStatus| **status == InvocationStatus::Success;
    let stopped = |status: &&InvocationStatus| **status == InvocationStatus::Terminated;
    let successes = all.iter().filter(good).count();
    let stops = all.iter().filter(stopped).count();
    match all.len() {
        count if count == stops => InvocationStatus::Stopped,
        count if successes > 0 && successes + stops == count => InvocationStatus::Success,
        _ if successes == 0 => InvocationStatus::Failed,
        _ => InvocationStatus::PartialFailed,
    }
}

/// The older word for what has not ended.
const RUNNING: &str = "Running";

/// The older word for a status over all instances.
fn old_overall(status: &InvocationStatus) -> String {
    match status {
        InvocationStatus::Running | InvocationStatus::Pending => RUNNING.to_owned(),
        InvocationStatus::Success => "Finished".to_owned(),
        other => other.to_string(),
    }
}

/// What answers show of a command in one instance.
#[derive(Default)]
struct Shown {
    exit_code: Option<i64>,
    output: String,
    dropped: u64,
    error_code: String,
    error_info: String,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    stopped_at: Option<Timestamp>,
}

fn shown(state: &CommandState, encoding: &ContentEncoding) -> Shown {
    match state {
        CommandState::Pending => Shown::default(),
        CommandState::Running { started_at, output } => Shown {
            output: encode(output, encoding),
            started_at: Some(*started_at),
            ..Shown::default()
        },
        CommandState::Finished(finished) => shown_end(finished, encoding),
    }
}

fn shown_end(finished: &Finished, encoding: &ContentEncoding) -> Shown {
    let stopped = finished.status == CommandStatus::Terminated;
    Shown {
        exit_code: finished.exit_code.map(i64::from),
        output: encode(&finished.output, encoding),
        dropped: finished.dropped,
        error_code: finished
            .error_code
            .map_or("", |code| code.as_str())
            .to_owned(),
        error_info: finished.error_info.clone().unwrap_or_default(),
        started_at: finished.started_at,
        finished_at: Some(finished.finished_at),
        stopped_at: stopped.then_some(finished.finished_at),
    }
}

fn encode(bytes: &[u8], encoding: &ContentEncoding) -> String {
    if encoding.as_str().eq_ignore_ascii_case("plaintext") {
        String::from_utf8_lossy(bytes).into_owned()
    } else {
        BASE64.encode(bytes)
    }
}

/// The account's commands in a region that may be those asked for, the newest first.
async fn list(
    cx: &Context,
    region: &RegionId,
    id: Option<&InvokeId>,
    tags: &[Tag],
) -> Result<Vec<Placed<InvocationRow>>, Fault> {
    let (region, account) = (region.clone(), cx.account.clone());
    let look = Look::default().ids(id).tags(tags);
    Ok(cx
        .cloud
        .store
        .read(move |tx| lookup::find(tx, &region, Some(&account), &look))
        .await?)
}

/// The same without those that are known to have ended. A process that waits for many asks
/// for these all the time.
async fn list_running(
    cx: &Context,
    region: &RegionId,
) -> Result<Vec<Placed<InvocationRow>>, Fault> {
    let (region, account) = (region.clone(), cx.account.clone());
    let found = cx
        .cloud
        .store
        .read(move |tx| rows::own_running(tx, &region, &account));
    Ok(found.await?)
}

impl Serve for DescribeInvocations {
    async fn serve(self, cx: &Context) -> Result<DescribeInvocationsResponse, Fault> {
        let mut found =
            if self.invoke_id.is_none() && self.invoke_status.as_deref() == Some(RUNNING) {
                list_running(cx, &self.region_id).await?
            } else {
                list(cx, &self.region_id, self.invoke_id.as_ref(), &self.tag).await?
            };
        found.retain(|placed| {
            let row = &placed.row;
            let here = |id: &InstanceId| row.executions.iter().any(|one| one.instance == *id);
            self.instance_id.as_ref().is_none_or(here)
                && self.command_id.as_ref().is_none_or(|id| *id == row.command)
                && self
                    .command_name
                    .as_ref()
                    .is_none_or(|name| fits(name, &row.name))
                && self
                    .command_type
                    .as_ref()
                    .is_none_or(|kind| *kind == row.kind)
                && self.repeat_mode.as_ref().is_none_or(|mode| mode == "Once")
                && tagged(&row.tags, &self.tag)
        });
        if let Some(wanted) = self.invoke_status.as_ref() {
            let mut kept = Vec::new();
            for mut placed in found {
                let status = overall(&jobs::refresh(&cx.cloud, &mut placed.row).await?);
                if status.as_str() == wanted || old_overall(&status) == *wanted {
                    kept.push(placed);
                }
            }
            found = kept;
        }
        let paging = Paging {
            number: self.page_number,
            size: self.page_size,
            max_results: self.max_results,
            next_token: self.next_token.clone(),
            least: 1,
            most: 50,
        };
        let page = page::cut(found, &paging)?;
        let mut shown = Vec::new();
        for mut row in page.rows {
            let states = jobs::refresh(&cx.cloud, &mut row).await?;
            shown.push(invocation(&self, row, &states));
        }
        Ok(DescribeInvocationsResponse {
            invocations: Invocations { invocation: shown },
            total_count: page.total,
            page_number: page.number,
            page_size: page.size,
            next_token: page.next_token,
            ..DescribeInvocationsResponse::default()
        })
    }
}

fn invocation(asked: &DescribeInvocations, row: InvocationRow, states: &States) -> Invocation {
    let encoding = asked
        .content_encoding
        .clone()
        .unwrap_or(ContentEncoding::Base64);
    let status_of_all = overall(states);
    let content = decode(&row.content, &row.encoding);
    let with_output = asked.include_output == Some(true);
    let instances = row.executions.iter().map(|execution| {
        let pending = CommandState::Pending;
        let state = states.get(&execution.instance).unwrap_or(&pending);
        let seen = shown(state, &encoding);
        InvokeInstance {
            instance_id: execution.instance.clone(),
            invocation_status: status(state),
            instance_invoke_status: old_status(state).to_owned(),
            exit_code: seen.exit_code,
            output: if with_output {
                seen.output
            } else {
                String::new()
            },
            dropped: seen.dropped,
            error_code: seen.error_code,
            error_info: seen.error_info,
            repeats: u32::from(seen.started_at.is_some()),
            creation_time: seconds(row.created_at),
            start_time: maybe_seconds(seen.started_at),
            finish_time: maybe_seconds(seen.finished_at),
            stop_time: maybe_seconds(seen.stopped_at),
            update_time: seconds(
                seen.finished_at
                    .or(seen.started_at)
                    .unwrap_or(row.created_at),
            ),
        }
    });
    Invocation {
        invoke_instances: InvokeInstances {
            invoke_instance: instances.collect(),
        },
        invoke_status: old_overall(&status_of_all),
        invocation_status: status_of_all,
        command_content: encode(&content, &encoding),
        creation_time: seconds(row.created_at),
        tags: shown_tags(&row.tags),
        invoke_id: row.id,
        command_id: row.command,
        command_name: row.name,
        command_description: row.description,
        command_type: row.kind,
        parameters: "{}".to_owned(),
        repeat_mode: "Once".to_owned(),
        frequency: String::new(),
        timeout: row.timeout,
        working_dir: row.working_dir.unwrap_or_default(),
        username: row.username.unwrap_or_default(),
        termination_mode: row.termination,
    }
}

impl Serve for DescribeInvocationResults {
    async fn serve(self, cx: &Context) -> Result<DescribeInvocationResultsResponse, Fault> {
        let mut found = list(cx, &self.region_id, self.invoke_id.as_ref(), &self.tag).await?;
        found.retain(|placed| {
            let row = &placed.row;
            self.command_id.as_ref().is_none_or(|id| *id == row.command)
                && tagged(&row.tags, &self.tag)
        });
        let encoding = self
            .content_encoding
            .clone()
            .unwrap_or(ContentEncoding::Base64);
        // One line an instance; a token must tell the lines of one command apart.
        let mut lines: Vec<Placed<(usize, InvocationRow)>> = Vec::new();
        for placed in found {
            for at in 0..placed.row.executions.len() {
                let instance = placed.row.executions.get(at).map(|one| &one.instance);
                if self.instance_id.is_none() || self.instance_id.as_ref() == instance {
                    let line = i64::try_from(at).unwrap_or(i64::MAX);
                    lines.push(Placed {
                        seq: placed.seq.saturating_mul(1000).saturating_sub(line),
                        row: (at, placed.row.clone()),
                    });
                }
            }
        }
        if let Some(wanted) = self.invoke_record_status.as_ref() {
            let mut kept = Vec::new();
            for mut line in lines {
                let states = jobs::refresh(&cx.cloud, &mut line.row.1).await?;
                let execution = line.row.1.executions.get(line.row.0);
                let state = execution.and_then(|one| states.get(&one.instance));
                if state.is_some_and(|state| {
                    old_status(state) == wanted || status(state).as_str() == wanted
                }) {
                    kept.push(line);
                }
            }
            lines = kept;
        }
        let paging = Paging {
            number: self.page_number,
            size: self.page_size,
            max_results: self.max_results,
            next_token: self.next_token,
            least: 1,
            most: 50,
        };
        let page = page::cut(lines, &paging)?;
        let mut results = Vec::new();
        for (at, mut row) in page.rows {
            let states = jobs::refresh(&cx.cloud, &mut row).await?;
            results.extend(result(&row, at, &states, &encoding));
        }
        Ok(DescribeInvocationResultsResponse {
            invocation: InvocationPage {
                total_count: page.total,
                page_number: page.number,
                page_size: page.size,
                next_token: page.next_token,
                invocation_results: InvocationResults {
                    invocation_result: results,
                },
            },
            ..DescribeInvocationResultsResponse::default()
        })
    }
}

fn result(
    row: &InvocationRow,
    at: usize,
    states: &States,
    encoding: &ContentEncoding,
) -> Option<InvocationResult> {
    let instance = row.executions.get(at)?.instance.clone();
    let state = states.get(&instance)?;
    let seen = shown(state, encoding);
    Some(InvocationResult {
        invoke_id: row.id.clone(),
        command_id: row.command.clone(),
        instance_id: instance,
        invocation_status: status(state),
        invoke_record_status: old_status(state).to_owned(),
        exit_code: seen.exit_code,
        output: seen.output,
        dropped: seen.dropped,
        error_code: seen.error_code,
        error_info: seen.error_info,
        repeats: u32::from(seen.started_at.is_some()),
        start_time: maybe_seconds(seen.started_at),
        finished_time: maybe_seconds(seen.finished_at),
        stop_time: maybe_seconds(seen.stopped_at),
        username: row.username.clone().unwrap_or_default(),
        termination_mode: row.termination.clone(),
        tags: shown_tags(&row.tags),
    })
}

impl Serve for StopInvocation {
    async fn serve(self, cx: &Context) -> Result<StopInvocationResponse, Fault> {
        let (account, region, id) = (cx.account.clone(), self.region_id, self.invoke_id.clone());
        let row = cx
            .cloud
            .store
            .read(move |tx| rows::get::<InvocationRow>(tx, id.as_str()))
            .await?
            .filter(|row| row.account == account && row.region == region)
            .ok_or_else(|| {
                Fault::missing(
                    ErrorCode::InvalidInvokeIdNotFound,
                    format!("The specified InvokeId {} does not exist.", self.invoke_id),
                )
            })?;
        let wanted = |id: &InstanceId| self.instance_id.is_empty() || self.instance_id.contains(id);
        for execution in &row.executions {
            if execution.finished.is_none() && wanted(&execution.instance) {
                cx.cloud
                    .driver
                    .stop_command(&execution.instance, &row.id)
                    .await?;
            }
        }
        Ok(StopInvocationResponse::default())
    }
}
