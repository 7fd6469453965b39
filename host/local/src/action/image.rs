//! Images that are there: who sees them, list, families, change, delete.
//!
//! An account sees its own images, the public ones, and those that were shared with
//! it, in their region only. What it doesn't see doesn't exist for it.

use darkroom_ecs::action::{
    CommaList, DeleteImage, DeleteImageResponse, DescribeImageFromFamily,
    DescribeImageFromFamilyResponse, DescribeImages, DescribeImagesResponse, DiskDeviceMapping,
    DiskDeviceMappings, Image, ImageStatus, Images, ModifyImageAttribute,
    ModifyImageAttributeResponse,
};
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{AccountId, ImageId, RegionId, SnapshotId};
use darkroom_failpoint::elsewhere::Work;
use rusqlite::Transaction;

use super::page::{self, Paging};
use super::words::{fits, is_name, seconds, shown_tags, tagged};
use super::{Context, Serve};
use crate::driver::{Base, DriverError};
use crate::fault::Fault;
use crate::jobs;
use crate::state::jobs::{self as job_rows, Task};
use crate::state::lookup::{self, Look};
use crate::state::rows::{self, ImageRow, InstanceRow, Part, Placed, SYSTEM_DEVICE, System};
use crate::state::store::StoreError;
use crate::state::{layers, ledger};

/// The size of the public images' disk in GiB.
pub(super) const BASE_SIZE: u32 = 20;

pub(super) fn not_found(id: &ImageId) -> Fault {
    Fault::missing(
        ErrorCode::InvalidImageIdNotFound,
        format!("The specified ImageId {id} does not exist."),
    )
}

fn sees(account: &AccountId, row: &ImageRow) -> bool {
    match &row.account {
        None => true,
        Some(owner) if owner == account => true,
        Some(_) => row.shares.iter().any(|share| share.account == *account),
    }
}

/// An image that the account sees in a region.
pub(super) fn seen(
    tx: &Transaction<'_>,
    account: &AccountId,
    region: &RegionId,
    id: &ImageId,
) -> Result<ImageRow, Fault> {
    let found = match rows::get::<ImageRow>(tx, id.as_str())? {
        None => rows::get::<ImageRow>(tx, &public_key(region, id.as_str()))?,
        found => found,
    };
    found
        .filter(|row| row.region == *region && sees(account, row))
        .ok_or_else(|| not_found(id))
}

/// An image that was found, as it is in this transaction: it may have gone since, and
/// its layers with it.
pub(super) fn again(
    tx: &Transaction<'_>,
    account: &AccountId,
    found: &ImageRow,
) -> Result<ImageRow, Fault> {
    rows::get::<ImageRow>(tx, &found.key)?
        .filter(|row| row.status == ImageStatus::Available && sees(account, row))
        .ok_or_else(|| not_found(&found.id))
}

/// An image that the account owns; one that it only sees is refused.
pub(super) fn owned(
    tx: &Transaction<'_>,
    account: &AccountId,
    region: &RegionId,
    id: &ImageId,
) -> Result<ImageRow, Fault> {
    let row = seen(tx, account, region, id)?;
    if row.account.as_ref() == Some(account) {
        return Ok(row);
    }
    Err(Fault::forbidden(
        ErrorCode::OperationDenied,
        format!("The image {id} belongs to another account."),
    ))
}

/// The id of a base's public image.
fn base_id(base: &Base) -> String {
    let name = base.name.replace('-', "_");
    let architecture = if base.architecture == crate::catalogue::ARM {
        "arm64"
    } else {
        "x64"
    };
    format!("{name}_{architecture}_{BASE_SIZE}G_darkroom")
}

/// What the driver offers.
async fn bases(cx: &Context) -> Result<Vec<Base>, Fault> {
    let driver = std::sync::Arc::clone(&cx.cloud.driver);
    let elsewhere = Work::begin();
    let asked = tokio::task::spawn_blocking(move || {
        let bases = driver.bases();
        (bases, elsewhere)
    });
    // Work until its answer is here: the pool wakes this task after the closure has gone.
    let asked = asked.await.map(|(bases, _elsewhere)| bases);
    Ok(asked.map_err(|error| Fault::internal(&error))??)
}

