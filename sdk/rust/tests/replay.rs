//! `darkroom::testing` runs a role as the host does: suspend at a question, replay from
//! the beginning, compare, and refuse what the contract refuses.

use darkroom::testing::{Answer, Case, Item, Machine, StepKind, Verdict};
use darkroom::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Defines a component whose roles are the given functions.
macro_rules! component_of {
    ($name:ident, $role:ident, $function:ident, $body:expr) => {
        struct $name;
        impl About for $name {
            fn describe() -> Description {
                Description::new("A test")
                    .parameter(Parameter::text("name", "A text").default("it"))
                    .parameter(Parameter::integer("count", "A number"))
                    .parameter(Parameter::map("env", "Names"))
            }
        }
        impl $role for $name {
            fn $function() -> Result<(), String> {
                $body()
            }
        }
    };
}

#[test]
fn a_question_ends_the_call_and_the_next_one_goes_on() {
    component_of!(Looks, Builder, build, || {
        shell("first", "true");
        let look = shell("look", "cat /etc/os-release");
        report::info("looking");
        let tool = if look.output().contains("debian") {
            "apt-get"
        } else {
            "dnf"
        };
        report::publish("tool", tool);
        let install = shell("install", format!("{tool} install"))
            .environment("A", "1")
            .environment("B", "2");
        assert_eq!((install.exit_code(), install.size()), (0, 5));
        assert_eq!(install.read_all(), b"done\n");
        shell("last", "true").tolerate();
        Ok(())
    });
    let machine = Machine::debian()
        .answer("look", Answer::output("ID=debian\n"))
        .answer("install", Answer::output("done\n"))
        .answer("last", Answer::exit(3));
    let run = machine.build::<Looks>();
    assert_eq!(run.result, Ok(()));
    assert_eq!(run.names(), ["first", "look", "install", "last"]);
    assert_eq!((run.calls, run.planned), (3, 2));
    assert_eq!(run.messages, [("info".to_owned(), "looking".to_owned())]);
    assert_eq!(run.published, [("tool".to_owned(), Json::from("apt-get"))]);
    assert_eq!(run.step("install").variable("B"), Some("2"));
}

#[test]
fn a_failed_step_ends_a_builder_before_the_answer() {
    component_of!(Fails, Builder, build, || {
        let failing = shell("failing", "false");
        shell("never", "true");
        assert!(
            !failing.succeeded(),
            "the builder has ended before it is asked again"
        );
        Err("unreachable".to_owned())
    });
    let run = Machine::debian()
        .answer("failing", Answer::exit(1))
        .build::<Fails>();
    assert_eq!(run.result, Err("the step \"failing\" failed".to_owned()));
    assert_eq!(run.names(), ["failing"]);
}

#[test]
fn expectations_decide_as_the_host_does() {
    component_of!(Expects, Tester, test, || {
        shell("codes", "x").expect_exit_codes([3, 4]);
        shell("contains", "x")
            .expect_output("yes")
            .expect_output("also");
        shell("lacks", "x").expect_no_output("no");
        shell("late", "x");
        report::skipped("other", "not here");
        Ok(())
    });
    let run = Machine::debian()
        .answer("codes", Answer::exit(4))
        .answer("contains", Answer::output("yes"))
        .answer("lacks", Answer::output("no"))
        .answer("late", Answer::failure())
        .test::<Expects>();
    assert_eq!(run.result, Ok(()));
    assert_eq!(run.verdict("codes"), &Verdict::Passed);
    assert_eq!(run.verdict("contains"), &Verdict::Failed("yes".to_owned()));
    assert_eq!(run.verdict("lacks"), &Verdict::Failed("no".to_owned()));
    assert_eq!(run.verdict("late"), &Verdict::Failed(String::new()));
    let other = Case {
        name: "other".to_owned(),
        verdict: Verdict::Skipped("not here".to_owned()),
    };
    assert_eq!(run.cases.last(), Some(&other));
}

#[test]
fn results_of_a_suspended_call_count_for_nothing() {
    component_of!(Reports, Repairer, repair, || {
        report::intact("GUESTOS.Grub");
        let broken = shell("look", "x").tolerate().exit_code() == 1;
        write("repair", machine::path("/etc/fstab"), "")
            .mode(0o644)
            .owner("root:root");
        if broken {
            report::repaired("GUESTOS.Fstab", "one entry");
        }
        report::unrepaired("GUESTOS.Dhcp", report::Risk::Low, "static");
        Ok(())
    });
    let run = Machine::debian()
        .root("/mnt/disk")
        .answer("look", Answer::exit(1))
        .repair::<Reports>();
    assert_eq!(
        run.items,
        [
            Item::Intact("GUESTOS.Grub".into()),
            Item::Repaired("GUESTOS.Fstab".into(), "one entry".into()),
            Item::Unrepaired("GUESTOS.Dhcp".into(), "low".into(), "static".into()),
        ]
    );
    let step = run.step("repair");
    assert_eq!(
        step.kind,
        StepKind::Write {
            path: "/mnt/disk/etc/fstab".into(),
            bytes: vec![]
        }
    );
    assert_eq!(
        (step.mode, step.owner.as_deref()),
        (Some(0o644), Some("root:root"))
    );
}

