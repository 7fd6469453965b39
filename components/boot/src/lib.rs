//! The component `boot`: tests how a machine that was started from the image has come up.
//!
//! A tester. It looks once, starts nothing and writes nothing; `facts` reads what
//! `look.sh` says, and each thing is a case of its own. What can't be told on the machine
//! (units without systemd, the kernel's messages in a container) is skipped and says so.

mod facts;

use darkroom::{About, Description, Parameter, Tester, component, inputs, report, shell};
use facts::Facts;

struct Boot;

/// Messages that a case shows.
const SHOWN: usize = 5;

impl About for Boot {
    fn describe() -> Description {
        Description::new("Tests how a machine has come up: units, time, disks, kernel")
            .parameter(
                Parameter::integer("wait", "Seconds to wait until the machine has come up")
                    .default(60)
                    .minimum(0)
                    .maximum(600),
            )
            .parameter(
                Parameter::integer("seconds", "The longest time that the boot may have taken")
                    .minimum(1)
                    .maximum(3600),
            )
            .parameter(
                Parameter::texts("ignore-units", "Units that may have failed")
                    .pattern(r"^[^\s/]+$"),
            )
            .parameter(
                Parameter::integer("free", "MiB that must be free in each of `folders`")
                    .default(100)
                    .minimum(0),
            )
            .parameter(
                Parameter::texts("folders", "Folders whose file systems must have space")
                    .default(["/"])
                    .pattern("^/"),
            )
            .parameter(
                Parameter::text("root", "How the root file system must be mounted")
                    .one_of(["writable", "read-only", "either"])
                    .default("writable"),
            )
            .parameter(
                Parameter::flag("kernel-errors", "Errors of the kernel fail the test")
                    .default(true),
            )
            .parameter(Parameter::texts(
                "ignore-errors",
                "Texts; an error of the kernel that contains one of them counts for nothing",
            ))
            .family("linux")
    }
}

impl Tester for Boot {
    fn test() -> Result<(), String> {
        let wait = inputs::integer("wait").unwrap_or(60).clamp(0, 600);
        let look = shell("look at the machine", include_str!("look.sh"))
            .environment("WAIT", wait.to_string())
            .arguments(inputs::texts("folders"))
            .timeout(u32::try_from(wait).unwrap_or(0) * 3 + 60)
            .tolerate();
        if !look.succeeded() {
            report::failed(
                "the agent is alive",
                format!(
                    "a script that only looks did not end well: {}",
                    look.output()
                ),
            );
            return Ok(());
        }
        report::passed("the agent is alive");
        let facts = Facts::read(&String::from_utf8_lossy(&look.read_all()));
        units(&facts);
        if let Some(limit) = inputs::integer("seconds") {
            time(&facts, limit);
        }
        root(&facts);
        space(&facts);
        if inputs::flag("kernel-errors") != Some(false) {
            kernel(&facts);
        }
        Ok(())
    }
}

/// The machine's state and its failed units. `degraded` is no more than that units have
/// failed, which is the other case.
fn units(facts: &Facts) {
    let up = "the machine is up";
    let none = "no unit has failed";
    let Some(state) = facts.state.as_deref().filter(|state| *state != "offline") else {
        report::skipped(up, "systemd does not run here");
        report::skipped(none, "systemd does not run here");
        return;
    };
    match state {
        "running" | "degraded" => report::passed(up),
        _ if facts.jobs.is_empty() => report::failed(up, format!("its state is {state}")),
        _ => report::failed(
            up,
            format!("its state is {state}; it waits for {}", first(&facts.jobs)),
        ),
    }
    let ignored = inputs::texts("ignore-units");
    let failed: Vec<_> = facts
        .failed
        .iter()
        .filter(|unit| !ignored.contains(unit))
        .cloned()
        .collect();
    if failed.is_empty() {
        report::passed(none);
    } else {
        report::failed(none, first(&failed));
    }
}

fn time(facts: &Facts, limit: i64) {
    let case = format!("the boot takes at most {limit} s");
    match &facts.time {
        None => report::skipped(case, "systemd-analyze is not there"),
        Some(Err(said)) => report::failed(case, said),
        #[expect(clippy::cast_precision_loss, reason = "an hour in seconds is exact")]
        Some(Ok(seconds)) if *seconds > limit as f64 => {
            report::failed(case, format!("it took {seconds:.1} s"));
        }
        Some(Ok(seconds)) => {
            report::info(format!("the boot took {seconds:.1} s"));
            report::passed(case);
        }
    }
}

fn root(facts: &Facts) {
    let wanted = inputs::text("root").unwrap_or_default();
    let case = match &*wanted {
        "either" => return,
        "read-only" => "the root file system is read-only",
        _ => "the root file system is writable",
    };
    match (facts.read_only, wanted == "read-only") {
        (is, should) if is == should => report::passed(case),
        (true, _) => report::failed(
            case,
            "it is mounted read-only, as the kernel does after an error of the disk or as \
             fstab or the kernel's command line says",
        ),
        (false, _) => report::failed(case, "it is mounted for writing"),
    }
}

fn space(facts: &Facts) {
    let wanted = u64::try_from(inputs::integer("free").unwrap_or(100)).unwrap_or(0);
    for free in &facts.free {
        let case = format!("{} has {wanted} MiB free", free.folder);
        match (free.mebibytes, free.inodes) {
            (None, _) => report::failed(case, "there is no such folder"),
            (Some(space), _) if space < wanted => {
                report::failed(case, format!("{space} MiB are free"));
            }
            // Some file systems count no inodes, and say 0 of 0 or nothing.
            (_, Some(1..100)) => report::failed(case, "fewer than 100 inodes are free"),
            _ => report::passed(case),
        }
    }
}

fn kernel(facts: &Facts) {
    let case = "the kernel reports no error";
    let ignored = inputs::texts("ignore-errors");
    let counts = |error: &&String| !ignored.iter().any(|text| error.contains(&**text));
    match &facts.errors {
        None => report::skipped(
            case,
            "its messages are another machine's, as in a container, or can't be read",
        ),
        Some(errors) => {
            let errors: Vec<_> = errors.iter().filter(counts).cloned().collect();
            if errors.is_empty() {
                report::passed(case);
            } else {
                report::failed(case, first(&errors));
            }
        }
    }
}

/// The first few of them, and how many there are beside.
fn first(all: &[String]) -> String {
    let shown = all[..all.len().min(SHOWN)].join(", ");
    match all.len() - all.len().min(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

component!(Boot: tester);

#[cfg(test)]
mod tests;
