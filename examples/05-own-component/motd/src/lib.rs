//! Writes the message of the day, and tests that people see it.
//!
//! Two roles over one set of parameters: a template that builds with this component is
//! tested with it too, with the same arguments.
use darkroom::*;

const PATH: &str = "/etc/motd";

struct Motd;

impl About for Motd {
    fn describe() -> Description {
        Description::new("Writes the message of the day")
            .parameter(Parameter::text("message", "What it says").required())
            .parameter(Parameter::texts("contact", "Whom to ask, a line each"))
            .family("linux")
    }
}

/// The whole text, with the release that the machine says it is.
fn text(release: &str) -> String {
    let message = inputs::text("message").unwrap_or_default();
    let contact = inputs::texts("contact");
    let mut text = format!("{message}\nThis is {release}.\n");
    for one in contact {
        text.push_str(&format!("Contact: {one}\n"));
    }
    text
}

/// Asks the machine, and so ends this call: it is made again with the answer.
fn release() -> String {
    shell(
        "ask for the release",
        ". /etc/os-release; echo \"$PRETTY_NAME\"",
    )
    .output()
    .trim()
    .to_owned()
}

impl Builder for Motd {
    fn build() -> Result<(), String> {
        let text = text(&release());
        if shell("look at the message", format!("cat {PATH}"))
            .tolerate()
            .output()
            .trim_end()
            == text.trim_end()
        {
            report::info("no change");
            return Ok(());
        }
        write("write the message", PATH, text);
        Ok(())
    }
}

impl Tester for Motd {
    fn test() -> Result<(), String> {
        let text = text(&release());
        for line in text.lines() {
            shell(
                "the message is complete",
                format!("grep -qxF -- \"$LINE\" {PATH}"),
            )
            .environment("LINE", line);
        }
        Ok(())
    }
}

component!(Motd: builder, tester);

#[cfg(test)]
mod tests {
    use super::*;
    use testing::{Answer, Machine};

    fn machine() -> Machine {
        Machine::debian()
            .argument("message", "Hello, $(you).")
            .argument("contact", ["ops@example.com"])
            .answer("ask for the release", Answer::output("Debian\n"))
    }

    #[test]
    fn the_message_is_written_once() {
        let first = machine().answer("look at the message", Answer::exit(1));
        let run = first.build::<Motd>();
        let text = "Hello, $(you).\nThis is Debian.\nContact: ops@example.com\n";
        assert_eq!(run.step("write the message").text(), Some(text));
        let again = machine().answer("look at the message", Answer::output(text));
        assert_eq!(again.build::<Motd>().names().len(), 2);
    }
}
