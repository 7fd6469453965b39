//! `darkroom cache list|prune`: the packages that are kept.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::packages;
use crate::places::roots::Roots;
use crate::terminal::{Table, Terminal};

/// List the packages in the cache, or remove those that were not used for longest
#[derive(Args, Debug)]
pub(crate) struct Cache {
    #[command(subcommand)]
    verb: CacheVerb,
}

#[derive(Subcommand, Debug)]
enum CacheVerb {
    List(List),
    Prune(Prune),
}

/// List the packages in the cache, the one used last first
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom cache list\n  \
    darkroom cache list --json")]
struct List {}

/// Remove packages, those first that were not used for longest
///
/// Runs keep their own copies and can be resumed without the cache.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom cache prune\n  \
    darkroom cache prune --max-size 500M")]
struct Prune {
    /// How much may stay: bytes, or a number with K, M or G; without it nothing stays
    #[arg(long, value_name = "SIZE", default_value = "0", hide_default_value = true, value_parser = size)]
    max_size: u64,
}

impl Cache {
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let cache = packages::cache(&Roots::of_process()?)?;
        match self.verb {
            CacheVerb::List(List {}) => {
                let mut table = Table::new(&["PACKAGE", "VERSION", "FROM", "SIZE", "USED"]);
                for entry in cache.list()? {
                    let used = Timestamp::try_from(entry.used).map_err(Failure::internal)?;
                    let key = &entry.key;
                    terminal.json(&json!({
                        "package": key.package,
                        "version": key.version,
                        "registry": key.registry,
                        "digest": entry.component,
                        "bytes": entry.bytes,
                        "used": used,
                    }));
                    table.row([
                        key.package.clone(),
                        key.version.clone(),
                        key.registry.clone(),
                        super::component::size(entry.bytes),
                        used.strftime("%Y-%m-%d %H:%M").to_string(),
                    ]);
                }
                for line in table.lines() {
                    terminal.line(line);
                }
            }
            CacheVerb::Prune(prune) => {
                let pruned = cache.prune(prune.max_size)?;
                let count = pruned.entries.len();
                let bytes = pruned.bytes;
                terminal.json(&json!({ "removed": count, "bytes": bytes }));
                let packages = if count == 1 { "package" } else { "packages" };
                let freed = super::component::size(bytes);
                terminal.line(format!("removed {count} {packages}, {freed}"));
            }
        }
        Ok(exit::DONE)
    }
}

/// `500M`: a number of bytes, of which K, M and G are a thousand, a million and so on.
fn size(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.char_indices().next_back() {
        Some((end, 'K' | 'k')) => (&text[..end], 1_000),
        Some((end, 'M' | 'm')) => (&text[..end], 1_000_000),
        Some((end, 'G' | 'g')) => (&text[..end], 1_000_000_000),
        _ => (text, 1),
    };
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| "write it like 500M or 2G".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("500M"), Ok(500_000_000));
        assert_eq!(size("2g"), Ok(2_000_000_000));
        for bad in [
            "",
            "M",
            "1.5G",
            "-1",
            "99999999999999999999",
            "9999999999999G",
            "1é",
        ] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
