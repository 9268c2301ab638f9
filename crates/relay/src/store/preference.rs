//! Preferences of apps, kept for their users in the order in which an app gave them.

use rusqlite::{Connection, params};

use super::{AccountId, StoreError};

/// One preference: its `$type`, and its JSON as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Preference {
    pub(crate) kind: String,
    pub(crate) json: String,
}

pub(crate) fn list(conn: &Connection, account: AccountId) -> Result<Vec<Preference>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT type, json FROM preference WHERE account = ?1 ORDER BY position")?;
    let rows = statement.query_map([account.0], |row| Ok(Preference { kind: row.get(0)?, json: row.get(1)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Puts `preferences` in the place of all that the account has.
pub(crate) fn replace(conn: &Connection, account: AccountId, preferences: &[Preference]) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM preference WHERE account = ?1")?.execute([account.0])?;
    let mut insert = conn.prepare_cached("INSERT INTO preference (account, position, type, json) VALUES (?1, ?2, ?3, ?4)")?;
    for (position, preference) in preferences.iter().enumerate() {
        insert.execute(params![account.0, position as i64, preference.kind, preference.json])?;
    }
    Ok(())
}
