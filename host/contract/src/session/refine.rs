//! Refining steps: how they are done and what must hold.

use serde_json::Value;

use super::{Session, check};
use crate::call::{self, Call};
use crate::expectations;
use crate::fault::Fault;
use crate::step::{Language, Step, StepKind};

/// Seconds that a step may take.
const TIMEOUT: std::ops::RangeInclusive<u32> = 10..=86400;
/// How often a step may be tried.
const ATTEMPTS: std::ops::RangeInclusive<u32> = 1..=10;

/// Characters of a variable on Windows, the `=` and the end included.
const WINDOWS_VARIABLE: usize = 32767;

/// The kinds of steps that a refinement fits.
#[derive(Clone, Copy)]
enum Fits {
    All,
    AllButReboots,
    Scripts,
    ScriptsWithUsers,
    ScriptsWithArguments,
    Files,
}

impl Fits {
    fn check(self, kind: &StepKind) -> Result<(), String> {
        let language = match kind {
            StepKind::Shell { language, .. } => Some(*language),
            _ => None,
        };
        let (fits, wanted) = match self {
            Self::All => (true, ""),
            Self::AllButReboots => (!matches!(kind, StepKind::Reboot), "anything but a reboot"),
            Self::Scripts => (language.is_some(), "a script"),
            Self::ScriptsWithUsers => (
                language == Some(Language::Sh),
                "a script of the POSIX shell; on Windows it takes a password to become somebody else",
            ),
            Self::ScriptsWithArguments => (
                language.is_some_and(|language| language != Language::Cmd),
                "a script of a shell that can be given an argument safely; use `environment`",
            ),
            Self::Files => (
                matches!(kind, StepKind::Write { .. } | StepKind::Download { .. }),
                "a file that is written or downloaded",
            ),
        };
        if fits {
            Ok(())
        } else {
            Err(format!("is {}, not {wanted}", kind.words()))
        }
    }
}

