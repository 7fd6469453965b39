//! What `look.sh` found out about a machine's devices and mounts.
//!
//! Only reads that answer; what follows from it is decided in `fstab`.

/// The facts.
#[derive(Debug, Default)]
pub struct Facts {
    /// Block devices and links to them: `/dev/vda1`, `/dev/disk/by-uuid/...`.
    nodes: Vec<String>,
    /// What blkid says of each device: name and value, `DEVNAME` first.
    tags: Vec<(String, String)>,
    /// Files below the root that fstab names.
    files: Vec<String>,
    /// Mount points with their sources.
    mounts: Vec<(String, String)>,
}

/// Whether a device of an entry is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    Present,
    /// It is not, and the machine sees others of its kind.
    Absent,
    /// It is not seen, but neither is any other: the machine can't tell.
    Unknown,
}

impl Facts {
    /// Reads the output of `look.sh`; lines that it doesn't know are passed over.
    pub fn read(output: &str) -> Self {
        let mut facts = Self::default();
        for line in output.lines() {
            let Some((word, value)) = line.split_once(' ') else {
                continue;
            };
            match word {
                "node" => facts.nodes.push(unescape(value)),
                "file" => facts.files.push(decode_octal(value)),
                "tag" => {
                    if let Some((name, value)) = value.split_once('=') {
                        facts.tags.push((name.to_owned(), value.replace('\\', "")));
                    }
                }
                "mount" => facts.mounts.extend(mount(value)),
                _ => {}
            }
        }
        facts
    }

    /// Whether the device that an entry names is there: `UUID=...` and the like, a path
    /// below `/dev`, or a file.
    pub fn presence(&self, spec: &str) -> Presence {
        let (seen, others) = match spec.split_once('=') {
            Some((name, value)) => self.tagged(name, value.trim_matches('"')),
            None if spec.starts_with("/dev/") => (
                self.nodes.iter().any(|node| node == spec),
                !self.nodes.is_empty(),
            ),
            None => (self.files.iter().any(|file| file == spec), true),
        };
        match (seen, others) {
            (true, _) => Presence::Present,
            (false, true) => Presence::Absent,
            (false, false) => Presence::Unknown,
        }
    }

    /// Whether a device has this tag, and whether any device has a UUID at all.
    fn tagged(&self, name: &str, value: &str) -> (bool, bool) {
        let folder = match name {
            "UUID" => "/dev/disk/by-uuid/",
            "LABEL" => "/dev/disk/by-label/",
            "PARTUUID" => "/dev/disk/by-partuuid/",
            "PARTLABEL" => "/dev/disk/by-partlabel/",
            _ => "/dev/disk/by-id/",
        };
        let linked = self
            .nodes
            .iter()
            .filter_map(|node| node.strip_prefix(folder));
        let probed = self
            .tags
            .iter()
            .filter(|(tag, _)| tag == name)
            .map(|(_, value)| &**value);
        let seen = linked
            .chain(probed)
            .any(|known| known.eq_ignore_ascii_case(value));
        let others = self.tags.iter().any(|(tag, _)| tag == "UUID")
            || self
                .nodes
                .iter()
                .any(|node| node.starts_with("/dev/disk/by-uuid/"));
        (seen, others)
    }

    /// Whether something is mounted there.
    pub fn is_mounted(&self, point: &str) -> bool {
        self.mounts.iter().any(|(mounted, _)| mounted == point)
    }

    /// The UUID of the device that is mounted there, as `UUID=...`.
    pub fn uuid_of(&self, point: &str) -> Option<String> {
        let (_, source) = self
            .mounts
            .iter()
            .rev()
            .find(|(mounted, _)| mounted == point)?;
        let start = self
            .tags
            .iter()
            .position(|(name, value)| name == "DEVNAME" && value == source)?;
        self.tags[start + 1..]
            .iter()
            .take_while(|(name, _)| name != "DEVNAME")
            .find_map(|(name, value)| (name == "UUID").then(|| format!("UUID={value}")))
    }
}

/// `POINT TYPE SOURCE ...`, with blanks escaped as `\040`.
fn mount(value: &str) -> Option<(String, String)> {
    let mut fields = value.split(' ');
    let (point, _kind, source) = (fields.next()?, fields.next()?, fields.next()?);
    Some((decode_octal(point), decode_octal(source)))
}

/// Decodes `\040` and the like, as fstab and mountinfo write blanks.
pub fn decode_octal(text: &str) -> String {
    decode(text, "\\", 8)
}

/// Decodes `\x20` and the like, as udev writes labels.
fn unescape(text: &str) -> String {
    decode(text, "\\x", 16)
}

/// Replaces each `prefix` with two (radix 16) or three (radix 8) digits by its byte.
fn decode(text: &str, prefix: &str, radix: u32) -> String {
    let digits = if radix == 16 { 2 } else { 3 };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(prefix) {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let code = rest.get(at + prefix.len()..at + prefix.len() + digits);
        let byte = code.and_then(|code| u8::from_str_radix(code, radix).ok());
        let length = if let Some(byte) = byte {
            bytes.push(byte);
            prefix.len() + digits
        } else {
            bytes.extend_from_slice(prefix.as_bytes());
            prefix.len()
        };
        rest = &rest[at + length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}
