//! The component `generalize`: takes out of a machine what must not be in an image.
//!
//! A builder that the engine runs last: SSH host keys, the machine id, logs and journal,
//! histories, temporary files, package caches, state of cloud-init, leases and seeds. It
//! must leave an image that boots and whose services start, and touches nothing that a
//! template may have put there on purpose, such as authorized keys or a host name. The
//! host's own receipts are the host's to remove.

use darkroom::{About, Builder, Description, component, machine, shell};

struct Generalize;

impl About for Generalize {
    fn describe() -> Description {
        Description::new("Takes out of a machine what must not be in an image").family("linux")
    }
}

impl Builder for Generalize {
    fn build() -> Result<(), String> {
        shell("generalize the machine", include_str!("generalize.sh"))
            .environment("ROOT", machine::root().trim_end_matches('/'));
        Ok(())
    }
}

component!(Generalize: builder);

#[cfg(test)]
mod tests;
