//! Accounts.

use common::{Cid, Codec, Did, Handle, Tid};
use rusqlite::{Connection, OptionalExtension as _, Row, ffi, params};

use super::{AccountId, RepoId, StoreError, email_token, expect_one_row, move_in, row, unused_repo};

/// An account that is hosted here.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) did: Did,
    /// `None` when the account lost its handle; clients then see `handle.invalid`.
    pub(crate) handle: Option<Handle>,
    pub(crate) email: Option<String>,
    pub(crate) email_confirmed_at: Option<i64>,
    /// Whether signing in takes a code from the mail. It does not while the address is not confirmed: who mistyped a new one
    /// is not locked out.
    pub(crate) email_auth_factor: bool,
    pub(crate) created_at: i64,
    pub(crate) status: Status,
}

/// Whether an account takes part in the network, and if not, why; the first that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Active,
    Takendown,
    Suspended,
    Deactivated,
}

impl Status {
    pub(crate) const fn is_active(self) -> bool {
        matches!(self, Self::Active)
    }

    /// Returns the protocol's word; `None` when active.
    pub(crate) const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Active => None,
            Self::Takendown => Some("takendown"),
            Self::Suspended => Some("suspended"),
            Self::Deactivated => Some("deactivated"),
        }
    }
}

/// What a new account begins with.
pub(crate) struct NewAccount<'a> {
    pub(crate) did: &'a Did,
    pub(crate) handle: Option<&'a Handle>,
    pub(crate) email: Option<&'a str>,
    pub(crate) password_hash: Option<&'a str>,
    pub(crate) sealed_signing_key: &'a [u8],
    pub(crate) created_at: i64,
    pub(crate) deactivated_at: Option<i64>,
}

/// Why an account could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountConflict {
    #[error("another account has this DID")]
    Did,
    #[error("another account has this handle")]
    Handle,
    #[error("another account has this e-mail address")]
    Email,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for AccountConflict {
    fn from(err: rusqlite::Error) -> Self {
        if let rusqlite::Error::SqliteFailure(code, Some(message)) = &err
            && code.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE
        {
            for (column, conflict) in
                [("account.did", Self::Did), ("account.handle", Self::Handle), ("account.email", Self::Email)]
            {
                if message.contains(column) {
                    return conflict;
                }
            }
        }
        Self::Store(err.into())
    }
}

const COLUMNS: &str = "id, did, handle, email, email_confirmed_at, email_auth_factor, created_at, deactivated_at, \
     takedown_ref, suspended_at";

fn from_row(row: &Row<'_>) -> Result<Account, StoreError> {
    let is_set = |column| row.get_ref(column).map(|value| value != rusqlite::types::ValueRef::Null);
    let status = if is_set("takedown_ref")? {
        Status::Takendown
    } else if is_set("suspended_at")? {
        Status::Suspended
    } else if is_set("deactivated_at")? {
        Status::Deactivated
    } else {
        Status::Active
    };
    let email_confirmed_at: Option<i64> = row.get("email_confirmed_at")?;
    Ok(Account {
        id: AccountId(row.get("id")?),
        did: row::parse(row, "account", "did")?,
        handle: row::parse_optional(row, "account", "handle")?,
        email: row.get("email")?,
        email_confirmed_at,
        email_auth_factor: email_confirmed_at.is_some() && row.get("email_auth_factor")?,
        created_at: row.get("created_at")?,
        status,
    })
}

fn find_by(conn: &Connection, column: &str, value: impl rusqlite::ToSql) -> Result<Option<Account>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM account WHERE {column} = ?1");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([value])?;
    rows.next()?.map(from_row).transpose()
}

pub(crate) fn find(conn: &Connection, id: AccountId) -> Result<Option<Account>, StoreError> {
    find_by(conn, "id", id.0)
}

pub(crate) fn find_by_did(conn: &Connection, did: &Did) -> Result<Option<Account>, StoreError> {
    find_by(conn, "did", did.as_str())
}

pub(crate) fn find_by_handle(conn: &Connection, handle: &Handle) -> Result<Option<Account>, StoreError> {
    find_by(conn, "handle", handle.as_str())
}

