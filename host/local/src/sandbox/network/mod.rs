//! The way out of an instance: a network namespace of the supervisor's own between
//! the instance and the host, whose sockets the supervisor serves from the host's
//! side.
//!
//! ```text
//! instance namespace        router namespace                 host namespace
//! eth0 ────── veth ───────  router ── nft redirect ── sockets ══ supervisor ── connect
//! ```
//! Whatever the instance sends comes to the router, which routes nothing: TCP is
//! redirected to one listening socket, port 53 to two others, and the rest is
//! dropped. The supervisor accepts, asks [`policy`] and connects as an ordinary
//! program of the host (`relay`, `names`). So nothing is changed on the host: no
//! address, no forwarding, no firewall rule, and with the supervisor all of it is
//! gone. Without internet the instance has its address and no route.
//!
//! UDP other than port 53, ICMP and IPv6 do not pass.
//!
//! Used by the supervisor at each boot. It depends on `ip` and `nft` of the host.

mod build;
mod names;
pub mod policy;
mod relay;

use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use rustix::process::Pid;
use tokio::task::JoinHandle;

pub use build::{PATH, TOOLS};
use policy::{Block, Policy};

/// The abstract socket in the instance's network namespace on which its init says
/// how far it is.
pub const NOTIFY: &str = "darkroom/notify";

/// What an instance's network is like.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The instance's address.
    pub address: Ipv4Addr,
    /// The range that it is from: the other instances'.
    pub range: Block,
    /// Whether it has a way out.
    pub internet: bool,
    /// Ranges that it may not reach, by configuration.
    pub deny: Vec<Block>,
}

impl Plan {
    /// The router's address, which is also the name server's: the range's second.
    pub fn gateway(&self) -> Ipv4Addr {
        let gateway = Ipv4Addr::from_bits(self.range.first().to_bits().wrapping_add(1));
        if gateway == self.address {
            return Ipv4Addr::from_bits(gateway.to_bits().wrapping_add(1));
        }
        gateway
    }

    /// The instance's `/etc/resolv.conf`. Without a name server programs ask the
    /// instance's own loopback, and are refused at once.
    pub fn resolv_conf(&self) -> String {
        if self.internet {
            format!("nameserver {}\n", self.gateway())
        } else {
            "# This instance has no way out.\n".into()
        }
    }
}

/// Sockets that were opened in the router's namespace and keep it alive.
#[derive(Debug)]
pub struct Doors {
    tcp: TcpListener,
    names_udp: UdpSocket,
    names_tcp: TcpListener,
}

/// An instance's network as long as it runs.
#[derive(Debug)]
pub struct Network {
    tasks: Vec<JoinHandle<()>>,
    /// Without internet nothing serves the doors; they only hold the namespace.
    _doors: Option<Doors>,
}

impl Network {
    /// Builds the network of an instance whose init is still waiting, serves it on
    /// `runtime`, and returns the socket on which its init reports.
    ///
    /// # Errors
    /// Which tool failed, and what it said.
    pub fn build(
        plan: &Plan,
        init: Pid,
        runtime: &tokio::runtime::Handle,
    ) -> io::Result<(Self, UnixDatagram)> {
        let (doors, notify) = build::in_a_thread(plan, init)?;
        if !plan.internet {
            let network = Self {
                tasks: Vec::new(),
                _doors: Some(doors),
            };
            return Ok((network, notify));
        }
        let policy = Arc::new(Policy::new(plan.range, plan.deny.clone()));
        let _inside = runtime.enter();
        doors.tcp.set_nonblocking(true)?;
        doors.names_tcp.set_nonblocking(true)?;
        doors.names_udp.set_nonblocking(true)?;
        let tcp = tokio::net::TcpListener::from_std(doors.tcp)?;
        let names_tcp = tokio::net::TcpListener::from_std(doors.names_tcp)?;
        let names_udp = tokio::net::UdpSocket::from_std(doors.names_udp)?;
        let tasks = vec![
            runtime.spawn(relay::serve(tcp, policy)),
            runtime.spawn(names::serve_udp(names_udp)),
            runtime.spawn(names::serve_tcp(names_tcp)),
        ];
        let network = Self {
            tasks,
            _doors: None,
        };
        Ok((network, notify))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(last: u32) -> Plan {
        let range = policy::tests::some_private_block();
        Plan {
            address: Ipv4Addr::from_bits(range.first().to_bits() + last),
            range,
            internet: true,
            deny: Vec::new(),
        }
    }

    #[test]
    fn the_gateway_is_never_the_instance() {
        assert_ne!(plan(1).gateway(), plan(1).address);
        assert_ne!(plan(2).gateway(), plan(2).address);
        assert!(plan(2).range.contains(plan(2).gateway()));
    }

    #[test]
    fn without_internet_there_is_no_name_server() {
        let mut plan = plan(2);
        assert!(plan.resolv_conf().starts_with("nameserver "));
        plan.internet = false;
        assert!(!plan.resolv_conf().contains("nameserver"));
    }
}
