//! A mistake in a template, and all of them together.
//!
//! Both implement [`miette::Diagnostic`], by which the command line draws them with
//! the lines of the file. Their `Display` is the plain form, `file:line:column:
//! message`. Nothing here finds mistakes; it only carries them.

use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, MietteError, SourceCode, SpanContents};

use crate::span::{SourceFile, Span};

impl SourceCode for SourceFile {
    fn read_span<'a>(
        &'a self,
        span: &miette::SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let inner = self.text().read_span(span, before, after)?;
        Ok(Box::new(miette::MietteSpanContents::new_named(
            self.name().to_owned(),
            inner.data(),
            *inner.span(),
            inner.line(),
            inner.column(),
            inner.line_count(),
        )))
    }
}

/// How bad a mistake is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The template can't be built.
    #[default]
    Error,
    /// The template can be built, but probably not as it was meant.
    Warning,
}

/// One mistake: what is wrong, where, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// A few words for the marked place.
    pub label: String,
    /// What to write instead, if that can be said.
    pub help: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// The marked place.
    pub span: Span,
    /// The line of its first byte, from 1.
    pub line: usize,
    /// The column of its first byte in characters, from 1.
    pub column: usize,
    source: Arc<SourceFile>,
}

impl Mistake {
    /// A mistake at `span` of `source`. Only the first line of the span is marked: a
    /// bracket around half the file helps nobody.
    pub fn new(source: &Arc<SourceFile>, span: Span, message: impl Into<String>) -> Self {
        let inside = source.text().get(span.start..span.end).unwrap_or("");
        let first = inside.split(['\n', '\r']).next().unwrap_or("");
        let seen = match first.trim_end() {
            "" => first,
            seen => seen,
        };
        let span = Span::new(span.start, span.start + seen.len());
        let (line, column) = source.line_column(span.start);
        Self {
            message: one_line(message.into()),
            label: "here".into(),
            help: None,
            severity: Severity::Error,
            span,
            line,
            column,
            source: Arc::clone(source),
        }
    }

    /// With other words at the marked place than `here`.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// With what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(one_line(help.into()));
        self
    }

    /// As something that may be wrong and keeps nobody from building.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// The name of the file.
    pub fn file(&self) -> &str {
        self.source.name()
    }
}

/// Words of the file stand in messages, and files may hold anything: nothing of them
/// may break a line, move the terminal's cursor or fill the screen.
fn one_line(text: String) -> String {
    const LONGEST: usize = 600;
    let hidden = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    if text.len() <= LONGEST && !text.contains(hidden) {
        return text;
    }
    let mut line = String::with_capacity(text.len().min(LONGEST));
    let mut space = false;
    for c in text.chars() {
        if line.len() >= LONGEST {
            line.push('…');
            break;
        }
        let next = if hidden(c) { ' ' } else { c };
        if !(space && hidden(c)) {
            line.push(next);
        }
        space = next == ' ';
    }
    line
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            message,
            line,
            column,
            ..
        } = self;
        write!(f, "{}:{line}:{column}: {message}", self.file())
    }
}

impl std::error::Error for Mistake {}

impl Diagnostic for Mistake {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&*self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new_with_span(Some(self.label.clone()), self.span);
        Some(Box::new(std::iter::once(label)))
    }
}

/// Every mistake of a template, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    /// `Err` with the mistakes in the order of the file, or `Ok(value)` when there
    /// are none.
    ///
    /// # Errors
    /// When `mistakes` isn't empty.
    pub fn none_or<T>(mistakes: Vec<Mistake>, value: T) -> Result<T, Self> {
        if mistakes.is_empty() {
            return Ok(value);
        }
        Err(Self::in_order(mistakes))
    }

    /// These and more, in the order of the file.
    #[must_use]
    pub fn and(mut self, more: Vec<Mistake>) -> Self {
        self.0.extend(more);
        Self::in_order(self.0)
    }

    fn in_order(mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by_key(|mistake| mistake.span.start);
        mistakes.dedup();
        Self(mistakes)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

impl Diagnostic for Mistakes {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.0.iter().map(|one| one as &dyn Diagnostic)))
    }
}

impl From<Mistake> for Mistakes {
    fn from(mistake: Mistake) -> Self {
        Self(vec![mistake])
    }
}
