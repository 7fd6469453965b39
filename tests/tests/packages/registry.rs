//! [`Registry`]: Debian's docker-registry on a free port, for one test.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long it may take to listen.
const STARTS_IN: Duration = Duration::from_secs(20);

/// A registry, killed when it goes.
pub(crate) struct Registry {
    child: Child,
    pub(crate) host: String,
    folder: TempDir,
}

impl Registry {
    /// Starts one; says 'not run' where there is none.
    pub(crate) fn start() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = std::env::split_paths(&path);
        if !folders.any(|folder| folder.join("docker-registry").is_file()) {
            let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
            assert!(!ci, "not run: the package docker-registry is missing");
            println!("not run: the package docker-registry is missing");
            return None;
        }
        // Between choosing a port and using it another process may take it.
        let started = (0..5).find_map(|_| Self::try_start());
        assert!(started.is_some(), "docker-registry doesn't start");
        started
    }

    fn try_start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage:\n  filesystem: {{ rootdirectory: {} }}\n\
             http:\n  addr: 127.0.0.1:{port}\n  secret: test\n",
            folder.path().join("data").display()
        );
        std::fs::write(folder.path().join("config.yml"), config).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(folder.path().join("config.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut registry = Self {
            child,
            host: format!("localhost:{port}"),
            folder,
        };
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if registry.child.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(
                since.elapsed() < STARTS_IN,
                "{}: it doesn't listen",
                registry.folder.path().display()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(registry)
    }

    /// Lets nobody listen there any more.
    pub(crate) fn stop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}
