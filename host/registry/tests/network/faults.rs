//! Everything that can go wrong between a registry and us, each with what is said then.

use std::time::{Duration, Instant};

use crate::proxy::{Fault, Proxy};
use crate::server::{Kind, Server, anybody, component, free_port, hasty, metadata, shown};
use bytes::Bytes;
use darkroom_registry::client::{Client, Settings};
use darkroom_registry::config::Registries;
use darkroom_registry::name::OciReference;
use darkroom_registry::publish::With;

/// A registry with a package, and a proxy before it.
struct Scene {
    proxy: Proxy,
    client: Client,
    reference: OciReference,
    _server: Server,
}

impl Scene {
    async fn new() -> Option<Self> {
        let server = Server::start(&Kind::default())?;
        let place = server.at("acme/x");
        let said = metadata("acme:x", "1.0.0");
        let published = anybody()
            .publish(&place, component(100_000), &said, &With::default())
            .await;
        let mut reference = published.expect("published").reference;
        let proxy = Proxy::start(&server.host).await;
        reference.located.registry.clone_from(&proxy.host);
        Some(Self {
            proxy,
            client: Client::new(Registries::new(), hasty()),
            reference,
            _server: server,
        })
    }

    /// What a pull says.
    async fn pull(&self) -> String {
        match self.client.pull(&self.reference).await {
            Ok(pulled) => {
                assert_eq!(pulled.component, component(100_000));
                "pulled".into()
            }
            Err(error) => shown(&error, &error.hint()).replace(&self.proxy.host, "HOST"),
        }
    }
}

const MANIFEST: &str = "GET /v2/acme/x/manifests";
const BLOB: &str = "GET /v2/acme/x/blobs";
/// As often as a client tries, and more.
const ALWAYS: usize = 99;

