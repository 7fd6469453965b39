//! The three roots: where runs, the local cloud and caches are kept.
//!
//! | variable | else, for root | else |
//! |---|---|---|
//! | `DARKROOM_STATE` | `/var/lib/darkroom` | `$XDG_STATE_HOME/darkroom` |
//! | `DARKROOM_LOCAL` | `local/` in it | `local/` in it |
//! | `DARKROOM_CACHE` | `/var/cache/darkroom` | `$XDG_CACHE_HOME/darkroom` |
//!
//! The user's file can name them too, as `state`, `local` and `cache`; variables win.
//! All are readable by their owner only. Runs hold nothing of a cloud, so that they
//! can be copied; the local cloud and the caches can be removed without losing a run.

use std::ffi::OsString;
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::settings::{Config, KEYS};

/// A root that can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RootError {
    #[error("`{variable}` must be an absolute path, not {value:?}")]
    Relative {
        variable: &'static str,
        value: PathBuf,
    },
    #[error("there is no home folder to keep runs in")]
    NoHome,
    #[error("the folder {path} can't be made")]
    Make {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the folder {path} belongs to another user (user id {owner})")]
    Owner { path: PathBuf, owner: u32 },
}

impl RootError {
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Relative { variable, .. } => {
                format!("set `{variable}` to a path that begins with `/`")
            }
            Self::NoHome => "set `DARKROOM_STATE`, `DARKROOM_LOCAL` and `DARKROOM_CACHE`".into(),
            Self::Make { .. } => "set `DARKROOM_STATE`, `DARKROOM_LOCAL` or `DARKROOM_CACHE` to a \
                folder that you can write to"
                .into(),
            Self::Owner { .. } => {
                "run as that user, or set `DARKROOM_STATE`, `DARKROOM_LOCAL` and \
                `DARKROOM_CACHE` to folders of your own"
                    .into()
            }
        }
    }
}

impl From<RootError> for Failure {
    fn from(error: RootError) -> Self {
        let hint = error.hint();
        Self::config(error).hint(hint)
    }
}

/// The three roots, as absolute paths. Nothing is made until it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Roots {
    pub(crate) state: PathBuf,
    pub(crate) local: PathBuf,
    pub(crate) cache: PathBuf,
}

impl Roots {
    /// The roots of this process.
    pub(crate) fn of_process() -> Result<Self, Failure> {
        let config = Config::of_user()?;
        let said = |name: &str| {
            let known = KEYS.iter().find(|known| known.variable == name)?;
            let value = config.find(known.key, None).ok().flatten()?;
            Some(OsString::from(value.text))
        };
        let found = Self::find(
            &|name| {
                let variable = std::env::var_os(name).filter(|value| !value.is_empty());
                variable.or_else(|| said(name))
            },
            darkroom_local::sandbox::rootless::is_root(),
        )?;
        Ok(found)
    }

    fn find(
        variable: &dyn Fn(&'static str) -> Option<OsString>,
        root: bool,
    ) -> Result<Self, RootError> {
        let path = |name: &'static str| match variable(name).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) if Path::new(&value).is_absolute() => Ok(Some(PathBuf::from(value))),
            Some(value) => Err(RootError::Relative {
                variable: name,
                value: value.into(),
            }),
        };
        // A relative XDG variable is ignored, as its specification says.
        let xdg = |name: &'static str, inside_home: &str| {
            let base = path(name).ok().flatten();
            let home = || Some(path("HOME").ok()??.join(inside_home));
            base.or_else(home)
                .map(|base| base.join("darkroom"))
                .ok_or(RootError::NoHome)
        };
        let state = match path("DARKROOM_STATE")? {
            Some(state) => state,
            None if root => PathBuf::from("/var/lib/darkroom"),
            None => xdg("XDG_STATE_HOME", ".local/state")?,
        };
        let cache = match path("DARKROOM_CACHE")? {
            Some(cache) => cache,
            None if root => PathBuf::from("/var/cache/darkroom"),
            None => xdg("XDG_CACHE_HOME", ".cache")?,
        };
        let local = path("DARKROOM_LOCAL")?.unwrap_or_else(|| state.join("local"));
        Ok(Self {
            state,
            local,
            cache,
        })
    }

    /// The folder of all runs, made if it isn't there.
    pub(crate) fn runs(&self) -> Result<PathBuf, RootError> {
        private_folder(&self.state)?;
        let runs = self.state.join("runs");
        private_folder(&runs)?;
        Ok(runs)
    }

    /// The local cloud's folder, made if it isn't there.
    pub(crate) fn local_folder(&self) -> Result<&Path, RootError> {
        private_folder(&self.local)?;
        Ok(&self.local)
    }

    /// The caches' folder, made if it isn't there.
    pub(crate) fn cache_folder(&self) -> Result<&Path, RootError> {
        private_folder(&self.cache)?;
        Ok(&self.cache)
    }
}

