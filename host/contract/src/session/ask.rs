//! Questions: the functions of `steps` that may end the call.

use serde_json::Value;

use super::Session;
use crate::call::Call;
use crate::fault::Fault;
use crate::history::StepResult;

/// The bytes of `output` that a component sees; more is had by `read`.
const OUTPUT_BYTES: usize = 16 << 10;

impl Session {
    /// `steps.succeeded`.
    ///
    /// # Errors
    /// [`Fault::Suspend`] where there is no answer yet, or another [`Fault`].
    pub fn succeeded(&mut self, of: u32) -> Result<bool, Fault> {
        let (_, result) = self.ask("succeeded", of, &[])?;
        Ok(result.succeeded)
    }

    /// `steps.exit-code`.
    ///
    /// # Errors
    /// As [`succeeded`](Self::succeeded).
    pub fn exit_code(&mut self, of: u32) -> Result<i32, Fault> {
        let (_, result) = self.ask("exit-code", of, &[])?;
        Ok(result.exit_code)
    }

    /// `steps.output`.
    ///
    /// # Errors
    /// As [`succeeded`](Self::succeeded).
    pub fn output(&mut self, of: u32) -> Result<String, Fault> {
        let (call, result) = self.ask("output", of, &[])?;
        let tail = &result.output_tail;
        let cut = tail.ceil_char_boundary(tail.len().saturating_sub(OUTPUT_BYTES));
        let answer = tail[cut..].trim_end_matches(['\r', '\n']).to_owned();
        self.use_answer(&call, answer.len())?;
        Ok(answer)
    }

    /// `steps.size`.
    ///
    /// # Errors
    /// As [`succeeded`](Self::succeeded).
    pub fn size(&mut self, of: u32) -> Result<u64, Fault> {
        let (_, result) = self.ask("size", of, &[])?;
        Ok(result.size)
    }

    /// `steps.read`.
    ///
    /// # Errors
    /// As [`succeeded`](Self::succeeded).
    pub fn read(&mut self, of: u32, offset: u64, length: u32) -> Result<Vec<u8>, Fault> {
        let (call, result) = self.ask("read", of, &[offset.into(), length.into()])?;
        let length = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(self.limits.read_bytes);
        let answer = match &result.content {
            None => Vec::new(),
            Some(content) => match content.read(offset, length) {
                Ok(mut bytes) => {
                    bytes.truncate(length);
                    bytes
                }
                Err(error) => {
                    return self.fail(Fault::Content {
                        call: Box::new(call),
                        message: error.to_string(),
                    });
                }
            },
        };
        self.use_answer(&call, answer.len())?;
        Ok(answer)
    }

    fn ask(
        &mut self,
        function: &str,
        of: u32,
        more: &[Value],
    ) -> Result<(Call, StepResult), Fault> {
        let mut arguments = vec![Value::from(of)];
        arguments.extend_from_slice(more);
        let call = Call::new(function, arguments);
        self.record(&call)?;
        let index = self.declared(&call, of)?;
        self.used.questions += 1;
        if self.used.questions > self.limits.questions {
            let allowed = self.limits.questions;
            return self.limit(&call, "questions", allowed);
        }
        if index >= self.mark {
            self.mark = self.steps.len();
        }
        // Batches are carried out as a whole: where the history ends below the mark,
        // steps are missing that were declared before the question.
        match self.history.results.get(index) {
            Some(result) if self.history.results.len() >= self.mark => Ok((call, result.clone())),
            _ => self.fail(Fault::Suspend),
        }
    }

    fn use_answer(&mut self, call: &Call, bytes: usize) -> Result<(), Fault> {
        self.used.answer_bytes += bytes;
        if self.used.answer_bytes > self.limits.answer_bytes {
            let allowed = self.limits.answer_bytes;
            return self.limit(call, "bytes of answers", allowed);
        }
        Ok(())
    }
}
