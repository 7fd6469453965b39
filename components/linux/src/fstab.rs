//! The item `GUESTOS.Fstab`: entries of `/etc/fstab` whose device is not there.
//!
//! systemd waits a minute and a half for such a device and then gives up the boot, so an
//! image with one never gets as far as its network. Entries that can't stop a boot are
//! left alone: `noauto`, `nofail`, network and pseudo file systems, bind mounts.
//!
//! Where the machine sees other devices, the entry is commented out. Where it sees none at
//! all, as in a container, an entry that isn't mounted there now gets `nofail`, so that it
//! still works on a machine that has the device. Lines that are in order stay as they are,
//! byte for byte.

use crate::devices::{Facts, Presence, decode_octal};
use crate::judgement::{Change, Judgement};
use crate::tree::{File, Tree};

/// The file.
const PATH: &str = "/etc/fstab";

/// One entry.
struct Entry<'a> {
    spec: &'a str,
    point: String,
    kind: &'a str,
    options: &'a str,
    rest: Vec<&'a str>,
}

/// What is to be done about one entry.
enum Fix {
    Nothing,
    CommentOut,
    AddNofail,
    /// The root's device is named anew.
    Rename(String),
    /// Wrong, and nothing better is known.
    Unrepaired,
}

/// Judges the fstab of a tree whose root is mounted at `root`.
pub fn judge(tree: &Tree, facts: &Facts, root: &str) -> Judgement {
    if tree.links.contains(PATH) {
        return Judgement::unrepaired("/etc/fstab is a symbolic link, which was not followed");
    }
    let Some(file) = tree.files.get(PATH) else {
        return Judgement::default();
    };
    let (text, mut judgement) = judge_lines(&file.bytes, facts, tree.live, root);
    if !judgement.repaired.is_empty() {
        judgement.changes.push(Change::Write {
            path: PATH.to_owned(),
            file: File {
                bytes: text,
                ..file.clone()
            },
        });
    }
    judgement
}

/// The text as it should be, and what was found in it. `live` says that the machine runs
/// from this very file system.
fn judge_lines(fstab: &[u8], facts: &Facts, live: bool, root: &str) -> (Vec<u8>, Judgement) {
    let mut judgement = Judgement::default();
    let mut text = Vec::with_capacity(fstab.len());
    for line in fstab.split_inclusive(|byte| *byte == b'\n') {
        let readable = String::from_utf8_lossy(line);
        let Some(entry) = entry(&readable) else {
            text.extend_from_slice(line);
            continue;
        };
        let name = format!("{} on {}", entry.spec, entry.point);
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        match fix(&entry, facts, live, root) {
            Fix::Nothing => text.extend_from_slice(line),
            Fix::Unrepaired => {
                text.extend_from_slice(line);
                judgement
                    .unrepaired
                    .push(format!("{name}: no such device, and none is known instead"));
            }
            Fix::CommentOut => {
                comment(&mut text, "no such device", bare);
                judgement
                    .repaired
                    .push(format!("{name}: no such device, commented out"));
            }
            Fix::AddNofail => {
                comment(&mut text, "no such device, nofail was added", bare);
                text.extend_from_slice(
                    entry
                        .with_options(&format!("{},nofail", entry.options))
                        .as_bytes(),
                );
                judgement
                    .repaired
                    .push(format!("{name}: no such device here, nofail added"));
            }
            Fix::Rename(spec) => {
                comment(&mut text, "no such device, the root's own was put in", bare);
                text.extend_from_slice(
                    Entry {
                        spec: &spec,
                        ..entry
                    }
                    .with_options(entry.options)
                    .as_bytes(),
                );
                judgement
                    .repaired
                    .push(format!("{name}: no such device, now {spec}"));
            }
        }
    }
    (text, judgement)
}

/// The original line as a comment that says why.
fn comment(text: &mut Vec<u8>, why: &str, line: &[u8]) {
    text.extend_from_slice(format!("# darkroom: {why}; was: ").as_bytes());
    text.extend_from_slice(line);
    text.push(b'\n');
}

/// The entry of a line; none for comments, empty lines and what mount would ignore too.
fn entry(line: &str) -> Option<Entry<'_>> {
    let mut fields = line.split_whitespace();
    let spec = fields.next().filter(|spec| !spec.starts_with('#'))?;
    let (point, kind) = (decode_octal(fields.next()?), fields.next()?);
    let options = fields.next().unwrap_or("defaults");
    Some(Entry {
        spec,
        point,
        kind,
        options,
        rest: fields.collect(),
    })
}

