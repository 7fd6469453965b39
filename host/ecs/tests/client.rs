//! The client against a server in this process that answers as it is told: what is
//! repeated and how, what is not, and what the errors say.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use darkroom_ecs::action::{
    DeleteImage, DescribeInstances, DescribeRegions, RebootInstance, RunInstances, StopInstance,
};
use darkroom_ecs::client::{CallError, Client, Retry};
use darkroom_ecs::credentials::keyring::{Granted, KeyError, Source};
use darkroom_ecs::credentials::{Credentials, Keyring, Secret};
use darkroom_ecs::endpoint::{self, Endpoint, EndpointError, Resolver};
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::http::{HttpRequest, HttpResponse};
use darkroom_ecs::id::RegionId;
use darkroom_ecs::params::from_params;
use darkroom_ecs::sign::{self, Claims, SignatureGeneration};
use darkroom_ecs::transport::{
    HttpOptions, HttpTransport, MemoryTransport, Transport, TransportError,
};
use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpSocket};

/// An answer that the server was told to give.
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status,
        headers: vec![],
        body: body.to_owned(),
    }
}

fn error(status: u16, code: &str) -> Answer {
    answer(
        status,
        &format!(r#"{{"RequestId":"req-1","HostId":"ecs","Code":"{code}","Message":"no"}}"#),
    )
}

fn made() -> Answer {
    answer(
        200,
        r#"{"RequestId":"req-2","InstanceIdSets":{"InstanceIdSet":["i-1"]},"OrderId":null}"#,
    )
}

/// A server, what it was told to answer, and what it was asked.
#[derive(Clone)]
struct Server {
    script: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Claims>>>,
    authority: String,
}

impl Server {
    async fn answering(script: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let server = Self {
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            asked: Arc::default(),
            authority: listener.local_addr().unwrap().to_string(),
        };
        let app = axum::Router::new()
            .fallback(handle)
            .with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        server
    }

    fn resolver(&self) -> Resolver {
        endpoint::fixed(endpoint_of(&self.authority))
    }

    fn asked(&self) -> Vec<Claims> {
        self.asked.lock().unwrap().clone()
    }
}

fn endpoint_of(authority: &str) -> Endpoint {
    format!("http://{authority}").parse().unwrap()
}

async fn handle(State(server): State<Server>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let headers = parts.headers.iter();
    let request = HttpRequest {
        method: parts.method.to_string(),
        scheme: "http".into(),
        authority: server.authority.clone(),
        target: parts.uri.to_string(),
        headers: headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        body: to_bytes(body, 1 << 20).await.unwrap(),
    };
    let claims = sign::verify(&request, Timestamp::now(), |_| Some(Secret::new("secret")));
    server.asked.lock().unwrap().push(claims.unwrap());
    let answer = server.script.lock().unwrap().pop_front().unwrap();
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.body)).unwrap()
}

fn credentials() -> Credentials {
    Credentials {
        access_key_id: "LTAItest".into(),
        access_key_secret: Secret::new("secret"),
        security_token: None,
    }
}

fn http() -> Arc<dyn Transport> {
    Arc::new(HttpTransport::new(HttpOptions::default()).unwrap())
}

/// A client that waits in no time and notes how long it would have waited.
fn client(
    transport: Arc<dyn Transport>,
    resolver: Resolver,
) -> (Client, Arc<Mutex<Vec<Duration>>>) {
    client_of(SignatureGeneration::Acs3, transport, resolver)
}

fn client_of(
    generation: SignatureGeneration,
    transport: Arc<dyn Transport>,
    resolver: Resolver,
) -> (Client, Arc<Mutex<Vec<Duration>>>) {
    let waits: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let noted = Arc::clone(&waits);
    let retry = Retry {
        attempts: 4,
        first: Duration::from_millis(100),
        longest: Duration::from_secs(1),
        patience: Duration::from_secs(3),
        jitter: false,
    };
    let client = Client::builder(transport, credentials(), resolver)
        .generation(generation)
        .retry(retry)
        .sleep(Arc::new(move |wait| {
            noted.lock().unwrap().push(wait);
            futures::future::ready(()).boxed()
        }))
        .build();
    (client, waits)
}

/// Grants a key with another id each time, all with the secret of [`credentials`].
struct Granting(AtomicUsize);

