//! Blobs of the old server: a row in the account's own database, a file in a folder of the account's.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use common::{Cid, Codec, Did};
use futures_util::{StreamExt as _, stream};
use rusqlite::{Connection, params};

use super::AdoptError;
use super::folder::Folder;
use super::report::{Report, Severity};
use crate::state::App;
use crate::store::blob::{self, NewBlob};
use crate::store::{AccountId, BatchTx, StoreError};
use crate::work::blocking;

/// Rows that are read at a time.
const PAGE: usize = 500;
/// Files that are copied at once: each waits for the disk in the end.
const AT_ONCE: usize = 16;
const CHUNK_BYTES: usize = 256 << 10;

/// A blob of an account.
#[derive(Clone, Debug)]
pub(super) struct OldBlob {
    /// As it is written in the database.
    name: String,
    cid: Option<Cid>,
    mime_type: String,
    size: u64,
    /// Its name while no record refers to it.
    temp_key: Option<String>,
    takedown_ref: Option<String>,
}

/// Digests of blobs that are not carried over.
pub(super) type Missing = HashSet<[u8; 32]>;

/// Returns the next blobs by name.
fn page(actor: &Connection, after: &str) -> rusqlite::Result<Vec<OldBlob>> {
    let mut statement = actor
        .prepare_cached("SELECT cid, mimeType, size, tempKey, takedownRef FROM blob WHERE cid > ?1 ORDER BY cid LIMIT ?2")?;
    let rows = statement.query_map(params![after, PAGE as i64], |row| {
        let name: String = row.get("cid")?;
        let size: i64 = row.get("size")?;
        Ok(OldBlob {
            cid: name.parse().ok().filter(|cid: &Cid| cid.codec() == Codec::Raw),
            name,
            mime_type: row.get("mimeType")?,
            size: u64::try_from(size).unwrap_or(0),
            temp_key: row.get("tempKey")?,
            takedown_ref: row.get("takedownRef")?,
        })
    })?;
    rows.collect()
}

/// Finds the file of a blob, with its size.
fn find(folder: &Folder, did: &Did, old: &OldBlob) -> Option<(PathBuf, u64)> {
    let name = old.temp_key.as_deref().unwrap_or(&old.name);
    let mut files = folder.blob_files(did, name, old.temp_key.is_some()).into_iter();
    files.find_map(|path| std::fs::metadata(&path).ok().map(|metadata| (path, metadata.len())))
}

/// Looks whether the files of an account's blobs are there and have their size.
pub(super) fn look(folder: &Folder, did: &Did, actor: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    let mut after = String::new();
    loop {
        let blobs = page(actor, &after)?;
        let Some(last) = blobs.last() else { return Ok(()) };
        after.clone_from(&last.name);
        for old in &blobs {
            match find(folder, did, old) {
                _ if old.cid.is_none() => complain(report, did, old, "its name is none of a blob"),
                // Nobody misses an upload that no post refers to.
                None if old.temp_key.is_some() => {}
                None if folder.blobs.is_none() => count(report, old),
                None => complain(report, did, old, "its file is missing"),
                Some((_, size)) if size != old.size => complain(report, did, old, &differs(old, size)),
                Some(_) => count(report, old),
            }
        }
    }
}

fn count(report: &mut Report, old: &OldBlob) {
    report.blobs += 1;
    report.blob_bytes += old.size;
}

fn differs(old: &OldBlob, size: u64) -> String {
    format!("its file has {size} bytes, and should have {}", old.size)
}

fn complain(report: &mut Report, did: &Did, old: &OldBlob, why: &str) {
    report.add(Severity::Warning, Some(did), format!("The blob {} is not carried over: {why}.", old.name));
}

