//! The pipeline's effects and waits, as data.
//!
//! What stands in the journal is one of these, and any later version must be able to
//! read it: variants and fields may be added, none may change. [`crate::cloud`] carries
//! them out; `effects` says how each may be repeated. Nothing here acts.

use darkroom_contract::{Role, Transcript};
use darkroom_ecs::action::{Action, InstanceStatus};
use darkroom_ecs::id::{ImageId, InstanceId, InvokeId, RegionId, VSwitchId, VpcId};
use darkroom_ecs::params::{Params, to_params};
use darkroom_journal::RunId;
use serde::{Deserialize, Serialize};

use crate::folder::Measured;
use crate::survey::Query;
use crate::trouble::Trouble;

/// One effect of the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Operation {
    /// One action of the ECS API, without its client token, which is the attempt's.
    Ecs {
        /// The region that is called.
        region: RegionId,
        /// The action's name, such as `RunInstances`.
        action: String,
        /// Its parameters.
        params: Params,
    },
    /// The present moment, which an attempt must not ask for twice.
    Now,
    /// Looks at everything that the template's inputs name. Answers a
    /// [`Survey`](crate::survey::Survey).
    Survey {
        /// What to look at.
        query: Query,
    },
    /// One slice of a file of the run, sent with SendFile and awaited.
    SendSlice {
        /// The region of the instance.
        region: RegionId,
        /// Where it goes.
        instance: InstanceId,
        /// The file's SHA-256, by which it lies in the run's folder.
        file: String,
        /// The slice's first byte.
        offset: u64,
        /// The slice's bytes.
        length: u64,
        /// The folder in the instance.
        folder: String,
        /// The file's name there.
        name: String,
    },
    /// What a step is given of secrets, filled in and sent with SendFile, and awaited.
    /// Nothing here or in its answer depends on a value.
    SendSecret {
        /// The region of the instance.
        region: RegionId,
        /// Where it goes.
        instance: InstanceId,
        /// The SHA-256 by which the text with markers lies in the run's folder.
        file: String,
        /// How a value is written into the text.
        form: SecretForm,
        /// The folder in the instance.
        folder: String,
    },
    /// RebootInstance, of an instance whose boot id was `before`.
    Reboot {
        /// The region of the instance.
        region: RegionId,
        /// Which one.
        instance: InstanceId,
        /// Its boot id before the reboot.
        before: String,
    },
    /// One call of a component. Nothing is done; what it called is kept, so that a
    /// later process's call can be compared with it.
    Call {
        /// The component's digest.
        component: String,
        /// The role that was called.
        role: Role,
        /// Everything that it called.
        transcript: Transcript,
    },
    /// Slices of a compressed file in the instance, appended to a file of the run.
    Fetch {
        /// The region of the instance.
        region: RegionId,
        /// Which one.
        instance: InstanceId,
        /// The compressed file's absolute path in the instance.
        path: String,
        /// The first slice, from 0.
        from: u64,
        /// How many slices.
        count: u64,
        /// Where they go, relative to the run's folder.
        to: String,
    },
    /// All slices of a compressed file in the instance, unpacked and masked into a file of
    /// the run: what it may hold of secrets is on no disk of ours. Answers a
    /// [`Measured`] of the masked file.
    FetchMasked {
        /// The region of the instance.
        region: RegionId,
        /// Which one.
        instance: InstanceId,
        /// The compressed file's absolute path in the instance.
        path: String,
        /// How many slices.
        count: u64,
        /// The file's own size and digest.
        content: Measured,
        /// Where it goes, relative to the run's folder.
        to: String,
    },
    /// Undo of RunInstances: every instance that this run made for this purpose goes.
    ReleaseInstances {
        /// The region.
        region: RegionId,
        /// The tag `darkroom:run`.
        run: RunId,
        /// The tag `darkroom:purpose`.
        purpose: String,
    },
    /// Undo of `CreateVpc`: the run's temporary network goes with all that is in it.
    RemoveNetwork {
        /// The region.
        region: RegionId,
        /// The tag `darkroom:run`.
        run: RunId,
    },
    /// Undo of CreateImage and CopyImage: the run's images for this purpose and their
    /// snapshots go.
    DiscardImages {
        /// The region.
        region: RegionId,
        /// The tag `darkroom:run`.
        run: RunId,
        /// The tag `darkroom:purpose`.
        purpose: String,
    },
    /// Undo of `CreateImage` from a snapshot that isn't the run's: its images for this
    /// purpose go, and the snapshot stays.
    DiscardImagesOnly {
        /// The region.
        region: RegionId,
        /// The tag `darkroom:run`.
        run: RunId,
        /// The tag `darkroom:purpose`.
        purpose: String,
    },
}

