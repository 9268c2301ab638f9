//! The end of a move: the DID leads here, the account is active here and not there.

use std::sync::Arc;

use common::{Did, Handle};
use crypto::VerifyingKey;
use crypto::plc::Operation;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::progress::Counts;
use super::{Fault, NAMED, OldServer, Stage, UnderWay, copy, identity};
use crate::account::{self, ActivateError, DidOperationError};
use crate::state::AppState;
use crate::store::account::Account;
use crate::store::{blob, move_in};

/// What the end takes.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finish {
    pub(crate) did: Did,
    /// The code that the old server mailed. It is not needed at [`Stage::Finish`], nor for a did:web.
    pub(crate) code: Option<String>,
    /// A key of the person's own, as a did:key, above the server's among those that may change the DID.
    pub(crate) recovery_key: Option<String>,
}

/// A move that is over.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finished {
    pub(crate) did: Did,
    pub(crate) handle: Handle,
    pub(crate) old_server: String,
    /// Why the account is active on the old server still, where it could not be deactivated. That does no harm.
    pub(crate) still_there: Option<String>,
    pub(crate) missing_blobs: u64,
    /// Some of these.
    pub(crate) missing: Vec<String>,
}

/// Has the old server mail a code.
pub(crate) async fn send_code(app: &AppState, did: &Did) -> Result<(), Fault> {
    let _turn = app.moves.begin(did)?;
    let under_way = UnderWay::find(app, did).await?;
    let old = under_way.old(app)?;
    let answer = old.post("com.atproto.identity.requestPlcOperationSignature", None).await?;
    answer.map_err(|refusal| refusal.into_fault(&old.name()))?;
    let id = under_way.account.id;
    app.db.write::<_, Fault>(move |tx| Ok(move_in::set_code_sent(tx, id)?)).await
}

/// Does what is left to do.
pub(crate) async fn finish(app: &AppState, given: Finish) -> Result<Finished, Fault> {
    let task = app.clone();
    let finished = async move {
        let turn = task.moves.begin(&given.did)?;
        let under_way = UnderWay::find(&task, &given.did).await?;
        if under_way.stage() == Stage::Copy {
            return Err(Fault::NotUnderWay { did: given.did });
        }
        let old = under_way.old(&task)?;
        if !under_way.account.status.is_active() {
            lead_here(&task, &under_way, &old, &given, &turn.counts).await?;
            account::activate(&task, &under_way.account).await.map_err(|err| not_active(&under_way.account, &err))?;
            tracing::info!(did = %given.did, from = old.name(), "an account moved here");
        }
        leave(&task, &under_way.account, &old).await
    };
    // Also when whoever waits for it goes away.
    let finished = app.to_end(finished).await?;
    crate::tasks::crawl::tell_now(app);
    Ok(finished)
}

/// Lets the DID lead here.
async fn lead_here(
    app: &AppState,
    under_way: &UnderWay,
    old: &OldServer,
    given: &Finish,
    counts: &Arc<Counts>,
) -> Result<(), Fault> {
    let account = &under_way.account;
    if !account.did.is_plc() {
        copy::bring_up_to_date(app, account, old, counts).await?;
        return account::check_did(app, account).await.map_err(|err| not_active(account, &err));
    }
    let operation = if let Some(operation) = under_way.row.operation.clone() {
        operation
    } else {
        let Some(code) = given.code.as_deref().filter(|code| !code.trim().is_empty()) else {
            return Err(Fault::NeedsCode { server: old.name() });
        };
        copy::bring_up_to_date(app, account, old, counts).await?;
        let recovery_key = given.recovery_key.as_deref().map(recovery_key).transpose()?;
        let wanted = identity::wanted(app, account, old, recovery_key.as_ref()).await?;
        let operation = identity::sign(old, &wanted, code).await?;
        keep(app, account, Some(operation.clone())).await?;
        operation
    };
    if !identity::is_in_force(app, &account.did, &operation).await? {
        submit(app, account, operation).await?;
    }
    // What was posted meanwhile.
    copy::bring_up_to_date(app, account, old, counts).await.or_else(|fault| {
        // The DID leads here: nothing that the old server says may hold the account up now.
        tracing::warn!(did = %account.did, error = %fault, "what was written there in the last moment was not copied");
        Ok(())
    })
}

fn recovery_key(text: &str) -> Result<VerifyingKey, Fault> {
    VerifyingKey::from_did_key(text)
        .map_err(|err| Fault::Here { message: format!("the recovery key is no did:key of secp256k1 or P-256: {err}") })
}

