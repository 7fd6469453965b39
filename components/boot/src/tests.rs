//! What follows from what the machine says.

use super::Boot;
use darkroom::testing::{Answer, Machine, Run, Verdict};

const LOOK: &str = "look at the machine";
const GOOD: &str = "state running\ntime Startup finished in 1.5s (kernel) + 2s (userspace) = 3.5s\n\
    root rw,relatime,rw\nfree 1048576 50000 /\nkernel read\n";

fn test(machine: Machine, said: &str) -> Run {
    let run = machine.answer(LOOK, Answer::output(said)).test::<Boot>();
    assert_eq!((run.result.clone(), run.names()), (Ok(()), vec![LOOK]));
    run
}

fn failed(run: &Run) -> Vec<(&str, &str)> {
    let cases = run.cases.iter().filter_map(|case| match &case.verdict {
        Verdict::Failed(message) => Some((&*case.name, &**message)),
        _ => None,
    });
    cases.collect()
}

#[test]
fn a_good_boot_passes_every_case() {
    let run = test(Machine::debian().argument("seconds", 4), GOOD);
    let names: Vec<_> = run.cases.iter().map(|case| &*case.name).collect();
    assert_eq!(
        names,
        [
            "the agent is alive",
            "the machine is up",
            "no unit has failed",
            "the boot takes at most 4 s",
            "the root file system is writable",
            "/ has 100 MiB free",
            "the kernel reports no error",
        ]
    );
    assert!(run.cases.iter().all(|case| case.verdict == Verdict::Passed));
}

#[test]
fn each_fault_fails_its_own_case() {
    for (line, instead, case, message) in [
        (
            "state running",
            "state starting\njob slow.service",
            "the machine is up",
            "its state is starting; it waits for slow.service",
        ),
        (
            "state running",
            "state maintenance",
            "the machine is up",
            "its state is maintenance",
        ),
        (
            "state running",
            "state degraded\nfailed a.service\nfailed b.mount",
            "no unit has failed",
            "a.service, b.mount",
        ),
        (
            "= 3.5s",
            "= 1min 3.5s",
            "the boot takes at most 4 s",
            "it took 63.5 s",
        ),
        (
            "root rw,relatime,rw",
            "root ro,relatime,rw",
            "the root file system is writable",
            "it is mounted read-only, as the kernel does after an error of the disk or as fstab or the kernel's command line says",
        ),
        (
            "free 1048576 ",
            "free 1024 ",
            "/ has 100 MiB free",
            "1 MiB are free",
        ),
        (
            " 50000 /",
            " 7 /",
            "/ has 100 MiB free",
            "fewer than 100 inodes are free",
        ),
        (
            "kernel read",
            "kernel read\nerror Oops",
            "the kernel reports no error",
            "Oops",
        ),
    ] {
        assert!(GOOD.contains(line), "{line}");
        let run = test(
            Machine::debian().argument("seconds", 4),
            &GOOD.replace(line, instead),
        );
        assert_eq!(failed(&run), [(case, message)]);
    }
}

#[test]
fn what_is_allowed_passes() {
    let machine = Machine::debian()
        .argument("ignore-units", ["a.service"])
        .argument("ignore-errors", ["known"])
        .argument("root", "read-only");
    let said = GOOD
        .replace("state running", "state degraded\nfailed a.service")
        .replace("root rw", "root ro")
        + "error a known thing\n";
    assert_eq!(failed(&test(machine.clone(), &said)), []);
    let case = (
        "the root file system is read-only",
        "it is mounted for writing",
    );
    assert_eq!(failed(&test(machine, GOOD)), [case]);
}

#[test]
fn what_can_not_be_told_is_skipped() {
    let run = test(
        Machine::debian().argument("seconds", 1),
        "root rw\nkernel another\n",
    );
    let skipped = run
        .cases
        .iter()
        .filter(|case| matches!(case.verdict, Verdict::Skipped(_)));
    assert_eq!(skipped.count(), 4);
    let run = test(Machine::debian(), "state offline\nroot rw\n");
    assert!(matches!(
        run.verdict("the machine is up"),
        Verdict::Skipped(_)
    ));
}

#[test]
fn a_machine_on_which_nothing_runs_has_no_agent() {
    let run = Machine::debian()
        .answer(LOOK, Answer::failure())
        .test::<Boot>();
    assert_eq!(run.result, Ok(()));
    assert_eq!(failed(&run)[0].0, "the agent is alive");
}
