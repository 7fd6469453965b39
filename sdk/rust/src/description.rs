//! What a component says about itself: a summary and typed parameters, written as the
//! contract's JSON with a JSON Schema in it.
//!
//! For component authors. Everything here only collects; the host checks arguments
//! against the result, and [`crate::testing`] does so in unit tests.

use crate::Json;

/// The description of a component.
///
/// ```
/// # use darkroom::*;
/// let description = Description::new("Installs packages")
///     .parameter(Parameter::texts("install", "Packages that must be there"))
///     .parameter(Parameter::flag("upgrade", "Upgrade all packages first").default(false))
///     .volatile()
///     .internet();
/// # let _ = description;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    summary: String,
    parameters: Vec<Parameter>,
    volatile: bool,
    internet: bool,
    families: Vec<String>,
}

impl Description {
    /// A description with a summary of one sentence and no parameters.
    pub fn new(summary: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            parameters: Vec::new(),
            volatile: false,
            internet: false,
            families: Vec::new(),
        }
    }

    /// Adds a parameter.
    #[must_use]
    pub fn parameter(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// The result depends on more than the arguments, such as a package mirror.
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// The machine must reach the internet.
    #[must_use]
    pub fn internet(mut self) -> Self {
        self.internet = true;
        self
    }

    /// The component works on `linux` or on `windows` only. Called once for each.
    #[must_use]
    pub fn family(mut self, family: impl Into<String>) -> Self {
        self.families.push(family.into());
        self
    }

    /// The parameters, in the order in which they were added.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The JSON text that the contract's `describe` returns, with the package's name and
    /// version for people.
    pub fn to_json(&self, package: &str, version: &str) -> String {
        let mut members = vec![
            ("package".to_owned(), package.into()),
            ("version".to_owned(), version.into()),
            ("summary".to_owned(), Json::from(&self.summary)),
            ("parameters".to_owned(), self.schema()),
        ];
        if self.volatile {
            members.push(("volatile".to_owned(), true.into()));
        }
        if self.internet {
            members.push(("internet".to_owned(), true.into()));
        }
        if !self.families.is_empty() {
            members.push(("families".to_owned(), self.families.clone().into()));
        }
        Json::Object(members).to_string()
    }

    /// The JSON Schema of all arguments together.
    fn schema(&self) -> Json {
        Json::Object(object(&self.parameters))
    }
}

/// The JSON Schema of an object with these members and no others.
fn object(fields: &[Parameter]) -> Vec<(String, Json)> {
    let properties = fields
        .iter()
        .map(|field| (field.name.clone(), field.schema()))
        .collect();
    let mut members = vec![
        ("type".to_owned(), "object".into()),
        ("properties".to_owned(), Json::Object(properties)),
    ];
    let required: Vec<_> = fields
        .iter()
        .filter(|field| field.required)
        .map(|field| field.name.clone())
        .collect();
    if !required.is_empty() {
        members.push(("required".to_owned(), required.into()));
    }
    members.push(("additionalProperties".to_owned(), false.into()));
    members
}

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Number,
    Flag,
    Texts,
    Map,
    Scalars,
    Objects,
    Any,
}

/// One parameter: its name (lower-case letters, digits and dashes by custom), its type,
/// one sentence about it, and what it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) default: Option<Json>,
    pub(crate) required: bool,
    about: String,
    secret: bool,
    /// Keywords about the value, or about each of the values of a list or map.
    keywords: Vec<(&'static str, Json)>,
    /// The members of each of the objects of a list.
    fields: Vec<Parameter>,
}

