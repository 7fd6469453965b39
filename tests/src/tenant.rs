//! An ordinary user of this machine for one test: made by root, with subordinate ids and
//! a control group of his own, and removed with everything that he has.
//!
//! What he runs begins in his control group, as a program does that his own systemd has
//! started in a scope; this machine may have none.

use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::house::{is_dead, wait_for};

/// How many subordinate ids he has.
const IDS: u32 = 65_536;

/// What the set-uid programs are in.
const PACKAGE: &str = "uidmap";

/// The programs that change accounts refuse to work at the same time.
static ACCOUNTS: Mutex<()> = Mutex::new(());

/// A user.
pub struct Tenant {
    name: String,
    uid: u32,
    /// The first of his subordinate ids; 0: he has none.
    first: u32,
    group: PathBuf,
}

impl Tenant {
    /// Makes one who has everything that instances need.
    pub fn new() -> Self {
        let mut tenant = Self::with_nothing();
        tenant.give_ids();
        std::fs::create_dir(&tenant.group).unwrap();
        for file in [
            "",
            "cgroup.procs",
            "cgroup.subtree_control",
            "cgroup.threads",
        ] {
            let path = tenant.group.join(file);
            chown(path, Some(tenant.uid), Some(tenant.uid)).unwrap();
        }
        tenant
    }

    /// Gives him other subordinate ids in place of those that he has.
    pub fn move_ids(&mut self) {
        let range = self.range();
        let name = self.name.clone();
        let options = ["--del-subuids", &range, "--del-subgids", &range, &name];
        root("usermod", options.into_iter());
        self.give_ids();
        assert_ne!(range, self.range());
    }

    fn give_ids(&mut self) {
        let _one = ACCOUNTS.lock().unwrap();
        self.first = first_free().max(self.first + 1);
        let range = self.range();
        let options = ["--add-subuids", &range, "--add-subgids", &range];
        root("usermod", options.into_iter().chain([self.name.as_str()]));
    }

    fn range(&self) -> String {
        format!("{}-{}", self.first, self.first + IDS - 1)
    }

    /// Makes one who has a name and a number.
    pub fn with_nothing() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("darkroom-{}-{number}", std::process::id());
        // No subordinate ids by themselves: that is what is tested.
        let none = ["-K", "SUB_UID_COUNT=0", "-K", "SUB_GID_COUNT=0"];
        let options = ["--no-create-home", "--user-group", "--shell", "/bin/sh"];
        let one = ACCOUNTS.lock().unwrap();
        root(
            "useradd",
            none.into_iter().chain(options).chain([name.as_str()]),
        );
        drop(one);
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
        let line = passwd
            .lines()
            .find(|line| line.starts_with(&format!("{name}:")));
        let uid = line.unwrap().split(':').nth(2).unwrap().parse().unwrap();
        Self {
            group: cgroup2().join(&name),
            first: 0,
            name,
            uid,
        }
    }

    /// His name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this machine can have one; says 'not run' with the reason where it can't.
    /// With `CI=true` that is a failure.
    pub fn can_be() -> bool {
        if Path::new("/usr/bin/newuidmap").exists() {
            return true;
        }
        let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
        assert!(!ci, "not run: the package {PACKAGE} is missing");
        println!("not run: the package {PACKAGE} is missing");
        false
    }

    /// Gives him a folder or a file.
    pub fn give(&self, path: &Path) {
        chown(path, Some(self.uid), Some(self.uid)).unwrap();
    }

    /// A program as him, in his control group if he has one.
    pub fn command(&self, program: &OsStr) -> Command {
        let join = "[ ! -e \"$1\" ] || echo $$ > \"$1\"\nshift\nexec \"$@\"";
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", join, "join"])
            .arg(self.group.join("cgroup.procs"))
            .arg("setpriv")
            .arg(format!("--reuid={}", self.uid))
            .arg(format!("--regid={}", self.uid))
            .args(["--clear-groups", "--"])
            .arg(program);
        command
    }

    /// Copies a tree whose files have their true owners, so that they are shifted into
    /// his ids.
    pub fn copy_tree(&self, from: &Path, to: &Path) {
        let pack = Command::new("tar")
            .args(["--create", "--warning=no-file-changed", "--xattrs"])
            .args(["--xattrs-include=*", "--directory"])
            .arg(from)
            .arg(".")
            .stdout(Stdio::piped())
            .spawn();
        let mut pack = pack.unwrap();
        let unpacked = self
            .command(OsStr::new("unshare"))
            .args(["--user", "--map-root-user", "--map-auto", "--"])
            .args([
                "tar",
                "--extract",
                "--preserve-permissions",
                "--numeric-owner",
            ])
            .args(["--xattrs", "--xattrs-include=*", "--directory"])
            .arg(to)
            .stdin(pack.stdout.take().unwrap())
            .status();
        assert!(unpacked.unwrap().success());
        assert!(matches!(pack.wait().unwrap().code(), Some(0 | 1)));
    }

    /// His processes, subordinate ids included.
    pub fn processes(&self) -> Vec<u32> {
        let has = |pid: &u32| {
            let folder = std::fs::metadata(format!("/proc/{pid}"));
            let uid = folder.map_or(0, |folder| folder.uid());
            uid == self.uid || self.is_subordinate(uid)
        };
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| has(pid) && !is_dead(*pid))
            .collect()
    }

    /// Whether an id is a subordinate one of his.
    pub fn is_subordinate(&self, uid: u32) -> bool {
        self.first > 0 && (self.first..self.first + IDS).contains(&uid)
    }

    /// The control groups that instances had, and that are still there.
    pub fn groups(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.group.join("darkroom")) else {
            return Vec::new();
        };
        let folders = entries.flatten().filter(|one| one.path().is_dir());
        folders.map(|entry| entry.path()).collect()
    }
}

impl Default for Tenant {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        if self.group.exists() {
            drop(std::fs::write(self.group.join("cgroup.kill"), "1"));
            wait_for("the end of the tenant's processes", || {
                remove_group(&self.group).ok()
            });
        }
        let _one = ACCOUNTS.lock();
        let removed = Command::new("userdel").arg(&self.name).output().unwrap();
        // In a failed test that would hide the reason.
        if !std::thread::panicking() {
            assert!(removed.status.success(), "{removed:?}");
        }
    }
}

/// The groups inside first.
fn remove_group(group: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(group)?.flatten() {
        if entry.path().is_dir() {
            remove_group(&entry.path())?;
        }
    }
    std::fs::remove_dir(group)
}

fn root<'a>(program: &str, arguments: impl Iterator<Item = &'a str>) {
    let done = Command::new(program).args(arguments).output().unwrap();
    assert!(done.status.success(), "{program}: {done:?}");
}

fn cgroup2() -> PathBuf {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let mount = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let place = fields.next()?;
        (fields.next()? == "cgroup2").then(|| PathBuf::from(place))
    });
    mount.unwrap()
}

/// Where nobody has subordinate ids.
fn first_free() -> u32 {
    let ends = ["/etc/subuid", "/etc/subgid"].map(|file| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let ends = text.lines().filter_map(|line| {
            let mut fields = line.split(':').skip(1);
            let first: u32 = fields.next()?.parse().ok()?;
            first.checked_add(fields.next()?.parse().ok()?)
        });
        ends.max().unwrap_or_default()
    });
    ends.into_iter().max().unwrap_or_default().max(200_000)
}
