//! The one way to write a template: `darkroom fmt`.
//!
//! Layout is `pretty_yaml`'s; comments stay, keys keep their order, blocks keep their
//! text. A formatter that changed what a template means would be worse than none, so
//! both texts are read and compared; a text that doesn't come out the same is refused
//! and left alone.

use std::sync::Arc;

use pretty_yaml::config::{FormatOptions, LanguageOptions, LayoutOptions, Quotes};

use crate::mistake::{Mistake, Mistakes};
use crate::span::{SourceFile, Span};
use crate::yaml::{self, Data, Node};

/// The width that a list or mapping on one line may have. Lines of text are never
/// broken.
const WIDTH: usize = 100;

/// How far right a line may begin: the formatter's parser keeps a bit for each column
/// of indentation, and panics for lack of bits.
const FARTHEST: usize = 60;

/// Formatting what was formatted changes nothing; a comment that moves once may take
/// another turn to get there.
const TURNS: usize = 4;

/// The text of a template in the one layout. The file needs to be YAML, not a template
/// without mistakes. `file_name` is how messages call it.
///
/// # Errors
/// What isn't YAML, and a text that can't be formatted without changing what it means.
pub fn format(source: &str, file_name: &str) -> Result<String, Mistakes> {
    let file = Arc::new(SourceFile::new(file_name, source));
    let before = yaml::read(&file)?;
    if is_too_far_right(source) {
        return Err(refused(&file, &before));
    }
    let mut text = source.trim_start_matches('\u{feff}').to_owned();
    for _ in 0..TURNS {
        let next = turn(&text).ok_or_else(|| refused(&file, &before))?;
        if next == text {
            break;
        }
        text = next;
    }
    let after = yaml::read(&Arc::new(SourceFile::new(file_name, text.as_str())));
    let same = after.is_ok_and(|after| same(&before, &after));
    if same && comments(source) == comments(&text) {
        Ok(text)
    } else {
        Err(refused(&file, &before))
    }
}

fn turn(text: &str) -> Option<String> {
    // It may also meet what nobody has met yet; then the text is left alone as well.
    std::panic::catch_unwind(|| laid_out(text)).ok().flatten()
}

/// Whether a line begins further right than the formatter's parser can count.
fn is_too_far_right(text: &str) -> bool {
    text.lines().any(|line| {
        let begins = line.trim_start_matches([' ', '-', '?']);
        line.len() - begins.len() > FARTHEST
    })
}

fn laid_out(text: &str) -> Option<String> {
    let options = FormatOptions {
        layout: LayoutOptions {
            print_width: WIDTH,
            ..LayoutOptions::default()
        },
        language: LanguageOptions {
            quotes: Quotes::PreferSingle,
            trailing_comma: false,
            // Space at the end of a script's line is the script's.
            trim_trailing_whitespaces: false,
            ..LanguageOptions::default()
        },
    };
    let mut text = pretty_yaml::format_text(text, &options).ok()?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Some(text)
}

fn refused(file: &Arc<SourceFile>, document: &Node) -> Mistakes {
    let start = document.span.start;
    let message = "this can't be formatted without changing what it means";
    Mistake::new(file, Span::new(start, start), message)
        .help(
            "it is left as it is; simpler YAML, without odd indentation or tags, can be formatted",
        )
        .into()
}

/// Whether two documents say the same, whatever the layout.
fn same(a: &Node, b: &Node) -> bool {
    match (&a.data, &b.data) {
        (Data::Scalar(a), Data::Scalar(b)) => a.value == b.value && a.text == b.text,
        (Data::List(a), Data::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Data::Map(a), Data::Map(b)) => {
            let same = |((a, x), (b, y)): (&(_, Node), &(_, Node))| key(a) == key(b) && same(x, y);
            a.len() == b.len() && a.iter().zip(b).all(same)
        }
        _ => false,
    }
}

fn key(key: &yaml::Key) -> &str {
    &key.text
}

/// The comments of a text, in order.
fn comments(text: &str) -> Option<Vec<String>> {
    let text = text.trim_start_matches('\u{feff}');
    let tree = std::panic::catch_unwind(|| yaml_parser::parse(text))
        .ok()?
        .ok()?;
    let comments = tree
        .descendants_with_tokens()
        .filter(|found| found.kind() == yaml_parser::SyntaxKind::COMMENT)
        .map(|found| found.to_string().trim_end().to_owned());
    Some(comments.collect())
}
