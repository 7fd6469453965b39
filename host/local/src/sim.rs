//! The sim driver: instances that execute nothing. Commands answer as scripted.
//!
//! For tests of the engine, for scale and for fault plans. Its state is a SQLite
//! file of its own, `sim.sqlite` in the cloud's folder, so that a killed server's
//! successor goes on with the same instances, boot ids, commands and scripts. A
//! command's result is decided when it is handed over; it is finished when its time
//! has come by the cloud's clock.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use darkroom_ecs::id::{InstanceId, InvokeId, RegionId};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, after};
use crate::driver::{
    Base, CommandFault, CommandSpec, CommandState, CommandStatus, Commit, Driver, DriverError,
    FileFault, FileSpec, Finished, InstanceSpec, LayerId, OUTPUT_LIMIT, Observed, Problem,
    RUNNING_OUTPUT_LIMIT,
};
use crate::state::store::{Store, StoreError};

/// The file in the cloud's folder.
pub const FILE: &str = "sim.sqlite";

/// The command that asks an instance for its boot id, exactly.
pub const BOOT_ID_PROBE: &str = "cat /proc/sys/kernel/random/boot_id";

const MIGRATIONS: &[&str] = &["
    CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE instances (id TEXT PRIMARY KEY, data TEXT NOT NULL) STRICT;
    CREATE TABLE commands (instance TEXT NOT NULL, invoke TEXT NOT NULL, data TEXT NOT NULL,
        PRIMARY KEY (instance, invoke)) STRICT;
    CREATE TABLE layers (region TEXT NOT NULL, id TEXT NOT NULL, size INTEGER NOT NULL,
        PRIMARY KEY (region, id)) STRICT;
    CREATE TABLE commits (instance TEXT NOT NULL, id TEXT NOT NULL, data TEXT NOT NULL,
        PRIMARY KEY (instance, id)) STRICT;
"];

const PLAN: &str = "plan";
const GIB: u64 = 1024 * 1024 * 1024;

/// How the sim behaves, set over the admin API and kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimPlan {
    /// The first rule that matches a command decides its result; none: exit code 0
    /// and no output, after `latencies.command`.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// How long things take.
    #[serde(default)]
    pub latencies: Latencies,
}

/// The scripted result of some commands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// A regular expression, searched for in the decoded command.
    #[serde(rename = "match")]
    pub pattern: String,
    /// Only for instances with this name.
    #[serde(default)]
    pub instance_name: Option<String>,
    /// The exit code; 0 when absent.
    #[serde(default)]
    pub exit_code: i32,
    /// The output. With `expand`, `${1}` and `${name}` stand for what the pattern's
    /// groups matched, and `$$` for a `$`.
    #[serde(default)]
    pub output: String,
    /// The output as base64, instead of `output`.
    #[serde(default)]
    pub output_base64: Option<String>,
    /// Whether groups are put into `output`.
    #[serde(default)]
    pub expand: bool,
    /// Seconds that it takes, instead of `latencies.command`.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// How often the rule applies; absent: always.
    #[serde(default)]
    pub times: Option<u32>,
    /// Reboots the instance under the command: it fails as interrupted.
    #[serde(default)]
    pub reboot: bool,
}

/// Seconds that things take; 0 when absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Latencies {
    /// Boot until Running.
    pub start: f64,
    /// Running until the agent lives.
    pub agent: f64,
    /// Shutdown.
    pub stop: f64,
    /// Shutdown and boot.
    pub reboot: f64,
    /// Deletion.
    pub delete: f64,
    /// Making a snapshot of a disk.
    pub image: f64,
    /// Copying an image to another region.
    pub copy: f64,
    /// A command.
    pub command: f64,
}

