//! Every sealed value of the database, with what it was sealed for. Whoever seals something new adds its place here; a change
//! of the master key refuses to leave anything behind that it does not know ([`forgotten`]).

use common::Did;
use crypto::seal::KeyId;
use rusqlite::{Connection, params};

use super::{
    JWT_SECRET, ROTATION_KEY, acme_account_context, code_context, old_session_context, signing_key_context, tls_key_context,
    totp_context,
};
use crate::store::email_token::Purpose;
use crate::store::{BatchTx, StoreError, expect_one_row, row};

/// Where a sealed value lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Meta(String),
    SigningKey { account: i64 },
    PendingSigningKey { did: String },
    ReservedKey { id: i64 },
    Code { account: i64, purpose: String },
    Totp { account: i64 },
    OldSession { account: i64 },
    TlsKey { name: String },
    AcmeAccount { directory: String },
}

/// A sealed value.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) place: Place,
    /// What it was sealed for.
    pub(crate) context: String,
    pub(crate) bytes: Vec<u8>,
    /// The account that it belongs to.
    pub(crate) account: Option<Did>,
}

/// Visits every sealed value.
pub(crate) fn each(conn: &Connection, mut visit: impl FnMut(Sealed) -> Result<(), StoreError>) -> Result<(), StoreError> {
    let mut statement = conn.prepare("SELECT key, value FROM meta WHERE key IN (?1, ?2, ?3, ?4)")?;
    let names = params![ROTATION_KEY, JWT_SECRET, super::NEXT_ROTATION_KEY, super::ADOPTED_JWT_SECRET];
    let mut rows = statement.query(names)?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        visit(Sealed { context: name.clone(), place: Place::Meta(name), bytes: row.get(1)?, account: None })?;
    }
    let mut statement = conn.prepare("SELECT id, did, signing_key FROM account ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let did: Did = row::parse(row, "account", "did")?;
        visit(Sealed {
            place: Place::SigningKey { account: row.get(0)? },
            context: signing_key_context(&did),
            bytes: row.get(2)?,
            account: Some(did),
        })?;
    }
    let mut statement = conn.prepare("SELECT did, signing_key FROM pending_did")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let did: Did = row::parse(row, "pending_did", "did")?;
        let place = Place::PendingSigningKey { did: row.get(0)? };
        visit(Sealed { place, context: signing_key_context(&did), bytes: row.get(1)?, account: None })?;
    }
    let mut statement = conn.prepare("SELECT id, coalesce(did, public_key) AS did, sealed FROM reserved_key ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let did: Did = row::parse(row, "reserved_key", "did")?;
        let place = Place::ReservedKey { id: row.get(0)? };
        visit(Sealed { place, context: signing_key_context(&did), bytes: row.get(2)?, account: None })?;
    }
    let mut statement =
        conn.prepare("SELECT account, purpose, sealed, did FROM email_token JOIN account ON account.id = email_token.account")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let did: Did = row::parse(row, "account", "did")?;
        let purpose: String = row.get(1)?;
        let known = Purpose::ALL.into_iter().find(|known| known.as_str() == purpose);
        let known = known.ok_or_else(|| row::corrupt("email_token", "purpose", &purpose))?;
        visit(Sealed {
            place: Place::Code { account: row.get(0)?, purpose },
            context: code_context(&did, known),
            bytes: row.get(2)?,
            account: Some(did),
        })?;
    }
    let mut statement = conn.prepare("SELECT account, secret, did FROM totp JOIN account ON account.id = totp.account")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let did: Did = row::parse(row, "account", "did")?;
        visit(Sealed {
            place: Place::Totp { account: row.get(0)? },
            context: totp_context(&did),
            bytes: row.get(1)?,
            account: Some(did),
        })?;
    }
    let mut statement =
        conn.prepare("SELECT account, session, did FROM move_in JOIN account ON account.id = move_in.account")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let did: Did = row::parse(row, "account", "did")?;
        visit(Sealed {
            place: Place::OldSession { account: row.get(0)? },
            context: old_session_context(&did),
            bytes: row.get(1)?,
            account: Some(did),
        })?;
    }
    let mut statement = conn.prepare("SELECT name, sealed_key FROM tls_certificate")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        visit(Sealed { context: tls_key_context(&name), place: Place::TlsKey { name }, bytes: row.get(1)?, account: None })?;
    }
    let mut statement = conn.prepare("SELECT directory, sealed FROM acme_account")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let directory: String = row.get(0)?;
        let context = acme_account_context(&directory);
        visit(Sealed { context, place: Place::AcmeAccount { directory }, bytes: row.get(1)?, account: None })?;
    }
    Ok(())
}

/// Puts another sealed form into its place.
pub(crate) fn replace(tx: &BatchTx<'_>, place: &Place, bytes: &[u8]) -> Result<(), StoreError> {
    let changed = match place {
        Place::Meta(name) => tx.execute("UPDATE meta SET value = ?2 WHERE key = ?1", params![name, bytes])?,
        Place::SigningKey { account } => {
            tx.prepare_cached("UPDATE account SET signing_key = ?2 WHERE id = ?1")?.execute(params![account, bytes])?
        }
        Place::PendingSigningKey { did } => {
            tx.prepare_cached("UPDATE pending_did SET signing_key = ?2 WHERE did = ?1")?.execute(params![did, bytes])?
        }
        Place::ReservedKey { id } => {
            tx.prepare_cached("UPDATE reserved_key SET sealed = ?2 WHERE id = ?1")?.execute(params![id, bytes])?
        }
        Place::Totp { account } => {
            tx.prepare_cached("UPDATE totp SET secret = ?2 WHERE account = ?1")?.execute(params![account, bytes])?
        }
        Place::OldSession { account } => {
            tx.prepare_cached("UPDATE move_in SET session = ?2 WHERE account = ?1")?.execute(params![account, bytes])?
        }
        Place::TlsKey { name } => {
            tx.prepare_cached("UPDATE tls_certificate SET sealed_key = ?2 WHERE name = ?1")?.execute(params![name, bytes])?
        }
        Place::AcmeAccount { directory } => {
            tx.prepare_cached("UPDATE acme_account SET sealed = ?2 WHERE directory = ?1")?.execute(params![directory, bytes])?
        }
        Place::Code { account, purpose } => tx
            .prepare_cached("UPDATE email_token SET sealed = ?3 WHERE account = ?1 AND purpose = ?2")?
            .execute(params![account, purpose, bytes])?,
    };
    expect_one_row("sealed values", changed)
}

/// Returns the first column of any table that holds something sealed under `key`; `None` when there is nothing.
pub(crate) fn forgotten(conn: &Connection, key: KeyId) -> Result<Option<String>, StoreError> {
    let prefix = crypto::seal::prefix(key);
    let mut columns = conn.prepare(
        "SELECT m.name, c.name FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS c
         WHERE m.type = 'table' AND c.type = 'BLOB' AND m.name NOT IN ('record', 'node', 'event', 'repo', 'blob', 'blob_ref')",
    )?;
    let columns = columns.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    for column in columns {
        let (table, column) = column?;
        let sql = format!("SELECT 1 FROM \"{table}\" WHERE substr(\"{column}\", 1, {}) = ?1 LIMIT 1", prefix.len());
        if conn.prepare(&sql)?.exists([&prefix[..]])? {
            return Ok(Some(format!("{table}.{column}")));
        }
    }
    Ok(None)
}
