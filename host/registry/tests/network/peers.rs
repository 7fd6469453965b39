//! Other tools as independent peers: `wkg`, `cosign`, `crane` and `oras` on the path, in
//! the long tier.
//!
//! They read what we write and the other way round, and go-containerregistry's is a second
//! registry, by other people than docker-registry's: without the referrers API, as `crane
//! registry serve` starts it, and with it.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::server::{Kind, Server, anybody, component, free_port, hasty, metadata, new_key};
use darkroom_registry::cache::{Cache, Limit};
use darkroom_registry::client::Client;
use darkroom_registry::config::Registries;
use darkroom_registry::config::wkg::Wkg;
use darkroom_registry::name::{Located, PackageName};
use darkroom_registry::publish::With;
use darkroom_registry::referrers::Attachment;
use darkroom_registry::resolve::{Mode, Resolver, Wanted};
use darkroom_registry::sign::PrivateKey;
use darkroom_registry::trust::Policy;

/// Where a tool is, in the long tier; says why not otherwise.
fn peer(name: &str) -> Option<PathBuf> {
    if std::env::var_os("DARKROOM_LONG").is_none() {
        println!("long tier: {name} as a peer");
        return None;
    }
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
        assert!(!ci, "not run: there is no {name} on the path");
        println!("not run: there is no {name} on the path");
    }
    found
}

/// What a tool prints; it must succeed. It works in a folder that goes: wkg leaves a lock.
fn run(program: &PathBuf, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(program)
        .current_dir(folder.path())
        .args(arguments)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test]
async fn crane_reads_what_we_write() {
    let Some(crane) = peer("crane") else { return };
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let client = anybody();
    let place = server.at("acme/x");
    let published = client
        .publish(
            &place,
            component(5 << 20),
            &metadata("acme:x", "1.0.0+b"),
            &With::default(),
        )
        .await;
    let published = published.expect("published");
    let reference = published.reference.to_string();
    assert_eq!(
        run(&crane, &["digest", &reference]),
        published.manifest_digest.to_string()
    );
    assert_eq!(run(&crane, &["ls", &place.to_string()]), "1.0.0_b");
    let blob = format!("{place}@{}", published.component_digest);
    let bytes = Command::new(&crane)
        .args(["blob", &blob])
        .output()
        .expect("it starts")
        .stdout;
    assert_eq!(bytes, component(5 << 20));
    // Its copy is ours, byte for byte.
    let copy = server.at("copy/x");
    run(
        &crane,
        &["copy", &reference, &copy.tagged("1.0.0_b").to_string()],
    );
    let pulled = client.pull(&copy.tagged("1.0.0_b")).await.expect("pulled");
    assert_eq!(pulled.manifest_digest, published.manifest_digest);
}

#[tokio::test]
async fn oras_and_we_understand_each_other() {
    let Some(oras) = peer("oras") else { return };
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let client = anybody();
    let place = server.at("acme/x");
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(file("x.wasm"), component(999)).expect("written");
    std::fs::write(file("config.json"), "{}").expect("written");
    // What oras pushes in the layout, we pull.
    let config = format!(
        "{}:application/vnd.wasm.config.v0+json",
        file("config.json")
    );
    let layer = format!("{}:application/wasm", file("x.wasm"));
    let pushed = place.tagged("2.0.0");
    run(
        &oras,
        &[
            "push",
            "--plain-http",
            "--disable-path-validation",
            &pushed.to_string(),
            "--config",
            &config,
            &layer,
        ],
    );
    assert_eq!(
        client.pull(&pushed).await.expect("pulled").component,
        component(999)
    );

    // What we attach, oras discovers, and the other way round.
    let published = client
        .publish(
            &place,
            component(1),
            &metadata("acme:x", "1.0.0"),
            &With::default(),
        )
        .await;
    let published = published.expect("published");
    let (digest, size) = (published.manifest_digest, published.manifest_size);
    let sbom = Attachment::new("application/spdx+json", "{\"spdxVersion\":\"SPDX-2.3\"}");
    client
        .attach(&place, &digest, size, &sbom)
        .await
        .expect("attached");
    let reference = format!("{place}@{digest}");
    let found = run(
        &oras,
        &["discover", "--plain-http", "--format", "json", &reference],
    );
    assert!(found.contains("application/spdx+json"), "{found}");
    std::fs::write(file("note.txt"), "hello").expect("written");
    let note = format!("{}:text/plain", file("note.txt"));
    run(
        &oras,
        &[
            "attach",
            "--plain-http",
            "--disable-path-validation",
            "--artifact-type",
            "example/note",
            &reference,
            &note,
        ],
    );
    let referrers = client.referrers(&place, &digest).await.expect("listed");
    assert_eq!(referrers.len(), 2);
    let theirs = referrers
        .iter()
        .find(|one| one.artifact_type() == "example/note")
        .expect("listed");
    assert_eq!(
        client.attachment(&place, theirs).await.expect("read").bytes,
        "hello"
    );
}

