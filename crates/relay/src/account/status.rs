//! Leaving and coming back: deactivating and activating an account, and what it has here.

use common::{Cid, Datetime, Tid};
use repo_engine::car;

use crate::error::XrpcError;
use crate::firehose::frames;
use crate::identity::{PlcClientError, ResolveError};
use crate::repo::RepoSnapshot;
use crate::state::App;
use crate::store::account::{self, Account, Status, Usage};
use crate::store::{AccountId, BatchTx, StoreError, WriteFailed, repo};

/// Why an account was not activated or deactivated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActivateError {
    #[error("Could not find account")]
    NotFound,
    #[error("Account has been taken down")]
    Takendown,
    #[error("Could not resolve DID")]
    Resolve(#[source] ResolveError),
    #[error("Could not read the DID's data from the PLC directory")]
    Directory(#[source] PlcClientError),
    #[error("Server rotation key not included in PLC DID data")]
    RotationKey,
    #[error("DID document atproto_pds service endpoint does not match PDS public url")]
    Endpoint,
    #[error("DID document verification method does not match expected signing key")]
    SigningKey,
    #[error("the signing key could not be opened")]
    Secret(#[source] crate::secrets::SecretError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<ActivateError> for XrpcError {
    fn from(err: ActivateError) -> Self {
        let message = err.to_string();
        match err {
            ActivateError::NotFound => Self::bad_request("AccountNotFound", message),
            ActivateError::Takendown => Self::unauthorized("AccountTakedown", message),
            ActivateError::RotationKey | ActivateError::Endpoint | ActivateError::SigningKey => Self::invalid_request(message),
            ActivateError::Resolve(_)
            | ActivateError::Directory(
                PlcClientError::NotFound(_) | PlcClientError::Deactivated(_) | PlcClientError::Refused { .. },
            ) => Self::invalid_request(message).with_cause(err),
            ActivateError::Directory(PlcClientError::Failed { .. } | PlcClientError::Fetch(_) | PlcClientError::Answer(_)) => {
                Self::upstream(message).with_cause(err)
            }
            ActivateError::Secret(_) => Self::internal(err),
            ActivateError::Store(err) => err.into(),
            ActivateError::Write(err) => err.into(),
        }
    }
}

/// Checks that the DID of an account leads here: rotation key, endpoint and signing key, as the directory has them now.
pub(crate) async fn check_did(app: &App, account: &Account) -> Result<(), ActivateError> {
    let sealed = app.db.read(|conn| account::sealed_signing_key(conn, account.id)).await?;
    let key = app.secrets.open_signing_key(&account.did, &sealed).map_err(ActivateError::Secret)?;
    if account.did.is_plc() {
        let data = app.identity.plc().data(&account.did).await.map_err(ActivateError::Directory)?;
        if !data.rotation_keys.contains(&app.secrets.rotation_key().verifying_key().to_did_key()) {
            return Err(ActivateError::RotationKey);
        }
    }
    let document = app.identity.refresh_did(&account.did).await.map_err(ActivateError::Resolve)?;
    if document.pds_endpoint() != Some(app.config.server.public_url.as_str()) {
        return Err(ActivateError::Endpoint);
    }
    if document.signing_key() != Some(key.verifying_key()) {
        return Err(ActivateError::SigningKey);
    }
    Ok(())
}

/// Activates an account whose DID leads here, and announces it: `#account`, `#identity`, `#sync`.
pub(crate) async fn activate(app: &App, account: &Account) -> Result<(), ActivateError> {
    check_did(app, account).await?;
    let id = account.id;
    app.db
        .write(move |tx| {
            account::activate(tx, id)?;
            let account = account::find(tx, id)?.ok_or(ActivateError::NotFound)?;
            match account.status {
                Status::Takendown | Status::Suspended => return Err(ActivateError::Takendown),
                Status::Active | Status::Deactivated => {}
            }
            announce_status(tx, &account)?;
            announce_return(tx, &account)?;
            Ok(())
        })
        .await
}

/// Tells the network whether an account is active.
pub(super) fn announce_status(tx: &mut BatchTx<'_>, account: &Account) -> Result<(), StoreError> {
    let time = Datetime::from_millis(tx.now_millis());
    tx.emit(account.id, &frames::account(&account.did, account.status, time.as_str()))?;
    Ok(())
}

/// Tells the network what an account is that was deactivated: it may have come here meanwhile, with all that it has.
pub(super) fn announce_return(tx: &mut BatchTx<'_>, account: &Account) -> Result<(), StoreError> {
    let time = Datetime::from_millis(tx.now_millis());
    tx.emit(account.id, &frames::identity(&account.did, account.handle.as_ref(), time.as_str()))?;
    if let Some(row) = repo::find(tx, account.id)? {
        let mut blocks = car::header(&row.head);
        car::write_block(&mut blocks, &row.head, &row.commit_block);
        tx.emit(account.id, &frames::sync(&account.did, row.rev, &blocks, time.as_str()))?;
    }
    Ok(())
}

/// Deactivates an account, signs the apps out that act for it, and announces it.
pub(crate) async fn deactivate(app: &App, account: AccountId, delete_after: Option<i64>) -> Result<(), ActivateError> {
    app.db
        .write(move |tx| {
            let now = tx.now_millis();
            account::deactivate(tx, account, now, delete_after)?;
            crate::oauth::end_sessions(tx, account)?;
            let row = account::find(tx, account)?.ok_or(ActivateError::NotFound)?;
            announce_status(tx, &row)?;
            Ok(())
        })
        .await
}

/// Returns the repo's head and what the account has here, at one moment.
pub(crate) async fn counts(app: &App, account: AccountId) -> Result<Option<(RepoHead, Usage)>, StoreError> {
    app.db
        .scan(move |conn| {
            let tx = conn.unchecked_transaction()?;
            let Some(snapshot) = RepoSnapshot::open(&tx, account)? else { return Ok(None) };
            let mut usage = account::usage(&tx, account)?;
            usage.tree_nodes += snapshot.fresh_nodes() as u64;
            Ok(Some((RepoHead { commit: snapshot.head(), rev: snapshot.rev() }, usage)))
        })
        .await
}

/// The newest commit of a repo.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RepoHead {
    pub(crate) commit: Cid,
    pub(crate) rev: Tid,
}
