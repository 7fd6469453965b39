//! What the image is made from: an image, the newest one of a family, an instance or a
//! snapshot.

use darkroom_ecs::action::{
    CommaList, DescribeDisks, DescribeImageFromFamily, DescribeImages, DescribeInstances,
    DescribeSnapshots, Image, Instance, InstanceStatus, JsonList, Snapshot, SnapshotStatus,
};
use darkroom_ecs::id::{ImageId, InstanceId, SnapshotId};
use darkroom_journal::Failure;

use super::{Found, ImageFacts, SourceQuery, Surveyor};
use crate::cloud::every_status;
use crate::trouble::Trouble;

impl Surveyor<'_> {
    /// What the source is like.
    pub(super) async fn image(&mut self) -> Found<Option<ImageFacts>> {
        match &self.query.source {
            SourceQuery::Family(family) => self.family(family).await,
            SourceQuery::Image(image) => {
                let found = self.image_of(image).await?;
                if found.is_none() {
                    let problem = format!("there is none in {}", self.query.region);
                    self.note(
                        format!("source image {image}"),
                        &problem,
                        Some("check source.image; an image is found only in its own region"),
                    );
                }
                Ok(found.map(ImageFacts::from))
            }
            SourceQuery::Instance(instance) => self.instance(instance).await,
            SourceQuery::Snapshot(snapshot) => self.snapshot(snapshot).await,
        }
    }

    async fn family(&mut self, family: &str) -> Found<Option<ImageFacts>> {
        let action = DescribeImageFromFamily {
            region_id: self.query.region.clone(),
            image_family: family.to_owned(),
        };
        let found = match self.call(&self.query.region, &action).await {
            Ok(answer) => answer.image.filter(|image| !image.image_id.is_empty()),
            Err(Failure::Final(Trouble::Refused { code, .. }))
                if code == "InvalidImageFamily.NotFound" || code == "InvalidImage.NotFound" =>
            {
                None
            }
            Err(failure) => return Err(failure),
        };
        if found.is_none() {
            let problem = format!("there is none in {}", self.query.region);
            let hint = format!(
                "on the local cloud, `darkroom local bootstrap {family}` makes it; else check source.family"
            );
            self.note(format!("source family {family}"), &problem, Some(&hint));
        }
        Ok(found.map(ImageFacts::from))
    }

    async fn image_of(&self, image: &ImageId) -> Found<Option<Image>> {
        let action = DescribeImages {
            region_id: self.query.region.clone(),
            image_id: Some(CommaList(vec![image.clone()])),
            ..DescribeImages::default()
        };
        let answer = self.call(&self.query.region, &action).await?;
        Ok(answer.images.image.into_iter().next())
    }

    /// An instance as the image that will be made of it. What its own image says holds
    /// for it too, if that is still there.
    async fn instance(&mut self, id: &InstanceId) -> Found<Option<ImageFacts>> {
        let action = DescribeInstances {
            region_id: self.query.region.clone(),
            instance_ids: Some(JsonList(vec![id.clone()])),
            ..DescribeInstances::default()
        };
        let answer = self.call(&self.query.region, &action).await?;
        let subject = format!("source instance {id}");
        let Some(found) = answer.instances.instance.into_iter().next() else {
            let problem = format!("there is none in {}", self.query.region);
            self.note(
                subject,
                &problem,
                Some("check source.instance; it must be of the account and in the build region"),
            );
            return Ok(None);
        };
        if ![InstanceStatus::Running, InstanceStatus::Stopped].contains(&found.status) {
            let problem = format!("it is {}, it must be Running or Stopped", found.status);
            self.note(
                subject,
                &problem,
                Some("wait until it is, then build again"),
            );
            return Ok(None);
        }
        let disks = DescribeDisks {
            region_id: self.query.region.clone(),
            instance_id: Some(id.clone()),
            disk_type: Some("system".into()),
            ..DescribeDisks::default()
        };
        let disks = self.call(&self.query.region, &disks).await?.disks.disk;
        let size = disks.first().map_or(0, |disk| disk.size);
        let image = self.old_image(&found.image_id).await?;
        Ok(Some(of_instance(&found, image, size)))
    }

    /// A snapshot as the image that will be made of it.
    async fn snapshot(&mut self, id: &SnapshotId) -> Found<Option<ImageFacts>> {
        let action = DescribeSnapshots {
            region_id: self.query.region.clone(),
            snapshot_ids: Some(JsonList(vec![id.clone()])),
            ..DescribeSnapshots::default()
        };
        let answer = self.call(&self.query.region, &action).await?;
        let Some(found) = answer.snapshots.snapshot.into_iter().next() else {
            let problem = format!("there is none in {}", self.query.region);
            self.note(
                format!("source snapshot {id}"),
                &problem,
                Some("check source.snapshot; it must be of the account and in the build region"),
            );
            return Ok(None);
        };
        if let Some((problem, hint)) = unusable(&found) {
            self.note(format!("source snapshot {id}"), &problem, Some(hint));
            return Ok(None);
        }
        let image = self.image_behind(&found).await?;
        Ok(Some(of_snapshot(&found, image)))
    }

    /// The image that a snapshot belongs to, or that its disk was made from.
    async fn image_behind(&self, snapshot: &Snapshot) -> Found<Option<Image>> {
        let made = DescribeImages {
            region_id: self.query.region.clone(),
            snapshot_id: Some(snapshot.snapshot_id.clone()),
            ..DescribeImages::default()
        };
        let made = self.call(&self.query.region, &made).await?.images.image;
        if let Some(image) = made.into_iter().next() {
            return Ok(Some(image));
        }
        if snapshot.source_disk_id.is_empty() {
            return Ok(None);
        }
        let disks = DescribeDisks {
            region_id: self.query.region.clone(),
            disk_ids: Some(JsonList(vec![snapshot.source_disk_id.clone()])),
            ..DescribeDisks::default()
        };
        let disks = self.call(&self.query.region, &disks).await?.disks.disk;
        match disks.first() {
            Some(disk) => self.old_image(&disk.image_id).await,
            None => Ok(None),
        }
    }

    /// An image that may be gone or deprecated by now.
    async fn old_image(&self, image: &ImageId) -> Found<Option<Image>> {
        if image.is_empty() {
            return Ok(None);
        }
        let action = DescribeImages {
            region_id: self.query.region.clone(),
            image_id: Some(CommaList(vec![image.clone()])),
            status: Some(every_status()),
            ..DescribeImages::default()
        };
        let answer = self.call(&self.query.region, &action).await?;
        Ok(answer.images.image.into_iter().next())
    }
}

