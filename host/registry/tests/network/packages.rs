//! Publish, pull, versions, search: each against a real registry.

use crate::proxy::{Fault, Proxy};
use crate::server::{Kind, Server, anybody, component, metadata, new_key, shown};
use darkroom_registry::client::{Client, Settings};
use darkroom_registry::config::Registries;
use darkroom_registry::digest::Digest;
use darkroom_registry::name::Located;
use darkroom_registry::publish::{Before, With};
use darkroom_registry::referrers::{Attachment, Referrer};
use darkroom_registry::sign::{Bundle, Claims, Statement, Subject};

#[tokio::test]
async fn what_is_published_is_pulled_byte_for_byte() {
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let client = anybody();
    let place = server.at("acme/hardening");
    // More than one piece of an upload.
    let file = component(9 << 20);
    let said = metadata("acme:hardening", "1.2.0+b.1");
    let published = client
        .publish(&place, file.clone(), &said, &With::default())
        .await
        .expect("published");
    assert_eq!(published.before, Before::Nothing);
    assert_eq!(published.component_digest, Digest::of(&file));
    assert_eq!(
        published.reference.to_string(),
        format!("{place}:1.2.0_b.1")
    );

    let pulled = client.pull(&published.reference).await.expect("pulled");
    assert_eq!(pulled.component, file);
    assert_eq!(pulled.manifest_digest, published.manifest_digest);
    assert_eq!(
        pulled.annotations["org.opencontainers.image.licenses"],
        "Apache-2.0"
    );
    let by_digest = place.digested(published.manifest_digest);
    assert_eq!(
        client.pull(&by_digest).await.expect("pulled").component,
        file
    );

    // The same again is the same, and by another client too.
    let again = anybody()
        .publish(&place, file, &said, &With::default())
        .await
        .expect("nothing to do");
    assert_eq!(
        (again.before, again.manifest_digest),
        (Before::Same, published.manifest_digest)
    );
}

#[tokio::test]
async fn a_version_stays_what_it_is_unless_forced() {
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let client = anybody();
    let place = server.at("acme/x");
    let said = metadata("acme:x", "1.0.0");
    let first = client
        .publish(&place, component(10), &said, &With::default())
        .await
        .expect("published");
    let error = client
        .publish(&place, component(11), &said, &With::default())
        .await
        .expect_err("refused");
    let text = shown(&error, &error.hint()).replace(&server.host, "HOST");
    assert!(
        text.starts_with("HOST/acme/x:1.0.0 is published already, with other content (sha256:"),
        "{text}"
    );
    assert!(
        text.ends_with("To replace it anyway, use `--force`"),
        "{text}"
    );
    let forced = client
        .publish(
            &place,
            component(11),
            &said,
            &With {
                force: true,
                ..With::default()
            },
        )
        .await
        .expect("forced");
    assert_eq!(forced.before, Before::Other(first.manifest_digest));
    assert_eq!(
        client
            .pull(&forced.reference)
            .await
            .expect("pulled")
            .component,
        component(11)
    );

    let small = Settings {
        component_limit: 5,
        ..Settings::default()
    };
    let small = Client::new(Registries::new(), small);
    let error = small
        .publish(&place, component(11), &said, &With::default())
        .await
        .expect_err("too large");
    assert_eq!(error.to_string(), "the component is 19 bytes long, of 5");
}

