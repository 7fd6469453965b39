//! The JSON Schema (2020-12) of templates, for editors and other tools.
//!
//! It is made of the tables in `keys`, which the reader uses too, and of the parameters
//! that components describe. A good template always fits it; a template that fits may
//! still have mistakes that a schema can't see.

use darkroom_contract::Description;
use serde_json::{Map, Value, json};

use crate::keys::{self, Keys, Shape};
use crate::places;

/// What a value may be wherever expressions are computed.
const EXPRESSION: &str = "#/$defs/expression";

/// The schema of templates; the arguments of components can be anything.
pub fn schema() -> Value {
    schema_with(&[])
}

/// The schema of templates, in which the arguments of these components have their types.
/// Each is given by its name as in `uses` (`darkroom:packages`, `./component.wasm`), its
/// version if it has one, and its description.
pub fn schema_with(components: &[(&str, Option<&str>, &Description)]) -> Value {
    let mut builder = Builder {
        definitions: Map::new(),
        components: components.iter().map(|one| Component::of(*one)).collect(),
    };
    builder.define("expression", |_| {
        json!({
            "type": "string",
            "pattern": r"\$\{\{",
            "description": "Texts with `${{ … }}` in them: `parameters.name`, `secrets.name`, \
                `matrix.name`, `name`, `cloud`, `region`, with operators and filters.",
        })
    });
    for component in builder.components.clone() {
        builder
            .definitions
            .insert(component.definition.clone(), component.schema);
    }
    let mut schema = builder.section(&keys::TEMPLATE, false);
    schema.insert(
        "anyOf".into(),
        json!([{ "required": ["source"] }, { "required": ["on"] }]),
    );
    let mut whole = Map::from_iter([
        (
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        ),
        ("title".to_owned(), json!("Darkroom image template")),
    ]);
    whole.append(&mut schema);
    whole.insert("$defs".into(), Value::Object(builder.definitions));
    Value::Object(whole)
}

struct Builder {
    definitions: Map<String, Value>,
    components: Vec<Component>,
}

