//! The component `command`: runs a command of one's own on the machine that was started
//! from the image, and tests what it says.
//!
//! A tester with one case. What the command does is its author's business; the component
//! adds nothing to it. The host evaluates what must hold on the whole output; this only
//! finds the words for what did not.

use darkroom::{
    About, Description, Json, Parameter, Step, Tester, component, inputs, report, shell,
};

struct Command;

/// Characters of output that a failed case shows, its end.
const SHOWN: usize = 400;

impl About for Command {
    fn describe() -> Description {
        Description::new("Tests what a command of one's own says")
            .parameter(
                Parameter::text(
                    "run",
                    "A script for /bin/sh, or for what its first line names",
                )
                .required()
                .pattern(r"\S"),
            )
            .parameter(
                Parameter::text(
                    "name",
                    "What the case is called; else the script's first line",
                )
                .pattern(r"^.{1,100}$"),
            )
            .parameter(
                Parameter::any(
                    "exit-codes",
                    "Exit codes that are right, such as [0, 2]; else 0",
                )
                .keyword("type", "array")
                .keyword("items", Json::object([("type", "integer".into())])),
            )
            .parameter(Parameter::texts(
                "contains",
                "Texts that the output contains",
            ))
            .parameter(Parameter::texts(
                "lacks",
                "Texts that the output does not contain",
            ))
            .parameter(Parameter::texts(
                "matches",
                "Regular expressions (RE2) that the output matches somewhere",
            ))
            .parameter(Parameter::map("environment", "Variables of the script"))
            .parameter(Parameter::text(
                "user",
                "Who runs it, in that user's home; else root",
            ))
            .parameter(Parameter::text("directory", "Where it runs").pattern("^/"))
            .parameter(
                Parameter::integer(
                    "timeout",
                    "Seconds after which it is stopped and has failed",
                )
                .default(60)
                .minimum(10)
                .maximum(3600),
            )
            .parameter(
                Parameter::integer("attempts", "How often it is tried until it is right")
                    .default(1)
                    .minimum(1)
                    .maximum(10),
            )
            .family("linux")
    }
}

impl Tester for Command {
    fn test() -> Result<(), String> {
        let script = inputs::text("run").unwrap_or_default();
        let name = inputs::text("name").unwrap_or_else(|| title(&script));
        let codes = exit_codes();
        let (contains, lacks, matches) = (
            inputs::texts("contains"),
            inputs::texts("lacks"),
            inputs::texts("matches"),
        );
        let step = declared(&name, &script)
            .expect_exit_codes(&codes)
            .tolerate();
        for text in &contains {
            step.expect_output(text);
        }
        for text in &lacks {
            step.expect_no_output(text);
        }
        for pattern in &matches {
            step.expect_match(pattern);
        }
        if step.succeeded() {
            report::passed(name);
            return Ok(());
        }
        let problem = problem(step, &codes, &contains, &lacks, &matches);
        let output = step.output();
        let shown = end(output.trim());
        report::failed(
            name,
            if shown.is_empty() {
                format!("{problem}; it said nothing")
            } else {
                format!("{problem}; it said: {shown}")
            },
        );
        Ok(())
    }
}

fn declared(name: &str, script: &str) -> Step {
    let mut step = shell(name, script)
        .timeout(small("timeout", 60))
        .attempts(small("attempts", 1));
    if let Some(user) = inputs::text("user") {
        step = step.run_as(user);
    }
    if let Some(directory) = inputs::text("directory") {
        step = step.directory(directory);
    }
    for (name, value) in inputs::map("environment") {
        step = step.environment(name, value);
    }
    step
}

fn small(name: &str, default: u32) -> u32 {
    inputs::integer(name)
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or(default)
}

fn exit_codes() -> Vec<i32> {
    let given = inputs::json("exit-codes").unwrap_or(Json::Null);
    let codes: Vec<i32> = given
        .as_list()
        .iter()
        .filter_map(|code| i32::try_from(code.as_integer()?).ok())
        .collect();
    if codes.is_empty() { vec![0] } else { codes }
}