#[tokio::test]
async fn versions_are_the_tags_that_are_versions() {
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let client = anybody();
    let place = server.at("acme/x");
    assert!(client.versions(&place).await.expect("none").is_empty());
    for version in ["1.10.0", "1.9.0", "1.10.0-rc.1", "1.0.0+b.1"] {
        let said = metadata("acme:x", version);
        client
            .publish(&place, component(1), &said, &With::default())
            .await
            .expect(version);
    }
    let manifest = client
        .manifest(&place.tagged("1.9.0"))
        .await
        .expect("a manifest");
    let latest = place.tagged("latest");
    client
        .put_manifest(&latest, &manifest.bytes, &manifest.media_type)
        .await
        .expect("tagged");
    let versions = client.versions(&place).await.expect("listed");
    let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
    assert_eq!(versions, ["1.0.0+b.1", "1.9.0", "1.10.0-rc.1", "1.10.0"]);

    // The tag of one version given to another.
    let stolen = place.tagged("1.11.0");
    client
        .put_manifest(&stolen, &manifest.bytes, &manifest.media_type)
        .await
        .expect("tagged");
    let error = client.pull(&stolen).await.expect_err("it says 1.9.0");
    let text = shown(&error, &error.hint()).replace(&server.host, "HOST");
    insta::assert_snapshot!(text, @r#"
    HOST/acme/x:1.11.0 is not a package
    it says that it is version 1.9.0, not 1.11.0
    hint: somebody gave the tag of one version to another; pull it by digest, or ask who publishes it
    "#);
}

#[tokio::test]
async fn a_list_is_had_to_its_end_or_not_at_all() {
    let proxy = Proxy::start("").await;
    let client = Client::new(Registries::new(), crate::server::hasty());
    let place: Located = format!("{}/acme/x", proxy.host).parse().expect("a place");
    let page = |next: String, body| {
        let link = Some(("link", format!("<{next}>; rel=\"next\"")));
        Fault::Status(200, link, body)
    };
    let (one, two) = ("{\"tags\":[\"1.0.0\"]}", "{\"tags\":[\"2.0.0\"]}");
    // The rest is at the same host, in words or by its path.
    for at in [format!("http://{}", proxy.host), String::new()] {
        let next = format!("{at}/v2/acme/x/tags/list?last=1.0.0");
        proxy.breaks("/tags/list$", page(next, one), 1);
        proxy.breaks("last=1.0.0$", Fault::Status(200, None, two), 1);
        let versions = client.versions(&place).await.expect("listed");
        assert_eq!(versions.len(), 2, "{versions:?}");
    }
    // At another, again the same, or never at its end.
    let path = "/v2/acme/x/tags/list".to_owned();
    for (next, times, said) in [
        (
            "http://evil.example/tags".to_owned(),
            1,
            "its next page is at another host",
        ),
        (path.clone(), 1, "it has no end that is found in 100 pages"),
    ] {
        proxy.breaks("/tags/list$", page(next, one), times);
        let error = client.versions(&place).await.expect_err(said);
        assert!(shown(&error, "").contains(said), "{}", shown(&error, ""));
    }
    let (there, back) = (format!("{path}?a"), format!("{path}?b"));
    proxy.breaks("/tags/list$", page(there.clone(), one), 1);
    proxy.breaks("?a$", page(back, one), 99);
    proxy.breaks("?b$", page(there, one), 99);
    let error = client.versions(&place).await.expect_err("endless");
    assert!(
        shown(&error, "").contains("in 100 pages"),
        "{}",
        shown(&error, "")
    );
}

#[tokio::test]
async fn packages_are_found_by_a_part_of_their_names() {
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let mut registries = Registries::new();
    registries
        .map("acme", &format!("{}/team", server.host))
        .expect("mapped");
    let client = Client::new(registries, Settings::default());
    for (name, version) in [
        ("acme:alpha", "1.0.0"),
        ("acme:alpha", "1.1.0"),
        ("acme:beta", "0.1.0-rc.1"),
        ("other:gamma", "2.0.0"),
    ] {
        let parsed = name.parse().expect(name);
        let place = if name.starts_with("acme") {
            client.locate(&parsed).await.expect("mapped")
        } else {
            server.at("other/gamma")
        };
        client
            .publish(
                &place,
                component(1),
                &metadata(name, version),
                &With::default(),
            )
            .await
            .expect(name);
    }
    let found = async |text: &str| {
        let hits = client.search(&server.host, text, 10).await.expect("listed");
        let line = |hit: &darkroom_registry::search::Hit| {
            format!("{}@{}", hit.name.as_ref().expect("a name"), hit.newest)
        };
        hits.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(
        found("").await,
        [
            "other:gamma@2.0.0",
            "acme:alpha@1.1.0",
            "acme:beta@0.1.0-rc.1"
        ]
    );
    assert_eq!(found("acme:al").await, ["acme:alpha@1.1.0"]);
    assert_eq!(found("GAM").await, ["other:gamma@2.0.0"]);
    assert!(found("nothing").await.is_empty());
}

#[tokio::test]
async fn a_wit_package_is_laid_out_as_any_other() {
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let client = anybody();
    // A binary WIT package has the same eight first bytes as a component.
    let mut said = metadata("darkroom:component", "0.1.0");
    said.exports = vec!["darkroom:component/steps@0.1.0".into()];
    let place = server.at("darkroom/component");
    let published = client
        .publish(&place, component(100), &said, &With::default())
        .await
        .expect("published");
    let inspected = client
        .inspect(&published.reference)
        .await
        .expect("a manifest");
    let config = &inspected.layout.config;
    let config = client
        .blob(&place, &config.digest, config.size, 1 << 20)
        .await
        .expect("a config");
    let config: serde_json::Value = serde_json::from_slice(&config).expect("JSON");
    assert_eq!(
        config["component"]["exports"][0],
        "darkroom:component/steps@0.1.0"
    );
    assert_eq!(
        config["layerDigests"][0],
        published.component_digest.to_string()
    );
}

/// What was written, as far as it has a name.
fn written(proxy: &Proxy) -> Vec<String> {
    let seen = proxy.seen();
    let puts = seen
        .iter()
        .filter_map(|seen| seen.line.strip_prefix("PUT /v2/acme/x/manifests/"));
    puts.map(|at| {
        at.split_once([':', '-'])
            .map_or(at, |(kind, _)| kind)
            .to_owned()
    })
    .collect()
}

#[tokio::test]
async fn the_tag_of_a_version_is_written_last() {
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let proxy = Proxy::start(&server.host).await;
    let client = Client::new(Registries::new(), crate::server::hasty());
    let place: Located = format!("{}/acme/x", proxy.host).parse().expect("a place");
    let key = new_key();
    let sbom = [Attachment::new("application/spdx+json", "{}")];
    let with = With {
        attachments: &sbom,
        key: Some(&key),
        ..With::default()
    };
    // Whoever dies before it is signed leaves no version at all.
    let said = metadata("acme:x", "1.0.0");
    proxy.breaks("/referrers/", Fault::Status(403, None, ""), 1);
    client
        .publish(&place, component(9), &said, &with)
        .await
        .expect_err("forbidden");
    assert!(client.versions(&place).await.expect("none").is_empty());
    let published = client.publish(&place, component(9), &said, &with).await;
    let published = published.expect("published");
    let all = written(&proxy);
    assert_eq!(all.last().map(String::as_str), Some("1.0.0"), "{all:?}");
    assert_eq!(all.iter().filter(|one| *one == "1.0.0").count(), 1);
    assert_eq!(published.signer, Some(key.public().id()));

    // The same again writes nothing, and what is missing is added without a new tag.
    let before = written(&proxy).len();
    client
        .publish(&place, component(9), &said, &with)
        .await
        .expect("nothing to do");
    let digest = &published.manifest_digest;
    let kinds = async || {
        let referrers = client.referrers(&place, digest).await.expect("listed");
        let kinds = referrers.iter().map(Referrer::artifact_type);
        kinds.map(str::to_owned).collect::<Vec<_>>()
    };
    let signature = "application/vnd.dev.sigstore.bundle.v0.3+json";
    assert_eq!(kinds().await, ["application/spdx+json", signature]);
    assert!(!written(&proxy)[before..].contains(&"1.0.0".to_owned()));
}

#[tokio::test]
async fn what_a_key_has_said_otherwise_is_no_signature_of_the_package() {
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let client = anybody();
    let place = server.at("acme/x");
    let said = metadata("acme:x", "1.0.0");
    let key = new_key();
    let unsigned = client
        .publish(&place, component(9), &said, &With::default())
        .await;
    let published = unsigned.expect("published");
    let (digest, size) = (published.manifest_digest, published.manifest_size);
    // An SBOM that it has signed, and the package under another name.
    let spdx = "https://spdx.dev/Document";
    let sbom = Statement::new(Subject::of(&digest), spdx, serde_json::json!({}));
    let other = Statement::of_package(&digest, &Claims::new("acme:y", "1.0.0"));
    for statement in [&sbom, &other] {
        let bundle = Attachment::bundle(&Bundle::sign(&key, statement), statement, None);
        client
            .attach(&place, &digest, size, &bundle)
            .await
            .expect("attached");
    }
    let with = With {
        key: Some(&key),
        ..With::default()
    };
    for _ in ["signs", "has signed"] {
        client
            .publish(&place, component(9), &said, &with)
            .await
            .expect("published");
        let referrers = client.referrers(&place, &digest).await.expect("listed");
        let all = client.signatures(&place, &digest, &referrers).await;
        let right = Statement::of_package(&digest, &Claims::new("acme:x", "1.0.0"));
        let ours = Bundle::sign(&key, &right).to_json();
        let all = all.expect("read");
        assert_eq!(all.len(), 3);
        assert_eq!(all.iter().filter(|one| one.bytes == ours).count(), 1);
    }
}
