//! The repairer as a whole, and its scripts run on root file systems in folders.

use super::Linux;
use super::item::{ITEMS, NAMES};
use darkroom::testing::{Answer, Item, Machine, Run};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const DEVICES: &str = "look at devices and mounts";
const FILES: &str = "look at files and kernels";
const CONTAINER: &str = "mount / overlay overlay rw\n";

/// What `files.sh` would say of these files.
fn said(files: &[(&str, &str)]) -> String {
    let files = files.iter();
    let files =
        files.map(|(path, text)| format!("file 640 root:disk {} {path}\n{text}\n", text.len()));
    files.collect::<Vec<_>>().concat()
}

fn repair(files: &[(&str, &str)]) -> Run {
    Machine::debian()
        .answer(DEVICES, Answer::output(CONTAINER))
        .answer(FILES, Answer::output(said(files)))
        .repair::<Linux>()
}

fn intact(run: &Run) -> Vec<&str> {
    let items = run.items.iter().filter_map(|item| match item {
        Item::Intact(name) => Some(&**name),
        _ => None,
    });
    items.collect()
}

#[test]
fn items_are_named_once_and_the_vendors_five_are_high() {
    assert_eq!(NAMES.iter().collect::<BTreeSet<_>>().len(), NAMES.len());
    let high = ITEMS.iter().filter(|item| item.risk.as_str() == "high");
    assert_eq!(
        high.map(|item| item.name).collect::<Vec<_>>(),
        ["fstab", "grub", "dhcp", "virtio", "nvme", "system-image"]
    );
}

#[test]
fn a_healthy_container_is_only_looked_at() {
    for files in [
        &[][..],
        &[("/etc/fstab", "# UNCONFIGURED FSTAB FOR BASE SYSTEM\n")],
        &[
            ("/etc/fstab", "UUID=a / ext4 rw 0 1\n"),
            ("/etc/adjtime", "0\n0\nUTC\n"),
        ],
    ] {
        let run = repair(files);
        assert_eq!(
            (run.result.clone(), run.names()),
            (Ok(()), vec![DEVICES, FILES])
        );
        assert_eq!(
            intact(&run),
            [
                "GUESTOS.Fstab",
                "GUESTOS.Grub",
                "GUESTOS.Dhcp",
                "GUESTOS.RtcTimeMode"
            ]
        );
        assert_eq!((run.items.len(), run.planned), (4, 2));
        assert!(
            run.messages
                .iter()
                .any(|(_, text)| text.contains("GUESTOS.Virtio, "))
        );
    }
}

#[test]
fn a_planted_fault_is_repaired_and_reported() {
    let run = repair(&[("/etc/fstab", "# kept\nUUID=dead /data ext4 defaults 0 2\n")]);
    let step = run.step("repair /etc/fstab");
    assert_eq!(
        (step.path(), step.mode, step.owner.as_deref()),
        (Some("/etc/fstab"), Some(0o640), Some("root:disk"))
    );
    assert!(step.text().unwrap().starts_with("# kept\n# darkroom: "));
    assert!(
        step.text()
            .unwrap()
            .ends_with("\nUUID=dead /data ext4 defaults,nofail 0 2\n")
    );
    let message = "UUID=dead on /data: no such device here, nofail added";
    assert_eq!(
        run.items[0],
        Item::Repaired("GUESTOS.Fstab".into(), message.into())
    );
}

#[test]
fn what_can_not_be_repaired_is_reported_with_its_risk() {
    let link = Machine::debian().answer(FILES, Answer::output("link /etc/fstab\n"));
    let run = link.repair::<Linux>();
    assert!(
        matches!(&run.items[0], Item::Unrepaired(name, risk, _) if name == "GUESTOS.Fstab" && risk == "high")
    );
    assert_eq!(run.steps.len(), 2);
    let disk = Machine::debian().root("/mnt").repair::<Linux>();
    let wrong: Vec<_> = disk
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Unrepaired(name, risk, _) => Some((&**name, &**risk)),
            _ => None,
        })
        .collect();
    assert_eq!(
        wrong,
        [
            ("GUESTOS.SystemImage", "high"),
            ("GUESTOS.CloudInit", "medium"),
            ("GUESTOS.OnlineResizeFS", "medium"),
            ("GUESTOS.CloudAssistant", "medium"),
        ]
    );
}

#[test]
fn modes_and_names_choose_the_items() {
    let disk = Machine::debian().root("/mnt");
    let looked = |machine: Machine| machine.repair::<Linux>().items.len();
    assert_eq!(looked(disk.clone()), ITEMS.len() - 2);
    assert_eq!(looked(disk.clone().argument("mode", "all")), ITEMS.len());
    for item in ITEMS {
        let run = disk
            .clone()
            .argument("items", [item.name])
            .repair::<Linux>();
        let (Item::Intact(name) | Item::Repaired(name, _) | Item::Unrepaired(name, ..)) =
            &run.items[0];
        assert_eq!((run.items.len(), &**name), (1, item.vendor));
    }
}

const KERNEL: &str = "kernel 6.1 modules /boot/i\ndriver 6.1 virtio_pci builtin\ndriver 6.1 virtio_blk module\n\
    driver 6.1 virtio_net module\n";

