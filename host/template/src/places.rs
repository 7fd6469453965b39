//! The places of a template in which expressions can be used.
//!
//! One table of them for checking and for evaluating, so that what is checked is what is
//! replaced. What an expression means is `expression`'s to say.

use crate::resolve::Cloud;
use crate::yaml::{Data, Node};

/// A kind of place: it decides which names can be used there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The arguments of a component.
    With,
    /// The variables of a script.
    Env,
    /// What is copied.
    Copy,
    /// `source`, `instance` and `image`.
    Cloud,
    /// `distribute`, whose first region is the build region.
    Distribute,
    /// The template's name, which is known before anything but the matrix is.
    Name,
}

/// The sections whose values can be expressions, at the top and in overlays.
const SECTIONS: [(&str, Place); 4] = [
    ("source", Place::Cloud),
    ("instance", Place::Cloud),
    ("image", Place::Cloud),
    ("distribute", Place::Distribute),
];

/// The keys of items whose values can be expressions.
const ITEM_KEYS: [(&str, Place); 3] = [
    ("with", Place::With),
    ("env", Place::Env),
    ("copy", Place::Copy),
];

/// Whether what stands under a key can hold expressions.
pub(crate) fn is_place(key: &str) -> bool {
    SECTIONS
        .iter()
        .chain(&ITEM_KEYS)
        .any(|(found, _)| *found == key)
}

/// Calls `visit` with the template's name, where there is one.
pub(crate) fn visit_name(document: &mut Node, visit: &mut dyn FnMut(Place, &mut Node)) {
    if let Some(name) = entry(document, "name") {
        visit(Place::Name, name);
    }
}

/// Calls `visit` with each place of a document, the overlays of `clouds` included.
pub(crate) fn visit(
    document: &mut Node,
    clouds: &[Cloud],
    visit: &mut dyn FnMut(Place, &mut Node),
) {
    sections(document, visit);
    if let Some(on) = entry(document, "on") {
        for cloud in clouds {
            if let Some(overlay) = entry(on, cloud.word()) {
                sections(overlay, visit);
            }
        }
    }
    for list in ["build", "test"] {
        let Some(Data::List(items)) = entry(document, list).map(|node| &mut node.data) else {
            continue;
        };
        for item in items {
            inside(item, &ITEM_KEYS, visit);
        }
    }
}

fn sections(node: &mut Node, visit: &mut dyn FnMut(Place, &mut Node)) {
    inside(node, &SECTIONS, visit);
}

/// The values of some keys, if they are mappings: a whole section can't be an expression.
fn inside(node: &mut Node, keys: &[(&str, Place)], visit: &mut dyn FnMut(Place, &mut Node)) {
    for (key, place) in keys {
        if let Some(value) = entry(node, key)
            && matches!(value.data, Data::Map(_))
        {
            visit(*place, value);
        }
    }
}

fn entry<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    let Data::Map(entries) = &mut node.data else {
        return None;
    };
    entries
        .iter_mut()
        .find(|(found, _)| found.text == key)
        .map(|(_, value)| value)
}
