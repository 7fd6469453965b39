//! The component `linux`: repairs what keeps a Linux image from starting in the cloud.
//!
//! A repairer. It looks first, in two steps that only read, and writes only what it must: a
//! machine that is in order sees no write at all. Everything is below `machine::root`, so
//! that the disk of a machine that can't boot is repaired from another one.
//!
//! [`item`] names the items as Alibaba Cloud's own image check does. [`tree`] and
//! [`devices`] read what the machine says; each item has a module that judges it, a pure
//! function from these facts to a [`judgement`]; this file declares the steps and reports.
//!
//! What a container has no part in (kernels, boot loader, the cloud's agents) is judged
//! only where the tree has a kernel, or is another machine's disk.

mod agents;
mod cloud_init;
mod devices;
mod dhcp;
mod drivers;
mod fstab;
mod grub;
mod item;
mod judgement;
mod settings;
mod system;
mod tree;

use darkroom::report::{info, intact, repaired, unrepaired};
use darkroom::{
    About, Description, Parameter, Repairer, Step, component, inputs, machine, shell, write_bytes,
};
use devices::Facts;
use item::{ITEMS, Item, NAMES};
use judgement::{Change, Judgement};
use tree::{File, Tree};

struct Linux;

impl About for Linux {
    fn describe() -> Description {
        Description::new("Repairs what keeps a Linux image from starting in the cloud")
            .parameter(
                Parameter::text("mode", "Which items, where `items` names none")
                    .one_of(["standard", "all"])
                    .default("standard"),
            )
            .parameter(
                Parameter::texts("items", "What is looked at, and nothing else").one_of(NAMES),
            )
            .family("linux")
    }
}

impl Repairer for Linux {
    fn repair() -> Result<(), String> {
        let items = items();
        let devices = shell("look at devices and mounts", include_str!("look.sh"))
            .environment("ROOT", root());
        let files = look("look at files and kernels");
        let facts = Facts::read(&String::from_utf8_lossy(&devices.read_all()));
        let tree = Tree::read(&files.read_all(), machine::root() == "/");
        if inputs::texts("items").is_empty() {
            for (name, value) in system::statements(&tree, &machine::architecture()) {
                info(format!("{name}: {value}"));
            }
        }
        let (judged, passed_over): (Vec<Item>, Vec<Item>) =
            items.iter().partition(|item| applies(**item, &tree));
        if !passed_over.is_empty() {
            let names: Vec<_> = passed_over.iter().map(|item| item.vendor).collect();
            info(format!(
                "a container has no kernel of its own, so these were not judged: {}",
                names.join(", ")
            ));
        }
        let judgements: Vec<_> = judged
            .into_iter()
            .map(|item| (item, judge(item, &tree, &facts)))
            .collect();
        // All steps are declared before the first of them is asked about.
        let attempts: Vec<_> = judgements
            .iter()
            .map(|(_, judgement)| change(judgement))
            .collect();
        let results: Vec<_> = attempts.iter().map(|steps| failure(steps)).collect();
        let again = attempts
            .iter()
            .any(|steps| !steps.is_empty())
            .then(|| look("look again"))
            .map(|look| Tree::read(&look.read_all(), machine::root() == "/"));
        for (((item, judgement), failed), steps) in judgements.iter().zip(results).zip(&attempts) {
            let failed = failed.or_else(|| {
                let now = judge(*item, again.as_ref().filter(|_| !steps.is_empty())?, &facts);
                (!now.repaired.is_empty()).then(|| "what was done did not help".to_owned())
            });
            report(*item, judgement, failed);
        }
        Ok(())
    }
}

/// The items that are asked for.
fn items() -> Vec<Item> {
    let named = inputs::texts("items");
    let all = inputs::text("mode").as_deref() == Some("all");
    let wanted = |item: &Item| {
        if named.is_empty() {
            item.standard || all
        } else {
            named.iter().any(|name| name == item.name)
        }
    };
    ITEMS.into_iter().filter(wanted).collect()
}

/// The root without a slash at its end; empty for this machine's own.
fn root() -> String {
    machine::root().trim_end_matches('/').to_owned()
}