#[tokio::test]
async fn wkg_gets_what_we_publish_and_the_other_way_round() {
    let Some(wkg) = peer("wkg") else { return };
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let client = anybody();
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let host = &server.host;
    let config = format!(
        "[namespace_registries]\nacme = \"{host}\"\ndarkroom = \"{host}\"\n\
         [registry.\"{host}\"]\ntype = \"oci\"\n[registry.\"{host}\".oci]\nprotocol = \"http\"\n"
    );
    std::fs::write(file("config.toml"), config).expect("written");
    let (config, cache) = (file("config.toml"), file("cache"));
    let common = ["--config", &config, "--cache", &cache];
    let plain = ["--insecure", host.as_str()];
    // The contract as a package, built by wkg.
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
    let contract = file("contract.wasm");
    run(
        &wkg,
        &[
            ["wit", "build", "--wit-dir", wit, "--output", &contract].as_slice(),
            &common,
        ]
        .concat(),
    );
    let contract = std::fs::read(contract).expect("built");

    for (name, bytes) in [
        ("acme:x", component(0).to_vec()),
        ("darkroom:component", contract),
    ] {
        let parsed: PackageName = name.parse().expect(name);
        let place = server.at(&name.replace(':', "/"));
        let said = metadata(name, "1.0.0");
        let published = client
            .publish(&place, bytes.clone().into(), &said, &With::default())
            .await;
        let reference = published.expect("published").reference.to_string();
        let got = file("got.wasm");
        run(
            &wkg,
            &[
                [
                    "get",
                    name,
                    "--format",
                    "wasm",
                    "--overwrite",
                    "--output",
                    &got,
                ]
                .as_slice(),
                &common,
            ]
            .concat(),
        );
        assert!(
            std::fs::read(&got).expect("got") == bytes,
            "{name}: wkg get"
        );
        run(
            &wkg,
            &[
                ["oci", "pull", "--output", &got].as_slice(),
                &plain,
                &[&reference],
            ]
            .concat(),
        );
        assert!(
            std::fs::read(&got).expect("pulled") == bytes,
            "{name}: wkg oci pull"
        );

        let theirs = place.tagged("2.0.0").to_string();
        run(
            &wkg,
            &[["oci", "push"].as_slice(), &plain, &[&theirs, &got]].concat(),
        );
        let pulled = client.pull(&place.tagged("2.0.0")).await.expect("pulled");
        assert!(pulled.component == bytes, "{name}: wkg oci push");
        // Its configuration leads us to the same place.
        let text = std::fs::read_to_string(&config).expect("read");
        let registries =
            Registries::new().with_wkg(Wkg::parse(&text, "config.toml").expect("read"));
        let located = Client::new(registries, hasty()).locate(&parsed).await;
        assert_eq!(located.expect("located"), place);
    }
}

/// The program that was built with these tests; says so where it wasn't.
fn darkroom() -> Option<PathBuf> {
    let tests = std::env::current_exe().expect("a program");
    let built = tests.ancestors().nth(2).expect("a folder").join("darkroom");
    if !built.is_file() {
        println!("not run: {} is not built", built.display());
        return None;
    }
    Some(built)
}

