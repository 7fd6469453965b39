//! Yanking: a version is not chosen any more, and whoever has locked it goes on.
//!
//! A mark of the type [`YANKED`] is attached to the version's manifest. Many registries
//! remove nothing, so taking it back is another mark, with the next number: the highest
//! decides. Whoever may publish may mark; nobody else is asked. `resolve` looks at marks
//! when it chooses. Nothing here removes anything.

use std::cmp::Reverse;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::client::{Client, Fault, RegistryError};
use crate::digest::Digest;
use crate::layout;
use crate::name::{Located, shortened};
use crate::referrers::{Attachment, MOST, Referrer};

/// The kind of attachment that a mark is.
pub const YANKED: &str = "application/vnd.darkroom.yanked.v1+json";
/// The annotation with the number, so that lists tell the newest mark apart.
const NUMBER_ANNOTATION: &str = "dev.darkroom.yank.number";
/// The highest number of a mark. One above it marks nothing: after the highest of all
/// there would be no next, and nobody could take it back.
const HIGHEST: u64 = 1 << 32;

/// Versions that are asked for at once.
const AT_ONCE: usize = 8;

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
    /// See [`Fault`].
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

    /// Which of these versions are yanked, in their order; several are asked for at once.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn yanked_of(
        &self,
        located: &Located,
        versions: &[Version],
    ) -> Result<Vec<Option<Yanked>>, RegistryError> {
        let all = stream::iter(versions).map(async |version| {
            let manifest = self.manifest(&located.tagged(layout::tag(version))).await?;
            let referrers = self.referrers(located, &manifest.digest).await?;
            self.yanked(located, &referrers).await
        });
        all.buffered(AT_ONCE).try_collect().await
    }

    /// Marks a version, so that it isn't chosen any more. Returns whether it wasn't so.
    ///
    /// # Errors
    /// See [`Fault`].
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
    /// See [`Fault`].
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
        let number = before.map_or(0, |mark| mark.number).saturating_add(1);
        if number > HIGHEST {
            return Err(RegistryError {
                doing: "mark a version in",
                subject: located.digested(*manifest).to_string(),
                registry: located.registry.clone(),
                fault: Box::new(Fault::Malformed {
                    what: "the mark that is there",
                    why: "its number is the highest that there is".into(),
                }),
            });
        }
        let mark = Mark {
            number,
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
        let marks = referrers.iter().filter(|one| one.artifact_type() == YANKED);
        let mut marks: Vec<&Referrer> = marks.collect();
        // By what lists say, so that the newest is among those that are looked into.
        marks.sort_by_key(|one| {
            let said = one.descriptor.annotations.get(NUMBER_ANNOTATION);
            let number = said.and_then(|said| said.parse::<u64>().ok());
            Reverse(number.filter(|number| *number <= HIGHEST))
        });
        for referrer in marks.into_iter().take(MOST) {
            let attachment = self.attachment(located, referrer).await?;
            // One that can't be read marks nothing.
            let Ok(mark) = serde_json::from_slice::<Mark>(&attachment.bytes) else {
                continue;
            };
            let known = newest.as_ref();
            if mark.number <= HIGHEST && known.is_none_or(|known| known.number < mark.number) {
                newest = Some(mark);
            }
        }
        Ok(newest)
    }
}
