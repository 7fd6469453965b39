//! Clearing away what runs have left in an account: the net under those whose journal is
//! lost, or whose process died and was never resumed.
//!
//! ```text
//! survey (by tag, every region) ──> decide (pure) ──> Item { fate, why } ──> remove
//! ```
//!
//! It knows runs by their tags alone. What a run has published stays; so does what a lease
//! says is in use, and what the own journal says is live, interrupted or kept. Disks need
//! no look of their own: all are made to go with their instance.
//!
//! A layer that builds may begin from is left for a month, and longer is of no use: nobody
//! has built its template in that time, or other layers have come after it.
//!
//! It must not touch what bears no run's tag, nor what it isn't sure of: an image without
//! a state, as earlier versions made them, is left.

mod decide;
mod remove;
mod survey;

use std::collections::BTreeMap;
use std::sync::Arc;

use darkroom_ecs::client::Client;
use darkroom_ecs::id::RegionId;
use darkroom_journal::{Failure, RunId};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::cloud::Pace;
use crate::engine::{Engine, EngineError};
use crate::trouble::Trouble;

/// What a run can leave, in the order in which it goes: what is later may be in use by
/// what is earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// An instance with its disks.
    Instance,
    /// An image that was not published, with its snapshots.
    Image,
    /// A snapshot that no image stands on.
    Snapshot,
    /// A VPC with what is in it.
    Network,
}

impl What {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Image => "image",
            Self::Snapshot => "snapshot",
            Self::Network => "network",
        }
    }
}

/// What becomes of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It goes.
    Remove,
    /// It stays.
    Leave,
}

/// Something that a run has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// The run, by its tag.
    pub run: RunId,
    /// Where it is.
    pub region: RegionId,
    /// What it is.
    pub what: What,
    /// Its id.
    pub id: String,
    /// What becomes of it.
    pub fate: Fate,
    /// Why.
    pub why: String,
    /// When the lease ends for which it is left, if it is one.
    pub until: Option<Timestamp>,
}

/// What is to be cleared away.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Only in this region; everywhere without it. Leases are read everywhere.
    pub region: Option<RegionId>,
    /// Only what runs have made that were begun longer ago than this.
    pub older_than: Option<SignedDuration>,
    /// Also the layers that builds may begin from, however young they are.
    pub layers: bool,
}

/// How a run stands in the own journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A process drives it.
    Driven(u32),
    /// None does, and it has not ended.
    Interrupted,
    /// It has ended and has kept something.
    Kept,
    /// It has ended.
    Ended,
}

impl Engine {
    /// Looks at everything that runs have made in an account, and says what becomes of it.
    ///
    /// # Errors
    /// When the journal can't be read or the cloud can't be asked.
    pub async fn litter(
        &self,
        client: &Client,
        pace: Pace,
        scope: &Scope,
    ) -> Result<Vec<Item>, LitterError> {
        let found = survey::look(client).await.map_err(LitterError::Cloud)?;
        let now = self.clock().now();
        // After the look: a run that has ended in between was alive when it was looked at.
        let known = self.standings().await?;
        Ok(decide::items(found, &known, now, pace, scope))
    }

    /// Removes one item.
    ///
    /// # Errors
    /// Why it can't be removed.
    pub async fn clear(
        &self,
        client: &Arc<Client>,
        pace: Pace,
        item: &Item,
    ) -> Result<(), Trouble> {
        remove::item(self, client, pace, item)
            .await
            .map_err(|failure| match failure {
                Failure::Final(trouble) | Failure::Unavailable(trouble) => trouble,
            })
    }

    /// How the runs of the own journal stand.
    async fn standings(&self) -> Result<BTreeMap<RunId, Standing>, EngineError> {
        let mut known = BTreeMap::new();
        for view in self.runs().await? {
            let standing = match (view.pid, view.status) {
                (Some(pid), _) => Standing::Driven(pid),
                (None, None) => Standing::Interrupted,
                (None, Some(_)) if self.has_leftovers(&view.run).await? => Standing::Kept,
                (None, Some(_)) => Standing::Ended,
            };
            known.insert(view.run, standing);
        }
        Ok(known)
    }
}

/// Why it can't be said what is to be cleared away.
#[derive(Debug, thiserror::Error)]
pub enum LitterError {
    /// The own journal can't be read.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The cloud can't be asked.
    #[error("what runs have left can't be looked for")]
    Cloud(#[source] Trouble),
}

impl LitterError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Engine(error) => error.hint(),
            Self::Cloud(trouble) => trouble.hint(),
        }
    }
}
