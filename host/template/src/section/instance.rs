//! `instance`: the intermediate instances that a build runs on.

use crate::keys;
use crate::read::{Reader, join};
use crate::resolved::DataDisk;
use crate::rules;
use crate::span::Spanned;
use crate::yaml::{Data, Node};

/// ECS attaches this many data disks to an instance.
pub(crate) const MOST_DISKS: usize = 16;

/// What the bandwidth to the internet may be, in Mbit/s.
pub(crate) const INTERNET_MBITS: (u32, u32) = (0, 100);

/// What the size of a system disk may be, in GiB.
pub(crate) const SYSTEM_DISK_GIB: (u32, u32) = (1, 2048);

/// What the size of a data disk may be, in GiB. The smallest depends on the category,
/// which the cloud judges.
pub(crate) const DATA_DISK_GIB: (u32, u32) = (1, 65_536);

/// What a template or an overlay says about instances.
#[derive(Clone, Debug, Default)]
pub(crate) struct InstanceLayer {
    pub(crate) types: Option<Vec<Spanned<String>>>,
    pub(crate) internet: Option<Spanned<u32>>,
    pub(crate) vswitch: Option<Spanned<String>>,
    pub(crate) security_group: Option<Spanned<String>>,
    pub(crate) disk: Option<Spanned<u32>>,
    pub(crate) spot: Option<Spanned<bool>>,
    pub(crate) disks: Option<Vec<DataDisk>>,
}

impl InstanceLayer {
    /// This layer with `over` on top of it. A list replaces the whole list.
    pub(crate) fn overlaid(self, over: Self) -> Self {
        Self {
            types: over.types.or(self.types),
            internet: over.internet.or(self.internet),
            vswitch: over.vswitch.or(self.vswitch),
            security_group: over.security_group.or(self.security_group),
            disk: over.disk.or(self.disk),
            spot: over.spot.or(self.spot),
            disks: over.disks.or(self.disks),
        }
    }
}

pub(crate) fn read(reader: &Reader, node: &Node, path: &str) -> Option<InstanceLayer> {
    let fields = reader.fields(node, path, &keys::INSTANCE)?;
    let text = |key: &str, what: &str, rule: fn(&str) -> Result<(), String>| {
        let text = reader.text(fields.get(key)?, &format!("{path}.{key}"))?;
        reader.obey(&text, what, rule)?;
        Some(text)
    };
    let number = |key: &str, (low, high), unit: &str| {
        reader.integer(fields.get(key)?, &format!("{path}.{key}"), low, high, unit)
    };
    Some(InstanceLayer {
        types: fields
            .get("type")
            .and_then(|node| types(reader, node, &format!("{path}.type"))),
        internet: number("internet", INTERNET_MBITS, " (Mbit/s)"),
        vswitch: text("vswitch", "a vSwitch id", rules::vswitch),
        security_group: text(
            "security-group",
            "a security group id",
            rules::security_group,
        ),
        disk: number("disk", SYSTEM_DISK_GIB, " (GiB)"),
        spot: fields
            .get("spot")
            .and_then(|node| reader.boolean(node, &format!("{path}.spot"))),
        disks: fields
            .get("disks")
            .and_then(|node| disks(reader, node, &format!("{path}.disks"))),
    })
}

/// One type, or several in the order in which they are tried.
fn types(reader: &Reader, node: &Node, path: &str) -> Option<Vec<Spanned<String>>> {
    let nodes = match &node.data {
        Data::List(items) if items.is_empty() => {
            let mistake = reader.mistake(node.span, format!("`{path}` names no type"));
            let help = "write `ecs.g7.large`, or remove it to take what is cheapest";
            reader.note(mistake.help(help));
            return None;
        }
        Data::List(items) => items.as_slice(),
        Data::Scalar(_) | Data::Map(_) => std::slice::from_ref(node),
    };
    let mut types: Vec<Spanned<String>> = Vec::new();
    for node in nodes {
        let Some(text) = reader.text(node, path) else {
            continue;
        };
        if types.iter().any(|earlier| earlier.value == text.value) {
            let mistake = reader.mistake(text.span, format!("`{text}` is in `{path}` twice"));
            reader.note(mistake.label("the second one").help("remove it"));
        } else if reader
            .obey(&text, "an instance type", rules::instance_type)
            .is_some()
        {
            types.push(text);
        }
    }
    Some(types)
}

fn disks(reader: &Reader, node: &Node, path: &str) -> Option<Vec<DataDisk>> {
    let nodes = reader.list(node, path, "disk")?;
    if let Some(extra) = nodes.get(MOST_DISKS) {
        let message = format!("an instance has {MOST_DISKS} data disks at most");
        let mistake = reader.mistake(extra.span, message).label("one too many");
        reader.note(mistake.help("use fewer and larger ones; ECS attaches no more"));
    }
    let disks = nodes
        .iter()
        .enumerate()
        .filter_map(|(index, node)| disk(reader, node, &format!("{path}[{index}]")));
    Some(disks.collect())
}

fn disk(reader: &Reader, node: &Node, path: &str) -> Option<DataDisk> {
    if let Data::Scalar(leaf) = &node.data
        && leaf.value.is_i64()
    {
        let message = format!("`{path}` must be a mapping, not {}", node.kind());
        let help = format!("write `{{ size: {} }}`", leaf.text);
        reader.note(reader.mistake(node.span, message).help(help));
        return None;
    }
    let fields = reader.fields(node, path, &keys::DISK)?;
    let text = |key: &str, what: &str, rule: fn(&str) -> Result<(), String>| {
        let text = reader.text(fields.get(key)?, &join(path, key))?;
        reader.obey(&text, what, rule)?;
        Some(text)
    };
    let category = text("category", "the category of a disk", rules::disk_category);
    let snapshot = text("snapshot", "a snapshot id", rules::snapshot_id);
    let Some(size) = fields.get("size") else {
        let mistake = reader.mistake(node.span, format!("`{path}` has no `size`"));
        reader.note(mistake.help("add its size in GiB, such as `size: 20`"));
        return None;
    };
    let (low, high) = DATA_DISK_GIB;
    let size = reader.integer(size, &join(path, "size"), low, high, " (GiB)")?;
    Some(DataDisk {
        size,
        category,
        snapshot,
        span: node.span,
    })
}
