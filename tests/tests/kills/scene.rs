//! A build that is held at a fail point, and the processes around it.
//!
//! Instances are found through the local cloud's folder `instances/<id>` and looked into
//! through `/proc/<init>/root`, so that nothing here goes the way that is being tested.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use darkroom_tests::house::{House, PATIENCE, is_dead, kill, wait_for};
use serde_json::Value;

use crate::Victim;

/// A template that needs no network. Each marking step appends a line as its last act.
/// The first can be held in the middle: with `hold=yes` it makes a file and waits until
/// something has been written into it; a second attempt, which finds the file, doesn't.
const TEMPLATE: &str = r"name: marks
source: { family: debian-12 }
checkpoint: false
parameters:
  hold: { type: string, default: 'no' }
repair: none
build:
  - run: |
      set -eu
      if [ $HOLD = yes ] && [ ! -e /var/lib/held ]; then
        : > /var/lib/held
        until [ -s /var/lib/held ]; do sleep 0.05; done
      fi
      echo x >> /var/lib/marker-1
    name: first
    env: { HOLD: '${{ parameters.hold }}' }
  - uses: darkroom:shell
    with: { script: echo x >> /var/lib/marker-2 }
  - uses: darkroom:files
    with: { path: /etc/marked, text: marked }
# then
  - run: echo x >> /var/lib/marker-3
test:
  - uses: darkroom:shell
    with: { test: 'test $(cat /var/lib/marker-? | wc -l) = 3' }
distribute: { regions: [cn-hangzhou, cn-beijing] }
";

/// How many marker files the template leaves.
pub const MARKERS: usize = 3;

/// The template's regions.
pub const REGIONS: [&str; 2] = ["cn-hangzhou", "cn-beijing"];

/// How a build differs from the plain one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kind {
    /// The first step is held in its middle.
    pub hold: bool,
    /// The instance is rebooted before the last step.
    pub reboot: bool,
    /// Before the last step there is one with more output than the agent keeps.
    pub talk: bool,
}

/// Writes the template and gives the arguments that build it.
pub fn arguments(house: &House, kind: Kind) -> Vec<String> {
    let mut then = String::new();
    if kind.reboot {
        then.push_str("  - reboot: {}\n");
    }
    if kind.talk {
        then.push_str("  - run: seq 1 20000\n");
    }
    let template = house.write("image.yaml", &TEMPLATE.replace("# then\n", &then));
    let hold = if kind.hold { "hold=yes" } else { "hold=no" };
    ["build", template.to_str().unwrap(), "-p", hold]
        .map(ToOwned::to_owned)
        .to_vec()
}

/// A build that a fail point holds. Dropping it ends the build; in a failed test it also
/// tells what everybody had to say.
pub struct Scene<'a> {
    house: &'a House,
    build: Child,
    point: &'static str,
    hit: PathBuf,
}

impl<'a> Scene<'a> {
    /// Starts a build in which somebody will stop at `point`.
    pub fn begin(house: &'a House, point: &'static str, kind: Kind) -> Self {
        let arguments = arguments(house, kind);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let hit = house.path("hit");
        Self {
            build: house.start_armed(&arguments, point, &hit),
            house,
            point,
            hit,
        }
    }

    /// The process that has reached the point.
    pub fn reached(&mut self) -> u32 {
        let (point, hit) = (self.point, self.hit.clone());
        self.wait(point, || {
            std::fs::read_to_string(&hit).ok()?.trim().parse().ok()
        })
    }

