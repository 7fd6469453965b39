//! Where an instance may connect to: everywhere but loopback, link-local and
//! multicast addresses, the host's own, other instances', and what configuration
//! denies.
//!
//! Used by `relay` for every connection. Private addresses are allowed,
//! because mirrors sit there.

use std::fmt;
use std::net::{Ipv4Addr, UdpSocket};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A range of addresses, written `address/length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Block {
    address: Ipv4Addr,
    length: u8,
}

/// Why a text is no range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a range of addresses: write address/length, such as the range of a network")]
pub struct BadBlock(String);

impl Block {
    fn mask(self) -> u32 {
        u32::MAX
            .checked_shl(32_u32.saturating_sub(u32::from(self.length)))
            .unwrap_or(0)
    }

    /// The address as it was written, which may be any of the range.
    pub fn address(self) -> Ipv4Addr {
        self.address
    }

    /// The first address of the range.
    pub fn first(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() & self.mask())
    }

    /// Whether an address is in it.
    pub fn contains(self, other: Ipv4Addr) -> bool {
        (other.to_bits() ^ self.address.to_bits()) & self.mask() == 0
    }
}

impl FromStr for Block {
    type Err = BadBlock;

    fn from_str(text: &str) -> Result<Self, BadBlock> {
        let bad = || BadBlock(text.to_owned());
        let (address, length) = text.split_once('/').ok_or_else(bad)?;
        let block = Self {
            address: address.parse().map_err(|_| bad())?,
            length: length.parse().map_err(|_| bad())?,
        };
        if block.length > 32 {
            return Err(bad());
        }
        Ok(block)
    }
}

impl fmt::Display for Block {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.length)
    }
}

impl TryFrom<String> for Block {
    type Error = BadBlock;

    fn try_from(text: String) -> Result<Self, BadBlock> {
        text.parse()
    }
}

impl From<Block> for String {
    fn from(block: Block) -> Self {
        block.to_string()
    }
}

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Loopback, link-local, multicast, broadcast, unspecified.
    Special,
    /// An address of the range that instances have theirs from.
    Instance,
    /// One of the host's own addresses.
    Host,
    /// Denied by configuration.
    Configured,
}

/// The rules for one instance.
#[derive(Clone, Debug)]
pub struct Policy {
    instances: Block,
    deny: Vec<Block>,
}

impl Policy {
    /// The rules for an instance of the range `instances`.
    pub fn new(instances: Block, deny: Vec<Block>) -> Self {
        Self { instances, deny }
    }

    /// Whether a connection to `to` may be made. Asked in the host's namespace.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, to: Ipv4Addr) -> Result<(), Refusal> {
        self.check_with(to, &is_own)
    }

    fn check_with(&self, to: Ipv4Addr, own: &dyn Fn(Ipv4Addr) -> bool) -> Result<(), Refusal> {
        let special = to.is_loopback()
            || to.is_link_local()
            || to.is_multicast()
            || to.is_broadcast()
            || to.is_unspecified();
        if special {
            Err(Refusal::Special)
        } else if self.instances.contains(to) {
            Err(Refusal::Instance)
        } else if self.deny.iter().any(|block| block.contains(to)) {
            Err(Refusal::Configured)
        } else if own(to) {
            Err(Refusal::Host)
        } else {
            Ok(())
        }
    }
}

/// Whether an address is this machine's: then and only then a socket can have it.
/// Asked anew each time, because addresses come and go.
fn is_own(address: Ipv4Addr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The first address of a kind, so that none needs to be written here.
    fn some(kind: impl Fn(&Ipv4Addr) -> bool) -> Ipv4Addr {
        (0..=u32::MAX)
            .step_by(1 << 8)
            .map(Ipv4Addr::from_bits)
            .find(kind)
            .unwrap()
    }

    /// A private range; which one doesn't matter.
    pub fn some_private_block() -> Block {
        format!("{}/22", some(Ipv4Addr::is_private))
            .parse()
            .unwrap()
    }

    fn beside(block: Block) -> Ipv4Addr {
        Ipv4Addr::from_bits(block.first().to_bits() + (1 << 12))
    }

    #[test]
    fn special_addresses_and_instances_are_refused() {
        let block = some_private_block();
        let policy = Policy::new(block, Vec::new());
        let nobody = |_| false;
        for special in [
            Ipv4Addr::LOCALHOST,
            Ipv4Addr::UNSPECIFIED,
            Ipv4Addr::BROADCAST,
            some(Ipv4Addr::is_multicast),
            some(Ipv4Addr::is_link_local),
        ] {
            assert_eq!(policy.check_with(special, &nobody), Err(Refusal::Special));
        }
        let other = Ipv4Addr::from_bits(block.first().to_bits() + 9);
        assert_eq!(policy.check_with(other, &nobody), Err(Refusal::Instance));
        assert_eq!(policy.check_with(beside(block), &nobody), Ok(()));
    }

    #[test]
    fn the_host_and_the_deny_list_are_refused() {
        let block = some_private_block();
        let target = beside(block);
        let policy = Policy::new(block, Vec::new());
        assert_eq!(policy.check_with(target, &|_| true), Err(Refusal::Host));
        let policy = Policy::new(block, vec![format!("{target}/32").parse().unwrap()]);
        assert_eq!(
            policy.check_with(target, &|_| false),
            Err(Refusal::Configured)
        );
    }

    #[test]
    fn loopback_is_an_own_address_and_a_documentation_address_is_not() {
        assert!(is_own(Ipv4Addr::LOCALHOST));
        assert!(!is_own(some(Ipv4Addr::is_documentation)));
    }

    #[test]
    fn ranges_are_read_strictly() {
        let block = some_private_block();
        assert_eq!(block.to_string().parse::<Block>().unwrap(), block);
        assert!("x/8".parse::<Block>().is_err());
        assert!(
            format!("{}/33", Ipv4Addr::LOCALHOST)
                .parse::<Block>()
                .is_err()
        );
        assert!(Ipv4Addr::LOCALHOST.to_string().parse::<Block>().is_err());
    }
}
