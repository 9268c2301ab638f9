//! What the old server knows of an account, besides its repo.

use std::fs;

use common::{Datetime, Did, Handle};
use crypto::{Curve, SigningKey};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use zeroize::Zeroizing;

use super::AdoptError;
use super::folder::{ActorFolder, Folder};
use crate::store::app_password::AppPassword;
use crate::store::invite::InviteCode;
use crate::store::preference::Preference;
use crate::store::session::RefreshToken;
use crate::store::{AccountId, BatchTx};

/// Sessions of an account that are taken over, the ones that last longest.
const MAX_SESSIONS: i64 = 1000;
const MAX_APP_PASSWORDS: i64 = 1000;

/// An account of the old server.
#[derive(Debug)]
pub(super) struct Actor {
    pub(super) did: Did,
    pub(super) handle: Option<Handle>,
    /// A handle that is none.
    pub(super) bad_handle: Option<String>,
    pub(super) email: Option<String>,
    pub(super) password_hash: Option<String>,
    pub(super) email_confirmed_at: Option<i64>,
    pub(super) invites_disabled: bool,
    pub(super) created_at: i64,
    pub(super) takedown_ref: Option<String>,
    pub(super) deactivated_at: Option<i64>,
    pub(super) delete_after: Option<i64>,
}

/// Reads a time; the old server wrote it as text.
pub(super) fn millis(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<i64>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.and_then(|text| text.parse::<Datetime>().ok()).map(|time| time.millis()))
}

/// Lists all accounts, in the order in which they were made. A DID that is none is text all the same.
pub(super) fn list(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = conn.prepare("SELECT did FROM actor ORDER BY createdAt, did")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

pub(super) fn find(conn: &Connection, did: &Did, now: i64) -> rusqlite::Result<Option<Actor>> {
    let sql = "SELECT handle, createdAt, takedownRef, deactivatedAt, deleteAfter, email, passwordScrypt, emailConfirmedAt,
         coalesce(invitesDisabled, 0) AS invitesDisabled
       FROM actor LEFT JOIN account ON account.did = actor.did WHERE actor.did = ?1";
    let actor = conn.prepare_cached(sql)?.query_row([did.as_str()], |row| {
        let handle: Option<String> = row.get("handle")?;
        let parsed: Option<Handle> = handle.as_ref().and_then(|handle| handle.parse().ok());
        let takedown_ref: Option<String> = row.get("takedownRef")?;
        let is_deactivated = row.get_ref("deactivatedAt")? != rusqlite::types::ValueRef::Null;
        Ok(Actor {
            did: did.clone(),
            bad_handle: handle.filter(|_| parsed.is_none()),
            handle: parsed,
            email: row.get("email")?,
            password_hash: row.get("passwordScrypt")?,
            email_confirmed_at: millis(row, "emailConfirmedAt")?,
            invites_disabled: row.get("invitesDisabled")?,
            created_at: millis(row, "createdAt")?.unwrap_or(now),
            takedown_ref,
            // A state outweighs its time.
            deactivated_at: if is_deactivated { Some(millis(row, "deactivatedAt")?.unwrap_or(now)) } else { None },
            delete_after: millis(row, "deleteAfter")?,
        })
    });
    actor.optional()
}

/// Lists the sessions of an account that last beyond `now`.
pub(super) fn sessions(conn: &Connection, did: &Did, now: i64) -> rusqlite::Result<Vec<RefreshToken>> {
    let mut statement = conn.prepare_cached(
        "SELECT id, expiresAt, nextId, appPasswordName FROM refresh_token WHERE did = ?1 ORDER BY expiresAt DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![did.as_str(), MAX_SESSIONS], |row| {
        Ok(RefreshToken {
            id: row.get("id")?,
            account: AccountId(0),
            expires_at: millis(row, "expiresAt")?.unwrap_or(0),
            next_id: row.get("nextId")?,
            app_password: row.get("appPasswordName")?,
        })
    })?;
    let mut sessions: Vec<_> = rows.collect::<Result<_, _>>()?;
    sessions.retain(|session| session.expires_at > now);
    Ok(sessions)
}

