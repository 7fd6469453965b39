//! Exit codes and streams: what a script sees.

use serde_json::json;

use crate::desk::{Desk, TINY, components};

#[test]
fn what_a_person_gets_wrong_is_two() {
    let desk = Desk::new();
    desk.write("bad.yaml", "name: web\nsorce: { family: debian-12 }\n");
    for words in [
        &["biuld"][..],
        &["build", "missing.yaml"],
        &["resume", "last"],
        &["runs", "show", "261122"],
        &["build", "--on", "mars", "bad.yaml"],
        &["build", "-p", "nothing", "bad.yaml"],
        &["local", "reset"],
        &["component", "inspect", "missing.wasm"],
    ] {
        let ran = desk.run(words).expect(2);
        assert!(ran.out.is_empty(), "{words:?}: {}", ran.out);
        assert!(ran.err.contains("error"), "{words:?}: {}", ran.err);
    }
    // Nothing of that starts the local cloud.
    assert!(!desk.at("state/local/server.json").exists());
}

#[test]
fn mistakes_come_all_at_once_for_people_and_for_programs() {
    if components().is_none() {
        println!("not run: the system components have not been built");
        return;
    }
    let desk = Desk::new();
    desk.write(
        "bad.yaml",
        "name: web\nsorce: { family: debian-12 }\ninstance: { disk: big }\n",
    );
    let people = desk.run(&["validate", "bad.yaml"]).expect(2);
    for said in [
        "bad.yaml:2:1",
        "did you mean `source`?",
        "bad.yaml:3:19",
        "nothing was started",
    ] {
        assert!(people.err.contains(said), "{said}: {}", people.err);
    }
    let programs = desk.run(&["--json", "validate", "bad.yaml"]).expect(2);
    let error = &programs.json()[0]["error"];
    assert_eq!(error["kind"], "user");
    let lines: Vec<_> = error["mistakes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["line"].clone())
        .collect();
    assert!(
        lines.contains(&2.into()) && lines.contains(&3.into()),
        "{error}"
    );
}

#[test]
fn what_a_machine_lacks_is_three() {
    let desk = Desk::new();
    let ran = desk.run(&["image", "list", "--on", "aliyun"]).expect(3);
    assert!(
        ran.err.contains("ALIBABA_CLOUD_ACCESS_KEY_ID"),
        "{}",
        ran.err
    );
    desk.write("darkroom.toml", "cloud = 'local'\n");
    let ran = desk.run(&["image", "list"]).expect(3);
    assert!(ran.err.contains("darkroom.toml"), "{}", ran.err);
    let mut command = desk.darkroom(&["runs", "list"]);
    command.env("DARKROOM_STATE", "relative");
    assert_eq!(command.output().unwrap().status.code(), Some(3));
    desk.write("good.yaml", TINY);
    let mut command = desk.darkroom(&["validate", "good.yaml"]);
    command.env("DARKROOM_COMPONENTS", desk.at("nowhere"));
    assert_eq!(command.output().unwrap().status.code(), Some(3));
}

#[test]
fn an_unknown_account_region_or_image() {
    let desk = Desk::new();
    let ran = desk
        .run(&["image", "list", "--account", "secnod"])
        .expect(2);
    assert!(ran.err.contains("--account second"), "{}", ran.err);
    let ran = desk
        .run(&["image", "list", "--region", "cn-mars"])
        .expect(5);
    assert!(ran.err.contains("InvalidRegionId.NotFound"), "{}", ran.err);
    desk.run(&["image", "show", "m-none"]).expect(2);
    desk.run(&["local", "shell", "i-none", "--", "true"])
        .expect(2);
    let all = desk.run(&["image", "list", "--all"]).expect(0);
    assert!(all.out.contains("debian-12"), "{}", all.out);
}

#[test]
fn a_build_its_events_and_what_is_kept_of_it() {
    if components().is_none() {
        println!("not run: the system components have not been built");
        return;
    }
    let desk = Desk::new();
    desk.write("image.yaml", TINY);
    let built = desk.run(&["build", "--json"]).expect(0);
    let lines = built.json();
    let (result, events) = lines.split_last().unwrap();
    assert_eq!(events[0]["event"], "run-started");
    assert!(events.iter().all(|event| event["v"] == 1), "{events:?}");
    assert_eq!(events.last().unwrap()["status"], "SUCCESS");
    let run = result["result"]["run"].as_str().unwrap();
    let image = result["result"]["images"][0]["image"].as_str().unwrap();

    let people = desk.run(&["build", ".", "--refresh"]).expect(0);
    assert!(
        people.out.contains("SUCCESS in") && people.out.contains("manifest"),
        "{}",
        people.out
    );
    assert!(people.err.contains("build/1-run/0"), "{}", people.err);

    let list = desk.run(&["runs", "list"]).expect(0);
    assert_eq!(list.out.lines().count(), 3, "{}", list.out);
    let shown = desk.run(&["runs", "show", run]).expect(0);
    assert!(shown.out.contains("build/1-run/0"), "{}", shown.out);
    let shown = desk.run(&["image", "show", image]).expect(0);
    assert!(shown.out.contains(run), "{}", shown.out);
    desk.run(&["runs", "logs", run, "build"]).expect(0);
    let ended = desk.run(&["resume", run]).expect(2);
    assert!(ended.err.contains("has ended: SUCCESS"), "{}", ended.err);
}

#[test]
fn a_failing_step_is_four_and_shows_its_output() {
    if components().is_none() {
        println!("not run: the system components have not been built");
        return;
    }
    let desk = Desk::new();
    desk.write("image.yaml", &TINY.replace("echo hello", "install-it"));
    desk.run(&["image", "list"]).expect(0);
    let rule = json!({"match": "install-it", "exit_code": 3, "output": "no such package\n"});
    desk.sim(&json!({ "rules": [rule] }));
    let ran = desk.run(&["build"]).expect(4);
    for said in [
        "error: run: ",
        "install-it",
        "no such package",
        "darkroom runs logs ",
    ] {
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
    let ran = desk.run(&["build", "--json"]).expect(4);
    assert_eq!(ran.json().last().unwrap()["error"]["kind"], "component");
}

#[test]
fn a_cloud_that_refuses_is_five() {
    if components().is_none() {
        println!("not run: the system components have not been built");
        return;
    }
    let desk = Desk::new();
    desk.write("image.yaml", TINY);
    desk.run(&["image", "list"]).expect(0);
    // The cloud knows another secret than this now says.
    let file = desk.at("state/local/accounts.json");
    let accounts = std::fs::read_to_string(&file).unwrap();
    let wrong = accounts.replace("access_key_secret\": \"", "access_key_secret\": \"x");
    std::fs::write(&file, wrong).unwrap();
    let ran = desk.run(&["build"]).expect(5);
    assert!(ran.err.contains("SignatureDoesNotMatch"), "{}", ran.err);
}

#[test]
fn what_the_template_names_and_the_cloud_has_not_is_two() {
    if components().is_none() {
        println!("not run: the system components have not been built");
        return;
    }
    let desk = Desk::new();
    desk.write("image.yaml", &TINY.replace("debian-12", "nothing-1"));
    let ran = desk.run(&["build"]).expect(2);
    assert!(ran.err.contains("nothing-1"), "{}", ran.err);
    let ran = desk.run(&["build", "--region", "cn-mars"]).expect(2);
    assert!(ran.err.contains("cn-mars"), "{}", ran.err);
}
