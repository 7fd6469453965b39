//! Which cloud, region and account are meant: flag, then environment, then the
//! project's file, then the user's file, then the default.
//!
//! The project's file is `darkroom.toml` beside the template (or in the current folder
//! for verbs without one); the user's is `$XDG_CONFIG_HOME/darkroom/config.toml`, else
//! `~/.config/darkroom/config.toml`. Both know the same keys. Secrets have no place in
//! either.

use std::io;
use std::path::{Path, PathBuf};

use darkroom_template::{Cloud, nearest};
use serde::Deserialize;

use crate::args::Where;
use crate::failure::{Failure, Kind};

/// The name of a project's file.
pub(crate) const PROJECT_FILE: &str = "darkroom.toml";

/// A file or a word that can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("{path} can't be read")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not valid")]
    Parse {
        path: PathBuf,
        #[source]
        source: Box<toml::de::Error>,
    },
    #[error("`{word}` is not a cloud (said by {said_by})")]
    Cloud { word: String, said_by: String },
}

impl SettingsError {
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Read { .. } => "make it readable, or remove it".into(),
            Self::Parse { .. } => "the keys are `on`, `region` and `account`, all texts".into(),
            Self::Cloud { word, .. } => match nearest(word, ["local", "aliyun"]) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "it can be `local` or `aliyun`".into(),
            },
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        let hint = error.hint();
        let kind = match error {
            SettingsError::Cloud { .. } => Kind::User,
            SettingsError::Read { .. } | SettingsError::Parse { .. } => Kind::Config,
        };
        Self::new(kind, error).hint(hint)
    }
}

/// One file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    on: Option<String>,
    region: Option<String>,
    account: Option<String>,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) cloud: Cloud,
    /// The region, if one was asked for outside the template.
    pub(crate) region: Option<String>,
    pub(crate) account: Option<String>,
}

impl Settings {
    /// Decides for a verb that works in `project`, the folder of its template.
    pub(crate) fn decide(wanted: &Where, project: &Path) -> Result<Self, SettingsError> {
        let user = user_file(&|name| std::env::var_os(name).map(PathBuf::from));
        Self::from_files(wanted, &project.join(PROJECT_FILE), user.as_deref())
    }

    fn from_files(
        wanted: &Where,
        project: &Path,
        user: Option<&Path>,
    ) -> Result<Self, SettingsError> {
        let mut layers = vec![(
            "`--on` or `DARKROOM_ON`".to_owned(),
            File {
                on: wanted.on.clone(),
                region: wanted.region.clone(),
                account: wanted.account.clone(),
            },
        )];
        for path in [Some(project), user].into_iter().flatten() {
            if let Some(file) = read(path)? {
                layers.push((path.display().to_string(), file));
            }
        }
        let first = |pick: fn(&File) -> &Option<String>| {
            layers.iter().find_map(|(said_by, file)| {
                let word = pick(file).as_ref().filter(|word| !word.is_empty())?;
                Some((said_by, word.clone()))
            })
        };
        let cloud = match first(|file| &file.on) {
            None => Cloud::Local,
            Some((said_by, word)) => word.parse().map_err(|_| SettingsError::Cloud {
                word,
                said_by: said_by.clone(),
            })?,
        };
        Ok(Self {
            cloud,
            region: first(|file| &file.region).map(|(_, region)| region),
            account: first(|file| &file.account).map(|(_, account)| account),
        })
    }
}

fn user_file(variable: &dyn Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let config = variable("XDG_CONFIG_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| Some(variable("HOME")?.join(".config")))?;
    Some(config.join("darkroom/config.toml"))
}

fn read(path: &Path) -> Result<Option<File>, SettingsError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(source) => {
            return Err(SettingsError::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    toml::from_str(&text)
        .map(Some)
        .map_err(|source| SettingsError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(on: Option<&str>, project: &str, user: &str) -> Result<Settings, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["project", "user"].map(|name| folder.path().join(name));
        for (path, text) in paths.iter().zip([project, user]) {
            if !text.is_empty() {
                std::fs::write(path, text).unwrap();
            }
        }
        let wanted = Where {
            on: on.map(str::to_owned),
            ..Where::default()
        };
        Settings::from_files(&wanted, &paths[0], Some(&paths[1]))
    }

    #[test]
    fn flags_win_over_the_project_over_the_user_over_the_default() {
        let project = "on = 'local'\nregion = 'cn-beijing'\n";
        let user = "on = 'aliyun'\nregion = 'eu-central-1'\naccount = 'work'\n";
        let settings = decide(None, "", "").unwrap();
        assert_eq!(
            (settings.cloud, settings.region, settings.account),
            (Cloud::Local, None, None)
        );
        assert_eq!(decide(None, "", user).unwrap().cloud, Cloud::Aliyun);
        let settings = decide(None, project, user).unwrap();
        assert_eq!(settings.cloud, Cloud::Local);
        assert_eq!(settings.region.as_deref(), Some("cn-beijing"));
        assert_eq!(settings.account.as_deref(), Some("work"));
        assert_eq!(
            decide(Some("aliyun"), project, "").unwrap().cloud,
            Cloud::Aliyun
        );
    }

    #[test]
    fn wrong_files_and_words_say_where() {
        let error = decide(Some("aliyum"), "", "").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`aliyum` is not a cloud (said by `--on` or `DARKROOM_ON`)"
        );
        assert_eq!(error.hint(), "did you mean `aliyun`?");
        assert!(matches!(
            decide(None, "cloud = 'local'", ""),
            Err(SettingsError::Parse { .. })
        ));
        assert!(matches!(
            decide(None, "on = 7", ""),
            Err(SettingsError::Parse { .. })
        ));
    }
}
