//! `image`: how the finished image is named and described.

use crate::keys;
use crate::read::Reader;
use crate::rules;
use crate::span::Spanned;
use crate::yaml::Node;

/// What a template or an overlay says about the finished image.
#[derive(Clone, Debug, Default)]
pub(crate) struct ImageLayer {
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) family: Option<Spanned<String>>,
    pub(crate) description: Option<Spanned<String>>,
    pub(crate) tags: Vec<(String, Spanned<String>)>,
}

impl ImageLayer {
    /// This layer with `over` on top of it. Tags are merged one by one.
    pub(crate) fn overlaid(mut self, over: Self) -> Self {
        for (key, value) in over.tags {
            match self.tags.iter_mut().find(|(found, _)| *found == key) {
                Some((_, found)) => *found = value,
                None => self.tags.push((key, value)),
            }
        }
        Self {
            name: over.name.or(self.name),
            family: over.family.or(self.family),
            description: over.description.or(self.description),
            tags: self.tags,
        }
    }
}

pub(crate) fn read(reader: &Reader, node: &Node, path: &str) -> Option<ImageLayer> {
    let fields = reader.fields(node, path, &keys::IMAGE)?;
    let text = |key: &str, what: &str, rule: fn(&str) -> Result<(), String>| {
        let text = reader.text(fields.get(key)?, &format!("{path}.{key}"))?;
        reader.obey(&text, what, rule)?;
        Some(text)
    };
    Some(ImageLayer {
        name: text("name", "an image name", rules::image_name),
        family: text("family", "an image family", rules::image_name),
        description: text("description", "a description", rules::description),
        tags: fields
            .get("tags")
            .and_then(|node| tags(reader, node, &format!("{path}.tags")))
            .unwrap_or_default(),
    })
}

fn tags(reader: &Reader, node: &Node, path: &str) -> Option<Vec<(String, Spanned<String>)>> {
    let entries = reader.map(node, path)?;
    if entries.len() > rules::MOST_TAGS {
        let message = format!(
            "an image can have {} tags, not {}",
            rules::MOST_TAGS,
            entries.len()
        );
        let mistake = reader.mistake(node.span, message).label("too many");
        reader.note(mistake.help("remove some; ECS allows 20, and Darkroom needs a few itself"));
    }
    let mut tags = Vec::new();
    for (key, value) in entries {
        let key = Spanned::new(key.text.clone(), key.span);
        let good = reader.obey(&key, "the key of a tag", rules::tag_key);
        let value = reader
            .written(value, &format!("{path}.{key}"))
            .filter(|value| {
                reader
                    .obey(value, "the value of a tag", rules::tag_value)
                    .is_some()
            });
        if let (Some(()), Some(value)) = (good, value) {
            tags.push((key.value, value));
        }
    }
    Some(tags)
}
