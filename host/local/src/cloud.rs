//! The cloud itself: state, driver and clock together, and how it comes up.
//!
//! Used by the actions (through their `Context`), the jobs and
//! the admin API. It comes up the same way after an orderly end, a kill and a power
//! cut: what nobody was promised is unmade, what nobody knows is collected, what was
//! promised goes on. Nothing here parses requests.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use darkroom_ecs::action::InstanceStatus;
use darkroom_ecs::id::{AccountId, InstanceId};
use tokio::sync::{Notify, RwLock};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::driver::{Agent, Driver, DriverError, Observed, Problem};
use crate::fault_plan::FaultPlans;
use crate::files::{self, Account, AccountsFile};
use crate::jobs;
use crate::network::{self, Range};
use crate::sandbox::rootless::layout::IdLayout;
use crate::state::rows::{self, DiskRow, InstanceRow};
use crate::state::store::{Store, StoreError};
use crate::state::{self, jobs as job_rows, layers, meta};

/// Why a cloud doesn't come up.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its files can't be used.
    #[error(transparent)]
    Files(#[from] files::FileError),
    /// Its state can't be used.
    #[error(transparent)]
    State(#[from] StoreError),
    /// This machine lacks something that the driver needs.
    #[error("this machine can't run instances: {}", joined(.0, |problem| &problem.message))]
    Machine(Vec<Problem>),
    /// The driver failed.
    #[error("the instances can't be taken over")]
    Driver(#[from] DriverError),
    /// No private range is free.
    #[error("every private address range of this machine has a route already")]
    NoRange,
    /// The files have another id layout.
    #[error(
        "the images in {root} were made by {was} and this server runs as {is}: the owners of \
         their files would be wrong"
    )]
    Layout {
        /// The cloud's folder.
        root: std::path::PathBuf,
        /// Who made them.
        was: IdLayout,
        /// Who this process is.
        is: IdLayout,
    },
}

impl OpenError {
    /// What the person at this machine can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Machine(problems) => Some(joined(problems, |problem| &problem.hint)),
            Self::NoRange => Some("name a range for the instances in the configuration".to_owned()),
            Self::Layout { was, is, .. } => Some(was.hint(is)),
            Self::Driver(DriverError::Other { hint, .. }) => hint.clone(),
            Self::Files(_) | Self::State(_) | Self::Driver(_) => None,
        }
    }
}

fn joined(problems: &[Problem], part: impl Fn(&Problem) -> &String) -> String {
    let parts: Vec<&str> = problems
        .iter()
        .map(|problem| part(problem).as_str())
        .collect();
    parts.join("; ")
}

/// Everything that the server's parts share.
pub(crate) struct Cloud {
    pub(crate) store: Store,
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) range: Range,
    /// Held for reading between making a layer and writing down who needs it, for
    /// writing while layers are removed.
    pub(crate) layers: RwLock<()>,
    /// Whether a sweep of layers waits for its turn.
    pub(crate) sweep_waits: AtomicBool,
    /// What goes wrong on purpose.
    pub(crate) faults: FaultPlans,
    /// A job has ended or reached another phase.
    pub(crate) changed: Notify,
    /// Somebody has set a release time.
    pub(crate) release_set: Notify,
    /// Ends every task of this cloud.
    pub(crate) end: CancellationToken,
}

impl Cloud {
    /// Brings the cloud of a folder up. Its jobs run when this returns.
    pub(crate) async fn open(
        root: &Path,
        driver: Arc<dyn Driver>,
        clock: Arc<dyn Clock>,
        range: Option<Range>,
        end: CancellationToken,
    ) -> Result<Arc<Self>, OpenError> {
        driver.probe().map_err(OpenError::Machine)?;
        let accounts = AccountsFile::ensure(root)?.accounts;
        let store = Store::open(&root.join(files::STATE), state::MIGRATIONS)?;
        let range = settle_meta(&store, root, driver.layout(), range).await?;
        let faults = FaultPlans::open(&store).await?;
        let cloud = Arc::new(Self {
            store,
            driver,
            clock,
            accounts,
            range,
            layers: RwLock::new(()),
            sweep_waits: AtomicBool::new(false),
            faults,
            changed: Notify::new(),
            release_set: Notify::new(),
            end,
        });
        cloud.take_over().await?;
        Ok(cloud)
    }

