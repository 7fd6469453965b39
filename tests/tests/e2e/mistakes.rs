//! What people are told when something is wrong: the template, a command, a name, a key,
//! a region, the machine. Each message says what and what to do; nothing is left behind.

use std::os::unix::fs::symlink;
use std::process::Command;

use darkroom_tests::house::{Driver, House, is_root, sandbox_can_run};

use crate::guests;
use crate::support::{Told, billed, built, of_action, requests, run};

const WRONG: &str = "\
name: wrong
sorce: { family: debian-12 }
source: { family: debian-12 }
parameters:
  greeting: { type: string, default: hello, pattern: '^[a-z ]+$' }
  needed: { type: integer }
build:
  - uses: darkroom:pakages
  - uses: ./nowhere.wasm
  - uses: ./text.wasm
  - uses: ./core.wasm
  - uses: darkroom:packages
    with: { install: nginx, upgrad: true }
  - uses: darkroom:files
  - uses: darkroom:service
    with: { name: nginx }
test:
  - uses: darkroom:files
    with: { path: /srv/x, text: x }
instance: { disk: big }
distribute: { accounts: [12] }
";

/// Unknown key, wrong type, missing and wrong components, arguments and roles.
#[test]
fn every_mistake_of_a_template_is_told_at_once() {
    let house = House::new(Driver::Sim);
    house.write("text.wasm", "(not WebAssembly)");
    let module = wat::parse_str(guests::text("")).unwrap();
    std::fs::write(house.path("core.wasm"), module).unwrap();
    house.write("image.yaml", WRONG);
    let told = run(&house, &["build"]).exits(2);
    insta::assert_snapshot!("every_mistake", told.err);
    assert_eq!(told.out, "");

    // Then what is given for the parameters.
    let right = WRONG.replace("sorce: { family: debian-12 }\n", "");
    let right = right.replace("big", "40").replace("[12]", "[]");
    house.write("image.yaml", &right);
    let pattern = ["validate", "-p", "greeting=HELLO"];
    run(&house, &pattern).exits(2).says(&[
        "image.yaml:4:3: the given value of `greeting` must match the pattern `^[a-z ]+$`",
        "`HELLO` was given",
        "image.yaml:5:3: the parameter `needed` has no value",
        "give it with `-p needed=…`",
    ]);
    let others = ["validate", "-p", "gretting=hi", "-p", "needed=many"];
    run(&house, &others).exits(2).says(&[
        "the template has no parameter `gretting`",
        "did you mean `-p greeting=…`?",
        "the given value of `needed` must be a whole number",
    ]);
    assert!(!house.local().exists(), "nothing of that needs a cloud");
}

#[test]
fn a_component_lies_in_the_templates_folder() {
    let house = House::new(Driver::Sim);
    let folder = house.path("template");
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    let good = guests::builder("(drop (call $one)) (call $ok)");
    for place in ["outside.wasm", "template/sub/good.wasm"] {
        std::fs::write(house.path(place), &good).unwrap();
    }
    symlink("../outside.wasm", folder.join("link.wasm")).unwrap();
    symlink(house.path("outside.wasm"), folder.join("absolute.wasm")).unwrap();
    symlink("..", folder.join("up")).unwrap();
    symlink("sub/good.wasm", folder.join("inside.wasm")).unwrap();
    let pipe = Command::new("mkfifo")
        .arg(folder.join("pipe.wasm"))
        .status();
    assert!(pipe.unwrap().success());
    let outside = house.path("outside.wasm");
    let refused = [
        (outside.to_str().unwrap(), "is an absolute path"),
        ("../outside.wasm", "leads out of the template's folder"),
        (
            "./sub/../../outside.wasm",
            "leads out of the template's folder",
        ),
        ("./link.wasm", "leads out of the template's folder"),
        ("./absolute.wasm", "leads out of the template's folder"),
        ("./up/outside.wasm", "leads out of the template's folder"),
        ("./sub", "it is a folder"),
        ("./pipe.wasm", "it is no file"),
    ];
    let template = "name: paths\nsource: { family: debian-12 }\nbuild:\n";
    let uses = refused
        .iter()
        .map(|(path, _)| format!("  - uses: {path}\n"));
    house.write(
        "template/image.yaml",
        &(template.to_owned() + &uses.collect::<String>()),
    );
    let told = run(&house, &["build", "template"]).exits(2);
    for (line, (path, problem)) in (4..).zip(refused) {
        let begin = told.err.find(&format!("image.yaml:{line}:")).unwrap();
        let said = told.err[begin..]
            .lines()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ");
        assert!(
            said.contains(path) && said.contains(problem),
            "{path}: {said}"
        );
    }
    let inside = format!("{template}  - uses: ./inside.wasm\n  - uses: ./sub/good.wasm\n");
    house.write("template/image.yaml", &inside);
    run(&house, &["validate", "template"]).exits(0);
}

