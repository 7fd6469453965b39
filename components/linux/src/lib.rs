//! The component `linux`: repairs what keeps a Linux image from starting in the cloud.
//!
//! A repairer. It looks first and writes only what it must: a machine that is in order
//! sees no write at all. Everything is below `machine::root`, so that the disk of a machine
//! that can't boot is repaired from another one. Items have the names of Alibaba Cloud's
//! own image check. `devices` reads what the machine says, `fstab` judges.

mod devices;
mod fstab;

use darkroom::report::{Risk, intact, repaired, unrepaired};
use darkroom::{
    About, Description, Parameter, Repairer, component, inputs, machine, shell, write_bytes,
};
use devices::{Facts, Fstab};

struct Linux;

/// The items by the names that a template gives them.
const ITEMS: [&str; 1] = ["fstab"];

/// The item's name in the vendor's image check.
const FSTAB: &str = "GUESTOS.Fstab";

impl About for Linux {
    fn describe() -> Description {
        Description::new("Repairs what keeps a Linux image from starting in the cloud")
            .parameter(
                Parameter::text("mode", "Which items, where `items` names none")
                    .one_of(["standard", "all"])
                    .default("standard"),
            )
            .parameter(
                Parameter::texts("items", "What is looked at, and nothing else").one_of(ITEMS),
            )
            .family("linux")
    }
}

impl Repairer for Linux {
    fn repair() -> Result<(), String> {
        // Both modes hold all items that there are: none is for `all` only.
        let named = inputs::texts("items");
        if named.is_empty() || named.iter().any(|item| item == "fstab") {
            repair_fstab();
        }
        Ok(())
    }
}

fn repair_fstab() {
    let root = machine::root();
    let path = machine::path("/etc/fstab");
    let text = shell(
        "read /etc/fstab",
        r#"if [ -f "$FSTAB" ]; then cat -- "$FSTAB"; fi"#,
    )
    .environment("FSTAB", &path);
    let look = shell("look at devices and mounts", include_str!("look.sh"))
        .environment("ROOT", root.trim_end_matches('/'));
    let facts = Facts::read(&String::from_utf8_lossy(&look.read_all()));
    let (mode, owner) = match &facts.fstab {
        None => return intact(FSTAB),
        Some(Fstab::Link) => {
            return unrepaired(
                FSTAB,
                Risk::Low,
                "/etc/fstab is a symbolic link, which was not followed",
            );
        }
        Some(Fstab::File { mode, owner }) => (*mode, owner),
    };
    let judgement = fstab::judge(&text.read_all(), &facts, root == "/", &root);
    if let Some(text) = judgement.text {
        let step = write_bytes("repair /etc/fstab", path, text).mode(mode);
        // Without names in the machine's own files, root is right and the default.
        if !owner.contains("UNKNOWN") {
            step.owner(owner);
        }
    }
    if !judgement.repaired.is_empty() {
        repaired(FSTAB, judgement.repaired.join("; "));
    } else if judgement.unrepaired.is_empty() {
        intact(FSTAB);
    }
    if !judgement.unrepaired.is_empty() {
        unrepaired(FSTAB, Risk::High, judgement.unrepaired.join("; "));
    }
}

component!(Linux: repairer);

#[cfg(test)]
mod tests;
