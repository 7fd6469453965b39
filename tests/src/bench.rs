//! A bench for one component: an instance of the real local cloud on which a role is tried
//! in tenths of a second, without an image being built.
//!
//! ```no_run
//! # async fn example() {
//! use darkroom_contract::Role;
//! use darkroom_tests::bench::Bench;
//! use serde_json::json;
//!
//! let Some(bench) = Bench::boot().await else { return };
//! let files = bench.component("files");
//! let with = json!({ "path": "/srv/file", "text": "in it" });
//! bench.run(&files, Role::Builder, with, "/").await.ok();
//! assert_eq!(bench.sh("cat /srv/file").await, "in it");
//! # }
//! ```
//!
//! The component is called by the real runtime under the real contract, and its steps go
//! over the wire as `RunCommand` and `SendFile`. What is not the engine's: there are no
//! receipts, no attempts after a power cut and no journal; those have tests of their own.
//! A step leaves nothing on the disk but what it is for: scripts and logs lie below `/run`.

mod carry;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use darkroom_contract::{
    Case, CaseStatus, Ended, Ending, History, Item, ItemStatus, Language, Machine, Report, Role,
    Step, StepKind, StepResult,
};
use darkroom_ecs::action::{
    DescribeCloudAssistantStatus, DescribeSecurityGroups, DescribeVSwitches, RebootInstance,
    RunInstances,
};
use darkroom_ecs::client::Client;
use darkroom_ecs::id::{InstanceId, RegionId};
use darkroom_runtime::{Call, Component, Config, Runtime};
use serde_json::Value;

use crate::house::{House, PATIENCE, binary, cache, sandbox_can_run};

/// How often something is asked for.
const PAUSE: Duration = Duration::from_millis(10);

/// An instance, and what runs components on it. Dropping it deletes the instance with its
/// cloud.
pub struct Bench {
    client: Arc<Client>,
    runtime: Runtime,
    region: RegionId,
    instance: InstanceId,
    steps: AtomicU32,
    /// The house that its cloud runs in.
    pub house: House,
}

/// What came of a role.
#[derive(Debug)]
pub struct Tried {
    /// Every step that was carried out, with what came of it, in order.
    pub steps: Vec<(Step, StepResult)>,
    /// What the last call reported. Steps of a tester are among the cases, first.
    pub report: Report,
    /// Why it failed: what it returned, what its call ended with, or which step failed.
    pub error: Option<String>,
}

impl Bench {
    /// Boots an instance of the base without a way out; none where the sandbox can't be
    /// used here, which has been said.
    pub async fn boot() -> Option<Self> {
        Self::boot_with(0).await
    }

    /// The same with this much bandwidth in Mbit/s.
    pub async fn boot_with(internet: u32) -> Option<Self> {
        if !sandbox_can_run() {
            return None;
        }
        let house = House::sandbox();
        house.succeed(&["image", "list", "--on", "local"]);
        let client = house.client(0);
        let runtime = Runtime::new(Config {
            cwasm_cache: Some(cache().join("compiled")),
            ..Config::default()
        })
        .unwrap();
        let region: RegionId = "cn-hangzhou".parse().unwrap();
        let instance = launch(&client, &region, internet).await;
        let bench = Self {
            client,
            runtime,
            region,
            instance,
            steps: AtomicU32::new(0),
            house,
        };
        bench.until_alive().await;
        Some(bench)
    }

    /// A system component by its name, as `make components` has built it.
    pub fn component(&self, name: &str) -> Component {
        let file = binary().with_file_name(format!("../components/{name}.wasm"));
        let bytes = std::fs::read(&file).unwrap_or_else(|error| {
            panic!("{}: {error}: run `make components` first", file.display())
        });
        self.load(&bytes, name)
    }

    /// A packed component.
    pub fn load(&self, bytes: &[u8], origin: &str) -> Component {
        self.runtime.load(bytes, origin).unwrap()
    }

    /// Runs a role with these arguments until it returns, or until a step fails that may
    /// not.
    pub async fn run(
        &self,
        component: &Component,
        role: Role,
        arguments: Value,
        root: &str,
    ) -> Tried {
        let given = arguments.as_object().cloned().unwrap_or_default();
        let inputs = component.description().inputs(&given).unwrap();
        let machine = Machine {
            root: root.into(),
            ..debian()
        };
        let mut tried = Tried {
            steps: Vec::new(),
            report: Report::default(),
            error: None,
        };
        let mut previous = None;
        loop {
            let results = tried.steps.iter().map(|(_, result)| result.clone());
            let call = Call {
                role,
                inputs: inputs.clone(),
                machine: machine.clone(),
                history: Arc::new(History {
                    results: results.collect(),
                }),
                previous,
            };
            let ended = match self.runtime.call(component, call).await {
                Ok(ended) => ended,
                Err(error) => {
                    tried.error = Some(darkroom_engine::chain(&error));
                    return tried;
                }
            };
            for step in &ended.steps[tried.steps.len()..] {
                let result = self.carry(component, step).await;
                let failed = !result.succeeded && !step.tolerate && role != Role::Tester;
                let words = format!("the step {:?} failed: {}", step.name, result.output_tail);
                tried.steps.push((step.clone(), result));
                if failed {
                    tried.error = Some(words);
                    return tried;
                }
            }
            if tried.returned(&ended, role) {
                return tried;
            }
            previous = Some(ended.transcript);
        }
    }

