//! The life of an instance under one supervisor.
//!
//! ```text
//!            ┌──── reboot inside, or ordered ────┐
//! (begin) ─► Running ──────────────────────────► Down ─► (end: Stopped)
//!            ordered stop or delete, power off inside, crash of init
//! ```
//! One thread, the one that [`super::supervise`] was called on, owns these
//! transitions; it must outlive init, which dies with it.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Pid;
use tokio::sync::oneshot;

use super::super::folder::{Folder, Identity, write_json};
use super::super::sys;
use super::commands::Commands;
use super::log::Log;
use super::machine::{Boot, Down, Ended, Recipe};
use super::protocol::Answer;
use super::serve::serve;

/// How long commands of an ended instance may take to write their ends.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// What the driver wants of the instance as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Shut down or cut the power.
    Stop {
        /// Cut the power.
        force: bool,
    },
    /// The same, and boot.
    Reboot {
        /// Cut the power.
        force: bool,
    },
    /// Cut the power before removal.
    Delete,
}

/// What the keeper waits for.
#[derive(Debug)]
pub enum Event {
    /// The driver wants something; it waits for the answer.
    Order(Order, oneshot::Sender<Answer>),
    /// The init of the boot with this id has ended.
    Ended(String, sys::Exit),
}

/// What the answering threads see.
#[derive(Debug)]
pub struct Shared {
    boot: Mutex<Option<Arc<Boot>>>,
    last_boot_id: Mutex<String>,
    /// All commands.
    pub commands: Arc<Commands>,
    /// The log.
    pub log: Arc<Log>,
}

impl Shared {
    /// Nothing runs yet.
    pub fn new(folder: Folder, log: Log) -> Arc<Self> {
        let log = Arc::new(log);
        Arc::new(Self {
            boot: Mutex::default(),
            last_boot_id: Mutex::default(),
            commands: Arc::new(Commands::new(folder, Arc::clone(&log))),
            log,
        })
    }

    /// The running boot, if any.
    pub fn boot(&self) -> Option<Arc<Boot>> {
        self.boot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(Arc::clone)
    }

    /// What the driver is told. Between two boots it is still the last one, whose
    /// agent has gone.
    pub fn observe(&self) -> Answer {
        let boot = self.boot();
        let last = self.last_boot_id.lock();
        Answer::Running {
            boot_id: last.unwrap_or_else(PoisonError::into_inner).clone(),
            agent: boot.is_some_and(|boot| boot.agent()),
        }
    }

    fn set_boot(&self, boot: Option<Arc<Boot>>) {
        if let Some(boot) = &boot {
            let mut last = self
                .last_boot_id
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            last.clone_from(&boot.id);
        }
        *self.boot.lock().unwrap_or_else(PoisonError::into_inner) = boot;
    }
}

/// Owns one instance.
#[derive(Debug)]
pub struct Keeper {
    folder: Folder,
    recipe: Recipe,
    grace: Duration,
    runtime: tokio::runtime::Handle,
    shared: Arc<Shared>,
    events: Receiver<Event>,
    sender: Sender<Event>,
}

impl Keeper {
    /// Prepares; nothing runs yet.
    pub fn new(
        folder: Folder,
        recipe: Recipe,
        grace: Duration,
        runtime: tokio::runtime::Handle,
        shared: Arc<Shared>,
    ) -> Self {
        let (sender, events) = std::sync::mpsc::channel();
        Self {
            folder,
            recipe,
            grace,
            runtime,
            shared,
            events,
            sender,
        }
    }

    /// Boots.
    ///
    /// # Errors
    /// What failed.
    pub fn boot(&self) -> io::Result<String> {
        let started = |init: Pid| write_json(&self.folder.file("init.json"), &Identity::of(init)?);
        let boot = Arc::new(Boot::start(&self.recipe, &self.runtime, &started)?);
        let id = boot.id.clone();
        self.shared.log.say(&format!("boot {id}"));
        for what in &boot.groups.unlimited {
            self.shared.log.say(&format!("no limit for {what}"));
        }
        let (sender, waited) = (self.sender.clone(), Arc::clone(&boot));
        std::thread::spawn(move || {
            let exit = sys::wait(waited.init.pidfd.as_fd()).unwrap_or(sys::Exit::Code(-1));
            // The keeper has gone: then so will the process.
            let _ = sender.send(Event::Ended(waited.id.clone(), exit));
        });
        self.shared.set_boot(Some(boot));
        Ok(id)
    }

    /// Serves the socket and keeps the instance until it is down for good.
    pub fn keep(&self, listener: UnixListener) {
        let sender = self.sender.clone();
        let shared = Arc::clone(&self.shared);
        let log = Arc::clone(&self.shared.log);
        self.runtime.spawn(async move {
            let listening = listener
                .set_nonblocking(true)
                .and_then(|()| tokio::net::UnixListener::from_std(listener));
            match listening {
                Ok(listener) => serve(listener, shared, sender).await,
                Err(error) => log.say(&format!("the socket can't be served: {error}")),
            }
        });
        while let Ok(event) = self.events.recv() {
            let goes_on = match event {
                Event::Order(order, reply) => self.obey(order, reply),
                Event::Ended(id, exit) => self.ended(&id, exit),
            };
            if !goes_on {
                return;
            }
        }
    }

    /// True when the instance runs afterwards.
    fn obey(&self, order: Order, reply: oneshot::Sender<Answer>) -> bool {
        let (point, down, again) = match order {
            Order::Stop { force } => ("supervisor.stop", halt(force), false),
            Order::Reboot { force: false } => ("supervisor.reboot", Down::Reboot, true),
            Order::Reboot { force: true } => ("supervisor.reboot", Down::PowerCut, true),
            Order::Delete => ("supervisor.delete", Down::PowerCut, false),
        };
        darkroom_failpoint::reach_blocking(point);
        self.shared.log.say(&format!("{order:?}"));
        if let Some(boot) = self.shared.boot() {
            boot.bring_down(down, self.grace);
        }
        self.put_away();
        let answer = if again {
            match self.boot() {
                Ok(_) => Answer::Done,
                Err(error) => {
                    self.shared.log.say(&format!("no boot: {error}"));
                    Answer::Failed(error.to_string())
                }
            }
        } else {
            Answer::Done
        };
        let goes_on = again && answer == Answer::Done;
        // The driver may have gone; it will ask again.
        let _ = reply.send(answer);
        goes_on
    }

    /// True when the instance runs afterwards.
    fn ended(&self, id: &str, exit: sys::Exit) -> bool {
        if self.shared.boot().is_none_or(|boot| boot.id != id) {
            // An end that was waited for.
            return true;
        }
        let ended = Ended::from(exit);
        self.shared.log.say(&format!("init ended: {ended:?}"));
        self.put_away();
        ended == Ended::Reboot
            && self
                .boot()
                .inspect_err(|error| self.shared.log.say(&format!("no boot: {error}")))
                .is_ok()
    }

    /// Removes what the ended boot leaves.
    fn put_away(&self) {
        let Some(boot) = self.shared.boot() else {
            return;
        };
        if let Err(error) = boot.clean_up() {
            self.shared.log.say(&format!("cleaning up: {error}"));
        }
        self.shared.set_boot(None);
        self.shared.commands.wait_for_all(LAST_WORDS);
    }
}

fn halt(force: bool) -> Down {
    if force { Down::PowerCut } else { Down::Halt }
}
