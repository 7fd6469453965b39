//! The sandbox as a [`Driver`]: folders, layers, and conversations with supervisors.
//!
//! The driver itself keeps nothing in memory that matters: what is true is in the
//! instance's folder and in its supervisor, so that the next server's driver knows
//! as much as this one. Blocking work runs on the runtime's blocking threads.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use darkroom_ecs::id::{InstanceId, InvokeId, RegionId};
use jiff::Timestamp;

use super::Settings;
use super::cgroup::Layout;
use super::folder::{Disk, Folder, make_private, plain_name, read_json, sync_parent, write_json};
use super::layers::capture::capture;
use super::layers::commit::{commit, committed_layers, finish_pending, make_upper, pending_layers};
use super::layers::{Facts, Store, folders, remove};
use super::root_fs::MAXIMUM_LAYERS;
use super::rootless::layout::IdLayout;
use super::supervisor::commands::Begin;
use super::supervisor::protocol::{Answer, File, Orders, PROTOCOL, Request};
use super::talk::{self, Said};
use super::{probe, spawn};
use crate::bootstrap;
use crate::driver::{
    Base, CommandFault, CommandSpec, CommandState, CommandStatus, Commit, Driver, DriverError,
    FileFault, FileSpec, Finished, InstanceSpec, LayerId, Observed, Problem,
};

/// How long answers that need no waiting inside may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a supervisor that is ending may take to be gone, beyond its own grace.
const END_PATIENCE: Duration = Duration::from_mins(1);

/// Runs instances as root file systems in namespaces.
#[derive(Clone, Debug)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    store: Store,
    /// One change of the layer stores at a time: drafts have fixed names.
    layers: Mutex<()>,
    /// The begin of the names of this cloud's control groups.
    mark: String,
}

impl Sandbox {
    /// A driver for the folders of `settings`. Nothing is touched before it is used.
    pub fn new(settings: Settings) -> Self {
        let place = settings.root.join("instances");
        let place = std::path::absolute(&place).unwrap_or(place);
        let hash = blake3::hash(place.as_os_str().as_encoded_bytes());
        let mark = hash.to_hex().chars().take(8).collect();
        Self {
            inner: Arc::new(Inner {
                store: Store::new(&settings.root),
                layers: Mutex::new(()),
                mark,
                settings,
            }),
        }
    }

