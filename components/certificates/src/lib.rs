//! The component `certificates`: makes a machine trust certificate authorities, or no
//! longer.
//!
//! A builder. It puts each certificate where the family of the distribution wants it
//! (Debian, Red Hat, SUSE and Alpine) and lets the family's own tool make the bundles. It
//! must not touch the bundles itself, nor certificates that it has not brought.

use darkroom::{About, Builder, Description, Parameter, component, inputs};

struct Certificates;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

impl About for Certificates {
    fn describe() -> Description {
        Description::new("Makes a machine trust certificate authorities")
            .parameter(Parameter::map(
                "trust",
                "Names with certificates in PEM, one each; the name becomes that of the file",
            ))
            .parameter(
                Parameter::texts("remove", "Names of certificates that are no longer trusted")
                    .pattern("^[A-Za-z0-9_][A-Za-z0-9_.-]*$"),
            )
            .family("linux")
    }
}

impl Builder for Certificates {
    fn build() -> Result<(), String> {
        let (trust, remove) = (inputs::map("trust"), inputs::texts("remove"));
        if trust.is_empty() && remove.is_empty() {
            return Err("give `trust` or `remove`: there is nothing to do".to_owned());
        }
        let mut steps = Vec::new();
        for (name, pem) in &trust {
            if remove.contains(name) {
                return Err(format!("{name} stands in `trust` and in `remove`"));
            }
            let pem = one_certificate(name, pem)?;
            let step = script(change::named("trust", name), "trust\n");
            steps.push(step.environment("NAME", name).environment("PEM", pem));
        }
        for name in &remove {
            let step = script(change::named("trust no longer", name), "distrust\n");
            steps.push(step.environment("NAME", name));
        }
        change::of(&steps);
        Ok(())
    }
}

fn script(name: String, body: &str) -> darkroom::Step {
    let functions = include_str!("trust.sh");
    change::script(name, &format!("{}{functions}{body}", change::FAMILY)).timeout(300)
}

/// The certificate with the line ends of this world. Tools take one a file, and skip all
/// others with a warning that nobody reads.
fn one_certificate(name: &str, pem: &str) -> Result<String, String> {
    let is_name = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if !is_name {
        return Err(format!(
            "{name:?} can't be the name of a file: take letters, digits, `_`, `.` and `-`"
        ));
    }
    let pem = pem.replace("\r\n", "\n");
    if pem.contains("PRIVATE KEY-----") {
        return Err(format!(
            "{name} holds a private key, which must not be in an image"
        ));
    }
    match (pem.matches(BEGIN).count(), pem.matches(END).count()) {
        (1, 1) => Ok(format!("{}\n", pem.trim())),
        (0, _) => Err(format!(
            "{name} is no certificate in PEM: it has no line {BEGIN}"
        )),
        _ => Err(format!(
            "{name} holds several certificates: give each its own name"
        )),
    }
}

component!(Certificates: builder);

#[cfg(test)]
mod tests;
