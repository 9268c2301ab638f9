//! The data folder of the official PDS, which is only read.
//!
//! SQLite writes beside a database even when it only reads, unless it is told that nobody else can: so a database is opened as
//! immutable, which is true while its server is stopped. Only one with a log that was not copied back, since its server was
//! killed, is copied first, and opened with its log in a folder of ours.
//!
//! While the server runs, its folder can be looked at all the same: the databases that it has open are read as SQLite reads what
//! others write. Those of accounts it opens for moments only; what looks wrong with one is looked at again ([`Folder::is_live`]).

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use common::Did;
use data_encoding::HEXLOWER;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::{AdoptError, EnvFile};

/// The migrations of each database that this program knows, by the names that they have in the database.
const ACCOUNT_MIGRATIONS: [&str; 7] = ["001", "002", "003", "004", "005", "006", "007"];
const SEQUENCER_MIGRATIONS: [&str; 1] = ["001"];
const ACTOR_MIGRATIONS: [&str; 1] = ["001"];
/// The last one of the accounts without which there is nothing to go by, and when it came.
const NEEDED: (&str, &str) = ("003", "2024-08");

/// Where SQLite keeps, in its `-shm` file, the lock that every process holds which has the database open.
#[cfg(unix)]
const OPEN_LOCK_AT: u64 = 128;

/// What was where in the old server.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(super) dir: PathBuf,
    accounts: PathBuf,
    sequencer: PathBuf,
    actors: PathBuf,
    /// Where blobs are; `None` when they are in a bucket.
    pub(super) blobs: Option<PathBuf>,
    tmp: PathBuf,
    /// Copies of databases with a log.
    scratch: TempDir,
    /// Whether the old server has the folder.
    is_live: bool,
    /// What the databases were like when they were opened.
    seen: Vec<(PathBuf, Option<(u64, SystemTime)>)>,
}

/// An account's own database and key.
#[derive(Debug)]
pub(super) struct ActorFolder {
    pub(super) store: PathBuf,
    pub(super) key: PathBuf,
}

impl Folder {
    /// Finds everything in `dir`, and makes sure that its form is known and, unless it is only looked at, that nobody uses it.
    /// `blobs` says where blobs are, if they are elsewhere than the settings say.
    pub(crate) fn open(dir: &Path, env: &EnvFile, blobs: Option<&Path>, only_look: bool) -> Result<Self, AdoptError> {
        let dir = fs::canonicalize(dir).map_err(AdoptError::io(dir))?;
        let base = env.get("PDS_DATA_DIRECTORY").map(PathBuf::from);
        // What was inside the old folder is in this one: it may be a copy, or be mounted elsewhere.
        let place = |variable: &str, usual: &str| match env.get(variable).map(PathBuf::from) {
            None => dir.join(usual),
            Some(path) => match base.as_ref().and_then(|base| path.strip_prefix(base).ok()) {
                Some(inside) => dir.join(inside),
                None if path.is_absolute() => path,
                None => dir.join(path),
            },
        };
        let accounts = place("PDS_ACCOUNT_DB_LOCATION", "account.sqlite");
        if !accounts.is_file() {
            return Err(AdoptError::NotAFolder { path: dir });
        }
        let is_in_bucket = env.get("PDS_BLOBSTORE_S3_BUCKET").is_some();
        let configured = (!is_in_bucket).then(|| place("PDS_BLOBSTORE_DISK_LOCATION", "blocks"));
        let blobs = blobs.map(Path::to_owned).or(configured);
        if let Some(path) = blobs.clone().filter(|path| !path.is_dir()) {
            return Err(AdoptError::Missing { path, variable: "BLOBSTORE_DISK_LOCATION" });
        }
        let tmp = match (env.get("PDS_BLOBSTORE_DISK_TMP_LOCATION"), &blobs) {
            (None, Some(blobs)) => blobs.join("tempt"),
            (Some(_), _) | (None, None) => place("PDS_BLOBSTORE_DISK_TMP_LOCATION", "tempt"),
        };
        let scratch = tempfile::tempdir().map_err(AdoptError::io(&std::env::temp_dir()))?;
        let mut folder = Self {
            sequencer: place("PDS_SEQUENCER_DB_LOCATION", "sequencer.sqlite"),
            actors: place("PDS_ACTOR_STORE_DIRECTORY", "actors"),
            accounts,
            blobs,
            tmp,
            scratch,
            is_live: false,
            seen: Vec::new(),
            dir,
        };
        folder.check(only_look)?;
        Ok(folder)
    }

