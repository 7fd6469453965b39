//! What the driver and a supervisor say to each other: one line of JSON each way on
//! a connection of its own.
//!
//! The supervisor may be older than the server that talks to it: servers are
//! replaced while instances run. A change that an older one can't read needs a new
//! [`PROTOCOL`] and an answer to the old one.

use serde::{Deserialize, Serialize};

use crate::driver::{CommandSpec, CommandState, FileFault};
use darkroom_ecs::id::InvokeId;

use super::super::network::policy::Block;

/// The version of everything in this file.
pub const PROTOCOL: u32 = 1;

/// The longest line: a file of 32 KiB and a command of 24 KiB fit easily, and a
/// stray client can't fill the memory.
pub const LONGEST_LINE: u64 = 4 * 1024 * 1024;

/// `orders.json`: what the driver configures for the next supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// The build of the driver, for the log.
    pub build_id: String,
    /// The folder of the region's layers.
    pub layers: std::path::PathBuf,
    /// The begin of the instance's group names.
    pub group: String,
    /// Ranges that it may not reach.
    pub deny: Vec<Block>,
    /// How long an orderly end may take, in milliseconds.
    pub stop_grace: u64,
}

/// A line to the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// What is asked.
    pub request: Request,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// How are you?
    Observe,
    /// Take this command.
    Run(Box<CommandSpec>),
    /// What has become of a command?
    State(InvokeId),
    /// End a command.
    StopCommand(InvokeId),
    /// Write a file.
    Place(Box<File>),
    /// Run root's login shell on the terminal that comes with this line.
    Shell {
        /// What `TERM` calls the terminal.
        terminal: String,
    },
    /// Shut down, or cut the power.
    Stop {
        /// Cut the power.
        force: bool,
    },
    /// Shut down or cut the power, and boot.
    Reboot {
        /// Cut the power.
        force: bool,
    },
    /// Cut the power: the instance is going to be removed.
    Delete,
}

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// The directory.
    pub target_dir: String,
    /// The name in it.
    pub name: String,
    /// The bytes.
    pub content: Vec<u8>,
    /// The owner's name.
    pub owner: String,
    /// The group's name.
    pub group: String,
    /// The mode bits.
    pub mode: u32,
    /// Whether one that is there is replaced.
    pub overwrite: bool,
}

/// A line from the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Init runs.
    Running {
        /// This boot's id.
        boot_id: String,
        /// Whether commands are taken.
        agent: bool,
    },
    /// It is done.
    Done,
    /// A command's state, unless it has ended: then a file says so.
    Command(CommandState),
    /// The file was written, or the instance says why not.
    Placed(Option<FileFault>),
    /// A shell has ended.
    Ended {
        /// Its exit code, or 128 and the signal.
        exit: i32,
    },
    /// Commands and files aren't taken now.
    NoAgent,
    /// No such command, or one that has ended.
    NoCommand,
    /// It could not be done.
    Failed(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_first_version_are_read_for_ever() {
        for line in [
            r#"{"protocol":1,"request":"observe"}"#,
            r#"{"protocol":1,"request":{"stop":{"force":true}}}"#,
            r#"{"protocol":1,"request":{"state":"t-1"}}"#,
            r#"{"protocol":1,"request":{"shell":{"terminal":"xterm"}}}"#,
        ] {
            let question: Question = serde_json::from_str(line).unwrap();
            assert_eq!(serde_json::to_string(&question).unwrap(), line);
        }
        let line = r#"{"running":{"boot_id":"b","agent":false}}"#;
        let answer: Answer = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&answer).unwrap(), line);
    }
}
