//! [`Server`]: a docker-registry of a test's own, and clients that are set up for it.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use darkroom_registry::client::{Client, Settings};
use darkroom_registry::config::wkg::Options;
use darkroom_registry::config::{Credentials, Registries, Secret};
use darkroom_registry::layout::Metadata;
use darkroom_registry::name::Located;
use darkroom_registry::sign::PrivateKey;

pub const USER: &str = "ada";
pub const PASSWORD: &str = "open-sesame";
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
pub fn certificate() -> &'static str {
    &TLS.0
}

/// Its key of P-256, PKCS#8 PEM.
pub fn certificate_key() -> &'static str {
    &TLS.1
}

/// How long a server may take to listen.
const STARTS_IN: Duration = Duration::from_secs(20);

/// How a server is set up.
#[derive(Clone, Debug, Default)]
pub struct Kind {
    pub tls: bool,
    pub basic: bool,
    /// The address of a token service and the certificate (PEM) that its tokens are
    /// signed with.
    pub token: Option<(String, String)>,
}

/// A registry, killed when it goes.
pub struct Server {
    child: Child,
    pub host: String,
    folder: tempfile::TempDir,
}

/// Where docker-registry is; says 'not run' where it isn't.
pub fn program() -> Option<PathBuf> {
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

impl Server {
    pub fn start(kind: &Kind) -> Option<Self> {
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

    pub fn at(&self, repository: &str) -> Located {
        format!("{}/{repository}", self.host)
            .parse()
            .expect("a place")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
}

/// Settings with which failures come soon.
pub fn hasty() -> Settings {
    Settings {
        connect_timeout: Duration::from_secs(10),
        read_timeout: Duration::from_secs(10),
        timeout: Duration::from_secs(30),
        attempts: 2,
        first_delay: Duration::from_millis(10),
        longest_delay: Duration::from_millis(20),
        longest_retry_after: Duration::from_secs(2),
        ..Settings::default()
    }
}

pub fn anybody() -> Client {
    Client::new(Registries::new(), Settings::default())
}

pub fn ada() -> Credentials {
    Credentials::Basic {
        username: USER.into(),
        password: Secret::new(PASSWORD),
    }
}

/// A client that is somebody to one host.
pub fn client_as(host: &str, credentials: Credentials) -> Client {
    let mut registries = Registries::new();
    let options = Options {
        credentials: Some(credentials),
        ..Options::default()
    };
    registries.set_options(host, options);
    Client::new(registries, hasty())
}

/// A key that signs, of its test's own.
pub fn new_key() -> PrivateKey {
    let pem = rcgen::KeyPair::generate().expect("a key").serialize_pem();
    PrivateKey::from_pem(&pem, None).expect("a key of P-256")
}

/// Bytes that stand for a component: the crate doesn't look into them.
pub fn component(size: usize) -> Bytes {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    bytes.extend((0..size).map(|at| u8::try_from(at * 31 % 251).expect("below 251")));
    bytes.into()
}

pub fn metadata(name: &str, version: &str) -> Metadata {
    let name = name.parse().expect("a name");
    Metadata {
        description: Some("Does something".into()),
        licenses: Some("Apache-2.0".into()),
        ..Metadata::new(name, version.parse().expect("a version"))
    }
}

/// An error and all that it stands on, with its hint.
pub fn shown(error: &dyn std::error::Error, hint: &str) -> String {
    let chain = std::iter::successors(Some(error), |one| one.source());
    let lines: Vec<String> = chain.map(ToString::to_string).collect();
    format!("{}\nhint: {hint}", lines.join("\n"))
}
