//! From a place in a value to the place in the file that says it.
//!
//! A value and its text in the file differ where YAML folds lines, strips indentation
//! and reads escapes. The two are walked side by side from the `${{` on; where that
//! doesn't lead through, the whole value is the place.

use std::ops::Range;

use super::pieces::OPEN;
use crate::span::Span;

/// The place in `file` of a range of `text`, the value of the node at `node`.
pub(super) fn of(file: &str, node: Span, text: &str, range: Range<usize>) -> Span {
    let found = || {
        let raw = file.get(node.start..node.end)?;
        // Escapes could hide one; then counting leads to the wrong one.
        let counted = text.matches(OPEN).count() == raw.matches(OPEN).count();
        let at = if text.get(range.start..)?.starts_with(OPEN) {
            range.start
        } else {
            text[..range.start].rfind(OPEN)?
        };
        let index = text[..at].matches(OPEN).count();
        let (raw_at, _) = raw.match_indices(OPEN).nth(index).filter(|_| counted)?;
        let start = walk(&raw[raw_at..], &text[at..], range.start - at)?;
        let end = walk(&raw[raw_at..], &text[at..], range.end.checked_sub(at)?)?;
        let base = node.start + raw_at;
        Some(Span::new(base + start, base + end))
    };
    found().unwrap_or(node)
}

/// The offset in `raw` that corresponds to the offset `to` in `text`.
fn walk(raw: &str, text: &str, to: usize) -> Option<usize> {
    let mut raw_at = 0;
    let mut wanted = text.get(..to)?.chars().peekable();
    while let Some(next) = wanted.next() {
        if !next.is_whitespace() {
            raw_at += escapes(&raw[raw_at..], |c| c == next)? + next.len_utf8();
            continue;
        }
        while wanted.peek().is_some_and(|more| more.is_whitespace()) {
            wanted.next();
        }
        raw_at += escapes(&raw[raw_at..], char::is_whitespace)?;
        let rest = &raw[raw_at..];
        let space = rest.len() - rest.trim_start().len();
        // Within space, the place in the file is as far from its beginning.
        let within = text[to..].starts_with(char::is_whitespace);
        raw_at += if wanted.peek().is_none() && within {
            trailing(text, to).min(space)
        } else {
            space
        };
    }
    Some(raw_at)
}

/// How many bytes of quotes and backslashes stand before the character that is meant:
/// `''` in single quotes and `\"` in double ones are one character of the value.
fn escapes(raw: &str, meant: impl Fn(char) -> bool) -> Option<usize> {
    let (at, _) = raw.char_indices().take(3).find(|(_, c)| meant(*c))?;
    raw[..at]
        .chars()
        .all(|c| matches!(c, '\'' | '\\'))
        .then_some(at)
}

/// How many bytes of space a text has before `to`.
fn trailing(text: &str, to: usize) -> usize {
    let before = text.get(..to).unwrap_or(text);
    before.len() - before.trim_end().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a word of the value is found in the file.
    fn found<'f>(file: &'f str, value: &str, word: &str) -> &'f str {
        let at = value.find(word).expect("in the value");
        let span = of(file, Span::new(0, file.len()), value, at..at + word.len());
        &file[span.start..span.end]
    }

    #[test]
    fn places_survive_quotes_and_folds() {
        assert_eq!(found("a ${{ b.c }}", "a ${{ b.c }}", "b.c"), "b.c");
        assert_eq!(
            found("'${{ ''x'' + b.c }}'", "${{ 'x' + b.c }}", "b.c"),
            "b.c"
        );
        assert_eq!(
            found(
                "\"\\\"${{ \\\"x\\\" + b.c }}\"",
                "\"${{ \"x\" + b.c }}",
                "b.c"
            ),
            "b.c"
        );
        assert_eq!(
            found(
                "|\n    one\n    ${{ a }}\n    ${{\n      b.c }}\n",
                "one\n${{ a }}\n${{\n  b.c }}\n",
                "b.c"
            ),
            "b.c"
        );
        assert_eq!(
            found("${{ a }}é${{ é.c }}", "${{ a }}é${{ é.c }}", "é.c"),
            "é.c"
        );
        // An escape that hides the beginning: the whole value is the place.
        let file = "\"\\x24{{ b.c }} ${{ d }}\"";
        assert_eq!(found(file, "${{ b.c }} ${{ d }}", "b.c"), file);
    }
}