#[tokio::test]
async fn a_registry_that_is_down() {
    let host = format!("localhost:{}", free_port());
    let reference = format!("{host}/acme/x:1.0.0").parse().expect("a reference");
    let client = Client::new(Registries::new(), hasty());
    let error = client.pull(&reference).await.expect_err("nobody there");
    let text = shown(&error, &error.hint()).replace(&host, "HOST");
    insta::assert_snapshot!(text, @r#"
    can't read the manifest of HOST/acme/x:1.0.0
    the connection was refused
    hint: is HOST right, and does it run?
    "#);
}

#[tokio::test]
async fn statuses() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let denied = r#"{"errors":[{"code":"DENIED","message":"requested access is denied"}]}"#;
    let mut all: Vec<String> = Vec::new();
    for (status, body) in [
        (401, ""),
        (403, denied),
        (404, ""),
        (418, ""),
        (429, ""),
        (500, ""),
        (503, "busy"),
    ] {
        scene.proxy.breaks(
            MANIFEST,
            Fault::Status(status, None, body),
            if status < 429 && status != 401 { 1 } else { 2 },
        );
        all.push(scene.pull().await);
    }
    insta::assert_snapshot!(all.join("\n\n"), @r#"
    can't read the manifest of HOST/acme/x:1.0.0
    the registry wants credentials (401)
    hint: log in with `docker login HOST`, or add it to wkg's config.toml

    can't read the manifest of HOST/acme/x:1.0.0
    the registry forbids it (403): DENIED, requested access is denied
    hint: whoever is logged in at HOST may not do this; ask for the right, or log in with `docker login HOST`, or add it to wkg's config.toml

    can't read the manifest of HOST/acme/x:1.0.0
    the registry has no such thing (404)
    hint: look at the name and the version; a registry also says this of what one may not see

    can't read the manifest of HOST/acme/x:1.0.0
    the registry answered 418
    hint: is HOST an OCI registry?

    can't read the manifest of HOST/acme/x:1.0.0
    the registry wants fewer requests (429)
    hint: wait, or log in: many registries allow more then

    can't read the manifest of HOST/acme/x:1.0.0
    the registry failed (500)
    hint: try again; if it stays so, ask those who run HOST

    can't read the manifest of HOST/acme/x:1.0.0
    the registry failed (503): busy
    hint: try again; if it stays so, ask those who run HOST
    "#);
    assert_eq!(scene.pull().await, "pulled");
}

#[tokio::test]
async fn what_passes_is_waited_for() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let busy = |after: &str| Fault::Status(429, Some(("retry-after", after.into())), "");
    scene.proxy.breaks(MANIFEST, busy("1"), 1);
    let since = Instant::now();
    assert_eq!(scene.pull().await, "pulled");
    assert!(
        since.elapsed() >= Duration::from_secs(1),
        "{:?}",
        since.elapsed()
    );

    scene.proxy.breaks(MANIFEST, busy("7200"), 1);
    let since = Instant::now();
    insta::assert_snapshot!(scene.pull().await, @r#"
    can't read the manifest of HOST/acme/x:1.0.0
    the registry wants fewer requests (429), and none for 7200 s
    hint: wait, or log in: many registries allow more then
    "#);
    assert!(since.elapsed() < Duration::from_secs(30));

    for fault in [Fault::Status(502, None, ""), Fault::Broken, Fault::Short] {
        scene.proxy.breaks(BLOB, fault, 1);
        assert_eq!(scene.pull().await, "pulled");
    }
    // Uploads, too.
    let place = scene.reference.located.clone();
    for (part, fault) in [
        ("POST", Fault::Status(503, None, "")),
        ("PATCH", Fault::Status(429, None, "")),
        ("PUT /v2/acme/x/manifests", Fault::Status(500, None, "")),
    ] {
        scene.proxy.breaks(part, fault, 1);
        let version = format!("1.{}.0", part.len());
        let said = metadata("acme:x", &version);
        let published = scene
            .client
            .publish(&place, component(part.len()), &said, &With::default())
            .await;
        published.expect(part);
    }
    scene
        .proxy
        .breaks("POST", Fault::Status(403, None, "no"), 1);
    let error = scene
        .client
        .publish(
            &place,
            component(77),
            &metadata("acme:x", "2.0.0"),
            &With::default(),
        )
        .await;
    let error = error.expect_err("forbidden");
    assert!(
        shown(&error, "").contains("the registry forbids it (403): no"),
        "{}",
        shown(&error, "")
    );
}

#[tokio::test]
async fn slow_registries() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    // Three attempts.
    scene
        .proxy
        .breaks(MANIFEST, Fault::Slow(Duration::from_secs(1)), 3);
    let with = |read_timeout: u64, timeout: u64| Settings {
        read_timeout: Duration::from_millis(read_timeout),
        timeout: Duration::from_millis(timeout),
        ..hasty()
    };
    let pull = async |settings: Settings| {
        let client = Client::new(Registries::new(), settings);
        let pulled = client.pull(&scene.reference).await;
        let error = pulled.map(drop).err();
        error.map(|error| shown(&error, &error.hint()).replace(&scene.proxy.host, "HOST"))
    };
    insta::assert_snapshot!(pull(with(300, 30_000)).await.expect("too slow"), @r#"
    can't read the manifest of HOST/acme/x:1.0.0
    no answer in time
    hint: try again; if it stays so, ask those who run HOST
    "#);
    // One that is slow, but not too slow for these settings.
    assert_eq!(pull(with(20_000, 30_000)).await, None);
    // One that sends a byte now and then.
    scene.proxy.breaks(BLOB, Fault::Drip, ALWAYS);
    let said = pull(with(20_000, 1_500)).await.expect("never ready");
    assert!(said.contains("no answer in time"), "{said}");
}

#[tokio::test]
async fn a_registry_that_never_stops() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let limits = Settings {
        manifest_limit: 1 << 20,
        ..hasty()
    };
    let client = Client::new(Registries::new(), limits);
    for (part, said) in [
        (MANIFEST, "the manifest is larger than 1048576 bytes"),
        (BLOB, "the blob is larger than 100008 bytes"),
    ] {
        scene.proxy.breaks(part, Fault::Endless, 1);
        let error = client.pull(&scene.reference).await.expect_err(said);
        assert!(shown(&error, "").contains(said), "{}", shown(&error, ""));
    }
    // An error that never stops.
    scene.proxy.breaks("/tags/list", Fault::Endless, 1);
    let error = client
        .versions(&scene.reference.located)
        .await
        .expect_err("endless");
    assert!(
        shown(&error, "").contains("the list is larger than"),
        "{}",
        shown(&error, "")
    );
}

