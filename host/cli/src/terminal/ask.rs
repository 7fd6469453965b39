//! Asking before something that can't be taken back: one rule for every verb.
//!
//! With `--yes` nothing is asked. Where nobody can answer (no terminal, `--json`,
//! `CI=true`) nothing is done, and the error says which flag would do it: silence is
//! never taken for a yes.

use dialoguer::Confirm;
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};

use super::Terminal;
use crate::failure::Failure;

/// Whether `--yes` was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    /// It was.
    Given,
    /// It has to be asked for.
    Ask,
}

impl From<bool> for Consent {
    fn from(yes: bool) -> Self {
        if yes { Self::Given } else { Self::Ask }
    }
}

/// Nobody can be asked.
#[derive(Debug, thiserror::Error)]
#[error("nobody can be asked: {question}")]
struct Nobody {
    question: String,
}

impl Terminal {
    /// Asks a question that can be answered with yes or no; no is the default.
    pub(crate) async fn consent(&self, consent: Consent, question: &str) -> Result<bool, Failure> {
        if consent == Consent::Given {
            return Ok(true);
        }
        self.can_ask(question)?;
        let question = question.to_owned();
        self.ask(move |theme| {
            Confirm::with_theme(theme)
                .with_prompt(question)
                .default(false)
                .interact()
        })
        .await
    }

    /// Puts questions to a person, on a thread of their own.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        questions: impl FnOnce(&dyn Theme) -> dialoguer::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let theme = self.theme();
        tokio::task::spawn_blocking(move || questions(&*theme))
            .await
            .map_err(Failure::internal)?
            .map_err(Failure::user)
    }

    /// Whether the question can be put to somebody; the error says what to do if not.
    pub(crate) fn can_ask(&self, question: &str) -> Result<(), Failure> {
        if self.is_interactive() {
            return Ok(());
        }
        let question = question.to_owned();
        Err(Failure::user(Nobody { question }).hint("say it with `--yes`"))
    }

    /// How questions look.
    fn theme(&self) -> Box<dyn Theme + Send + Sync> {
        let stderr = anstream::AutoStream::new(std::io::stderr(), self.color);
        if stderr.current_choice() == anstream::ColorChoice::Never {
            Box::new(SimpleTheme)
        } else {
            Box::new(ColorfulTheme::default())
        }
    }
}