#[async_trait::async_trait]
impl Source for Granting {
    async fn grant(&self, _: Timestamp) -> Result<Granted, KeyError> {
        let count = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(Granted {
            credentials: Credentials {
                access_key_id: format!("STS.{count}"),
                security_token: Some(Secret::new(format!("token-{count}"))),
                ..credentials()
            },
            expires: None,
        })
    }

    fn describe(&self) -> String {
        "the test".into()
    }
}

/// How long the client waited, and the keys and tokens that it came with.
type Came = (Vec<u128>, Vec<(String, Option<String>)>);

async fn with_renewed_keys(script: Vec<Answer>) -> (Result<(), CallError>, Came) {
    let server = Server::answering(script).await;
    let source = Arc::new(Granting(AtomicUsize::new(0)));
    let keyring = Keyring::renewed(source, Arc::new(Timestamp::now));
    let waits: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let noted = Arc::clone(&waits);
    let client = Client::builder(http(), keyring, server.resolver())
        .retry(Retry::never())
        .sleep(Arc::new(move |wait| {
            noted.lock().unwrap().push(wait);
            futures::future::ready(()).boxed()
        }))
        .build();
    let outcome = client.call(&region(), &run_instances()).await.map(drop);
    let asked = server.asked();
    let keys = asked
        .into_iter()
        .map(|claims| (claims.access_key_id, claims.security_token))
        .collect();
    (outcome, (millis(&waits), keys))
}

#[tokio::test]
async fn a_key_that_ended_is_renewed_and_the_call_made_again_once() {
    let key = |count: u32| (format!("STS.{count}"), Some(format!("token-{count}")));
    let ended = || error(403, "InvalidSecurityToken.Expired");
    let (outcome, came) = with_renewed_keys(vec![ended(), made()]).await;
    outcome.unwrap();
    assert_eq!(came, (vec![], vec![key(1), key(2)]));

    let (outcome, came) = with_renewed_keys(vec![ended(), ended()]).await;
    let failure = outcome.unwrap_err();
    assert_eq!(
        failure.code(),
        Some(&ErrorCode::InvalidSecurityTokenExpired)
    );
    assert!(!failure.may_have_happened(), "{failure:?}");
    assert_eq!(came.1.len(), 2);

    // Fixed keys can't be renewed.
    let server = Server::answering([ended()]).await;
    let (client, _) = client(http(), server.resolver());
    let failure = client.call(&region(), &run_instances()).await.unwrap_err();
    assert!(failure.hint().unwrap().contains("get a new one"));
    assert_eq!(server.asked().len(), 1);
}

/// Grants nothing.
struct Nothing {
    passing: bool,
    asked: AtomicUsize,
}

#[async_trait::async_trait]
impl Source for Nothing {
    async fn grant(&self, _: Timestamp) -> Result<Granted, KeyError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Err(KeyError {
            source_name: self.describe(),
            problem: "no".into(),
            hint: Some("ask nicely".into()),
            passing: self.passing,
        })
    }

    fn describe(&self) -> String {
        "the test".into()
    }
}

#[tokio::test]
async fn without_a_key_nothing_is_sent() {
    for (passing, attempts) in [(true, 3), (false, 1)] {
        let server = Server::answering([]).await;
        let asked = AtomicUsize::new(0);
        let source = Arc::new(Nothing { passing, asked });
        let keyring = Keyring::renewed(Arc::clone(&source) as _, Arc::new(Timestamp::now));
        let retry = Retry {
            attempts: 3,
            ..Retry::default()
        };
        let client = Client::builder(http(), keyring, server.resolver())
            .retry(retry)
            .sleep(Arc::new(|_| futures::future::ready(()).boxed()))
            .build();
        let failure = client.call(&region(), &run_instances()).await.unwrap_err();
        assert!(matches!(failure, CallError::Keys { .. }), "{failure:?}");
        assert_eq!(failure.hint().as_deref(), Some("ask nicely"));
        assert_eq!(failure.is_unavailable(), passing);
        assert_eq!(source.asked.load(Ordering::SeqCst), attempts);
        assert_eq!(server.asked().len(), 0);
    }
}

fn region() -> RegionId {
    "cn-hangzhou".parse().unwrap()
}

fn run_instances() -> RunInstances {
    RunInstances {
        region_id: region(),
        client_token: Some("token-1".into()),
        ..RunInstances::default()
    }
}

fn millis(waits: &Mutex<Vec<Duration>>) -> Vec<u128> {
    waits
        .lock()
        .unwrap()
        .iter()
        .map(Duration::as_millis)
        .collect()
}

