//! `darkroom component yank|unyank`: whether a version is chosen by those who don't have
//! it locked.

use clap::Args;
use serde_json::json;

use super::desk::Desk;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Let a version not be chosen any more; locks that pin it keep it
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom component yank acme:web@1.2.0 --reason 'breaks on Debian 13'")]
pub(super) struct Yank {
    /// The version: NAMESPACE:NAME@VERSION, or HOST/REPOSITORY:VERSION
    #[arg(value_name = "REF")]
    reference: String,
    /// Why, for those who look
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Let a yanked version be chosen again
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom component unyank acme:web@1.2.0")]
pub(super) struct Unyank {
    /// The version: NAMESPACE:NAME@VERSION, or HOST/REPOSITORY:VERSION
    #[arg(value_name = "REF")]
    reference: String,
}

impl Yank {
    pub(super) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        mark(&self.reference, true, self.reason.as_deref(), terminal).await
    }
}

impl Unyank {
    pub(super) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        mark(&self.reference, false, None, terminal).await
    }
}

async fn mark(
    text: &str,
    yanked: bool,
    reason: Option<&str>,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let desk = Desk::open()?;
    let reference = desk.one(text).await?.reference;
    let manifest = desk.client.inspect(&reference).await?.manifest;
    let (located, size) = (&reference.located, manifest.bytes.len() as u64);
    let changed = if yanked {
        let marking = desk.client.yank(located, &manifest.digest, size, reason);
        marking.await?
    } else {
        desk.client.unyank(located, &manifest.digest, size).await?
    };
    terminal.json(&json!({
        "reference": reference.to_string(),
        "yanked": yanked,
        "changed": changed,
    }));
    let state = match (yanked, changed) {
        (true, true) => "is yanked",
        (true, false) => "was yanked already",
        (false, true) => "can be chosen again",
        (false, false) => "was not yanked",
    };
    terminal.line(format!("{reference} {state}"));
    Ok(exit::DONE)
}
