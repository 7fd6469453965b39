//! Several builds at once on one machine: they start one cloud, and none sees another.

use std::process::Stdio;

use darkroom_tests::house::{House, sandbox_can_run};

use crate::support::{HERE, Machine, Told, billed, run};

#[tokio::test(flavor = "multi_thread")]
async fn builds_beside_each_other_do_not_meet() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let builds: Vec<_> = ["one", "two", "three"]
        .into_iter()
        .map(|word| {
            let template = format!(
                "name: {word}\nsource: {{ family: debian-12 }}\nbuild:\n  - run: echo {word} >> /srv/word\n  - reboot: {{}}\nimage: {{ family: {word} }}\ncheckpoint: false\n"
            );
            let file = house.write(&format!("{word}/image.yaml"), &template);
            let mut command = house.command(&["build", file.to_str().unwrap(), "--json"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            (word, command.spawn().unwrap())
        })
        .collect();
    let mut images = Vec::new();
    for (word, build) in builds {
        let told = Told::of(build.wait_with_output().unwrap()).exits(0);
        let lines = told.json();
        let result = &lines.last().unwrap()["result"];
        // Its events are its own.
        assert!(
            lines
                .iter()
                .all(|one| one["run"] == result["run"] || one.get("result").is_some())
        );
        images.push((
            word,
            result["images"][0]["image"].as_str().unwrap().to_owned(),
        ));
    }
    let log = std::fs::read_to_string(house.local().join("server.log")).unwrap();
    assert_eq!(log.matches("the local cloud is up").count(), 1, "{log}");
    for (word, image) in images {
        let machine = Machine::boot(house.client(0), HERE, &image).await;
        assert_eq!(machine.sh("cat /srv/word").await, format!("{word}\n"));
        machine.delete().await;
    }
    let states = run(&house, &["runs", "list", "--json"]).exits(0).json();
    assert!(
        states.iter().all(|one| one["status"] == "SUCCESS"),
        "{states:?}"
    );
    assert_eq!(states.len(), 3);
    let left = billed(&house);
    assert_eq!(
        left.iter().filter(|one| one.starts_with("image")).count(),
        3,
        "{left:?}"
    );
}
