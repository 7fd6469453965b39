//! Passwords and tokens: in no log of ours or of the libraries, and in no error.

use std::io::Write;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tracing_subscriber::fmt::MakeWriter;

use crate::proxy::{Fault, Proxy};
use crate::server::{
    Kind, PASSWORD, Server, USER, ada, certificate, client_as, component, metadata, shown,
};
use crate::token::TokenService;
use darkroom_registry::config::{Credentials, Registries, Secret};
use darkroom_registry::publish::With;

/// What somebody takes for the password.
const WRONG: &str = "hunter2-is-wrong";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .expect("not poisoned")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The only test of its kind: what it listens to is the thread's.
#[tokio::test]
async fn nothing_says_a_password() {
    if crate::server::program().is_none() {
        return;
    }
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let listening = tracing::subscriber::set_default(subscriber);
    let mut said: Vec<String> = Vec::new();
    let service = TokenService::start().await;
    let token = Kind {
        token: Some((service.realm.clone(), certificate().into())),
        ..Kind::default()
    };
    let basic = Kind {
        basic: true,
        ..Kind::default()
    };
    for kind in [basic, token] {
        let server = Server::start(&kind).expect("it starts");
        let proxy = Proxy::start(&server.host).await;
        let client = client_as(&proxy.host, ada());
        let mut place = server.at("acme/x");
        place.registry.clone_from(&proxy.host);
        let meta = metadata("acme:x", "1.0.0");
        let published = client
            .publish(&place, component(9), &meta, &With::default())
            .await
            .expect("published");
        client.pull(&published.reference).await.expect("pulled");
        // The registry repeats what it was told.
        let echo: &'static str = format!("no {PASSWORD}").leak();
        proxy.breaks(
            "GET /v2/acme/x/manifests",
            Fault::Status(400, None, echo),
            1,
        );
        let error = client
            .pull(&published.reference)
            .await
            .expect_err("refused");
        said.push(format!("{}{error:?}", shown(&error, &error.hint())));
        // So does a token service, of what it is told: the name and another password.
        let wrong = Credentials::Basic {
            username: USER.into(),
            password: Secret::new(WRONG),
        };
        let error = client_as(&server.host, wrong.clone())
            .pull(&server.at("acme/x").tagged("1.0.0"))
            .await;
        let error = error.expect_err("refused");
        said.push(format!(
            "{}{error:?}{wrong:?}",
            shown(&error, &error.hint())
        ));
        let mut registries = Registries::new();
        let options = darkroom_registry::config::wkg::Options {
            credentials: Some(ada()),
            ..Default::default()
        };
        registries.set_options("a.example", options);
        said.push(format!("{registries:?}"));
    }
    drop(listening);
    let log = String::from_utf8_lossy(&log.0.lock().expect("not poisoned")).into_owned();
    // It did listen, to us and to what we stand on.
    assert!(log.contains("oci_client"), "{}", log.len());
    assert!(service.asked().iter().any(|(_, ada)| !ada), "nobody erred");
    for text in [&log, &said.concat()] {
        for password in [PASSWORD, WRONG] {
            let sent = STANDARD.encode(format!("{USER}:{password}"));
            assert!(!text.contains(password), "a password: {text}");
            assert!(!text.contains(&sent), "an encoded password: {text}");
        }
        assert!(!text.contains("eyJ"), "a token: {text}");
    }
}
