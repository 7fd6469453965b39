//! `repair`: what is repaired in the source image before anything is built on it.

use serde::Serialize;

use crate::read::Reader;
use crate::rules;
use crate::span::{Span, Spanned};
use crate::yaml::{Data, Node};

/// What the repairer may repair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repair {
    /// Nothing; the repairer isn't called.
    None,
    /// What every image needs to boot and answer. The default.
    #[default]
    Standard,
    /// Everything that the repairer knows.
    All,
    /// These items of the repairer, by name.
    Items(Vec<Spanned<String>>),
}

pub(crate) fn read(reader: &Reader, node: &Node) -> Option<Spanned<Repair>> {
    if let Data::List(nodes) = &node.data {
        return items(reader, nodes, node.span);
    }
    let text = reader.text(node, "repair")?;
    let words = [("none", 0), ("standard", 1), ("all", 2)];
    let repair = match reader.word(&text, "repair", &words)? {
        0 => Repair::None,
        1 => Repair::Standard,
        _ => Repair::All,
    };
    Some(Spanned::new(repair, node.span))
}

fn items(reader: &Reader, nodes: &[Node], span: Span) -> Option<Spanned<Repair>> {
    if nodes.is_empty() {
        let mistake = reader.mistake(span, "the list of repairs is empty");
        reader.note(mistake.help("write `repair: none` if nothing shall be repaired"));
        return None;
    }
    let items: Option<Vec<_>> = nodes
        .iter()
        .map(|node| {
            let item = reader.text(node, "repair")?;
            reader.obey(&item, "the name of a repair", rules::template_name)?;
            Some(item)
        })
        .collect();
    Some(Spanned::new(Repair::Items(items?), span))
}