/// Why a plan was refused.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A rule's pattern is not a regular expression.
    #[error("rule {number}: the pattern can't be understood")]
    Pattern {
        /// Which rule, from 1.
        number: usize,
        /// What is wrong with it.
        #[source]
        source: regex::Error,
    },
    /// A rule's `output_base64` is none.
    #[error("rule {number}: output_base64 is not base64")]
    Base64 {
        /// Which rule, from 1.
        number: usize,
    },
    /// It can't be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Machine {
    spec: InstanceSpec,
    /// None: stopped.
    boot: Option<Boot>,
    boots: u64,
    layers: Vec<LayerId>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Boot {
    id: String,
    /// When the agent lives.
    agent_at: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Command {
    boot_id: String,
    started_at: Timestamp,
    result: Finished,
}

/// The driver.
#[derive(Clone)]
pub struct Sim {
    store: Store,
    clock: Arc<dyn Clock>,
}

impl Sim {
    /// Opens or makes the sim of a cloud's folder.
    ///
    /// # Errors
    /// When its file can't be used.
    pub fn open(root: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        Ok(Self {
            store: Store::open(&root.join(FILE), MIGRATIONS)?,
            clock,
        })
    }

    /// The plan in force.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn plan(&self) -> Result<SimPlan, StoreError> {
        self.store.read(plan).await
    }

    /// Puts another plan in force, for what begins from now on.
    ///
    /// # Errors
    /// When a rule can't be understood, and nothing has changed then.
    pub async fn set_plan(&self, plan: SimPlan) -> Result<(), PlanError> {
        for (at, rule) in plan.rules.iter().enumerate() {
            let number = at + 1;
            regex::Regex::new(&rule.pattern)
                .map_err(|source| PlanError::Pattern { number, source })?;
            let text = rule.output_base64.as_deref().unwrap_or_default();
            BASE64
                .decode(text)
                .map_err(|_| PlanError::Base64 { number })?;
        }
        self.store.write(move |tx| keep_plan(tx, &plan)).await?;
        Ok(())
    }

    /// How many instances there are, how often any was booted, and the layers.
    #[cfg(test)]
    pub(crate) async fn inventory(&self) -> (i64, i64, Vec<(String, String)>) {
        let look = |tx: &Transaction<'_>| {
            let machines = tx.query_row("SELECT count(*) FROM instances", [], |row| row.get(0))?;
            let boots: Option<String> = tx
                .query_row(
                    "SELECT value FROM settings WHERE name = 'boots'",
                    [],
                    |row| row.get(0),
                )
                .optional()?;
            let layers = tx
                .prepare("SELECT region, id FROM layers")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            let boots = boots.and_then(|text| text.parse().ok()).unwrap_or(0);
            Ok::<_, StoreError>((machines, boots, layers))
        };
        self.store.read(look).await.unwrap()
    }

    async fn wait(&self, seconds: impl Fn(&Latencies) -> f64) -> Result<(), DriverError> {
        let latencies = self.store.read(plan).await.map_err(io)?.latencies;
        let span = span(seconds(&latencies));
        if !span.is_zero() {
            self.clock.sleep_until(after(self.clock.now(), span)).await;
        }
        Ok(())
    }

    async fn change<T: Send + 'static>(
        &self,
        id: &InstanceId,
        work: impl FnOnce(&Transaction<'_>, &mut Machine) -> Result<T, Problematic> + Send + 'static,
    ) -> Result<T, DriverError> {
        let id = id.clone();
        self.store
            .write(move |tx| {
                let mut machine = machine(tx, &id)?.ok_or(Problematic::NoInstance(id))?;
                let value = work(tx, &mut machine)?;
                keep_machine(tx, &machine)?;
                Ok::<_, Problematic>(value)
            })
            .await
            .map_err(DriverError::from)
    }

    fn boot(&self, latencies: &Latencies) -> Boot {
        Boot {
            id: uuid::Uuid::new_v4().to_string(),
            agent_at: after(self.clock.now(), span(latencies.agent)),
        }
    }
}

/// What can be wrong inside a transaction.
enum Problematic {
    NoInstance(InstanceId),
    Driver(DriverError),
    Store(StoreError),
}

