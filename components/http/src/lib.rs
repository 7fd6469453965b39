//! The component `http`: tests what a server of the machine answers over HTTP or HTTPS.
//!
//! A tester. It asks from inside the machine and starts nothing. It needs curl for
//! anything but a plain GET; for that one, wget or bash do. Where the image has no program
//! that can ask, every case is skipped and says so. `answer` reads what came back.

mod answer;

use answer::Answer;
use darkroom::{About, Description, Parameter, Step, Tester, component, inputs, report, shell};
use regex_lite::Regex;

struct Http;

/// Characters of a body that a failed case shows.
const SHOWN: usize = 200;

impl About for Http {
    fn describe() -> Description {
        let description = Description::new("Tests what a server answers over HTTP or HTTPS")
            .parameter(
                Parameter::text("url", "What is asked for")
                    .default("http://127.0.0.1/")
                    .pattern(
                        r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[!-~]*)?$",
                    ),
            )
            .parameter(
                Parameter::text("method", "How")
                    .one_of(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
                    .default("GET"),
            )
            .parameter(Parameter::map("headers", "Headers that are sent").pattern(r"^[^\r\n]*$"))
            .parameter(Parameter::text("body", "A body that is sent"))
            .parameter(
                Parameter::integer("status", "The status that the answer must have")
                    .default(200)
                    .minimum(100)
                    .maximum(599),
            )
            .parameter(Parameter::map(
                "expect-headers",
                "Headers that the answer must have, with a text that each must contain",
            ))
            .parameter(Parameter::texts(
                "contains",
                "Texts that the body must contain",
            ))
            .parameter(Parameter::texts(
                "lacks",
                "Texts that the body must not contain",
            ))
            .parameter(Parameter::texts(
                "matches",
                "Regular expressions that the body must match somewhere",
            ));
        timing(tls(description)).family("linux")
    }
}

fn tls(description: Description) -> Description {
    description
        .parameter(
            Parameter::text(
                "connect",
                "The host that is connected to in the place of the address's own, such as \
                 127.0.0.1 for a name that leads elsewhere",
            )
            .pattern(r"^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])$"),
        )
        .parameter(Parameter::flag("insecure", "Any certificate will do").default(false))
        .parameter(
            Parameter::text(
                "authority",
                "A file of the machine with the certificates to trust",
            )
            .pattern("^/"),
        )
        .parameter(
            Parameter::text("tls", "The oldest version of TLS that will do").one_of(["1.2", "1.3"]),
        )
}

fn timing(description: Description) -> Description {
    description
        .parameter(
            Parameter::integer("redirects", "How many redirects are followed")
                .default(0)
                .minimum(0)
                .maximum(20),
        )
        .parameter(
            Parameter::integer("timeout", "Seconds for one answer")
                .default(10)
                .minimum(1)
                .maximum(120),
        )
        .parameter(
            Parameter::integer(
                "retries",
                "How often it is asked again, a second later each, until the status is right",
            )
            .default(30)
            .minimum(0)
            .maximum(600),
        )
}

impl Tester for Http {
    fn test() -> Result<(), String> {
        let patterns = inputs::texts("matches").into_iter().map(|pattern| {
            Regex::new(&pattern)
                .map(|regex| (pattern.clone(), regex))
                .map_err(|error| format!("`matches`: /{pattern}/: {error}"))
        });
        let patterns: Vec<(String, Regex)> = patterns.collect::<Result<_, _>>()?;
        let url = inputs::text("url").unwrap_or_default();
        let method = inputs::text("method").unwrap_or_default();
        let step = ask(&url, &method);
        let answers = format!("{method} {url} answers");
        if !step.succeeded() {
            report::failed(answers, "no answer in time");
            return Ok(());
        }
        match Answer::read(&String::from_utf8_lossy(&step.read_all())) {
            Answer::Impossible(why) => report::skipped(answers, why),
            Answer::None(why) => report::failed(answers, why),
            Answer::Given {
                status,
                headers,
                body,
            } => {
                report::passed(answers);
                judge_status(status, &body);
                judge_headers(&headers);
                judge_body(&body, &patterns);
            }
        }
        Ok(())
    }
}

