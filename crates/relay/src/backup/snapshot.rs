//! A whole backup.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::Cid;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::manifest::{self, Manifest};
use super::ship::There;
use super::{AT_ONCE, BLOBS, BackupError, BackupReport, Backups, CHUNK_BYTES, CHUNKS, Opened, chunk_object};
use crate::store::blob;
use crate::work::blocking;

const BLOBS_AT_A_TIME: usize = 1000;
/// Missing blobs that a manifest names.
const MISSING_NAMED: usize = 1000;

/// The blobs of a backup.
#[derive(Default)]
struct Blobs {
    digests: Vec<u8>,
    count: u64,
    bytes: u64,
    missing: Vec<String>,
}

impl Backups {
    /// Makes a whole backup, removes those that are not kept, and restores it on trial.
    pub(crate) async fn run(&self, stop: &CancellationToken) -> Result<BackupReport, BackupError> {
        let _one = self.running.try_lock().map_err(|_| BackupError::Busy)?;
        let done = stop.run_until_cancelled(self.back_up()).await.unwrap_or(Err(BackupError::Stopped));
        let report = match done {
            Ok(report) => report,
            Err(err) => {
                self.note_failure(&err).await;
                return Err(err);
            }
        };
        self.note_backup(&report).await?;
        let tidied = stop.run_until_cancelled(self.prune()).await.unwrap_or(Err(BackupError::Stopped));
        if let Err(err) = tidied {
            tracing::warn!(
                error = &err as &dyn std::error::Error,
                "old backups could not be removed; the next turn tries again"
            );
        }
        Ok(report)
    }

    async fn back_up(&self) -> Result<BackupReport, BackupError> {
        let opened = self.opened().await?;
        // Another may have taken the place over since it was opened; what follows ends with removing what this one does not need.
        self.claim(&opened.place).await?;
        let began_at = self.now();
        let sent_before = self.shipped_bytes.load(Ordering::Relaxed);
        let id = manifest::new_id(began_at);
        // Before the database is read: see `Position::log_first`.
        self.ensure_chain(&id).await?;
        self.ship().await?;
        let Some(chain) = self.spool.chain() else { return Err(broken()) };

        let (database_bytes, chunks) = self.send_database(opened).await?;
        let blobs = self.send_blobs(opened).await?;

        let (ended_at, end_segment) = {
            let mut shipping = self.shipping.lock().await;
            let until = self.ship_now(&mut shipping).await?;
            let end = self.spool.chain().filter(|end| end.id == chain.id);
            until.zip(end.map(|end| end.next)).ok_or_else(broken)?
        };
        self.lock_status().shipping.through = Some(ended_at);
        let (key, digests) = (opened.key.clone(), blobs.digests);
        let list = blocking(move || key.seal(&digests)).await?;
        self.put(&opened.place, &manifest::blob_list(&id), list).await?;
        let manifest = Manifest {
            format: Manifest::FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            public_url: self.public_url.clone(),
            began_at,
            ended_at,
            database_bytes,
            chunks,
            chain: chain.id,
            first_segment: chain.log_first,
            end_segment,
            blobs: blobs.count,
            blob_bytes: blobs.bytes,
            missing_blobs: blobs.missing,
            files: self.files.clone(),
            id,
        };
        manifest.write(&opened.place, &opened.key).await?;
        Ok(BackupReport {
            place: self.place(),
            id: manifest.id,
            began_at,
            ended_at,
            database_bytes,
            blobs: manifest.blobs,
            blob_bytes: manifest.blob_bytes,
            missing_blobs: manifest.missing_blobs.len() as u64,
            sent_bytes: self.shipped_bytes.load(Ordering::Relaxed) - sent_before,
        })
    }

    /// Begins a chain of segments if there is none.
    async fn ensure_chain(&self, id: &str) -> Result<(), BackupError> {
        if self.spool.chain().is_some() {
            return Ok(());
        }
        let _turn = self.shipping.lock().await;
        let (spool, id) = (Arc::clone(&self.spool), id.to_owned());
        // As a write: the log holds pages that were copied back already, so that it might begin anew while it is read here.
        let begun = self
            .db
            .write(move |_| spool.begin_chain(&id).map_err(|source| BackupError::Io { path: "backup-spool".into(), source }));
        begun.await
    }

