//! Resolving with all its parts: requirements, locks, the cache, the policy, mirrors.

use std::sync::Arc;

use crate::proxy::{Fault, Proxy};
use crate::server::{Kind, Server, anybody, component, hasty, metadata, new_key, shown};
use darkroom_registry::cache::{Cache, Limit};
use darkroom_registry::client::Client;
use darkroom_registry::config::Registries;
use darkroom_registry::digest::Digest;
use darkroom_registry::publish::{Published, With};
use darkroom_registry::referrers::Attachment;
use darkroom_registry::resolve::{Locked, Mode, Package, ResolveError, Resolver, Wanted};
use darkroom_registry::sign::{Bundle, Claims, PrivateKey, Statement};
use darkroom_registry::trust::Policy;

/// A registry behind a proxy, and a cache.
struct Scene {
    server: Server,
    proxy: Proxy,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Option<Self> {
        let server = Server::start(&Kind::default())?;
        let proxy = Proxy::start(&server.host).await;
        let folder = tempfile::tempdir().expect("a folder");
        Some(Self {
            server,
            proxy,
            folder,
        })
    }

    fn resolver(&self, policy: Policy) -> Resolver {
        self.resolver_at(&self.proxy.host, policy)
    }

    fn resolver_at(&self, host: &str, policy: Policy) -> Resolver {
        let mut registries = Registries::new();
        registries.map("acme", host).expect("mapped");
        let cache =
            Cache::open(&self.folder.path().join("cache"), Limit::default()).expect("a cache");
        Resolver::new(
            Client::new(registries, hasty()),
            Arc::new(cache),
            Arc::new(policy),
        )
    }

    async fn publish(&self, version: &str, size: usize) -> Published {
        let place = self.server.at("acme/x");
        let said = metadata("acme:x", version);
        let published = anybody()
            .publish(
                &place,
                component(size),
                &said,
                &With {
                    force: true,
                    ..With::default()
                },
            )
            .await;
        published.expect(version)
    }

    async fn sign(&self, published: &Published, key: &PrivateKey, claims: &Claims) {
        let digest = published.manifest_digest;
        let statement = Statement::of_package(&digest, claims);
        let signature = Attachment::bundle(&Bundle::sign(key, &statement), &statement, None);
        let place = self.server.at("acme/x");
        let attached = anybody()
            .attach(&place, &digest, published.manifest_size, &signature)
            .await;
        attached.expect("attached");
    }

    fn shown(&self, error: &ResolveError) -> String {
        shown(error, &error.hint()).replace(&self.proxy.host, "HOST")
    }
}

fn wanted(requirement: Option<&str>) -> Wanted {
    Wanted {
        name: "acme:x".parse().expect("a name"),
        requirement: requirement.map(|text| text.parse().expect(text)),
        locked: None,
    }
}

fn locked(package: &Package) -> Wanted {
    Wanted {
        locked: Some(Locked {
            version: package.version.clone(),
            digest: package.digest,
            located: Some(package.located.clone()),
            signer: package.signer.as_ref().map(|signer| signer.id),
        }),
        ..wanted(None)
    }
}

fn signed_by(key: &PrivateKey) -> Policy {
    let key = key
        .public()
        .to_pem()
        .expect("PEM")
        .replace('\n', "\n        ");
    let text = format!(
        "version: 1\nrules:\n  - package: 'acme:*'\n    require: signed\n    keys:\n      - |\n        {key}\n"
    );
    Policy::parse(&text, "trust.yaml", None).expect("a policy")
}

