//! What came of the steps that have been carried out.

use std::fmt;
use std::io;
use std::sync::Arc;

/// The whole output of a step, or a collected file, wherever the host keeps it.
pub trait Content: Send + Sync {
    /// Up to `length` bytes from `offset` on; fewer at the end, none past it.
    ///
    /// # Errors
    /// Where the content can't be read; the call of the component ends with that.
    fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>>;
}

impl Content for Vec<u8> {
    fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(self.len());
        let end = start.saturating_add(length).min(self.len());
        Ok(self[start..end].to_vec())
    }
}

/// What came of one step; all but `succeeded` is about its last attempt.
#[derive(Clone, Default)]
pub struct StepResult {
    /// Whether it was carried out and all that it was to hold held.
    pub succeeded: bool,
    /// The exit code of a script; 0 for other steps that succeeded; -1 where there
    /// is none.
    pub exit_code: i32,
    /// The end of the output; a session hands on the last 16 KiB of it at most.
    pub output_tail: String,
    /// Bytes of the whole output, or of the collected file.
    pub size: u64,
    /// The whole output or the collected file; `None` where there is nothing.
    pub content: Option<Arc<dyn Content>>,
}

impl fmt::Debug for StepResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepResult")
            .field("succeeded", &self.succeeded)
            .field("exit_code", &self.exit_code)
            .field("output_tail", &self.output_tail)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// The results of the steps carried out so far, in the order of their numbers. It
/// grows by whole batches: all steps declared before a question are carried out
/// before the role is called again.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The result of step 0, 1, 2 and so on.
    pub results: Vec<StepResult>,
}
