//! Control groups: one cgroup2 folder per boot, handed to the instance's systemd,
//! one fresh folder in it per command, and limits for memory and processes where
//! this machine lets us set them.
//!
//! Used by the supervisor, and by the driver to clean up after one that was killed.
//! On a machine where a controller is bound to a v1 hierarchy the limit goes there,
//! below the caller's own group; else it goes to the cgroup2.
//!
//! ```text
//! darkroom/                 ours, in the topmost group that we can write
//!   <instance>.<boot>/      limits; the instance never sees these files
//!     machine/              the instance's own: its root may do everything in here
//!       command-<n>/        one command of Cloud Assistant
//! ```
//!
//! A group that `cgroup.kill` was written to kills for ever whatever is cloned into
//! it (seen on Linux 6.18), hence the fresh folders: never reuse one.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use crate::driver::Problem;

/// The folder below which all of this program's groups are.
const OURS: &str = "darkroom";

/// The group inside an instance's that is given to it. The limits are in the one above:
/// an ordinary user's instances have his own id as their root's, and would raise them.
const MACHINE: &str = "machine";

/// Where the processes of a scope of our own are put, so that the scope can hand its
/// controllers on: the kernel wants no processes beside groups that have some.
const ASIDE: &str = "darkroom.host";

/// The controllers that are handed on where they are.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

/// Processes and threads that one instance may have: stops a fork bomb from filling
/// the host's process table, and is far above what an image build needs.
pub const MAXIMUM_PROCESSES: u64 = 8192;

/// Groups inside each other, and groups in all, that one instance may have: stops it
/// from filling the kernel's memory with empty groups and the stack of whoever removes
/// them, and is far above what systemd and containers in it need.
const GROUP_LIMITS: [(&str, &str); 2] = [
    ("cgroup.max.depth", "32"),
    ("cgroup.max.descendants", "4096"),
];

/// The word for a limit that is missing.
const PROCESSES: &str = "processes";

/// How long the processes of a killed group may take to be gone.
const GRACE: Duration = Duration::from_secs(10);

/// Where groups can be made on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The folder of the cgroup2 in which ours are made.
    unified: PathBuf,
    /// The same of the v1 memory controller.
    memory_v1: Option<PathBuf>,
    /// The same of the v1 pids controller.
    pids_v1: Option<PathBuf>,
}