/// Makes the rows of public images say what the driver offers.
pub(super) async fn ensure_public(cx: &Context, region: &RegionId) -> Result<(), Fault> {
    let bases = bases(cx).await?;
    let place = region.clone();
    let known = cx
        .cloud
        .store
        .read(move |tx| rows::public::<ImageRow>(tx, &place))
        .await?;
    let offered = |row: &ImageRow| {
        bases
            .iter()
            .any(|base| row.base.as_ref() == Some(&base.digest))
    };
    // One that was used stays, with its layers, when the base has gone.
    let stale: Vec<String> = known
        .iter()
        .filter(|placed| placed.row.layers.is_empty() && !offered(&placed.row))
        .map(|placed| placed.row.key.clone())
        .collect();
    let new: Vec<Base> = bases
        .iter()
        .filter(|base| {
            let same = |placed: &Placed<ImageRow>| placed.row.base.as_ref() == Some(&base.digest);
            !known.iter().any(same)
        })
        .cloned()
        .collect();
    if stale.is_empty() && new.is_empty() {
        return Ok(());
    }
    let region = region.clone();
    cx.cloud
        .store
        .write(move |tx| {
            for key in stale {
                rows::remove::<ImageRow>(tx, &key)?;
            }
            for base in new {
                publish(tx, &region, &base)?;
            }
            Ok::<_, Fault>(())
        })
        .await
}

/// What a public image's row is found by: its id is the same in every region.
fn public_key(region: &RegionId, id: &str) -> String {
    format!("{region}/{id}")
}

fn publish(tx: &Transaction<'_>, region: &RegionId, base: &Base) -> Result<(), Fault> {
    let mut id = base_id(base);
    if let Some(other) = rows::get::<ImageRow>(tx, &public_key(region, &id))? {
        if other.base.as_ref() == Some(&base.digest) {
            return Ok(());
        }
        // An older base of this name is in use: the newer one has its digest in its id.
        let short: String = base.digest.chars().take(8).collect();
        id = format!("{id}_{short}");
    }
    let row = ImageRow {
        key: public_key(region, &id),
        id: id.parse().unwrap_or_default(),
        region: region.clone(),
        account: None,
        name: id,
        family: base.name.clone(),
        version: String::new(),
        description: String::new(),
        system: System {
            platform: base.platform.clone(),
            os_name: base.os_name.clone(),
            architecture: base.architecture.clone(),
            boot_mode: "BIOS".to_owned(),
            os_type: if base.platform.starts_with("Windows") {
                "windows".to_owned()
            } else {
                "linux".to_owned()
            },
            agent: base.agent,
        },
        status: ImageStatus::Available,
        size_gib: BASE_SIZE,
        snapshot: None,
        data: Vec::new(),
        layers: Vec::new(),
        base: Some(base.digest.clone()),
        copied_from: None,
        shares: Vec::new(),
        created_at: base.made_at,
        tags: Vec::new(),
    };
    Ok(rows::put(tx, &row)?)
}

/// Makes sure that a public image's layers are in its region.
pub(super) async fn imported(cx: &Context, image: ImageRow) -> Result<ImageRow, Fault> {
    let Some(digest) = image.base.as_ref().filter(|_| image.layers.is_empty()) else {
        return Ok(image);
    };
    let base = bases(cx)
        .await?
        .into_iter()
        .find(|base| base.digest == *digest)
        .ok_or_else(|| not_found(&image.id))?;
    // From here until the row says so, nobody may remove the layers.
    let made = cx.cloud.layers.read().await;
    let found = cx.cloud.driver.import_base(&base, &image.region).await?;
    if found.is_empty() {
        return Err(DriverError::Other {
            message: format!("the base {} has no layer", base.name),
            hint: None,
        }
        .into());
    }
    let mut row = image;
    row.layers = found;
    let kept = row.clone();
    cx.cloud
        .store
        .write(move |tx| {
            layers::hold(tx, &kept.key, &kept.region, &kept.layers)?;
            rows::put(tx, &kept)
        })
        .await?;
    drop(made);
    // Whoever waits to remove layers may.
    cx.cloud.changed.notify_waiters();
    Ok(row)
}

/// Finds an image that the account sees, public ones included.
pub(super) async fn resolve(
    cx: &Context,
    region: &RegionId,
    id: &ImageId,
) -> Result<ImageRow, Fault> {
    ensure_public(cx, region).await?;
    let (account, region, id) = (cx.account.clone(), region.clone(), id.clone());
    cx.cloud
        .store
        .read(move |tx| seen(tx, &account, &region, &id))
        .await
}

