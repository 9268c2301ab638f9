//! The codes of mails.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

use super::{AccountId, StoreError, expect_one_row};

/// What a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    ConfirmEmail,
    UpdateEmail,
    ResetPassword,
    DeleteAccount,
    PlcOperation,
    SignIn,
}

impl Purpose {
    pub(crate) const ALL: [Self; 6] =
        [Self::ConfirmEmail, Self::UpdateEmail, Self::ResetPassword, Self::DeleteAccount, Self::PlcOperation, Self::SignIn];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ConfirmEmail => "confirm_email",
            Self::UpdateEmail => "update_email",
            Self::ResetPassword => "reset_password",
            Self::DeleteAccount => "delete_account",
            Self::PlcOperation => "plc_operation",
            Self::SignIn => "sign_in",
        }
    }
}

impl ToSql for Purpose {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Purpose {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == text).ok_or(FromSqlError::InvalidType)
    }
}

/// A code, as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct EmailToken {
    pub(crate) account: AccountId,
    pub(crate) purpose: Purpose,
    pub(crate) digest: Vec<u8>,
    pub(crate) sealed: Vec<u8>,
    pub(crate) created_at: i64,
    /// How often a wrong code was given in its place.
    pub(crate) failures: u32,
}

const COLUMNS: &str = "account, purpose, digest, sealed, created_at, failures";

fn from_row(row: &Row<'_>) -> rusqlite::Result<EmailToken> {
    Ok(EmailToken {
        account: AccountId(row.get("account")?),
        purpose: row.get("purpose")?,
        digest: row.get("digest")?,
        sealed: row.get("sealed")?,
        created_at: row.get("created_at")?,
        failures: row.get("failures")?,
    })
}

/// Stores a code, in the place of the one that the account had for this purpose.
pub(crate) fn put(conn: &Connection, new: &EmailToken) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO email_token (account, purpose, digest, sealed, created_at, failures)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let changed = conn.prepare_cached(sql)?.execute(params![
        new.account.0,
        new.purpose,
        new.digest,
        new.sealed,
        new.created_at,
        new.failures
    ])?;
    expect_one_row("email_token", changed)
}

pub(crate) fn find(conn: &Connection, account: AccountId, purpose: Purpose) -> Result<Option<EmailToken>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM email_token WHERE account = ?1 AND purpose = ?2");
    Ok(conn.prepare_cached(&sql)?.query_row(params![account.0, purpose], from_row).optional()?)
}

/// Finds the code with this digest, whoever has it.
pub(crate) fn find_by_digest(conn: &Connection, purpose: Purpose, digest: &[u8]) -> Result<Option<EmailToken>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM email_token WHERE digest = ?1 AND purpose = ?2");
    Ok(conn.prepare_cached(&sql)?.query_row(params![digest, purpose], from_row).optional()?)
}

/// Lists the codes of an account, old ones among them.
pub(crate) fn list(conn: &Connection, account: AccountId) -> Result<Vec<EmailToken>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM email_token WHERE account = ?1 ORDER BY created_at");
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map([account.0], from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Counts a wrong code.
pub(crate) fn count_failure(conn: &Connection, account: AccountId, purpose: Purpose) -> Result<(), StoreError> {
    let sql = "UPDATE email_token SET failures = failures + 1 WHERE account = ?1 AND purpose = ?2";
    expect_one_row("email_token", conn.prepare_cached(sql)?.execute(params![account.0, purpose])?)
}

pub(crate) fn delete(conn: &Connection, account: AccountId, purpose: Purpose) -> Result<(), StoreError> {
    let sql = "DELETE FROM email_token WHERE account = ?1 AND purpose = ?2";
    conn.prepare_cached(sql)?.execute(params![account.0, purpose])?;
    Ok(())
}

/// Deletes all codes of an account: they went to an address that is no longer its own.
pub(crate) fn delete_all(conn: &Connection, account: AccountId) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM email_token WHERE account = ?1")?.execute([account.0])?;
    Ok(())
}
