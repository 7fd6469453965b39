//! What resolving takes from the cache with nobody to ask: rows that are somebody's claim,
//! such as a bundle's, places that changed, and signers that are gone.

use std::sync::Arc;

use darkroom_registry::cache::{Attachment, Cache, Contents, Key, Limit};
use darkroom_registry::client::{Client, Settings};
use darkroom_registry::config::Registries;
use darkroom_registry::config::wkg::Wkg;
use darkroom_registry::digest::Digest;
use darkroom_registry::layout::{self, Metadata};
use darkroom_registry::resolve::{Locked, Mode, Package, ResolveError, Resolver, Wanted};
use darkroom_registry::sign::{BUNDLE_MEDIA_TYPE, Bundle, Claims, PrivateKey, Statement};
use darkroom_registry::trust::Policy;

use crate::new_key;

const PLACE: &str = "localhost:9/acme/x";

/// A cache into which anything was put.
struct Scene {
    folder: tempfile::TempDir,
    cache: Arc<Cache>,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = Arc::new(Cache::open(folder.path(), Limit::default()).unwrap());
        Self { folder, cache }
    }

    fn resolver(&self, registries: Registries, policy: Policy) -> Resolver {
        assert!(self.folder.path().exists());
        let settings = Settings {
            attempts: 1,
            ..Settings::default()
        };
        let client = Client::new(registries, settings);
        Resolver::new(client, Arc::clone(&self.cache), Arc::new(policy))
    }

    /// Keeps `contents` as another than it may be.
    fn put(&self, place: &str, name: &str, version: &str, contents: &Contents) {
        let key = Key {
            registry: place.into(),
            package: name.into(),
            version: version.into(),
        };
        self.cache.store(&key, contents).unwrap();
    }
}

fn here() -> Registries {
    let mut registries = Registries::new();
    registries.map("acme", "localhost:9").unwrap();
    registries
}

/// A package as `acme:x` of a version, signed with a key that says what for, or not.
fn contents(version: &str, signed: Option<(&PrivateKey, &Claims)>) -> Contents {
    let component = version.as_bytes().to_vec();
    let metadata = Metadata::new("acme:x".parse().unwrap(), version.parse().unwrap());
    let built = layout::build(&component, &metadata).unwrap();
    let signature = signed.map(|(key, claims)| {
        let statement = Statement::of_package(&built.manifest_digest, claims);
        Attachment {
            media_type: BUNDLE_MEDIA_TYPE.into(),
            annotations: [].into(),
            bytes: Bundle::sign(key, &statement).to_json(),
        }
    });
    Contents {
        manifest: built.manifest,
        component,
        attachments: signature.into_iter().collect(),
    }
}

fn wanted(name: &str, version: &str, contents: &Contents) -> Wanted {
    Wanted {
        name: name.parse().unwrap(),
        requirement: None,
        locked: Some(Locked {
            version: version.parse().unwrap(),
            digest: Digest::of(&contents.component),
            located: Some(PLACE.parse().unwrap()),
            signer: None,
        }),
    }
}

fn any(name: &str) -> Wanted {
    Wanted {
        name: name.parse().unwrap(),
        requirement: None,
        locked: None,
    }
}

fn policy(key: &PrivateKey, require: &str) -> Policy {
    let key = key.public().to_pem().unwrap().replace('\n', "\n        ");
    let text = format!(
        "version: 1\nrules:\n  - package: 'acme:*'\n    require: {require}\n    keys:\n      - |\n        {key}\n"
    );
    Policy::parse(&text, "trust.yaml", None).unwrap()
}

async fn offline(resolver: &Resolver, wanted: &Wanted) -> Result<Package, ResolveError> {
    resolver.resolve(wanted, Mode::Offline).await
}

