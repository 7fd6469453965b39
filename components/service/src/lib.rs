//! The component `service`: tests that a service runs, is enabled, listens and answers.
//!
//! A tester. It starts nothing: only the image's own init may have done so, which is what
//! is tested. It needs nothing in the image but a shell, and systemctl for units; where
//! a tool for HTTP is missing, the case is skipped and says so.

use darkroom::{About, Description, Parameter, Step, Tester, component, inputs, report, shell};

struct Service;

impl About for Service {
    fn describe() -> Description {
        let port = |parameter: Parameter| parameter.minimum(1).maximum(65535);
        Description::new("Tests that a service runs, is enabled and answers; starts nothing")
            .parameter(
                Parameter::text("name", "The systemd unit, such as nginx")
                    .pattern(r"^[A-Za-z0-9@_.\\:][A-Za-z0-9@_.\\:-]{0,79}$"),
            )
            .parameter(Parameter::flag("enabled", "The unit must start at boot").default(true))
            .parameter(port(Parameter::integer(
                "port",
                "A TCP port that must be open",
            )))
            .parameter(
                Parameter::text(
                    "http",
                    "A path that must answer over HTTP, at the port or at 80",
                )
                .pattern(r"^/[!-~]*$"),
            )
            .parameter(
                Parameter::integer("status", "The status of that answer")
                    .default(200)
                    .minimum(100)
                    .maximum(599),
            )
            .parameter(
                Parameter::text("contains", "A text that the answer must contain")
                    .pattern(r"^[^\r\n]+$"),
            )
            .parameter(
                Parameter::integer("wait", "Seconds to wait for each of them")
                    .default(30)
                    .minimum(0)
                    .maximum(600),
            )
            .family("linux")
    }
}

impl Tester for Service {
    fn test() -> Result<(), String> {
        let (name, port, http) = (
            inputs::text("name"),
            inputs::integer("port"),
            inputs::text("http"),
        );
        if name.is_none() && port.is_none() && http.is_none() {
            return Err("give `name`, `port` or `http`: there is nothing to test".to_owned());
        }
        if let Some(unit) = name {
            waiting(format!("{unit} is active"), include_str!("active.sh"))
                .environment("UNIT", &unit);
            if inputs::flag("enabled") != Some(false) {
                shell(format!("{unit} is enabled"), include_str!("enabled.sh"))
                    .environment("UNIT", &unit);
            }
        }
        if let Some(port) = port {
            waiting(format!("port {port} is open"), include_str!("port.sh"))
                .environment("PORT", port.to_string());
        }
        if let Some(path) = http {
            answers(port.unwrap_or(80), &path);
        }
        Ok(())
    }
}

/// A step that waits; its timeout leaves room for the last look.
fn waiting(name: impl AsRef<str>, script: &str) -> Step {
    let wait = inputs::integer("wait").unwrap_or(30).clamp(0, 600);
    shell(name, script)
        .environment("WAIT", wait.to_string())
        .timeout(u32::try_from(wait).unwrap_or(0) * 12 + 60)
}

/// The case of HTTP is reported, not a step's own, because it can be undecidable.
fn answers(port: i64, path: &str) {
    let step = waiting("ask over HTTP", include_str!("http.sh"))
        .environment("PORT", port.to_string())
        .environment("PAGE", path)
        .environment(
            "STATUS",
            inputs::integer("status").unwrap_or(200).to_string(),
        )
        .environment("CONTAINS", inputs::text("contains").unwrap_or_default())
        .tolerate();
    let case = format!("http://127.0.0.1:{port}{path} answers");
    match step.exit_code() {
        0 => report::passed(case),
        77 => report::skipped(case, step.output().trim()),
        -1 => report::failed(case, "no answer in time"),
        _ => report::failed(case, step.output().trim()),
    }
}

component!(Service: tester);

#[cfg(test)]
mod tests;