#[tokio::test]
async fn blobs_that_are_not_what_they_should_be() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    scene.proxy.breaks(BLOB, Fault::Broken, 2);
    let mut all = vec![scene.pull().await];
    scene.proxy.breaks(BLOB, Fault::Short, 2);
    all.push(scene.pull().await);
    let other = Bytes::from(vec![7; 100_008]);
    scene.proxy.breaks(BLOB, Fault::Body(other), 1);
    all.push(scene.pull().await);
    insta::assert_snapshot!(all.join("\n\n"), @r#"
    can't read a blob of HOST/acme/x@sha256:da2cae37a91ccbca76cdc1e2a4373a277a1b9bab5982364d23d90b0e7a7eb35d
    the connection broke: end of file before message length reached
    hint: try again; if it stays so, ask those who run HOST

    can't read a blob of HOST/acme/x@sha256:da2cae37a91ccbca76cdc1e2a4373a277a1b9bab5982364d23d90b0e7a7eb35d
    it ended after 50004 of 100008 bytes
    hint: try again

    can't read a blob of HOST/acme/x@sha256:da2cae37a91ccbca76cdc1e2a4373a277a1b9bab5982364d23d90b0e7a7eb35d
    its bytes are sha256:7128f854b5fb7889b837858222ba393635680edb20257b3e19e7d2d39ba032fc, not sha256:da2cae37a91ccbca76cdc1e2a4373a277a1b9bab5982364d23d90b0e7a7eb35d
    hint: HOST, or something before it, alters what it holds; don't use it
    "#);
    // A manifest under its digest, too.
    let manifest = scene
        .client
        .manifest(&scene.reference)
        .await
        .expect("a manifest");
    scene
        .proxy
        .breaks(MANIFEST, Fault::Body(Bytes::from_static(b"{}")), 1);
    let by_digest = scene.reference.located.digested(manifest.digest);
    let error = scene
        .client
        .manifest(&by_digest)
        .await
        .expect_err("altered");
    assert!(
        shown(&error, "").contains("its bytes are sha256:44136fa"),
        "{}",
        shown(&error, "")
    );
}

#[tokio::test]
async fn manifests_that_are_no_packages() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let good = scene
        .client
        .manifest(&scene.reference)
        .await
        .expect("a manifest");
    let good: serde_json::Value = serde_json::from_slice(&good.bytes).expect("JSON");
    let with = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut other = good.clone();
        change(&mut other);
        Bytes::from(other.to_string())
    };
    let layer = good["layers"][0].clone();
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [good["config"], good["config"]],
    });
    let mut all: Vec<String> = Vec::new();
    for body in [
        with(&|one| one["layers"] = serde_json::json!([layer, layer])),
        with(&|one| one["layers"][0]["size"] = 5_000_000_000_u64.into()),
        with(&|one| {
            one["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip".into();
        }),
        with(&|one| one["config"]["mediaType"] = "application/vnd.oci.image.config.v1+json".into()),
        Bytes::from(index.to_string()),
        Bytes::from_static(b"<html>sign in</html>"),
    ] {
        scene.proxy.breaks(MANIFEST, Fault::Body(body), 1);
        let said = scene.pull().await;
        all.push(said.lines().take(2).collect::<Vec<_>>().join("\n"));
    }
    insta::assert_snapshot!(all.join("\n\n"), @r#"
    HOST/acme/x:1.0.0 is not a package
    it has 2 layers; a package has one

    can't read a blob of HOST/acme/x@sha256:da2cae37a91ccbca76cdc1e2a4373a277a1b9bab5982364d23d90b0e7a7eb35d
    the blob is larger than 268435456 bytes

    HOST/acme/x:1.0.0 is not a package
    its layer is of the kind application/vnd.oci.image.layer.v1.tar+gzip

    HOST/acme/x:1.0.0 is not a package
    its config is of the kind application/vnd.oci.image.config.v1+json

    HOST/acme/x:1.0.0 is not a package
    it is an index of 2 manifests, not a package

    HOST/acme/x:1.0.0 is not a package
    its manifest can't be read: expected value at line 1 column 1
    "#);
    // Five gigabytes are refused before one byte is asked for.
    assert_eq!(scene.proxy.count(BLOB), 0);
}