/// Whether an instance was made of an image.
fn in_use(tx: &Transaction<'_>, row: &ImageRow) -> Result<bool, StoreError> {
    let image = lookup::image_of(&row.region, &row.id.as_str());
    lookup::any::<InstanceRow>(tx, "image", &image)
}

/// The images that the account sees in a region and that may be those looked for, the
/// newest first.
async fn visible(
    cx: &Context,
    region: &RegionId,
    look: Look,
) -> Result<Vec<Placed<ImageRow>>, Fault> {
    ensure_public(cx, region).await?;
    let (account, region) = (cx.account.clone(), region.clone());
    let mut found = cx
        .cloud
        .store
        .read(move |tx| lookup::find::<ImageRow>(tx, &region, None, &look))
        .await?;
    found.retain(|placed| sees(&account, &placed.row));
    Ok(found)
}

/// The newest available image of a family: the account's own before public and
/// shared ones.
pub(super) async fn newest(
    cx: &Context,
    region: &RegionId,
    family: &str,
) -> Result<Option<ImageRow>, Fault> {
    let look = Look::default().key("family", Some(family.to_owned()));
    let mut found = visible(cx, region, look).await?;
    found.retain(|placed| {
        placed.row.family == family && placed.row.status == ImageStatus::Available
    });
    let own = |placed: &Placed<ImageRow>| placed.row.account.as_ref() == Some(&cx.account);
    found.sort_by_key(|placed| (own(placed), placed.row.created_at, placed.seq));
    Ok(found.pop().map(|placed| placed.row))
}

impl Serve for DescribeImages {
    async fn serve(self, cx: &Context) -> Result<DescribeImagesResponse, Fault> {
        if !self.filter.is_empty() {
            return Err(Fault::unsupported("Filter.N"));
        }
        if self.dry_run == Some(true) {
            return Err(Fault::dry_run());
        }
        let mut found = visible(cx, &self.region_id, narrow(&self)).await?;
        found.retain(|placed| wanted(&self, cx, &placed.row));
        if let Some(asked) = self.usage.as_deref() {
            let used = usages(cx, found).await?;
            let fit = used.into_iter().filter(|(_, usage)| *usage == asked);
            found = fit.map(|(placed, _)| placed).collect();
        }
        let paging = Paging {
            number: self.page_number,
            size: self.page_size,
            most: 100,
            ..Paging::default()
        };
        let page = page::cut(found, &paging)?;
        // The places have done their part.
        let rows = page.rows.into_iter().map(|row| Placed { seq: 0, row });
        let with_usage = usages(cx, rows.collect()).await?.into_iter();
        let shown = with_usage.map(|(placed, usage)| shown(placed.row, cx, usage));
        Ok(DescribeImagesResponse {
            images: Images {
                image: shown.collect(),
            },
            region_id: self.region_id,
            total_count: page.total,
            page_number: page.number,
            page_size: page.size,
            ..DescribeImagesResponse::default()
        })
    }
}

/// What of a request narrows the list down.
fn narrow(asked: &DescribeImages) -> Look {
    let ids = asked.image_id.iter().flat_map(|ids| &ids.0);
    // A public image's row has its region before its id.
    let ids = ids.flat_map(|id| [id.to_string(), public_key(&asked.region_id, id.as_str())]);
    let name = asked.image_name.clone().filter(|name| !name.contains('*'));
    let look = Look::default().ids(ids).tags(&asked.tag);
    look.key("name", name)
        .key("family", asked.image_family.clone())
}

/// Images with the word for who uses them.
async fn usages(
    cx: &Context,
    images: Vec<Placed<ImageRow>>,
) -> Result<Vec<(Placed<ImageRow>, &'static str)>, StoreError> {
    cx.cloud
        .store
        .read(move |tx| {
            let with = |placed: Placed<ImageRow>| {
                let used = in_use(tx, &placed.row)?;
                Ok((placed, if used { "instance" } else { "none" }))
            };
            images.into_iter().map(with).collect()
        })
        .await
}

fn alias(cx: &Context, row: &ImageRow) -> &'static str {
    match &row.account {
        None => "system",
        Some(owner) if *owner == cx.account => "self",
        Some(_) => "others",
    }
}