    /// Makes driver and rows agree, then goes on with what was promised.
    async fn take_over(self: &Arc<Self>) -> Result<(), OpenError> {
        let (instances, held, unfinished) = self
            .store
            .read(|tx| {
                Ok::<_, StoreError>((
                    rows::all::<InstanceRow>(tx)?,
                    layers::held(tx)?,
                    job_rows::all(tx)?,
                ))
            })
            .await?;
        let known: Vec<InstanceId> = instances
            .iter()
            .map(|placed| placed.row.id.clone())
            .collect();
        self.driver.collect(&known, &held).await?;
        for placed in instances {
            self.look_at(&placed.row).await?;
        }
        for (number, _) in unfinished {
            jobs::begin(self, number);
        }
        jobs::deliver_all(self);
        jobs::sweep(self);
        jobs::watch_releases(self);
        Ok(())
    }

    /// What an instance's status really is: one whose machine has gone down is
    /// Stopped, and one whose start was given up and came late is Running, unless a job
    /// is working on it. One that can't be looked at now is as it was.
    pub(crate) async fn look_at(
        self: &Arc<Self>,
        row: &InstanceRow,
    ) -> Result<InstanceStatus, StoreError> {
        if ![InstanceStatus::Running, InstanceStatus::Stopped].contains(&row.status) {
            return Ok(row.status.clone());
        }
        let was = row.status.clone();
        let is = match self.driver.observe(&row.id).await {
            Ok(Observed::Stopped | Observed::Gone) => InstanceStatus::Stopped,
            Ok(Observed::Running { .. }) => InstanceStatus::Running,
            Err(error) => {
                tracing::warn!(%error, instance = %row.id, "an instance can't be looked at");
                return Ok(was);
            }
        };
        if is == was {
            return Ok(was);
        }
        let id = row.id.clone();
        self.store
            .write(move |tx| {
                let Some(mut row) = rows::get::<InstanceRow>(tx, id.as_str())? else {
                    return Ok(InstanceStatus::Stopped);
                };
                // A job may have begun since: then it knows better.
                let busy = !job_rows::of(tx, id.as_str())?.is_empty();
                if !busy && row.status == was {
                    row.status = is;
                    rows::put(tx, &row)?;
                }
                Ok(row.status)
            })
            .await
    }

    /// Whether an instance has an agent on its disk, living or not.
    pub(crate) async fn has_agent(&self, instance: &InstanceId) -> Result<bool, StoreError> {
        let id = instance.clone();
        self.store
            .read(move |tx| {
                let Some(row) = rows::get::<InstanceRow>(tx, id.as_str())? else {
                    return Ok(true);
                };
                let disk = rows::get::<DiskRow>(tx, row.disk.as_str())?;
                Ok(disk.is_none_or(|disk| disk.system.agent == Agent::Present))
            })
            .await
    }

    /// The account of this number.
    pub(crate) fn has_account(&self, id: &AccountId) -> bool {
        self.accounts.iter().any(|account| account.id == *id)
    }
}

/// Reads what is true of the cloud as a whole, or writes it at the first start.
async fn settle_meta(
    store: &Store,
    root: &Path,
    layout: Option<IdLayout>,
    wanted: Option<Range>,
) -> Result<Range, OpenError> {
    let (was, known) = store
        .read(|tx| Ok::<_, StoreError>((meta::get(tx, meta::LAYOUT)?, meta::get(tx, meta::RANGE)?)))
        .await?;
    if let Some(is) = layout {
        match was.map(|text| text.parse::<IdLayout>()) {
            Some(Ok(was)) if was != is => {
                let root = root.to_owned();
                return Err(OpenError::Layout { root, was, is });
            }
            Some(Ok(_)) => {}
            // Nothing was made yet.
            Some(Err(_)) | None => {
                store
                    .write(move |tx| meta::put(tx, meta::LAYOUT, &is.text()))
                    .await?;
            }
        }
    }
    if let Some(range) = known.and_then(|text| text.parse().ok()) {
        return Ok(range);
    }
    let digest = blake3::hash(root.as_os_str().as_encoded_bytes());
    let mut seed = [0_u8; 8];
    seed.copy_from_slice(&digest.as_bytes()[..8]);
    let range = wanted
        .or_else(|| network::choose(&network::routes(), u64::from_le_bytes(seed)))
        .ok_or(OpenError::NoRange)?;
    store
        .write(move |tx| meta::put(tx, meta::RANGE, &range.to_string()))
        .await?;
    Ok(range)
}
