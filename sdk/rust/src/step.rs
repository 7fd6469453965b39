//! Steps: what should be done on the machine, and what came of it.
//!
//! A thin wrapper over the contract's interface `steps`, for component authors. It
//! holds nothing but the number of the step; the host (or the unit test) keeps the rest
//! and refuses what makes no sense.

use crate::calls::steps;

/// A declared step. Its refinements return it again, so that they can be chained:
///
/// ```no_run
/// # use darkroom::*;
/// let install = shell("install nginx", "apt-get install -y nginx")
///     .environment("DEBIAN_FRONTEND", "noninteractive")
///     .timeout(900)
///     .attempts(3);
/// let version = shell("look", "nginx -v").output();
/// # let _ = (install, version);
/// ```
///
/// Refinements must come before the first question that follows the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step(u32);

/// The longest answer of one `read`, as in the contract.
const SLICE: u32 = 1024 * 1024;

/// A script for the POSIX shell `/bin/sh`; a first line `#!...` names another program.
/// It runs as `root` for at most 600 s, must exit with 0 and is tried once.
///
/// `name` is 1 to 100 characters for people, as in all functions that declare a step.
pub fn shell(name: impl AsRef<str>, script: impl AsRef<str>) -> Step {
    Step(steps::shell(name.as_ref(), script.as_ref()))
}

/// A script for Windows `PowerShell`, as `System`.
pub fn powershell(name: impl AsRef<str>, script: impl AsRef<str>) -> Step {
    Step(steps::powershell(name.as_ref(), script.as_ref()))
}

/// A script for the Windows command processor, `cmd.exe`, as `System`.
pub fn cmd(name: impl AsRef<str>, script: impl AsRef<str>) -> Step {
    Step(steps::cmd(name.as_ref(), script.as_ref()))
}

/// A file with this text (at most 1 MiB) at an absolute path. Missing folders are made,
/// an existing file is replaced in one move. Mode 0644, owner `root`.
pub fn write(name: impl AsRef<str>, path: impl AsRef<str>, text: impl AsRef<str>) -> Step {
    Step(steps::write(name.as_ref(), path.as_ref(), text.as_ref()))
}

/// A file with these bytes (at most 1 MiB).
pub fn write_bytes(name: impl AsRef<str>, path: impl AsRef<str>, bytes: impl AsRef<[u8]>) -> Step {
    Step(steps::write_bytes(
        name.as_ref(),
        path.as_ref(),
        bytes.as_ref(),
    ))
}

/// A file or folder of the component's `assets/`, by its path in that folder.
pub fn write_asset(name: impl AsRef<str>, path: impl AsRef<str>, asset: impl AsRef<str>) -> Step {
    Step(steps::write_asset(
        name.as_ref(),
        path.as_ref(),
        asset.as_ref(),
    ))
}

/// A file that the machine itself fetches from an `https:`, `http:` or `oss:` address.
/// `sha256` is the lower-case hexadecimal digest that it must have.
pub fn download(
    name: impl AsRef<str>,
    path: impl AsRef<str>,
    address: impl AsRef<str>,
    sha256: impl AsRef<str>,
) -> Step {
    Step(steps::download(
        name.as_ref(),
        path.as_ref(),
        address.as_ref(),
        sha256.as_ref(),
    ))
}

/// A file of the machine is collected and kept with the run; one of more than `limit`
/// bytes is a failed step, never a cut one.
pub fn collect(name: impl AsRef<str>, path: impl AsRef<str>, limit: u64) -> Step {
    Step(steps::collect(name.as_ref(), path.as_ref(), limit))
}

/// A reboot. It succeeds when the machine has come up anew and its agent answers.
pub fn reboot(name: impl AsRef<str>) -> Step {
    Step(steps::reboot(name.as_ref()))
}

/// How the step is done.
impl Step {
    /// The user that a script runs as, in that user's home; not on Windows.
    pub fn run_as(self, user: impl AsRef<str>) -> Self {
        steps::run_as(self.0, user.as_ref());
        self
    }

    /// The working directory of a script, an absolute path.
    pub fn directory(self, path: impl AsRef<str>) -> Self {
        steps::directory(self.0, path.as_ref());
        self
    }