fn wanted(asked: &DescribeImages, cx: &Context, row: &ImageRow) -> bool {
    let available = CommaList(vec![ImageStatus::Available]);
    let statuses = asked.status.as_ref().unwrap_or(&available);
    let same = |asked: &Option<String>, is: &str| asked.as_ref().is_none_or(|text| text == is);
    let architecture = match asked.instance_type.as_deref() {
        None => Some(row.system.architecture.as_str()),
        Some(id) => crate::catalogue::instance_type(id).map(|kind| kind.architecture),
    };
    statuses.0.contains(&row.status)
        && asked
            .image_id
            .as_ref()
            .is_none_or(|ids| ids.0.contains(&row.id))
        && asked
            .image_name
            .as_ref()
            .is_none_or(|name| fits(name, &row.name))
        && same(&asked.image_family, &row.family)
        && same(&asked.image_owner_alias, alias(cx, row))
        && same(&asked.os_type, &row.system.os_type)
        && same(&asked.architecture, &row.system.architecture)
        && architecture == Some(row.system.architecture.as_str())
        && asked
            .snapshot_id
            .as_ref()
            .is_none_or(|id| row.snapshots().any(|one| one == id))
        && asked.is_support_cloudinit != Some(true)
        && asked
            .is_public
            .is_none_or(|public| public == row.account.is_none())
        && tagged(&row.tags, &asked.tag)
}

fn shown(row: ImageRow, cx: &Context, usage: &str) -> Image {
    let alias = alias(cx, &row);
    let progress = match row.status {
        ImageStatus::Available | ImageStatus::Deprecated => "100%",
        _ => "0%",
    };
    let disk = |device: &str, snapshot: &SnapshotId, size: u32, part: Part| DiskDeviceMapping {
        device: device.to_owned(),
        snapshot_id: snapshot.clone(),
        size: size.to_string(),
        r#type: part.word().to_owned(),
        progress: progress.to_owned(),
        ..DiskDeviceMapping::default()
    };
    let system = row.snapshot.iter();
    let system = system.map(|one| disk(SYSTEM_DEVICE, one, row.size_gib, Part::System));
    let data = row.data.iter();
    let data = data.map(|one| disk(&one.device, &one.snapshot, one.size_gib, Part::Data));
    let mapping: Vec<_> = system.chain(data).collect();
    Image {
        image_id: row.id,
        image_name: row.name,
        image_family: row.family,
        image_version: row.version,
        description: row.description,
        image_owner_alias: alias.to_owned(),
        status: row.status,
        progress: progress.to_owned(),
        size: row.size_gib,
        architecture: row.system.architecture,
        boot_mode: row.system.boot_mode,
        os_type: row.system.os_type,
        os_name: row.system.os_name,
        platform: row.system.platform,
        is_copied: row.copied_from.is_some(),
        is_public: row.account.is_none(),
        is_self_shared: if row.shares.is_empty() || alias != "self" {
            ""
        } else {
            "True"
        }
        .to_owned(),
        is_support_cloudinit: false,
        is_support_io_optimized: true,
        login_as_non_root_supported: false,
        creation_time: seconds(row.created_at),
        usage: usage.to_owned(),
        resource_group_id: String::new(),
        tags: shown_tags(&row.tags),
        disk_device_mappings: DiskDeviceMappings {
            disk_device_mapping: mapping,
        },
    }
}

impl Serve for DescribeImageFromFamily {
    async fn serve(self, cx: &Context) -> Result<DescribeImageFromFamilyResponse, Fault> {
        let found = newest(cx, &self.region_id, &self.image_family).await?;
        Ok(DescribeImageFromFamilyResponse {
            image: found.map(|row| shown(row, cx, "none")),
            ..DescribeImageFromFamilyResponse::default()
        })
    }
}

/// Refuses a name that another image of the account in this region has.
pub(super) fn check_name(
    tx: &Transaction<'_>,
    account: &AccountId,
    region: &RegionId,
    name: &str,
    except: Option<&ImageId>,
) -> Result<(), Fault> {
    if !is_name(name) {
        return Err(Fault::bad(
            ErrorCode::InvalidImageNameMalformed,
            format!("The specified ImageName '{name}' is wrongly formed."),
        ));
    }
    let look = Look::default().key("name", Some(name.to_owned()));
    let known = lookup::find::<ImageRow>(tx, region, Some(account), &look)?;
    let taken = known
        .iter()
        .any(|placed| placed.row.name == name && Some(&placed.row.id) != except);
    if taken {
        return Err(Fault::bad(
            ErrorCode::InvalidImageNameDuplicated,
            format!("The specified ImageName '{name}' already exists."),
        ));
    }
    Ok(())
}

