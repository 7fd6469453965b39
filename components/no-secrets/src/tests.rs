//! What follows from the finds.

use super::{KINDS, NoSecrets};
use darkroom::testing::{Answer, Machine, Verdict};

const LOOK: &str = "look for secrets";

#[test]
fn a_clean_machine_passes_every_case() {
    let run = Machine::debian().test::<NoSecrets>();
    assert_eq!((run.result.clone(), run.cases.len()), (Ok(()), KINDS.len()));
    assert!(run.cases.iter().all(|case| case.verdict == Verdict::Passed));
    assert!(run.step(LOOK).arguments.contains(&"/usr/local".to_owned()));
}

#[test]
fn each_find_fails_its_own_case_and_no_other() {
    for (word, name, case) in KINDS {
        let machine =
            Machine::debian().answer(LOOK, Answer::output(format!("{word} /some/a file\n")));
        let run = machine.test::<NoSecrets>();
        for other in &run.cases {
            let wanted = if other.name == case {
                Verdict::Failed("/some/a file".into())
            } else {
                Verdict::Passed
            };
            assert_eq!(other.verdict, wanted, "{word}: {}", other.name);
        }
        let run = machine.argument("skip", [name]).test::<NoSecrets>();
        assert!(matches!(run.verdict(case), Verdict::Skipped(_)));
    }
}

#[test]
fn what_is_allowed_does_not_count_and_many_finds_are_not_all_named() {
    let keys: Vec<_> = (0..12).map(|n| format!("key /srv/{n}.pem")).collect();
    let said = keys.join("\n") + "\npassword /etc/shadow: root\n";
    let machine = Machine::debian().answer(LOOK, Answer::output(said));
    let run = machine.test::<NoSecrets>();
    let Verdict::Failed(message) = run.verdict("no private key is left") else {
        panic!("{run:?}")
    };
    assert!(message.ends_with(" and 4 more"), "{message}");
    assert_eq!(
        run.verdict("no password is set"),
        &Verdict::Failed("/etc/shadow: root".into())
    );
    let run = machine
        .argument("allow", ["/srv/*.pem", "/etc/shadow"])
        .test::<NoSecrets>();
    assert!(run.cases.iter().all(|case| case.verdict == Verdict::Passed));
}

#[test]
fn a_machine_that_can_not_be_searched_is_an_error() {
    let run = Machine::debian()
        .answer(LOOK, Answer::failure())
        .test::<NoSecrets>();
    assert!(run.result.is_err());
}
