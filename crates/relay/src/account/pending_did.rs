//! The journal of DIDs that are being made, and the end of those whose accounts did not come about.
//!
//! The PLC directory and the database cannot change as one. So a new DID, the operation that makes it and its sealed key are
//! durable here before the directory hears of it, and go in the transaction that makes the account. Whatever comes between (a
//! crash, an answer that was lost, a full disk) leaves a row, and no DID without its key.
//!
//! # Tricky bits
//!
//! - What is left is ended with a tombstone, not finished: nobody was told that there is an account, and who tries again gets
//!   another DID. One that leads to an account here, or that its owner changed with a key of their own, is left alone.
//! - A directory that does not know a DID yet may still be about to: the row stays for [`WAIT`] after an answer was lost.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use common::{Clock as _, Did};
use crypto::plc::{Tombstone, UnsignedOperation};

use crate::error::XrpcError;
use crate::identity::PlcClientError;
use crate::state::{App, AppState};
use crate::store::pending_did::{self, PendingDid};
use crate::store::{StoreError, WriteFailed, account};

/// How long a DID that the directory does not know is kept in mind.
const WAIT: Duration = Duration::from_secs(24 * 3600);

/// The DIDs that this process is making accounts for at this moment, which are not to be ended.
#[derive(Debug, Default)]
pub(crate) struct Creations(Mutex<HashSet<Did>>);

/// That an account is being made for a DID.
pub(super) struct Creation<'a> {
    creations: &'a Creations,
    did: Did,
}

impl Creations {
    pub(super) fn begin(&self, did: &Did) -> Creation<'_> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(did.clone());
        Creation { creations: self, did: did.clone() }
    }

    fn is_under_way(&self, did: &Did) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(did)
    }
}

impl Drop for Creation<'_> {
    fn drop(&mut self) {
        self.creations.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.did);
    }
}

/// Notes a DID, durably.
pub(super) async fn note<E>(app: &App, pending: PendingDid) -> Result<(), E>
where
    E: From<StoreError> + From<WriteFailed> + Send + 'static,
{
    app.db.write(move |tx| Ok(pending_did::insert(tx, &pending)?)).await
}

/// Forgets a DID that the directory does not have, or not any more. When that fails, it is looked at again later.
pub(super) async fn forget(app: &App, did: &Did) {
    let owner = did.clone();
    if let Err(err) = app.db.write::<_, XrpcError>(move |tx| Ok(pending_did::delete(tx, &owner)?)).await {
        tracing::warn!(%did, error = %err.describe(), "a DID that came to nothing is still noted; it will be looked at again");
    }
}

/// Ends a DID whose account could not be made, so that nothing points here. When that fails, it is tried again later.
pub(super) async fn take_back(app: &App, pending: &PendingDid) {
    match tombstone(app, pending).await {
        Ok(()) => forget(app, &pending.did).await,
        Err(err) => {
            let (did, error) = (&pending.did, &err as &dyn std::error::Error);
            tracing::error!(%did, error, "a DID without an account could not be tombstoned; it will be tried again");
        }
    }
}

/// Looks at the DIDs whose accounts did not come about, and returns with how many of them it is done.
pub(crate) async fn settle_pending_dids(app: AppState) -> Result<usize, XrpcError> {
    let mut done = 0;
    for pending in app.db.read(pending_did::list).await.map_err(XrpcError::from)? {
        if app.stop.is_cancelled() {
            break;
        }
        if app.creations.is_under_way(&pending.did) {
            continue;
        }
        match settle(&app, &pending).await {
            Ok(true) => {
                forget(&app, &pending.did).await;
                done += 1;
            }
            Ok(false) => {}
            Err(SettleError::Store(err)) => return Err(err.into()),
            Err(SettleError::Directory(err)) => {
                let did = &pending.did;
                return Err(XrpcError::upstream(format!("{did} has no account and could not be ended")).with_cause(err));
            }
        }
    }
    Ok(done)
}

/// Why it stays open what becomes of a DID.
#[derive(Debug, thiserror::Error)]
enum SettleError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the PLC directory could not be asked")]
    Directory(#[source] PlcClientError),
}

/// Makes an end of a DID without an account, and returns whether it need not be looked at again.
async fn settle(app: &App, pending: &PendingDid) -> Result<bool, SettleError> {
    let (did, handle) = (&pending.did, &pending.handle);
    if app.db.read(|conn| account::find_by_did(conn, did)).await?.is_some() {
        tracing::warn!(%did, "a DID that was noted as pending has an account, and is left alone");
        return Ok(true);
    }
    let last = match app.identity.plc().last_operation(did).await {
        Ok(last) => last,
        Err(PlcClientError::NotFound(_)) => {
            let waited = app.clock.millis() - pending.created_at >= WAIT.as_millis() as i64;
            if waited {
                tracing::info!(%did, %handle, "the PLC directory never got a DID that was to be made; it is forgotten");
            }
            return Ok(waited);
        }
        Err(PlcClientError::Deactivated(_)) => return Ok(true),
        Err(err) => return Err(SettleError::Directory(err)),
    };
    match &last.unsigned {
        UnsignedOperation::Tombstone(_) => {}
        UnsignedOperation::Plc(_) | UnsignedOperation::LegacyCreate(_) if last.cid() == pending.operation.cid() => {
            tombstone(app, pending).await.map_err(SettleError::Directory)?;
            tracing::warn!(%did, %handle, "the making of an account was cut off; its DID is tombstoned, and who tries again gets another");
        }
        UnsignedOperation::Plc(_) | UnsignedOperation::LegacyCreate(_) => {
            tracing::warn!(%did, %handle, "a DID whose account was not made was changed by its owner, and is left alone");
        }
    }
    Ok(true)
}

async fn tombstone(app: &App, pending: &PendingDid) -> Result<(), PlcClientError> {
    let tombstone = UnsignedOperation::Tombstone(Tombstone { prev: pending.operation.cid() });
    app.identity.plc().submit(&pending.did, &tombstone.sign(app.secrets.rotation_key())).await
}
