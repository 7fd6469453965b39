//! Yanking: a version is not chosen any more, and whoever has locked it goes on.
//!
//! A mark of the type [`YANKED`] is attached to the version's manifest. Many registries
//! remove nothing, so taking it back is another mark, with the next number: the highest
//! decides. Whoever may publish may mark; nobody else is asked. `resolve` looks at marks
//! when it chooses. Nothing here removes anything.

use serde::{Deserialize, Serialize};

use crate::client::{Client, RegistryError};
use crate::digest::Digest;
use crate::name::{Located, shortened};
use crate::referrers::{Attachment, Referrer};

/// The kind of attachment that a mark is.
pub const YANKED: &str = "application/vnd.darkroom.yanked.v1+json";
/// The annotation with the number, so that lists tell the newest mark apart.
const NUMBER_ANNOTATION: &str = "dev.darkroom.yank.number";

/// Why a version was yanked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Yanked {
    /// What its publisher says, if anything.
    pub reason: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Mark {
    number: u64,
    yanked: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Client {
    /// Whether a version is yanked, by what is attached to its manifest.
    ///
    /// # Errors
    /// See [`Fault`](crate::client::Fault).
    pub async fn yanked(
        &self,
        located: &Located,
        referrers: &[Referrer],
    ) -> Result<Option<Yanked>, RegistryError> {
        let mark = self.newest_mark(located, referrers).await?;
        Ok(mark.filter(|mark| mark.yanked).map(|mark| Yanked {
            reason: mark.reason.as_deref().map(shortened),
        }))
    }

    /// Marks a version, so that it isn't chosen any more. Returns whether it wasn't so.
    ///
    /// # Errors
    /// See [`Fault`](crate::client::Fault).
    pub async fn yank(
        &self,
        located: &Located,
        manifest: &Digest,
        size: u64,
        reason: Option<&str>,
    ) -> Result<bool, RegistryError> {
        self.mark(located, manifest, size, true, reason).await
    }

    /// Takes the mark of a version back. Returns whether there was one.
    ///
    /// # Errors
    /// See [`Fault`](crate::client::Fault).
    pub async fn unyank(
        &self,
        located: &Located,
        manifest: &Digest,
        size: u64,
    ) -> Result<bool, RegistryError> {
        self.mark(located, manifest, size, false, None).await
    }

    async fn mark(
        &self,
        located: &Located,
        manifest: &Digest,
        size: u64,
        yanked: bool,
        reason: Option<&str>,
    ) -> Result<bool, RegistryError> {
        let referrers = self.referrers(located, manifest).await?;
        let before = self.newest_mark(located, &referrers).await?;
        if before.as_ref().is_some_and(|mark| mark.yanked) == yanked {
            return Ok(false);
        }
        let mark = Mark {
            number: before.map_or(0, |mark| mark.number) + 1,
            yanked,
            reason: reason.map(str::to_owned),
        };
        let json = serde_json::json!(mark).to_string();
        let mut attachment = Attachment::new(YANKED, json);
        let number = mark.number.to_string();
        attachment
            .annotations
            .insert(NUMBER_ANNOTATION.into(), number);
        self.attach(located, manifest, size, &attachment).await?;
        Ok(true)
    }

    async fn newest_mark(
        &self,
        located: &Located,
        referrers: &[Referrer],
    ) -> Result<Option<Mark>, RegistryError> {
        let mut newest: Option<Mark> = None;
        for referrer in referrers.iter().filter(|one| one.artifact_type() == YANKED) {
            let attachment = self.attachment(located, referrer).await?;
            // One that can't be read marks nothing.
            let Ok(mark) = serde_json::from_slice::<Mark>(&attachment.bytes) else {
                continue;
            };
            if newest
                .as_ref()
                .is_none_or(|known| known.number < mark.number)
            {
                newest = Some(mark);
            }
        }
        Ok(newest)
    }
}
