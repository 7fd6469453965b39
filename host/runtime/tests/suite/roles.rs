//! The three roles of a component through suspension and replay: which calls it
//! makes, which steps come of them, and what it reports.

use std::collections::HashMap;

use crate::support::{all_roles, done, drive, first, lines, runtime};
use darkroom_contract::{Ending, ItemStatus, Role, StepKind};
use serde_json::{Map, json};

const BATCH: [&str; 5] = [
    r#"shell("look", "cat /etc/os-release")"#,
    r#"write("page", "/var/www/html/index.html", "hello")"#,
    "mode(1, 420)",
    r#"shell("count", "wc -c /var/www/html/index.html")"#,
    "timeout(2, 60)",
];

#[tokio::test]
async fn a_builder_declares_a_batch_asks_and_branches() {
    let runtime = runtime();
    let component = runtime.load(&all_roles(&runtime), "all-roles").unwrap();
    assert_eq!(component.roles(), Role::ALL);
    assert_eq!(
        component.description().summary,
        "Serves a greeting with nginx"
    );

    // The first call is what a plan shows: it ends at the question.
    let ended = runtime
        .call(&component, first(&component, Role::Builder))
        .await
        .unwrap();
    let Ending::Suspended { question } = &ended.ending else {
        panic!("it did not suspend");
    };
    assert_eq!(question.to_string(), "output(0)");
    let mut expected = BATCH.to_vec();
    expected.push("output(0)");
    assert_eq!(lines(&ended.transcript), expected);
    assert_eq!(ended.steps.len(), 3);
    assert_eq!(ended.steps[1].mode, Some(0o644));
    assert_eq!(ended.steps[2].timeout_seconds, 60);
    assert_eq!(
        ended.report.messages[0].text,
        "nginx comes from the distribution"
    );
    assert!(ended.report.published.is_empty());

    for (os, script, tool) in [
        ("NAME=x\nID=debian\n", "apt-get install -y nginx", "apt-get"),
        ("ID=alinux\n", "dnf install -y nginx", "dnf"),
    ] {
        let results = HashMap::from([("look", done(os))]);
        let (ended, calls) =
            drive(&runtime, &component, Role::Builder, &Map::new(), &results).await;
        let ended = ended.unwrap();
        assert_eq!(calls, 2);
        assert_eq!(ended.ending, Ending::Returned(Ok(())));
        let mut expected: Vec<String> = BATCH.map(ToOwned::to_owned).to_vec();
        expected.push("output(0)".into());
        expected.push(format!("shell(\"install\", \"{script}\")"));
        expected.push("attempts(3, 3)".into());
        expected.push("timeout(3, 900)".into());
        assert_eq!(lines(&ended.transcript), expected);
        assert_eq!(ended.steps[3].attempts, 3);
        assert_eq!(ended.report.published["tool"], json!(tool));
    }
}

#[tokio::test]
async fn arguments_reach_the_component() {
    let runtime = runtime();
    let component = runtime.load(&all_roles(&runtime), "all-roles").unwrap();
    let arguments = Map::from_iter([("greeting".to_owned(), json!("good day"))]);
    let (ended, calls) = drive(
        &runtime,
        &component,
        Role::Tester,
        &arguments,
        &HashMap::new(),
    )
    .await;
    let ended = ended.unwrap();
    assert_eq!(calls, 1);
    assert_eq!(ended.steps.len(), 1);
    assert_eq!(ended.steps[0].expectations.contains, ["good day"]);
    assert!(
        matches!(&ended.steps[0].kind, StepKind::Shell { script, .. } if script.starts_with("cat "))
    );
    let wrong = Map::from_iter([("greeting".to_owned(), json!("No!"))]);
    assert!(component.description().inputs(&wrong).is_err());
}

#[tokio::test]
async fn a_repairer_looks_first() {
    let runtime = runtime();
    let component = runtime.load(&all_roles(&runtime), "all-roles").unwrap();
    let healthy = darkroom_contract::StepResult {
        exit_code: 1,
        ..Default::default()
    };
    for (look, steps, status) in [
        (healthy, 1, ItemStatus::Intact),
        (done(""), 2, ItemStatus::Repaired),
    ] {
        let results = HashMap::from([("look for a missing disk", look)]);
        let (ended, _) = drive(&runtime, &component, Role::Repairer, &Map::new(), &results).await;
        let ended = ended.unwrap();
        assert_eq!(ended.steps.len(), steps);
        assert!(ended.steps[0].tolerate);
        assert_eq!(
            ended.steps[0].environment,
            [("ROOT".to_owned(), "/".to_owned())]
        );
        assert_eq!(ended.report.items[0].name, "GUESTOS.Fstab");
        assert_eq!(ended.report.items[0].status, status);
    }
}
