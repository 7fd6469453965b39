//! `distribute`: the regions that get the image and the accounts that may use it.

use crate::keys;
use crate::read::Reader;
use crate::rules;
use crate::span::Spanned;
use crate::yaml::Node;

/// ECS lets an image be shared with this many accounts.
const MOST_ACCOUNTS: usize = 50;

/// What a template or an overlay says about distribution.
#[derive(Clone, Debug, Default)]
pub(crate) struct DistributeLayer {
    pub(crate) regions: Option<Vec<Spanned<String>>>,
    pub(crate) accounts: Option<Vec<Spanned<String>>>,
}

impl DistributeLayer {
    /// This layer with `over` on top of it. A list replaces the whole list: with
    /// merged lists an overlay could never take a region away.
    pub(crate) fn overlaid(self, over: Self) -> Self {
        Self {
            regions: over.regions.or(self.regions),
            accounts: over.accounts.or(self.accounts),
        }
    }
}

pub(crate) fn read(reader: &Reader, node: &Node, path: &str) -> Option<DistributeLayer> {
    let fields = reader.fields(node, path, &keys::DISTRIBUTE)?;
    let list = |key: &str, of: &str, rule: fn(&str) -> Result<(), String>| {
        let path = format!("{path}.{key}");
        let nodes = reader.list(fields.get(key)?, &path, of)?;
        let mut list: Vec<Spanned<String>> = Vec::new();
        for node in nodes {
            let Some(text) = reader.written(node, &path) else {
                continue;
            };
            if list.iter().any(|earlier| earlier.value == text.value) {
                let mistake = reader.mistake(text.span, format!("`{text}` is in `{path}` twice"));
                reader.note(mistake.label("the second one").help("remove it"));
            } else if reader
                .obey(&text, &format!("a{}", article(of)), rule)
                .is_some()
            {
                list.push(text);
            }
        }
        Some(list)
    };
    let accounts = list("accounts", "account id", rules::account);
    if let Some(extra) = accounts.as_ref().and_then(|list| list.get(MOST_ACCOUNTS)) {
        let message = format!("an image can be shared with {MOST_ACCOUNTS} accounts at most");
        let mistake = reader.mistake(extra.span, message).label("one too many");
        reader.note(mistake.help("share it with fewer; ECS allows no more"));
    }
    Some(DistributeLayer {
        regions: list("regions", "region id", rules::region),
        accounts,
    })
}

/// What follows the `a` of "a region id" and "an account id".
fn article(of: &str) -> String {
    let vowel = of.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{}{of}", if vowel { "n " } else { " " })
}
