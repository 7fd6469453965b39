//! The item `GUESTOS.Grub`: a boot loader that looks for the root where it is not.
//!
//! Two faults, in every file that a kernel's command line or GRUB's search for it can come
//! from. A UUID that no device has stops the boot in the initramfs. A device's name such as
//! `/dev/sda1` is another one in the cloud, where disks are called `/dev/vda`. Both are
//! replaced by the root's own UUID, which is known from its mount or from fstab. Names
//! below `/dev/mapper` and labels are kept where nothing is known against them.
//!
//! Only the words in question are changed. GRUB's environment block keeps its length, which
//! GRUB insists on.

use crate::devices::{Facts, Presence, decode_octal};
use crate::judgement::Judgement;
use crate::settings::replaced;
use crate::tree::Tree;

/// Bytes of an environment block.
const BLOCK: usize = 1024;

/// The devices that may be named.
struct Own {
    /// The root's UUID; none where it isn't known.
    root: Option<String>,
    /// That of the file system with the kernels.
    boot: Option<String>,
}

/// Judges all files of the boot loader.
pub fn judge(tree: &Tree, facts: &Facts, root: &str) -> Judgement {
    let fstab = |point: &str| from_fstab(tree, facts, point);
    let mounted = |point: &str| uuid(facts.uuid_of(&at(root, point)));
    let root_uuid = mounted("/").or_else(|| fstab("/"));
    let own = Own {
        boot: mounted("/boot")
            .or_else(|| fstab("/boot"))
            .or_else(|| root_uuid.clone()),
        root: root_uuid,
    };
    let mut judgement = Judgement::default();
    for (path, file) in &tree.files {
        let is_block = path.ends_with("/grubenv");
        if !is_block && !is_ours(path) {
            continue;
        }
        let text = file.text();
        let mut words = Words {
            own: &own,
            facts,
            repaired: Vec::new(),
            unrepaired: Vec::new(),
        };
        let new = replaced(&text, |line| words.line(path, line));
        judgement.unrepaired.extend(
            words
                .unrepaired
                .iter()
                .map(|word| format!("{path}: {word}, and the root's own UUID is not known")),
        );
        let new = new.map(|text| if is_block { block(&text) } else { Some(text) });
        match new {
            Some(Some(text)) => {
                words.repaired.dedup();
                judgement.write(
                    path,
                    file,
                    text,
                    format!("{path}: {}", words.repaired.join(", ")),
                );
            }
            Some(None) => judgement
                .unrepaired
                .push(format!("{path}: what it should say does not fit into it")),
            None => {}
        }
    }
    judgement
}

/// Whether a kernel's command line can come from this file.
fn is_ours(path: &str) -> bool {
    path.ends_with("/grub.cfg")
        || path.starts_with("/etc/default/grub")
        || path.starts_with("/boot/loader/entries/")
        || [
            "/etc/kernel/cmdline",
            "/boot/grub/menu.lst",
            "/boot/grub/grub.conf",
        ]
        .contains(&path)
}

/// A path of the machine as this one has it.
fn at(root: &str, path: &str) -> String {
    let root = root.trim_end_matches('/');
    match path {
        "/" if root.is_empty() => "/".to_owned(),
        "/" => root.to_owned(),
        _ => format!("{root}{path}"),
    }
}

fn uuid(spec: Option<String>) -> Option<String> {
    let spec = spec?;
    Some(spec.strip_prefix("UUID=")?.trim_matches('"').to_owned())
}

/// The UUID of a mount point in fstab, unless its device is known to be absent.
fn from_fstab(tree: &Tree, facts: &Facts, point: &str) -> Option<String> {
    let text = tree.files.get("/etc/fstab")?.text();
    let spec = text.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let spec = fields.next().filter(|spec| !spec.starts_with('#'))?;
        (decode_octal(fields.next()?) == point).then(|| spec.to_owned())
    })?;
    (facts.presence(&spec) != Presence::Absent).then(|| uuid(Some(spec)))?
}

/// The words of one file, and what was found in them.
struct Words<'a> {
    own: &'a Own,
    facts: &'a Facts,
    repaired: Vec<String>,
    unrepaired: Vec<String>,
}

