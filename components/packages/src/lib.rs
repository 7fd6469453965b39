//! The component `packages`: sets repositories up, installs, removes, upgrades and holds
//! packages, and tests that they are as they should be.
//!
//! A builder and a tester for apt, dnf, yum, zypper and apk. Which one serves a machine is
//! decided there, by its own os-release, in every script: the record of the source image
//! may be wrong, and a plan shows all steps. It must not guess: a machine of another
//! family is an error that says what it is.
//!
//! The scripts stand beside this file. Names of packages travel by environment, one a
//! line, so that none can become a part of a script.

use darkroom::{About, Builder, Description, Parameter, Step, Tester, component, inputs, report};

mod repository;

use repository::Repository;

struct Packages;

/// A name, then perhaps `:architecture`, `=version` or `/release`. A name can't end in
/// `-` or begin with an option's dash: apt would take either as an order.
const PACKAGE: &str = r"^[A-Za-z0-9]([A-Za-z0-9+._-]*[A-Za-z0-9+._])?(:[a-z0-9_-]+)?(=[A-Za-z0-9.+:~^_-]+|/[A-Za-z0-9.+-]+)?$";

/// The name alone.
const NAME: &str = r"^[A-Za-z0-9]([A-Za-z0-9+._-]*[A-Za-z0-9+._])?$";

/// What every script needs, whatever manager the machine turns out to have.
const MANAGERS: [&str; 6] = [
    include_str!("manager/choose.sh"),
    include_str!("manager/apt.sh"),
    include_str!("manager/rpm.sh"),
    include_str!("manager/dnf.sh"),
    include_str!("manager/zypper.sh"),
    include_str!("manager/apk.sh"),
];

impl About for Packages {
    fn describe() -> Description {
        let packages = |name, about| Parameter::texts(name, about).pattern(PACKAGE);
        let names = |name, about| Parameter::texts(name, about).pattern(NAME);
        Description::new(
            "Installs, removes, upgrades and holds packages (apt, dnf, yum, zypper, apk)",
        )
        .parameter(packages(
            "install",
            "Packages that must be there; name=version pins one, also to an older version",
        ))
        .parameter(packages(
            "remove",
            "Packages that must not be there, nor (with apt) their configuration",
        ))
        .parameter(Parameter::flag("upgrade", "Upgrade all packages first").default(false))
        .parameter(names(
            "hold",
            "Packages that stay in the version that is installed by then, whatever is \
                 upgraded later",
        ))
        .parameter(names("unhold", "Packages that are held no longer"))
        .parameter(Parameter::flag("recommends", "Install recommended packages too").default(true))
        .parameter(Repository::parameter())
        .parameter(
            Parameter::texts(
                "remove-repositories",
                "Names of repositories that are taken away, with their keys",
            )
            .pattern(repository::NAME),
        )
        .volatile()
        .internet()
        .family("linux")
    }
}

