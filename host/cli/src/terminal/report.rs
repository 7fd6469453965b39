//! How a failure looks: for people, with causes, hints and the lines of a template;
//! for programs, as JSON. Pure functions from a failure to text.

use darkroom_template::{Mistake, Mistakes};
use miette::{Diagnostic as _, GraphicalReportHandler, GraphicalTheme};
use serde_json::{Value, json};

use crate::failure::Failure;

/// For people.
pub(crate) fn as_text(failure: &Failure, colored: bool, width: usize) -> String {
    let (red, bold, cyan, off) = if colored {
        ("\x1b[31;1m", "\x1b[1m", "\x1b[36m", "\x1b[0m")
    } else {
        ("", "", "", "")
    };
    let mut text = String::new();
    if let Some(mistakes) = failure.mistakes() {
        drawn(&mut text, mistakes, colored, width);
    } else {
        for (index, line) in failure.chain().iter().enumerate() {
            let line = line.trim_end().replace('\n', "\n  ");
            let parts = if index == 0 {
                [red, "error:", off, " ", bold, &line, off, "\n"]
            } else {
                ["  because: ", &line, "\n", "", "", "", "", ""]
            };
            text.extend(parts);
        }
    }
    for hint in &failure.hints {
        text.extend([cyan, "hint:", off, " ", hint, "\n"]);
    }
    text
}

/// The longest line that is drawn, in bytes: more is wider than any screen, and widths
/// above 65,535 are not representable in the drawing.
const LONGEST_LINE: usize = 4_000;

/// Whether the lines around a mistake can be drawn.
fn is_drawable(mistake: &Mistake) -> bool {
    let span = mistake.span.into();
    let Some(Ok(seen)) = mistake
        .source_code()
        .map(|text| text.read_span(&span, 1, 1))
    else {
        return false;
    };
    let mut lines = seen.data().split(|byte| *byte == b'\n');
    lines.all(|line| line.len() <= LONGEST_LINE)
}

fn drawn(text: &mut String, mistakes: &Mistakes, colored: bool, width: usize) {
    let theme = if colored {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(width)
        .with_context_lines(1);
    for mistake in &mistakes.0 {
        // Drawing fails where the span lies outside the file, and can't be done where a
        // line is longer than any screen; the plain form is left.
        if !is_drawable(mistake) || handler.render_report(text, mistake).is_err() {
            text.push_str(&mistake.to_string());
            text.push('\n');
        }
    }
    let first = mistakes.0.first();
    let file = first.map_or("the template", |first| first.file());
    let count = mistakes.0.len();
    let noun = if count == 1 { "mistake" } else { "mistakes" };
    let summary = format!("{count} {noun} in {file}; nothing was started");
    text.extend(["\n", &summary, "\n"]);
}

/// For programs.
pub(crate) fn as_json(failure: &Failure) -> Value {
    let chain = failure.chain();
    let mut error = json!({
        "kind": failure.kind.word(),
        "exit_code": failure.kind.exit().0,
        "message": chain.first(),
        "causes": &chain[1..],
        "hints": failure.hints,
    });
    if let (Some(mistakes), Some(object)) = (failure.mistakes(), error.as_object_mut()) {
        let list: Vec<_> = mistakes
            .0
            .iter()
            .map(|mistake| {
                json!({
                    "file": mistake.file(),
                    "line": mistake.line,
                    "column": mistake.column,
                    "message": mistake.message,
                    "help": mistake.help,
                })
            })
            .collect();
        object.insert("mistakes".into(), list.into());
    }
    json!({ "error": error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes() -> Failure {
        let source =
            "name: web\nsource: { family: debian-12 }\nbiuld: []\ninstance: { disk: big }\n";
        darkroom_template::parse(source, "image.yaml")
            .unwrap_err()
            .into()
    }

    #[test]
    fn a_template_with_mistakes() {
        insta::assert_snapshot!(as_text(&mistakes(), false, 80));
        insta::assert_json_snapshot!(as_json(&mistakes()));
    }

    #[test]
    fn a_line_that_is_too_long_is_not_drawn() {
        let source = format!("name: web\nsorce: '{}'\n", "x".repeat(70_000));
        let failure: Failure = darkroom_template::parse(&source, "image.yaml")
            .unwrap_err()
            .into();
        let text = as_text(&failure, true, 80);
        assert!(text.contains("image.yaml:2:1: "), "{text}");
        assert!(text.len() < 10_000);
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the local cloud can't be started")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn an_error_with_a_cause_and_a_hint() {
        let failure =
            Failure::config(Outer(std::io::Error::other("no space left"))).hint("free some space");
        insta::assert_snapshot!(as_text(&failure, false, 80));
        insta::assert_json_snapshot!(as_json(&failure));
        assert!(as_text(&failure, true, 80).contains("\x1b[31;1merror:"));
    }
}
