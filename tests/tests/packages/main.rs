//! Packages from end to end: the real `darkroom` publishes, resolves, locks, verifies and
//! builds, against Debian's docker-registry and the local cloud's simulation.
//!
//! What a registry may do wrong is tried in `host/registry`; here it is whether all parts
//! are wired to each other.
#![expect(
    clippy::unwrap_used,
    reason = "what surprises a test ends it, also in its own functions"
)]
#![expect(clippy::print_stdout, reason = "a test that did not run says so")]

mod authors;
mod faults;
mod held;
mod logins;
mod peers;
mod registry;
mod secrets;
mod system;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use darkroom_tests::house::{Driver, House, binary, cache};
use registry::Registry;
use serde_json::Value;

/// A key of P-256 made for this test alone, and its public half.
const KEY: &str = include_str!("key.pem");
const PUBLIC: &str = include_str!("key.pub");

const TEMPLATE: &str = "\
name: three
source: { family: debian-12 }
repair: none
build:
  - uses: acme:files@^1.0
    with: { path: /etc/three, text: \"3\\n\" }
  - uses: acme:sysctl@1
    with: { settings: { kernel.dmesg_restrict: 1 } }
  - copy: { from: motd, to: /etc/motd }
  - copy: { from: ./site/, to: /srv/site/ }
test:
  - uses: acme:service@1.0.*
    with: { name: cron }
";

/// What a command said, and how it ended.
struct Told {
    code: i32,
    out: String,
    err: String,
}

impl Told {
    #[track_caller]
    fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out: {}\nerr: {}", self.out, self.err);
        self
    }

    #[track_caller]
    fn says(self, wanted: &[&str]) -> Self {
        // Long lines are broken, as the terminal's width wants.
        let words = |text: &str| -> String {
            let text = text.replace(['│', '·', '╰', '─', '├', '▶', '╭'], " ");
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let said = words(&self.err);
        for text in wanted {
            assert!(
                said.contains(&words(text)),
                "missing: {text}\nin: {}",
                self.err
            );
        }
        self
    }

    fn json(&self) -> Vec<Value> {
        let lines = self.out.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// A house whose user knows where `acme` is.
fn house(registry: &Registry) -> House {
    let house = empty_house();
    let config = format!("[registries]\nacme = \"{}/team\"\n", registry.host);
    house.write("home/.config/darkroom/config.toml", &config);
    house.write("t/image.yaml", TEMPLATE);
    house.write("t/motd", "hello\n");
    house.write("t/site/index.html", "<h1>3</h1>\n");
    house.write("key.pem", KEY);
    house
}

/// A house in which there is nothing yet.
fn empty_house() -> House {
    let house = House::new(Driver::Sim);
    // A cache of packages of its own; what is compiled is everybody's.
    let compiled = cache().join("compiled");
    std::fs::create_dir_all(&compiled).unwrap();
    std::os::unix::fs::symlink(&compiled, house.make("cache").join("compiled")).unwrap();
    house
}

fn run(house: &House, arguments: &[&str]) -> Told {
    told(&mut house.command(arguments))
}

fn told(command: &mut Command) -> Told {
    let output = command.output().unwrap();
    Told {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Says whom to trust; with `none` nobody.
fn trust(house: &House, require: &str) {
    let keys = if require == "none" {
        ""
    } else {
        "    keys: [acme.pub]\n"
    };
    let policy =
        format!("version: 1\nrules:\n  - package: 'acme:*'\n{keys}    require: {require}\n");
    house.write("home/.config/darkroom/trust.yaml", &policy);
    house.write("home/.config/darkroom/acme.pub", PUBLIC);
}

/// The files of a package, by their names.
type Files = Vec<(String, Vec<u8>)>;

/// Packages that a test has made: the same again would be the same bytes, and takes as long.
static MADE: Mutex<BTreeMap<String, Arc<OnceLock<Files>>>> = Mutex::new(BTreeMap::new());

/// Makes a package of a system component, under a name and a version of ours.
fn package(house: &House, of: &str, name: &str, version: &str, description: &str) -> String {
    let file = format!("{of}-{version}-{}.wasm", description.len());
    let key = format!("{file} {name} {description}");
    let made = Arc::clone(MADE.lock().unwrap().entry(key).or_default());
    let files = made.get_or_init(|| {
        let from = binary().with_file_name(format!("../components/{of}.wasm"));
        let from = from.to_str().unwrap();
        let said = [
            "--name",
            name,
            "--version",
            version,
            "--description",
            description,
        ];
        let build = [
            "component",
            "build",
            from,
            "--licence",
            "Apache-2.0",
            "-o",
            &file,
        ];
        run(house, &[build.as_slice(), &said].concat()).exits(0);
        let names = ["", ".sbom.json", ".provenance.json"].map(|end| format!("{file}{end}"));
        let read = |name: String| Some((name.clone(), std::fs::read(house.path(&name)).ok()?));
        names.into_iter().filter_map(read).collect()
    });
    for (name, bytes) in files {
        std::fs::write(house.path(name), bytes).unwrap();
    }
    file
}

/// Three packages, signed.
fn publish_three(house: &House) {
    for of in ["files", "sysctl", "service"] {
        let file = package(house, of, &format!("acme:{of}"), "1.0.0", "first");
        run(house, &["component", "publish", &file, "--sign", "key.pem"]).exits(0);
    }
}

fn lock(house: &House) -> String {
    std::fs::read_to_string(house.path("t/darkroom.lock")).unwrap()
}

#[test]
fn a_template_of_three_packages_is_resolved_locked_verified_and_built() {
    let Some(mut registry) = Registry::start() else {
        return;
    };
    let house = house(&registry);
    trust(&house, "signed");
    publish_three(&house);

    // Nothing is pinned yet, and nothing may be.
    run(&house, &["build", "t", "--locked"])
        .exits(2)
        .says(&["acme:files is not in darkroom.lock", "image.yaml:5"]);
    run(&house, &["build", "t"])
        .exits(0)
        .says(&["Pulled acme:sysctl@1.0.0", "signed by"]);
    let first = lock(&house);
    for wanted in [
        "name = \"acme:files\"\nversion = \"1.0.0\"",
        &format!("registry = \"{}/team/acme/service\"", registry.host),
        "signer = \"sha256:",
    ] {
        assert!(first.contains(wanted), "{wanted} is not in {first}");
    }
    assert_eq!(first.matches("signer =").count(), 3);

    // A newer version moves nothing until somebody updates.
    let newer = package(&house, "files", "acme:files", "1.1.0", "second");
    run(
        &house,
        &["component", "publish", &newer, "--sign", "key.pem"],
    )
    .exits(0);
    run(&house, &["build", "t", "--locked", "--refresh"]).exits(0);
    assert_eq!(lock(&house), first);
    let updated = run(&house, &["update", "--template", "t"]).exits(0);
    assert_eq!(updated.out, "moved acme:files@1.0.0 to 1.1.0\n");

    // A yanked version is not chosen, and stays where it is pinned.
    run(
        &house,
        &[
            "component",
            "yank",
            "acme:files@1.1.0",
            "--reason",
            "broken",
        ],
    )
    .exits(0);
    run(&house, &["validate", "t", "--locked"]).exits(0);
    let updated = run(&house, &["update", "acme:files", "--template", "t"]).exits(0);
    assert_eq!(updated.out, "moved acme:files@1.1.0 to 1.0.0\n");
    let versions = run(&house, &["component", "versions", "acme:files"]).exits(0);
    assert_eq!(versions.out, "1.1.0  yanked: broken\n1.0.0\n");

    // A bundle carries all of it, the same bytes each time.
    for bundle in ["one.tar", "two.tar"] {
        run(&house, &["bundle", "t", "-o", bundle]).exits(0);
    }
    let bundle = std::fs::read(house.path("one.tar")).unwrap();
    assert!(bundle == std::fs::read(house.path("two.tar")).unwrap());

    // Without the registry the cache is enough; what isn't in it says so.
    registry.stop();
    run(
        &house,
        &["build", "t", "--offline", "--locked", "--refresh"],
    )
    .exits(0);
    let listed = run(&house, &["cache", "list", "--json"]).exits(0).json();
    assert_eq!(listed.len(), 4);
    run(&house, &["cache", "prune"]).exits(0);
    run(&house, &["build", "t", "--offline"])
        .exits(2)
        .says(&["acme:files@1.0.0 is not in the cache", "darkroom fetch"]);
    run(&house, &["build", "t"])
        .exits(5)
        .says(&["the connection was refused"]);
    elsewhere(&bundle);
}

/// Builds from a bundle where there is nothing else: another house, and no registry.
fn elsewhere(bundle: &[u8]) {
    let house = empty_house();
    std::fs::write(house.path("web.tar"), bundle).unwrap();
    trust(&house, "signed");
    let built = run(&house, &["build", "web.tar"]).exits(0);
    assert!(!built.err.contains("Pulled"), "{}", built.err);
    assert!(!house.path("darkroom.lock").exists());
    run(&house, &["resume", "last"]).exits(2);

    // Its own policy judges: other keys, and nothing is built.
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/registry/tests/fixtures");
    let other = std::fs::read_to_string(fixtures.join("cosign.pub")).unwrap();
    house.write("home/.config/darkroom/acme.pub", &other);
    run(&house, &["build", "web.tar", "--refresh"])
        .exits(2)
        .says(&["acme:files@1.0.0", "trust.yaml:3"]);
    trust(&house, "signed");

    // One that was altered is noticed, wherever it was.
    let mut altered = bundle.to_vec();
    let component = altered
        .windows(4)
        .position(|four| four == b"\0asm")
        .unwrap();
    altered[component + 100] ^= 1;
    std::fs::write(house.path("altered.tar"), altered).unwrap();
    run(&house, &["build", "altered.tar"])
        .exits(2)
        .says(&["was altered"]);
}

#[test]
fn what_is_tagged_anew_altered_or_unsigned_is_refused() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let house = house(&registry);
    publish_three(&house);
    run(&house, &["fetch", "t"]).exits(0);

    // The same version with other content: refused to publish, and to use when forced.
    let other = package(&house, "files", "acme:files", "1.0.0", "other content");
    run(&house, &["component", "publish", &other])
        .exits(2)
        .says(&["is published already, with other content", "--force"]);
    run(&house, &["component", "publish", &other, "--force"]).exits(0);
    run(&house, &["validate", "t"]).exits(0);
    run(&house, &["cache", "prune"]).exits(0);
    run(&house, &["validate", "t"]).exits(2).says(&[
        "has other bytes for acme:files@1.0.0 than darkroom.lock pins",
        "darkroom update acme:files",
        "image.yaml:5:11",
    ]);

    // What was forced is unsigned: taken without a policy, refused by one.
    let moved = run(&house, &["update", "acme:files", "--template", "t"]).exits(0);
    assert_eq!(moved.out, "moved acme:files@1.0.0 to other content\n");
    trust(&house, "signed");
    run(&house, &["validate", "t", "--offline"])
        .exits(2)
        .says(&[
            "acme:files@1.0.0",
            "trust.yaml:3",
            "acme:*",
            "image.yaml:5:11",
        ]);
    run(
        &house,
        &["component", "pull", "acme:files@1.0.0", "-o", "x.wasm"],
    )
    .exits(2)
    .says(&["trust.yaml:3"]);
    assert!(!house.path("x.wasm").exists());
    trust(&house, "warn");
    run(&house, &["validate", "t"])
        .exits(0)
        .says(&["warning:", "trust.yaml:3"]);

    // A file of the author's stands for the package, is told, and never pinned.
    let before = lock(&house);
    house.write(
        "t/darkroom.toml",
        &format!("[override]\n\"acme:files\" = \"../{other}\"\n"),
    );
    trust(&house, "signed");
    run(&house, &["build", "t"])
        .exits(0)
        .says(&["acme:files is ../files-1.0.0", "not pinned"]);
    assert_eq!(lock(&house), before);
}

#[test]
fn a_key_with_a_password_and_the_verbs_of_one_package() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let house = house(&registry);
    trust(&house, "signed");
    let file = package(&house, "sysctl", "acme:sysctl", "2.0.0", "sets");
    let sealed =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/registry/tests/fixtures/cosign.key");
    let sealed = std::fs::read_to_string(sealed).unwrap();
    house.write("sealed.key", &sealed);
    let publish = [
        "component",
        "publish",
        file.as_str(),
        "--sign",
        "sealed.key",
    ];
    run(&house, &publish).exits(2).says(&[
        "nobody can be asked for its password",
        "DARKROOM_KEY_PASSWORD",
    ]);
    let wrong = told(house.command(&publish).env("COSIGN_PASSWORD", "never-this"));
    let wrong = wrong.exits(2);
    assert!(!wrong.err.contains("never-this"), "{}", wrong.err);

    let published = run(
        &house,
        &["component", "publish", &file, "--sign", "key.pem", "--json"],
    );
    let published = published.exits(0).json();
    assert_eq!(published[0]["package"], "acme:sysctl");
    assert_eq!(published[0]["before"], "nothing");
    let seen = run(&house, &["component", "inspect", "acme:sysctl@2", "--json"])
        .exits(0)
        .json();
    assert_eq!(seen[0]["signatures"][0], published[0]["signer"]);
    assert!(seen[0]["trust"].as_str().unwrap().starts_with("trusted"));
    // A file's own statement; what is attached of a crate is tried in `authors`.
    let statement = "application/vnd.in-toto+json";
    assert_eq!(published[0]["attached"], serde_json::json!([statement]));
    assert_eq!(seen[0]["attached"].as_array().unwrap().len(), 1);
    assert_eq!(seen[0]["attached"][0]["media_type"], statement);

    let mirror = format!("{}/mirror/sysctl:2.0.0", registry.host);
    run(&house, &["component", "copy", "acme:sysctl@2.0.0", &mirror]).exits(0);
    let found = run(&house, &["component", "search", "sysctl", "--json"])
        .exits(0)
        .json();
    assert_eq!(found.len(), 2);
    run(
        &house,
        &["component", "pull", "acme:sysctl", "-o", "got.wasm"],
    )
    .exits(0);
    let same =
        std::fs::read(house.path("got.wasm")).unwrap() == std::fs::read(house.path(&file)).unwrap();
    assert!(same);
    run(&house, &["component", "yank", "acme:sysctl@2"])
        .exits(2)
        .says(&["does not name one version"]);
    run(&house, &["component", "versions", "acme:nothing"])
        .exits(0)
        .says(&["has no versions"]);
    run(
        &house,
        &["component", "pull", "acme:sysctl@9", "-o", "x.wasm"],
    )
    .exits(2)
    .says(&["no version of acme:sysctl", "there are: 2.0.0"]);
}
