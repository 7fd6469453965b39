//! netplan's YAML. One that fixes an address is replaced as a whole, with all that it was
//! as a comment: the parts of an interface belong together, and YAML has no lines that
//! could be changed alone.

use saphyr::{LoadableYamlNode as _, Yaml};

use super::{Verdict, is_own};

/// Kinds of interfaces that are made of others.
const MADE: [&str; 6] = ["bonds", "bridges", "vlans", "tunnels", "wifis", "vrfs"];

/// What stands in the place of all cards.
const DHCP: &str = "network:\n  version: 2\n  ethernets:\n    cloud:\n      match:\n        name: \"e*\"\n      dhcp4: true\n";

/// Judges the file. What is no YAML says nothing.
pub fn judge(text: &str) -> Verdict {
    let Ok(documents) = Yaml::load_from_str(text) else {
        return Verdict::Good;
    };
    let Some(network) = documents
        .first()
        .and_then(|document| document.as_mapping_get("network"))
    else {
        return Verdict::Good;
    };
    if MADE.iter().any(|kind| fixes(network, kind)) {
        return Verdict::Beyond(
            "fixes the address of an interface that is no card; change it by hand",
        );
    }
    if !fixes(network, "ethernets") {
        return Verdict::Good;
    }
    let mut new = "# darkroom: the address was fixed; was:\n".to_owned();
    for line in text.lines() {
        new.push('#');
        if !line.is_empty() {
            new.push(' ');
            new.push_str(line);
        }
        new.push('\n');
    }
    new.push_str(DHCP);
    Verdict::Better(new)
}

/// Whether an interface of this kind has an address of IPv4 and doesn't ask for one.
fn fixes(network: &Yaml<'_>, kind: &str) -> bool {
    let interfaces = network.as_mapping_get(kind).and_then(Yaml::as_mapping);
    interfaces.into_iter().flatten().any(|(name, interface)| {
        let addresses = interface
            .as_mapping_get("addresses")
            .and_then(Yaml::as_sequence);
        let fixed = addresses.into_iter().flatten().any(is_v4);
        let asks = interface.as_mapping_get("dhcp4").is_some_and(is_yes);
        fixed && !asks && !name.as_str().is_some_and(is_own)
    })
}

/// `10.0.0.5/24`, alone or as the name of its settings.
fn is_v4(address: &Yaml<'_>) -> bool {
    let text = address.as_str().map(ToOwned::to_owned).or_else(|| {
        let (name, _) = address.as_mapping()?.iter().next()?;
        name.as_str().map(ToOwned::to_owned)
    });
    text.is_some_and(|text| text.contains('.') && !text.contains(':'))
}

/// netplan reads YAML 1.1, where `yes` is true.
fn is_yes(value: &Yaml<'_>) -> bool {
    value.as_bool().unwrap_or_else(|| {
        value
            .as_str()
            .is_some_and(|word| ["yes", "on", "true", "y"].contains(&&*word.to_lowercase()))
    })
}

#[cfg(test)]
mod tests {
    use super::{DHCP, Verdict, judge};

    #[test]
    fn a_fixed_address_becomes_dhcp() {
        let text = "network:\n  version: 2\n  ethernets:\n    ens3:\n      dhcp4: no\n      addresses:\n        - 10.0.0.5/24\n\n      gateway4: 10.0.0.1\n";
        let Verdict::Better(new) = judge(text) else {
            panic!()
        };
        assert!(
            new.starts_with(
                "# darkroom: the address was fixed; was:\n# network:\n#   version: 2\n"
            )
        );
        assert!(new.ends_with(&format!("#       gateway4: 10.0.0.1\n{DHCP}")));
        assert_eq!(judge(&new), Verdict::Good);
        let lifetime = "network: {ethernets: {a: {addresses: [{10.0.0.5/24: {lifetime: 0}}]}}}";
        assert!(matches!(judge(lifetime), Verdict::Better(_)));
    }

    #[test]
    fn others_are_left_alone() {
        for text in [
            "",
            "[",
            "network: {version: 2, renderer: NetworkManager}",
            "network: {ethernets: {a: {dhcp4: true}}}",
            "network: {ethernets: {a: {dhcp4: yes, addresses: [10.0.0.5/24]}}}",
            "network: {ethernets: {a: {addresses: ['fd00::5/64']}}}",
            "network: {bridges: {br0: {dhcp4: true, interfaces: [a]}}}",
        ] {
            assert_eq!(judge(text), Verdict::Good, "{text}");
        }
        let bond = "network: {bonds: {b: {addresses: [10.0.0.5/24]}}}";
        assert!(matches!(judge(bond), Verdict::Beyond(_)));
    }
}
