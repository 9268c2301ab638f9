//! Files to write and commands to run.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::Command;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Write {
        path: PathBuf,
        text: String,
    },
    /// Removes a file; that it is gone already is fine.
    Remove(PathBuf),
    Run(Vec<String>),
    /// Runs a command whose failure does not matter: what it is to end may not run.
    Try(Vec<String>),
}

/// What is to be done, in order.
pub(crate) type Plan = Vec<Step>;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error("{path} cannot be written: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} cannot be removed: {source}")]
    Remove { path: PathBuf, source: io::Error },
    #[error("`{command}` cannot be run: {source}")]
    Start { command: String, source: io::Error },
    #[error("`{command}` failed ({status})")]
    Failed { command: String, status: std::process::ExitStatus },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { path, .. } => write!(f, "write {}", path.display()),
            Self::Remove(path) => write!(f, "remove {}", path.display()),
            Self::Run(command) | Self::Try(command) => write!(f, "{}", command.join(" ")),
        }
    }
}

impl Step {
    /// Does it.
    pub(crate) fn carry_out(&self) -> Result<(), StepError> {
        match self {
            Self::Write { path, text } => {
                let write = || {
                    if let Some(folder) = path.parent() {
                        std::fs::create_dir_all(folder)?;
                    }
                    std::fs::write(path, text)
                };
                write().map_err(|source| StepError::Write { path: path.clone(), source })
            }
            Self::Remove(path) => match std::fs::remove_file(path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    Err(StepError::Remove { path: path.clone(), source })
                }
                Ok(()) | Err(_) => Ok(()),
            },
            Self::Run(command) => run(command),
            Self::Try(command) => {
                drop(run(command));
                Ok(())
            }
        }
    }

    /// Does it, with nothing on this process's terminal.
    pub(crate) fn carry_out_silently(&self) -> Result<(), StepError> {
        match self {
            Self::Run(command) => ask(command).map(drop),
            Self::Try(command) => {
                drop(ask(command));
                Ok(())
            }
            Self::Write { .. } | Self::Remove(_) => self.carry_out(),
        }
    }
}

/// Runs a command and returns what it says.
pub(crate) fn ask(command: &[String]) -> Result<String, StepError> {
    let [program, args @ ..] = command else { return Ok(String::new()) };
    let output =
        Command::new(program).args(args).output().map_err(|source| StepError::Start { command: command.join(" "), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(StepError::Failed { command: command.join(" "), status: output.status })
}

/// Runs a command with this process's terminal.
pub(crate) fn run(command: &[String]) -> Result<(), StepError> {
    let [program, args @ ..] = command else { return Ok(()) };
    let status =
        Command::new(program).args(args).status().map_err(|source| StepError::Start { command: command.join(" "), source })?;
    if status.success() { Ok(()) } else { Err(StepError::Failed { command: command.join(" "), status }) }
}