/// Thirty packages, each pulled into a file by a process of its own, theirs and ours. The
/// second time `wkg get` has them in its cache; `component pull` asks the registry again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_packages_against_wkg() {
    let (Some(wkg), Some(darkroom)) = (peer("wkg"), darkroom()) else {
        return;
    };
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let host = &server.host;
    let text =
        format!("default_registry = \"{host}\"\n[registry.\"{host}\".oci]\nprotocol = \"http\"\n");
    std::fs::write(file("config.toml"), &text).expect("written");
    // A section that names nothing, so that wkg takes it for a component.
    let mut bytes = component(0).to_vec();
    bytes.extend([0, 0x83, 0x80, 0x08, 1, b'x']);
    bytes.resize(bytes.len() + 0x20001, 7);
    let client = anybody();
    let names: Vec<String> = (0..30).map(|at| format!("acme:p{at}")).collect();
    for name in &names {
        let place = server.at(&name.replace(':', "/"));
        let bytes = bytes.clone().into();
        client
            .publish(&place, bytes, &metadata(name, "1.0.0"), &With::default())
            .await
            .expect("published");
    }
    let (config, cache, out) = (file("config.toml"), file("theirs"), file("out.wasm"));
    let get = |name: &str| {
        let words = [
            "get",
            name,
            "--format",
            "wasm",
            "--overwrite",
            "--output",
            &out,
        ];
        let places = ["--config", &config, "--cache", &cache];
        run(&wkg, &[words.as_slice(), &places].concat());
    };
    let pull = |name: &str| {
        let output = Command::new(&darkroom)
            .env("HOME", folder.path())
            .env("WKG_CONFIG_FILE", &config)
            .current_dir(folder.path())
            .args(["component", "pull", name, "-o", &out])
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {said}");
    };
    let took = |work: &dyn Fn(&str)| {
        let since = Instant::now();
        for name in &names {
            work(name);
        }
        since.elapsed()
    };
    let ours = took(&pull);
    assert!(std::fs::read(&out).expect("pulled") == bytes);
    let (theirs, kept) = (took(&get), took(&get));
    println!(
        "30 packages of 131 kB, a process each: wkg get {theirs:?}, from its cache {kept:?}; \
         component pull {ours:?}"
    );
    assert!(ours <= theirs, "{ours:?}, {theirs:?}");
}

