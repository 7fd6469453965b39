//! A build whose later items have changed begins from the layer of the items before them.

use darkroom_tests::house::{House, sandbox_can_run};
use serde_json::Value;

use crate::support::{HERE, Told, billed, image_in, of_action, param, requests, run};

/// The items count how often they were done; `LAST` and `FIRST` are replaced.
const TEMPLATE: &str = r#"
name: layered
source: { family: debian-12 }
repair: none
checkpoint: true
secrets: { word: { env: WORD } }
build:
  - copy: { from: ./page, to: /srv/page }
  - run: |
      cat /proc/sys/kernel/random/boot_id > /srv/first-boot
      echo FIRST >> /srv/count
    name: first
  - reboot: {}
  - run: |
      echo second >> /srv/count
      ! cmp /srv/first-boot /proc/sys/kernel/random/boot_id
    name: second
  - run: LAST
    name: last
test:
  - run: '[ "$(tr "\n" " " < /srv/count)" = "FIRST second last " ] && ! grep -rq never-in-a-layer /srv'
"#;

fn template(first: &str, last: &str) -> String {
    TEMPLATE.replace("FIRST", first).replace("LAST", last)
}

/// Builds, with a secret in the environment.
fn build(house: &House, text: &str) -> Told {
    house.write("image.yaml", text);
    with_word(house, &["build"])
}

fn with_word(house: &House, arguments: &[&str]) -> Told {
    let mut command = house.command(arguments);
    Told::of(command.env("WORD", "never-in-a-layer").output().unwrap())
}

/// The images from which instances to build on were made.
fn begun_from(house: &House) -> Vec<String> {
    let all = requests(house);
    let made = of_action(&all, "RunInstances").into_iter();
    let made = made.filter(|one| param(one, "DryRun") != "true");
    let made = made.filter(|one| one["params"].to_string().contains("\"build\""));
    made.map(|one| param(one, "ImageId").to_owned()).collect()
}

fn layers(house: &House) -> Vec<String> {
    let all = requests(house);
    let made = of_action(&all, "CreateImage").into_iter();
    let names = made.map(|one| param(one, "ImageName").to_owned());
    let layers = names.filter_map(|name| name.split_once("-layer-").map(|(_, n)| n.to_owned()));
    layers.collect()
}

fn roles(manifest: &Value) -> Vec<String> {
    let roles = manifest["roles"].as_array().unwrap().iter();
    let paths = roles.map(|role| role["path"].as_str().unwrap().to_owned());
    paths.filter(|path| path.starts_with("build/")).collect()
}

#[test]
fn an_edited_late_item_is_built_on_the_layer_before_it() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    house.write("page", "hello\n");
    // The last item fails; what was done before it stays.
    build(&house, &template("FIRST", "exit 3")).exits(4);
    assert_eq!(layers(&house), ["1", "2", "4"]);
    let kept = billed(&house);
    let images = kept.iter().filter(|one| one.starts_with("image ")).count();
    let snapshots = kept.iter().filter(|one| one.starts_with("snapshot "));
    assert_eq!(
        (images, snapshots.count(), kept.len()),
        (3, 3, 6),
        "{kept:?}"
    );

    // Mended, it is built on them, as after a reboot.
    let mended = template("FIRST", "echo last >> /srv/count");
    house.write("image.yaml", &mended);
    let planned = run(&house, &["plan"]).exits(0).out;
    let said = "build/1-copy to build/4-run unchanged: taken from layer m-";
    assert!(planned.contains(said), "{planned}");
    build(&house, &mended).exits(0).says(&[said]);
    let first = house.manifest();
    assert_eq!(first["layer"]["items"], 4);
    assert_eq!(roles(&first), ["build/5-run"]);
    let begun = begun_from(&house);
    assert_eq!(begun.len(), 2);
    assert_ne!(begun[0], begun[1]);
    assert_eq!(begun[1], first["layer"]["image"].as_str().unwrap());
    assert_eq!(layers(&house), ["1", "2", "4", "5"]);

    // An unchanged build is skipped, and is as old as its layer.
    build(&house, &mended)
        .exits(0)
        .says(&["nothing is built: "]);
    assert_eq!(image_in(&house.manifest(), HERE), image_in(&first, HERE));

    // `--refresh` begins from the source.
    with_word(&house, &["build", "--refresh"]).exits(0);
    let begun = begun_from(&house);
    assert_eq!(begun[2], begun[0]);

    // What has become too old is built again, and so is what has changed.
    let old = format!("{mended}rebuild: {{ max-age: 1s }}\n");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    build(&house, &old)
        .exits(0)
        .says(&["build/1-copy unchanged: taken from layer"]);
    assert_eq!(roles(&house.manifest()).len(), 4);

    // A secret is in no layer, and the template can say that there be none.
    let made = layers(&house).len();
    let secret = mended.replace(
        "name: second\n",
        "name: second\n    env: { WORD: '${{ secrets.word }}' }\n",
    );
    build(&house, &secret).exits(0);
    assert_eq!(layers(&house).len(), made, "the first two were there");
    let none = mended
        .replace("checkpoint: true", "checkpoint: false")
        .replace("name: first", "name: renamed");
    build(&house, &none).exits(0);
    assert_eq!(layers(&house).len(), made);
    assert_eq!(house.manifest()["layer"], Value::Null);

    // Layers are nobody's leftovers; they go when that is asked for, and nothing else does.
    let count = |kind: &str| {
        let billed = billed(&house);
        billed.iter().filter(|one| one.starts_with(kind)).count()
    };
    let before = (count("image "), count("snapshot "));
    run(&house, &["gc"]).exits(0);
    assert_eq!((count("image "), count("snapshot ")), before);
    let told = run(&house, &["gc", "--layers", "--json"]).exits(0);
    let gone = told.out.matches("it is a layer of layered").count();
    assert!(gone > 3, "{}", told.out);
    let after = (count("image "), count("snapshot "));
    assert_eq!(after, (before.0 - gone, before.1 - gone));
    build(&house, &mended)
        .exits(0)
        .says(&["nothing is built: "]);
}
