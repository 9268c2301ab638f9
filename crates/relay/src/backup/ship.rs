//! Sends what changed, every few seconds: blobs first, so that what refers to them never comes without them.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::Cid;
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};

use super::segment::{self, Link};
use super::{BLOB_PART_BYTES, BackupError, Backups, Opened, blob_object, blob_parts};
use crate::blob::BlobError;
use crate::store::blob;
use crate::work::blocking;

/// A row of a blob is looked for from so long before the last look, since it has the time at which its transaction began.
const OVERLAP_MILLIS: i64 = 60_000;
/// Blobs that are remembered as sent.
const REMEMBERED: usize = 10_000;
const BLOBS_AT_A_TIME: usize = 500;

/// How far the segments were sent.
#[derive(Debug, Default)]
pub(super) struct State {
    sent: Option<Sent>,
    recent_blobs: HashSet<[u8; 32]>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Sent {
    place: String,
    chain: String,
    /// Number of the next segment to send.
    next: u64,
    /// Of the last that was sent.
    link: String,
    /// Blobs that came before were sent.
    blobs_since: i64,
}

/// Tells which objects are there already.
#[derive(Clone, Copy, Debug)]
pub(super) enum There<'a> {
    Listed(&'a HashSet<String>),
    /// The place is asked for each.
    Ask,
}

impl State {
    pub(super) fn load(spool_dir: &Path) -> Self {
        let sent = fs::read(spool_dir.join(SENT)).ok().and_then(|json| serde_json::from_slice(&json).ok());
        Self { sent, recent_blobs: HashSet::new() }
    }
}

impl Backups {
    /// Sends what changed since the last time. `false` when there is no chain to send: a whole backup is needed.
    pub(crate) async fn ship(&self) -> Result<bool, BackupError> {
        let mut state = self.shipping.lock().await;
        let result = self.ship_now(&mut state).await;
        let waiting_bytes = self.spool.waiting_bytes();
        let mut status = self.lock_status();
        status.shipping.waiting_bytes = waiting_bytes;
        match &result {
            Ok(Some(until)) => {
                status.shipping.through = Some(*until);
                status.shipping.failure = None;
            }
            Ok(None) => {}
            Err(err) => status.shipping.failure = Some(err.to_string()),
        }
        drop(status);
        result.map(|until| until.is_some())
    }

    /// As [`Self::ship`]; returns the time through which all is sent.
    pub(super) async fn ship_now(&self, state: &mut State) -> Result<Option<i64>, BackupError> {
        if self.spool.chain().is_none() {
            return Ok(None);
        }
        let opened = self.opened().await?;
        let spool = Arc::clone(&self.spool);
        let until = blocking(move || spool.capture()).await.map_err(BackupError::io(&self.spool_dir))?;
        let Some(chain) = self.spool.chain() else { return Ok(None) };
        let sent = match &state.sent {
            Some(sent) if sent.chain == chain.id && sent.place == opened.place.describe() && sent.next <= chain.next => {
                sent.clone()
            }
            Some(sent) if sent.chain == chain.id => {
                self.spool.break_chain("what was sent is not where backups go now, or not what the database has");
                return Ok(None);
            }
            // A new chain; the backup that began it sees to the blobs.
            Some(_) | None => Sent {
                place: opened.place.describe().to_owned(),
                link: Link::origin(&opened.key, &chain.id).to_hex(),
                chain: chain.id.clone(),
                next: 0,
                blobs_since: until,
            },
        };
        if sent.next < chain.next {
            self.ship_blobs(opened, state, sent.blobs_since - OVERLAP_MILLIS).await?;
        }
        let mut sent = sent;
        while sent.next < chain.next {
            self.ship_segment(opened, &mut sent).await?;
            state.sent = Some(sent.clone());
        }
        if sent.blobs_since != until {
            sent.blobs_since = until;
            self.save(&sent)?;
            state.sent = Some(sent);
        }
        Ok(Some(until))
    }

