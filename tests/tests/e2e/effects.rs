//! Every effect is a signed request of the account: nothing happened that the recorder
//! doesn't show, and a request of which a byte is changed does nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use darkroom_ecs::client::Client;
use darkroom_ecs::credentials::{Credentials, Secret};
use darkroom_ecs::endpoint::{Endpoint, fixed};
use darkroom_ecs::http::{HttpRequest, HttpResponse};
use darkroom_ecs::sign::SignatureGeneration;
use darkroom_ecs::transport::MemoryTransport;
use darkroom_tests::house::{Driver, House, sandbox_can_run};
use serde_json::Value;

use crate::support::{
    HERE, THERE, billed, built, call, command, image_in, of_action, param, requests,
};

const TEMPLATE: &str = "\
name: seen
source: { family: debian-12 }
build:
  - run: echo one
  - uses: darkroom:files
    with: { path: /srv/file, text: in it }
  - reboot: {}
test:
  - uses: darkroom:shell
    with: { test: test -f /srv/file }
checkpoint: false
image: { family: seen, tags: { team: web } }
distribute: { regions: [cn-hangzhou, ap-southeast-1], accounts: ['2000000000000002'] }
";

fn is_mutating(action: &str) -> bool {
    let known = darkroom_ecs::action::ACTIONS
        .iter()
        .find(|one| one.name == action);
    known.unwrap_or_else(|| panic!("{action}?")).mutating
}

#[test]
fn every_effect_came_as_a_signed_request_of_the_account() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let manifest = built(&house, TEMPLATE);
    let run = manifest["run"].as_str().unwrap();
    let requests = requests(&house);
    let account = house.account(0).id.to_string();
    for one in &requests {
        assert_eq!(one["account"], account.as_str(), "{one}");
        assert_eq!(one["signature"], "ACS3", "{one}");
        let dry = param(one, "DryRun") == "true";
        let code = if dry {
            Value::from("DryRunOperation")
        } else {
            Value::Null
        };
        assert_eq!(one["code"], code, "{one}");
    }

    // Each step of the manifest has its command, and no command is without a step.
    let mut commands: Vec<_> = of_action(&requests, "RunCommand")
        .into_iter()
        .map(command)
        .collect();
    let mut steps = 0;
    for role in manifest["roles"].as_array().unwrap() {
        for step in role["steps"].as_array().unwrap() {
            for attempt in step["attempts"].as_array().unwrap() {
                let path = step["path"].as_str().unwrap();
                if path.contains("reboot") {
                    continue;
                }
                let mark = format!(
                    "# darkroom {path} {}\n",
                    attempt["attempt"].as_str().unwrap()
                );
                let before = commands.len();
                commands.retain(|one| !one.contains(&mark));
                assert_eq!(commands.len() + 1, before, "{mark}");
                steps += 1;
            }
        }
    }
    assert!(steps >= 7, "{steps} steps");
    commands.retain(|one| *one != "cat /proc/sys/kernel/random/boot_id\n");
    assert_eq!(commands.len(), 1, "{commands:?}");
    assert!(
        commands[0].starts_with("rm -rf '/var/lib/darkroom'"),
        "{commands:?}"
    );

    // Everything else that changes something, counted.
    let mut counts = BTreeMap::new();
    for one in &requests {
        let action = one["action"].as_str().unwrap();
        // How often a lease is renewed depends on how long it takes.
        let renews = one["params"].to_string().contains("darkroom:lease");
        let counts_too = action != "TagResources" || !renews;
        if is_mutating(action)
            && action != "RunCommand"
            && param(one, "DryRun") != "true"
            && counts_too
        {
            *counts.entry(action).or_insert(0) += 1;
        }
    }
    let wanted = [
        ("CopyImage", 1),
        ("CreateImage", 1),
        ("CreateSecurityGroup", 1),
        ("CreateVSwitch", 1),
        ("CreateVpc", 1),
        ("DeleteInstance", 2),
        ("DeleteSecurityGroup", 1),
        ("DeleteVSwitch", 1),
        ("DeleteVpc", 1),
        ("ModifyImageAttribute", 2),
        ("ModifyImageSharePermission", 2),
        ("ModifySecurityGroupPolicy", 1),
        ("RebootInstance", 1),
        ("RunInstances", 2),
        ("SendFile", 1),
        ("StopInstance", 1),
        // The snapshots of the image and of its copy, and both images as released, with their
        // key.
        ("TagResources", 4),
    ];
    assert_eq!(counts, BTreeMap::from(wanted));

    // What was ever billed is what those requests made: two instances with a disk each,
    // and two images with a snapshot each. The images stay.
    let ledger = house.admin("/-/ledger?all=true");
    let ever = ledger["entries"].as_array().unwrap();
    let of_kind = |kind: &str| {
        ever.iter()
            .filter(|one| one["kind"] == kind)
            .collect::<Vec<_>>()
    };
    let counted = ["instance", "disk", "image", "snapshot"].map(|kind| of_kind(kind).len());
    assert_eq!(counted, [2, 2, 2, 2], "{ever:?}");
    let deleted: Vec<_> = of_action(&requests, "DeleteInstance")
        .iter()
        .map(|one| param(one, "InstanceId"))
        .collect();
    for instance in of_kind("instance") {
        assert!(
            deleted.contains(&instance["resource"].as_str().unwrap()),
            "{instance}"
        );
        assert!(!instance["until"].is_null(), "{instance}");
    }
    let stays = billed(&house);
    for region in [HERE, THERE] {
        let image = format!("image {region} {}", image_in(&manifest, region));
        assert!(stays.contains(&image), "{stays:?}");
    }
    assert_eq!(stays.len(), 4, "{stays:?}");
    for one in requests.iter().filter(|one| {
        ["RunInstances", "CreateImage", "CopyImage"].contains(&one["action"].as_str().unwrap())
    }) {
        assert!(
            one["params"].to_string().contains(run),
            "tagged with the run: {one}"
        );
    }
}