/// How the value of a secret is written into a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretForm {
    /// Between single quotes of the shell.
    Environment,
    /// As it is.
    Text,
}

impl Operation {
    /// A call of `action`.
    ///
    /// # Errors
    /// A request that can't be written as parameters, which is a fault of ours.
    pub fn ecs<A: Action>(region: &RegionId, action: &A) -> Result<Self, Trouble> {
        Ok(Self::Ecs {
            region: region.clone(),
            action: A::NAME.to_owned(),
            params: to_params(action).map_err(|error| Trouble::internal(A::NAME, &error))?,
        })
    }
}

/// Something that the pipeline waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "until", rename_all = "kebab-case")]
pub enum Condition {
    /// The instance runs. Answers `false` when it has stopped instead.
    Up {
        /// The region.
        region: RegionId,
        /// Which one.
        instance: InstanceId,
    },
    /// The instance has this status.
    Instance {
        /// The region.
        region: RegionId,
        /// Which one.
        instance: InstanceId,
        /// The status, `Running` or `Stopped`.
        status: InstanceStatus,
    },
    /// The Cloud Assistant agent has sent a heartbeat. Answers `false` when the
    /// instance has stopped meanwhile.
    Agent {
        /// The region.
        region: RegionId,
        /// Which one.
        instance: InstanceId,
    },
    /// A command has ended. Answers an [`crate::carry::Invocation`].
    Invocation {
        /// The region.
        region: RegionId,
        /// The instance that runs it.
        instance: InstanceId,
        /// The execution.
        invoke: InvokeId,
        /// The step's path, under which its output is shown meanwhile.
        step: String,
    },
    /// The image is Available; CreateFailed and UnAvailable are failures at once.
    Image {
        /// The region.
        region: RegionId,
        /// Which one.
        image: ImageId,
    },
    /// The VPC is available, and the vSwitch in it, if one is named. Answers the VPC's
    /// range of addresses.
    Network {
        /// The region.
        region: RegionId,
        /// The VPC.
        vpc: VpcId,
        /// The vSwitch.
        vswitch: Option<VSwitchId>,
    },
    /// No instance of this run and purpose is left.
    InstancesGone {
        /// The region.
        region: RegionId,
        /// The tag `darkroom:run`.
        run: RunId,
        /// The tag `darkroom:purpose`.
        purpose: String,
    },
}

#[cfg(test)]
mod tests {
    use darkroom_ecs::action::StopInstance;

    use super::*;

    /// What an old journal holds must stay readable.
    #[test]
    fn the_serialized_form_stays() {
        let operation = Operation::ecs(
            &"cn-hangzhou".parse().unwrap(),
            &StopInstance {
                instance_id: "i-1".parse().unwrap(),
                ..StopInstance::default()
            },
        )
        .unwrap();
        let text = r#"{"do":"ecs","region":"cn-hangzhou","action":"StopInstance","params":{"InstanceId":"i-1"}}"#;
        assert_eq!(serde_json::to_string(&operation).unwrap(), text);
        assert_eq!(serde_json::from_str::<Operation>(text).unwrap(), operation);
    }
}