/// The first line that says something, as a name.
fn title(script: &str) -> String {
    let mut lines = script.lines().map(str::trim);
    let line = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    line.unwrap_or("command").chars().take(100).collect()
}

/// The first thing that did not hold, in words.
fn problem(
    step: Step,
    codes: &[i32],
    contains: &[String],
    lacks: &[String],
    matches: &[String],
) -> String {
    match step.exit_code() {
        -1 => return "it was stopped before its end".to_owned(),
        code if !codes.contains(&code) => {
            let wanted: Vec<_> = codes.iter().map(ToString::to_string).collect();
            return format!("it exited with {code}, not with {}", wanted.join(" or "));
        }
        _ => {}
    }
    let whole = step.read_all();
    let output = String::from_utf8_lossy(&whole);
    if let Some(text) = contains.iter().find(|text| !output.contains(&***text)) {
        return format!("its output does not contain {text:?}");
    }
    if let Some(text) = lacks.iter().find(|text| output.contains(&***text)) {
        return format!("its output contains {text:?}");
    }
    match matches {
        [one] => format!("its output does not match /{one}/"),
        many => format!("its output does not match all of /{}/", many.join("/, /")),
    }
}

/// The end of a text.
fn end(text: &str) -> &str {
    let cut = text.char_indices().rev().nth(SHOWN - 1);
    cut.map_or(text, |(at, _)| &text[at..])
}

component!(Command: tester);

#[cfg(test)]
mod tests {
    use super::{Command, SHOWN, end};
    use darkroom::testing::{Answer, Machine, Verdict};

    fn machine() -> Machine {
        Machine::debian().argument("run", "\n# see\nnginx -t \"$X\"\n")
    }

    #[test]
    fn the_case_is_named_for_the_script_and_passes() {
        let run = machine().test::<Command>();
        assert_eq!(run.verdict("nginx -t \"$X\""), &Verdict::Passed);
        assert_eq!(run.cases.len(), 1);
        assert_eq!(run.planned, 1);
    }

    #[test]
    fn everything_reaches_the_step() {
        let run = machine()
            .argument("name", "n")
            .argument("user", "nobody")
            .argument("directory", "/srv")
            .argument("environment", darkroom::Json::object([("X", "y'$".into())]))
            .argument("attempts", 3)
            .argument("timeout", 99)
            .argument("exit-codes", darkroom::Json::List(vec![0.into(), 7.into()]))
            .argument("matches", ["^a"])
            .test::<Command>();
        let step = run.step("n");
        assert_eq!(
            (step.user.as_deref(), step.directory.as_deref()),
            (Some("nobody"), Some("/srv"))
        );
        assert_eq!(
            (step.attempts, step.timeout, step.variable("X")),
            (Some(3), Some(99), Some("y'$"))
        );
        assert_eq!(
            (&*step.exit_codes, &*step.matches),
            (&[0, 7][..], &["^a".to_owned()][..])
        );
    }

    #[test]
    fn what_did_not_hold_is_said() {
        let said = |machine: Machine, answer: Answer| {
            let run = machine
                .argument("name", "n")
                .answer("n", answer)
                .test::<Command>();
            assert_eq!(run.result, Ok(()));
            match run.verdict("n") {
                Verdict::Failed(message) => message.clone(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(
            said(machine(), Answer::exit(3).with_output("broken\n")),
            "it exited with 3, not with 0; it said: broken"
        );
        assert_eq!(
            said(machine(), Answer::failure()),
            "it was stopped before its end; it said nothing"
        );
        assert_eq!(
            said(
                machine().argument("contains", ["a", "b"]),
                Answer::output("a")
            ),
            "its output does not contain \"b\"; it said: a"
        );
        assert_eq!(
            said(machine().argument("lacks", ["a"]), Answer::output("a")),
            "its output contains \"a\"; it said: a"
        );
    }

    #[test]
    fn only_the_end_is_shown() {
        let long = "é".repeat(SHOWN + 5);
        assert_eq!(end(&long).chars().count(), SHOWN);
        assert_eq!(end("short"), "short");
    }
}
