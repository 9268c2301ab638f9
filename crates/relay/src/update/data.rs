//! What an update does in the data folder.
//!
//! `relay update` is run by root where the service is the machine's, and the folder belongs to the server's user. Root does
//! not work in a folder where somebody else could put links in its way, so each step is done by a process of the owner:
//! `relay update-data STEP FOLDER`, which is this program again.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use rusqlite::{Connection, OpenFlags};

use super::{FOLDER, probation};
use crate::data_dir::{DATABASE, make_private_dir};

/// One thing to do in the data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DataStep {
    /// Copies the database as it is at one moment, while a server writes to it.
    Copy,
    /// Removes that copy.
    RemoveCopy,
    /// Keeps the database; no server may run.
    Keep,
    /// Has a server that starts from now on take no writes.
    BeginProbation,
    /// Takes that back, where no server does it.
    EndProbation,
    /// Puts the database that was kept in its place; the other one stays in `update/failed`.
    PutBack,
    /// Removes the kept database.
    RemoveKept,
}

const KEPT: &str = "before";
const TRIAL: &str = "trial";
/// What SQLite keeps beside a database.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// Returns where the copy is that the new program is tried on.
pub(super) fn trial(data_dir: &Path) -> PathBuf {
    data_dir.join(FOLDER).join(TRIAL)
}

/// Returns where the database is kept.
pub(super) fn kept(data_dir: &Path) -> PathBuf {
    data_dir.join(FOLDER).join(KEPT)
}

/// Does one step.
pub(crate) fn carry_out(step: DataStep, data_dir: &Path) -> io::Result<()> {
    make_private_dir(&data_dir.join(FOLDER))?;
    let database = data_dir.join(DATABASE);
    match step {
        DataStep::Copy => copy_while_written(&database, &trial(data_dir)),
        DataStep::RemoveCopy => remove_folder(&trial(data_dir)),
        DataStep::Keep => {
            let kept = kept(data_dir);
            remove_folder(&kept)?;
            make_private_dir(&kept)?;
            empty_log(&database)?;
            copy(&database, &kept.join(DATABASE))?;
            sync_folder(&kept)
        }
        DataStep::BeginProbation => File::create(probation::file(data_dir))?.sync_all(),
        DataStep::EndProbation => match fs::remove_file(probation::file(data_dir)) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
            Ok(()) | Err(_) => Ok(()),
        },
        DataStep::PutBack => put_back(data_dir, &database),
        DataStep::RemoveKept => remove_folder(&kept(data_dir)),
    }
}

fn copy_while_written(database: &Path, folder: &Path) -> io::Result<()> {
    remove_folder(folder)?;
    make_private_dir(folder)?;
    let copied = || -> rusqlite::Result<()> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(database, flags)?;
        conn.busy_timeout(Duration::from_secs(10))?;
        conn.execute("VACUUM INTO ?1", [folder.join(DATABASE).to_string_lossy()])?;
        Ok(())
    };
    copied().map_err(io::Error::other)
}

fn put_back(data_dir: &Path, database: &Path) -> io::Result<()> {
    let failed = data_dir.join(FOLDER).join("failed");
    remove_folder(&failed)?;
    make_private_dir(&failed)?;
    // Whenever this breaks off there is a whole database, and one that the version before refuses until this is done.
    let new = beside(database, "-before");
    copy(&kept(data_dir).join(DATABASE), &new)?;
    if database.exists() {
        fs::hard_link(database, failed.join(DATABASE))?;
    }
    for suffix in BESIDE {
        let path = beside(database, suffix);
        if path.exists() {
            fs::rename(&path, beside(&failed.join(DATABASE), suffix))?;
        }
    }
    fs::rename(&new, database)?;
    sync_folder(data_dir)
}

fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Copies a file with its rights, and returns when it is durable.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    drop(fs::remove_file(to));
    fs::copy(from, to)?;
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

pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
