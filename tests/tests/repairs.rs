//! The repairer `linux`: each item of the image check on a tree with exactly that fault,
//! found by the vendor's name and risk, put right where it can be, and left alone from
//! then on; and healthy trees, which see no write.
//!
//! The trees are folders of an instance, as a broken machine's disk is on the one that
//! repairs it. They go as far as files do: there is no kernel that boots from them, so
//! that a repaired boot loader or initramfs is judged by what is in its files.

use std::collections::BTreeSet;
use std::sync::Arc;

use darkroom_contract::{ItemStatus, Risk, Role};
use darkroom_tests::bench::{Bench, Tried};
use serde_json::{Value, json};

/// Makes a tree in `$1` that is in order: as much of a Debian as the items look at.
const TREE: &str = r#"
set -e
mkdir -p "$1" && cd "$1"
mkdir -p boot/grub etc/cloud/cloud.cfg.d etc/network etc/selinux etc/systemd/system/multi-user.target.wants \
    etc/initramfs-tools lib/modules/6.1.0-9/kernel sbin usr/bin usr/sbin usr/lib/systemd/system-generators \
    usr/lib/systemd/system usr/local/aegis/aegis_client bin dev proc sys
echo 'ID=debian' > usr/lib/os-release
echo 'UUID=11111111-2222-3333-4444-555555555555 / ext4 rw 0 1' > etc/fstab
printf 'search --no-floppy --fs-uuid --set=root 11111111-2222-3333-4444-555555555555\nlinux /boot/vmlinuz-6.1.0-9 root=UUID=11111111-2222-3333-4444-555555555555 ro\n' > boot/grub/grub.cfg
: > boot/vmlinuz-6.1.0-9; : > sbin/init; : > usr/bin/cloud-init; : > usr/bin/growpart; : > usr/sbin/aliyun-service
printf 'kernel/%s.ko\n' virtio_pci virtio_blk virtio_net nvme > lib/modules/6.1.0-9/modules.builtin
printf 'auto eth0\niface eth0 inet dhcp\n' > etc/network/interfaces
printf '0.0 0 0.0\n0\nUTC\n' > etc/adjtime
echo 'SELINUX=disabled' > etc/selinux/config
printf 'datasource_list: [AliYun]\ngrowpart: {mode: auto}\n' > etc/cloud/cloud.cfg
: > usr/lib/systemd/system-generators/cloud-init-generator
: > usr/lib/systemd/system/cloud-init.service
: > etc/systemd/system/aliyun.service
ln -s /etc/systemd/system/aliyun.service etc/systemd/system/multi-user.target.wants/
"#;

