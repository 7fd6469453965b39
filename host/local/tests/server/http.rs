//! The server over real sockets: its files, its lock, its end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use darkroom_ecs::action::*;
use darkroom_ecs::http::HttpRequest;
use darkroom_ecs::sign::SignatureGeneration;
use darkroom_ecs::transport::{HttpOptions, HttpTransport, Transport};
use darkroom_local::{AccountsFile, Config, DriverKind, FileError, ServeError, Server, ServerFile};
use serde_json::Value;

use crate::support::{HANGZHOU, User, captured_call, client, region, until};

fn config(root: &Path) -> Config {
    Config {
        root: root.to_owned(),
        cache: root.join("cache"),
        driver: DriverKind::Sim,
        executable: std::env::current_exe().unwrap(),
        build_id: "test-build".into(),
        idle: None,
        port: None,
        range: None,
    }
}

fn transport() -> Arc<HttpTransport> {
    Arc::new(HttpTransport::new(HttpOptions::default()).unwrap())
}

/// A client that knows only the cloud's folder.
fn user(root: &Path) -> User {
    let server = ServerFile::read(root).unwrap().unwrap();
    let accounts = AccountsFile::read(root).unwrap().unwrap().accounts;
    User {
        client: client(transport(), &accounts[0], &server.url),
        region: region(HANGZHOU),
    }
}

async fn admin(root: &Path, method: &str, page: &str) -> (u16, Value) {
    let server = ServerFile::read(root).unwrap().unwrap();
    let authority = server.url.strip_prefix("http://").unwrap().to_owned();
    let answer = transport()
        .send(HttpRequest {
            method: method.into(),
            scheme: "http".into(),
            headers: vec![
                ("host".into(), authority.clone()),
                ("authorization".into(), format!("Bearer {}", server.token)),
            ],
            authority,
            target: format!("/-/{page}"),
            body: bytes::Bytes::new(),
        })
        .await
        .unwrap();
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

#[tokio::test]
async fn a_server_is_found_by_its_files_used_and_asked_to_leave() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let server = Server::start(config(root)).await.unwrap();
    let file = ServerFile::read(root).unwrap().unwrap();
    assert!(file.alive());
    assert_eq!(file.build_id, "test-build");
    let second = Server::start(config(root)).await;
    assert!(matches!(
        second,
        Err(ServeError::Files(FileError::Locked { .. }))
    ));
    let serving = tokio::spawn(server.run(std::future::pending()));
    let user = user(root);
    let id = user.run().await;
    assert_eq!(user.command(&id, "true").await.exit_code, Some(0));
    let big = "x".repeat(15_000);
    assert_eq!(user.command(&id, &big).await.exit_code, Some(0));
    let (_, ping) = admin(root, "GET", "ping").await;
    assert_eq!(ping["pid"], std::process::id());
    assert_eq!(admin(root, "POST", "stop").await.0, 200);
    tokio::time::timeout(Duration::from_secs(20), serving)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(ServerFile::read(root).unwrap(), None);
    // The next server on the same folder has the same instance and accounts.
    let server = Server::start(config(root)).await.unwrap();
    let serving = tokio::spawn(server.run(std::future::pending()));
    let user = self::user(root);
    assert_eq!(
        user.instance(&id).await.unwrap().status,
        InstanceStatus::Running
    );
    serving.abort();
}

#[tokio::test]
async fn an_idle_server_leaves_and_a_busy_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let limit = Duration::from_millis(300);
    let start = async || {
        Server::start(Config {
            idle: Some(limit),
            ..config(root)
        })
        .await
        .unwrap()
    };
    let serving = tokio::spawn(start().await.run(std::future::pending()));
    let user = user(root);
    let id = user.run().await;
    drop(user);
    // An instance that runs keeps the server: more than the limit passes.
    tokio::time::sleep(limit * 3).await;
    assert!(!serving.is_finished());
    let user = self::user(root);
    user.delete(&id).await;
    drop(user);
    until(async || serving.is_finished()).await;
    assert_eq!(ServerFile::read(root).unwrap(), None);
}

#[tokio::test]
async fn bytes_that_are_no_request_do_no_harm() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(config(folder.path())).await.unwrap();
    let address = server.url().strip_prefix("http://").unwrap().to_owned();
    let serving = tokio::spawn(server.run(std::future::pending()));
    let say = async |text: String| {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        // The server may hang up before it has read everything.
        stream.write_all(text.as_bytes()).await.ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        String::from_utf8(answer).unwrap()
    };
    let head = format!("Host: {address}\r\nConnection: close\r\n");
    let answer = say(format!("GET / HTTP/1.1\r\n{head}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("IncompleteSignature"), "{answer}");
    let answer = say(format!("GET http://{address}/ HTTP/1.1\r\n{head}\r\n")).await;
    assert!(answer.contains("IncompleteSignature"), "{answer}");
    let answer = say(format!("GET http://elsewhere/ HTTP/1.1\r\n{head}\r\n")).await;
    assert!(answer.contains("is not this cloud"), "{answer}");
    let length = 2 << 20;
    let body = "x".repeat(length);
    let answer = say(format!(
        "POST / HTTP/1.1\r\n{head}Content-Length: {length}\r\n\r\n{body}"
    ))
    .await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 413"),
        "{answer}"
    );
    assert!(
        say("nonsense\r\n\r\n".into())
            .await
            .starts_with("HTTP/1.1 400")
    );
    serving.abort();
}

/// The bytes of a request, and where those that mean something lie in them.
fn raw(request: &HttpRequest) -> (String, Vec<std::ops::Range<usize>>) {
    let mut text = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
    let target = request.method.len() + 1;
    let mut places = Vec::from([0..target - 1, target..target + request.target.len()]);
    let signed = request.header("authorization").unwrap_or_default();
    for (name, value) in &request.headers {
        let line = format!("{name}: {value}\r\n");
        let name = name.to_ascii_lowercase();
        if signed.contains(&name) || name == "authorization" || name == "host" {
            // Not the colon and the blank, which HTTP lets be written in several ways.
            places.push(text.len()..text.len() + name.len());
            places.push(text.len() + name.len() + 2..text.len() + line.len() - 2);
        }
        text.push_str(&line);
    }
    text.push_str("content-length: 0\r\nconnection: close\r\n\r\n");
    (text, places)
}

#[tokio::test]
async fn every_changed_byte_is_refused_on_the_socket() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(config(folder.path())).await.unwrap();
    let url = server.url().to_owned();
    let address = url.strip_prefix("http://").unwrap().to_owned();
    let account = server.service().accounts()[0].clone();
    let serving = tokio::spawn(server.run(std::future::pending()));
    let say = async |bytes: &[u8]| {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        stream.write_all(bytes).await.ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        String::from_utf8(answer).unwrap()
    };
    for generation in [SignatureGeneration::Rpc, SignatureGeneration::Acs3] {
        let params = [("RegionId", "cn-hangzhou"), ("InstanceName", "a b*~")];
        let request = captured_call(&account, generation, &url, "DescribeInstances", &params);
        let (text, places) = raw(&request);
        for at in places.into_iter().flatten() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let answer = say(&bytes).await;
            let shown = String::from_utf8_lossy(&bytes);
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
                "{shown}: {answer}"
            );
        }
        let answer = say(text.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    serving.abort();
}
