//! The language of `template`: Jinja, by minijinja, without what reaches outside.
//!
//! A variable that is not there is a mistake and never an empty text, and nothing is
//! escaped: what is written is a file, not a page. Line ends stay as they are written, the
//! last one too; `{%-` and `-%}` take them away. Loops are limited by fuel.

use darkroom::Json;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};

/// Instructions of one template: more than a file of a megabyte needs. It stops a loop
/// without end before the host's own limit does, with words about the template.
const FUEL: u64 = 2_000_000;

/// The text of the template with these values.
///
/// # Errors
/// What is wrong with the template, and in which line.
pub(crate) fn render(template: &str, values: Option<&Json>) -> Result<String, String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    let syntax = SyntaxConfig::builder()
        .keep_trailing_newline(true)
        .build()
        .map_err(|error| error.to_string())?;
    environment.set_syntax(syntax);
    environment.set_fuel(Some(FUEL));
    let values = values.map_or_else(|| Value::from_pairs::<_, String, Value>([]), value);
    environment
        .render_named_str("template", template, values)
        .map_err(|error| {
            let line = error.line().map(|line| format!("line {line} of "));
            let message = error.detail().map_or_else(
                || error.kind().to_string(),
                |detail| format!("{}: {detail}", error.kind()),
            );
            let used = template
                .lines()
                .nth(error.line().unwrap_or(1).saturating_sub(1))
                .unwrap_or_default();
            format!(
                "{}`template`: {message}, in: {}",
                line.unwrap_or_default(),
                used.trim()
            )
        })
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Flag(flag) => Value::from(*flag),
        Json::Number(number) => number
            .parse::<i64>()
            .map(Value::from)
            .or_else(|_| number.parse::<f64>().map(Value::from))
            .unwrap_or_else(|_| Value::from(number)),
        Json::Text(text) => Value::from(text),
        Json::List(list) => list.iter().map(value).collect(),
        Json::Object(members) => {
            Value::from_pairs(members.iter().map(|(name, one)| (name.clone(), value(one))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::render;
    use darkroom::Json;

    fn with(template: &str, values: &str) -> Result<String, String> {
        render(template, Some(&values.parse::<Json>().unwrap()))
    }

    #[test]
    fn values_stand_where_they_are_named_and_nothing_is_escaped() {
        let values =
            r#"{"name":"<it's> $(x) é","port":8080,"on":true,"hosts":["a","b"],"db":{"user":"u"}}"#;
        for (template, text) in [
            ("name = {{ name }}\n", "name = <it's> $(x) é\n"),
            ("{{ port + 1 }} {{ db.user }} {{ db['user'] }}", "8081 u u"),
            (
                "{% for host in hosts %}server {{ host }};\n{% endfor %}",
                "server a;\nserver b;\n",
            ),
            ("{% if on %}yes{% else %}no{% endif %}", "yes"),
            ("{{ missing | default('none') }}", "none"),
            ("{# not seen #}{{ hosts | join(',') }}", "a,b"),
            (
                "{% raw %}{{ as it is }}{% endraw %}\n\n",
                "{{ as it is }}\n\n",
            ),
        ] {
            assert_eq!(with(template, values).as_deref(), Ok(text), "{template}");
        }
        assert_eq!(render("plain", None).as_deref(), Ok("plain"));
    }

    #[test]
    fn mistakes_name_their_line() {
        for (template, message) in [
            (
                "a\nb = {{ missing }}",
                "line 2 of `template`: undefined value",
            ),
            ("{{ name", "line 1 of `template`: syntax error"),
            ("{% include 'x' %}", "line 1 of `template`"),
            (
                "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
                "fuel",
            ),
        ] {
            let mistake = with(template, "{}").unwrap_err();
            assert!(mistake.contains(message), "{mistake}");
        }
    }
}
