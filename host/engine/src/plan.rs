//! What a build would do, without doing it.
//!
//! Each component is called once, with an empty history: the steps that it declares
//! before its first question are known, what follows depends on the answer. They are
//! shown as they would be sent. The cloud is only asked what is there (Describe calls).

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use darkroom_contract::secret::Marker;
use darkroom_contract::{Call as ContractCall, Ending, History, Machine, Role, Step, StepKind};
use darkroom_ecs::client::Client;
use darkroom_journal::Failure;
use darkroom_runtime::{Call, Runtime};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::carry::wrap::hex;
use crate::carry::{
    BOOT_ID, Material, Sent, content, parcel, place, secrets, slice_folder, slices, wrapped,
};
use crate::check::{BuildPart, Checked, Own, segment};
use crate::forecast::Grounds;
pub use crate::forecast::{Forecast, Price};
use crate::role::Part;
pub use crate::stage::unchanged::Reuse;
use crate::survey::{self, Query, Survey};
use crate::trouble::{Trouble, chain};

/// The word that stands for the run's id.
pub const RUN: &str = "RUN";

/// What a build would do.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The template's name.
    pub template: String,
    /// `local` or `aliyun`.
    pub cloud: String,
    /// The region in which the image would be built.
    pub region: String,
    /// What there is in the cloud.
    pub survey: Survey,
    /// The image's name, with [`RUN`] for the run's id.
    pub image_name: String,
    /// The components, in order.
    pub parts: Vec<PlannedPart>,
    /// The regions that the image would be in.
    pub regions: Vec<String>,
    /// The accounts that would see it.
    pub accounts: Vec<String>,
    /// The family that it would be put in.
    pub family: Option<String>,
    /// Whether the build would be skipped, where [`crate::Engine::plan`] was asked.
    pub reuse: Option<Reuse>,
    /// What it would reuse, take and cost, where that was asked too.
    pub forecast: Option<Forecast>,
}

/// What one component, or one step of the template's own, would do.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedPart {
    /// Its path in the run.
    pub path: String,
    /// The component, as the template names it.
    pub component: String,
    /// The role that would be called.
    pub role: Option<&'static str>,
    /// The steps before its first question.
    pub steps: Vec<PlannedStep>,
    /// Whether the layer holds it that the build would begin from.
    pub held: bool,
    /// What it does after that depends on this, in words, such as the output of a step; none
    /// when nothing follows.
    pub then_asks: Option<String>,
    /// The error that it would end with.
    pub error: Option<String>,
}

/// One step.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedStep {
    /// Its path in the run.
    pub path: String,
    /// Its name.
    pub name: String,
    /// What it is, such as `a script`.
    pub what: &'static str,
    /// What would be sent, in order.
    pub requests: Vec<PlannedRequest>,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action")]
pub enum PlannedRequest {
    /// A command.
    RunCommand {
        /// The script, decoded.
        content: String,
        /// Seconds.
        timeout: u32,
    },
    /// One slice of a file.
    SendFile {
        /// The folder in the instance.
        target_dir: String,
        /// The slice's name.
        name: String,
        /// The slice's bytes.
        length: usize,
        /// SHA-256 of the base64 text that is sent.
        sha256: String,
    },
    /// What the command after it is given of secrets: one or more files, of which only
    /// their place is known.
    SendSecret {
        /// The folder in the instance.
        target_dir: String,
        /// The secrets, by their names in the template.
        secrets: Vec<String>,
    },
    /// A reboot.
    RebootInstance,
}

/// Plans a checked template.
///
/// # Errors
/// What is wrong with the inputs, why the cloud can't be asked, or why a component can't
/// be called.
pub async fn plan(runtime: &Runtime, client: &Client, checked: &Checked) -> Result<Plan, Trouble> {
    plan_with(runtime, client, checked, None).await
}

/// The same, with what is known of a build that would be skipped, and of its time and cost.
pub(crate) async fn plan_with(
    runtime: &Runtime,
    client: &Client,
    checked: &Checked,
    known: Option<(Reuse, Grounds<'_>)>,
) -> Result<Plan, Trouble> {
    let resolved = &checked.resolved;
    let of_run = format!("{}-{RUN}", resolved.name.value);
    let image_name = match &resolved.image.name {
        Some(name) => name.value.clone(),
        None => of_run.clone(),
    };
    // The name of an image that would be taken as it is need not be free.
    let skipped = known.as_ref().is_some_and(|(reuse, _)| reuse.skipped);
    let free = if skipped { of_run } else { image_name.clone() };
    let query = Query::of(resolved, free)?;
    let survey = survey::look(client, &query)
        .await
        .map_err(|failure| match failure {
            Failure::Final(trouble) | Failure::Unavailable(trouble) => trouble,
        })?;
    let machine = survey.image.machine();
    let (reuse, forecast) = match known {
        Some((reuse, grounds)) => {
            let forecast = grounds.forecast(&query, &survey, skipped).await;
            (Some(reuse), Some(forecast))
        }
        None => (None, None),
    };
    let mut held = BTreeSet::new();
    if let Some(layer) = forecast.as_ref().and_then(|one| one.layer.as_ref()) {
        held.extend(checked.item_paths().into_iter().take(layer.items));
        held.insert("repair/linux".into());
    }
    let planner = Planner {
        runtime,
        machine: &machine,
    };
    let mut parts = planner.parts(checked).await?;
    for part in &mut parts {
        part.held = held.contains(&part.path);
    }
    Ok(Plan {
        template: resolved.name.value.clone(),
        cloud: resolved.cloud.word().into(),
        region: resolved.region.clone(),
        parts,
        image_name,
        regions: query.regions.iter().map(ToString::to_string).collect(),
        accounts: resolved
            .distribute
            .accounts
            .iter()
            .map(|one| one.value.clone())
            .collect(),
        family: resolved.image.family.as_ref().map(|one| one.value.clone()),
        reuse,
        forecast,
        survey,
    })
}

struct Planner<'a> {
    runtime: &'a Runtime,
    machine: &'a Machine,
}

