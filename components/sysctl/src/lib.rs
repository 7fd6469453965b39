//! The component `sysctl`: sets parameters of the kernel, at every boot and at once.
//!
//! A builder. All settings of one use stand in one file below `/etc/sysctl.d`; they are
//! also set in the running kernel where it lets them. That it does not is no error: an
//! instance may share its kernel, and the file counts at the next boot.

use darkroom::{About, Builder, Description, Parameter, component, inputs};

struct Sysctl;

/// Where the settings of a key stand that nobody can have meant.
const BAD_KEYS: [&str; 3] = ["..", "//", "./"];

impl About for Sysctl {
    fn describe() -> Description {
        Description::new("Sets parameters of the kernel, at every boot and at once")
            .parameter(
                Parameter::scalars(
                    "settings",
                    "Names as of sysctl(8), `net.ipv4.ip_forward`, and what they are set to; \
                     none at all removes the file",
                )
                .required()
                .pattern("^[^\\n\\r]*$"),
            )
            .parameter(
                Parameter::text(
                    "name",
                    "The file's name below /etc/sysctl.d, without `.conf`; a later name wins",
                )
                .default("90-darkroom")
                .pattern("^[A-Za-z0-9_][A-Za-z0-9_.-]*$"),
            )
            .parameter(
                Parameter::flag(
                    "apply",
                    "Set them in the running kernel too, where it lets them",
                )
                .default(true),
            )
            .family("linux")
    }
}

impl Builder for Sysctl {
    fn build() -> Result<(), String> {
        let name = inputs::text("name").unwrap_or_else(|| "90-darkroom".to_owned());
        let mut settings = inputs::map("settings");
        settings.sort();
        if let Some((key, _)) = settings.iter().find(|(key, _)| !is_key(key)) {
            return Err(format!(
                "{key:?} is no name of a kernel parameter; one is `vm.swappiness`"
            ));
        }
        if let Some((key, _)) = settings
            .iter()
            .find(|(_, value)| value.contains(['\n', '\r']))
        {
            return Err(format!("the value of {key} has more than one line"));
        }
        let lines = settings
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"));
        let pairs: Vec<_> = settings
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let apply = inputs::flag("apply") != Some(false);
        let step = change::script(
            change::named("set", &keys(&settings)),
            include_str!("set.sh"),
        )
        .environment("FILE", format!("/etc/sysctl.d/{name}.conf"))
        .environment("TEXT", lines.collect::<String>())
        .environment(
            "SETTINGS",
            if apply {
                pairs.join("\n")
            } else {
                String::new()
            },
        );
        change::of(&[step]);
        Ok(())
    }
}

/// Whether it can be the name of a parameter, with dots or slashes in it.
fn is_key(key: &str) -> bool {
    key.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-./:@".contains(c))
        && !BAD_KEYS.iter().any(|bad| key.contains(bad))
}

fn keys(settings: &[(String, String)]) -> String {
    if settings.is_empty() {
        return "no kernel parameters".to_owned();
    }
    let keys: Vec<_> = settings.iter().map(|(key, _)| &**key).collect();
    keys.join(", ")
}

component!(Sysctl: builder);

#[cfg(test)]
mod tests;
