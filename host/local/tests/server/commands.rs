//! Commands and files.

use darkroom_ecs::action::*;
use darkroom_ecs::error::ErrorCode;
use darkroom_local::admin::SimChange;
use darkroom_local::sim::{Latencies, Rule};

use crate::support::{World, until};

#[tokio::test]
async fn results_are_as_scripted() {
    let world = World::new().await;
    let user = world.first();
    let id = user.run().await;
    let rule = |pattern: &str| Rule {
        pattern: pattern.into(),
        ..Default::default()
    };
    world
        .script(&SimChange {
            rules: Some(vec![
                Rule {
                    exit_code: 3,
                    output: "no\n".into(),
                    ..rule("^false")
                },
                Rule {
                    output: "said ${what}".into(),
                    expand: true,
                    ..rule("echo (?<what>[a-z]+)")
                },
                Rule {
                    output: "x".repeat(30 * 1024),
                    ..rule("much")
                },
                Rule {
                    exit_code: 9,
                    times: Some(1),
                    ..rule("once")
                },
                Rule {
                    seconds: Some(100.0.into()),
                    ..rule("slow")
                },
                Rule {
                    reboot: true,
                    ..rule("reboot")
                },
            ]),
            ..Default::default()
        })
        .await;
    let result = user.command(&id, "false").await;
    assert_eq!(result.invocation_status, InvocationStatus::Failed);
    assert_eq!(
        (result.exit_code, result.output.as_str()),
        (Some(3), "no\n")
    );
    assert_eq!(result.error_code, "ExitCodeNonzero");
    assert_eq!(user.command(&id, "echo hello").await.output, "said hello");
    assert_eq!(user.command(&id, "anything").await.exit_code, Some(0));
    assert_eq!(user.command(&id, "once").await.exit_code, Some(9));
    assert_eq!(user.command(&id, "once").await.exit_code, Some(0));
    let much = user.command(&id, "much").await;
    assert_eq!((much.output.len(), much.dropped), (24 * 1024, 6 * 1024));
    let before = user
        .command(&id, "cat /proc/sys/kernel/random/boot_id")
        .await
        .output;
    let result = user.command(&id, "reboot").await;
    assert_eq!(result.error_code, "ExecutionInterrupted");
    let after = user
        .command(&id, "cat /proc/sys/kernel/random/boot_id")
        .await
        .output;
    assert_ne!(before, after);
}

#[tokio::test]
async fn a_command_takes_its_time_and_can_be_ended() {
    let (world, clock) = World::with_clock().await;
    let user = world.user_at(&clock);
    let id = user.run().await;
    world
        .script(&SimChange {
            latencies: Some(Latencies {
                command: 30.0.into(),
                ..Default::default()
            }),
            ..Default::default()
        })
        .await;
    let wish = RunCommand {
        region_id: user.region.clone(),
        r#type: CommandType::Shell,
        command_content: "work".into(),
        instance_id: vec![id.clone()],
        name: Some("step".into()),
        tag: vec![Tag {
            key: "run".into(),
            value: "1".into(),
        }],
        ..Default::default()
    };
    let looked = async |invoke: &darkroom_ecs::id::InvokeId| {
        let seen = user
            .ok(&DescribeInvocations {
                region_id: user.region.clone(),
                invoke_id: Some(invoke.clone()),
                tag: wish.tag.clone(),
                ..Default::default()
            })
            .await;
        seen.invocations.invocation[0].clone()
    };
    let one = user.ok(&wish).await.invoke_id;
    let seen = looked(&one).await;
    assert_eq!(seen.invocation_status, InvocationStatus::Running);
    assert_eq!(seen.invoke_status, "Running");
    assert_eq!(seen.command_content, "d29yaw==");
    clock.advance(std::time::Duration::from_secs(31));
    assert_eq!(
        looked(&one).await.invocation_status,
        InvocationStatus::Success
    );
    let two = user.ok(&wish).await.invoke_id;
    user.ok(&StopInvocation {
        region_id: user.region.clone(),
        invoke_id: two.clone(),
        instance_id: vec![],
    })
    .await;
    assert_eq!(
        looked(&two).await.invocation_status,
        InvocationStatus::Stopped
    );
    let timed = RunCommand {
        timeout: Some(10),
        ..wish.clone()
    };
    let three = user.ok(&timed).await.invoke_id;
    clock.advance(std::time::Duration::from_secs(11));
    let seen = looked(&three).await;
    assert_eq!(seen.invocation_status, InvocationStatus::Failed);
    let line = &seen.invoke_instances.invoke_instance[0];
    assert_eq!(line.invocation_status, InvocationStatus::Timeout);
    assert_eq!(line.error_code, "ExecutionTimeout");
    // The end of the instance is the command's.
    let four = user.ok(&wish).await.invoke_id;
    user.delete(&id).await;
    let seen = looked(&four).await;
    assert_eq!(
        seen.invoke_instances.invoke_instance[0].error_code,
        "InstanceReleased"
    );
}

