//! Repo, blobs and preferences.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use common::Did;
use futures_util::TryStreamExt as _;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::progress::Counts;
use super::{Fault, OldServer, State, UnderWay, blobs};
use crate::auth::RepoGrant;
use crate::repo::{ImportError, StagingError};
use crate::state::AppState;
use crate::store::account::Account;
use crate::store::{move_in, preference};
use crate::xrpc::app_bsky::actor::put_preferences;

/// How often the repo is asked for when the connection breaks, and how long is waited before.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(2);

/// Copies what is not here yet.
pub(crate) async fn copy(app: &AppState, did: &Did) -> Result<State, Fault> {
    let (task, owner) = (app.clone(), did.clone());
    let copied = async move {
        let turn = task.moves.begin(&owner)?;
        let under_way = UnderWay::find(&task, &owner).await?;
        let old = under_way.old(&task)?;
        tokio::select! {
            () = task.stop.cancelled() => Err(Fault::Stopping),
            done = copy_all(&task, &under_way, &old, &turn.counts) => done,
        }
    };
    // Also when whoever waits for it goes away.
    app.to_end(copied).await?;
    super::state(app, did).await
}

async fn copy_all(app: &AppState, under_way: &UnderWay, old: &OldServer, counts: &Arc<Counts>) -> Result<(), Fault> {
    let account = &under_way.account;
    if under_way.has_arrived() {
        return Ok(());
    }
    bring_up_to_date(app, account, old, counts).await?;
    if under_way.row.copied_at.is_none() {
        copy_preferences(app, account, old).await?;
        let id = account.id;
        app.db.write::<_, Fault>(move |tx| Ok(move_in::set_copied(tx, id)?)).await?;
        tracing::info!(did = %account.did, from = old.name(), "an account that moves here was copied");
    }
    Ok(())
}

/// Copies the repo, unless it is as it was when it was copied last, and the blobs that are not here.
pub(super) async fn bring_up_to_date(
    app: &AppState,
    account: &Account,
    old: &OldServer,
    counts: &Arc<Counts>,
) -> Result<(), Fault> {
    let id = account.id;
    let copied = app.db.read(|conn| move_in::find(conn, id)).await?.and_then(|row| row.copied_rev);
    // Before the repo, which then is at least as new.
    let rev = rev_of(old).await?;
    if rev.is_none() || rev != copied {
        let mut tries = 1;
        while let Err(fault) = copy_repo(app, account, old, counts).await {
            if !fault.may_pass() || tries == TRIES {
                return Err(fault);
            }
            tracing::warn!(did = %account.did, error = %fault, "the repo did not come whole; it is asked for again");
            tokio::time::sleep(PAUSE * tries).await;
            tries += 1;
        }
        app.db.write::<_, Fault>(move |tx| Ok(move_in::set_copied_rev(tx, id, rev.as_deref())?)).await?;
    }
    blobs::fetch_missing(app, account, old, counts).await
}

/// Returns the rev of the repo there; `None` when the server does not tell.
async fn rev_of(old: &OldServer) -> Result<Option<String>, Fault> {
    #[derive(Deserialize)]
    struct Output {
        rev: String,
    }
    match old.get("com.atproto.sync.getLatestCommit", &[("did", old.did.as_str())]).await? {
        Ok(answer) => Ok(Some(old.server.parse::<Output>(&answer)?.rev)),
        Err(refusal) => match refusal.into_fault(&old.name()) {
            Fault::Refused { .. } => Ok(None),
            fault => Err(fault),
        },
    }
}

async fn copy_repo(app: &AppState, account: &Account, old: &OldServer, counts: &Arc<Counts>) -> Result<(), Fault> {
    let grant = RepoGrant::for_arrival(account).map_err(|err| Fault::Here { message: err.message().to_owned() })?;
    let response = old.stream("com.atproto.sync.getRepo", &[("did", old.did.as_str())]).await?;
    let response = response.map_err(|refusal| refusal.into_fault(&old.name()))?;
    counts.repo_bytes.store(0, Ordering::Relaxed);
    let counted = Arc::clone(counts);
    let chunks = response.bytes_stream().inspect_ok(move |chunk| {
        counted.repo_bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
    });
    let received = app.imports.receive(Body::from_stream(chunks), app.config.limits.import_bytes).await;
    let fault = |err: ImportError| import_fault(old, &err);
    let checked = received.map_err(fault)?.check(app, &grant).await.map_err(fault)?;
    crate::repo::import(app, grant, checked).await.map_err(fault)?;
    Ok(())
}

fn import_fault(old: &OldServer, err: &ImportError) -> Fault {
    let server = old.name();
    let message = crate::error::with_causes(err);
    match err {
        ImportError::Busy | ImportError::Stalled | ImportError::Body(_) => Fault::Unreachable { server, why: message },
        ImportError::TooLarge { limit } => Fault::TooLarge { limit: *limit },
        ImportError::Staging(StagingError::File(_))
        | ImportError::Resolve(_)
        | ImportError::Directory(_)
        | ImportError::Key(_)
        | ImportError::Repo(_)
        | ImportError::Store(_)
        | ImportError::Write(_) => Fault::Here { message },
        ImportError::Staging(
            StagingError::Car(_) | StagingError::TooManyBlocks | StagingError::Roots | StagingError::Node(_),
        )
        | ImportError::NoCommit
        | ImportError::Commit(_)
        | ImportError::OtherDid { .. }
        | ImportError::Signature(_)
        | ImportError::Tree(_)
        | ImportError::NotCanonical
        | ImportError::MissingRecord { .. }
        | ImportError::BadRecord { .. } => Fault::BadRepo { server, message },
    }
}

/// Copies the preferences of apps. A server that has none to give does not hold the move up.
async fn copy_preferences(app: &AppState, account: &Account, old: &OldServer) -> Result<(), Fault> {
    #[derive(Deserialize)]
    struct Output {
        preferences: Vec<Box<RawValue>>,
    }
    let answer = match old.get("app.bsky.actor.getPreferences", &[]).await? {
        Ok(answer) => answer,
        Err(refusal) => match refusal.into_fault(&old.name()) {
            Fault::Refused { message, .. } => {
                tracing::warn!(did = %account.did, message, "the old server gave no preferences");
                return Ok(());
            }
            fault => return Err(fault),
        },
    };
    let preferences = put_preferences::of_account(&old.server.parse::<Output>(&answer)?.preferences);
    let id = account.id;
    app.db.write::<_, Fault>(move |tx| Ok(preference::replace(tx, id, &preferences)?)).await
}
