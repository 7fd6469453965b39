//! `darkroom doctor`: each thing that it looks at, once as it should be and once not, over
//! real HTTP. That it changes nothing is read off the recorder.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use darkroom_ecs::action::{DescribeSecurityGroups, DescribeVSwitches};
use darkroom_ecs::client::Client;
use darkroom_ecs::credentials::{Credentials, Secret};
use darkroom_ecs::endpoint;
use darkroom_ecs::transport::{HttpOptions, HttpTransport};
use darkroom_local::AccountsFile;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::desk::{Desk, Ran, TINY};

/// The findings about a subject: level, text and hints in one.
fn found(ran: &Ran, check: &str) -> Vec<(String, String)> {
    let lines = ran.json();
    let about = lines.iter().filter(|line| line["check"] == check);
    let text = |one: &Value| {
        let hints = one["hints"].as_array().unwrap().iter();
        let hints: Vec<_> = hints.map(|hint| hint.as_str().unwrap()).collect();
        format!("{} | {}", one["text"].as_str().unwrap(), hints.join(" | "))
    };
    about
        .map(|one| (one["level"].as_str().unwrap().to_owned(), text(one)))
        .collect()
}

/// The one finding of a level about a subject; it must say something of what to do.
#[track_caller]
fn bad(ran: &Ran, check: &str, level: &str) -> String {
    let found = found(ran, check);
    let mut those = found.iter().filter(|(one, _)| one == level);
    let text = those.next().map(|(_, text)| text.clone());
    assert!(text.is_some(), "{check}: {found:?}");
    let text = text.unwrap();
    assert!(!text.ends_with("| "), "no hint: {text}");
    text
}

#[track_caller]
fn good(ran: &Ran, check: &str) {
    let found = found(ran, check);
    assert!(!found.is_empty(), "nothing of {check}: {}", ran.out);
    assert!(found.iter().all(|(level, _)| level == "ok"), "{found:?}");
}

fn doctor(desk: &Desk, more: &[&str]) -> Ran {
    desk.run(&[&["doctor", "--json"], more].concat())
}

fn refuse(desk: &Desk, actions: &[&str]) {
    let rules: Vec<_> = actions
        .iter()
        .map(|action| {
            let fault = json!({ "status": 403, "code": "Forbidden.RAM",
                "message": "User not authorized to operate on the specified resource." });
            json!({ "action": action, "fault": { "refuse": fault } })
        })
        .collect();
    desk.admin("PUT", "faults", &json!({ "rules": rules }));
}

/// A started local cloud, and a template beside it.
fn ready() -> Desk {
    let desk = Desk::new();
    desk.write("image.yaml", TINY);
    desk.run(&["image", "list"]).expect(0);
    desk
}

#[test]
fn all_is_well_and_nothing_was_touched() {
    let desk = ready();
    let ran = doctor(&desk, &["image.yaml"]).expect(0);
    for check in [
        "sandbox",
        "disk",
        "endpoint",
        "clock",
        "credentials",
        "region",
        "source",
        "stock",
        "rights",
        "quota",
        "egress",
    ] {
        good(&ran, check);
    }
    let result = ran.json().pop().unwrap();
    assert_eq!(result["result"], json!({ "errors": 0, "warnings": 0 }));
    // The local cloud has no image of its own, so that nothing could be asked about one.
    let unknown = &found(&ran, "rights")[1].1;
    assert!(unknown.contains("ecs:RunCommand") && unknown.contains("darkroom policy image.yaml"));
    assert!(!unknown.contains("RunInstances"), "{unknown}");
    let asked = desk.admin("GET", "requests", &Value::Null);
    let changes: Vec<_> = asked["requests"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| !one["action"].as_str().unwrap().starts_with("Describe"))
        .map(|one| {
            (
                one["action"].clone(),
                one["params"]["DryRun"].clone(),
                one["code"].clone(),
            )
        })
        .collect();
    let dry = |action: &str| (json!(action), json!("true"), json!("DryRunOperation"));
    let identity = (json!("GetCallerIdentity"), Value::Null, Value::Null);
    // The first question is no call, and nobody has signed it.
    let plain = (json!("unknown"), Value::Null, json!("IncompleteSignature"));
    assert_eq!(
        changes,
        [plain, identity, dry("CreateVpc"), dry("RunInstances")]
    );
    let bill = desk.admin("GET", "ledger?all=true", &Value::Null);
    assert_eq!(bill["entries"], json!([]));
    // The machine alone, for people.
    let ran = desk.run(&["doctor"]).expect(0);
    assert!(
        ran.out.ends_with("\nNothing is in the way.\n"),
        "{}",
        ran.out
    );
    assert!(
        !ran.out.contains('\x1b') && !ran.out.contains("stock"),
        "{}",
        ran.out
    );
    let colored = desk.run(&["doctor", "--color", "always"]).expect(0);
    assert!(colored.out.contains("\x1b[32mok"), "{}", colored.out);
}