impl Layout {
    /// Looks at the machine.
    ///
    /// # Errors
    /// When there is no cgroup2 that can be written: systemd needs one.
    pub fn discover() -> Result<Self, Problem> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::from_texts(&mounts, &own, &|folder| prepare(folder).is_ok())
    }

    fn from_texts(
        mounts: &str,
        own: &str,
        writable: &dyn Fn(&Path) -> bool,
    ) -> Result<Self, Problem> {
        let ours = own_group(own, "").map(|group| group.trim_end_matches(ASIDE));
        let v2 = mount_points(mounts, "cgroup2", None)
            .into_iter()
            .flat_map(|mount| [mount.clone(), below(&mount, ours)])
            .map(|folder| folder.join(OURS))
            .find(|folder| writable(folder));
        let v1 = |controller: &str| {
            mount_points(mounts, "cgroup", Some(controller))
                .into_iter()
                .flat_map(|mount| [below(&mount, own_group(own, controller)), mount])
                .map(|folder| folder.join(OURS))
                .find(|folder| writable(folder))
        };
        Ok(Self {
            unified: v2.ok_or_else(|| Problem {
                message: "there is no cgroup2 in which groups can be made".into(),
                hint: "the init of an instance needs one: run on a host, or in a container that \
                       has a writable /sys/fs/cgroup"
                    .into(),
            })?,
            memory_v1: v1("memory"),
            pids_v1: v1("pids"),
        })
    }

    /// Where groups are made and what is limited there, for people.
    pub fn describe(&self) -> String {
        let limits = match (&self.memory_v1, &self.pids_v1) {
            (None, None) => "with the limits of version 2",
            (Some(_), Some(_)) => "with the limits of version 1",
            _ => "with some limits of version 1",
        };
        format!("cgroup2 at {}, {limits}", self.unified.display())
    }

    /// Where this machine has its cgroup2.
    pub fn mount_point() -> PathBuf {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let found = mount_points(&mounts, "cgroup2", None).into_iter().next();
        found.unwrap_or_else(|| PathBuf::from("/sys/fs/cgroup"))
    }

    /// Moves the processes of the group that ours is in aside, so that it can hand its
    /// controllers on. Only for a group that holds nothing but this program.
    ///
    /// # Errors
    /// What the kernel answered: then there are no limits.
    pub fn make_room(&self) -> io::Result<()> {
        let Some(scope) = self.unified.parent() else {
            return Ok(());
        };
        if available(scope).is_empty() {
            return Ok(());
        }
        let aside = scope.join(ASIDE);
        fs::create_dir(&aside).or_else(exists_is_fine)?;
        for process in fs::read_to_string(scope.join("cgroup.procs"))?.lines() {
            fs::write(aside.join("cgroup.procs"), process)?;
        }
        hand_on(scope);
        hand_on(&self.unified);
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.memory_v1, &self.pids_v1]
            .into_iter()
            .flatten()
            .chain([&self.unified])
    }

    /// Removes every group whose name begins with `prefix`, and what still runs in
    /// it. For groups of supervisors that are dead.
    ///
    /// # Errors
    /// When something in it doesn't end.
    pub fn sweep(&self, prefix: &str) -> io::Result<()> {
        for parent in self.all() {
            let Ok(entries) = fs::read_dir(parent) else {
                continue;
            };
            for entry in entries.flatten() {
                if entry.file_name().to_string_lossy().starts_with(prefix) {
                    remove(&entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// The prefixes of the groups that exist and begin with `prefix`.
    pub fn names(&self, prefix: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .all()
            .filter_map(|parent| fs::read_dir(parent).ok())
            .flat_map(Iterator::flatten)
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with(prefix))
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

/// Makes our parent folder, with the controllers that it can have handed on.
fn prepare(folder: &Path) -> io::Result<()> {
    // Several threads look at once: each has its own.
    static LOOKS: AtomicU64 = AtomicU64::new(0);
    fs::create_dir_all(folder)?;
    let (process, look) = (std::process::id(), LOOKS.fetch_add(1, Ordering::Relaxed));
    let probe = folder.join(format!("probe-{process}-{look}"));
    fs::create_dir(&probe).or_else(exists_is_fine)?;
    fs::remove_dir(&probe)?;
    hand_on(folder);
    Ok(())
}

/// The controllers of a group that can be handed on.
fn available(folder: &Path) -> Vec<&'static str> {
    let text = fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default();
    let has = |one: &&str| text.split_whitespace().any(|word| word == *one);
    CONTROLLERS.into_iter().filter(has).collect()
}

fn hand_on(folder: &Path) {
    for controller in available(folder) {
        // Without it there is no limit, which is reported where it is set.
        let _ = fs::write(
            folder.join("cgroup.subtree_control"),
            format!("+{controller}"),
        );
    }
}

fn exists_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::AlreadyExists {
        Ok(())
    } else {
        Err(error)
    }
}

/// Mount points of a kind of file system; with a controller: only those that have it
/// in their options.
fn mount_points(mounts: &str, kind: &str, controller: Option<&str>) -> Vec<PathBuf> {
    mounts
        .lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let mut right = right.split(' ');
            let options = (right.next() == Some(kind)).then(|| right.nth(1))??;
            let fits = controller.is_none_or(|name| options.split(',').any(|one| one == name));
            fits.then(|| left.split(' ').nth(4).map(PathBuf::from))?
        })
        .collect()
}

/// The caller's own group in a hierarchy, from `/proc/self/cgroup`.
fn own_group<'a>(own: &'a str, controller: &str) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let controllers = parts.next()?;
        let fits = controllers.split(',').any(|one| one == controller);
        fits.then(|| parts.next())?
    })
}

fn below(mount: &Path, group: Option<&str>) -> PathBuf {
    mount.join(group.unwrap_or_default().trim_start_matches('/'))
}

