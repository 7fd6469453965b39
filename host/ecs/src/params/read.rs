//! Unflattening: parameters to a request type, by a serde deserializer over the tree
//! that the dots in the names make.
//!
//! Everything in it is text; the request type says what a text must be. So that an
//! error names the parameter, each level of the tree knows its own full name.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};

use super::{ParamError, Params, Problem};
use crate::id;

/// Deepest name that is looked into. Real ones have three parts; it keeps a name of
/// thousands of dots from costing as many levels of recursion.
const DEEPEST: usize = 8;

/// Reads a request. Parameters that the type doesn't know are ignored.
///
/// # Errors
/// The first parameter that is missing or that can't be read.
pub fn from_params<T: DeserializeOwned>(params: &Params) -> Result<T, ParamError> {
    let mut root = Node::default();
    for (name, value) in params.iter() {
        root.plant(name, value);
    }
    T::deserialize(Reader {
        node: &root,
        name: String::new(),
    })
    .map_err(|fault| match fault {
        Fault::At(error) => error,
        Fault::Here(problem) => ParamError {
            name: "(request)".into(),
            problem,
        },
        Fault::MissingField(name) => ParamError {
            name,
            problem: Problem::Missing,
        },
    })
}

/// One name in the tree. `Disk=x` and `Disk.Size=1` make a node with text and parts.
#[derive(Default)]
struct Node<'p> {
    text: Option<&'p str>,
    parts: BTreeMap<&'p str, Node<'p>>,
}

impl<'p> Node<'p> {
    fn plant(&mut self, name: &'p str, value: &'p str) {
        let mut node = self;
        for part in name.splitn(DEEPEST, '.') {
            node = node.parts.entry(part).or_default();
        }
        node.text = Some(value);
    }

    /// Whether it is as good as absent: clients write empty texts for what they don't set.
    fn is_blank(&self) -> bool {
        self.parts.is_empty() && self.text.is_none_or(str::is_empty)
    }
}

/// An error on its way up. Only the level that asked for a value knows its full name
/// whatever the type does in between, so that names are given there.
#[derive(Debug)]
enum Fault {
    At(ParamError),
    Here(Problem),
    MissingField(String),
}

impl Fault {
    fn named(self, name: &str) -> Self {
        match self {
            Self::At(error) => Self::At(error),
            Self::Here(problem) => Self::At(ParamError {
                name: name.to_owned(),
                problem,
            }),
            Self::MissingField(field) => Self::At(ParamError {
                name: join(name, &field),
                problem: Problem::Missing,
            }),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(error) => error.fmt(f),
            Self::Here(problem) => problem.fmt(f),
            Self::MissingField(name) => write!(f, "{name} is missing"),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Here(Problem::Invalid(message.to_string()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::MissingField(field.to_owned())
    }
}

fn join(name: &str, part: &str) -> String {
    if name.is_empty() {
        part.to_owned()
    } else {
        format!("{name}.{part}")
    }
}

/// Deserializes from one node.
struct Reader<'n, 'p> {
    node: &'n Node<'p>,
    name: String,
}

impl<'n, 'p> Reader<'n, 'p> {
    fn text(&self) -> Result<&'p str, Fault> {
        match self.node.text {
            Some(text) => Ok(text),
            None => Err(self.invalid("it must be one text, without a dot and a part")),
        }
    }

    fn invalid(&self, problem: impl Into<String>) -> Fault {
        Fault::Here(Problem::Invalid(problem.into())).named(&self.name)
    }

    /// The parts as list items, in the order of their numbers.
    fn items(&self) -> Result<Vec<(usize, &'n Node<'p>)>, Fault> {
        let mut items = Vec::new();
        for (part, node) in &self.node.parts {
            let number = part
                .parse::<usize>()
                .ok()
                .filter(|n| *n > 0 && n.to_string() == *part);
            let number = number.ok_or_else(|| {
                Fault::Here(Problem::Invalid(format!(
                    "'{part}' is not the number of a list item, from 1"
                )))
                .named(&join(&self.name, part))
            })?;
            items.push((number, node));
        }
        items.sort_by_key(|(number, _)| *number);
        Ok(items)
    }
}

macro_rules! numbers {
    ($( $deserialize:ident $visit:ident $type:ty; )+) => {
        $(
            fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
                let text = self.text()?;
                let number = text.trim().parse::<$type>().map_err(|_| {
                    self.invalid(format!("'{text}' is not a number from {} to {}", <$type>::MIN, <$type>::MAX))
                })?;
                visitor.$visit(number)
            }
        )+
    };
}

impl<'de> Deserializer<'de> for Reader<'_, '_> {
    type Error = Fault;

