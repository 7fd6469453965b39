//! `darkroom component search`: packages by a part of their names.

use clap::Args;
use serde_json::json;

use super::desk::Desk;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::terminal::{Table, Terminal};

/// How many are shown of one registry.
const MOST: usize = 100;

/// Find packages by a part of their names
///
/// Registries of one's own list what they have; most public ones don't, and are searched
/// on their pages.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom component search hardening\n  \
    darkroom component search '' --registry registry.acme.example")]
pub(super) struct Search {
    /// A part of the name
    #[arg(value_name = "TEXT")]
    text: String,
    /// The host; by default those that `[registries]` names
    #[arg(long, value_name = "HOST")]
    registry: Vec<String>,
}

/// No registry to search.
#[derive(Debug, thiserror::Error)]
#[error("no registry is configured that could be searched")]
struct Nowhere;

impl Search {
    pub(super) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let desk = Desk::open()?;
        let hosts = if self.registry.is_empty() {
            &desk.hosts
        } else {
            &self.registry
        };
        if hosts.is_empty() {
            return Err(Failure::config(Nowhere)
                .hint("name one with `--registry HOST`, or in [registries] of ~/.config/darkroom/config.toml"));
        }
        let mut table = Table::new(&["PACKAGE", "NEWEST", "FROM", "ABOUT"]);
        let mut found = false;
        let mut failures = Vec::new();
        for host in hosts {
            let hits = match desk.client.search(host, &self.text, MOST).await {
                Ok(hits) => hits,
                // Others may have it; alone it is the answer.
                Err(error) if hosts.len() > 1 => {
                    failures.push(error);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for hit in hits {
                found = true;
                let name = hit.name.as_ref().map(ToString::to_string);
                terminal.json(&json!({
                    "package": name,
                    "newest": hit.newest.to_string(),
                    "registry": hit.located.to_string(),
                    "description": hit.description,
                }));
                table.row([
                    name.unwrap_or_else(|| "-".into()),
                    hit.newest.to_string(),
                    hit.located.to_string(),
                    hit.description.unwrap_or_default(),
                ]);
            }
        }
        let searched = failures.len() < hosts.len();
        for error in failures {
            let failure = Failure::from(error);
            if !searched {
                return Err(failure);
            }
            terminal.note(format!("warning: {}", failure.chain().join(": ")));
        }
        if found {
            for line in table.lines() {
                terminal.line(line);
            }
        } else {
            terminal.note("nothing was found");
        }
        Ok(exit::DONE)
    }
}