#[tokio::test]
async fn the_newest_that_will_do_and_then_the_cache() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    for (version, size) in [
        ("1.0.0", 10),
        ("1.2.0", 12),
        ("2.0.0", 20),
        ("2.1.0-rc.1", 21),
    ] {
        scene.publish(version, size).await;
    }
    let resolver = scene.resolver(Policy::unchecked());
    let package = resolver
        .resolve(&wanted(None), Mode::Normal)
        .await
        .expect("resolved");
    assert_eq!(
        (package.version.to_string().as_str(), package.pulled),
        ("2.0.0", true)
    );
    let package = resolver
        .resolve(&wanted(Some("1")), Mode::Normal)
        .await
        .expect("resolved");
    assert_eq!(package.version.to_string(), "1.2.0");
    assert_eq!(package.contents.component, component(12));
    assert_eq!(package.digest, Digest::of(&component(12)));

    // Locked, it comes from the cache, in every mode, and nobody is asked.
    let before = scene.proxy.seen().len();
    for mode in [Mode::Normal, Mode::Locked, Mode::Offline] {
        let again = resolver
            .resolve(&locked(&package), mode)
            .await
            .expect("kept");
        assert!(!again.pulled);
        assert_eq!(again.contents, package.contents);
    }
    // Offline and not locked: the newest that is kept.
    let kept = resolver
        .resolve(&wanted(Some("1")), Mode::Offline)
        .await
        .expect("kept");
    assert_eq!(kept.version, package.version);
    assert_eq!(scene.proxy.seen().len(), before);

    let mut all: Vec<String> = Vec::new();
    for (wanted, mode) in [
        (wanted(Some("3")), Mode::Normal),
        (wanted(Some("1")), Mode::Locked),
        (wanted(Some("1.0")), Mode::Offline),
    ] {
        let error = resolver
            .resolve(&wanted, mode)
            .await
            .expect_err("not there");
        all.push(scene.shown(&error));
    }
    insta::assert_snapshot!(all.join("\n\n"), @r#"
    no version of acme:x in HOST/acme/x is 3
    hint: there are: 2.1.0-rc.1, 2.0.0, 1.2.0, 1.0.0

    acme:x is not in darkroom.lock
    hint: build once without `--locked`, and keep darkroom.lock with the template

    acme:x@1.0 is not in the cache
    hint: run `darkroom fetch` with a connection
    "#);
    let mut unknown = wanted(None);
    unknown.name = "nobody:x".parse().expect("a name");
    let error = resolver
        .resolve(&unknown, Mode::Normal)
        .await
        .expect_err("nowhere");
    insta::assert_snapshot!(scene.shown(&error), @r#"
    can't find the registry of nobody:x
    no registry is configured for nobody:x
    hint: add the namespace `nobody` to darkroom's registries or to wkg's config.toml, or set wkg's default_registry
    "#);
}

#[tokio::test]
async fn the_newest_is_not_pulled_again() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let key = new_key();
    let published = scene.publish("1.0.0", 10).await;
    let resolver = scene.resolver(Policy::unchecked());
    let newest = async |resolver: &Resolver| resolver.resolve(&wanted(None), Mode::Normal).await;
    let pulled = newest(&resolver).await.expect("resolved");
    let blobs = scene.proxy.count("GET /v2/acme/x/blobs");
    let again = newest(&resolver).await.expect("resolved");
    assert_eq!((pulled.pulled, again.pulled), (true, false));
    assert_eq!(again.contents, pulled.contents);
    assert_eq!(scene.proxy.count("GET /v2/acme/x/blobs"), blobs);
    // Signed since: what is kept will not do any more.
    scene
        .sign(&published, &key, &Claims::new("acme:x", "1.0.0"))
        .await;
    let strict = scene.resolver(signed_by(&key));
    for pulled in [true, false] {
        let package = newest(&strict).await.expect("trusted");
        assert_eq!(package.pulled, pulled);
        assert!(package.signer.is_some());
    }
    // Other bytes under the same version, and the file of before in another manifest.
    scene.publish("1.0.0", 11).await;
    let other = newest(&resolver).await.expect("resolved");
    assert!(other.pulled);
    assert_eq!(other.contents.component, component(11));
}