    numbers! {
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_f32 visit_f32 f32;
        deserialize_f64 visit_f64 f64;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.node.text.is_some() {
            self.deserialize_str(visitor)
        } else {
            self.deserialize_map(visitor)
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let text = self.text()?;
        let flag = match text.trim() {
            trimmed if trimmed.eq_ignore_ascii_case("true") => true,
            trimmed if trimmed.eq_ignore_ascii_case("false") => false,
            _ => return Err(self.invalid(format!("'{text}' is neither true nor false"))),
        };
        visitor.visit_bool(flag)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let text = self.text()?;
        visitor.visit_str(text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.node.is_blank() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        kind: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if kind == id::NEWTYPE && self.node.is_blank() {
            return Err(Fault::Here(Problem::Missing).named(&self.name));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.node.is_blank() {
            return visitor.visit_seq(Items {
                items: Vec::new().into_iter(),
                name: &self.name,
            });
        }
        if let Some(text) = self.node.text {
            let texts: Vec<String> = serde_json::from_str(text).map_err(|_| {
                self.invalid(format!(
                    "it is a list: {0}.1, {0}.2, ..., or one JSON array of texts",
                    self.name
                ))
            })?;
            let access = de::value::SeqDeserializer::<_, Fault>::new(texts.into_iter());
            return visitor.visit_seq(access);
        }
        let items = self.items()?.into_iter();
        visitor.visit_seq(Items {
            items,
            name: &self.name,
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.node.text.is_some_and(|text| !text.is_empty()) {
            return Err(self.invalid("it has parts, each a parameter of its own"));
        }
        let fields = Fields {
            parts: self.node.parts.iter(),
            name: &self.name,
            value: None,
        };
        visitor.visit_map(fields)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let variant: StrDeserializer<'_, Fault> = self.text()?.into_deserializer();
        visitor.visit_enum(variant)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        char bytes byte_buf unit unit_struct tuple tuple_struct identifier i128 u128
    }
}

/// The parts of a node as fields.
struct Fields<'r, 'n, 'p> {
    parts: std::collections::btree_map::Iter<'n, &'p str, Node<'p>>,
    name: &'r str,
    value: Option<(&'n Node<'p>, String)>,
}

impl<'de> MapAccess<'de> for Fields<'_, '_, '_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some((part, node)) = self.parts.next() else {
            return Ok(None);
        };
        self.value = Some((node, join(self.name, part)));
        let key: StrDeserializer<'_, Fault> = (*part).into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        match self.value.take() {
            Some((node, name)) => {
                let reader = Reader {
                    node,
                    name: name.clone(),
                };
                seed.deserialize(reader).map_err(|fault| fault.named(&name))
            }
            None => Err(de::Error::custom("a value was asked for before its name")),
        }
    }
}

/// The parts of a node as list items.
struct Items<'r, 'n, 'p> {
    items: std::vec::IntoIter<(usize, &'n Node<'p>)>,
    name: &'r str,
}

impl<'de> SeqAccess<'de> for Items<'_, '_, '_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some((number, node)) = self.items.next() else {
            return Ok(None);
        };
        let name = join(self.name, &number.to_string());
        let reader = Reader {
            node,
            name: name.clone(),
        };
        let item = seed
            .deserialize(reader)
            .map_err(|fault| fault.named(&name))?;
        Ok(Some(item))
    }
}
