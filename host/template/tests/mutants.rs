//! Templates broken at random: whatever the text, reading, resolving, drafting, drawing
//! and formatting it end quickly, without a panic, and each mistake has its place.
//!
//! The seed is fixed, so a failure comes again. `DARKROOM_LONG=1` tries fifty times
//! as many.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::path::Path;
use std::time::{Duration, Instant};

use darkroom_template::lock::Lock;
use darkroom_template::{Cloud, Mistakes, ResolveWith, draft, format, parse};

/// Xorshift: the same numbers on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides.max(1) as u64).unwrap()
    }

    fn pick<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[self.roll(list.len())]
    }

    /// A character boundary of a text.
    fn place(&mut self, text: &str) -> usize {
        let at = self.roll(text.len() + 1);
        (0..=at).rfind(|at| text.is_char_boundary(*at)).unwrap_or(0)
    }
}

/// What is put in: bits of YAML, of expressions, and characters that count differently
/// in bytes, characters and columns.
const BITS: [&str; 78] = [
    "\t",
    "\n",
    "\r\n",
    "\r",
    "  ",
    " ",
    ":",
    ": ",
    "- ",
    "-",
    "? ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "'",
    "\"",
    "''",
    "\\",
    "#",
    " # x",
    "&a ",
    "*a",
    "&a",
    "!!str ",
    "!x ",
    "|",
    "|+",
    ">-",
    "| 2",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "<<: *a",
    "${{",
    "}}",
    "${{ }}",
    "${{ name }}",
    "${{ parameters.port - 1 }}",
    "${{ parameters.",
    "${{ secrets.token }}",
    " | ",
    " | join(",
    " if ",
    " is not ",
    "~",
    "**",
    "'${{ ''",
    "0",
    "-1",
    "1e999",
    "0x1f",
    ".inf",
    "~",
    "null",
    "true",
    "yes",
    "99999999999999999999",
    "é",
    "镜像",
    "🦀",
    "\u{0}",
    "\u{1}",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\u{10ffff}",
    "e\u{301}",
    "darkroom:",
    "./",
    "../",
    "on",
    "build:",
    "x: ",
    "\n  - run: x\n",
    "\n    env: {A: b}\n",
];

fn mutant(dice: &mut Dice, corpus: &[String]) -> String {
    let mut text = dice.pick(corpus).clone();
    for _ in 0..=dice.roll(3) {
        match dice.roll(10) {
            0..=3 => {
                let at = dice.place(&text);
                text.insert_str(at, dice.pick::<&str>(&BITS));
            }
            4 => {
                let (a, b) = (dice.place(&text), dice.place(&text));
                let end = a.max(b).min(a.min(b) + 12);
                let end = (a.min(b)..=end)
                    .rfind(|at| text.is_char_boundary(*at))
                    .unwrap();
                text.replace_range(a.min(b)..end, "");
            }
            5 => {
                let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
                let (from, to) = (dice.roll(lines.len()), dice.roll(lines.len()));
                match dice.roll(3) {
                    0 => lines.swap(from, to),
                    1 => lines.insert(to, lines[from]),
                    _ => drop(lines.remove(from)),
                }
                text = lines.concat();
            }
            6 => {
                let at = dice.place(&text);
                text.truncate(at);
            }
            7 => {
                // A piece of another template.
                let other = dice.pick(corpus);
                let (a, b) = (dice.place(other), dice.place(other));
                let at = dice.place(&text);
                text.insert_str(at, &other[a.min(b)..a.max(b)]);
            }
            8 => text = text.replacen('\n', "\r\n", 1 + dice.roll(99)),
            _ => {
                let at = dice.place(&text);
                let deep = 1 + dice.roll(300);
                text.insert_str(
                    at,
                    &dice
                        .pick(&["[", "{a: ", "- ", "(", "\n ", "${{ (", "\"", "*a, "])
                        .repeat(deep),
                );
            }
        }
        if text.is_empty() {
            break;
        }
    }
    text
}

fn corpus() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut corpus = Vec::new();
    for part in ["good", "faulty"] {
        let mut paths: Vec<_> = std::fs::read_dir(folder.join(part))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
            .collect();
        paths.sort();
        // The good ones have most to break.
        let times = if part == "good" { 40 } else { 1 };
        for path in paths {
            let text = std::fs::read_to_string(path).unwrap();
            corpus.extend(std::iter::repeat_n(text, times));
        }
    }
    corpus
}

/// What holds of the mistakes of any text.
fn check(mistakes: &Mistakes, text: &str) {
    assert!(!mistakes.0.is_empty());
    let handler =
        miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor());
    for mistake in &mistakes.0 {
        let span = mistake.span;
        assert!(
            text.get(span.start..span.end).is_some(),
            "{mistake}: {span:?}"
        );
        assert!(mistake.line > 0 && mistake.column > 0, "{mistake}");
        assert!(mistake.line <= text.split('\n').count(), "{mistake}");
        let marked = &text[span.start..span.end];
        assert!(!marked.contains('\n'), "{mistake}: {marked:?}");
        assert!(
            !mistake.message.contains(['\n', '\0']),
            "{:?}",
            mistake.message
        );
        assert!(mistake.message.len() < 1000, "{mistake}");
        let help = mistake.help.as_deref().unwrap_or("");
        assert!(!help.trim().is_empty(), "{mistake}: no help");
        let mut drawn = String::new();
        handler.render_report(&mut drawn, mistake).unwrap();
    }
}

fn try_all(text: &str) -> bool {
    let begun = Instant::now();
    let parsed = parse(text, "image.yaml");
    let good = parsed.is_ok();
    match &parsed {
        Err(mistakes) => check(mistakes, text),
        Ok(template) => {
            for cloud in [Cloud::Local, Cloud::Aliyun] {
                let with = ResolveWith {
                    cloud,
                    parameters: &[],
                    region: None,
                };
                if let Err(mistakes) = template.cells(with) {
                    check(&mistakes, text);
                }
            }
        }
    }
    let _ = draft(text, "image.yaml");
    match format(text, "image.yaml") {
        Err(mistakes) => check(&mistakes, text),
        Ok(once) => {
            assert_eq!(
                format(&once, "image.yaml").ok().as_ref(),
                Some(&once),
                "{text:?}"
            );
            assert_eq!(parse(&once, "image.yaml").is_ok(), good, "{text:?}");
        }
    }
    if let Err(mistakes) = Lock::parse(text, "darkroom.lock") {
        check(&mistakes, text);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?} {text:?}",
        begun.elapsed()
    );
    good
}

fn sweep(count: usize, seed: u64) {
    let corpus = corpus();
    let mut dice = Dice(seed);
    let mut good = 0;
    for number in 0..count {
        let text = mutant(&mut dice, &corpus);
        let tried = std::panic::catch_unwind(|| try_all(&text));
        assert!(tried.is_ok(), "mutant {number} of seed {seed}:\n{text:?}");
        good += usize::from(tried.unwrap());
    }
    // Mutants that are all refused at the first character would test little.
    assert!(good > count / 50, "{good} of {count} are templates");
}

#[test]
fn mutants() {
    sweep(400, 0x00da_2c2e_5eed);
}

#[test]
fn many_mutants() {
    if std::env::var_os("DARKROOM_LONG").is_none() {
        println!("long tier: many_mutants");
        return;
    }
    for seed in 1..=50 {
        sweep(400, seed);
    }
}