#[tokio::test]
async fn a_tag_that_moved_is_noticed() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    scene.publish("1.0.0", 10).await;
    let resolver = scene.resolver(Policy::unchecked());
    let package = resolver
        .resolve(&wanted(None), Mode::Normal)
        .await
        .expect("resolved");
    scene.publish("1.0.0", 11).await;
    // Whoever has it kept goes on; whoever hasn't is told.
    resolver
        .resolve(&locked(&package), Mode::Normal)
        .await
        .expect("kept");
    let other = Scene {
        folder: tempfile::tempdir().expect("a folder"),
        ..scene
    };
    let resolver = other.resolver(Policy::unchecked());
    let error = resolver
        .resolve(&locked(&package), Mode::Normal)
        .await
        .expect_err("moved");
    insta::assert_snapshot!(other.shown(&error), @r#"
    HOST/acme/x has other bytes for acme:x@1.0.0 than darkroom.lock pins (sha256:dd38440a4fa878e8fdac42dc55769d17759ec276574994846729acc66586f078, not sha256:9ce12ef02d6321180ec9c67c75dba8cf47d0d2fdbbe8881b7cefcb7a693dbc56)
    hint: somebody has published it again; ask who publishes it, and if it is right, run `darkroom update acme:x`
    "#);
}

#[tokio::test]
async fn a_yanked_version_is_not_chosen_but_loads_where_it_is_locked() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    scene.publish("1.0.0", 10).await;
    let second = scene.publish("1.1.0", 11).await;
    let resolver = scene.resolver(Policy::unchecked());
    let package = resolver
        .resolve(&wanted(None), Mode::Normal)
        .await
        .expect("resolved");
    let place = scene.server.at("acme/x");
    let yanked = anybody()
        .yank(
            &place,
            &second.manifest_digest,
            second.manifest_size,
            Some("broken"),
        )
        .await;
    assert!(yanked.expect("yanked"));
    let newest = resolver
        .resolve(&wanted(None), Mode::Normal)
        .await
        .expect("resolved");
    assert_eq!(newest.version.to_string(), "1.0.0");
    let error = resolver
        .resolve(&wanted(Some("1.1")), Mode::Normal)
        .await
        .expect_err("yanked");
    assert!(
        scene
            .shown(&error)
            .contains("every version of acme:x in HOST/acme/x that is 1.1 is yanked"),
        "{}",
        scene.shown(&error)
    );
    let fresh = Scene {
        folder: tempfile::tempdir().expect("a folder"),
        ..scene
    };
    let pulled = fresh
        .resolver(Policy::unchecked())
        .resolve(&locked(&package), Mode::Locked)
        .await;
    assert_eq!(pulled.expect("pulled").version.to_string(), "1.1.0");
}

#[tokio::test]
async fn the_policy_judges_at_the_pull_and_from_the_cache() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let key = new_key();
    let published = scene.publish("1.0.0", 10).await;
    // Kept while nobody asked.
    let package = scene
        .resolver(Policy::unchecked())
        .resolve(&wanted(None), Mode::Normal)
        .await;
    let package = package.expect("resolved");
    let strict = scene.resolver(signed_by(&key));
    for (wanted, mode) in [
        (wanted(None), Mode::Normal),
        (locked(&package), Mode::Normal),
        (locked(&package), Mode::Offline),
    ] {
        let error = strict.resolve(&wanted, mode).await.expect_err("unsigned");
        assert!(matches!(error, ResolveError::Refused(_)), "{error:?}");
    }
    // Signed for another version, then by another key.
    scene
        .sign(&published, &key, &Claims::new("acme:x", "9.9.9"))
        .await;
    scene
        .sign(&published, &new_key(), &Claims::new("acme:x", "1.0.0"))
        .await;
    let error = strict
        .resolve(&wanted(None), Mode::Normal)
        .await
        .expect_err("not for this");
    assert!(matches!(error, ResolveError::Refused(_)), "{error:?}");
    // Rightly, after it was kept: the registry is asked again.
    scene
        .sign(&published, &key, &Claims::new("acme:x", "1.0.0"))
        .await;
    let trusted = strict
        .resolve(&locked(&package), Mode::Normal)
        .await
        .expect("signed");
    assert_eq!(trusted.signer.expect("a signer").id, key.public().id());
    let kept = strict
        .resolve(&locked(&package), Mode::Offline)
        .await
        .expect("kept");
    assert!(!kept.pulled && kept.signer.is_some());
    // Another policy later refuses what is kept.
    let stranger = scene.resolver(signed_by(&new_key()));
    let error = stranger
        .resolve(&locked(&package), Mode::Offline)
        .await
        .expect_err("refused");
    assert!(matches!(error, ResolveError::Refused(_)), "{error:?}");
}

