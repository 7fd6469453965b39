//! Items about the system as a whole: `GUESTOS.SystemImage`, that it is one;
//! `GUESTOS.SupportMocInstanceTypes`, that its kernel is new enough; and what the image
//! check only states.

use crate::judgement::Judgement;
use crate::tree::Tree;

/// The oldest kernel with the drivers of the bare-metal and MOC families. The vendor
/// publishes no number; 3.10 is the kernel of the oldest distribution whose images it
/// offers for them.
const OLDEST: (u32, u32) = (3, 10);

/// `GUESTOS.SystemImage`: a root file system that a machine can start from, not a data
/// disk, an installer or nothing at all. Nothing can be done about it here.
pub fn image(tree: &Tree) -> Judgement {
    let mut missing = Vec::new();
    if tree.os("ID").is_none() {
        missing.push("no os-release, so it is no Linux system that is known");
    }
    if !tree.has(&[
        "/sbin/init",
        "/usr/sbin/init",
        "/usr/lib/systemd/systemd",
        "/lib/systemd/systemd",
    ]) {
        missing.push("no init");
    }
    if tree.kernels.is_empty() {
        missing.push("no kernel in /boot");
    }
    if !tree.has(&[
        "/boot/grub",
        "/boot/grub2",
        "/boot/loader",
        "/boot/extlinux",
        "/boot/efi/EFI",
    ]) {
        missing.push("no boot loader in /boot");
    }
    if missing.is_empty() {
        Judgement::default()
    } else {
        Judgement::unrepaired(missing.join("; "))
    }
}

/// `GUESTOS.SupportMocInstanceTypes`: every kernel is new enough.
pub fn moc(tree: &Tree) -> Judgement {
    let old: Vec<_> = tree
        .kernels
        .iter()
        .filter(|kernel| number(&kernel.version).is_some_and(|version| version < OLDEST))
        .map(|kernel| kernel.version.clone())
        .collect();
    if old.is_empty() {
        return Judgement::default();
    }
    Judgement::unrepaired(format!(
        "the kernel {} is older than {}.{}; upgrade the operating system",
        old.join(", "),
        OLDEST.0,
        OLDEST.1
    ))
}

/// What the image check states without judging: the item and its value.
pub fn statements(tree: &Tree, architecture: &str) -> Vec<(&'static str, String)> {
    let name = tree.os("PRETTY_NAME").or_else(|| tree.os("ID"));
    let mut statements = vec![("GUESTOS.Platform", "Linux".to_owned())];
    statements.extend(name.map(|name| ("GUESTOS.OSVersion", name)));
    if !architecture.is_empty() {
        statements.push(("GUESTOS.Architecture", architecture.to_owned()));
    }
    if let Some(kernel) = tree.kernels.last() {
        statements.push(("GUESTOS.KernelVersion", kernel.version.clone()));
        let mode = if tree.has(&["/boot/efi/EFI"]) {
            "UEFI"
        } else {
            "LEGACY"
        };
        statements.push(("GUESTOS.BootMode", mode.to_owned()));
    }
    statements
}

/// The first two numbers of a kernel's version.
fn number(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{image, moc, statements};
    use crate::tree::Tree;

    const GOOD: &str = "file 644 root:root 9 /usr/lib/os-release\nID=debian\nthere /sbin/init\n\
        there /boot/grub\nkernel 6.1.0-9-amd64 modules /boot/i\n";

    fn read(said: &str) -> Tree {
        Tree::read(said.as_bytes(), false)
    }

    #[test]
    fn a_system_is_told_from_a_data_disk() {
        assert_eq!(image(&read(GOOD)), super::Judgement::default());
        for (line, why) in [
            ("ID=debian", "no os-release"),
            ("there /sbin/init\n", "no init"),
            ("there /boot/grub\n", "no boot loader in /boot"),
            (
                "kernel 6.1.0-9-amd64 modules /boot/i\n",
                "no kernel in /boot",
            ),
        ] {
            let broken = GOOD.replace(
                line,
                if line.starts_with("ID") {
                    "XD=debian"
                } else {
                    ""
                },
            );
            let found = image(&read(&broken)).unrepaired;
            assert!(found.len() == 1 && found[0].starts_with(why), "{found:?}");
        }
    }

    #[test]
    fn an_old_kernel_is_told_from_a_new_one() {
        assert_eq!(moc(&read(GOOD)), super::Judgement::default());
        assert_eq!(
            moc(&read("kernel 3.10.0-1160.el7 modules \n")),
            super::Judgement::default()
        );
        let old = moc(&read(
            "kernel 2.6.32-754.el6 modules \nkernel 3.2.0 modules \n",
        ));
        assert!(old.unrepaired[0].contains("2.6.32-754.el6, 3.2.0 is older than 3.10"));
    }

    #[test]
    fn the_facts_are_stated() {
        assert_eq!(
            statements(&read(GOOD), "x86_64"),
            [
                ("GUESTOS.Platform", "Linux".to_owned()),
                ("GUESTOS.OSVersion", "debian".to_owned()),
                ("GUESTOS.Architecture", "x86_64".to_owned()),
                ("GUESTOS.KernelVersion", "6.1.0-9-amd64".to_owned()),
                ("GUESTOS.BootMode", "LEGACY".to_owned()),
            ]
        );
    }
}
