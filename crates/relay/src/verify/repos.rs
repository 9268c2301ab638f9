//! Each repo: its records, the one tree that they make, the nodes that are stored of it, and the signed head.

use std::collections::BTreeSet;

use common::{Cid, Codec, Did, Value, blob_ref, cbor};
use repo_engine::{Builder, Commit, Key};
use rusqlite::{Connection, OptionalExtension as _, Rows, params};

use super::finding::Kind;
use super::{Phase, Run};
use crate::error::with_causes;
use crate::repo::fresh::Fresh;
use crate::secrets::signing_key_context;
use crate::store::backlink::{self, Backlink};
use crate::store::{AccountId, StoreError, blob, record, repo, row};

/// Findings of one kind that one repo adds, beyond which they are only counted in a sentence.
const EACH: usize = 10;
/// Bytes between two looks at the clock.
const LOOK_EVERY: u64 = 4 << 20;

pub(super) fn check(run: &mut Run<'_>) {
    let ids = match accounts(run) {
        Ok(ids) => ids,
        Err(err) => return run.unreadable(None, "The list of accounts", &err),
    };
    run.begin(Phase::Repos, ids.len() as u64);
    for id in ids {
        if run.is_over() {
            return;
        }
        one(run, id);
        run.advance(Phase::Repos, 1);
    }
}

/// Returns the accounts to look at: in an order of chance where time may not suffice for all.
fn accounts(run: &Run<'_>) -> Result<Vec<AccountId>, StoreError> {
    let did = run.options.account.as_ref().map(Did::as_str);
    let mut statement = run.conn.prepare("SELECT id FROM account WHERE ?1 IS NULL OR did = ?1 ORDER BY id")?;
    let ids = statement.query_map([did], |row| row.get(0).map(AccountId))?;
    let mut ids: Vec<AccountId> = ids.collect::<Result<_, _>>()?;
    if run.options.budget.is_some() {
        ids.sort_by_cached_key(|id| super::shuffled(run.options.seed, id.0 as u64));
    }
    Ok(ids)
}

fn one(run: &mut Run<'_>, id: AccountId) {
    let conn = run.conn;
    // One snapshot for all of the repo.
    let tx = match conn.unchecked_transaction() {
        Ok(tx) => tx,
        Err(err) => return run.unreadable(None, "A repo", &err.into()),
    };
    let found = tx.query_row("SELECT did, signing_key FROM account WHERE id = ?1", [id.0], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?))
    });
    let (did, sealed) = match found.optional() {
        // It was deleted meanwhile.
        Ok(None) => return,
        Ok(Some(found)) => found,
        Err(err) => return run.unreadable(None, "An account", &err.into()),
    };
    let did: Did = match did.parse() {
        Ok(did) => did,
        Err(_) => return run.find(Kind::DatabaseDamaged, None, format!("Account {} has a DID that is none.", id.0)),
    };
    let repo = match repo::find(&tx, id) {
        Ok(Some(repo)) => repo,
        Ok(None) => return run.find(Kind::HeadMissing, Some(&did), "The account has no repo."),
        Err(err) => return run.unreadable(Some(&did), "The head of the repo", &err),
    };
    head(run, &did, &repo, &sealed);
    let fresh = Fresh::decode(&repo.fresh_nodes).unwrap_or_else(|err| {
        let sentence = format!("The tree nodes beside the head are damaged: {}.", with_causes(&err));
        run.find(Kind::TreeNodeDamaged, Some(&did), sentence);
        Fresh::default()
    });
    let whole = Repo { conn: &tx, id, did: &did };
    match whole.records(run, &fresh) {
        Ok(Some(tree)) => whole.tree(run, &repo, &fresh, &tree),
        // The time is over, or a record has no place in a tree.
        Ok(None) => {}
        Err(err) => run.unreadable(Some(&did), "The records of the repo", &err),
    }
    if let Err(err) = whole.blobs(run) {
        run.unreadable(Some(&did), "The blobs of the account", &err);
    }
}

/// Checks that the head is a commit of the account, as its row says, signed with its key.
fn head(run: &mut Run<'_>, did: &Did, repo: &repo::RepoRow, sealed: &[u8]) {
    let mut damaged = |why: String| run.find(Kind::HeadDamaged, Some(did), format!("The head of the repo {why}."));
    if !repo.head.matches(&repo.commit_block) {
        return damaged(format!("is not the commit {} that it is named", repo.head));
    }
    let commit = match Commit::decode(&repo.commit_block) {
        Ok(commit) => commit,
        Err(err) => return damaged(format!("is not a commit: {err}")),
    };
    if commit.did != *did {
        return damaged(format!("is a commit of {}", commit.did));
    }
    if (commit.rev, commit.data) != (repo.rev, repo.data) {
        return damaged(format!("has rev {} and root {}, its row has {} and {}", commit.rev, commit.data, repo.rev, repo.data));
    }
    // A key that cannot be opened is a finding of its own.
    let key = run.master.and_then(|master| crypto::seal::open(master, &signing_key_context(did), sealed).ok());
    let key = key.and_then(|bytes| {
        let bytes: &[u8; 32] = bytes.as_slice().try_into().ok()?;
        crypto::SigningKey::from_bytes(crypto::Curve::K256, bytes).ok()
    });
    if let Some(key) = key
        && let Err(err) = commit.verify(key.verifying_key())
    {
        run.find(Kind::HeadSignature, Some(did), format!("The head of the repo is not signed with the account's key: {err}."));
    }
}

