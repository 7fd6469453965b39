//! `darkroom component versions`: what there is of a package.

use clap::Args;
use serde_json::json;

use super::desk::{Desk, located};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Versions that are asked whether they are yanked; of more, the newest.
const ASKED: usize = 50;

/// List the versions of a package, the newest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom component versions acme:hardening\n  \
    darkroom component versions ghcr.io/acme/hardening --json")]
pub(super) struct Versions {
    /// The package: NAMESPACE:NAME, or HOST/REPOSITORY
    #[arg(value_name = "NAME")]
    name: String,
}

impl Versions {
    pub(super) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let desk = Desk::open()?;
        let located = located(&desk, &self.name).await?;
        let versions = desk.client.versions(&located).await?;
        let newest: Vec<_> = versions.iter().rev().cloned().collect();
        let asked = &newest[..newest.len().min(ASKED)];
        let mut marks = desk.client.yanked_of(&located, asked).await?.into_iter();
        for version in newest {
            let yanked = marks.next().flatten();
            let reason = yanked.as_ref().and_then(|yanked| yanked.reason.clone());
            terminal.json(&json!({
                "version": version.to_string(),
                "yanked": yanked.is_some(),
                "reason": reason,
            }));
            let mark = match (yanked.is_some(), reason) {
                (false, _) => String::new(),
                (true, None) => "  yanked".into(),
                (true, Some(reason)) => format!("  yanked: {reason}"),
            };
            terminal.line(format!("{version}{mark}"));
        }
        if versions.is_empty() {
            terminal.note(format!("{located} has no versions"));
        }
        Ok(exit::DONE)
    }
}
