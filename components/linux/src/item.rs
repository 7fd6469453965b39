//! The items: what each is called by the vendor's image check and by a template, what it
//! endangers, and which of them a standard repair looks at.
//!
//! The vendor ranks the first five as high. The other ranks are ours: what keeps the
//! machine from booting is high, what keeps the cloud from setting it up is medium.

use darkroom::report::Risk;

/// An item of the image check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name in a template, which is the vendor's repair item where there is one.
    pub name: &'static str,
    /// Its name in the vendor's image check.
    pub vendor: &'static str,
    /// What it endangers.
    pub risk: Risk,
    /// Whether a standard repair looks at it.
    pub standard: bool,
}

const fn item(name: &'static str, vendor: &'static str, risk: Risk, standard: bool) -> Item {
    Item {
        name,
        vendor,
        risk,
        standard,
    }
}

/// All items, in the order in which they are looked at.
pub const ITEMS: [Item; 13] = [
    item("fstab", "GUESTOS.Fstab", Risk::High, true),
    item("grub", "GUESTOS.Grub", Risk::High, true),
    item("dhcp", "GUESTOS.Dhcp", Risk::High, true),
    item("virtio", "GUESTOS.Virtio", Risk::High, true),
    item("nvme", "GUESTOS.Nvme", Risk::High, true),
    item("system-image", "GUESTOS.SystemImage", Risk::High, true),
    item("cloudinit", "GUESTOS.CloudInit", Risk::Medium, true),
    item("growpart", "GUESTOS.OnlineResizeFS", Risk::Medium, true),
    item("assist", "GUESTOS.CloudAssistant", Risk::Medium, true),
    item("rtc", "GUESTOS.RtcTimeMode", Risk::Low, true),
    item("moc", "GUESTOS.SupportMocInstanceTypes", Risk::Low, true),
    item("selinux", "GUESTOS.Selinux", Risk::Medium, false),
    item("aegis", "GUESTOS.SecurityCenterAgent", Risk::Low, false),
];

/// Their names, for the template's schema.
pub const NAMES: [&str; ITEMS.len()] = {
    let mut names = [""; ITEMS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = ITEMS[index].name;
        index += 1;
    }
    names
};
