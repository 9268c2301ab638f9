//! Making the DID of an account name the key that signs its repo here.

use common::Datetime;

use super::directory::{self, DirectoryError};
use crate::error::XrpcError;
use crate::firehose::frames;
use crate::identity::ResolveError;
use crate::secrets::SecretError;
use crate::state::{App, AppState};
use crate::store::account::{self, Account};
use crate::store::{StoreError, WriteFailed};

/// Where a DID names the key of the account's repo.
pub(super) const REPO_KEY: &str = "atproto";

/// Why a DID did not get a key.
#[derive(Debug, thiserror::Error)]
enum PublishKeyError {
    #[error("This server signs the account's repo with {0}, and holds no other key of the account")]
    NotHeld(String),
    #[error("DID is not properly configured: its document does not name the key, and only its owner can change it")]
    NotInDocument,
    #[error("Could not resolve DID: {0}")]
    Resolve(#[source] ResolveError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error("the signing key could not be opened")]
    Secret(#[source] SecretError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<PublishKeyError> for XrpcError {
    fn from(err: PublishKeyError) -> Self {
        let message = err.to_string();
        match err {
            PublishKeyError::NotHeld(_) | PublishKeyError::NotInDocument | PublishKeyError::Resolve(_) => {
                Self::invalid_request(message)
            }
            PublishKeyError::Directory(err) => err.into(),
            PublishKeyError::Secret(_) => Self::internal(err),
            PublishKeyError::Store(err) => err.into(),
            PublishKeyError::Write(err) => err.into(),
        }
    }
}

/// Makes the DID of an account name `key`, and announces it; also when it does.
///
/// It must be the key that this server signs with. One that it does not hold would make every commit from then on worthless to
/// the network.
pub(crate) async fn publish_key(app: &AppState, account: &Account, key: String) -> Result<(), XrpcError> {
    // A client that goes away must not leave a change that nobody was told of.
    let (task, account) = (app.clone(), account.clone());
    app.to_end(async move { carry_out(&task, &account, key).await }).await.map_err(XrpcError::from)
}

async fn carry_out(app: &App, account: &Account, key: String) -> Result<(), PublishKeyError> {
    let sealed = app.db.read(|conn| account::sealed_signing_key(conn, account.id)).await?;
    let held = app.secrets.open_signing_key(&account.did, &sealed).map_err(PublishKeyError::Secret)?;
    let held = held.verifying_key().to_did_key();
    if held != key {
        return Err(PublishKeyError::NotHeld(held));
    }
    let _turn = app.did_turns.take(account.id).await;
    if account.did.is_plc() {
        directory::update(app, &account.did, |_, next| {
            next.verification_methods.insert(REPO_KEY.to_owned(), key);
        })
        .await?;
    } else {
        let document = app.identity.refresh_did(&account.did).await.map_err(PublishKeyError::Resolve)?;
        if document.signing_key().map(crypto::VerifyingKey::to_did_key) != Some(key) {
            return Err(PublishKeyError::NotInDocument);
        }
    }
    let id = account.id;
    let announced = app.db.write(move |tx| {
        let Some(account) = account::find(tx, id)? else { return Ok(()) };
        let time = Datetime::from_millis(tx.now_millis());
        tx.emit(id, &frames::identity(&account.did, account.handle.as_ref(), time.as_str()))?;
        Ok(())
    });
    announced.await
}
