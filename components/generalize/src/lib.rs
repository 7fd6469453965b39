//! The component `generalize`: takes out of a machine what must not be in an image.
//!
//! A builder that the engine runs last: SSH host keys, the machine id, logs and journal,
//! histories, temporary files, package caches, state of cloud-init, leases and seeds. It
//! must leave an image that boots and whose services start, and touches nothing that a
//! template may have put there on purpose, such as authorized keys or a host name, unless
//! it is told to. The host's own receipts are the host's to remove.

use darkroom::{About, Builder, Description, Parameter, component, inputs};

struct Generalize;

impl About for Generalize {
    fn describe() -> Description {
        Description::new("Takes out of a machine what must not be in an image")
            .parameter(
                Parameter::flag(
                    "authorized-keys",
                    "Take away the authorized keys of root and of everybody in /home",
                )
                .default(false),
            )
            .parameter(Parameter::flag("keep-logs", "Leave logs and journal").default(false))
            .parameter(
                Parameter::flag(
                    "remove-agent",
                    "Take away the Cloud Assistant agent, which goes on until the machine stops",
                )
                .default(false),
            )
            .parameter(
                Parameter::flag("trim", "Tell the disks which of their blocks are free")
                    .default(true),
            )
            .family("linux")
    }
}

impl Builder for Generalize {
    fn build() -> Result<(), String> {
        let told = |name: &str, default: bool| {
            if inputs::flag(name).unwrap_or(default) {
                "yes"
            } else {
                "no"
            }
        };
        let step = change::script("generalize the machine", include_str!("generalize.sh"))
            .environment("KEYS_UNIT", include_str!("darkroom-ssh-keys.service"))
            .environment("AUTHORIZED_KEYS", told("authorized-keys", false))
            .environment("KEEP_LOGS", told("keep-logs", false))
            .environment("REMOVE_AGENT", told("remove-agent", false))
            .environment("TRIM", told("trim", true))
            .timeout(1800);
        change::of(&[step]);
        Ok(())
    }
}

component!(Generalize: builder);

#[cfg(test)]
mod tests;