fn look(name: &str) -> Step {
    shell(name, include_str!("files.sh"))
        .environment("ROOT", root())
        .timeout(900)
}

/// Whether an item can be judged on what was found.
fn applies(item: Item, tree: &Tree) -> bool {
    match item.name {
        "virtio" | "nvme" | "system-image" | "assist" | "moc" | "aegis" => !tree.is_container(),
        "cloudinit" | "growpart" => !tree.is_container() || tree.has(&["/usr/bin/cloud-init"]),
        _ => true,
    }
}

fn judge(item: Item, tree: &Tree, facts: &Facts) -> Judgement {
    match item.name {
        "fstab" => fstab::judge(tree, facts, &machine::root()),
        "grub" => grub::judge(tree, facts, &machine::root()),
        "dhcp" => dhcp::judge(tree),
        "virtio" => drivers::virtio(tree),
        "nvme" => drivers::nvme(tree),
        "system-image" => system::image(tree),
        "cloudinit" => cloud_init::cloud_init(tree),
        "growpart" => cloud_init::growpart(tree),
        "assist" => agents::assist(tree),
        "rtc" => settings::clock(tree),
        "moc" => system::moc(tree),
        "selinux" => settings::selinux(tree),
        _ => agents::aegis(tree),
    }
}

/// Declares the steps of a judgement; gives those that can fail without ending the repair.
fn change(judgement: &Judgement) -> Vec<Step> {
    let mut attempts = Vec::new();
    for change in &judgement.changes {
        match change {
            Change::Write { path, file } => write(path, file),
            Change::Remove(path) => {
                shell(name("remove", path), r#"rm -f -- "$FILE""#)
                    .environment("FILE", machine::path(path));
            }
            Change::Link { path, target } => {
                shell(
                    name("enable", path),
                    r#"mkdir -p -- "${FILE%/*}" && ln -s -f -- "$TARGET" "$FILE""#,
                )
                .environment("FILE", machine::path(path))
                .environment("TARGET", target);
            }
            Change::Install(packages) => attempts.push(
                shell(
                    name("install", &packages.join(", ")),
                    include_str!("install.sh"),
                )
                .arguments(*packages)
                .timeout(600)
                .tolerate(),
            ),
            Change::Drivers {
                version,
                initramfs,
                names,
            } => attempts.push(
                shell(
                    name("put drivers into", initramfs),
                    include_str!("initramfs.sh"),
                )
                .environment("ROOT", root())
                .environment("VERSION", version)
                .environment("INITRAMFS", initramfs)
                .arguments(names)
                .timeout(900)
                .tolerate(),
            ),
        }
    }
    attempts
}

fn write(path: &str, file: &File) {
    let step = write_bytes(name("repair", path), machine::path(path), &file.bytes).mode(file.mode);
    // Without names in the machine's own files, root is right and the default.
    if !file.owner.contains("UNKNOWN") {
        step.owner(&file.owner);
    }
}

/// A step's name, which has at most 100 characters.
fn name(verb: &str, what: &str) -> String {
    format!("{verb} {what}").chars().take(100).collect()
}

/// Why the first of the attempts failed that did.
fn failure(attempts: &[Step]) -> Option<String> {
    let failed = attempts.iter().find(|step| !step.succeeded())?;
    let output = failed.output();
    let last = output.trim().lines().next_back();
    Some(last.unwrap_or("it was stopped before its end").to_owned())
}

fn report(item: Item, judgement: &Judgement, failed: Option<String>) {
    let mut wrong = judgement.unrepaired.clone();
    match failed {
        Some(why) => wrong.push(format!("{}: {why}", judgement.repaired.join("; "))),
        None if !judgement.repaired.is_empty() => {
            repaired(item.vendor, judgement.repaired.join("; "));
        }
        None => {}
    }
    if !wrong.is_empty() {
        unrepaired(item.vendor, item.risk, wrong.join("; "));
    } else if judgement.repaired.is_empty() {
        intact(item.vendor);
    }
}

component!(Linux: repairer);

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
