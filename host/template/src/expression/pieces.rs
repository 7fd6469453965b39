//! A text cut into what stands as it is and what is computed.
//!
//! Only quotes and brackets are looked at, to find the `}}` that belongs to a `${{`.

use std::ops::Range;

use super::Fault;

/// How an expression begins.
pub(super) const OPEN: &str = "${{";
const CLOSE: &str = "}}";

/// A piece of a text, by its range of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// As it stands.
    Text(Range<usize>),
    /// What is between `${{` and `}}`.
    Expression(Range<usize>),
}

/// Cuts a text into pieces, in order.
pub(super) fn cut(text: &str) -> Result<Vec<Piece>, Fault> {
    let mut pieces = Vec::new();
    let mut done = 0;
    while let Some(found) = text[done..].find(OPEN) {
        let open = done + found;
        let start = open + OPEN.len();
        let end = close(&text[start..]).map(|length| start + length);
        let Some(end) = end else {
            let line = text[open..].lines().next().unwrap_or("").len();
            let fault = Fault::new(open..open + line, "a `${{` has no `}}` after it");
            return Err(fault
                .label("begins here")
                .help("write `${{ parameters.name }}`; a text in it ends with the quote that it begins with"));
        };
        if open > done {
            pieces.push(Piece::Text(done..open));
        }
        pieces.push(Piece::Expression(start..end));
        done = end + CLOSE.len();
    }
    if done < text.len() {
        pieces.push(Piece::Text(done..text.len()));
    }
    Ok(pieces)
}

/// How long the expression is that a text begins with.
fn close(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            _ if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(open), byte) if open == byte => quote = None,
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'{' | b'[' | b'(') => depth += 1,
            (None, b'}') if depth == 0 && text[at..].starts_with(CLOSE) => return Some(at),
            (None, b'}' | b']' | b')') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_expressions() {
        let show = |text: &str| -> Vec<String> {
            let pieces = cut(text).expect("no fault");
            pieces
                .into_iter()
                .map(|piece| match piece {
                    Piece::Text(range) => format!("T{}", &text[range]),
                    Piece::Expression(range) => format!("E{}", &text[range]),
                })
                .collect()
        };
        assert_eq!(show(""), Vec::<String>::new());
        assert_eq!(show("a}} {{ $"), ["Ta}} {{ $"]);
        assert_eq!(show("x${{ a }}${{b}}."), ["Tx", "E a ", "Eb", "T."]);
        assert_eq!(show("${{ '}}' }}"), ["E '}}' "]);
        assert_eq!(show("${{ {'a': {}} }}"), ["E {'a': {}} "]);
        assert_eq!(show(r"${{ 'it\'s }}' }}"), [r"E 'it\'s }}' "]);
        assert_eq!(show("é${{ 'é' }}é"), ["Té", "E 'é' ", "Té"]);
        for bad in ["${{", "${{ a }", "${{ 'a }}", "x ${{ a }} ${{ b"] {
            assert!(cut(bad).is_err(), "{bad}");
        }
    }
}