/// A shell in the tree, and a tool that makes an initramfs of what it is configured to
/// put in; with drivers that are on the disk only.
const INITRAMFS: &str = r#"
for file in /bin/sh $(ldd /bin/sh | grep -o '/[^ ]*'); do mkdir -p ".${file%/*}"; cp -L "$file" ".$file"; done
cat > tool <<'END'
#!/bin/sh
entry() { printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\000\000' 1 33188 0 0 1 0 0 0 0 0 0 ${#1} 0 "$1"; }
{
    entry init
    for config in /etc/initramfs-tools/modules /etc/dracut.conf.d/*.conf; do
        [ -f "$config" ] || continue
        while read -r first names; do
            case $first in add_drivers*) ;; *) names=$first ;; esac
            for name in $names; do
                case $name in '"' | '') ;; *) entry "lib/modules/6.1.0-9/kernel/$name.ko" ;; esac
            done
        done < "$config"
    done
    entry 'TRAILER!!!'
} > /boot/initrd.img-6.1.0-9
END
chmod 755 tool; chroot . /tool
on_disk() {
    for name; do
        sed -i "/$name/d" lib/modules/6.1.0-9/modules.builtin
        : > "lib/modules/6.1.0-9/kernel/$name.ko"
    done
}
"#;

/// What a fault comes to.
#[derive(Clone, Copy)]
enum Wanted {
    /// It is repaired; the script looks at the result.
    Repaired(&'static str),
    /// It can't be; the message contains this.
    Unrepaired(Risk, &'static str),
}

use Wanted::{Repaired, Unrepaired};

/// An item, how its fault is planted in a tree, and what is wanted.
const FAULTS: [(&str, &str, Wanted); 26] = [
    (
        "GUESTOS.Fstab",
        "echo '/gone none swap sw 0 0' >> etc/fstab",
        Repaired("grep -qx '# darkroom: no such device; was: /gone none swap sw 0 0' etc/fstab"),
    ),
    (
        "GUESTOS.Fstab",
        "mv etc/fstab etc/other && ln -s other etc/fstab",
        Unrepaired(Risk::High, "symbolic link"),
    ),
    (
        "GUESTOS.Grub",
        "sed -i 's/root=UUID=[0-9-]*/root=\\/dev\\/sda1/' boot/grub/grub.cfg",
        Repaired(
            "grep -q ' root=UUID=11111111-2222-3333-4444-555555555555 ro$' boot/grub/grub.cfg",
        ),
    ),
    (
        "GUESTOS.Grub",
        "sed -i 's/11111111/dddddddd/' boot/grub/grub.cfg",
        Repaired("[ \"$(grep -c 11111111-2222 boot/grub/grub.cfg)\" = 2 ]"),
    ),
    (
        "GUESTOS.Grub",
        "echo 'GRUB_DISABLE_LINUX_UUID=true' > etc/default-grub; mkdir etc/default; mv etc/default-grub etc/default/grub",
        Repaired("grep -qx 'GRUB_DISABLE_LINUX_UUID=false' etc/default/grub"),
    ),
    (
        "GUESTOS.Grub",
        "sed -i 's/root=UUID=[0-9-]*/root=\\/dev\\/sda1/' boot/grub/grub.cfg; echo '/dev/mapper/a-b / ext4 rw 0 1' > etc/fstab",
        Unrepaired(Risk::High, "root=/dev/sda1 is a name that changes"),
    ),
    (
        "GUESTOS.Dhcp",
        "printf 'auto eth0\\niface eth0 inet static\\n  address 10.0.0.5/24\\n' > etc/network/interfaces",
        Repaired(
            "grep -qx 'iface eth0 inet dhcp' etc/network/interfaces && ! grep -q '^ *address' etc/network/interfaces",
        ),
    ),
    (
        "GUESTOS.Dhcp",
        "mkdir -p etc/sysconfig/network-scripts; printf 'BOOTPROTO=static\\nIPADDR=10.0.0.5\\n' > etc/sysconfig/network-scripts/ifcfg-eth0",
        Repaired("grep -qx BOOTPROTO=dhcp etc/sysconfig/network-scripts/ifcfg-eth0"),
    ),
    (
        "GUESTOS.Dhcp",
        "mkdir etc/netplan; echo 'network: {version: 2, ethernets: {ens3: {addresses: [10.0.0.5/24]}}}' > etc/netplan/a.yaml; chmod 600 etc/netplan/a.yaml",
        Repaired(
            "grep -qx '      dhcp4: true' etc/netplan/a.yaml && [ $(stat -c %a etc/netplan/a.yaml) = 600 ]",
        ),
    ),
    (
        "GUESTOS.Dhcp",
        "mkdir -p etc/systemd/network; printf '[Network]\\nAddress=10.0.0.5/24\\n' > etc/systemd/network/a.network",
        Repaired("grep -qx DHCP=yes etc/systemd/network/a.network"),
    ),
    (
        "GUESTOS.Dhcp",
        "mkdir -p etc/NetworkManager/system-connections; printf '[ipv4]\\nmethod=manual\\naddress1=10.0.0.5/24\\n' > etc/NetworkManager/system-connections/a.nmconnection",
        Repaired("grep -qx method=auto etc/NetworkManager/system-connections/a.nmconnection"),
    ),
    (
        "GUESTOS.Dhcp",
        "mkdir etc/netplan; echo 'network: {bonds: {b: {addresses: [10.0.0.5/24]}}}' > etc/netplan/a.yaml",
        Unrepaired(Risk::High, "no card"),
    ),
    (
        "GUESTOS.Virtio",
        "initramfs; mv tool usr/sbin/update-initramfs; on_disk virtio_blk",
        Repaired(
            "grep -qx virtio_blk etc/initramfs-tools/modules && grep -qa kernel/virtio_blk.ko boot/initrd.img-6.1.0-9",
        ),
    ),
    (
        "GUESTOS.Virtio",
        "initramfs; on_disk virtio_blk",
        Unrepaired(Risk::High, "neither update-initramfs nor dracut is there"),
    ),
    (
        "GUESTOS.Virtio",
        "initramfs; printf '#!/bin/sh\\nexit 1\\n' > usr/sbin/update-initramfs; chmod 755 usr/sbin/update-initramfs; on_disk virtio_pci",
        Unrepaired(Risk::High, "the initramfs could not be made"),
    ),
    (
        "GUESTOS.Nvme",
        "initramfs; mv tool usr/bin/dracut; on_disk nvme",
        Repaired(
            "grep -q nvme etc/dracut.conf.d/darkroom-drivers.conf && grep -qa kernel/nvme.ko boot/initrd.img-6.1.0-9",
        ),
    ),
    (
        "GUESTOS.Nvme",
        "sed -i /nvme/d lib/modules/6.1.0-9/modules.builtin",
        Unrepaired(Risk::High, "the kernel 6.1.0-9 has no nvme"),
    ),
    (
        "GUESTOS.SystemImage",
        "rm boot/vmlinuz-6.1.0-9",
        Unrepaired(Risk::High, "no kernel in /boot"),
    ),
    (
        "GUESTOS.CloudInit",
        "echo 'datasource_list: [NoCloud]' > etc/cloud/cloud.cfg.d/90.cfg; : > etc/cloud/cloud-init.disabled",
        Repaired(
            "[ ! -e etc/cloud/cloud-init.disabled ] && grep -qx 'datasource_list: \\[AliYun, NoCloud\\]' etc/cloud/cloud.cfg.d/zz-*",
        ),
    ),
    (
        "GUESTOS.CloudInit",
        "rm usr/lib/systemd/system-generators/*; rm -f etc/systemd/system/cloud-init.service",
        Repaired(
            "[ \"$(readlink etc/systemd/system/multi-user.target.wants/cloud-init.service)\" = /usr/lib/systemd/system/cloud-init.service ]",
        ),
    ),
    (
        "GUESTOS.OnlineResizeFS",
        "echo 'growpart: {mode: off}' > etc/cloud/cloud.cfg.d/90.cfg",
        Repaired("grep -qx '  mode: auto' etc/cloud/cloud.cfg.d/zz-*"),
    ),
    (
        "GUESTOS.OnlineResizeFS",
        "rm usr/bin/growpart",
        Unrepaired(Risk::Medium, "growpart is not installed"),
    ),
    (
        "GUESTOS.CloudAssistant",
        "rm etc/systemd/system/multi-user.target.wants/aliyun.service",
        Repaired("[ -L etc/systemd/system/multi-user.target.wants/aliyun.service ]"),
    ),
    (
        "GUESTOS.RtcTimeMode",
        "sed -i s/UTC/LOCAL/ etc/adjtime",
        Repaired("[ \"$(sed -n 3p etc/adjtime)\" = UTC ]"),
    ),
    (
        "GUESTOS.Selinux",
        "echo 'SELINUX=enforcing' > etc/selinux/config",
        Repaired("grep -qx SELINUX=disabled etc/selinux/config"),
    ),
    (
        "GUESTOS.SecurityCenterAgent",
        "rm -r usr/local/aegis",
        Unrepaired(Risk::Low, "not installed"),
    ),
];