async fn keep(app: &AppState, account: &Account, operation: Option<Operation>) -> Result<(), Fault> {
    let id = account.id;
    app.db.write::<_, Fault>(move |tx| Ok(move_in::set_operation(tx, id, operation.as_ref())?)).await
}

async fn submit(app: &AppState, account: &Account, operation: Operation) -> Result<(), Fault> {
    let Err(err) = account::submit_did_change(app, account, operation).await else { return Ok(()) };
    match err {
        DidOperationError::Directory(err) => {
            let fault = match err {
                account::DirectoryError::Client(err) => identity::directory(&err),
                err @ (account::DirectoryError::Tombstoned | account::DirectoryError::RotationKey) => {
                    Fault::Directory { message: err.to_string() }
                }
            };
            if matches!(fault, Fault::Directory { .. }) {
                // It will never be taken. Another one can be signed.
                keep(app, account, None).await?;
            }
            Err(fault)
        }
        err @ (DidOperationError::NotPlc
        | DidOperationError::Limit(_)
        | DidOperationError::Kind
        | DidOperationError::RotationKey
        | DidOperationError::ServiceType
        | DidOperationError::Endpoint
        | DidOperationError::SigningKey
        | DidOperationError::Handle) => {
            keep(app, account, None).await?;
            Err(Fault::Directory { message: err.to_string() })
        }
        err @ (DidOperationError::Code(_)
        | DidOperationError::Secret(_)
        | DidOperationError::Store(_)
        | DidOperationError::Write(_)) => Err(Fault::here(&err)),
    }
}

fn not_active(account: &Account, err: &ActivateError) -> Fault {
    let (did, why) = (account.did.clone(), crate::error::with_causes(err));
    match err {
        ActivateError::Endpoint | ActivateError::SigningKey | ActivateError::Resolve(_) if !did.is_plc() => {
            Fault::DidWeb { did, why }
        }
        ActivateError::Directory(_) | ActivateError::Resolve(_) => {
            Fault::Unreachable { server: "The PLC directory".to_owned(), why }
        }
        ActivateError::NotFound
        | ActivateError::Takendown
        | ActivateError::RotationKey
        | ActivateError::Endpoint
        | ActivateError::SigningKey
        | ActivateError::Secret(_)
        | ActivateError::Store(_)
        | ActivateError::Write(_) => Fault::Here { message: why },
    }
}

/// Deactivates the account on the old server, where everything of it stays, and ends the move.
async fn leave(app: &AppState, account: &Account, old: &OldServer) -> Result<Finished, Fault> {
    let left = old.post("com.atproto.server.deactivateAccount", Some(&json!({}))).await;
    let still_there = match left {
        Ok(Ok(_)) => None,
        Ok(Err(refusal)) => Some(refusal.message),
        Err(fault) => Some(fault.to_string()),
    };
    if let Some(why) = &still_there {
        tracing::warn!(did = %account.did, from = old.name(), why, "the account was not deactivated on its old server");
    }
    old.sign_out().await;
    let id = account.id;
    let (missing_blobs, missing) = app
        .db
        .scan(move |conn| Ok::<_, Fault>((blob::count_missing(conn, id)?, blob::list_missing(conn, id, None, NAMED)?)))
        .await?;
    app.db.write::<_, Fault>(move |tx| Ok(move_in::delete(tx, id)?)).await?;
    Ok(Finished {
        did: account.did.clone(),
        handle: account.handle.clone().unwrap_or_else(Handle::invalid),
        old_server: old.name(),
        still_there,
        missing_blobs,
        missing: missing.into_iter().map(|(cid, path)| format!("{cid} ({path})")).collect(),
    })
}

/// Ends a move that shall not be, with what it brought here. Nothing has changed for the person.
pub(crate) async fn give_up(app: &AppState, did: &Did) -> Result<(), Fault> {
    let _turn = app.moves.begin(did)?;
    let under_way = UnderWay::find(app, did).await?;
    if under_way.account.status.is_active() {
        return Err(Fault::AlreadyHere { did: did.clone() });
    }
    // The operation may be in force, though nobody heard of it: then the DID needs its key.
    if let Some(operation) = &under_way.row.operation
        && identity::is_in_force(app, did, operation).await?
    {
        return Err(Fault::AlreadyHere { did: did.clone() });
    }
    if let Ok(old) = under_way.old(app) {
        old.sign_out().await;
    }
    account::delete(app, &under_way.account).await.map_err(|err| Fault::Here { message: err.describe() })
}
