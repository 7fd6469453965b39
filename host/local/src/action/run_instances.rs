//! Making instances.
//!
//! Two transactions: the first checks everything and reserves ids, addresses and the
//! client token under a job that unmakes them; the second, after the driver has made
//! the machines, turns that into the promise to start them. A server that dies
//! between the two leaves nothing, and the repeated request begins anew.

use std::net::Ipv4Addr;

use darkroom_ecs::action::{
    ImageStatus, InstanceIdSets, InstanceStatus, RunInstances, RunInstancesResponse,
};
use darkroom_ecs::error::ErrorCode;
use darkroom_ecs::id::{InstanceId, SecurityGroupId};
use jiff::Timestamp;
use rusqlite::Transaction;

use super::data_disk::{self, Planned};
use super::image::{self, resolve};
use super::instance::release_time;
use super::words::{is_name, new_id, row_tags};
use super::{Context, Serve, Token, account};
use crate::catalogue::{self, DISK_CATEGORIES, DISK_PRICE, InstanceType};
use crate::driver::{Agent, InstanceSpec};
use crate::fault::Fault;
use crate::jobs;
use crate::state::jobs::{self as job_rows, Job, Task};
use crate::state::rows::{
    self, DiskRow, ImageRow, InstanceRow, Part, RowTag, SYSTEM_DEVICE, SecurityGroupRow, System,
    VSwitchRow,
};
use crate::state::{layers, ledger, lookup, quotas, stock};

/// How many instances an account may have in a region.
const QUOTA: usize = 10_000;
/// The largest system disk in GiB.
const LARGEST_DISK: u32 = 2048;
/// The largest user data in bytes, decoded.
const LARGEST_USER_DATA: usize = 32 * 1024;

/// What a request asks for, checked as far as it can be without the state.
#[derive(Clone)]
struct Wish {
    request: RunInstances,
    kind: InstanceType,
    amount: u32,
    bandwidth: u32,
    category: String,
    release_at: Option<Timestamp>,
    user_data: Option<Vec<u8>>,
    groups: Vec<SecurityGroupId>,
    tags: Vec<RowTag>,
}

impl Serve for RunInstances {
    fn token(&self) -> Option<&str> {
        self.client_token.as_deref()
    }

    async fn serve(self, cx: &Context) -> Result<RunInstancesResponse, Fault> {
        refuse_unsupported(&self)?;
        let reserved = make(cx, self).await?;
        let response = RunInstancesResponse {
            instance_id_sets: InstanceIdSets {
                instance_id_set: reserved.ids(),
            },
            ..RunInstancesResponse::default()
        };
        announce(cx, reserved, First::Started, response).await
    }
}

/// Instances that the driver has made and that a job unmakes unless they are announced.
pub(super) struct Reserved {
    number: i64,
    specs: Vec<InstanceSpec>,
}

impl Reserved {
    /// Their ids.
    pub(super) fn ids(&self) -> Vec<InstanceId> {
        self.specs.iter().map(|spec| spec.id.clone()).collect()
    }
}

/// What becomes of new instances.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    Started,
    Stopped,
}

/// Makes instances that nobody sees yet.
pub(super) async fn make(cx: &Context, request: RunInstances) -> Result<Reserved, Fault> {
    let wish = Wish::of(request, cx.now)?;
    let dry_run = wish.request.dry_run == Some(true);
    let image = if dry_run {
        find_image(cx, &wish.request).await?
    } else {
        let image = find_image(cx, &wish.request).await?;
        image::imported(cx, image).await?
    };
    let user_data = wish.user_data.clone();
    let this = cx.clone();
    let reserved = cx
        .cloud
        .store
        .write(move |tx| reserve(tx, &this, &wish, &image))
        .await?;
    for spec in &reserved.specs {
        let spec = InstanceSpec {
            user_data: user_data.clone(),
            ..spec.clone()
        };
        if let Err(error) = cx.cloud.driver.create(&spec).await {
            // The job that unmakes them is there already.
            jobs::begin(&cx.cloud, reserved.number);
            return Err(error.into());
        }
    }
    Ok(reserved)
}