impl From<StoreError> for Problematic {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<DriverError> for Problematic {
    fn from(error: DriverError) -> Self {
        Self::Driver(error)
    }
}

impl From<rusqlite::Error> for Problematic {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<Problematic> for DriverError {
    fn from(problem: Problematic) -> Self {
        match problem {
            Problematic::NoInstance(id) => Self::NoInstance { id },
            Problematic::Driver(error) => error,
            Problematic::Store(error) => io(error),
        }
    }
}

fn io(error: StoreError) -> DriverError {
    DriverError::Io {
        operation: "using the sim's state".to_owned(),
        source: std::io::Error::other(error),
    }
}

fn span(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::Row {
        table: "sim",
        source,
    })
}

fn write<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|source| StoreError::Row {
        table: "sim",
        source,
    })
}

fn plan(tx: &Transaction<'_>) -> Result<SimPlan, StoreError> {
    let text: Option<String> = tx
        .query_row(
            "SELECT value FROM settings WHERE name = ?1",
            [PLAN],
            |row| row.get(0),
        )
        .optional()?;
    text.map_or_else(|| Ok(SimPlan::default()), |text| read(&text))
}

fn keep_plan(tx: &Transaction<'_>, plan: &SimPlan) -> Result<(), StoreError> {
    tx.execute(
        "INSERT OR REPLACE INTO settings VALUES (?1, ?2)",
        params![PLAN, write(plan)?],
    )?;
    Ok(())
}

/// Counts the boots of all instances, also of those that are gone.
fn count_boot(tx: &Transaction<'_>) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO settings VALUES ('boots', '1')
         ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + 1",
        [],
    )?;
    Ok(())
}

fn machine(tx: &Transaction<'_>, id: &InstanceId) -> Result<Option<Machine>, StoreError> {
    let text: Option<String> = tx
        .query_row(
            "SELECT data FROM instances WHERE id = ?1",
            [id.to_string()],
            |row| row.get(0),
        )
        .optional()?;
    text.map(|text| read(&text)).transpose()
}

fn keep_machine(tx: &Transaction<'_>, machine: &Machine) -> Result<(), StoreError> {
    tx.execute(
        "INSERT OR REPLACE INTO instances VALUES (?1, ?2)",
        params![machine.spec.id.to_string(), write(machine)?],
    )?;
    Ok(())
}

