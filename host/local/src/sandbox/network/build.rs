//! Makes the two namespaces' interfaces, routes and redirections, with the host's
//! `ip` and `nft`, and opens the sockets in them.
//!
//! All of it happens in one thread that goes from namespace to namespace and ends:
//! a network namespace belongs to a thread, and programs started by the thread are
//! in its namespace. The supervisor's other threads stay in the host's.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Command, Stdio};

use rustix::process::Pid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Doors, NOTIFY, Plan};

/// Programs of the host that this needs, each with the Debian package it is in.
pub const TOOLS: [(&str, &str); 2] = [("ip", "iproute2"), ("nft", "nftables")];

/// Where they are looked for.
pub const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn in_a_thread(plan: &Plan, init: Pid) -> io::Result<(Doors, UnixDatagram)> {
    std::thread::scope(|scope| {
        scope
            .spawn(|| build(plan, init))
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the network thread ended early")))
    })
}

fn build(plan: &Plan, init: Pid) -> io::Result<(Doors, UnixDatagram)> {
    let instance = File::open(format!("/proc/{}/ns/net", init.as_raw_nonzero()))?;
    super::super::sys::unshare_network()?;
    tool("ip", &["-batch", "-"], &router_links(plan, init))?;
    let doors = Doors {
        tcp: TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?,
        names_udp: UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?,
        names_tcp: TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?,
    };
    if plan.internet {
        tool("nft", &["-f", "-"], &redirections(&doors)?)?;
    }
    move_into_link_name_space(instance.as_fd(), Some(LinkNameSpaceType::Network))?;
    tool("ip", &["-batch", "-"], &instance_links(plan))?;
    let notify = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(NOTIFY)?)?;
    Ok((doors, notify))
}

fn router_links(plan: &Plan, init: Pid) -> String {
    let (address, gateway) = (plan.address, plan.gateway());
    let init = init.as_raw_nonzero();
    let mut lines = format!(
        "link add router type veth peer name eth0 netns {init}\n\
         address add {gateway}/32 dev router\n\
         link set lo up\n\
         link set router up\n\
         route add {address}/32 dev router\n"
    );
    if plan.internet {
        // Whatever comes from the instance is for this machine.
        lines.push_str(
            "route add local default dev lo table 100\n\
             rule add iif router lookup 100 pref 1\n",
        );
    }
    lines
}

fn instance_links(plan: &Plan) -> String {
    let mut lines = format!(
        "link set lo up\n\
         address add {}/32 dev eth0\n\
         link set eth0 up\n",
        plan.address
    );
    if plan.internet {
        lines.push_str("route add default dev eth0\n");
    }
    lines
}

fn redirections(doors: &Doors) -> io::Result<String> {
    let tcp = doors.tcp.local_addr()?.port();
    let names_udp = doors.names_udp.local_addr()?.port();
    let names_tcp = doors.names_tcp.local_addr()?.port();
    Ok(format!(
        "table ip darkroom {{
            chain redirected {{
                type nat hook prerouting priority dstnat; policy accept;
                iifname router udp dport 53 redirect to :{names_udp}
                iifname router tcp dport 53 redirect to :{names_tcp}
                iifname router meta l4proto tcp redirect to :{tcp}
            }}
            chain entering {{
                type filter hook input priority filter; policy accept;
                iifname router ct status dnat accept
                iifname router meta l4proto udp reject
                iifname router drop
            }}
        }}\n"
    ))
}

/// Runs one tool with `input`, and answers with what it said when it failed.
fn tool(name: &str, arguments: &[&str], input: &str) -> io::Result<()> {
    let failed = |what: &str| io::Error::other(format!("{name}: {what}"));
    let mut child = Command::new(name)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that ends early says why on its standard error.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(())
}