    /// Sends the pieces of the database file that are not there yet, and returns its size and the names of all pieces.
    async fn send_database(&self, opened: &Opened) -> Result<(u64, Vec<String>), BackupError> {
        let bytes = self.spool.database_bytes().map_err(BackupError::io(&self.data_dir))?;
        let there = opened.place.list(CHUNKS).await?;
        let there: HashSet<String> = there.into_iter().map(|listed| format!("{CHUNKS}/{}", listed.name)).collect();
        let there = Arc::new(there);
        let pieces = bytes.div_ceil(CHUNK_BYTES as u64);
        let names = stream::iter(0..pieces).map(|piece| {
            let (spool, key, there) = (Arc::clone(&self.spool), opened.key.clone(), Arc::clone(&there));
            async move {
                let offset = piece * CHUNK_BYTES as u64;
                let length = (bytes - offset).min(CHUNK_BYTES as u64) as usize;
                let (name, sealed) = blocking(move || {
                    let mut chunk = vec![0; length];
                    spool.read_database(offset, &mut chunk).map_err(BackupError::io("relay.sqlite"))?;
                    let name = key.name("chunk", &chunk);
                    let sealed = if there.contains(&chunk_object(&name)) { None } else { Some(key.seal(&chunk)?) };
                    Ok::<_, BackupError>((name, sealed))
                })
                .await?;
                if let Some(sealed) = sealed {
                    self.put(&opened.place, &chunk_object(&name), sealed).await?;
                }
                Ok::<_, BackupError>(name)
            }
        });
        Ok((bytes, names.buffered(AT_ONCE).try_collect().await?))
    }

    /// Sends the blobs that are not there yet.
    async fn send_blobs(&self, opened: &Opened) -> Result<Blobs, BackupError> {
        let there = opened.place.list(BLOBS).await?;
        let there: HashSet<String> = there.into_iter().map(|listed| format!("{BLOBS}/{}", listed.name)).collect();
        let mut blobs = Blobs::default();
        let mut after: Option<Cid> = None;
        loop {
            let from = after;
            let some = self.db.scan(move |conn| blob::list_all(conn, from.as_ref(), BLOBS_AT_A_TIME)).await?;
            let is_last = some.len() < BLOBS_AT_A_TIME;
            after = some.last().map(|(cid, _)| *cid);
            let sent = stream::iter(some).map(|(cid, size)| {
                let there = &there;
                async move {
                    let is_here = self.send_blob(opened, &cid, size, There::Listed(there)).await?;
                    Ok::<_, BackupError>((cid, size, is_here))
                }
            });
            let mut sent = std::pin::pin!(sent.buffered(AT_ONCE));
            while let Some((cid, size, is_here)) = sent.try_next().await? {
                if is_here {
                    blobs.digests.extend_from_slice(cid.digest());
                    blobs.count += 1;
                    blobs.bytes += size;
                } else if blobs.missing.len() < MISSING_NAMED {
                    blobs.missing.push(cid.to_string());
                }
            }
            if is_last {
                return Ok(blobs);
            }
        }
    }
}

fn broken() -> BackupError {
    BackupError::Damaged {
        name: "the chain of changes".into(),
        reason: "it broke meanwhile; the next backup begins anew".into(),
    }
}

/// Collects the files that a backup has besides the database.
pub(crate) fn files(master_key: &str, texts: &crate::config::ConfigTexts) -> BTreeMap<String, String> {
    let mut files = BTreeMap::from([("master.key".to_owned(), format!("{master_key}\n"))]);
    if let Some(file) = &texts.file {
        files.insert("configuration/relay.toml".to_owned(), file.expose().to_owned());
    }
    if !texts.effective.is_empty() {
        files.insert("configuration/effective.toml".to_owned(), texts.effective.clone());
    }
    files
}
