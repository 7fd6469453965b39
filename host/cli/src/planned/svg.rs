//! The picture as a drawing that stands alone: no script, no font, no reference to
//! anything outside of it. It brings its own background and follows the reader's choice
//! of dark or light, and reads well where that choice isn't known.
//!
//! Stages are bands from top to bottom. What happens in order is one column; a fork is
//! drawn side by side in a frame. Text that is too long for its box is shortened with `…`, and
//! whole in the box's tooltip.

use std::fmt::Write as _;

use console::truncate_str;

use super::picture::{Kind, Node, Picture, Stage};

const MARGIN: usize = 16;
/// Where the bands' names stand.
const NAMES: usize = 128;
/// The width of what is drawn in bands.
const COLUMN: usize = 560;
const BOX: usize = 420;
/// Boxes of a fork, side by side, and the space between them.
const ABREAST: usize = 3;
const GAP: usize = 20;
const ARROW: usize = 22;
const BAND_PADDING: usize = 14;
const BETWEEN: usize = 4;
const TITLE: usize = 46;
const LINE: usize = 17;
const BOX_PADDING: usize = 10;
/// What a character of the small text takes, rounded up: fonts differ, and a box that is
/// too wide looks better than a text that leaves it. In tenths of a unit.
const CHARACTER: usize = 71;