    fn check(&mut self, only_look: bool) -> Result<(), AdoptError> {
        if !self.sequencer.is_file() {
            return Err(AdoptError::Missing { path: self.sequencer.clone(), variable: "SEQUENCER_DB_LOCATION" });
        }
        if !self.actors.is_dir() {
            return Err(AdoptError::Missing { path: self.actors.clone(), variable: "ACTOR_STORE_DIRECTORY" });
        }
        match self.check_unused() {
            Err(AdoptError::InUse { .. }) if only_look => self.is_live = true,
            other => other?,
        }
        self.seen = self.states();
        let accounts = self.accounts()?;
        check_migrations(&accounts, &self.accounts, &ACCOUNT_MIGRATIONS, Some(NEEDED))?;
        let sequencer = self.sequencer()?;
        check_migrations(&sequencer, &self.sequencer, &SEQUENCER_MIGRATIONS, None)
    }

    fn states(&self) -> Vec<(PathBuf, Option<(u64, SystemTime)>)> {
        let files = [&self.accounts, &self.sequencer].into_iter().flat_map(|path| [path.clone(), beside(path, "-wal")]);
        let state = |path: &Path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.len(), metadata.modified().ok()?))
        };
        files.map(|path| (path.clone(), state(&path))).collect()
    }

    fn check_unused(&self) -> Result<(), AdoptError> {
        for path in [&self.accounts, &self.sequencer] {
            if let Some(Holder { pid }) = holder(path) {
                return Err(AdoptError::InUse { path: path.clone(), pid });
            }
        }
        Ok(())
    }

    /// Whether the old server has the folder, so that it may change while it is looked at.
    pub(super) fn is_live(&self) -> bool {
        self.is_live
    }

    /// Makes sure that the old server did not write since, if it was stopped.
    pub(super) fn check_unchanged(&self) -> Result<(), AdoptError> {
        if self.is_live {
            return Ok(());
        }
        self.check_unused()?;
        let now = self.states();
        match self.seen.iter().zip(&now).find(|(before, after)| before != after) {
            Some(((path, _), _)) => Err(AdoptError::Changed { path: path.clone() }),
            None => Ok(()),
        }
    }

    /// Opens the database of accounts.
    pub(super) fn accounts(&self) -> Result<Connection, AdoptError> {
        self.connect(&self.accounts, self.is_live)
    }

    /// Opens the database of events.
    pub(super) fn sequencer(&self) -> Result<Connection, AdoptError> {
        self.connect(&self.sequencer, self.is_live)
    }

    /// Opens the database of an account.
    pub(super) fn actor(&self, folder: &ActorFolder) -> Result<Connection, AdoptError> {
        let conn = self.connect(&folder.store, false)?;
        check_migrations(&conn, &folder.store, &ACTOR_MIGRATIONS, None)?;
        Ok(conn)
    }

    /// Returns where an account's own files are.
    pub(super) fn actor_folder(&self, did: &Did) -> ActorFolder {
        let shard = &HEXLOWER.encode(&Sha256::digest(did.as_str()))[..2];
        let dir = self.actors.join(shard).join(did.as_str());
        ActorFolder { store: dir.join("store.sqlite"), key: dir.join("key") }
    }

    /// Lists the DIDs of which there are files.
    pub(super) fn actor_names(&self) -> Result<Vec<String>, AdoptError> {
        let mut names = Vec::new();
        for shard in entries(&self.actors)? {
            let is_shard = shard.file_name().len() == 2 && shard.path().is_dir();
            if !is_shard {
                continue;
            }
            for actor in entries(&shard.path())? {
                names.extend(actor.file_name().into_string());
            }
        }
        Ok(names)
    }

    /// Lists the files of keys that were reserved for accounts to come.
    pub(super) fn reserved_keys(&self) -> Result<Vec<PathBuf>, AdoptError> {
        let dir = self.actors.join("reserved_keys");
        if !dir.is_dir() {
            return Ok(Vec::new());
        }
        Ok(entries(&dir)?.into_iter().map(|entry| entry.path()).collect())
    }

    /// Returns where the file of a blob may be, the likeliest first. `name` is its CID or, while it is temporary, its key.
    pub(super) fn blob_files(&self, did: &Did, name: &str, is_temporary: bool) -> Vec<PathBuf> {
        let Some(blobs) = &self.blobs else { return Vec::new() };
        let of = |dir: &Path| dir.join(did.as_str()).join(name);
        if is_temporary {
            return vec![of(&self.tmp), of(&blobs.join("tmp"))];
        }
        // The others: one that was taken down, and a copy of a bucket.
        vec![of(blobs), of(&blobs.join("quarantine")), of(&blobs.join("blocks")), of(&blobs.join("blocks").join("quarantine"))]
    }

    /// Whether it is known where the blobs are; in a bucket they cannot be read.
    pub(crate) fn has_blobs(&self) -> bool {
        self.blobs.is_some()
    }

    /// Whether a path is in the folder.
    pub(crate) fn holds(&self, path: &Path) -> bool {
        // What is not there yet lies in what is.
        let there = path.ancestors().find_map(|path| fs::canonicalize(path).ok());
        let there = there.or_else(|| fs::canonicalize(".").ok());
        there.is_some_and(|there| there.starts_with(&self.dir))
    }

    /// Returns about how many bytes there are of an account.
    pub(super) fn weight(&self, did: &Did) -> u64 {
        let store = fs::metadata(self.actor_folder(did).store).map_or(0, |metadata| metadata.len());
        let blobs = self.blobs.as_ref().map(|blobs| blobs.join(did.as_str()));
        let files = blobs.and_then(|dir| fs::read_dir(dir).ok()).into_iter().flatten().flatten();
        let of_blobs: u64 = files.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum();
        (store + of_blobs).max(1)
    }

    /// Opens a database for reading; `is_shared` with a process that writes.
    fn connect(&self, path: &Path, is_shared: bool) -> Result<Connection, AdoptError> {
        let log = beside(path, "-wal");
        let has_log = fs::metadata(&log).is_ok_and(|metadata| metadata.len() > 0);
        let open = |path: &Path, flags: OpenFlags, parameters: &str| {
            let uri = format!("file:{}{parameters}", escaped(path));
            Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        };
        let conn = if is_shared {
            open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, "")
        } else if has_log {
            let copy = self.scratch.path().join(HEXLOWER.encode(&crate::random::bytes::<8>()));
            fs::copy(path, &copy).map_err(AdoptError::io(path))?;
            fs::copy(&log, beside(&copy, "-wal")).map_err(AdoptError::io(&log))?;
            // What is in the log goes into the copy as soon as that is closed.
            open(&copy, OpenFlags::SQLITE_OPEN_READ_WRITE, "")
                .and_then(|conn| conn.pragma_update(None, "wal_checkpoint", "TRUNCATE"))
                .map_err(AdoptError::database(path))?;
            let opened = open(&copy, OpenFlags::SQLITE_OPEN_READ_ONLY, "?immutable=1");
            // Its content stays for as long as it is open.
            fs::remove_file(&copy).map_err(AdoptError::io(&copy))?;
            opened
        } else {
            open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, "?immutable=1")
        };
        let conn = conn.map_err(AdoptError::database(path))?;
        conn.set_prepared_statement_cache_capacity(32);
        Ok(conn)
    }
}

