//! Brings a database to the present schema.
//!
//! The list only grows: a released step is never edited, since databases that ran it are out there.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::StoreError;

const STEPS: &[&str] = &[include_str!("migrations/0001_init.sql")];

/// Checks that the database is not of a later version than this program, and returns how many steps it has.
pub(crate) fn check_schema(conn: &Connection) -> Result<i64, StoreError> {
    let known = STEPS.len() as i64;
    let found: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known { Err(StoreError::FromTheFuture { found, known }) } else { Ok(found) }
}

/// How the form of a database changes with this version of the program: the steps that it has before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SchemaChange {
    pub(crate) before: i64,
    pub(crate) after: i64,
}

/// Brings a copy of a database to the present schema, and checks that SQLite finds nothing wrong with it.
pub(crate) fn rehearse(path: &Path) -> Result<SchemaChange, StoreError> {
    let open = || {
        let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        // Nobody needs the copy to survive a loss of power.
        conn.pragma_update(None, "synchronous", "OFF")?;
        Ok(conn)
    };
    let mut conn = open().map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
    let before = check_schema(&conn)?;
    migrate(&mut conn)?;
    let found: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(StoreError::Corrupt { table: "(all)", column: "(all)", reason: found });
    }
    Ok(SchemaChange { before, after: check_schema(&conn)? })
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
