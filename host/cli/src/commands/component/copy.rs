//! `darkroom component copy`: a package to another registry, with its signatures.

use clap::Args;
use darkroom_registry::layout;
use darkroom_registry::name::{OciReference, Reference};
use darkroom_registry::publish::Before;
use serde_json::json;

use super::desk::{Desk, exact, version_of};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Copy a package to another place, with its signatures and all that is attached to it
///
/// Digests stay the same, so that locks and signatures hold for the copy.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom component copy ghcr.io/acme/web:1.2.0 registry.example/mirror/web:1.2.0\n  \
    darkroom component copy acme:web@1.2.0 registry.example/mirror/web:1.2.0")]
pub(super) struct Copy {
    /// What is copied
    #[arg(value_name = "FROM")]
    from: String,
    /// Where to
    #[arg(value_name = "TO")]
    to: String,
    /// Replace other content that is there under this version
    #[arg(long)]
    force: bool,
}

/// The version of what is copied is not known.
#[derive(Debug, thiserror::Error)]
#[error("{0} does not say its version")]
struct NoVersion(OciReference);

impl Copy {
    pub(super) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let desk = Desk::open()?;
        let from = desk.place(&self.from).await?.reference;
        let to = match self.to.parse()? {
            Reference::Oci(reference) => reference,
            Reference::Package { name, requirement } => {
                let version = match requirement.as_ref().and_then(exact) {
                    Some(version) => version,
                    None => version_of(&from, &desk.client.inspect(&from).await?)
                        .ok_or_else(|| Failure::user(NoVersion(from.clone())))?,
                };
                let located = desk.client.locate(&name).await?;
                located.tagged(layout::tag(&version))
            }
        };
        let copied = desk.client.copy(&from, &to, self.force).await?;
        terminal.json(&json!({
            "from": from.to_string(),
            "to": to.to_string(),
            "manifest": copied.manifest_digest,
            "attachments": copied.attachments,
        }));
        let state = match copied.before {
            Before::Nothing => "",
            Before::Same => "  was there already",
            Before::Other(_) => "  in place of other content",
        };
        terminal.line(format!("{from} -> {to}{state}"));
        terminal.line(format!(
            "  {}, {} attached",
            copied.manifest_digest, copied.attachments
        ));
        Ok(exit::DONE)
    }
}
