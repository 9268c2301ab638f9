//! What an account's DID should say, and changes to it that its owner makes: signing an operation, handing one in.

use std::collections::BTreeMap;

use common::Datetime;
use crypto::plc::{DidData, LimitError, Operation, Service, UnsignedOperation};

use super::directory::{self, DirectoryError};
use super::email_token::{WrongCode, take_code};
use crate::error::XrpcError;
use crate::firehose::frames;
use crate::secrets::SecretError;
use crate::state::{App, AppState};
use crate::store::account::{self, Account};
use crate::store::email_token::Purpose;
use crate::store::{StoreError, WriteFailed};

/// The type of a PDS among the services of a DID.
const PDS_TYPE: &str = "AtprotoPersonalDataServer";

/// Why an operation was not signed or not handed in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DidOperationError {
    #[error("Only a did:plc has operations; a did:web is changed where its document is")]
    NotPlc,
    #[error("Invalid operation: {0}")]
    Limit(#[from] LimitError),
    #[error("Invalid operation: only a plc_operation can be submitted")]
    Kind,
    #[error("Rotation keys do not include server's rotation key")]
    RotationKey,
    #[error("Incorrect type on atproto_pds service")]
    ServiceType,
    #[error("Incorrect endpoint on atproto_pds service")]
    Endpoint,
    #[error("Incorrect signing key")]
    SigningKey,
    #[error("Incorrect handle in alsoKnownAs")]
    Handle,
    #[error(transparent)]
    Code(#[from] WrongCode),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error("the signing key could not be opened")]
    Secret(#[source] SecretError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<DidOperationError> for XrpcError {
    fn from(err: DidOperationError) -> Self {
        let message = err.to_string();
        match err {
            DidOperationError::NotPlc
            | DidOperationError::Limit(_)
            | DidOperationError::Kind
            | DidOperationError::RotationKey
            | DidOperationError::ServiceType
            | DidOperationError::Endpoint
            | DidOperationError::SigningKey
            | DidOperationError::Handle => Self::invalid_request(message),
            DidOperationError::Code(err) => err.into(),
            DidOperationError::Directory(err) => err.into(),
            DidOperationError::Secret(_) => Self::internal(err),
            DidOperationError::Store(err) => err.into(),
            DidOperationError::Write(err) => err.into(),
        }
    }
}

/// What shall change in a DID; the rest stays.
#[derive(Debug)]
pub(crate) struct DidChange {
    pub(crate) rotation_keys: Option<Vec<String>>,
    pub(crate) also_known_as: Option<Vec<String>>,
    pub(crate) verification_methods: Option<BTreeMap<String, String>>,
    pub(crate) services: Option<BTreeMap<String, Service>>,
}

/// Returns what the DID of an account should say for the account to be here.
pub(crate) async fn recommended_did(app: &App, account: &Account) -> Result<DidData, DidOperationError> {
    let id = account.id;
    let sealed = app.db.read(|conn| account::sealed_signing_key(conn, id)).await?;
    let key = app.secrets.open_signing_key(&account.did, &sealed).map_err(DidOperationError::Secret)?;
    let own = app.secrets.rotation_key().verifying_key().to_did_key();
    let mut rotation_keys: Vec<String> =
        app.config.identity.recovery_did_key.iter().map(|key| key.as_str().to_owned()).collect();
    if !rotation_keys.contains(&own) {
        rotation_keys.push(own);
    }
    let pds = Service { r#type: PDS_TYPE.to_owned(), endpoint: app.config.server.public_url.as_str().to_owned() };
    Ok(DidData {
        did: account.did.clone(),
        rotation_keys,
        verification_methods: BTreeMap::from([("atproto".to_owned(), key.verifying_key().to_did_key())]),
        also_known_as: account.handle.iter().map(|handle| format!("at://{handle}")).collect(),
        services: BTreeMap::from([("atproto_pds".to_owned(), pds)]),
    })
}

/// Signs an operation that changes the DID of an account, whose owner has the code that was mailed. The directory does not hear
/// of it from here.
pub(crate) async fn sign_did_change(
    app: &App,
    account: &Account,
    code: &str,
    change: DidChange,
) -> Result<Operation, DidOperationError> {
    if !account.did.is_plc() {
        return Err(DidOperationError::NotPlc);
    }
    let operation = directory::sign(app, &account.did, |next| {
        let DidChange { rotation_keys, also_known_as, verification_methods, services } = change;
        next.rotation_keys = rotation_keys.unwrap_or_else(|| std::mem::take(&mut next.rotation_keys));
        next.also_known_as = also_known_as.unwrap_or_else(|| std::mem::take(&mut next.also_known_as));
        next.verification_methods = verification_methods.unwrap_or_else(|| std::mem::take(&mut next.verification_methods));
        next.services = services.unwrap_or_else(|| std::mem::take(&mut next.services));
    })
    .await?;
    operation.check_limits()?;
    // Last, so that a code is not used up in vain.
    let (id, secrets, code) = (account.id, app.secrets.clone(), code.to_owned());
    let taken =
        app.db.write(move |tx| take_code(tx, &secrets, id, Purpose::PlcOperation, &code).map_err(DidOperationError::from));
    taken.await??;
    Ok(operation)
}

/// Hands an operation in that leaves the account in good order here, and announces it.
pub(crate) async fn submit_did_change(
    app: &AppState,
    account: &Account,
    operation: Operation,
) -> Result<(), DidOperationError> {
    if !account.did.is_plc() {
        return Err(DidOperationError::NotPlc);
    }
    check_good(&operation, &recommended_did(app, account).await?, &app.secrets.rotation_key().verifying_key().to_did_key())?;
    // A client that goes away must not leave the network without the event.
    let (task, account) = (app.clone(), account.clone());
    let submit = async move {
        let _turn = task.did_turns.take(account.id).await;
        directory::submit(&task, &account.did, &operation).await?;
        let announced = task.db.write(move |tx| {
            let time = Datetime::from_millis(tx.now_millis());
            tx.emit(account.id, &frames::identity(&account.did, None, time.as_str()))?;
            Ok(())
        });
        announced.await
    };
    app.to_end(submit).await
}

/// Checks that an operation leaves a DID leading here: with `wanted`, and with the server's `rotation_key` among its keys.
fn check_good(operation: &Operation, wanted: &DidData, rotation_key: &String) -> Result<(), DidOperationError> {
    let UnsignedOperation::Plc(next) = &operation.unsigned else { return Err(DidOperationError::Kind) };
    if !next.rotation_keys.contains(rotation_key) {
        return Err(DidOperationError::RotationKey);
    }
    let service = next.services.get("atproto_pds");
    if service.is_none_or(|service| service.r#type != PDS_TYPE) {
        return Err(DidOperationError::ServiceType);
    }
    if service != wanted.services.get("atproto_pds") {
        return Err(DidOperationError::Endpoint);
    }
    if next.verification_methods.get("atproto") != wanted.verification_methods.get("atproto") {
        return Err(DidOperationError::SigningKey);
    }
    // An account that lost its handle has none to insist on.
    if wanted.also_known_as.first().is_some_and(|handle| next.also_known_as.first() != Some(handle)) {
        return Err(DidOperationError::Handle);
    }
    Ok(operation.check_limits()?)
}
