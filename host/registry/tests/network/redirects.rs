//! Where a registry leads us: redirects, upload locations and token services of other hosts
//! and in plain http. Credentials stay with the one they are for.

use crate::both::Both;
use crate::proxy::{Fault, Proxy, Seen};
use crate::server::{
    Kind, PASSWORD, Server, USER, ada, anybody, certificate, client_as, component, hasty, metadata,
    shown,
};
use crate::token::TokenService;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use darkroom_registry::client::Client;
use darkroom_registry::config::Registries;
use darkroom_registry::config::wkg::Options;
use darkroom_registry::name::Located;
use darkroom_registry::publish::With;

const BLOB: &str = "GET /v2/acme/x/blobs";

fn all_open(seen: &[Seen]) -> bool {
    seen.iter()
        .all(|one| !one.headers.contains("authorization"))
}

/// Whether any of them carries Ada's name and password.
fn has_password(seen: &[Seen]) -> bool {
    let sent = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let sent = format!("basic {}", sent.to_lowercase());
    seen.iter().any(|one| one.headers.contains(&sent))
}

fn at(host: &str) -> Located {
    format!("{host}/acme/x").parse().expect("a place")
}

/// The answer of a registry that wants tokens of this service.
fn challenge(realm: &str) -> Fault {
    let said = format!("Bearer realm=\"{realm}\",service=\"registry\"");
    Fault::Status(401, Some(("www-authenticate", said)), "")
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect() {
    let Some(server) = Server::start(&Kind {
        basic: true,
        ..Kind::default()
    }) else {
        return;
    };
    let place = server.at("acme/x");
    let publisher = client_as(&server.host, ada());
    let published = publisher
        .publish(
            &place,
            component(100),
            &metadata("acme:x", "1.0.0"),
            &With::default(),
        )
        .await;
    let mut reference = published.expect("published").reference;
    // The other host has the blob without asking who wants it.
    let Some(open) = Server::start(&Kind::default()) else {
        return;
    };
    let mirror = open.at("acme/x");
    anybody()
        .publish(
            &mirror,
            component(100),
            &metadata("acme:x", "1.0.0"),
            &With::default(),
        )
        .await
        .expect("published");
    let first = Proxy::start(&server.host).await;
    let second = Proxy::start(&open.host).await;
    reference.located.registry.clone_from(&first.host);
    let client = client_as(&first.host, ada());
    let digest = darkroom_registry::digest::Digest::of(&component(100));
    let target = format!(
        "http://{}/v2/acme/x/blobs/{digest}?signature=hunter2",
        second.host
    );
    first.breaks(BLOB, Fault::Status(307, Some(("location", target)), ""), 1);
    assert_eq!(
        client.pull(&reference).await.expect("pulled").component,
        component(100)
    );
    let seen = first.seen();
    assert!(
        seen.iter()
            .any(|one| one.line.contains("/blobs/") && one.headers.contains("\"authorization\""))
    );
    let seen = second.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(!seen[0].headers.contains("authorization"), "{seen:?}");
    assert!(!seen[0].headers.contains("referer"), "{seen:?}");

    // What is written there isn't followed with credentials either.
    let target = format!("http://{}/v2/acme/x/blobs/uploads/", second.host);
    first.breaks(
        "POST",
        Fault::Status(307, Some(("location", target)), ""),
        1,
    );
    let bytes = component(101);
    // Whether the other host takes it is no matter.
    drop(client.put_blob(&reference.located, &bytes).await);
    let seen = second.seen();
    let posts = seen.iter().filter(|one| one.line.starts_with("POST "));
    assert_eq!(posts.count(), 1, "{seen:?}");
    assert!(all_open(&seen), "{seen:?}");

    // Nor one that leads into plain http, or in a circle.
    for (target, said) in [
        (
            "http://example.org/blob?signature=hunter2".to_owned(),
            "it leads to example.org in plain http",
        ),
        (
            format!("http://{}/v2/acme/x/blobs/{digest}", first.host),
            "there are more than 5",
        ),
    ] {
        first.breaks(BLOB, Fault::Status(307, Some(("location", target)), ""), 9);
        let error = client.pull(&reference).await.expect_err(said);
        let text = shown(&error, &error.hint());
        assert!(text.contains(said) && !text.contains("hunter2"), "{text}");
        while client.pull(&reference).await.is_err() {}
    }
}

#[tokio::test]
async fn an_upload_that_goes_on_elsewhere_goes_on_as_nobody() {
    let Some(server) = Server::start(&Kind {
        basic: true,
        ..Kind::default()
    }) else {
        return;
    };
    let first = Proxy::start(&server.host).await;
    let other = Proxy::start("").await;
    let next = format!("http://{}/upload/1?state=hunter2", other.host);
    let location = || Some(("location", next.clone()));
    first.breaks("POST", Fault::Status(202, location(), ""), 1);
    other.breaks("PATCH", Fault::Status(202, location(), ""), 1);
    other.breaks("PUT", Fault::Status(201, location(), ""), 1);
    let client = client_as(&first.host, ada());
    let put = client.put_blob(&at(&first.host), &component(9)).await;
    put.expect("the other host takes it");
    assert!(has_password(&first.seen()));
    let seen = other.seen();
    let lines: Vec<&str> = seen
        .iter()
        .filter_map(|one| one.line.split(' ').next())
        .collect();
    assert_eq!(lines, ["PATCH", "PUT"]);
    assert!(all_open(&seen), "{seen:?}");
}

#[tokio::test]
async fn credentials_do_not_leave_https() {
    let both = Both::start(|tls, line, host| match line {
        "GET /v2/" => "200 OK\r\ncontent-length: 0".to_owned(),
        _ if tls => format!("307 Temporary Redirect\r\nlocation: http://{host}/elsewhere"),
        "GET /elsewhere" => "200 OK\r\ncontent-length: 2".to_owned(),
        _ => "404 Not Found".to_owned(),
    });
    let mut registries = Registries::new();
    let options = Options {
        credentials: Some(ada()),
        plain: Some(false),
        roots: vec![certificate().into()],
    };
    registries.set_options(&both.host, options);
    let client = Client::new(registries, hasty());
    let place = at(&both.host);
    let got = client.manifest(&place.tagged("1.0.0")).await;
    assert_eq!(got.expect("followed").bytes, Bytes::from_static(b"{}"));
    client
        .put_blob(&place, &component(9))
        .await
        .expect_err("it isn't there");
    // In plain http to the very same host and port.
    let (tls, plain) = (both.seen(true), both.seen(false));
    for line in ["GET /elsewhere", "POST /elsewhere"] {
        assert!(
            plain.iter().any(|one| one.line == line),
            "{line}: {plain:?}"
        );
    }
    assert!(has_password(&tls));
    assert!(all_open(&plain), "{plain:?}");
}

#[tokio::test]
async fn a_realm_that_redirects_gets_no_password_for_the_other() {
    let (registry, first, second) =
        tokio::join!(Proxy::start(""), Proxy::start(""), Proxy::start(""));
    registry.breaks(
        "GET /v2/",
        challenge(&format!("http://{}/token", first.host)),
        1,
    );
    let next = format!("http://{}/token", second.host);
    first.breaks(
        "/token",
        Fault::Status(307, Some(("location", next)), ""),
        1,
    );
    second.breaks(
        "/token",
        Fault::Status(200, None, "{\"token\":\"of-nobody\"}"),
        1,
    );
    let client = client_as(&registry.host, ada());
    client
        .tags(&at(&registry.host))
        .await
        .expect_err("it has none");
    assert!(has_password(&first.seen()));
    assert_eq!(second.seen().len(), 1);
    assert!(all_open(&second.seen()), "{:?}", second.seen());
    assert!(!has_password(&registry.seen()), "{:?}", registry.seen());
}

#[tokio::test]
async fn only_the_token_service_that_was_looked_at_is_asked() {
    let service = TokenService::start().await;
    let Some(server) = Server::start(&Kind {
        token: Some((service.realm.clone(), certificate().into())),
        ..Kind::default()
    }) else {
        return;
    };
    // It says another one each time that it is asked.
    let registry = Proxy::start(&server.host).await;
    let other = Proxy::start("").await;
    registry.breaks("GET /v2/$", challenge(&service.realm), 1);
    registry.breaks(
        "GET /v2/$",
        challenge(&format!("http://{}/token", other.host)),
        99,
    );
    let client = client_as(&registry.host, ada());
    let published = client
        .publish(
            &at(&registry.host),
            component(9),
            &metadata("acme:x", "1.0.0"),
            &With::default(),
        )
        .await;
    client
        .pull(&published.expect("published").reference)
        .await
        .expect("pulled");
    let seen = registry.seen();
    assert_eq!(seen.iter().filter(|one| one.line == "GET /v2/").count(), 1);
    assert!(other.seen().is_empty(), "{:?}", other.seen());
    assert!(!has_password(&seen), "{seen:?}");
}

#[tokio::test]
async fn a_token_service_is_listened_to_within_bounds() {
    let service = TokenService::start().await;
    let Some(server) = Server::start(&Kind {
        token: Some((service.realm.clone(), certificate().into())),
        ..Kind::default()
    }) else {
        return;
    };
    let tokens = service.realm.strip_prefix("http://").expect("an address");
    let tokens = Proxy::start(tokens.trim_end_matches("/token")).await;
    let realm = format!("http://{}/token", tokens.host);
    let mut all = Vec::new();
    for (fault, times) in [
        (Fault::Endless, 1),
        (Fault::Body(Bytes::from_static(b"{\"token\":\"\"}")), 1),
        (Fault::Status(503, None, "hunter2"), 9),
        (Fault::Status(400, None, "hunter2"), 1),
    ] {
        let registry = Proxy::start(&server.host).await;
        registry.breaks("GET /v2/", challenge(&realm), 1);
        tokens.breaks("/token", fault, times);
        let client = client_as(&registry.host, ada());
        let error = client
            .tags(&at(&registry.host))
            .await
            .expect_err("no token");
        let said = shown(&error, "");
        all.push(said.lines().nth(1).unwrap_or_default().to_owned());
        // What is left of the fault.
        tokens.forget();
    }
    insta::assert_snapshot!(all.join("\n"), @r"
    the answer of the registry's token service is larger than 262144 bytes
    the answer of the registry's token service can't be read: it has no token
    the registry failed (503)
    the registry's token service gave no token
    ");
}
