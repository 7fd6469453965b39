//! What instances of the sandbox driver can reach, and what not.
//!
//! No address is written here. Everything but the last test works without a network;
//! that one says `not run` when the host has none.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail as tests do")]

mod sandbox_machine;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs as _, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sandbox_machine::{Cloud, Instance, not_run, private_range, shell};

/// A service of the host that answers with a word and counts its visitors.
struct Service {
    address: SocketAddr,
    visitors: Arc<AtomicUsize>,
}

impl Service {
    fn at(address: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let visitors = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&visitors);
        std::thread::spawn(move || {
            for visitor in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut visitor = visitor.unwrap();
                let mut request = [0; 512];
                let _ = visitor.read(&mut request);
                let _ = visitor.write_all(b"HTTP/1.0 200 OK\r\n\r\nplanted-service\n");
            }
        });
        Self { address, visitors }
    }

    fn visitors(&self) -> usize {
        self.visitors.load(Ordering::SeqCst)
    }
}

/// The host's own address on its way out, if it has one.
fn own_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Nothing is sent: connecting only asks the routes.
    let target = Ipv4Addr::from_bits(private_range().to_bits() - 1);
    socket.connect((target, 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(own) if !own.is_loopback() => Some(own),
        _ => None,
    }
}

async fn fetch(instance: &Instance<'_>, address: SocketAddr) -> String {
    let finished = instance
        .run(shell(&format!("curl -sS -m 5 http://{address}/ 2>&1")))
        .await;
    String::from_utf8_lossy(&finished.output).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_services_are_out_of_reach() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let loopback = Service::at(Ipv4Addr::LOCALHOST);
    let everywhere = Service::at(Ipv4Addr::UNSPECIFIED);
    for internet in [false, true] {
        let instance = cloud
            .instance_of(&cloud.spec(&cloud.layers, internet))
            .await;
        let gateway = Ipv4Addr::from_bits(private_range().to_bits() + 1);
        let mut hosts = vec![Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED, gateway];
        hosts.extend(own_address());
        for host in hosts {
            for service in [&loopback, &everywhere] {
                let target = SocketAddr::new(host.into(), service.address.port());
                let answer = fetch(&instance, target).await;
                assert!(!answer.contains("planted"), "{target}: {answer}");
            }
        }
    }
    assert_eq!(loopback.visitors() + everywhere.visitors(), 0);
    let check = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), everywhere.address.port());
    let mut direct = std::net::TcpStream::connect(check).unwrap();
    direct.write_all(b"x").unwrap();
    let mut answer = String::new();
    direct.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("planted"), "the service itself works");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_internet_there_is_an_address_and_no_way_out() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let spec = cloud.spec(&cloud.layers, false);
    let instance = cloud.instance_of(&spec).await;
    let own = spec.private_ip.split('/').next().unwrap();
    assert_eq!(instance.sh("hostname -I").await.trim(), own);
    assert_eq!(instance.sh("ip route").await, "");
    let begun = std::time::Instant::now();
    let asked = instance.run(shell("getent hosts deb.debian.org")).await;
    assert_ne!(asked.exit_code, Some(0));
    assert!(begun.elapsed() < std::time::Duration::from_secs(4));
    // Its own services are its own.
    let listens = "python3 -V 2>/dev/null; systemd-socket-activate --version > /dev/null && \
                   ip -4 address show lo | grep -c inet";
    assert_eq!(instance.sh(listens).await.lines().last(), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_do_not_reach_each_other() {
    if not_run() {
        return;
    }
    let cloud = Cloud::new().await;
    let server = cloud.instance_of(&cloud.spec(&cloud.layers, true)).await;
    let client = cloud.instance_of(&cloud.spec(&cloud.layers, true)).await;
    let unit = "systemd-run --quiet -p StandardOutput=null systemd-socket-activate --inetd -a \
                -l 8080 /bin/echo planted; \
                until ss -ltn | grep -q :8080; do sleep 0.05; done; hostname -I";
    let address = server.sh(unit).await;
    let target: SocketAddr = format!("{}:8080", address.trim()).parse().unwrap();
    let tried = fetch(&client, target).await;
    assert!(!tried.contains("planted"), "{tried}");
    let own = server
        .run(shell(&format!(
            "curl -sS --http0.9 -m 5 http://{target}/ 2>&1"
        )))
        .await;
    let own = String::from_utf8_lossy(&own.output).into_owned();
    assert!(own.contains("planted"), "the service itself works: {own}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_changed_on_the_host() {
    if not_run() {
        return;
    }
    let look = || {
        let output = std::process::Command::new("sh")
            .args([
                "-c",
                "ip -br address | grep -v veth; ip route; ip rule; nft list ruleset; \
                 cat /proc/sys/net/ipv4/ip_forward",
            ])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let before = look();
    let cloud = Cloud::new().await;
    let instance = cloud.instance_of(&cloud.spec(&cloud.layers, true)).await;
    assert_eq!(look(), before);
    instance.stop().await;
    assert_eq!(look(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_internet_names_and_connections_work_and_the_deny_list_holds() {
    if not_run() {
        return;
    }
    let host = "deb.debian.org";
    let Some(address) = reachable(host) else {
        println!("not run: {host} can't be reached from here");
        return;
    };
    let cloud = Cloud::new().await;
    let instance = cloud.instance_of(&cloud.spec(&cloud.layers, true)).await;
    let page = format!("curl -sS -m 20 -o /dev/null -w '%{{http_code}}' http://{host}/debian/");
    assert_eq!(instance.sh(&page).await, "200");
    let denied = Cloud::with(|settings| {
        settings.deny = vec![format!("{address}/32").parse().unwrap()];
    })
    .await;
    let instance = denied.instance_of(&denied.spec(&denied.layers, true)).await;
    let direct = format!("curl -sS -m 20 --resolve {host}:80:{address} http://{host}/debian/");
    let refused = instance.run(shell(&direct)).await;
    assert_ne!(refused.exit_code, Some(0), "{refused:?}");
}

fn reachable(host: &str) -> Option<Ipv4Addr> {
    let found = (host, 80)
        .to_socket_addrs()
        .ok()?
        .find_map(|one| match one {
            SocketAddr::V4(v4) => Some(v4),
            SocketAddr::V6(_) => None,
        })?;
    let patience = std::time::Duration::from_secs(5);
    std::net::TcpStream::connect_timeout(&found.into(), patience).ok()?;
    Some(*found.ip())
}
