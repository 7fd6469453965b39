//! The temporary network of a run whose template names none: a VPC, a security group
//! that lets nothing in, and a vSwitch in each zone that an instance is put into.
//!
//! One undo entry stands for all of it, found by the VPC's tags: it goes when nothing is
//! left in it. What the template names is never touched, because it isn't tagged.

use std::net::Ipv4Addr;
use std::time::Duration;

use darkroom_ecs::action::{
    CreateSecurityGroup, CreateVSwitch, CreateVpc, ModifySecurityGroupPolicy,
};
use darkroom_ecs::id::{SecurityGroupId, VSwitchId, VpcId, ZoneId};
use darkroom_journal::{UndoKey, Waited};
use serde::{Deserialize, Serialize};

use super::Work;
use crate::event::Kind;
use crate::operation::{Condition, Operation};
use crate::tags;
use crate::trouble::Trouble;
use crate::{Scope, Stop, answer};

/// How long a part of a network may take to be available.
const READY: Duration = Duration::from_mins(5);

/// The length of a vSwitch's range: room for 252 instances, of which a run has two.
const VSWITCH_PREFIX: u8 = 24;

/// A network that a run has made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Network {
    pub vpc: VpcId,
    /// Its range of addresses, which the cloud has chosen.
    pub range: String,
    pub security_group: SecurityGroupId,
    pub vswitches: Vec<(ZoneId, VSwitchId)>,
    /// What undoes all of it.
    pub undo: UndoKey,
}

/// Makes the network, without vSwitches.
pub(crate) async fn make(scope: &Scope, work: &Work<'_>) -> Result<Network, Stop> {
    let scope = scope.scope("network");
    let tag = tags::of(&work.run, tags::NETWORK);
    let name = format!("darkroom-{}", work.run);
    let request = CreateVpc {
        region_id: work.region.clone(),
        vpc_name: Some(name.clone()),
        description: Some("temporary network of an image build".into()),
        tag: tag.clone(),
        ..CreateVpc::default()
    };
    let operation = Operation::ecs(&work.region, &request).map_err(Stop::Failed)?;
    let undo = Operation::RemoveNetwork {
        region: work.region.clone(),
        run: work.run.clone(),
    };
    let (value, undo) = scope.run_undoable(operation, undo).await?;
    let vpc = answer::<CreateVpc>(value)?.vpc_id;
    darkroom_failpoint::reach("engine.network").await;
    let range = ready(&scope, work, &vpc, None).await?;
    let request = CreateSecurityGroup {
        region_id: work.region.clone(),
        vpc_id: Some(vpc.clone()),
        security_group_name: Some(name),
        tag,
        ..CreateSecurityGroup::default()
    };
    let operation = Operation::ecs(&work.region, &request).map_err(Stop::Failed)?;
    let security_group =
        answer::<CreateSecurityGroup>(scope.run(operation).await?)?.security_group_id;
    // A new group has no rule for what comes in, but lets its own instances reach each
    // other.
    let request = ModifySecurityGroupPolicy {
        region_id: work.region.clone(),
        security_group_id: security_group.clone(),
        inner_access_policy: "Drop".into(),
        ..ModifySecurityGroupPolicy::default()
    };
    let operation = Operation::ecs(&work.region, &request).map_err(Stop::Failed)?;
    scope.run(operation).await?;
    work.events.tell(Kind::Progress {
        path: "prepare".into(),
        text: format!("temporary network {vpc}"),
    });
    Ok(Network {
        vpc,
        range,
        security_group,
        vswitches: Vec::new(),
        undo,
    })
}

impl Network {
    /// The network's vSwitch of a zone, made if there is none.
    pub(crate) async fn vswitch(
        &mut self,
        scope: &Scope,
        work: &Work<'_>,
        zone: &ZoneId,
    ) -> Result<VSwitchId, Stop> {
        if let Some((_, known)) = self.vswitches.iter().find(|(known, _)| known == zone) {
            return Ok(known.clone());
        }
        let scope = scope.scope("vswitch");
        let Some(range) = part(&self.range, self.vswitches.len()) else {
            return Err(Stop::Failed(Trouble::State {
                subject: format!("VPC {}", self.vpc),
                problem: format!("its addresses {} are too few for another zone", self.range),
                hint: Some("name a network in instance.vswitch".into()),
            }));
        };
        let request = CreateVSwitch {
            region_id: Some(work.region.clone()),
            zone_id: zone.clone(),
            cidr_block: range,
            vpc_id: self.vpc.clone(),
            vswitch_name: Some(format!("darkroom-{}", work.run)),
            tag: tags::of(&work.run, tags::NETWORK),
            ..CreateVSwitch::default()
        };
        let operation = Operation::ecs(&work.region, &request).map_err(Stop::Failed)?;
        let made = answer::<CreateVSwitch>(scope.run(operation).await?)?.vswitch_id;
        ready(&scope, work, &self.vpc, Some(&made)).await?;
        self.vswitches.push((zone.clone(), made.clone()));
        Ok(made)
    }
}

/// Waits until a VPC, or a vSwitch in it, is available; answers the VPC's range.
async fn ready(
    scope: &Scope,
    work: &Work<'_>,
    vpc: &VpcId,
    vswitch: Option<&VSwitchId>,
) -> Result<String, Stop> {
    let condition = Condition::Network {
        region: work.region.clone(),
        vpc: vpc.clone(),
        vswitch: vswitch.cloned(),
    };
    match scope.wait(condition, READY).await? {
        Waited::Ready(value) => Ok(value.as_str().unwrap_or_default().to_owned()),
        Waited::TimedOut => Err(Stop::Failed(Trouble::TooLong {
            subject: match vswitch {
                Some(vswitch) => format!("vSwitch {vswitch}"),
                None => format!("VPC {vpc}"),
            },
            seconds: READY.as_secs(),
        })),
    }
}

/// The `index`th part of a range that a vSwitch can have.
fn part(range: &str, index: usize) -> Option<String> {
    let (first, prefix) = range.split_once('/')?;
    let first: Ipv4Addr = first.parse().ok()?;
    let prefix: u8 = prefix.parse().ok()?;
    let parts = 1_u32.checked_shl(u32::from(VSWITCH_PREFIX.checked_sub(prefix)?))?;
    let index = u32::try_from(index).ok().filter(|index| *index < parts)?;
    let size = 1_u32 << (32 - u32::from(VSWITCH_PREFIX));
    let start = first.to_bits().checked_add(index.checked_mul(size)?)?;
    Some(format!("{}/{VSWITCH_PREFIX}", Ipv4Addr::from_bits(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_zone_has_its_own_part_of_the_addresses() {
        let range = |prefix: u8| format!("{}/{prefix}", Ipv4Addr::from_bits(10 << 24));
        let wanted = |third: u32| {
            let first = Ipv4Addr::from_bits((10 << 24) + (third << 8));
            Some(format!("{first}/24"))
        };
        assert_eq!(part(&range(12), 0), wanted(0));
        assert_eq!(part(&range(12), 3), wanted(3));
        assert_eq!(part(&range(23), 1), wanted(1));
        assert_eq!(part(&range(23), 2), None);
        assert_eq!(part(&range(25), 0), None);
        assert_eq!(part("somewhere", 0), None);
    }
}
