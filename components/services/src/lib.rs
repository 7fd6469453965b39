//! The component `services`: enables, disables, masks, starts and stops services, and
//! brings unit files and drop-ins.
//!
//! A builder for systemd and `OpenRC`, and a tester. Whether a service runs is nothing that
//! an image holds: `start` is for what later steps of the same build need. So the tester
//! asks of what is enabled only that it has not failed after the boot, and of what was
//! started or stopped nothing. It starts nothing.

use darkroom::{
    About, Builder, Description, Parameter, Step, Tester, component, inputs, report, shell,
};

struct Services;

/// The name of a unit or of a service of `OpenRC`.
const UNIT: &str = r"^[A-Za-z0-9_][A-Za-z0-9:_.@\\-]*$";

/// What a unit file can be.
const KINDS: [&str; 9] = [
    "service",
    "socket",
    "timer",
    "target",
    "path",
    "mount",
    "automount",
    "slice",
    "swap",
];

impl About for Services {
    fn describe() -> Description {
        let services = |name, about| Parameter::texts(name, about).pattern(UNIT);
        Description::new("Enables, disables, masks, starts and stops services")
            .parameter(
                Parameter::map(
                    "units",
                    "Names of unit files with their text, such as `app.service`; left out where \
                 systemd is not",
                )
                .secret(),
            )
            .parameter(
                Parameter::map(
                    "drop-ins",
                    "Drop-ins with their text, named `nginx.service/limits.conf`; left out where \
                 systemd is not",
                )
                .secret(),
            )
            .parameter(
                Parameter::map(
                    "init-scripts",
                    "Names of OpenRC scripts with their text; left out where OpenRC is not",
                )
                .secret(),
            )
            .parameter(services("unmask", "Services that are no longer masked"))
            .parameter(services("enable", "Services that start at every boot"))
            .parameter(services("disable", "Services that do not start at a boot"))
            .parameter(services("stop", "Services that do not run from now on"))
            .parameter(services(
                "mask",
                "Services that nothing can start (systemd only)",
            ))
            .parameter(services("start", "Services that run from now on"))
            .parameter(services(
                "restart",
                "Services that are restarted, every time; that is no change of the image",
            ))
            .parameter(
                Parameter::integer("wait", "When testing: seconds until a service has come up")
                    .default(60)
                    .minimum(0)
                    .maximum(3600),
            )
            .family("linux")
    }
}

impl Builder for Services {
    fn build() -> Result<(), String> {
        let mut steps = Vec::new();
        for (name, text) in inputs::map("units") {
            if !is_unit_file(&name) {
                return Err(format!(
                    "{name:?} is no name of a unit file; one ends in .{}",
                    KINDS.join(", .")
                ));
            }
            steps.push(file(
                "systemd",
                &format!("/etc/systemd/system/{name}"),
                text,
                "0644",
            ));
        }
        for (name, text) in inputs::map("drop-ins") {
            let place = name
                .split_once('/')
                .filter(|(unit, file)| is_unit_file(unit) && is_drop_in(file))
                .map(|(unit, file)| format!("/etc/systemd/system/{unit}.d/{file}"));
            let Some(place) = place else {
                return Err(format!(
                    "{name:?} is no name of a drop-in; one is nginx.service/limits.conf"
                ));
            };
            steps.push(file("systemd", &place, text, "0644"));
        }
        for (name, text) in inputs::map("init-scripts") {
            if !is_name(&name) {
                return Err(format!("{name:?} is no name of an OpenRC script"));
            }
            steps.push(file("openrc", &format!("/etc/init.d/{name}"), text, "0755"));
        }
        let lists = [
            "unmask", "enable", "disable", "stop", "mask", "start", "restart",
        ];
        let asked: Vec<_> = lists
            .iter()
            .filter(|list| !inputs::texts(list).is_empty())
            .collect();
        if asked.is_empty() && steps.is_empty() {
            return Err("there is nothing to do: give a list of services".to_owned());
        }
        let words: Vec<_> = asked.iter().map(|list| **list).collect();
        let subject = if words.is_empty() {
            "read the unit files".to_owned()
        } else {
            format!("{} services", words.join(", "))
        };
        let body = format!("{}{}", include_str!("init.sh"), include_str!("set.sh"));
        let set = lists
            .iter()
            .fold(change::script(subject, &body), |step, list| {
                step.environment(list.to_uppercase(), inputs::texts(list).join("\n"))
            });
        steps.push(set.timeout(1200));
        change::of(&steps);
        Ok(())
    }
}

impl Tester for Services {
    fn test() -> Result<(), String> {
        let wait = inputs::integer("wait").unwrap_or(60);
        let limit = u32::try_from(wait).unwrap_or(60) + 60;
        let mut cases = 0;
        for (list, what) in [
            ("enable", "is enabled"),
            ("enable", "has not failed"),
            ("disable", "is not enabled"),
            ("mask", "is masked"),
        ] {
            for name in inputs::texts(list) {
                let _: Step = shell(
                    change::named(&name, what),
                    format!("{}{}", include_str!("init.sh"), include_str!("test.sh")),
                )
                .environment("UNIT", name)
                .environment("CASE", what)
                .environment("WAIT", wait.to_string())
                .timeout(limit);
                cases += 1;
            }
        }
        if cases == 0 {
            report::skipped("services", "none is to be enabled, disabled or masked");
        }
        Ok(())
    }
}

/// A step that writes a file of one init system, and nothing where another one is.
fn file(init: &str, path: &str, text: String, mode: &str) -> Step {
    let body = format!(
        "{}if [ \"$(init)\" = \"$INIT\" ]; then\n    put \"$ROOT$FILE\" \"$TEXT\" \"$MODE\"\nelse\n    \
         echo \"left out: this machine has no $INIT\"\nfi\n",
        include_str!("init.sh")
    );
    change::script(change::named("write", path), &body)
        .environment("INIT", init)
        .environment("FILE", path)
        .environment("TEXT", with_end(text))
        .environment("MODE", mode)
}

/// A text file ends with a line end.
fn with_end(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ":_.@\\-".contains(c))
}

fn is_unit_file(name: &str) -> bool {
    is_name(name)
        && name
            .rsplit_once('.')
            .is_some_and(|(_, kind)| KINDS.contains(&kind))
}

fn is_drop_in(file: &str) -> bool {
    is_name(file)
        && file
            .rsplit_once('.')
            .is_some_and(|(_, kind)| kind == "conf")
}

component!(Services: builder, tester);

#[cfg(test)]
mod tests;
