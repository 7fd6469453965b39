//! The host's own package sources, when the host is what the base will be: they are
//! known to be reachable, and a company's mirror is used without being asked for.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::distribution::Distribution;

/// The sources of this host as lines for mmdebstrap; none when it is another
/// distribution or has none that fit.
pub(super) fn of_this_host(distribution: &Distribution) -> Option<String> {
    let release = fs::read_to_string("/etc/os-release").ok()?;
    let is = |line: &str| release.lines().any(|one| one.replace('"', "") == line);
    if !is(&format!("VERSION_CODENAME={}", distribution.suite)) {
        return None;
    }
    let suites: Vec<&str> = distribution.suites().collect();
    let mut files = vec![Path::new("/etc/apt/sources.list").to_owned()];
    let folder = fs::read_dir("/etc/apt/sources.list.d").ok();
    files.extend(
        folder
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path()),
    );
    files.sort();
    let mut lines = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => lines.extend(text.lines().filter_map(|line| one_line(line, &suites))),
            Some("sources") => lines.extend(stanzas(&text, &suites)),
            _ => {}
        }
    }
    lines.dedup();
    (!lines.is_empty()).then(|| lines.join("\n") + "\n")
}

/// A line of a `.list` file, if it is of the base's suites.
fn one_line(line: &str, suites: &[&str]) -> Option<String> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb ")?.trim();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let (address, suite) = (words.next()?, words.next()?);
    let components: Vec<&str> = words.collect();
    let fits = suites.contains(&suite) && components.contains(&"main");
    let signed = options
        .split_whitespace()
        .find_map(|option| option.strip_prefix("signed-by="));
    fits.then(|| format_line(signed, address, suite))
}

/// The stanzas of a `.sources` file, a line for each address and suite of the base's.
fn stanzas(text: &str, suites: &[&str]) -> Vec<String> {
    text.split("\n\n")
        .flat_map(|stanza| stanza_lines(stanza, suites).unwrap_or_default())
        .collect()
}

fn stanza_lines(stanza: &str, suites: &[&str]) -> Option<Vec<String>> {
    let fields: BTreeMap<String, &str> = stanza
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim()))
        .collect();
    let words = |name: &str| fields.get(name).map(|value| value.split_whitespace());
    let enabled = fields.get("enabled").is_none_or(|value| *value != "no");
    let fits = enabled
        && words("types")?.any(|one| one == "deb")
        && words("components")?.any(|one| one == "main");
    if !fits {
        return None;
    }
    let signed = fields
        .get("signed-by")
        .copied()
        .filter(|path| path.starts_with('/'));
    let mut lines = Vec::new();
    for suite in words("suites")?.filter(|suite| suites.contains(suite)) {
        for address in words("uris")? {
            lines.push(format_line(signed, address, suite));
        }
    }
    Some(lines)
}

fn format_line(signed: Option<&str>, address: &str, suite: &str) -> String {
    match signed {
        Some(key) => format!("deb [signed-by={key}] {address} {suite} main"),
        None => format!("deb {address} {suite} main"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUITES: &[&str] = &["bookworm", "bookworm-updates"];

    #[test]
    fn only_lines_of_the_base_are_taken() {
        let line = "deb [arch=amd64 signed-by=/k.gpg] http://mirror/debian bookworm main contrib";
        let wanted = "deb [signed-by=/k.gpg] http://mirror/debian bookworm main";
        assert_eq!(one_line(line, SUITES).as_deref(), Some(wanted));
        for other in [
            "# deb http://mirror/debian bookworm main",
            "deb-src http://mirror/debian bookworm main",
            "deb https://packages.example/apt tool-bookworm main",
            "deb http://mirror/debian bookworm contrib",
        ] {
            assert_eq!(one_line(other, SUITES), None, "{other}");
        }
    }

    #[test]
    fn stanzas_are_read_with_their_keys() {
        let text = "Types: deb\n# a comment: x\nURIs: http://mirror/debian\n\
                    Suites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k.gpg\n\n\
                    Types: deb\nURIs: http://other/node\nSuites: nodistro\nComponents: main\n\n\
                    Enabled: no\nTypes: deb\nURIs: http://off/debian\nSuites: bookworm\n\
                    Components: main\n";
        assert_eq!(
            stanzas(text, SUITES),
            [
                "deb [signed-by=/k.gpg] http://mirror/debian bookworm main",
                "deb [signed-by=/k.gpg] http://mirror/debian bookworm-updates main",
            ]
        );
    }
}
