//! Debian and Ubuntu.

use super::stubs::Stubs;
use crate::Packages;
use darkroom::Json;
use darkroom::testing::Machine;
use std::fs;

const UPDATE: &str = "apt-get update -o APT::Update::Error-Mode=any\n";

#[test]
fn only_what_is_missing_is_installed_and_lists_are_refreshed_once() {
    let stubs = Stubs::new("debian", "curl 1.0\n");
    let machine = stubs.machine().argument("install", ["nginx", "curl"]);
    assert!(stubs.carry_out(&machine));
    assert_eq!(stubs.log(), format!("{UPDATE}apt-get install -- nginx\n"));
    assert!(!stubs.carry_out(&machine));
    assert_eq!(stubs.log(), "");

    let run = stubs
        .machine()
        .argument("install", ["git"])
        .build::<Packages>();
    assert!(
        stubs
            .run(&run, "install git")
            .output
            .contains("lists are fresh")
    );
    assert_eq!(stubs.log(), "apt-get install -- git\n");
}

#[test]
fn locks_and_mirrors_are_waited_for_and_an_interrupted_dpkg_is_finished() {
    let stubs = Stubs::new("debian", "");
    let machine = stubs.machine().argument("install", ["nginx"]);
    stubs.write(
        "trouble",
        "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7\n",
    );
    stubs.write("var/lib/dpkg/updates/0001", "");
    assert!(stubs.carry_out(&machine));
    assert_eq!(
        stubs.log(),
        format!("dpkg --configure -a\n{UPDATE}sleep 5\n{UPDATE}apt-get install -- nginx\n")
    );
    let machine = stubs.machine().argument("install", ["curl"]);
    stubs.write(
        "trouble",
        "E: Failed to fetch http://mirror/x  503  Service Unavailable\n",
    );
    assert!(stubs.carry_out(&machine));
    assert_eq!(
        stubs.log(),
        "apt-get install -- curl\nsleep 10\napt-get install -- curl\n"
    );
    // A mistake is no trouble that passes.
    stubs.write("trouble", "E: Unable to locate package git\n");
    let run = stubs
        .machine()
        .argument("install", ["git"])
        .build::<Packages>();
    assert_eq!(stubs.run(&run, "install git").exit_code, 100);
    assert_eq!(stubs.log(), "apt-get install -- git\n");
}

#[test]
fn versions_are_pinned_held_and_let_go() {
    let stubs = Stubs::new("debian", "nginx 2.0\n");
    let machine = stubs
        .machine()
        .argument("install", ["nginx=1.0"])
        .argument("hold", ["nginx"]);
    assert!(stubs.carry_out(&machine));
    assert!(stubs.log().ends_with(
        "apt-get install --allow-downgrades --allow-change-held-packages -- nginx=1.0\n\
         apt-mark hold -- nginx\n"
    ));
    assert!(!stubs.carry_out(&machine));
    let tested = machine.argument("remove", ["git"]).test::<Packages>();
    assert_eq!(
        stubs.run(&tested, "look at the packages").output,
        "yes nginx=1.0\nno git\nheld nginx\n"
    );
    let unhold = stubs.machine().argument("unhold", ["nginx"]);
    assert!(stubs.carry_out(&unhold));
    assert!(!stubs.carry_out(&unhold));
    let missing = stubs
        .machine()
        .argument("hold", ["git"])
        .build::<Packages>();
    let outcome = stubs.run(&missing, "hold git");
    assert!(outcome.exit_code == 1 && outcome.output.contains("git is not installed"));
}

#[test]
fn an_upgrade_that_finds_nothing_is_no_change() {
    let stubs = Stubs::new("debian", "nginx 1.0\n");
    let machine = stubs.machine().argument("upgrade", true);
    assert!(stubs.carry_out(&machine));
    assert!(!stubs.carry_out(&machine));
    assert_eq!(
        stubs.log(),
        format!("{UPDATE}apt-get upgrade --with-new-pkgs\napt-get upgrade --with-new-pkgs\n")
    );
}

