//! Invite codes.

use common::Did;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{StoreError, expect_one_row, row};

/// Stands for the operator, where codes name an account.
pub(crate) const ADMIN: &str = "admin";

/// A code that lets people in.
#[derive(Clone, Debug)]
pub(crate) struct InviteCode {
    pub(crate) code: String,
    /// How many accounts it may make in all.
    pub(crate) available_uses: u32,
    pub(crate) disabled: bool,
    /// The DID of the account that may give it away, or [`ADMIN`].
    pub(crate) for_account: String,
    /// The DID of the account that earned it, or [`ADMIN`].
    pub(crate) created_by: String,
    pub(crate) created_at: i64,
}

/// That an account was made with a code.
#[derive(Clone, Debug)]
pub(crate) struct InviteUse {
    pub(crate) used_by: Did,
    pub(crate) used_at: i64,
}

const COLUMNS: &str = "code, available_uses, disabled, for_account, created_by, created_at";

fn from_row(row: &Row<'_>) -> rusqlite::Result<InviteCode> {
    Ok(InviteCode {
        code: row.get("code")?,
        available_uses: row.get("available_uses")?,
        disabled: row.get("disabled")?,
        for_account: row.get("for_account")?,
        created_by: row.get("created_by")?,
        created_at: row.get("created_at")?,
    })
}

pub(crate) fn insert(conn: &Connection, new: &InviteCode) -> Result<(), StoreError> {
    let sql = "INSERT INTO invite_code (code, available_uses, disabled, for_account, created_by, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let changed = conn.prepare_cached(sql)?.execute(params![
        new.code,
        new.available_uses,
        new.disabled,
        new.for_account,
        new.created_by,
        new.created_at
    ])?;
    expect_one_row("invite_code", changed)
}

/// Whether a code lets one more account in: it is not disabled, not used up, and its owner was not taken down.
pub(crate) fn is_good(conn: &Connection, code: &str) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM invite_code AS i
         WHERE code = ?1 AND NOT disabled
           AND available_uses > (SELECT count(*) FROM invite_code_use AS u WHERE u.code = i.code)
           AND NOT EXISTS (SELECT 1 FROM account AS a
             WHERE a.did = i.for_account AND (a.takedown_ref IS NOT NULL OR a.suspended_at IS NOT NULL))";
    Ok(conn.prepare_cached(sql)?.exists([code])?)
}

/// Uses a code for `used_by`; `false`, and no change, when it is not good (any more).
///
/// There is one writer, so what is checked here cannot change before it is counted.
pub(crate) fn take(conn: &Connection, code: &str, used_by: &Did, used_at: i64) -> Result<bool, StoreError> {
    if !is_good(conn, code)? {
        return Ok(false);
    }
    // An account that was deleted may come back with the code of before.
    let sql = "INSERT OR REPLACE INTO invite_code_use (code, used_by, used_at) VALUES (?1, ?2, ?3)";
    conn.prepare_cached(sql)?.execute(params![code, used_by.as_str(), used_at])?;
    Ok(true)
}

/// Lists the codes that an account may give away, oldest first, with their uses.
pub(crate) fn list_for_account(conn: &Connection, did: &Did) -> Result<Vec<(InviteCode, Vec<InviteUse>)>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM invite_code WHERE for_account = ?1 ORDER BY created_at, code");
    let mut statement = conn.prepare_cached(&sql)?;
    let codes = statement.query_map([did.as_str()], from_row)?.collect::<Result<Vec<_>, _>>()?;
    codes
        .into_iter()
        .map(|code| {
            let uses = list_uses(conn, &code.code)?;
            Ok((code, uses))
        })
        .collect()
}

/// Returns the code with which an account was made; the last one, should it have been made twice.
pub(crate) fn find_used_by(conn: &Connection, did: &Did) -> Result<Option<InviteCode>, StoreError> {
    let sql = format!(
        "SELECT i.{} FROM invite_code_use AS u JOIN invite_code AS i ON i.code = u.code
         WHERE u.used_by = ?1 ORDER BY u.used_at DESC LIMIT 1",
        COLUMNS.replace(", ", ", i."),
    );
    Ok(conn.prepare_cached(&sql)?.query_row([did.as_str()], from_row).optional()?)
}

/// In which order [`list`] goes, each from the most to the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    CreatedAt,
    Uses,
}

/// Where a page of [`list`] begins: after the code with this value of what the order is by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct After {
    pub(crate) value: i64,
    pub(crate) code: String,
}

/// Some of all codes.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// Each with its uses.
    pub(crate) codes: Vec<(InviteCode, Vec<InviteUse>)>,
    /// Where the next page begins; `None` on the last.
    pub(crate) next: Option<After>,
}

/// Lists codes, `limit` at most.
pub(crate) fn list(conn: &Connection, order: Order, after: Option<&After>, limit: usize) -> Result<Page, StoreError> {
    let value = match order {
        Order::CreatedAt => "created_at",
        Order::Uses => "(SELECT count(*) FROM invite_code_use AS u WHERE u.code = invite_code.code)",
    };
    let sql = format!(
        "SELECT {COLUMNS}, {value} AS value FROM invite_code
         WHERE ?1 IS NULL OR ({value}, code) < (?1, ?2) ORDER BY value DESC, code DESC LIMIT ?3"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![after.map(|after| after.value), after.map(|after| &after.code), limit as i64])?;
    let (mut codes, mut last) = (Vec::new(), None);
    while let Some(row) = rows.next()? {
        let code = from_row(row)?;
        last = Some(After { value: row.get("value")?, code: code.code.clone() });
        let uses = list_uses(conn, &code.code)?;
        codes.push((code, uses));
    }
    let next = last.filter(|_| codes.len() == limit);
    Ok(Page { codes, next })
}

/// Disables a code; nothing happens when there is none.
pub(crate) fn disable(conn: &Connection, code: &str) -> Result<(), StoreError> {
    conn.prepare_cached("UPDATE invite_code SET disabled = 1 WHERE code = ?1")?.execute([code])?;
    Ok(())
}

/// Disables all codes that an account may give away.
pub(crate) fn disable_for_account(conn: &Connection, account: &str) -> Result<(), StoreError> {
    conn.prepare_cached("UPDATE invite_code SET disabled = 1 WHERE for_account = ?1")?.execute([account])?;
    Ok(())
}

/// Lists the uses of a code, oldest first.
pub(crate) fn list_uses(conn: &Connection, code: &str) -> Result<Vec<InviteUse>, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT used_by, used_at FROM invite_code_use WHERE code = ?1 ORDER BY used_at, used_by")?;
    let mut rows = statement.query([code])?;
    let mut uses = Vec::new();
    while let Some(row) = rows.next()? {
        uses.push(InviteUse { used_by: row::parse(row, "invite_code_use", "used_by")?, used_at: row.get("used_at")? });
    }
    Ok(uses)
}
