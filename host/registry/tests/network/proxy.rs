//! [`Proxy`]: stands before a registry, writes down what passes, and breaks it on purpose.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt as _;

/// What is done to an answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Another status, with one header and a body.
    Status(u16, Option<(&'static str, String)>, &'static str),
    /// Nothing for this long.
    Slow(Duration),
    /// Half of the body, then the connection breaks.
    Broken,
    /// Half of the body, announced as if it were all.
    Short,
    /// Another body.
    Body(Bytes),
    /// The first bytes again and again.
    Endless,
    /// A byte now and then.
    Drip,
}

type Matches = Arc<dyn Fn(&str) -> bool + Send + Sync>;

struct Rule {
    matches: Matches,
    fault: Fault,
    left: usize,
}

/// A request that passed.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET /v2/…`.
    pub line: String,
    /// Every header, in lower case.
    pub headers: String,
}

#[derive(Default)]
struct Shared {
    upstream: String,
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<Seen>>,
}

pub struct Proxy {
    pub host: String,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Before a registry on this machine. An empty one answers 404 to everything.
    pub async fn start(upstream: &str) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        let shared = Arc::new(Shared {
            upstream: upstream.into(),
            ..Shared::default()
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let app = Router::new()
            .fallback(pass)
            .with_state((Arc::clone(&shared), client));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            host: format!("localhost:{port}"),
            shared,
        }
    }

    /// Breaks the answers to the next `times` requests whose line has this in it, at its
    /// end if there is a `$` after it.
    pub fn breaks(&self, part: &'static str, fault: Fault, times: usize) {
        let rule = Rule {
            matches: Arc::new(move |line| match part.strip_suffix('$') {
                Some(end) => line.ends_with(end),
                None => line.contains(part),
            }),
            fault,
            left: times,
        };
        self.shared.rules.lock().expect("not poisoned").push(rule);
    }

    /// Breaks nothing any more.
    pub fn forget(&self) {
        self.shared.rules.lock().expect("not poisoned").clear();
    }

    /// What has passed so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("not poisoned").clone()
    }

    /// How many requests had this in their line.
    pub fn count(&self, part: &str) -> usize {
        self.seen()
            .iter()
            .filter(|seen| seen.line.contains(part))
            .count()
    }
}

async fn pass(
    State((shared, client)): State<(Arc<Shared>, reqwest::Client)>,
    request: Request,
) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    let headers = format!("{:?}", request.headers()).to_lowercase();
    shared.seen.lock().expect("not poisoned").push(Seen {
        line: line.clone(),
        headers,
    });
    let fault = {
        let mut rules = shared.rules.lock().expect("not poisoned");
        let rule = rules
            .iter_mut()
            .find(|rule| rule.left > 0 && (rule.matches)(&line));
        rule.map(|rule| {
            rule.left -= 1;
            rule.fault.clone()
        })
    };
    match &fault {
        Some(Fault::Status(status, header, body)) => {
            let mut answer = Response::builder().status(*status);
            if let Some((name, value)) = header {
                answer = answer.header(*name, value);
            }
            return answer.body(Body::from(*body)).expect("an answer");
        }
        Some(Fault::Slow(time)) => tokio::time::sleep(*time).await,
        _ => {}
    }
    if shared.upstream.is_empty() {
        return Response::builder()
            .status(404)
            .body(Body::empty())
            .expect("an answer");
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a body");
    let answer = client
        .request(
            parts.method,
            format!("http://{}{}", shared.upstream, parts.uri),
        )
        .headers(parts.headers)
        .body(body)
        .send()
        .await
        .expect("the registry answers");
    let mut built = Response::builder().status(answer.status());
    let hides =
        |name: &str| fault.is_some() && ["content-length", "docker-content-digest"].contains(&name);
    for (name, value) in answer.headers() {
        if name != "transfer-encoding" && !hides(name.as_str()) {
            built = built.header(name, value);
        }
    }
    let length = answer.content_length();
    let bytes = answer.bytes().await.expect("a body");
    let half = bytes.slice(..bytes.len() / 2);
    let body = match fault {
        Some(Fault::Broken) => {
            built = built.header("content-length", length.unwrap_or(bytes.len() as u64));
            let parts = [Ok(half), Err(std::io::Error::other("broken on purpose"))];
            // The first half must be on its way before the connection breaks.
            let slowly = futures::stream::iter(parts).then(async |part| {
                if part.is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                part
            });
            Body::from_stream(slowly)
        }
        Some(Fault::Short) => Body::from(half),
        Some(Fault::Body(other)) => Body::from(other),
        Some(Fault::Endless) => {
            let again =
                futures::stream::repeat(Bytes::from(vec![0; 1 << 16])).map(Ok::<_, std::io::Error>);
            Body::from_stream(again)
        }
        Some(Fault::Drip) => Body::from_stream(futures::stream::repeat(()).then(async |()| {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok::<_, std::io::Error>(Bytes::from_static(b"."))
        })),
        _ => Body::from(bytes),
    };
    built.body(body).expect("an answer")
}