/// Finds the account of an e-mail address, which is stored in lower case.
pub(crate) fn find_by_email(conn: &Connection, email: &str) -> Result<Option<Account>, StoreError> {
    find_by(conn, "email", email.to_lowercase())
}

/// Adds an account.
///
/// # Errors
///
/// [`AccountConflict`] when its DID, handle or address belongs to another.
pub(crate) fn insert(conn: &Connection, new: &NewAccount<'_>) -> Result<AccountId, AccountConflict> {
    let repo = unused_repo::draw(conn)?;
    conn.prepare_cached(
        "INSERT INTO account (did, handle, email, password_hash, signing_key, created_at, deactivated_at, repo)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        new.did.as_str(),
        new.handle.map(Handle::as_str),
        new.email.map(str::to_lowercase),
        new.password_hash,
        new.sealed_signing_key,
        new.created_at,
        new.deactivated_at,
        repo.0,
    ])?;
    Ok(AccountId(conn.last_insert_rowid()))
}

/// Returns the password hash of an account; `None` when it has no password.
pub(crate) fn password_hash(conn: &Connection, id: AccountId) -> Result<Option<String>, StoreError> {
    let sql = "SELECT password_hash FROM account WHERE id = ?1";
    Ok(conn.prepare_cached(sql)?.query_row([id.0], |row| row.get(0)).optional()?.flatten())
}

/// Takes from an account its password, so that nobody can sign in with one.
pub(crate) fn clear_password_hash(conn: &Connection, id: AccountId) -> Result<(), StoreError> {
    let sql = "UPDATE account SET password_hash = NULL WHERE id = ?1";
    expect_one_row("account", conn.prepare_cached(sql)?.execute([id.0])?)
}

pub(crate) fn set_password_hash(conn: &Connection, id: AccountId, hash: &str) -> Result<(), StoreError> {
    let sql = "UPDATE account SET password_hash = ?2 WHERE id = ?1";
    expect_one_row("account", conn.prepare_cached(sql)?.execute(params![id.0, hash])?)
}

/// Puts `hash` in the place of `old`, unless the password was changed meanwhile.
pub(crate) fn replace_password_hash(conn: &Connection, id: AccountId, old: &str, hash: &str) -> Result<(), StoreError> {
    let sql = "UPDATE account SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2";
    conn.prepare_cached(sql)?.execute(params![id.0, old, hash])?;
    Ok(())
}

/// Deactivates an account, if it is not already; `delete_after` is what its owner asks, and nothing acts on it.
pub(crate) fn deactivate(conn: &Connection, id: AccountId, now: i64, delete_after: Option<i64>) -> Result<(), StoreError> {
    let sql = "UPDATE account SET deactivated_at = coalesce(deactivated_at, ?2), delete_after = ?3 WHERE id = ?1";
    expect_one_row("account", conn.prepare_cached(sql)?.execute(params![id.0, now, delete_after])?)?;
    move_in::delete_arrived(conn, id)
}

/// Undoes [`deactivate`], and takes back that the account shall be deleted.
pub(crate) fn activate(conn: &Connection, id: AccountId) -> Result<(), StoreError> {
    let sql = "UPDATE account SET deactivated_at = NULL, delete_after = NULL, delete_at = NULL WHERE id = ?1";
    expect_one_row("account", conn.prepare_cached(sql)?.execute([id.0])?)
}

/// Gives an account another handle.
///
/// # Errors
///
/// [`AccountConflict::Handle`] when it belongs to another.
pub(crate) fn set_handle(conn: &Connection, id: AccountId, handle: &Handle) -> Result<(), AccountConflict> {
    let sql = "UPDATE account SET handle = ?2 WHERE id = ?1";
    let changed = conn.prepare_cached(sql)?.execute(params![id.0, handle.as_str()])?;
    Ok(expect_one_row("account", changed)?)
}

/// Gives an account the repo that is stored under another number.
pub(crate) fn set_repo(conn: &Connection, id: AccountId, repo: RepoId) -> Result<(), StoreError> {
    let sql = "UPDATE account SET repo = ?2 WHERE id = ?1";
    expect_one_row("account", conn.prepare_cached(sql)?.execute(params![id.0, repo.0])?)
}

