//! Why an update did not happen.

use std::io;
use std::path::PathBuf;

use semver::Version;

use super::installed::Refusal;
use crate::control::ControlError;
use crate::identity::fetch::FetchError;
use crate::service::StepError;

/// Why an update did not happen. Unless it says otherwise, everything is as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpdateError {
    #[error("it is not known where releases are")]
    NoSource,
    #[error("it is not known whose releases are to be trusted")]
    NoKey,
    #[error("the index of releases cannot be had: {0}")]
    Index(String),
    #[error("{name} is not signed by the key {key}: {reason}")]
    Signature { name: String, key: String, reason: String },
    #[error("release {version} has no program for {target}; it has those for {there}")]
    NoProgram { version: Version, target: String, there: String },
    #[error("release {there} is older than this program, {here}")]
    Downgrade { here: Version, there: Version },
    #[error("release {there} cannot follow version {here} directly, but {minimum} and later only")]
    TooFar { here: Version, there: Version, minimum: Version },
    #[error("{} cannot be fetched: {reason}", .name)]
    Fetch { name: String, reason: String },
    #[error("{}", .0.problem)]
    Installed(Refusal),
    #[error("{what} {path}: {source}")]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error("the new program cannot be used here: {0}")]
    Candidate(String),
    #[error("the new program cannot take over the data: {0}")]
    Rehearsal(String),
    #[error("the backup before the update failed: {0}")]
    Backup(ControlError),
    #[error("there is not enough room on the disk: {needed} are needed, and {free} are free")]
    Room { needed: String, free: String },
    #[error("a server runs over {data_dir}, and no service manager runs it")]
    NoService { data_dir: PathBuf },
    #[error("the service runs another program than {program}")]
    OtherProgram { program: PathBuf },
    #[error("the service runs over another data folder than {data_dir}")]
    OtherFolder { data_dir: PathBuf },
    #[error(transparent)]
    Step(#[from] StepError),
    #[error("the server over {data_dir} does not end")]
    StillRuns { data_dir: PathBuf },
    #[error("an update to {to} was interrupted")]
    Interrupted { to: Version },
    #[error("there is no update to undo")]
    NothingToUndo,
    #[error("the data has a form that version {from} does not know")]
    DataTooNew { from: Version },
    /// What was there before is back.
    #[error("version {to} did not work: {reason}. Version {from} is back{}, and {}",
        if *.data { ", with the data as it was" } else { "" }, if *.well { "it is well" } else { "it does not answer either" })]
    PutBack { from: Version, to: Version, reason: String, data: bool, well: bool },
    /// It failed, and so did the way back.
    #[error("version {to} did not work ({reason}), and what was there before could not be put back: {problem}")]
    Stuck { to: Version, reason: String, problem: String, kept: PathBuf },
}

impl UpdateError {
    /// Says what to do, as a sentence.
    pub(crate) fn remedy(&self) -> String {
        match self {
            Self::NoSource => "Set update.source, or name the index with --source: a URL, or a file.".into(),
            Self::NoKey => "Set update.public_key, or name the public key of minisign with --key.".into(),
            Self::Index(_) | Self::Fetch { .. } => {
                "Check update.source, and that this machine can call out. What was fetched already is kept.".into()
            }
            Self::Signature { .. } => {
                "Do not use it. Check update.public_key; if it is right, somebody changed the release.".into()
            }
            Self::NoProgram { .. } => "Build it from source: docs/INSTALL.md.".into(),
            Self::Downgrade { .. } => "If that is meant, add --allow-downgrade.".into(),
            Self::TooFar { minimum, .. } => {
                format!("Install version {minimum} first, with --source and the index of that release.")
            }
            Self::Installed(refusal) => refusal.remedy.clone(),
            Self::File { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "Run this as root (`sudo relay update`), or as the user whose program and data it is.".into()
            }
            Self::File { .. } => "Mend that and run this again.".into(),
            Self::Candidate(_) => "Nothing was changed. Report it to who made the release.".into(),
            Self::Rehearsal(_) => "Nothing was changed, and the server goes on. Report it, with `relay verify`'s words.".into(),
            Self::Backup(_) => "See `relay backup status`. To go on without it, add --without-backup.".into(),
            Self::Room { .. } => "Make space: the database is copied twice for the time of the update.".into(),
            Self::NoService { .. } => {
                "Stop it, run this again, and start it after that. `relay service install` makes it a service, \
                                       which is stopped and started for you."
                    .into()
            }
            Self::OtherProgram { .. } => {
                "Name the program of the service, which `relay service status` shows, with --program.".into()
            }
            Self::OtherFolder { .. } => {
                "Name the folder of the service with --data-dir, or its configuration with --config.".into()
            }
            Self::Step(_) | Self::StillRuns { .. } => {
                "The server was told to go on. See `relay service status` and `relay service logs`; it may hang on a broken disk.".into()
            }
            Self::Interrupted { .. } => "`relay update --undo` puts back what was there before.".into(),
            Self::NothingToUndo => "What is kept is of the last update only.".into(),
            Self::DataTooNew { .. } => {
                "With --with-data the data goes back as well, and what was written since the update is lost.".into()
            }
            Self::PutBack { well: true, .. } => "Nothing is lost. `relay service logs` has what the new version said.".into(),
            Self::PutBack { well: false, .. } => "See `relay service logs` and `relay doctor`.".into(),
            Self::Stuck { kept, .. } => {
                format!(
                    "Stop the server, copy {} back to where the program is and update/before/relay.sqlite to the data folder, and start it.",
                    kept.display()
                )
            }
        }
    }

    pub(super) fn fetch(name: &str, err: &FetchError) -> Self {
        Self::Fetch { name: name.to_owned(), reason: err.to_string() }
    }
}
