//! `copy`, tests by `run`, what becomes of an image that fails them, and builds that are
//! skipped because nothing has changed.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use darkroom_tests::house::{Driver, House, sandbox_can_run};
use serde_json::Value;

use crate::support::{HERE, billed, call, image_in, manifest_of, of_action, requests, run};

const TEMPLATE: &str = r#"
name: copied
source: { family: debian-12 }
checkpoint: false
repair: none
build:
  - run: useradd --system --uid 4321 app
  - copy: { from: ./site, to: /srv/site, owner: 'app:daemon', mode: '0640', ignore: ['*.bak', '/drafts/'] }
  - copy: { from: ./tool, to: /usr/local/bin/ }
test:
  - run: |
      set -eu
      cd /srv/site
      [ "$(find . | sort | tr '\n' ' ')" = '. ./link ./page ./sub ./sub/drafts ./sub/drafts/kept ./sub/é ' ]
      [ "$(stat -c '%U:%G %a' page sub/é | uniq)" = 'app:daemon 640' ]
      [ "$(cat link)" = hello ] && [ "$(readlink link)" = page ]
      [ "$(stat -c '%U:%G %a' /usr/local/bin/tool)" = 'root:root 755' ]
      [ "$(tool "$WORD")" = 'tool of it'\''s' ]
    env: { WORD: it's }
    name: everything is where it belongs
  - run: grep -qx hello /srv/site/page
    name: the page says hello
rebuild: { max-age: 1h }
"#;

/// The template and what it copies.
fn lay_out(house: &House) {
    for (path, text) in [
        ("site/page", "hello\n"),
        ("site/page.bak", "old"),
        ("site/drafts/left-out", "x"),
        ("site/sub/drafts/kept", "x"),
        ("site/sub/é", "x"),
        ("site/sub/.darkroomignore", "page"),
        ("site/.darkroomignore", "sub/.darkroomignore\n"),
        ("tool", "#!/bin/sh\necho \"tool of $1\"\n"),
    ] {
        house.write(path, text);
    }
    symlink("page", house.path("site/link")).unwrap();
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(house.path("tool"), executable).unwrap();
    house.write("image.yaml", TEMPLATE);
}

fn launched(house: &House) -> usize {
    of_action(&requests(house), "RunInstances").len()
}

/// The status of each case of the tests.
fn cases(manifest: &Value) -> Vec<&str> {
    let roles = manifest["roles"].as_array().unwrap().iter();
    roles
        .flat_map(|role| role["cases"].as_array().unwrap())
        .map(|case| case["status"].as_str().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_arrive_and_only_what_has_changed_is_built() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    lay_out(&house);
    run(&house, &["build"]).exits(0);
    let first = house.manifest();
    assert_eq!(cases(&first), ["passed", "passed"]);
    let image = image_in(&first, HERE);
    let (paid, instances) = (billed(&house), launched(&house));

    // What is ignored is no change.
    house.write("site/page.bak", "older");
    let told = run(&house, &["build", "--locked"]).exits(0);
    told.says(&[
        &format!("image {image} in {HERE} is unchanged"),
        "`--refresh`",
    ]);
    assert_eq!(image_in(&house.manifest(), HERE), image);
    assert_eq!(
        (billed(&house), launched(&house)),
        (paid.clone(), instances)
    );

    // What is copied is one. It fails a test, and is kept to be looked at.
    house.write("site/page", "good bye\n");
    run(&house, &["build"])
        .exits(6)
        .says(&["the image has failed its tests", "the page says hello"]);
    let failed = house.manifest();
    assert_eq!(failed["status"], "TEST_FAILED");
    assert_eq!(cases(&failed), ["passed", "failed"]);
    let bad = image_in(&failed, HERE);
    let id = [("ImageId", bad.as_str())];
    let told = call(&house.client(0), HERE, "DescribeImages", &id)
        .await
        .unwrap();
    let tags = told["Images"]["Image"][0]["Tags"].to_string();
    assert!(tags.contains("darkroom:failed"), "{tags}");
    let kept = billed(&house);
    assert_eq!(
        kept.len(),
        paid.len() + 2,
        "an image and its snapshot: {kept:?}"
    );

    // It is not taken for what would be built; and another template deletes it.
    house.write(
        "image.yaml",
        &format!("{TEMPLATE}on-test-failure: delete\n"),
    );
    run(&house, &["build"]).exits(6);
    assert_eq!(house.manifest()["status"], "TEST_FAILED");
    assert_eq!(billed(&house), kept);

    // As it was before, the first image is as good as a new one, unless a new one is wanted.
    house.write("image.yaml", TEMPLATE);
    house.write("site/page", "hello\n");
    run(&house, &["build"])
        .exits(0)
        .says(&[&image, "is unchanged"]);
    let told = run(&house, &["build", "--refresh"]).exits(0);
    assert_ne!(image_in(&manifest_of(&told), HERE), image);
}

#[test]
fn what_leads_out_of_the_folder_is_not_copied() {
    let house = House::new(Driver::Sim);
    house.write("outside", "secret");
    house.write("template/site/page", "hello");
    house.write("template/good/page", "hello");
    symlink("page", house.path("template/good/link")).unwrap();
    symlink("../../outside", house.path("template/site/link")).unwrap();
    symlink("../outside", house.path("template/file")).unwrap();
    symlink("..", house.path("template/up")).unwrap();
    let copy = |from: &str| format!("  - copy: {{ from: {from}, to: /srv/it }}\n");
    let template = |copies: &[&str]| {
        let copies: String = copies.iter().map(|from| copy(from)).collect();
        format!("name: out\nsource: {{ family: debian-12 }}\nbuild:\n{copies}")
    };
    house.write(
        "template/image.yaml",
        &template(&["./site", "./file", "./up/outside", "./nowhere"]),
    );
    for verb in ["validate", "build"] {
        run(&house, &[verb, "template"]).exits(2).says(&[
            "image.yaml:4:19: the link link leads to ../../outside, which is not copied with it",
            "leave it out with `ignore`",
            "image.yaml:5:19: ./file leads out of the template's folder",
            "image.yaml:6:19: ./up/outside leads out of the template's folder",
            "image.yaml:7:19: there is no ./nowhere in the template's folder",
        ]);
    }
    house.write("template/image.yaml", &template(&["./good"]));
    run(&house, &["validate", "template"]).exits(0);
    assert!(!house.local().exists(), "nothing of that needs a cloud");
}
