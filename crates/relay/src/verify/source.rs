//! A data folder that is only read, whether a server has it or not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crypto::seal::MasterKey;
use rusqlite::{Connection, OpenFlags};

use super::Subject;
use crate::blob::BlobFiles;
use crate::config::{Config, MasterKeySource};
use crate::data_dir::{self, DataDirError};
use crate::secrets::rotate;
use crate::store::{self, StoreError};

/// An opened data folder.
#[derive(Debug)]
pub(crate) struct Source {
    conn: Connection,
    master: MasterKey,
    blobs: BlobFiles,
}

/// Why a data folder could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("there is no database at {path}")]
    NoDatabase { path: PathBuf },
    #[error(transparent)]
    MasterKey(#[from] DataDirError),
    #[error("the blobs cannot be reached")]
    Blobs(#[source] std::io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Source {
    /// Opens the folder of a configuration. Nothing in it is changed, but that SQLite may make its `-shm` file.
    pub(crate) fn open(config: &Config) -> Result<Self, SourceError> {
        let dir = &config.data.dir;
        let path = dir.join(data_dir::DATABASE);
        if !path.exists() {
            return Err(SourceError::NoDatabase { path });
        }
        let conn = open_database(&path).map_err(|source| StoreError::Open { path: path.clone(), source })?;
        store::check_schema(&conn)?;
        let master = match &config.secrets.master_key {
            MasterKeySource::Given(key) => MasterKey::from_bytes(*key.expose()),
            MasterKeySource::DataDir(file) => {
                let present = data_dir::read_master_key(file)?;
                rotate::choose(file, present, rotate::sealed_under(&conn).ok().flatten())
            }
        };
        Ok(Self { conn, master, blobs: BlobFiles::of(config).map_err(SourceError::Blobs)? })
    }

    pub(crate) fn conn(&self) -> &Connection {
        &self.conn
    }

    pub(crate) fn master(&self) -> &MasterKey {
        &self.master
    }

    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject { conn: &self.conn, master: Some(&self.master), blobs: Some(&self.blobs) }
    }
}

fn open_database(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let open = |path: &Path| -> rusqlite::Result<Connection> {
        let conn = Connection::open_with_flags(path, flags)?;
        conn.busy_timeout(Duration::from_secs(10))?;
        conn.pragma_update(None, "temp_store", "MEMORY")?;
        // The first read is what opens the log.
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
        Ok(conn)
    };
    match open(path) {
        // A disk that takes no writes, where a log cannot be shared: without a log there is nothing to share.
        Err(rusqlite::Error::SqliteFailure(err, _))
            if matches!(err.code, rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::ReadOnly)
                && !path.with_extension("sqlite-wal").exists() =>
        {
            let mut uri = url::Url::from_file_path(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
                .map_err(|()| rusqlite::Error::InvalidPath(path.to_owned()))?;
            uri.set_query(Some("immutable=1"));
            open(Path::new(uri.as_str()))
        }
        opened => opened,
    }
}
