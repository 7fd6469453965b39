//! A hermetic house for one test: folders of its own, the real `darkroom` binary, its own
//! local cloud in its own process, and a look at that cloud's books.
//!
//! The base root file system is the only thing that houses share, in a cache folder
//! (`DARKROOM_TEST_CACHE`, else `/var/cache/darkroom`), because making it takes a minute.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use darkroom_ecs::client::Client;
use darkroom_ecs::credentials::{Credentials, Secret};
use darkroom_ecs::endpoint::{Endpoint, fixed};
use darkroom_ecs::transport::{HttpOptions, HttpTransport};
use darkroom_local::{Account, AccountsFile, ServerFile};
use serde_json::Value;
use tempfile::TempDir;

use crate::tenant::Tenant;

/// How long anything in a test may take.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// What runs the house's instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Scripted results.
    Sim,
    /// Namespaces; needs root.
    Sandbox,
}

/// Folders and processes of one test. Dropping it ends its cloud.
pub struct House {
    folder: TempDir,
    driver: Driver,
    /// Whose house it is, if not root's. He goes last.
    tenant: Option<Tenant>,
}

impl House {
    /// A new house on the sandbox driver.
    pub fn sandbox() -> Self {
        Self::new(Driver::Sandbox)
    }

    /// A new house.
    pub fn new(driver: Driver) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            driver,
            tenant: None,
        }
    }

    /// A house of an ordinary user, on the sandbox driver: everything in it is his, with
    /// a binary, components and a cache of his own.
    pub fn of(tenant: Tenant) -> Self {
        let mut house = Self::new(Driver::Sandbox);
        house.tenant = Some(tenant);
        for folder in ["", "home", "bin", "components", "cache", "cache/bases"] {
            house.make(folder);
        }
        // Where these lie now he may not be able to reach them.
        let own = house.path("bin/darkroom");
        std::fs::copy(binary(), own).unwrap();
        for file in std::fs::read_dir(binary().with_file_name("../components")).unwrap() {
            let file = file.unwrap();
            if file.path().extension().is_some_and(|one| one == "wasm") {
                let own = house.path("components").join(file.file_name());
                std::fs::copy(file.path(), own).unwrap();
            }
        }
        house
    }

    /// The same, to be changed.
    pub fn tenant_mut(&mut self) -> &mut Tenant {
        self.tenant.as_mut().unwrap()
    }

    /// Makes a folder that belongs to whom the house belongs to.
    pub fn make(&self, relative: &str) -> PathBuf {
        let path = self.path(relative);
        std::fs::create_dir_all(&path).unwrap();
        if let Some(tenant) = &self.tenant {
            tenant.give(&path);
        }
        path
    }

    /// Gives the house's own cache the base that is shared.
    pub fn bring_base(&self) {
        let own = self.make("cache/bases/debian-12");
        self.tenant()
            .copy_tree(&cache().join("bases/debian-12"), &own);
    }

    /// Whose house it is.
    pub fn tenant(&self) -> &Tenant {
        self.tenant.as_ref().unwrap()
    }

    /// A path in the house.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// The local cloud's folder.
    pub fn local(&self) -> PathBuf {
        self.path("local")
    }

    /// Writes a file, with its folders, and gives its path.
    pub fn write(&self, relative: &str, text: &str) -> PathBuf {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The command `darkroom` with these arguments, in the house's environment and
    /// nothing else of this one.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match &self.tenant {
            Some(tenant) => tenant.command(self.path("bin/darkroom").as_os_str()),
            None => Command::new(binary()),
        };
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("CARGO_HOME", toolchain("CARGO_HOME", ".cargo"))
            .env("RUSTUP_HOME", toolchain("RUSTUP_HOME", ".rustup"))
            .env("DARKROOM_STATE", self.path("state"))
            .env("DARKROOM_LOCAL", self.local())
            .env("DARKROOM_CACHE", self.cache())
            .env("DARKROOM_DRIVER", self.driver_name())
            .env("DARKROOM_COMPONENTS", self.components())
            .stdin(Stdio::null());
        command
    }

    /// The house's own cache, else the shared one.
    fn cache(&self) -> PathBuf {
        let own = self.path("cache");
        if own.exists() { own } else { cache() }
    }

    /// A command without arguments as root in a tenant's house, with folders of its own:
    /// where another's would be wrong.
    pub fn as_root(&self) -> Command {
        let mut command = Command::new(self.path("bin/darkroom"));
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("DARKROOM_STATE", self.path("roots/state"))
            .env("DARKROOM_CACHE", self.path("roots/cache"))
            .stdin(Stdio::null());
        command
    }

    /// The house's own components, else those of the workspace.
    fn components(&self) -> PathBuf {
        let own = self.path("components");
        if own.exists() {
            own
        } else {
            binary().with_file_name("../components")
        }
    }

    fn driver_name(&self) -> &'static str {
        match self.driver {
            Driver::Sim => "sim",
            Driver::Sandbox => "sandbox",
        }
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed, and gives its standard output.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "darkroom {}: {}\n{}\n{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts a command with a fail point armed, its output in a file.
    pub fn start_armed(&self, arguments: &[&str], point: &str, hit: &Path) -> Child {
        let log = std::fs::File::create(self.path("armed.log")).unwrap();
        self.command(arguments)
            .env(
                darkroom_failpoint::VARIABLE,
                format!("{point}={}", hit.display()),
            )
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// The present server, once it is there.
    pub fn server(&self) -> ServerFile {
        wait_for("server.json", || {
            ServerFile::read(&self.local())
                .ok()
                .flatten()
                .filter(ServerFile::alive)
        })
    }

    /// One of the cloud's accounts.
    pub fn account(&self, index: usize) -> Account {
        let file = AccountsFile::read(&self.local()).unwrap().unwrap();
        file.accounts[index].clone()
    }

    /// A client of one of the cloud's accounts.
    pub fn client(&self, index: usize) -> Arc<Client> {
        let account = self.account(index);
        let credentials = Credentials {
            access_key_id: account.access_key_id,
            access_key_secret: Secret::new(account.access_key_secret),
            security_token: None,
        };
        let endpoint: Endpoint = self.server().url.parse().unwrap();
        let transport = Arc::new(HttpTransport::new(HttpOptions::default()).unwrap());
        Arc::new(Client::builder(transport, credentials, fixed(endpoint)).build())
    }

    /// Asks the cloud's admin API; `path` such as `/-/ledger`.
    pub fn admin(&self, path: &str) -> Value {
        let server = self.server();
        let output = Command::new("curl")
            .args(["-sS", "--fail-with-body", "--noproxy", "*", "-H"])
            .arg(format!("Authorization: Bearer {}", server.token))
            .arg(format!("{}{path}", server.url))
            .output()
            .unwrap();
        assert!(output.status.success(), "{path}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The manifest of the newest run. Runs that began in one second are not in order by
    /// their names.
    pub fn manifest(&self) -> Value {
        let runs = self.path("state/runs");
        let mut names: Vec<_> = std::fs::read_dir(runs)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        names.sort_by_key(|path| std::fs::metadata(path).unwrap().created().ok());
        let text = std::fs::read(names.pop().unwrap().join("manifest.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if !self.local().exists() {
            return;
        }
        drop(self.run(&["local", "reset", "--force", "--yes"]));
        drop(self.run(&["local", "stop"]));
    }
}

/// The binary beside this test's own folder.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let binary = folder.join("darkroom");
    assert!(
        binary.exists(),
        "{} is not there: run `cargo build --workspace` first",
        binary.display()
    );
    binary
}

/// Where the Rust toolchain keeps its things, which no house brings along.
fn toolchain(variable: &str, folder: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(folder),
        PathBuf::from,
    )
}

/// The folder that houses share.
pub fn cache() -> PathBuf {
    std::env::var_os("DARKROOM_TEST_CACHE")
        .map_or_else(|| PathBuf::from("/var/cache/darkroom"), PathBuf::from)
}

/// Whether the sandbox can be used here; says 'not run' with the reason where it can't.
/// With `CI=true` that is a failure.
pub fn sandbox_can_run() -> bool {
    let problem = if !is_root() {
        "needs root"
    } else if !cache().join("bases/debian-12/base.json").exists() {
        "needs a base: darkroom local bootstrap debian-12"
    } else {
        return true;
    };
    assert!(
        std::env::var_os("CI").is_none_or(|ci| ci != "true"),
        "not run: {problem}"
    );
    println!("not run: {problem}");
    false
}

/// Whether this process is root.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// Looks until there is an answer.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The pid that an armed process has written, once it has reached its point.
pub fn reached(point: &str, hit: &Path) -> u32 {
    wait_for(point, || {
        std::fs::read_to_string(hit).ok()?.trim().parse().ok()
    })
}

/// Kills a process with SIGKILL and waits until it is gone.
pub fn kill(pid: u32) {
    let status = Command::new("kill")
        .args(["-9", &pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success(), "process {pid} could not be killed");
    wait_for("the end of the killed process", || {
        is_dead(pid).then_some(())
    });
}

/// Whether a process has ended; a zombie has.
pub fn is_dead(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return true;
    };
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| matches!(rest.trim_start().chars().next(), Some('Z' | 'X')))
}
