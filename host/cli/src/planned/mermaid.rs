//! The picture as a Mermaid flowchart, which code hosts and wikis draw.

use std::fmt::Write as _;

use super::picture::{Kind, Node, Picture};

/// The flowchart's text.
pub(crate) fn mermaid(picture: &Picture) -> String {
    let mut text = format!(
        "---\ntitle: {}\n---\nflowchart TD\n",
        // JSON's strings are YAML's, too.
        serde_json::Value::from(picture.title.as_str())
    );
    let mut ends: Vec<String> = Vec::new();
    let mut arrows = String::new();
    for (index, stage) in picture.stages.iter().enumerate() {
        writing(
            &mut text,
            format_args!("  subgraph s{index} [{}]\n", stage.name),
        );
        let mut last = ends.clone();
        ends.clear();
        for (place, node) in stage.nodes.iter().enumerate() {
            let id = format!("s{index}n{place}");
            writing(&mut text, format_args!("    {}\n", shaped(&id, node)));
            for before in &last {
                writing(&mut arrows, format_args!("  {before} --> {id}\n"));
            }
            if stage.fork {
                ends.push(id);
            } else {
                last = vec![id.clone()];
                ends = vec![id];
            }
        }
        text.push_str("  end\n");
    }
    text + &arrows
}

/// Writing into a text can't fail.
fn writing(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
}

fn shaped(id: &str, node: &Node) -> String {
    let lines = std::iter::once(&node.title).chain(&node.lines);
    let label = lines.map(|line| escaped(line)).collect::<Vec<_>>();
    let label = label.join("<br/>");
    match node.kind {
        Kind::Image => format!("{id}[(\"{label}\")]"),
        Kind::Instance => format!("{id}([\"{label}\"])"),
        Kind::Work => format!("{id}[\"{label}\"]"),
    }
}

/// Everything that means something in a label, as its number.
fn escaped(text: &str) -> String {
    let mut label = String::new();
    for c in text.chars() {
        match c {
            '"' | '#' | '<' | '>' | '&' | '`' | '\\' | ';' | '*' | '_' => {
                writing(&mut label, format_args!("#{};", u32::from(c)));
            }
            c if c.is_control() => label.push(' '),
            c => label.push(c),
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use super::super::picture::tests::picture;
    use super::*;

    #[test]
    fn a_flowchart() {
        insta::assert_snapshot!(mermaid(&picture()));
    }

    #[test]
    fn nothing_in_a_label_is_taken_for_syntax() {
        assert_eq!(
            escaped("a \"b\" #1 <br>\n"),
            "a #34;b#34; #35;1 #60;br#62; "
        );
    }
}
