//! The verbs that change images, and the lock, on the simulated cloud.

use serde_json::Value;

use crate::desk::{Desk, TINY, components};

/// A desk with an image, and the image.
fn desk() -> Option<(Desk, String)> {
    if components().is_none() {
        println!("not run: the system components have not been built");
        return None;
    }
    let desk = Desk::new();
    desk.write("image.yaml", TINY);
    let built = desk.run(&["build", "--json"]).expect(0).json();
    let result = &built.last().unwrap()["result"];
    let image = result["images"][0]["image"].as_str().unwrap().to_owned();
    Some((desk, image))
}

fn images(desk: &Desk, region: &str) -> Vec<Value> {
    let list = desk
        .run(&["image", "list", "--json", "--region", region])
        .expect(0)
        .json();
    assert_eq!(list[0]["v"], 1);
    list[0]["images"].as_array().unwrap().clone()
}

#[test]
fn an_image_is_shared_copied_deprecated_and_deleted() {
    let Some((desk, image)) = desk() else { return };
    let other = "2000000000000002";
    let accounts = |desk: &Desk| {
        let shown = desk.run(&["image", "show", &image, "--json"]).expect(0);
        shown.json()[0]["accounts"].clone()
    };
    desk.run(&["image", "share", &image, "--with", other])
        .expect(0);
    assert_eq!(accounts(&desk), serde_json::json!([other]));
    desk.run(&["image", "unshare", &image, "--from", other, "--yes"])
        .expect(0);
    assert_eq!(accounts(&desk), serde_json::json!([]));

    desk.run(&["image", "copy", &image, "--to", "cn-beijing"])
        .expect(0);
    assert_eq!(images(&desk, "cn-beijing").len(), 1);

    desk.run(&["image", "deprecate", &image]).expect(0);
    assert_eq!(images(&desk, "cn-hangzhou")[0]["status"], "Deprecated");
    desk.run(&["image", "deprecate", &image, "--undo"])
        .expect(0);
    assert_eq!(images(&desk, "cn-hangzhou")[0]["status"], "Available");

    desk.run(&["image", "delete", &image, "--yes"]).expect(0);
    assert!(images(&desk, "cn-hangzhou").is_empty());
    assert_eq!(images(&desk, "cn-beijing").len(), 1);
    let gone = desk.run(&["image", "delete", &image, "--yes"]);
    assert_ne!(gone.code, Some(0), "{}", gone.err);
}

#[test]
fn an_image_is_tried_with_a_command_whose_exit_code_is_kept() {
    let Some((desk, image)) = desk() else { return };
    desk.run(&["image", "try", &image, "--", "true"]).expect(0);
    let rule = serde_json::json!({"match": "is-it-there", "exit_code": 3, "output": "no\n"});
    desk.sim(&serde_json::json!({ "rules": [rule] }));
    let tried = desk
        .run(&["image", "try", &image, "--", "is-it-there"])
        .expect(3);
    assert_eq!(tried.out, "no\n");
    // An image that isn't there is whose mistake it is who names it.
    desk.run(&["image", "delete", "m-nope", "--yes"]).expect(2);
    let status = desk.run(&["local", "status"]).expect(0);
    assert!(!status.out.contains("instance  i-"), "{}", status.out);
}

#[test]
fn a_build_pins_its_components_and_refuses_others() {
    if components().is_none() {
        println!("not run: the system components have not been built");
        return;
    }
    let desk = Desk::new();
    let template = "name: tiny\nsource: { family: debian-12 }\nrepair: none\nbuild:\n  \
                    - uses: darkroom:files\n    with: { path: /etc/x, text: x }\n";
    desk.write("image.yaml", template);
    let refused = desk.run(&["build", "--locked"]).expect(2);
    assert!(refused.err.contains("image.yaml:5:"), "{}", refused.err);
    desk.run(&["update", "--dry-run"]).expect(0);
    assert!(!desk.at("darkroom.lock").exists());
    let updated = desk.run(&["update"]).expect(0);
    assert!(
        updated.out.contains("added darkroom:files"),
        "{}",
        updated.out
    );
    desk.run(&["build", "--locked"]).expect(0);

    let lock = std::fs::read_to_string(desk.at("darkroom.lock")).unwrap();
    let at = lock.find("sha256:").unwrap() + "sha256:".len();
    let other = format!("{}{}{}", &lock[..at], "0".repeat(64), &lock[at + 64..]);
    desk.write("darkroom.lock", &other);
    for verb in ["build", "plan", "validate"] {
        let refused = desk.run(&[verb]).expect(2);
        assert!(refused.err.contains("darkroom update"), "{}", refused.err);
    }
    assert_eq!(
        std::fs::read_to_string(desk.at("darkroom.lock")).unwrap(),
        other
    );
    desk.run(&["update", "files"]).expect(0);
    assert_eq!(
        std::fs::read_to_string(desk.at("darkroom.lock")).unwrap(),
        lock
    );
    let unknown = desk.run(&["update", "fils"]).expect(2);
    assert!(unknown.err.contains("did you mean"), "{}", unknown.err);
}

#[test]
fn a_failed_run_keeps_its_instance_until_it_is_cleaned_up() {
    if components().is_none() {
        println!("not run: the system components have not been built");
        return;
    }
    let desk = Desk::new();
    desk.write("image.yaml", &TINY.replace("echo hello", "install-it"));
    desk.run(&["image", "list"]).expect(0);
    let rule = serde_json::json!({"match": "install-it", "exit_code": 3, "output": "no\n"});
    desk.sim(&serde_json::json!({ "rules": [rule] }));
    let billed = || {
        let status = desk.run(&["local", "status", "--json"]).expect(0).json();
        let entries = status[0]["ledger"]["entries"].as_array().unwrap().clone();
        let instances = entries.iter().filter(|entry| entry["kind"] == "instance");
        instances.count()
    };
    desk.run(&["build", "--on-failure", "keep"]).expect(4);
    assert_eq!(billed(), 1);
    desk.run(&["runs", "cleanup", "last"]).expect(0);
    assert_eq!(billed(), 0);
    let again = desk.run(&["runs", "cleanup", "last"]).expect(0);
    assert!(again.err.contains("has kept nothing"), "{}", again.err);
    desk.run(&["build"]).expect(4);
    assert_eq!(billed(), 0);
}
