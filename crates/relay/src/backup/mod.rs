//! Backups: whole ones, what changes in between, the drill, and the way back.
//!
//! There may be several places. Each has its own [`Backups`], with its own chain of changes, and none waits for another.
//!
//! ```text
//! owner.json                      the server whose place it is ([`owner`])
//! backup.key                      the key, under the passphrase (unless the operator has it in a file)
//! chunks/<2>/<name>               pieces of the database file
//! blobs/<2>/<name>-<part>         blobs
//! segments/<chain>/<number>       what changed, every few seconds
//! snapshots/<id>.manifest         what a backup consists of, written last
//! snapshots/<id>.blobs            which blobs it has
//! ```
//!
//! A backup reads the database file piece by piece while writes go on ([`snapshot`]), and so gets pieces of many moments. The
//! pages that were committed since before it began are in the segments ([`spool`], [`ship`]); put over the pieces in their
//! order, they make the state that was true at the end of any segment after the backup ([`restore`]). Nobody waits for a
//! backup: no reader is held open, the log does not grow, and pieces that did not change since the last time are not sent.
//!
//! Pieces and blobs are named by their content, so an interrupted backup goes on where it was when the next one begins.

mod announce;
mod drill;
mod error;
mod key;
mod manifest;
mod owner;
mod place;
mod prune;
mod report;
mod restore;
mod retention;
mod segment;
mod ship;
mod snapshot;
mod spool;
mod spools;
pub(crate) mod told;
mod wal;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::Clock;
use tokio::sync::OnceCell;

use crate::blob::BlobStore;
use crate::config::{self, BackupKeySource, BackupPlace, BackupTo};
use crate::identity::http::ObjectStoreClient;
use crate::store::Db;
use crate::work::blocking;

pub(crate) use announce::announce;
pub(crate) use error::BackupError;
pub(crate) use key::BackupKey;
pub(crate) use owner::of_folder as owner_of_folder;
pub(crate) use place::Place;
pub(crate) use report::{BackupReport, DrillReport, Listing, Status, list};
pub(crate) use restore::{Request, Step, restore};
pub(crate) use snapshot::files;
pub(crate) use spool::Spool;
pub(crate) use spools::Spools;

const KEY_FILE: &str = "backup.key";
const CHUNKS: &str = "chunks";
const BLOBS: &str = "blobs";
const SEGMENTS: &str = "segments";
const SNAPSHOTS: &str = "snapshots";

/// Bytes of the database in a piece; a multiple of every page size.
const CHUNK_BYTES: usize = 1 << 20;
/// Bytes of a blob in an object.
const BLOB_PART_BYTES: u64 = 8 << 20;
/// Objects that are on their way at once.
const AT_ONCE: usize = 4;

/// The backups of a running server in one place.
#[derive(Debug)]
pub(crate) struct Backups {
    settings: config::Backup,
    to: BackupTo,
    client: ObjectStoreClient,
    instance: OnceCell<owner::Instance>,
    public_url: String,
    /// Files that a backup has besides the database.
    files: BTreeMap<String, String>,
    data_dir: PathBuf,
    spool_dir: PathBuf,
    db: Arc<Db>,
    blobs: BlobStore,
    clock: Arc<dyn Clock>,
    spool: Arc<Spool>,
    opened: OnceCell<Opened>,
    shipping: tokio::sync::Mutex<ship::State>,
    /// Held by a backup; there is one at a time.
    running: tokio::sync::Mutex<()>,
    status: Mutex<Status>,
    shipped_bytes: AtomicU64,
    drills: Arc<tokio::sync::Mutex<()>>,
}

/// The place and what opens it.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) place: Place,
    pub(crate) key: BackupKey,
}

/// What [`Backups`] work with.
pub(crate) struct Parts {
    pub(crate) settings: config::Backup,
    pub(crate) to: BackupTo,
    pub(crate) client: ObjectStoreClient,
    pub(crate) public_url: String,
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) data_dir: PathBuf,
    pub(crate) spool_dir: PathBuf,
    pub(crate) db: Arc<Db>,
    pub(crate) blobs: BlobStore,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) spool: Arc<Spool>,
    /// Held by a drill, which takes as much room as the database: there is one at a time, whatever places there are.
    pub(crate) drills: Arc<tokio::sync::Mutex<()>>,
}

impl Backups {
    pub(crate) async fn new(parts: Parts) -> Result<Self, crate::store::StoreError> {
        let status = report::load(&parts.db, &parts.to.place).await?;
        let Parts { settings, to, client, public_url, files, data_dir, spool_dir, db, blobs, clock, spool, drills } = parts;
        let shipping = tokio::sync::Mutex::new(ship::State::load(&spool_dir));
        Ok(Self {
            settings,
            to,
            client,
            instance: OnceCell::new(),
            public_url,
            files,
            data_dir,
            spool_dir,
            db,
            blobs,
            clock,
            spool,
            opened: OnceCell::new(),
            shipping,
            running: tokio::sync::Mutex::new(()),
            status: Mutex::new(status),
            shipped_bytes: AtomicU64::new(0),
            drills,
        })
    }

