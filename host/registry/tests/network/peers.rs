//! Other tools as independent peers: `crane` and `oras` on the path, in the long tier.
//!
//! They read what we write and the other way round, and `crane registry serve` is a
//! second registry, by other people than docker-registry's.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::server::{Kind, Server, anybody, component, free_port, metadata};
use darkroom_registry::name::Located;
use darkroom_registry::referrers::Attachment;

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
        println!("not run: there is no {name} on the path");
    }
    found
}

/// What a tool prints; it must succeed.
fn run(program: &PathBuf, arguments: &[&str]) -> String {
    let output = Command::new(program)
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
            false,
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
        .publish(&place, component(1), &metadata("acme:x", "1.0.0"), false)
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

/// Killed when it goes.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn another_registry_does_as_well() {
    let Some(crane) = peer("crane") else { return };
    let port = free_port();
    let serving = Command::new(crane)
        .args([
            "registry",
            "serve",
            "--address",
            &format!("127.0.0.1:{port}"),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _serving = Serving(serving.expect("it starts"));
    let since = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(
            since.elapsed() < Duration::from_secs(10),
            "it doesn't listen"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    let client = anybody();
    let place: Located = format!("127.0.0.1:{port}/acme/x").parse().expect("a place");
    let published = client
        .publish(
            &place,
            component(6 << 20),
            &metadata("acme:x", "1.0.0"),
            false,
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