/// Faults that take away what another item's tree needs, so that two are found.
const OLD_KERNEL: &str =
    "mv boot/vmlinuz-6.1.0-9 boot/vmlinuz-2.6.32; mv lib/modules/6.1.0-9 lib/modules/2.6.32";

async fn repair(bench: &Bench, with: Value, root: &str) -> Tried {
    let linux = bench.component("linux");
    bench.run(&linux, Role::Repairer, with, root).await.ok()
}

/// Every file of a tree with all that a write would change.
async fn listed(bench: &Bench, root: &str) -> String {
    bench
        .sh(&format!(
            "cd {root} && find . -printf '%p %s %m %U %G %T@ %C@ %l\\n' | LC_ALL=C sort && find . -type f -exec sha256sum {{}} + | sort"
        ))
        .await
}

/// Plants one fault, repairs the tree, and repairs it again.
async fn plant(bench: Arc<Bench>, index: usize, fault: (&'static str, &'static str, Wanted)) {
    let (vendor, plant, wanted) = fault;
    let root = format!("/var/tmp/fault-{index}");
    let script = format!(
        "cp -a /var/tmp/healthy {root} && cd {root} || exit 1\ninitramfs() {{\n:\n{INITRAMFS}\n}}\nset -e\n{plant}"
    );
    bench.sh(&script).await;
    let all = json!({ "mode": "all" });
    let before = listed(&bench, &root).await;
    let tried = repair(&bench, all.clone(), &root).await;
    let found = tried.found();
    assert_eq!(found.len(), 1, "{plant}: {found:#?}");
    let (status, message) = tried.item(vendor);
    match wanted {
        Repaired(look) => {
            assert_eq!(status, ItemStatus::Repaired, "{plant}: {message}");
            bench.sh(&format!("cd {root} && {look}")).await;
            let mended = listed(&bench, &root).await;
            assert_ne!(mended, before);
            let again = repair(&bench, all, &root).await;
            assert_eq!(again.found().len(), 0, "{plant}: {:#?}", again.found());
            assert_eq!(again.steps.len(), 2, "a second repair only looks");
            assert_eq!(listed(&bench, &root).await, mended);
        }
        Unrepaired(risk, why) => {
            assert_eq!(status, ItemStatus::Unrepaired(risk), "{plant}");
            assert!(message.contains(why), "{plant}: {message}");
            let after = listed(&bench, &root).await;
            let (was, is): (BTreeSet<_>, BTreeSet<_>) =
                (before.lines().collect(), after.lines().collect());
            let files: Vec<_> = was
                .symmetric_difference(&is)
                .filter(|line| !line.contains("etc/initramfs-tools"))
                .collect();
            assert!(files.is_empty(), "{plant}: {files:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_found_by_name_and_risk_and_repaired_where_it_can_be() {
    let Some(bench) = Bench::boot().await else {
        return;
    };
    bench.sh(&format!("set -- /var/tmp/healthy\n{TREE}")).await;

    // A tree in order: every item is intact, and nothing at all is written.
    let before = listed(&bench, "/var/tmp/healthy").await;
    let tried = repair(&bench, json!({ "mode": "all" }), "/var/tmp/healthy").await;
    assert_eq!(
        (tried.found().len(), tried.report.items.len()),
        (0, 13),
        "{:#?}",
        tried.report.items
    );
    assert_eq!(tried.steps.len(), 2);
    assert_eq!(listed(&bench, "/var/tmp/healthy").await, before);
    let said: Vec<_> = tried
        .report
        .messages
        .iter()
        .map(|message| &*message.text)
        .collect();
    assert!(said.contains(&"GUESTOS.KernelVersion: 6.1.0-9"), "{said:?}");

    let bench = Arc::new(bench);
    let mut plants = tokio::task::JoinSet::new();
    for (index, fault) in FAULTS.into_iter().enumerate() {
        plants.spawn(plant(Arc::clone(&bench), index, fault));
    }
    while let Some(planted) = plants.join_next().await {
        planted.unwrap();
    }

    // An old kernel, whose modules are old too; and a repair of one item looks at no other.
    let root = "/var/tmp/old";
    bench.sh(&format!("cp -a /var/tmp/healthy {root} && cd {root} && {OLD_KERNEL}; rm usr/bin/cloud-init usr/sbin/aliyun-service; echo LOCAL > etc/adjtime")).await;
    let tried = repair(&bench, json!({ "items": ["moc"] }), root).await;
    let (status, message) = tried.item("GUESTOS.SupportMocInstanceTypes");
    assert_eq!(
        (status, tried.report.items.len()),
        (ItemStatus::Unrepaired(Risk::Low), 1)
    );
    assert!(message.contains("2.6.32"), "{message}");
    let tried = repair(&bench, json!({ "items": ["cloudinit", "assist"] }), root).await;
    for vendor in ["GUESTOS.CloudInit", "GUESTOS.CloudAssistant"] {
        assert_eq!(tried.item(vendor).0, ItemStatus::Unrepaired(Risk::Medium));
    }
}

/// Every file of the machine itself, without change times: those of the base's files
/// change whenever another instance begins to share them.
const MACHINE: &str = r#"own=''
for path in /dev /proc /run /sys /var/log /var/lib/systemd /etc/machine-id /etc/resolv.conf; do
  own="$own -path $path -prune -o"
done
find / -xdev $own -printf '%p %s %m %U %T@\n' | LC_ALL=C sort; find /etc /root /boot -xdev -type f -exec sha256sum {} +"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_running_machine_is_repaired_like_a_disk_and_left_alone_when_healthy() {
    let Some(bench) = Bench::boot().await else {
        return;
    };
    let standard = json!({});
    let before = bench.sh(MACHINE).await;
    let tried = repair(&bench, standard.clone(), "/").await;
    assert_eq!((tried.found().len(), tried.steps.len()), (0, 2));
    let names: Vec<_> = tried.report.items.iter().map(|item| &*item.name).collect();
    assert_eq!(
        names,
        [
            "GUESTOS.Fstab",
            "GUESTOS.Grub",
            "GUESTOS.Dhcp",
            "GUESTOS.RtcTimeMode"
        ]
    );
    let after = bench.sh(MACHINE).await;
    let (was, is): (BTreeSet<_>, BTreeSet<_>) = (before.lines().collect(), after.lines().collect());
    assert_eq!(
        was.symmetric_difference(&is).take(9).collect::<Vec<_>>(),
        [&""; 0]
    );

    // Files of the machine itself; and with a kernel of its own it is no container any
    // more, so that cloud-init is missed and its package installed.
    let faults = r#"
mkdir -p /etc/network /data /lib/modules/6.1.0-9 /boot/grub /usr/local/aegis/aegis_client
echo 'UUID=0f0f0f0f-dead-beef-0000-000000000000 /data ext4 defaults 0 2' >> /etc/fstab
printf 'iface eth0 inet static\n address 10.0.0.5\n' > /etc/network/interfaces
printf '0\n0\nLOCAL\n' > /etc/adjtime
: > /boot/vmlinuz-6.1.0-9
printf 'kernel/%s.ko\n' virtio_pci virtio_blk virtio_net nvme > /lib/modules/6.1.0-9/modules.builtin
: > /usr/bin/growpart; : > /usr/sbin/aliyun-service
cat > /usr/local/bin/apt-get <<'END'
#!/bin/sh
case "$*" in update*) ;; *cloud-init) : > /usr/bin/cloud-init; : > /usr/lib/systemd/system-generators/cloud-init-generator ;; *) exit 1 ;; esac
END
chmod 755 /usr/local/bin/apt-get
"#;
    bench.sh(faults).await;
    let tried = repair(&bench, standard.clone(), "/").await;
    let found: Vec<_> = tried
        .found()
        .into_iter()
        .map(|item| (&*item.name, item.status))
        .collect();
    let repaired = ItemStatus::Repaired;
    assert_eq!(
        found,
        [
            ("GUESTOS.Fstab", repaired),
            ("GUESTOS.Dhcp", repaired),
            ("GUESTOS.CloudInit", repaired),
            (
                "GUESTOS.OnlineResizeFS",
                ItemStatus::Unrepaired(Risk::Medium)
            ),
            ("GUESTOS.RtcTimeMode", repaired),
        ],
        "{:#?}",
        tried.found()
    );
    bench
        .sh("grep -q ' /data ext4 defaults,nofail 0 2$' /etc/fstab && grep -qx 'iface eth0 inet dhcp' /etc/network/interfaces && [ $(sed -n 3p /etc/adjtime) = UTC ]")
        .await;
    let again = repair(&bench, standard, "/").await;
    assert_eq!(
        (again.found().len(), again.steps.len()),
        (0, 2),
        "{:#?}",
        again.found()
    );
}

