//! What the component asks for, and its script run on a root file system in a folder.

use super::Sysctl;
use darkroom::Json;
use darkroom::testing::{Answer, Machine, Outcome};
use std::fs;
use std::path::Path;

fn machine(settings: Json) -> Machine {
    Machine::debian().argument("settings", settings)
}

fn set(root: &Path, machine: Machine) -> Outcome {
    let run = machine.root(root.to_str().unwrap()).build::<Sysctl>();
    assert_eq!((run.result.clone(), run.planned), (Ok(()), 1));
    run.steps[0].run(root, root)
}

#[test]
fn the_file_is_sorted_and_numbers_need_no_quotes() {
    let settings = Json::object([("vm.swappiness", 10.into()), ("kernel.panic", "5".into())]);
    let run = machine(settings).build::<Sysctl>();
    let step = run.step("set kernel.panic, vm.swappiness");
    assert_eq!(
        step.variable("TEXT"),
        Some("kernel.panic = 5\nvm.swappiness = 10\n")
    );
    assert_eq!(
        step.variable("FILE"),
        Some("/etc/sysctl.d/90-darkroom.conf")
    );
    assert_eq!(
        step.variable("SETTINGS"),
        Some("kernel.panic=5\nvm.swappiness=10")
    );
}

#[test]
fn what_the_kernel_lets_is_set_and_the_rest_waits_for_a_boot() {
    let root = tempfile::tempdir().unwrap();
    let sys = root.path().join("proc/sys");
    fs::create_dir_all(sys.join("net/ipv4/conf/eth0.100")).unwrap();
    fs::create_dir_all(sys.join("vm")).unwrap();
    fs::write(sys.join("vm/swappiness"), "60\n").unwrap();
    fs::write(sys.join("net/ipv4/ip_local_port_range"), "1024\t65000\n").unwrap();
    fs::write(sys.join("net/ipv4/conf/eth0.100/rp_filter"), "0\n").unwrap();
    let settings = || {
        Json::object([
            ("vm.swappiness", 10.into()),
            ("net.ipv4.ip_local_port_range", "1024 65000".into()),
            ("net.ipv4.conf.eth0/100.rp_filter", 1.into()),
            ("kernel.no_such", "a=b $(touch pwned) 'é'".into()),
        ])
    };
    let first = set(root.path(), machine(settings()));
    assert_eq!(first.exit_code, 0, "{}", first.output);
    for line in [
        "set vm.swappiness to 10\n",
        "has no kernel.no_such;",
        "changed: yes\n",
    ] {
        assert!(first.output.contains(line), "{}", first.output);
    }
    assert!(!first.output.contains("port_range"));
    assert_eq!(
        fs::read_to_string(sys.join("vm/swappiness")).unwrap(),
        "10\n"
    );
    let filter = sys.join("net/ipv4/conf/eth0.100/rp_filter");
    assert_eq!(fs::read_to_string(filter).unwrap(), "1\n");
    let file = root.path().join("etc/sysctl.d/90-darkroom.conf");
    assert!(
        fs::read_to_string(&file)
            .unwrap()
            .starts_with("kernel.no_such = a=b $(touch pwned) 'é'\n")
    );
    assert!(!root.path().join("pwned").exists());
    assert!(
        set(root.path(), machine(settings()))
            .output
            .ends_with("changed: no\n")
    );

    // Without `apply` only the file counts; without settings there is none.
    fs::write(sys.join("vm/swappiness"), "60\n").unwrap();
    let quiet = set(root.path(), machine(settings()).argument("apply", false));
    assert_eq!(quiet.output, "changed: no\n");
    let none = set(root.path(), machine(Json::object([])));
    assert!(none.output.ends_with("changed: yes\n") && !file.exists());
}

#[test]
fn what_is_no_parameter_is_refused_before_anything_is_done() {
    for key in ["", "-vm.x", "vm.*", "a b", "vm/../x", "x\ny", "$(id)"] {
        let run = machine(Json::object([(key, 1.into())])).build::<Sysctl>();
        assert!(run.result.unwrap_err().contains("is no name"), "{key:?}");
        assert!(run.steps.is_empty());
    }
    let run = machine(Json::object([("vm.x", "1\nkernel.y=2".into())])).build::<Sysctl>();
    assert!(run.result.unwrap_err().contains("more than one line"));
}

#[test]
fn no_change_is_said() {
    let run = machine(Json::object([("vm.x", 1.into())]))
        .answer("set vm.x", Answer::output("changed: no\n"))
        .build::<Sysctl>();
    assert_eq!(run.published, [("changed".to_owned(), Json::Flag(false))]);
    assert_eq!(run.messages[0].1, "no change");
}