#[test]
fn an_attempt_counts_only_where_a_second_look_agrees() {
    let machine = Machine::debian()
        .argument("items", ["virtio"])
        .answer(FILES, Answer::output(KERNEL));
    let put = "put drivers into /boot/i";
    let mended = KERNEL.replace("virtio_blk module", "virtio_blk initramfs");
    let run = machine
        .clone()
        .answer("look again", Answer::output(mended))
        .repair::<Linux>();
    assert_eq!(run.step(put).arguments, ["virtio_blk"]);
    assert!(
        matches!(&run.items[0], Item::Repaired(name, _) if name == "GUESTOS.Virtio"),
        "{:?}",
        run.items
    );
    let run = machine
        .clone()
        .answer("look again", Answer::output(KERNEL))
        .repair::<Linux>();
    let wanted = "virtio_blk put into /boot/i: what was done did not help";
    assert!(
        matches!(&run.items[0], Item::Unrepaired(_, risk, why) if risk == "high" && why == wanted)
    );
    let failed = Answer::exit(1).with_output("noise\nthe initramfs could not be made\n");
    let run = machine
        .answer(put, failed)
        .answer("look again", Answer::output(KERNEL))
        .repair::<Linux>();
    let wanted = "virtio_blk put into /boot/i: the initramfs could not be made";
    assert!(
        matches!(&run.items[0], Item::Unrepaired(_, _, why) if why == wanted),
        "{:?}",
        run.items
    );
}

/// Runs both looks on a root for real, and the repairer on what they say.
fn real(root: &Path, items: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::debian().root(root.to_str().unwrap());
    let declared = machine.repair::<Linux>();
    let machine = [DEVICES, FILES].iter().fold(machine, |machine, look| {
        let outcome = declared.step(look).run(folder.path(), folder.path());
        assert_eq!(outcome.exit_code, 0, "{}", outcome.output);
        machine.answer(look, Answer::output(outcome.output))
    });
    let items = items
        .iter()
        .map(|item| (*item).to_owned())
        .collect::<Vec<_>>();
    machine.argument("items", items).repair::<Linux>()
}

#[test]
fn another_root_is_honoured_and_the_scripts_write_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a b;$(touch pwned)'");
    fs::create_dir_all(root.join("etc")).unwrap();
    let fstab = "/swapfile none swap sw 0 0\n/gone none swap sw 0 0";
    fs::write(root.join("etc/fstab"), fstab).unwrap();
    fs::write(root.join("swapfile"), "").unwrap();
    let run = real(&root, &["fstab"]);
    let step = run.step("repair /etc/fstab");
    assert_eq!(step.path(), root.join("etc/fstab").to_str());
    assert_eq!(
        step.text(),
        Some(
            "/swapfile none swap sw 0 0\n# darkroom: no such device; was: /gone none swap sw 0 0\n"
        )
    );
    let names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, [root.file_name().unwrap()]);
}

#[test]
fn links_that_lead_out_of_the_root_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("adjtime"), "0\n0\nLOCAL\n").unwrap();
    fs::write(outside.join("interfaces"), "iface eth0 inet static\n").unwrap();
    std::os::unix::fs::symlink(&outside, root.join("etc/network")).unwrap();
    std::os::unix::fs::symlink(outside.join("adjtime"), root.join("etc/adjtime")).unwrap();
    let run = real(&root, &["dhcp", "rtc"]);
    assert_eq!(run.steps.len(), 2, "{:?}", run.names());
}

/// A file of an archive of cpio, as the kernel unpacks it.
fn entry(name: &str, content: &str) -> Vec<u8> {
    let mut bytes = format!(
        "070701{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}",
        1,
        0o100_644,
        0,
        0,
        1,
        0,
        content.len(),
        0,
        0,
        0,
        0,
        name.len() + 1,
        0
    )
    .into_bytes();
    for part in [format!("{name}\0"), content.to_owned()] {
        bytes.extend(part.into_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

#[test]
fn an_initramfs_is_read_through_its_early_archive_and_its_compression() {
    let folder = tempfile::tempdir().unwrap();
    let boot = folder.path().join("boot");
    let modules = folder.path().join("lib/modules/6.1/kernel");
    fs::create_dir_all(&boot).unwrap();
    fs::create_dir_all(&modules).unwrap();
    fs::write(boot.join("vmlinuz-6.1"), "").unwrap();
    for name in ["virtio_blk", "virtio_net", "nvme"] {
        fs::write(modules.join(format!("{name}.ko.xz")), "").unwrap();
    }
    fs::write(
        modules.parent().unwrap().join("modules.builtin"),
        "kernel/drivers/virtio/virtio_pci.ko\n",
    )
    .unwrap();
    // What a list says is no file.
    let order = "kernel/drivers/nvme/host/nvme.ko\n";
    let mut early = [
        entry("kernel/x86/microcode", "code"),
        entry("TRAILER!!!", ""),
    ]
    .concat();
    early.resize(early.len().next_multiple_of(512), 0);
    let main = [
        entry("init", "#!/bin/sh"),
        entry("lib/modules/6.1/modules.order", order),
        entry(
            "lib/modules/6.1/kernel/drivers/block/virtio_blk.ko.xz",
            "module",
        ),
        entry("TRAILER!!!", ""),
    ]
    .concat();
    for program in ["cat", "gzip", "xz", "zstd"] {
        let plain = folder.path().join("plain");
        fs::write(&plain, &main).unwrap();
        let mut packer = std::process::Command::new(program);
        if program != "cat" {
            packer.arg("-c");
        }
        let Ok(packed) = packer.arg(&plain).output() else {
            println!("not run: {program} is not installed");
            continue;
        };
        fs::write(
            boot.join("initrd.img-6.1"),
            [early.clone(), packed.stdout].concat(),
        )
        .unwrap();
        fs::remove_file(plain).unwrap();
        let run = real(folder.path(), &["virtio", "nvme"]);
        assert_eq!(
            run.items[0],
            Item::Intact("GUESTOS.Virtio".into()),
            "{program}"
        );
        assert_eq!(
            run.step("put drivers into /boot/initrd.img-6.1").arguments,
            ["nvme"],
            "{program}"
        );
    }
}
