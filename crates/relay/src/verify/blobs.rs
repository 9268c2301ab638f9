//! The files of blobs against the rows.

use std::io::Read as _;

use common::{Cid, Codec, Did};
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

use super::finding::Kind;
use super::{BlobCheck, Phase, Run};
use crate::blob::BlobFiles;
use crate::store::{AccountId, StoreError, blob, row};

/// Blobs that are looked up at a time.
const PAGE: usize = 500;
const BUFFER_BYTES: usize = 256 << 10;

/// A blob, whichever accounts have it.
struct Stored {
    cid: Cid,
    size: u64,
    /// One of those that have it.
    account: AccountId,
}

pub(super) fn check(run: &mut Run<'_>, files: &BlobFiles) {
    if let Err(err) = rows(run, files) {
        run.unreadable(None, "The list of blobs", &err);
    }
    if run.options.account.is_none() {
        orphans(run, files);
    }
}

fn rows(run: &mut Run<'_>, files: &BlobFiles) -> Result<(), StoreError> {
    let only = match &run.options.account {
        None => None,
        Some(did) => {
            let sql = "SELECT id FROM account WHERE did = ?1";
            Some(run.conn.query_row(sql, [did.as_str()], |row| row.get::<_, i64>(0)).optional()?.unwrap_or(0))
        }
    };
    let sql = "SELECT count(DISTINCT cid) FROM blob WHERE ?1 IS NULL OR account = ?1";
    let total: i64 = run.conn.query_row(sql, [only], |row| row.get(0))?;
    run.begin(Phase::Blobs, total as u64);
    // From a place of chance to the end, and then what is before it: a sample, should the time not suffice.
    let begin = if run.options.budget.is_some() { super::digest_of(run.options.seed) } else { [0; 32] };
    let mut buffer = vec![0; BUFFER_BYTES];
    for (from, to) in [(begin, None), ([0; 32], Some(begin))] {
        let (mut from, mut inclusive) = (from.to_vec(), true);
        loop {
            let page = list(run.conn, only, (&from, inclusive), to.as_ref())?;
            for stored in &page {
                if run.is_over() {
                    return Ok(());
                }
                one(run, files, stored, &mut buffer)?;
                run.advance(Phase::Blobs, 1);
            }
            let Some(last) = page.last() else { break };
            (from, inclusive) = (last.cid.digest().to_vec(), false);
        }
    }
    Ok(())
}

fn list(
    conn: &Connection,
    only: Option<i64>,
    (from, inclusive): (&[u8], bool),
    to: Option<&[u8; 32]>,
) -> Result<Vec<Stored>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT cid, max(size) AS size, min(account) AS account FROM blob
         WHERE (cid > ?1 OR (?2 AND cid = ?1)) AND (?3 IS NULL OR cid < ?3) AND (?4 IS NULL OR account = ?4)
         GROUP BY cid ORDER BY cid LIMIT ?5",
    )?;
    let mut rows = statement.query(params![from, inclusive, to.map(|to| &to[..]), only, PAGE as i64])?;
    let mut page = Vec::with_capacity(PAGE);
    while let Some(row) = rows.next()? {
        let cid = row::cid(row, "blob", "cid", Codec::Raw)?;
        page.push(Stored { cid, size: row.get::<_, i64>("size")? as u64, account: AccountId(row.get("account")?) });
    }
    Ok(page)
}

fn one(run: &mut Run<'_>, files: &BlobFiles, stored: &Stored, buffer: &mut [u8]) -> Result<(), StoreError> {
    let cid = &stored.cid;
    let (kind, sentence) = match look(run, files, stored, buffer) {
        Ok(None) => return Ok(()),
        Ok(Some(wrong)) => wrong,
        Err(err) => (Kind::BlobFileDamaged, format!("The file of the blob {cid} cannot be read: {err}.")),
    };
    // It may have been collected meanwhile, with its row.
    if !blob::exists_anywhere(run.conn, cid)? {
        return Ok(());
    }
    let sql = "SELECT did FROM account WHERE id = ?1";
    let did: Option<String> = run.conn.query_row(sql, [stored.account.0], |row| row.get(0)).optional()?;
    let did: Option<Did> = did.and_then(|did| did.parse().ok());
    run.find_blob(kind, did.as_ref(), cid, sentence);
    Ok(())
}

/// Looks at the file of a blob, and returns what is wrong with it.
fn look(run: &mut Run<'_>, files: &BlobFiles, stored: &Stored, buffer: &mut [u8]) -> std::io::Result<Option<(Kind, String)>> {
    let cid = &stored.cid;
    let with_content = run.options.blobs == BlobCheck::Content;
    let found = if with_content {
        files.open(cid)?.map(|(size, bytes)| (size, Some(bytes)))
    } else {
        files.size(cid)?.map(|size| (size, None))
    };
    let Some((size, bytes)) = found else {
        return Ok(Some((Kind::BlobFileMissing, format!("The blob {cid} of {} bytes has no file.", stored.size))));
    };
    if size != stored.size {
        let sentence = format!("The file of the blob {cid} has {size} bytes; it had {}.", stored.size);
        return Ok(Some((Kind::BlobFileDamaged, sentence)));
    }
    let Some(mut bytes) = bytes else { return Ok(None) };
    let mut hasher = Sha256::new();
    loop {
        let read = bytes.read(buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        run.read(read as u64);
    }
    if hasher.finalize()[..] == cid.digest()[..] {
        return Ok(None);
    }
    Ok(Some((Kind::BlobFileDamaged, format!("The content of the blob {cid} changed: its hash is another one."))))
}

/// Looks for files that no row names.
fn orphans(run: &mut Run<'_>, files: &BlobFiles) {
    run.begin(Phase::Orphans, 256);
    for shard in 0..=u8::MAX {
        if run.is_over() {
            return;
        }
        let named = files.list(shard).map_err(|err| {
            run.find(Kind::BlobsUnreadable, None, format!("The folder {shard:02x} of blobs cannot be listed: {err}."));
        });
        for cid in named.unwrap_or_default() {
            match blob::exists_anywhere(run.conn, &cid) {
                Ok(true) => {}
                Ok(false) => {
                    run.find(Kind::BlobFileLeftover, None, format!("The file of the blob {cid} belongs to no account."));
                }
                Err(err) => return run.unreadable(None, "The list of blobs", &err),
            }
        }
        run.advance(Phase::Orphans, 1);
    }
}