/// Ends the commands of a boot that is over.
fn interrupt(tx: &Transaction<'_>, id: &InstanceId, now: Timestamp) -> Result<(), StoreError> {
    let mut query = tx.prepare("SELECT invoke, data FROM commands WHERE instance = ?1")?;
    let rows: Vec<(String, String)> = query
        .query_map([id.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (invoke, text) in rows {
        let mut command: Command = read(&text)?;
        if command.result.finished_at > now {
            command.result = interrupted(command.started_at, now);
            tx.execute(
                "UPDATE commands SET data = ?3 WHERE instance = ?1 AND invoke = ?2",
                params![id.to_string(), invoke, write(&command)?],
            )?;
        }
    }
    Ok(())
}

fn interrupted(started_at: Timestamp, now: Timestamp) -> Finished {
    Finished {
        status: CommandStatus::Failed,
        exit_code: None,
        output: Vec::new(),
        dropped: 0,
        error_code: Some(CommandFault::ExecutionInterrupted),
        error_info: Some("the instance went down while the command ran".to_owned()),
        started_at: Some(started_at),
        finished_at: now,
    }
}

/// What a command will have done when it ends, and whether it reboots its instance.
fn decide(
    tx: &Transaction<'_>,
    machine: &Machine,
    command: &CommandSpec,
    now: Timestamp,
) -> Result<(Finished, bool), StoreError> {
    let mut plan = plan(tx)?;
    let text = String::from_utf8_lossy(&command.content).into_owned();
    let mut exit_code = 0;
    let mut output = Vec::new();
    let mut seconds = plan.latencies.command;
    let mut reboot = false;
    if text.trim_end() == BOOT_ID_PROBE {
        let id = machine.boot.as_ref().map_or("", |boot| boot.id.as_str());
        output = format!("{id}\n").into_bytes();
    } else if let Some((rule, found)) = plan.rules.iter_mut().find_map(|rule| {
        let named = rule.instance_name.as_ref();
        let fits = named.is_none_or(|name| *name == machine.spec.name) && rule.times != Some(0);
        let found = regex::Regex::new(&rule.pattern).ok()?;
        (fits && found.is_match(&text)).then_some((rule, found))
    }) {
        exit_code = rule.exit_code;
        seconds = rule.seconds.unwrap_or(seconds);
        reboot = rule.reboot;
        output = scripted(rule, &found, &text);
        if let Some(times) = rule.times.as_mut() {
            *times = times.saturating_sub(1);
            keep_plan(tx, &plan)?;
        }
    }
    let limit = span(f64::from(
        u32::try_from(command.timeout_seconds).unwrap_or(u32::MAX),
    ));
    let timed_out = span(seconds) > limit;
    let kept = output.len().saturating_sub(OUTPUT_LIMIT);
    let status = match exit_code {
        _ if timed_out => CommandStatus::Timeout,
        0 => CommandStatus::Success,
        _ => CommandStatus::Failed,
    };
    let error_code = match status {
        CommandStatus::Success => None,
        CommandStatus::Timeout => Some(CommandFault::ExecutionTimeout),
        _ => Some(CommandFault::ExitCodeNonzero),
    };
    let finished = Finished {
        status,
        exit_code: (!timed_out).then_some(exit_code),
        dropped: u64::try_from(kept).unwrap_or(u64::MAX),
        output: output.split_off(kept),
        error_code,
        error_info: None,
        started_at: Some(now),
        finished_at: after(now, span(seconds).min(limit)),
    };
    Ok((finished, reboot))
}

fn scripted(rule: &Rule, pattern: &regex::Regex, text: &str) -> Vec<u8> {
    if let Some(bytes) = rule.output_base64.as_ref() {
        return BASE64.decode(bytes).unwrap_or_default();
    }
    if !rule.expand {
        return rule.output.clone().into_bytes();
    }
    let mut output = String::new();
    if let Some(groups) = pattern.captures(text) {
        groups.expand(&rule.output, &mut output);
    }
    output.into_bytes()
}

#[async_trait]
impl Driver for Sim {
    fn probe(&self) -> Result<(), Vec<Problem>> {
        Ok(())
    }

    fn bases(&self) -> Result<Vec<Base>, DriverError> {
        Ok(vec![Base {
            name: "debian-12".to_owned(),
            os_name: "Debian 12".to_owned(),
            platform: "Debian".to_owned(),
            architecture: "x86_64".to_owned(),
            digest: "sim-debian-12".to_owned(),
            size_bytes: GIB,
            made_at: Timestamp::UNIX_EPOCH,
        }])
    }

    async fn import_base(
        &self,
        base: &Base,
        region: &RegionId,
    ) -> Result<Vec<LayerId>, DriverError> {
        let layer: LayerId = base.digest.parse().map_err(|error| DriverError::Other {
            message: format!("{error}"),
            hint: None,
        })?;
        let (region, id) = (region.to_string(), layer.to_string());
        self.store
            .write(move |tx| {
                tx.execute(
                    "INSERT OR IGNORE INTO layers VALUES (?1, ?2, ?3)",
                    params![region, id, GIB.cast_signed()],
                )?;
                Ok::<_, StoreError>(())
            })
            .await
            .map_err(io)?;
        Ok(vec![layer])
    }

    async fn create(&self, spec: &InstanceSpec) -> Result<(), DriverError> {
        let spec = spec.clone();
        let made = self
            .store
            .write(move |tx| {
                if machine(tx, &spec.id)?.is_some() {
                    return Ok(());
                }
                for layer in &spec.layers {
                    need_layer(tx, &spec.region, layer)?;
                }
                let machine = Machine {
                    boot: None,
                    boots: 0,
                    layers: spec.layers.clone(),
                    spec,
                };
                Ok::<_, Problematic>(keep_machine(tx, &machine)?)
            })
            .await;
        Ok(made?)
    }

    async fn start(&self, id: &InstanceId) -> Result<(), DriverError> {
        self.wait(|latencies| latencies.start).await?;
        let latencies = self.store.read(plan).await.map_err(io)?.latencies;
        let boot = self.boot(&latencies);
        self.change(id, move |tx, machine| {
            if machine.boot.is_none() {
                machine.boot = Some(boot);
                machine.boots += 1;
                count_boot(tx)?;
            }
            Ok(())
        })
        .await
    }

    async fn stop(&self, id: &InstanceId, force: bool) -> Result<(), DriverError> {
        if !force {
            self.wait(|latencies| latencies.stop).await?;
        }
        let now = self.clock.now();
        let subject = id.clone();
        self.change(id, move |tx, machine| {
            machine.boot = None;
            Ok(interrupt(tx, &subject, now)?)
        })
        .await?;
        Ok(())
    }

    async fn reboot(&self, id: &InstanceId, _force: bool) -> Result<(), DriverError> {
        self.wait(|latencies| latencies.reboot).await?;
        let latencies = self.store.read(plan).await.map_err(io)?.latencies;
        let boot = self.boot(&latencies);
        let now = self.clock.now();
        let subject = id.clone();
        self.change(id, move |tx, machine| {
            machine.boot = Some(boot);
            machine.boots += 1;
            count_boot(tx)?;
            Ok(interrupt(tx, &subject, now)?)
        })
        .await?;
        Ok(())
    }

    async fn delete(&self, id: &InstanceId) -> Result<(), DriverError> {
        self.wait(|latencies| latencies.delete).await?;
        let id = id.to_string();
        self.store
            .write(move |tx| {
                tx.execute("DELETE FROM commands WHERE instance = ?1", [&id])?;
                tx.execute("DELETE FROM commits WHERE instance = ?1", [&id])?;
                tx.execute("DELETE FROM instances WHERE id = ?1", [&id])?;
                Ok::<_, StoreError>(())
            })
            .await
            .map_err(io)?;
        Ok(())
    }

    async fn observe(&self, id: &InstanceId) -> Result<Observed, DriverError> {
        let id = id.clone();
        let found = self
            .store
            .read(move |tx| machine(tx, &id))
            .await
            .map_err(io)?;
        Ok(match found {
            None => Observed::Gone,
            Some(Machine { boot: None, .. }) => Observed::Stopped,
            Some(Machine {
                boot: Some(boot), ..
            }) => Observed::Running {
                agent: boot.agent_at <= self.clock.now(),
                boot_id: boot.id,
            },
        })
    }

    async fn run_command(&self, id: &InstanceId, command: &CommandSpec) -> Result<(), DriverError> {
        let now = self.clock.now();
        let command = command.clone();
        let subject = id.clone();
        let reboot = self
            .change(id, move |tx, machine| {
                let key = params![subject.to_string(), command.invoke.to_string()];
                let known: Option<i64> = tx
                    .query_row(
                        "SELECT 1 FROM commands WHERE instance = ?1 AND invoke = ?2",
                        key,
                        |row| row.get(0),
                    )
                    .optional()?;
                if known.is_some() {
                    return Ok(false);
                }
                let live = machine.boot.as_ref().filter(|boot| boot.agent_at <= now);
                let Some(boot) = live else {
                    return Err(DriverError::NoAgent { id: subject }.into());
                };
                let (result, reboot) = decide(tx, machine, &command, now)?;
                let row = Command {
                    boot_id: boot.id.clone(),
                    started_at: now,
                    result: if reboot {
                        interrupted(now, now)
                    } else {
                        result
                    },
                };
                tx.execute(
                    "INSERT INTO commands VALUES (?1, ?2, ?3)",
                    params![
                        subject.to_string(),
                        command.invoke.to_string(),
                        write(&row)?
                    ],
                )?;
                Ok(reboot)
            })
            .await?;
        if reboot {
            self.reboot(id, true).await?;
        }
        Ok(())
    }

    async fn command(
        &self,
        id: &InstanceId,
        invoke: &InvokeId,
    ) -> Result<CommandState, DriverError> {
        let now = self.clock.now();
        let key = (id.to_string(), invoke.to_string());
        let found = self
            .store
            .read(move |tx| {
                let text: Option<String> = tx
                    .query_row(
                        "SELECT data FROM commands WHERE instance = ?1 AND invoke = ?2",
                        params![key.0, key.1],
                        |row| row.get(0),
                    )
                    .optional()?;
                text.map(|text| read::<Command>(&text)).transpose()
            })
            .await
            .map_err(io)?;
        let Some(command) = found else {
            return Err(DriverError::NoCommand {
                id: id.clone(),
                invoke: invoke.clone(),
            });
        };
        if command.result.finished_at <= now {
            return Ok(CommandState::Finished(command.result));
        }
        let mut output = command.result.output;
        output.drain(..output.len().saturating_sub(RUNNING_OUTPUT_LIMIT));
        Ok(CommandState::Running {
            started_at: command.started_at,
            output,
        })
    }

    async fn stop_command(&self, id: &InstanceId, invoke: &InvokeId) -> Result<(), DriverError> {
        let now = self.clock.now();
        let CommandState::Running { started_at, .. } = self.command(id, invoke).await? else {
            return Ok(());
        };
        let invoke = invoke.to_string();
        let subject = id.to_string();
        self.change(id, move |tx, machine| {
            let row = Command {
                boot_id: machine
                    .boot
                    .as_ref()
                    .map(|boot| boot.id.clone())
                    .unwrap_or_default(),
                started_at,
                result: Finished {
                    status: CommandStatus::Terminated,
                    error_code: None,
                    error_info: None,
                    ..interrupted(started_at, now)
                },
            };
            tx.execute(
                "UPDATE commands SET data = ?3 WHERE instance = ?1 AND invoke = ?2",
                params![subject, invoke, write(&row)?],
            )?;
            Ok(())
        })
        .await
    }

    async fn send_file(
        &self,
        id: &InstanceId,
        file: &FileSpec,
    ) -> Result<Result<(), FileFault>, DriverError> {
        let now = self.clock.now();
        let id = id.clone();
        let wanted = id.clone();
        let found = self
            .store
            .read(move |tx| machine(tx, &wanted))
            .await
            .map_err(io)?;
        let Some(machine) = found else {
            return Err(DriverError::NoInstance { id });
        };
        if !machine.boot.is_some_and(|boot| boot.agent_at <= now) {
            return Ok(Err(FileFault::ClientNotRunning));
        }
        if !file.target_dir.starts_with('/') {
            return Ok(Err(FileFault::FilePathInvalid));
        }
        Ok(Ok(()))
    }

    async fn commit(&self, id: &InstanceId, commit_id: &str) -> Result<Commit, DriverError> {
        self.wait(|latencies| latencies.image).await?;
        let subject = id.clone();
        let commit_id = commit_id.to_owned();
        let commit = self
            .change(id, move |tx, machine| {
                let known: Option<String> = tx
                    .query_row(
                        "SELECT data FROM commits WHERE instance = ?1 AND id = ?2",
                        params![subject.to_string(), commit_id],
                        |row| row.get(0),
                    )
                    .optional()?;
                if let Some(text) = known {
                    return Ok(read(&text)?);
                }
                if machine.boot.is_some() {
                    return Err(DriverError::WrongState {
                        id: subject,
                        state: "running".to_owned(),
                        needed: "stopped".to_owned(),
                    }
                    .into());
                }
                let seed = format!("{subject} {commit_id} {}", machine.boots);
                let digest = blake3::hash(seed.as_bytes()).to_hex();
                let layer: LayerId =
                    digest
                        .as_str()
                        .parse()
                        .map_err(|error| DriverError::Other {
                            message: format!("{error}"),
                            hint: None,
                        })?;
                tx.execute(
                    "INSERT OR IGNORE INTO layers VALUES (?1, ?2, ?3)",
                    params![
                        machine.spec.region.to_string(),
                        layer.to_string(),
                        1_i64 << 20
                    ],
                )?;
                machine.layers.push(layer);
                let commit = Commit {
                    layers: machine.layers.clone(),
                    size_bytes: GIB,
                };
                tx.execute(
                    "INSERT INTO commits VALUES (?1, ?2, ?3)",
                    params![subject.to_string(), commit_id, write(&commit)?],
                )?;
                Ok(commit)
            })
            .await?;
        Ok(commit)
    }

    async fn copy_layers(
        &self,
        from: &RegionId,
        to: &RegionId,
        layers: &[LayerId],
    ) -> Result<(), DriverError> {
        self.wait(|latencies| latencies.copy).await?;
        let (from, to, layers) = (from.clone(), to.clone(), layers.to_vec());
        self.store
            .write(move |tx| {
                for layer in &layers {
                    let size = need_layer(tx, &from, layer)?;
                    tx.execute(
                        "INSERT OR IGNORE INTO layers VALUES (?1, ?2, ?3)",
                        params![to.to_string(), layer.to_string(), size],
                    )?;
                }
                Ok::<_, Problematic>(())
            })
            .await?;
        Ok(())
    }

    async fn delete_layers(
        &self,
        region: &RegionId,
        layers: &[LayerId],
    ) -> Result<(), DriverError> {
        let (region, layers) = (region.to_string(), layers.to_vec());
        self.store
            .write(move |tx| {
                for layer in &layers {
                    tx.execute(
                        "DELETE FROM layers WHERE region = ?1 AND id = ?2",
                        params![region, layer.to_string()],
                    )?;
                }
                Ok::<_, StoreError>(())
            })
            .await
            .map_err(io)?;
        Ok(())
    }

    async fn collect(
        &self,
        known: &[InstanceId],
        known_layers: &[(RegionId, LayerId)],
    ) -> Result<(), DriverError> {
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        let layers: Vec<(String, String)> = known_layers
            .iter()
            .map(|(region, layer)| (region.to_string(), layer.to_string()))
            .collect();
        self.store
            .write(move |tx| {
                let ids: Vec<String> = tx
                    .prepare("SELECT id FROM instances")?
                    .query_map([], |row| row.get(0))?
                    .collect::<Result<_, _>>()?;
                for id in ids.iter().filter(|id| !known.contains(id)) {
                    for table in [
                        "commands WHERE instance",
                        "commits WHERE instance",
                        "instances WHERE id",
                    ] {
                        tx.execute(&format!("DELETE FROM {table} = ?1"), [id])?;
                    }
                }
                // A commit that the rows don't know yet is what its instance stands on.
                let mut layers = layers;
                for id in &known {
                    let id = id.parse().unwrap_or_default();
                    if let Some(machine) = machine(tx, &id)? {
                        let region = machine.spec.region.to_string();
                        let stands = machine
                            .layers
                            .iter()
                            .map(|layer| (region.clone(), layer.to_string()));
                        layers.extend(stands);
                    }
                }
                let found: Vec<(String, String)> = tx
                    .prepare("SELECT region, id FROM layers")?
                    .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect::<Result<_, _>>()?;
                for layer in found.iter().filter(|layer| !layers.contains(layer)) {
                    tx.execute(
                        "DELETE FROM layers WHERE region = ?1 AND id = ?2",
                        params![layer.0, layer.1],
                    )?;
                }
                Ok::<_, StoreError>(())
            })
            .await
            .map_err(io)
    }
}

fn need_layer(
    tx: &Transaction<'_>,
    region: &RegionId,
    layer: &LayerId,
) -> Result<i64, Problematic> {
    let size: Option<i64> = tx
        .query_row(
            "SELECT size FROM layers WHERE region = ?1 AND id = ?2",
            params![region.to_string(), layer.to_string()],
            |row| row.get(0),
        )
        .optional()?;
    size.ok_or_else(|| {
        DriverError::NoLayer {
            region: region.clone(),
            layer: layer.clone(),
        }
        .into()
    })
}
