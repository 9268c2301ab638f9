//! How a verb fails.

use std::{fmt::Write as _, io};

use crate::config::{ConfigErrors, Hint};

/// The exit code for mistakes in arguments and configuration, as clap has it.
pub(super) const USAGE: u8 = 2;
const FAILURE: u8 = 1;

/// Why a verb did not do its work. Its text is for the operator, and ends with what to do.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration has mistakes.
    #[error("{}", config_text(.errors, .hints))]
    Config {
        /// What is wrong.
        errors: ConfigErrors,
        /// The official PDS's variables in the environment, which may explain it.
        hints: Vec<Hint>,
    },
    /// The arguments do not make sense together.
    #[error("{problem}\n    {remedy}")]
    Usage {
        /// What is wrong, as a sentence.
        problem: String,
        /// What to do, as a sentence.
        remedy: String,
    },
    /// The work could not be done.
    #[error("{problem}\n    {remedy}")]
    Failed {
        /// What went wrong, with its causes, as a sentence.
        problem: String,
        /// What to do, as a sentence.
        remedy: String,
    },
    /// The result could not be printed.
    #[error("The result cannot be written: {0}\n    Check where the output goes.")]
    Output(#[from] io::Error),
}

impl From<crate::state::StartError> for CliError {
    fn from(err: crate::state::StartError) -> Self {
        Self::Failed {
            problem: format!("The server did not start: {err}."),
            remedy: "Nothing was changed; start it again when that is mended.".into(),
        }
    }
}

impl CliError {
    /// Returns the exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config { .. } | Self::Usage { .. } => USAGE,
            Self::Failed { .. } | Self::Output(_) => FAILURE,
        }
    }
}

fn config_text(errors: &ConfigErrors, hints: &[Hint]) -> String {
    let mut text = errors.to_string();
    match errors.mistakes().len() {
        1 => text.push_str("\n\nThe configuration has 1 mistake."),
        count => write!(text, "\n\nThe configuration has {count} mistakes.").expect("a String takes all text"),
    }
    text.push_str(&hints_text(hints));
    text
}

/// Says what to write for variables of the official PDS; empty without any.
pub(super) fn hints_text(hints: &[Hint]) -> String {
    let mut text = String::new();
    if !hints.is_empty() {
        text.push_str("\n\nThese variables of the official PDS are set, but have no effect here. Instead:");
    }
    for hint in hints {
        write!(text, "\n    {}: {}", hint.official, hint.instead).expect("a String takes all text");
    }
    text
}
