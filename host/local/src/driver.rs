//! The seam between the cloud and the machines that it runs: what the server asks
//! of a driver, in words that know nothing of ECS's answers.
//!
//! Used by the server's jobs and actions, implemented by [`crate::sim`] and
//! [`crate::sandbox`]. A driver keeps no state that the server's rows contradict:
//! the server's rows say what should exist, [`Driver::observe`] says what does, and
//! every method can be called again after a crash with the same result. This file
//! must not contain behaviour.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use darkroom_ecs::id::{AccountId, InstanceId, InvokeId, RegionId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::sandbox::rootless::layout::IdLayout;

/// The name of a layer: the lower-case hexadecimal BLAKE3 digest of its canonical
/// manifest (a sim driver may use any short word of letters, digits and `-`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LayerId(String);

/// Why a text is no layer id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a layer id: letters, digits and '-', at most 128")]
pub struct BadLayerId(String);

impl LayerId {
    /// The id as it stands in folder names.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LayerId {
    type Err = BadLayerId;

    fn from_str(text: &str) -> Result<Self, BadLayerId> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if (1..=128).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadLayerId(text.to_owned()))
        }
    }
}

impl TryFrom<String> for LayerId {
    type Error = BadLayerId;

    fn try_from(text: String) -> Result<Self, BadLayerId> {
        text.parse()
    }
}

impl From<LayerId> for String {
    fn from(id: LayerId) -> Self {
        id.0
    }
}

impl fmt::Display for LayerId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Something that this machine lacks, found before anything is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// What is missing, in one sentence.
    pub message: String,
    /// What the person at this machine can do.
    pub hint: String,
}

/// Why a driver could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The instance's folder, process or row isn't there.
    #[error("instance {id} does not exist in the driver")]
    NoInstance {
        /// The instance asked for.
        id: InstanceId,
    },
    /// The instance is not in a state in which this can be done.
    #[error("instance {id} is {state}, it must be {needed}")]
    WrongState {
        /// The instance asked for.
        id: InstanceId,
        /// What it is now, a lower-case word.
        state: String,
        /// What it should have been.
        needed: String,
    },
    /// A layer is named that the region's store doesn't hold.
    #[error("layer {layer} is not in region {region}")]
    NoLayer {
        /// The region looked into.
        region: RegionId,
        /// The layer looked for.
        layer: LayerId,
    },
    /// The agent does not take commands (not started yet, or the system is going down).
    #[error("the agent of instance {id} is not running")]
    NoAgent {
        /// The instance asked for.
        id: InstanceId,
    },
    /// No such command was ever handed over.
    #[error("instance {id} has no command {invoke}")]
    NoCommand {
        /// The instance asked.
        id: InstanceId,
        /// The command asked for.
        invoke: InvokeId,
    },
    /// The machine refused an operation.
    #[error("{operation} failed")]
    Io {
        /// What was being done, with its subject ("creating the folder /…").
        operation: String,
        /// What the system answered.
        #[source]
        source: std::io::Error,
    },
    /// Anything else, with what can be done about it.
    #[error("{message}")]
    Other {
        /// What went wrong, in one sentence.
        message: String,
        /// What the person at this machine can do, if anything.
        hint: Option<String>,
    },
}

/// Whether the Cloud Assistant agent is on a disk. The agent of this cloud is a part of
/// its driver and really always there: without one on the disk it isn't asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agent {
    /// It is.
    #[default]
    Present,
    /// It is not.
    None,
    /// It has been installed and lives from the next start on.
    Coming,
}

/// A root file system that a driver offers as a public image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The family name, such as `debian-12`.
    pub name: String,
    /// The image's `OSName`, such as `Debian 12`.
    pub os_name: String,
    /// The image's Platform, such as `Debian`.
    pub platform: String,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// Whether it has the agent.
    #[serde(default)]
    pub agent: Agent,
    /// The content's digest; another digest is another public image.
    pub digest: String,
    /// Bytes on disk.
    pub size_bytes: u64,
    /// When it was made.
    pub made_at: Timestamp,
}