    /// Returns how operators call the place.
    pub(crate) fn place(&self) -> String {
        self.to.place.describe()
    }

    pub(crate) fn settings(&self) -> &config::Backup {
        &self.settings
    }

    /// Returns how the backups are doing.
    pub(crate) fn status(&self) -> Status {
        self.lock_status().clone()
    }

    /// Whether changes can be sent; without, a whole backup has to be made first.
    pub(crate) fn has_chain(&self) -> bool {
        self.spool.chain().is_some()
    }

    fn lock_status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the place when it is first needed, so that one that is out of reach does not keep the server from starting.
    pub(crate) async fn opened(&self) -> Result<&Opened, BackupError> {
        let open = || async {
            let place = self.open_place()?;
            // Before anything is written.
            self.claim(&place).await?;
            let key = open_key(&place, &self.to.key, true).await?;
            Ok(Opened { place, key })
        };
        self.opened.get_or_try_init(open).await
    }

    fn open_place(&self) -> Result<Place, BackupError> {
        Place::open(&self.to.place, self.client.clone(), self.settings.bandwidth, true)
    }

    /// Makes the place this server's, whosever it was: for one that takes another's place.
    pub(crate) async fn take_over(&self) -> Result<(), BackupError> {
        owner::take(&self.open_place()?, self.instance().await?, &self.public_url, self.now()).await
    }

    /// Sees to it that the place is this server's.
    async fn claim(&self, place: &Place) -> Result<(), BackupError> {
        owner::claim(place, self.instance().await?, &self.public_url, self.now()).await
    }

    /// Returns this server, as places know it; not read before it is needed, since the first time it is written.
    async fn instance(&self) -> Result<&owner::Instance, BackupError> {
        self.instance.get_or_try_init(|| owner::Instance::of(&self.db)).await
    }

    /// Stores an object and counts its bytes.
    async fn put(&self, place: &Place, name: &str, bytes: Vec<u8>) -> Result<(), BackupError> {
        self.shipped_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        place.put(name, bytes).await
    }
}

/// Returns what opens the backups in a place; a place without backups gets a key if `make` says so.
pub(crate) async fn open_key(place: &Place, source: &BackupKeySource, make: bool) -> Result<BackupKey, BackupError> {
    let passphrase = match source {
        BackupKeySource::File(path) => {
            let text = std::fs::read_to_string(path).map_err(|source| BackupError::KeyFile { path: path.clone(), source })?;
            return BackupKey::parse(&text).ok_or_else(|| BackupError::NoKeyInFile { path: path.clone() });
        }
        BackupKeySource::Passphrase(passphrase) => passphrase.clone(),
    };
    if let Some(wrapped) = place.get(KEY_FILE, 64 << 10).await? {
        return blocking(move || BackupKey::unwrap(&wrapped, passphrase.expose())).await;
    }
    if !make {
        return Err(BackupError::NoBackup { place: place.describe().to_owned() });
    }
    let (key, wrapped) = blocking(move || {
        let key = BackupKey::generate();
        let wrapped = key.wrap(passphrase.expose())?;
        Ok::<_, BackupError>((key, wrapped))
    })
    .await?;
    place.put(KEY_FILE, wrapped).await?;
    Ok(key)
}

/// Returns a short name of a place, for files and rows that belong to it.
fn tag(place: &BackupPlace) -> String {
    let digest = <sha2::Sha256 as sha2::Digest>::digest(place.describe());
    data_encoding::HEXLOWER.encode(&digest[..8])
}

fn chunk_object(name: &str) -> String {
    format!("{CHUNKS}/{}/{name}", &name[..2])
}

fn blob_object(key: &BackupKey, digest: &[u8; 32], part: u64) -> String {
    let name = key.name("blob", digest);
    format!("{BLOBS}/{}/{name}-{part}", &name[..2])
}

/// Returns how many objects a blob has; an empty one has one as well.
fn blob_parts(size: u64) -> u64 {
    size.div_ceil(BLOB_PART_BYTES).max(1)
}

/// Whether a folder has nothing in it but backups, or is not there yet.
pub(crate) fn has_nothing_else(folder: &Path) -> bool {
    const OURS: [&str; 6] = [owner::OWNER, KEY_FILE, CHUNKS, BLOBS, SEGMENTS, SNAPSHOTS];
    match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.all(|entry| entry.is_ok_and(|entry| OURS.iter().any(|name| entry.file_name() == *name))),
        Err(err) => err.kind() == std::io::ErrorKind::NotFound,
    }
}