#[test]
fn a_command_that_fails_or_takes_too_long() {
    if !sandbox_can_run() {
        return;
    }
    let house = House::sandbox();
    let template = |item: &str| {
        format!("name: failing\nsource: {{ family: debian-12 }}\nrepair: none\nbuild:\n{item}")
    };
    house.write(
        "image.yaml",
        &template("  - run: |\n      echo the reason is here\n      exit 1\n    name: try\n"),
    );
    run(&house, &["build"]).exits(4).says(&[
        "the step \"try\" failed: ",
        "it exited with 1",
        "│ the reason is here",
        "build/1-run/0` shows all of its output",
    ]);
    assert_eq!(billed(&house), [""; 0]);
    let slow = "  - uses: darkroom:shell\n    with: { script: 'echo waiting; sleep 900 & sleep 900', timeout: 10, name: wait }\n";
    house.write("image.yaml", &template(slow));
    run(&house, &["build"]).exits(4).says(&[
        "the step \"wait\" failed: Timeout",
        "10 seconds",
        "│ waiting",
    ]);
    assert_eq!(billed(&house), [""; 0]);
    let attempt = &house.manifest()["roles"][0]["steps"][0]["attempts"][0];
    assert_eq!(attempt["exit_code"], serde_json::Value::Null);
}