    /// One more argument of a script: `$1`, `$2` and so on, `"$@"` for all; `$args` in
    /// `PowerShell`. The way for lists of values that a person gave; see
    /// [`Step::arguments`]. Not for [`cmd`], and never a secret.
    pub fn argument(self, value: impl AsRef<str>) -> Self {
        steps::argument(self.0, value.as_ref());
        self
    }

    /// An argument of a script for each of these values:
    /// `shell("install", "apt-get install -y -- \"$@\"").arguments(inputs::texts("packages"))`.
    pub fn arguments(self, values: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        for value in values {
            steps::argument(self.0, value.as_ref());
        }
        self
    }

    /// An environment variable of a script: the way for every value that a person gave,
    /// secrets included. Variables add up.
    pub fn environment(self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        steps::environment(self.0, name.as_ref(), value.as_ref());
        self
    }

    /// Seconds until one attempt is stopped and has failed, 10 to 86400.
    pub fn timeout(self, seconds: u32) -> Self {
        steps::timeout(self.0, seconds);
        self
    }

    /// How often the step is tried until it succeeds, 1 to 10; not for a reboot.
    pub fn attempts(self, count: u32) -> Self {
        steps::attempts(self.0, count);
        self
    }

    /// Permission bits of a file that is written or downloaded: `0o644`, not `644`.
    pub fn mode(self, bits: u32) -> Self {
        steps::mode(self.0, bits);
        self
    }

    /// `user` or `user:group` of a file that is written or downloaded.
    pub fn owner(self, owner: impl AsRef<str>) -> Self {
        steps::owner(self.0, owner.as_ref());
        self
    }

    /// The component goes on when the step fails; [`Step::succeeded`] tells. In a tester
    /// it also keeps the step from being a test case.
    pub fn tolerate(self) -> Self {
        steps::tolerate(self.0);
        self
    }
}

/// What must hold for a script to have succeeded.
impl Step {
    /// The exit code is one of these; without this call it must be 0.
    pub fn expect_exit_codes(self, codes: impl AsRef<[i32]>) -> Self {
        steps::expect_exit_codes(self.0, codes.as_ref());
        self
    }

    /// The output (standard output and error together) contains this text.
    pub fn expect_output(self, text: impl AsRef<str>) -> Self {
        steps::expect_output(self.0, text.as_ref());
        self
    }

    /// The output does not contain this text.
    pub fn expect_no_output(self, text: impl AsRef<str>) -> Self {
        steps::expect_no_output(self.0, text.as_ref());
        self
    }

    /// The output matches this regular expression (RE2 syntax, unanchored).
    pub fn expect_match(self, pattern: impl AsRef<str>) -> Self {
        steps::expect_match(self.0, pattern.as_ref());
        self
    }
}

/// Questions. Without an answer the call ends here and is repeated from its beginning.
impl Step {
    /// Whether the step was carried out and all that it was to hold held.
    pub fn succeeded(self) -> bool {
        steps::succeeded(self.0)
    }

    /// The exit code of a script; 0 for other steps that succeeded; -1 where there is
    /// none.
    pub fn exit_code(self) -> i32 {
        steps::exit_code(self.0)
    }

    /// The end of the output as text, at most 16 KiB, without the line breaks at its
    /// end.
    pub fn output(self) -> String {
        steps::output(self.0)
    }

    /// Bytes of the whole output, or of the collected file.
    pub fn size(self) -> u64 {
        steps::size(self.0)
    }

    /// Up to `length` bytes (at most 1 MiB) of the whole output, or of the collected
    /// file, from `offset` on; fewer at its end.
    pub fn read(self, offset: u64, length: u32) -> Vec<u8> {
        steps::read(self.0, offset, length)
    }

    /// The whole output, or the whole collected file. All answers of a component
    /// together are limited to 4 MiB.
    pub fn read_all(self) -> Vec<u8> {
        let size = self.size();
        let mut all = Vec::new();
        while (all.len() as u64) < size {
            let slice = self.read(all.len() as u64, SLICE);
            if slice.is_empty() {
                break;
            }
            all.extend(slice);
        }
        all
    }
}