/// Plain rules first, for readers that know no media queries; no variables, which some
/// of them don't know either.
const STYLE: &str = "
  text { font: 12px ui-sans-serif, system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #59636e; }
  .name { font-size: 11px; font-weight: 600; letter-spacing: .05em; }
  .title { font-size: 16px; font-weight: 600; fill: #1f2328; }
  .head { font-weight: 600; fill: #1f2328; }
  .ground { fill: #ffffff; }
  .band { fill: #f3f4f6; }
  .box { stroke: #8c959f; }
  .frame { fill: none; stroke: #8c959f; stroke-dasharray: 4 3; }
  .work { fill: #ffffff; }
  .image { fill: #ddf4ff; }
  .instance { fill: #fff8c5; }
  .arrow { fill: none; stroke: #8c959f; stroke-width: 1.3; marker-end: url(#tip); }
  .tip { fill: #8c959f; }
  @media (prefers-color-scheme: dark) {
    text { fill: #9da7b3; }
    .title, .head { fill: #e6edf3; }
    .ground { fill: #0d1117; }
    .band { fill: #161b22; }
    .box { stroke: #6e7681; }
    .frame { stroke: #6e7681; }
    .work { fill: #21262d; }
    .image { fill: #0c2d6b; }
    .instance { fill: #4b3a00; }
    .arrow { stroke: #6e7681; }
    .tip { fill: #6e7681; }
  }
";

/// A point where an arrow leaves or arrives.
#[derive(Clone, Copy)]
struct Point {
    x: usize,
    y: usize,
}

/// The drawing's text.
pub(crate) fn svg(picture: &Picture) -> String {
    let mut drawing = Drawing::default();
    let mut y = MARGIN + TITLE;
    let mut from = Vec::new();
    for stage in &picture.stages {
        y = drawing.stage(stage, y, &mut from);
    }
    let width = 2 * MARGIN + NAMES + COLUMN;
    let height = y + MARGIN;
    let title = escaped(&picture.title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
         markerHeight=\"7\" orient=\"auto\"><path class=\"tip\" d=\"M0 0L8 4L0 8z\"/></marker></defs>\n\
         <rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"{}\">{title}</text>\n{}{}{}{}</svg>\n",
        MARGIN + 20,
        drawing.bands,
        drawing.frames,
        drawing.arrows,
        drawing.boxes
    )
}

/// Layers, so that frames and arrows lie over bands and under boxes.
#[derive(Default)]
struct Drawing {
    bands: String,
    frames: String,
    arrows: String,
    boxes: String,
}

impl Drawing {
    /// Draws a stage whose band begins at `top` and returns where the next one does.
    /// `from` is where arrows leave what was drawn before.
    fn stage(&mut self, stage: &Stage, top: usize, from: &mut Vec<Point>) -> usize {
        let left = MARGIN + NAMES;
        let mut y = top + BAND_PADDING;
        if stage.fork {
            y += ARROW;
            self.arrows_to(
                from,
                Point {
                    x: left + COLUMN / 2,
                    y,
                },
            );
            y = self.fork(&stage.nodes, left, y);
            *from = vec![Point {
                x: left + COLUMN / 2,
                y,
            }];
        } else {
            let x = left + (COLUMN - BOX) / 2;
            for node in &stage.nodes {
                if !from.is_empty() {
                    y += ARROW;
                }
                self.arrows_to(from, Point { x: x + BOX / 2, y });
                let height = height(node);
                self.node(node, x, y, BOX, height);
                y += height;
                *from = vec![Point { x: x + BOX / 2, y }];
            }
        }
        let bottom = y + BAND_PADDING;
        self.band(stage.name, top, bottom - top);
        bottom + BETWEEN
    }

    /// Draws what happens all at once, in a frame of its own, so that no arrow has to
    /// say which of several rows comes first: none does.
    fn fork(&mut self, nodes: &[Node], left: usize, top: usize) -> usize {
        let across = nodes.len().min(ABREAST);
        let room = COLUMN - 4 * BAND_PADDING - GAP * (across - 1);
        let width = (room / across).min(BOX);
        let mut y = top;
        for row in nodes.chunks(ABREAST) {
            y += BAND_PADDING;
            let used = width * row.len() + GAP * (row.len() - 1);
            let mut x = left + (COLUMN - used) / 2;
            let height = row.iter().map(height).max().unwrap_or(0);
            for node in row {
                self.node(node, x, y, width, height);
                x += width + GAP;
            }
            y += height;
        }
        y += BAND_PADDING;
        writing(
            &mut self.frames,
            format_args!(
                "<rect class=\"frame\" x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n",
                left + BAND_PADDING,
                COLUMN - 2 * BAND_PADDING,
                y - top
            ),
        );
        y
    }

    fn band(&mut self, name: &str, top: usize, height: usize) {
        let width = NAMES + COLUMN;
        writing(
            &mut self.bands,
            format_args!(
                "<rect class=\"band\" x=\"{MARGIN}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>\n\
                 <text class=\"name\" x=\"{}\" y=\"{}\">{name}</text>\n",
                MARGIN + 12,
                top + height / 2 + 4
            ),
        );
    }

    fn arrows_to(&mut self, from: &[Point], to: Point) {
        for from in from {
            let path = if from.x == to.x {
                format!("M{} {}V{}", from.x, from.y, to.y - 2)
            } else {
                let turn = to.y - ARROW / 2;
                format!("M{} {}V{turn}H{}V{}", from.x, from.y, to.x, to.y - 2)
            };
            writing(
                &mut self.arrows,
                format_args!("<path class=\"arrow\" d=\"{path}\"/>\n"),
            );
        }
    }

    fn node(&mut self, node: &Node, x: usize, y: usize, width: usize, height: usize) {
        let (class, round) = match node.kind {
            Kind::Work => ("work", 4),
            Kind::Image => ("image", 4),
            Kind::Instance => ("instance", 14),
        };
        let whole: Vec<_> = std::iter::once(&node.title).chain(&node.lines).collect();
        let tooltip = whole
            .iter()
            .map(|line| escaped(line))
            .collect::<Vec<_>>()
            .join("\n");
        writing(
            &mut self.boxes,
            format_args!(
                "<g><title>{tooltip}</title><rect class=\"box {class}\" x=\"{x}\" y=\"{y}\" \
                 width=\"{width}\" height=\"{height}\" rx=\"{round}\"/>\n"
            ),
        );
        let room = (width - 2 * BOX_PADDING) * 10 / CHARACTER;
        for (index, line) in whole.into_iter().enumerate() {
            let class = if index == 0 { " class=\"head\"" } else { "" };
            let line = line.lines().next().unwrap_or("");
            let text = escaped(&truncate_str(line, room, "…"));
            writing(
                &mut self.boxes,
                format_args!(
                    "<text{class} x=\"{}\" y=\"{}\">{text}</text>\n",
                    x + BOX_PADDING,
                    y + BOX_PADDING + 11 + LINE * index
                ),
            );
        }
        self.boxes.push_str("</g>\n");
    }
}

fn height(node: &Node) -> usize {
    2 * BOX_PADDING + LINE * (1 + node.lines.len()) - 3
}

/// Writing into a text can't fail.
fn writing(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
}

/// Text as XML has it; what XML can't have at all becomes a replacement character.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                escaped.push('\u{fffd}');
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use console::measure_text_width;

    use super::super::picture::tests::picture;
    use super::*;

    #[test]
    fn a_drawing() {
        insta::assert_snapshot!(svg(&picture()));
    }

    #[test]
    fn no_text_leaves_its_box() {
        let drawn = svg(&picture());
        let room = (BOX - 2 * BOX_PADDING) * 10 / CHARACTER;
        let texts = drawn.lines().filter(|line| line.starts_with("<text"));
        let short: Vec<_> = texts.filter(|line| line.contains('…')).collect();
        assert_eq!(short.len(), 1, "{short:?}");
        let text = short[0].split(['>', '<']).nth(2).unwrap();
        let text = text.replace("&quot;", "'").replace("&amp;", "&");
        let text = text.replace("&lt;", "<").replace("&gt;", ">");
        assert_eq!(measure_text_width(&text), room, "{text}");
        // What was shortened is whole in the tooltip.
        assert!(drawn.contains("much too long for any box of this picture"));
    }

    #[test]
    fn it_is_xml_whatever_the_names_are() {
        assert_eq!(
            escaped("<a> & \"b\"\u{1b}"),
            "&lt;a&gt; &amp; &quot;b&quot;\u{fffd}"
        );
    }
}
