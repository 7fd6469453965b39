//! [`Daemon`]: Debian's docker-registry on a port that the system chooses, for one test;
//! open to everybody, or with TLS, a name and a password, or tokens.
//!
//! The tests of packages from end to end, in `tests/tests/packages`, take this file too.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

pub(crate) const USER: &str = "ada";
pub(crate) const PASSWORD: &str = "open-sesame";
/// Bcrypt of [`PASSWORD`], of the least cost.
const HTPASSWD: &str = "ada:$2b$05$abcdefghijklmnopqrstuutXu9KzOt.1yBoZUeFWoT/914/JfszCO\n";
/// A certificate for this machine and its key, of this run alone.
static TLS: LazyLock<(String, String)> = LazyLock::new(|| {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = rcgen::CertificateParams::new(names).expect("names");
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
});

/// The certificate, PEM.
pub(crate) fn certificate() -> &'static str {
    &TLS.0
}

/// Its key of P-256, PKCS#8 PEM.
pub(crate) fn certificate_key() -> &'static str {
    &TLS.1
}

/// How long a server may take to listen.
const STARTS_IN: Duration = Duration::from_secs(20);

/// How a server is set up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kind {
    pub(crate) tls: bool,
    pub(crate) basic: bool,
    /// The address of a token service and the certificate (PEM) that its tokens are
    /// signed with.
    pub(crate) token: Option<(String, String)>,
}

/// A registry, killed when it goes.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) host: String,
    folder: tempfile::TempDir,
}

/// Where docker-registry is; says 'not run' where it isn't.
pub(crate) fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join("docker-registry"))
        .find(|path| path.is_file());
    if found.is_none() {
        let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
        assert!(!ci, "not run: the package docker-registry is missing");
        println!("not run: the package docker-registry is missing");
    }
    found
}

impl Daemon {
    /// Starts one; says 'not run' where there is none.
    pub(crate) fn serve(kind: &Kind) -> Option<Self> {
        let program = program()?;
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let mut config = vec![format!(
            "version: 0.1\nlog: {{ level: info }}\nstorage:\n  filesystem: {{ rootdirectory: {} }}\n  \
             delete: {{ enabled: true }}\nhttp:\n  addr: 127.0.0.1:0\n  secret: test\n",
            path("data").display()
        )];
        if kind.tls {
            std::fs::write(path("cert.pem"), certificate()).expect("written");
            std::fs::write(path("key.pem"), certificate_key()).expect("written");
            config.push(format!(
                "  tls: {{ certificate: {}, key: {} }}\n",
                path("cert.pem").display(),
                path("key.pem").display()
            ));
        }
        if kind.basic {
            std::fs::write(path("htpasswd"), HTPASSWD).expect("written");
            let htpasswd = path("htpasswd");
            config.push(format!(
                "auth:\n  htpasswd: {{ realm: test, path: {} }}\n",
                htpasswd.display()
            ));
        }
        if let Some((realm, roots)) = &kind.token {
            std::fs::write(path("token.pem"), roots).expect("written");
            config.push(format!(
                "auth:\n  token: {{ realm: '{realm}', service: registry, issuer: test, rootcertbundle: {} }}\n",
                path("token.pem").display()
            ));
        }
        std::fs::write(path("config.yml"), config.concat()).expect("written");
        let log = std::fs::File::create(path("log")).expect("a log");
        let child = Command::new(program)
            .arg("serve")
            .arg(path("config.yml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("docker-registry starts");
        let mut server = Self {
            child,
            host: String::new(),
            folder,
        };
        server.host = format!("localhost:{}", server.wait_for_port());
        Some(server)
    }

    /// The system chose it: one that is chosen here may be another's when it is used.
    fn wait_for_port(&mut self) -> u16 {
        let since = Instant::now();
        loop {
            let log = std::fs::read_to_string(self.folder.path().join("log")).expect("a log");
            let port = log
                .split("listening on 127.0.0.1:")
                .nth(1)
                .and_then(|rest| {
                    // With what follows: half a line may be there.
                    let (digits, _) = rest.split_once(|one: char| !one.is_ascii_digit())?;
                    digits.parse().ok()
                });
            if let Some(port) = port {
                return port;
            }
            let ended = self.child.try_wait().expect("its status");
            let waits = ended.is_none() && since.elapsed() < STARTS_IN;
            assert!(waits, "docker-registry doesn't listen: {log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Lets nobody listen there any more.
    pub(crate) fn stop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}