impl Entry<'_> {
    /// The line of this entry with these options.
    fn with_options(&self, options: &str) -> String {
        let point = self
            .point
            .replace('\\', "\\134")
            .replace(' ', "\\040")
            .replace('\t', "\\011");
        let mut line = format!("{} {point} {} {options}", self.spec, self.kind);
        for field in &self.rest {
            line.push(' ');
            line.push_str(field);
        }
        line.push('\n');
        line
    }

    fn has(&self, options: &[&str]) -> bool {
        self.options
            .split(',')
            .any(|option| options.contains(&option))
    }

    /// Whether a missing device can't stop a boot, or there is no device to be missed.
    fn is_harmless(&self) -> bool {
        const NETWORK: [&str; 12] = [
            "nfs",
            "nfs4",
            "cifs",
            "smb3",
            "smbfs",
            "ceph",
            "glusterfs",
            "9p",
            "virtiofs",
            "afs",
            "ncpfs",
            "davfs",
        ];
        let is_device =
            self.spec.starts_with('/') && !self.spec.starts_with("//") || self.spec.contains('=');
        !is_device
            || self.spec.contains(':')
            || NETWORK.contains(&self.kind)
            || self.kind.starts_with("fuse.")
            || self.has(&[
                "noauto",
                "nofail",
                "bind",
                "rbind",
                "_netdev",
                "x-systemd.automount",
            ])
            || matches!(
                self.kind,
                "proc"
                    | "sysfs"
                    | "tmpfs"
                    | "devpts"
                    | "devtmpfs"
                    | "cgroup"
                    | "cgroup2"
                    | "overlay"
            )
    }
}

fn fix(entry: &Entry<'_>, facts: &Facts, live: bool, root: &str) -> Fix {
    if entry.is_harmless() {
        return Fix::Nothing;
    }
    let is_root = entry.point == "/";
    match facts.presence(&decode_octal(entry.spec)) {
        Presence::Present => Fix::Nothing,
        // What is mounted there now proves that the entry does its work.
        _ if live && !is_root && facts.is_mounted(&entry.point) => Fix::Nothing,
        Presence::Absent if is_root => facts.uuid_of(root).map_or(Fix::Unrepaired, Fix::Rename),
        Presence::Absent => Fix::CommentOut,
        // A container: it runs from this root, whatever its device is.
        Presence::Unknown if is_root => Fix::Nothing,
        Presence::Unknown if live => Fix::AddNofail,
        Presence::Unknown => Fix::Unrepaired,
    }
}

#[cfg(test)]
mod tests {
    use super::judge_lines;
    use crate::devices::Facts;
    use crate::judgement::Judgement;

    /// What was found, and the new text where something was repaired.
    #[derive(Debug, Default, PartialEq)]
    struct Found {
        text: Option<Vec<u8>>,
        judgement: Judgement,
    }

    fn judge(fstab: &[u8], facts: &Facts, live: bool, root: &str) -> Found {
        let (text, judgement) = judge_lines(fstab, facts, live, root);
        Found {
            text: (!judgement.repaired.is_empty()).then_some(text),
            judgement,
        }
    }

    const DEVICES: &str = "node /dev/vda1\nnode /dev/disk/by-uuid/aaaa-1\nnode /dev/disk/by-label/my\\x20data\n\
        tag DEVNAME=/dev/vda1\ntag UUID=aaaa-1\ntag TYPE=ext4\ntag DEVNAME=/dev/vda15\ntag UUID=BBBB\n\
        file /swapfile\nmount / ext4 /dev/vda1 rw\nmount /boot/efi vfat /dev/vda15 rw\n";
    const CONTAINER: &str =
        "mount / overlay overlay rw\nmount /proc proc proc rw\nmount /seen ext4 x rw\n";
    const GOOD: &str = "# UNCONFIGURED FSTAB FOR BASE SYSTEM\n\nUUID=aaaa-1 / ext4 rw,discard 0 1\n\
        UUID=bbbb\t/boot/efi\tvfat defaults 0 1\nLABEL=my\\040data /x ext4 defaults 0 2\n\
        /swapfile none swap sw 0 0\n/dev/vda1 /again ext4 defaults\nproc /proc proc defaults 0 0\n\
        tmpfs /tmp tmpfs size=1g 0 0\nhost:/export /nfs nfs defaults 0 0\n//host/share /cifs cifs x 0 0\n\
        UUID=gone /a ext4 nofail 0 0\nUUID=gone /b ext4 noauto,x 0 0\n/home /c none bind 0 0\nbroken line\n";

    fn on(devices: &str, fstab: &str) -> Found {
        judge(fstab.as_bytes(), &Facts::read(devices), true, "/")
    }

