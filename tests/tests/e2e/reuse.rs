//! What is not built again, and what is: an unchanged build whose parts depend on nothing
//! is skipped, one that installs packages only while it is young enough.
//!
//! The packages come by HTTP from a repository outside the instances, in a network
//! namespace of the test's own (see `network`).

use std::path::Path;
use std::process::Command;

use darkroom_tests::house::{Driver, House, sandbox_can_run};

use crate::network::on_the_machine;
use crate::support::{HERE, build, image_in, of_action, requests, run};

/// Gives out the files of the folder `repository`.
const REPOSITORY: &str = r#"
use IO::Socket::INET;
my $s = IO::Socket::INET->new(LocalAddr => '198.51.100.2:8080', Listen => 20, ReuseAddr => 1) or die $!;
open my $up, '>', 'page.up'; close $up;
while (my $c = $s->accept) {
  my ($path) = <$c> =~ m{^GET /+(?:\./)?([\w.-]+) };
  while (defined(my $line = <$c>)) { last if $line =~ /^\r?$/ }
  if (defined $path && open my $file, '<', "repository/$path") {
    local $/; my $text = <$file>;
    print $c "HTTP/1.0 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text";
  } else { print $c "HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n" }
  close $c;
}
"#;

/// Names are asked for, and there are none.
const NAMES: &str = "open my $up, '>', 'names.up'; close $up; sleep 300;";

const TEMPLATE: &str = r"
name: tooled
source: { family: debian-12 }
repair: none
build:
  - copy: { from: ./no-sources, to: /etc/apt/sources.list }
  - uses: darkroom:packages
    with:
      repositories: [{ name: here, url: 'http://198.51.100.2:8080/', verify: false }]
      install: [darkroom-tool]
instance: { internet: 10 }
rebuild: { max-age: MAX_AGE }
";

/// Makes the repository hold one package in this version.
fn publish(folder: &Path, version: &str) {
    let script = r#"
        set -eu
        mkdir -p p/DEBIAN repository; rm -f repository/*
        printf 'Package: darkroom-tool\nVersion: %s\nArchitecture: all\nMaintainer: me <me@example.com>\nDescription: x\n' "$1" >p/DEBIAN/control
        dpkg-deb --root-owner-group -b p "repository/tool_$1.deb" >/dev/null
        cd repository
        { dpkg-deb -f tool_*.deb; printf 'Filename: ./tool_%s.deb\nSize: %s\nSHA256: %s\n' "$1" "$(stat -c %s tool_*.deb)" "$(sha256sum <"tool_$1.deb" | cut -c -64)"; } >Packages
    "#;
    let made = Command::new("sh")
        .args(["-c", script, "sh", version])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}

#[test]
fn a_package_that_was_upgraded_is_built_once_the_image_is_old_enough() {
    if !sandbox_can_run() {
        return;
    }
    if Command::new("dpkg-deb").arg("--version").output().is_err() {
        println!("not run: dpkg-deb is not here");
        return;
    }
    let house = House::sandbox();
    house.write("page.pl", REPOSITORY);
    house.write("names.pl", NAMES);
    for (name, max_age) in [("young", "1h"), ("old", "1s")] {
        house.write(&format!("{name}/no-sources"), "# none\n");
        let text = TEMPLATE.replace("MAX_AGE", max_age);
        house.write(&format!("{name}/image.yaml"), &text);
    }
    publish(&house.path(""), "1.0");
    publish(&house.make("next"), "2.0");
    // The two templates are one but for their `rebuild`, which is no change.
    let told = on_the_machine(
        &house,
        r#"
        set -eu
        "$1" build young; cp state/runs/*/manifest.json one.json
        rm -r repository; mv next/repository .
        "$1" plan young
        "$1" build young
        "$1" plan old
        "$1" build old
        cp "$(ls -d state/runs/* | tail -n 1)/manifest.json" three.json
        "$1" local reset --force --yes
        "$1" local stop
        "#,
    )
    .exits(0);
    told.clone().says(&[
        "darkroom:packages depends on the outside and was last built ",
        "not longer than the 60 minutes of `rebuild.max-age`; `--refresh` builds it all the same",
        ", longer than the 1 second of `rebuild.max-age`: it is built again",
    ]);
    for planned in ["would be skipped: image m-", "would be built: image m-"] {
        assert!(
            told.out.contains(planned),
            "missing: {planned}\n{}",
            told.out
        );
    }
    let manifest = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(house.path(name)).unwrap()).unwrap()
    };
    let (one, three) = (manifest("one.json"), manifest("three.json"));
    // What the component has installed was kept unasked, and was too old as well.
    let events = house.path("state/runs").join(one["run"].as_str().unwrap());
    let events = std::fs::read_to_string(events.join("events.ndjson")).unwrap();
    assert!(
        events.contains(" holds build/1-copy to build/2-packages"),
        "{events}"
    );
    assert_ne!(three["layer"]["items"], 2);
    assert_eq!(one["build_key"], three["build_key"]);
    assert_ne!(image_in(&one, HERE), image_in(&three, HERE));
    let logs = |manifest: &serde_json::Value| -> String {
        let run = manifest["run"].as_str().unwrap();
        let found = Command::new("grep")
            .args(["-rhoE", r"darkroom-tool \([0-9.]+\)"])
            .arg(house.path("state/runs").join(run))
            .output()
            .unwrap();
        String::from_utf8(found.stdout).unwrap()
    };
    assert!(logs(&one).contains("(1.0)"), "{}", logs(&one));
    assert!(logs(&three).contains("(2.0)"), "{}", logs(&three));
}

#[test]
fn without_volatile_parts_an_unchanged_build_does_nothing() {
    let house = House::new(Driver::Sim);
    house.write("page", "hello");
    let template = "name: quiet\nsource: { family: debian-12 }\nrepair: none\nbuild:\n  - copy: { from: ./page, to: /srv/page }\n";
    let launched = |house: &House| of_action(&requests(house), "RunInstances").len();
    build(&house, template).exits(0);
    let (before, image) = (launched(&house), image_in(&house.manifest(), HERE));
    // A second of age is too much for what depends on the outside, and this doesn't.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let quiet = format!("# a comment\n{template}rebuild: {{ max-age: 1s }}\n");
    build(&house, &quiet).exits(0).says(&[
        &format!("nothing is built: image {image} in {HERE} is unchanged since run "),
        "nothing in it depends on more than what it is built from",
        "`--refresh`",
    ]);
    assert_eq!(launched(&house), before);
    // A `run` can't say that it depends on nothing.
    let script = format!("{template}  - run: 'true'\n    name: say it\n");
    build(&house, &script).exits(0);
    let built = launched(&house);
    build(&house, &script)
        .exits(0)
        .says(&["`run: say it` depends on the outside and was last built "]);
    assert_eq!(launched(&house), built);
    let script = format!("{script}rebuild: {{ max-age: 1s }}\n");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    build(&house, &script).exits(0);
    assert!(launched(&house) > built);
    // What is copied, and `--refresh`.
    let built = launched(&house);
    house.write("page", "good bye");
    build(&house, template).exits(0);
    assert!(launched(&house) > built);
    let built = launched(&house);
    run(&house, &["build", "--refresh"]).exits(0);
    assert!(launched(&house) > built);
}