struct Repo<'a> {
    conn: &'a Connection,
    id: AccountId,
    did: &'a Did,
}

/// What the records make, and how much of it is stored.
struct Made {
    root: Cid,
    records: u64,
    nodes: u64,
    missing: Vec<Cid>,
    damaged: Vec<Cid>,
}

impl Repo<'_> {
    /// Checks each record and what follows from it, and compares the nodes of their tree with those that are stored.
    fn records(&self, run: &mut Run<'_>, fresh: &Fresh) -> Result<Option<Made>, StoreError> {
        let (mut nodes, mut missing, mut damaged) = (0, Vec::new(), Vec::new());
        let mut builder = Builder::new(|cid: Cid, _, block: Vec<u8>| -> Result<(), StoreError> {
            nodes += 1;
            let same = match fresh.get(&cid) {
                Some(stored) => Some(*stored.bytes == *block),
                None => repo::find_node(self.conn, self.id, &cid)?.map(|stored| stored == block),
            };
            match same {
                Some(true) => {}
                Some(false) => damaged.push(cid),
                None => missing.push(cid),
            }
            Ok(())
        });
        let (mut count, mut links, mut wrong, mut since_look, mut placeable) = (0, 0, 0, 0, true);
        let sql = "SELECT path, cid FROM blob_ref WHERE repo = (SELECT repo FROM account WHERE id = ?1) ORDER BY path, cid";
        let mut statement = self.conn.prepare(sql)?;
        let mut references = References { rows: statement.query([self.id.0])?, next: None };
        references.advance()?;
        let mut over = false;
        record::scan(self.conn, self.id, None, |path, cid, block| {
            count += 1;
            since_look += block.len() as u64;
            if since_look >= LOOK_EVERY {
                run.read(std::mem::take(&mut since_look));
                over = run.is_over();
                if over {
                    return Ok(false);
                }
            }
            let decoded = match cbor::decode(block) {
                _ if !cid.matches(block) => Err("its block is not what its CID names".to_owned()),
                Ok(record @ Value::Map(_)) => Ok(record),
                Ok(_) => Err("it is not a map".to_owned()),
                Err(err) => Err(err.to_string()),
            };
            let mut complain = |why: &str| {
                wrong += 1;
                if wrong <= EACH {
                    run.find(Kind::RecordDamaged, Some(self.did), format!("The record at {path} is damaged: {why}."));
                }
            };
            match Key::parse(path) {
                Ok(key) => placeable &= builder.push(&key, cid)?,
                Err(err) => {
                    complain(&err.to_string());
                    placeable = false;
                }
            }
            match decoded {
                Err(why) => {
                    complain(&why);
                    references.skip(path)?;
                }
                Ok(record) => {
                    if let Some(link) = Backlink::of_record(path, block) {
                        links += 1;
                        if !backlink::is_noted(self.conn, self.id, path, &link)? {
                            run.find(Kind::BacklinkMissing, Some(self.did), format!("The subject of {path} is not noted."));
                        }
                    }
                    self.references(run, path, &record, &mut references)?;
                }
            }
            Ok(true)
        })?;
        run.read(since_look);
        run.report.records += count;
        if over {
            return Ok(None);
        }
        while let Some((path, cid)) = references.take_any()? {
            self.leftover_reference(run, &path, &cid);
        }
        if wrong > EACH {
            run.find(Kind::RecordDamaged, Some(self.did), format!("{} more records are damaged.", wrong - EACH));
        }
        let noted = backlink::count(self.conn, self.id)?;
        if noted > links {
            let sentence = format!("{} subjects are noted of records that are not there.", noted - links);
            run.find(Kind::BacklinkLeftover, Some(self.did), sentence);
        }
        if !placeable {
            return Ok(None);
        }
        let root = builder.finish()?;
        Ok(Some(Made { root, records: count, nodes, missing, damaged }))
    }

    /// Compares the blobs that a record names with those that are noted of it.
    fn references(&self, run: &mut Run<'_>, path: &str, record: &Value, noted: &mut References<'_>) -> Result<(), StoreError> {
        let mut stored = BTreeSet::new();
        while let Some((before, cid)) = noted.take_before(path)? {
            self.leftover_reference(run, &before, &cid);
        }
        while let Some(cid) = noted.take_at(path)? {
            stored.insert(*cid.digest());
        }
        let is_raw = |cid: &Cid| cid.codec() == Codec::Raw;
        for reference in blob_ref::blob_refs(record).iter().filter(|reference| is_raw(&reference.cid)) {
            if !stored.contains(reference.cid.digest()) {
                let sentence = format!("The record at {path} refers to the blob {}, which is not noted.", reference.cid);
                run.find(Kind::BlobReferenceMissing, Some(self.did), sentence);
            }
        }
        // Records that were imported may name blobs in the older way, too.
        let named: BTreeSet<[u8; 32]> = blob_ref::named_blobs(record).iter().map(|cid| *cid.digest()).collect();
        for digest in stored.difference(&named) {
            self.leftover_reference(run, path, &Cid::new(Codec::Raw, *digest));
        }
        Ok(())
    }

    fn leftover_reference(&self, run: &mut Run<'_>, path: &str, cid: &Cid) {
        let sentence = format!("It is noted that {path} refers to the blob {cid}, which it does not.");
        run.find(Kind::BlobReferenceLeftover, Some(self.did), sentence);
    }

    /// Compares what the records make with the head and with what is stored.
    fn tree(&self, run: &mut Run<'_>, repo: &repo::RepoRow, fresh: &Fresh, made: &Made) {
        if made.root != repo.data {
            let sentence = format!(
                "The head names the tree {}, but the {} records of the repo make the tree {}.",
                repo.data, made.records, made.root
            );
            return run.find(Kind::TreeRoot, Some(self.did), sentence);
        }
        for (kind, nodes, what) in [
            (Kind::TreeNodeMissing, &made.missing, "is missing"),
            (Kind::TreeNodeDamaged, &made.damaged, "has another content than its name says"),
        ] {
            for cid in nodes.iter().take(EACH) {
                run.find(kind, Some(self.did), format!("The tree node {cid} {what}."));
            }
            if let Some(more) = nodes.len().checked_sub(EACH).filter(|more| *more > 0) {
                run.find(kind, Some(self.did), format!("So it is with {more} more tree nodes."));
            }
        }
        match repo::count_nodes(self.conn, self.id) {
            Ok(stored) => {
                let (stored, expected) = (stored + fresh.len() as u64, made.nodes - made.missing.len() as u64);
                if stored > expected {
                    let sentence = format!("{} tree nodes are stored that are not part of the tree.", stored - expected);
                    run.find(Kind::TreeNodeLeftover, Some(self.did), sentence);
                }
            }
            Err(err) => run.unreadable(Some(self.did), "The tree nodes of the repo", &err),
        }
    }

    /// Checks what is known of the account's blobs against the references.
    fn blobs(&self, run: &mut Run<'_>) -> Result<(), StoreError> {
        for (cid, path) in blob::list_missing(self.conn, self.id, None, EACH)? {
            let sentence = format!("The record at {path} refers to the blob {cid}, which was never uploaded here.");
            run.find_blob(Kind::BlobAbsent, Some(self.did), &cid, sentence);
        }
        let referred = blob::IS_REFERRED_TO;
        let sql = format!("SELECT cid, temporary FROM blob WHERE account = ?1 AND temporary = {referred} LIMIT ?2");
        let mut statement = self.conn.prepare_cached(&sql)?;
        let mut rows = statement.query(params![self.id.0, EACH as i64])?;
        while let Some(row) = rows.next()? {
            let cid = row::cid(row, "blob", "cid", Codec::Raw)?;
            let sentence = if row.get(1)? {
                format!("The blob {cid} counts as unused, but a record refers to it.")
            } else {
                format!("The blob {cid} counts as used, but no record refers to it.")
            };
            run.find(Kind::BlobState, Some(self.did), sentence);
        }
        Ok(())
    }
}