/// Why no image can be made of a snapshot.
fn unusable(snapshot: &Snapshot) -> Option<(String, &'static str)> {
    if snapshot.source_disk_type.eq_ignore_ascii_case("data") {
        return Some((
            "it is of a data disk, an image needs a system disk's".into(),
            "name it in instance.disks, and a snapshot of a system disk in source.snapshot",
        ));
    }
    if snapshot.status != SnapshotStatus::Accomplished {
        return Some((
            format!("it is {}, it must be accomplished", snapshot.status),
            "wait until it is, then build again",
        ));
    }
    None
}

fn of_instance(found: &Instance, image: Option<Image>, size: u32) -> ImageFacts {
    let known = image.map(ImageFacts::from);
    let known = known.unwrap_or_else(|| ImageFacts {
        id: ImageId::default(),
        name: String::new(),
        size,
        os_type: found.os_type.clone(),
        os_name: found.os_name.clone(),
        platform: platform(&found.os_name),
        architecture: "x86_64".into(),
    });
    ImageFacts {
        id: ImageId::default(),
        name: format!("instance {}", found.instance_id),
        size: size.max(known.size),
        ..known
    }
}

fn of_snapshot(found: &Snapshot, image: Option<Image>) -> ImageFacts {
    let size = found.source_disk_size.trim().parse().unwrap_or(0);
    let known = image.map(ImageFacts::from);
    let known = known.unwrap_or_else(|| ImageFacts {
        id: ImageId::default(),
        name: String::new(),
        size,
        os_type: "linux".into(),
        os_name: String::new(),
        platform: String::new(),
        architecture: "x86_64".into(),
    });
    ImageFacts {
        id: ImageId::default(),
        name: format!("snapshot {}", found.snapshot_id),
        size: size.max(known.size),
        ..known
    }
}

/// The words of an `OSName` before its version, which are as a rule its platform.
fn platform(os_name: &str) -> String {
    let words = os_name.split_whitespace();
    let name = words.take_while(|word| !word.starts_with(|c: char| c.is_ascii_digit()));
    name.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_without_its_image_is_known_by_its_systems_name() {
        let found = Instance {
            instance_id: "i-1".parse().unwrap(),
            os_name: "Rocky Linux 9.4 64bit".into(),
            os_type: "linux".into(),
            ..Instance::default()
        };
        let facts = of_instance(&found, None, 40);
        assert_eq!((facts.platform.as_str(), facts.size), ("Rocky Linux", 40));
        let machine = facts.machine();
        assert_eq!(machine.distribution, "rocky-linux");
        assert_eq!(machine.release, "9.4");
    }

    #[test]
    fn a_snapshot_that_no_image_can_be_made_of_says_why() {
        let mut snapshot = Snapshot {
            source_disk_type: "data".into(),
            ..Snapshot::default()
        };
        assert!(unusable(&snapshot).unwrap().0.contains("data disk"));
        snapshot.source_disk_type = "System".into();
        assert!(unusable(&snapshot).unwrap().0.contains("accomplished"));
        snapshot.status = SnapshotStatus::Accomplished;
        assert_eq!(unusable(&snapshot), None);
    }
}
