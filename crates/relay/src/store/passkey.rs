//! Passkeys.

use rusqlite::{Connection, Row, ffi, params};
use webauthn_rs::prelude::Passkey as Credential;

use super::{AccountId, StoreError, expect_one_row, row};

/// A passkey of an account.
#[derive(Clone, Debug)]
pub(crate) struct Passkey {
    pub(crate) account: AccountId,
    /// What its owner calls it.
    pub(crate) name: String,
    pub(crate) credential: Credential,
    pub(crate) created_at: i64,
    pub(crate) last_used_at: Option<i64>,
}

/// Why a passkey was not added.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasskeyConflict {
    #[error("the passkey is known already")]
    Known,
    #[error(transparent)]
    Store(#[from] StoreError),
}

const COLUMNS: &str = "account, name, credential, created_at, last_used_at";

fn from_row(row: &Row<'_>) -> Result<Passkey, StoreError> {
    let json = row.get_ref("credential")?.as_str().map_err(|err| row::corrupt("passkey", "credential", &err))?;
    Ok(Passkey {
        account: AccountId(row.get("account")?),
        name: row.get("name")?,
        credential: serde_json::from_str(json).map_err(|err| row::corrupt("passkey", "credential", &err))?,
        created_at: row.get("created_at")?,
        last_used_at: row.get("last_used_at")?,
    })
}

fn as_json(credential: &Credential) -> String {
    serde_json::to_string(credential).expect("a credential consists of what JSON can hold")
}

/// Adds a passkey.
///
/// # Errors
///
/// [`PasskeyConflict::Known`] when an account has it.
pub(crate) fn insert(conn: &Connection, new: &Passkey) -> Result<(), PasskeyConflict> {
    let sql = "INSERT INTO passkey (credential_id, account, name, credential, created_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    let id = new.credential.cred_id().as_slice();
    let inserted = conn
        .prepare_cached(sql)
        .and_then(|mut sql| sql.execute(params![id, new.account.0, new.name, as_json(&new.credential), new.created_at]));
    match inserted {
        Ok(_) => Ok(()),
        Err(rusqlite::Error::SqliteFailure(code, _)) if code.extended_code == ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
            Err(PasskeyConflict::Known)
        }
        Err(err) => Err(StoreError::from(err).into()),
    }
}

pub(crate) fn find(conn: &Connection, credential_id: &[u8]) -> Result<Option<Passkey>, StoreError> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM passkey WHERE credential_id = ?1"))?;
    let mut rows = statement.query([credential_id])?;
    rows.next()?.map(from_row).transpose()
}

/// Lists the passkeys of an account, oldest first.
pub(crate) fn list(conn: &Connection, account: AccountId) -> Result<Vec<Passkey>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM passkey WHERE account = ?1 ORDER BY created_at, credential_id");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([account.0])?;
    let mut passkeys = Vec::new();
    while let Some(row) = rows.next()? {
        passkeys.push(from_row(row)?);
    }
    Ok(passkeys)
}

pub(crate) fn count(conn: &Connection, account: AccountId) -> Result<usize, StoreError> {
    let sql = "SELECT count(*) FROM passkey WHERE account = ?1";
    Ok(conn.prepare_cached(sql)?.query_row([account.0], |row| row.get::<_, i64>(0))? as usize)
}

/// Notes that a passkey was used, and what its counter is now.
pub(crate) fn note_use(conn: &Connection, credential: &Credential, now: i64) -> Result<(), StoreError> {
    let sql = "UPDATE passkey SET credential = ?2, last_used_at = ?3 WHERE credential_id = ?1";
    let changed = conn.prepare_cached(sql)?.execute(params![credential.cred_id().as_slice(), as_json(credential), now])?;
    expect_one_row("passkey", changed)
}

/// Gives a passkey another name, and returns whether the account has it.
pub(crate) fn rename(conn: &Connection, account: AccountId, credential_id: &[u8], name: &str) -> Result<bool, StoreError> {
    let sql = "UPDATE passkey SET name = ?3 WHERE account = ?1 AND credential_id = ?2";
    Ok(conn.prepare_cached(sql)?.execute(params![account.0, credential_id, name])? == 1)
}

/// Deletes a passkey, and returns whether the account had it.
pub(crate) fn delete(conn: &Connection, account: AccountId, credential_id: &[u8]) -> Result<bool, StoreError> {
    let sql = "DELETE FROM passkey WHERE account = ?1 AND credential_id = ?2";
    Ok(conn.prepare_cached(sql)?.execute(params![account.0, credential_id])? == 1)
}

pub(crate) fn delete_all(conn: &Connection, account: AccountId) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM passkey WHERE account = ?1")?.execute([account.0])?;
    Ok(())
}
