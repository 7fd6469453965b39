//! The component `hostname-timezone-locale`: sets host name, time zone and locale.
//!
//! A builder; each of the three is set where it is given. It writes the files that count
//! at boot and does not ask `hostnamectl` and its like, which want a bus. It installs
//! nothing: a time zone or a locale that the machine does not have is an error that
//! names the package.

use darkroom::{About, Builder, Description, Parameter, component, inputs};

struct HostnameTimezoneLocale;

impl About for HostnameTimezoneLocale {
    fn describe() -> Description {
        Description::new("Sets host name, time zone and locale")
            .parameter(
                Parameter::text(
                    "hostname",
                    "The host name, perhaps with its domain; instances of the image have it \
                     unless the cloud names them",
                )
                .pattern("^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$")
                .keyword("maxLength", 64),
            )
            .parameter(
                Parameter::flag(
                    "keep-hostname",
                    "Tell cloud-init, where it is, to leave the host name alone; without it \
                     every instance gets its own name from the cloud",
                )
                .default(false),
            )
            .parameter(
                Parameter::text("timezone", "The time zone, such as Asia/Shanghai or UTC")
                    .pattern("^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$"),
            )
            .parameter(
                Parameter::text("locale", "The locale of the system, such as en_US.UTF-8")
                    .pattern("^[A-Za-z0-9_]+(\\.[A-Za-z0-9-]+)?(@[A-Za-z0-9]+)?$"),
            )
            .parameter(
                Parameter::texts(
                    "locales",
                    "More locales that are made on Debian and Ubuntu",
                )
                .pattern("^[A-Za-z0-9_]+(\\.[A-Za-z0-9-]+)?(@[A-Za-z0-9]+)?$"),
            )
            .family("linux")
    }
}

impl Builder for HostnameTimezoneLocale {
    fn build() -> Result<(), String> {
        let mut steps = Vec::new();
        if let Some(hostname) = inputs::text("hostname") {
            let keep = inputs::flag("keep-hostname") == Some(true);
            let name = change::named("set the host name", &hostname);
            let step = change::script(name, include_str!("hostname.sh"));
            let step = step.environment("NAME", hostname);
            steps.push(step.environment("KEEP", if keep { "yes" } else { "no" }));
        }
        if let Some(timezone) = inputs::text("timezone") {
            let name = change::named("set the time zone", &timezone);
            let step = change::script(name, include_str!("timezone.sh"));
            steps.push(step.environment("ZONE", timezone));
        }
        let (locale, more) = (inputs::text("locale"), inputs::texts("locales"));
        if locale.is_some() || !more.is_empty() {
            let all: Vec<_> = locale.iter().chain(&more).cloned().collect();
            let name = change::named("set the locale", &all.join(", "));
            let body = format!("{}{}", change::FAMILY, include_str!("locale.sh"));
            let step = change::script(name, &body).timeout(1800);
            let step = step.environment("WANTED", all.join("\n"));
            steps.push(step.environment("DEFAULT", locale.unwrap_or_default()));
        }
        if steps.is_empty() {
            return Err("give `hostname`, `timezone`, `locale` or `locales`".to_owned());
        }
        change::of(&steps);
        Ok(())
    }
}

component!(HostnameTimezoneLocale: builder);

#[cfg(test)]
mod tests;