impl Builder {
    /// Makes a definition once and returns the reference to it.
    fn define(&mut self, name: &str, make: impl FnOnce(&mut Self) -> Value) -> Value {
        if !self.definitions.contains_key(name) {
            // Its place, so that the order is that of first use.
            self.definitions.insert(name.to_owned(), Value::Null);
            let made = make(self);
            self.definitions.insert(name.to_owned(), made);
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }

    /// A section; `computed` says whether its values can be expressions.
    fn section(&mut self, keys: &'static Keys, computed: bool) -> Map<String, Value> {
        let mut properties = Map::new();
        for key in keys.known {
            let computed = computed || places::is_place(key.name);
            let mut value = self.shape(&key.shape, computed, true);
            value.insert("description".into(), json!(key.about));
            properties.insert(key.name.into(), Value::Object(value));
        }
        let mut schema = Map::from_iter([
            ("type".to_owned(), json!("object")),
            ("additionalProperties".to_owned(), json!(false)),
        ]);
        let has = |name: &str| properties.contains_key(name);
        if has("uses") {
            schema.insert(
                "dependentRequired".into(),
                json!({ "with": ["uses"], "env": ["run"] }),
            );
            let rules: Vec<_> = self.components.iter().map(Component::rule).collect();
            if !rules.is_empty() {
                schema.insert("allOf".into(), Value::Array(rules));
            }
        }
        schema.insert("properties".into(), Value::Object(properties));
        if !keys.required.is_empty() {
            schema.insert("required".into(), json!(keys.required));
        }
        if !keys.one_of.is_empty() {
            let each = keys.one_of.iter().map(|key| json!({ "required": [key] }));
            schema.insert("oneOf".into(), each.collect());
        }
        schema
    }

    /// A value. A section as a whole (`top`) can't be an expression; what is in it can.
    fn shape(&mut self, shape: &'static Shape, computed: bool, top: bool) -> Map<String, Value> {
        let plain = match shape {
            Shape::Section(keys) => {
                // The same section may stand where expressions are computed and where not.
                let name = keys.title.trim_matches('`').replace(' ', "-");
                let reference = self.define(&name, |builder| {
                    Value::Object(builder.section(keys, computed))
                });
                return object(reference);
            }
            Shape::Map(names, of) => {
                let mut schema = object(json!({ "type": "object" }));
                if !matches!(of, Shape::Any) {
                    let of = self.shape(of, computed, false);
                    schema.insert("additionalProperties".into(), Value::Object(of));
                }
                if !names.is_empty() {
                    schema.insert("propertyNames".into(), json!({ "pattern": names }));
                }
                if top {
                    return schema;
                }
                Value::Object(schema)
            }
            Shape::List(of, least) => {
                let items = self.shape(of, computed, false);
                let mut schema = object(json!({ "type": "array", "items": items }));
                if *least > 0 {
                    schema.insert("minItems".into(), json!(least));
                }
                Value::Object(schema)
            }
            Shape::Either(shapes) => {
                let each = shapes.iter().map(|one| self.shape(one, computed, false));
                let each: Vec<_> = each.map(Value::Object).collect();
                return object(json!({ "anyOf": each }));
            }
            Shape::Text(pattern) => with_pattern(json!({ "type": "string" }), pattern),
            Shape::Written(pattern) => {
                with_pattern(json!({ "type": ["string", "number", "boolean"] }), pattern)
            }
            Shape::Script => json!({ "type": ["string", "number", "boolean"], "minLength": 1 }),
            Shape::Words(words) => json!({ "enum": words }),
            Shape::Integer((low, high)) => {
                json!({ "type": "integer", "minimum": low, "maximum": high })
            }
            Shape::Number => json!({ "type": "number" }),
            Shape::Boolean => json!({ "type": "boolean" }),
            Shape::Nothing => json!({ "type": ["object", "null"], "maxProperties": 0 }),
            Shape::Any => return Map::new(),
        };
        object(if computed {
            or_expression(&plain)
        } else {
            plain
        })
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn with_pattern(mut schema: Value, pattern: &str) -> Value {
    if !pattern.is_empty() {
        schema["pattern"] = json!(pattern);
    }
    schema
}

fn or_expression(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "$ref": EXPRESSION }] })
}

/// A component whose arguments have their types.
#[derive(Clone)]
struct Component {
    /// The name of the definition of its arguments.
    definition: String,
    /// What `uses` says that means it.
    uses: String,
    /// Whether it can be used without arguments.
    optional: bool,
    schema: Value,
}

impl Component {
    fn of((name, version, description): (&str, Option<&str>, &Description)) -> Self {
        let label = match version {
            Some(version) => format!("{name}@{version}"),
            None => name.to_owned(),
        };
        let mut schema = description.parameters.clone();
        computed(&mut schema);
        // A document of its own: what its `$ref`s name is in it.
        schema["$id"] = json!(format!("urn:darkroom:arguments:{}", slug(&label)));
        if schema.get("description").is_none() {
            schema["description"] = json!(description.summary);
        }
        let required = schema.get("required").and_then(Value::as_array);
        Self {
            definition: format!("with-{}", slug(&label)),
            uses: pattern_of(name, version),
            optional: required.is_none_or(Vec::is_empty),
            schema,
        }
    }

    fn rule(&self) -> Value {
        let reference = json!({ "$ref": format!("#/$defs/{}", self.definition) });
        let mut then = json!({ "properties": { "with": reference } });
        if !self.optional {
            then["required"] = json!(["with"]);
        }
        json!({
            "if": { "properties": { "uses": { "pattern": self.uses } }, "required": ["uses"] },
            "then": then,
        })
    }
}

/// The references that mean a version: none, `@0`, `@0.1` and `@0.1.0` for 0.1.0.
fn pattern_of(name: &str, version: Option<&str>) -> String {
    let mut optional = String::new();
    if let Some(version) = version {
        for (index, part) in version.split('.').rev().enumerate() {
            let last = version.split('.').count() - 1 == index;
            let before = if last { "@" } else { r"\." };
            optional = format!("({before}{}{optional})?", regex::escape(part));
        }
    }
    format!("^{}{optional}$", regex::escape(name))
}

