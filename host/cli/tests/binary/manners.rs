//! What every verb has in common: help with examples, JSON in the documented shapes,
//! settings and their origins, completions, and no question where nobody can answer.

use std::process::Command;

use serde_json::Value;

use crate::desk::{Desk, Ran, TINY, components};

/// Every verb that people type, from the help of the one above it.
fn verbs(desk: &Desk, above: &[&str]) -> Vec<Vec<String>> {
    let mut words = above.to_vec();
    words.push("--help");
    let help = desk.run(&words).expect(0).out;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed
        .take_while(|line| line.starts_with("  "))
        // A line that begins further right goes on with what a verb does.
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| {
            !["", "help"].contains(name) && name.chars().all(|c| c.is_ascii_lowercase())
        });
    let mut found = Vec::new();
    for name in names {
        let mut verb = above.to_vec();
        verb.push(name);
        let below = verbs(desk, &verb);
        if below.is_empty() {
            found.push(verb.iter().map(ToString::to_string).collect());
        }
        found.extend(below);
    }
    found
}

#[test]
fn every_verb_has_examples_and_a_page_of_the_manual() {
    let desk = Desk::new();
    let verbs = verbs(&desk, &[]);
    assert!(verbs.len() > 25, "{verbs:?}");
    desk.run(&["man", "--to", "pages"]).expect(0);
    for verb in &verbs {
        let mut words: Vec<&str> = verb.iter().map(String::as_str).collect();
        words.push("--help");
        let help = desk.run(&words).expect(0).out;
        assert!(help.contains("Example"), "{verb:?} has no example");
        let page = desk.at(&format!("pages/darkroom-{}.1", verb.join("-")));
        assert!(page.exists(), "{}", page.display());
    }
    for topic in ["exit-codes", "configuration", "json"] {
        assert!(desk.at(&format!("pages/darkroom-{topic}.1")).exists());
        let told = desk.run(&["help", topic]).expect(0).out;
        assert!(told.lines().count() > 10, "{told}");
    }
}

#[test]
fn config_show_says_each_value_and_who_says_it() {
    let desk = Desk::new();
    desk.write(
        "darkroom.toml",
        "# ours\nregion = 'cn-beijing'\non = 'local'\n",
    );
    std::fs::create_dir_all(desk.at("home/.config/darkroom")).unwrap();
    desk.write(
        "home/.config/darkroom/config.toml",
        "on = 'aliyun'\naccount = 'work'\n",
    );
    let mut command = desk.darkroom(&["config", "show", "--json", "--color", "never"]);
    command.env("DARKROOM_ON_FAILURE", "keep");
    let told = Ran::of(command.output().unwrap()).expect(0).json();
    let of = |name: &str| {
        let found = told.iter().find(|one| one["setting"] == name).unwrap();
        (
            found["value"].as_str().unwrap().to_owned(),
            found["origin"].as_str().unwrap().to_owned(),
            found["line"].as_u64(),
        )
    };
    let said = |value: &str, origin: &str, line| (value.to_owned(), origin.to_owned(), line);
    assert_eq!(of("color"), said("never", "flag", None));
    assert_eq!(of("on-failure"), said("keep", "environment", None));
    assert_eq!(of("on"), said("local", "project", Some(3)));
    assert_eq!(of("region"), said("cn-beijing", "project", Some(2)));
    assert_eq!(of("account"), said("work", "user", Some(2)));
    assert_eq!(of("progress").1, "default");

    desk.write("darkroom.toml", "regoin = 'cn-beijing'\n");
    let wrong = desk.run(&["config", "show"]).expect(3);
    for said in ["darkroom.toml:1:1", "did you mean `region`?"] {
        assert!(wrong.err.contains(said), "{said}: {}", wrong.err);
    }
    // Verbs that need no settings go on.
    desk.run(&["completions", "bash"]).expect(0);
}

