//! Carries TCP connections of an instance to where they were meant to go.
//!
//! Used by [`super::Network`]. The instance's side is accepted before the target
//! answers, because the kernel does so: a target that is refused or absent is seen
//! inside as a connection that is reset at once.

use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::policy::Policy;

/// Connections at once; more wait. Stops an instance from taking all descriptors of
/// its supervisor (two each, of the usual 1024).
const MAXIMUM_CONNECTIONS: usize = 384;

/// How long a target may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Pause after a failed accept, which fails again at once when descriptors are short.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn serve(listener: TcpListener, policy: Arc<Policy>) {
    let places = Arc::new(Semaphore::new(MAXIMUM_CONNECTIONS));
    // With the set every connection ends when this future is dropped.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((inside, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let policy = Arc::clone(&policy);
        connections.spawn(async move {
            carry(inside, &policy).await;
            drop(place);
        });
    }
}

async fn carry(mut inside: TcpStream, policy: &Policy) {
    let Some(mut outside) = connect(&inside, policy).await else {
        // Reset instead of an orderly end: nobody was there.
        let _ = inside.set_zero_linger();
        return;
    };
    let _ = inside.set_nodelay(true);
    let _ = outside.set_nodelay(true);
    let _ = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
}

async fn connect(inside: &TcpStream, policy: &Policy) -> Option<TcpStream> {
    let target: SocketAddrV4 = rustix::net::sockopt::ip_original_dst(inside).ok()?;
    policy.check(*target.ip()).ok()?;
    let outside = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(target))
        .await
        .ok()?
        .ok()?;
    // A connection of the host to itself has the same address at both ends, whatever
    // the policy thought of it.
    let ends: [Option<IpAddr>; 2] = [outside.local_addr(), outside.peer_addr()]
        .map(|end: std::io::Result<SocketAddr>| end.ok().map(|end| end.ip()));
    (ends[0] != ends[1]).then_some(outside)
}
