//! Declaring steps: the functions of `steps` that answer a number.

use super::{Session, check};
use crate::call::{self, Call};
use crate::fault::Fault;
use crate::step::{FileContent, Language, Step, StepKind};

impl Session {
    /// `steps.shell`.
    ///
    /// # Errors
    /// A [`Fault`], as of every function of a session: the guest must be cut off.
    pub fn shell(&mut self, name: &str, script: &str) -> Result<u32, Fault> {
        self.script("shell", Language::Sh, name, script)
    }

    /// `steps.powershell`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn powershell(&mut self, name: &str, script: &str) -> Result<u32, Fault> {
        self.script("powershell", Language::PowerShell, name, script)
    }

    /// `steps.cmd`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn cmd(&mut self, name: &str, script: &str) -> Result<u32, Fault> {
        self.script("cmd", Language::Cmd, name, script)
    }

    fn script(
        &mut self,
        function: &str,
        language: Language,
        name: &str,
        script: &str,
    ) -> Result<u32, Fault> {
        let call = Call::new(function, [call::text(name), call::text(script)]);
        let needed = match language {
            Language::Sh => "linux",
            Language::PowerShell | Language::Cmd => "windows",
        };
        let family = &self.machine.family;
        let checked = check::text("script", script, self.limits.text_bytes).and_then(|()| {
            // An unknown family is none that could be wrong.
            if family.is_empty() || family == needed {
                Ok(())
            } else {
                Err(format!("the machine is of the family {family}"))
            }
        });
        let kind = || StepKind::Shell {
            language,
            script: script.into(),
        };
        self.declare(&call, name, script.len(), checked, kind)
    }

    /// `steps.write`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn write(&mut self, name: &str, path: &str, text: &str) -> Result<u32, Fault> {
        let arguments = [call::text(name), call::text(path), call::text(text)];
        let checked = check::file(path, &self.machine.family, self.limits.path_bytes)
            .and_then(|()| check::size("text", text.len(), self.limits.text_bytes))
            .and_then(|()| check::given("text", text, self.inputs.granted()));
        let content = || FileContent::Text(text.into());
        self.file(
            &Call::new("write", arguments),
            name,
            path,
            text.len(),
            checked,
            content,
        )
    }

    /// `steps.write-bytes`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn write_bytes(&mut self, name: &str, path: &str, bytes: &[u8]) -> Result<u32, Fault> {
        let arguments = [call::text(name), call::text(path), call::bytes(bytes)];
        let call = Call::new("write-bytes", arguments);
        let checked = check::file(path, &self.machine.family, self.limits.path_bytes)
            .and_then(|()| check::size("file", bytes.len(), self.limits.text_bytes))
            .and_then(|()| check::no_secret("file", &String::from_utf8_lossy(bytes)));
        let content = || FileContent::Bytes(bytes.into());
        self.file(&call, name, path, bytes.len(), checked, content)
    }

    /// `steps.write-asset`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn write_asset(&mut self, name: &str, path: &str, asset: &str) -> Result<u32, Fault> {
        let arguments = [call::text(name), call::text(path), call::text(asset)];
        let call = Call::new("write-asset", arguments);
        let most = self.limits.path_bytes;
        // The asset may be a folder, and then the path may end like one.
        let checked = check::absolute("path", path, &self.machine.family, most)
            .and_then(|()| check::asset(asset, self.assets.as_deref(), most));
        let content = || FileContent::Asset(asset.into());
        self.file(&call, name, path, asset.len(), checked, content)
    }

    fn file(
        &mut self,
        call: &Call,
        name: &str,
        path: &str,
        bytes: usize,
        checked: Result<(), String>,
        content: impl FnOnce() -> FileContent,
    ) -> Result<u32, Fault> {
        self.declare(call, name, path.len() + bytes, checked, || {
            StepKind::Write {
                path: path.into(),
                content: content(),
            }
        })
    }

    /// `steps.download`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn download(
        &mut self,
        name: &str,
        path: &str,
        address: &str,
        sha256: &str,
    ) -> Result<u32, Fault> {
        let arguments = [name, path, address, sha256].map(call::text);
        let most = self.limits.path_bytes;
        let checked = check::file(path, &self.machine.family, most)
            .and_then(|()| check::address(address, most))
            .and_then(|()| check::sha256(sha256));
        let bytes = path.len() + address.len();
        let kind = || StepKind::Download {
            path: path.into(),
            address: address.into(),
            sha256: sha256.into(),
        };
        self.declare(
            &Call::new("download", arguments),
            name,
            bytes,
            checked,
            kind,
        )
    }

    /// `steps.collect`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn collect(&mut self, name: &str, path: &str, limit: u64) -> Result<u32, Fault> {
        let call = Call::new(
            "collect",
            [call::text(name), call::text(path), limit.into()],
        );
        let checked = check::file(path, &self.machine.family, self.limits.path_bytes);
        let kind = || StepKind::Collect {
            path: path.into(),
            limit,
        };
        self.declare(&call, name, path.len(), checked, kind)
    }

    /// `steps.reboot`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn reboot(&mut self, name: &str) -> Result<u32, Fault> {
        let call = Call::new("reboot", [call::text(name)]);
        self.declare(&call, name, 0, Ok(()), || StepKind::Reboot)
    }

    /// The kind is made only when the call is in order, so that a refused call of
    /// a megabyte is not copied.
    fn declare(
        &mut self,
        call: &Call,
        name: &str,
        bytes: usize,
        checked: Result<(), String>,
        kind: impl FnOnce() -> StepKind,
    ) -> Result<u32, Fault> {
        self.record(call)?;
        if let Err(message) = check::name(name).and(checked) {
            return self.bad(call, message);
        }
        let Some(ordinal) = u32::try_from(self.steps.len())
            .ok()
            .filter(|_| self.steps.len() < self.limits.steps)
        else {
            let allowed = self.limits.steps;
            return self.limit(call, "steps", allowed);
        };
        self.use_declared(call, name.len() + bytes)?;
        self.steps.push(Step::new(ordinal, name, kind()));
        Ok(ordinal)
    }
}
