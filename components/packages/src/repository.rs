//! A repository of packages as the template describes it, in one form for all managers.
//!
//! Read by the builder. What file a manager wants is its script's to know: here the parts
//! are only checked and put into the environment of a step.

use darkroom::{Json, Parameter, Step, inputs};

/// What the name of a repository can be: it becomes the name of files.
pub(crate) const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_-]*$";

/// One element of `repositories`.
pub(crate) struct Repository {
    pub(crate) name: String,
    url: String,
    suites: Vec<String>,
    components: Vec<String>,
    key: String,
    key_name: String,
    keyring: String,
    verify: bool,
}

impl Repository {
    /// The parameter `repositories`.
    pub(crate) fn parameter() -> Parameter {
        let words = |name, about| Parameter::texts(name, about).pattern(r"^[^\s]+$");
        Parameter::objects(
            "repositories",
            "Repositories that packages are taken from, besides those that are there",
            [
                Parameter::text("name", "What its files are called")
                    .required()
                    .pattern(NAME),
                Parameter::text("url", "Where it is, as the package manager writes it")
                    .required()
                    .pattern(r"^[a-z]+:[^\s]+$"),
                words(
                    "suites",
                    "apt: its suites, such as bookworm; without them it is flat",
                ),
                words("components", "apt: its components, such as main"),
                Parameter::text(
                    "key",
                    "The public key that its packages are signed with, as text (PGP armour; \
                     PEM for apk); it counts for nothing else with apt",
                ),
                Parameter::text("key-name", "apk: what the signatures call the key")
                    .pattern("^[A-Za-z0-9][A-Za-z0-9_.@-]*$"),
                Parameter::text(
                    "keyring",
                    "Instead of `key`: a file on the machine that holds it",
                )
                .pattern(r"^/[^\s]+$"),
                Parameter::flag(
                    "verify",
                    "Whether packages must be signed with the key; only for repositories that \
                     you reach in a way that nobody else can write to",
                )
                .default(true),
            ],
        )
    }

    /// What was given.
    ///
    /// # Errors
    /// Parts that don't go together.
    pub(crate) fn all() -> Result<Vec<Self>, String> {
        let given = inputs::json("repositories").unwrap_or(Json::Null);
        let repositories: Vec<_> = given.as_list().iter().map(Self::read).collect();
        for (index, repository) in repositories.iter().enumerate() {
            repository.check()?;
            if repositories[..index]
                .iter()
                .any(|other| other.name == repository.name)
            {
                return Err(format!("there are two repositories {}", repository.name));
            }
        }
        Ok(repositories)
    }

    fn read(json: &Json) -> Self {
        let text = |name: &str| {
            let text = json.get(name).and_then(Json::as_text);
            text.unwrap_or_default().to_owned()
        };
        let texts = |name: &str| {
            let list = json.get(name).map(Json::as_list).unwrap_or_default();
            list.iter()
                .filter_map(|one| one.as_text().map(str::to_owned))
                .collect()
        };
        Self {
            name: text("name"),
            url: text("url"),
            suites: texts("suites"),
            components: texts("components"),
            key: with_end(text("key")),
            key_name: text("key-name"),
            keyring: text("keyring"),
            verify: json.get("verify").and_then(Json::as_flag) != Some(false),
        }
    }

    fn check(&self) -> Result<(), String> {
        let name = &self.name;
        if !self.key.is_empty() && !self.keyring.is_empty() {
            return Err(format!("the repository {name} has a `key` and a `keyring`"));
        }
        if self.key.contains("PRIVATE KEY") {
            return Err(format!(
                "the `key` of the repository {name} is a private one, which must not be in an image"
            ));
        }
        if !self.key.is_empty() && !self.key.contains("-----BEGIN ") {
            return Err(format!(
                "the `key` of the repository {name} is no text of a key: it has no line \
                 -----BEGIN …-----"
            ));
        }
        let flat = self.suites.iter().any(|suite| suite.ends_with('/')) || self.suites.is_empty();
        if flat && !self.components.is_empty() {
            return Err(format!(
                "the repository {name} has `components`, which belong to `suites`"
            ));
        }
        Ok(())
    }

    /// Puts the parts into the environment of a step.
    pub(crate) fn tell(&self, step: Step) -> Step {
        step.environment("REPOSITORY_NAME", &self.name)
            .environment("REPOSITORY_URL", &self.url)
            .environment("REPOSITORY_SUITES", self.suites.join("\n"))
            .environment("REPOSITORY_COMPONENTS", self.components.join("\n"))
            .environment("REPOSITORY_KEY", &self.key)
            .environment("REPOSITORY_KEY_NAME", &self.key_name)
            .environment("REPOSITORY_KEYRING", &self.keyring)
            .environment("REPOSITORY_VERIFY", if self.verify { "yes" } else { "no" })
    }
}

/// A text file ends with a line end; no text stays none.
fn with_end(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
