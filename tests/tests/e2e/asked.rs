//! A person at a terminal: asked what becomes of a failed run's instance, and let into an
//! instance of an image that is gone afterwards.

use darkroom_tests::house::{House, sandbox_can_run};
use darkroom_tests::seat::Seat;

use crate::support::{HERE, billed, call, run};

fn instances(house: &House) -> Vec<String> {
    let mut billed = billed(house);
    billed.retain(|one| one.starts_with("instance "));
    billed
}

#[test]
fn a_kept_instance_stays_until_it_is_cleaned_up() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    house.write(
        "image.yaml",
        "name: failing\nsource: { family: debian-12 }\ncheckpoint: false\nrepair: none\nbuild:\n  - run: echo half done > /srv/state; exit 3\n",
    );
    let mut seat = Seat::take(house.command(&["build", "--on-failure", "ask"]));
    seat.shows("Keep the instance i-");
    seat.types("y");
    let (code, screen) = seat.ends();
    assert_eq!(code, Some(4), "{screen}");
    assert!(screen.contains("runs cleanup"), "{screen}");
    let kept = instances(&house);
    assert_eq!(kept.len(), 1, "{kept:?}");
    // It is as the failure left it.
    let instance = kept[0].split(' ').next_back().unwrap();
    let look = ["local", "shell", instance, "--", "cat /srv/state"];
    assert_eq!(run(&house, &look).exits(0).out, "half done\n");

    let listed = || {
        run(&house, &["runs", "list", "--kept", "--json"])
            .exits(0)
            .out
    };
    assert!(listed().contains("\"kept\":true"));
    run(&house, &["runs", "cleanup", "last"]).exits(0);
    assert_eq!(listed(), "");
    assert_eq!(billed(&house), [""; 0]);
    let left = std::fs::read_dir(house.local().join("instances")).unwrap();
    assert_eq!(left.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_in_an_image_that_is_tried() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    run(&house, &["image", "list"]).exits(0);
    let family = [("ImageFamily", "debian-12")];
    let told = call(&house.client(0), HERE, "DescribeImageFromFamily", &family).await;
    let image = told.unwrap()["Image"]["ImageId"].clone();
    let words = ["image", "try", image.as_str().unwrap()];
    let mut seat = Seat::take(house.command(&words));
    seat.shows("# ");
    assert_eq!(instances(&house).len(), 1);
    // What is waited for is what the command says, not the echo of the keys.
    seat.types("echo $((6 * 7))-$(. /etc/os-release; echo $ID); stty size\r");
    for text in ["42-debian", "40 100"] {
        seat.shows(text);
    }
    seat.types("exit\r");
    let (code, screen) = seat.ends();
    assert_eq!(code, Some(0), "{screen}");
    assert_eq!(billed(&house), [""; 0]);
}