#[test]
fn what_ram_refuses_is_named_with_its_use() {
    let desk = ready();
    refuse(&desk, &["RunInstances", "DescribeSnapshots"]);
    let ran = doctor(&desk, &["image.yaml"]).expect(1);
    let errors = found(&ran, "rights");
    let errors: Vec<_> = errors
        .iter()
        .filter(|(level, _)| level == "error")
        .collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    for (action, why) in [
        ("ecs:RunInstances", "start the instances"),
        ("ecs:DescribeSnapshots", "find the snapshots"),
    ] {
        let said = errors.iter().any(|(_, text)| {
            text.starts_with(action)
                && text.contains(why)
                && text.contains("Forbidden.RAM")
                && text.contains(&format!("allow {action} to"))
                && text.contains("darkroom policy image.yaml")
        });
        assert!(said, "{errors:?}");
    }
    // What only the doctor asks is no right that a build needs.
    refuse(&desk, &["DescribeAccountAttributes"]);
    let ran = doctor(&desk, &["image.yaml"]).expect(0);
    assert!(bad(&ran, "quota", "warning").contains("allow ecs:DescribeAccountAttributes"));
}

#[test]
fn stock_source_and_quota_are_looked_at_before_a_build_meets_them() {
    let desk = ready();
    let named = "instance: { type: [ecs.c7.large, ecs.g7.large] }\n";
    desk.write("named.yaml", &format!("{TINY}{named}"));
    let sold_out = |kind: &str| json!({ "instance_type": kind, "available": false });
    desk.sim(&json!({ "stock": [sold_out("ecs.c7.large")] }));
    let ran = doctor(&desk, &["named.yaml"]).expect(0);
    assert!(bad(&ran, "stock", "warning").contains("ecs.c7.large is not in stock"));
    desk.sim(&json!({ "stock": [{ "available": false }] }));
    let ran = doctor(&desk, &["named.yaml"]).expect(1);
    assert!(bad(&ran, "stock", "error").contains("name other ones in instance.type"));
    desk.sim(&json!({ "stock": [] }));

    desk.write(
        "lost.yaml",
        &TINY.replace("family: debian-12", "image: m-none"),
    );
    let ran = doctor(&desk, &["lost.yaml"]).expect(1);
    assert!(bad(&ran, "source", "error").contains("m-none"));

    // Two vCPUs are one instance, and a run has two.
    desk.admin("PUT", "quotas", &json!({ "vcpus": 2 }));
    let ran = doctor(&desk, &["image.yaml"]).expect(0);
    assert!(bad(&ran, "quota", "warning").contains("2 of 2 vCPUs"));
    desk.admin(
        "PUT",
        "quotas",
        &json!({ "vcpus": 1, "security_groups": 1 }),
    );
    let ran = doctor(&desk, &["image.yaml"]).expect(1);
    let errors = found(&ran, "quota");
    let errors: Vec<_> = errors
        .iter()
        .filter(|(level, _)| level == "error")
        .collect();
    assert!(errors[0].1.contains("quota centre"), "{errors:?}");
    assert!(
        errors[1].1.contains("instance.security-group"),
        "{errors:?}"
    );
    // Nor is it only the doctor who says so.
    let ran = desk.run(&["doctor", "image.yaml"]).expect(1);
    assert!(ran.out.contains("2 errors, "), "{}", ran.out);
}

#[test]
fn a_security_group_that_keeps_the_agent_in_is_an_error() {
    let desk = ready();
    let (vswitch, group) = network(&desk);
    let text = format!("{TINY}instance: {{ vswitch: {vswitch}, security-group: {group} }}\n");
    desk.write("closed.yaml", &text);
    // There is no gateway in the local cloud's networks.
    let ran = doctor(&desk, &["closed.yaml"]).expect(0);
    assert!(bad(&ran, "egress", "warning").contains("no NAT gateway"));
    assert!(!ran.out.contains("\"error\",\"text"), "{}", ran.out);
    let rules = json!({ "SecurityGroupId": group, "Permissions": { "Permission": [
        { "Direction": "egress", "Policy": "Drop", "IpProtocol": "ALL", "PortRange": "-1/-1",
          "DestCidrIp": "0.0.0.0/0", "Priority": "1" } ] } });
    let gateway = json!({ "NatGateways": { "NatGateway": [ { "NatGatewayId": "ngw-1",
        "IpLists": { "IpList": [ { "IpAddress": "203.0.113.1" } ] } } ] } });
    let answer = |action: &str, body: Value| json!({ "action": action, "fault": { "answer": { "body": body } } });
    desk.admin(
        "PUT",
        "faults",
        &json!({ "rules": [
            answer("DescribeSecurityGroupAttribute", rules),
            answer("DescribeNatGateways", gateway),
        ] }),
    );
    let ran = doctor(&desk, &["closed.yaml"]).expect(1);
    let text = bad(&ran, "egress", "error");
    assert!(
        text.contains("TCP 443") && text.contains("100.64.0.0/10"),
        "{text}"
    );
    let all = found(&ran, "egress");
    assert!(
        all.iter()
            .any(|(level, text)| level == "ok" && text.contains("ngw-1")),
        "{all:?}"
    );
}

