//! The component `no-secrets`: tests that nothing secret, and nothing of another machine's,
//! is left in an image.
//!
//! A tester. It reads the machine that was started from the image, names the files that
//! it finds and never what is in them, and writes nothing. Each kind of secret is a case.
//! What every boot makes anew (host keys, the machine's id) counts only where it is older
//! than the boot: then every machine of the image has the same.
//!
//! A look at names and patterns finds what people forget, not what somebody hides.

mod paths;

use darkroom::{About, Description, Parameter, Tester, component, inputs, report, shell};

struct NoSecrets;

/// Files that a case names.
const SHOWN: usize = 8;

/// A kind of find: the word of `look.sh`, the name that `skip` knows, and the case.
const KINDS: [(&str, &str, &str); 11] = [
    ("key", "private-keys", "no private key is left"),
    ("token", "access-keys", "no access key or token is left"),
    ("password", "passwords", "no password is set"),
    ("authorized", "authorized-keys", "nobody's key may log in"),
    (
        "credentials",
        "credentials",
        "no credentials are left in a home",
    ),
    ("history", "histories", "no history is left"),
    (
        "variable",
        "variables",
        "no start-up file sets a secret variable",
    ),
    (
        "host-key",
        "host-keys",
        "no host key is older than the boot",
    ),
    ("machine-id", "machine-id", "the machine's id is its own"),
    ("no-machine-id", "machine-id", "the machine has an id"),
    ("receipt", "receipts", "nothing of the build is left"),
];

impl About for NoSecrets {
    fn describe() -> Description {
        Description::new("Tests that nothing secret is left in an image")
            .parameter(
                Parameter::texts("folders", "Folders that are searched for keys and tokens")
                    .default([
                        "/boot",
                        "/etc",
                        "/home",
                        "/opt",
                        "/root",
                        "/srv",
                        "/tmp",
                        "/usr/local",
                        "/var",
                    ])
                    .pattern("^/"),
            )
            .parameter(
                Parameter::texts(
                    "allow",
                    "Paths of files that may be there; `*` stands for anything but a slash, `**` \
                     for anything",
                )
                .pattern("^/"),
            )
            .parameter(
                Parameter::texts("skip", "Kinds of finds that don't count").one_of([
                    "private-keys",
                    "access-keys",
                    "passwords",
                    "authorized-keys",
                    "credentials",
                    "histories",
                    "variables",
                    "host-keys",
                    "machine-id",
                    "receipts",
                ]),
            )
            .family("linux")
    }
}

impl Tester for NoSecrets {
    fn test() -> Result<(), String> {
        let look = shell("look for secrets", include_str!("look.sh"))
            .arguments(inputs::texts("folders"))
            .timeout(900)
            .tolerate();
        if !look.succeeded() {
            return Err(format!(
                "the machine could not be searched: {}",
                look.output()
            ));
        }
        let said = look.read_all();
        let said = String::from_utf8_lossy(&said);
        let (allow, skip) = (inputs::texts("allow"), inputs::texts("skip"));
        for (word, name, case) in KINDS {
            if skip.iter().any(|skipped| skipped == name) {
                report::skipped(case, "the template skips it");
                continue;
            }
            let found = finds(&said, word, &allow);
            if found.is_empty() {
                report::passed(case);
            } else {
                report::failed(case, named(&found));
            }
        }
        Ok(())
    }
}

/// The finds of a kind that are not allowed.
fn finds<'s>(said: &'s str, kind: &str, allow: &[String]) -> Vec<&'s str> {
    let mut finds: Vec<_> = said
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(word, _)| *word == kind)
        .map(|(_, find)| find)
        // A password's find is `FILE: USER`.
        .filter(|find| {
            let path = find.split_once(": ").map_or(*find, |(path, _)| path);
            !allow.iter().any(|pattern| paths::matches(pattern, path))
        })
        .collect();
    finds.sort_unstable();
    finds.dedup();
    finds
}

/// The first of them, and how many there are beside.
fn named(finds: &[&str]) -> String {
    let shown = finds[..finds.len().min(SHOWN)].join(", ");
    match finds.len() - finds.len().min(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

component!(NoSecrets: tester);

#[cfg(test)]
mod tests;
