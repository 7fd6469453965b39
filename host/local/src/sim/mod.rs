//! The sim driver: instances that execute nothing. Commands answer as scripted.
//!
//! For tests of the engine, for scale and for fault plans. Its state is a SQLite
//! file of its own, `sim.sqlite` in the cloud's folder, so that a killed server's
//! successor goes on with the same instances, boot ids, commands and scripts. A
//! command's result is decided when it is handed over; it is finished when its time
//! has come by the cloud's clock.

mod latency;
mod plan;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use darkroom_ecs::id::{InstanceId, InvokeId, RegionId};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, after};
use crate::driver::{
    Agent, Base, CommandFault, CommandSpec, CommandState, CommandStatus, Commit, Driver,
    DriverError, FileFault, FileSpec, Finished, InstanceSpec, LayerId, Observed, Problem,
    RUNNING_OUTPUT_LIMIT,
};
use crate::state::store::{Store, StoreError};

pub use latency::Latency;
pub use plan::{BOOT_ID_PROBE, Latencies, PlanError, Rule, SimBase, SimPlan};
use plan::{Effect, span};

/// The file in the cloud's folder.
pub const FILE: &str = "sim.sqlite";

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

const GIB: u64 = 1024 * 1024 * 1024;

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
    /// Those of the plan in force, for who can't wait for the store.
    bases: Arc<Mutex<Vec<SimBase>>>,
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
            bases: Arc::default(),
            clock,
        })
    }

    /// The plan in force.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn plan(&self) -> Result<SimPlan, StoreError> {
        self.store.read(plan::load).await
    }

    /// Reads what is kept of an earlier server's plan.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn recall(&self) -> Result<(), StoreError> {
        let plan = self.plan().await?;
        self.offer(plan.bases);
        Ok(())
    }

    fn offer(&self, bases: Vec<SimBase>) {
        *self.bases.lock().unwrap_or_else(PoisonError::into_inner) = bases;
    }

    /// Puts another plan in force, for what begins from now on.
    ///
    /// # Errors
    /// When a rule can't be understood, and nothing has changed then.
    pub async fn set_plan(&self, plan: SimPlan) -> Result<(), PlanError> {
        plan.check()?;
        let bases = plan.bases.clone();
        self.store.write(move |tx| plan::keep(tx, &plan)).await?;
        self.offer(bases);
        Ok(())
    }

    /// How many instances there are, how often any was booted, and the layers.
    #[cfg(test)]
    pub(crate) async fn inventory(&self) -> (i64, i64, Vec<(String, String)>) {
        let look = |tx: &Transaction<'_>| {
            let machines = tx
                .prepare_cached("SELECT count(*) FROM instances")?
                .query_row([], |row| row.get(0))?;
            let boots: Option<String> = tx
                .prepare_cached("SELECT value FROM settings WHERE name = 'boots'")?
                .query_row([], |row| row.get(0))
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

    async fn wait(&self, which: fn(&Latencies) -> Latency) -> Result<(), DriverError> {
        let span = self.time(which).await?;
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

    /// How long something takes this time.
    async fn time(&self, which: fn(&Latencies) -> Latency) -> Result<Duration, DriverError> {
        let draw = move |tx: &Transaction<'_>| which(&plan::load(tx)?.latencies).draw(tx);
        Ok(span(self.store.note(draw).await.map_err(io)?))
    }

    async fn boot(&self) -> Result<Boot, DriverError> {
        let agent = self.time(|latencies| latencies.agent).await?;
        Ok(Boot {
            id: uuid::Uuid::new_v4().to_string(),
            agent_at: after(self.clock.now(), agent),
        })
    }
}

/// A public image as drivers offer them.
fn base(wanted: &SimBase) -> Base {
    Base {
        name: wanted.name.clone(),
        os_name: wanted.os_name.clone(),
        platform: wanted.platform.clone(),
        architecture: wanted.architecture.clone(),
        digest: format!("sim-{}", wanted.name),
        size_bytes: GIB,
        agent: wanted.agent,
        made_at: Timestamp::UNIX_EPOCH,
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

/// Counts the boots of all instances, also of those that are gone.
fn count_boot(tx: &Transaction<'_>) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO settings VALUES ('boots', '1')
         ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + 1",
    )?
    .execute([])?;
    Ok(())
}

fn machine(tx: &Transaction<'_>, id: &InstanceId) -> Result<Option<Machine>, StoreError> {
    let text: Option<String> = tx
        .prepare_cached("SELECT data FROM instances WHERE id = ?1")?
        .query_row([id.to_string()], |row| row.get(0))
        .optional()?;
    text.map(|text| read(&text)).transpose()
}

fn keep_machine(tx: &Transaction<'_>, machine: &Machine) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT OR REPLACE INTO instances VALUES (?1, ?2)")?
        .execute(params![machine.spec.id.to_string(), write(machine)?])?;
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
            tx.prepare_cached("UPDATE commands SET data = ?3 WHERE instance = ?1 AND invoke = ?2")?
                .execute(params![id.to_string(), invoke, write(&command)?])?;
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

#[async_trait]
impl Driver for Sim {
    fn probe(&self) -> Result<(), Vec<Problem>> {
        Ok(())
    }

    fn bases(&self) -> Result<Vec<Base>, DriverError> {
        let bases = self.bases.lock().unwrap_or_else(PoisonError::into_inner);
        let own = SimBase {
            name: "debian-12".to_owned(),
            os_name: "Debian 12".to_owned(),
            platform: "Debian".to_owned(),
            architecture: "x86_64".to_owned(),
            agent: Agent::Present,
        };
        Ok([&own].into_iter().chain(&*bases).map(base).collect())
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
                tx.prepare_cached("INSERT OR IGNORE INTO layers VALUES (?1, ?2, ?3)")?
                    .execute(params![region, id, GIB.cast_signed()])?;
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
        let boot = self.boot().await?;
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
        let boot = self.boot().await?;
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
                tx.prepare_cached("DELETE FROM commands WHERE instance = ?1")?
                    .execute([&id])?;
                tx.prepare_cached("DELETE FROM commits WHERE instance = ?1")?
                    .execute([&id])?;
                tx.prepare_cached("DELETE FROM instances WHERE id = ?1")?
                    .execute([&id])?;
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
        let effect = self
            .change(id, move |tx, machine| {
                let key = params![subject.to_string(), command.invoke.to_string()];
                let known: Option<i64> = tx
                    .prepare_cached("SELECT 1 FROM commands WHERE instance = ?1 AND invoke = ?2")?
                    .query_row(key, |row| row.get(0))
                    .optional()?;
                if known.is_some() {
                    return Ok(Effect::Nothing);
                }
                let live = machine.boot.as_ref().filter(|boot| boot.agent_at <= now);
                let Some(boot) = live else {
                    return Err(DriverError::NoAgent { id: subject }.into());
                };
                let (result, effect) =
                    plan::decide(tx, (&machine.spec.name, &boot.id), &command, now)?;
                let row = Command {
                    boot_id: boot.id.clone(),
                    started_at: now,
                    result: if effect == Effect::Nothing {
                        result
                    } else {
                        interrupted(now, now)
                    },
                };
                tx.prepare_cached("INSERT INTO commands VALUES (?1, ?2, ?3)")?
                    .execute(params![
                        subject.to_string(),
                        command.invoke.to_string(),
                        write(&row)?
                    ])?;
                if effect == Effect::PowerOff {
                    machine.boot = None;
                    interrupt(tx, &subject, now)?;
                }
                Ok(effect)
            })
            .await?;
        if effect == Effect::Reboot {
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
                    .prepare_cached(
                        "SELECT data FROM commands WHERE instance = ?1 AND invoke = ?2",
                    )?
                    .query_row(params![key.0, key.1], |row| row.get(0))
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
            tx.prepare_cached("UPDATE commands SET data = ?3 WHERE instance = ?1 AND invoke = ?2")?
                .execute(params![subject, invoke, write(&row)?])?;
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
        if machine.boot.is_none_or(|boot| boot.agent_at > now) {
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
                    .prepare_cached("SELECT data FROM commits WHERE instance = ?1 AND id = ?2")?
                    .query_row(params![subject.to_string(), commit_id], |row| row.get(0))
                    .optional()?;
                if let Some(text) = known {
                    return Ok(read(&text)?);
                }
                let live = machine.boot.is_some();
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
                tx.prepare_cached("INSERT OR IGNORE INTO layers VALUES (?1, ?2, ?3)")?
                    .execute(params![
                        machine.spec.region.to_string(),
                        layer.to_string(),
                        1_i64 << 20
                    ])?;
                let mut layers = machine.layers.clone();
                layers.push(layer);
                if !live {
                    machine.layers.clone_from(&layers);
                }
                let commit = Commit {
                    layers,
                    size_bytes: GIB,
                    live,
                };
                tx.prepare_cached("INSERT INTO commits VALUES (?1, ?2, ?3)")?
                    .execute(params![subject.to_string(), commit_id, write(&commit)?])?;
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
                    tx.prepare_cached("INSERT OR IGNORE INTO layers VALUES (?1, ?2, ?3)")?
                        .execute(params![to.to_string(), layer.to_string(), size])?;
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
                    tx.prepare_cached("DELETE FROM layers WHERE region = ?1 AND id = ?2")?
                        .execute(params![region, layer.to_string()])?;
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
                    tx.prepare_cached("DELETE FROM layers WHERE region = ?1 AND id = ?2")?
                        .execute(params![layer.0, layer.1])?;
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
        .prepare_cached("SELECT size FROM layers WHERE region = ?1 AND id = ?2")?
        .query_row(params![region.to_string(), layer.to_string()], |row| {
            row.get(0)
        })
        .optional()?;
    size.ok_or_else(|| {
        DriverError::NoLayer {
            region: region.clone(),
            layer: layer.clone(),
        }
        .into()
    })
}