#[tokio::test]
async fn throttled_and_failed_calls_are_repeated_with_the_same_token_signed_anew() {
    for generation in [SignatureGeneration::Rpc, SignatureGeneration::Acs3] {
        let mut throttled = error(400, "Throttling.User");
        throttled.headers.push(("x-acs-retry-after", "700".into()));
        let script = [
            throttled,
            error(503, "ServiceUnavailable"),
            answer(502, "<html>"),
            made(),
        ];
        let server = Server::answering(script).await;
        let (client, waits) = client_of(generation, http(), server.resolver());

        let response = client.call(&region(), &run_instances()).await.unwrap();

        assert_eq!(response.instance_id_sets.instance_id_set[0].as_str(), "i-1");
        let asked = server.asked();
        assert_eq!(asked.len(), 4);
        for pair in asked.windows(2) {
            assert_eq!(pair[0].params, pair[1].params);
            assert_ne!(pair[0].nonce, pair[1].nonce);
        }
        assert_eq!(asked[3].params.get("ClientToken"), Some("token-1"));
        assert_eq!(
            (asked[3].action.as_str(), asked[3].generation),
            ("RunInstances", generation)
        );
        assert_eq!(millis(&waits), [700, 100, 200]);
    }
}

#[tokio::test]
async fn a_conflict_with_our_own_token_is_waited_for() {
    for code in [
        "IdempotentProcessing",
        "LastTokenProcessing",
        "OperationConflict",
    ] {
        let server = Server::answering([error(403, code), made()]).await;
        let (client, _) = client(http(), server.resolver());
        client.call(&region(), &run_instances()).await.unwrap();
        assert_eq!(server.asked().len(), 2, "{code}");
    }
}

#[tokio::test]
async fn a_refusal_of_ecs_is_final_and_says_what_where_and_why() {
    let server = Server::answering([error(403, "Forbidden.RAM")]).await;
    let (client, _) = client(http(), server.resolver());
    let failure = client.call(&region(), &run_instances()).await.unwrap_err();
    assert_eq!(failure.to_string(), "RunInstances in cn-hangzhou failed");
    let api = failure.api().unwrap();
    assert_eq!(
        (api.http_status, &api.code),
        (403, &ErrorCode::ForbiddenRam)
    );
    assert_eq!(api.to_string(), "Forbidden.RAM: no (request req-1)");
    assert!(failure.hint().unwrap().contains("ecs:RunInstances"));
    assert!(!failure.may_have_happened() && !failure.is_unavailable());
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn attempts_end_and_are_counted() {
    let server = Server::answering((0..4).map(|_| error(500, "InternalError"))).await;
    let (client, waits) = client(http(), server.resolver());
    let failure = client.call(&region(), &run_instances()).await.unwrap_err();
    assert_eq!(
        failure.to_string(),
        "RunInstances in cn-hangzhou failed after 4 attempts"
    );
    assert_eq!(failure.code(), Some(&ErrorCode::InternalError));
    assert!(failure.may_have_happened() && failure.is_unavailable());
    assert_eq!(millis(&waits), [100, 200, 400]);
}

#[tokio::test]
async fn a_reboot_that_may_have_happened_is_not_repeated() {
    let reboot = RebootInstance {
        instance_id: "i-1".parse().unwrap(),
        ..RebootInstance::default()
    };
    let server = Server::answering([error(500, "InternalError")]).await;
    let (faulty, _) = client(http(), server.resolver());
    let failure = faulty.call(&region(), &reboot).await.unwrap_err();
    assert!(failure.may_have_happened());
    assert_eq!(server.asked().len(), 1);

    // Throttling had no effect.
    let script = [
        error(400, "Throttling"),
        answer(200, r#"{"RequestId":"r"}"#),
    ];
    let server = Server::answering(script).await;
    let (busy, _) = client(http(), server.resolver());
    busy.call(&region(), &reboot).await.unwrap();
    assert_eq!(server.asked().len(), 2);
}

/// Accepts connections, counts them and closes them without an answer.
async fn closing_server() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut some = [0; 64];
            drop(tokio::io::AsyncReadExt::read(&mut stream, &mut some).await);
        }
    });
    (authority, count)
}

