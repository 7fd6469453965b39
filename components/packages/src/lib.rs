//! The component `packages`: installs, removes and upgrades packages, and tests that
//! they are there.
//!
//! A builder and a tester for machines with apt. It must not guess at other package
//! managers: a machine that it can't serve is refused before anything is done.
//!
//! The scripts stand beside this file. Names of packages travel by environment, one a
//! line, so that none can become a part of a script.

use darkroom::{
    About, Builder, Description, Parameter, Step, Tester, component, inputs, machine, report, shell,
};

struct Packages;

/// Distributions with apt; an unknown one is left to the script to find out.
const APT: [&str; 3] = ["debian", "ubuntu", ""];

/// A name, then perhaps `:architecture`, `=version` or `/release`. A name can't end in
/// `-` or begin with an option's dash: apt would take either as an order.
const PACKAGE: &str =
    r"^[a-z0-9][a-z0-9+.-]*[a-z0-9+.](:[a-z0-9-]+)?(=[A-Za-z0-9.+:~-]+|/[A-Za-z0-9.+-]+)?$";

impl About for Packages {
    fn describe() -> Description {
        let packages = |name, about| Parameter::texts(name, about).pattern(PACKAGE);
        Description::new("Installs, removes and upgrades packages (Debian and Ubuntu)")
            .parameter(packages(
                "install",
                "Packages that must be there; name=version pins one",
            ))
            .parameter(packages(
                "remove",
                "Packages that must not be there, nor their configuration",
            ))
            .parameter(Parameter::flag("upgrade", "Upgrade all packages first").default(false))
            .parameter(
                Parameter::flag("recommends", "Install recommended packages too").default(true),
            )
            .volatile()
            .internet()
            .family("linux")
    }
}

impl Builder for Packages {
    fn build() -> Result<(), String> {
        refuse_others()?;
        let (install, remove) = (inputs::texts("install"), inputs::texts("remove"));
        let upgrade = inputs::flag("upgrade") == Some(true);
        if upgrade {
            apt("upgrade all packages", include_str!("upgrade.sh"), &[])
                .timeout(3600)
                .attempts(3);
        }
        if !remove.is_empty() {
            apt(named("remove", &remove), include_str!("remove.sh"), &remove)
                .timeout(1800)
                .attempts(3);
        }
        if !install.is_empty() {
            apt(
                named("install", &install),
                include_str!("install.sh"),
                &install,
            )
            .timeout(1800)
            .attempts(3);
        }
        if !upgrade && remove.is_empty() && install.is_empty() {
            report::warning("nothing to do: neither `install` nor `remove` names a package");
        }
        Ok(())
    }
}

impl Tester for Packages {
    fn test() -> Result<(), String> {
        refuse_others()?;
        let (install, remove) = (inputs::texts("install"), inputs::texts("remove"));
        if install.is_empty() && remove.is_empty() {
            report::skipped("packages", "neither `install` nor `remove` names a package");
            return Ok(());
        }
        let all: Vec<_> = install.iter().chain(&remove).cloned().collect();
        let look = apt("look at the packages", include_str!("look.sh"), &all).tolerate();
        if !look.succeeded() {
            return Err(format!(
                "the packages could not be looked at: {}",
                look.output().trim()
            ));
        }
        let bytes = look.read_all();
        let output = String::from_utf8_lossy(&bytes);
        let present = |package: &str| {
            output
                .lines()
                .any(|line| line.strip_prefix("yes ") == Some(package))
        };
        for package in &install {
            tell(
                format!("{package} is installed"),
                present(package),
                "it is not",
            );
        }
        for package in &remove {
            tell(
                format!("{package} is not installed"),
                !present(package),
                "it is",
            );
        }
        Ok(())
    }
}

fn tell(case: String, holds: bool, otherwise: &str) {
    if holds {
        report::passed(case);
    } else {
        report::failed(case, otherwise);
    }
}

fn refuse_others() -> Result<(), String> {
    let distribution = machine::distribution();
    if APT.contains(&&*distribution) {
        return Ok(());
    }
    Err(format!(
        "the component `packages` works with apt, on Debian and Ubuntu; this machine is \
         {distribution}. Use the component `shell` with its own package manager."
    ))
}

/// A step with the shared functions, the packages in its environment.
fn apt(name: impl AsRef<str>, script: &str, packages: &[String]) -> Step {
    let root = machine::root();
    let recommends = inputs::flag("recommends") != Some(false);
    shell(name, format!("{}{script}", include_str!("apt.sh")))
        .environment("ROOT", root.trim_end_matches('/'))
        .environment("RECOMMENDS", if recommends { "true" } else { "false" })
        .environment("PACKAGES", packages.join("\n"))
}

/// The name of a step: the verb and as many packages as fit.
fn named(verb: &str, packages: &[String]) -> String {
    let all = format!("{verb} {}", packages.join(", "));
    if all.chars().count() <= 100 {
        all
    } else {
        format!("{verb} {} packages", packages.len())
    }
}

component!(Packages: builder, tester);

#[cfg(test)]
mod tests;
