//! Where the instances' addresses come from: one range of private space, found at
//! the first start, that this machine has no route into.
//!
//! Used once by [`crate::cloud`] when a state is made, and for the addresses of
//! vSwitches and instances. No address is written here: the private space is what
//! `Ipv4Addr::is_private` says.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A range of addresses, `a.b.c.d/n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Range {
    first: u32,
    prefix: u8,
}

/// Why a text is no range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a range of addresses: write address/length, the address being the first one")]
pub struct BadRange(String);

/// The whole cloud's range, the first choice and the second.
const CLOUD_PREFIXES: [u8; 2] = [14, 16];
/// How many bits longer a vSwitch's range is: 128 vSwitches in a cloud, each for two
/// thousand instances, or five hundred.
pub(crate) const VSWITCH_BITS: u8 = 7;

impl Range {
    fn mask(prefix: u8) -> u32 {
        u32::MAX
            .checked_shl(32_u32.saturating_sub(u32::from(prefix)))
            .unwrap_or(0)
    }

    /// The number of leading bits that all its addresses share.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether `address` is one of its addresses.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & Self::mask(self.prefix) == self.first
    }

    /// Whether all addresses of `other` are its own.
    pub fn holds(self, other: Self) -> bool {
        other.prefix >= self.prefix && other.first & Self::mask(self.prefix) == self.first
    }

    /// Whether any address is in both.
    pub fn overlaps(self, other: Self) -> bool {
        let mask = Self::mask(self.prefix.min(other.prefix));
        self.first & mask == other.first & mask
    }

    /// Its `index`th part of `prefix` bits.
    pub(crate) fn part(self, prefix: u8, index: u32) -> Option<Self> {
        let more = u32::from(prefix.checked_sub(self.prefix)?);
        if index >= 1_u32.checked_shl(more)? {
            return None;
        }
        let size = 1_u32.checked_shl(32_u32.checked_sub(u32::from(prefix))?)?;
        Some(Self {
            first: self.first + index.checked_mul(size)?,
            prefix,
        })
    }

    /// The addresses that instances may have: not the first (the network's), the
    /// second (the gateway's) and the last (broadcast).
    pub(crate) fn hosts(self) -> impl Iterator<Item = Ipv4Addr> {
        let last = self.first | !Self::mask(self.prefix);
        (self.first.saturating_add(2)..last).map(Ipv4Addr::from_bits)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", Ipv4Addr::from_bits(self.first), self.prefix)
    }
}

impl FromStr for Range {
    type Err = BadRange;

    fn from_str(text: &str) -> Result<Self, BadRange> {
        let bad = || BadRange(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        let first = address.parse::<Ipv4Addr>().map_err(|_| bad())?.to_bits();
        let prefix: u8 = prefix.parse().map_err(|_| bad())?;
        if prefix > 30 || first & !Self::mask(prefix) != 0 {
            return Err(bad());
        }
        Ok(Self { first, prefix })
    }
}

impl TryFrom<String> for Range {
    type Error = BadRange;

