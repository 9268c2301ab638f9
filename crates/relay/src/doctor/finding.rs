//! What a check found.

use serde::Serialize;

use super::said::Said;

/// How a check ended, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Good,
    /// Nothing to do, but worth knowing.
    Notice,
    /// It works, but will not for long, or not for everybody.
    Warning,
    /// It does not work.
    Error,
    /// It was not looked at, because of something else.
    Skipped,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The name of the check; scripts go by it, so it keeps its meaning.
    pub(crate) id: &'static str,
    pub(crate) outcome: Outcome,
    /// What is so, as a sentence.
    pub(crate) sentence: Said,
    /// What to do, as a sentence or the line to write; empty when there is nothing to do.
    #[serde(skip_serializing_if = "Said::is_empty")]
    pub(crate) remedy: Said,
    /// Whether `--fix` does it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) fixable: bool,
}

impl Finding {
    pub(super) fn good(id: &'static str, sentence: Said) -> Self {
        Self::new(id, Outcome::Good, sentence, Said::nothing())
    }

    pub(super) fn notice(id: &'static str, sentence: Said, remedy: Said) -> Self {
        Self::new(id, Outcome::Notice, sentence, remedy)
    }

    pub(super) fn warning(id: &'static str, sentence: Said, remedy: Said) -> Self {
        Self::new(id, Outcome::Warning, sentence, remedy)
    }

    pub(super) fn error(id: &'static str, sentence: Said, remedy: Said) -> Self {
        Self::new(id, Outcome::Error, sentence, remedy)
    }

    pub(super) fn skipped(id: &'static str, sentence: Said) -> Self {
        Self::new(id, Outcome::Skipped, sentence, Said::nothing())
    }

    pub(super) fn fixable(mut self) -> Self {
        self.fixable = true;
        self
    }

    fn new(id: &'static str, outcome: Outcome, sentence: Said, remedy: Said) -> Self {
        Self { id, outcome, sentence, remedy, fixable: false }
    }
}
