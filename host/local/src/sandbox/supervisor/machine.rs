//! One boot of an instance: everything from fresh control groups to a running init,
//! and everything back.
//!
//! ```text
//! supervisor                                child
//! devices, groups, plan
//! clone3 (user, mount, pid, uts, ipc, net) ─► wait for the root file system
//! id maps, v1 groups, user namespace
//! overlay with mapped owners
//! network, tools of the host
//! send the overlay ─────────────────────────► mounts, pivot, execute init
//! end of the report pipe: init runs ◄──────── (descriptors close)
//! ```
//! The thread that calls [`Boot::start`] must live as long as the instance: when it
//! ends, the kernel kills init. That is how killing the supervisor is a power cut.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, OFlags};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use rustix::process::Pid;

use super::super::accounts::open_inside;
use super::super::cgroup::{Groups, Layout, MAXIMUM_PROCESSES};
use super::super::child::{Record, boot};
use super::super::network::{NOTIFY, Network};
use super::super::root_fs::{self, Owners, Parts};
use super::super::rootless::ids::{COUNT, IdMap, Kind};
use super::super::{network, sys};

/// How long after its start an init that never says "ready" is taken to be as far
/// as it gets: a unit that hangs must not keep the agent away, which on ECS is one
/// unit among others.
const AGENT_GRACE: Duration = Duration::from_secs(20);

/// Signals to systemd as PID 1: halt and reboot in an orderly way.
const SHUT_DOWN: i32 = 3;
const REBOOT: i32 = 5;

/// An orderly end is asked for again in this interval: an init that has only just
/// begun doesn't hear the first time.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Host devices that an instance has.
const DEVICES: [&CStr; 6] = [c"null", c"zero", c"full", c"random", c"urandom", c"tty"];

/// Init, and how systemd must be told to behave in a namespace: units that can't
/// work here, and timers that would disturb builds, are masked. systemd in a
/// container reads its own arguments as the kernel's command line.
const INIT: &CStr = c"/sbin/init";
const ARGUMENTS: [&CStr; 8] = [
    INIT,
    c"--unit=multi-user.target",
    c"systemd.mask=sys-kernel-debug.mount",
    c"systemd.mask=sys-kernel-tracing.mount",
    c"systemd.mask=e2scrub_reap.service",
    c"systemd.mask=apt-daily.timer",
    c"systemd.mask=apt-daily-upgrade.timer",
    // No module can be loaded in a namespace; newer versions fail instead of skipping it.
    c"systemd.mask=systemd-modules-load.service",
];

/// What a boot is made from.
#[derive(Debug)]
pub struct Recipe {
    /// Layers and disk.
    pub parts: Parts,
    /// The network.
    pub network: network::Plan,
    /// The host name.
    pub host_name: String,
    /// Memory limit.
    pub memory_mib: u64,
    /// Where the control groups can be.
    pub layout: Layout,
    /// The begin of the groups' names.
    pub group: String,
}

/// A running init and all that belongs to it.
#[derive(Debug)]
pub struct Boot {
    /// This boot's id.
    pub id: String,
    /// Init.
    pub init: sys::Child,
    /// Its control groups.
    pub groups: Groups,
    /// The instance's root folder.
    pub root: OwnedFd,
    /// Whether init has said that it is ready.
    agent: Arc<AtomicBool>,
    /// Whether init has been told, or has said, that it ends.
    going_down: Arc<AtomicBool>,
    /// Numbers the command groups.
    commands: AtomicU64,
    _network: Network,
    watchers: Vec<tokio::task::JoinHandle<()>>,
}

/// How an init ended, in the words of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It asked for a reboot.
    Reboot,
    /// It asked for power off or halt.
    PowerOff,
    /// Something killed it, or it left.
    Crash(sys::Exit),
}

impl From<sys::Exit> for Ended {
    /// A reboot system call in a process namespace ends its init by a signal.
    fn from(exit: sys::Exit) -> Self {
        match exit {
            sys::Exit::Signal(libc::SIGHUP) => Self::Reboot,
            sys::Exit::Signal(libc::SIGINT) => Self::PowerOff,
            other => Self::Crash(other),
        }
    }
}

