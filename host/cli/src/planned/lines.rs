//! A plan as lines: what `plan` shows, and what is shown before money may be spent.

use darkroom_engine::plan::{Plan, PlannedPart, PlannedRequest, PlannedStep};

/// How much of a plan is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Each component's steps.
    Steps,
    /// Also each script as it would be sent.
    Scripts,
}

/// The lines of a plan.
pub(crate) fn lines(plan: &Plan, detail: Detail) -> Vec<String> {
    let mut lines = overview(plan);
    for part in &plan.parts {
        part_lines(part, detail, &mut lines);
    }
    lines
}

fn overview(plan: &Plan) -> Vec<String> {
    let place = format!("{} {}", plan.cloud, plan.region);
    let source = &plan.survey.image;
    let mut lines = vec![
        format!("{} on {place}", plan.template),
        format!("  source    {} ({})", source.id, source.os_name),
    ];
    if let Some(candidate) = plan.survey.candidates.first() {
        lines.push(format!(
            "  instance  {} in {}",
            candidate.instance_type, candidate.zone
        ));
    }
    lines.push(format!("  image     {}", plan.image_name));
    lines.push(format!("  regions   {}", plan.regions.join(", ")));
    if let Some(family) = &plan.family {
        lines.push(format!("  family    {family}, after the tests"));
    }
    if !plan.accounts.is_empty() {
        lines.push(format!("  shared    with {}", plan.accounts.join(", ")));
    }
    if let Some(reuse) = &plan.reuse {
        let would = if reuse.skipped { "skipped" } else { "built" };
        lines.push(format!("  rebuild   would be {would}: {}", reuse.why));
    }
    lines
}

fn part_lines(part: &PlannedPart, detail: Detail, lines: &mut Vec<String>) {
    let role = part
        .role
        .map(|role| format!(" ({role})"))
        .unwrap_or_default();
    lines.push(String::new());
    lines.push(format!("{}  {}{role}", part.path, part.component));
    for step in &part.steps {
        lines.push(format!("  - {} ({})", step.name, step.what));
        if detail == Detail::Scripts {
            request_lines(step, lines);
        }
    }
    if let Some(question) = &part.then_asks {
        lines.push(format!("  then it asks {question} and goes on"));
    }
    if let Some(error) = &part.error {
        lines.push(format!("  then it ends with an error: {error}"));
    }
}

fn request_lines(step: &PlannedStep, lines: &mut Vec<String>) {
    for request in &step.requests {
        match request {
            PlannedRequest::RunCommand { content, timeout } => {
                lines.push(format!("    RunCommand, at most {timeout} s:"));
                lines.extend(content.lines().map(|line| format!("    | {line}")));
            }
            PlannedRequest::SendFile {
                target_dir,
                name,
                length,
                ..
            } => lines.push(format!("    SendFile {target_dir}/{name}, {length} bytes")),
            PlannedRequest::SendSecret {
                target_dir,
                secrets,
            } => lines.push(format!(
                "    SendFile {target_dir}, the secrets {}",
                secrets.join(", ")
            )),
            PlannedRequest::RebootInstance => lines.push("    RebootInstance".into()),
        }
    }
}