/// Deletes an account, and with it what belongs to it alone: sessions, app passwords, codes, the head of its repo.
pub(crate) fn delete(conn: &Connection, id: AccountId) -> Result<(), StoreError> {
    expect_one_row("account", conn.prepare_cached("DELETE FROM account WHERE id = ?1")?.execute([id.0])?)
}

/// Notes that an account's address was confirmed.
pub(crate) fn confirm_email(conn: &Connection, id: AccountId, now: i64) -> Result<(), StoreError> {
    let sql = "UPDATE account SET email_confirmed_at = ?2 WHERE id = ?1";
    expect_one_row("account", conn.prepare_cached(sql)?.execute(params![id.0, now])?)
}

/// Sets when an account is deleted, or that it is not.
pub(crate) fn set_delete_at(conn: &Connection, id: AccountId, delete_at: Option<i64>) -> Result<(), StoreError> {
    let sql = "UPDATE account SET delete_at = ?2 WHERE id = ?1";
    expect_one_row("account", conn.prepare_cached(sql)?.execute(params![id.0, delete_at])?)
}

/// Returns when an account is deleted at the wish of its owner, if it is.
pub(crate) fn delete_at(conn: &Connection, id: AccountId) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT delete_at FROM account WHERE id = ?1";
    Ok(conn.prepare_cached(sql)?.query_row([id.0], |row| row.get(0)).optional()?.flatten())
}

/// Lists accounts whose day of deletion has come.
pub(crate) fn list_due(conn: &Connection, now: i64, limit: usize) -> Result<Vec<Account>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM account WHERE delete_at IS NOT NULL AND delete_at <= ?1 ORDER BY delete_at LIMIT ?2");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![now, limit as i64])?;
    let mut accounts = Vec::new();
    while let Some(row) = rows.next()? {
        accounts.push(from_row(row)?);
    }
    Ok(accounts)
}

/// Whether the owner gets a mail when someone signs in on a new device.
pub(crate) fn wants_sign_in_alerts(conn: &Connection, id: AccountId) -> Result<bool, StoreError> {
    let sql = "SELECT sign_in_alerts FROM account WHERE id = ?1";
    Ok(conn.prepare_cached(sql)?.query_row([id.0], |row| row.get(0)).optional()?.unwrap_or(false))
}

pub(crate) fn set_sign_in_alerts(conn: &Connection, id: AccountId, wanted: bool) -> Result<(), StoreError> {
    let sql = "UPDATE account SET sign_in_alerts = ?2 WHERE id = ?1";
    expect_one_row("account", conn.prepare_cached(sql)?.execute(params![id.0, wanted])?)
}

/// Says whether signing in to an account takes a code from its mail.
pub(crate) fn set_email_auth_factor(conn: &Connection, id: AccountId, wanted: bool) -> Result<(), StoreError> {
    let sql = "UPDATE account SET email_auth_factor = ?2 WHERE id = ?1";
    expect_one_row("account", conn.prepare_cached(sql)?.execute(params![id.0, wanted])?)
}

/// Gives an account another e-mail address, which is not confirmed. Codes that were sent to the old one are good no more.
///
/// # Errors
///
/// [`AccountConflict::Email`] when it belongs to another.
pub(crate) fn set_email(conn: &Connection, id: AccountId, email: &str) -> Result<(), AccountConflict> {
    let sql = "UPDATE account SET email = ?2, email_confirmed_at = NULL WHERE id = ?1";
    let changed = conn.prepare_cached(sql)?.execute(params![id.0, email.to_lowercase()])?;
    email_token::delete_all(conn, id)?;
    Ok(expect_one_row("account", changed)?)
}

/// Gives an account another signing key, sealed.
pub(crate) fn set_signing_key(conn: &Connection, id: AccountId, sealed: &[u8]) -> Result<(), StoreError> {
    let sql = "UPDATE account SET signing_key = ?2 WHERE id = ?1";
    expect_one_row("account", conn.prepare_cached(sql)?.execute(params![id.0, sealed])?)
}

/// Returns the account's signing key, sealed.
pub(crate) fn sealed_signing_key(conn: &Connection, id: AccountId) -> Result<Vec<u8>, StoreError> {
    let sql = "SELECT signing_key FROM account WHERE id = ?1";
    Ok(conn.prepare_cached(sql)?.query_row([id.0], |row| row.get(0))?)
}