impl Boot {
    /// Starts init. See the module's words for the order and for the thread.
    /// `cloned` is told init's process id before init's program runs.
    ///
    /// # Errors
    /// What failed, in a sentence. Nothing is left then.
    pub fn start(
        recipe: &Recipe,
        runtime: &tokio::runtime::Handle,
        cloned: &dyn Fn(Pid) -> io::Result<()>,
    ) -> io::Result<Self> {
        let id = uuid::Uuid::new_v4().to_string();
        let name = format!("{}.{}", recipe.group, id.get(..8).unwrap_or_default());
        let groups = Groups::make(
            &recipe.layout,
            &name,
            recipe.parts.owners.root(),
            recipe.memory_mib,
        )
        .map_err(|error| named("making the control groups", &error))?;
        match Self::start_in(recipe, runtime, &id, &groups, cloned) {
            Ok(started) => Ok(Self {
                id,
                groups,
                commands: AtomicU64::new(0),
                init: started.init,
                root: started.root,
                agent: started.agent,
                going_down: started.going_down,
                _network: started.network,
                watchers: started.watchers,
            }),
            Err(error) => {
                let _ = groups.remove();
                Err(error)
            }
        }
    }

    fn start_in(
        recipe: &Recipe,
        runtime: &tokio::runtime::Handle,
        id: &str,
        groups: &Groups,
        told: &dyn Fn(Pid) -> io::Result<()>,
    ) -> io::Result<Started> {
        let boot_id = format!("{id}\n");
        let resolv_conf = recipe.network.resolv_conf();
        let devices = devices()?;
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let (report, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let arguments = pointers(&ARGUMENTS);
        let environment = [
            c"container=darkroom".to_owned(),
            c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
            CString::new(format!("NOTIFY_SOCKET=@{NOTIFY}")).map_err(io::Error::other)?,
        ];
        let environment = pointers(&environment);
        let highest_pid = MAXIMUM_PROCESSES.to_string();
        let plan = boot::Plan {
            socket: theirs.as_fd(),
            supervisors: ours.as_fd(),
            report: write.as_fd(),
            devices: &devices,
            boot_id: boot_id.as_bytes(),
            resolv_conf: resolv_conf.as_bytes(),
            highest_pid: (!groups.limits_processes()).then_some(highest_pid.as_bytes()),
            host_name: recipe.host_name.as_bytes(),
            words: sys::OwnWords::find()?,
            program: INIT,
            arguments: &arguments,
            environment: &environment,
        };
        let folder = groups.open()?;
        let spaces = libc::CLONE_NEWUSER
            | libc::CLONE_NEWNS
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWNET;
        let mut program = || plan.execute();
        #[expect(unsafe_code, reason = "clone3 of a process with threads")]
        // SAFETY: the plan's program makes system calls on prepared memory only.
        let cloned = unsafe { sys::spawn_child(spaces, Some(folder.as_fd()), &mut program) };
        let init = cloned.map_err(|error| named("cloning a process into namespaces", &error))?;
        drop((theirs, write));
        let cloned = told(init.pid);
        darkroom_failpoint::reach_blocking("supervisor.boot");
        let ready = cloned.and_then(|()| prepare(recipe, runtime, groups, &init, &ours));
        let started = ready.and_then(|ready| {
            wait_for_init(&report)?;
            Ok(ready)
        });
        match started {
            Ok(ready) => {
                let mut started = Started {
                    init,
                    root: ready.root,
                    network: ready.network,
                    // Ours has nothing to start, and never says that it is ready.
                    agent: Arc::new(AtomicBool::new(ready.init == Init::Own)),
                    going_down: Arc::new(AtomicBool::new(false)),
                    watchers: Vec::new(),
                };
                started.watch(ready.notify, runtime)?;
                Ok(started)
            }
            Err(error) => {
                let _ = sys::send_signal(init.pidfd.as_fd(), libc::SIGKILL);
                let _ = sys::wait(init.pidfd.as_fd());
                Err(error)
            }
        }
    }

    /// Whether commands are taken.
    pub fn agent(&self) -> bool {
        self.agent.load(Ordering::Acquire) && !self.going_down()
    }

    /// Whether its end has begun.
    pub fn going_down(&self) -> bool {
        self.going_down.load(Ordering::Acquire)
    }

    /// The number of the next command group.
    pub fn next_command(&self) -> u64 {
        self.commands.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether init has ended, at the latest after `patience`.
    pub fn ended_within(&self, patience: Duration) -> bool {
        readable_within(&self.init.pidfd, patience)
    }

    /// Ends init, in an orderly way for `grace` and then with a power cut. Returns
    /// when nothing of the instance runs any more.
    pub fn bring_down(&self, how: Down, grace: Duration) {
        self.going_down.store(true, Ordering::Release);
        let signal = match how {
            Down::Halt => Some(SHUT_DOWN),
            Down::Reboot => Some(REBOOT),
            Down::PowerCut => None,
        };
        if let Some(signal) = signal {
            let end = std::time::Instant::now() + grace;
            while std::time::Instant::now() < end {
                let signal = sys::real_time_signal(signal);
                let _ = sys::send_signal(self.init.pidfd.as_fd(), signal);
                if self.ended_within(ASK_AGAIN.min(grace)) {
                    return;
                }
            }
        }
        let _ = sys::send_signal(self.init.pidfd.as_fd(), libc::SIGKILL);
        while !self.ended_within(Duration::from_secs(1)) {}
    }

    /// Removes what the boot leaves behind, when init has ended.
    ///
    /// # Errors
    /// When something doesn't go.
    pub fn clean_up(&self) -> io::Result<()> {
        self.going_down.store(true, Ordering::Release);
        for watcher in &self.watchers {
            watcher.abort();
        }
        self.groups.remove()
    }
}

impl Drop for Boot {
    fn drop(&mut self) {
        for watcher in &self.watchers {
            watcher.abort();
        }
    }
}

/// How an instance is brought down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down {
    /// It shuts down and stays off.
    Halt,
    /// It shuts down and comes again.
    Reboot,
    /// Everything in it dies at once.
    PowerCut,
}

struct Started {
    init: sys::Child,
    root: OwnedFd,
    network: Network,
    agent: Arc<AtomicBool>,
    going_down: Arc<AtomicBool>,
    watchers: Vec<tokio::task::JoinHandle<()>>,
}

impl Started {
    /// Listens to what init says about itself.
    fn watch(&mut self, notify: UnixDatagram, runtime: &tokio::runtime::Handle) -> io::Result<()> {
        let _inside = runtime.enter();
        notify.set_nonblocking(true)?;
        let socket = tokio::net::UnixDatagram::from_std(notify)?;
        let (agent, going_down) = (Arc::clone(&self.agent), Arc::clone(&self.going_down));
        self.watchers.push(runtime.spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer).await {
                let text = buffer.get(..length).unwrap_or_default();
                for line in text.split(|byte| *byte == b'\n') {
                    match line {
                        b"READY=1" => agent.store(true, Ordering::Release),
                        b"STOPPING=1" => going_down.store(true, Ordering::Release),
                        _ => {}
                    }
                }
            }
        }));
        let agent = Arc::clone(&self.agent);
        self.watchers.push(runtime.spawn(async move {
            tokio::time::sleep(AGENT_GRACE).await;
            agent.store(true, Ordering::Release);
        }));
        Ok(())
    }
}