    fn text(judgement: &Found) -> &str {
        std::str::from_utf8(judgement.text.as_deref().unwrap_or_default()).unwrap()
    }

    #[test]
    fn what_is_in_order_is_left_alone() {
        assert_eq!(on(DEVICES, GOOD), Found::default());
        assert_eq!(
            on(CONTAINER, "# UNCONFIGURED FSTAB FOR BASE SYSTEM\n"),
            Found::default()
        );
        assert_eq!(on(CONTAINER, ""), Found::default());
        assert_eq!(
            on(
                CONTAINER,
                "UUID=aaaa-1 / ext4 rw 0 1\nUUID=c /seen ext4 rw 0 1\n"
            ),
            Found::default()
        );
    }

    #[test]
    fn a_label_with_a_blank_is_found() {
        assert_eq!(
            on(DEVICES, "LABEL=my\\040data /x ext4 defaults 0 2\n"),
            Found::default()
        );
    }

    #[test]
    fn a_missing_device_is_commented_out() {
        for line in [
            "UUID=dead-beef /data ext4 defaults 0 2",
            "/dev/vdb1 /data ext4 defaults 0 2",
            "LABEL=none /data xfs defaults",
            "PARTUUID=1 /data xfs defaults",
            "/swapfile2 none swap sw 0 0",
            "UUID=dead none swap sw 0 0",
        ] {
            let judgement = on(DEVICES, &format!("{GOOD}{line}\n# end"));
            assert_eq!(
                text(&judgement),
                format!("{GOOD}# darkroom: no such device; was: {line}\n# end")
            );
            assert_eq!(
                (
                    judgement.judgement.repaired.len(),
                    judgement.judgement.unrepaired.len()
                ),
                (1, 0)
            );
            assert_eq!(
                on(DEVICES, text(&judgement)),
                Found::default(),
                "a second look finds nothing"
            );
        }
    }

    #[test]
    fn without_any_device_nofail_is_added() {
        let judgement = on(CONTAINER, "UUID=dead /my\\040data ext4 defaults 0 2");
        assert_eq!(
            text(&judgement),
            "# darkroom: no such device, nofail was added; was: UUID=dead /my\\040data ext4 defaults 0 2\n\
             UUID=dead /my\\040data ext4 defaults,nofail 0 2\n"
        );
        assert_eq!(on(CONTAINER, text(&judgement)), Found::default());
    }

    #[test]
    fn a_wrong_root_is_named_anew_where_its_device_is_known() {
        let judgement = on(DEVICES, "UUID=dead / ext4 rw 0 1\n");
        assert!(text(&judgement).ends_with("\nUUID=aaaa-1 / ext4 rw 0 1\n"));
        let unknown = DEVICES.replace("mount / ext4 /dev/vda1", "mount / ext4 /dev/root");
        let judgement = on(&unknown, "UUID=dead / ext4 rw 0 1\n");
        assert_eq!(
            (
                judgement.text.is_none(),
                judgement.judgement.unrepaired.len()
            ),
            (true, 1)
        );
    }

    #[test]
    fn a_disk_of_another_machine_is_judged_by_its_devices_alone() {
        let facts = Facts::read(&format!("{DEVICES}mount /mnt/disk ext4 /dev/vda15 rw\n"));
        let on_disk = |fstab: &str| judge(fstab.as_bytes(), &facts, false, "/mnt/disk");
        assert_eq!(on_disk("UUID=bbbb / ext4 rw 0 1\n"), Found::default());
        let judgement = on_disk("UUID=dead / ext4 rw 0 1\nUUID=dead /boot/efi vfat rw 0 1\n");
        assert!(text(&judgement).contains("\nUUID=BBBB / ext4 rw 0 1\n"));
        assert!(
            text(&judgement).contains("was: UUID=dead /boot/efi"),
            "what is mounted here proves nothing there"
        );
        let blind = judge(
            b"UUID=dead /data ext4 rw 0 1\n",
            &Facts::default(),
            false,
            "/mnt/disk",
        );
        assert_eq!(
            (blind.text.is_none(), blind.judgement.unrepaired.len()),
            (true, 1)
        );
    }

    #[test]
    fn bytes_that_are_no_text_survive() {
        let fstab = b"# \xff\xfe\nUUID=dead /d\xff ext4 defaults 0 2\n";
        let judgement = judge(fstab, &Facts::read(DEVICES), true, "/");
        let expected =
            b"# \xff\xfe\n# darkroom: no such device; was: UUID=dead /d\xff ext4 defaults 0 2\n";
        assert_eq!(judgement.text.as_deref(), Some(&expected[..]));
    }
}