/// All that a driver needs to make an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSpec {
    /// The instance.
    pub id: InstanceId,
    /// The region whose layer store it uses.
    pub region: RegionId,
    /// The owner.
    pub account: AccountId,
    /// `InstanceName`.
    pub name: String,
    /// The host name inside the instance.
    pub host_name: String,
    /// The system disk's layers, the base first.
    pub layers: Vec<LayerId>,
    /// Its address in the private range, with the range's prefix length (`a.b.c.d/n`).
    pub private_ip: String,
    /// Whether it has a way out (bandwidth above zero).
    pub internet: bool,
    /// Virtual processors.
    pub cpu: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Size of the system disk in GiB.
    pub disk_gib: u32,
    /// User data, decoded.
    pub user_data: Option<Vec<u8>>,
}

/// What an instance is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed {
    /// Its init runs.
    Running {
        /// Another one after every boot.
        boot_id: String,
        /// Whether the agent takes commands.
        agent: bool,
    },
    /// It exists and nothing of it runs. A supervisor that died is a power cut.
    Stopped,
    /// It does not exist.
    Gone,
}

/// The language of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandKind {
    /// `RunShellScript`.
    Shell,
    /// `RunBatScript`.
    Bat,
    /// `RunPowerShellScript`.
    PowerShell,
}

/// Who is ended when a command must end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Termination {
    /// Only the script's own process (`Process`).
    Process,
    /// Everything that it started (`ProcessTree`).
    #[default]
    ProcessTree,
}

/// One command for one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandSpec {
    /// The invocation; the same id handed over again is the same command.
    pub invoke: InvokeId,
    /// The language.
    pub kind: CommandKind,
    /// The script, decoded.
    pub content: Vec<u8>,
    /// The directory; none: the user's default (`/root`).
    pub working_dir: Option<String>,
    /// The user; none: root.
    pub username: Option<String>,
    /// Seconds after which it is ended.
    pub timeout_seconds: u64,
    /// Who is ended then.
    pub termination: Termination,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandStatus {
    /// Exit code 0.
    Success,
    /// Another exit code, or interrupted by the end of its instance.
    Failed,
    /// Ended by its time limit.
    Timeout,
    /// Ended by `StopInvocation`.
    Terminated,
    /// It could not be started.
    Error,
}

/// ECS's `ErrorCode` of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandFault {
    /// The instance does not run.
    InstanceNotRunning,
    /// The instance was deleted.
    InstanceReleased,
    /// The language doesn't fit the system.
    CommandNotApplicable,
    /// No such user.
    AccountNotExists,
    /// No such working directory.
    DirectoryNotExists,
    /// The agent does not run.
    ClientNotRunning,
    /// The agent does not answer.
    ClientNotResponse,
    /// It could not be delivered within a minute.
    DeliveryTimeout,
    /// Its time limit passed.
    ExecutionTimeout,
    /// It could not be started.
    ExecutionException,
    /// Its instance went down under it.
    ExecutionInterrupted,
    /// It ended with an exit code other than 0.
    ExitCodeNonzero,
}

impl CommandFault {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InstanceNotRunning => "InstanceNotRunning",
            Self::InstanceReleased => "InstanceReleased",
            Self::CommandNotApplicable => "CommandNotApplicable",
            Self::AccountNotExists => "AccountNotExists",
            Self::DirectoryNotExists => "DirectoryNotExists",
            Self::ClientNotRunning => "ClientNotRunning",
            Self::ClientNotResponse => "ClientNotResponse",
            Self::DeliveryTimeout => "DeliveryTimeout",
            Self::ExecutionTimeout => "ExecutionTimeout",
            Self::ExecutionException => "ExecutionException",
            Self::ExecutionInterrupted => "ExecutionInterrupted",
            Self::ExitCodeNonzero => "ExitCodeNonzero",
        }
    }
}

