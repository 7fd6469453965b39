//! Commands on an instance over Cloud Assistant, as a build sends them. There is no
//! terminal on the other side: each line is a command of its own, and only the working
//! folder is carried from one to the next.

use std::io::BufRead;
use std::time::Duration;

use darkroom_ecs::action::DescribeInstances;
use darkroom_ecs::action::JsonList;
use darkroom_ecs::action::RunCommand;
use darkroom_ecs::action::status::{
    CommandType, ContentEncoding, InstanceStatus, InvocationStatus,
};
use darkroom_ecs::action::{DescribeInvocationResults, InvocationResult};
use darkroom_ecs::client::Client;
use darkroom_ecs::id::{InstanceId, RegionId};

use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// How long one command may take.
const TIMEOUT_SECONDS: u64 = 3600;
/// How often is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(100);

/// Why there is nothing to run commands on.
#[derive(Debug, thiserror::Error)]
enum ShellError {
    #[error("there is no instance {instance} in {region}")]
    NoInstance {
        instance: InstanceId,
        region: RegionId,
    },
    #[error("the instance {instance} is {status}, so that it runs no commands")]
    NotRunning {
        instance: InstanceId,
        status: InstanceStatus,
    },
    #[error("the command was not run: {0}")]
    NotRun(String),
}

/// An instance that takes commands.
pub(crate) struct Machine {
    pub(crate) client: Client,
    pub(crate) region: RegionId,
    pub(crate) instance: InstanceId,
}

impl Machine {
    /// Whether it is there and runs.
    pub(crate) async fn check(&self) -> Result<(), Failure> {
        let request = DescribeInstances {
            region_id: self.region.clone(),
            instance_ids: Some(JsonList(vec![self.instance.clone()])),
            ..DescribeInstances::default()
        };
        let answer = self.client.call(&self.region, &request).await?;
        let Some(found) = answer.instances.instance.into_iter().next() else {
            return Err(Failure::user(ShellError::NoInstance {
                instance: self.instance.clone(),
                region: self.region.clone(),
            })
            .hint("`darkroom local status` lists the instances; name another `--region` or `--account`"));
        };
        if found.status == InstanceStatus::Running {
            return Ok(());
        }
        Err(Failure::user(ShellError::NotRunning {
            instance: self.instance.clone(),
            status: found.status,
        }))
    }

    /// Runs the lines of standard input, one after the other, until it ends or says
    /// `exit`; the exit code is the last one's.
    pub(crate) async fn lines(&self, terminal: &Terminal) -> Result<Exit, Failure> {
        let interactive = terminal.is_interactive();
        let mut folder = "/root".to_owned();
        let mut last = exit::DONE;
        loop {
            if interactive {
                terminal.prompt(&format!("{} {folder} # ", self.instance));
            }
            let read = tokio::task::spawn_blocking(|| {
                let mut line = String::new();
                std::io::stdin().lock().read_line(&mut line).map(|_| line)
            });
            let line = read
                .await
                .map_err(Failure::internal)?
                .map_err(Failure::user)?;
            let command = line.trim();
            if line.is_empty() || command == "exit" {
                return Ok(last);
            }
            if command.is_empty() {
                continue;
            }
            let is_cd = command == "cd" || command.starts_with("cd ");
            if is_cd && !command.contains([';', '&', '|']) {
                let result = self
                    .command(&format!("{command} && pwd"), Some(&folder))
                    .await?;
                if result.exit_code == Some(0) {
                    output(&result).trim_end().clone_into(&mut folder);
                } else {
                    Terminal::raw(output(&result).as_bytes());
                }
                continue;
            }
            last = self.show(terminal, command, Some(&folder)).await?;
        }
    }

    /// Runs a script and prints its output as it is.
    pub(crate) async fn show(
        &self,
        terminal: &Terminal,
        script: &str,
        folder: Option<&str>,
    ) -> Result<Exit, Failure> {
        let result = self.command(script, folder).await?;
        if result.dropped > 0 {
            terminal.note(format!(
                "({} bytes before this were dropped)",
                result.dropped
            ));
        }
        Terminal::raw(output(&result).as_bytes());
        match (result.exit_code, &result.invocation_status) {
            (Some(code), InvocationStatus::Success | InvocationStatus::Failed) => {
                Ok(Exit(u8::try_from(code).unwrap_or(u8::MAX)))
            }
            _ => Err(Failure::user(ShellError::NotRun(format!(
                "{} {}",
                result.error_code, result.error_info
            )))),
        }
    }

    async fn command(
        &self,
        script: &str,
        folder: Option<&str>,
    ) -> Result<InvocationResult, Failure> {
        let request = RunCommand {
            region_id: self.region.clone(),
            r#type: CommandType::Shell,
            command_content: script.to_owned(),
            content_encoding: Some(ContentEncoding::PlainText),
            instance_id: vec![self.instance.clone()],
            name: Some("darkroom shell".into()),
            timeout: Some(TIMEOUT_SECONDS),
            working_dir: folder.map(str::to_owned),
            ..RunCommand::default()
        };
        let sent = self.client.call(&self.region, &request).await?;
        let request = DescribeInvocationResults {
            region_id: self.region.clone(),
            invoke_id: Some(sent.invoke_id),
            content_encoding: Some(ContentEncoding::PlainText),
            ..DescribeInvocationResults::default()
        };
        loop {
            let answer = self.client.call(&self.region, &request).await?;
            let results = answer.invocation.invocation_results.invocation_result;
            if let Some(result) = results.into_iter().next()
                && result.invocation_status.is_final()
            {
                return Ok(result);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn output(result: &InvocationResult) -> &str {
    &result.output
}