impl Builder for Packages {
    fn build() -> Result<(), String> {
        let (install, remove) = (inputs::texts("install"), inputs::texts("remove"));
        let (hold, unhold) = (inputs::texts("hold"), inputs::texts("unhold"));
        refuse_both("install", &install, "remove", &remove)?;
        refuse_both("hold", &hold, "remove", &remove)?;
        refuse_both("hold", &hold, "unhold", &unhold)?;
        let upgrade = inputs::flag("upgrade") == Some(true);
        let moved = |package: &&String| {
            let name = package.split('=').next().unwrap_or_default();
            package.contains('=') && !hold.iter().any(|held| held == name)
        };
        if let Some(package) = install.iter().find(moved).filter(|_| upgrade) {
            return Err(format!(
                "`upgrade` would move {package} from its version: name it in `hold` too"
            ));
        }
        let repositories = Repository::all()?;
        let mut steps = Vec::new();
        for name in inputs::texts("remove-repositories") {
            if repositories
                .iter()
                .any(|repository| repository.name == name)
            {
                return Err(format!(
                    "{name} stands in `repositories` and in `remove-repositories`"
                ));
            }
            let step = script(
                change::named("take away the repository", &name),
                "\"${manager}_forget\" \"$REPOSITORY_NAME\"\n",
            );
            steps.push(step.environment("REPOSITORY_NAME", name));
        }
        for repository in &repositories {
            let name = change::named("set up the repository", &repository.name);
            steps.push(repository.tell(script(name, "\"${manager}_repository\"\n")));
        }
        if !unhold.is_empty() {
            let step = script(named("hold no longer", &unhold), include_str!("hold.sh"));
            steps.push(
                step.environment("HOLD", "")
                    .environment("UNHOLD", unhold.join("\n")),
            );
        }
        if upgrade {
            let step = script(
                "upgrade all packages".to_owned(),
                include_str!("upgrade.sh"),
            );
            steps.push(step.timeout(3600));
        }
        if !remove.is_empty() {
            let step = script(named("remove", &remove), include_str!("remove.sh"));
            steps.push(
                step.environment("PACKAGES", remove.join("\n"))
                    .timeout(1800),
            );
        }
        if !install.is_empty() {
            let step = script(named("install", &install), include_str!("install.sh"));
            steps.push(
                step.environment("PACKAGES", install.join("\n"))
                    .timeout(3600),
            );
        }
        if !hold.is_empty() {
            let step = script(named("hold", &hold), include_str!("hold.sh"));
            steps.push(
                step.environment("HOLD", hold.join("\n"))
                    .environment("UNHOLD", ""),
            );
        }
        if steps.is_empty() {
            report::warning("nothing to do: neither packages nor repositories are named");
        }
        change::of(&steps);
        Ok(())
    }
}

impl Tester for Packages {
    fn test() -> Result<(), String> {
        let (install, remove) = (inputs::texts("install"), inputs::texts("remove"));
        let hold = inputs::texts("hold");
        if install.is_empty() && remove.is_empty() && hold.is_empty() {
            report::skipped("packages", "none is to be there, away or held");
            return Ok(());
        }
        let all: Vec<_> = install.iter().chain(&remove).cloned().collect();
        let look = change::look("look at the packages", &body(include_str!("look.sh")))
            .environment("PACKAGES", all.join("\n"))
            .environment("HOLD", hold.join("\n"))
            .tolerate();
        if !look.succeeded() {
            return Err(format!(
                "the packages could not be looked at: {}",
                look.output().trim()
            ));
        }
        let bytes = look.read_all();
        let output = String::from_utf8_lossy(&bytes);
        let said = |word: &str, package: &str| {
            let line = format!("{word} {package}");
            output.lines().any(|one| one == line)
        };
        for package in &install {
            let case = match package.split_once('=') {
                Some((name, version)) => format!("{name} is installed in version {version}"),
                None => format!("{package} is installed"),
            };
            tell(case, said("yes", package), "it is not");
        }
        for package in &remove {
            tell(
                format!("{package} is not installed"),
                !said("yes", package),
                "it is",
            );
        }
        for package in &hold {
            tell(
                format!("{package} is held"),
                said("held", package),
                "it is not",
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

fn refuse_both(one: &str, left: &[String], other: &str, right: &[String]) -> Result<(), String> {
    let name = |package: &String| package.split(['=', '/']).next().map(str::to_owned);
    match left
        .iter()
        .find(|left| right.iter().any(|right| name(left) == name(right)))
    {
        Some(package) => Err(format!("{package} stands in `{one}` and in `{other}`")),
        None => Ok(()),
    }
}

/// A script with the functions of all managers before its body.
fn body(script: &str) -> String {
    format!("{}{}{script}", change::FAMILY, MANAGERS.concat())
}

/// A step with these functions.
fn script(name: String, script: &str) -> Step {
    let recommends = inputs::flag("recommends") != Some(false);
    change::script(name, &body(script))
        .environment("RECOMMENDS", if recommends { "true" } else { "false" })
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