/// Debian's own kernel with an initramfs that lacks the drivers of the boot disk, on a root
/// that is also reached as a disk's would be.
const KERNEL: &str = r"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q && apt-get install -y -q --no-install-recommends linux-image-cloud-amd64 initramfs-tools || exit 1
sed -i 's/^MODULES=.*/MODULES=list/' /etc/initramfs-tools/initramfs.conf
update-initramfs -u && mkdir /mnt/disk && mount --bind / /mnt/disk
";

/// The same, made by dracut.
const DRACUT: &str = r#"
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -q --no-install-recommends dracut || exit 1
echo 'omit_drivers+=" virtio_blk "' > /etc/dracut.conf.d/omit.conf
dracut --force "/boot/initrd.img-$(ls /lib/modules)" "$(ls /lib/modules)"
rm /etc/dracut.conf.d/omit.conf
"#;

/// What stands in for tools in the trees above is itself tried here: the real tools.
#[tokio::test(flavor = "multi_thread")]
async fn the_initramfs_of_a_real_kernel_gets_its_drivers() {
    if std::env::var_os("DARKROOM_LONG").is_none() {
        println!("long tier: the initramfs of a real kernel");
        return;
    }
    let Some(bench) = Bench::boot_with(100).await else {
        return;
    };
    let items = json!({ "items": ["virtio", "nvme"] });
    for (plant, driver) in [(KERNEL, "virtio_pci, virtio_blk"), (DRACUT, "virtio_blk")] {
        // Its output is long, and a package's installation takes longer than a minute.
        bench
            .sh(&format!(
                "{{ {plant}\n}} > /root/log 2>&1 || {{ tail /root/log; exit 1; }}"
            ))
            .await;
        let tried = repair(&bench, items.clone(), "/mnt/disk").await;
        let (status, message) = tried.item("GUESTOS.Virtio");
        assert_eq!(status, ItemStatus::Repaired, "{message}");
        assert!(
            message.starts_with(&format!("{driver} put into /boot/")),
            "{message}"
        );
        let again = repair(&bench, items.clone(), "/").await;
        assert_eq!((again.found().len(), again.steps.len()), (0, 2));
    }
}
