//! The interfaces `inputs` and `machine`: what is known before the first step.

use serde_json::Value;

use super::Session;
use crate::call::{self, Call};
use crate::fault::Fault;
use crate::inputs::Inputs;
use crate::machine::Machine;

impl Session {
    /// `inputs.json-object`.
    ///
    /// # Errors
    /// A [`Fault`], as of every function of a session.
    pub fn json_object(&mut self) -> Result<String, Fault> {
        self.enter(&Call::new("json-object", []))?;
        Ok(Value::Object(self.inputs.arguments.clone()).to_string())
    }

    /// `inputs.text`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Fault> {
        self.input("text", name, Inputs::text)
    }

    /// `inputs.integer`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn integer(&mut self, name: &str) -> Result<Option<i64>, Fault> {
        self.input("integer", name, Inputs::integer)
    }

    /// `inputs.number`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn number(&mut self, name: &str) -> Result<Option<f64>, Fault> {
        self.input("number", name, Inputs::number)
    }

    /// `inputs.flag`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn flag(&mut self, name: &str) -> Result<Option<bool>, Fault> {
        self.input("flag", name, Inputs::flag)
    }

    /// `inputs.texts`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn texts(&mut self, name: &str) -> Result<Vec<String>, Fault> {
        self.input("texts", name, Inputs::texts)
    }

    /// `inputs.json-text`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn json_text(&mut self, name: &str) -> Result<Option<String>, Fault> {
        self.input("json-text", name, Inputs::json_text)
    }

    fn input<T>(
        &mut self,
        function: &str,
        name: &str,
        find: impl FnOnce(&Inputs, &str) -> Result<T, String>,
    ) -> Result<T, Fault> {
        let call = Call::new(function, [call::text(name)]);
        self.enter(&call)?;
        match find(&self.inputs, name) {
            Ok(value) => Ok(value),
            Err(message) => self.bad(&call, message),
        }
    }

    /// The interface `machine`; `function` is the one that was called.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn machine(&mut self, function: &str) -> Result<&Machine, Fault> {
        self.enter(&Call::new(function, []))?;
        Ok(&self.machine)
    }
}