#[tokio::test]
async fn what_was_altered_in_the_cache_is_pulled_anew() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    scene.publish("1.0.0", 10).await;
    let resolver = scene.resolver(Policy::unchecked());
    let package = resolver
        .resolve(&wanted(None), Mode::Normal)
        .await
        .expect("resolved");
    let blob = scene
        .folder
        .path()
        .join("cache/blobs/sha256")
        .join(package.digest.hex());
    std::fs::remove_file(&blob).expect("removed");
    std::fs::write(&blob, b"altered").expect("written");
    let error = resolver
        .resolve(&locked(&package), Mode::Offline)
        .await
        .expect_err("altered");
    assert!(matches!(error, ResolveError::NotCached { .. }), "{error:?}");
    let again = resolver
        .resolve(&locked(&package), Mode::Normal)
        .await
        .expect("pulled");
    assert!(again.pulled);
    let kept = resolver
        .resolve(&locked(&package), Mode::Offline)
        .await
        .expect("kept");
    assert_eq!(kept.contents.component, component(10));
}

#[tokio::test]
async fn a_mirror_serves_what_is_locked_elsewhere() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    scene.publish("1.0.0", 10).await;
    let resolver = scene.resolver(Policy::unchecked());
    let package = resolver
        .resolve(&wanted(None), Mode::Normal)
        .await
        .expect("resolved");
    let mut fresh = Scene {
        folder: tempfile::tempdir().expect("a folder"),
        ..scene
    };
    // The lock names a place that is gone; configuration names the mirror.
    let mut gone = locked(&package);
    if let Some(locked) = &mut gone.locked {
        locked.located = Some("localhost:9/acme/x".parse().expect("a place"));
    }
    let pulled = fresh
        .resolver(Policy::unchecked())
        .resolve(&gone, Mode::Locked)
        .await
        .expect("pulled");
    assert_eq!(pulled.located.registry, fresh.proxy.host);
    // And the other way round: the mirror has nothing.
    fresh.folder = tempfile::tempdir().expect("a folder");
    let empty = Proxy::start("").await;
    let resolver = fresh.resolver_at(&empty.host, Policy::unchecked());
    let pulled = resolver
        .resolve(&locked(&package), Mode::Locked)
        .await
        .expect("pulled");
    assert_eq!(pulled.located.registry, fresh.proxy.host);
}

#[tokio::test]
async fn what_says_that_it_is_another_package_is_refused() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let place = scene.server.at("acme/x");
    let other = metadata("acme:other", "1.0.0");
    anybody()
        .publish(&place, component(5), &other, &With::default())
        .await
        .expect("published");
    let resolver = scene.resolver(Policy::unchecked());
    let error = resolver
        .resolve(&wanted(None), Mode::Normal)
        .await
        .expect_err("another");
    insta::assert_snapshot!(scene.shown(&error), @r#"
    what HOST/acme/x has for acme:x says that it is acme:other
    hint: is the registry of the namespace `acme` right?
    "#);
}

#[tokio::test]
async fn several_at_once_get_the_same() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    scene.publish("1.0.0", 1 << 20).await;
    // Two clients with the same cache, as two processes would be, each asking four times.
    let one = scene.resolver(Policy::unchecked());
    let two = scene.resolver(Policy::unchecked());
    let all = vec![wanted(None); 4];
    let (first, second) = tokio::join!(
        one.resolve_all(&all, Mode::Normal),
        two.resolve_all(&all, Mode::Normal)
    );
    for package in first.into_iter().chain(second) {
        let package = package.expect("resolved");
        assert_eq!(package.contents.component, component(1 << 20));
        assert!(package.warnings.is_empty(), "{:?}", package.warnings);
    }
    let wanted = Wanted {
        locked: None,
        ..wanted(None)
    };
    one.resolve(&wanted, Mode::Offline).await.expect("kept");
}