#[tokio::test]
async fn a_row_that_calls_a_package_otherwise_is_refused() {
    let scene = Scene::new();
    let key = new_key();
    // As `cosign sign` without annotations does: the signature names a manifest only.
    let old = contents("1.0.0", Some((&key, &Claims::default())));
    let resolver = scene.resolver(here(), policy(&key, "signed"));
    scene.put(PLACE, "acme:x", "1.0.0", &old);
    let right = offline(&resolver, &wanted("acme:x", "1.0.0", &old)).await;
    assert!(right.unwrap().signer.is_some());

    for (name, version, said) in [
        ("acme:files", "1.0.0", "says that it is acme:x"),
        ("acme:x", "2.0.0", "is not a package"),
    ] {
        scene.put(PLACE, name, version, &old);
        let error = offline(&resolver, &wanted(name, version, &old)).await;
        let error = error.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        // The newest of what is kept, too.
        let asked = Wanted {
            requirement: Some(format!("={version}").parse().unwrap()),
            ..any(name)
        };
        if name == "acme:x" {
            let error = offline(&resolver, &asked).await.unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}

#[tokio::test]
async fn what_is_not_locked_comes_from_its_own_place_only() {
    let scene = Scene::new();
    scene.put(PLACE, "acme:x", "1.0.0", &contents("1.0.0", None));
    // Another project's registry has a higher version under the same name.
    let other = contents("9.0.0", None);
    scene.put("evil.example/acme/x", "acme:x", "9.0.0", &other);
    let unchecked = |registries| scene.resolver(registries, Policy::unchecked());
    let package = offline(&unchecked(here()), &any("acme:x")).await.unwrap();
    assert_eq!(package.version.to_string(), "1.0.0");
    assert_eq!(package.located.to_string(), PLACE);

    // Where only a host says the place, it can't be asked.
    let of_host = |host: &str| {
        let wkg = format!("[namespace_registries]\nacme = \"{host}\"\n");
        Registries::new().with_wkg(Wkg::parse(&wkg, "config.toml").unwrap())
    };
    let resolver = unchecked(of_host("acme.example"));
    let error = offline(&resolver, &any("acme:x")).await.unwrap_err();
    insta::assert_snapshot!(format!("{error}\n{}", error.hint()), @r"
    where acme.example keeps acme:x is not known offline
    build once with a connection, so that darkroom.lock pins it, or name its registry in [registries]
    ");
    let resolver = unchecked(of_host("localhost:9"));
    let package = offline(&resolver, &any("acme:x")).await.unwrap();
    assert_eq!(package.version.to_string(), "1.0.0");

    let resolver = unchecked(Registries::new());
    let error = offline(&resolver, &any("acme:x")).await.unwrap_err();
    assert!(matches!(error, ResolveError::Registry(_)), "{error}");
}

#[tokio::test]
async fn a_signer_that_is_gone_is_told() {
    let scene = Scene::new();
    let (key, other) = (new_key(), new_key());
    let claims = Claims::new("acme:x", "1.0.0");
    let signed = contents("1.0.0", Some((&key, &claims)));
    scene.put(PLACE, "acme:x", "1.0.0", &signed);
    let mut wanted = wanted("acme:x", "1.0.0", &signed);
    let mut warnings = async |signer: &PrivateKey, policy| {
        wanted.locked.as_mut().unwrap().signer = Some(signer.public().id());
        let resolver = scene.resolver(here(), policy);
        offline(&resolver, &wanted).await.unwrap().warnings
    };
    assert!(warnings(&key, policy(&key, "signed")).await.is_empty());
    let said = warnings(&other, policy(&key, "signed")).await;
    let (now, before) = (key.public().id(), other.public().id());
    assert_eq!(
        said,
        [format!(
            "acme:x@1.0.0 is signed by {now}; darkroom.lock knows it from {before}"
        )]
    );
    // Nobody looks, or the one who signed isn't trusted any more.
    let lost =
        format!("darkroom.lock knows acme:x@1.0.0 as signed by {now}; that is not verified here");
    let unchecked = warnings(&key, Policy::unchecked()).await;
    assert_eq!(unchecked, std::slice::from_ref(&lost));
    let said = warnings(&key, policy(&other, "warn")).await;
    assert_eq!((said.len(), said.last()), (2, Some(&lost)));
}

#[test]
fn a_row_may_say_any_size() {
    let scene = Scene::new();
    scene.put(PLACE, "acme:x", "1.0.0", &contents("1.0.0", None));
    let rows = std::fs::read_dir(scene.folder.path().join("rows")).unwrap();
    for row in rows {
        let path = row.unwrap().path();
        let mut json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for part in ["manifest", "component"] {
            json[part]["bytes"] = u64::MAX.into();
        }
        std::fs::write(&path, json.to_string()).unwrap();
    }
    assert_eq!(scene.cache.list().unwrap()[0].bytes, u64::MAX);
    assert_eq!(scene.cache.prune(0).unwrap().entries.len(), 1);
    assert!(scene.cache.list().unwrap().is_empty());
}