#[tokio::test]
async fn an_agent_that_is_not_alive_runs_nothing() {
    let (world, clock) = World::with_clock().await;
    let user = world.user_at(&clock);
    world
        .script(&SimChange {
            latencies: Some(Latencies {
                agent: 20.0.into(),
                ..Default::default()
            }),
            ..Default::default()
        })
        .await;
    let id = user.run().await;
    let alive = async || {
        let seen = user
            .ok(&DescribeCloudAssistantStatus {
                region_id: user.region.clone(),
                instance_id: vec![id.clone()],
                ..Default::default()
            })
            .await;
        seen.instance_cloud_assistant_status_set
            .instance_cloud_assistant_status[0]
            .cloud_assistant_status
            .0
    };
    assert!(!alive().await);
    let early = user.command(&id, "true").await;
    assert_eq!(early.invocation_status, InvocationStatus::Failed);
    assert_eq!(early.error_code, "ClientNotRunning");
    clock.advance(std::time::Duration::from_secs(21));
    assert!(alive().await);
    assert_eq!(user.command(&id, "true").await.exit_code, Some(0));
}

#[tokio::test]
async fn what_cannot_be_run_is_refused() {
    let world = World::new().await;
    let user = world.first();
    let id = user.run().await;
    let wish = RunCommand {
        region_id: user.region.clone(),
        r#type: CommandType::Shell,
        command_content: "true".into(),
        instance_id: vec![id.clone()],
        client_token: Some("c".into()),
        ..Default::default()
    };
    let one = user.ok(&wish).await;
    assert_eq!(user.ok(&wish).await.invoke_id, one.invoke_id);
    let fresh = RunCommand {
        client_token: None,
        ..wish
    };
    let cases = [
        (
            RunCommand {
                command_content: "x".repeat(19_000),
                ..fresh.clone()
            },
            "CmdContent.ExceedLimit",
        ),
        (
            RunCommand {
                r#type: CommandType::from("RunPython"),
                ..fresh.clone()
            },
            "InvalidCmdType.NotFound",
        ),
        (
            RunCommand {
                instance_id: vec!["i-none".parse().unwrap()],
                ..fresh.clone()
            },
            "InvalidInstance.NotFound",
        ),
        (
            RunCommand {
                enable_parameter: Some(true),
                ..fresh.clone()
            },
            "UnsupportedParameter",
        ),
        (
            RunCommand {
                timeout: Some(0),
                ..fresh.clone()
            },
            "InvalidParameter",
        ),
    ];
    for (wrong, code) in cases {
        assert_eq!(user.refused(&wrong).await.as_str(), code);
    }
    user.stop(&id).await;
    assert_eq!(
        user.refused(&fresh).await,
        ErrorCode::InvalidInstanceNotMatch
    );
    let none = StopInvocation {
        region_id: user.region.clone(),
        invoke_id: "t-none".parse().unwrap(),
        instance_id: vec![],
    };
    assert_eq!(
        user.refused(&none).await,
        ErrorCode::InvalidInvokeIdNotFound
    );
}

#[tokio::test]
async fn files_go_in_and_are_not_kept() {
    let world = World::new().await;
    let user = world.first();
    let id = user.run().await;
    let secret = "c2VjcmV0LXRleHQ=";
    let file = SendFile {
        region_id: user.region.clone(),
        instance_id: vec![id.clone()],
        name: "a.txt".into(),
        target_dir: "/tmp".into(),
        content: secret.into(),
        content_type: Some(ContentEncoding::Base64),
        overwrite: Some(true),
        ..Default::default()
    };
    let sent = user.ok(&file).await.invoke_id;
    until(async || {
        let seen = user
            .ok(&DescribeSendFileResults {
                region_id: user.region.clone(),
                invoke_id: Some(sent.clone()),
                ..Default::default()
            })
            .await;
        let line = &seen.invocations.invocation[0];
        assert_eq!(
            (line.name.as_str(), line.file_mode.as_str()),
            ("a.txt", "0644")
        );
        line.invocation_status == InvocationStatus::Success
    })
    .await;
    for wrong in [
        SendFile {
            name: "../x".into(),
            ..file.clone()
        },
        SendFile {
            target_dir: "tmp".into(),
            ..file.clone()
        },
        SendFile {
            content: "*".into(),
            ..file.clone()
        },
        SendFile {
            file_mode: Some("9".into()),
            ..file.clone()
        },
    ] {
        assert_eq!(user.refused(&wrong).await, ErrorCode::InvalidParameter);
    }
    let (_, recorded) = world.admin("GET", "requests?action=SendFile", "").await;
    let first = &recorded["requests"][0];
    assert_eq!(first["params"]["Content"]["length"], secret.len());
    assert_eq!(
        first["params"]["Content"]["sha256"].as_str().unwrap().len(),
        64
    );
    assert_eq!(first["params"]["Name"], "a.txt");
    // Nowhere in the cloud's files, neither encoded nor plain.
    for file in [
        "cloud.sqlite",
        "cloud.sqlite-wal",
        "sim.sqlite",
        "sim.sqlite-wal",
    ] {
        let bytes = std::fs::read(world.folder.path().join(file)).unwrap_or_default();
        let holds = |text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
        assert!(!holds(secret.as_bytes()), "{file} holds the content");
        assert!(!holds(b"secret-text"), "{file} holds the decoded content");
    }
}