#[tokio::test]
async fn a_host_says_where_its_packages_are() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    scene.publish("1.0.0", 10).await;
    let file: &'static str =
        format!("{{\"oci\":{{\"registry\":\"{}\"}}}}", scene.server.host).leak();
    let front = Proxy::start("").await;
    let wkg = format!("[namespace_registries]\nacme = \"{}\"\n", front.host);
    let wkg = darkroom_registry::config::wkg::Wkg::parse(&wkg, "config.toml").expect("read");
    let client = Client::new(Registries::new().with_wkg(wkg), hasty());
    let name = "acme:x".parse().expect("a name");
    front.breaks(
        "/.well-known/wasm-pkg/registry.json",
        Fault::Status(200, None, file),
        1,
    );
    let located = client.locate(&name).await.expect("located");
    assert_eq!(located, scene.server.at("acme/x"));
    // It is asked once.
    client.locate(&name).await.expect("located");
    assert_eq!(front.seen().len(), 1);
    // A host without the file is the registry.
    let wkg = format!("default_registry = \"{}\"\n", scene.proxy.host);
    let wkg = darkroom_registry::config::wkg::Wkg::parse(&wkg, "config.toml").expect("read");
    let client = Client::new(Registries::new().with_wkg(wkg), hasty());
    assert_eq!(
        client.locate(&name).await.expect("located").registry,
        scene.proxy.host
    );
}

#[tokio::test]
async fn a_host_says_under_which_prefix_its_packages_are() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let key = new_key();
    let place = scene.server.at("acme-org/acme/x");
    let said = metadata("acme:x", "1.0.0");
    let with = With {
        key: Some(&key),
        ..With::default()
    };
    anybody()
        .publish(&place, component(10), &said, &with)
        .await
        .expect("published");
    let host = &scene.server.host;
    let file = format!("{{\"ociRegistry\":\"{host}\",\"ociNamespacePrefix\":\"acme-org/\"}}");
    let front = Proxy::start("").await;
    let path = "/.well-known/wasm-pkg/registry.json";
    front.breaks(path, Fault::Status(200, None, file.leak()), 9);
    let wkg = format!("[namespace_registries]\nacme = \"{}\"\n", front.host);
    let wkg = darkroom_registry::config::wkg::Wkg::parse(&wkg, "config.toml").expect("read");
    let resolver = |policy| {
        let folder = scene.folder.path().join("cache");
        let cache = Cache::open(&folder, Limit::default()).expect("a cache");
        let client = Client::new(Registries::new().with_wkg(wkg.clone()), hasty());
        Resolver::new(client, Arc::new(cache), Arc::new(policy))
    };
    let package = resolver(signed_by(&key))
        .resolve(&wanted(None), Mode::Normal)
        .await
        .expect("trusted");
    assert_eq!((&package.located, package.signer.is_some()), (&place, true));
    let other = new_key();
    let error = resolver(signed_by(&other))
        .resolve(&wanted(None), Mode::Normal)
        .await
        .expect_err("by another");
    assert!(matches!(error, ResolveError::Refused(_)), "{error:?}");
}

#[tokio::test]
async fn a_package_that_can_not_be_kept_is_still_had() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    scene.publish("1.0.0", 10).await;
    let resolver = scene.resolver(Policy::unchecked());
    let rows = scene.folder.path().join("cache/rows");
    std::fs::remove_dir(&rows).expect("removed");
    std::fs::write(&rows, "in the way").expect("written");
    let package = resolver
        .resolve(&wanted(None), Mode::Normal)
        .await
        .expect("resolved");
    assert_eq!(package.contents.component, component(10));
    assert_eq!(package.warnings.len(), 1);
    assert!(
        package.warnings[0].starts_with("acme:x is not kept: "),
        "{:?}",
        package.warnings
    );
}