    /// Looks until there is an answer, while the build lives.
    fn wait<T>(&mut self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            let ended = self.build.try_wait().unwrap();
            assert_eq!(ended, None, "the build has ended before {what}");
            assert!(begun.elapsed() < PATIENCE, "{what} did not come");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Refuses a process that isn't the victim meant.
    pub fn is_a(&self, victim: Victim, pid: u32) {
        let expected = match victim {
            Victim::Build => vec![self.build.id()],
            Victim::Server => vec![self.house.server().pid],
            Victim::Supervisor => self.numbers("", "supervisor.json"),
        };
        assert!(expected.contains(&pid), "{pid} is no {victim:?}");
        assert!(!is_dead(pid), "{pid} is dead already");
    }

    /// The supervisor of the run's instance for a purpose.
    pub fn supervisor(&self, purpose: &str) -> u32 {
        self.numbers(purpose, "supervisor.json")
            .pop()
            .unwrap_or_else(|| panic!("there is no {purpose} instance"))
    }

    /// The process that `file` names, of each instance for a purpose.
    fn numbers(&self, purpose: &str, file: &str) -> Vec<u32> {
        let read = |path: PathBuf| -> Option<Value> {
            serde_json::from_slice(&std::fs::read(path).ok()?).ok()
        };
        let instances = std::fs::read_dir(self.house.local().join("instances")).unwrap();
        instances
            .map(|instance| instance.unwrap().path())
            .filter(|instance| {
                read(instance.join("spec.json"))
                    .and_then(|spec| Some(spec.get("name")?.as_str()?.ends_with(purpose)))
                    .unwrap_or(false)
            })
            .filter_map(|instance| read(instance.join(file))?.get("pid")?.as_u64())
            .map(|pid| u32::try_from(pid).unwrap())
            .collect()
    }

    /// A path inside the build instance, as its init sees it.
    fn inside(&self, path: &str) -> PathBuf {
        let init = self.numbers("build", "init.json").pop().unwrap();
        Path::new("/proc")
            .join(init.to_string())
            .join("root")
            .join(path)
    }

    /// Waits until the instance for a purpose has been booted, and gives its supervisor.
    pub fn booted(&mut self, purpose: &str) -> u32 {
        let house = self.house;
        self.wait("the boot", || {
            let status = house.admin("/-/status");
            let idle = status["jobs"].as_array().unwrap().is_empty();
            (idle && status["instances"]["Running"] == 1).then_some(())
        });
        self.supervisor(purpose)
    }

    /// Waits until the held step is in its middle.
    pub fn wait_for_the_command(&mut self) {
        let held = self.inside("var/lib/held");
        self.wait("the held step", || held.exists().then_some(()));
    }

    /// Kills with SIGKILL, and sees it dead.
    pub fn kill(pid: u32) {
        kill(pid);
        assert!(is_dead(pid));
    }

    /// Kills the build.
    pub fn kill_build(&self) {
        Self::kill(self.build.id());
    }

    /// Starts another command, its output in a file.
    pub fn next(&self, arguments: &[&str]) -> Child {
        let log = std::fs::File::create(self.house.path("next.log")).unwrap();
        self.house
            .command(arguments)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Lets the held step go on, and waits for its mark if nobody else does.
    pub fn let_the_command_end(&self, wait: bool) {
        // Not a new file: an instance has no number for the owner that it would have.
        let mut held = OpenOptions::new()
            .write(true)
            .open(self.inside("var/lib/held"))
            .unwrap();
        held.write_all(b"go").unwrap();
        let marker = self.inside("var/lib/marker-1");
        let begun = Instant::now();
        while wait && !marker.exists() {
            assert!(begun.elapsed() < PATIENCE, "the step did not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets the process go on that waits at the point. It is then armed again.
    pub fn let_go(&self) {
        std::fs::remove_file(&self.hit).unwrap();
    }

    fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.build.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "the build did not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The build ends by itself, well.
    pub fn succeeds(&mut self) {
        let status = self.ended();
        assert!(status.success(), "the build did not survive: {status}");
    }

    /// The build was ended by SIGKILL.
    pub fn was_killed(&mut self) {
        assert_eq!(self.ended().signal(), Some(9));
    }
}

/// Waits until so many processes serve the house's cloud, or want to.
pub fn wait_for_servers(house: &House, count: usize) {
    let local = format!("DARKROOM_LOCAL={}\0", house.local().display());
    let serves = |process: &Path| {
        let read = |file| std::fs::read(process.join(file)).unwrap_or_default();
        let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        line.contains("local serve") && String::from_utf8_lossy(&read("environ")).contains(&local)
    };
    wait_for("the server", || {
        let processes = std::fs::read_dir("/proc").unwrap();
        let found = processes.filter(|process| serves(&process.as_ref().unwrap().path()));
        (found.count() == count).then_some(())
    });
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        drop(self.build.kill());
        drop(self.build.wait());
        if std::thread::panicking() {
            for file in ["armed.log", "next.log", "local/server.log"] {
                let text = std::fs::read_to_string(self.house.path(file));
                println!("--- {file}\n{}", text.unwrap_or_default());
            }
        }
    }
}