    /// Runs blocking work with the driver's insides.
    async fn blocking<T, F>(&self, work: F) -> Result<T, DriverError>
    where
        T: Send + 'static,
        F: FnOnce(&Inner) -> Result<T, DriverError> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .map_err(|error| other(format!("a thread of the driver ended early: {error}")))?
    }

    async fn ask(
        &self,
        id: &InstanceId,
        request: Request,
        patience: Duration,
    ) -> Result<Said, DriverError> {
        let folder = self.inner.existing(id)?;
        talk::ask(&folder, request, patience)
            .await
            .map_err(io_at(format!("asking the supervisor of {id}")))
    }

    /// Gives an order that ends the supervisor, and waits for its end.
    async fn end(&self, id: &InstanceId, request: Request) -> Result<(), DriverError> {
        let patience = self.inner.settings.stop_grace + END_PATIENCE;
        let end = Instant::now() + PATIENCE;
        loop {
            match self.ask(id, request.clone(), patience).await {
                Ok(Said::Answer(Answer::Failed(message))) => return Err(other(message)),
                // A supervisor that is only starting answers soon.
                Ok(Said::Nobody) if Instant::now() < end && self.is_supervised(id).await? => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                // Done, gone, or too slow to answer: what counts is the lock.
                Ok(_) | Err(DriverError::Io { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        let id = id.clone();
        self.blocking(move |inner| inner.wait_until_gone(&id)).await
    }

    async fn is_supervised(&self, id: &InstanceId) -> Result<bool, DriverError> {
        let folder = self.inner.existing(id)?;
        self.blocking(move |_| {
            let lock = folder.lock_settled();
            Ok(lock.map_err(io_at("looking for a supervisor"))?.is_none())
        })
        .await
    }
}

impl Inner {
    fn folder(&self, id: &InstanceId) -> Result<Folder, DriverError> {
        let name = plain_name(id.as_str()).map_err(io_at("naming an instance's folder"))?;
        Ok(Folder::new(self.settings.root.join("instances").join(name)))
    }

    fn existing(&self, id: &InstanceId) -> Result<Folder, DriverError> {
        let folder = self.folder(id)?;
        if folder.exists() {
            Ok(folder)
        } else {
            Err(DriverError::NoInstance { id: id.clone() })
        }
    }

    fn group(&self, id: &InstanceId) -> String {
        format!("{}.{id}", self.mark)
    }

    fn layers_locked<T>(&self, work: impl FnOnce(&Store) -> io::Result<T>) -> io::Result<T> {
        let _one = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        work(&self.store)
    }

    fn create(&self, spec: &InstanceSpec) -> Result<(), DriverError> {
        let folder = self.folder(&spec.id)?;
        if folder.exists() {
            return Ok(());
        }
        if spec.layers.len() > MAXIMUM_LAYERS {
            return Err(too_deep(spec.layers.len()));
        }
        for layer in &spec.layers {
            let has = self.store.has(&spec.region, layer);
            if !has.map_err(io_at("looking for a layer"))? {
                return Err(DriverError::NoLayer {
                    region: spec.region.clone(),
                    layer: layer.clone(),
                });
            }
        }
        let instances = self.settings.root.join("instances");
        let draft = Folder::new(instances.join(format!(".making-{}", spec.id)));
        let make = || {
            remove(draft.path())?;
            make_private(&draft.file("commands"))?;
            draft.set_disk(&Disk {
                layers: spec.layers.clone(),
            })?;
            make_upper(&self.store, &draft, &spec.region)?;
            write_json(&draft.file("spec.json"), spec)?;
            fs::rename(draft.path(), folder.path())?;
            sync_parent(folder.path())
        };
        make().map_err(io_at(format!("making the folder of {}", spec.id)))
    }

    /// Cleans up after the last boot and writes the orders for the next one.
    fn prepare_start(&self, id: &InstanceId, folder: &Folder) -> Result<(), DriverError> {
        let layout = Layout::discover().map_err(problem)?;
        let prepare = || {
            let spec = folder.spec()?;
            layout.sweep(&format!("{}.", self.group(id)))?;
            finish_pending(&self.store, folder)?;
            make_upper(&self.store, folder, &spec.region)?;
            let work = folder.disk_folder().join("work");
            remove(&work)?;
            make_private(&work)?;
            let orders = Orders {
                protocol: PROTOCOL,
                build_id: self.settings.build_id.clone(),
                layers: self.store.folder(&spec.region)?,
                group: self.group(id),
                deny: self.settings.deny.clone(),
                stop_grace: u64::try_from(self.settings.stop_grace.as_millis()).unwrap_or(u64::MAX),
            };
            write_json(&folder.file("orders.json"), &orders)
        };
        prepare().map_err(io_at(format!("preparing the start of {id}")))?;
        let layers = folder.disk().map_err(io_at("reading the layers"))?.layers;
        if layers.len() > MAXIMUM_LAYERS {
            return Err(too_deep(layers.len()));
        }
        Ok(())
    }

    /// Waits until no supervisor has the instance; kills one that doesn't end.
    fn wait_until_gone(&self, id: &InstanceId) -> Result<(), DriverError> {
        let folder = self.folder(id)?;
        let waiting = io_at(format!("waiting for the end of {id}"));
        let end = Instant::now() + PATIENCE;
        let mut killed = false;
        loop {
            match folder.lock_settled() {
                Ok(Some(_)) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(waiting(error)),
                Ok(None) => {}
            }
            if Instant::now() > end {
                if killed {
                    return Err(other(format!("the supervisor of {id} can't be ended")));
                }
                kill_supervisor(&folder);
                killed = true;
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// What there is when nobody answers: waits until nothing runs any more.
    fn settle(&self, id: &InstanceId) -> Result<Observed, DriverError> {
        match self.folder(id)?.lock_settled() {
            Ok(_) => Ok(Observed::Stopped),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Observed::Gone),
            Err(error) => Err(io_at(format!("waiting for the end of {id}"))(error)),
        }
    }

    /// Removes the folder and the control groups of an instance that doesn't run.
    fn remove_instance(&self, id: &InstanceId) -> Result<(), DriverError> {
        let folder = self.folder(id)?;
        let removing = io_at(format!("removing {id}"));
        let doomed = self
            .settings
            .root
            .join("instances")
            .join(format!(".removing-{id}"));
        let work = || {
            remove(&doomed)?;
            match fs::rename(folder.path(), &doomed) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            if let Ok(layout) = Layout::discover() {
                layout.sweep(&format!("{}.", self.group(id)))?;
            }
            remove(&doomed)
        };
        work().map_err(removing)
    }

    fn command(&self, id: &InstanceId, invoke: &InvokeId) -> Result<CommandState, DriverError> {
        let folder = self.existing(id)?;
        let reading = io_at(format!("reading command {invoke} of {id}"));
        let read = || -> io::Result<Option<CommandState>> {
            let end = folder.command(invoke, "end")?;
            if end.exists() {
                return Ok(Some(CommandState::Finished(read_json(&end)?)));
            }
            let begin = folder.command(invoke, "begin")?;
            if !begin.exists() {
                return Ok(None);
            }
            let Some(_lock) = folder.lock_settled()? else {
                // Somebody is starting or ending just now and will have it.
                return Ok(Some(CommandState::Pending));
            };
            if end.exists() {
                return Ok(Some(CommandState::Finished(read_json(&end)?)));
            }
            let begin: Begin = read_json(&begin)?;
            let finished = interrupted(begin.accepted_at);
            write_json(&end, &finished)?;
            Ok(Some(CommandState::Finished(finished)))
        };
        read()
            .map_err(reading)?
            .ok_or_else(|| DriverError::NoCommand {
                id: id.clone(),
                invoke: invoke.clone(),
            })
    }

    fn collect(
        &self,
        known: &[InstanceId],
        known_layers: &[(RegionId, LayerId)],
    ) -> Result<(), DriverError> {
        let instances = self.settings.root.join("instances");
        let mut keep = known_layers.to_vec();
        for id in known {
            let folder = self.folder(id)?;
            if !folder.exists() {
                continue;
            }
            let needed = || -> io::Result<Vec<(RegionId, LayerId)>> {
                let region = folder.spec()?.region;
                let mut layers = folder.disk()?.layers;
                layers.extend(pending_layers(&folder)?);
                layers.extend(committed_layers(&folder)?);
                Ok(layers
                    .into_iter()
                    .map(|layer| (region.clone(), layer))
                    .collect())
            };
            keep.extend(needed().map_err(io_at(format!("reading the disk of {id}")))?);
        }
        for name in folders(&instances).map_err(io_at("reading the instances"))? {
            if known.iter().any(|id| *id.as_str() == *name) {
                continue;
            }
            match name.parse::<InstanceId>() {
                Ok(id) if !name.starts_with('.') => {
                    kill_supervisor(&self.folder(&id)?);
                    self.wait_until_gone(&id)?;
                    self.remove_instance(&id)?;
                }
                _ => remove(&instances.join(&name)).map_err(io_at(format!("removing {name}")))?,
            }
        }
        self.layers_locked(|store| store.collect(&keep))
            .map_err(io_at("collecting layers"))?;
        self.sweep_groups(known)
    }

    /// Removes the control groups that no living supervisor has.
    fn sweep_groups(&self, known: &[InstanceId]) -> Result<(), DriverError> {
        let layout = Layout::discover().map_err(problem)?;
        for name in layout.names(&format!("{}.", self.mark)) {
            let id = name.split('.').nth(1).and_then(|id| id.parse().ok());
            let alive = id
                .filter(|id| known.contains(id))
                .and_then(|id| self.folder(&id).ok())
                .is_some_and(|folder| matches!(folder.lock_settled(), Ok(None)));
            if !alive {
                layout
                    .sweep(&name)
                    .map_err(io_at(format!("removing the control group {name}")))?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Driver for Sandbox {
    fn probe(&self) -> Result<(), Vec<Problem>> {
        probe::probe()
    }

    fn layout(&self) -> Option<IdLayout> {
        IdLayout::own()
    }

    fn bases(&self) -> Result<Vec<Base>, DriverError> {
        bootstrap::bases(&self.inner.settings.cache).map_err(io_at("reading the bases"))
    }

    async fn import_base(
        &self,
        base: &Base,
        region: &RegionId,
    ) -> Result<Vec<LayerId>, DriverError> {
        let (base, region) = (base.clone(), region.clone());
        self.blocking(move |inner| {
            let layer: LayerId = base
                .digest
                .parse()
                .map_err(|error| other(format!("{error}")))?;
            let tree = bootstrap::tree(&inner.settings.cache, &base.name);
            let facts = Facts {
                size_bytes: base.size_bytes,
            };
            inner
                .layers_locked(|store| store.import(&tree, facts, &region, &layer))
                .map_err(io_at(format!("copying base {} to {region}", base.name)))?;
            Ok(vec![layer])
        })
        .await
    }

    async fn create(&self, spec: &InstanceSpec) -> Result<(), DriverError> {
        let spec = spec.clone();
        self.blocking(move |inner| inner.create(&spec)).await
    }

    async fn start(&self, id: &InstanceId) -> Result<(), DriverError> {
        let folder = self.inner.existing(id)?;
        let end = Instant::now() + PATIENCE;
        loop {
            if let Said::Answer(Answer::Running { .. }) =
                self.ask(id, Request::Observe, PATIENCE).await?
            {
                return Ok(());
            }
            let (wanted, place) = (id.clone(), folder.clone());
            let command = self
                .blocking(move |inner| {
                    let held = place
                        .lock_settled()
                        .map_err(io_at("locking the instance"))?;
                    let Some(_held) = held else {
                        return Ok(None);
                    };
                    inner.prepare_start(&wanted, &place)?;
                    Ok(Some(spawn::command(&inner.settings, &place)))
                })
                .await?;
            if let Some(command) = command {
                let started = spawn::start(command, PATIENCE).await;
                return started.map_err(io_at(format!("starting {id}")));
            }
            // A supervisor is starting or ending just now.
            if Instant::now() > end {
                return Err(other(format!("the supervisor of {id} doesn't answer")));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn stop(&self, id: &InstanceId, force: bool) -> Result<(), DriverError> {
        self.end(id, Request::Stop { force }).await
    }

    async fn reboot(&self, id: &InstanceId, force: bool) -> Result<(), DriverError> {
        let patience = self.inner.settings.stop_grace + END_PATIENCE;
        let said = self.ask(id, Request::Reboot { force }, patience).await?;
        match said {
            Said::Answer(Answer::Done) => Ok(()),
            Said::Answer(Answer::Failed(message)) => Err(other(message)),
            // Not running, or killed on the way: a reboot ends with a running one.
            Said::Answer(_) | Said::Nobody => self.start(id).await,
        }
    }

    async fn delete(&self, id: &InstanceId) -> Result<(), DriverError> {
        match self.end(id, Request::Delete).await {
            Ok(()) | Err(DriverError::NoInstance { .. }) => {}
            Err(error) => return Err(error),
        }
        let id = id.clone();
        self.blocking(move |inner| inner.remove_instance(&id)).await
    }

    async fn observe(&self, id: &InstanceId) -> Result<Observed, DriverError> {
        match self.ask(id, Request::Observe, PATIENCE).await {
            Ok(Said::Answer(Answer::Running { boot_id, agent })) => {
                Ok(Observed::Running { boot_id, agent })
            }
            Ok(Said::Answer(answer)) => Err(unexpected(&answer)),
            Ok(Said::Nobody) => {
                let id = id.clone();
                self.blocking(move |inner| inner.settle(&id)).await
            }
            Err(DriverError::NoInstance { .. }) => Ok(Observed::Gone),
            Err(error) => Err(error),
        }
    }

    async fn run_command(&self, id: &InstanceId, command: &CommandSpec) -> Result<(), DriverError> {
        let folder = self.inner.existing(id)?;
        let begin = folder
            .command(&command.invoke, "begin")
            .map_err(io_at("naming a command"))?;
        if begin.exists() {
            return Ok(());
        }
        let request = Request::Run(Box::new(command.clone()));
        match self.ask(id, request, PATIENCE).await? {
            Said::Answer(Answer::Done) => Ok(()),
            Said::Answer(Answer::NoAgent) | Said::Nobody => {
                Err(DriverError::NoAgent { id: id.clone() })
            }
            Said::Answer(answer) => Err(unexpected(&answer)),
        }
    }

    async fn command(
        &self,
        id: &InstanceId,
        invoke: &InvokeId,
    ) -> Result<CommandState, DriverError> {
        let folder = self.inner.existing(id)?;
        let end = folder
            .command(invoke, "end")
            .map_err(io_at("naming a command"))?;
        if !end.exists()
            && let Said::Answer(Answer::Command(state)) = self
                .ask(id, Request::State(invoke.clone()), PATIENCE)
                .await?
        {
            return Ok(state);
        }
        let (id, invoke) = (id.clone(), invoke.clone());
        self.blocking(move |inner| inner.command(&id, &invoke))
            .await
    }

    async fn stop_command(&self, id: &InstanceId, invoke: &InvokeId) -> Result<(), DriverError> {
        let request = Request::StopCommand(invoke.clone());
        match self.ask(id, request, PATIENCE).await? {
            Said::Answer(Answer::Done) => Ok(()),
            Said::Answer(Answer::NoCommand) | Said::Nobody => {
                self.command(id, invoke).await.map(drop)
            }
            Said::Answer(answer) => Err(unexpected(&answer)),
        }
    }

    async fn send_file(
        &self,
        id: &InstanceId,
        file: &FileSpec,
    ) -> Result<Result<(), FileFault>, DriverError> {
        let request = Request::Place(Box::new(File {
            target_dir: file.target_dir.clone(),
            name: file.name.clone(),
            content: file.content.clone(),
            owner: file.owner.clone(),
            group: file.group.clone(),
            mode: file.mode,
            overwrite: file.overwrite,
        }));
        match self.ask(id, request, PATIENCE * 3).await? {
            Said::Answer(Answer::Placed(fault)) => Ok(fault.map_or(Ok(()), Err)),
            Said::Answer(Answer::NoAgent) | Said::Nobody => Ok(Err(FileFault::ClientNotRunning)),
            Said::Answer(answer) => Err(unexpected(&answer)),
        }
    }

    async fn commit(&self, id: &InstanceId, commit_id: &str) -> Result<Commit, DriverError> {
        let (id, commit_id) = (id.clone(), commit_id.to_owned());
        self.blocking(move |inner| {
            let folder = inner.existing(&id)?;
            let committing = |error| io_at(format!("committing the disk of {id}"))(error);
            let record = folder.commit(&commit_id, "").map_err(committing)?;
            if record.exists() {
                return read_json(&record).map_err(committing);
            }
            let Some(_lock) = folder.lock_settled().map_err(committing)? else {
                return inner
                    .layers_locked(|store| capture(store, &folder, &commit_id))
                    .map_err(committing);
            };
            inner
                .layers_locked(|store| commit(store, &folder, &commit_id))
                .map_err(committing)
        })
        .await
    }

    async fn copy_layers(
        &self,
        from: &RegionId,
        to: &RegionId,
        layers: &[LayerId],
    ) -> Result<(), DriverError> {
        let (from, to, layers) = (from.clone(), to.clone(), layers.to_vec());
        self.blocking(move |inner| {
            for layer in layers {
                let copy = |store: &Store| -> io::Result<bool> {
                    if store.has(&to, &layer)? {
                        return Ok(true);
                    }
                    if !store.has(&from, &layer)? {
                        return Ok(false);
                    }
                    let facts = store.facts(&from, &layer)?;
                    store.import(&store.tree(&from, &layer)?, facts, &to, &layer)?;
                    Ok(true)
                };
                let copied = inner.layers_locked(copy);
                if !copied.map_err(io_at(format!("copying layer {layer} to {to}")))? {
                    return Err(DriverError::NoLayer {
                        region: from,
                        layer,
                    });
                }
            }
            Ok(())
        })
        .await
    }

    async fn delete_layers(
        &self,
        region: &RegionId,
        layers: &[LayerId],
    ) -> Result<(), DriverError> {
        let (region, layers) = (region.clone(), layers.to_vec());
        self.blocking(move |inner| {
            for layer in layers {
                inner
                    .layers_locked(|store| store.delete(&region, &layer))
                    .map_err(io_at(format!("removing layer {layer} of {region}")))?;
            }
            Ok(())
        })
        .await
    }

    async fn collect(
        &self,
        known: &[InstanceId],
        known_layers: &[(RegionId, LayerId)],
    ) -> Result<(), DriverError> {
        let (known, known_layers) = (known.to_vec(), known_layers.to_vec());
        self.blocking(move |inner| inner.collect(&known, &known_layers))
            .await
    }
}

fn interrupted(accepted_at: Timestamp) -> Finished {
    Finished {
        status: CommandStatus::Failed,
        exit_code: None,
        output: Vec::new(),
        dropped: 0,
        error_code: Some(CommandFault::ExecutionInterrupted),
        error_info: Some("the instance lost its power".into()),
        started_at: Some(accepted_at),
        finished_at: Timestamp::now(),
    }
}

/// Cuts an instance's power from outside.
fn kill_supervisor(folder: &Folder) {
    if let Some(process) = folder.identity().and_then(super::folder::Identity::open) {
        let process = std::os::fd::AsFd::as_fd(&process);
        // It may have ended by itself meanwhile.
        let _ = super::sys::send_signal(process, libc::SIGKILL);
    }
}

fn io_at(operation: impl Into<String>) -> impl FnOnce(io::Error) -> DriverError {
    let operation = operation.into();
    move |source| DriverError::Io { operation, source }
}

fn other(message: String) -> DriverError {
    DriverError::Other {
        message,
        hint: None,
    }
}

fn problem(problem: Problem) -> DriverError {
    DriverError::Other {
        message: problem.message,
        hint: Some(problem.hint),
    }
}

fn too_deep(count: usize) -> DriverError {
    DriverError::Other {
        message: format!("the disk has {count} layers; {MAXIMUM_LAYERS} can be mounted"),
        hint: Some("begin from an image with fewer generations below it".into()),
    }
}

fn unexpected(answer: &Answer) -> DriverError {
    match answer {
        Answer::Failed(message) => other(message.clone()),
        answer => other(format!(
            "a supervisor answered {answer:?} to another question"
        )),
    }
}

/// Where the supervisor's executable is and what stands before the folder.
pub(super) fn default_arguments() -> Vec<std::ffi::OsString> {
    vec!["local".into(), "supervise".into()]
}
