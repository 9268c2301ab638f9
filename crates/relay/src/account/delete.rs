//! Deleting an account, with everything that it has here.
//!
//! One transaction takes the account away and announces that: from then on it is gone for everyone. What it leaves behind may
//! be a lot, so it goes in slices, between which others write. The `deletion` table remembers what is left to do, for the next
//! start and for [`finish_deletions`].

use std::time::Duration;

use common::{Datetime, Did};

use crate::error::XrpcError;
use crate::firehose::frames;
use crate::state::{App, AppState};
use crate::store::account::{self, Account};
use crate::store::deletion::{self, Deletion, Leftovers};
use crate::store::{AccountId, BatchTx, StoreError, event};

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
    account::delete(tx, id)?;
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
    let rest = tokio::spawn(async move {
        if let Err(err) = finish(&app, deletion).await {
            tracing::error!(error = %err.describe(), "the rest of a deleted account was not deleted; it will be tried again");
        }
    });
    // Not in time is no failure, and one that panics has been logged.
    drop(tokio::time::timeout(PATIENCE, rest).await);
}

/// Goes on with deletions that were cut off, and returns how many rows that took.
pub(crate) async fn finish_deletions(app: AppState) -> Result<usize, XrpcError> {
    let mut deleted = 0;
    for deletion in app.db.read(deletion::list).await? {
        deleted += finish(&app, deletion).await?;
    }
    Ok(deleted)
}

async fn finish(app: &App, deletion: Deletion) -> Result<usize, XrpcError> {
    let mut total = 0;
    for what in Leftovers::ALL {
        loop {
            let slice = move |tx: &mut BatchTx<'_>| Ok::<_, XrpcError>(deletion::delete_leftovers(tx, deletion.account, what, ROWS)?);
            let deleted = app.db.write(slice).await?;
            total += deleted;
            if deleted < ROWS {
                break;
            }
            if app.stop.is_cancelled() {
                return Ok(total);
            }
        }
    }
    // Events have no index by account, for writing it would cost every commit; so a reader looks through them.
    let mut after = 0;
    while let Some((page, last)) = {
        let from = after;
        let read = move |conn: &rusqlite::Connection| event::list_of_account(conn, deletion.account, from, deletion.seq, EVENTS);
        app.db.scan(read).await?
    } {
        after = last;
        for seqs in page.chunks(ROWS) {
            let seqs = seqs.to_vec();
            total += app.db.write::<_, XrpcError>(move |tx| Ok(event::delete_some(tx, &seqs)?)).await?;
        }
        if app.stop.is_cancelled() {
            return Ok(total);
        }
    }
    app.db.write::<_, XrpcError>(move |tx| Ok(deletion::delete(tx, deletion.account)?)).await?;
    Ok(total)
}
