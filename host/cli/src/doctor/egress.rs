//! Whether an instance would reach the Cloud Assistant, without which no step is run, and
//! the Internet, as far as the API shows.
//!
//! The agent speaks to `{region}.axt.aliyun.com` (TCP 443), to the metadata service
//! `100.100.100.200` (TCP 80) and to names (UDP 53), all of them by addresses inside of the
//! region (100.64.0.0/10): it needs no NAT gateway, no public address and no endpoint in the
//! VPC. What can be in its way is a rule of the security group. What lies inside of the
//! image (its firewall, its name servers), and routes that somebody has made, can't be seen.

use std::net::Ipv4Addr;

use darkroom_ecs::action::{
    DescribeNatGateways, DescribeSecurityGroupAttribute, DescribeSecurityGroups, DescribeVSwitches,
    Permission, VSwitch,
};
use darkroom_ecs::id::{SecurityGroupId, VpcId};
use darkroom_engine::survey::Survey;

use super::{Check, Finding, Report, Subject};

/// Where the agent must get to. Of the addresses of `axt.aliyun.com`, which differ by
/// region, this one stands for all.
const NEEDED: [(&str, u16, Ipv4Addr); 3] = [
    ("TCP", 443, Ipv4Addr::new(100, 100, 45, 106)),
    ("TCP", 80, Ipv4Addr::new(100, 100, 100, 200)),
    ("UDP", 53, Ipv4Addr::new(100, 100, 2, 136)),
];

/// Fewer free addresses than this may be gone when the second instance is made.
const ADDRESSES: u64 = 4;

/// Looks at the network that the template names, or at what it leaves open.
pub(crate) async fn look(subject: &Subject<'_>, survey: &Survey, report: &mut Report<'_>) {
    let public = subject.template.instance.internet.as_ref();
    let public = public.is_some_and(|bandwidth| bandwidth.value > 0);
    let Some(group) = &survey.security_group else {
        report.add(Finding::ok(
            Check::Egress,
            "a temporary network, whose security group lets everything out: the Cloud Assistant \
             is reached by addresses inside of the region",
        ));
        report.add(internet(public, None, None));
        return;
    };
    let vswitch = vswitch(subject, survey).await;
    if let Some(vswitch) = &vswitch {
        report.add(addresses(vswitch));
    }
    let vpc = vswitch.map(|vswitch| vswitch.vpc_id);
    report.add(rules(subject, group).await);
    if public {
        report.add(internet(true, None, None));
    } else if let Some(vpc) = vpc {
        report.add(gateways(subject, &vpc).await);
    }
}

async fn vswitch(subject: &Subject<'_>, survey: &Survey) -> Option<VSwitch> {
    let first = survey.candidates.first()?;
    let asked = DescribeVSwitches {
        region_id: subject.region.clone(),
        vswitch_id: Some(first.vswitch.clone()?),
        ..DescribeVSwitches::default()
    };
    let found = subject.client.call(subject.region, &asked).await.ok()?;
    found.vswitches.vswitch.into_iter().next()
}

fn addresses(vswitch: &VSwitch) -> Finding {
    let (free, id) = (vswitch.available_ip_address_count, &vswitch.vswitch_id);
    let text = format!("vSwitch {id} has {free} free addresses");
    let hint = "name another vSwitch in instance.vswitch, or release what uses its addresses";
    if free == 0 {
        Finding::error(Check::Egress, text).hint(hint)
    } else if free < ADDRESSES {
        Finding::warning(Check::Egress, text).hint(hint)
    } else {
        Finding::ok(Check::Egress, text)
    }
}

/// Whether the rules of a security group let the agent out.
async fn rules(subject: &Subject<'_>, group: &SecurityGroupId) -> Finding {
    let asked = DescribeSecurityGroupAttribute {
        region_id: subject.region.clone(),
        security_group_id: group.clone(),
        direction: Some("egress".to_owned()),
    };
    let rules = match subject.client.call(subject.region, &asked).await {
        Ok(answer) => answer.permissions.permission,
        Err(error) => {
            return Finding::unseen(Check::Egress, "the rules of the security group", &error);
        }
    };
    let enterprise = is_enterprise(subject, group).await;
    judge(group, &rules, enterprise)
}

async fn is_enterprise(subject: &Subject<'_>, group: &SecurityGroupId) -> bool {
    let asked = DescribeSecurityGroups {
        region_id: subject.region.clone(),
        security_group_id: Some(group.clone()),
        ..DescribeSecurityGroups::default()
    };
    let found = subject.client.call(subject.region, &asked).await;
    found.is_ok_and(|found| {
        let mut groups = found.security_groups.security_group.iter();
        groups.any(|one| one.security_group_type == "enterprise")
    })
}

fn judge(group: &SecurityGroupId, rules: &[Permission], enterprise: bool) -> Finding {
    let refused: Vec<_> = NEEDED
        .iter()
        .filter(|(protocol, port, to)| {
            let decided = decide(rules, protocol, *port, *to);
            // What no rule is about gets out of an ordinary group, and of no other.
            !decided.unwrap_or(!enterprise)
        })
        .map(|(protocol, port, _)| format!("{protocol} {port}"))
        .collect();
    if refused.is_empty() {
        let text = format!(
            "security group {group} lets the Cloud Assistant's agent out; firewalls inside of \
             the image can't be seen"
        );
        return Finding::ok(Check::Egress, text);
    }
    let text = format!(
        "security group {group} does not let {} out to 100.64.0.0/10: the Cloud Assistant is \
         not reached, and no step can be run",
        refused.join(", ")
    );
    Finding::error(Check::Egress, text).hint(format!(
        "add egress rules to {group} that accept TCP 443, TCP 80 and UDP 53 to 100.64.0.0/10, \
         before those that drop; or name another in instance.security-group"
    ))
}