/// A vSwitch and a security group of the first account.
fn network(desk: &Desk) -> (String, String) {
    let account = AccountsFile::read(&desk.at("state/local"))
        .unwrap()
        .unwrap();
    let account = &account.accounts[0];
    let keys = Credentials {
        access_key_id: account.access_key_id.clone(),
        access_key_secret: Secret::new(account.access_key_secret.clone()),
        security_token: None,
    };
    let transport = HttpTransport::new(HttpOptions::default()).unwrap();
    let server = endpoint::fixed(desk.server().url.parse().unwrap());
    let client = Client::builder(std::sync::Arc::new(transport), keys, server).build();
    let region = "cn-hangzhou".parse().unwrap();
    let vswitches = DescribeVSwitches {
        region_id: "cn-hangzhou".parse().unwrap(),
        ..DescribeVSwitches::default()
    };
    let groups = DescribeSecurityGroups {
        region_id: "cn-hangzhou".parse().unwrap(),
        ..DescribeSecurityGroups::default()
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let vswitch = client.call(&region, &vswitches).await.unwrap();
        let group = client.call(&region, &groups).await.unwrap();
        (
            vswitch.vswitches.vswitch[0].vswitch_id.to_string(),
            group.security_groups.security_group[0]
                .security_group_id
                .to_string(),
        )
    })
}

/// `doctor --endpoint URL` with the first account's key and this secret; none: no keys.
fn abroad(desk: &Desk, url: &str, secret: Option<&str>) -> Ran {
    let accounts = AccountsFile::read(&desk.at("state/local"))
        .unwrap()
        .unwrap();
    let account = &accounts.accounts[0];
    let mut command = desk.darkroom(&["doctor", "--json", "--endpoint", url]);
    command.env("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true");
    if let Some(secret) = secret {
        let secret = if secret.is_empty() {
            account.access_key_secret.as_str()
        } else {
            secret
        };
        command.env("ALIBABA_CLOUD_ACCESS_KEY_ID", &account.access_key_id);
        command.env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", secret);
    }
    Ran::of(command.output().unwrap())
}

#[test]
fn keys_are_said_with_their_source_and_whose_they_are() {
    let desk = ready();
    let url = desk.server().url;
    let ran = abroad(&desk, &url, Some("")).expect(0);
    let said = &found(&ran, "credentials")[0];
    assert_eq!(said.0, "ok");
    let whose = "keys from the environment, of acs:ram::";
    assert!(said.1.starts_with(whose), "{}", said.1);
    // The account's own keys can do more than a build needs.
    assert!(bad(&ran, "credentials", "warning").contains("RAM user"));
    good(&ran, "endpoint");
    let ran = abroad(&desk, &url, Some("wrong")).expect(1);
    let text = bad(&ran, "credentials", "error");
    assert!(
        text.contains("SignatureDoesNotMatch") && !text.contains("wrong"),
        "{text}"
    );
    assert!(bad_rights_follow(&ran), "{}", ran.out);
    let ran = abroad(&desk, &url, None).expect(1);
    assert!(bad(&ran, "credentials", "error").contains("aliyun configure"));
}

/// What could not be looked at is said.
fn bad_rights_follow(ran: &Ran) -> bool {
    let said = found(ran, "rights");
    said.len() == 1 && said[0].0 == "warning" && said[0].1.contains("errors above come first")
}

#[test]
fn the_way_to_the_cloud_is_looked_at() {
    let desk = ready();
    // The port was free a moment ago.
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let ran = abroad(&desk, &format!("http://{nobody}"), Some("")).expect(1);
    assert!(bad(&ran, "endpoint", "error").contains("check that a server listens"));
    good(&ran, "credentials");
    let port = desk.server().url.rsplit(':').next().unwrap().to_owned();
    let ran = abroad(&desk, &format!("https://localhost:{port}"), Some("")).expect(1);
    bad(&ran, "endpoint", "error");
    let ran = abroad(&desk, "http://192.0.2.1", Some("")).expect(1);
    assert!(bad(&ran, "endpoint", "error").contains("https://"));
    let ran = doctor(&desk, &["--region", "cn-nowhere"]).expect(1);
    assert!(bad(&ran, "region", "error").contains("cn-hangzhou"));
    desk.run(&["doctor", "--endpoint", "https://a/b"]).expect(2);
    desk.run(&["doctor", "missing.yaml"]).expect(2);
}

