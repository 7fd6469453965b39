//! The item `GUESTOS.Dhcp`: an address that is fixed in the image.
//!
//! ECS gives each instance its address by DHCP; one that brings another is not reached.
//! Each kind of configuration has a file of this folder that judges one file of it. What
//! was there stays as a comment. Interfaces that only the machine itself makes (bridges of
//! containers, tunnels) keep what they have.

mod ifcfg;
mod ifupdown;
mod netplan;
mod sections;

use crate::judgement::Judgement;
use crate::tree::Tree;

/// What is to be done about one file.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing.
    Good,
    /// This text is better.
    Better(String),
    /// It fixes an address in a way that is not known how to change.
    Beyond(&'static str),
}

/// Begins a line that was something else before.
const WAS: &str = "# darkroom: the address was fixed; was: ";

/// Judges every file that configures the network.
pub fn judge(tree: &Tree) -> Judgement {
    let mut judgement = Judgement::default();
    for (path, file) in &tree.files {
        let text = file.text();
        let name = path.rsplit('/').next().unwrap_or_default();
        let verdict = if path == "/etc/network/interfaces"
            || path.starts_with("/etc/network/interfaces.d/")
        {
            ifupdown::judge(&text)
        } else if let Some(interface) = name.strip_prefix("ifcfg-") {
            ifcfg::judge(interface, &text)
        } else if path.starts_with("/etc/netplan/") {
            netplan::judge(&text)
        } else if path.starts_with("/etc/systemd/network/") {
            sections::networkd(&text)
        } else if path.starts_with("/etc/NetworkManager/") {
            sections::network_manager(&text)
        } else {
            continue;
        };
        match verdict {
            Verdict::Good => {}
            Verdict::Better(text) => {
                judgement.write(
                    path,
                    file,
                    text,
                    format!("{path} fixed the address, now DHCP"),
                );
            }
            Verdict::Beyond(why) => judgement.unrepaired.push(format!("{path} {why}")),
        }
    }
    judgement
}

/// Whether an interface is one that the machine makes for itself.
fn is_own(interface: &str) -> bool {
    interface == "lo"
        || [
            "docker", "br-", "virbr", "veth", "tun", "tap", "wg", "dummy", "ppp", "cni", "flannel",
        ]
        .iter()
        .any(|kind| interface.starts_with(kind))
}

#[cfg(test)]
mod tests {
    use super::{is_own, judge};
    use crate::testing::{tree, written};

    #[test]
    fn each_file_is_judged_by_its_place() {
        let static_ifcfg = "BOOTPROTO=static\nIPADDR=10.0.0.5\n";
        let judgement = judge(&tree(&[
            (
                "/etc/network/interfaces",
                "iface eth0 inet static\n address 10.0.0.5\n",
            ),
            ("/etc/sysconfig/network-scripts/ifcfg-eth0", static_ifcfg),
            ("/etc/sysconfig/network/ifcfg-eth0", static_ifcfg),
            ("/etc/sysconfig/network-scripts/ifcfg-lo", static_ifcfg),
            (
                "/etc/netplan/a.yaml",
                "network: {ethernets: {a: {addresses: [10.0.0.5/24]}}}\n",
            ),
            (
                "/etc/systemd/network/a.network",
                "[Network]\nAddress=10.0.0.5/24\n",
            ),
            (
                "/etc/NetworkManager/system-connections/a",
                "[connection]\ntype=ethernet\n[ipv4]\nmethod=manual\n",
            ),
            ("/etc/fstab", static_ifcfg),
        ]));
        assert_eq!(
            (written(&judgement).len(), judgement.unrepaired.len()),
            (6, 0)
        );
    }

    #[test]
    fn interfaces_of_the_machine_itself_are_its_own() {
        assert!(is_own("lo") && is_own("docker0") && is_own("br-1a2b"));
        assert!(!is_own("eth0") && !is_own("ens3") && !is_own("br0"));
    }
}