/// The groups of one boot of one instance. They stay until [`Groups::remove`].
#[derive(Debug)]
pub struct Groups {
    /// With the limits.
    unified: PathBuf,
    /// What the instance has.
    machine: PathBuf,
    v1: Vec<PathBuf>,
    /// `cgroup.procs` of the v1 groups, open for writing.
    pub joins_v1: Vec<OwnedFd>,
    /// What could not be limited, in words for the log.
    pub unlimited: Vec<&'static str>,
}

impl Groups {
    /// Makes them. `owner` is the instance's root as the host sees it.
    ///
    /// # Errors
    /// When the cgroup2 folder can't be made; a limit that can't be set is told in
    /// [`Groups::unlimited`] only.
    pub fn make(layout: &Layout, name: &str, owner: u32, memory_mib: u64) -> io::Result<Self> {
        let unified = layout.unified.join(name);
        let machine = unified.join(MACHINE);
        fs::create_dir_all(&machine)?;
        hand_on(&unified);
        for file in [
            "",
            "cgroup.procs",
            "cgroup.subtree_control",
            "cgroup.threads",
        ] {
            chown(machine.join(file), Some(owner), Some(owner))?;
        }
        let mut groups = Self {
            unified,
            machine,
            v1: Vec::new(),
            joins_v1: Vec::new(),
            unlimited: Vec::new(),
        };
        for (file, value) in GROUP_LIMITS {
            if fs::write(groups.unified.join(file), value).is_err() {
                groups.unlimited.push("groups");
            }
        }
        let memory = (memory_mib * 1024 * 1024).to_string();
        let limits = [
            (
                &layout.memory_v1,
                "memory.limit_in_bytes",
                "memory.max",
                memory,
                "memory",
            ),
            (
                &layout.pids_v1,
                "pids.max",
                "pids.max",
                MAXIMUM_PROCESSES.to_string(),
                PROCESSES,
            ),
        ];
        for (parent, v1_file, v2_file, value, what) in limits {
            let limited = match parent {
                Some(parent) => groups.limit_v1(&parent.join(name), v1_file, &value),
                None => fs::write(groups.unified.join(v2_file), &value),
            };
            if limited.is_err() {
                groups.unlimited.push(what);
            }
        }
        Ok(groups)
    }

    fn limit_v1(&mut self, folder: &Path, file: &str, value: &str) -> io::Result<()> {
        fs::create_dir(folder)?;
        self.v1.push(folder.to_owned());
        fs::write(folder.join(file), value)?;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let join = rustix::fs::open(folder.join("cgroup.procs"), flags, Mode::empty())?;
        self.joins_v1.push(join);
        Ok(())
    }

    /// Whether the number of processes is limited.
    pub fn limits_processes(&self) -> bool {
        !self.unlimited.contains(&PROCESSES)
    }

    /// Puts a process into the v1 groups; the cgroup2 is joined at its birth.
    ///
    /// # Errors
    /// What the kernel answered.
    pub fn add(&self, pid: rustix::process::Pid) -> io::Result<()> {
        let number = pid.as_raw_nonzero().to_string();
        for join in &self.joins_v1 {
            rustix::io::write(join.as_fd(), number.as_bytes())?;
        }
        Ok(())
    }

    /// The cgroup2 folder, to clone init into.
    ///
    /// # Errors
    /// When it is gone.
    pub fn open(&self) -> io::Result<OwnedFd> {
        open_folder(&self.machine)
    }

    /// A fresh group for one command, inside the instance's.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn make_command(&self, number: u64) -> io::Result<CommandGroup> {
        let path = self.machine.join(format!("command-{number}"));
        fs::create_dir(&path)?;
        let folder = open_folder(&path)?;
        let kill = rustix::fs::openat(
            &folder,
            "cgroup.kill",
            OFlags::WRONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(CommandGroup { path, folder, kill })
    }

    /// Ends whatever is left in them and removes them.
    ///
    /// # Errors
    /// When something doesn't end.
    pub fn remove(&self) -> io::Result<()> {
        remove(&self.unified)?;
        for folder in &self.v1 {
            remove(folder)?;
        }
        Ok(())
    }
}

