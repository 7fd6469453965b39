//! Debian's `/etc/network/interfaces`: stanzas of an `iface` line and its options.

use super::{Verdict, WAS, is_own};

/// Options that a fixed address brings along and DHCP has not.
const FIXED: [&str; 9] = [
    "address",
    "netmask",
    "broadcast",
    "network",
    "gateway",
    "pointopoint",
    "dns-nameservers",
    "dns-nameserver",
    "dns-search",
];

/// Words that begin another stanza.
const BEGINNINGS: [&str; 8] = [
    "iface",
    "mapping",
    "auto",
    "source",
    "source-directory",
    "no-auto-down",
    "no-scripts",
    "template",
];

/// Judges the file. Addresses of IPv6 are left alone: ECS reaches a machine by IPv4.
pub fn judge(text: &str) -> Verdict {
    let mut fixed = false;
    let mut found = false;
    let mut new = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches('\n');
        let words: Vec<_> = bare.split_whitespace().collect();
        match words.as_slice() {
            ["iface", interface, "inet", "static", ..] if !is_own(interface) => {
                fixed = true;
                found = true;
                for part in ["iface ", interface, " inet dhcp\n"] {
                    new.push_str(part);
                }
                continue;
            }
            [word, ..] if BEGINNINGS.contains(word) || word.starts_with("allow-") => fixed = false,
            [word, ..] if fixed && FIXED.contains(word) => {
                new.push_str(WAS);
                new.push_str(bare.trim_start());
                new.push('\n');
                continue;
            }
            _ => {}
        }
        new.push_str(line);
    }
    if found {
        Verdict::Better(new)
    } else {
        Verdict::Good
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, judge};

    #[test]
    fn a_static_stanza_becomes_dhcp_and_keeps_the_rest() {
        let text = "# by hand\nauto lo eth0\niface lo inet loopback\niface eth0 inet static\n\taddress 10.0.0.5/24\n    gateway 10.0.0.1\n\tmtu 1400\n\nallow-hotplug eth1\niface eth1 inet dhcp\nsource /etc/network/interfaces.d/*\n";
        let Verdict::Better(new) = judge(text) else {
            panic!()
        };
        assert_eq!(
            new,
            "# by hand\nauto lo eth0\niface lo inet loopback\niface eth0 inet dhcp\n\
             # darkroom: the address was fixed; was: address 10.0.0.5/24\n\
             # darkroom: the address was fixed; was: gateway 10.0.0.1\n\tmtu 1400\n\n\
             allow-hotplug eth1\niface eth1 inet dhcp\nsource /etc/network/interfaces.d/*\n"
        );
        assert_eq!(judge(&new), Verdict::Good);
    }

    #[test]
    fn others_are_left_alone() {
        for text in [
            "",
            "iface eth0 inet dhcp\n",
            "iface eth0 inet6 static\n address fd00::1\n",
            "iface docker0 inet static\n address 172.17.0.1\n",
            "iface eth0 inet manual\n",
        ] {
            assert_eq!(judge(text), Verdict::Good, "{text}");
        }
    }
}
