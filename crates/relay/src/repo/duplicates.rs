//! Which records a new follow, block, like or repost takes the place of.

use std::collections::{BTreeSet, VecDeque};

use repo_engine::{Action, Key, Op};
use rusqlite::Connection;

use super::write::Record;
use crate::store::backlink::{self, Backlink, Kind};
use crate::store::{AccountId, StoreError};

/// Most records that one commit deletes for a new one: with it they are what an event may list. Those beyond go with the next.
const MAX_DUPLICATES: usize = 199;

/// A change of a backlink that is on its way to the store, where readers do not see it yet.
#[derive(Clone, Debug)]
pub(super) struct PendingLink {
    key: Key,
    kind: Kind,
    /// What the record is of now.
    link: Option<Backlink>,
}

/// Returns how the operations of a commit change backlinks. `written` tells the record that an operation put.
pub(super) fn pending<'w>(ops: &[Op], written: impl Fn(&Op) -> Option<&'w Record>) -> Vec<PendingLink> {
    let of = |op: &Op| {
        let kind = Kind::of_path(&op.key)?;
        let link = match op.action {
            Action::Create { .. } | Action::Update { .. } => Backlink::of_record(&op.key, &written(op)?.block),
            Action::Delete { .. } => None,
        };
        Some(PendingLink { key: op.key.clone(), kind, link })
    };
    ops.iter().filter_map(of).collect()
}

/// Returns the keys of the records that have the kind and subject of the new `record`.
///
/// What `conn` sees may have some of the pending changes already: each says how things are after it, so having it twice does
/// no harm.
pub(super) fn find(
    conn: &Connection,
    repo: AccountId,
    pending: &VecDeque<(u64, PendingLink)>,
    key: &Key,
    record: &Record,
) -> Result<Vec<Key>, StoreError> {
    let Some(link) = Backlink::of_record(key, &record.block) else { return Ok(Vec::new()) };
    let mut keys = BTreeSet::new();
    for rkey in backlink::rkeys(conn, repo, &link, MAX_DUPLICATES)? {
        keys.insert(format!("{}/{rkey}", key.collection()));
    }
    for (_, change) in pending.iter().filter(|(_, change)| change.kind == link.kind) {
        if change.link == Some(link) {
            keys.insert(change.key.as_str().to_owned());
        } else {
            keys.remove(change.key.as_str());
        }
    }
    keys.remove(key.as_str());
    let corrupt =
        |err: repo_engine::KeyError| StoreError::Corrupt { table: "backlink", column: "rkey", reason: err.to_string() };
    keys.iter().take(MAX_DUPLICATES).map(|key| Key::parse(key).map_err(corrupt)).collect()
}
