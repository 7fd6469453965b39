//! What a new template is made of. Each answer is a flag, else a question on a terminal,
//! else a default: so a script says what it wants and a person is asked for the rest.

use darkroom_template::{Mistakes, format, parse};
use dialoguer::theme::Theme;
use dialoguer::{Confirm, Input, Select};

use crate::failure::Failure;

/// Systems to begin from, as the question offers them. Any other family or image can be
/// named.
pub(crate) const FAMILIES: [&str; 7] = [
    "debian-12",
    "debian-13",
    "ubuntu-22.04",
    "ubuntu-24.04",
    "alinux-3",
    "almalinux-9",
    "rockylinux-9",
];

/// The bandwidth of an instance that installs packages, in Mbit/s: no more costs more.
const INTERNET: u32 = 10;

/// What flags say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    pub(crate) name: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) install: Option<Vec<String>>,
    pub(crate) run: Vec<String>,
    pub(crate) internet: Option<u32>,
    pub(crate) family: Option<String>,
}

/// All answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answers {
    pub(super) name: String,
    /// A family, or an image, an instance or a snapshot by its id.
    pub(super) source: String,
    pub(super) install: Vec<String>,
    pub(super) run: Vec<String>,
    pub(super) internet: u32,
    pub(super) family: String,
}

impl Answers {
    /// Defaults for what wasn't said; the name is the folder's.
    pub(crate) fn without_questions(given: Given, folder: &str) -> Self {
        let name = given.name.unwrap_or_else(|| named(folder));
        let install = given.install.unwrap_or_default();
        let needs_internet = !install.is_empty();
        Self {
            source: given.source.unwrap_or_else(|| FAMILIES[0].to_owned()),
            internet: given
                .internet
                .unwrap_or(if needs_internet { INTERNET } else { 0 }),
            family: given.family.unwrap_or_else(|| name.clone()),
            run: given.run,
            install,
            name,
        }
    }

    /// Asks for what wasn't said. It blocks.
    pub(crate) fn by_questions(
        given: Given,
        folder: &str,
        theme: &dyn Theme,
    ) -> dialoguer::Result<Self> {
        let name = match given.name {
            Some(name) => name,
            None => Input::with_theme(theme)
                .with_prompt("What is the template called?")
                .default(named(folder))
                .validate_with(|name: &String| proper_name(name))
                .interact_text()?,
        };
        let source = match given.source {
            Some(source) => source,
            None => source(theme)?,
        };
        let install = match given.install {
            Some(install) => install,
            None => Input::<String>::with_theme(theme)
                .with_prompt("Which packages shall be installed? (names with spaces, or nothing)")
                .allow_empty(true)
                .interact_text()?
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
        };
        let run = if given.run.is_empty() {
            let line: String = Input::with_theme(theme)
                .with_prompt("Which command shall be run after that? (one line, or nothing)")
                .allow_empty(true)
                .interact_text()?;
            Some(line)
                .filter(|line| !line.trim().is_empty())
                .into_iter()
                .collect()
        } else {
            given.run
        };
        let internet = if let Some(internet) = given.internet {
            internet
        } else {
            let wanted = Confirm::with_theme(theme)
                .with_prompt("May the instance reach the internet while it is built?")
                .default(!install.is_empty())
                .interact()?;
            if wanted { INTERNET } else { 0 }
        };
        let family = match given.family {
            Some(family) => family,
            None => Input::with_theme(theme)
                .with_prompt("Which family shall the tested image be the newest of?")
                .default(name.clone())
                .interact_text()?,
        };
        Ok(Self {
            name,
            source,
            install,
            run,
            internet,
            family,
        })
    }

    /// The template, and what is wrong with the answers if it can't be one.
    pub(crate) fn template(&self, file: &str) -> Result<String, Failure> {
        let text = super::text::template(self);
        parse(&text, file).map_err(wrong)?;
        format(&text, file).map_err(wrong)
    }
}

fn wrong(mistakes: Mistakes) -> Failure {
    Failure::user(mistakes).hint("these are the answers as they would stand in the template")
}

fn source(theme: &dyn Theme) -> dialoguer::Result<String> {
    let others = "another family, image, instance or snapshot";
    let chosen = Select::with_theme(theme)
        .with_prompt("What is it made from?")
        .items(FAMILIES)
        .item(others)
        .default(0)
        .interact()?;
    match FAMILIES.get(chosen) {
        Some(family) => Ok((*family).to_owned()),
        None => Input::with_theme(theme)
            .with_prompt("Its name or id (m-…, i-…, s-…)")
            .interact_text(),
    }
}

/// The rule for names of templates.
fn proper_name(name: &str) -> Result<(), &'static str> {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_lowercase());
    let rest = chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if first && rest && (2..=64).contains(&name.len()) {
        Ok(())
    } else {
        Err("2 to 64 of a-z, 0-9 and '-', a letter first")
    }
}

/// A proper name that is like the folder's.
fn named(folder: &str) -> String {
    let name: String = folder
        .chars()
        .map(|c| {
            let c = c.to_ascii_lowercase();
            if c.is_ascii_alphanumeric() { c } else { '-' }
        })
        .skip_while(|c| !c.is_ascii_lowercase())
        .take(64)
        .collect();
    let name = name.trim_end_matches('-');
    if proper_name(name).is_ok() {
        name.to_owned()
    } else {
        "my-image".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_a_proper_name() {
        for (folder, name) in [
            ("Web Server", "web-server"),
            ("01-web_server", "web-server"),
            ("", "my-image"),
            ("x", "my-image"),
            ("镜像", "my-image"),
        ] {
            assert_eq!(named(folder), name, "{folder}");
        }
    }

    #[test]
    fn packages_need_the_internet_unless_it_is_said_otherwise() {
        let given = Given {
            install: Some(vec!["nginx".into()]),
            ..Given::default()
        };
        let answers = Answers::without_questions(given.clone(), "web");
        assert_eq!(
            (answers.internet, answers.family.as_str()),
            (INTERNET, "web")
        );
        let none = Given {
            internet: Some(0),
            ..given
        };
        assert_eq!(Answers::without_questions(none, "web").internet, 0);
        assert_eq!(
            Answers::without_questions(Given::default(), "web").internet,
            0
        );
    }
}
