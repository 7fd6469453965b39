//! Undo: what a run has created goes, found by its tags, however far it had come.

use std::sync::PoisonError;

use darkroom_ecs::action::{
    DeleteImage, DeleteInstance, DeleteSnapshot, DescribeImageSharePermission, DescribeImages,
    DescribeSnapshots, Image, ImageStatus, ModifyImageSharePermission, TagResources,
};
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{ImageId, InstanceId, RegionId, SnapshotId};
use darkroom_journal::{Failure, RunId};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::again::BACK;
use super::{Cloud, every_status};
use crate::tags;
use crate::trouble::Trouble;

/// How often an image that is being made is looked at before it is deleted as it is.
const TRIES: u32 = 28;

/// How long a deletion is watched.
const SETTLED: SignedDuration = SignedDuration::from_secs(20);

/// Accounts that one ModifyImageSharePermission takes.
const SHARED_AT_ONCE: usize = 10;

/// What becomes of the snapshots of an image that is discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Snapshots {
    /// They were made for it.
    Go,
    /// It was made of them.
    Stay,
}

impl Cloud {
    /// Deletes the run's instances for `purpose`; none left is success.
    pub(super) async fn release_instances(
        &self,
        region: &RegionId,
        run: &RunId,
        purpose: &str,
    ) -> Result<Value, Failure<Trouble>> {
        let found = match self.seen_instances(region, run, purpose) {
            Some(seen) => seen,
            None => self.instances_of(region, run, purpose).await?,
        };
        let marks = found.iter();
        self.spare(marks.map(|one| (one.instance_id.to_string(), &one.tags)))?;
        for instance in &found {
            self.delete_instance(region, &instance.instance_id).await?;
        }
        // A deletion takes a moment. A run should not end while what it made is there;
        // if it takes longer, the cloud has promised all the same.
        let ids: Vec<InstanceId> = found.iter().map(|one| one.instance_id.clone()).collect();
        let left = self.until_gone(region, ids, SETTLED).await?;
        self.released
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((region.clone(), purpose.to_owned()), left);
        Ok(json!(
            found.iter().map(|one| &one.instance_id).collect::<Vec<_>>()
        ))
    }

    /// Deletes an instance and waits a moment for it to be gone.
    pub(crate) async fn remove_instance(
        &self,
        region: &RegionId,
        instance: &InstanceId,
    ) -> Result<(), Failure<Trouble>> {
        if self.instance(region, instance).await?.is_none() {
            return Ok(());
        }
        self.delete_instance(region, instance).await?;
        let mut polls = 0;
        let start = self.clock.now();
        while self.clock.now().duration_since(start) < SETTLED
            && self.instance(region, instance).await?.is_some()
        {
            self.pause(self.pace.interval(polls)).await;
            polls += 1;
        }
        Ok(())
    }

    /// Deletes an image of a run that is nobody's any more, with the snapshots that were
    /// made for it. One that has been released meanwhile stays.
    pub(crate) async fn remove_image(
        &self,
        region: &RegionId,
        run: &RunId,
        image: &ImageId,
    ) -> Result<(), Failure<Trouble>> {
        let Some(found) = self.image(region, image).await? else {
            return Ok(());
        };
        self.spare(std::iter::once((image.to_string(), &found.tags)))?;
        // What earlier versions made doesn't say whose its snapshots are.
        let source = found.tags.get(tags::PURPOSE) == Some(tags::SOURCE);
        let unknown = source && tags::epoch(&found.tags).is_none();
        let snapshots = if unknown || found.tags.get(tags::BORROWED).is_some() {
            Snapshots::Stay
        } else {
            Snapshots::Go
        };
        let purpose = found.tags.get(tags::PURPOSE).unwrap_or("image");
        self.discard_image(region, run, purpose, &found, snapshots)
            .await?;
        if snapshots == Snapshots::Go {
            let disks = found.disk_device_mappings.disk_device_mapping.iter();
            for disk in disks.filter(|disk| !disk.snapshot_id.is_empty()) {
                self.delete_snapshot(region, &disk.snapshot_id).await?;
            }
        }
        Ok(())
    }

    async fn delete_instance(
        &self,
        region: &RegionId,
        instance: &InstanceId,
    ) -> Result<(), Failure<Trouble>> {
        let action = DeleteInstance {
            instance_id: instance.clone(),
            force: Some(true),
            ..DeleteInstance::default()
        };
        let mut tries = 0;
        loop {
            let Err(failure) = self.call(region, &action).await else {
                return Ok(());
            };
            if self.instance(region, instance).await?.is_none() {
                return Ok(());
            }
            if !self.passes(&failure, tries, BACK).await {
                return Err(failure);
            }
            tries += 1;
        }
    }

    /// Deletes the run's images for `purpose` with their snapshots; none left is success.
    pub(super) async fn discard_images(
        &self,
        region: &RegionId,
        run: &RunId,
        purpose: &str,
        snapshots: Snapshots,
    ) -> Result<Value, Failure<Trouble>> {
        let action = DescribeImages {
            region_id: region.clone(),
            tag: tags::of(run, purpose),
            status: Some(every_status()),
            page_size: Some(100),
            ..DescribeImages::default()
        };
        let found = self.call(region, &action).await?.images.image;
        let marks = found.iter();
        self.spare(marks.map(|one| (one.image_id.to_string(), &one.tags)))?;
        for image in &found {
            self.discard_image(region, run, purpose, image, snapshots)
                .await?;
        }
        if snapshots == Snapshots::Go {
            self.discard_snapshots(region, run, purpose).await?;
        }
        Ok(json!(
            found.iter().map(|one| &one.image_id).collect::<Vec<_>>()
        ))
    }