/// Lets people see what the driver has made, promises to start it if it is to be, and
/// answers.
pub(super) async fn announce<T>(
    cx: &Context,
    reserved: Reserved,
    first: First,
    response: T,
) -> Result<T, Fault>
where
    T: serde::Serialize + Clone + Send + 'static,
{
    let ids = reserved.ids();
    let (answer, token, now) = (response.clone(), cx.token.clone(), cx.now);
    let numbers = cx
        .cloud
        .store
        .write(move |tx| {
            job_rows::remove(tx, reserved.number)?;
            let mut numbers = Vec::new();
            for instance in ids {
                bill(tx, &instance, now)?;
                if first == First::Stopped {
                    leave_stopped(tx, &instance)?;
                    continue;
                }
                let task = Task::Start {
                    instance,
                    fresh: true,
                };
                let created_at = now;
                numbers.push(job_rows::add(tx, &Job { task, created_at })?);
            }
            Token::answer(token.as_ref(), tx, &answer)?;
            Ok::<_, Fault>(numbers)
        })
        .await?;
    for number in numbers {
        jobs::begin(&cx.cloud, number);
    }
    cx.cloud.release_set.notify_waiters();
    Ok(response)
}

fn leave_stopped(tx: &Transaction<'_>, instance: &InstanceId) -> Result<(), Fault> {
    if let Some(mut row) = rows::get::<InstanceRow>(tx, instance.as_str())? {
        row.status = InstanceStatus::Stopped;
        rows::put(tx, &row)?;
    }
    Ok(())
}

fn bill(tx: &Transaction<'_>, instance: &InstanceId, now: Timestamp) -> Result<(), Fault> {
    let Some(row) = rows::get::<InstanceRow>(tx, instance.as_str())? else {
        return Ok(());
    };
    let price = catalogue::instance_type(&row.instance_type).map_or(0, |kind| kind.price);
    let entry = ledger::Opened {
        account: &row.account,
        region: &row.region,
        kind: "instance",
        resource: row.id.as_str(),
        spec: &row.instance_type,
        quantity: 1,
        price,
    };
    ledger::open(tx, &entry, now)?;
    for disk in [&row.disk].into_iter().chain(&row.data_disks) {
        let Some(disk) = rows::get::<DiskRow>(tx, disk.as_str())? else {
            continue;
        };
        let entry = ledger::Opened {
            kind: "disk",
            resource: disk.id.as_str(),
            spec: &disk.category,
            quantity: disk.size_gib,
            price: DISK_PRICE,
            ..ledger::Opened {
                account: &row.account,
                region: &row.region,
                ..entry
            }
        };
        ledger::open(tx, &entry, now)?;
    }
    Ok(())
}

pub(super) fn refuse_unsupported(request: &RunInstances) -> Result<(), Fault> {
    let disk = request.system_disk.as_ref();
    let encrypted =
        disk.is_some_and(|disk| disk.encrypted == Some(true) || disk.kms_key_id.is_some());
    for (name, given) in [
        ("SystemDisk.Encrypted", encrypted),
        ("Password", request.password.is_some()),
        ("PasswordInherit", request.password_inherit == Some(true)),
        ("KeyPairName", request.key_pair_name.is_some()),
        ("RamRoleName", request.ram_role_name.is_some()),
    ] {
        if given {
            return Err(Fault::unsupported(name));
        }
    }
    if request
        .instance_charge_type
        .as_ref()
        .is_some_and(|kind| kind != "PostPaid")
    {
        return Err(Fault::unsupported("InstanceChargeType"));
    }
    Ok(())
}