/// Lists the app passwords of an account, each with its hash.
pub(super) fn app_passwords(conn: &Connection, did: &Did, now: i64) -> rusqlite::Result<Vec<(AppPassword, String)>> {
    let mut statement = conn.prepare_cached(
        "SELECT name, passwordScrypt, createdAt, privileged FROM app_password WHERE did = ?1 ORDER BY createdAt DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![did.as_str(), MAX_APP_PASSWORDS], |row| {
        let created_at = millis(row, "createdAt")?.unwrap_or(now);
        let new = AppPassword { name: row.get("name")?, privileged: row.get("privileged")?, created_at };
        Ok((new, row.get("passwordScrypt")?))
    })?;
    rows.collect()
}

/// Lists the preferences in an account's own database.
pub(super) fn preferences(actor: &Connection) -> rusqlite::Result<Vec<Preference>> {
    let mut statement = actor.prepare_cached("SELECT name, valueJson FROM account_pref ORDER BY id")?;
    statement.query_map([], |row| Ok(Preference { kind: row.get(0)?, json: row.get(1)? }))?.collect()
}

/// Reads the signing key of an account; the error says what is wrong with it.
pub(super) fn signing_key(folder: &ActorFolder) -> Result<SigningKey, String> {
    let bytes = fs::read(&folder.key).map(Zeroizing::new).map_err(|err| format!("its signing key cannot be read: {err}"))?;
    parse_key(&bytes).ok_or_else(|| "its signing key is damaged".to_owned())
}

fn parse_key(bytes: &[u8]) -> Option<SigningKey> {
    SigningKey::from_bytes(Curve::K256, bytes.try_into().ok()?).ok()
}

/// Visits all invite codes.
pub(super) fn invite_codes(
    conn: &Connection,
    now: i64,
    mut visit: impl FnMut(InviteCode) -> Result<(), AdoptError>,
) -> Result<(), AdoptError> {
    let sql =
        "SELECT code, availableUses, coalesce(disabled, 0) AS disabled, forAccount, createdBy, createdAt FROM invite_code";
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let uses: i64 = row.get("availableUses")?;
        visit(InviteCode {
            code: row.get("code")?,
            available_uses: u32::try_from(uses.max(0)).unwrap_or(u32::MAX),
            disabled: row.get("disabled")?,
            for_account: row.get("forAccount")?,
            created_by: row.get("createdBy")?,
            created_at: millis(row, "createdAt")?.unwrap_or(now),
        })?;
    }
    Ok(())
}

/// Puts all invite codes and their uses into the database; those that are there already stay as they are.
pub(super) fn store_invite_codes(tx: &BatchTx<'_>, conn: &Connection) -> Result<u64, AdoptError> {
    let (now, mut count) = (tx.now_millis(), 0);
    invite_codes(conn, now, |code| {
        count += 1;
        tx.prepare_cached(
            "INSERT OR IGNORE INTO invite_code (code, available_uses, disabled, for_account, created_by, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            code.code,
            code.available_uses,
            code.disabled,
            code.for_account,
            code.created_by,
            code.created_at
        ])?;
        Ok(())
    })?;
    let mut statement = conn.prepare("SELECT code, usedBy, usedAt FROM invite_code_use")?;
    let mut rows = statement.query([])?;
    // A use of a code that is gone tells nothing.
    let sql = "INSERT OR IGNORE INTO invite_code_use (code, used_by, used_at)
       SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM invite_code WHERE code = ?1)";
    let mut insert = tx.prepare_cached(sql)?;
    while let Some(row) = rows.next()? {
        let used_at = millis(row, "usedAt")?.unwrap_or(now);
        insert.execute(params![row.get::<_, String>("code")?, row.get::<_, String>("usedBy")?, used_at])?;
    }
    Ok(count)
}

/// A key for an account to come.
#[derive(Debug)]
pub(super) struct Reserved {
    pub(super) did: Option<Did>,
    pub(super) key: SigningKey,
}

/// Reads the keys that were reserved. A key that was reserved for a DID lies there under both names.
pub(super) fn reserved_keys(folder: &Folder) -> Result<Vec<Reserved>, AdoptError> {
    let mut reserved: Vec<Reserved> = Vec::new();
    for path in folder.reserved_keys()? {
        let bytes = fs::read(&path).map(Zeroizing::new).map_err(AdoptError::io(&path))?;
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(key) = parse_key(&bytes) else { continue };
        let did = if name.starts_with("did:key:") { None } else { name.parse().ok() };
        let public = key.verifying_key().to_did_key();
        match reserved.iter_mut().find(|known| known.key.verifying_key().to_did_key() == public) {
            Some(known) => known.did = known.did.take().or(did),
            None => reserved.push(Reserved { did, key }),
        }
    }
    Ok(reserved)
}
