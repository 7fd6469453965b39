//! What the files of this suite share: running `darkroom` and reading what it said,
//! calling the cloud as one of its accounts, and trying an image by booting it.

use std::process::Output;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use darkroom_ecs::client::{CallError, Client};
use darkroom_ecs::id::RegionId;
use darkroom_ecs::params::Params;
use darkroom_tests::house::{House, PATIENCE};
use serde_json::Value;

/// The region in which things are built.
pub(crate) const HERE: &str = "cn-hangzhou";
/// Another region.
pub(crate) const THERE: &str = "ap-southeast-1";
/// The version of the API.
const VERSION: &str = "2014-05-26";

/// A command that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Told {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Itself, if it has ended with this code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out: {}\nerr: {}", self.out, self.err);
        self
    }

    /// Itself, if standard error holds all of this.
    #[track_caller]
    pub(crate) fn says(self, wanted: &[&str]) -> Self {
        for text in wanted {
            assert!(self.err.contains(text), "missing: {text}\nin: {}", self.err);
        }
        self
    }

    /// Standard output as JSON, one value a line; every line must be one.
    pub(crate) fn json(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        self.out.lines().map(parse).collect()
    }
}

/// Runs `darkroom` to its end.
pub(crate) fn run(house: &House, arguments: &[&str]) -> Told {
    Told::of(house.run(arguments))
}

/// Builds a template's text.
pub(crate) fn build(house: &House, template: &str) -> Told {
    let file = house.write("image.yaml", template);
    run(house, &["build", file.to_str().unwrap()])
}

/// Builds a template's text, which must succeed, and gives the manifest.
#[track_caller]
pub(crate) fn built(house: &House, template: &str) -> Value {
    build(house, template).exits(0);
    house.manifest()
}

/// The manifest that a build or a verb has named. The newest of several in one second is not known
/// by its name.
pub(crate) fn manifest_of(told: &Told) -> Value {
    let mut words = told.out.split_whitespace();
    let path = words.find(|word| word.ends_with("manifest.json")).unwrap();
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The image of a manifest in a region.
#[track_caller]
pub(crate) fn image_in(manifest: &Value, region: &str) -> String {
    let regions = manifest["regions"].as_array().unwrap();
    let found = regions.iter().find(|one| one["region"] == region).unwrap();
    found["image"].as_str().unwrap().to_owned()
}

/// Every request that the cloud has seen, oldest first.
pub(crate) fn requests(house: &House) -> Vec<Value> {
    let mut all = Vec::new();
    let mut after = 0;
    loop {
        let page = house.admin(&format!("/-/requests?after={after}"));
        let found = page["requests"].as_array().unwrap();
        let Some(next) = page["next"].as_u64().filter(|_| !found.is_empty()) else {
            return all;
        };
        all.extend(found.iter().cloned());
        after = next;
    }
}

/// The requests that ran commands, as `darkroom` itself sent them; newest last.
pub(crate) fn of_action<'r>(requests: &'r [Value], action: &str) -> Vec<&'r Value> {
    requests
        .iter()
        .filter(|one| one["action"] == action)
        .collect()
}

/// A parameter of a recorded request.
pub(crate) fn param<'r>(request: &'r Value, name: &str) -> &'r str {
    request["params"][name].as_str().unwrap_or_default()
}

