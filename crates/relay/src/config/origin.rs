//! Where a value comes from.

use std::{fmt, path::PathBuf};

/// The source of a value. Later variants win over earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of `relay.toml`, counted from 1.
    File {
        /// The file as it was named.
        file: PathBuf,
        /// The line of the value; 0 for the file as a whole.
        line: usize,
    },
    /// A file in the service manager's `$CREDENTIALS_DIRECTORY`.
    Credential {
        /// The file.
        file: PathBuf,
    },
    /// An environment variable.
    Env {
        /// Its name.
        name: String,
    },
    /// An argument of the command.
    Flag {
        /// The flag as it is written.
        flag: String,
    },
}

impl Origin {
    /// Returns the rank of the source: of two values, the one with the higher rank holds.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File { .. } => 1,
            Self::Credential { .. } => 2,
            Self::Env { .. } => 3,
            Self::Flag { .. } => 4,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line } => write!(f, "{}:{line}", file.display()),
            Self::Credential { file } => write!(f, "credential {}", file.display()),
            Self::Env { name } => f.write_str(name),
            Self::Flag { flag } => f.write_str(flag),
        }
    }
}
