//! Packer's own builder against the local cloud, part of `make test-peers`.

use darkroom_tests::house::{Driver, House};
use darkroom_tests::packer;
use serde_json::json;

#[test]
fn a_build_of_packer_comes_to_its_end() {
    if std::env::var_os("DARKROOM_LONG").is_none() {
        println!("long tier: a_build_of_packer_comes_to_its_end");
        return;
    }
    if let Err(why) = packer::program() {
        println!("not run: {why}");
        return;
    }
    let house = House::new(Driver::Sim);
    packer::set(&house, &json!({}));
    packer::source(&house);
    let (_, before) = packer::asked(&house, 0);
    let output = packer::build(&house, "packed");
    assert!(output.status.success(), "{output:?}");
    let (mut actions, _) = packer::asked(&house, before);
    assert_eq!(actions.remove(0), "DescribeImageFromFamily");
    let wanted = [
        "DescribeImages",
        "DescribeImages",
        "DescribeImages",
        "CreateSecurityGroup",
        "AuthorizeSecurityGroupEgress",
        "AuthorizeSecurityGroup",
        "CreateInstance",
        "DescribeInstances",
        "DescribeInstances",
        "AllocatePublicIpAddress",
        "StartInstance",
        "DescribeInstances",
        "StopInstance",
        "DescribeInstances",
        "CreateImage",
        "DescribeImages",
        "ModifyImageSharePermission",
        "DeleteInstance",
        "DeleteSecurityGroup",
    ];
    // It looks again where something takes longer than one look.
    actions.dedup();
    let mut steps = wanted.to_vec();
    steps.dedup();
    assert_eq!(actions, steps);
    let images = house.admin("/-/ledger");
    let entries = images["entries"].as_array().unwrap();
    let kinds: Vec<_> = entries.iter().map(|entry| &entry["kind"]).collect();
    assert_eq!(kinds, ["snapshot"], "only the image is left: {images}");
}
