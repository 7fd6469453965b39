//! Which cloud, region and account are meant.

use std::path::Path;

use darkroom_template::Cloud;

use super::config::Config;
use super::keys::Key;
use crate::args::Where;
use crate::failure::Failure;

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) cloud: Cloud,
    /// The region, if one was asked for outside the template.
    pub(crate) region: Option<String>,
    pub(crate) account: Option<String>,
}

impl Settings {
    /// Decides for a verb that works in `project`, the folder of its template.
    pub(crate) fn decide(wanted: &Where, project: &Path) -> Result<Self, Failure> {
        Self::of(wanted, &Config::load(project)?)
    }

    /// Decides from layers that have been read.
    pub(crate) fn of(wanted: &Where, config: &Config) -> Result<Self, Failure> {
        let cloud = match config.text(Key::On, wanted.on.as_deref())? {
            Some(word) => word.parse().map_err(Failure::user)?,
            None => Cloud::Local,
        };
        Ok(Self {
            cloud,
            region: config.text(Key::Region, wanted.region.as_deref())?,
            account: config.text(Key::Account, wanted.account.as_deref())?,
        })
    }
}
