//! The identifiers on the wire, each a type of its own so that one can't be taken for
//! another.
//!
//! They are checked loosely (length, no white space): which ids exist is the cloud's
//! business. An empty id is the wire's way to say "none" in an answer, such as the
//! instance of a disk that is attached to nothing; it is what `Default` makes and what
//! an empty text in an answer becomes. `FromStr` never makes one, and neither does a
//! request parameter.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize};

/// Longest id that is taken; it keeps a hostile answer from filling keys and paths.
const LONGEST: usize = 128;

/// A text that is no identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a {kind}: {problem}")]
pub struct IdError {
    /// The type, such as `RegionId`.
    pub kind: &'static str,
    /// The text, cut when it is long.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

fn loosely(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("it is empty")
    } else if text.len() > LONGEST {
        Some("it is longer than 128 bytes")
    } else if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Some("it contains white space")
    } else {
        None
    }
}

fn account(text: &str) -> Option<&'static str> {
    if text.bytes().all(|b| b.is_ascii_digit()) && (5..=20).contains(&text.len()) {
        None
    } else {
        Some("an account id is 5 to 20 digits, as a rule 16")
    }
}

macro_rules! id {
    ($(#[$meta:meta])* $name:ident, $check:ident) => {
        $(#[$meta])*
        #[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether it stands for "none", which only answers contain.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                match $check(text) {
                    None => Ok(Self(text.to_owned())),
                    Some(problem) => Err(IdError {
                        kind: stringify!($name),
                        text: text.chars().take(LONGEST).collect(),
                        problem,
                    }),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Inner;
                impl<'de> Visitor<'de> for Inner {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(stringify!($name))
                    }
                    fn visit_newtype_struct<D: Deserializer<'de>>(
                        self,
                        deserializer: D,
                    ) -> Result<$name, D::Error> {
                        let text = <Cow<'de, str>>::deserialize(deserializer)?;
                        self.visit_str(&text)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        if text.is_empty() {
                            return Ok($name::default());
                        }
                        text.parse().map_err(E::custom)
                    }
                }
                // The parameter reader looks at the name, and refuses an empty id.
                deserializer.deserialize_newtype_struct(NEWTYPE, Inner)
            }
        }
    };
}

/// The name under which ids ask a deserializer for their text.
pub(crate) const NEWTYPE: &str = "$darkroom_ecs::id";

id!(/// A region, such as `cn-hangzhou`.
    RegionId, loosely);
id!(/// A zone of a region, such as `cn-hangzhou-g`.
    ZoneId, loosely);
id!(/// An image: `m-…`, or the name of a public one.
    ImageId, loosely);
id!(/// An instance: `i-…`.
    InstanceId, loosely);
id!(/// A snapshot: `s-…`.
    SnapshotId, loosely);
id!(/// A disk: `d-…`.
    DiskId, loosely);
id!(/// An execution of a command, or of sending a file: `t-…` or `f-…`.
    InvokeId, loosely);
id!(/// A command: `c-…`.
    CommandId, loosely);
id!(/// A VPC: `vpc-…`.
    VpcId, loosely);
id!(/// A vSwitch: `vsw-…`.
    VSwitchId, loosely);
id!(/// A security group: `sg-…`.
    SecurityGroupId, loosely);
id!(/// An account of Alibaba Cloud: digits, as a rule 16.
    AccountId, account);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked_loosely() {
        assert_eq!(
            "cn-hangzhou".parse::<RegionId>().unwrap().as_str(),
            "cn-hangzhou"
        );
        assert!("".parse::<RegionId>().is_err());
        assert!("cn hangzhou".parse::<RegionId>().is_err());
        assert!("x".repeat(129).parse::<ImageId>().is_err());
        let error = "12x".parse::<AccountId>().unwrap_err();
        assert!(
            error.to_string().contains("'12x' is not a AccountId"),
            "{error}"
        );
        assert!("1234567890123456".parse::<AccountId>().is_ok());
    }

    #[test]
    fn an_answer_may_hold_an_empty_id() {
        let none: InstanceId = serde_json::from_str("\"\"").unwrap();
        assert!(none.is_empty());
        let some: InstanceId = serde_json::from_str("\"i-1\"").unwrap();
        assert_eq!(serde_json::to_string(&some).unwrap(), "\"i-1\"");
        assert!(serde_json::from_str::<InstanceId>("\"i 1\"").is_err());
    }
}
