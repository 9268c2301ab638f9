//! Where backups lie: a folder, or a bucket of an S3-compatible store.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::BackupError;
use crate::config::BackupPlace;
use crate::identity::http::ObjectStoreClient;
use crate::s3;

/// A place for objects; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    throttle: Option<Arc<Throttle>>,
    described: Arc<str>,
}

/// An object in a listing.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) modified_millis: i64,
}

/// Keeps what is sent below so many bytes a second.
#[derive(Debug)]
struct Throttle {
    bytes_per_second: u64,
    free_at: Mutex<Instant>,
}

impl Throttle {
    async fn wait_for(&self, bytes: usize) {
        let mut free_at = self.free_at.lock().await;
        let begin = (*free_at).max(Instant::now());
        *free_at = begin + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        drop(free_at);
        tokio::time::sleep_until(begin).await;
    }
}

impl Place {
    /// Opens a place. A folder is made if `make` says so.
    pub(crate) fn open(
        place: &BackupPlace,
        client: ObjectStoreClient,
        bandwidth: Option<u64>,
        make: bool,
    ) -> Result<Self, BackupError> {
        let throttle =
            bandwidth.map(|bytes_per_second| Arc::new(Throttle { bytes_per_second, free_at: Mutex::new(Instant::now()) }));
        let (store, prefix): (Arc<dyn ObjectStore>, _) = match place {
            BackupPlace::Folder(folder) => {
                let failed = |source| BackupError::Folder { path: folder.clone(), source };
                if make {
                    std::fs::create_dir_all(folder).map_err(failed)?;
                }
                let store = LocalFileSystem::new_with_prefix(folder)
                    .map_err(|err| failed(std::io::Error::new(std::io::ErrorKind::NotFound, err)))?;
                (Arc::new(store.with_fsync(true)), Path::default())
            }
            BackupPlace::S3(bucket) => {
                let (store, prefix) = s3::open(bucket, client, s3::Waits::Background)
                    .map_err(|source| failed("opened", &bucket.bucket, source))?;
                (Arc::new(store), prefix)
            }
        };
        Ok(Self { store, prefix, throttle, described: place.describe().into() })
    }

    /// Returns how operators call the place.
    pub(crate) fn describe(&self) -> &str {
        &self.described
    }

    fn path(&self, name: &str) -> Path {
        s3::path(&self.prefix, name)
    }

    /// Stores an object, in place of what was there. It is there as a whole or not at all.
    pub(super) async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), BackupError> {
        if let Some(throttle) = &self.throttle {
            throttle.wait_for(bytes.len()).await;
        }
        let stored = self.store.put(&self.path(name), Bytes::from(bytes).into()).await;
        stored.map(drop).map_err(|source| failed("written", name, source))
    }

    /// Returns an object of at most `limit` bytes; `None` when it is not there.
    pub(super) async fn get(&self, name: &str, limit: usize) -> Result<Option<Bytes>, BackupError> {
        let found = match self.store.get(&self.path(name)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(failed("read", name, source)),
        };
        if found.meta.size > limit as u64 {
            let reason = format!("it has {} bytes, more than it can have", found.meta.size);
            return Err(BackupError::Damaged { name: name.to_owned(), reason });
        }
        found.bytes().await.map(Some).map_err(|source| failed("read", name, source))
    }

    /// Returns an object that must be there.
    pub(super) async fn get_or_missing(&self, name: &str, limit: usize) -> Result<Bytes, BackupError> {
        let found = self.get(name, limit).await?;
        found.ok_or_else(|| BackupError::Damaged { name: name.to_owned(), reason: "it is missing".into() })
    }

    /// Whether an object is there.
    pub(super) async fn has(&self, name: &str) -> Result<bool, BackupError> {
        match self.store.head(&self.path(name)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(failed("looked for", name, source)),
        }
    }

    /// Lists the objects below a folder, by name.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<Listed>, BackupError> {
        let path = self.path(folder);
        let below = format!("{path}/");
        let mut listed: Vec<Listed> = self
            .store
            .list(Some(&path))
            .map_ok(|meta| Listed {
                name: meta.location.as_ref().strip_prefix(&below).unwrap_or_default().to_owned(),
                modified_millis: meta.last_modified.timestamp_millis(),
            })
            .try_collect()
            .await
            .map_err(|source| failed("listed", folder, source))?;
        listed.retain(|listed| !listed.name.is_empty());
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    /// Deletes an object, if it is there.
    pub(super) async fn delete(&self, name: &str) -> Result<(), BackupError> {
        match self.store.delete(&self.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(failed("deleted", name, source)),
        }
    }
}

fn failed(what: &'static str, name: &str, source: object_store::Error) -> BackupError {
    BackupError::Place { what, name: name.to_owned(), source: Box::new(source) }
}
