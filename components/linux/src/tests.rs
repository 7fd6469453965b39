//! The repairer as a whole, and its script run on a root file system in a folder.

use super::Linux;
use darkroom::testing::{Answer, Item, Machine, Run};
use std::fs;

const CONTAINER: &str = "fstab 640 root:disk\nmount / overlay overlay rw\n";
const READ: &str = "read /etc/fstab";
const LOOK: &str = "look at devices and mounts";

fn repair(fstab: &str, facts: &str) -> Run {
    Machine::debian()
        .answer(READ, Answer::output(fstab))
        .answer(LOOK, Answer::output(facts))
        .repair::<Linux>()
}

#[test]
fn a_healthy_image_is_only_looked_at() {
    for (fstab, facts) in [
        ("", "mount / overlay overlay rw\n"),
        ("# UNCONFIGURED FSTAB FOR BASE SYSTEM\n", CONTAINER),
        ("UUID=a / ext4 rw 0 1\n", CONTAINER),
    ] {
        let run = repair(fstab, facts);
        assert_eq!(
            (run.result.clone(), run.names()),
            (Ok(()), vec![READ, LOOK])
        );
        assert_eq!(run.items, [Item::Intact("GUESTOS.Fstab".into())]);
        assert_eq!(run.planned, 2);
    }
}

#[test]
fn a_planted_fault_is_repaired_and_reported() {
    let run = repair("# kept\nUUID=dead /data ext4 defaults 0 2\n", CONTAINER);
    let step = run.step("repair /etc/fstab");
    assert_eq!(
        (step.path(), step.mode, step.owner.as_deref()),
        (Some("/etc/fstab"), Some(0o640), Some("root:disk"))
    );
    assert!(step.text().unwrap().starts_with("# kept\n# darkroom: "));
    assert!(
        step.text()
            .unwrap()
            .ends_with("\nUUID=dead /data ext4 defaults,nofail 0 2\n")
    );
    let message = "UUID=dead on /data: no such device here, nofail added";
    assert_eq!(
        run.items,
        [Item::Repaired("GUESTOS.Fstab".into(), message.into())]
    );
}

#[test]
fn what_can_not_be_repaired_is_reported_with_its_risk() {
    let run = repair("", "fstab link\n");
    assert!(matches!(&run.items[..], [Item::Unrepaired(_, risk, _)] if risk == "low"));
    let facts = format!("{CONTAINER}node /dev/vda1\ntag DEVNAME=/dev/vda1\ntag UUID=a\n");
    let run = repair("UUID=dead / ext4 rw 0 1\n", &facts);
    assert!(matches!(&run.items[..], [Item::Unrepaired(_, risk, _)] if risk == "high"));
    assert_eq!(run.steps.len(), 2);
    let run = repair(
        "UUID=dead / ext4 rw 0 1\nUUID=dead /data ext4 rw 0 1\n",
        &facts,
    );
    assert!(matches!(
        &run.items[..],
        [Item::Repaired(..), Item::Unrepaired(..)]
    ));
}

#[test]
fn modes_and_named_items_are_looked_at() {
    for machine in [
        Machine::debian(),
        Machine::debian().argument("mode", "all"),
        Machine::debian().argument("items", ["fstab"]),
    ] {
        assert_eq!(machine.repair::<Linux>().names(), [READ, LOOK]);
    }
    assert!(
        Machine::debian()
            .argument("items", ["dhcp"])
            .repair::<Linux>()
            .steps
            .is_empty()
    );
}

#[test]
fn another_root_is_honoured_and_the_scripts_write_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a b;$(touch pwned)'");
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(
        root.join("etc/fstab"),
        "/swapfile none swap sw 0 0\n/gone none swap sw 0 0",
    )
    .unwrap();
    fs::write(root.join("swapfile"), "").unwrap();
    let machine = Machine::debian().root(root.to_str().unwrap());
    let run = machine.repair::<Linux>();
    let (read, look) = (run.step(READ), run.step(LOOK));
    let text = read.run(folder.path(), folder.path()).output;
    assert_eq!(text, fs::read_to_string(root.join("etc/fstab")).unwrap());
    let facts = look.run(folder.path(), folder.path());
    assert_eq!(facts.exit_code, 0, "{}", facts.output);
    assert!(facts.output.contains("\nfile /swapfile\n") && !facts.output.contains("/gone"));
    assert!(facts.output.contains("\nmount / "), "{}", facts.output);

    let run = machine
        .answer(READ, Answer::output(text))
        .answer(LOOK, Answer::output(facts.output))
        .repair::<Linux>();
    let step = run.step("repair /etc/fstab");
    assert_eq!(step.path(), root.join("etc/fstab").to_str());
    assert_eq!(
        step.text(),
        Some(
            "/swapfile none swap sw 0 0\n# darkroom: no such device; was: /gone none swap sw 0 0\n"
        )
    );
    let names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, [root.file_name().unwrap()]);
}