impl Wish {
    fn of(request: RunInstances, now: Timestamp) -> Result<Self, Fault> {
        let type_id = request.instance_type.as_deref();
        let type_id = type_id.ok_or_else(|| Fault::missing_parameter("InstanceType"))?;
        let kind = catalogue::instance_type(type_id).ok_or_else(|| {
            Fault::bad(
                ErrorCode::InvalidInstanceTypeValueNotSupported,
                format!("The specified InstanceType {type_id} does not exist or is not supported."),
            )
        })?;
        let amount = request.amount.unwrap_or(1);
        if !(1..=100).contains(&amount) {
            return Err(Fault::invalid("Amount", "it must be 1 to 100"));
        }
        if request
            .min_amount
            .is_some_and(|least| least == 0 || least > amount)
        {
            return Err(Fault::invalid("MinAmount", "it must be 1 to Amount"));
        }
        let bandwidth = request.internet_max_bandwidth_out.unwrap_or(0);
        if bandwidth > 100 {
            return Err(Fault::invalid(
                "InternetMaxBandwidthOut",
                "it must be 0 to 100",
            ));
        }
        if request
            .instance_name
            .as_ref()
            .is_some_and(|name| !is_name(name))
        {
            return Err(Fault::bad(
                ErrorCode::Other("InvalidInstanceName.Malformed".to_owned()),
                "The specified InstanceName is wrongly formed.",
            ));
        }
        let disk = request.system_disk.clone().unwrap_or_default();
        let category = disk.category.unwrap_or_else(|| "cloud_essd".to_owned());
        if !DISK_CATEGORIES.contains(&category.as_str()) {
            return Err(Fault::forbidden(
                ErrorCode::CategoryNotSupported,
                format!("The specified SystemDisk.Category {category} is not supported."),
            ));
        }
        let text = request.auto_release_time.clone().unwrap_or_default();
        let mut groups = request.security_group_ids.clone();
        groups.extend(request.security_group_id.clone());
        if request.security_group_id.is_some() && groups.len() > 1 {
            return Err(Fault::bad(
                ErrorCode::InvalidParameterConflict,
                "SecurityGroupId and SecurityGroupIds.N exclude each other.",
            ));
        }
        Ok(Self {
            release_at: release_time(&text, now)?,
            user_data: user_data(request.user_data.as_deref())?,
            tags: row_tags(&request.tag)?,
            kind,
            amount,
            bandwidth,
            category,
            groups,
            request,
        })
    }
}

fn user_data(text: Option<&str>) -> Result<Option<Vec<u8>>, Fault> {
    use base64::Engine as _;
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|_| Fault::invalid("UserData", "it is not base64"))?;
    if bytes.len() > LARGEST_USER_DATA {
        return Err(Fault::bad(
            ErrorCode::InvalidUserDataSizeExceeded,
            "The specified UserData exceeds 32 KB.",
        ));
    }
    Ok(Some(bytes))
}

async fn find_image(cx: &Context, request: &RunInstances) -> Result<ImageRow, Fault> {
    let region = &request.region_id;
    let image = match (&request.image_id, &request.image_family) {
        (Some(_), Some(_)) => {
            return Err(Fault::bad(
                ErrorCode::InvalidParameterConflict,
                "ImageId and ImageFamily exclude each other.",
            ));
        }
        (Some(id), None) => resolve(cx, region, id).await?,
        (None, Some(family)) => image::newest(cx, region, family).await?.ok_or_else(|| {
            Fault::missing(
                ErrorCode::InvalidImageIdNotFound,
                format!("The specified ImageFamily {family} has no available image."),
            )
        })?,
        (None, None) => return Err(Fault::missing_parameter("ImageId")),
    };
    if image.status != ImageStatus::Available {
        return Err(Fault::forbidden(
            ErrorCode::IncorrectImageStatus,
            format!(
                "The specified image {} is {}, not Available.",
                image.id, image.status
            ),
        ));
    }
    Ok(image)
}

