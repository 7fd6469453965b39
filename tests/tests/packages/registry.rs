//! [`Registry`]: Debian's docker-registry on a free port, for one test; open to everybody,
//! or with TLS and a password.

use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long it may take to listen.
const STARTS_IN: Duration = Duration::from_secs(20);

/// Who may come in where it isn't open.
pub(crate) const USER: &str = "ada";
pub(crate) const PASSWORD: &str = "open-sesame";
/// Bcrypt of [`PASSWORD`], of the least cost.
const HTPASSWD: &str = "ada:$2b$05$abcdefghijklmnopqrstuutXu9KzOt.1yBoZUeFWoT/914/JfszCO\n";
/// A certificate for this machine and its key, of this run alone.
static TLS: LazyLock<(String, String)> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
});

/// The certificate, PEM.
pub(crate) fn certificate() -> &'static str {
    &TLS.0
}

/// How it is guarded.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Guard {
    pub(crate) tls: bool,
    pub(crate) password: bool,
}

/// A registry, killed when it goes.
pub(crate) struct Registry {
    child: Child,
    pub(crate) host: String,
    folder: TempDir,
}

impl Registry {
    /// Starts one that is open; says 'not run' where there is none.
    pub(crate) fn start() -> Option<Self> {
        Self::guarded(Guard::default())
    }

    /// Starts one.
    pub(crate) fn guarded(guard: Guard) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = std::env::split_paths(&path);
        if !folders.any(|folder| folder.join("docker-registry").is_file()) {
            let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
            assert!(!ci, "not run: the package docker-registry is missing");
            println!("not run: the package docker-registry is missing");
            return None;
        }
        // Between choosing a port and using it another process may take it.
        let started = (0..5).find_map(|_| Self::try_start(guard));
        assert!(started.is_some(), "docker-registry doesn't start");
        started
    }

    fn try_start(guard: Guard) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage:\n  filesystem: {{ rootdirectory: {} }}\n\
             http:\n  addr: 127.0.0.1:{port}\n  secret: test\n",
            path("data")
        );
        if guard.tls {
            let (certificate, key) = (path("cert.pem"), path("key.pem"));
            std::fs::write(&certificate, &TLS.0).unwrap();
            std::fs::write(&key, &TLS.1).unwrap();
            writeln!(
                config,
                "  tls: {{ certificate: {certificate}, key: {key} }}"
            )
            .unwrap();
        }
        if guard.password {
            let htpasswd = path("htpasswd");
            std::fs::write(&htpasswd, HTPASSWD).unwrap();
            writeln!(
                config,
                "auth:\n  htpasswd: {{ realm: test, path: {htpasswd} }}"
            )
            .unwrap();
        }
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
