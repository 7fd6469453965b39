//! Several builds in one process: templates beside each other and the cells of a matrix.
//! Each is a run of its own, one that fails doesn't stop the others, and Ctrl-C cleans up
//! all.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use darkroom_tests::house::{Driver, House, kill, reached, sandbox_can_run, wait_for};
use serde_json::Value;

use crate::support::{Told, billed, of_action, requests, run};

/// Six cells, of which `SIZES` are replaced.
const MATRIX: &str = "\
name: web-${{ matrix.size }}-${{ matrix.php }}
matrix:
  size: [SIZES]
  php: [82, 83, 84]
source: { family: debian-12 }
repair: none
build:
  - run: echo $PHP
    env: { PHP: '${{ matrix.php }}' }
";

fn matrix(house: &House, sizes: &str) -> String {
    let text = MATRIX.replace("SIZES", sizes);
    let file = house.write("matrix.yaml", &text);
    file.to_str().unwrap().to_owned()
}

/// A template that builds one image.
fn single(house: &House, name: &str, source: &str) -> String {
    let text = format!("name: {name}\nsource: {source}\nrepair: none\nbuild: []\n");
    let file = house.write(&format!("{name}.yaml"), &text);
    file.to_str().unwrap().to_owned()
}

const GOOD: &str = "{ family: debian-12 }";
/// Known to be missing only when the cloud is asked.
const MISSING: &str = "{ image: m-missing }";

/// The results of a build of several.
#[track_caller]
fn results(told: &Told) -> Vec<Value> {
    let lines = told.json();
    let mut found = lines.iter().filter_map(|line| line["results"].as_array());
    found.next().unwrap().clone()
}

fn names(results: &[Value]) -> Vec<&str> {
    let names = results.iter().map(|one| one["name"].as_str().unwrap());
    names.collect()
}

/// How many runs were under way at once, by their events.
fn most_at_once(told: &Told) -> usize {
    let (mut now, mut most) = (0_usize, 0);
    for line in told.json() {
        match line["event"].as_str() {
            Some("run-started") => now += 1,
            Some("run-finished") => now -= 1,
            _ => {}
        }
        most = most.max(now);
    }
    most
}

