//! What was there before an update, so that it can be put back.
//!
//! `update/before` in the data folder holds the program and the database; `update/update.json` says what they are of. They
//! are complete before anything is changed.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::{Connection, OpenFlags};
use semver::Version;
use serde::{Deserialize, Serialize};

use super::rehearsal::Rehearsed;
use super::{FOLDER, UpdateError, probation};
use crate::data_dir::{DATABASE, make_private_dir};

const NOTE: &str = "update.json";
const BEFORE: &str = "before";
const PROGRAM: &str = "relay";
/// What SQLite keeps beside a database.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// What the last update was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Note {
    pub(crate) from: Version,
    pub(crate) to: Version,
    /// The program that was replaced.
    pub(crate) program: PathBuf,
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

    /// Gives a file to the owner.
    pub(super) fn give(self, path: &Path) -> io::Result<()> {
        #[cfg(unix)]
        if let Some((user, group)) = self.0 {
            return std::os::unix::fs::chown(path, Some(user), Some(group));
        }
        let _ = path;
        Ok(())
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
    folder: PathBuf,
    owner: Owner,
}

impl Kept {
    pub(super) fn open(data_dir: &Path) -> Result<Self, UpdateError> {
        let (folder, owner) = (data_dir.join(FOLDER), Owner::of(data_dir));
        let failed = |source| UpdateError::File { what: "the folder cannot be made:", path: folder.clone(), source };
        if data_dir.exists() {
            make_private_dir(&folder).map_err(failed)?;
            owner.give(&folder).map_err(failed)?;
        }
        Ok(Self { data_dir: data_dir.to_owned(), folder, owner })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn before(&self) -> PathBuf {
        self.folder.join(BEFORE)
    }

    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    /// Returns what the last update was.
    pub(super) fn note(&self) -> Option<Note> {
        serde_json::from_slice(&fs::read(self.folder.join(NOTE)).ok()?).ok()
    }

    /// Keeps program and database; no server may run.
    pub(super) fn keep(&self, note: &Note) -> Result<(), UpdateError> {
        let before = self.before();
        let work = || -> io::Result<()> {
            if before.exists() {
                drop(fs::remove_file(self.folder.join(NOTE)));
                fs::remove_dir_all(&before)?;
            }
            make_private_dir(&before)?;
            self.owner.give(&before)?;
            copy(&note.program, &before.join(PROGRAM))?;
            if note.schema.is_some() {
                let database = self.data_dir.join(DATABASE);
                empty_log(&database)?;
                copy(&database, &before.join(DATABASE))?;
            }
            sync_folder(&before)
        };
        work().map_err(|source| UpdateError::File {
            what: "what is there now cannot be kept in",
            path: before.clone(),
            source,
        })?;
        self.write(note)
    }

    /// Notes how far the update is.
    pub(super) fn write(&self, note: &Note) -> Result<(), UpdateError> {
        let path = self.folder.join(NOTE);
        let work = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            file.write_all(&serde_json::to_vec_pretty(note)?)?;
            file.as_file().sync_all()?;
            self.owner.give(file.path())?;
            file.persist(&path).map_err(|err| err.error)?;
            sync_folder(&self.folder)
        };
        work().map_err(|source| UpdateError::File { what: "it cannot be noted in", path: path.clone(), source })
    }

    /// Has a server that starts from now on take no writes.
    pub(super) fn begin_probation(&self) -> Result<(), UpdateError> {
        let path = probation::file(&self.data_dir);
        let work = || -> io::Result<()> {
            File::create(&path)?.sync_all()?;
            self.owner.give(&path)
        };
        work().map_err(|source| UpdateError::File {
            what: "the new version cannot be told to wait by",
            path: path.clone(),
            source,
        })
    }

    /// Whether nothing was acknowledged since the update began.
    pub(super) fn is_on_probation(&self) -> bool {
        probation::file(&self.data_dir).exists()
    }

    /// Puts a program in the place of another in one step.
    pub(super) fn replace(new: &Path, program: &Path) -> Result<(), UpdateError> {
        let work = || -> io::Result<()> {
            fs::rename(new, program)?;
            program.parent().map_or(Ok(()), sync_folder)
        };
        work().map_err(|source| UpdateError::File {
            what: "the program cannot be replaced at",
            path: program.to_owned(),
            source,
        })
    }

    /// Puts the program that was there before in its place.
    pub(super) fn put_program_back(&self, program: &Path) -> Result<(), UpdateError> {
        let new = candidate_path(program);
        copy(&self.before().join(PROGRAM), &new).map_err(|source| UpdateError::File {
            what: "the program cannot be put back as",
            path: new.clone(),
            source,
        })?;
        Self::replace(&new, program)
    }

    /// Puts the database that was there before in its place; the other one is kept in `update/failed`.
    pub(super) fn put_data_back(&self) -> Result<(), UpdateError> {
        let (database, kept) = (self.data_dir.join(DATABASE), self.before().join(DATABASE));
        let work = || -> io::Result<()> {
            let failed = self.folder.join("failed");
            drop(fs::remove_dir_all(&failed));
            make_private_dir(&failed)?;
            self.owner.give(&failed)?;
            // Whenever this breaks off there is a whole database, and one that the version before refuses until this is done.
            let new = beside(&database, "-before");
            copy(&kept, &new)?;
            if database.exists() {
                fs::hard_link(&database, failed.join(DATABASE))?;
            }
            for suffix in BESIDE {
                let path = beside(&database, suffix);
                if path.exists() {
                    fs::rename(&path, beside(&failed.join(DATABASE), suffix))?;
                }
            }
            fs::rename(&new, &database)?;
            sync_folder(&self.data_dir)
        };
        work().map_err(|source| UpdateError::File { what: "the data cannot be put back as", path: database.clone(), source })
    }

    /// Takes the mark of probation away, where no server does it.
    pub(super) fn end_probation(&self) {
        drop(fs::remove_file(probation::file(&self.data_dir)));
    }

    /// Forgets an update that is undone.
    pub(super) fn forget(&self) {
        drop(fs::remove_file(self.folder.join(NOTE)));
        drop(fs::remove_dir_all(self.before()));
    }

    /// Removes the kept database, when the version before reads the present one as well.
    pub(super) fn drop_data(&self) {
        drop(fs::remove_file(self.before().join(DATABASE)));
    }
}

/// Returns where the new program waits: beside the old one, so that taking its place is one step.
pub(super) fn candidate_path(program: &Path) -> PathBuf {
    program.with_file_name(".relay-update")
}

/// Copies a file with its rights and its owner, and returns when it is durable.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    drop(fs::remove_file(to));
    fs::copy(from, to)?;
    Owner::of(from).give(to)?;
    File::open(to)?.sync_all()
}

/// Writes what is in the log, which a server that did not end well leaves, into the database, so that one file is all.
fn empty_log(database: &Path) -> io::Result<()> {
    let log = beside(database, BESIDE[0]);
    if !log.metadata().is_ok_and(|metadata| metadata.len() > 0) {
        return Ok(());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let emptied = Connection::open_with_flags(database, flags)
        .and_then(|conn| conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)));
    match emptied.map_err(io::Error::other)? {
        0 => Ok(()),
        _ => Err(io::Error::other("another program has the database")),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
