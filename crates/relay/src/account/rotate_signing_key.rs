//! Another signing key for an account.
//!
//! The new key is kept as a reserved one before the DID names it, and becomes the account's in the transaction that signs the
//! repo with it. Should the process end in between, the DID names a key that is kept here, and doing it again finishes it.

use common::Did;
use serde::{Deserialize, Serialize};

use super::directory;
use super::publish_key::REPO_KEY;
use super::reserve_signing_key;
use crate::error::XrpcError;
use crate::state::{App, AppState};
use crate::store::account::{self, Account};
use crate::store::reserved_key;
use crate::work::detached;

/// Whose key is to be changed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RotateSigningKey {
    /// A handle or a DID.
    pub(crate) account: String,
}

/// A key that was changed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RotatedSigningKey {
    pub(crate) did: Did,
    /// As a did:key.
    pub(crate) key: String,
    /// That of the commit that is signed with it.
    pub(crate) rev: String,
}

/// Gives an account another signing key: its DID names it, its repo is signed with it.
pub(crate) async fn rotate_signing_key(app: &AppState, account: Account) -> Result<RotatedSigningKey, XrpcError> {
    // In a task of its own, so that an operator who goes away does not leave it half done.
    let app = app.clone();
    detached(async move { carry_out(&app, &account).await }).await
}

async fn carry_out(app: &App, account: &Account) -> Result<RotatedSigningKey, XrpcError> {
    let did = &account.did;
    let _turn = app.did_turns.take(account.id).await;
    let public_key = reserve_signing_key(app, Some(did.clone())).await?;
    let reserved = app.db.read(|conn| reserved_key::find(conn, did)).await?;
    let sealed = reserved.filter(|reserved| reserved.public_key == public_key).map(|reserved| reserved.sealed);
    let sealed = sealed.ok_or_else(|| XrpcError::invalid_request("Another change of this account's key is under way"))?;
    let key = app.secrets.open_signing_key(did, &sealed).map_err(XrpcError::internal)?;
    if did.is_plc() {
        directory::update(app, did, |_, next| {
            next.verification_methods.insert(REPO_KEY.to_owned(), public_key.clone());
        })
        .await?;
    } else {
        let document = app.identity.refresh_did(did).await;
        let document = document.map_err(|err| XrpcError::invalid_request(format!("Could not resolve DID: {err}")))?;
        if document.signing_key() != Some(key.verifying_key()) {
            return Err(XrpcError::invalid_request(format!(
                "Only the owner of {did} can change its document. Let it name the key {public_key} as #atproto, then do this again"
            )));
        }
    }
    let meta = app.repos.resign(account.id, did, key, sealed).await?;
    app.identity.forget_did(did);
    Ok(RotatedSigningKey { did: did.clone(), key: public_key, rev: meta.rev.to_string() })
}

/// As [`rotate_signing_key`], for the operator.
pub(crate) async fn rotate_for_operator(app: &AppState, input: RotateSigningKey) -> Result<RotatedSigningKey, XrpcError> {
    let found = super::operator::find(app, &input.account).await?;
    rotate_signing_key(app, found.ok_or_else(|| super::operator::not_found(&input.account))?).await
}

/// Lists the DIDs of all accounts, oldest first.
pub(crate) async fn all_dids(app: &App) -> Result<Vec<Did>, XrpcError> {
    let mut dids = Vec::new();
    let mut after = crate::store::AccountId(0);
    loop {
        let page = app.db.read(|conn| account::list(conn, after, 500)).await?;
        let Some(last) = page.last() else { return Ok(dids) };
        after = last.id;
        dids.extend(page.into_iter().map(|account| account.did));
    }
}
