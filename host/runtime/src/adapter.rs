//! Converts the calls of a guest into calls of the session: WIT types in, WIT types
//! out, nothing else. What a call means is the session's matter; another version
//! of the WIT would be another adapter, not another session.
//!
//! A fault becomes an error of the host function, which ends the guest; the session
//! keeps it, so that nobody has to find it again in wasmtime's error.

use darkroom_contract::Level;
use wasmtime::Result;

use crate::bindings::darkroom::component::{inputs, machine, report, steps};
use crate::state::State;

impl steps::Host for State {
    fn shell(&mut self, name: String, script: String) -> Result<u32> {
        Ok(self.session.shell(&name, &script)?)
    }

    fn powershell(&mut self, name: String, script: String) -> Result<u32> {
        Ok(self.session.powershell(&name, &script)?)
    }

    fn cmd(&mut self, name: String, script: String) -> Result<u32> {
        Ok(self.session.cmd(&name, &script)?)
    }

    fn write(&mut self, name: String, path: String, text: String) -> Result<u32> {
        Ok(self.session.write(&name, &path, &text)?)
    }

    fn write_bytes(&mut self, name: String, path: String, bytes: Vec<u8>) -> Result<u32> {
        Ok(self.session.write_bytes(&name, &path, &bytes)?)
    }

    fn write_asset(&mut self, name: String, path: String, asset: String) -> Result<u32> {
        Ok(self.session.write_asset(&name, &path, &asset)?)
    }

    fn download(
        &mut self,
        name: String,
        path: String,
        address: String,
        sha256: String,
    ) -> Result<u32> {
        Ok(self.session.download(&name, &path, &address, &sha256)?)
    }

    fn collect(&mut self, name: String, path: String, limit: u64) -> Result<u32> {
        Ok(self.session.collect(&name, &path, limit)?)
    }

    fn reboot(&mut self, name: String) -> Result<u32> {
        Ok(self.session.reboot(&name)?)
    }

    fn run_as(&mut self, of: u32, user: String) -> Result<()> {
        Ok(self.session.run_as(of, &user)?)
    }

    fn directory(&mut self, of: u32, path: String) -> Result<()> {
        Ok(self.session.directory(of, &path)?)
    }

    fn argument(&mut self, of: u32, value: String) -> Result<()> {
        Ok(self.session.argument(of, &value)?)
    }

    fn environment(&mut self, of: u32, name: String, value: String) -> Result<()> {
        Ok(self.session.environment(of, &name, &value)?)
    }

    fn timeout(&mut self, of: u32, seconds: u32) -> Result<()> {
        Ok(self.session.timeout(of, seconds)?)
    }

    fn attempts(&mut self, of: u32, count: u32) -> Result<()> {
        Ok(self.session.attempts(of, count)?)
    }

    fn mode(&mut self, of: u32, bits: u32) -> Result<()> {
        Ok(self.session.mode(of, bits)?)
    }

    fn owner(&mut self, of: u32, owner: String) -> Result<()> {
        Ok(self.session.owner(of, &owner)?)
    }

    fn tolerate(&mut self, of: u32) -> Result<()> {
        Ok(self.session.tolerate(of)?)
    }

    fn expect_exit_codes(&mut self, of: u32, codes: Vec<i32>) -> Result<()> {
        Ok(self.session.expect_exit_codes(of, &codes)?)
    }

    fn expect_output(&mut self, of: u32, text: String) -> Result<()> {
        Ok(self.session.expect_output(of, &text)?)
    }

    fn expect_no_output(&mut self, of: u32, text: String) -> Result<()> {
        Ok(self.session.expect_no_output(of, &text)?)
    }

    fn expect_match(&mut self, of: u32, pattern: String) -> Result<()> {
        Ok(self.session.expect_match(of, &pattern)?)
    }

    fn succeeded(&mut self, of: u32) -> Result<bool> {
        Ok(self.session.succeeded(of)?)
    }

    fn exit_code(&mut self, of: u32) -> Result<i32> {
        Ok(self.session.exit_code(of)?)
    }

    fn output(&mut self, of: u32) -> Result<String> {
        Ok(self.session.output(of)?)
    }

    fn size(&mut self, of: u32) -> Result<u64> {
        Ok(self.session.size(of)?)
    }

    fn read(&mut self, of: u32, offset: u64, length: u32) -> Result<Vec<u8>> {
        Ok(self.session.read(of, offset, length)?)
    }
}

impl inputs::Host for State {
    fn json_object(&mut self) -> Result<String> {
        Ok(self.session.json_object()?)
    }

    fn text(&mut self, name: String) -> Result<Option<String>> {
        Ok(self.session.text(&name)?)
    }

    fn integer(&mut self, name: String) -> Result<Option<i64>> {
        Ok(self.session.integer(&name)?)
    }

    fn number(&mut self, name: String) -> Result<Option<f64>> {
        Ok(self.session.number(&name)?)
    }

    fn flag(&mut self, name: String) -> Result<Option<bool>> {
        Ok(self.session.flag(&name)?)
    }

    fn texts(&mut self, name: String) -> Result<Vec<String>> {
        Ok(self.session.texts(&name)?)
    }

    fn json_text(&mut self, name: String) -> Result<Option<String>> {
        Ok(self.session.json_text(&name)?)
    }
}

impl machine::Host for State {
    fn family(&mut self) -> Result<String> {
        Ok(self.session.machine("family")?.family.clone())
    }

    fn distribution(&mut self) -> Result<String> {
        Ok(self.session.machine("distribution")?.distribution.clone())
    }

    fn release(&mut self) -> Result<String> {
        Ok(self.session.machine("release")?.release.clone())
    }

    fn architecture(&mut self) -> Result<String> {
        Ok(self.session.machine("architecture")?.architecture.clone())
    }

    fn root(&mut self) -> Result<String> {
        Ok(self.session.machine("root")?.root.clone())
    }
}

impl report::Host for State {
    fn debug(&mut self, message: String) -> Result<()> {
        Ok(self.session.message(Level::Debug, &message)?)
    }

    fn info(&mut self, message: String) -> Result<()> {
        Ok(self.session.message(Level::Info, &message)?)
    }

    fn warning(&mut self, message: String) -> Result<()> {
        Ok(self.session.message(Level::Warning, &message)?)
    }

    fn publish(&mut self, name: String, value: String) -> Result<()> {
        Ok(self.session.publish(&name, &value)?)
    }

    fn publish_text(&mut self, name: String, text: String) -> Result<()> {
        Ok(self.session.publish_text(&name, &text)?)
    }

    fn passed(&mut self, test_case: String) -> Result<()> {
        Ok(self.session.passed(&test_case)?)
    }

    fn failed(&mut self, test_case: String, message: String) -> Result<()> {
        Ok(self.session.failed(&test_case, &message)?)
    }

    fn skipped(&mut self, test_case: String, message: String) -> Result<()> {
        Ok(self.session.skipped(&test_case, &message)?)
    }

    fn repaired(&mut self, item: String, message: String) -> Result<()> {
        Ok(self.session.repaired(&item, &message)?)
    }

    fn unrepaired(&mut self, item: String, risk: String, message: String) -> Result<()> {
        Ok(self.session.unrepaired(&item, &risk, &message)?)
    }

    fn intact(&mut self, item: String) -> Result<()> {
        Ok(self.session.intact(&item)?)
    }
}
