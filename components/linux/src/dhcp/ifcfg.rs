//! `ifcfg-*` of Red Hat's and of SUSE's families: variables of the shell, one a line.

use super::{Verdict, WAS, is_own};

/// Beginnings of variables that a fixed address brings along. `HWADDR` is the card of
/// another machine.
const FIXED: [&str; 9] = [
    "IPADDR",
    "NETMASK",
    "PREFIX",
    "GATEWAY",
    "BROADCAST",
    "NETWORK",
    "DNS",
    "HWADDR",
    "REMOTE_IPADDR",
];

/// Judges the file of an interface.
pub fn judge(interface: &str, text: &str) -> Verdict {
    if is_own(interface) || interface.ends_with('~') || interface.contains(".bak") {
        return Verdict::Good;
    }
    let protocol = value(text, "BOOTPROTO").unwrap_or_default().to_lowercase();
    if protocol.starts_with("dhcp") || protocol == "autoip" {
        return Verdict::Good;
    }
    // Without an address it is a part of something else, such as a bond.
    if protocol != "static"
        && !text
            .lines()
            .any(|line| line.trim_start().starts_with("IPADDR"))
    {
        return Verdict::Good;
    }
    let kind = value(text, "TYPE").unwrap_or_default();
    if !kind.is_empty() && !kind.eq_ignore_ascii_case("ethernet") {
        return Verdict::Beyond(
            "fixes the address of an interface that is no card; change it by hand",
        );
    }
    let mut new = String::with_capacity(text.len());
    let mut set = false;
    for line in text.lines() {
        let name = line.trim_start().split('=').next().unwrap_or_default();
        if name == "BOOTPROTO" {
            if !set {
                new.push_str("BOOTPROTO=dhcp\n");
            }
            set = true;
        } else if FIXED
            .iter()
            .any(|fixed| name.strip_prefix(fixed).is_some_and(is_number))
        {
            new.push_str(WAS);
            new.push_str(line);
            new.push('\n');
        } else {
            new.push_str(line);
            new.push('\n');
        }
    }
    if !set {
        new.push_str("BOOTPROTO=dhcp\n");
    }
    Verdict::Better(new)
}

/// What may follow: nothing, a number, or SUSE's `_1`.
fn is_number(rest: &str) -> bool {
    rest.trim_start_matches('_')
        .chars()
        .all(|digit| digit.is_ascii_digit())
}

/// The last value of a variable, without its quotes.
fn value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let value = text
        .lines()
        .rev()
        .find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim().trim_matches(['"', '\'']))
}

#[cfg(test)]
mod tests {
    use super::{Verdict, judge};

    #[test]
    fn a_fixed_address_becomes_dhcp() {
        let text = "DEVICE=eth0\nBOOTPROTO=\"static\"\nHWADDR=52:54:00:12:34:56\nIPADDR=10.0.0.5\nPREFIX0=24\nDNS1=10.0.0.2\nONBOOT=yes\nNETWORKING=yes\n";
        let Verdict::Better(new) = judge("eth0", text) else {
            panic!()
        };
        assert_eq!(
            new,
            "DEVICE=eth0\nBOOTPROTO=dhcp\n\
             # darkroom: the address was fixed; was: HWADDR=52:54:00:12:34:56\n\
             # darkroom: the address was fixed; was: IPADDR=10.0.0.5\n\
             # darkroom: the address was fixed; was: PREFIX0=24\n\
             # darkroom: the address was fixed; was: DNS1=10.0.0.2\nONBOOT=yes\nNETWORKING=yes\n"
        );
        assert_eq!(judge("eth0", &new), Verdict::Good);
        let Verdict::Better(new) = judge("eth0", "IPADDR='10.0.0.5/24'\nSTARTMODE='auto'\n") else {
            panic!()
        };
        assert!(new.ends_with("STARTMODE='auto'\nBOOTPROTO=dhcp\n"));
    }

    #[test]
    fn others_are_left_alone() {
        for text in [
            "BOOTPROTO=dhcp\n",
            "BOOTPROTO='dhcp4'\n",
            "BOOTPROTO=none\nMASTER=bond0\n",
            "",
            "# IPADDR=10.0.0.5\n",
        ] {
            assert_eq!(judge("eth0", text), Verdict::Good, "{text}");
        }
        assert!(matches!(
            judge("br0", "TYPE=Bridge\nIPADDR=10.0.0.5\n"),
            Verdict::Beyond(_)
        ));
    }
}
