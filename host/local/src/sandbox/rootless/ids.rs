//! Ranges of user and group ids: which a process has, which an ordinary user may have
//! besides his own, and the words in which `newuidmap` and the kernel want them.
//!
//! Reads `/proc/self/*_map`, `/etc/passwd`, `/etc/subuid` and `/etc/subgid`, and changes
//! nothing.

use std::fmt::Write as _;
use std::fs;
use std::io;

use crate::driver::Problem;

/// How many ids an instance has: what Linux distributions use, `nobody` included.
pub const COUNT: u32 = 65_536;

/// Where subordinate ids begin when nobody has any, as `useradd` does it.
const FIRST_SUBORDINATE: u32 = 100_000;

/// A range of ids inside a user namespace, and the same outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    inside: u32,
    outside: u32,
    count: u32,
}

/// All ids of a user namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdMap(Vec<Span>);

/// Users or groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Users.
    User,
    /// Groups.
    Group,
}

impl Kind {
    fn map(self) -> &'static str {
        match self {
            Self::User => "/proc/self/uid_map",
            Self::Group => "/proc/self/gid_map",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::User => "/etc/subuid",
            Self::Group => "/etc/subgid",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }

    fn option(self) -> &'static str {
        match self {
            Self::User => "--add-subuids",
            Self::Group => "--add-subgids",
        }
    }
}

impl IdMap {
    /// The calling process's.
    ///
    /// # Errors
    /// When /proc can't be read.
    pub fn own(kind: Kind) -> io::Result<Self> {
        fs::read_to_string(kind.map()).map(|text| Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let span = |line: &str| {
            let mut numbers = line.split_whitespace().map(str::parse);
            Some(Span {
                inside: numbers.next()?.ok()?,
                outside: numbers.next()?.ok()?,
                count: numbers.next()?.ok()?,
            })
        };
        Self(text.lines().filter_map(span).collect())
    }

    /// Whether it is the machine's own, in which every id is itself.
    pub fn is_the_machines(&self) -> bool {
        let whole = Span {
            inside: 0,
            outside: 0,
            count: u32::MAX,
        };
        self.0 == [whole]
    }

    /// The map of an ordinary user: root is `own`, the ids above are subordinate ones.
    /// None: there are too few of them.
    fn of_user(own: u32, ranges: &[(u32, u32)]) -> Option<Self> {
        let mut spans = vec![Span {
            inside: 0,
            outside: own,
            count: 1,
        }];
        let mut next = 1;
        for (first, count) in ranges {
            let count = (*count).min(COUNT - next);
            if count > 0 {
                spans.push(Span {
                    inside: next,
                    outside: *first,
                    count,
                });
                next += count;
            }
        }
        (next == COUNT).then_some(Self(spans))
    }

    /// The words for `newuidmap` and `newgidmap`, or the lines for the kernel.
    pub fn words(&self) -> String {
        let mut text = String::new();
        for span in &self.0 {
            let _ = writeln!(text, "{} {} {}", span.inside, span.outside, span.count);
        }
        text
    }

    /// A map for a namespace inside this one that gives the first [`COUNT`] ids the
    /// same numbers. The kernel wants a line for each of this one's.
    #[must_use]
    pub fn identity(&self) -> Self {
        let spans = self.0.iter().filter(|span| span.inside < COUNT);
        let spans = spans.map(|span| Span {
            inside: span.inside,
            outside: span.inside,
            count: span.count.min(COUNT - span.inside),
        });
        Self(spans.collect())
    }

    /// Whether the first [`COUNT`] ids are all there.
    pub fn is_enough(&self) -> bool {
        let inside = self.identity();
        inside
            .0
            .iter()
            .map(|span| u64::from(span.count))
            .sum::<u64>()
            == u64::from(COUNT)
    }
}

/// Who runs this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The login name; the number where none is known.
    pub name: String,
    /// The number.
    pub uid: u32,
    /// The number of the group.
    pub gid: u32,
}

