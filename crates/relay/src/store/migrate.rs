//! Brings a database to the present schema.
//!
//! The list only grows: a released step is never edited, since databases that ran it are out there.

use rusqlite::Connection;

use super::StoreError;

const STEPS: &[&str] = &[include_str!("migrations/0001_init.sql")];

/// Checks that the database is not of a later version than this program, and returns how many steps it has.
pub(crate) fn check_schema(conn: &Connection) -> Result<i64, StoreError> {
    let known = STEPS.len() as i64;
    let found: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known { Err(StoreError::FromTheFuture { found, known }) } else { Ok(found) }
}

/// Runs the steps that `conn` lacks, each in its own transaction.
pub(super) fn migrate(conn: &mut Connection) -> Result<(), StoreError> {
    let found = check_schema(conn)?;
    for (at, step) in STEPS.iter().enumerate().skip(found as usize) {
        let tx = conn.transaction()?;
        tx.execute_batch(step)?;
        tx.pragma_update(None, "user_version", at as i64 + 1)?;
        tx.commit()?;
    }
    Ok(())
}