    /// Deletes an image. Its snapshots are tagged before, since only the image knows
    /// them: whoever goes on after a crash finds them still.
    async fn discard_image(
        &self,
        region: &RegionId,
        run: &RunId,
        purpose: &str,
        image: &Image,
        snapshots: Snapshots,
    ) -> Result<(), Failure<Trouble>> {
        let unfinished = [ImageStatus::Creating, ImageStatus::Waiting];
        let mut image = image.clone();
        let mut tries = 0;
        while unfinished.contains(&image.status) && tries < TRIES {
            if image.is_copied {
                let cancel = darkroom_ecs::action::CancelCopyImage {
                    region_id: region.clone(),
                    image_id: image.image_id.clone(),
                };
                // A copy that can't be cancelled is deleted when it has ended.
                drop(self.call(region, &cancel).await);
            }
            tries += 1;
            self.pause(self.pace.interval(tries)).await;
            match self.image(region, &image.image_id).await? {
                Some(now) => image = now,
                None => return Ok(()),
            }
        }
        self.unshare(region, &image.image_id).await?;
        let disks = image.disk_device_mappings.disk_device_mapping.iter();
        let disks = disks.filter(|disk| !disk.snapshot_id.is_empty());
        for disk in disks.filter(|_| snapshots == Snapshots::Go) {
            let action = TagResources {
                region_id: region.clone(),
                resource_type: "snapshot".into(),
                resource_id: vec![disk.snapshot_id.to_string()],
                tag: tags::of(run, purpose),
            };
            ignore_missing(self.call(region, &action).await.map(drop))?;
        }
        let action = DeleteImage {
            region_id: region.clone(),
            image_id: image.image_id.clone(),
            force: Some(true),
            ..DeleteImage::default()
        };
        self.delete_image(region, &action).await?;
        darkroom_failpoint::reach("engine.discard").await;
        Ok(())
    }

    /// Deletes an image and waits until it is gone: its snapshots can't go before. A copy
    /// or a sharing that has just been taken back may be in its way for a moment.
    async fn delete_image(
        &self,
        region: &RegionId,
        action: &DeleteImage,
    ) -> Result<(), Failure<Trouble>> {
        let mut tries = 0;
        while let Err(failure) = ignore_missing(self.call(region, action).await.map(drop)) {
            if !self.passes(&failure, tries, BACK).await {
                return Err(failure);
            }
            tries += 1;
        }
        let start = self.clock.now();
        let mut polls = 0;
        while self.clock.now().duration_since(start) < SETTLED
            && self.image(region, &action.image_id).await?.is_some()
        {
            self.pause(self.pace.interval(polls)).await;
            polls += 1;
        }
        Ok(())
    }

    /// Deletes the snapshots of images that are gone, found by the tags that
    /// [`Self::discard_image`] gave them.
    async fn discard_snapshots(
        &self,
        region: &RegionId,
        run: &RunId,
        purpose: &str,
    ) -> Result<(), Failure<Trouble>> {
        let action = DescribeSnapshots {
            region_id: region.clone(),
            tag: tags::of(run, purpose),
            max_results: Some(100),
            ..DescribeSnapshots::default()
        };
        let found = self.call(region, &action).await?.snapshots.snapshot;
        for snapshot in found {
            self.delete_snapshot(region, &snapshot.snapshot_id).await?;
        }
        Ok(())
    }

    /// Deletes a snapshot. For a while after its image was deleted, or while it is being
    /// made, the cloud refuses that.
    pub(crate) async fn delete_snapshot(
        &self,
        region: &RegionId,
        snapshot: &SnapshotId,
    ) -> Result<(), Failure<Trouble>> {
        let action = DeleteSnapshot {
            snapshot_id: snapshot.clone(),
            force: Some(true),
        };
        let mut tries = 0;
        while let Err(failure) = ignore_missing(self.call(region, &action).await.map(drop)) {
            if !self.passes(&failure, tries, BACK).await {
                return Err(failure);
            }
            tries += 1;
        }
        Ok(())
    }

    /// A shared image can't be deleted.
    async fn unshare(&self, region: &RegionId, image: &ImageId) -> Result<(), Failure<Trouble>> {
        let action = DescribeImageSharePermission {
            region_id: region.clone(),
            image_id: image.clone(),
            page_size: Some(100),
            ..DescribeImageSharePermission::default()
        };
        let shared = match self.call(region, &action).await {
            Ok(answer) => answer.accounts.account,
            Err(failure) => return ignore_missing(Err(failure)),
        };
        for batch in shared.chunks(SHARED_AT_ONCE) {
            let action = ModifyImageSharePermission {
                region_id: region.clone(),
                image_id: image.clone(),
                remove_account: batch.iter().map(|one| one.aliyun_id.clone()).collect(),
                ..ModifyImageSharePermission::default()
            };
            ignore_missing(self.call(region, &action).await.map(drop))?;
        }
        Ok(())
    }

    pub(super) async fn pause(&self, length: std::time::Duration) {
        let now = self.clock.now();
        self.clock
            .sleep_until(now.checked_add(length).unwrap_or(now))
            .await;
    }
}

/// What is gone already need not be deleted.
pub(super) fn ignore_missing(result: Result<(), Failure<Trouble>>) -> Result<(), Failure<Trouble>> {
    match result {
        Err(Failure::Final(Trouble::Refused { code, .. })) if is_missing(&code) => Ok(()),
        other => other,
    }
}

fn is_missing(code: &str) -> bool {
    ErrorCode::from(code).is_not_found()
}