/// Checks a wish against the state and writes down what it makes.
fn reserve(
    tx: &Transaction<'_>,
    cx: &Context,
    wish: &Wish,
    image: &ImageRow,
) -> Result<Reserved, Fault> {
    let request = &wish.request;
    let image = &image::again(tx, &cx.account, image)?;
    let switch = switch(tx, cx, wish)?;
    check_groups(tx, cx, wish, &switch)?;
    let region = request.region_id.as_str();
    let stock = stock::all(tx)?;
    if !stock::has(&stock, region, switch.zone.as_str(), wish.kind.id) {
        return Err(Fault::forbidden(
            ErrorCode::OperationDeniedNoStock,
            format!(
                "The requested resource {} is sold out in {}.",
                wish.kind.id, switch.zone
            ),
        ));
    }
    if wish.kind.architecture != image.system.architecture {
        return Err(Fault::forbidden(
            ErrorCode::ImageNotSupportInstanceType,
            format!(
                "The image {} does not support the type {}.",
                image.id, wish.kind.id
            ),
        ));
    }
    let size = disk_size(wish, image)?;
    let data = data_disk::plan(tx, cx, request, image)?;
    let existing = rows::count::<InstanceRow>(tx, &request.region_id, &cx.account)?;
    let amount = usize::try_from(wish.amount).unwrap_or(usize::MAX);
    if existing.saturating_add(amount) > QUOTA {
        return Err(Fault::forbidden(
            ErrorCode::QuotaExceedElasticQuota,
            format!("No more than {QUOTA} instances are allowed in a region."),
        ));
    }
    let vcpus = u64::from(wish.kind.cpu) * u64::from(wish.amount);
    let most = quotas::get(tx)?.vcpus;
    if vcpus.saturating_add(account::vcpus(tx, &cx.account, &request.region_id)?) > most {
        return Err(Fault::forbidden(
            ErrorCode::QuotaExceedElasticQuota,
            format!("No more than {most} vCPUs are allowed in a region."),
        ));
    }
    if request.dry_run == Some(true) {
        return Err(Fault::dry_run());
    }
    let (region, range) = (&request.region_id, switch.range);
    let free = lookup::free_addresses(tx, region, &cx.account, range, amount)?;
    let mut free = free.into_iter();
    let mut specs = Vec::new();
    for _ in 0..wish.amount {
        let address = free.next().ok_or_else(|| {
            Fault::forbidden(
                ErrorCode::Other("InvalidVSwitchId.IpNotEnough".to_owned()),
                format!("The vSwitch {} has no free address.", switch.id),
            )
        })?;
        specs.push(write_down(
            tx,
            cx,
            wish,
            image,
            (&switch, address),
            (size, &data),
        )?);
    }
    Token::reserve(cx.token.as_ref(), tx)?;
    let task = Task::Reserve {
        instances: specs.iter().map(|spec| spec.id.clone()).collect(),
        token: cx.token.as_ref().map(|token| token.key.clone()),
    };
    let created_at = cx.now;
    let number = job_rows::add(tx, &Job { task, created_at })?;
    Ok(Reserved { number, specs })
}

fn switch(tx: &Transaction<'_>, cx: &Context, wish: &Wish) -> Result<VSwitchRow, Fault> {
    let request = &wish.request;
    let id = request.vswitch_id.as_ref();
    let id = id.ok_or_else(|| Fault::missing_parameter("VSwitchId"))?;
    let found = rows::get::<VSwitchRow>(tx, id.as_str())?;
    let switch = found
        .filter(|row| row.account == cx.account && row.region == request.region_id)
        .ok_or_else(|| {
            Fault::missing(
                ErrorCode::InvalidVSwitchIdNotFound,
                format!("The specified VSwitchId {id} does not exist."),
            )
        })?;
    if request
        .zone_id
        .as_ref()
        .is_some_and(|zone| *zone != switch.zone)
    {
        return Err(Fault::bad(
            ErrorCode::InvalidParameterMismatch,
            format!(
                "The vSwitch {id} is in {}, not in the specified zone.",
                switch.zone
            ),
        ));
    }
    Ok(switch)
}