/// The end of a command, kept for ever as it was first seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// How it ended.
    pub status: CommandStatus,
    /// Its exit code, where it had one.
    pub exit_code: Option<i32>,
    /// The last bytes of the merged output, at most [`OUTPUT_LIMIT`].
    pub output: Vec<u8>,
    /// How many bytes before them were dropped.
    pub dropped: u64,
    /// Why it failed, where it did.
    pub error_code: Option<CommandFault>,
    /// The same in a sentence.
    pub error_info: Option<String>,
    /// When it was started; none where it never was.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// What has become of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandState {
    /// Accepted, not started.
    Pending,
    /// It runs.
    Running {
        /// Since when.
        started_at: Timestamp,
        /// The last bytes of its output until now, at most [`RUNNING_OUTPUT_LIMIT`].
        output: Vec<u8>,
    },
    /// It ended.
    Finished(Finished),
}

/// Output kept of a finished command: Cloud Assistant's 24 KB.
pub const OUTPUT_LIMIT: usize = 24 * 1024;

/// Output shown of a running command.
pub const RUNNING_OUTPUT_LIMIT: usize = 6000;

/// One file for one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSpec {
    /// The invocation; sent again, the same file.
    pub invoke: InvokeId,
    /// The directory, made where it is missing.
    pub target_dir: String,
    /// The name in it.
    pub name: String,
    /// The bytes, decoded.
    pub content: Vec<u8>,
    /// The owner (`root` by default).
    pub owner: String,
    /// The group (`root` by default).
    pub group: String,
    /// The mode bits.
    pub mode: u32,
    /// Whether a file that is there is replaced.
    pub overwrite: bool,
}

/// ECS's `ErrorCode` of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileFault {
    /// It could not be written.
    FileCreateFail,
    /// There is one, and `overwrite` was not asked for.
    FileAlreadyExists,
    /// The content is not what its type says.
    FileContentInvalid,
    /// The name is none.
    FileNameInvalid,
    /// The directory is none.
    FilePathInvalid,
    /// The mode is none.
    FileAuthorityInvalid,
    /// No such owner or group.
    UserGroupNotExists,
    /// The agent does not run.
    ClientNotRunning,
}

impl FileFault {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FileCreateFail => "FileCreateFail",
            Self::FileAlreadyExists => "FileAlreadyExists",
            Self::FileContentInvalid => "FileContentInvalid",
            Self::FileNameInvalid => "FileNameInvalid",
            Self::FilePathInvalid => "FilePathInvalid",
            Self::FileAuthorityInvalid => "FileAuthorityInvalid",
            Self::UserGroupNotExists => "UserGroupNotExists",
            Self::ClientNotRunning => "ClientNotRunning",
        }
    }
}

/// A system disk's content at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The layers, the base first.
    pub layers: Vec<LayerId>,
    /// Bytes of all of them on disk.
    pub size_bytes: u64,
    /// Whether the instance ran: then it goes on upon what it stood on before.
    #[serde(default)]
    pub live: bool,
}

