//! The end of a move: the DID leads here, the account is active here and not there.

use std::sync::Arc;
use std::time::Duration;

use common::{Clock as _, Did, Handle};
use crypto::VerifyingKey;
use crypto::plc::Operation;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::progress::Counts;
use super::{Fault, NAMED, OldServer, Stage, UnderWay, copy, identity};
use crate::account::{self, ActivateError, DidOperationError};
use crate::error::XrpcError;
use crate::state::AppState;
use crate::store::account::{self as accounts, Account};
use crate::store::{blob, move_in};

/// How long is waited for what was written there in the last moment, when the DID leads here already.
const LAST_LOOK: Duration = Duration::from_secs(600);
/// For how long it is tried to deactivate an account on its old server, whose session is kept for that.
const LEAVE_WITHIN: Duration = Duration::from_secs(7 * 24 * 3600);
/// Moves that one turn of [`end_moves`] ends.
const ENDED_AT_A_TIME: usize = 20;

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
    pub(crate) still_there: Option<StillThere>,
    pub(crate) missing_blobs: u64,
    /// Some of these.
    pub(crate) missing: Vec<String>,
}

/// Why an account is active on its old server still.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StillThere {
    pub(crate) why: String,
    /// Whether the person has to sign in there again; else it is tried again by itself.
    pub(crate) session_over: bool,
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
        let under_way = find(&task, &given.did).await?;
        let old = under_way.old(&task)?;
        if !under_way.has_arrived() {
            tokio::select! {
                () = task.stop.cancelled() => return Err(Fault::Stopping),
                led = lead_here(&task, &under_way, &old, &given, &turn.counts) => led?,
            }
            account::activate(&task, &under_way.account).await.map_err(|err| not_active(&under_way.account, &err))?;
            tracing::info!(did = %given.did, from = old.name(), "an account moved here");
        }
        let id = under_way.account.id;
        task.db.write::<_, Fault>(move |tx| Ok(move_in::set_arrived(tx, id)?)).await?;
        leave(&task, &under_way, &old).await
    };
    // Also when whoever waits for it goes away.
    let finished = app.to_end(finished).await?;
    crate::tasks::crawl::tell_now(app);
    Ok(finished)
}

/// Finds a move that can be ended.
async fn find(app: &AppState, did: &Did) -> Result<UnderWay, Fault> {
    match UnderWay::find(app, did).await {
        Ok(under_way) if under_way.stage() == Stage::Copy => Err(Fault::NotUnderWay { did: did.clone() }),
        // It was ended meanwhile.
        Err(Fault::NotUnderWay { .. }) if arrived(app, did).await.is_some() => Err(Fault::AlreadyHere { did: did.clone() }),
        found => found,
    }
}

/// Returns an account that is active here, with its handle.
pub(crate) async fn arrived(app: &AppState, did: &Did) -> Option<(Did, Handle)> {
    let account = app.db.read(|conn| accounts::find_by_did(conn, did)).await.ok()??;
    account.status.is_active().then(|| (account.did, account.handle.unwrap_or_else(Handle::invalid)))
}

/// Ends the moves of which nothing more is asked of anybody, and returns how many those were: what cut them off, the machine
/// losing power or the directory or the old server being away, may be over. The owner would have the account nowhere meanwhile.
pub(crate) async fn end_moves(app: AppState) -> Result<usize, XrpcError> {
    let mut ended = 0;
    for did in app.db.read(|conn| move_in::list_to_end(conn, ENDED_AT_A_TIME)).await.map_err(XrpcError::from)? {
        if app.stop.is_cancelled() {
            break;
        }
        match finish(&app, Finish { did: did.clone(), code: None, recovery_key: None }).await {
            Ok(Finished { still_there: None, .. }) => ended += 1,
            // Told where it happened, or somebody else ends it.
            Ok(Finished { still_there: Some(_), .. }) | Err(Fault::Busy | Fault::Stopping | Fault::AlreadyHere { .. }) => {}
            Err(fault) => tracing::warn!(%did, error = %fault, "a move here could not be ended; it is tried again"),
        }
    }
    Ok(ended)
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
        if let Err(err) = account::check_did(app, account).await {
            // So that little is left to copy when it does.
            copy::bring_up_to_date(app, account, old, counts).await?;
            return Err(not_active(account, &err));
        }
        last_look(app, account, old, counts).await;
        return Ok(());
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
    last_look(app, account, old, counts).await;
    Ok(())
}

