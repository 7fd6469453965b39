//! `on`: what the template says for one cloud only, on top of everything else.

use crate::keys;
use crate::read::{Fields, Reader, join};
use crate::resolve::Cloud;
use crate::section::distribute::{self, DistributeLayer};
use crate::section::image::{self, ImageLayer};
use crate::section::instance::{self, InstanceLayer};
use crate::section::source::{self, Source};
use crate::yaml::Node;

/// What depends on the cloud: the template has one for all clouds and one for each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    pub(crate) source: Option<Source>,
    pub(crate) instance: InstanceLayer,
    pub(crate) image: ImageLayer,
    pub(crate) distribute: DistributeLayer,
}

impl Layer {
    /// This layer with `over` on top of it. A source replaces the whole source,
    /// because a family and an image exclude each other.
    pub(crate) fn overlaid(self, over: Self) -> Self {
        Self {
            source: over.source.or(self.source),
            instance: self.instance.overlaid(over.instance),
            image: self.image.overlaid(over.image),
            distribute: self.distribute.overlaid(over.distribute),
        }
    }
}

/// The overlays of a template, as far as they were asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overlays {
    layers: Vec<(Cloud, Layer)>,
}

impl Overlays {
    /// What the template says for this cloud only.
    pub(crate) fn take(self, cloud: Cloud) -> Layer {
        let found = self.layers.into_iter().find(|(of, _)| *of == cloud);
        found.map(|(_, layer)| layer).unwrap_or_default()
    }
}

/// Reads the overlays of some clouds; the keys of all are checked.
pub(crate) fn read(reader: &Reader, node: &Node, clouds: &[Cloud]) -> Overlays {
    let Some(fields) = reader.fields(node, "on", &keys::ON) else {
        return Overlays::default();
    };
    let layers = clouds.iter().filter_map(|cloud| {
        let node = fields.get(cloud.word())?;
        let layer = overlay(reader, node, &format!("on.{cloud}"))?;
        Some((*cloud, layer))
    });
    Overlays {
        layers: layers.collect(),
    }
}

fn overlay(reader: &Reader, node: &Node, path: &str) -> Option<Layer> {
    let fields = reader.fields(node, path, &keys::OVERLAY)?;
    Some(layer(reader, fields, path))
}

/// The sections that depend on the cloud, at the top (`path` is empty) or in an
/// overlay.
pub(crate) fn layer(reader: &Reader, fields: Fields<'_>, path: &str) -> Layer {
    let at = |key: &str| join(path, key);
    Layer {
        source: fields
            .get("source")
            .and_then(|node| source::read(reader, node, &at("source"))),
        instance: fields
            .get("instance")
            .and_then(|node| instance::read(reader, node, &at("instance")))
            .unwrap_or_default(),
        image: fields
            .get("image")
            .and_then(|node| image::read(reader, node, &at("image")))
            .unwrap_or_default(),
        distribute: fields
            .get("distribute")
            .and_then(|node| distribute::read(reader, node, &at("distribute")))
            .unwrap_or_default(),
    }
}