/// A name for a definition; those of `acme:x@^1` and `acme:x@~1` differ.
fn slug(text: &str) -> String {
    let each = text.chars().map(|c| match c {
        ':' | '@' | '/' => "-".to_owned(),
        '.' | '-' => c.to_string(),
        _ if c.is_ascii_alphanumeric() => c.to_string(),
        _ => format!("_{:x}", u32::from(c)),
    });
    each.collect()
}

/// Lets each value of a schema of arguments be an expression too.
fn computed(schema: &mut Value) {
    let Value::Object(map) = schema else {
        return;
    };
    for key in ["properties", "patternProperties", "$defs", "definitions"] {
        if let Some(Value::Object(values)) = map.get_mut(key) {
            for value in values.values_mut() {
                value_or_expression(value);
            }
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(value) = map.get_mut(key) {
            value_or_expression(value);
        }
    }
    for key in ["anyOf", "oneOf", "allOf", "prefixItems"] {
        if let Some(Value::Array(values)) = map.get_mut(key) {
            values.iter_mut().for_each(computed);
        }
    }
}

fn value_or_expression(value: &mut Value) {
    if !value.is_object() {
        return;
    }
    computed(value);
    let about = value.get("description").cloned();
    // Inside a document of its own the definition can't be named.
    let plain = value.take();
    *value = json!({ "anyOf": [plain, { "type": "string", "pattern": r"\$\{\{" }] });
    if let Some(about) = about {
        value["description"] = about;
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use super::*;
    use crate::span::SourceFile;
    use crate::yaml;

    fn document(text: &str) -> Value {
        let file = Arc::new(SourceFile::new("image.yaml", text));
        yaml::read(&file).expect("YAML").to_json()
    }

    fn complaints(schema: &Value, text: &str) -> Vec<String> {
        let validator = jsonschema::validator_for(schema).expect("a schema");
        validator
            .iter_errors(&document(text))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect()
    }

    /// The templates of a folder, by path.
    fn templates(folder: &str, inside: &str) -> Vec<(PathBuf, String)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut found: Vec<_> = std::fs::read_dir(folder)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").path().join(inside))
            .filter_map(|path| {
                // Without `inside` it is the file itself, which a slash would hide.
                let path: PathBuf = path.components().collect();
                std::fs::read_to_string(&path).ok().map(|text| (path, text))
            })
            .collect();
        found.sort();
        assert!(!found.is_empty());
        found
    }

    #[test]
    fn every_good_template_fits() {
        let schema = schema();
        let good = templates("../../examples", "image.yaml").into_iter();
        for (path, text) in good.chain(templates("tests/good", "")) {
            assert!(
                crate::parse(&text, "image.yaml").is_ok(),
                "{}",
                path.display()
            );
            let found = complaints(&schema, &text);
            assert!(found.is_empty(), "{}: {found:#?}", path.display());
        }
    }

    /// What the reader accepts an editor must not complain about, so each template is
    /// tried without each of its lines too.
    #[test]
    fn what_is_left_of_good_templates_fits() {
        let schema = schema();
        let mut good = 0;
        for (_, text) in templates("tests/good", "") {
            let lines: Vec<_> = text.split_inclusive('\n').collect();
            for without in 0..lines.len() {
                let text = [&lines[..without], &lines[without + 1..]].concat().concat();
                if crate::parse(&text, "image.yaml").is_ok() {
                    good += 1;
                    let found = complaints(&schema, &text);
                    assert!(found.is_empty(), "{text}: {found:#?}");
                }
            }
        }
        assert!(good > 20, "{good}");
    }

    #[test]
    fn bad_ones_do_not() {
        let schema = schema();
        let with = |lines: &str| format!("name: web\nsource: {{ family: debian-12 }}\n{lines}");
        for text in [
            "source: { family: debian-12 }\n".to_owned(),
            "name: web\n".to_owned(),
            "name: Web\nsource: { family: debian-12 }\n".to_owned(),
            "name: web\nsource: { family: debian-12, image: m-1 }\n".to_owned(),
            "name: web\nsource: {}\n".to_owned(),
            with("biuld: []\n"),
            with("build: {}\n"),
            with("build: [{}]\n"),
            with("build: [{ uses: ./a.wasm, run: x }]\n"),
            with("build: [{ run: x, with: {} }]\n"),
            with("build: [{ copy: { from: ./a } }]\n"),
            with("build: [{ uses: packages }]\n"),
            with("build: [{ reboot: { now: true } }]\n"),
            with("test: [{ copy: { from: ./a, to: /b } }]\n"),
            with("instance: { disk: big }\n"),
            with("instance: { disk: 0 }\n"),
            with("instance: { spot: 'yes' }\n"),
            with("instance: { disks: [{ category: cloud_essd }] }\n"),
            with("retain: {}\n"),
            with("rebuild: { max-age: soon }\n"),
            with("on-test-failure: ignore\n"),
            with("checkpoint: 'yes'\n"),
            with("on: { aliyun: { checkpoint: true } }\n"),
            with("repair: []\n"),
            with("parameters: { a: { type: text } }\n"),
            with("secrets: { a: value }\n"),
            with("secrets: { A: { env: A } }\n"),
            with("secrets: { a: { env: A, file: b } }\n"),
            with("distribute: { accounts: ['123'] }\n"),
            with("on: { aws: {} }\n"),
            with("on: { local: { build: [] } }\n"),
        ] {
            assert!(crate::parse(&text, "image.yaml").is_err(), "{text}");
            assert!(!complaints(&schema, &text).is_empty(), "{text}");
        }
    }

    #[test]
    fn arguments_have_the_types_of_their_components() {
        let description = Description::parse(
            r##"{"summary": "Tries", "parameters": {"type": "object", "additionalProperties": false,
            "required": ["port"], "properties": {"port": {"type": "integer", "description": "Where"},
            "names": {"type": "array", "items": {"$ref": "#/$defs/name"}}},
            "$defs": {"name": {"type": "string", "maxLength": 3}}}}"##,
        )
        .expect("a description");
        let schema = schema_with(&[
            ("darkroom:try", Some("0.1.0"), &description),
            ("./try.wasm", None, &description),
        ]);
        let item = |item: &str| format!("name: web\nsource: {{ family: a1 }}\nbuild: [{item}]\n");
        for good in [
            "{ uses: darkroom:try, with: { port: 80, names: [a, 'x${{ name }}'] } }",
            "{ uses: darkroom:try@0, with: { port: '${{ parameters.port }}' } }",
            "{ uses: darkroom:try@0.1.0, with: { port: 80, names: '${{ parameters.names }}' } }",
            "{ uses: ./try.wasm, with: { port: 80 } }",
            "{ uses: darkroom:try@0.2, with: { anything: 1 } }",
            "{ uses: darkroom:trying }",
            "{ run: x }",
        ] {
            let found = complaints(&schema, &item(good));
            assert!(found.is_empty(), "{good}: {found:#?}");
        }
        for bad in [
            "{ uses: darkroom:try }",
            "{ uses: darkroom:try@0.1, with: { port: x } }",
            "{ uses: darkroom:try@0.1, with: { port: 1, names: [abcd] } }",
            "{ uses: ./try.wasm, with: { prot: 1 } }",
        ] {
            assert!(!complaints(&schema, &item(bad)).is_empty(), "{bad}");
        }
    }

    #[test]
    fn each_key_says_what_it_is_for() {
        let text = schema().to_string();
        let about = keys::TEMPLATE.known.iter().map(|key| key.about);
        for about in about.chain(keys::COPY.known.iter().map(|key| key.about)) {
            assert!(about.ends_with('.') || about.ends_with("`."), "{about}");
            let quoted = Value::from(about).to_string();
            assert!(text.contains(&quoted), "{about}");
        }
    }
}
