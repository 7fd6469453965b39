//! What is done to images: each verb does what it says, and one that is killed in the
//! middle is finished by `resume` and cleaned up after by `runs cancel`.

use std::path::PathBuf;

use darkroom_tests::house::{House, kill, reached, sandbox_can_run};

use crate::support::{HERE, THERE, billed, built, image_in, manifest_of, run};

/// Starts a verb, kills it when it has come to `point`.
fn killed_at(house: &House, point: &str, arguments: &[&str]) {
    let hit: PathBuf = house.path(&format!("hit-{point}"));
    drop(std::fs::remove_file(&hit));
    let mut child = house.start_armed(arguments, point, &hit);
    kill(reached(point, &hit));
    child.wait().unwrap();
}

#[test]
fn images_are_tried_copied_and_deleted_also_by_whoever_goes_on() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let template = "name: base\nsource: { family: debian-12 }\ncheckpoint: false\nrepair: none\nbuild:\n  - run: echo built > /etc/built\n";
    let image = image_in(&built(&house, template), HERE);
    let image = image.as_str();
    let before = billed(&house);

    let told = run(&house, &["image", "try", image, "--", "cat", "/etc/built"]).exits(0);
    assert!(told.out.contains("built"), "{}", told.out);
    let attempt = ["image", "try", image, "--", "true"];
    killed_at(&house, "engine.launched", &attempt);
    assert_ne!(billed(&house), before);
    run(&house, &["resume", "last"]).exits(0);
    assert_eq!(billed(&house), before);
    killed_at(&house, "engine.launched", &attempt);
    run(&house, &["runs", "cancel", "last"]);
    assert_eq!(billed(&house), before);

    let copy = ["image", "copy", image, "--to", THERE, "--yes"];
    killed_at(&house, "engine.copy", &copy);
    run(&house, &["runs", "cancel", "last"]);
    assert_eq!(billed(&house), before);
    killed_at(&house, "engine.copy", &copy);
    let told = run(&house, &["resume", "last"]).exits(0);
    let copied = image_in(&manifest_of(&told), THERE);
    let region = ["--region", THERE, "--yes"];
    let delete = [&["image", "delete", copied.as_str()][..], &region].concat();
    killed_at(&house, "engine.image-deleted", &delete);
    run(&house, &["resume", "last"]).exits(0);
    assert_eq!(billed(&house), before);
}
