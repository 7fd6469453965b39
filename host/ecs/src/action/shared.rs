//! Shapes that several actions share: tags, filters, lists in one text.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{DeserializeOwned, Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A tag in a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    /// Key, 1 to 128 characters. Old clients write it in lower case.
    #[serde(alias = "key")]
    pub key: String,
    /// Value, at most 128 characters; may be empty.
    #[serde(default, alias = "value")]
    pub value: String,
}

/// A filter in a request: `CreationStartTime`, `ExpiredStartTime`, ...
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Filter {
    /// What is compared.
    pub key: String,
    /// With what.
    #[serde(default)]
    pub value: String,
}

/// The wrapper of the list of tags in an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Tags {
    /// One entry a tag.
    pub tag: Vec<TagEntry>,
}

impl Tags {
    /// The value of a tag.
    pub fn get(&self, key: &str) -> Option<&str> {
        let entry = self.tag.iter().find(|entry| entry.tag_key == key)?;
        Some(&entry.tag_value)
    }
}

impl FromIterator<(String, String)> for Tags {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        let entry = |(tag_key, tag_value)| TagEntry { tag_key, tag_value };
        Self {
            tag: pairs.into_iter().map(entry).collect(),
        }
    }
}

/// A tag in an answer, which spells the names otherwise than a request does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TagEntry {
    /// Key.
    pub tag_key: String,
    /// Value.
    pub tag_value: String,
}

/// A list that travels as a JSON array in one text, such as `["i-1","i-2"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonList<T>(pub Vec<T>);

impl<T> FromIterator<T> for JsonList<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl<T: Serialize> Serialize for JsonList<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(&self.0).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for JsonList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text)
            .map(Self)
            .map_err(|_| D::Error::custom("it is not a JSON array of texts, such as [\"i-1\"]"))
    }
}

/// A list that travels in one text with commas, such as `Creating,Available`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommaList<T>(pub Vec<T>);

impl<T> FromIterator<T> for CommaList<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl<T: fmt::Display> Serialize for CommaList<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parts: Vec<String> = self.0.iter().map(T::to_string).collect();
        serializer.serialize_str(&parts.join(","))
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for CommaList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        parts
            .map(|part| part.parse().map_err(D::Error::custom))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// A truth value that answers carry as the text `true` or `false`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextBool(pub bool);

impl Serialize for TextBool {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0 { "true" } else { "false" })
    }
}

impl<'de> Deserialize<'de> for TextBool {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either(PhantomData<()>);
        impl Visitor<'_> for Either {
            type Value = TextBool;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or false, as text or not")
            }
            fn visit_bool<E>(self, value: bool) -> Result<TextBool, E> {
                Ok(TextBool(value))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<TextBool, E> {
                match text {
                    _ if text.eq_ignore_ascii_case("true") => Ok(TextBool(true)),
                    _ if text.is_empty() || text.eq_ignore_ascii_case("false") => {
                        Ok(TextBool(false))
                    }
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}
