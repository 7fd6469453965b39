//! A plan as lines: what `plan` shows, and what is shown before money may be spent.

use darkroom_engine::plan::{Forecast, Plan, PlannedPart, PlannedRequest, PlannedStep};

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
    if let Some(forecast) = &plan.forecast {
        foreseen(plan, forecast, &mut lines);
    }
    lines
}

/// What a build would reuse, take and cost.
fn foreseen(plan: &Plan, forecast: &Forecast, lines: &mut Vec<String>) {
    if !forecast.changes.is_empty() {
        lines.push(format!("  changed   {}", forecast.changes.join("; ")));
    }
    if let Some(begins) = &forecast.begins {
        lines.push(format!("  layer     {begins}"));
    }
    if forecast.instances == 0 {
        return;
    }
    lines.push(format!(
        "  takes     {} instances, one to build on and one to test; {}",
        forecast.instances,
        match forecast.seconds {
            Some(seconds) => format!("about {}, as earlier runs did", how_long(seconds)),
            None => "how long is not known before a first run".into(),
        }
    ));
    if let Some(price) = &forecast.price {
        let whose = match plan.cloud.as_str() {
            "local" => "by the local cloud's own list",
            _ => "by DescribePrice, without traffic, images and snapshots",
        };
        let currency = &price.currency;
        let in_all = match price.in_all {
            Some(in_all) => format!("about {in_all:.4} {currency}, "),
            None => String::new(),
        };
        lines.push(format!(
            "  costs     {in_all}{:.4} {currency} an hour for each instance with its disk, {whose}",
            price.an_hour
        ));
    }
}

fn how_long(seconds: f64) -> String {
    if seconds < 120.0 {
        format!("{seconds:.0} s")
    } else {
        format!("{:.0} minutes", seconds / 60.0)
    }
}

fn part_lines(part: &PlannedPart, detail: Detail, lines: &mut Vec<String>) {
    let role = part
        .role
        .map(|role| format!(" ({role})"))
        .unwrap_or_default();
    lines.push(String::new());
    lines.push(format!("{}  {}{role}", part.path, part.component));
    if part.held {
        lines.push("  is in the layer".into());
        return;
    }
    for step in &part.steps {
        lines.push(format!("  - {} ({})", step.name, step.what));
        if detail == Detail::Scripts {
            request_lines(step, lines);
        }
    }
    if let Some(question) = &part.then_asks {
        lines.push(format!("  what it does then depends on {question}"));
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
