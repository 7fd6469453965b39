//! What `files.sh` found out about the files and kernels below the root.
//!
//! Only reads that answer. Paths are those of the machine that is repaired: `/etc/fstab`,
//! wherever its root is mounted.

use std::collections::{BTreeMap, BTreeSet};

/// A file with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its permission bits.
    pub mode: u32,
    /// Its owner as `user:group`.
    pub owner: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl File {
    /// Its content as text; bytes that are none are shown as U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Where a kernel has a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// In itself.
    Builtin,
    /// In its initramfs, before any disk is there.
    Initramfs,
    /// On the disk only.
    Module,
    /// Nowhere.
    None,
}

/// A kernel in `/boot`.
#[derive(Debug, Default)]
pub struct Kernel {
    /// Its version, as `uname -r` says it.
    pub version: String,
    /// Whether its modules are there.
    pub modules: bool,
    /// Its initramfs; empty where there is none.
    pub initramfs: String,
    /// Whether its initramfs could be read.
    pub readable: bool,
    drivers: BTreeMap<String, Driver>,
}

impl Kernel {
    /// Where it has a driver.
    pub fn driver(&self, name: &str) -> Driver {
        self.drivers.get(name).copied().unwrap_or(Driver::None)
    }
}

/// Everything that was found.
#[derive(Debug, Default)]
pub struct Tree {
    /// Files by their paths.
    pub files: BTreeMap<String, File>,
    /// Paths that are symbolic links, which are not followed.
    pub links: BTreeSet<String>,
    /// Kernels, in the order of their names.
    pub kernels: Vec<Kernel>,
    /// Whether the machine runs from this very root.
    pub live: bool,
    there: BTreeSet<String>,
    units: BTreeMap<String, String>,
    enabled: BTreeSet<String>,
    masked: BTreeSet<String>,
}

impl Tree {
    /// Reads the output of `files.sh`; what it doesn't know is passed over.
    pub fn read(output: &[u8], live: bool) -> Self {
        let mut tree = Self {
            live,
            ..Self::default()
        };
        let mut rest = output;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&rest[..end]).into_owned();
            rest = &rest[end + 1..];
            match line.split_once(' ') {
                Some(("file", values)) => {
                    if let Some((path, mut file, length)) = file(values)
                        && length <= rest.len()
                    {
                        file.bytes = rest[..length].to_vec();
                        rest = &rest[(length + 1).min(rest.len())..];
                        tree.files.insert(path, file);
                    }
                }
                Some((word, values)) => tree.take(word, values),
                None => {}
            }
        }
        tree
    }

    fn take(&mut self, word: &str, values: &str) {
        let mut fields = values.split(' ');
        let mut next = || fields.next().unwrap_or_default().to_owned();
        match word {
            "link" => drop(self.links.insert(values.to_owned())),
            "there" => drop(self.there.insert(values.to_owned())),
            "enabled" => drop(self.enabled.insert(values.to_owned())),
            "masked" => drop(self.masked.insert(values.to_owned())),
            "unit" => {
                let unit = next();
                self.units.entry(unit).or_insert_with(next);
            }
            "kernel" => self.kernels.push(Kernel {
                version: next(),
                modules: next() == "modules",
                initramfs: next(),
                readable: true,
                drivers: BTreeMap::new(),
            }),
            "unread" => {
                if let Some(kernel) = self.kernels.last_mut() {
                    kernel.readable = false;
                }
            }
            "driver" => {
                let (version, name, place) = (next(), next(), next());
                let place = match &*place {
                    "builtin" => Driver::Builtin,
                    "initramfs" => Driver::Initramfs,
                    "module" => Driver::Module,
                    _ => Driver::None,
                };
                let kernel = self
                    .kernels
                    .iter_mut()
                    .find(|kernel| kernel.version == version);
                if let Some(kernel) = kernel {
                    kernel.drivers.insert(name, place);
                }
            }
            _ => {}
        }
    }

    /// Whether one of these paths is there.
    pub fn has(&self, paths: &[&str]) -> bool {
        paths.iter().any(|path| self.there.contains(*path))
    }

    /// The folder of a unit's file.
    pub fn unit(&self, name: &str) -> Option<&str> {
        self.units.get(name).map(String::as_str)
    }

    /// Whether a unit is masked.
    pub fn is_masked(&self, name: &str) -> bool {
        self.masked.contains(name)
    }

    /// Whether something wants a unit at boot.
    pub fn is_enabled(&self, name: &str) -> bool {
        self.enabled.contains(name)
    }

    /// The files whose paths begin so.
    pub fn below(&self, folder: &str) -> impl Iterator<Item = (&str, &File)> {
        self.files
            .iter()
            .filter(move |(path, _)| path.starts_with(folder))
            .map(|(path, file)| (&**path, file))
    }

    /// Whether this is a machine without a kernel of its own that runs all the same: a
    /// container. What belongs to kernels, boot loaders and the cloud's agents is its
    /// host's, and is not judged.
    pub fn is_container(&self) -> bool {
        self.live && self.kernels.is_empty()
    }

    /// A value of os-release, such as `ID`.
    pub fn os(&self, name: &str) -> Option<String> {
        let file = self
            .files
            .get("/usr/lib/os-release")
            .or_else(|| self.files.get("/etc/os-release"))?;
        let text = file.text();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        Some(line.trim().trim_matches(['"', '\'']).to_owned())
    }
}

/// `MODE OWNER LENGTH PATH`.
fn file(values: &str) -> Option<(String, File, usize)> {
    let mut fields = values.splitn(4, ' ');
    let mode = u32::from_str_radix(fields.next()?, 8).ok()?;
    let owner = fields.next()?.to_owned();
    let length = fields.next()?.parse().ok()?;
    let file = File {
        mode,
        owner,
        bytes: Vec::new(),
    };
    Some((fields.next()?.to_owned(), file, length))
}

#[cfg(test)]
mod tests {
    use super::{Driver, Tree};

    #[test]
    fn what_files_hold_is_never_read_as_lines() {
        let said =
            b"file 600 root:root 23 /etc/a b\nthere /usr/bin/dnf\n\xff\nhi\nthere /sbin/init\n\
            link /etc/c\nkernel 6.1 modules /boot/initrd.img-6.1\ndriver 6.1 nvme module\n\
            unit aliyun.service /etc/systemd/system\nenabled aliyun.service\nnoise\n";
        // 23 bytes: the line of a file that looks like a fact, then three lines more.
        let tree = Tree::read(said, true);
        assert_eq!(tree.files["/etc/a b"].mode, 0o600);
        assert_eq!(tree.files["/etc/a b"].bytes.len(), 23);
        assert!(!tree.has(&["/usr/bin/dnf"]) && tree.has(&["/sbin/init"]));
        assert_eq!(tree.kernels[0].driver("nvme"), Driver::Module);
        assert_eq!(tree.kernels[0].driver("other"), Driver::None);
        assert!(tree.is_enabled("aliyun.service") && !tree.is_container());
    }

    #[test]
    fn os_release_is_read_with_and_without_quotes() {
        let tree = Tree::read(
            b"file 644 root:root 21 /usr/lib/os-release\nID=\"alinux\"\nNAME=x\nZ\n\n",
            false,
        );
        assert_eq!(tree.os("ID").as_deref(), Some("alinux"));
        assert_eq!(tree.os("NAME").as_deref(), Some("x"));
        assert_eq!(tree.os("VERSION_ID"), None);
    }
}
