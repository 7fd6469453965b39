//! What the sandbox tests share: a cloud in a temporary folder, instances in it, and
//! the base, which is made once and kept in `DARKROOM_TEST_CACHE` (else
//! `/var/cache/darkroom`).
//!
//! The tests need root and say `not run` without it.
#![expect(dead_code, reason = "each test program uses a part of it")]
#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test's helpers fail and speak as tests do"
)]

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use darkroom_ecs::id::{InstanceId, InvokeId, RegionId};
use darkroom_local::bootstrap::{self, Options};
use darkroom_local::driver::{
    Base, CommandKind, CommandSpec, CommandState, Driver, FileFault, FileSpec, Finished,
    InstanceSpec, LayerId, Observed, Termination,
};
use darkroom_local::sandbox::cgroup::Layout;
use darkroom_local::sandbox::{Sandbox, Settings};

/// True, and said, when the test can't run here.
pub fn not_run() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("not run: needs root");
    }
    !root
}

pub fn cache() -> PathBuf {
    std::env::var_os("DARKROOM_TEST_CACHE")
        .map_or_else(|| PathBuf::from("/var/cache/darkroom"), PathBuf::from)
}

fn base() -> Base {
    let mut silent = |_| {};
    bootstrap::bootstrap(Options::new(cache(), &mut silent))
        .unwrap()
        .base
}

/// The executable of supervisors: this package's example.
fn supervisor() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let target = own.ancestors().nth(2).unwrap();
    let path = target.join("examples/supervisor");
    assert!(
        path.exists(),
        "{} is missing: cargo build -p darkroom-local --example supervisor",
        path.display()
    );
    path
}

/// A private range far from those that networks use first.
pub fn private_range() -> Ipv4Addr {
    (0..=u32::MAX)
        .rev()
        .step_by(1 << 10)
        .map(|last| Ipv4Addr::from_bits(last & !0x3FF))
        .find(Ipv4Addr::is_private)
        .unwrap()
}

pub fn region() -> RegionId {
    "cn-hangzhou".parse().unwrap()
}

/// A cloud of one test. Everything in it is gone at the end.
pub struct Cloud {
    pub driver: Sandbox,
    pub folder: tempfile::TempDir,
    pub layers: Vec<LayerId>,
    next: AtomicU32,
}

impl Cloud {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("sandbox-test-")
            .tempdir()
            .unwrap();
        let mut settings = Settings::new(folder.path(), cache(), supervisor(), "test");
        settings.arguments.clear();
        change(&mut settings);
        let driver = Sandbox::new(settings);
        driver.probe().unwrap();
        let base = base();
        let layers = driver.import_base(&base, &region()).await.unwrap();
        Self {
            driver,
            folder,
            layers,
            next: AtomicU32::new(2),
        }
    }

    /// The begin of the names of its control groups.
    pub fn mark(&self) -> String {
        let folder = self.folder.path().join("instances");
        let hash = blake3::hash(folder.as_os_str().as_encoded_bytes());
        hash.to_hex().chars().take(8).collect()
    }

    /// Another driver on the same folder, as the next server has one.
    pub fn again(&self) -> Again {
        let mut settings = Settings::new(self.folder.path(), cache(), supervisor(), "next");
        settings.arguments.clear();
        Again {
            driver: Sandbox::new(settings),
        }
    }

    pub fn spec(&self, layers: &[LayerId], internet: bool) -> InstanceSpec {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let address = Ipv4Addr::from_bits(private_range().to_bits() + number);
        InstanceSpec {
            id: format!("i-test{number}").parse().unwrap(),
            region: region(),
            account: "1234567890123456".parse().unwrap(),
            name: "test".into(),
            host_name: format!("host-{number}"),
            layers: layers.to_vec(),
            private_ip: format!("{address}/22"),
            internet,
            cpu: 1,
            memory_mib: 1024,
            disk_gib: 20,
            user_data: None,
        }
    }

    /// An instance of the base, without internet, whose agent is alive.
    pub async fn instance(&self) -> Instance<'_> {
        self.instance_of(&self.spec(&self.layers, false)).await
    }

    pub async fn instance_of(&self, spec: &InstanceSpec) -> Instance<'_> {
        self.driver.create(spec).await.unwrap();
        let instance = Instance {
            cloud: self,
            id: spec.id.clone(),
        };
        instance.start().await;
        instance
    }
}

