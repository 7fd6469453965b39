//! Our names of source families and the public image families of Alibaba Cloud.
//!
//! `acs:centos_7_9_x64` is documented; the others follow its pattern and have not been
//! tried. A family that isn't there is reported before anything is spent, and
//! `source.image` or the family's own name can be given instead.

/// Our name, the public family there.
const FAMILIES: &[(&str, &str)] = &[
    ("alinux-3", "acs:alibaba_cloud_linux_3_2104_lts_x64"),
    ("almalinux-9", "acs:almalinux_9_x64"),
    ("centos-7", "acs:centos_7_9_x64"),
    ("debian-11", "acs:debian_11_x64"),
    ("debian-12", "acs:debian_12_x64"),
    ("rockylinux-9", "acs:rockylinux_9_x64"),
    ("ubuntu-22.04", "acs:ubuntu_22_04_x64"),
    ("ubuntu-24.04", "acs:ubuntu_24_04_x64"),
];

/// The family on Alibaba Cloud; a name that isn't ours is taken for theirs, or for a
/// family of the account's own.
pub(crate) fn on_alibaba_cloud(name: &str) -> &str {
    FAMILIES
        .iter()
        .find(|(ours, _)| *ours == name)
        .map_or(name, |(_, theirs)| theirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_names_are_translated_and_others_are_left() {
        assert_eq!(on_alibaba_cloud("debian-12"), "acs:debian_12_x64");
        assert_eq!(on_alibaba_cloud("acs:mine"), "acs:mine");
    }
}