/// A request as it travels.
fn raw(request: &HttpRequest) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    if !request.body.is_empty() {
        let _ = write!(text, "content-length: {}\r\n", request.body.len());
    }
    text.push_str("connection: close\r\n\r\n");
    [text.as_bytes(), &request.body].concat()
}

/// Sends bytes and gives the status; none when the server hung up, or waits for a body
/// that is longer than what was sent.
fn send(authority: &str, bytes: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(authority).unwrap();
    let patience = std::time::Duration::from_secs(2);
    stream.set_read_timeout(Some(patience)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = [0; 64];
    let length = stream.read(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer[..length]);
    text.split(' ').nth(1)?.parse().ok()
}

/// A signed request of the first account that would share an image.
async fn captured(
    house: &House,
    generation: SignatureGeneration,
    params: &[(&str, &str)],
) -> HttpRequest {
    let account = house.account(0);
    let endpoint: Endpoint = house.server().url.parse().unwrap();
    let seen = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&seen);
    let transport = MemoryTransport(Arc::new(move |request| {
        *kept.lock().unwrap() = Some(request);
        let answer = HttpResponse {
            status: 200,
            headers: Vec::new(),
            body: "{}".into(),
        };
        Box::pin(async move { Ok(answer) })
    }));
    let credentials = Credentials {
        access_key_id: account.access_key_id,
        access_key_secret: Secret::new(account.access_key_secret),
        security_token: None,
    };
    let client = Client::builder(Arc::new(transport), credentials, fixed(endpoint))
        .generation(generation)
        .build();
    call(&client, HERE, "DescribeImages", params).await.unwrap();
    seen.lock().unwrap().take().unwrap()
}