#[test]
fn what_was_not_installed_or_removed_is_an_error() {
    let stubs = Stubs::new("debian", "stuck 1.0\n");
    let run = stubs
        .machine()
        .argument("install", ["nginx", "broken"])
        .build::<Packages>();
    let outcome = stubs.run(&run, "install nginx, broken");
    assert_eq!(outcome.exit_code, 1);
    assert!(
        outcome
            .output
            .ends_with("not installed in spite of apt-get: broken \n")
    );
    stubs.program("apt-get", "");
    let run = stubs
        .machine()
        .argument("remove", ["stuck"])
        .build::<Packages>();
    let outcome = stubs.run(&run, "remove stuck");
    assert!(
        outcome
            .output
            .ends_with("not removed in spite of apt-get: stuck \n")
    );
}

#[test]
fn a_provided_package_counts_as_installed() {
    let stubs = Stubs::new("debian", "");
    stubs.write("provided", "installed mail-agent (= 1), smtp\n");
    assert!(!stubs.carry_out(&stubs.machine().argument("install", ["smtp", "mail-agent"])));
}

#[test]
fn what_is_removed_is_what_is_there() {
    let stubs = Stubs::new("debian", "exim4 1.0\n");
    let machine = stubs.machine().argument("remove", ["exim4", "postfix"]);
    assert!(stubs.carry_out(&machine));
    assert_eq!(stubs.log(), "apt-get purge -- exim4\n");
    assert!(!stubs.carry_out(&machine));
}

#[test]
fn a_repository_has_its_own_key_and_makes_the_lists_stale() {
    let stubs = Stubs::new("debian", "");
    let key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n$(touch pwned)";
    let repository = Json::object([
        ("name", "nginx-org".into()),
        ("url", "https://nginx.org/packages/debian".into()),
        ("suites", ["bookworm"].into()),
        ("components", ["nginx", "extra"].into()),
        ("key", key.into()),
    ]);
    let flat = Json::object([
        ("name", "here".into()),
        ("url", "file:/srv/repository".into()),
        ("verify", false.into()),
    ]);
    let machine = stubs
        .machine()
        .argument("repositories", vec![repository, flat])
        .argument("install", ["nginx"]);
    assert!(stubs.carry_out(&machine));
    assert_eq!(
        stubs.read("etc/apt/sources.list.d/nginx-org.sources"),
        "Types: deb\nURIs: https://nginx.org/packages/debian\nSuites: bookworm\n\
         Components: nginx extra\nSigned-By: /etc/apt/keyrings/nginx-org.asc\n"
    );
    assert_eq!(
        stubs.read("etc/apt/keyrings/nginx-org.asc"),
        format!("{key}\n")
    );
    assert_eq!(
        stubs.read("etc/apt/sources.list.d/here.sources"),
        "Types: deb\nURIs: file:/srv/repository\nSuites: ./\nTrusted: yes\n"
    );
    assert!(!stubs.carry_out(&machine));
    assert_eq!(stubs.log(), format!("{UPDATE}apt-get install -- nginx\n"));
    let away = stubs
        .machine()
        .argument("remove-repositories", ["nginx-org", "here"])
        .argument("install", ["git"]);
    assert!(stubs.carry_out(&away));
    assert_eq!(stubs.log(), format!("{UPDATE}apt-get install -- git\n"));
    assert_eq!(
        fs::read_dir(stubs.folder.path().join("etc/apt/keyrings"))
            .unwrap()
            .count(),
        0
    );
    assert!(!stubs.carry_out(&away));
}

#[test]
fn hostile_names_stay_names() {
    let stubs = Stubs::new("debian", "");
    let hostile = "a b;touch pwned;$(touch pwned)`touch pwned`'\"*";
    let run = stubs
        .machine()
        .argument("install", [hostile])
        .build::<Packages>();
    // The stand-in keeps only the first word of it.
    let _outcome = stubs.run(&run, &format!("install {hostile}"));
    assert!(stubs.log().ends_with(&format!("install -- {hostile}\n")));
    assert!(!stubs.folder.path().join("pwned").exists());
}

#[test]
fn without_its_manager_a_machine_is_refused() {
    let stubs = Stubs::new("debian", "");
    let run = Machine::new("linux", "", "")
        .root(stubs.folder.path().to_str().unwrap())
        .argument("install", ["nginx"])
        .build::<Packages>();
    for (id, exit_code, message) in [
        ("alpine", 69, "this machine has no apk"),
        ("arch", 1, "this machine is arch"),
    ] {
        stubs.write("etc/os-release", &format!("ID={id}\n"));
        let outcome = stubs.run(&run, "install nginx");
        assert_eq!(outcome.exit_code, exit_code);
        assert!(outcome.output.contains(message), "{}", outcome.output);
    }
}
