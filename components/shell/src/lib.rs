//! The component `shell`: runs a script of the template.
//!
//! A builder that runs `script`, and a tester that runs `test` on the machine started from
//! the finished image. They are two parameters because a builder's own tester runs by
//! default with the same arguments, and a script that builds must not run again in a test.
//!
//! Whether a script has to run at all, only its author knows: with `creates` or `unless`
//! it is looked first, and a second application is no change. Without them the script
//! runs every time.
//!
//! It must not look into the scripts, nor paste anything into them: values go by `env`.

use darkroom::{
    About, Builder, Description, Parameter, Step, Tester, component, inputs, report, shell,
};

struct Shell;

impl About for Shell {
    fn describe() -> Description {
        Description::new("Runs a script of the template")
            .parameter(Parameter::text(
                "script",
                "The script that builds, for /bin/sh or what its #! line names",
            ))
            .parameter(Parameter::text(
                "test",
                "The script that tests: exit code 0 is a passed case",
            ))
            .parameter(
                Parameter::text(
                    "creates",
                    "A path that the script makes: where it is there already, it does not run",
                )
                .pattern("^/"),
            )
            .parameter(Parameter::text(
                "unless",
                "A script that is run first: where it exits with 0, the other does not run",
            ))
            .parameter(Parameter::text("name", "What the step is called").keyword("maxLength", 100))
            .parameter(
                Parameter::map(
                    "env",
                    "Environment variables, also secrets; values are never pasted into the script",
                )
                .secret(),
            )
            .parameter(Parameter::text("user", "The user that the script runs as").default("root"))
            .parameter(Parameter::text("directory", "The working directory").pattern("^/"))
            .parameter(
                Parameter::integer("timeout", "Seconds for one attempt")
                    .default(600)
                    .minimum(10)
                    .maximum(86400),
            )
            .parameter(
                Parameter::integer("attempts", "How often it is tried")
                    .default(1)
                    .minimum(1)
                    .maximum(10),
            )
            .parameter(Parameter::text(
                "expect",
                "A text that the output must contain",
            ))
            .family("linux")
    }
}

impl Builder for Shell {
    fn build() -> Result<(), String> {
        let script =
            inputs::text("script").ok_or("`script` is missing: there is nothing to run")?;
        if is_done()? {
            change::tell(false);
            return Ok(());
        }
        declare("script", &script)?;
        change::tell(true);
        Ok(())
    }
}

impl Tester for Shell {
    fn test() -> Result<(), String> {
        let Some(script) = inputs::text("test") else {
            report::skipped("test", "the component has no `test`");
            return Ok(());
        };
        declare("test", &script)
    }
}

/// Whether the script has nothing to do, which is asked on the machine.
fn is_done() -> Result<bool, String> {
    let mut done = false;
    if let Some(path) = inputs::text("creates") {
        let look = shell(change::named("look for", &path), LOOK).environment("CREATES", &path);
        done = look.output().trim() == "yes";
    }
    if let Some(unless) = inputs::text("unless").filter(|_| !done) {
        let look = shell("look whether it is done", unless).tolerate();
        done = dress(look)?.succeeded();
    }
    Ok(done)
}

/// A link counts, wherever it leads.
const LOOK: &str = r#"if [ -e "$CREATES" ] || [ -L "$CREATES" ]; then echo yes; else echo no; fi
"#;

/// The one step of either role.
fn declare(role: &str, script: &str) -> Result<(), String> {
    let name = inputs::text("name").filter(|name| !name.is_empty());
    let step = shell(name.unwrap_or_else(|| format!("run the {role}")), script)
        .attempts(number("attempts", 1)?);
    let step = dress(step)?;
    if let Some(text) = inputs::text("expect") {
        let _: Step = step.expect_output(text);
    }
    Ok(())
}

/// What all scripts of the template have in common.
fn dress(step: Step) -> Result<Step, String> {
    let mut step = step.timeout(number("timeout", 600)?);
    // Without `run_as` and `directory` it is root's home, as the contract says.
    if let Some(user) = inputs::text("user").filter(|user| user != "root") {
        step = step.run_as(user);
    }
    if let Some(directory) = inputs::text("directory") {
        step = step.directory(directory);
    }
    Ok(inputs::map("env")
        .into_iter()
        .fold(step, |step, (name, value)| step.environment(name, value)))
}

fn number(name: &str, default: i64) -> Result<u32, String> {
    let number = inputs::integer(name).unwrap_or(default);
    u32::try_from(number).map_err(|_| format!("`{name}` is {number}, which is no count"))
}

