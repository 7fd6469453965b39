//! What a step comes to, as a test scripts it.

/// The answer to a step. Whether the step has succeeded is decided as the host does:
/// by the exit code and the expected texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub(crate) exit_code: i32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) fails: bool,
}

impl Answer {
    /// Exit code 0 and no output: what a step comes to that nothing was scripted for.
    pub fn success() -> Self {
        Self::exit(0)
    }

    /// This exit code and no output.
    pub fn exit(exit_code: i32) -> Self {
        Self {
            exit_code,
            bytes: Vec::new(),
            fails: false,
        }
    }

    /// Exit code 0 and this output; for a collected file its content.
    pub fn output(output: impl AsRef<[u8]>) -> Self {
        Self {
            exit_code: 0,
            bytes: output.as_ref().to_vec(),
            fails: false,
        }
    }

    /// Failed whatever the exit code is: stopped by its timeout, a file that could not be
    /// written, a pattern that did not match.
    pub fn failure() -> Self {
        Self {
            exit_code: -1,
            bytes: Vec::new(),
            fails: true,
        }
    }

    /// The same with this output.
    #[must_use]
    pub fn with_output(mut self, output: impl AsRef<[u8]>) -> Self {
        self.bytes = output.as_ref().to_vec();
        self
    }
}
