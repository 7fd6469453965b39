//! The items `GUESTOS.Virtio` and `GUESTOS.Nvme`: a kernel that can't drive the cloud's
//! disks at boot.
//!
//! A driver of the boot disk must be in the kernel or in its initramfs: on the disk it is
//! behind the very thing that it drives. An installer that looked at the hardware it ran
//! on left it out. The repair names the drivers in the configuration of the tool that
//! makes the initramfs, and lets it make one; `initramfs.sh` does both or neither.

use crate::judgement::{Change, Judgement};
use crate::tree::{Driver, Kernel, Tree};

/// `GUESTOS.Virtio`: disk and bus before the root is mounted, the network after.
pub fn virtio(tree: &Tree) -> Judgement {
    judge(tree, &["virtio_pci", "virtio_blk"], &["virtio_net"])
}

/// `GUESTOS.Nvme`: the disks of newer instance families.
pub fn nvme(tree: &Tree) -> Judgement {
    judge(tree, &["nvme"], &[])
}

/// `early` drivers must be there before the root is mounted, `late` ones at all.
fn judge(tree: &Tree, early: &[&'static str], late: &[&'static str]) -> Judgement {
    let mut judgement = Judgement::default();
    for kernel in &tree.kernels {
        judgement.add(judge_kernel(kernel, early, late));
    }
    judgement
}

fn judge_kernel(kernel: &Kernel, early: &[&'static str], late: &[&'static str]) -> Judgement {
    let version = &kernel.version;
    if !kernel.modules {
        return Judgement::unrepaired(format!(
            "the kernel {version} has no modules below /lib/modules"
        ));
    }
    let is = |name: &&&str, wanted: Driver| kernel.driver(name) == wanted;
    let absent: Vec<_> = early
        .iter()
        .chain(late)
        .filter(|name| is(name, Driver::None))
        .copied()
        .collect();
    if !absent.is_empty() {
        return Judgement::unrepaired(format!(
            "the kernel {version} has no {}; install another kernel",
            absent.join(", ")
        ));
    }
    let missing: Vec<_> = early
        .iter()
        .filter(|name| is(name, Driver::Module))
        .copied()
        .collect();
    if missing.is_empty() {
        return Judgement::default();
    }
    let names = missing.join(", ");
    if kernel.initramfs.is_empty() {
        return Judgement::unrepaired(format!(
            "the kernel {version} needs {names} at boot and has no initramfs that holds it"
        ));
    }
    if !kernel.readable {
        return Judgement::unrepaired(format!(
            "whether {} holds {names} can't be told: this machine can't unpack it",
            kernel.initramfs
        ));
    }
    Judgement {
        repaired: vec![format!("{names} put into {}", kernel.initramfs)],
        changes: vec![Change::Drivers {
            version: version.clone(),
            initramfs: kernel.initramfs.clone(),
            names: missing,
        }],
        unrepaired: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{nvme, virtio};
    use crate::judgement::Change;
    use crate::tree::Tree;

    fn kernel(drivers: &str) -> Tree {
        let names = ["virtio_pci", "virtio_blk", "virtio_net", "nvme"];
        let lines = names
            .iter()
            .zip(drivers.split(' '))
            .map(|(name, place)| format!("driver 6.1 {name} {place}\n"));
        let said = ["kernel 6.1 modules /boot/initrd.img-6.1\n".to_owned()]
            .into_iter()
            .chain(lines)
            .collect::<Vec<_>>()
            .concat();
        Tree::read(said.as_bytes(), false)
    }

    #[test]
    fn drivers_in_time_are_in_order() {
        for drivers in [
            "builtin builtin builtin builtin",
            "initramfs initramfs module initramfs",
            "builtin initramfs initramfs builtin",
        ] {
            assert_eq!(virtio(&kernel(drivers)), super::Judgement::default());
            assert_eq!(nvme(&kernel(drivers)), super::Judgement::default());
        }
        assert_eq!(virtio(&Tree::default()), super::Judgement::default());
    }

    #[test]
    fn drivers_on_the_disk_only_are_put_into_the_initramfs() {
        let tree = kernel("builtin module module module");
        let change = |names: &[&'static str]| Change::Drivers {
            version: "6.1".into(),
            initramfs: "/boot/initrd.img-6.1".into(),
            names: names.to_vec(),
        };
        assert_eq!(virtio(&tree).changes, [change(&["virtio_blk"])]);
        assert_eq!(nvme(&tree).changes, [change(&["nvme"])]);
    }

    #[test]
    fn what_can_not_be_repaired_says_why() {
        assert!(
            nvme(&kernel("builtin builtin builtin none")).unrepaired[0].contains("has no nvme")
        );
        let blind = Tree::read(
            b"kernel 6.1 modules /boot/i\nunread 6.1\ndriver 6.1 nvme module\n",
            false,
        );
        assert!(nvme(&blind).unrepaired[0].contains("can't be told"));
        let bare = Tree::read(b"kernel 6.1 modules \ndriver 6.1 nvme module\n", false);
        assert!(nvme(&bare).unrepaired[0].contains("no initramfs"));
        let gone = Tree::read(b"kernel 6.1 none \n", false);
        assert!(nvme(&gone).unrepaired[0].contains("no modules"));
    }
}