impl Words<'_> {
    /// A better line, where there is one.
    fn line(&mut self, path: &str, line: &str) -> Option<String> {
        let trimmed = line.trim_start();
        if trimmed.starts_with('#') {
            return None;
        }
        if path.starts_with("/etc/default/grub") {
            for name in ["GRUB_DISABLE_LINUX_UUID", "GRUB_DISABLE_UUID"] {
                if let Some(value) = trimmed
                    .strip_prefix(name)
                    .and_then(|rest| rest.strip_prefix('='))
                    && value.trim_matches(['"', '\'']) == "true"
                {
                    self.repaired
                        .push(format!("{name} made device names of UUIDs"));
                    return Some(format!("{name}=false"));
                }
            }
        }
        let mut search = trimmed.starts_with("search") && trimmed.contains("fs");
        let mut new = String::with_capacity(line.len());
        // Words with the blanks and quotes around them.
        for piece in line.split_inclusive([' ', '\t', '"', '\'']) {
            let word = piece.trim_end_matches([' ', '\t', '"', '\'']);
            // In an environment block the first word follows its variable's name.
            let name = if word.starts_with("kernelopts=") {
                "kernelopts=root="
            } else {
                "root="
            };
            let better = if let Some(spec) = word.strip_prefix(name) {
                self.root(spec).map(|spec| format!("{name}{spec}"))
            } else if search && is_uuid(word) {
                search = false;
                self.search(word)
            } else {
                None
            };
            match better {
                Some(better) => {
                    new.push_str(&better);
                    new.push_str(&piece[word.len()..]);
                }
                None => new.push_str(piece),
            }
        }
        (new != line).then_some(new)
    }

    /// A better root for a kernel.
    fn root(&mut self, spec: &str) -> Option<String> {
        // A variable of GRUB's own, and GRUB's names of its own root.
        if spec.contains('$') || spec.starts_with('(') || spec.is_empty() {
            return None;
        }
        let is_own = |own: &String| {
            spec.strip_prefix("UUID=")
                .is_some_and(|uuid| uuid.eq_ignore_ascii_case(own))
        };
        if self.own.root.as_ref().is_some_and(is_own) {
            return None;
        }
        let why = if is_device_name(spec) {
            "is a name that changes"
        } else {
            let is_tag = spec.contains('=') || spec.starts_with("/dev/");
            match self.facts.presence(spec) {
                Presence::Absent if is_tag => "is no device",
                // Nothing is seen here; fstab knows better all the same.
                Presence::Unknown if spec.starts_with("UUID=") && self.own.root.is_some() => {
                    "is not fstab's root"
                }
                _ => return None,
            }
        };
        let Some(own) = &self.own.root else {
            self.unrepaired.push(format!("root={spec} {why}"));
            return None;
        };
        self.repaired
            .push(format!("root={spec} {why}, now UUID={own}"));
        Some(format!("UUID={own}"))
    }

    /// A better UUID for GRUB's search for its files.
    fn search(&mut self, uuid: &str) -> Option<String> {
        let known = [&self.own.root, &self.own.boot];
        if known
            .into_iter()
            .flatten()
            .any(|own| own.eq_ignore_ascii_case(uuid))
        {
            return None;
        }
        if self.facts.presence(&format!("UUID={uuid}")) == Presence::Present {
            return None;
        }
        let Some(own) = &self.own.boot else {
            if self.facts.presence(&format!("UUID={uuid}")) == Presence::Absent {
                self.unrepaired
                    .push(format!("the search for {uuid} finds no device"));
            }
            return None;
        };
        self.repaired
            .push(format!("the search for {uuid} finds nothing, now {own}"));
        Some(own.clone())
    }
}

/// `/dev/sda1` and the like, whose letters depend on the machine.
fn is_device_name(spec: &str) -> bool {
    let Some(name) = spec.strip_prefix("/dev/") else {
        return false;
    };
    ["sd", "hd", "vd", "xvd"].iter().any(|kind| {
        name.strip_prefix(kind).is_some_and(|rest| {
            let letters = rest.trim_end_matches(|digit: char| digit.is_ascii_digit());
            !letters.is_empty() && letters.chars().all(|letter| letter.is_ascii_lowercase())
        })
    }) || name.starts_with("nvme")
}

/// A UUID of a file system: of ext4 and xfs, or the short ones of vfat.
fn is_uuid(word: &str) -> bool {
    let parts: Vec<_> = word.split('-').map(str::len).collect();
    [&[8, 4, 4, 4, 12][..], &[4, 4][..]].contains(&&*parts)
        && word
            .chars()
            .all(|digit| digit == '-' || digit.is_ascii_hexdigit())
}

/// An environment block of the right length; none where the text doesn't fit into one.
fn block(text: &str) -> Option<String> {
    let text = text.trim_end_matches('#');
    (text.len() <= BLOCK).then(|| format!("{text}{}", "#".repeat(BLOCK - text.len())))
}

#[cfg(test)]
mod tests {
    use super::{block, is_device_name, is_uuid, judge};
    use crate::devices::Facts;
    use crate::judgement::Judgement;
    use crate::testing::{tree, written};

    const UUID: &str = "11111111-2222-3333-4444-555555555555";
    const WRONG: &str = "dddddddd-2222-3333-4444-555555555555";
    const FSTAB: &str = "UUID=11111111-2222-3333-4444-555555555555 / ext4 rw 0 1\n";

    fn on(devices: &str, fstab: &str, path: &str, text: &str) -> Judgement {
        judge(
            &tree(&[("/etc/fstab", fstab), (path, text)]),
            &Facts::read(devices),
            "/mnt",
        )
    }

    fn config(root: &str, search: &str) -> String {
        format!(
            "# root=/dev/sda1\nset root='hd0,msdos1'\nsearch --no-floppy --fs-uuid --set=root --hint-bios=hd0 {search}\n\
             \tlinux\t/boot/vmlinuz-6.1 root={root} ro quiet\n\tlinux /x root=$kernelopts\n"
        )
    }

