//! Of what a repo's follows, blocks, likes and reposts are, so that creating a second one of the same can replace the first.
//!
//! The rows follow from the records: [`super::record`] keeps them, whoever writes. Subjects are stored as hashes, for their
//! text is in the record.

use common::{Value, cbor};
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

use super::{AccountId, RepoId, StoreError};

/// The collections of which a repo has one record for a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Follow = 1,
    Block = 2,
    Like = 3,
    Repost = 4,
}

/// Bytes of a subject's hash that are kept.
const HASH_BYTES: usize = 16;

/// That a record is of some subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backlink {
    pub(crate) kind: Kind,
    subject: [u8; HASH_BYTES],
}

impl Kind {
    /// Returns the kind of the collection that a path begins with, if it is one of these.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        match path.split_once('/')?.0 {
            "app.bsky.graph.follow" => Some(Self::Follow),
            "app.bsky.graph.block" => Some(Self::Block),
            "app.bsky.feed.like" => Some(Self::Like),
            "app.bsky.feed.repost" => Some(Self::Repost),
            _ => None,
        }
    }
}

impl Backlink {
    /// Reads of what the record at `path` is; `None` for other collections, and for records that do not say.
    pub(crate) fn of_record(path: &str, block: &[u8]) -> Option<Self> {
        let kind = Kind::of_path(path)?;
        let record = cbor::decode(block).ok()?;
        let subject = record.get("subject")?;
        let subject = match kind {
            Kind::Follow | Kind::Block => subject.as_str()?,
            Kind::Like | Kind::Repost => subject.get("uri").and_then(Value::as_str)?,
        };
        let hash = Sha256::digest(subject);
        let subject = *hash.first_chunk().expect("SHA-256 has more bytes than are kept");
        Some(Self { kind, subject })
    }
}

/// Notes the subject of a record that is new at `path`.
pub(crate) fn note(conn: &Connection, repo: RepoId, path: &str, block: &[u8]) -> Result<(), StoreError> {
    Backlink::of_record(path, block).map_or(Ok(()), |link| insert(conn, repo, path, &link))
}

/// Notes of what the record at `path` is.
pub(super) fn insert(conn: &Connection, repo: RepoId, path: &str, link: &Backlink) -> Result<(), StoreError> {
    let sql = "INSERT INTO backlink (repo, kind, subject, rkey) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    conn.prepare_cached(sql)?.execute(params![repo.0, link.kind as i64, link.subject, rkey(path)])?;
    Ok(())
}

/// Forgets the subjects of all records of a repo.
pub(crate) fn delete_all(conn: &Connection, repo: RepoId) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM backlink WHERE repo = ?1")?.execute([repo.0])?;
    Ok(())
}

/// Forgets the subject of the record that is at `path` and about to go.
pub(super) fn forget(conn: &Connection, repo: RepoId, path: &str) -> Result<(), StoreError> {
    if Kind::of_path(path).is_none() {
        return Ok(());
    }
    let sql = "SELECT block FROM record WHERE repo = ?1 AND path = ?2";
    let block: Option<Vec<u8>> = conn.prepare_cached(sql)?.query_row(params![repo.0, path], |row| row.get(0)).optional()?;
    let Some(link) = block.and_then(|block| Backlink::of_record(path, &block)) else { return Ok(()) };
    let sql = "DELETE FROM backlink WHERE repo = ?1 AND kind = ?2 AND subject = ?3 AND rkey = ?4";
    conn.prepare_cached(sql)?.execute(params![repo.0, link.kind as i64, link.subject, rkey(path)])?;
    Ok(())
}

/// Whether the subject of the record at `path` is noted.
pub(crate) fn is_noted(conn: &Connection, account: AccountId, path: &str, link: &Backlink) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM backlink
        WHERE repo = (SELECT repo FROM account WHERE id = ?1) AND kind = ?2 AND subject = ?3 AND rkey = ?4";
    Ok(conn.prepare_cached(sql)?.exists(params![account.0, link.kind as i64, link.subject, rkey(path)])?)
}

/// Returns how many subjects of a repo's records are noted.
pub(crate) fn count(conn: &Connection, account: AccountId) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM backlink WHERE repo = (SELECT repo FROM account WHERE id = ?1)";
    Ok(conn.prepare_cached(sql)?.query_row([account.0], |row| row.get::<_, i64>(0))? as u64)
}

/// Returns the keys of at most `limit` records of the same kind and subject, oldest first.
pub(crate) fn rkeys(conn: &Connection, account: AccountId, link: &Backlink, limit: usize) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT rkey FROM backlink
        WHERE repo = (SELECT repo FROM account WHERE id = ?1) AND kind = ?2 AND subject = ?3 ORDER BY rkey LIMIT ?4";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params![account.0, link.kind as i64, link.subject, limit as i64], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn rkey(path: &str) -> &str {
    path.split_once('/').map_or(path, |(_, rkey)| rkey)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(path: &str, json: &str) -> Option<Backlink> {
        Backlink::of_record(path, &cbor::encode(&common::json::parse(json.as_bytes()).unwrap()))
    }

    #[test]
    fn a_subject_is_a_did_or_the_uri_of_a_reference() {
        let follow = link("app.bsky.graph.follow/1", r#"{"subject":"did:plc:a"}"#).unwrap();
        assert_eq!(Some(follow), link("app.bsky.graph.follow/2", r#"{"createdAt":"-","subject":"did:plc:a"}"#));
        assert_ne!(Some(follow), link("app.bsky.graph.block/1", r#"{"subject":"did:plc:a"}"#));
        let like = link("app.bsky.feed.like/1", r#"{"subject":{"uri":"at://a/b/c","cid":"x"}}"#);
        assert!(like.is_some());
        assert_eq!(like, link("app.bsky.feed.like/2", r#"{"subject":{"uri":"at://a/b/c","cid":"y"}}"#));
    }

    #[test]
    fn what_has_no_subject_links_to_nothing() {
        assert_eq!(link("app.bsky.feed.post/1", r#"{"subject":"did:plc:a"}"#), None);
        assert_eq!(link("app.bsky.graph.followed/1", r#"{"subject":"did:plc:a"}"#), None);
        assert_eq!(link("app.bsky.graph.follow/1", "{}"), None);
        assert_eq!(link("app.bsky.graph.follow/1", r#"{"subject":{"uri":"at://a/b/c"}}"#), None);
        assert_eq!(link("app.bsky.feed.like/1", r#"{"subject":"at://a/b/c"}"#), None);
        assert_eq!(Backlink::of_record("app.bsky.feed.like/1", b"\xff"), None);
    }
}
