//! Whether this machine can run instances of the local cloud, and what they begin from.
//!
//! The first is looked at by another process (`local abilities`): an ordinary user has to
//! become the root of a namespace of his own for it, which only a process with one thread
//! can, and which this one must not do to itself.

use std::process::Stdio;

use darkroom_local::bootstrap;
use darkroom_local::sandbox::probe::Ability;
use darkroom_template::{Resolved, Source};
use tokio::process::Command;

use super::{Check, Finding, Report};
use crate::cloud::local_cloud::EXECUTABLE;
use crate::places::roots::Roots;

/// Looks at the machine, and whether there is a base to begin from.
pub(crate) async fn look(roots: &Roots, template: Option<&Resolved>, report: &mut Report<'_>) {
    match abilities().await {
        Ok(abilities) => abilities
            .into_iter()
            .flat_map(told)
            .for_each(|one| report.add(one)),
        Err(error) => report.add(Finding::warning(
            Check::Sandbox,
            format!("this machine can't be looked at: {error}"),
        )),
    }
    report.add(base(roots, template));
}

async fn abilities() -> std::io::Result<Vec<Ability>> {
    let output = Command::new(EXECUTABLE)
        .arg0("darkroom")
        .args(["local", "abilities"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .await?;
    serde_json::from_slice(&output.stdout).map_err(std::io::Error::from)
}

fn told(ability: Ability) -> Vec<Finding> {
    let name = ability.name;
    match ability.found {
        Ok(how) => vec![Finding::ok(Check::Sandbox, format!("{name}: {how}"))],
        Err(problems) => {
            let told = problems.into_iter().map(|problem| {
                let text = format!("{name}: {}", problem.message);
                Finding::error(Check::Sandbox, text).hint(problem.hint)
            });
            told.collect()
        }
    }
}

/// The base of the template's family; without a template any will do.
fn base(roots: &Roots, template: Option<&Resolved>) -> Finding {
    let there = match bootstrap::bases(&roots.cache) {
        Ok(there) => there,
        Err(error) => {
            let text = format!("bases in {} can't be read: {error}", roots.cache.display());
            return Finding::error(Check::Sandbox, text).hint("check the folder's owner");
        }
    };
    let family = template.and_then(|template| match &template.source {
        Source::Family(family) => Some(family.value.as_str()),
        _ => None,
    });
    // A family may also be one of images that were built here.
    let wanted = family.filter(|family| bootstrap::distribution(family).is_some());
    let missing = match wanted {
        Some(family) => there.iter().all(|base| base.name != family),
        None => there.is_empty(),
    };
    if !missing {
        let names: Vec<_> = there.iter().map(|base| base.name.as_str()).collect();
        let text = format!("bases to begin from: {}", names.join(", "));
        return Finding::ok(Check::Sandbox, text);
    }
    let name = wanted.unwrap_or(bootstrap::DEBIAN_12);
    let text = match wanted {
        Some(family) => format!("there is no base {family} to begin from"),
        None => "there is no base to begin from".to_owned(),
    };
    let finding = Finding::error(Check::Sandbox, text);
    let finding = match bootstrap::check_program() {
        Ok(()) => finding,
        Err(error) => error.hint().into_iter().fold(finding, Finding::hint),
    };
    finding.hint(format!("`darkroom local bootstrap {name}` makes it"))
}
