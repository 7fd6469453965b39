//! Files of sections and keys: systemd-networkd's `.network` and `NetworkManager`'s keyfiles.

use super::{Verdict, WAS, is_own};

/// Judges a `.network` of systemd-networkd.
pub fn networkd(text: &str) -> Verdict {
    let asks = value(text, "Network", "DHCP").is_some_and(|dhcp| {
        ["yes", "true", "ipv4", "both", "v4", "1", "on"].contains(&&*dhcp.to_lowercase())
    });
    let name = value(text, "Match", "Name").unwrap_or_default();
    let is_v4 = |address: &str| address.contains('.') && !address.contains(':');
    let fixed = ["Network", "Address"]
        .iter()
        .any(|section| value(text, section, "Address").is_some_and(is_v4));
    if asks || !fixed || is_own(name) {
        return Verdict::Good;
    }
    if text.lines().any(|line| line.trim().starts_with("Kind=")) {
        return Verdict::Beyond(
            "fixes the address of an interface that is no card; change it by hand",
        );
    }
    let is_fixed = |section: &str, key: &str| match section {
        "Address" | "Route" => true,
        "Network" => ["Address", "Gateway", "DNS", "DHCP"].contains(&key),
        "Match" => ["MACAddress", "PermanentMACAddress"].contains(&key),
        _ => false,
    };
    Verdict::Better(rewritten(text, is_fixed, |section| {
        (section == "Network").then_some("DHCP=yes")
    }))
}

/// Judges a keyfile of `NetworkManager`.
pub fn network_manager(text: &str) -> Verdict {
    let fixed = value(text, "ipv4", "method") == Some("manual");
    let name = value(text, "connection", "interface-name").unwrap_or_default();
    if !fixed || is_own(name) {
        return Verdict::Good;
    }
    let kind = value(text, "connection", "type").unwrap_or("ethernet");
    if !["ethernet", "802-3-ethernet"].contains(&kind) {
        return Verdict::Beyond(
            "fixes the address of an interface that is no card; change it by hand",
        );
    }
    let is_fixed = |section: &str, key: &str| match section {
        "ipv4" => {
            key == "method"
                || ["address", "gateway", "route", "dns"]
                    .iter()
                    .any(|fixed| key.starts_with(fixed))
        }
        "ethernet" | "802-3-ethernet" => key == "mac-address",
        _ => false,
    };
    Verdict::Better(rewritten(text, is_fixed, |section| {
        (section == "ipv4").then_some("method=auto")
    }))
}

/// The text with the fixed keys as comments, and a line of our own at the beginning of a
/// section, the first of its name.
fn rewritten(
    text: &str,
    is_fixed: impl Fn(&str, &str) -> bool,
    own: impl Fn(&str) -> Option<&'static str>,
) -> String {
    let mut section = String::new();
    let mut new = String::with_capacity(text.len());
    let mut given = false;
    for line in text.lines() {
        let key = line.split('=').next().unwrap_or_default().trim();
        let is_comment = key.starts_with(['#', ';']) || key.is_empty();
        if let Some(name) = name_of(line) {
            name.clone_into(&mut section);
        } else if !is_comment && is_fixed(&section, key) {
            new.push_str(WAS);
        }
        new.push_str(line);
        new.push('\n');
        if name_of(line).is_some()
            && !given
            && let Some(line) = own(&section)
        {
            new.push_str(line);
            new.push('\n');
            given = true;
        }
    }
    new
}

/// The name of the section that a line begins.
fn name_of(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.strip_suffix(']')
}

/// The first value of a key in a section.
fn value<'t>(text: &'t str, section: &str, key: &str) -> Option<&'t str> {
    let mut inside = false;
    text.lines().find_map(|line| {
        if let Some(name) = name_of(line) {
            inside = name == section;
        }
        let (name, value) = line.split_once('=')?;
        (inside && name.trim() == key).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::{Verdict, network_manager, networkd};

    #[test]
    fn networkd_asks_for_its_address() {
        let text = "[Match]\nName=ens3\n\n[Network]\nAddress=10.0.0.5/24\nGateway=10.0.0.1\nIPv6AcceptRA=yes\n\n[Route]\nDestination=10.1.0.0/16\n";
        let Verdict::Better(new) = networkd(text) else {
            panic!()
        };
        assert_eq!(
            new,
            "[Match]\nName=ens3\n\n[Network]\nDHCP=yes\n\
             # darkroom: the address was fixed; was: Address=10.0.0.5/24\n\
             # darkroom: the address was fixed; was: Gateway=10.0.0.1\nIPv6AcceptRA=yes\n\n[Route]\n\
             # darkroom: the address was fixed; was: Destination=10.1.0.0/16\n"
        );
        assert_eq!(networkd(&new), Verdict::Good);
        for good in [
            "[Network]\nDHCP=ipv4\nAddress=10.0.0.5/24\n",
            "[Match]\nName=docker0\n[Network]\nAddress=10.0.0.5/24\n",
            "[Network]\nAddress=fd00::5/64\n",
            "",
        ] {
            assert_eq!(networkd(good), Verdict::Good, "{good}");
        }
    }

    #[test]
    fn network_manager_asks_for_its_address() {
        let text = "[connection]\nid=a\ntype=ethernet\n[ethernet]\nmac-address=52:54:00:12:34:56\n[ipv4]\naddress1=10.0.0.5/24,10.0.0.1\ndns=10.0.0.2;\nmethod=manual\n[ipv6]\nmethod=auto\n";
        let Verdict::Better(new) = network_manager(text) else {
            panic!()
        };
        assert!(
            new.contains("[ipv4]\nmethod=auto\n# darkroom: the address was fixed; was: address1="),
            "{new}"
        );
        assert!(new.contains("was: mac-address=52") && new.ends_with("[ipv6]\nmethod=auto\n"));
        assert_eq!(network_manager(&new), Verdict::Good);
        assert_eq!(network_manager("[ipv4]\nmethod=auto\n"), Verdict::Good);
        assert!(matches!(
            network_manager("[connection]\ntype=bond\n[ipv4]\nmethod=manual\n"),
            Verdict::Beyond(_)
        ));
    }
}