impl Drop for Cloud {
    /// A failed test leaves instances: they end with their supervisors.
    fn drop(&mut self) {
        let instances = self.folder.path().join("instances");
        for entry in std::fs::read_dir(instances).into_iter().flatten().flatten() {
            if let Some(pid) = supervisor_pid(&entry.path()) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        if let Ok(layout) = Layout::discover() {
            let _ = layout.sweep(&self.mark());
        }
    }
}

/// The living supervisor of an instance's folder.
pub fn supervisor_pid(folder: &Path) -> Option<rustix::process::Pid> {
    let identity = darkroom_local::sandbox::folder::Folder::new(folder).identity()?;
    identity.open()?;
    rustix::process::Pid::from_raw(identity.pid)
}

/// A second driver.
pub struct Again {
    pub driver: Sandbox,
}

pub struct Instance<'a> {
    pub cloud: &'a Cloud,
    pub id: InstanceId,
}

impl Instance<'_> {
    pub fn folder(&self) -> PathBuf {
        self.cloud
            .folder
            .path()
            .join("instances")
            .join(self.id.as_str())
    }

    pub async fn start(&self) {
        self.cloud.driver.start(&self.id).await.unwrap();
        self.agent().await;
    }

    /// Waits for the agent; answers with the boot id.
    pub async fn agent(&self) -> String {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            match self.cloud.driver.observe(&self.id).await.unwrap() {
                Observed::Running {
                    boot_id,
                    agent: true,
                } => return boot_id,
                Observed::Running { .. } => {}
                other => panic!("{} is {other:?}", self.id),
            }
            assert!(Instant::now() < end, "no agent");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn stop(&self) {
        self.cloud.driver.stop(&self.id, false).await.unwrap();
        assert_eq!(self.observe().await, Observed::Stopped);
    }

    pub async fn observe(&self) -> Observed {
        self.cloud.driver.observe(&self.id).await.unwrap()
    }

    pub async fn hand_over(&self, command: &CommandSpec) {
        self.cloud
            .driver
            .run_command(&self.id, command)
            .await
            .unwrap();
    }

    pub async fn state(&self, invoke: &InvokeId) -> CommandState {
        self.cloud.driver.command(&self.id, invoke).await.unwrap()
    }

    pub async fn finished(&self, invoke: &InvokeId) -> Finished {
        let end = Instant::now() + Duration::from_mins(1);
        loop {
            if let CommandState::Finished(finished) = self.state(invoke).await {
                return finished;
            }
            assert!(Instant::now() < end, "{invoke} doesn't end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn started(&self, invoke: &InvokeId) {
        while matches!(self.state(invoke).await, CommandState::Pending) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn run(&self, command: CommandSpec) -> Finished {
        self.hand_over(&command).await;
        self.finished(&command.invoke).await
    }

    /// Runs a script as root and answers with what it printed, when it succeeded.
    pub async fn sh(&self, script: &str) -> String {
        let finished = self.run(shell(script)).await;
        let output = String::from_utf8_lossy(&finished.output).into_owned();
        assert_eq!(
            finished.exit_code,
            Some(0),
            "{script}\n{output}\n{finished:?}"
        );
        output
    }

    pub async fn send(&self, file: &FileSpec) -> Result<(), FileFault> {
        self.cloud.driver.send_file(&self.id, file).await.unwrap()
    }
}

pub fn shell(script: &str) -> CommandSpec {
    CommandSpec {
        invoke: format!("t-{}", uuid::Uuid::new_v4().simple())
            .parse()
            .unwrap(),
        kind: CommandKind::Shell,
        content: script.as_bytes().to_vec(),
        working_dir: None,
        username: None,
        timeout_seconds: 60,
        termination: Termination::ProcessTree,
    }
}

pub fn file(target_dir: &str, name: &str, content: &[u8]) -> FileSpec {
    FileSpec {
        invoke: "f-1".parse().unwrap(),
        target_dir: target_dir.into(),
        name: name.into(),
        content: content.to_vec(),
        owner: "root".into(),
        group: "root".into(),
        mode: 0o644,
        overwrite: false,
    }
}
