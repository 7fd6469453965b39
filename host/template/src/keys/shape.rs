//! The types of the tables in this folder.

/// The keys of one section.
pub(crate) struct Keys {
    /// How messages call the section: "in the template".
    pub(crate) title: &'static str,
    /// The keys without which it means nothing.
    pub(crate) required: &'static [&'static str],
    /// The keys of which it has exactly one.
    pub(crate) one_of: &'static [&'static str],
    /// The keys that are understood, in the order in which messages list them.
    pub(crate) known: &'static [Key],
    /// Keys that people try, and what to do instead.
    pub(crate) unsupported: &'static [(&'static str, &'static str)],
}

/// One key.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// What it is for: one or two sentences that an editor shows.
    pub(crate) about: &'static str,
    pub(crate) shape: Shape,
}

/// What the value of a key looks like. The code in `section` may be stricter, never
/// looser: an editor must not complain about a good template.
pub(crate) enum Shape {
    /// A text that matches a pattern; an empty one is none.
    Text(&'static str),
    /// A text, or a number or `true` taken as written.
    Written(&'static str),
    /// A script.
    Script,
    /// One of a few words.
    Words(&'static [&'static str]),
    /// A whole number from one to another, both included.
    Integer((u32, u32)),
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A section with keys of its own.
    Section(&'static Keys),
    /// A list, and how many items it has at least.
    List(&'static Shape, usize),
    /// A mapping with names of the author's own, which match a pattern.
    Map(&'static str, &'static Shape),
    /// One of several.
    Either(&'static [Shape]),
    /// An empty mapping, or nothing.
    Nothing,
    /// Anything.
    Any,
}

impl Keys {
    pub(crate) fn known(&self, key: &str) -> bool {
        self.known.iter().any(|known| known.name == key)
    }

    /// What to do instead of using a key that isn't supported.
    pub(crate) fn unsupported(&self, key: &str) -> Option<&'static str> {
        self.unsupported
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, instead)| *instead)
    }

    /// The names that a wrong key may have been meant for.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = &'static str> {
        self.known.iter().map(|known| known.name)
    }

    pub(crate) fn list(&self) -> String {
        crate::read::quoted(self.candidates())
    }
}