/// Checks a family's name; empty: none.
pub(super) fn check_family(family: &str) -> Result<(), Fault> {
    if family.is_empty() || is_name(family) {
        return Ok(());
    }
    Err(Fault::bad(
        ErrorCode::InvalidImageFamilyMalformed,
        format!("The specified ImageFamily '{family}' is wrongly formed."),
    ))
}

impl Serve for ModifyImageAttribute {
    async fn serve(self, cx: &Context) -> Result<ModifyImageAttributeResponse, Fault> {
        for (name, given) in [
            ("LicenseType", self.license_type.is_some()),
            ("Features", self.features.is_some()),
            ("BootMode", self.boot_mode.is_some()),
        ] {
            if given {
                return Err(Fault::unsupported(name));
            }
        }
        let account = cx.account.clone();
        cx.cloud
            .store
            .write(move |tx| {
                let mut row = owned(tx, &account, &self.region_id, &self.image_id)?;
                if let Some(name) = self.image_name {
                    check_name(tx, &account, &row.region, &name, Some(&row.id))?;
                    row.name = name;
                }
                if let Some(family) = self.image_family {
                    check_family(&family)?;
                    row.family = family;
                }
                if let Some(description) = self.description {
                    row.description = description;
                }
                if let Some(status) = self.status {
                    change_status(&mut row, &status)?;
                }
                if self.dry_run == Some(true) {
                    return Err(Fault::dry_run());
                }
                Ok(rows::put(tx, &row)?)
            })
            .await?;
        Ok(ModifyImageAttributeResponse::default())
    }
}

fn change_status(row: &mut ImageRow, status: &str) -> Result<(), Fault> {
    let next = ImageStatus::from(status);
    match (&row.status, &next) {
        (
            ImageStatus::Available | ImageStatus::Deprecated,
            ImageStatus::Available | ImageStatus::Deprecated,
        ) => {
            row.status = next;
            Ok(())
        }
        (_, ImageStatus::Available | ImageStatus::Deprecated) => Err(Fault::forbidden(
            ErrorCode::IncorrectImageStatus,
            format!("The image {} is {}.", row.id, row.status),
        )),
        _ => Err(Fault::invalid(
            "Status",
            "it must be Available or Deprecated",
        )),
    }
}

impl Serve for DeleteImage {
    async fn serve(self, cx: &Context) -> Result<DeleteImageResponse, Fault> {
        let (account, now) = (cx.account.clone(), cx.now);
        cx.cloud
            .store
            .write(move |tx| {
                let row = match owned(tx, &account, &self.region_id, &self.image_id) {
                    // An image that isn't there is as good as deleted.
                    Err(fault) if fault.status == 404 => return Ok(()),
                    other => other?,
                };
                check_deletable(tx, &row, self.force.unwrap_or(false))?;
                if self.dry_run == Some(true) {
                    return Err(Fault::dry_run());
                }
                layers::release(tx, row.id.as_str())?;
                ledger::close(tx, row.id.as_str(), now)?;
                Ok(rows::remove::<ImageRow>(tx, row.id.as_str())?)
            })
            .await?;
        jobs::sweep(&cx.cloud);
        Ok(DeleteImageResponse::default())
    }
}

fn check_deletable(tx: &Transaction<'_>, row: &ImageRow, force: bool) -> Result<(), Fault> {
    if copied_now(tx, &row.id)? {
        return Err(Fault::forbidden(
            ErrorCode::OperationDeniedImageCopying,
            "The image is being copied: cancel the copy with CancelCopyImage first.",
        ));
    }
    if !job_rows::of(tx, row.id.as_str())?.is_empty() {
        return Err(Fault::forbidden(
            ErrorCode::IncorrectImageStatus,
            format!("The image {} is being made.", row.id),
        ));
    }
    if !row.shares.is_empty() {
        return Err(Fault::forbidden(
            ErrorCode::ImageUseShared,
            "The image has been shared with other accounts: cancel the sharing first.",
        ));
    }
    if !force && in_use(tx, row)? {
        return Err(Fault::forbidden(
            ErrorCode::ImageUsingByInstance,
            "The image is used by an instance: set Force to delete it all the same.",
        ));
    }
    Ok(())
}

/// Whether a copy of this image, or to this image, goes on.
fn copied_now(tx: &Transaction<'_>, id: &ImageId) -> Result<bool, StoreError> {
    let jobs = job_rows::copies(tx)?;
    Ok(jobs.iter().any(|(_, job)| {
        matches!(&job.task, Task::Copy { source, image, .. } if source == id || image == id)
    }))
}