/// The noted references of a repo, in the order of its records.
struct References<'s> {
    rows: Rows<'s>,
    next: Option<(String, Cid)>,
}

impl References<'_> {
    fn advance(&mut self) -> Result<(), StoreError> {
        self.next = match self.rows.next()? {
            Some(row) => Some((row.get("path")?, row::cid(row, "blob_ref", "cid", Codec::Raw)?)),
            None => None,
        };
        Ok(())
    }

    fn take_if(&mut self, wanted: impl Fn(&str) -> bool) -> Result<Option<(String, Cid)>, StoreError> {
        if !self.next.as_ref().is_some_and(|(path, _)| wanted(path)) {
            return Ok(None);
        }
        let taken = self.next.take();
        self.advance()?;
        Ok(taken)
    }

    fn take_before(&mut self, path: &str) -> Result<Option<(String, Cid)>, StoreError> {
        self.take_if(|next| next < path)
    }

    fn take_at(&mut self, path: &str) -> Result<Option<Cid>, StoreError> {
        Ok(self.take_if(|next| next == path)?.map(|(_, cid)| cid))
    }

    fn take_any(&mut self) -> Result<Option<(String, Cid)>, StoreError> {
        self.take_if(|_| true)
    }

    /// Passes over those of a record that cannot be read.
    fn skip(&mut self, path: &str) -> Result<(), StoreError> {
        while self.take_if(|next| next <= path)?.is_some() {}
        Ok(())
    }
}