fn check_groups(
    tx: &Transaction<'_>,
    cx: &Context,
    wish: &Wish,
    switch: &VSwitchRow,
) -> Result<(), Fault> {
    if wish.groups.is_empty() {
        return Err(Fault::missing_parameter("SecurityGroupId"));
    }
    for id in &wish.groups {
        let found = rows::get::<SecurityGroupRow>(tx, id.as_str())?;
        let group = found
            .filter(|row| row.account == cx.account && row.region == wish.request.region_id)
            .ok_or_else(|| {
                Fault::missing(
                    ErrorCode::InvalidSecurityGroupIdNotFound,
                    format!("The specified SecurityGroupId {id} does not exist."),
                )
            })?;
        if group.vpc != switch.vpc {
            return Err(Fault::bad(
                ErrorCode::InvalidParameterMismatch,
                "The security group and the vSwitch are not in the same VPC.",
            ));
        }
    }
    Ok(())
}

fn disk_size(wish: &Wish, image: &ImageRow) -> Result<u32, Fault> {
    let wanted = wish.request.system_disk.as_ref().and_then(|disk| disk.size);
    let size = wanted.unwrap_or(image.size_gib);
    if size < image.size_gib {
        return Err(Fault::forbidden(
            ErrorCode::InvalidSystemDiskSizeLessThanImageSize,
            format!(
                "The SystemDisk.Size {size} is less than the image's {} GiB.",
                image.size_gib
            ),
        ));
    }
    if size > LARGEST_DISK {
        return Err(Fault::invalid("SystemDisk.Size", "it must be at most 2048"));
    }
    Ok(size)
}

fn write_down(
    tx: &Transaction<'_>,
    cx: &Context,
    wish: &Wish,
    image: &ImageRow,
    (switch, address): (&VSwitchRow, Ipv4Addr),
    (size, data): (u32, &[Planned]),
) -> Result<InstanceSpec, Fault> {
    let request = &wish.request;
    let id: InstanceId = new_id("i-");
    let settings = request.system_disk.clone().unwrap_or_default();
    let disk = DiskRow {
        id: new_id("d-"),
        region: request.region_id.clone(),
        account: cx.account.clone(),
        zone: switch.zone.clone(),
        instance: id.clone(),
        image: image.id.clone(),
        name: settings.disk_name.unwrap_or_default(),
        description: settings.description.unwrap_or_default(),
        category: wish.category.clone(),
        size_gib: size,
        part: Part::System,
        device: SYSTEM_DEVICE.to_owned(),
        snapshot: image.snapshot.clone(),
        system: System {
            agent: agent(wish, image),
            ..image.system.clone()
        },
        layers: image.layers.clone(),
        created_at: cx.now,
        tags: wish.tags.clone(),
    };
    let row = InstanceRow {
        region: request.region_id.clone(),
        account: cx.account.clone(),
        zone: switch.zone.clone(),
        name: request
            .instance_name
            .clone()
            .unwrap_or_else(|| id.to_string()),
        host_name: request.host_name.clone().unwrap_or_else(|| id.to_string()),
        description: request.description.clone().unwrap_or_default(),
        image: image.id.clone(),
        instance_type: wish.kind.id.to_owned(),
        os_name: image.system.os_name.clone(),
        status: InstanceStatus::Pending,
        disk: disk.id.clone(),
        data_disks: data_disk::write_down(tx, &id, &disk, data)?,
        vpc: switch.vpc.clone(),
        vswitch: switch.id.clone(),
        security_groups: wish.groups.clone(),
        private_ip: address,
        range: switch.range,
        public_ip: None,
        bandwidth_out: wish.bandwidth,
        spot_strategy: request
            .spot_strategy
            .clone()
            .unwrap_or_else(|| "NoSpot".to_owned()),
        deletion_protection: request.deletion_protection.unwrap_or(false),
        auto_release_at: wish.release_at,
        created_at: cx.now,
        started_at: None,
        invocations: 0,
        last_invoked_at: None,
        tags: wish.tags.clone(),
        id,
    };
    layers::hold(tx, disk.id.as_str(), &disk.region, &disk.layers)?;
    rows::put(tx, &disk)?;
    rows::put(tx, &row)?;
    Ok(InstanceSpec {
        id: row.id,
        region: row.region,
        account: row.account,
        name: row.name,
        host_name: row.host_name,
        layers: disk.layers,
        private_ip: format!("{address}/{}", switch.range.prefix()),
        internet: wish.bandwidth > 0,
        cpu: wish.kind.cpu,
        memory_mib: wish.kind.memory_mib,
        disk_gib: size,
        user_data: None,
    })
}