fn entries(dir: &Path) -> Result<Vec<fs::DirEntry>, AdoptError> {
    let read = fs::read_dir(dir).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    read.map_err(AdoptError::io(dir))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Writes a path as SQLite wants it in a URI.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

/// A process that has a database open.
struct Holder {
    /// Its number, unless it is in another container.
    pid: Option<u32>,
}

/// Returns the process that has a database open, if one has.
fn holder(path: &Path) -> Option<Holder> {
    #[cfg(unix)]
    {
        use rustix::process::{Flock, FlockType, fcntl_getlk};
        let file = File::open(beside(path, "-shm")).ok()?;
        let wanted = Flock { start: OPEN_LOCK_AT, length: 1, ..Flock::from(FlockType::WriteLock) };
        let lock = fcntl_getlk(&file, &wanted).ok()??;
        Some(Holder { pid: lock.pid.and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok()) })
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Makes sure that a database has the form that this program knows.
fn check_migrations(
    conn: &Connection,
    path: &Path,
    known: &[&'static str],
    needed: Option<(&'static str, &'static str)>,
) -> Result<(), AdoptError> {
    let read = || -> rusqlite::Result<Vec<String>> {
        let mut statement = conn.prepare("SELECT name FROM kysely_migration ORDER BY name")?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    let found = match read() {
        Ok(found) if !found.is_empty() => found,
        Ok(_) => return Err(AdoptError::Foreign { path: path.to_owned() }),
        Err(rusqlite::Error::SqliteFailure(err, _))
            if matches!(err.code, rusqlite::ErrorCode::Unknown | rusqlite::ErrorCode::NotADatabase) =>
        {
            return Err(AdoptError::Foreign { path: path.to_owned() });
        }
        Err(err) => return Err(AdoptError::database(path)(err)),
    };
    if let Some(found) = found.iter().find(|found| !known.contains(&found.as_str())) {
        let known = known.last().copied().unwrap_or_default();
        return Err(AdoptError::Newer { path: path.to_owned(), found: found.clone(), known });
    }
    match needed {
        Some((needed, since)) if !found.iter().any(|found| found == needed) => {
            Err(AdoptError::Older { path: path.to_owned(), needed, since })
        }
        Some(_) | None => Ok(()),
    }
}
