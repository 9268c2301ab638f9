//! After a restore: tells the network that repos went back, and moves DIDs to the server's new address.
//!
//! What consumers saw after the backup is gone, and they would take an older rev for old news. So each repo gets a new commit
//! over the tree that it has, which is announced as its state, whatever was seen before (`#sync`). `seq` goes on above all that
//! was sent, since it starts at a floor that follows the clock; a restore refuses a clock that is behind the backup.

use std::time::Duration;

use common::Datetime;
use crypto::plc::{Service, UnsignedOperation};
use serde::{Deserialize, Serialize};

use crate::error::XrpcError;
use crate::firehose::frames;
use crate::state::AppState;
use crate::store::account::{self, Account, Status};
use crate::store::{AccountId, meta};

/// Name in `meta` of the word that a restore leaves.
pub(super) const MARK: &str = "restored";
const AT_A_TIME: usize = 100;
/// The first wait before accounts that failed are tried again, doubled with each round.
const FIRST_RETRY: Duration = Duration::from_secs(30);
const LAST_RETRY: Duration = Duration::from_secs(3600);

/// The word that a restore leaves for the next start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Mark {
    restored_at: i64,
    /// The moment that the restored data are of.
    through: i64,
    /// The address that the server had.
    public_url: String,
    /// The address that it moves to.
    move_to: Option<String>,
    /// Accounts up to this one were announced.
    done: i64,
}

impl Mark {
    pub(super) fn new(restored_at: i64, through: i64, public_url: &str, move_to: Option<String>) -> Self {
        Self { restored_at, through, public_url: public_url.to_owned(), move_to, done: 0 }
    }
}

/// Does what is to be done after a restore, if there was one. It goes on where it was when the server stopped.
pub(crate) async fn announce(app: AppState) {
    let stop = app.stop.clone();
    stop.run_until_cancelled(async {
        let mut retry = FIRST_RETRY;
        loop {
            match run(&app).await {
                Ok(0) => return,
                Ok(failed) => tracing::warn!(failed, "accounts could not be announced after the restore; they are tried again"),
                Err(err) => tracing::error!(error = %err.describe(), "the restore could not be announced; it is tried again"),
            }
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(LAST_RETRY);
        }
    })
    .await;
}

/// Announces the accounts that are left, and returns how many failed.
async fn run(app: &AppState) -> Result<usize, XrpcError> {
    let Some(json) = app.db.read(|conn| meta::find(conn, MARK)).await.map_err(XrpcError::from)? else { return Ok(0) };
    let mut mark: Mark = serde_json::from_slice(&json).map_err(XrpcError::internal)?;
    let here = app.config.server.public_url.as_str();
    let moves = mark.move_to.as_deref() == Some(here);
    if !moves && mark.public_url != here {
        // A copy to look at must not speak for the server.
        tracing::warn!(
            was = mark.public_url,
            is = here,
            "this is a restored copy of a server at another address, and does not announce itself. If the server moves here, \
             restore it again with --move-to and this address"
        );
        return Ok(0);
    }
    tracing::info!(through = super::report::time(mark.through), moves, "announcing what was restored");
    let (mut announced, mut failed) = (0, 0);
    loop {
        let after = AccountId(mark.done);
        let some = app.db.read(|conn| account::list(conn, after, AT_A_TIME)).await.map_err(XrpcError::from)?;
        for account in &some {
            match announce_account(app, account, moves).await {
                Ok(()) => announced += 1,
                Err(err) => {
                    tracing::warn!(did = %account.did, error = %err.describe(), "an account was not announced");
                    failed += 1;
                }
            }
            mark.done = account.id.0;
        }
        // With failures the next round begins from the start: announcing twice does no harm.
        if failed == 0 {
            save(app, &mark).await?;
        }
        if some.len() < AT_A_TIME {
            break;
        }
    }
    if failed == 0 {
        let removed = app.db.write(|tx| meta::delete(tx, MARK).map_err(XrpcError::from));
        removed.await?;
        tracing::info!(announced, "the restored accounts were announced");
    }
    Ok(failed)
}

async fn save(app: &AppState, mark: &Mark) -> Result<(), XrpcError> {
    let json = serde_json::to_vec(mark).map_err(XrpcError::internal)?;
    app.db.write(move |tx| meta::set(tx, MARK, &json).map_err(XrpcError::from)).await
}

async fn announce_account(app: &AppState, account: &Account, moves: bool) -> Result<(), XrpcError> {
    if moves && account.did.is_plc() && !move_did(app, account).await? {
        // It lives elsewhere by now; the task that finds such accounts deactivates it.
        return Ok(());
    }
    let (id, row) = (account.id, account.clone());
    let told = app.db.write(move |tx| {
        let time = Datetime::from_millis(tx.now_millis());
        tx.emit(id, &frames::identity(&row.did, row.handle.as_ref(), time.as_str()))?;
        tx.emit(id, &frames::account(&row.did, row.status, time.as_str()))?;
        Ok::<_, XrpcError>(())
    });
    told.await?;
    match account.status {
        Status::Active => app.repos.renew(account.id, &account.did).await.map_err(XrpcError::from),
        Status::Takendown | Status::Suspended | Status::Deactivated => Ok(()),
    }
}

/// Makes a did:plc lead to this server; `false` when it leads elsewhere, with a key that is not ours.
async fn move_did(app: &AppState, account: &Account) -> Result<bool, XrpcError> {
    const PDS: &str = "atproto_pds";
    let _turn = app.did_turns.take(account.id).await;
    let plc = app.identity.plc();
    let last = plc.last_operation(&account.did).await.map_err(XrpcError::from)?;
    let Some(data) = last.data(&account.did) else { return Ok(false) };
    let sealed = app.db.read(|conn| account::sealed_signing_key(conn, account.id)).await.map_err(XrpcError::from)?;
    let key = app.secrets.open_signing_key(&account.did, &sealed).map_err(XrpcError::internal)?;
    if data.verification_methods.get("atproto") != Some(&key.verifying_key().to_did_key()) {
        return Ok(false);
    }
    let here = app.config.server.public_url.as_str();
    if data.services.get(PDS).is_some_and(|service| service.endpoint == here) {
        return Ok(true);
    }
    let rotation_key = app.secrets.rotation_key();
    if !data.rotation_keys.contains(&rotation_key.verifying_key().to_did_key()) {
        let did = &account.did;
        return Err(XrpcError::invalid_request(format!(
            "{did} cannot be moved: its owner took this server's rotation key away"
        )));
    }
    let mut next = data.next_operation(last.cid());
    let service = Service { r#type: "AtprotoPersonalDataServer".to_owned(), endpoint: here.to_owned() };
    next.services.insert(PDS.to_owned(), service);
    let operation = UnsignedOperation::Plc(next).sign(rotation_key);
    plc.submit(&account.did, &operation).await.map_err(XrpcError::from)?;
    app.identity.forget_did(&account.did);
    Ok(true)
}
