//! Changing what the PLC directory holds for the DID of an account here.

use common::{Cid, Did};
use crypto::plc::{DidData, Operation, PlcOperation, UnsignedOperation};

use crate::error::XrpcError;
use crate::identity::PlcClientError;
use crate::state::App;

/// Why a DID was not changed in the directory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectoryError {
    #[error("{0}")]
    Client(#[source] PlcClientError),
    #[error("Did is tombstoned")]
    Tombstoned,
    #[error("Server rotation key not included in PLC DID data")]
    RotationKey,
}

impl From<DirectoryError> for XrpcError {
    fn from(err: DirectoryError) -> Self {
        match err {
            DirectoryError::Tombstoned | DirectoryError::RotationKey => Self::invalid_request(err.to_string()),
            DirectoryError::Client(err) => err.into(),
        }
    }
}

/// What the directory holds for a DID, and the operation that said so.
struct Found {
    last: Cid,
    data: DidData,
}

/// Signs an operation with which a DID says what `change` makes of what it says now. The directory does not hear of it from
/// here.
///
/// # Errors
///
/// [`DirectoryError::RotationKey`] when this server may not change the DID.
pub(super) async fn sign(app: &App, did: &Did, change: impl FnOnce(&mut PlcOperation)) -> Result<Operation, DirectoryError> {
    let found = find(app, did).await?;
    let mut next = found.data.next_operation(found.last);
    change(&mut next);
    sign_after(app, &found, next)
}

/// Hands an operation in.
pub(super) async fn submit(app: &App, did: &Did, operation: &Operation) -> Result<(), DirectoryError> {
    let submitted = app.identity.plc().submit(did, operation).await;
    // Also after a failure: the directory may have taken what it did not answer to.
    app.identity.forget_did(did);
    submitted.map_err(DirectoryError::Client)
}

/// Makes a DID say what `change` makes of what it says now, unless that is the same.
///
/// # Errors
///
/// [`DirectoryError::RotationKey`] when there is something to change and this server may not.
pub(super) async fn update(
    app: &App,
    did: &Did,
    change: impl FnOnce(&DidData, &mut PlcOperation),
) -> Result<(), DirectoryError> {
    let found = find(app, did).await?;
    let unchanged = found.data.next_operation(found.last);
    let mut next = unchanged.clone();
    change(&found.data, &mut next);
    if next == unchanged {
        return Ok(());
    }
    submit(app, did, &sign_after(app, &found, next)?).await
}

async fn find(app: &App, did: &Did) -> Result<Found, DirectoryError> {
    let last = app.identity.plc().last_operation(did).await.map_err(DirectoryError::Client)?;
    let data = last.data(did).ok_or(DirectoryError::Tombstoned)?;
    Ok(Found { last: last.cid(), data })
}

fn sign_after(app: &App, found: &Found, next: PlcOperation) -> Result<Operation, DirectoryError> {
    let key = app.secrets.rotation_key();
    if !found.data.rotation_keys.contains(&key.verifying_key().to_did_key()) {
        return Err(DirectoryError::RotationKey);
    }
    Ok(UnsignedOperation::Plc(next).sign(key))
}