component!(Shell: builder, tester);

#[cfg(test)]
mod tests {
    use super::Shell;
    use darkroom::Json;
    use darkroom::testing::{Answer, Machine, Verdict};

    const HOSTILE: &str = "a b'\"$(touch pwned)`touch pwned`\n; touch pwned #\\";

    #[test]
    fn the_script_runs_as_it_stands_and_values_go_by_environment() {
        let script = "printf '%s' \"$GREETING\"";
        let run = Machine::debian()
            .argument("script", script)
            .argument("env", Json::object([("GREETING", HOSTILE.into())]))
            .argument("user", "www-data")
            .argument("directory", "/srv")
            .argument("timeout", 30)
            .build::<Shell>();
        assert_eq!((run.result.clone(), run.planned, run.calls), (Ok(()), 1, 1));
        let step = run.step("run the script");
        assert_eq!(step.script(), Some(script));
        assert_eq!(
            (step.user.as_deref(), step.directory.as_deref()),
            (Some("www-data"), Some("/srv"))
        );
        assert_eq!((step.timeout, step.attempts), (Some(30), Some(1)));

        let folder = tempfile::tempdir().unwrap();
        assert_eq!(step.run(folder.path(), folder.path()).output, HOSTILE);
        assert!(!folder.path().join("pwned").exists());
    }

    #[test]
    fn a_script_that_fails_ends_the_build() {
        let machine = Machine::debian()
            .argument("script", "false")
            .argument("name", "try");
        let run = machine.answer("try", Answer::exit(1)).build::<Shell>();
        assert_eq!(run.result, Err("the step \"try\" failed".to_owned()));
    }

    #[test]
    fn without_a_script_nothing_can_be_built() {
        let run = Machine::debian().build::<Shell>();
        assert!(run.result.unwrap_err().contains("`script` is missing"));
        assert!(run.steps.is_empty());
    }

    #[test]
    fn a_script_that_is_done_does_not_run() {
        let machine = Machine::debian().argument("script", "make");
        let run = machine.build::<Shell>();
        assert_eq!(run.published, [("changed".to_owned(), Json::Flag(true))]);

        let creates = machine.clone().argument("creates", "/srv/it's");
        for (answer, changed) in [("yes\n", false), ("no\n", true)] {
            let creates = creates
                .clone()
                .answer("look for /srv/it's", Answer::output(answer));
            let run = creates.build::<Shell>();
            assert_eq!(run.published, [("changed".to_owned(), Json::Flag(changed))]);
            assert_eq!(run.steps.len(), 1 + usize::from(changed));
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("it's $(touch pwned)");
        let look = || {
            let creates = machine.clone().argument("creates", file.to_str().unwrap());
            let run = creates.build::<Shell>();
            run.steps[0].run(folder.path(), folder.path()).output
        };
        assert_eq!(look(), "no\n");
        std::fs::write(&file, "").unwrap();
        assert_eq!(look(), "yes\n");
        assert!(!folder.path().join("pwned").exists());

        let unless = machine
            .argument("unless", "command -v it")
            .argument("user", "ann");
        let look = "look whether it is done";
        for (answer, steps) in [(Answer::success(), 1), (Answer::exit(127), 2)] {
            let run = unless.clone().answer(look, answer).build::<Shell>();
            assert_eq!((run.result.clone(), run.steps.len()), (Ok(()), steps));
            assert_eq!(run.step(look).user.as_deref(), Some("ann"));
        }
    }

    #[test]
    fn the_tester_never_runs_the_script_that_builds() {
        let run = Machine::debian()
            .argument("script", "rm -rf /srv/old")
            .test::<Shell>();
        assert!(run.steps.is_empty());
        assert!(matches!(run.verdict("test"), Verdict::Skipped(_)));
    }

    #[test]
    fn a_test_is_a_case() {
        let machine = Machine::debian()
            .argument("test", "true")
            .argument("expect", "ok");
        let run = machine
            .clone()
            .answer("run the test", Answer::output("it is ok"))
            .test::<Shell>();
        assert_eq!(run.verdict("run the test"), &Verdict::Passed);
        let run = machine
            .answer("run the test", Answer::output("it is not"))
            .test::<Shell>();
        assert_eq!(
            run.verdict("run the test"),
            &Verdict::Failed("it is not".to_owned())
        );
        assert_eq!(run.result, Ok(()));
    }
}