/// The step that asks. It says in `SPECIAL` what a plain GET can't.
fn ask(url: &str, method: &str) -> Step {
    let number = |name: &str| inputs::integer(name).unwrap_or(0);
    let text = |name: &str| inputs::text(name).unwrap_or_default();
    let headers: Vec<_> = inputs::map("headers")
        .into_iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    let insecure = inputs::flag("insecure") == Some(true);
    let special = [
        (url.starts_with("https:"), "HTTPS"),
        (method != "GET", "the method"),
        (!headers.is_empty(), "`headers`"),
        (!text("body").is_empty(), "`body`"),
        (!text("connect").is_empty(), "`connect`"),
        (number("redirects") > 0, "`redirects`"),
    ];
    let special = special
        .iter()
        .find(|(is, _)| *is)
        .map_or("", |(_, what)| what);
    let (host, port, page) = parts(url);
    let seconds = (number("timeout") + 1) * (number("retries") + 1) + 60;
    shell("ask over HTTP", include_str!("ask.sh"))
        .environment("URL", url)
        .environment("HOST", host)
        .environment("PORT", port)
        .environment("PAGE", page)
        .environment("METHOD", method)
        .environment("HEADERS", headers.join("\n"))
        .environment("BODY", text("body"))
        .environment("STATUS", number("status").to_string())
        .environment("CONNECT", text("connect"))
        .environment("INSECURE", if insecure { "yes" } else { "" })
        .environment("AUTHORITY", text("authority"))
        .environment("TLS", text("tls"))
        .environment("REDIRECTS", number("redirects").to_string())
        .environment("TIMEOUT", number("timeout").to_string())
        .environment("WAIT", number("retries").to_string())
        .environment("SPECIAL", special)
        .timeout(u32::try_from(seconds.clamp(10, 86_400)).unwrap_or(600))
        .tolerate()
}

/// Host, port and page of a plain `http:` address.
fn parts(url: &str) -> (&str, &str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (place, page) = rest
        .find('/')
        .map_or((rest, "/"), |slash| rest.split_at(slash));
    match place
        .rsplit_once(':')
        .filter(|(_, port)| !port.ends_with(']'))
    {
        Some((host, port)) => (host, port, page),
        None => (place, "80", page),
    }
}

fn judge_status(status: u16, body: &str) {
    let wanted = inputs::integer("status").unwrap_or(200);
    let case = format!("the status is {wanted}");
    if i64::from(status) == wanted {
        report::passed(case);
    } else {
        report::failed(case, format!("it is {status}{}", beginning(body)));
    }
}

fn judge_headers(headers: &[(String, String)]) {
    for (name, text) in inputs::map("expect-headers") {
        let case = format!("the header {name} contains {text:?}");
        let lower = name.to_ascii_lowercase();
        let values: Vec<_> = headers
            .iter()
            .filter(|(header, _)| *header == lower)
            .map(|(_, value)| &**value)
            .collect();
        if values.iter().any(|value| value.contains(&*text)) {
            report::passed(case);
        } else if values.is_empty() {
            report::failed(case, "the answer has no such header");
        } else {
            report::failed(case, format!("it is {:?}", values.join(", ")));
        }
    }
}

fn judge_body(body: &str, patterns: &[(String, Regex)]) {
    let told = |case: String, holds: bool| {
        if holds {
            report::passed(case);
        } else {
            report::failed(case, format!("it does not hold{}", beginning(body)));
        }
    };
    for text in inputs::texts("contains") {
        told(format!("the body contains {text:?}"), body.contains(&text));
    }
    for text in inputs::texts("lacks") {
        told(
            format!("the body does not contain {text:?}"),
            !body.contains(&text),
        );
    }
    for (pattern, regex) in patterns {
        told(
            format!("the body matches /{pattern}/"),
            regex.is_match(body),
        );
    }
}

/// How a body begins, to be shown in a message.
fn beginning(body: &str) -> String {
    let body = body.trim();
    if body.is_empty() {
        return "; the body is empty".to_owned();
    }
    let shown: String = body.chars().take(SHOWN).collect();
    format!("; the body begins with {shown:?}")
}

component!(Http: tester);

#[cfg(test)]
mod tests;