#[test]
fn nobody_is_asked_where_nobody_can_answer() {
    let desk = Desk::new();
    desk.write("image.yaml", TINY);
    for words in [
        &["build", "--on", "aliyun"][..],
        &["image", "delete", "m-1"],
        &["image", "try", "m-1", "--on", "aliyun"],
        &[
            "image",
            "copy",
            "m-1",
            "--to",
            "cn-beijing",
            "--on",
            "aliyun",
        ],
        &["image", "unshare", "m-1", "--from", "1000000000000001"],
        &["local", "reset"],
    ] {
        let ran = desk.run(words).expect(2);
        assert!(ran.err.contains("`--yes`"), "{words:?}: {}", ran.err);
    }
    let ran = desk.run(&["build", "--on-failure", "ask"]).expect(2);
    assert!(ran.err.contains("--on-failure keep"), "{}", ran.err);
    assert!(!desk.at("state/local/server.json").exists());
}

#[test]
fn one_line_stands_for_a_template() {
    let desk = Desk::new();
    let words = [
        "build",
        "--from",
        "debian-12",
        "--run",
        "apt-get -y upgrade",
        "--run",
        "a\nb",
        "--name",
        "web-2",
        "--internet",
        "5",
        "--print",
    ];
    let printed = desk.run(&words).expect(0).out;
    insta::assert_snapshot!(printed);
    desk.write("image.yaml", &printed);
    desk.run(&["fmt", "--check"]).expect(0);
    for words in [
        &["build", "--from", "debian-12"][..],
        &["build", "--run", "true"],
        &[
            "build",
            "image.yaml",
            "--from",
            "debian-12",
            "--run",
            "x",
            "--name",
            "y-2",
        ],
    ] {
        desk.run(words).expect(2);
    }
}

#[test]
fn templates_are_begun_formatted_and_described() {
    let desk = Desk::new();
    let made = desk
        .run(&["init", "Web", "--install", "nginx", "--run", "nginx -t"])
        .expect(0);
    assert!(
        made.err.contains("darkroom build Web/image.yaml"),
        "{}",
        made.err
    );
    let again = desk.run(&["init", "Web"]).expect(2);
    assert!(again.err.contains("is there already"), "{}", again.err);
    desk.run(&["fmt", "--check", "Web"]).expect(0);

    desk.write(
        "ugly.yaml",
        "name:   web # ours\nsource: {family: debian-12}\n",
    );
    let check = desk.run(&["fmt", "--check", "ugly.yaml"]).expect(2);
    assert!(check.err.contains("ugly.yaml"), "{}", check.err);
    desk.run(&["fmt", "ugly.yaml"]).expect(0);
    let formatted = std::fs::read_to_string(desk.at("ugly.yaml")).unwrap();
    assert!(formatted.contains("name: web # ours"), "{formatted}");
    desk.run(&["fmt", "--check", "ugly.yaml"]).expect(0);

    let shelf = desk.at("examples");
    std::fs::create_dir_all(shelf.join("01-web")).unwrap();
    std::fs::write(
        shelf.join("01-web/image.yaml"),
        format!("# A server.\n{TINY}"),
    )
    .unwrap();
    let run = |words: &[&str]| {
        let mut command = desk.darkroom(words);
        command.env("DARKROOM_EXAMPLES", &shelf);
        Ran::of(command.output().unwrap())
    };
    let list = run(&["init", "--list"]).expect(0);
    assert!(list.out.contains("web      A server"), "{}", list.out);
    run(&["init", "--example", "web", "mine"]).expect(0);
    assert!(desk.at("mine/image.yaml").exists());
    let taken = run(&["init", "--example", "web", "mine"]).expect(2);
    assert!(taken.err.contains("is not empty"), "{}", taken.err);

    if components().is_none() {
        println!("not run: the system components have not been built");
        return;
    }
    let schema: Value = serde_json::from_str(&desk.run(&["schema"]).expect(0).out).unwrap();
    assert!(schema.to_string().contains("darkroom:packages"), "{schema}");
}