/// Makes a folder that only its owner can enter, or tightens the one that is there.
fn private_folder(path: &Path) -> Result<(), RootError> {
    let failed = |source| RootError::Make {
        path: path.to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed)?;
    let metadata = path.metadata().map_err(failed)?;
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me {
        return Err(RootError::Owner {
            path: path.to_owned(),
            owner: metadata.uid(),
        });
    }
    if metadata.mode() & 0o077 != 0 {
        std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(variables: &[(&str, &str)], root: bool) -> Result<Roots, RootError> {
        Roots::find(
            &|name| {
                let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
                Some(OsString::from(value))
            },
            root,
        )
    }

    fn paths(state: &str, local: &str, cache: &str) -> Roots {
        Roots {
            state: state.into(),
            local: local.into(),
            cache: cache.into(),
        }
    }

    #[test]
    fn root_and_users_have_their_own_defaults() {
        assert_eq!(
            find(&[("HOME", "/root")], true).unwrap(),
            paths(
                "/var/lib/darkroom",
                "/var/lib/darkroom/local",
                "/var/cache/darkroom"
            )
        );
        assert_eq!(
            find(&[("HOME", "/h")], false).unwrap(),
            paths(
                "/h/.local/state/darkroom",
                "/h/.local/state/darkroom/local",
                "/h/.cache/darkroom"
            )
        );
        let xdg = [
            ("HOME", "/h"),
            ("XDG_STATE_HOME", "/s"),
            ("XDG_CACHE_HOME", "relative"),
        ];
        assert_eq!(
            find(&xdg, false).unwrap(),
            paths("/s/darkroom", "/s/darkroom/local", "/h/.cache/darkroom")
        );
    }

    #[test]
    fn variables_decide_and_must_be_absolute() {
        let all = [
            ("DARKROOM_STATE", "/a"),
            ("DARKROOM_LOCAL", "/b"),
            ("DARKROOM_CACHE", "/c"),
        ];
        assert_eq!(find(&all, true).unwrap(), paths("/a", "/b", "/c"));
        assert_eq!(
            find(&all[..1], true).unwrap().local,
            PathBuf::from("/a/local")
        );
        let relative = find(&[("DARKROOM_STATE", "a")], true).unwrap_err();
        assert_eq!(
            relative.to_string(),
            "`DARKROOM_STATE` must be an absolute path, not \"a\""
        );
        assert!(matches!(find(&[], false), Err(RootError::NoHome)));
    }

    #[test]
    fn folders_are_private_even_if_they_were_not() {
        let base = tempfile::tempdir().unwrap();
        let state = base.path().join("deep/state");
        std::fs::create_dir_all(&state).unwrap();
        std::fs::set_permissions(&state, Permissions::from_mode(0o755)).unwrap();
        let state_text = state.to_str().unwrap();
        let roots = find(&[("DARKROOM_STATE", state_text), ("HOME", "/h")], false).unwrap();
        let runs = roots.runs().unwrap();
        for folder in [&state, &runs] {
            assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700);
        }
    }
}
