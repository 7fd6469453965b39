//! What comes with the program: the system components and the examples.
//!
//! Each lies where a setting says, else in `../share/darkroom/` beside the executable,
//! else in the workspace that the executable was built in. Only the folder is found
//! here; what is in it is for others to read.

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::settings::{Config, Key};

/// Something that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shipped {
    /// The system components.
    Components,
    /// The examples of `darkroom init`.
    Examples,
}

/// Its folder was not found.
#[derive(Debug, thiserror::Error)]
enum ShippedError {
    #[error("{said_by} names {folder:?}, which is not a folder")]
    NotAFolder { said_by: String, folder: PathBuf },
    #[error("the {what} were not found")]
    Nowhere { what: &'static str },
}

impl Shipped {
    fn key(self) -> Key {
        match self {
            Self::Components => Key::Components,
            Self::Examples => Key::Examples,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Components => "system components",
            Self::Examples => "examples",
        }
    }

    /// Its folder.
    pub(crate) fn find(self) -> Result<PathBuf, Failure> {
        let said = Config::of_user()?.find(self.key(), None)?;
        let said = said.map(|value| (PathBuf::from(value.text), value.origin.to_string()));
        self.find_from(said, std::env::current_exe().ok().as_deref())
    }

    fn find_from(
        self,
        said: Option<(PathBuf, String)>,
        executable: Option<&Path>,
    ) -> Result<PathBuf, Failure> {
        if let Some((folder, said_by)) = said {
            if folder.is_dir() {
                return Ok(folder);
            }
            return Err(
                Failure::config(ShippedError::NotAFolder { said_by, folder }).hint(format!(
                    "let it be the folder of the {}, or say nothing",
                    self.words()
                )),
            );
        }
        let tried = self.places(executable);
        if let Some(found) = tried.iter().find(|folder| folder.is_dir()) {
            return Ok(found.clone());
        }
        let tried: Vec<_> = tried
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let what = self.words();
        let hint = match self {
            Self::Components => ", or build them with `make components`",
            Self::Examples => "",
        };
        Err(
            Failure::config(ShippedError::Nowhere { what }).hint(format!(
                "set `{}` to their folder{hint}; looked in {}",
                self.key().known().variable,
                tried.join(" and ")
            )),
        )
    }

    /// Where it can lie, beside an executable.
    fn places(self, executable: Option<&Path>) -> Vec<PathBuf> {
        let Some(beside) = executable.and_then(Path::parent) else {
            return Vec::new();
        };
        // `target/debug/darkroom` and `target/release/darkroom`, and tests in `deps` below.
        let target = beside
            .ancestors()
            .find(|folder| folder.file_name().is_some_and(|name| name == "target"));
        let (installed, built) = match self {
            Self::Components => (
                "../share/darkroom/components",
                target.map(|target| target.join("components")),
            ),
            Self::Examples => (
                "../share/darkroom/examples",
                target
                    .and_then(Path::parent)
                    .map(|tree| tree.join("examples")),
            ),
        };
        std::iter::once(beside.join(installed))
            .chain(built)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_then_the_installation_then_the_workspace() {
        let base = tempfile::tempdir().unwrap();
        let at = |path: &str| base.path().join(path);
        let executable = at("target/debug/darkroom");
        let found = |said: Option<&str>| {
            let said = said.map(|path| (at(path), "DARKROOM_COMPONENTS".to_owned()));
            Shipped::Components.find_from(said, Some(&executable))
        };
        let nowhere = found(None).unwrap_err();
        assert!(
            nowhere.hints[0].contains("target/components"),
            "{nowhere:?}"
        );
        for folder in ["target/components", "target/debug", "named", "examples"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        assert_eq!(found(None).unwrap(), at("target/components"));
        std::fs::create_dir_all(at("target/share/darkroom/components")).unwrap();
        assert!(found(None).unwrap().ends_with("share/darkroom/components"));
        assert_eq!(found(Some("named")).unwrap(), at("named"));
        assert!(found(Some("missing")).is_err());
        let examples = Shipped::Examples.find_from(None, Some(&executable));
        assert_eq!(examples.unwrap(), at("examples"));
    }
}
