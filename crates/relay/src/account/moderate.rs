//! Taking accounts, records and blobs down, and putting them back.
//!
//! A decision and what the network is told of it are one transaction, which also ends the sessions of an account that is taken
//! down; a session that begins, or a commit that is written, looks at the account in its own transaction. So after the event
//! there is neither.

use common::{Cid, Datetime, Did};
use repo_engine::Key;

use super::status::{announce_return, announce_status};
use crate::error::XrpcError;
use crate::state::App;
use crate::store::account::{self, Status};
use crate::store::{AccountId, BatchTx, StoreError, WriteFailed, blob, record, session, standing};

/// Why a decision was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModerateError {
    #[error("Subject not found")]
    NotFound,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<ModerateError> for XrpcError {
    fn from(err: ModerateError) -> Self {
        match err {
            ModerateError::NotFound => Self::bad_request("NotFound", err.to_string()),
            ModerateError::Store(err) => err.into(),
            ModerateError::Write(err) => err.into(),
        }
    }
}

/// A decision on a takedown.
#[derive(Clone, Debug)]
pub(crate) enum Takedown {
    /// With the moderator's reference, or else the time of the decision.
    Apply(Option<String>),
    Reverse,
}

impl Takedown {
    /// Returns what is stored: the reference, or nothing.
    fn reference(self, now_millis: i64) -> Option<String> {
        match self {
            Self::Apply(Some(reference)) => Some(reference),
            Self::Apply(None) => Some(Datetime::from_millis(now_millis).to_string()),
            Self::Reverse => None,
        }
    }
}

/// Decides on an account: its takedown, and whether it is deactivated; and announces its status, also when nothing changes.
pub(crate) async fn judge_account(
    app: &App,
    did: Did,
    takedown: Option<Takedown>,
    deactivated: Option<bool>,
) -> Result<(), ModerateError> {
    let status = app
        .db
        .write::<_, ModerateError>(move |tx| {
            let before = account::find_by_did(tx, &did)?.ok_or(ModerateError::NotFound)?;
            let (id, now) = (before.id, tx.now_millis());
            if let Some(takedown) = takedown {
                let reference = takedown.reference(now);
                standing::set_takedown(tx, id, reference.as_deref())?;
                if reference.is_some() {
                    session::delete_all(tx, id)?;
                }
            }
            match deactivated {
                Some(true) => {
                    account::deactivate(tx, id, now, None)?;
                    crate::oauth::end_sessions(tx, id)?;
                }
                Some(false) => account::activate(tx, id)?,
                None => {}
            }
            let after = account::find(tx, id)?.ok_or(ModerateError::NotFound)?;
            announce_status(tx, &after)?;
            if before.status == Status::Deactivated && after.status.is_active() {
                announce_return(tx, &after)?;
            }
            Ok((after.did, after.status))
        })
        .await?;
    tracing::info!(did = %status.0, status = status.1.as_str().unwrap_or("active"), "account moderated");
    Ok(())
}

/// Hides a record of an account from readers of records, or shows it again. The repo stays as it is signed.
pub(crate) async fn judge_record(app: &App, did: Did, key: Key, takedown: Takedown) -> Result<(), ModerateError> {
    app.db
        .write(move |tx| {
            let id = subject(tx, &did)?;
            let reference = takedown.reference(tx.now_millis());
            let found = record::set_takedown(tx, id, &key, reference.as_deref())?;
            if found { Ok(()) } else { Err(ModerateError::NotFound) }
        })
        .await
}

/// Withholds a blob of an account, or gives it out again.
pub(crate) async fn judge_blob(app: &App, did: Did, cid: Cid, takedown: Takedown) -> Result<(), ModerateError> {
    app.db
        .write(move |tx| {
            let id = subject(tx, &did)?;
            let reference = takedown.reference(tx.now_millis());
            let found = blob::set_takedown(tx, id, &cid, reference.as_deref())?;
            if found { Ok(()) } else { Err(ModerateError::NotFound) }
        })
        .await
}

fn subject(tx: &BatchTx<'_>, did: &Did) -> Result<AccountId, ModerateError> {
    Ok(account::find_by_did(tx, did)?.ok_or(ModerateError::NotFound)?.id)
}