/// Whether an instance will have the agent: its image's, or the one that its user data
/// installs at the first start. Nothing here runs user data; that it names the agent's
/// package is what is looked at.
fn agent(wish: &Wish, image: &ImageRow) -> Agent {
    const PACKAGE: &[u8] = b"aliyun_assist_latest";
    let data = wish.user_data.as_deref().unwrap_or_default();
    let brings = data.windows(PACKAGE.len()).any(|part| part == PACKAGE);
    match image.system.agent {
        Agent::Present => Agent::Present,
        Agent::None | Agent::Coming if brings => Agent::Coming,
        Agent::None | Agent::Coming => Agent::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::network;
    use crate::service::{DriverKind, Service, Settings};
    use crate::state::store::StoreError;

    #[tokio::test]
    async fn an_image_that_goes_while_it_is_asked_for_is_not_built_on() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(folder.path(), DriverKind::Sim);
        let service = Service::open(settings).await.unwrap();
        let cx = Context {
            cloud: std::sync::Arc::clone(&service.inner.cloud),
            account: service.accounts()[0].id.clone(),
            now: Timestamp::now(),
            token: None,
        };
        let region: darkroom_ecs::id::RegionId = "cn-hangzhou".parse().unwrap();
        network::ensure(&cx, &region).await.unwrap();
        image::ensure_public(&cx, &region).await.unwrap();
        let place = region.clone();
        let (image, switch, group) = cx
            .cloud
            .store
            .read(move |tx| {
                let image = rows::list::<ImageRow>(tx, &place, None)?.remove(0).row;
                let switch = rows::list::<VSwitchRow>(tx, &place, None)?.remove(0).row;
                let group = rows::list::<SecurityGroupRow>(tx, &place, None)?.remove(0);
                Ok::<_, StoreError>((image, switch, group.row))
            })
            .await
            .unwrap();
        let image = image::imported(&cx, image).await.unwrap();
        let kinds = catalogue::TYPES.iter();
        let mut fitting = kinds.filter(|kind| kind.architecture == image.system.architecture);
        let request = RunInstances {
            region_id: region,
            image_id: Some(image.id.clone()),
            instance_type: fitting.next().map(|kind| kind.id.to_owned()),
            vswitch_id: Some(switch.id),
            security_group_id: Some(group.id),
            ..Default::default()
        };
        let wish = Wish::of(request, cx.now).unwrap();
        for gone in [false, true] {
            let (cx, wish, image) = (cx.clone(), wish.clone(), image.clone());
            let store = cx.cloud.store.clone();
            let reserved = store
                .write(move |tx| {
                    if gone {
                        rows::remove::<ImageRow>(tx, &image.key)?;
                    }
                    reserve(tx, &cx, &wish, &image)
                })
                .await;
            assert_eq!(
                reserved.err().map(|fault| fault.status),
                gone.then_some(404)
            );
        }
    }
}