/// What runs the instances of a local cloud.
///
/// Every method may be called again with the same arguments after a crash of the
/// server and ends in the same state.
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// Missing privileges and packages, checked when a server starts.
    ///
    /// # Errors
    /// All problems at once.
    fn probe(&self) -> Result<(), Vec<Problem>>;

    /// How the owners of files are laid out on disk; folders of another layout are
    /// refused. None: this driver has no files.
    fn layout(&self) -> Option<IdLayout> {
        None
    }

    /// The bases that it can offer as public images.
    ///
    /// # Errors
    /// When the place where they are kept can't be read.
    fn bases(&self) -> Result<Vec<Base>, DriverError>;

    /// Puts a base's layers into a region's store, and says which they are.
    ///
    /// # Errors
    /// When it can't be copied there.
    async fn import_base(
        &self,
        base: &Base,
        region: &RegionId,
    ) -> Result<Vec<LayerId>, DriverError>;

    /// Makes the instance's folder; nothing runs yet. Again: nothing changes.
    ///
    /// # Errors
    /// When a layer is missing or the folder can't be made.
    async fn create(&self, spec: &InstanceSpec) -> Result<(), DriverError>;

    /// Boots it. Returns when init has been started; the agent may come later.
    /// Running already: nothing.
    ///
    /// # Errors
    /// When it doesn't exist or can't be started.
    async fn start(&self, id: &InstanceId) -> Result<(), DriverError>;

    /// Shuts it down, or cuts its power; returns when nothing of it runs.
    ///
    /// # Errors
    /// When it doesn't exist or can't be stopped.
    async fn stop(&self, id: &InstanceId, force: bool) -> Result<(), DriverError>;

    /// Shuts it down and boots it; returns when init has been started again, with
    /// another boot id.
    ///
    /// # Errors
    /// When it doesn't exist or can't be started again.
    async fn reboot(&self, id: &InstanceId, force: bool) -> Result<(), DriverError>;

    /// Removes processes, mounts and the folder. Gone already: nothing.
    ///
    /// # Errors
    /// When something of it can't be removed.
    async fn delete(&self, id: &InstanceId) -> Result<(), DriverError>;

    /// What is true now.
    ///
    /// # Errors
    /// When it can't be told.
    async fn observe(&self, id: &InstanceId) -> Result<Observed, DriverError>;

    /// Hands a command over; returns when it is kept where the instance's end or
    /// the server's doesn't lose it. The same invocation again: nothing.
    ///
    /// # Errors
    /// [`DriverError::NoAgent`] when nobody takes it.
    async fn run_command(&self, id: &InstanceId, command: &CommandSpec) -> Result<(), DriverError>;

    /// What has become of a command.
    ///
    /// # Errors
    /// [`DriverError::NoCommand`] when it was never handed over.
    async fn command(
        &self,
        id: &InstanceId,
        invoke: &InvokeId,
    ) -> Result<CommandState, DriverError>;

    /// Ends a command. Ended already: nothing.
    ///
    /// # Errors
    /// When it was never handed over.
    async fn stop_command(&self, id: &InstanceId, invoke: &InvokeId) -> Result<(), DriverError>;

    /// Writes a file into a running instance. The outer error is the driver's, the
    /// inner one the instance's.
    ///
    /// # Errors
    /// When the instance can't be reached.
    async fn send_file(
        &self,
        id: &InstanceId,
        file: &FileSpec,
    ) -> Result<Result<(), FileFault>, DriverError>;

    /// Turns what a stopped instance has written into a layer of its region's
    /// store; the instance goes on with an empty one above it. Of a running one a copy
    /// of what is on its disk becomes the layer, and it goes on as it is. `commit_id`
    /// again (also after a crash, also when the instance has been started since): the
    /// same answer.
    ///
    /// # Errors
    /// When the layer can't be written.
    async fn commit(&self, id: &InstanceId, commit_id: &str) -> Result<Commit, DriverError>;

    /// Copies layers into another region's store; those that are there are kept.
    ///
    /// # Errors
    /// When one is missing or can't be written.
    async fn copy_layers(
        &self,
        from: &RegionId,
        to: &RegionId,
        layers: &[LayerId],
    ) -> Result<(), DriverError>;

    /// Removes layers from a region's store; those that are gone are no error.
    ///
    /// # Errors
    /// When one can't be removed.
    async fn delete_layers(&self, region: &RegionId, layers: &[LayerId])
    -> Result<(), DriverError>;

    /// At the start of a server: takes over what is known and removes folders,
    /// processes, mounts and layers that no row knows. Layers that a known instance
    /// stands on stay, also when no row names them: the server may have died between
    /// a commit and writing it down.
    ///
    /// # Errors
    /// When the folders can't be read.
    async fn collect(
        &self,
        known: &[InstanceId],
        known_layers: &[(RegionId, LayerId)],
    ) -> Result<(), DriverError>;
}
