//! One image's life after its build, by the verbs: shared, tried by who may, copied, taken
//! back, deprecated and deleted, while the copy stands for itself.

use darkroom_tests::house::{House, sandbox_can_run};

use crate::support::{HERE, THERE, billed, built, run};

/// The second account, which has its own key.
const SECOND: &str = "2000000000000002";

/// Its image in a region, as an account is told.
fn listed(house: &House, region: &str, account: &str) -> Vec<serde_json::Value> {
    let words = ["image", "list", "--region", region, "--account", account];
    let told = run(house, &[&words[..], &["--json"]].concat()).exits(0);
    told.json()[0]["images"].as_array().unwrap().clone()
}

#[test]
fn an_image_is_shared_tried_copied_deprecated_and_deleted() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let manifest = built(
        &house,
        "name: lived\nsource: { family: debian-12 }\ncheckpoint: false\nrepair: none\nbuild:\n  - run: echo lived > /srv/word\nimage: { family: lived }\n",
    );
    let image = crate::support::image_in(&manifest, HERE);
    let image = image.as_str();
    let after_build = billed(&house);
    let look = ["image", "try", image, "--account", "second", "--"];
    let look = [&look[..], &["cat", "/etc/os-release", "/srv/word"]].concat();
    let show = ["image", "show", image, "--account", "second"];

    // Who was not given it knows nothing of it, and nothing is started for him.
    run(&house, &look).exits(2).says(&[image]);
    run(&house, &show).exits(2);
    run(&house, &["image", "share", image, "--with", SECOND]).exits(0);
    assert!(run(&house, &show).exits(0).out.contains("lived"));
    let tried = run(&house, &look).exits(0);
    assert!(
        tried.out.contains("ID=debian\n") && tried.out.ends_with("lived\n"),
        "{}",
        tried.out
    );
    // It is the owner's alone, also to be deleted.
    let delete = ["image", "delete", image, "--account", "second", "--yes"];
    assert_ne!(run(&house, &delete).code, 0);
    run(
        &house,
        &["image", "unshare", image, "--from", SECOND, "--yes"],
    )
    .exits(0);
    run(&house, &show).exits(2);

    run(&house, &["image", "deprecate", image]).exits(0);
    assert_eq!(listed(&house, HERE, "first")[0]["status"], "Deprecated");
    house.write(
        "image.yaml",
        "name: next\nsource: { family: lived }\ncheckpoint: false\nbuild:\n  - run: 'true'\n",
    );
    run(&house, &["plan"])
        .exits(2)
        .says(&["source family lived"]);
    run(&house, &["image", "deprecate", image, "--undo"]).exits(0);
    run(&house, &["plan"]).exits(0);
    assert_eq!(billed(&house), after_build, "no instance is left");

    run(&house, &["image", "copy", image, "--to", THERE]).exits(0);
    run(&house, &["image", "delete", image, "--yes"]).exits(0);
    assert_eq!(listed(&house, HERE, "first"), [] as [serde_json::Value; 0]);
    let copies = listed(&house, THERE, "first");
    let copy = copies[0]["image"].as_str().unwrap();
    let look = [
        "image",
        "try",
        copy,
        "--region",
        THERE,
        "--",
        "cat",
        "/srv/word",
    ];
    assert_eq!(run(&house, &look).exits(0).out, "lived\n");
    run(
        &house,
        &["image", "delete", copy, "--region", THERE, "--yes"],
    )
    .exits(0);
    assert_eq!(billed(&house), [""; 0]);
}
