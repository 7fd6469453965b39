//! Each way to keys against a small STS, a metadata service and an address of the user's own,
//! on real sockets in this process: what is asked, whether it is signed, when it is asked
//! again, and what is said when it goes wrong. No secret is in any of it.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test a panic is the report"
)]

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use darkroom_ecs::action::DescribeRegions;
use darkroom_ecs::client::Client;
use darkroom_ecs::credentials::keyring::{KeyError, Keyring};
use darkroom_ecs::credentials::way::{Role, Tools};
use darkroom_ecs::credentials::{Credentials, Secret, Way, profile};
use darkroom_ecs::endpoint;
use darkroom_ecs::http::HttpRequest;
use darkroom_ecs::sign;
use darkroom_ecs::transport::{HttpOptions, HttpTransport};
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;

const HUSH: &str = "hush-hush";

/// What the server does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fault {
    #[default]
    None,
    /// An error of STS with this status and code.
    Refuse(u16, &'static str),
    /// The metadata service has no tokens.
    NoTokens,
    /// The instance has no role.
    NoRole,
    /// It answers with something else, and with the secret in it.
    Nonsense,
    /// The cloud says of the first granted key that it has ended.
    Ended,
}

/// STS, metadata service, an address with keys, and an ECS that wants granted keys.
#[derive(Clone)]
struct Server {
    authority: String,
    asked: Arc<Mutex<Vec<String>>>,
    granted: Arc<Mutex<u32>>,
    fault: Arc<Mutex<Fault>>,
    /// The clock of all.
    seconds: Arc<AtomicI64>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let server = Self {
            authority: listener.local_addr().unwrap().to_string(),
            asked: Arc::default(),
            granted: Arc::default(),
            fault: Arc::default(),
            seconds: Arc::new(AtomicI64::new(1_790_000_000)),
        };
        let app = axum::Router::new()
            .fallback(handle)
            .with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        server
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.seconds.load(Ordering::SeqCst)).unwrap()
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn fail(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    fn tools(&self) -> Tools {
        let here: endpoint::Endpoint = format!("http://{}", self.authority).parse().unwrap();
        let transport = Arc::new(HttpTransport::new(HttpOptions::default()).unwrap());
        Tools {
            transport: Arc::clone(&transport) as _,
            near: transport,
            nonce: Arc::new(|| uuid::Uuid::new_v4().to_string()),
            user_agent: "test".into(),
            sts: Some(here.clone()),
            metadata: here,
            read: Arc::new(|path| match path.to_str() {
                Some("/token") => Ok(format!("{HUSH}-token\n")),
                _ => Err(io::ErrorKind::NotFound.into()),
            }),
            run: Arc::new(|words| {
                Box::pin(async move {
                    match words.join(" ").as_str() {
                        "get keys" => Ok(format!(r#"{{"mode":"StsToken","access_key_id":"STS.run","access_key_secret":"{HUSH}","sts_token":"{HUSH}"}}"#).into()),
                        "get nonsense" => Ok(HUSH.as_bytes().to_vec()),
                        _ => Err(io::ErrorKind::NotFound.into()),
                    }
                })
            }),
        }
    }

    fn keyring(&self, way: Way) -> Keyring {
        let server = self.clone();
        way.keyring(self.tools(), Arc::new(move || server.now()))
    }

    async fn key(&self, way: Way) -> Result<Credentials, KeyError> {
        self.keyring(way).credentials().await
    }

    /// Notes a grant and gives its answer, in the metadata service's spelling.
    fn grant(&self) -> serde_json::Value {
        let mut granted = self.granted.lock().unwrap();
        *granted += 1;
        let expires = self.now() + SignedDuration::from_hours(1);
        serde_json::json!({
            "Code": "Success",
            "AccessKeyId": format!("STS.{granted}"),
            "AccessKeySecret": HUSH,
            "SecurityToken": format!("{HUSH}-{granted}"),
            "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        })
    }

    fn note(&self, text: impl Into<String>) {
        self.asked.lock().unwrap().push(text.into());
    }

    fn answer(&self, request: &HttpRequest) -> (u16, String) {
        let fault = *self.fault.lock().unwrap();
        let path = request.path();
        match (request.method.as_str(), path) {
            ("PUT", "/latest/api/token") => {
                self.note("token");
                assert_eq!(
                    request.header("x-aliyun-ecs-metadata-token-ttl-seconds"),
                    Some("21600")
                );
                match fault {
                    Fault::NoTokens => (404, String::new()),
                    _ => (200, "ticket".into()),
                }
            }
            ("GET", "/latest/meta-data/ram/security-credentials/") => {
                self.note("roles");
                match fault {
                    Fault::NoRole => (404, String::new()),
                    _ => (200, "box\n".into()),
                }
            }
            ("GET", "/latest/meta-data/ram/security-credentials/box") => {
                let ticket = request.header("x-aliyun-ecs-metadata-token");
                self.note(format!("role box with {ticket:?}"));
                (200, self.grant().to_string())
            }
            ("GET", "/keys") => {
                self.note(format!("keys?{}", request.query()));
                match fault {
                    Fault::Nonsense => (200, HUSH.into()),
                    Fault::Refuse(status, _) => (status, HUSH.into()),
                    _ => (200, self.grant().to_string()),
                }
            }
            ("POST", "/") => self.post(request, fault),
            other => panic!("asked for {other:?}"),
        }
    }

    fn post(&self, request: &HttpRequest, fault: Fault) -> (u16, String) {
        let refused = |status: u16, code: &str| {
            let message = format!("No: {HUSH}-token.");
            let text = serde_json::json!({"RequestId": "r", "Code": code, "Message": message});
            (status, text.to_string())
        };
        if request.query().contains("Action=AssumeRoleWithOIDC") {
            let body = String::from_utf8(request.body.to_vec()).unwrap();
            let form: BTreeMap<_, _> = body
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .collect();
            assert_eq!(form["OIDCToken"], format!("{HUSH}-token"));
            assert!(request.header("authorization").is_none());
            assert!(request.query().contains("Version=2015-04-01"));
            self.note(format!(
                "oidc {} {}",
                form["RoleArn"], form["DurationSeconds"]
            ));
        } else {
            let claims = sign::verify(request, self.now(), |id| {
                let known = ["LTAI", "STS.1", "STS.2", "STS.3"].contains(&id);
                known.then(|| Secret::new(HUSH))
            });
            let claims = match claims {
                Ok(claims) => claims,
                Err(error) => return refused(400, error.to_api_error().code.as_str()),
            };
            let say = |name: &str| claims.params.get(name).unwrap_or("-").to_owned();
            if claims.action == "DescribeRegions" {
                self.note(format!("ECS as {}", claims.access_key_id));
                assert_eq!(
                    claims.security_token,
                    Some(claims.access_key_id.replace("STS.", &format!("{HUSH}-")))
                );
                return match fault {
                    Fault::Ended if claims.access_key_id == "STS.1" => {
                        refused(403, "InvalidSecurityToken.Expired")
                    }
                    _ => (200, r#"{"RequestId":"r"}"#.into()),
                };
            }
            assert_eq!(
                (claims.action.as_str(), claims.version.as_str()),
                ("AssumeRole", "2015-04-01")
            );
            self.note(format!(
                "{} takes on {} as {} for {} ({})",
                claims.access_key_id,
                say("RoleArn"),
                say("RoleSessionName"),
                say("DurationSeconds"),
                say("ExternalId"),
            ));
        }
        match fault {
            Fault::Refuse(status, code) => refused(status, code),
            Fault::Nonsense => (200, HUSH.into()),
            _ => (
                200,
                serde_json::json!({"Credentials": self.grant()}).to_string(),
            ),
        }
    }
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
    let (status, body) = server.answer(&request);
    Response::builder()
        .status(status)
        .body(Body::from(body))
        .unwrap()
}

fn fixed() -> Way {
    Way::Fixed {
        credentials: Credentials {
            access_key_id: "LTAI".into(),
            access_key_secret: Secret::new(HUSH),
            security_token: None,
        },
        from: "the test".into(),
    }
}

fn role(name: &str) -> Role {
    Role {
        arn: format!("acs:ram::1:role/{name}"),
        ..Role::default()
    }
}

fn instance(v1: bool) -> Way {
    Way::Instance { role: None, v1 }
}

fn uri(server: &Server) -> Way {
    Way::Uri {
        uri: format!("http://{}/keys?a=b", server.authority),
    }
}

#[tokio::test]
async fn a_role_is_taken_on_with_signed_calls_also_in_a_chain() {
    let server = Server::start().await;
    let config = r#"{"profiles": [
        {"name": "base", "mode": "RamRoleArn", "access_key_id": "LTAI", "access_key_secret": "hush-hush",
         "ram_role_arn": "acs:ram::1:role/a", "ram_session_name": "me", "expired_seconds": 900, "external_id": "x"},
        {"name": "default", "mode": "ChainableRamRoleArn", "source_profile": "base",
         "ram_role_arn": "acs:ram::2:role/b"}]}"#;
    let chain = profile::of_cli(config, None).unwrap();
    let keys = server.key(chain).await.unwrap();
    assert_eq!(keys.access_key_id, "STS.2");
    assert_eq!(keys.security_token, Some(Secret::new("hush-hush-2")));
    assert_eq!(
        server.asked(),
        [
            "LTAI takes on acs:ram::1:role/a as me for 900 (x)",
            "STS.1 takes on acs:ram::2:role/b as darkroom for 3600 (-)",
        ]
    );
}

#[tokio::test]
async fn the_instances_role_is_asked_for_the_newer_way_and_then_the_older() {
    let server = Server::start().await;
    assert_eq!(
        server.key(instance(true)).await.unwrap().access_key_id,
        "STS.1"
    );
    assert_eq!(
        server.asked(),
        ["token", "roles", "role box with Some(\"ticket\")"]
    );
    let named = Way::Instance {
        role: Some("box".into()),
        v1: false,
    };
    server.key(named).await.unwrap();
    assert_eq!(server.asked(), ["token", "role box with Some(\"ticket\")"]);

    server.fail(Fault::NoTokens);
    server.key(instance(true)).await.unwrap();
    assert_eq!(server.asked(), ["token", "roles", "role box with None"]);
    let error = server.key(instance(false)).await.unwrap_err();
    assert!(
        error
            .hint
            .unwrap()
            .contains("ALIBABA_CLOUD_IMDSV1_DISABLED")
    );
    assert_eq!(server.asked(), ["token"]);

    server.fail(Fault::NoRole);
    let error = server.key(instance(true)).await.unwrap_err();
    assert!(error.hint.unwrap().contains("attach a RAM role"));

    let on_instance = Way::Role {
        base: Box::new(instance(true)),
        role: role("a"),
    };
    server.fail(Fault::None);
    server.asked();
    // The keys of the instance sign, with their token.
    *server.granted.lock().unwrap() = 0;
    server.key(on_instance).await.unwrap();
    assert_eq!(
        server.asked().last().unwrap(),
        "STS.1 takes on acs:ram::1:role/a as darkroom for 3600 (-)"
    );
}

#[tokio::test]
async fn a_token_of_oidc_an_address_and_a_program_grant_keys() {
    let server = Server::start().await;
    let oidc = |file: &str| Way::Oidc {
        provider: "acs:ram::1:oidc-provider/p".into(),
        token_file: file.into(),
        role: role("ci"),
    };
    assert_eq!(
        server.key(oidc("/token")).await.unwrap().access_key_id,
        "STS.1"
    );
    assert_eq!(server.asked(), ["oidc acs%3Aram%3A%3A1%3Arole%2Fci 3600"]);
    let error = server.key(oidc("/nowhere")).await.unwrap_err();
    assert!(
        error.to_string().contains("/nowhere can't be read"),
        "{error}"
    );

    assert_eq!(
        server.key(uri(&server)).await.unwrap().access_key_id,
        "STS.2"
    );
    assert_eq!(server.asked(), ["keys?a=b"]);

    let program = |command: &str| Way::Program {
        command: command.into(),
        from: "profile 'x'".into(),
    };
    assert_eq!(
        server.key(program("get keys")).await.unwrap().access_key_id,
        "STS.run"
    );
    for wrong in ["get nonsense", "missing --now"] {
        let error = server.key(program(wrong)).await.unwrap_err();
        assert!(!format!("{error:?}").contains(HUSH), "{error:?}");
        assert!(error.hint.unwrap().contains("by hand"));
    }
    let first = Way::First(vec![program("missing"), uri(&server)]);
    assert_eq!(server.key(first).await.unwrap().access_key_id, "STS.3");
}

#[tokio::test]
async fn what_goes_wrong_is_said_with_what_to_do_and_without_secrets() {
    let server = Server::start().await;
    let assume = || Way::Role {
        base: Box::new(fixed()),
        role: role("a"),
    };
    let oidc = || Way::Oidc {
        provider: "p".into(),
        token_file: "/token".into(),
        role: role("a"),
    };
    let cases = [
        (
            assume(),
            Fault::Refuse(404, "EntityNotExist.Role"),
            "check its ARN",
            false,
        ),
        (
            assume(),
            Fault::Refuse(403, "NoPermission"),
            "trust policy",
            false,
        ),
        (assume(), Fault::Refuse(400, "Throttling.User"), "", true),
        (assume(), Fault::Refuse(503, "ServiceUnavailable"), "", true),
        (assume(), Fault::Nonsense, "", false),
        (
            oidc(),
            Fault::Refuse(400, "AuthenticationFail.OIDCToken.Expired"),
            "issuer and audience",
            false,
        ),
        (
            uri(&server),
            Fault::Refuse(500, ""),
            "CREDENTIALS_URI",
            true,
        ),
        (uri(&server), Fault::Nonsense, "CREDENTIALS_URI", false),
    ];
    for (way, fault, hint, passing) in cases {
        server.fail(fault);
        let error = server.key(way).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains(HUSH), "{text}");
        assert!(
            error.hint.clone().unwrap_or_default().contains(hint),
            "{fault:?}: {error:?}"
        );
        assert_eq!(error.passing, passing, "{fault:?}");
    }
    // Keys of the wrong secret.
    server.fail(Fault::None);
    let stranger = Way::Role {
        base: Box::new(Way::Fixed {
            credentials: Credentials {
                access_key_id: "LTAI".into(),
                access_key_secret: Secret::new("wrong"),
                security_token: None,
            },
            from: "the test".into(),
        }),
        role: role("a"),
    };
    let error = server.key(stranger).await.unwrap_err();
    assert!(error.hint.unwrap().contains("doesn't belong"));
}

#[tokio::test]
async fn keys_do_not_travel_in_the_clear() {
    let server = Server::start().await;
    let way = Way::Uri {
        uri: "http://keys.example.org/keys".into(),
    };
    let error = server.key(way).await.unwrap_err();
    assert!(error.to_string().contains("use https"), "{error}");
    let tools = Tools {
        sts: Some("http://sts.example.org".parse().unwrap()),
        ..server.tools()
    };
    let way = Way::Role {
        base: Box::new(fixed()),
        role: role("a"),
    };
    let keyring = way.keyring(tools, Arc::new(Timestamp::now));
    let error = keyring.credentials().await.unwrap_err();
    assert!(
        error.to_string().contains("use https") && !error.passing,
        "{error}"
    );
}

#[tokio::test]
async fn a_client_outlives_its_keys() {
    let server = Server::start().await;
    let way = Way::Role {
        base: Box::new(fixed()),
        role: role("a"),
    };
    let here: endpoint::Endpoint = format!("http://{}", server.authority).parse().unwrap();
    let transport = Arc::new(HttpTransport::new(HttpOptions::default()).unwrap());
    let clock = server.clone();
    let client = Client::builder(transport, server.keyring(way), endpoint::fixed(here))
        .now(Arc::new(move || clock.now()))
        .build();
    let region = "cn-hangzhou".parse().unwrap();
    let taken = "LTAI takes on acs:ram::1:role/a as darkroom for 3600 (-)";

    // A hundred at once ask STS once.
    let regions = DescribeRegions::default();
    let calls = (0..100).map(|_| client.call(&region, &regions));
    for outcome in futures::future::join_all(calls).await {
        outcome.unwrap();
    }
    let asked = server.asked();
    assert_eq!(asked.iter().filter(|text| *text == taken).count(), 1);
    assert_eq!(asked.len(), 101);

    // Long into a build the key is renewed before it ends.
    server.seconds.fetch_add(3600 - 100, Ordering::SeqCst);
    client
        .call(&region, &DescribeRegions::default())
        .await
        .unwrap();
    assert_eq!(server.asked(), [taken, "ECS as STS.2"]);

    // One that the cloud calls ended is renewed at once.
    *server.granted.lock().unwrap() = 0;
    server.seconds.fetch_add(3600, Ordering::SeqCst);
    server.fail(Fault::Ended);
    client
        .call(&region, &DescribeRegions::default())
        .await
        .unwrap();
    assert_eq!(
        server.asked(),
        [taken, "ECS as STS.1", taken, "ECS as STS.2"]
    );
    let shown = format!("{:?}", server.keyring(fixed()));
    assert!(!shown.contains(HUSH), "{shown}");
}