#[test]
fn a_name_a_key_a_region_and_a_source_that_are_not_right() {
    let house = House::new(Driver::Sim);
    let template = "name: named\nsource: { family: debian-12 }\nrepair: none\nbuild:\n  - run: 'true'\nimage: { name: taken }\n";
    built(&house, template);
    let before = billed(&house);
    let ran = of_action(&requests(&house), "RunInstances").len();
    // Another build: an unchanged one would take the image.
    let template = &template.replace("'true'", "'false'");
    house.write("image.yaml", template);
    for verb in ["plan", "build"] {
        run(&house, &[verb]).exits(2).says(&[
            "image name taken: it is taken in cn-hangzhou, by m-",
            "change image.name, or leave it out to have the run's id in the name",
        ]);
    }
    // All that is wrong with the inputs is told together.
    let all = template.replace("debian-12", "debian-99")
        + "instance: { type: ecs.none.large, vswitch: vsw-none }\n";
    house.write("image.yaml", &all);
    run(&house, &["build"]).exits(2).says(&[
        "image name taken",
        "source family debian-99: there is none in cn-hangzhou",
        "darkroom local bootstrap debian-99",
        "vSwitch vsw-none: there is none",
    ]);
    house.write("image.yaml", &template.replace("taken", "free"));
    let region = ["build", "--region", "cn-mars"];
    run(&house, &region)
        .exits(2)
        .says(&["cn-mars", "InvalidRegionId.NotFound", "check --region"]);
    let account = ["build", "--account", "frist"];
    run(&house, &account)
        .exits(2)
        .says(&["no account `frist`", "--account first"]);
    assert_eq!(billed(&house), before, "nothing of that was spent");

    // A secret that is another one than the cloud's.
    let file = house.local().join("accounts.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let secret = house.account(0).access_key_secret;
    std::fs::write(&file, text.replace(&secret, "forged")).unwrap();
    run(&house, &["build"]).exits(5).says(&[
        "SignatureDoesNotMatch",
        "check the access key id and secret",
    ]);
    let requests = requests(&house);
    assert_eq!(of_action(&requests, "RunInstances").len(), ran);
    assert!(requests.last().unwrap()["account"].is_null());
}

/// A command of the house, run by `sh` after these lines, in namespaces of its own.
fn within(house: &House, unshare: &[&str], lines: &str, arguments: &[&str]) -> Told {
    let inner = house.command(arguments);
    let mut command = Command::new("unshare");
    command.args(unshare).args(["sh", "-c"]);
    command.arg(format!("{lines}\nexec \"$@\"")).arg("sh");
    command.arg(inner.get_program()).args(inner.get_args());
    command.env_clear();
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.current_dir(inner.get_current_dir().unwrap());
    Told::of(command.output().unwrap())
}

#[test]
fn a_machine_without_user_namespaces_is_told_so() {
    if !is_root() {
        println!("not run: needs root");
        return;
    }
    let house = House::sandbox();
    house.write(
        "image.yaml",
        "name: none\nsource: { family: debian-12 }\nbuild:\n  - run: 'true'\n",
    );
    // The limit is of the namespace that it is set in, and goes with it.
    let none = "echo 0 > /proc/sys/user/max_user_namespaces";
    let unshare = ["--user", "--map-root-user"];
    let told = within(&house, &unshare, none, &["build"]).exits(3);
    told.says(&[
        "this machine can't run instances: ",
        "user namespaces can't be made here",
        "set the sysctl user.max_user_namespaces above 0",
    ]);
    let lines = format!(
        "export DARKROOM_CACHE={}\n{none}",
        house.path("cache").display()
    );
    let told = within(&house, &unshare, &lines, &["local", "bootstrap"]).exits(3);
    told.says(&[
        "user namespaces can't be made here",
        "set the sysctl user.max_user_namespaces above 0",
    ]);
}

#[test]
fn a_full_disk_is_told_before_a_base_is_begun() {
    if !is_root() {
        println!("not run: needs root");
        return;
    }
    let house = House::sandbox();
    let small = house.path("small");
    std::fs::create_dir(&small).unwrap();
    let small = small.to_str().unwrap();
    let mount = format!("mount -t tmpfs -o size=20m none {small}\nexport DARKROOM_CACHE={small}");
    let told = within(&house, &["--mount"], &mount, &["local", "bootstrap"]).exits(3);
    told.says(&[
        &format!("there is no room for a base in {small}"),
        "1024 MiB are needed, 20 MiB are free",
        "free some space, or choose another cache folder",
    ]);
}

#[test]
fn an_ordinary_user_is_told_what_the_sandbox_needs() {
    if !is_root() {
        println!("not run: only root can become another user");
        return;
    }
    let house = House::sandbox();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(house.path(""), open).unwrap();
    let template = "name: none\nsource: { family: debian-12 }\nbuild:\n  - run: 'true'\n";
    house.write("image.yaml", template);
    // Binary and components may lie where this user does not reach them.
    let own = house.path("components");
    std::fs::create_dir(&own).unwrap();
    let shared = darkroom_tests::house::binary().with_file_name("../components");
    for file in std::fs::read_dir(shared).unwrap() {
        let file = file.unwrap();
        if file.path().extension().is_some_and(|one| one == "wasm") {
            std::fs::copy(file.path(), own.join(file.file_name())).unwrap();
        }
    }
    let lines = format!(
        "export DARKROOM_CACHE={}\nshift\nset -- setpriv --reuid=65534 --regid=65534 --clear-groups \
         /proc/self/fd/9 \"$@\"\nexec 9< {}",
        house.path("cache").display(),
        darkroom_tests::house::binary().display()
    );
    for arguments in [&["build"][..], &["local", "bootstrap"]] {
        let told = within(&house, &["--mount"], &lines, arguments).exits(3);
        told.says(&[
            "this machine can't run instances",
            "nobody has too few subordinate user ids in /etc/subuid",
            "sudo usermod --add-subuids",
            "sudo loginctl enable-linger nobody",
        ]);
    }
}