/// Copies what was written there until the DID led here. Nothing that the old server says may hold the account up now.
async fn last_look(app: &AppState, account: &Account, old: &OldServer, counts: &Arc<Counts>) {
    let looked = tokio::time::timeout(LAST_LOOK, copy::bring_up_to_date(app, account, old, counts)).await;
    let error = match looked {
        Ok(Ok(())) => return,
        Ok(Err(fault)) => fault.to_string(),
        Err(_) => "it takes too long".to_owned(),
    };
    tracing::warn!(did = %account.did, error, "what was written there in the last moment was not copied");
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

/// Deactivates the account on the old server, where everything of it stays, and ends the move. What the old server does not do
/// now is asked of it again, for a while.
async fn leave(app: &AppState, under_way: &UnderWay, old: &OldServer) -> Result<Finished, Fault> {
    let account = &under_way.account;
    let left = old.post("com.atproto.server.deactivateAccount", Some(&json!({}))).await;
    let still_there = match left {
        Ok(Ok(_)) => None,
        Ok(Err(refusal)) => Some(refusal.into_fault(&old.name())),
        Err(fault) => Some(fault),
    };
    let still_there = still_there
        .map(|fault| StillThere { session_over: matches!(fault, Fault::SessionOver { .. }), why: fault.to_string() });
    let waited = app.clock.millis() - under_way.row.arrived_at.unwrap_or_else(|| app.clock.millis());
    let is_over = still_there.is_none() || u128::try_from(waited).is_ok_and(|waited| waited > LEAVE_WITHIN.as_millis());
    if let Some(StillThere { why, .. }) = &still_there {
        let from = old.name();
        tracing::warn!(did = %account.did, from, why, given_up = is_over, "the account was not deactivated on its old server");
    }
    let id = account.id;
    let (missing_blobs, missing) = app
        .db
        .scan(move |conn| Ok::<_, Fault>((blob::count_missing(conn, id)?, blob::list_missing(conn, id, None, NAMED)?)))
        .await?;
    if is_over {
        old.sign_out().await;
        app.db.write::<_, Fault>(move |tx| Ok(move_in::delete(tx, id)?)).await?;
    }
    Ok(Finished {
        did: account.did.clone(),
        handle: account.handle.clone().unwrap_or_else(Handle::invalid),
        old_server: old.name(),
        still_there,
        missing_blobs,
        missing: missing.into_iter().map(|(cid, path)| format!("{cid} ({path})")).collect(),
    })
}

/// Ends a move that shall not be. The account goes again, unless it was here before. Nothing has changed for the person.
pub(crate) async fn give_up(app: &AppState, did: &Did) -> Result<(), Fault> {
    let _turn = app.moves.begin(did)?;
    let under_way = UnderWay::find(app, did).await?;
    if under_way.has_arrived() {
        return Err(Fault::AlreadyHere { did: did.clone() });
    }
    // The operation may be in force, or come into force when it was long on its way: then the DID needs the key here.
    if under_way.row.operation.is_some() {
        return Err(Fault::TooLate);
    }
    if let Ok(old) = under_way.old(app) {
        old.sign_out().await;
    }
    if under_way.row.was_here {
        let id = under_way.account.id;
        return app.db.write::<_, Fault>(move |tx| Ok(move_in::delete(tx, id)?)).await;
    }
    account::delete(app, &under_way.account).await.map_err(|err| Fault::Here { message: err.describe() })
}
