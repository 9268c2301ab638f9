//! The note, in the new data folder, of an adoption that was begun.

use common::Did;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::store::{Db, StoreError, meta, row};

const KEY: &str = "adoption";

/// What was begun, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The host name of the old server.
    pub(super) hostname: String,
    /// Its last `seq`: that of another day shows that it ran since.
    pub(super) last_seq: i64,
    pub(super) begun_at: i64,
    pub(super) finished_at: Option<i64>,
    /// Accounts that were set aside.
    pub(super) aside: Vec<Did>,
}

impl Mark {
    pub(super) fn find(conn: &Connection) -> Result<Option<Self>, StoreError> {
        let Some(stored) = meta::find(conn, KEY)? else { return Ok(None) };
        serde_json::from_slice(&stored).map(Some).map_err(|err| row::corrupt("meta", KEY, &err))
    }

    pub(super) fn put(&self, conn: &Connection) -> Result<(), StoreError> {
        let json = serde_json::to_vec(self).map_err(|err| row::corrupt("meta", KEY, &err))?;
        meta::set(conn, KEY, &json)
    }
}

/// Whether an adoption was begun here that is not finished.
pub(crate) async fn is_unfinished(db: &Db) -> Result<bool, StoreError> {
    let mark = db.read(Mark::find).await?;
    Ok(mark.is_some_and(|mark| mark.finished_at.is_none()))
}
