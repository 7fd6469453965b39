//! Who asks: TLS, names and passwords, tokens, programs, and what goes wrong with them.

use crate::proxy::{Fault as Breaks, Proxy};
use crate::server::{
    Kind, PASSWORD, Server, USER, ada, anybody, certificate, client_as, component, hasty, metadata,
    shown,
};
use crate::token::TokenService;
use darkroom_registry::client::{Client, Fault};
use darkroom_registry::config::docker::Docker;
use darkroom_registry::config::wkg::{Options, Wkg};
use darkroom_registry::config::{Credentials, Registries, Secret};
use darkroom_registry::publish::With;

fn wrong() -> Credentials {
    Credentials::Basic {
        username: USER.into(),
        password: Secret::new("hunter2"),
    }
}

#[tokio::test]
async fn https_with_a_certificate_of_ones_own() {
    let kind = Kind {
        tls: true,
        basic: true,
        ..Kind::default()
    };
    let Some(server) = Server::start(&kind) else {
        return;
    };
    // All of it in wkg's configuration.
    let wkg = format!(
        "[registry.\"{}\".oci]\nprotocol = \"https\"\nauth = {{ username = \"{USER}\", password = \"{PASSWORD}\" }}\n\
         extra_root_certificates = [{{ encoding = \"pem\", data = '''{}''' }}]\n",
        server.host,
        certificate()
    );
    let wkg = Wkg::parse(&wkg, "config.toml").expect("read");
    let client = Client::new(Registries::new().with_wkg(wkg), hasty());
    let place = server.at("acme/x");
    let published = client
        .publish(
            &place,
            component(5 << 20),
            &metadata("acme:x", "1.0.0"),
            &With::default(),
        )
        .await;
    let published = published.expect("published");
    assert_eq!(
        client
            .pull(&published.reference)
            .await
            .expect("pulled")
            .component,
        component(5 << 20)
    );

    // Without the certificate, and without https.
    let mut stranger = Registries::new();
    let plain = Some(false);
    stranger.set_options(
        server.host.clone(),
        Options {
            plain,
            ..Options::default()
        },
    );
    let error = Client::new(stranger, hasty())
        .pull(&published.reference)
        .await
        .expect_err("unknown");
    assert!(
        shown(&error, "").contains("no connection: invalid peer certificate: UnknownIssuer"),
        "{}",
        shown(&error, "")
    );
    let error = anybody()
        .pull(&published.reference)
        .await
        .expect_err("not http");
    let text = shown(&error, &error.hint()).replace(&server.host, "HOST");
    insta::assert_snapshot!(text, @r#"
    can't read the manifest of HOST/acme/x:1.0.0
    it speaks https, and was spoken to in plain http
    hint: say so in wkg's config.toml: [registry."HOST".oci] with protocol = "https"
    "#);
}

#[tokio::test]
async fn names_and_passwords() {
    let kind = Kind {
        basic: true,
        ..Kind::default()
    };
    let Some(server) = Server::start(&kind) else {
        return;
    };
    let place = server.at("acme/x");
    let said = metadata("acme:x", "1.0.0");
    let config = format!(
        r#"{{ "auths": {{ "{}": {{ "auth": "YWRhOm9wZW4tc2VzYW1l" }} }} }}"#,
        server.host
    );
    let docker = Docker::parse(&config, "config.json", Vec::new()).expect("read");
    let client = Client::new(Registries::new().with_docker(docker), hasty());
    let published = client
        .publish(&place, component(9), &said, &With::default())
        .await
        .expect("published");
    assert_eq!(client.versions(&place).await.expect("listed").len(), 1);

    for (client, expected) in [
        (
            client_as(&server.host, Credentials::Anonymous),
            "the registry wants credentials (401)",
        ),
        (
            client_as(&server.host, wrong()),
            "the registry doesn't accept the credentials (401)",
        ),
    ] {
        let error = client.pull(&published.reference).await.expect_err(expected);
        let text = shown(&error, &error.hint());
        assert!(
            text.contains(expected) && text.contains("docker login"),
            "{text}"
        );
        let error = client
            .publish(&place, component(9), &said, &With::default())
            .await
            .expect_err(expected);
        let text = shown(&error, &error.hint());
        assert!(
            text.contains(expected) && !text.contains("hunter2"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn tokens() {
    if crate::server::program().is_none() {
        return;
    }
    let service = TokenService::start().await;
    let kind = Kind {
        token: Some((service.realm.clone(), certificate().into())),
        ..Kind::default()
    };
    let Some(server) = Server::start(&kind) else {
        return;
    };
    let place = server.at("acme/x");
    let said = metadata("acme:x", "1.0.0");
    let client = client_as(&server.host, ada());
    let published = client
        .publish(&place, component(9), &said, &With::default())
        .await
        .expect("published");
    client.pull(&published.reference).await.expect("pulled");
    // One token for reading and one for writing, not one for each request.
    let asked = service.asked();
    let scopes: Vec<&str> = asked.iter().map(|(scope, _)| scope.as_str()).collect();
    assert_eq!(
        scopes,
        ["repository:acme/x:pull", "repository:acme/x:pull,push"]
    );
    assert!(asked.iter().all(|(_, ada)| *ada));

    let anybody = client_as(&server.host, Credentials::Anonymous);
    anybody
        .pull(&published.reference)
        .await
        .expect("anybody may read");
    let error = anybody
        .publish(
            &place,
            component(8),
            &metadata("acme:x", "1.1.0"),
            &With::default(),
        )
        .await;
    let error = error.expect_err("anybody may not write");
    assert!(
        shown(&error, "").contains("the registry wants credentials (401)"),
        "{}",
        shown(&error, "")
    );

    let error = client_as(&server.host, wrong())
        .pull(&published.reference)
        .await
        .expect_err("refused");
    let text = shown(&error, &error.hint()).replace(&server.host, "HOST");
    insta::assert_snapshot!(text, @r#"
    can't read the manifest of HOST/acme/x:1.0.0
    the registry's token service gave no token
    hint: the credentials may be wrong or old: log in with `docker login HOST`, or add it to wkg's config.toml
    "#);
}

#[tokio::test]
async fn a_token_that_grew_old_is_replaced() {
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let proxy = Proxy::start(&server.host).await;
    let client = client_as(&proxy.host, ada());
    let place = server.at("acme/x");
    let published = anybody()
        .publish(
            &place,
            component(9),
            &metadata("acme:x", "1.0.0"),
            &With::default(),
        )
        .await;
    let mut reference = published.expect("published").reference;
    reference.located.registry.clone_from(&proxy.host);
    client.pull(&reference).await.expect("pulled");
    proxy.breaks("GET /v2/acme/x/manifests", Breaks::Status(401, None, ""), 1);
    client.pull(&reference).await.expect("pulled once more");
    proxy.breaks("GET /v2/acme/x/manifests", Breaks::Status(401, None, ""), 2);
    let error = client.pull(&reference).await.expect_err("refused twice");
    assert!(shown(&error, "").contains("401"));
}

#[tokio::test]
async fn passwords_do_not_go_to_a_token_service_in_plain_http() {
    let proxy = Proxy::start("").await;
    let realm = "Bearer realm=\"http://tokens.example.org/token\",service=\"x\"".to_owned();
    proxy.breaks(
        "GET /v2/",
        Breaks::Status(401, Some(("www-authenticate", realm)), ""),
        9,
    );
    let client = client_as(&proxy.host, ada());
    let reference = format!("{}/acme/x:1.0.0", proxy.host)
        .parse()
        .expect("a reference");
    let error = client.manifest(&reference).await.expect_err("not there");
    assert!(matches!(*error.fault, Fault::PlainToken { .. }));
    let text = shown(&error, &error.hint()).replace(&proxy.host, "HOST");
    insta::assert_snapshot!(text, @r#"
    can't read the manifest of HOST/acme/x:1.0.0
    the registry's token service at tokens.example.org is reached in plain http
    hint: credentials are not sent there; it must be https
    "#);
}

#[tokio::test]
async fn a_program_of_dockers_configuration_is_asked() {
    let kind = Kind {
        basic: true,
        ..Kind::default()
    };
    let Some(server) = Server::start(&kind) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("docker-credential-test");
    let script = format!(
        "#!/bin/sh\nread host\n[ \"$1 $host\" = 'get {}' ] || exit 3\n\
         echo '{{\"ServerURL\":\"x\",\"Username\":\"{USER}\",\"Secret\":\"{PASSWORD}\"}}'\n",
        server.host
    );
    std::fs::write(&path, script).expect("written");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, executable).expect("set");
    for config in [
        format!(r#"{{ "credHelpers": {{ "{}": "test" }} }}"#, server.host),
        r#"{ "credsStore": "test" }"#.to_owned(),
    ] {
        let search = vec![folder.path().to_owned()];
        let docker = Docker::parse(&config, "config.json", search).expect("read");
        let client = Client::new(Registries::new().with_docker(docker), hasty());
        let place = server.at("acme/x");
        let said = metadata("acme:x", "1.0.0");
        let published = client
            .publish(&place, component(9), &said, &With::default())
            .await;
        let reference = published.expect("published").reference;
        client.pull(&reference).await.expect("pulled");
    }
}
