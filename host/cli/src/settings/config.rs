//! All layers together: what a setting is, and who says so.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::PROJECT_FILE;
use super::file::{File, read, user_file, wrong_word};
use super::keys::{KEYS, Key, Scope};
use crate::failure::Failure;

/// Who says what a setting is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag(&'static str),
    Environment(&'static str),
    Project { file: String, line: usize },
    User { file: String, line: usize },
    Default,
}

impl Origin {
    /// The layer's name, for programs.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Flag(_) => "flag",
            Self::Environment(_) => "environment",
            Self::Project { .. } => "project",
            Self::User { .. } => "user",
            Self::Default => "default",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Environment(name) => f.write_str(name),
            Self::Project { file, line } | Self::User { file, line } => {
                write!(f, "{file}:{line}")
            }
            Self::Default => f.write_str("default"),
        }
    }
}

/// What a setting is, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

/// A flag or a variable that can't be what it is.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not {noun} (said by {said_by})")]
struct WrongWord {
    text: String,
    noun: &'static str,
    said_by: Origin,
}

/// The layers below the flags.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    environment: Vec<(Key, String)>,
    project: Option<File>,
    user: Option<File>,
}

impl Config {
    /// The layers for a verb that works in `project`, the folder of its template.
    pub(crate) fn load(project: &Path) -> Result<Self, Failure> {
        Self::from(
            &|name| std::env::var_os(name),
            Some(&project.join(PROJECT_FILE)),
        )
    }

    /// The layers without a project: for what must be the same in all of them.
    pub(crate) fn of_user() -> Result<Self, Failure> {
        Self::from(&|name| std::env::var_os(name), None)
    }

    pub(super) fn from(
        variable: &dyn Fn(&str) -> Option<OsString>,
        project: Option<&Path>,
    ) -> Result<Self, Failure> {
        let environment = KEYS.iter().filter_map(|known| {
            let text = variable(known.variable)?.into_string().ok()?;
            Some((known.key, text))
        });
        let user = user_file(&|name| variable(name).map(PathBuf::from));
        let read = |path: Option<&Path>, scope| match path {
            Some(path) => read(path, scope),
            None => Ok(None),
        };
        Ok(Self {
            environment: environment.collect(),
            project: read(project, Scope::Project)?,
            user: read(user.as_deref(), Scope::User)?,
        })
    }

    /// What a setting is; none if nobody says anything. An empty text says nothing.
    pub(crate) fn find(&self, key: Key, flag: Option<&str>) -> Result<Option<Value>, Failure> {
        let known = key.known();
        let flag = flag.map(|text| (text, Origin::Flag(known.flag.unwrap_or(known.name))));
        let variable = self.environment.iter().find(|(said, _)| *said == key);
        let variable =
            variable.map(|(_, text)| (text.as_str(), Origin::Environment(known.variable)));
        let project = entry(self.project.as_ref(), key, |file, line| Origin::Project {
            file,
            line,
        });
        let user = entry(self.user.as_ref(), key, |file, line| Origin::User {
            file,
            line,
        });
        let mut layers = [flag, variable, project, user].into_iter().flatten();
        let Some((text, origin)) = layers.find(|(text, _)| !text.is_empty()) else {
            return Ok(None);
        };
        match wrong_word(known, text) {
            None => Ok(Some(Value {
                text: text.to_owned(),
                origin,
            })),
            Some(hint) => Err(Failure::user(WrongWord {
                text: text.to_owned(),
                noun: known.noun,
                said_by: origin,
            })
            .hint(hint)),
        }
    }

    /// Where packages are, by namespace or name: what the project says, then what the
    /// user says, so that of two that speak of the same one the user's is the last.
    pub(crate) fn registries(&self) -> impl Iterator<Item = (&str, &str)> {
        let files = self.project.iter().chain(&self.user);
        files.flat_map(|file| pairs(&file.registries))
    }

    /// The namespaces and packages that the user, and not a project, has a place for.
    pub(crate) fn registries_of_user(&self) -> impl Iterator<Item = (&str, &str)> {
        self.user.iter().flat_map(|file| pairs(&file.registries))
    }

    /// Files that stand for packages, in the project.
    pub(crate) fn overrides(&self) -> impl Iterator<Item = (&str, &str)> {
        self.project.iter().flat_map(|file| pairs(&file.overrides))
    }

    /// The same, without saying by whom.
    pub(crate) fn text(&self, key: Key, flag: Option<&str>) -> Result<Option<String>, Failure> {
        Ok(self.find(key, flag)?.map(|value| value.text))
    }
}

fn pairs(table: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    table
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
}

fn entry(
    file: Option<&File>,
    key: Key,
    origin: fn(String, usize) -> Origin,
) -> Option<(&str, Origin)> {
    let file = file?;
    let entry = file.entries.iter().find(|entry| entry.key == key)?;
    Some((&entry.text, origin(file.name.clone(), entry.line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECT: &str = "on = 'local'\nregion = 'cn-beijing'\n";
    const USER: &str = "on = 'aliyun'\nregion = 'eu-central-1'\naccount = 'work'\n";

    fn config(variables: &[(&str, &str)], project: &str, user: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("darkroom")).unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at(PROJECT_FILE), project).unwrap();
        std::fs::write(at("darkroom/config.toml"), user).unwrap();
        let variable = |name: &str| {
            if name == "XDG_CONFIG_HOME" {
                return Some(folder.path().into());
            }
            let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
            Some(OsString::from(value))
        };
        Config::from(&variable, Some(&at(PROJECT_FILE))).unwrap()
    }

    #[track_caller]
    fn said(config: &Config, key: Key, flag: Option<&str>) -> (String, String) {
        match config.find(key, flag).unwrap() {
            Some(value) => (value.text, value.origin.word().to_owned()),
            None => (String::new(), Origin::Default.word().to_owned()),
        }
    }

    #[test]
    fn a_flag_wins_over_the_environment_over_the_project_over_the_user() {
        let nothing = config(&[], "", "");
        assert_eq!(said(&nothing, Key::On, None).1, "default");
        let user = config(&[], "", USER);
        assert_eq!(said(&user, Key::On, None), ("aliyun".into(), "user".into()));
        let project = config(&[], PROJECT, USER);
        assert_eq!(
            said(&project, Key::On, None),
            ("local".into(), "project".into())
        );
        assert_eq!(
            said(&project, Key::Account, None),
            ("work".into(), "user".into())
        );
        let variables = [("DARKROOM_ON", "aliyun"), ("DARKROOM_REGION", "")];
        let all = config(&variables, PROJECT, USER);
        assert_eq!(
            said(&all, Key::On, None),
            ("aliyun".into(), "environment".into())
        );
        assert_eq!(
            said(&all, Key::On, Some("local")),
            ("local".into(), "flag".into())
        );
        // An empty variable says nothing.
        assert_eq!(
            said(&all, Key::Region, None),
            ("cn-beijing".into(), "project".into())
        );
    }

    #[test]
    fn a_wrong_word_says_who_said_it() {
        let wrong = config(&[("DARKROOM_ON", "aliyum")], PROJECT, USER);
        let failure = wrong.find(Key::On, None).unwrap_err();
        assert_eq!(
            failure.chain(),
            ["`aliyum` is not a cloud (said by DARKROOM_ON)"]
        );
        assert_eq!(failure.hints, ["did you mean `aliyun`?"]);
        let failure = wrong.find(Key::On, Some("mars")).unwrap_err();
        assert_eq!(failure.chain(), ["`mars` is not a cloud (said by --on)"]);
        assert_eq!(failure.hints, ["it can be local, aliyun"]);
    }
}
