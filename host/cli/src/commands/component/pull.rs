//! `darkroom component pull`: a package's component to a file.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use darkroom_registry::trust::Verdict;
use serde_json::json;

use super::desk::Desk;
use super::size;
use crate::component;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Pull a component of a registry into a file
///
/// It is judged by the policy (trust.yaml) before it is written.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom component pull acme:hardening@1.2 -o hardening.wasm\n  \
    darkroom component pull ghcr.io/acme/hardening:1.2.0 -o hardening.wasm")]
pub(super) struct Pull {
    /// The package: NAMESPACE:NAME@REQUIREMENT, or HOST/REPOSITORY:TAG
    #[arg(value_name = "REF")]
    reference: String,
    /// The file
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    out: PathBuf,
}

impl Pull {
    pub(super) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let desk = Desk::open()?;
        let asked = desk.place(&self.reference).await?;
        let inspected = desk.client.inspect(&asked.reference).await?;
        let judged = desk.judge(&asked, &inspected).await?;
        let reference = asked.reference;
        let signer = judged.verdict.signer().map(|signer| signer.id.to_string());
        match judged.verdict {
            Verdict::Refused(refusal) => {
                let hint = refusal.hint();
                return Err(Failure::user(refusal).hint(hint));
            }
            Verdict::Warned(refusal) => terminal.note(format!("warning: {refusal}")),
            Verdict::Trusted(_) | Verdict::Unchecked => {}
        }
        let pulled = desk.client.pull_file(&reference, inspected).await?;
        component::write(&self.out, &pulled.component).map_err(Failure::config)?;
        let bytes = pulled.component.len() as u64;
        terminal.json(&json!({
            "reference": reference.to_string(),
            "file": self.out,
            "bytes": bytes,
            "digest": pulled.component_digest,
            "manifest": pulled.manifest_digest,
            "signer": signer,
        }));
        terminal.line(format!(
            "{reference}  {}  {}",
            self.out.display(),
            size(bytes)
        ));
        terminal.line(format!("  {}", pulled.component_digest));
        if let Some(signer) = signer {
            terminal.line(format!("  signed by {signer}"));
        }
        Ok(exit::DONE)
    }
}
