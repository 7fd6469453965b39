//! The template that a verb is given: a path, or the folder of an `image.yaml`. It is
//! read here and understood by the engine.

use std::io;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The name of a template in a folder.
const FILE_NAME: &str = "image.yaml";

/// The file can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the template {} can't be read", path.display())]
struct TemplateFileError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// The file isn't text; where it ceases to be.
#[derive(Debug, thiserror::Error)]
#[error("{}:{line}:{column}: byte 0x{byte:02x} is not UTF-8", path.display())]
struct NotText {
    path: PathBuf,
    line: usize,
    column: usize,
    byte: u8,
}

impl NotText {
    fn at(path: &Path, bytes: &[u8], error: std::str::Utf8Error) -> Self {
        let (good, rest) = bytes.split_at(error.valid_up_to());
        let good = String::from_utf8_lossy(good);
        let last = good.rsplit('\n').next().unwrap_or_default();
        Self {
            path: path.to_owned(),
            line: good.matches('\n').count() + 1,
            column: last.chars().count() + 1,
            byte: rest.first().copied().unwrap_or_default(),
        }
    }
}

/// A template's text and where it lies.
#[derive(Debug)]
pub(crate) struct TemplateFile {
    /// The file as people call it.
    pub(crate) name: String,
    /// Its folder: components by path lie in it.
    pub(crate) folder: PathBuf,
    /// Its text.
    pub(crate) text: String,
    /// Whether a file holds it, and not the command line.
    pub(crate) is_file: bool,
}

impl TemplateFile {
    /// A template that no file holds: the command line stands for it.
    pub(crate) fn of_command_line(text: String) -> Self {
        Self {
            name: "(command line)".into(),
            folder: PathBuf::from("."),
            text,
            is_file: false,
        }
    }

    /// Reads a template.
    pub(crate) fn read(given: &Path) -> Result<Self, Failure> {
        let file = file_of(given);
        let bytes = std::fs::read(&file).map_err(|source| {
            let missing = source.kind() == io::ErrorKind::NotFound;
            let path = file.clone();
            let failure = Failure::user(TemplateFileError { path, source });
            if missing {
                failure.hint("name the template, as in `darkroom build path/to/image.yaml`")
            } else {
                failure
            }
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            Failure::user(NotText::at(&file, error.as_bytes(), error.utf8_error()))
                .hint("save the file as UTF-8")
        })?;
        Ok(Self {
            name: file.display().to_string(),
            folder: folder_of(given),
            text,
            is_file: true,
        })
    }
}

/// The file of the template that was given.
pub(crate) fn file_of(given: &Path) -> PathBuf {
    if given.is_dir() {
        given.join(FILE_NAME)
    } else {
        given.to_owned()
    }
}

/// The folder of the template that was given, whether or not it is there.
pub(crate) fn folder_of(given: &Path) -> PathBuf {
    match file_of(given).parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_text_is_pointed_at() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("image.yaml");
        std::fs::write(&file, b"name: web\n# \xc3\xa9\xff\n").unwrap();
        let failure = TemplateFile::read(&file).unwrap_err();
        let said = format!("{}:2:4: byte 0xff is not UTF-8", file.display());
        assert_eq!(failure.error.to_string(), said);
    }

    #[test]
    fn a_file_or_its_folder_can_be_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("image.yaml");
        std::fs::write(&file, "name: web\n").unwrap();
        for given in [folder.path(), &file] {
            let read = TemplateFile::read(given).unwrap();
            assert_eq!(read.name, file.display().to_string());
            assert_eq!(read.folder, folder.path());
            assert_eq!(read.text, "name: web\n");
        }
        let missing = TemplateFile::read(&folder.path().join("other.yaml")).unwrap_err();
        assert!(missing.hints[0].contains("name the template"));
    }
}
