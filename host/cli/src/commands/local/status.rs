//! `darkroom local status`: whether the server runs, and what is in it.

use clap::Args;
use darkroom_local::admin::Status as Told;
use serde_json::{Value, json};

use crate::cloud::local_admin::Admin;
use crate::cloud::local_cloud::{LocalCloud, build_id};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::places::roots::Roots;
use crate::terminal::{Table, Terminal};

/// Show whether the local cloud runs and what is in it
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom local status\n  \
    darkroom local status --json")]
pub(crate) struct Status {}

impl Status {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let roots = Roots::of_process()?;
        let folder = roots.local.display().to_string();
        let Some(server) = LocalCloud::new(roots).running().await? else {
            terminal.json(&json!({ "running": false, "root": folder }));
            terminal.line(format!(
                "the local cloud isn't running (its folder is {folder})"
            ));
            terminal.note("a build starts it when it needs it");
            return Ok(exit::DONE);
        };
        let admin = Admin::new(&server);
        let told = admin.status().await?;
        let ledger = admin.ledger().await?;
        terminal.json(&json!({
            "running": true, "url": server.url, "status": told, "ledger": ledger,
        }));
        for line in overview(&told, &server.url).lines() {
            terminal.line(line);
        }
        let billed = billed(&ledger);
        if !billed.is_empty() {
            terminal.line("");
            for line in billed.lines() {
                terminal.line(line);
            }
        }
        if told.ping.build_id != build_id() {
            terminal.note("It is of another build of darkroom; the next build replaces it.");
        }
        Ok(exit::DONE)
    }
}

fn overview(told: &Told, url: &str) -> Table {
    let mut table = Table::new(&["state", "running"]);
    let instances: Vec<_> = told
        .instances
        .iter()
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    let instances = if instances.is_empty() {
        "none".to_owned()
    } else {
        instances.join(", ")
    };
    table.row(["process", &told.ping.pid.to_string()]);
    table.row(["url", url]);
    table.row(["driver", &told.ping.driver]);
    table.row(["folder", &told.root]);
    table.row(["addresses", &told.range]);
    table.row(["instances", &instances]);
    table.row(["images", &told.images.to_string()]);
    table.row(["snapshots", &told.snapshots.to_string()]);
    for job in &told.jobs {
        let subjects = job.subjects.join(" ");
        table.row([
            "doing",
            &format!("{} {subjects} since {}", job.name, job.since),
        ]);
    }
    table
}

/// What would be billed now: one row a resource.
fn billed(ledger: &Value) -> Table {
    let mut table = Table::new(&["KIND", "ID", "REGION", "ACCOUNT", "SPEC", "SINCE"]);
    for entry in ledger["entries"].as_array().into_iter().flatten() {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        table.row(["kind", "resource", "region", "account", "spec", "since"].map(text));
    }
    table
}
