//! Runs a script of a component for real, by this machine's `/bin/sh`, so that quoting
//! and control flow can be tested with programs that a test puts in the way.

use super::Declared;
use std::path::Path;
use std::process::{Command, Stdio};

/// What came of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its exit code, -1 where a signal ended it.
    pub exit_code: i32,
    /// Standard output and standard error together.
    pub output: String,
}

impl Declared {
    /// Runs the script with the step's arguments and environment, and nothing else of this process's;
    /// `PATH` is `programs` (stubs of the test), then the system's. The working directory
    /// is `folder`, which is `HOME` too.
    ///
    /// Only for scripts that are harmless here: it runs with the rights of the test.
    pub fn run(&self, folder: &Path, programs: &Path) -> Outcome {
        let Some(script) = self.script() else {
            panic!("the step {:?} is not a script", self.name);
        };
        // One pipe for both: the shell itself joins them, as the agent does.
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "exec 2>&1; eval \"$DARKROOM_SCRIPT\"", "sh"])
            .args(&self.arguments)
            .env_clear()
            .env(
                "DARKROOM_SCRIPT",
                format!("unset DARKROOM_SCRIPT\n{script}"),
            )
            .env(
                "PATH",
                format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", programs.display()),
            )
            .env("HOME", folder)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(folder)
            .stdin(Stdio::null());
        match command.output() {
            Ok(output) => Outcome {
                exit_code: output.status.code().unwrap_or(-1),
                output: String::from_utf8_lossy(&output.stdout).into_owned(),
            },
            Err(error) => panic!("/bin/sh could not be started: {error}"),
        }
    }
}