/// Copies the files of an account's blobs, each checked against its name. Returns those that are not there.
pub(super) async fn copy(
    folder: &Folder,
    app: &App,
    did: &Did,
    actor: &Connection,
    report: &mut Report,
) -> Result<Missing, AdoptError> {
    let (mut missing, mut after) = (Missing::new(), String::new());
    loop {
        let blobs = page(actor, &after).map_err(StoreError::from)?;
        let Some(last) = blobs.last() else { return Ok(missing) };
        after.clone_from(&last.name);
        let copies = stream::iter(blobs).map(|old| async {
            let copied = copy_one(folder, app, did, &old).await;
            (old, copied)
        });
        let mut copies = std::pin::pin!(copies.buffer_unordered(AT_ONCE));
        while let Some((old, copied)) = copies.next().await {
            match copied? {
                Ok(()) => count(report, &old),
                Err(why) => {
                    missing.extend(old.cid.map(|cid| *cid.digest()));
                    if let Some(why) = why {
                        complain(report, did, &old, &why);
                    }
                }
            }
        }
    }
}

/// Copies a file. The inner error is why it is not carried over, if someone should know.
async fn copy_one(folder: &Folder, app: &App, did: &Did, old: &OldBlob) -> Result<Result<(), Option<String>>, AdoptError> {
    let told = |why: &str| Ok(Err(Some(why.to_owned())));
    let Some(cid) = old.cid else { return told("its name is none of a blob") };
    let (path, size) = match find(folder, did, old) {
        Some(found) => found,
        None if old.temp_key.is_some() => return Ok(Err(None)),
        None => return told("its file is missing"),
    };
    if size != old.size {
        return Ok(Err(Some(differs(old, size))));
    }
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(err) => return Ok(Err(Some(format!("its file cannot be read: {err}")))),
    };
    let mut upload = app.blobs.begin(u64::MAX, Some(size))?;
    loop {
        let read = blocking(move || {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            let read = file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk);
            (file, read.map(|_| chunk))
        });
        let (back, chunk) = read.await;
        file = back;
        match chunk {
            Ok(chunk) if chunk.is_empty() => break,
            Ok(chunk) => upload.write(&chunk).await?,
            Err(err) => return Ok(Err(Some(format!("its file cannot be read: {err}")))),
        }
    }
    let stored = upload.finish().await?;
    if stored.cid == cid {
        return Ok(Ok(()));
    }
    let other = stored.cid;
    drop(stored);
    discard(app, &other).await?;
    told("its file is damaged: it has another hash")
}

/// Removes the bytes of a blob that no account has.
async fn discard(app: &App, cid: &Cid) -> Result<(), AdoptError> {
    let is_used = app.db.read(|conn| blob::exists_anywhere(conn, cid).map_err(AdoptError::from));
    app.blobs.remove_unless(cid, is_used).await.map(drop)
}

/// Removes what was copied for an account that is set aside after all.
pub(super) async fn take_back(app: &App, actor: &Connection) -> Result<(), AdoptError> {
    let mut after = String::new();
    loop {
        let blobs = page(actor, &after).map_err(StoreError::from)?;
        let Some(last) = blobs.last() else { return Ok(()) };
        after.clone_from(&last.name);
        for cid in blobs.iter().filter_map(|old| old.cid) {
            discard(app, &cid).await?;
        }
    }
}

/// Stores the rows of an account's blobs, whose files are there but for those `missing`; after its records, which refer to them.
pub(super) fn store(tx: &BatchTx<'_>, account: AccountId, actor: &Connection, missing: &Missing) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let blobs = page(actor, &after)?;
        let Some(last) = blobs.last() else { return Ok(()) };
        after.clone_from(&last.name);
        for old in &blobs {
            let Some(cid) = old.cid.filter(|cid| !missing.contains(cid.digest())) else { continue };
            blob::upsert(tx, account, &NewBlob { cid, mime_type: &old.mime_type, size: old.size })?;
            if old.takedown_ref.is_some() {
                blob::set_takedown(tx, account, &cid, old.takedown_ref.as_deref())?;
            }
        }
    }
}
