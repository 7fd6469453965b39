//! Where the system components lie: `DARKROOM_COMPONENTS`, else
//! `../share/darkroom/components` beside the executable, else the build folder of the
//! workspace that the executable was built in.
//!
//! Only the folder is found here; what is in it is the engine's to read.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// No folder of components was found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComponentFolderError {
    #[error("`DARKROOM_COMPONENTS` names {0:?}, which is not a folder")]
    NotAFolder(PathBuf),
    #[error("the system components were not found")]
    Nowhere { tried: Vec<PathBuf> },
}

impl ComponentFolderError {
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NotAFolder(_) => "set it to the folder of the components, or unset it".into(),
            Self::Nowhere { tried } => {
                let tried: Vec<_> = tried
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                format!(
                    "set `DARKROOM_COMPONENTS` to their folder, or build them with `make components`; \
                     looked in {}",
                    tried.join(" and ")
                )
            }
        }
    }
}

impl From<ComponentFolderError> for Failure {
    fn from(error: ComponentFolderError) -> Self {
        let hint = error.hint();
        Self::config(error).hint(hint)
    }
}

/// The folder of the system components.
pub(crate) fn find() -> Result<PathBuf, ComponentFolderError> {
    let named = std::env::var_os("DARKROOM_COMPONENTS").filter(|value| !value.is_empty());
    find_from(
        named.map(PathBuf::from),
        std::env::current_exe().ok().as_deref(),
    )
}

fn find_from(
    named: Option<PathBuf>,
    executable: Option<&Path>,
) -> Result<PathBuf, ComponentFolderError> {
    if let Some(named) = named {
        return if named.is_dir() {
            Ok(named)
        } else {
            Err(ComponentFolderError::NotAFolder(named))
        };
    }
    let beside = executable.and_then(Path::parent);
    let installed = beside.map(|folder| folder.join("../share/darkroom/components"));
    // `target/debug/darkroom` and `target/release/darkroom`, and tests in `deps` below.
    let built = beside
        .into_iter()
        .flat_map(Path::ancestors)
        .find(|folder| folder.file_name().is_some_and(|name| name == "target"))
        .map(|target| target.join("components"));
    let tried: Vec<_> = installed.into_iter().chain(built).collect();
    match tried.iter().find(|folder| folder.is_dir()) {
        Some(folder) => Ok(folder.clone()),
        None => Err(ComponentFolderError::Nowhere { tried }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_then_the_installation_then_the_workspace() {
        let base = tempfile::tempdir().unwrap();
        let at = |path: &str| base.path().join(path);
        let executable = at("target/debug/darkroom");
        let nowhere = find_from(None, Some(&executable)).unwrap_err();
        assert!(
            nowhere.hint().contains("target/components"),
            "{}",
            nowhere.hint()
        );
        for folder in ["target/components", "target/debug", "named"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        assert_eq!(
            find_from(None, Some(&executable)).unwrap(),
            at("target/components")
        );
        std::fs::create_dir_all(at("target/share/darkroom/components")).unwrap();
        let installed = find_from(None, Some(&executable)).unwrap();
        assert!(installed.ends_with("share/darkroom/components"));
        assert_eq!(find_from(Some(at("named")), None).unwrap(), at("named"));
        assert!(find_from(Some(at("missing")), None).is_err());
    }
}
