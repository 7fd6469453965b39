//! `darkroom gc`: clears away what runs have left in an account.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use darkroom_engine::gc::{Fate, Item, LitterError, Scope};
use darkroom_engine::{Engine, Pace, Trouble};
use darkroom_template::Cloud;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::args::Where;
use crate::exit::{self, Exit};
use crate::failure::{Failure, Kind};
use crate::places::roots::Roots;
use crate::settings::{Config, Settings};
use crate::terminal::{Consent, Table, Terminal};
use crate::workshop;

/// Leases that end within this time are waited for, to see whether they are renewed.
const MOMENT: SignedDuration = SignedDuration::from_mins(2);

/// Clear away what runs have left in an account
///
/// Everything that a run makes bears its tag. What runs have left whose process died and
/// that nobody resumes is found by it, in every region: instances, unpublished images,
/// snapshots, temporary networks. Published images stay, and so does what the runs of
/// others may be using: a live run holds a lease, which it renews. Runs that the own
/// journal knows and that can be resumed or looked into are named and left.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    darkroom gc --dry-run\n  \
    darkroom gc --on aliyun --older-than 1d\n  \
    darkroom gc --layers --dry-run\n  \
    darkroom gc --on aliyun --region cn-hangzhou --yes --json")]
pub(crate) struct Gc {
    #[command(flatten)]
    place: Where,
    /// Show what would be removed and what would be left, and why; remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Only what runs have left that were begun longer ago, such as `90m`, `12h` or `7d`
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<SignedDuration>,
    /// Also the layers that builds begin from; without it those stay for 30 days
    #[arg(long)]
    layers: bool,
    /// Don't ask, also where something is billed
    #[arg(long, short)]
    yes: bool,
}

/// Something is left that should have gone.
#[derive(Debug, thiserror::Error)]
#[error("{0} could not be removed")]
struct Left(String);

impl From<LitterError> for Failure {
    fn from(error: LitterError) -> Self {
        match error {
            LitterError::Engine(error) => error.into(),
            LitterError::Cloud(ref trouble) => {
                let (kind, hint) = (workshop::of_trouble(trouble), error.hint());
                hint.into_iter().fold(Self::new(kind, error), Self::hint)
            }
        }
    }
}

impl Gc {
    pub(crate) async fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let config = Config::load(std::path::Path::new("."))?;
        let settings = Settings::of(&self.place, &config)?;
        let consent = Consent::from(self.yes || settings.cloud == Cloud::Local);
        if consent == Consent::Ask && !self.dry_run {
            terminal.can_ask(QUESTION)?;
        }
        let roots = Roots::of_process()?;
        let engine = workshop::open(&roots).await?;
        let (client, pace) = workshop::cloud(&settings, &roots).await?;
        let client = Arc::new(client);
        // A region that is a default of this machine is no wish to look nowhere else.
        let region = self.place.region.as_ref();
        let region = region.map(|text| text.parse().map_err(|_| bad_region(text)));
        let scope = Scope {
            region: region.transpose()?,
            older_than: self.older_than,
            layers: self.layers,
        };
        let mut items = engine.litter(&client, pace, &scope).await?;
        if !self.dry_run && wait_for_leases(&items, terminal).await {
            items = engine.litter(&client, pace, &scope).await?;
        }
        show(&items, terminal);
        let doomed = |items: &[Item]| items.iter().any(|item| item.fate == Fate::Remove);
        if self.dry_run || !doomed(&items) {
            for item in &items {
                tell(item, None, terminal);
            }
            if !doomed(&items) {
                terminal.note("nothing is to be cleared away");
            }
            return Ok(exit::DONE);
        }
        if !terminal.consent(consent, QUESTION).await? {
            terminal.note("nothing was removed");
            return Ok(exit::CANCELLED);
        }
        if consent == Consent::Ask {
            // Somebody may have resumed a run while this was asked.
            let now = engine.litter(&client, pace, &scope).await?;
            items.retain(|item| now.contains(item));
        }
        remove(&engine, (&client, pace), &items, terminal).await
    }
}

const QUESTION: &str = "Remove this from the account?";

async fn remove(
    engine: &Engine,
    (client, pace): (&Arc<darkroom_ecs::client::Client>, Pace),
    items: &[Item],
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let mut left = Vec::new();
    let mut removed = 0;
    for item in items {
        if item.fate == Fate::Leave {
            tell(item, None, terminal);
            continue;
        }
        let name = format!("{} {} in {}", item.what.word(), item.id, item.region);
        match engine.clear(client, pace, item).await {
            Ok(()) => {
                removed += 1;
                tell(item, None, terminal);
                terminal.note(format!("{name} is gone"));
            }
            Err(trouble) => {
                tell(item, Some(&trouble), terminal);
                terminal.note(format!("{name} is left: {trouble}"));
                left.push(name);
            }
        }
    }
    terminal.note(format!("{removed} removed, {} left over", left.len()));
    if left.is_empty() {
        return Ok(exit::DONE);
    }
    Err(Failure::new(Kind::Cloud, Left(left.join(", ")))
        .hint("what is on its way out may be in the way of it: run `darkroom gc` again"))
}

/// Waits for leases that are about to end; whether there were any.
async fn wait_for_leases(items: &[Item], terminal: &Terminal) -> bool {
    let now = Timestamp::now();
    let ends = items.iter().filter_map(|item| item.until);
    let soon = ends
        .filter(|end| end.duration_since(now) < MOMENT)
        .max()
        .map(|end| end.duration_since(now) + SignedDuration::from_secs(1));
    let Some(Ok(length)) = soon.map(Duration::try_from) else {
        return false;
    };
    terminal.note(format!(
        "waiting {} s for leases that end: what is not renewed is in nobody's use",
        length.as_secs()
    ));
    tokio::time::sleep(length).await;
    true
}

fn show(items: &[Item], terminal: &Terminal) {
    let mut table = Table::new(&["WHAT", "ID", "REGION", "RUN", "FATE", "WHY"]);
    for item in items {
        let fate = match item.fate {
            Fate::Remove => "goes",
            Fate::Leave => "stays",
        };
        table.row([
            item.what.word().to_owned(),
            item.id.clone(),
            item.region.to_string(),
            item.run.to_string(),
            fate.to_owned(),
            item.why.clone(),
        ]);
    }
    if !table.is_empty() {
        for line in table.lines() {
            terminal.line(line);
        }
    }
}

/// The line of an item for programs.
fn tell(item: &Item, error: Option<&Trouble>, terminal: &Terminal) {
    terminal.json(&json!({
        "what": item.what,
        "id": item.id,
        "region": item.region,
        "run": item.run,
        "fate": item.fate,
        "why": item.why,
        "error": error.map(ToString::to_string),
    }));
}

fn bad_region(text: &str) -> Failure {
    Failure::user(format!("{text} can't be a region")).hint("regions are like cn-hangzhou")
}

/// `90m`, `12h`, `7d`.
fn age(text: &str) -> Result<SignedDuration, String> {
    let wrong = || "write a number and s, m, h or d, such as 12h".to_owned();
    let (number, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or_else(wrong)?;
    let number: i64 = number
        .parse()
        .ok()
        .filter(|number| *number >= 0)
        .ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(seconds)
        .map(SignedDuration::from_secs)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_a_number_and_a_unit() {
        assert_eq!(age("7d"), Ok(SignedDuration::from_hours(7 * 24)));
        assert_eq!(age("90m"), Ok(SignedDuration::from_mins(90)));
        for text in ["", "7", "d", "-1d", "7w", "7日"] {
            assert!(age(text).is_err(), "{text}");
        }
    }
}
