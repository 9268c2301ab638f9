//! Deleting an account, with everything that it has here.
//!
//! One transaction takes the account away and announces that: from then on it is gone for everyone. What it leaves behind may
//! be a lot, so it goes in slices, between which others write. The tables `unused_repo` and `deletion` remember what is left to
//! do, for the next start and for [`finish_deletions`].

use std::time::Duration;

use common::{Datetime, Did};
use tokio::time::Instant;

use super::email_token::{WrongCode, take_code};
use super::password::{MAX_CHARS, PasswordsError, Verdict};
use super::session::FAILURE_TAKES;
use crate::error::XrpcError;
use crate::firehose::frames;
use crate::state::{App, AppState};
use crate::store::account::{self, Account};
use crate::store::deletion::{self, Deletion};
use crate::store::email_token::Purpose;
use crate::store::{AccountId, BatchTx, StoreError, WriteFailed, event, repo, unused_repo};

/// Rows that one transaction deletes.
const ROWS: usize = 500;
/// Events that one read looks through.
const EVENTS: usize = 20_000;
/// How long a caller waits for what the account leaves behind to be deleted as well.
const PATIENCE: Duration = Duration::from_secs(5);

/// Deletes an account: the account, its sessions, codes and keys at once; its records, blobs and older events soon after. The
/// DID stays as it is, for its owner to take elsewhere.
pub(crate) async fn delete(app: &AppState, account: &Account) -> Result<(), XrpcError> {
    let (id, did) = (account.id, account.did.clone());
    let deletion = app.db.write::<_, XrpcError>(move |tx| Ok(remove(tx, id, &did)?)).await?;
    finish_soon(app, deletion, &account.did).await;
    Ok(())
}

/// Takes the account away and announces it, within a transaction that may have checked more.
pub(super) fn remove(tx: &mut BatchTx<'_>, id: AccountId, did: &Did) -> Result<Deletion, StoreError> {
    let number = repo::number(tx, id)?;
    account::delete(tx, id)?;
    if let Some(number) = number {
        unused_repo::insert(tx, number, id)?;
    }
    let time = Datetime::from_millis(tx.now_millis());
    let seq = tx.emit(id, &frames::account_deleted(did, time.as_str()))?;
    let deletion = Deletion { account: id, seq };
    deletion::insert(tx, deletion)?;
    Ok(deletion)
}

/// Deletes what a removed account leaves behind, and comes back when that is done or has taken a while; then it goes on by
/// itself.
pub(super) async fn finish_soon(app: &AppState, deletion: Deletion, did: &Did) {
    tracing::info!(%did, "account deleted");
    app.repos.forget(deletion.account);
    app.firehose.forget(deletion.account, deletion.seq);
    let app = app.clone();
    let work = app.work.clone();
    let rest = work.spawn(async move {
        if let Err(err) = finish(&app, deletion).await {
            tracing::error!(error = %err.describe(), "the rest of a deleted account was not deleted; it will be tried again");
        }
    });
    // Not in time is no failure, and one that panics has been logged.
    drop(tokio::time::timeout(PATIENCE, rest).await);
}

/// Goes on with deletions that were cut off, and returns how many rows that took.
pub(crate) async fn finish_deletions(app: AppState) -> Result<usize, XrpcError> {
    let mut deleted = app.repos.sweep(&app.stop).await?;
    for deletion in app.db.read(deletion::list).await? {
        deleted += finish(&app, deletion).await?;
    }
    Ok(deleted)
}

async fn finish(app: &App, deletion: Deletion) -> Result<usize, XrpcError> {
    // First the references, so that those to blobs are gone when these are given up.
    let mut total = app.repos.sweep(&app.stop).await?;
    loop {
        if app.stop.is_cancelled() {
            return Ok(total);
        }
        let slice = move |tx: &mut BatchTx<'_>| Ok::<_, XrpcError>(deletion::give_blobs_up(tx, deletion.account, ROWS)?);
        let given_up = app.db.write_many(slice).await?;
        total += given_up;
        if given_up < ROWS {
            break;
        }
    }
    // Events have no index by account, for writing it would cost every commit; so a reader looks through them.
    let mut after = 0;
    while let Some((page, last)) = {
        let from = after;
        let read =
            move |conn: &rusqlite::Connection| event::list_of_account(conn, deletion.account, from, deletion.seq, EVENTS);
        app.db.scan(read).await?
    } {
        after = last;
        for seqs in page.chunks(ROWS) {
            let seqs = seqs.to_vec();
            total += app.db.write_many::<_, XrpcError>(move |tx| Ok(event::delete_some(tx, &seqs)?)).await?;
        }
        if app.stop.is_cancelled() {
            return Ok(total);
        }
    }
    app.db.write::<_, XrpcError>(move |tx| Ok(deletion::delete(tx, deletion.account)?)).await?;
    Ok(total)
}

/// Why an account was not deleted for someone who says that it is theirs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeleteError {
    #[error("Invalid did or password")]
    Credentials,
    #[error(transparent)]
    Code(#[from] WrongCode),
    #[error("the password could not be checked")]
    Passwords(#[source] PasswordsError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

impl From<DeleteError> for XrpcError {
    fn from(err: DeleteError) -> Self {
        match err {
            DeleteError::Credentials => Self::unauthorized("AuthenticationRequired", err.to_string()),
            DeleteError::Code(err) => err.into(),
            DeleteError::Passwords(err) => err.into(),
            DeleteError::Store(err) => err.into(),
            DeleteError::Write(err) => err.into(),
        }
    }
}

/// Deletes an account for who knows its password and has a code from its mail.
///
/// # Errors
///
/// [`DeleteError::Credentials`] whether the account or the password is wrong.
pub(crate) async fn delete_own(app: &AppState, did: Did, password: &str, code: String) -> Result<(), DeleteError> {
    let began = Instant::now();
    let account = match check_password(app, &did, password).await {
        Err(DeleteError::Credentials) => {
            tokio::time::sleep_until(began + FAILURE_TAKES).await;
            return Err(DeleteError::Credentials);
        }
        checked => checked?,
    };
    let (secrets, owner) = (app.secrets.clone(), did.clone());
    let removed = app.db.write::<_, DeleteError>(move |tx| {
        // Taken within the transaction: if the account cannot be removed, the code is good still.
        Ok(match take_code(tx, &secrets, account, Purpose::DeleteAccount, &code)? {
            Ok(()) => Ok(remove(tx, account, &owner)?),
            Err(wrong) => Err(wrong),
        })
    });
    let deletion = removed.await??;
    finish_soon(app, deletion, &did).await;
    Ok(())
}

async fn check_password(app: &App, did: &Did, password: &str) -> Result<AccountId, DeleteError> {
    if password.chars().count() > MAX_CHARS {
        return Err(DeleteError::Credentials);
    }
    let find = |conn: &rusqlite::Connection| {
        let Some(found) = account::find_by_did(conn, did)? else { return Ok::<_, StoreError>(None) };
        Ok(Some((found.id, account::password_hash(conn, found.id)?)))
    };
    let found = app.db.read(find).await?;
    let stored = found.as_ref().and_then(|(_, hash)| hash.clone());
    match (app.passwords.verify(password, stored).await.map_err(DeleteError::Passwords)?, found) {
        (Verdict::Right | Verdict::RightWithNewHash(_), Some((id, _))) => Ok(id),
        (Verdict::Right | Verdict::RightWithNewHash(_) | Verdict::Wrong, _) => Err(DeleteError::Credentials),
    }
}