/// What there is when init runs.
struct Ready {
    root: OwnedFd,
    network: Network,
    notify: UnixDatagram,
    init: Init,
}

/// What the waiting child needs from outside. Sends it the root file system last.
fn prepare(
    recipe: &Recipe,
    runtime: &tokio::runtime::Handle,
    groups: &Groups,
    init: &sys::Child,
    socket: &OwnedFd,
) -> io::Result<Ready> {
    let proc = format!("/proc/{}", init.pid.as_raw_nonzero());
    map_ids(&proc, recipe.parts.owners)
        .map_err(|error| named("mapping users and groups", &error))?;
    groups
        .add(init.pid)
        .map_err(|error| named("joining control groups", &error))?;
    let user_namespace = OwnedFd::from(fs::File::open(format!("{proc}/ns/user"))?);
    let root = root_fs::assemble(&recipe.parts, &user_namespace)
        .map_err(|error| named("making the root file system", &error))?;
    let init_of = find_init(&root)?;
    let (network, notify) = Network::build(&recipe.network, init.pid, runtime)
        .map_err(|error| named("making the network", &error))?;
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = [root.as_fd()];
    let which = match init_of {
        Init::Images => boot::IMAGES_INIT,
        Init::Own => boot::OWN_INIT,
    };
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    rustix::net::sendmsg(
        socket,
        &[io::IoSlice::new(&[which])],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    Ok(Ready {
        root,
        network,
        notify,
        init: init_of,
    })
}

/// Gives the instance its ids.
fn map_ids(proc: &str, owners: Owners) -> io::Result<()> {
    for (file, kind) in [("uid_map", Kind::User), ("gid_map", Kind::Group)] {
        let lines = match owners {
            Owners::Mapped { first } => format!("0 {first} {COUNT}\n"),
            Owners::Same => IdMap::own(kind)?.identity().words(),
        };
        fs::write(format!("{proc}/{file}"), lines)?;
    }
    Ok(())
}

/// Who is the instance's first process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Init {
    /// systemd, from the image.
    Images,
    /// Ours: the image has none.
    Own,
}

