//! Carrying steps out on the bench's instance, over the wire as the engine does.
//!
//! Only the bench uses it. Scripts and logs lie below `/run`, so that a step leaves
//! nothing on the disk but what it is for.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use darkroom_contract::{FileContent, Step, StepKind, StepResult};
use darkroom_ecs::action::{
    CommandType, ContentEncoding, DescribeInvocationResults, DescribeSendFileResults, RunCommand,
    SendFile,
};
use darkroom_ecs::id::InvokeId;
use darkroom_runtime::Component;

use super::{Bench, PAUSE};

/// Where the bench's own files lie in the instance.
const PLACE: &str = "/run/darkroom-bench";
/// Bytes of a file that one `SendFile` takes: 32 KB after base64.
const SLICE: usize = 24 << 10;
/// Bytes of output that one command brings along: 24 KB after base64 at most.
const TAIL: usize = 16 << 10;

impl Bench {
    pub(super) async fn carry(&self, component: &Component, step: &Step) -> StepResult {
        let mut result = StepResult::default();
        for _ in 0..step.attempts {
            result = match &step.kind {
                StepKind::Shell { script, .. } => self.shell(step, script).await,
                StepKind::Write { path, content } => {
                    self.write(component, step, path, content).await
                }
                StepKind::Download {
                    path,
                    address,
                    sha256,
                } => {
                    let (path, address) = (quote(path), quote(address));
                    let fetch = format!(
                        "set -e; mkdir -p \"$(dirname {path})\"; curl -fsSL -o {path}.new {address}; \
                         echo {sha256}'  '{path}.new | sha256sum -c --status; {}; mv -f {path}.new {path}",
                        owned(step, &format!("{path}.new"))
                    );
                    self.shell(step, &fetch).await
                }
                StepKind::Collect { path, limit } => {
                    let path = quote(path);
                    let look = format!("[ \"$(wc -c < {path})\" -le {limit} ] && cat {path}");
                    self.shell(step, &look).await
                }
                StepKind::Reboot => {
                    self.reboot().await;
                    StepResult {
                        succeeded: true,
                        ..StepResult::default()
                    }
                }
            };
            if result.succeeded {
                break;
            }
        }
        result
    }

    /// A script with the step's user, folder and variables, and its whole output.
    pub(super) async fn shell(&self, step: &Step, script: &str) -> StepResult {
        let place = self.place();
        let text = beginning(step, script, &place);
        self.send(&format!("{place}/begin.d"), text.as_bytes())
            .await;
        self.send(&format!("{place}/script.d"), script.as_bytes())
            .await;
        let command = format!(
            "cd {place} && cat begin.d/* > begin && cat script.d/* > script && chmod 755 . script || exit 125\n\
             sh begin > log 2>&1 < /dev/null; code=$?\n\
             wc -c < log; tail -c {TAIL} log; exit $code"
        );
        let (exit_code, said) = self.command(&command, step.timeout_seconds).await;
        let line = said.iter().position(|byte| *byte == b'\n').unwrap_or(0);
        let size: usize = String::from_utf8_lossy(&said[..line])
            .trim()
            .parse()
            .unwrap_or(0);
        let mut tail = said[(line + 1).min(said.len())..].to_vec();
        let mut output = self
            .begin_of(&format!("{place}/log"), size.saturating_sub(TAIL))
            .await;
        output.append(&mut tail);
        let code = (exit_code >= 0).then_some(exit_code);
        let rest = &output[output.len().saturating_sub(TAIL)..];
        StepResult {
            succeeded: step.expectations.unmet(code, &output).is_empty(),
            exit_code,
            output_tail: String::from_utf8_lossy(rest).into_owned(),
            size: output.len() as u64,
            content: Some(Arc::new(output)),
        }
    }