/// Whether a byte of a request means nothing to the cloud: it belongs to the version of
/// HTTP, to the end of the head, without which there is no request, or to a header that
/// says only how the answer may look, or who asks.
fn means_nothing(bytes: &[u8], at: usize) -> bool {
    let first = bytes.iter().position(|byte| *byte == b'\r').unwrap();
    let end = head(bytes);
    if (first - "1.1".len()..first).contains(&at) || (end..end + 4).contains(&at) {
        return true;
    }
    if at > end {
        return false;
    }
    let begin = bytes[..at].iter().rposition(|byte| *byte == b'\n');
    let line = &bytes[begin.map_or(0, |begin| begin + 1)..];
    let line = String::from_utf8_lossy(line).to_ascii_lowercase();
    let harmless = ["user-agent:", "accept:", "connection:"];
    harmless.iter().any(|name| line.starts_with(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_which_any_byte_is_changed_is_refused() {
    let house = House::new(Driver::Sim);
    house.succeed(&["image", "list"]);
    let url = house.server().url;
    let authority = url.strip_prefix("http://").unwrap();
    // The parameters of a long request travel as a form in its body.
    let value = "é".repeat(128);
    let tags: Vec<_> = (1..=12).map(|at| format!("Tag.{at}.Value")).collect();
    let keys: Vec<_> = (1..=12).map(|at| format!("Tag.{at}.Key")).collect();
    let long: Vec<_> = tags
        .iter()
        .map(|name| (name.as_str(), value.as_str()))
        .chain(keys.iter().map(|name| (name.as_str(), name.as_str())))
        .collect();
    for generation in [SignatureGeneration::Rpc, SignatureGeneration::Acs3] {
        for params in [&[("ImageName", "a b*~é")][..], &long] {
            let request = captured(&house, generation, params).await;
            assert_eq!(request.body.is_empty(), params.len() == 1);
            any_byte(authority, &raw(&request));
        }
    }
    // What was refused was not asked in the account's name.
    for one in requests(&house) {
        assert!(!one["account"].is_null() || !one["code"].is_null(), "{one}");
    }
}

/// Changes each byte of a request's head, and many of its body, one at a time. Several
/// are on their way at once, because the cloud writes each into its book.
fn any_byte(authority: &str, bytes: &[u8]) {
    const AT_ONCE: usize = 16;
    let body = head(bytes) + 4;
    let places: Vec<_> = (0..body).chain((body..bytes.len()).step_by(97)).collect();
    let all: Vec<_> = places
        .into_iter()
        .flat_map(|at| [(at, 0x01), (at, 0x20), (at, 0x80)])
        .map(|(at, bit)| {
            let mut changed = bytes.to_vec();
            changed[at] ^= bit;
            (at, changed)
        })
        .filter(|(at, changed)| !means_nothing(bytes, *at) && !same_to_http(bytes, changed, *at))
        .collect();
    let refused: usize = std::thread::scope(|scope| {
        let lanes: Vec<_> = all
            .chunks(all.len().div_ceil(AT_ONCE))
            .map(|lane| {
                scope.spawn(|| lane.iter().filter(|one| is_refused(authority, one)).count())
            })
            .collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).sum()
    });
    assert!(all.len() > 900, "only {} were tried", all.len());
    assert!(refused * 10 > all.len() * 9, "{refused} of {}", all.len());
    assert_eq!(send(authority, bytes), Some(200), "unchanged it is good");
    assert_eq!(send(authority, bytes), Some(400), "but only once");
}

/// Whether a changed request was answered with a refusal. Otherwise the server hung up;
/// anything else fails.
fn is_refused(authority: &str, (at, changed): &(usize, Vec<u8>)) -> bool {
    let status = send(authority, changed);
    assert!(
        status.is_none_or(|status| (400..500).contains(&status)),
        "byte {at}: {status:?}\n{}",
        String::from_utf8_lossy(changed)
    );
    status.is_some()
}

/// Where the head of a request ends.
fn head(bytes: &[u8]) -> usize {
    bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
}

/// Whether HTTP itself takes both for the same: letters of a header's name in another
/// case, and white space around its value.
fn same_to_http(bytes: &[u8], changed: &[u8], at: usize) -> bool {
    let lines = |bytes: &[u8]| -> Vec<(String, String)> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let head = text.split("\r\n\r\n").next().unwrap_or_default().to_owned();
        head.split("\r\n")
            .skip(1)
            .map(|line| {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                (name.to_ascii_lowercase(), value.trim().to_owned())
            })
            .collect()
    };
    let first = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    let head = head(bytes);
    at > first && at < head && lines(bytes) == lines(changed)
}