/// Where an image has its init, in the kernel's order.
const PLACES_OF_INIT: [&str; 3] = ["sbin/init", "etc/init", "bin/init"];

/// systemd is run where the image has it. Images of containers have no init, or busybox
/// under its name, which only works on a terminal with a table of what to start. Any
/// other isn't known to shut down and to start services.
fn find_init(root: &OwnedFd) -> io::Result<Init> {
    for place in PLACES_OF_INIT {
        let init = match open_inside(root, place, OFlags::PATH) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(|error| named("looking for the image's init", &error))?,
        };
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&init)?.st_mode);
        if kind != FileType::RegularFile {
            // Upstart had a folder there, and packages still fill it.
            continue;
        }
        let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&init));
        let path = fs::read_link(link)?;
        let name = path.file_name().unwrap_or_default();
        if name == "systemd" && place == "sbin/init" {
            return Ok(Init::Images);
        }
        // A further name of the one busybox counts as much as a link to it.
        if name != "busybox" && !is_same_file(root, &init, "bin/busybox")? {
            return Err(io::Error::other(format!(
                "the image's init is {}: only systemd is started as init, and images that \
                 have none are given one",
                path.display()
            )));
        }
    }
    Ok(Init::Own)
}

fn is_same_file(root: &OwnedFd, one: &OwnedFd, path: &str) -> io::Result<bool> {
    let Ok(other) = open_inside(root, path, OFlags::PATH) else {
        return Ok(false);
    };
    let (one, other) = (rustix::fs::fstat(one)?, rustix::fs::fstat(&other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

fn wait_for_init(report: &OwnedFd) -> io::Result<()> {
    match Record::receive(report)? {
        None => Ok(()),
        Some(Record::Failed(failure)) => Err(named(
            &format!("starting the instance ({:?})", failure.place),
            &failure.error(),
        )),
        Some(Record::Started(_)) => Err(io::Error::other("init said what only commands say")),
    }
}

fn devices() -> io::Result<Vec<(&'static CStr, OwnedFd)>> {
    DEVICES
        .into_iter()
        .map(|name| {
            let path = Path::new("/dev").join(name.to_string_lossy().as_ref());
            Ok((name, root_fs::device(&path)?))
        })
        .collect()
}

/// An array for execve, which is valid as long as the texts are.
pub(super) fn pointers(texts: &[impl AsRef<CStr>]) -> Vec<*const libc::c_char> {
    texts
        .iter()
        .map(|text| text.as_ref().as_ptr())
        .chain([std::ptr::null()])
        .collect()
}

/// Whether a descriptor can be read within a time; a pidfd can when its process has
/// ended.
pub(super) fn readable_within(descriptor: &OwnedFd, patience: Duration) -> bool {
    let timeout = Timespec::try_from(patience).ok();
    let mut polled = [PollFd::new(descriptor, PollFlags::IN)];
    matches!(rustix::event::poll(&mut polled, timeout.as_ref()), Ok(count) if count > 0)
}

pub(super) fn named(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_init_says_what_it_asked_for() {
        assert_eq!(Ended::from(sys::Exit::Signal(libc::SIGHUP)), Ended::Reboot);
        assert_eq!(
            Ended::from(sys::Exit::Signal(libc::SIGINT)),
            Ended::PowerOff
        );
        let killed = sys::Exit::Signal(libc::SIGKILL);
        assert_eq!(Ended::from(killed), Ended::Crash(killed));
    }

    #[test]
    fn arrays_for_execve_end_with_null() {
        let array = pointers(&[c"a", c"b"]);
        assert_eq!(array.len(), 3);
        assert!(array[2].is_null());
    }
}
