//! `instance`: the intermediate instances that a build runs on.

use crate::keys;
use crate::read::Reader;
use crate::rules;
use crate::span::Spanned;
use crate::yaml::Node;

/// What a template or an overlay says about instances.
#[derive(Clone, Debug, Default)]
pub(crate) struct InstanceLayer {
    pub(crate) instance_type: Option<Spanned<String>>,
    pub(crate) internet: Option<Spanned<u32>>,
    pub(crate) vswitch: Option<Spanned<String>>,
    pub(crate) security_group: Option<Spanned<String>>,
    pub(crate) disk: Option<Spanned<u32>>,
    pub(crate) spot: Option<Spanned<bool>>,
}

impl InstanceLayer {
    /// This layer with `over` on top of it.
    pub(crate) fn overlaid(self, over: Self) -> Self {
        Self {
            instance_type: over.instance_type.or(self.instance_type),
            internet: over.internet.or(self.internet),
            vswitch: over.vswitch.or(self.vswitch),
            security_group: over.security_group.or(self.security_group),
            disk: over.disk.or(self.disk),
            spot: over.spot.or(self.spot),
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
    let number = |key: &str, low, high, unit: &str| {
        reader.integer(fields.get(key)?, &format!("{path}.{key}"), low, high, unit)
    };
    Some(InstanceLayer {
        instance_type: text("type", "an instance type", rules::instance_type),
        internet: number("internet", 0, 100, " (Mbit/s)"),
        vswitch: text("vswitch", "a vSwitch id", rules::vswitch),
        security_group: text(
            "security-group",
            "a security group id",
            rules::security_group,
        ),
        disk: number("disk", 1, 2048, " (GiB)"),
        spot: fields
            .get("spot")
            .and_then(|node| reader.boolean(node, &format!("{path}.spot"))),
    })
}