impl Parameter {
    fn new(kind: Kind, name: impl Into<String>, about: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind,
            default: None,
            required: false,
            about: about.into(),
            secret: false,
            keywords: Vec::new(),
            fields: Vec::new(),
        }
    }

    /// A text, read by [`inputs::text`](crate::inputs::text).
    pub fn text(name: impl Into<String>, about: impl Into<String>) -> Self {
        Self::new(Kind::Text, name, about)
    }

    /// A whole number, read by [`inputs::integer`](crate::inputs::integer).
    pub fn integer(name: impl Into<String>, about: impl Into<String>) -> Self {
        Self::new(Kind::Integer, name, about)
    }

    /// A number, read by [`inputs::number`](crate::inputs::number).
    pub fn number(name: impl Into<String>, about: impl Into<String>) -> Self {
        Self::new(Kind::Number, name, about)
    }

    /// Yes or no, read by [`inputs::flag`](crate::inputs::flag).
    pub fn flag(name: impl Into<String>, about: impl Into<String>) -> Self {
        Self::new(Kind::Flag, name, about)
    }

    /// A list of texts, read by [`inputs::texts`](crate::inputs::texts).
    pub fn texts(name: impl Into<String>, about: impl Into<String>) -> Self {
        Self::new(Kind::Texts, name, about)
    }

    /// Names with texts, read by [`inputs::map`](crate::inputs::map).
    pub fn map(name: impl Into<String>, about: impl Into<String>) -> Self {
        Self::new(Kind::Map, name, about)
    }

    /// Names with texts, numbers or flags, so that nobody must put quotes around a
    /// number; read by [`inputs::map`](crate::inputs::map), as texts.
    pub fn scalars(name: impl Into<String>, about: impl Into<String>) -> Self {
        Self::new(Kind::Scalars, name, about)
    }

    /// A list of objects with these members, read by
    /// [`inputs::json`](crate::inputs::json). A default of a member is only shown: the
    /// host fills in those of whole parameters.
    pub fn objects<const N: usize>(
        name: impl Into<String>,
        about: impl Into<String>,
        fields: [Parameter; N],
    ) -> Self {
        let mut objects = Self::new(Kind::Objects, name, about);
        objects.fields = fields.into();
        objects
    }

    /// Any value, read by [`inputs::json`](crate::inputs::json).
    pub fn any(name: impl Into<String>, about: impl Into<String>) -> Self {
        Self::new(Kind::Any, name, about)
    }

    /// What holds where no argument is given.
    #[must_use]
    pub fn default(mut self, value: impl Into<Json>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// An argument must be given.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The argument is a secret: the component gets a marker instead of it.
    #[must_use]
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// The text, or each of the texts, matches this regular expression; unanchored, so
    /// write `^` and `$`.
    #[must_use]
    pub fn pattern(self, pattern: &str) -> Self {
        self.keyword("pattern", pattern)
    }

    /// The text, or each of the texts, is one of these.
    #[must_use]
    pub fn one_of<const N: usize>(self, values: [&str; N]) -> Self {
        self.keyword("enum", values)
    }

    /// The number is not less than this.
    #[must_use]
    pub fn minimum(self, number: i64) -> Self {
        self.keyword("minimum", number)
    }

    /// The number is not more than this.
    #[must_use]
    pub fn maximum(self, number: i64) -> Self {
        self.keyword("maximum", number)
    }

    /// Any other keyword of JSON Schema about the value, or about each of the values of
    /// a list or map.
    #[must_use]
    pub fn keyword(mut self, keyword: &'static str, value: impl Into<Json>) -> Self {
        self.keywords.push((keyword, value.into()));
        self
    }

    fn schema(&self) -> Json {
        let one = |kind: &str| vec![("type".to_owned(), kind.into())];
        let many = ["string", "number", "boolean"];
        // What a list or a map holds, and the keyword that says so.
        let (kind, inner) = match self.kind {
            Kind::Text => ("string", None),
            Kind::Integer => ("integer", None),
            Kind::Number => ("number", None),
            Kind::Flag => ("boolean", None),
            Kind::Texts => ("array", Some(("items", one("string")))),
            Kind::Map => ("object", Some(("additionalProperties", one("string")))),
            Kind::Scalars => (
                "object",
                Some((
                    "additionalProperties",
                    vec![("type".to_owned(), many.into())],
                )),
            ),
            Kind::Objects => ("array", Some(("items", object(&self.fields)))),
            Kind::Any => ("", None),
        };
        let mut members = vec![("description".to_owned(), Json::from(&self.about))];
        if !kind.is_empty() {
            members.insert(0, ("type".to_owned(), kind.into()));
        }
        let keywords = self
            .keywords
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        match inner {
            None => members.extend(keywords),
            Some((inner, mut each)) => {
                each.extend(keywords);
                members.push((inner.to_owned(), Json::Object(each)));
            }
        }
        if let Some(default) = &self.default {
            members.push(("default".to_owned(), default.clone()));
        }
        if self.secret {
            members.push(("secret".to_owned(), true.into()));
        }
        Json::Object(members)
    }
}

#[cfg(test)]
mod tests {
    use super::{Description, Parameter};

    #[test]
    fn lists_of_objects_and_loose_values_have_a_schema() {
        let description = Description::new("Does it")
            .parameter(Parameter::objects(
                "users",
                "Who",
                [
                    Parameter::text("name", "Whose").required().pattern("^a"),
                    Parameter::texts("groups", "Where"),
                ],
            ))
            .parameter(Parameter::scalars("settings", "What"))
            .parameter(Parameter::any("values", "Which"));
        assert_eq!(
            description.schema().to_string(),
            concat!(
                r#"{"type":"object","properties":{"users":{"type":"array","description":"Who","#,
                r#""items":{"type":"object","properties":{"name":{"type":"string","#,
                r#""description":"Whose","pattern":"^a"},"groups":{"type":"array","#,
                r#""description":"Where","items":{"type":"string"}}},"required":["name"],"#,
                r#""additionalProperties":false}},"settings":{"type":"object","#,
                r#""description":"What","additionalProperties":{"type":["string","number","boolean"]}},"#,
                r#""values":{"description":"Which"}},"additionalProperties":false}"#,
            )
        );
    }

    #[test]
    fn a_description_is_the_contracts_json() {
        let description = Description::new("Does \"it\"")
            .parameter(
                Parameter::text("name", "Who")
                    .required()
                    .pattern("^[a-z]+$"),
            )
            .parameter(
                Parameter::texts("install", "What")
                    .default(["a", "b"])
                    .one_of(["a", "b"]),
            )
            .parameter(Parameter::map("env", "With"))
            .parameter(
                Parameter::integer("port", "Where")
                    .minimum(1)
                    .maximum(65535),
            )
            .parameter(Parameter::text("key", "Hidden").secret())
            .volatile()
            .internet()
            .family("linux");
        assert_eq!(
            description.to_json("it", "0.1.0"),
            concat!(
                r#"{"package":"it","version":"0.1.0","summary":"Does \"it\"","parameters":{"#,
                r#""type":"object","properties":{"#,
                r#""name":{"type":"string","description":"Who","pattern":"^[a-z]+$"},"#,
                r#""install":{"type":"array","description":"What","#,
                r#""items":{"type":"string","enum":["a","b"]},"default":["a","b"]},"#,
                r#""env":{"type":"object","description":"With","#,
                r#""additionalProperties":{"type":"string"}},"#,
                r#""port":{"type":"integer","description":"Where","minimum":1,"maximum":65535},"#,
                r#""key":{"type":"string","description":"Hidden","secret":true}},"#,
                r#""required":["name"],"additionalProperties":false},"#,
                r#""volatile":true,"internet":true,"families":["linux"]}"#
            )
        );
    }
}