/// The group of one command.
#[derive(Debug)]
pub struct CommandGroup {
    path: PathBuf,
    folder: OwnedFd,
    kill: OwnedFd,
}

impl CommandGroup {
    /// To clone into.
    pub fn folder(&self) -> &OwnedFd {
        &self.folder
    }

    /// Kills everything in it.
    pub fn kill(&self) {
        // A group that the instance has removed has nobody in it.
        let _ = rustix::io::write(&self.kill, b"1");
    }

    /// Removes the folder, unless something goes on running in it: that is allowed,
    /// and ends with the instance.
    pub fn close(self) {
        let _ = fs::remove_dir(&self.path);
    }
}

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Kills what is in a group and removes it with everything below it.
fn remove(folder: &Path) -> io::Result<()> {
    let end = Instant::now() + GRACE;
    loop {
        match try_remove(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if Instant::now() > end => return Err(error),
            // Killed processes leave their group a little later.
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

fn try_remove(folder: &Path) -> io::Result<()> {
    // Only the cgroup2 has it; the processes of a v1 group are in one, too. What is
    // below is killed with it.
    let kill = folder.join("cgroup.kill");
    if kill.exists() {
        fs::write(kill, "1")?;
    }
    remove_inside(&open_folder(folder)?)?;
    fs::remove_dir(folder)
}

/// By descriptors: an instance can make groups whose paths are too long for the kernel.
fn remove_inside(folder: &OwnedFd) -> io::Result<()> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type() != FileType::Directory || name == c"." || name == c".." {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        remove_inside(&rustix::fs::openat(folder, name, flags, Mode::empty())?)?;
        rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
32 30 0:28 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
33 30 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
    const OWN: &str = "4:memory:/jobs/7\n8:pids:/\n0::/user.slice\n";

    #[test]
    fn limits_go_below_the_own_group_of_a_v1_controller() {
        let layout = Layout::from_texts(HYBRID, OWN, &|_| true).unwrap();
        assert_eq!(layout.unified, Path::new("/sys/fs/cgroup/unified/darkroom"));
        let memory = Path::new("/sys/fs/cgroup/memory/jobs/7/darkroom");
        assert_eq!(layout.memory_v1.as_deref(), Some(memory));
        let pids = Path::new("/sys/fs/cgroup/pids/darkroom");
        assert_eq!(layout.pids_v1.as_deref(), Some(pids));
    }

    #[test]
    fn a_plain_cgroup2_has_no_v1_folders() {
        let mounts = "33 30 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let writable = |folder: &Path| folder.to_string_lossy().contains("user.slice");
        let layout = Layout::from_texts(mounts, OWN, &writable).unwrap();
        let own = Path::new("/sys/fs/cgroup/user.slice/darkroom");
        assert_eq!(layout.unified, own);
        assert_eq!(layout.memory_v1, None);
    }

    #[test]
    fn who_was_moved_aside_still_finds_his_groups() {
        let mounts = "33 30 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let writable = |folder: &Path| folder.to_string_lossy().contains("user.slice");
        let own = format!("0::/user.slice/run-1.scope/{ASIDE}\n");
        let layout = Layout::from_texts(mounts, &own, &writable).unwrap();
        let ours = Path::new("/sys/fs/cgroup/user.slice/run-1.scope/darkroom");
        assert_eq!(layout.unified, ours);
    }

    #[test]
    fn many_may_look_at_once() {
        let place = tempfile::tempdir().unwrap();
        let look = || (0..200).all(|_| prepare(place.path()).is_ok());
        let all = std::thread::scope(|scope| {
            let looks: Vec<_> = (0..4).map(|_| scope.spawn(look)).collect();
            looks.into_iter().all(|one| one.join().unwrap())
        });
        assert!(all);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn no_cgroup2_is_a_problem_with_a_hint() {
        let problem = Layout::from_texts("", OWN, &|_| true).unwrap_err();
        assert!(problem.hint.contains("/sys/fs/cgroup"));
    }
}