    /// Runs a script that must exit with 0, and gives its output.
    #[track_caller]
    pub fn sh(&self, script: &str) -> impl Future<Output = String> {
        let caller = std::panic::Location::caller();
        async move {
            let (code, output) = self.try_sh(script).await;
            assert_eq!(code, 0, "{caller}: {script}\n{output}");
            output
        }
    }

    /// Runs a script, and gives its exit code (-1 where it has none) and its output.
    pub async fn try_sh(&self, script: &str) -> (i32, String) {
        let step = Step::new(
            0,
            "a test's own",
            StepKind::Shell {
                language: Language::Sh,
                script: script.into(),
            },
        );
        let result = self.shell(&step, script).await;
        let content = result.content.unwrap();
        let size = usize::try_from(result.size).unwrap();
        let bytes = content.read(0, size).unwrap();
        (
            result.exit_code,
            String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Reboots the instance, and waits for the agent of the next boot.
    pub async fn reboot(&self) {
        let ask = "cat /proc/sys/kernel/random/boot_id";
        let (_, before) = self.try_sh(ask).await;
        let request = RebootInstance {
            instance_id: self.instance.clone(),
            ..RebootInstance::default()
        };
        self.client.call(&self.region, &request).await.unwrap();
        let begun = Instant::now();
        loop {
            self.until_alive().await;
            let (code, now) = self.command(ask, 60).await;
            if code == 0 && now != before.as_bytes() {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "no reboot");
        }
    }
}

impl Tried {
    /// Itself, if the role went through.
    #[must_use]
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.error, None, "{:#?}", self.steps);
        self
    }

    /// What a builder published by this name.
    pub fn published(&self, name: &str) -> Option<&Value> {
        self.report.published.get(name)
    }

    /// The case of this name: how it ended, and why.
    #[track_caller]
    pub fn case(&self, name: &str) -> (CaseStatus, &str) {
        let found = self.report.cases.iter().find(|case| case.name == name);
        let case = found.unwrap_or_else(|| panic!("no case {name:?} in {:#?}", self.report.cases));
        (case.status, &case.message)
    }

    /// The names of the cases that failed.
    pub fn failed(&self) -> Vec<&str> {
        let failed = |case: &&Case| case.status == CaseStatus::Failed;
        let cases = self.report.cases.iter().filter(failed);
        cases.map(|case| &*case.name).collect()
    }

    /// The item of this name: what was found, and what was done.
    #[track_caller]
    pub fn item(&self, name: &str) -> (ItemStatus, &str) {
        let found = self.report.items.iter().find(|item| item.name == name);
        let item = found.unwrap_or_else(|| panic!("no item {name:?} in {:#?}", self.report.items));
        (item.status, &item.message)
    }

    /// The items that are not intact.
    pub fn found(&self) -> Vec<&Item> {
        let wrong = |item: &&Item| item.status != ItemStatus::Intact;
        self.report.items.iter().filter(wrong).collect()
    }

    /// Takes the results of the last call; false where it has ended at a question.
    fn returned(&mut self, ended: &Ended, role: Role) -> bool {
        let Ending::Returned(result) = &ended.ending else {
            return false;
        };
        self.report = ended.report.clone();
        self.error = result.clone().err();
        if role == Role::Tester {
            let named = self.steps.iter().filter(|(step, _)| !step.tolerate);
            let cases = named.map(|(step, result)| Case {
                name: step.name.clone(),
                status: if result.succeeded {
                    CaseStatus::Passed
                } else {
                    CaseStatus::Failed
                },
                message: String::new(),
            });
            self.report.cases.splice(..0, cases);
        }
        true
    }
}

impl Bench {
    async fn until_alive(&self) {
        let ask = DescribeCloudAssistantStatus {
            region_id: self.region.clone(),
            instance_id: vec![self.instance.clone()],
            ..DescribeCloudAssistantStatus::default()
        };
        let begun = Instant::now();
        loop {
            let told = self.client.call(&self.region, &ask).await.unwrap();
            let states = told.instance_cloud_assistant_status_set;
            let states = states.instance_cloud_assistant_status;
            if states.iter().any(|one| one.cloud_assistant_status.0) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "no agent in {}", self.instance);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn launch(client: &Client, region: &RegionId, internet: u32) -> InstanceId {
    let networks = DescribeVSwitches {
        region_id: region.clone(),
        ..DescribeVSwitches::default()
    };
    let networks = client.call(region, &networks).await.unwrap();
    let groups = DescribeSecurityGroups {
        region_id: region.clone(),
        ..DescribeSecurityGroups::default()
    };
    let groups = client.call(region, &groups).await.unwrap();
    let request = RunInstances {
        region_id: region.clone(),
        image_family: Some("debian-12".into()),
        instance_type: Some("ecs.g7.large".into()),
        vswitch_id: Some(networks.vswitches.vswitch[0].vswitch_id.clone()),
        security_group_id: Some(
            groups.security_groups.security_group[0]
                .security_group_id
                .clone(),
        ),
        internet_max_bandwidth_out: Some(internet),
        ..RunInstances::default()
    };
    let made = client.call(region, &request).await.unwrap();
    made.instance_id_sets.instance_id_set[0].clone()
}

/// What an image's record says of the base.
fn debian() -> Machine {
    Machine {
        distribution: "debian".into(),
        release: "12".into(),
        architecture: if cfg!(target_arch = "aarch64") {
            "arm64"
        } else {
            "x86_64"
        }
        .into(),
        ..Machine::default()
    }
}