/// What the first rule says that is about a packet; of equal ones the one that drops.
fn decide(rules: &[Permission], protocol: &str, port: u16, to: Ipv4Addr) -> Option<bool> {
    let about = rules.iter().filter(|rule| {
        let all = rule.ip_protocol.eq_ignore_ascii_case("all");
        rule.direction != "ingress"
            && (all || rule.ip_protocol.eq_ignore_ascii_case(protocol))
            && has_port(&rule.port_range, port)
            && contains(&rule.dest_cidr_ip, to)
    });
    let first = about.min_by_key(|rule| (rule.priority.parse().unwrap_or(1_u8), accepts(rule)));
    first.map(accepts)
}

fn accepts(rule: &Permission) -> bool {
    rule.policy.eq_ignore_ascii_case("accept")
}

/// `443/443`, `1/65535`; `-1/-1` is every port.
fn has_port(range: &str, port: u16) -> bool {
    let ends = range.split_once('/');
    let ends = ends.and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    ends.is_none_or(|(from, to): (i32, i32)| from < 0 || (from..=to).contains(&i32::from(port)))
}

fn contains(range: &str, address: Ipv4Addr) -> bool {
    let (base, length) = range.split_once('/').unwrap_or((range, "32"));
    let (Ok(base), Ok(length)) = (base.parse::<Ipv4Addr>(), length.parse::<u32>()) else {
        // To another group, or to addresses of version 6.
        return false;
    };
    let mask = u32::MAX.checked_shl(32 - length.min(32)).unwrap_or(0);
    u32::from(base) & mask == u32::from(address) & mask
}

async fn gateways(subject: &Subject<'_>, vpc: &VpcId) -> Finding {
    let asked = DescribeNatGateways {
        region_id: subject.region.clone(),
        vpc_id: Some(vpc.clone()),
        page_size: Some(50),
        ..DescribeNatGateways::default()
    };
    match subject.client.call(subject.region, &asked).await {
        Ok(answer) => {
            let mut gateways = answer.nat_gateways.nat_gateway.into_iter();
            let gateway = gateways.find(|one| !one.ip_lists.ip_list.is_empty());
            let gateway = gateway.map(|one| one.nat_gateway_id);
            internet(false, Some(vpc), gateway.as_deref())
        }
        Err(error) => Finding::unseen(Check::Egress, "the NAT gateways of the VPC", &error),
    }
}

/// How instances get to the Internet: by an address of their own, or by a gateway of the VPC
/// that they are in. A temporary network has none.
fn internet(public: bool, vpc: Option<&VpcId>, gateway: Option<&str>) -> Finding {
    match (public, vpc, gateway) {
        (true, ..) => Finding::ok(
            Check::Egress,
            "the Internet is reached: instance.internet gives each instance an address",
        ),
        (false, _, Some(gateway)) => Finding::ok(
            Check::Egress,
            format!(
                "the Internet may be reached by NAT gateway {gateway}, if it has an SNAT entry \
                 for the vSwitch"
            ),
        ),
        (false, Some(vpc), None) => Finding::warning(
            Check::Egress,
            format!("{vpc} has no NAT gateway with an address: the Internet is not reached"),
        )
        .hint(NO_WAY_OUT),
        (false, None, None) => Finding::ok(
            Check::Egress,
            format!("the Internet is not reached; {NO_WAY_OUT}"),
        ),
    }
}

const NO_WAY_OUT: &str = "a build whose steps fetch something from there needs `instance: { \
                          internet: 10 }`; mirrors inside of the region need nothing";

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Permission {
        let words: Vec<_> = text.split(' ').map(str::to_owned).collect();
        let [policy, ip_protocol, port_range, dest_cidr_ip, priority] =
            <[String; 5]>::try_from(words).unwrap();
        Permission {
            direction: "egress".into(),
            policy,
            ip_protocol,
            port_range,
            dest_cidr_ip,
            priority,
            ..Permission::default()
        }
    }

    #[test]
    fn the_first_rule_about_a_packet_decides() {
        let lets_out = |rules: &[&str], enterprise| {
            let rules: Vec<_> = rules.iter().map(|text| rule(text)).collect();
            let finding = judge(&"sg-1".parse().unwrap(), &rules, enterprise);
            serde_json::to_value(finding).unwrap()["level"] == "ok"
        };
        let drop_all = "Drop ALL -1/-1 0.0.0.0/0 100";
        assert!(lets_out(&[], false) && !lets_out(&[], true));
        assert!(!lets_out(&[drop_all], false));
        assert!(lets_out(&["Accept ALL -1/-1 0.0.0.0/0 1"], true));
        assert!(lets_out(
            &["Accept ALL -1/-1 100.64.0.0/10 1", drop_all],
            false
        ));
        assert!(!lets_out(
            &["Accept TCP 443/443 100.64.0.0/10 1", drop_all],
            false
        ));
        assert!(!lets_out(&["Drop TCP 1/1024 100.100.0.0/16 1"], false));
        assert!(lets_out(&["Drop TCP 1024/65535 0.0.0.0/0 1"], false));
        assert!(lets_out(&["Drop ALL -1/-1 10.0.0.0/8 1"], false));
        // Of two of the same priority the one that drops counts.
        let both = ["Accept ALL -1/-1 0.0.0.0/0 5", "Drop ALL -1/-1 0.0.0.0/0 5"];
        assert!(!lets_out(&both, false));
    }
}