    /// The first bytes of a file, which don't come with a command's own output.
    async fn begin_of(&self, file: &str, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let slice = TAIL.min(length - bytes.len());
            let cut = format!("tail -c +{} {file} | head -c {slice}", bytes.len() + 1);
            let (_, mut said) = self.command(&cut, 60).await;
            assert_eq!(said.len(), slice, "{file}");
            bytes.append(&mut said);
        }
        bytes
    }

    async fn write(
        &self,
        component: &Component,
        step: &Step,
        path: &str,
        content: &FileContent,
    ) -> StepResult {
        let files = match content {
            FileContent::Text(text) => vec![(path.to_owned(), text.clone().into_bytes())],
            FileContent::Bytes(bytes) => vec![(path.to_owned(), bytes.clone())],
            FileContent::Asset(name) => assets(component, name, path),
        };
        let mut result = StepResult::default();
        for (path, bytes) in files {
            let place = self.place();
            self.send(&format!("{place}/parts"), &bytes).await;
            let path = quote(&path);
            let draft = format!("\"$(dirname {path})/.darkroom-bench\"");
            let text = format!(
                "set -e; mkdir -p \"$(dirname {path})\"; cat {place}/parts/* > {draft}\n{}\nmv -f {draft} {path}",
                owned(step, &draft)
            );
            result = self
                .shell(&Step::new(0, "write", step.kind.clone()), &text)
                .await;
            if !result.succeeded {
                break;
            }
        }
        result
    }

    /// A folder that no step has had.
    fn place(&self) -> String {
        format!("{PLACE}/{}", self.steps.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends bytes as slices, which are files whose names sort in their order.
    async fn send(&self, folder: &str, bytes: &[u8]) {
        let slices = if bytes.is_empty() {
            vec![bytes]
        } else {
            bytes.chunks(SLICE).collect()
        };
        for (index, slice) in slices.into_iter().enumerate() {
            let request = SendFile {
                region_id: self.region.clone(),
                instance_id: vec![self.instance.clone()],
                name: format!("{index:06}"),
                target_dir: folder.into(),
                content: STANDARD.encode(slice),
                content_type: Some(ContentEncoding::Base64),
                ..SendFile::default()
            };
            let sent = self.client.call(&self.region, &request).await.unwrap();
            self.until_sent(&sent.invoke_id).await;
        }
    }

    async fn until_sent(&self, invoke: &InvokeId) {
        let ask = DescribeSendFileResults {
            region_id: self.region.clone(),
            invoke_id: Some(invoke.clone()),
            ..DescribeSendFileResults::default()
        };
        loop {
            let told = self.client.call(&self.region, &ask).await.unwrap();
            let one = &told.invocations.invocation[0];
            if one.invocation_status.is_final() {
                let status = one.invocation_status.to_string();
                assert_eq!(status, "Success", "{one:?}");
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One `RunCommand`: its exit code and its output.
    pub(super) async fn command(&self, text: &str, timeout_seconds: u32) -> (i32, Vec<u8>) {
        let request = RunCommand {
            region_id: self.region.clone(),
            r#type: CommandType::Shell,
            command_content: STANDARD.encode(text),
            content_encoding: Some(ContentEncoding::Base64),
            instance_id: vec![self.instance.clone()],
            timeout: Some(timeout_seconds.into()),
            termination_mode: Some("ProcessTree".into()),
            ..RunCommand::default()
        };
        let sent = self.client.call(&self.region, &request).await.unwrap();
        let ask = DescribeInvocationResults {
            region_id: self.region.clone(),
            invoke_id: Some(sent.invoke_id),
            ..DescribeInvocationResults::default()
        };
        loop {
            let told = self.client.call(&self.region, &ask).await.unwrap();
            let result = &told.invocation.invocation_results.invocation_result[0];
            if result.invocation_status.is_final() {
                let code = result.exit_code.and_then(|code| i32::try_from(code).ok());
                return (code.unwrap_or(-1), STANDARD.decode(&result.output).unwrap());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// What runs a script with the step's user, folder and variables.
fn beginning(step: &Step, script: &str, place: &str) -> String {
    let mut run = format!("sh {place}/script");
    if script.starts_with("#!") {
        run = format!("{place}/script");
    }
    let mut lines = vec!["HOME=/root; USER=root; LOGNAME=root".to_owned()];
    if let Some(user) = step.run_as.as_deref().filter(|user| *user != "root") {
        let user = quote(user);
        lines.push(format!(
            "USER={user}; LOGNAME={user}; HOME=$(getent passwd {user} | cut -d: -f6)"
        ));
        run = format!("runuser -u {user} -- {run}");
    }
    lines.push("export HOME USER LOGNAME".to_owned());
    for (name, value) in &step.environment {
        lines.push(format!("export {name}={}", quote(value)));
    }
    lines.push(match &step.directory {
        Some(folder) => format!("cd {} || exit 1", quote(folder)),
        None => "cd \"$HOME\" 2>/dev/null || cd /".to_owned(),
    });
    let arguments = step.arguments.iter().map(|value| quote(value));
    let words: Vec<_> = [run].into_iter().chain(arguments).collect();
    lines.push(format!("exec {}\n", words.join(" ")));
    lines.join("\n")
}

/// The asset of this name at `path`, or all assets of the folder of this name below it.
fn assets(component: &Component, name: &str, path: &str) -> Vec<(String, Vec<u8>)> {
    if let Some(bytes) = component.asset(name) {
        return vec![(path.to_owned(), bytes.to_vec())];
    }
    let folder = format!("{}/", name.trim_end_matches('/'));
    let names = component.asset_names().iter();
    let inside = names.filter_map(|name| Some((name, name.strip_prefix(&folder)?)));
    let files = inside.map(|(name, inside)| {
        let bytes = component.asset(name).unwrap();
        (format!("{path}/{inside}"), bytes.to_vec())
    });
    files.collect()
}

/// The commands that give a file, as the shell names it, the step's owner and mode.
fn owned(step: &Step, file: &str) -> String {
    let owner = quote(step.owner.as_deref().unwrap_or("root"));
    let mode = step.mode.unwrap_or(0o644);
    format!("chown {owner} {file}; chmod {mode:o} {file}")
}

/// Text as one word of the shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