#[test]
fn a_clock_that_is_wrong_is_seen_by_the_servers_date() {
    let desk = ready();
    for (ahead, level) in [(20, "error"), (-3, "warning")] {
        let date = Timestamp::now() - SignedDuration::from_mins(ahead);
        let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let url = between(&desk.server().url, date);
        let ran = abroad(&desk, &url, Some("")).expect(1);
        let text = bad(&ran, "clock", level);
        let said = if ahead > 0 {
            "20 minutes ahead"
        } else {
            "minutes behind"
        };
        assert!(
            text.contains(said) && text.contains("timedatectl"),
            "{text}"
        );
    }
}

/// A server that hands everything on, and says that it is another time. It ends with the
/// process.
fn between(url: &str, date: String) -> String {
    let server = url.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap().to_string();
    let name = here.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (server, name, date) = (server.clone(), name.clone(), date.clone());
            std::thread::spawn(move || hand_on(stream.unwrap(), &server, &name, &date));
        }
    });
    format!("http://{here}")
}

/// One request of a connection, which is then closed. What is signed names us as its host,
/// so that it is refused further on; the date comes before that.
fn hand_on(mut stream: TcpStream, server: &str, name: &str, date: &str) {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut length = 0;
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or_default() == 0 {
            return;
        }
        let last = head.lines().last().unwrap_or_default().to_ascii_lowercase();
        if let Some(value) = last.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let head = head.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    let mut onward = TcpStream::connect(server).unwrap();
    onward
        .write_all(head.replace(name, server).as_bytes())
        .unwrap();
    onward.write_all(&body).unwrap();
    let mut answer = Vec::new();
    onward.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let lines: Vec<_> = answer
        .split("\r\n")
        .map(|line| {
            let is_date = line.to_ascii_lowercase().starts_with("date:");
            let told = is_date.then(|| format!("date: {date}"));
            told.unwrap_or_else(|| line.to_owned())
        })
        .collect();
    stream.write_all(lines.join("\r\n").as_bytes()).unwrap();
}

/// `doctor` below other programs, which are given its name as `$0`.
fn below(desk: &Desk, shell: &str, driver: &str) -> Option<Ran> {
    let mut command = Command::new("unshare");
    let darkroom = desk.darkroom(&[]);
    for (name, value) in darkroom.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command
        .args(["-Urm", "sh", "-c", shell, env!("CARGO_BIN_EXE_darkroom")])
        .env("DARKROOM_DRIVER", driver)
        .current_dir(desk.folder.path());
    let ran = Ran::of(command.output().unwrap());
    if ran.err.contains("unshare failed") {
        println!("not run: {}", ran.err);
        return None;
    }
    Some(ran)
}

#[test]
fn a_machine_that_cannot_run_instances_is_told_what_it_lacks() {
    let desk = ready();
    let shell = "echo 0 > /proc/sys/user/max_user_namespaces && exec $0 doctor --json";
    let Some(ran) = below(&desk, shell, "sandbox") else {
        return;
    };
    assert_eq!(ran.code, Some(1), "{}\n{}", ran.out, ran.err);
    let all = found(&ran, "sandbox");
    let error = |text: &str| {
        all.iter()
            .any(|(level, said)| level == "error" && said.contains(text))
    };
    assert!(error("max_user_namespaces"), "{all:?}");
    assert!(
        error("`darkroom local bootstrap debian-12` makes it"),
        "{all:?}"
    );
    // What is there is said as well.
    assert!(all.iter().any(|(level, _)| level == "ok"), "{all:?}");
}

#[test]
fn a_full_disk_is_seen() {
    let desk = ready();
    std::fs::create_dir_all(desk.at("small")).unwrap();
    let shell = "mount -t tmpfs -o size=1m none small && \
                 DARKROOM_CACHE=$PWD/small exec $0 doctor --json";
    let Some(ran) = below(&desk, shell, "sim") else {
        return;
    };
    assert_eq!(ran.code, Some(1), "{}\n{}", ran.out, ran.err);
    let text = bad(&ran, "disk", "error");
    assert!(
        text.contains("DARKROOM_CACHE") && text.contains("/small"),
        "{text}"
    );
}