#[tokio::test]
async fn cosign_verifies_what_we_sign_and_signs_what_we_trust() {
    let Some(cosign) = peer("cosign") else { return };
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let client = anybody();
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let cosign = |arguments: &[&str]| {
        let mut command = Command::new(&cosign);
        command
            .env("HOME", folder.path())
            .env("COSIGN_PASSWORD", "");
        let output = command.current_dir(folder.path()).args(arguments).output();
        let output = output.expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some(()).ok_or(said)
    };
    let place = server.at("acme/x");
    let publish = async |version: &str| {
        let said = metadata("acme:x", version);
        let published = client
            .publish(&place, component(version.len()), &said, &With::default())
            .await;
        published.expect(version)
    };

    // We sign, and cosign verifies; another key it refuses.
    let (key, other) = (new_key(), new_key());
    std::fs::write(file("ours.pub"), key.public().to_pem().expect("PEM")).expect("written");
    std::fs::write(file("other.pub"), other.public().to_pem().expect("PEM")).expect("written");
    let published = publish("1.0.0").await;
    let reference = format!("{place}@{}", published.manifest_digest);
    let verify =
        |key: &str| cosign(&["verify", "--key", key, "--insecure-ignore-tlog", &reference]);
    verify("ours.pub").expect_err("unsigned");
    let with = With {
        key: Some(&key),
        ..With::default()
    };
    let said = metadata("acme:x", "1.0.0");
    let signed = client.publish(&place, component(5), &said, &with).await;
    assert_eq!(
        signed.expect("signed").manifest_digest,
        published.manifest_digest
    );
    verify("ours.pub").expect("cosign verifies it");
    verify("other.pub").expect_err("another key");

    // cosign signs, in both forms, and the policy trusts it.
    cosign(&["generate-key-pair", "--output-key-prefix", "theirs"]).expect("a key");
    cosign(&["signing-config", "create", "--out", "sc.json"]).expect("a configuration");
    let policy =
        "version: 1\nrules: [{ package: 'acme:*', require: signed, keys: [theirs.pub] }]\n";
    let dir = cap_std::fs::Dir::open_ambient_dir(folder.path(), cap_std::ambient_authority());
    let policy = Arc::new(
        Policy::parse(policy, "trust.yaml", Some(&dir.expect("a folder"))).expect("a policy"),
    );
    for (version, form) in [
        ("2.0.0", ["--signing-config=sc.json"].as_slice()),
        (
            "2.0.10",
            &[
                "--use-signing-config=false",
                "--tlog-upload=false",
                "--new-bundle-format=false",
            ],
        ),
    ] {
        let published = publish(version).await;
        let reference = format!("{place}@{}", published.manifest_digest);
        let cache = Cache::open(&folder.path().join("cache"), Limit::default()).expect("a cache");
        let mut registries = Registries::new();
        registries.map("acme", &server.host).expect("mapped");
        let client = Client::new(registries, hasty());
        let resolver = Resolver::new(client, Arc::new(cache), Arc::clone(&policy));
        let wanted = Wanted {
            name: "acme:x".parse().expect("a name"),
            requirement: Some(version.parse().expect(version)),
            locked: None,
        };
        resolver
            .resolve(&wanted, Mode::Normal)
            .await
            .expect_err("unsigned");
        let sign = ["sign", "--key", "theirs.key", "-y"];
        cosign(&[&sign, form, &[&reference]].concat()).expect("cosign signs it");
        let package = resolver
            .resolve(&wanted, Mode::Normal)
            .await
            .expect("trusted");
        assert!(package.signer.is_some());
    }
}

/// A registry by other people than docker-registry's. Killed when it goes.
struct Serving {
    child: Child,
    host: String,
}

