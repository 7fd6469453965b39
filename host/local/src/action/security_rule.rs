//! Rules that somebody adds to a security group. They are checked and kept to be shown;
//! nothing gets into an instance of this cloud, whatever they say.

use std::net::Ipv4Addr;

use darkroom_ecs::action::{
    AuthorizeSecurityGroup, AuthorizeSecurityGroupEgress, AuthorizeSecurityGroupEgressResponse,
    AuthorizeSecurityGroupResponse, Permission,
};
use darkroom_ecs::id::{RegionId, SecurityGroupId};

use super::security_group::mine;
use super::{Context, Serve, Token};
use crate::fault::Fault;
use crate::state::rows;

/// A rule as it is asked for.
struct Wish {
    protocol: Option<String>,
    ports: Option<String>,
    /// The name of the parameter that says whom it is about, and its value.
    peer: (&'static str, Option<String>),
    policy: Option<String>,
    priority: Option<String>,
}

impl Wish {
    /// The rule, with no direction yet.
    fn check(self) -> Result<Permission, Fault> {
        let text = |name, value: Option<String>| {
            let value = value.filter(|text| !text.is_empty());
            value.ok_or_else(|| Fault::missing_parameter(name))
        };
        let protocol = text("IpProtocol", self.protocol)?.to_ascii_uppercase();
        if !["TCP", "UDP", "ICMP", "GRE", "ALL"].contains(&protocol.as_str()) {
            let known = "it must be tcp, udp, icmp, gre or all";
            return Err(Fault::invalid("IpProtocol", known));
        }
        let ports = text("PortRange", self.ports)?;
        if !ports_fit(&protocol, &ports) {
            return Err(Fault::invalid(
                "PortRange",
                "it must be first/last, and -1/-1 unless the protocol has ports",
            ));
        }
        let peer = text(self.peer.0, self.peer.1)?;
        let (address, length) = peer.split_once('/').unwrap_or((&peer, "32"));
        let short = length.parse::<u8>().is_ok_and(|length| length <= 32);
        if !short || address.parse::<Ipv4Addr>().is_err() {
            return Err(Fault::invalid(
                self.peer.0,
                "it must be a range of addresses",
            ));
        }
        let policy = match self.policy.unwrap_or_default().to_ascii_lowercase() {
            text if text.is_empty() || text == "accept" => "Accept",
            text if text == "drop" => "Drop",
            _ => return Err(Fault::invalid("Policy", "it must be accept or drop")),
        };
        let priority = self.priority.filter(|text| !text.is_empty());
        let priority = priority.unwrap_or_else(|| "1".to_owned());
        if !priority
            .parse()
            .is_ok_and(|number: u8| (1..=100).contains(&number))
        {
            return Err(Fault::invalid("Priority", "it must be 1 to 100"));
        }
        let (mut source, mut dest) = (String::new(), String::new());
        if self.peer.0 == "SourceCidrIp" {
            source = peer;
        } else {
            dest = peer;
        }
        Ok(Permission {
            direction: if dest.is_empty() { "ingress" } else { "egress" }.to_owned(),
            policy: policy.to_owned(),
            ip_protocol: protocol,
            port_range: ports,
            source_cidr_ip: source,
            dest_cidr_ip: dest,
            priority,
        })
    }
}

/// Whether a range of ports may stand with a protocol.
fn ports_fit(protocol: &str, ports: &str) -> bool {
    if ports == "-1/-1" {
        return true;
    }
    let range = ports.split_once('/').and_then(|(first, last)| {
        let range = first.parse::<u16>().ok()?..=last.parse::<u16>().ok()?;
        (!range.is_empty() && !range.contains(&0)).then_some(range)
    });
    range.is_some() && ["TCP", "UDP"].contains(&protocol)
}

/// Keeps a rule. One that is there already stays one.
async fn add<T>(
    cx: &Context,
    region: RegionId,
    group: SecurityGroupId,
    wish: Wish,
    response: T,
) -> Result<T, Fault>
where
    T: serde::Serialize + Send + 'static,
{
    let rule = wish.check()?;
    let (account, token) = (cx.account.clone(), cx.token.clone());
    cx.cloud
        .store
        .write(move |tx| {
            let mut row = mine(tx, &account, &region, &group)?;
            if !row.rules.contains(&rule) {
                row.rules.push(rule);
                rows::put(tx, &row)?;
            }
            Token::keep(token.as_ref(), tx, &response)?;
            Ok(response)
        })
        .await
}

impl Serve for AuthorizeSecurityGroup {
    fn token(&self) -> Option<&str> {
        self.client_token.as_deref()
    }

    async fn serve(self, cx: &Context) -> Result<AuthorizeSecurityGroupResponse, Fault> {
        let wish = Wish {
            protocol: self.ip_protocol,
            ports: self.port_range,
            peer: ("SourceCidrIp", self.source_cidr_ip),
            policy: self.policy,
            priority: self.priority,
        };
        let answer = AuthorizeSecurityGroupResponse::default();
        add(cx, self.region_id, self.security_group_id, wish, answer).await
    }
}

impl Serve for AuthorizeSecurityGroupEgress {
    fn token(&self) -> Option<&str> {
        self.client_token.as_deref()
    }

    async fn serve(self, cx: &Context) -> Result<AuthorizeSecurityGroupEgressResponse, Fault> {
        let wish = Wish {
            protocol: self.ip_protocol,
            ports: self.port_range,
            peer: ("DestCidrIp", self.dest_cidr_ip),
            policy: self.policy,
            priority: self.priority,
        };
        let answer = AuthorizeSecurityGroupEgressResponse::default();
        add(cx, self.region_id, self.security_group_id, wish, answer).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_checked() {
        let rule = |protocol: &str, ports: &str, peer: &str| {
            let wish = Wish {
                protocol: Some(protocol.into()),
                ports: Some(ports.into()),
                peer: ("SourceCidrIp", Some(peer.into())),
                policy: None,
                priority: None,
            };
            wish.check().is_ok()
        };
        assert!(rule("all", "-1/-1", "0.0.0.0/0"));
        assert!(rule("tcp", "22/22", "10.1.2.3"));
        assert!(!rule("all", "22/22", "0.0.0.0/0"));
        assert!(!rule("tcp", "23/22", "0.0.0.0/0"));
        assert!(!rule("tcp", "0/22", "0.0.0.0/0"));
        assert!(!rule("sctp", "-1/-1", "0.0.0.0/0"));
        assert!(!rule("tcp", "22/22", "0.0.0.0/33"));
        assert!(!rule("tcp", "22/22", ""));
    }
}