impl Planner<'_> {
    async fn parts(&self, checked: &Checked) -> Result<Vec<PlannedPart>, Trouble> {
        let mut parts = Vec::new();
        if let Some(part) = &checked.repair {
            parts.push(
                self.part(part, Role::Repairer, "repair/linux".into())
                    .await?,
            );
        }
        for (index, part) in checked.build.iter().enumerate() {
            parts.push(match part {
                BuildPart::Component(part) => {
                    let path = format!("build/{}", segment(index, &part.label));
                    self.part(part, Role::Builder, path).await?
                }
                BuildPart::Own(own) => {
                    let path = format!("build/{}", segment(index, own.name));
                    own_planned(own, path)?
                }
            });
        }
        let generalize = "image/generalize".to_owned();
        parts.push(
            self.part(&checked.generalize, Role::Builder, generalize)
                .await?,
        );
        for (index, part) in checked.test.iter().enumerate() {
            let path = format!("test/{}", segment(index, part.label()));
            parts.push(match part {
                BuildPart::Component(part) => self.part(part, Role::Tester, path).await?,
                BuildPart::Own(own) => own_planned(own, path)?,
            });
        }
        Ok(parts)
    }

    async fn part(&self, part: &Part, role: Role, path: String) -> Result<PlannedPart, Trouble> {
        let call = Call {
            role,
            inputs: part.inputs.clone(),
            machine: self.machine.clone(),
            history: Arc::new(History::default()),
            previous: None,
        };
        let ended = self
            .runtime
            .call(&part.component, call)
            .await
            .map_err(|error| Trouble::Component {
                component: part.label.clone(),
                problem: chain(&error),
            })?;
        let steps = ended
            .steps
            .iter()
            .map(|step| {
                let path = format!("{path}/{}", step.ordinal);
                planned(Material::Package(&part.component), step, &path)
            })
            .collect::<Result<_, _>>()?;
        let (then_asks, error) = match ended.ending {
            Ending::Suspended { question } => (Some(in_words(&question, &ended.steps)), None),
            Ending::Returned(result) => (None, result.err()),
        };
        Ok(PlannedPart {
            path,
            component: part.label.clone(),
            role: Some(role.name()),
            steps,
            held: false,
            then_asks,
            error,
        })
    }
}

/// A question as people ask it: `the output of "look around"`.
fn in_words(question: &ContractCall, steps: &[Step]) -> String {
    let of = question.arguments.first().and_then(Value::as_u64);
    let step = steps
        .iter()
        .find(|step| Some(u64::from(step.ordinal)) == of);
    let step = step.map_or_else(|| "a step".into(), |step| format!("\"{}\"", step.name));
    match question.function.as_str() {
        "succeeded" => format!("whether {step} succeeds"),
        "exit-code" => format!("the exit code of {step}"),
        // How much there is of an output is asked before it is read.
        "output" | "size" | "read" => format!("the output of {step}"),
        _ => format!("what comes of {step}"),
    }
}

/// A step of the template's own.
fn own_planned(own: &Own, path: String) -> Result<PlannedPart, Trouble> {
    Ok(PlannedPart {
        component: own.name.into(),
        role: None,
        steps: vec![planned(own.material(), &own.step, &format!("{path}/0"))?],
        path,
        held: false,
        then_asks: None,
        error: None,
    })
}

/// What would be sent for a step, in the order in which its first attempt sends it.
fn planned(material: Material<'_>, step: &Step, path: &str) -> Result<PlannedStep, Trouble> {
    let place = place(RUN, path, "1");
    let mut requests = Vec::new();
    if let StepKind::Reboot = step.kind {
        requests.push(PlannedRequest::RunCommand {
            content: BOOT_ID.into(),
            timeout: crate::carry::PROBE_SECONDS,
        });
        requests.push(PlannedRequest::RebootInstance);
    }
    let sent = content(material, step)?.map(|(bytes, folder)| {
        requests.extend(sending(&bytes, &slice_folder(&place)));
        Sent {
            sha256: hex(&Sha256::digest(&bytes)),
            size: bytes.len() as u64,
            folder,
        }
    });
    if let Some(wrapped) = wrapped(step, &place, sent.as_ref()) {
        let parcel = parcel(&place, &wrapped);
        if let Some((_, text)) = secrets(step) {
            requests.push(PlannedRequest::SendSecret {
                target_dir: place.secrets(),
                secrets: Marker::find(&text),
            });
        }
        if let Some((text, folder)) = &parcel.file {
            requests.extend(sending(text.as_bytes(), folder));
        }
        requests.push(PlannedRequest::RunCommand {
            content: parcel.command,
            timeout: step.timeout_seconds,
        });
    }
    Ok(PlannedStep {
        path: path.into(),
        name: step.name.clone(),
        what: step.kind.words(),
        requests,
    })
}

fn sending(content: &[u8], folder: &str) -> Vec<PlannedRequest> {
    slices(content)
        .map(|(name, slice)| PlannedRequest::SendFile {
            target_dir: folder.into(),
            name,
            length: slice.len(),
            sha256: hex(&Sha256::digest(STANDARD.encode(slice))),
        })
        .collect()
}
