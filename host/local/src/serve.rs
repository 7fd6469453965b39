//! The server: a [`Service`] behind a listener on loopback, found by its files.
//!
//! ```text
//! lock ─ state ─ listen ─ server.json ─ serve ┬ asked to stop, or idle: server.json away, done
//!                                             └ killed: the next server goes on
//! ```
//! Used by the command line. Nothing here decides what a request means.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{self, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::serve::Listener;
use bytes::Bytes;
use darkroom_ecs::action::InstanceStatus;
use darkroom_ecs::http::{HttpRequest, HttpResponse};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::cloud::OpenError;
use crate::files::{self, FileError, Lock, PROTOCOL, ServerFile};
use crate::network::Range;
use crate::service::{Answer, DriverKind, Service, Settings};
use crate::state::jobs as job_rows;
use crate::state::rows::{self, InstanceRow};
use crate::state::store::StoreError;

/// The largest body that is read: nobody fills the memory with one request.
const LARGEST_BODY: usize = 1 << 20;

/// How often an idle server looks whether it still is.
const LOOK: Duration = Duration::from_millis(250);

/// How long requests in progress may take after the server was asked to stop.
const GRACE: Duration = Duration::from_secs(5);

/// How long somebody may hold the folder's lock before there is a server; less than a
/// command line waits for us.
const LOCK_PATIENCE: Duration = Duration::from_secs(8);

/// How often is looked meanwhile.
const LOCK_LOOK: Duration = Duration::from_millis(20);

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cloud's folder.
    pub root: PathBuf,
    /// Where bases are kept.
    pub cache: PathBuf,
    /// What runs the instances.
    pub driver: DriverKind,
    /// The program that supervisors are started from: this one.
    pub executable: PathBuf,
    /// The build that this is.
    pub build_id: String,
    /// How long the server stays without connection, job or running instance; none:
    /// for ever.
    pub idle: Option<Duration>,
    /// The port on loopback; none: any free one.
    pub port: Option<u16>,
    /// The range of the instances' addresses; none: one that this machine doesn't
    /// route.
    pub range: Option<Range>,
}

/// Why a server ended, or never began.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Its files can't be used; [`FileError::Locked`]: another server runs.
    #[error(transparent)]
    Files(#[from] FileError),
    /// The cloud doesn't come up.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It can't listen.
    #[error("listening on port {port} of loopback failed")]
    Listen {
        /// The port, 0 for any.
        port: u16,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It can't go on listening.
    #[error("the listener failed")]
    Listener(#[source] io::Error),
}

impl ServeError {
    /// What the person at this machine can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Files(FileError::Locked { .. }) => {
                Some("use the server that runs, or ask it to stop first".to_owned())
            }
            Self::Open(error) => error.hint(),
            Self::Listen { port, .. } if *port != 0 => {
                Some("choose another port, or none to get a free one".to_owned())
            }
            Self::Files(_) | Self::Listen { .. } | Self::Listener(_) => None,
        }
    }
}

/// Takes the folder's lock, also from somebody who holds it and is no server yet, or not
/// any more: a killed server's child that has not executed its program, or a server that
/// is starting for a command that was killed. If that one comes up, we are not needed.
async fn take_lock(root: &Path) -> Result<Lock, FileError> {
    let begun = Instant::now();
    loop {
        match Lock::take(root) {
            Err(FileError::Locked { .. })
                if begun.elapsed() < LOCK_PATIENCE
                    && !ServerFile::read(root)?.is_some_and(|server| server.alive()) =>
            {
                tokio::time::sleep(LOCK_LOOK).await;
            }
            other => return other,
        }
    }
}

/// A server that listens, and that people can find.
pub struct Server {
    service: Service,
    listener: Counted,
    url: String,
    idle: Option<Duration>,
    _lock: Lock,
}

impl Server {
    /// Takes the folder's lock, brings the cloud up, listens, and writes
    /// `server.json`.
    ///
    /// # Errors
    /// When another server runs on the folder, or anything of that fails.
    pub async fn start(config: Config) -> Result<Self, ServeError> {
        files::make_private_folder(&config.root)?;
        let lock = take_lock(&config.root).await?;
        darkroom_failpoint::reach("server.start").await;
        let service = Service::open(Settings {
            cache: config.cache,
            executable: config.executable,
            build_id: config.build_id.clone(),
            range: config.range,
            ..Settings::new(&config.root, config.driver)
        })
        .await?;
        let port = config.port.unwrap_or(0);
        let listen = |source| ServeError::Listen { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        service.set_hosts(vec![
            address.to_string(),
            format!("localhost:{}", address.port()),
        ]);
        let url = format!("http://{address}");
        let pid = std::process::id();
        let file = ServerFile {
            pid,
            started: files::start_time(pid).unwrap_or_default(),
            build_id: config.build_id,
            protocol: PROTOCOL,
            url: url.clone(),
            token: service.token().to_owned(),
        };
        file.write(&config.root)?;
        tracing::info!(
            url,
            driver = config.driver.as_str(),
            "the local cloud is up"
        );
        Ok(Self {
            service,
            listener: Counted {
                listener,
                open: Arc::new(AtomicUsize::new(0)),
            },
            url,
            idle: config.idle,
            _lock: lock,
        })
    }

    /// Where it listens, with no `/` at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The cloud.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Serves until the admin API, `shutdown` or idleness ends it, and removes
    /// `server.json`. Jobs that are not done are gone on with by the next server;
    /// instances stay as they are.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
        let router = Router::new()
            .fallback(answer)
            .with_state(self.service.clone());
        let open = Arc::clone(&self.listener.open);
        let leave = CancellationToken::new();
        let serving = axum::serve(self.listener, router)
            .with_graceful_shutdown(leave.clone().cancelled_owned());
        let mut serving = std::pin::pin!(serving.into_future());
        let ended = tokio::select! {
            ended = &mut serving => Some(ended),
            () = shutdown => None,
            () = self.service.inner.stop.notified() => None,
            () = idle(&self.service, &open, self.idle) => None,
        };
        ServerFile::remove(self.service.root());
        let result = if let Some(ended) = ended {
            ended
        } else {
            leave.cancel();
            // A connection that stays open keeps nobody here.
            let late = |_| Ok(());
            tokio::time::timeout(GRACE, serving)
                .await
                .unwrap_or_else(late)
        };
        self.service.inner.cloud.end.cancel();
        tracing::info!("the local cloud has left");
        result.map_err(ServeError::Listener)
    }
}