#[tokio::test]
async fn a_broken_connection_is_ambiguous() {
    let (authority, count) = closing_server().await;
    let (client, _) = client(http(), endpoint::fixed(endpoint_of(&authority)));
    let failure = client.call(&region(), &run_instances()).await.unwrap_err();
    assert!(
        failure
            .to_string()
            .contains("had no answer after 4 attempts"),
        "{failure}"
    );
    assert!(failure.may_have_happened());
    let tried = count.swap(0, Ordering::SeqCst);
    assert_eq!(tried, 4);

    let reboot = RebootInstance {
        instance_id: "i-1".parse().unwrap(),
        ..RebootInstance::default()
    };
    client.call(&region(), &reboot).await.unwrap_err();
    assert_eq!(count.swap(0, Ordering::SeqCst), 1);
    let stop = StopInstance {
        instance_id: "i-1".parse().unwrap(),
        ..StopInstance::default()
    };
    client.call(&region(), &stop).await.unwrap_err();
    assert_eq!(count.load(Ordering::SeqCst), 4);
}

/// An address where nobody listens, for as long as the socket lives.
fn nowhere() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let authority = socket.local_addr().unwrap().to_string();
    (socket, authority)
}

#[tokio::test]
async fn after_a_refused_connection_the_resolver_is_asked_again() {
    let server = Server::answering([made(), made()]).await;
    let (_held, nowhere) = nowhere();
    let live = server.authority.clone();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let resolver: Resolver = Arc::new(move |region| {
        assert_eq!(region.as_str(), "cn-hangzhou");
        let authority = match counted.fetch_add(1, Ordering::SeqCst) {
            0 => &nowhere,
            _ => &live,
        };
        futures::future::ready(Ok(endpoint_of(authority))).boxed()
    });
    let (client, _) = client(http(), resolver);
    client.call(&region(), &run_instances()).await.unwrap();
    client.call(&region(), &run_instances()).await.unwrap();
    // Once more after the refusal, and not again for the second call.
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert_eq!(server.asked()[0].params.get("ClientToken"), Some("token-1"));
}

#[tokio::test]
async fn a_server_that_stays_away_is_named() {
    let (_held, nowhere) = nowhere();
    let (gone, _) = client(http(), endpoint::fixed(endpoint_of(&nowhere)));
    let failure = gone
        .call(&region(), &DescribeRegions::default())
        .await
        .unwrap_err();
    let CallError::Transport {
        source, attempts, ..
    } = &failure
    else {
        panic!("{failure:?}");
    };
    assert_eq!(*attempts, 4);
    assert_eq!(
        source.to_string(),
        format!("connection to {nowhere} refused")
    );
    assert!(!failure.may_have_happened() && failure.is_unavailable());

    let resolver: Resolver = Arc::new(|region| {
        let source = Arc::from(Box::from("the local cloud did not start"));
        futures::future::ready(Err(EndpointError::Unavailable { region, source })).boxed()
    });
    let (nothing, _) = client(http(), resolver);
    let failure = nothing
        .call(&region(), &DescribeRegions::default())
        .await
        .unwrap_err();
    assert!(matches!(failure, CallError::Endpoint { .. }), "{failure:?}");
}

