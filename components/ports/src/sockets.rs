//! The sockets that wait for somebody, as `look.sh` finds them in the kernel's tables.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One socket.
#[derive(Debug, PartialEq, Eq)]
pub struct Socket {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Where it listens.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// The names of the processes that hold it; empty where nobody asked.
    pub processes: BTreeSet<String>,
    inode: String,
}

impl Socket {
    /// Whether it listens at an address: at that one, or at all of its family; `::`
    /// takes IPv4 too, as Linux does unless it is told otherwise.
    pub fn is_at(&self, address: IpAddr) -> bool {
        self.address == address
            || self.address.is_unspecified() && (self.address.is_ipv6() || address.is_ipv4())
    }

    /// Whether others than this machine can reach it.
    pub fn is_open(&self) -> bool {
        !self.address.is_loopback()
    }

    /// Protocol, address and port for people.
    pub fn words(&self) -> String {
        let (protocol, port) = (&self.protocol, self.port);
        match self.address {
            IpAddr::V4(address) => format!("{protocol} {address}:{port}"),
            IpAddr::V6(address) => format!("{protocol} [{address}]:{port}"),
        }
    }
}

/// Reads the output of `look.sh`; lines that it doesn't know are passed over.
pub fn read(output: &str) -> Vec<Socket> {
    let mut sockets: Vec<Socket> = output.lines().filter_map(socket).collect();
    for line in output.lines() {
        let Some(rest) = line.strip_prefix("process ") else {
            continue;
        };
        let Some((inode, name)) = rest.split_once(' ') else {
            continue;
        };
        for socket in sockets.iter_mut().filter(|socket| socket.inode == inode) {
            socket.processes.insert(name.to_owned());
        }
    }
    sockets
}

/// `tcp 0100007F:0050 12345`.
fn socket(line: &str) -> Option<Socket> {
    let mut fields = line.split(' ');
    let protocol = fields
        .next()
        .filter(|word| matches!(*word, "tcp" | "udp"))?;
    let (address, port) = fields.next()?.rsplit_once(':')?;
    Some(Socket {
        protocol: protocol.to_owned(),
        address: address_of(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        processes: BTreeSet::new(),
        inode: fields.next()?.to_owned(),
    })
}

/// The kernel prints addresses as words of 32 bits in the machine's own byte order, which
/// is little-endian on everything that ECS has.
fn address_of(hex: &str) -> Option<IpAddr> {
    let words: Option<Vec<u32>> = (0..hex.len() / 8)
        .map(|word| u32::from_str_radix(hex.get(word * 8..word * 8 + 8)?, 16).ok())
        .collect();
    let bytes: Vec<u8> = words?.into_iter().flat_map(u32::to_le_bytes).collect();
    if let Ok(bytes) = <[u8; 4]>::try_from(&*bytes) {
        return Some(Ipv4Addr::from(bytes).into());
    }
    let address = Ipv6Addr::from(<[u8; 16]>::try_from(&*bytes).ok()?);
    Some(
        address
            .to_ipv4_mapped()
            .map_or(address.into(), IpAddr::from),
    )
}

#[cfg(test)]
mod tests {
    use super::read;
    use std::net::IpAddr;

    const SAID: &str = "tcp 00000000:0050 11\ntcp 0100007F:1538 12\n\
        tcp 00000000000000000000000000000000:0016 13\n\
        tcp 00000000000000000000000001000000:0277 14\n\
        udp 0000000000000000FFFF00000100007F:0035 15\nprocess 11 nginx\nprocess 11 nginx\n\
        process 99 other\nnoise\n";

    #[test]
    fn the_kernels_words_are_addresses() {
        let words: Vec<_> = read(SAID).iter().map(super::Socket::words).collect();
        assert_eq!(
            words,
            [
                "tcp 0.0.0.0:80",
                "tcp 127.0.0.1:5432",
                "tcp [::]:22",
                "tcp [::1]:631",
                "udp 127.0.0.1:53"
            ]
        );
    }

    #[test]
    fn a_socket_at_all_addresses_is_at_each() {
        let sockets = read(SAID);
        let at = |socket: usize, address: &str| {
            sockets[socket].is_at(address.parse::<IpAddr>().unwrap())
        };
        assert!(at(0, "10.1.2.3") && !at(0, "::1"));
        assert!(at(1, "127.0.0.1") && !at(1, "10.1.2.3"));
        assert!(at(2, "::1") && at(2, "127.0.0.1"));
        let open: Vec<_> = sockets.iter().map(super::Socket::is_open).collect();
        assert_eq!(open, [true, false, true, false, false]);
    }

    #[test]
    fn processes_belong_to_their_sockets() {
        let sockets = read(SAID);
        assert!(sockets[0].processes.iter().eq(["nginx"]));
        assert!(sockets[1].processes.is_empty());
    }
}