impl Serving {
    /// As crane starts it: without the referrers API.
    fn crane() -> Option<Self> {
        let crane = peer("crane")?;
        let address = format!("127.0.0.1:{}", free_port());
        let words = ["registry", "serve", "--address", &address];
        let serving = Self {
            child: spawn(&crane, &words, Stdio::null()),
            host: address,
        };
        let since = Instant::now();
        while std::net::TcpStream::connect(&serving.host).is_err() {
            let waits = since.elapsed() < Duration::from_secs(10);
            assert!(waits, "it doesn't listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(serving)
    }

    /// The same product with the API; `tests/peers/registry` starts it.
    fn with_referrers() -> Option<Self> {
        let program = peer("referrers-registry")?;
        let mut child = spawn(&program, &[], Stdio::piped());
        let out = child.stdout.take().expect("its output");
        let mut host = String::new();
        BufReader::new(out).read_line(&mut host).expect("a line");
        let host = host.trim().to_owned();
        Some(Self { child, host })
    }
}

fn spawn(program: &PathBuf, words: &[&str], out: Stdio) -> Child {
    let mut command = Command::new(program);
    command.args(words).stdout(out).stderr(Stdio::null());
    command.spawn().expect("it starts")
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test]
async fn a_registry_with_the_referrers_api_and_one_without() {
    let Some(serving) = Serving::with_referrers() else {
        return;
    };
    let Some(server) = Server::start(&Kind::default()) else {
        return;
    };
    let client = anybody();
    let place: Located = format!("{}/acme/x", serving.host).parse().expect("a place");
    let (key, other) = (new_key(), new_key());
    let sbom = [Attachment::new("application/spdx+json", "{}")];
    let with = With {
        attachments: &sbom,
        key: Some(&key),
        ..With::default()
    };
    let said = metadata("acme:x", "1.0.0");
    let published = client.publish(&place, component(9), &said, &with).await;
    let published = published.expect("published");
    // Listed by the registry: no index is kept under a tag.
    assert_eq!(client.tags(&place).await.expect("listed"), ["1.0.0"]);
    let digest = &published.manifest_digest;
    let listed = client.referrers(&place, digest).await.expect("listed");
    assert_eq!(listed.len(), 2);

    let resolve = async |place: &Located, key: &PrivateKey| {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(
            folder.path().join("k.pub"),
            key.public().to_pem().expect("PEM"),
        )
        .expect("written");
        let dir = cap_std::fs::Dir::open_ambient_dir(folder.path(), cap_std::ambient_authority());
        let text = "version: 1\nrules: [{ package: '*', require: signed, keys: [k.pub] }]\n";
        let policy = Policy::parse(text, "trust.yaml", Some(&dir.expect("a folder")));
        let cache = Cache::open(&folder.path().join("cache"), Limit::default()).expect("a cache");
        let mut registries = Registries::new();
        let (at, _) = place.repository.rsplit_once("acme/x").expect("its end");
        registries
            .map("acme", &format!("{}/{at}", place.registry))
            .expect("mapped");
        let client = Client::new(registries, hasty());
        let resolver = Resolver::new(client, Arc::new(cache), Arc::new(policy.expect("read")));
        let wanted = Wanted {
            name: "acme:x".parse().expect("a name"),
            requirement: None,
            locked: None,
        };
        resolver.resolve(&wanted, Mode::Normal).await
    };
    // There, on a mirror without the API, and back on one with it.
    let mirror = server.at("mirror/acme/x");
    let back = Located {
        repository: "back/acme/x".into(),
        ..place.clone()
    };
    let copy = async |from: &Located, to: &Located| {
        let (from, to) = (from.tagged("1.0.0"), to.tagged("1.0.0"));
        let copied = client.copy(&from, &to, false).await;
        copied.expect("copied").attachments
    };
    assert_eq!(copy(&place, &mirror).await, 2);
    assert_eq!(copy(&mirror, &back).await, 2);
    for place in [&place, &mirror, &back] {
        let trusted = resolve(place, &key).await.expect("trusted");
        assert_eq!(trusted.signer.expect("a signer").id, key.public().id());
        resolve(place, &other).await.expect_err("by another");
    }
    assert_eq!(client.tags(&back).await.expect("listed"), ["1.0.0"]);
    assert_eq!(client.tags(&mirror).await.expect("listed").len(), 2);
}

#[tokio::test]
async fn another_registry_does_as_well() {
    let Some(serving) = Serving::crane() else {
        return;
    };
    let client = anybody();
    let place: Located = format!("{}/acme/x", serving.host).parse().expect("a place");
    let published = client
        .publish(
            &place,
            component(6 << 20),
            &metadata("acme:x", "1.0.0"),
            &With::default(),
        )
        .await;
    let published = published.expect("published");
    let pulled = client.pull(&published.reference).await.expect("pulled");
    assert_eq!(pulled.component, component(6 << 20));
    let (digest, size) = (published.manifest_digest, published.manifest_size);
    assert!(
        client
            .yank(&place, &digest, size, Some("broken"))
            .await
            .expect("yanked")
    );
    let referrers = client.referrers(&place, &digest).await.expect("listed");
    assert_eq!(referrers.len(), 1);
    assert!(
        client
            .yanked(&place, &referrers)
            .await
            .expect("read")
            .is_some()
    );
    let copied = client
        .copy(&published.reference, &place.tagged("1.0.1"), false)
        .await;
    copied.expect("copied");
    assert_eq!(
        client
            .search(&place.registry, "x", 9)
            .await
            .expect("listed")
            .len(),
        1
    );
    let again = place.tagged("1.0.1");
    let error = client
        .pull(&again)
        .await
        .expect_err("it says that it is 1.0.0");
    assert!(error.to_string().contains("is not a package"), "{error}");
}
