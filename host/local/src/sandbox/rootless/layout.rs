//! How the owners of a cloud's files are laid out on disk: true, as root makes them, or
//! shifted into an ordinary user's ids. A cloud keeps the layout that it began with.

use std::fmt;
use std::str::FromStr;

use super::Standing;
use super::ids::{IdMap, Kind};

/// A layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdLayout {
    /// Files have their true owners.
    Root,
    /// Files are shifted.
    Shifted {
        /// The user.
        user: u32,
        /// The ranges of users as the kernel writes them, with commas between.
        ranges: String,
    },
}

/// The begin of the text of a shifted layout.
const SHIFTED: &str = "shifted ";

/// A text that is no layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a layout of owners")]
pub struct BadLayout;

impl IdLayout {
    /// The calling process's; none where it can't make files for instances.
    pub fn own() -> Option<Self> {
        match Standing::own() {
            Standing::Root => Some(Self::Root),
            Standing::User => None,
            Standing::Namespace => {
                let words = IdMap::own(Kind::User).ok()?.words();
                let ranges = words.trim_end().replace('\n', ", ");
                format!("{SHIFTED}{ranges}").parse().ok()
            }
        }
    }

    /// The text that is kept.
    pub fn text(&self) -> String {
        match self {
            Self::Root => "root".into(),
            Self::Shifted { ranges, .. } => format!("{SHIFTED}{ranges}"),
        }
    }

    /// What to do when files of this layout are met by a process of another one.
    pub fn hint(&self, is: &Self) -> String {
        let what = match (self, is) {
            (Self::Root, _) => "run it as root".to_owned(),
            (Self::Shifted { user, ranges }, Self::Shifted { user: now, .. }) if user == now => {
                format!(
                    "give the user {user} the ids in /etc/subuid and /etc/subgid again that \
                     make these ranges: {ranges}"
                )
            }
            (Self::Shifted { user, .. }, _) => format!("run it as the user {user}"),
        };
        format!("{what}, or use another folder (`DARKROOM_LOCAL`)")
    }
}

impl FromStr for IdLayout {
    type Err = BadLayout;

    fn from_str(text: &str) -> Result<Self, BadLayout> {
        if text == "root" {
            return Ok(Self::Root);
        }
        let ranges = text.strip_prefix(SHIFTED).ok_or(BadLayout)?;
        let user = ranges.split_whitespace().nth(1).ok_or(BadLayout)?;
        Ok(Self::Shifted {
            user: user.parse().map_err(|_| BadLayout)?,
            ranges: ranges.to_owned(),
        })
    }
}

/// For people.
impl fmt::Display for IdLayout {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => out.write_str("root"),
            Self::Shifted { user, ranges } => {
                write!(out, "the ordinary user {user} with the ids {ranges}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shifted(text: &str) -> IdLayout {
        format!("{SHIFTED}{text}").parse().unwrap()
    }

    #[test]
    fn what_is_kept_is_read_again() {
        for layout in [IdLayout::Root, shifted("0 1001 1, 1 100000 65535")] {
            assert_eq!(layout.text().parse(), Ok(layout));
        }
        assert_eq!("user".parse::<IdLayout>(), Err(BadLayout));
    }

    #[test]
    fn each_other_layout_has_its_way_out() {
        let ann = shifted("0 1001 1, 1 100000 65535");
        let moved = shifted("0 1001 1, 1 200000 65535");
        let bob = shifted("0 1002 1, 1 165536 65535");
        assert!(IdLayout::Root.hint(&ann).starts_with("run it as root"));
        assert!(
            ann.hint(&IdLayout::Root)
                .starts_with("run it as the user 1001")
        );
        assert!(ann.hint(&bob).starts_with("run it as the user 1001"));
        assert!(ann.hint(&moved).contains("1 100000 65535"));
    }
}