/// The command of a recorded `RunCommand`.
pub(crate) fn command(request: &Value) -> String {
    let bytes = STANDARD.decode(param(request, "CommandContent")).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// What would be billed now, as `kind resource`.
pub(crate) fn billed(house: &House) -> Vec<String> {
    let ledger = house.admin("/-/ledger");
    let entries = ledger["entries"].as_array().unwrap().iter();
    let mut billed: Vec<_> = entries
        .map(|one| {
            format!(
                "{} {} {}",
                one["kind"].as_str().unwrap(),
                one["region"].as_str().unwrap(),
                one["resource"].as_str().unwrap()
            )
        })
        .collect();
    billed.sort();
    billed
}

/// Calls the cloud.
///
/// # Errors
/// What the cloud refuses.
pub(crate) async fn call(
    client: &Client,
    region: &str,
    action: &str,
    params: &[(&str, &str)],
) -> Result<Value, CallError> {
    let mut all: Params = params.iter().copied().collect();
    all.insert("RegionId", region);
    let region: RegionId = region.parse().unwrap();
    client.call_raw(&region, action, VERSION, &all).await
}

/// The code with which a call was refused.
#[track_caller]
pub(crate) fn refused(result: Result<Value, CallError>) -> String {
    let error = result.unwrap_err();
    error.code().unwrap().to_string()
}

/// An instance of this test's own, made from an image by an account.
pub(crate) struct Machine {
    client: Arc<Client>,
    region: String,
    pub(crate) instance: String,
}

impl Machine {
    /// An instance that somebody else has made.
    pub(crate) fn of(client: &Arc<Client>, region: &str, instance: &str) -> Self {
        Self {
            client: Arc::clone(client),
            region: region.into(),
            instance: instance.into(),
        }
    }

    /// Boots an image and waits for the agent.
    pub(crate) async fn boot(client: Arc<Client>, region: &str, image: &str) -> Self {
        let network = call(&client, region, "DescribeVSwitches", &[])
            .await
            .unwrap();
        let vswitch = &network["VSwitches"]["VSwitch"][0];
        let groups = call(&client, region, "DescribeSecurityGroups", &[])
            .await
            .unwrap();
        let group = &groups["SecurityGroups"]["SecurityGroup"][0]["SecurityGroupId"];
        let made = call(
            &client,
            region,
            "RunInstances",
            &[
                ("ImageId", image),
                ("InstanceType", "ecs.g7.large"),
                ("VSwitchId", vswitch["VSwitchId"].as_str().unwrap()),
                ("SecurityGroupId", group.as_str().unwrap()),
            ],
        )
        .await
        .unwrap();
        let instance = made["InstanceIdSets"]["InstanceIdSet"][0].as_str().unwrap();
        let machine = Self {
            client,
            region: region.into(),
            instance: instance.into(),
        };
        machine.until_alive().await;
        machine
    }

    async fn until_alive(&self) {
        let begun = std::time::Instant::now();
        loop {
            let told = call(
                &self.client,
                &self.region,
                "DescribeCloudAssistantStatus",
                &[("InstanceId.1", &self.instance)],
            )
            .await
            .unwrap();
            let status = told["InstanceCloudAssistantStatusSet"]["InstanceCloudAssistantStatus"][0]
                ["CloudAssistantStatus"]
                .as_str();
            if status == Some("true") {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "no agent in {}", self.instance);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Runs a script that must exit with 0, and gives its output.
    pub(crate) async fn sh(&self, script: &str) -> String {
        let (code, output) = self.run(script).await;
        assert_eq!(code, Some(0), "{script}\n{output}");
        output
    }

    /// Runs a script, and gives its exit code and its output.
    pub(crate) async fn run(&self, script: &str) -> (Option<i64>, String) {
        let content = STANDARD.encode(script);
        let sent = call(
            &self.client,
            &self.region,
            "RunCommand",
            &[
                ("Type", "RunShellScript"),
                ("CommandContent", &content),
                ("ContentEncoding", "Base64"),
                ("InstanceId.1", &self.instance),
            ],
        )
        .await
        .unwrap();
        let invoke = sent["InvokeId"].as_str().unwrap();
        loop {
            let told = call(
                &self.client,
                &self.region,
                "DescribeInvocationResults",
                &[("InvokeId", invoke)],
            )
            .await
            .unwrap();
            let result = &told["Invocation"]["InvocationResults"]["InvocationResult"][0];
            let status = result["InvocationStatus"].as_str().unwrap();
            if !["Pending", "Running", "Scheduled"].contains(&status) {
                let output = STANDARD.decode(result["Output"].as_str().unwrap()).unwrap();
                let output = String::from_utf8_lossy(&output).into_owned();
                return (result["ExitCode"].as_i64(), output);
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Reboots it and waits for the agent of the next boot.
    pub(crate) async fn reboot(&self) {
        let ask = "cat /proc/sys/kernel/random/boot_id";
        let before = self.sh(ask).await;
        let id = [("InstanceId", self.instance.as_str())];
        call(&self.client, &self.region, "RebootInstance", &id)
            .await
            .unwrap();
        let begun = std::time::Instant::now();
        loop {
            self.until_alive().await;
            let (code, now) = self.run(ask).await;
            if code == Some(0) && now != before {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "no reboot of {}", self.instance);
        }
    }

    /// Deletes it.
    pub(crate) async fn delete(self) {
        let force = [("InstanceId", self.instance.as_str()), ("Force", "true")];
        call(&self.client, &self.region, "DeleteInstance", &force)
            .await
            .unwrap();
    }
}
