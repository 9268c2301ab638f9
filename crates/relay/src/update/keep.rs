//! What was there before an update, so that it can be put back.
//!
//! The program before lies beside the program, as `.relay-before`, and a note of what it was in `.relay-update.json`: whoever may
//! replace the program, and nobody else, may write there. The database lies in `update/before` in the data folder ([`data`]).
//! All is complete before anything is changed.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ValueEnum as _;
use semver::Version;
use serde::{Deserialize, Serialize};

use super::data::{self, DataStep, copy, sync_folder};
use super::rehearsal::Rehearsed;
use super::{UpdateError, probation};
use crate::data_dir::DATABASE;

/// What the last update was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Note {
    pub(crate) from: Version,
    pub(crate) to: Version,
    /// When the data was kept, in milliseconds since the epoch.
    pub(crate) kept_at: i64,
    /// How the form of the database changed; `None` when there was no database.
    pub(crate) schema: Option<Rehearsed>,
    /// Whether it came to its end.
    pub(crate) finished: bool,
}

impl Note {
    /// Whether the version before cannot read what the new one wrote.
    pub(crate) fn changes_data(&self) -> bool {
        self.schema.is_some_and(|schema| schema.schema_before != schema.schema_after)
    }
}

/// Who has the data folder: the user of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Owner(Option<(u32, u32)>);

impl Owner {
    /// Returns the owner of a file, where this process may act in their name and is someone else.
    pub(super) fn of(path: &Path) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            if rustix::process::geteuid().is_root()
                && let Ok(metadata) = fs::metadata(path)
                && metadata.uid() != 0
            {
                return Self(Some((metadata.uid(), metadata.gid())));
            }
        }
        let _ = path;
        Self(None)
    }

    /// Has a program run as the owner.
    pub(super) fn run_as(self, command: &mut Command) {
        #[cfg(unix)]
        if let Some((user, group)) = self.0 {
            use std::os::unix::process::CommandExt as _;
            command.uid(user).gid(group);
        }
        let _ = command;
    }
}

/// The place of what was there before.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    data_dir: PathBuf,
    program: PathBuf,
    owner: Owner,
}

impl Kept {
    pub(super) fn new(data_dir: &Path, program: &Path) -> Self {
        Self { data_dir: data_dir.to_owned(), program: program.to_owned(), owner: Owner::of(data_dir) }
    }

    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    /// Returns what the last update was.
    pub(super) fn note(&self) -> Option<Note> {
        serde_json::from_slice(&fs::read(self.beside("update.json")).ok()?).ok()
    }

    /// Keeps program and database; no server may run.
    pub(super) fn keep(&self, note: &Note) -> Result<(), UpdateError> {
        let before = self.program_before();
        drop(fs::remove_file(self.beside("update.json")));
        copy(&self.program, &before).map_err(|source| UpdateError::File {
            what: "the program cannot be kept as",
            path: before.clone(),
            source,
        })?;
        if note.schema.is_some() {
            self.step(DataStep::Keep)?;
        }
        self.write(note)
    }

    /// Notes how far the update is.
    pub(super) fn write(&self, note: &Note) -> Result<(), UpdateError> {
        let path = self.beside("update.json");
        let folder = self.program.parent().unwrap_or(Path::new("/"));
        let work = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(&serde_json::to_vec_pretty(note)?)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|err| err.error)?;
            sync_folder(folder)
        };
        work().map_err(|source| UpdateError::File { what: "it cannot be noted in", path: path.clone(), source })
    }

    /// Whether nothing was acknowledged since the update began.
    pub(super) fn is_on_probation(&self) -> bool {
        probation::file(&self.data_dir).exists()
    }

    /// Puts a program in the place of the present one in one step.
    pub(super) fn replace(&self, new: &Path) -> Result<(), UpdateError> {
        let work = || -> io::Result<()> {
            fs::rename(new, &self.program)?;
            self.program.parent().map_or(Ok(()), sync_folder)
        };
        work().map_err(|source| UpdateError::File {
            what: "the program cannot be replaced at",
            path: self.program.clone(),
            source,
        })
    }

    /// Puts the program that was there before in its place.
    pub(super) fn put_program_back(&self) -> Result<(), UpdateError> {
        let new = self.candidate();
        copy(&self.program_before(), &new).map_err(|source| UpdateError::File {
            what: "the program cannot be put back as",
            path: new.clone(),
            source,
        })?;
        self.replace(&new)
    }

    /// Does something in the data folder, as its owner.
    pub(super) fn step(&self, step: DataStep) -> Result<(), UpdateError> {
        let failed = |source| UpdateError::File { what: "something could not be done in", path: self.data_dir.clone(), source };
        if self.owner == Owner::default() {
            return data::carry_out(step, &self.data_dir).map_err(failed);
        }
        let name = step.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let mut command = Command::new(&self.program);
        self.owner.run_as(&mut command);
        command.arg("update-data").arg(name).arg(&self.data_dir).current_dir("/").stdin(Stdio::null());
        let output = command.output().map_err(failed)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(failed(io::Error::other(said.lines().next().unwrap_or("it says nothing").to_owned())))
    }

    /// Forgets an update that is undone.
    pub(super) fn forget(&self) {
        drop(fs::remove_file(self.beside("update.json")));
        drop(fs::remove_file(self.program_before()));
        if data::kept(&self.data_dir).exists() {
            drop(self.step(DataStep::RemoveKept));
        }
    }

    /// Returns how much room the kept database takes.
    pub(super) fn data_bytes(&self) -> u64 {
        fs::metadata(data::kept(&self.data_dir).join(DATABASE)).map_or(0, |metadata| metadata.len())
    }

    /// Returns where the new program waits: beside the old one, so that taking its place is one step.
    pub(super) fn candidate(&self) -> PathBuf {
        self.beside("update")
    }

    /// Returns where the program before is.
    pub(super) fn program_before(&self) -> PathBuf {
        self.beside("before")
    }

    /// Returns the folder of the program.
    pub(super) fn folder(&self) -> &Path {
        self.program.parent().unwrap_or(Path::new("/"))
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.program.with_file_name(format!(".relay-{name}"))
    }
}
