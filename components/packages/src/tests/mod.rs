//! What the component asks for, and its scripts run with stand-ins for every manager.

mod apt;
mod others;
mod stubs;

use super::Packages;
use darkroom::testing::{Answer, Machine, Verdict};
use darkroom::{About as _, Json};

#[test]
fn all_steps_are_planned_in_their_order() {
    let repository = |name: &str| {
        Json::object([
            ("name", name.into()),
            ("url", "https://example.com/x".into()),
        ])
    };
    let run = Machine::debian()
        .argument("install", ["nginx", "curl"])
        .argument("remove", ["exim4"])
        .argument("hold", ["nginx"])
        .argument("unhold", ["curl"])
        .argument("upgrade", true)
        .argument("repositories", vec![repository("one"), repository("two")])
        .argument("remove-repositories", ["old"])
        .build::<Packages>();
    assert_eq!(run.result, Ok(()));
    assert_eq!(
        run.names(),
        [
            "take away the repository old",
            "set up the repository one",
            "set up the repository two",
            "hold no longer curl",
            "upgrade all packages",
            "remove exim4",
            "install nginx, curl",
            "hold nginx"
        ]
    );
    assert_eq!(run.planned, 8);
    let install = run.step("install nginx, curl");
    assert_eq!(install.variable("PACKAGES"), Some("nginx\ncurl"));
    assert_eq!(run.published, [("changed".to_owned(), Json::Flag(true))]);
}

#[test]
fn nothing_to_do_is_said() {
    let run = Machine::debian().build::<Packages>();
    assert!(run.steps.is_empty() && run.messages[0].1.contains("nothing to do"));
    assert_eq!(run.published, [("changed".to_owned(), Json::Flag(false))]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (one, left, other, right) in [
        ("install", "nginx=1.2", "remove", "nginx"),
        ("hold", "nginx", "remove", "nginx"),
        ("hold", "nginx", "unhold", "nginx"),
    ] {
        let machine = Machine::debian()
            .argument(one, [left])
            .argument(other, [right]);
        let run = machine.build::<Packages>();
        assert!(
            run.result
                .unwrap_err()
                .contains(&format!("in `{one}` and in `{other}`"))
        );
        assert!(run.steps.is_empty());
    }
    let pinned = Machine::debian()
        .argument("upgrade", true)
        .argument("install", ["nginx=1.2"]);
    let moved = pinned.build::<Packages>().result.unwrap_err();
    assert!(moved.contains("name it in `hold` too"), "{moved}");
    for (members, message) in [
        (vec![("key", "hello")], "is no text of a key"),
        (
            vec![("key", "-----BEGIN PGP PRIVATE KEY BLOCK-----")],
            "private one",
        ),
        (
            vec![("key", "-----BEGIN X-----"), ("keyring", "/k")],
            "a `key` and a `keyring`",
        ),
    ] {
        let mut repository = vec![("name", "one"), ("url", "https://x")];
        repository.extend(members);
        let repository: Vec<_> = repository
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Json::from(value)))
            .collect();
        let machine = Machine::debian().argument("repositories", vec![Json::Object(repository)]);
        assert!(
            machine
                .build::<Packages>()
                .result
                .unwrap_err()
                .contains(message),
            "{message}"
        );
    }
    let twice = vec![Json::object([("name", "one".into()), ("url", "https://x".into())]); 2];
    let run = Machine::debian()
        .argument("repositories", twice)
        .build::<Packages>();
    assert!(run.result.unwrap_err().contains("two repositories one"));
}

#[test]
fn the_schema_tells_a_package_from_an_order() {
    // The pattern itself is the host's to check; this holds its text.
    let schema = Packages::describe().to_json("packages", "0.1.0");
    assert!(schema.contains(r#""url":{"type":"string""#));
    assert!(schema.contains(r#""required":["name","url"]"#));
}

#[test]
fn the_tester_looks_and_reports_each_package() {
    let machine = Machine::debian()
        .argument("install", ["nginx", "curl=8.1"])
        .argument("remove", ["exim4", "nano"])
        .argument("hold", ["nginx", "git"]);
    let answer = Answer::output("yes nginx\nno curl=8.1\nno exim4\nyes nano\nheld nginx\n");
    let run = machine
        .clone()
        .answer("look at the packages", answer)
        .test::<Packages>();
    assert_eq!(run.result, Ok(()));
    let failed = |message: &str| Verdict::Failed(message.to_owned());
    for (case, verdict) in [
        ("nginx is installed", Verdict::Passed),
        ("curl is installed in version 8.1", failed("it is not")),
        ("exim4 is not installed", Verdict::Passed),
        ("nano is not installed", failed("it is")),
        ("nginx is held", Verdict::Passed),
        ("git is held", failed("it is not")),
    ] {
        assert_eq!(run.verdict(case), &verdict, "{case}");
    }
    assert_eq!(run.cases.len(), 6);

    let run = machine
        .answer(
            "look at the packages",
            Answer::exit(69).with_output("no apt"),
        )
        .test::<Packages>();
    assert_eq!(
        run.result,
        Err("the packages could not be looked at: no apt".to_owned())
    );
    let nothing = Machine::debian()
        .argument("upgrade", true)
        .test::<Packages>();
    assert!(matches!(nothing.verdict("packages"), Verdict::Skipped(_)));
}
