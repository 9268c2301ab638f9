//! What the operator and moderators decided about accounts.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{AccountId, StoreError, expect_one_row};

/// Decisions about an account, and one of its owner's.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// Why it was taken down: the moderator's reference, which may be empty.
    pub(crate) takedown_ref: Option<String>,
    pub(crate) deactivated_at: Option<i64>,
    /// Whether it earns no more invite codes.
    pub(crate) invites_disabled: bool,
    pub(crate) invite_note: Option<String>,
}

pub(crate) fn find(conn: &Connection, account: AccountId) -> Result<Option<Standing>, StoreError> {
    let sql = "SELECT takedown_ref, deactivated_at, invites_disabled, invite_note FROM account WHERE id = ?1";
    let standing = conn.prepare_cached(sql)?.query_row([account.0], |row| {
        Ok(Standing {
            takedown_ref: row.get("takedown_ref")?,
            deactivated_at: row.get("deactivated_at")?,
            invites_disabled: row.get("invites_disabled")?,
            invite_note: row.get("invite_note")?,
        })
    });
    Ok(standing.optional()?)
}

/// Takes an account down, or puts it back.
pub(crate) fn set_takedown(conn: &Connection, account: AccountId, to: Option<&str>) -> Result<(), StoreError> {
    let sql = "UPDATE account SET takedown_ref = ?2 WHERE id = ?1";
    expect_one_row("account", conn.prepare_cached(sql)?.execute(params![account.0, to])?)
}

/// Says whether an account earns invite codes, and why not.
pub(crate) fn set_invites(conn: &Connection, account: AccountId, disabled: bool, note: Option<&str>) -> Result<(), StoreError> {
    let sql = "UPDATE account SET invites_disabled = ?2, invite_note = ?3 WHERE id = ?1";
    expect_one_row("account", conn.prepare_cached(sql)?.execute(params![account.0, disabled, note])?)
}