#[test]
fn arguments_have_defaults_and_types() {
    component_of!(Asks, Builder, build, || {
        assert_eq!(inputs::text("name").as_deref(), Some("it"));
        assert_eq!(inputs::integer("count"), Some(3));
        assert_eq!(inputs::number("count"), Some(3.0));
        assert_eq!(inputs::map("env"), [("A".to_owned(), "1 \"'".to_owned())]);
        assert_eq!(
            inputs::json_object(),
            r#"{"name":"it","count":3,"env":{"A":"1 \"'"}}"#
        );
        Ok(())
    });
    let env = Json::object([("A", "1 \"'".into())]);
    let machine = Machine::debian().argument("count", 3).argument("env", env);
    assert_eq!(machine.build::<Asks>().result, Ok(()));
}

/// The message of the panic that a test's mistake or the component's ends in.
fn complaint(run: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let Err(panic) = std::panic::catch_unwind(run) else {
        return "it ended without a complaint".to_owned();
    };
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => panic
            .downcast_ref::<&str>()
            .map_or_else(String::new, |&text| text.to_owned()),
    }
}

#[test]
fn a_component_that_is_not_deterministic_is_found() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    component_of!(Counts, Builder, build, || {
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        shell(format!("call {call}"), "true").succeeded();
        Ok(())
    });
    let complaint = complaint(|| drop(Machine::debian().build::<Counts>()));
    assert!(
        complaint.starts_with("not deterministic at call 0: was \"call 0\""),
        "{complaint}"
    );
}

#[test]
fn a_component_that_ends_early_at_replay_is_found() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    component_of!(Ends, Builder, build, || {
        if CALLS.fetch_add(1, Ordering::Relaxed) == 0 {
            shell("only once", "true").succeeded();
        }
        Ok(())
    });
    let complaint = complaint(|| drop(Machine::debian().build::<Ends>()));
    assert!(
        complaint.contains("it ended after 0 calls, but the next one was"),
        "{complaint}"
    );
}

#[test]
fn what_the_contract_refuses_is_refused() {
    component_of!(Late, Builder, build, || {
        let step = shell("step", "true");
        step.output();
        step.timeout(900);
        Ok(())
    });
    component_of!(Unfit, Builder, build, || {
        shell("step", "true").mode(0o644);
        Ok(())
    });
    component_of!(Range, Builder, build, || {
        shell("step", "true").timeout(5);
        Ok(())
    });
    component_of!(Relative, Builder, build, || {
        write("step", "etc/motd", "");
        Ok(())
    });
    component_of!(Nameless, Builder, build, || {
        shell("", "true");
        Ok(())
    });
    component_of!(Undeclared, Builder, build, || {
        inputs::text("nmae");
        Ok(())
    });
    component_of!(Mistyped, Builder, build, || {
        inputs::flag("name");
        Ok(())
    });
    let machine = Machine::debian;
    for (complaint, expected) in [
        (
            complaint(|| drop(machine().build::<Late>())),
            "has been carried out",
        ),
        (
            complaint(|| drop(machine().build::<Unfit>())),
            "does not fit the step",
        ),
        (
            complaint(|| drop(machine().build::<Range>())),
            "timeout 5 is not 10 to 86400",
        ),
        (
            complaint(|| drop(machine().build::<Relative>())),
            "is not absolute",
        ),
        (
            complaint(|| drop(machine().build::<Nameless>())),
            "1 to 100 characters",
        ),
        (
            complaint(|| drop(machine().build::<Undeclared>())),
            "no parameter \"nmae\"",
        ),
        (
            complaint(|| drop(machine().build::<Mistyped>())),
            "flag is not for it",
        ),
        (
            complaint(|| drop(machine().argument("count", "3").build::<Late>())),
            "is Integer",
        ),
        (
            complaint(|| _ = shell("step", "true")),
            "outside of a component's role",
        ),
    ] {
        assert!(
            complaint.contains(expected),
            "{complaint:?} lacks {expected:?}"
        );
    }
}