    async fn ship_segment(&self, opened: &Opened, sent: &mut Sent) -> Result<(), BackupError> {
        let number = sent.next;
        let (spool, key, link) = (Arc::clone(&self.spool), opened.key.clone(), Link::from_hex(&sent.link));
        let sealed = blocking(move || {
            let link = link.ok_or(None)?;
            let segment = spool.read(number).map_err(|_| None)?;
            segment::seal(&key, link, &segment).map_err(Some)
        });
        let (object, link) = match sealed.await {
            Ok(sealed) => sealed,
            Err(Some(err)) => return Err(err),
            Err(None) => {
                self.spool.break_chain("changes that waited to be sent are gone");
                return Err(BackupError::Damaged { name: format!("change {number}"), reason: "it is gone".into() });
            }
        };
        self.put(&opened.place, &segment::object(&sent.chain, number), object).await?;
        sent.next += 1;
        sent.link = link.to_hex();
        self.save(sent)?;
        self.spool.forget(number).map_err(BackupError::io(&self.spool_dir))
    }

    fn save(&self, sent: &Sent) -> Result<(), BackupError> {
        let failed = |err: std::io::Error| BackupError::io(&self.spool_dir)(err);
        let temporary = self.spool_dir.join("sent.new");
        let json = serde_json::to_vec(sent).map_err(|err| failed(err.into()))?;
        fs::write(&temporary, json).and_then(|()| fs::rename(temporary, self.spool_dir.join(SENT))).map_err(failed)
    }

    /// Sends the blobs that came since.
    async fn ship_blobs(&self, opened: &Opened, state: &mut State, since: i64) -> Result<(), BackupError> {
        let mut after = (since, Vec::new());
        loop {
            let from = after.clone();
            let found = self.db.scan(move |conn| blob::list_since(conn, from.0, &from.1, BLOBS_AT_A_TIME)).await?;
            let is_last = found.len() < BLOBS_AT_A_TIME;
            for (created_at, cid, size) in found {
                after = (created_at, cid.digest().to_vec());
                if state.recent_blobs.contains(cid.digest()) {
                    continue;
                }
                if state.recent_blobs.len() >= REMEMBERED {
                    state.recent_blobs.clear();
                }
                self.send_blob(opened, &cid, size, There::Ask).await?;
                state.recent_blobs.insert(*cid.digest());
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Sends a blob but for the objects that are there. Returns whether the server has it.
    pub(super) async fn send_blob(&self, opened: &Opened, cid: &Cid, size: u64, there: There<'_>) -> Result<bool, BackupError> {
        for part in 0..blob_parts(size) {
            let object = blob_object(&opened.key, cid.digest(), part);
            let is_there = match there {
                There::Listed(listed) => listed.contains(&object),
                There::Ask => opened.place.has(&object).await?,
            };
            if is_there {
                continue;
            }
            let range = part * BLOB_PART_BYTES..size.min((part + 1) * BLOB_PART_BYTES);
            let body = match self.blobs.read(cid, size, range).await {
                Ok(body) => body.into_body(),
                Err(BlobError::Missing(_)) => {
                    tracing::warn!(%cid, "a blob is not there to be backed up; `relay verify` tells more");
                    return Ok(false);
                }
                Err(err) => return Err(BackupError::Damaged { name: cid.to_string(), reason: err.to_string() }),
            };
            let bytes =
                body.collect().await.map_err(|err| BackupError::Damaged { name: cid.to_string(), reason: err.to_string() })?;
            let (key, bytes) = (opened.key.clone(), bytes.to_bytes());
            let sealed = blocking(move || key.seal(&bytes)).await?;
            self.put(&opened.place, &object, sealed).await?;
        }
        Ok(true)
    }

    /// Breaks the chain, so that the next backup trusts nothing of what was sent as changes.
    pub(super) fn distrust_chain(&self, why: &str) {
        self.spool.break_chain(why);
    }

    /// Returns the present time, in milliseconds since the epoch.
    pub(super) fn now(&self) -> i64 {
        self.clock.millis()
    }
}

const SENT: &str = "sent.json";