    #[test]
    fn what_is_in_order_is_left_alone() {
        for (path, text) in [
            ("/boot/grub/grub.cfg", config(&format!("UUID={UUID}"), UUID)),
            ("/boot/grub/grub.cfg", config("LABEL=root", UUID)),
            ("/boot/grub2/grub.cfg", config("/dev/mapper/vg-root", UUID)),
            (
                "/etc/default/grub",
                "GRUB_CMDLINE_LINUX=\"console=ttyS0\"\nGRUB_DISABLE_RECOVERY=\"true\"\n".into(),
            ),
        ] {
            assert_eq!(on("", FSTAB, path, &text), Judgement::default(), "{text}");
            assert_eq!(on("", "", path, &text), Judgement::default(), "{text}");
        }
    }

    #[test]
    fn device_names_and_wrong_uuids_become_the_roots_own() {
        let good = config(&format!("UUID={UUID}"), UUID);
        for root in [
            "/dev/sda1",
            "/dev/xvda1",
            "/dev/nvme0n1p1",
            &format!("UUID={WRONG}"),
        ] {
            for search in [UUID, WRONG] {
                let judgement = on("", FSTAB, "/boot/grub/grub.cfg", &config(root, search));
                assert_eq!(
                    written(&judgement),
                    [("/boot/grub/grub.cfg", &*good)],
                    "{root}"
                );
                assert_eq!(
                    on("", FSTAB, "/boot/grub/grub.cfg", &good),
                    Judgement::default()
                );
            }
        }
    }

    #[test]
    fn every_file_of_a_command_line_is_looked_at() {
        for (path, text) in [
            (
                "/etc/default/grub",
                "GRUB_CMDLINE_LINUX=\"root=/dev/sda1 quiet\"\n",
            ),
            ("/etc/kernel/cmdline", "root=/dev/sda1 quiet"),
            (
                "/boot/loader/entries/a.conf",
                "title A\noptions root=/dev/sda1 ro\n",
            ),
            ("/boot/grub/menu.lst", "kernel /vmlinuz root=/dev/sda1\n"),
        ] {
            let wanted = text.replace("/dev/sda1", &format!("UUID={UUID}"));
            assert_eq!(written(&on("", FSTAB, path, text)), [(path, &*wanted)]);
        }
        let names = on(
            "",
            FSTAB,
            "/etc/default/grub",
            "GRUB_DISABLE_LINUX_UUID=\"true\"\n",
        );
        assert_eq!(
            written(&names),
            [("/etc/default/grub", "GRUB_DISABLE_LINUX_UUID=false\n")]
        );
    }

    #[test]
    fn an_environment_block_keeps_its_length() {
        let text = "# GRUB Environment Block\nkernelopts=root=/dev/sda1 ro\n";
        let full = block(text).unwrap();
        assert_eq!(full.len(), 1024);
        let judgement = on("", FSTAB, "/boot/grub2/grubenv", &full);
        let (_, new) = written(&judgement)[0];
        assert_eq!(new.len(), 1024);
        assert!(new.contains(&format!("\nkernelopts=root=UUID={UUID} ro\n#")));
        assert_eq!(block(&"x".repeat(1025)), None);
    }

    #[test]
    fn the_mounted_device_knows_better_than_fstab() {
        let devices = format!(
            "node /dev/vdb1\ntag DEVNAME=/dev/vdb1\ntag UUID={UUID}\nmount /mnt ext4 /dev/vdb1 rw\n"
        );
        let wrong = format!("UUID={WRONG} / ext4 rw 0 1\n");
        let judgement = on(
            &devices,
            &wrong,
            "/boot/grub/grub.cfg",
            &config(&format!("UUID={WRONG}"), WRONG),
        );
        assert_eq!(
            written(&judgement)[0].1,
            config(&format!("UUID={UUID}"), UUID)
        );
    }

    #[test]
    fn without_a_uuid_it_stays_wrong_and_says_so() {
        let judgement = on(
            "",
            "/dev/sda1 / ext4 rw 0 1\n",
            "/boot/grub/grub.cfg",
            &config("/dev/sda1", UUID),
        );
        assert_eq!(
            (judgement.changes.len(), judgement.unrepaired.len()),
            (0, 1)
        );
    }

    #[test]
    fn names_and_uuids_are_known() {
        for (spec, is) in [
            ("/dev/sda1", true),
            ("/dev/vdb", true),
            ("/dev/sdaa3", true),
            ("/dev/mapper/a", false),
            ("/dev/vg/root", false),
            ("/dev/disk/by-id/x", false),
            ("LABEL=sda", false),
        ] {
            assert_eq!(is_device_name(spec), is, "{spec}");
        }
        assert!(
            is_uuid(UUID)
                && is_uuid("ABCD-1234")
                && !is_uuid("hd0-msdos1")
                && !is_uuid("--fs-uuid")
        );
    }
}
