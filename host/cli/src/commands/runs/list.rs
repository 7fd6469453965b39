//! `darkroom runs list`.

use clap::Args;
use serde_json::json;

use super::state;
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::terminal::{Table, Terminal};
use crate::workshop;

/// List runs, newest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom runs list\n  \
    darkroom runs list -n 5 --json\n  \
    darkroom runs list --kept         # those whose instance waits to be looked at")]
pub(crate) struct List {
    /// At most this many
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 20)]
    count: usize,
    /// Only those that have ended and kept something, until `darkroom runs cleanup`
    #[arg(long)]
    kept: bool,
}

impl List {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let engine = workshop::open(&Roots::of_process()?).await?;
        let mut views = Vec::new();
        for view in engine.runs().await? {
            let kept = view.status.is_some() && engine.has_leftovers(&view.run).await?;
            if kept || !self.kept {
                views.push((view, kept));
            }
        }
        let mut table = Table::new(&["RUN", "TEMPLATE", "WHERE", "STATE", "IMAGES"]);
        for (view, kept) in views.iter().take(self.count) {
            let header = &view.header;
            terminal.json(&json!({
                "run": view.run,
                "begun": view.begun,
                "template": header.template,
                "cloud": header.cloud,
                "region": header.region,
                "status": view.status,
                "pid": view.pid,
                "images": view.images,
                "kept": kept,
            }));
            let images: Vec<_> = view.images.iter().map(|one| one.image.as_str()).collect();
            table.row([
                view.run.to_string(),
                header.template.clone(),
                format!("{} {}", header.cloud, header.region),
                format!("{}{}", state(view), if *kept { ", kept" } else { "" }),
                images.join(" "),
            ]);
        }
        if table.is_empty() {
            terminal.note(if self.kept {
                "no run has kept anything"
            } else {
                "no runs yet; `darkroom build` makes one"
            });
            return Ok(exit::DONE);
        }
        for line in table.lines() {
            terminal.line(line);
        }
        if views.len() > self.count {
            terminal.note(format!(
                "and {} older ones; -n shows more",
                views.len() - self.count
            ));
        }
        Ok(exit::DONE)
    }
}