impl Session {
    /// `steps.run-as`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn run_as(&mut self, of: u32, user: &str) -> Result<(), Fault> {
        let call = Call::new("run-as", [of.into(), call::text(user)]);
        let checked = plain_name("user", user, self.limits.path_bytes);
        self.refine(
            &call,
            of,
            Fits::ScriptsWithUsers,
            user.len(),
            checked,
            |step| {
                step.run_as = Some(user.into());
            },
        )
    }

    /// `steps.directory`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn directory(&mut self, of: u32, path: &str) -> Result<(), Fault> {
        let call = Call::new("directory", [of.into(), call::text(path)]);
        let most = self.limits.path_bytes;
        let checked = check::absolute("path", path, &self.machine.family, most);
        self.refine(&call, of, Fits::Scripts, path.len(), checked, |step| {
            step.directory = Some(path.into());
        })
    }

    /// `steps.argument`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn argument(&mut self, of: u32, value: &str) -> Result<(), Fault> {
        let call = Call::new("argument", [of.into(), call::text(value)]);
        let checked = check::value("value", value, self.limits.passed_bytes)
            .and_then(|()| check::no_secret("value", value));
        let fits = Fits::ScriptsWithArguments;
        self.refine(&call, of, fits, value.len(), checked, |step| {
            step.arguments.push(value.into());
        })
    }

    /// `steps.environment`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn environment(&mut self, of: u32, name: &str, value: &str) -> Result<(), Fault> {
        let arguments = [of.into(), call::text(name), call::text(value)];
        let call = Call::new("environment", arguments);
        let checked = check::variable(name)
            .and_then(|()| check::value("value", value, self.limits.passed_bytes))
            .and_then(|()| check::given("value", value, self.inputs.granted()))
            .and_then(|()| self.fits_windows(of, name, value));
        let bytes = name.len() + value.len();
        self.refine(&call, of, Fits::Scripts, bytes, checked, |step| match step
            .environment
            .iter_mut()
            .find(|(known, _)| known == name)
        {
            Some((_, known)) => *known = value.into(),
            None => step.environment.push((name.into(), value.into())),
        })
    }

    /// `steps.timeout`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn timeout(&mut self, of: u32, seconds: u32) -> Result<(), Fault> {
        let call = Call::new("timeout", [Value::from(of), seconds.into()]);
        let checked = in_range("seconds", seconds, &TIMEOUT);
        self.refine(&call, of, Fits::All, 0, checked, |step| {
            step.timeout_seconds = seconds;
        })
    }

    /// `steps.attempts`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn attempts(&mut self, of: u32, count: u32) -> Result<(), Fault> {
        let call = Call::new("attempts", [Value::from(of), count.into()]);
        let checked = in_range("attempts", count, &ATTEMPTS);
        self.refine(&call, of, Fits::AllButReboots, 0, checked, |step| {
            step.attempts = count;
        })
    }

    /// `steps.mode`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn mode(&mut self, of: u32, bits: u32) -> Result<(), Fault> {
        let call = Call::new("mode", [Value::from(of), bits.into()]);
        self.refine(&call, of, Fits::Files, 0, check::mode(bits), |step| {
            step.mode = Some(bits);
        })
    }

    /// `steps.owner`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn owner(&mut self, of: u32, owner: &str) -> Result<(), Fault> {
        let call = Call::new("owner", [of.into(), call::text(owner)]);
        let most = self.limits.path_bytes;
        let checked = match owner.split_once(':') {
            None => plain_name("owner", owner, most),
            Some((user, group)) => {
                plain_name("owner", user, most).and_then(|()| plain_name("group", group, most))
            }
        };
        self.refine(&call, of, Fits::Files, owner.len(), checked, |step| {
            step.owner = Some(owner.into());
        })
    }

    /// `steps.tolerate`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn tolerate(&mut self, of: u32) -> Result<(), Fault> {
        let call = Call::new("tolerate", [Value::from(of)]);
        self.refine(&call, of, Fits::All, 0, Ok(()), |step| step.tolerate = true)
    }

    /// `steps.expect-exit-codes`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn expect_exit_codes(&mut self, of: u32, codes: &[i32]) -> Result<(), Fault> {
        let shown = Value::from(codes.get(..256).unwrap_or(codes));
        let call = Call::new("expect-exit-codes", [of.into(), shown]);
        let checked = match codes.len() {
            0 => Err("the list of exit codes is empty".into()),
            1..=256 => Ok(()),
            count => Err(format!("there are {count} exit codes; 256 are allowed")),
        };
        self.refine(&call, of, Fits::Scripts, 0, checked, |step| {
            step.expectations.exit_codes = codes.to_vec();
        })
    }

    /// `steps.expect-output`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn expect_output(&mut self, of: u32, text: &str) -> Result<(), Fault> {
        let call = Call::new("expect-output", [of.into(), call::text(text)]);
        let checked = check::text("text", text, self.limits.path_bytes);
        self.refine(&call, of, Fits::Scripts, text.len(), checked, |step| {
            step.expectations.contains.push(text.into());
        })
    }

    /// `steps.expect-no-output`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn expect_no_output(&mut self, of: u32, text: &str) -> Result<(), Fault> {
        let call = Call::new("expect-no-output", [of.into(), call::text(text)]);
        let checked = check::text("text", text, self.limits.path_bytes);
        self.refine(&call, of, Fits::Scripts, text.len(), checked, |step| {
            step.expectations.lacks.push(text.into());
        })
    }

    /// `steps.expect-match`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn expect_match(&mut self, of: u32, pattern: &str) -> Result<(), Fault> {
        let call = Call::new("expect-match", [of.into(), call::text(pattern)]);
        let checked = check::text("pattern", pattern, self.limits.path_bytes).and_then(|()| {
            match expectations::compile(pattern) {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("the pattern can't be compiled: {error}")),
            }
        });
        self.refine(&call, of, Fits::Scripts, pattern.len(), checked, |step| {
            step.expectations.matches.push(pattern.into());
        })
    }

    /// Windows counts the characters of a variable, and cuts nothing: it refuses.
    fn fits_windows(&self, of: u32, name: &str, value: &str) -> Result<(), String> {
        let step = usize::try_from(of).ok().and_then(|of| self.steps.get(of));
        let is_windows = step.is_some_and(|step| {
            matches!(step.kind, StepKind::Shell { language, .. } if language != Language::Sh)
        });
        if !is_windows {
            return Ok(());
        }
        let characters = name.len() + value.encode_utf16().count() + 2;
        if characters > WINDOWS_VARIABLE {
            let most = WINDOWS_VARIABLE - name.len() - 2;
            return Err(format!(
                "the value has {} characters; Windows allows {most}, so write it to a file",
                value.encode_utf16().count()
            ));
        }
        Ok(())
    }

    fn refine(
        &mut self,
        call: &Call,
        of: u32,
        fits: Fits,
        bytes: usize,
        checked: Result<(), String>,
        change: impl FnOnce(&mut Step),
    ) -> Result<(), Fault> {
        self.record(call)?;
        let index = self.declared(call, of)?;
        let step = &self.steps[index];
        let named = format!("step {of} ({:?})", step.name);
        if let Err(problem) = fits.check(&step.kind) {
            return self.bad(call, format!("{named} {problem}"));
        }
        if index < self.mark {
            return self.bad(call, format!("{named} has been carried out"));
        }
        if let Err(message) = checked {
            return self.bad(call, message);
        }
        self.used.refinements += 1;
        if self.used.refinements > self.limits.refinements {
            let allowed = self.limits.refinements;
            return self.limit(call, "refinements", allowed);
        }
        self.use_declared(call, bytes)?;
        change(&mut self.steps[index]);
        Ok(())
    }

    /// The index of a declared step.
    pub(super) fn declared(&mut self, call: &Call, of: u32) -> Result<usize, Fault> {
        let index = usize::try_from(of).unwrap_or(usize::MAX);
        if index < self.steps.len() {
            return Ok(index);
        }
        let message = match self.steps.len() {
            0 => format!("there is no step {of}; none has been declared"),
            count => format!("there is no step {of}; the last one is {}", count - 1),
        };
        self.bad(call, message)
    }
}

/// A user or group: something that stands in a command without being read as
/// anything else.
fn plain_name(what: &str, name: &str, most: usize) -> Result<(), String> {
    check::text(what, name, most)?;
    let strange = |c: char| c.is_control() || matches!(c, ':' | '/' | '\n');
    if name.starts_with('-') || name.chars().any(strange) {
        return Err(format!("the {what} {name:?} is no name"));
    }
    Ok(())
}

fn in_range(what: &str, value: u32, range: &std::ops::RangeInclusive<u32>) -> Result<(), String> {
    if range.contains(&value) {
        Ok(())
    } else {
        Err(format!(
            "{value} is out of range: {what} are {} to {}",
            range.start(),
            range.end()
        ))
    }
}