    fn try_from(text: String) -> Result<Self, BadRange> {
        text.parse()
    }
}

impl From<Range> for String {
    fn from(range: Range) -> Self {
        range.to_string()
    }
}

/// A private range that overlaps none of `routes`. `seed` makes two clouds on one
/// machine unlikely to choose the same.
pub(crate) fn choose(routes: &[Range], seed: u64) -> Option<Range> {
    CLOUD_PREFIXES
        .iter()
        .find_map(|prefix| choose_of(*prefix, routes, seed))
}

fn choose_of(prefix: u8, routes: &[Range], seed: u64) -> Option<Range> {
    let bits = u32::from(prefix);
    let free: Vec<Range> = (0..1_u32 << bits)
        .map(|number| Range {
            first: number << (32 - bits),
            prefix,
        })
        .filter(|range| {
            let last = range.first | !Range::mask(range.prefix);
            Ipv4Addr::from_bits(range.first).is_private() && Ipv4Addr::from_bits(last).is_private()
        })
        .filter(|range| !routes.iter().any(|route| route.overlaps(*range)))
        .collect();
    let count = u64::try_from(free.len()).ok().filter(|count| *count > 0)?;
    free.get(usize::try_from(seed % count).ok()?).copied()
}

/// The ranges that this machine has a route into, the default route not counted,
/// and its own addresses.
pub(crate) fn routes() -> Vec<Range> {
    let table = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let own = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let mut found: Vec<Range> = table.lines().filter_map(route).collect();
    found.extend(own_addresses(&own));
    found
}

/// One line of `/proc/net/route`: destination and mask in hexadecimal, the bytes in
/// the machine's order.
fn route(line: &str) -> Option<Range> {
    let mut words = line.split_whitespace();
    let destination = u32::from_str_radix(words.nth(1)?, 16).ok()?;
    let mask = u32::from_str_radix(words.nth(5)?, 16).ok()?;
    let prefix = u8::try_from(mask.count_ones()).ok()?;
    (prefix > 0).then(|| Range {
        first: u32::from_be_bytes(destination.to_ne_bytes()),
        prefix,
    })
}

/// The addresses of `/proc/net/fib_trie` that are this machine's own.
fn own_addresses(text: &str) -> Vec<Range> {
    let lines: Vec<&str> = text.lines().collect();
    lines
        .windows(2)
        .filter(|pair| pair[1].contains("/32 host LOCAL"))
        .filter_map(|pair| pair[0].split_whitespace().last()?.parse::<Ipv4Addr>().ok())
        .map(|address| Range {
            first: address.to_bits(),
            prefix: 32,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The nth private range, so that no address stands here.
    fn private(nth: u64) -> Range {
        choose(&[], nth).unwrap()
    }

    #[test]
    fn a_route_into_a_range_rules_it_out() {
        let wanted = private(7);
        let inside = wanted.part(24, 3).unwrap();
        for seed in 0..100 {
            let chosen = choose(&[inside], seed).unwrap();
            assert!(!chosen.overlaps(inside), "{chosen} overlaps {inside}");
        }
        assert!((0..100).any(|seed| choose(&[], seed) == Some(wanted)));
    }

    #[test]
    fn nothing_free_is_no_range() {
        let all = Range {
            first: 0,
            prefix: 0,
        };
        assert_eq!(choose(&[all], 1), None);
    }

    #[test]
    fn the_kernels_tables_are_read() {
        let range = private(3).part(24, 1).unwrap();
        let destination = u32::from_ne_bytes(range.first.to_be_bytes());
        let mask = u32::from_ne_bytes(Range::mask(24).to_be_bytes());
        let line = format!("eth0 {destination:08X} 00000000 0001 0 0 0 {mask:08X} 0 0 0");
        assert_eq!(route(&line), Some(range));
        assert_eq!(
            route("eth0 00000000 01020304 0003 0 0 0 00000000 0 0 0"),
            None
        );
        let address = range.hosts().next().unwrap();
        let trie = format!("   |-- {address}\n      /32 host LOCAL\n   |-- x\n");
        assert_eq!(own_addresses(&trie).len(), 1);
        assert!(range.contains(Ipv4Addr::from_bits(own_addresses(&trie)[0].first)));
    }

    #[test]
    fn parts_and_texts() {
        let cloud = private(0);
        let prefix = cloud.prefix() + VSWITCH_BITS;
        let part = cloud.part(prefix, 127).unwrap();
        assert!(cloud.overlaps(part));
        assert_eq!(cloud.part(prefix, 128), None);
        assert_eq!(part.hosts().count(), 2045);
        assert_eq!(part.to_string().parse::<Range>().unwrap(), part);
        assert!("x/8".parse::<Range>().is_err());
    }
}