#[test]
fn shells_ask_for_runs_and_settings() {
    let desk = Desk::new();
    let run = desk.at("state/runs/261122-100000-aaaaaa");
    std::fs::create_dir_all(&run).unwrap();
    std::fs::write(
        run.join("manifest.json"),
        r#"{"template": "web", "status": "SUCCESS", "cloud": "local",
            "regions": [{"region": "cn-hangzhou", "image": "m-abc"}]}"#,
    )
    .unwrap();
    let complete = |words: &[&str]| {
        let mut command: Command = desk.darkroom(&[]);
        command
            .env("DARKROOM_COMPLETE", "bash")
            .env("_CLAP_COMPLETE_INDEX", (words.len() + 1).to_string())
            .env("_CLAP_COMPLETE_COMP_TYPE", "9")
            .env("_CLAP_IFS", "\n")
            .args(["--", "darkroom"])
            .args(words)
            .arg("");
        let ran = Ran::of(command.output().unwrap()).expect(0);
        ran.out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let complete = |words: &[&str]| {
        let mut all = complete(words);
        all.sort();
        all
    };
    let runs = complete(&["runs", "show"]);
    assert!(
        runs.contains(&"261122-100000-aaaaaa".to_owned()),
        "{runs:?}"
    );
    assert!(runs.contains(&"last".to_owned()), "{runs:?}");
    let images = complete(&["image", "show"]);
    assert!(images.contains(&"m-abc".to_owned()), "{images:?}");
    let clouds = complete(&["build", "--on"]);
    assert_eq!(clouds, ["aliyun", "local"]);
    // Nothing was made or started by that.
    assert!(!desk.at("state/journal.sqlite").exists());
}

#[test]
fn progress_is_plain_in_ci_and_json_on_request() {
    if components().is_none() {
        println!("not run: the system components have not been built");
        return;
    }
    let desk = Desk::new();
    desk.write("image.yaml", TINY);
    let plain = desk.run(&["build", "--color", "never"]).expect(0);
    assert!(plain.err.contains("build/1-run/0"), "{}", plain.err);
    assert!(!plain.err.contains('\x1b'), "{}", plain.err);
    let json = desk
        .run(&["build", "--refresh", "--progress", "json"])
        .expect(0);
    let events: Vec<Value> = json
        .err
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    assert!(events.iter().any(|event| event["event"] == "run-finished"));
    assert!(json.out.contains("SUCCESS in"), "{}", json.out);
}

#[test]
fn json_has_the_documented_keys() {
    if components().is_none() {
        println!("not run: the system components have not been built");
        return;
    }
    let desk = Desk::new();
    desk.write("image.yaml", TINY);
    let table = desk.run(&["help", "json"]).expect(0).out;
    let lines: Vec<_> = table.lines().collect();
    let documented = |verb: &str| {
        let at = lines.iter().position(|line| line.trim() == verb).unwrap();
        // Long lists go on in the next line.
        let rows = lines[at + 2..].iter().take_while(|line| !line.is_empty());
        let words = rows.flat_map(|row| row.split_whitespace());
        let mut keys: Vec<_> = words.map(|word| word.trim_end_matches(',')).collect();
        keys.push("v");
        keys.sort_unstable();
        keys.join(" ")
    };
    let built = desk.run(&["build", "--json"]).expect(0).json();
    let image = &built.last().unwrap()["result"]["images"][0]["image"];
    let image = image.as_str().unwrap();
    for (verb, more) in [
        ("plan", &[][..]),
        ("plan --graph", &["mermaid"]),
        ("validate", &[]),
        ("doctor", &[]),
        ("config show", &[]),
        ("init", &["new"]),
        ("fmt", &["--check"]),
        ("update", &["--dry-run"]),
        ("runs list", &[]),
        ("runs show", &[]),
        ("runs logs", &[]),
        ("image list", &[]),
        ("image show", &[image]),
        ("local status", &[]),
    ] {
        let mut words: Vec<&str> = verb.split(' ').collect();
        words.extend(more);
        words.push("--json");
        let told = desk.run(&words).json();
        let mut keys: Vec<_> = told[0].as_object().unwrap().keys().cloned().collect();
        keys.sort_unstable();
        assert_eq!(keys.join(" "), documented(verb), "{verb}");
        assert_eq!(told[0]["v"], 1);
    }
}
