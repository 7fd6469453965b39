//! Where the values of secrets come from: variables, files and commands of whoever runs
//! `darkroom`.
//!
//! The engine asks for each secret of a template when a run begins, and again when it is
//! resumed. Values pass through here and are neither kept nor shown; what a command says
//! on its standard error goes to the terminal, so that it can ask for a password.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use darkroom_engine::secret::LONGEST;
use darkroom_engine::{Ask, Secret, SecretError};
use darkroom_template::SecretFrom;

/// Why a source gave nothing, and what to do.
struct Refused {
    problem: String,
    hint: Option<String>,
}

/// Asks the sources; files and commands are those of the template's folder.
pub(crate) fn ask(folder: &Path) -> Ask {
    let folder = folder.to_owned();
    Arc::new(move |from, name| {
        let folder = folder.clone();
        Box::pin(async move {
            let value = match from {
                SecretFrom::Environment(variable) => of_environment(&variable),
                SecretFrom::File(path) => of_file(&folder, &path),
                SecretFrom::Command(words) => of_command(folder, &words).await,
            };
            match value.and_then(text) {
                Ok(value) => Ok(Secret::new(value)),
                Err(Refused { problem, hint }) => Err(SecretError {
                    name,
                    problem,
                    hint,
                }),
            }
        })
    })
}

fn of_environment(variable: &str) -> Result<Vec<u8>, Refused> {
    use std::os::unix::ffi::OsStringExt;
    std::env::var_os(variable)
        .map(OsStringExt::into_vec)
        .ok_or_else(|| Refused {
            problem: format!("the variable {variable} is not set"),
            hint: Some(format!("set {variable}, also when the run is resumed")),
        })
}

fn of_file(folder: &Path, path: &Path) -> Result<Vec<u8>, Refused> {
    let read = || {
        let file = Dir::open_ambient_dir(folder, ambient_authority())?.open(path)?;
        bounded(file)
    };
    read().map_err(|error: io::Error| Refused {
        problem: format!("{} can't be read: {error}", folder.join(path).display()),
        hint: None,
    })
}

/// Runs a program in the template's folder and takes what it prints, without the line
/// break at its end.
async fn of_command(folder: PathBuf, words: &[String]) -> Result<Vec<u8>, Refused> {
    let said = words.join(" ");
    let failed = |problem: String| Refused {
        problem: format!("`{said}` {problem}"),
        hint: None,
    };
    let Some((program, arguments)) = words.split_first() else {
        return Err(failed("names no program".into()));
    };
    let mut command = std::process::Command::new(program);
    command
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::piped());
    let run = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn()?;
        let printed = child.stdout.take().map_or(Ok(Vec::new()), bounded);
        Ok::<_, io::Error>((child.wait()?, printed?))
    });
    let (status, mut printed) = run
        .await
        .map_err(io::Error::other)
        .and_then(|ran| ran)
        .map_err(|error| failed(format!("can't be run: {error}")))?;
    if !status.success() {
        return Err(failed(format!("ended with {status}")));
    }
    if printed.last() == Some(&b'\n') {
        printed.pop();
    }
    if printed.last() == Some(&b'\r') {
        printed.pop();
    }
    Ok(printed)
}

/// Reads no more than the engine takes, and one byte for it to see that there is more.
fn bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LONGEST as u64 + 2).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> Result<String, Refused> {
    String::from_utf8(bytes).map_err(|_| Refused {
        problem: "its value is not UTF-8".into(),
        hint: Some("encode it, for example by base64, and decode it in the instance".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn had(folder: &Path, from: SecretFrom) -> Result<String, String> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let asked = runtime.block_on(ask(folder)(from, "db".into()));
        asked
            .map(|secret| secret.expose().to_owned())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn files_and_commands_are_those_of_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("template");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("key"), "two\nlines\n").unwrap();
        std::fs::write(root.path().join("outside"), "x").unwrap();
        std::os::unix::fs::symlink("../outside", folder.join("link")).unwrap();
        let file = |name: &str| had(&folder, SecretFrom::File(name.into()));
        assert_eq!(file("key").unwrap(), "two\nlines\n");
        assert!(file("missing").unwrap_err().contains("can't be read"));
        assert!(file("link").unwrap_err().contains("can't be read"));
        let command = |words: &[&str]| {
            let words = words.iter().map(ToString::to_string).collect();
            had(&folder, SecretFrom::Command(words))
        };
        assert_eq!(command(&["cat", "key"]).unwrap(), "two\nlines");
        let failed = command(&["sh", "-c", "echo hidden; exit 3"]).unwrap_err();
        assert!(failed.contains("exit status: 3"), "{failed}");
        assert!(command(&["/no/such"]).unwrap_err().contains("can't be run"));
        assert!(command(&["printf", "\\377"]).unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let from = SecretFrom::Environment("DARKROOM_NO_SUCH_VARIABLE".into());
        let said = had(Path::new("/"), from).unwrap_err();
        assert_eq!(
            said,
            "the secret db: the variable DARKROOM_NO_SUCH_VARIABLE is not set"
        );
    }
}
