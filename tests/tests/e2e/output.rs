//! Ten megabytes of output: kept whole with the run, cut to its tail on the wire, and
//! never in the host's memory.

use std::process::{Child, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use darkroom_contract::sha256;
use darkroom_tests::house::{House, sandbox_can_run};
use serde_json::Value;

use crate::support::{HERE, call, of_action, requests};

/// Bytes of a tail that Cloud Assistant keeps.
const TAIL: usize = 24 << 10;

/// Ten megabytes that hardly compress, kept in the instance to be compared with.
const LARGE: &str = "\
name: large
source: { family: debian-12 }
repair: none
build:
  - run: head -c 7864320 /dev/urandom | base64 -w 99 > /srv/all && cat /srv/all
  - run: wc -c < /srv/all && sha256sum < /srv/all && tail -c 24576 /srv/all | sha256sum
";

/// The most memory that a process has had until now, in KiB; none when it has ended.
fn memory(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse().unwrap())
}

/// The most memory that a build ever had. It is asked for until the end.
fn peak(mut build: Child) -> u64 {
    let mut most = 0;
    loop {
        most = memory(build.id()).unwrap_or(most);
        if let Some(ended) = build.try_wait().unwrap() {
            assert!(ended.success(), "{ended}");
            return most;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

fn start(house: &House, template: &str) -> Child {
    let file = house.write("image.yaml", template);
    let mut command = house.command(&["build", file.to_str().unwrap(), "--json"]);
    command.stdout(Stdio::null()).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_megabytes_are_kept_whole_and_cut_exactly() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let small = LARGE.replace("7864320", "10");
    let before = peak(start(&house, &small));
    let server = house.server().pid;
    let server_before = memory(server).unwrap();
    let after = peak(start(&house, LARGE));
    let server_after = memory(server).unwrap();
    assert!(
        server_after < server_before + 20_000,
        "the server: {server_before} KiB, then {server_after} KiB"
    );
    assert!(before > 10_000, "{before} KiB can't be");
    assert!(
        after < before + 6_000,
        "{before} KiB with little output, {after} KiB with much"
    );

    let manifest = house.manifest();
    let folder = house
        .path("state/runs")
        .join(manifest["run"].as_str().unwrap());
    let kept = |path: &str| std::fs::read(folder.join("logs").join(path).join("1.log")).unwrap();
    let log = kept("build/1-run/0");
    let said = String::from_utf8(kept("build/2-run/0")).unwrap();
    let said: Vec<_> = said
        .lines()
        .map(|line| line.trim_end_matches(" -").trim())
        .collect();
    assert!(log.len() > 10 << 20, "{}", log.len());
    assert_eq!(said[0], log.len().to_string());
    assert_eq!(said[1], sha256(&log));
    assert_eq!(said[2], sha256(&log[log.len() - TAIL..]));
    let attempt = &manifest["roles"][0]["steps"][0]["attempts"][0];
    assert_eq!(attempt["size"], log.len());
    assert_eq!(attempt["sha256"], said[1]);

    // What Cloud Assistant itself has of it.
    let result = invocation(&house, "head -c 7864320").await;
    let tail = STANDARD.decode(result["Output"].as_str().unwrap()).unwrap();
    assert!(
        tail == log[log.len() - TAIL..],
        "the tail is not the end of the log"
    );
    assert_eq!(result["Dropped"].as_u64(), Some((log.len() - TAIL) as u64));

    // The output was fetched over the wire: many commands, of which each is small.
    let requests = requests(&house);
    assert!(of_action(&requests, "RunCommand").len() > 100);
}

/// The result of the command whose name contains a text.
async fn invocation(house: &House, name: &str) -> Value {
    let client = house.client(0);
    let mut page = 1;
    loop {
        let number = page.to_string();
        let params = [("PageNumber", number.as_str()), ("PageSize", "50")];
        let told = call(&client, HERE, "DescribeInvocations", &params)
            .await
            .unwrap();
        let all = told["Invocations"]["Invocation"].as_array().unwrap();
        assert!(!all.is_empty(), "there is no command {name}");
        let wanted = |one: &&Value| one["CommandName"].as_str().unwrap().contains(name);
        if let Some(found) = all.iter().find(wanted) {
            let id = [("InvokeId", found["InvokeId"].as_str().unwrap())];
            let told = call(&client, HERE, "DescribeInvocationResults", &id)
                .await
                .unwrap();
            return told["Invocation"]["InvocationResults"]["InvocationResult"][0].clone();
        }
        page += 1;
    }
}