#[tokio::test]
async fn an_answer_that_is_not_of_ecs_is_shown_and_not_asked_for_again() {
    let cases = [
        (answer(200, "<html>hello"), "it is not JSON"),
        (answer(200, r#"{"InstanceIdSets":7}"#), "invalid type"),
        (answer(404, "not here"), "it is not an error of ECS"),
    ];
    for (answer, problem) in cases {
        let (body, status) = (answer.body.clone(), answer.status);
        let server = Server::answering([answer]).await;
        let (client, _) = client(http(), server.resolver());
        let failure = client.call(&region(), &run_instances()).await.unwrap_err();
        let text = failure.to_string();
        assert!(text.contains(problem) && text.contains(&body), "{text}");
        assert!(text.contains(&format!("status {status}")), "{text}");
        assert!(failure.may_have_happened());
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::answering([made()]).await;
    let mut moved = answer(307, "");
    moved
        .headers
        .push(("location", format!("http://{}/", elsewhere.authority)));
    let server = Server::answering([moved]).await;
    let (client, _) = client(http(), server.resolver());
    let failure = client.call(&region(), &run_instances()).await.unwrap_err();
    assert!(failure.to_string().contains("status 307"), "{failure}");
    assert_eq!(elsewhere.asked().len(), 0);
}

#[tokio::test]
async fn a_flood_is_cut_off() {
    let server = Server::answering([answer(200, &"x".repeat(5000))]).await;
    let options = HttpOptions {
        limit: 4000,
        ..HttpOptions::default()
    };
    let transport = Arc::new(HttpTransport::new(options).unwrap());
    let (client, _) = client(transport, server.resolver());
    let failure = client
        .call(&region(), &DescribeRegions::default())
        .await
        .unwrap_err();
    assert!(
        matches!(
            &failure,
            CallError::Transport {
                source: TransportError::TooLarge { limit: 4000, .. },
                ..
            }
        ),
        "{failure:?}"
    );
}

#[tokio::test]
async fn silence_ends() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let options = HttpOptions {
        timeout: Duration::from_millis(50),
        ..HttpOptions::default()
    };
    let transport = Arc::new(HttpTransport::new(options).unwrap());
    let (client, waits) = client(transport, endpoint::fixed(endpoint_of(&authority)));
    let failure = client
        .call(&region(), &DescribeRegions::default())
        .await
        .unwrap_err();
    assert!(
        matches!(
            &failure,
            CallError::Transport {
                source: TransportError::Timeout { .. },
                attempts: 4,
                ..
            }
        ),
        "{failure:?}"
    );
    assert_eq!(waits.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn keys_never_travel_in_the_clear_and_loopback_takes_no_proxy() {
    let resolver = endpoint::fixed("http://ecs.example.org".parse().unwrap());
    let (clear, waits) = client(http(), resolver);
    let failure = clear
        .call(&region(), &DescribeRegions::default())
        .await
        .unwrap_err();
    let CallError::Transport { source, .. } = &failure else {
        panic!("{failure:?}")
    };
    assert!(
        source
            .to_string()
            .contains("plain http is for this machine only"),
        "{source}"
    );
    assert!(waits.lock().unwrap().is_empty());

    let server = Server::answering([answer(200, "{}")]).await;
    let (_held, nowhere) = nowhere();
    let proxy = Some(format!("http://{nowhere}"));
    let transport = HttpTransport::new(HttpOptions {
        proxy,
        ..HttpOptions::default()
    })
    .unwrap();
    let (local, _) = client(Arc::new(transport), server.resolver());
    local
        .call(&region(), &DescribeRegions::default())
        .await
        .unwrap();
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_long_request_arrives_whole() {
    let server = Server::answering([made(), made()]).await;
    let request = RunInstances {
        user_data: Some("a+/=".repeat(11_000)),
        ..run_instances()
    };
    for generation in [SignatureGeneration::Rpc, SignatureGeneration::Acs3] {
        let (client, _) = client_of(generation, http(), server.resolver());
        client.call(&region(), &request).await.unwrap();
    }
    for claims in server.asked() {
        assert_eq!(
            from_params::<RunInstances>(&claims.params).unwrap(),
            request
        );
    }
}

#[tokio::test]
async fn in_memory_the_same_bytes_are_signed_and_read() {
    let handler = |request: HttpRequest| {
        let claims = sign::verify(&request, Timestamp::now(), |_| Some(Secret::new("secret")));
        let claims = claims.unwrap();
        let asked: DescribeInstances = from_params(&claims.params).unwrap();
        let body = format!(
            r#"{{"TotalCount":1,"Instances":{{"Instance":[{{"InstanceId":"{}","Status":"Running","ImageId":""}}]}}}}"#,
            asked.instance_ids.unwrap().0[0]
        );
        let response = HttpResponse {
            status: 200,
            headers: vec![],
            body: Bytes::from(body),
        };
        futures::future::ready(Ok(response)).boxed()
    };
    let transport = MemoryTransport(Arc::new(handler));
    let (client, _) = client(Arc::new(transport), endpoint::public());
    let request = DescribeInstances {
        region_id: region(),
        instance_ids: Some(["i-7".parse().unwrap()].into_iter().collect()),
        ..DescribeInstances::default()
    };
    let response = client.call(&region(), &request).await.unwrap();
    let instance = &response.instances.instance[0];
    assert_eq!(
        (instance.instance_id.as_str(), instance.status.as_str()),
        ("i-7", "Running")
    );
    assert!(instance.image_id.is_empty());

    let delete = DeleteImage {
        region_id: "a/b".parse().unwrap(),
        ..DeleteImage::default()
    };
    let failure = client.call(&delete.region_id, &delete).await.unwrap_err();
    assert!(matches!(failure, CallError::Endpoint { .. }), "{failure:?}");
}
