//! Clients that are set up for a docker-registry of a test's own.

use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use darkroom_registry::client::{Client, Settings};
use darkroom_registry::config::wkg::Options;
use darkroom_registry::config::{Credentials, Registries, Secret};
use darkroom_registry::layout::Metadata;
use darkroom_registry::name::Located;
use darkroom_registry::sign::PrivateKey;

pub(crate) use crate::daemon::{
    Daemon as Server, Kind, PASSWORD, USER, certificate, certificate_key, program,
};

impl Server {
    pub(crate) fn start(kind: &Kind) -> Option<Self> {
        Self::serve(kind)
    }

    pub(crate) fn at(&self, repository: &str) -> Located {
        format!("{}/{repository}", self.host)
            .parse()
            .expect("a place")
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