#[test]
fn the_cells_of_a_matrix_and_other_templates_are_built_at_once() {
    let house = House::new(Driver::Sim);
    let (web, db) = (matrix(&house, "small, large"), single(&house, "db", GOOD));
    let told = run(&house, &["build", &web, &db, "--parallel", "3", "--json"]).exits(0);
    let all = results(&told);
    let wanted = [
        "web-small-82",
        "web-small-83",
        "web-small-84",
        "web-large-82",
        "web-large-83",
        "web-large-84",
        "db",
    ];
    assert_eq!(names(&all), wanted);
    assert!(all.iter().all(|one| one["status"] == "SUCCESS"), "{all:?}");
    let runs: BTreeSet<&str> = all.iter().map(|one| one["run"].as_str().unwrap()).collect();
    assert_eq!(runs.len(), 7);
    // Every event says whose it is.
    let events = told.json();
    let events = events.iter().filter(|line| line.get("event").is_some());
    let of: BTreeSet<_> = events
        .map(|one| one["run"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(of.iter().map(String::as_str).collect::<BTreeSet<_>>(), runs);
    assert_eq!(most_at_once(&told), 3);

    // Each is a run that is known by its id, with its own values.
    for one in &all {
        let shown = run(
            &house,
            &["runs", "show", one["run"].as_str().unwrap(), "--json"],
        );
        let shown = &shown.exits(0).json()[0];
        assert_eq!(shown["header"]["template"], one["name"]);
        let text = std::fs::read_to_string(one["manifest"].as_str().unwrap()).unwrap();
        assert!(text.contains(one["name"].as_str().unwrap()));
    }

    // What is there isn't built again, and another cell is no change of the others.
    let before = of_action(&requests(&house), "CreateImage").len();
    matrix(&house, "small, large, huge");
    let told = run(&house, &["build", &web, "-p", "matrix.php=84"]).exits(0);
    assert_eq!(
        of_action(&requests(&house), "CreateImage").len(),
        before + 1
    );
    assert_eq!(told.out.matches("UNCHANGED").count(), 2, "{}", told.out);
    assert!(told.out.contains("3 of 3 builds succeeded"), "{}", told.out);
    told.says(&[
        "web-huge-84 │ ",
        "web-small-84 │ prepare: nothing is built: ",
    ]);
    // One cell alone is a build like any other.
    let one = run(
        &house,
        &[
            "build",
            &web,
            "-p",
            "matrix.php=82",
            "-p",
            "matrix.size=huge",
            "--json",
        ],
    );
    assert_eq!(
        one.exits(0).json().last().unwrap()["result"]["status"],
        "SUCCESS"
    );
}

#[test]
fn one_that_fails_does_not_stop_the_others_unless_that_is_wanted() {
    let house = House::new(Driver::Sim);
    let (one, bad) = (single(&house, "one", GOOD), single(&house, "bad", MISSING));
    let two = single(&house, "two", GOOD);
    let told = run(&house, &["build", &one, &bad, &two]).exits(2);
    told.clone()
        .says(&["bad is not built", "m-missing", "1 of 3 builds failed: bad"]);
    assert!(told.out.contains("2 of 3 builds succeeded"), "{}", told.out);
    let told = run(
        &house,
        &[
            "build",
            &bad,
            &one,
            &two,
            "--fail-fast",
            "--parallel",
            "1",
            "--refresh",
            "--json",
        ],
    )
    .exits(2);
    let all = results(&told);
    let begun: Vec<_> = all
        .iter()
        .map(|one| one["begun"].as_bool().unwrap())
        .collect();
    assert_eq!(begun, [true, false, false]);
    assert_eq!(all[0]["error"]["kind"], "user");
    assert_eq!(told.json().last().unwrap()["error"]["exit_code"], 2);
}

#[test]
fn what_would_be_taken_for_one_build_is_refused() {
    let house = House::new(Driver::Sim);
    let one = single(&house, "one", GOOD);
    let again = house.write("again.yaml", &std::fs::read_to_string(&one).unwrap());
    let told = run(&house, &["build", &one, again.to_str().unwrap()]).exits(2);
    told.says(&["again.yaml are called `one`", "a `name` of its own"]);
    let text = MATRIX
        .replace("SIZES", "a")
        .replace("-${{ matrix.php }}", "");
    house.write("same.yaml", &text);
    let told = run(
        &house,
        &["build", house.path("same.yaml").to_str().unwrap()],
    )
    .exits(2);
    told.says(&[
        "same.yaml:1:7: two cells of the matrix",
        "size=a, php=82",
        "`${{ matrix.php }}`",
    ]);
    assert!(
        run(&house, &["runs", "list", "--json"])
            .exits(0)
            .out
            .is_empty()
    );

    // Each cell is checked and planned.
    let web = matrix(&house, "small");
    for verb in ["validate", "plan"] {
        let told = run(&house, &[verb, &web, "--json"]).exits(0);
        let named: Vec<_> = told
            .json()
            .iter()
            .map(|one| one["template"].clone())
            .collect();
        assert_eq!(
            named,
            ["web-small-82", "web-small-83", "web-small-84"],
            "{verb}"
        );
    }
    let policy = run(&house, &["policy", &web, "--on", "aliyun", "--json"]).exits(0);
    assert!(policy.out.contains("ecs:RunInstances"));
    let chosen = run(
        &house,
        &["plan", &web, "--graph", "svg", "-p", "matrix.php=83"],
    )
    .exits(0);
    assert!(chosen.out.contains("web-small-83"));
    run(&house, &["plan", &web, "--graph", "svg"])
        .exits(2)
        .says(&["-p matrix.NAME=VALUE"]);
}

#[test]
fn killed_together_each_is_resumed_by_itself() {
    let house = House::new(Driver::Sim);
    let web = matrix(&house, "small");
    let hit = house.path("kept");
    let mut build = house.start_armed(&["build", &web, "--parallel", "3"], "engine.kept", &hit);
    kill(reached("engine.kept", &hit));
    build.wait().unwrap();
    let list = run(&house, &["runs", "list", "--json"]).exits(0).json();
    assert_eq!(list.len(), 3);
    for one in &list {
        let id = one["run"].as_str().unwrap();
        if one["status"].is_null() {
            let told = run(&house, &["resume", id, "--json"]).exits(0);
            assert_eq!(told.json().last().unwrap()["result"]["run"], id);
        }
    }
    let list = run(&house, &["runs", "list", "--json"]).exits(0).json();
    let mut built: Vec<_> = list
        .iter()
        .map(|one| {
            assert_eq!(one["status"], "SUCCESS", "{one}");
            one["template"].as_str().unwrap().to_owned()
        })
        .collect();
    built.sort();
    assert_eq!(built, ["web-small-82", "web-small-83", "web-small-84"]);
    let kinds = |kind: &str| {
        billed(&house)
            .iter()
            .filter(|one| one.starts_with(kind))
            .count()
    };
    assert_eq!(
        (kinds("image"), kinds("instance")),
        (3, 0),
        "{:?}",
        billed(&house)
    );
}

/// Builds without an end, one of which says so.
const ENDLESS: &str = "\
name: endless-${{ matrix.word }}
matrix:
  word: [one, two]
source: { family: debian-12 }
checkpoint: false
repair: none
build:
  - run: echo begun; exec sleep 600
";

/// How many instances are running a command.
fn at_work(instances: &Path) -> usize {
    let Ok(folders) = std::fs::read_dir(instances) else {
        return 0;
    };
    let commands =
        folders.filter_map(|one| std::fs::read_dir(one.ok()?.path().join("commands")).ok());
    commands.filter_map(|mut commands| commands.next()).count()
}

#[test]
fn an_interrupt_cancels_all_that_have_begun() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let file = house.write("image.yaml", ENDLESS);
    let mut command = house.command(&["build", file.to_str().unwrap(), "--json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let build = command.spawn().unwrap();
    let instances = house.local().join("instances");
    wait_for("two running commands", || {
        (at_work(&instances) == 2).then_some(())
    });
    let sent = Command::new("kill")
        .args(["-INT", &build.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    let told = Told::of(build.wait_with_output().unwrap()).exits(130);
    let all = results(&told);
    assert_eq!(names(&all), ["endless-one", "endless-two"]);
    assert!(
        all.iter().all(|one| one["status"] == "CANCELLED"),
        "{all:?}"
    );
    assert_eq!(billed(&house), [""; 0]);
    assert_eq!(std::fs::read_dir(instances).unwrap().count(), 0);
}