impl User {
    /// The calling process's user.
    pub fn own() -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let name = passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
        });
        Self {
            name: name.unwrap_or_else(|| uid.to_string()),
            uid,
            gid: rustix::process::getegid().as_raw(),
        }
    }

    /// His map of users or groups.
    ///
    /// # Errors
    /// When he has too few subordinate ids.
    pub fn map(&self, kind: Kind) -> Result<IdMap, Problem> {
        let text = fs::read_to_string(kind.file()).unwrap_or_default();
        self.map_from(kind, &text)
    }

    fn map_from(&self, kind: Kind, text: &str) -> Result<IdMap, Problem> {
        let own = match kind {
            Kind::User => self.uid,
            Kind::Group => self.gid,
        };
        let ranges = parse_subordinate(text);
        let mine: Vec<_> = ranges
            .iter()
            .filter(|range| range.name == self.name || range.name == self.uid.to_string())
            .map(|range| (range.first, range.count))
            .collect();
        IdMap::of_user(own, &mine).ok_or_else(|| {
            let first = first_free(&ranges);
            let last = first + (COUNT - 1);
            let (word, name) = (kind.word(), &self.name);
            Problem {
                message: format!(
                    "{name} has too few subordinate {word} ids in {}: an instance needs {}",
                    kind.file(),
                    COUNT - 1
                ),
                hint: format!("sudo usermod {} {first}-{last} {name}", kind.option()),
            }
        })
    }
}

/// A line of `/etc/subuid`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Subordinate<'a> {
    name: &'a str,
    first: u32,
    count: u32,
}

fn parse_subordinate(text: &str) -> Vec<Subordinate<'_>> {
    let parse = |line| -> Option<Subordinate<'_>> {
        let mut fields = str::split(line, ':');
        let range = Subordinate {
            name: fields.next()?,
            first: fields.next()?.parse().ok()?,
            count: fields.next()?.trim().parse().ok()?,
        };
        range.first.checked_add(range.count).map(|_| range)
    };
    text.lines().filter_map(parse).collect()
}

fn first_free(ranges: &[Subordinate<'_>]) -> u32 {
    let ends = ranges.iter().map(|range| range.first + range.count);
    ends.max().unwrap_or_default().max(FIRST_SUBORDINATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> User {
        User {
            name: "ann".into(),
            uid: 1001,
            gid: 1002,
        }
    }

    #[test]
    fn root_is_the_user_and_the_rest_are_subordinate() {
        let text = "bob:100000:65536\nann:165536:65536\n";
        let map = ann().map_from(Kind::User, text).unwrap();
        assert_eq!(map.words(), "0 1001 1\n1 165536 65535\n");
        assert!(map.is_enough());
        let groups = ann().map_from(Kind::Group, text).unwrap();
        assert!(groups.words().starts_with("0 1002 1\n"));
        // Inside of it the same numbers mean the same.
        assert_eq!(map.identity().words(), "0 0 1\n1 1 65535\n");
    }

    #[test]
    fn several_ranges_and_numbers_for_names_are_put_together() {
        let text = "ann:200000:5535\n1001:300000:70000\n";
        let map = ann().map_from(Kind::User, text).unwrap();
        assert_eq!(map.words(), "0 1001 1\n1 200000 5535\n5536 300000 60000\n");
    }

    #[test]
    fn who_has_too_few_is_told_the_command_with_a_free_range() {
        let text = "bob:100000:65536\nann:165536:10\nodd:4294967295:9\n";
        let problem = ann().map_from(Kind::Group, text).unwrap_err();
        assert!(problem.message.contains("/etc/subgid"), "{problem}");
        assert_eq!(problem.hint, "sudo usermod --add-subgids 165546-231081 ann");
        let problem = ann().map_from(Kind::User, "").unwrap_err();
        assert_eq!(problem.hint, "sudo usermod --add-subuids 100000-165535 ann");
    }

    #[test]
    fn the_machines_own_map_is_known() {
        assert!(IdMap::parse("         0          0 4294967295\n").is_the_machines());
        let part = IdMap::parse("0 100000 65536\n");
        assert!(!part.is_the_machines());
        assert!(part.is_enough());
        assert_eq!(part.identity().words(), "0 0 65536\n");
        assert!(!IdMap::parse("0 1000 1\n").is_enough());
    }
}
