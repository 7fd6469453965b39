//! What is in the picture of a plan: stages from top to bottom, and what happens in each.

use darkroom_engine::plan::{Plan, PlannedPart};

/// How many steps of a component and how many accounts are named; the rest is counted.
const NAMED: usize = 4;

/// A picture.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(super) title: String,
    pub(super) stages: Vec<Stage>,
}

/// One stage of the pipeline.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stage {
    /// The status that a run has in it.
    pub(super) name: &'static str,
    /// What happens, in order, or all at once in a fork.
    pub(super) nodes: Vec<Node>,
    pub(super) fork: bool,
}

/// One thing that happens.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) title: String,
    pub(super) lines: Vec<String>,
}

/// What a thing is, which decides how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An image that is there, or will be.
    Image,
    /// An instance.
    Instance,
    /// A component, or a step of the template's own.
    Work,
}

impl Picture {
    /// The picture of a plan.
    pub(crate) fn of(plan: &Plan) -> Self {
        let stages = [
            preparing(plan),
            stage("REPAIRING", parts(plan, "repair/")),
            building(plan),
            testing(plan),
            Stage {
                fork: true,
                ..stage("DISTRIBUTING", copies(plan))
            },
            stage("RELEASING", released(plan)),
        ];
        let stages = stages.into_iter().filter(|stage| !stage.nodes.is_empty());
        Self {
            title: format!("{} on {} {}", plan.template, plan.cloud, plan.region),
            stages: stages.collect(),
        }
    }
}

fn stage(name: &'static str, nodes: Vec<Node>) -> Stage {
    Stage {
        name,
        nodes,
        fork: false,
    }
}

fn node(kind: Kind, title: impl Into<String>, lines: Vec<String>) -> Node {
    Node {
        kind,
        title: title.into(),
        lines,
    }
}

fn preparing(plan: &Plan) -> Stage {
    let source = &plan.survey.image;
    let image = node(
        Kind::Image,
        format!("source {}", source.id),
        vec![source.os_name.clone()],
    );
    let candidate = plan.survey.candidates.first();
    let instance = candidate.map(|first| {
        node(
            Kind::Instance,
            "an instance",
            vec![format!("{} in {}", first.instance_type, first.zone)],
        )
    });
    stage(
        "PREPARING",
        std::iter::once(image).chain(instance).collect(),
    )
}

fn building(plan: &Plan) -> Stage {
    let mut nodes = parts(plan, "build/");
    nodes.extend(parts(plan, "image/"));
    nodes.push(node(Kind::Image, plan.image_name.clone(), Vec::new()));
    stage("BUILDING", nodes)
}

fn testing(plan: &Plan) -> Stage {
    let boot = vec!["it must come up by itself".to_owned()];
    let instance = node(Kind::Instance, "a fresh instance of the image", boot);
    let nodes = std::iter::once(instance).chain(parts(plan, "test/"));
    stage("TESTING", nodes.collect())
}

fn copies(plan: &Plan) -> Vec<Node> {
    let regions = plan.regions.iter();
    regions
        .map(|region| {
            let mut lines = Vec::new();
            if *region != plan.region {
                lines.push("a copy".to_owned());
            }
            if !plan.accounts.is_empty() {
                lines.push("shared with".to_owned());
                lines.extend(plan.accounts.iter().take(NAMED).cloned());
            }
            if plan.accounts.len() > NAMED {
                lines.push(format!("and {} more", plan.accounts.len() - NAMED));
            }
            node(Kind::Image, region.clone(), lines)
        })
        .collect()
}

fn released(plan: &Plan) -> Vec<Node> {
    let mut lines = vec!["instances and what only they needed are removed".to_owned()];
    if let Some(family) = &plan.family {
        lines.insert(0, format!("the newest of the family {family}"));
    }
    vec![node(Kind::Work, "released", lines)]
}

fn parts(plan: &Plan, stage: &str) -> Vec<Node> {
    let parts = plan.parts.iter();
    parts
        .filter(|part| part.path.starts_with(stage))
        .map(part)
        .collect()
}

fn part(part: &PlannedPart) -> Node {
    let named = part.steps.iter().take(NAMED);
    let mut lines: Vec<_> = named.map(|step| step.name.clone()).collect();
    if part.steps.len() > NAMED {
        lines.push(format!("and {} more steps", part.steps.len() - NAMED));
    }
    if let Some(question) = &part.then_asks {
        lines.push(format!("the rest depends on {question}"));
    }
    if let Some(error) = &part.error {
        lines.push(format!("then it ends with an error: {error}"));
    }
    node(Kind::Work, part.component.clone(), lines)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A picture with everything that one can have.
    pub(in crate::planned) fn picture() -> Picture {
        let work = |title: &str, lines: &[&str]| {
            let lines = lines.iter().map(|line| (*line).to_owned()).collect();
            node(Kind::Work, title, lines)
        };
        let image = |title: &str, lines: &[&str]| Node {
            kind: Kind::Image,
            ..work(title, lines)
        };
        let stages = vec![
            stage(
                "PREPARING",
                vec![
                    image("source m-bp1234", &["Debian 12 64 bit"]),
                    Node {
                        kind: Kind::Instance,
                        ..work("an instance", &["ecs.g7.large in cn-hangzhou-k"])
                    },
                ],
            ),
            stage(
                "REPAIRING",
                vec![work("darkroom:linux", &["look at the system"])],
            ),
            stage(
                "BUILDING",
                vec![
                    work(
                        "darkroom:packages@0.1",
                        &["install nginx", "the rest depends on its output"],
                    ),
                    work(
                        "run",
                        &[
                            "printf '%s' \"$A\" > /etc/<x> & a line that is much too long for any box of this picture",
                        ],
                    ),
                    image("web-RUN", &[]),
                ],
            ),
            Stage {
                fork: true,
                ..stage(
                    "DISTRIBUTING",
                    vec![
                        image("cn-hangzhou", &["shared with", "1234567890123456"]),
                        image("ap-southeast-1", &["a copy"]),
                        image("cn-beijing", &["a copy"]),
                        image("eu-central-1", &["a copy"]),
                    ],
                )
            },
            stage(
                "RELEASING",
                vec![work("released", &["the newest of the family web"])],
            ),
        ];
        Picture {
            title: "web on aliyun cn-hangzhou".into(),
            stages,
        }
    }
}