/// Lists accounts in the order in which they were made, after `after`, with the rev of their repo.
pub(crate) fn list(conn: &Connection, after: AccountId, limit: usize) -> Result<Vec<Account>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM account WHERE id > ?1 ORDER BY id LIMIT ?2");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![after.0, limit as i64])?;
    let mut accounts = Vec::new();
    while let Some(row) = rows.next()? {
        accounts.push(from_row(row)?);
    }
    Ok(accounts)
}

/// Lists accounts whose e-mail address contains `email`, in the order in which they were made, after `after`; all when it is
/// empty.
pub(crate) fn search(conn: &Connection, email: &str, after: AccountId, limit: usize) -> Result<Vec<Account>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM account WHERE id > ?1 AND (?2 = '' OR instr(email, ?2) > 0) ORDER BY id LIMIT ?3");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![after.0, email.to_lowercase(), limit as i64])?;
    let mut accounts = Vec::new();
    while let Some(row) = rows.next()? {
        accounts.push(from_row(row)?);
    }
    Ok(accounts)
}

/// Counts accounts; a scan, like [`count_by_status`].
pub(crate) fn count(conn: &Connection) -> Result<u64, StoreError> {
    Ok(conn.query_row("SELECT count(*) FROM account", [], |row| row.get::<_, i64>(0))? as u64)
}

/// Counts accounts by status; a status that no account has is left out.
pub(crate) fn count_by_status(conn: &Connection) -> Result<Vec<(Status, u64)>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT CASE WHEN takedown_ref IS NOT NULL THEN 1 WHEN suspended_at IS NOT NULL THEN 2
                     WHEN deactivated_at IS NOT NULL THEN 3 ELSE 0 END AS status, count(*)
         FROM account GROUP BY status",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)? as u64)))?;
    let status = |number| match number {
        1 => Status::Takendown,
        2 => Status::Suspended,
        3 => Status::Deactivated,
        _ => Status::Active,
    };
    rows.map(|row| row.map(|(number, count)| (status(number), count)).map_err(StoreError::from)).collect()
}

/// Lists accounts with the heads of their repos, in the order in which they were made, after `after`.
pub(crate) fn list_with_heads(
    conn: &Connection,
    after: AccountId,
    limit: usize,
) -> Result<Vec<(Account, Cid, Tid)>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, head, rev FROM account JOIN repo ON repo.account = account.id WHERE id > ?1 ORDER BY id LIMIT ?2"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![after.0, limit as i64])?;
    let mut accounts = Vec::new();
    while let Some(row) = rows.next()? {
        let head = row::cid(row, "repo", "head", Codec::DagCbor)?;
        accounts.push((from_row(row)?, head, row::rev(row, "repo", "rev")?));
    }
    Ok(accounts)
}

/// Returns how many bytes the blobs of an account have.
pub(crate) fn blob_bytes(conn: &Connection, id: AccountId) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(sum(size), 0) FROM blob WHERE account = ?1";
    Ok(conn.prepare_cached(sql)?.query_row([id.0], |row| row.get::<_, i64>(0))? as u64)
}

/// How much an account has here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) records: u64,
    /// Nodes of the tree, but for those that lie beside the head.
    pub(crate) tree_nodes: u64,
    /// Blobs that records refer to.
    pub(crate) referenced_blobs: u64,
    /// Blobs that are here.
    pub(crate) stored_blobs: u64,
}

/// Counts what an account has here; this reads an index entry of each.
pub(crate) fn usage(conn: &Connection, id: AccountId) -> Result<Usage, StoreError> {
    let count = |sql: &str| -> Result<u64, StoreError> {
        Ok(conn.prepare_cached(sql)?.query_row([id.0], |row| row.get::<_, i64>(0))? as u64)
    };
    Ok(Usage {
        records: count("SELECT count(*) FROM record WHERE repo = (SELECT repo FROM account WHERE id = ?1)")?,
        tree_nodes: count("SELECT count(*) FROM node WHERE repo = (SELECT repo FROM account WHERE id = ?1)")?,
        referenced_blobs: count(
            "SELECT count(DISTINCT cid) FROM blob_ref
            WHERE repo = (SELECT repo FROM account WHERE id = ?1)",
        )?,
        stored_blobs: count("SELECT count(*) FROM blob WHERE account = ?1")?,
    })
}