/// Starts a server and serves until it is asked to leave or is idle.
///
/// # Errors
/// When it can't be started or its listener fails.
pub async fn serve(config: Config) -> Result<(), ServeError> {
    Server::start(config)
        .await?
        .run(std::future::pending())
        .await
}

/// Returns when nobody has needed the server for `limit`.
async fn idle(service: &Service, open: &AtomicUsize, limit: Option<Duration>) {
    let Some(limit) = limit else {
        return std::future::pending().await;
    };
    let mut since = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(LOOK.min(limit)).await;
        if open.load(Ordering::Relaxed) > 0 || busy(service).await {
            since = tokio::time::Instant::now();
        } else if since.elapsed() >= limit {
            return;
        }
    }
}

/// Whether there is a job or an instance that is on.
async fn busy(service: &Service) -> bool {
    let looked = service
        .inner
        .cloud
        .store
        .read(|tx| {
            let instances = rows::all::<InstanceRow>(tx)?;
            let on = instances
                .iter()
                .any(|placed| placed.row.status != InstanceStatus::Stopped);
            Ok::<_, StoreError>(on || !job_rows::all(tx)?.is_empty())
        })
        .await;
    looked.unwrap_or(true)
}

/// A listener that knows how many of its connections are open.
struct Counted {
    listener: TcpListener,
    open: Arc<AtomicUsize>,
}

/// One of them.
struct Connection {
    stream: TcpStream,
    open: Arc<AtomicUsize>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Listener for Counted {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        self.open.fetch_add(1, Ordering::Relaxed);
        // Answers are small and waited for.
        drop(stream.set_nodelay(true));
        let open = Arc::clone(&self.open);
        (Connection { stream, open }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

async fn answer(State(service): State<Service>, request: Request) -> Response {
    match plain(request).await {
        Ok(request) => match service.answer(request).await {
            Answer::Response(response) => carried(response),
            Answer::Lost => broken(),
        },
        Err((status, text)) => {
            let mut response = Response::new(Body::from(text));
            *response.status_mut() = status;
            response
        }
    }
}

/// An answer that breaks off before it has begun.
fn broken() -> Response {
    let nothing = futures::stream::once(async { Err::<Bytes, _>(io::Error::other("lost")) });
    Response::new(Body::from_stream(nothing))
}

/// A request as plain data. Targets may be given with the host before them.
async fn plain(request: Request) -> Result<HttpRequest, (StatusCode, &'static str)> {
    let (head, body) = request.into_parts();
    let mut headers = Vec::new();
    for (name, value) in &head.headers {
        let value = value
            .to_str()
            .map_err(|_| (StatusCode::BAD_REQUEST, "a header is not plain text"))?;
        headers.push((name.as_str().to_owned(), value.to_owned()));
    }
    let body = axum::body::to_bytes(body, LARGEST_BODY)
        .await
        .map_err(|_| {
            (
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is larger than 1 MiB, or broken",
            )
        })?;
    let host = headers.iter().find(|(name, _)| name == "host");
    let host = host.map(|(_, value)| value.clone()).unwrap_or_default();
    let target = head
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    Ok(HttpRequest {
        method: head.method.as_str().to_owned(),
        scheme: "http".to_owned(),
        authority: head.uri.authority().map_or(host, ToString::to_string),
        target: target.to_owned(),
        headers,
        body,
    })
}

fn carried(response: HttpResponse) -> Response {
    let mut carried = Response::new(Body::from(response.body));
    *carried.status_mut() =
        StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in response.headers {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(&value),
        ) {
            carried.headers_mut().append(name, value);
        }
    }
    carried
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lock_without_a_server_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let held = Lock::take(folder.path()).unwrap();
        let root = folder.path().to_owned();
        let waiting = tokio::spawn(async move { take_lock(&root).await });
        tokio::time::sleep(LOCK_LOOK * 3).await;
        assert!(!waiting.is_finished());
        drop(held);
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_living_servers_lock_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let _held = Lock::take(folder.path()).unwrap();
        let pid = std::process::id();
        let server = ServerFile {
            pid,
            started: files::start_time(pid).unwrap(),
            build_id: "build".into(),
            protocol: PROTOCOL,
            url: "http://localhost:1".into(),
            token: "token".into(),
        };
        server.write(folder.path()).unwrap();
        let begun = Instant::now();
        assert!(matches!(
            take_lock(folder.path()).await,
            Err(FileError::Locked { .. })
        ));
        assert!(begun.elapsed() < LOCK_PATIENCE / 2);
    }
}
