//! Examples that come with the program, and copying one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use darkroom_template::nearest;

use crate::failure::Failure;

/// The template that a folder of examples must have to be one.
const TEMPLATE: &str = "image.yaml";

/// An example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Example {
    /// Such as `01-web-server`.
    pub(crate) name: String,
    /// The first line of its template's comment.
    pub(crate) about: String,
    folder: PathBuf,
}

/// Why an example was not copied.
#[derive(Debug, thiserror::Error)]
enum ExampleError {
    #[error("there is no example `{name}`")]
    Unknown { name: String },
    #[error("{folder} is not empty")]
    NotEmpty { folder: PathBuf },
    #[error("the example can't be copied: {act} {path} failed")]
    Io {
        act: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The examples in a folder, in order.
pub(crate) fn examples(folder: &Path) -> Vec<Example> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut examples: Vec<_> = entries
        .filter_map(|entry| {
            let folder = entry.path();
            let text = fs::read_to_string(folder.join(TEMPLATE)).ok()?;
            Some(Example {
                name: entry.file_name().into_string().ok()?,
                about: about(&text),
                folder,
            })
        })
        .collect();
    examples.sort_by(|a, b| a.name.cmp(&b.name));
    examples
}

/// The first sentence of the comment that a template begins with.
fn about(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix('#'));
    let comment = lines.map(str::trim).collect::<Vec<_>>().join(" ");
    let end = comment.find([':', '.']).unwrap_or(comment.len());
    comment[..end].to_owned()
}

impl Example {
    /// The example that is meant: by its name, with or without its number.
    pub(crate) fn named(name: &str, all: &[Self]) -> Result<Self, Failure> {
        let short = |one: &Self| one.short().to_owned();
        if let Some(found) = all
            .iter()
            .find(|one| one.name == name || short(one) == name)
        {
            return Ok(found.clone());
        }
        let names: Vec<_> = all.iter().map(short).collect();
        let hint = match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the examples are {}", names.join(", ")),
        };
        let name = name.to_owned();
        Err(Failure::user(ExampleError::Unknown { name }).hint(hint))
    }

    /// Its name without the number.
    pub(crate) fn short(&self) -> &str {
        self.name
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .trim_start_matches('-')
    }

    /// Copies it into a folder that is not there yet, or empty.
    pub(crate) fn copy(&self, to: &Path) -> Result<(), Failure> {
        let taken = fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some());
        if taken {
            let folder = to.to_owned();
            return Err(Failure::user(ExampleError::NotEmpty { folder })
                .hint("name another folder; nothing is overwritten"));
        }
        Ok(copy(&self.folder, to)?)
    }
}

impl From<ExampleError> for Failure {
    fn from(error: ExampleError) -> Self {
        Self::config(error)
    }
}

/// Copies files and folders. Links are left out, and so is what Cargo compiled.
fn copy(from: &Path, to: &Path) -> Result<(), ExampleError> {
    let failed = |act, path: &Path| {
        let path = path.to_owned();
        move |source| ExampleError::Io { act, path, source }
    };
    fs::create_dir_all(to).map_err(failed("making", to))?;
    for entry in fs::read_dir(from).map_err(failed("reading", from))? {
        let entry = entry.map_err(failed("reading", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(failed("reading", &source))?;
        if kind.is_dir() && entry.file_name() != "target" {
            copy(&source, &target)?;
        } else if kind.is_file() {
            let mut read = File::open(&source).map_err(failed("reading", &source))?;
            let mut write = OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&target)
                .map_err(failed("making", &target))?;
            io::copy(&mut read, &mut write).map_err(failed("writing", &target))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf() -> tempfile::TempDir {
        let shelf = tempfile::tempdir().unwrap();
        for (name, text) in [
            (
                "01-web-server",
                "# A web server with a greeting: nginx.\nname: web\n",
            ),
            ("02-hardened-base", "# A base. It is hard.\nname: base\n"),
        ] {
            let folder = shelf.path().join(name);
            fs::create_dir_all(folder.join("site/target")).unwrap();
            fs::write(folder.join(TEMPLATE), text).unwrap();
            fs::write(folder.join("site/index.html"), "hello").unwrap();
            fs::write(folder.join("site/target/x"), "compiled").unwrap();
        }
        fs::create_dir(shelf.path().join("no-example")).unwrap();
        shelf
    }

    #[test]
    fn examples_are_found_by_name_with_and_without_their_number() {
        let shelf = shelf();
        let all = examples(shelf.path());
        let told: Vec<_> = all
            .iter()
            .map(|one| (one.short(), one.about.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("web-server", "A web server with a greeting"),
                ("hardened-base", "A base")
            ]
        );
        assert_eq!(Example::named("01-web-server", &all).unwrap(), all[0]);
        assert_eq!(Example::named("hardened-base", &all).unwrap(), all[1]);
        let wrong = Example::named("web-sever", &all).unwrap_err();
        assert_eq!(wrong.hints, ["did you mean `web-server`?"]);
    }

    #[test]
    fn a_copy_is_whole_and_overwrites_nothing() {
        let shelf = shelf();
        let example = &examples(shelf.path())[0];
        let to = shelf.path().join("mine");
        example.copy(&to).unwrap();
        assert_eq!(
            fs::read_to_string(to.join("site/index.html")).unwrap(),
            "hello"
        );
        assert!(!to.join("site/target").exists());
        let again = example.copy(&to).unwrap_err();
        assert!(again.chain()[0].ends_with("is not empty"), "{again:?}");
    }
}
