//! The blobs that the records name, one by one.

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::Cid;
use futures_util::{StreamExt as _, stream};

use super::progress::Counts;
use super::{Fault, OldServer};
use crate::blob::{self, BlobError, CollectError, RegisterError};
use crate::state::AppState;
use crate::store::account::Account;
use crate::store::blob as blobs;
use crate::verify::mend::declared_type;

/// Blobs that are fetched at once.
const AT_ONCE: usize = 4;
/// Missing blobs that are looked up at a time.
const PAGE: usize = 200;
/// The most bytes of one, if this server takes no larger ones from apps: what another took may be larger.
const MAX_BYTES: u64 = 1 << 30;
/// How often one is asked for, and how long is waited at most when the server wants that.
const TRIES: u32 = 4;
const MAX_WAIT: Duration = Duration::from_secs(60);
/// How long one may take.
const WHOLE: Duration = Duration::from_secs(1800);

/// Why a blob is not here.
enum Lost {
    /// The old server does not have it, or something else under its name.
    Gone(String),
    /// It cannot be had at this moment.
    Fault(Fault),
}

impl From<Fault> for Lost {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<BlobError> for Lost {
    fn from(err: BlobError) -> Self {
        match err {
            BlobError::TooLarge { limit } => Self::Gone(format!("it has more than {limit} bytes")),
            err => Self::Fault(Fault::here(&err)),
        }
    }
}

/// Fetches the blobs that are not here. What the old server does not have is gone by: it stays on the list of missing blobs.
pub(super) async fn fetch_missing(app: &AppState, account: &Account, old: &OldServer, counts: &Counts) -> Result<(), Fault> {
    let id = account.id;
    let missing = app.db.scan(move |conn| blobs::count_missing(conn, id)).await?;
    counts.blobs.store(0, Ordering::Relaxed);
    counts.blobs_of.store(missing, Ordering::Relaxed);
    let mut after: Option<Cid> = None;
    loop {
        let page = app.db.scan(move |conn| blobs::list_missing(conn, id, after.as_ref(), PAGE)).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(*last);
        let fetched = stream::iter(page).map(|(cid, _)| async move { (cid, fetch(app, account, old, cid).await) });
        let mut fetched = std::pin::pin!(fetched.buffer_unordered(AT_ONCE));
        while let Some((cid, fetched)) = fetched.next().await {
            match fetched {
                Ok(()) => {
                    counts.blobs.fetch_add(1, Ordering::Relaxed);
                }
                Err(Lost::Gone(why)) => {
                    tracing::warn!(did = %account.did, %cid, from = old.name(), why, "a blob does not come along");
                }
                Err(Lost::Fault(fault)) => return Err(fault),
            }
        }
    }
}

async fn fetch(app: &AppState, account: &Account, old: &OldServer, cid: Cid) -> Result<(), Lost> {
    let mut tries = 1;
    loop {
        let fetched = tokio::time::timeout(WHOLE, fetch_once(app, account, old, cid)).await;
        let too_slow = |_| {
            let why = format!("the blob {cid} did not come in time");
            Err(Lost::Fault(Fault::Unreachable { server: old.name(), why }))
        };
        let fault = match fetched.unwrap_or_else(too_slow) {
            Err(Lost::Fault(fault)) if fault.may_pass() && tries < TRIES => fault,
            done => return done,
        };
        let wanted = match fault {
            Fault::RateLimited { seconds: Some(seconds), .. } => Duration::from_secs(seconds),
            _ => Duration::from_secs(1 << tries),
        };
        tokio::time::sleep(wanted.min(MAX_WAIT)).await;
        tries += 1;
    }
}

async fn fetch_once(app: &AppState, account: &Account, old: &OldServer, cid: Cid) -> Result<(), Lost> {
    let name = cid.to_string();
    let params = [("did", account.did.as_str()), ("cid", name.as_str())];
    let mut response = match old.stream("com.atproto.sync.getBlob", &params).await? {
        Ok(response) => response,
        Err(refusal) => {
            return Err(match refusal.into_fault(&old.name()) {
                Fault::Refused { message, .. } => Lost::Gone(message),
                fault => Lost::Fault(fault),
            });
        }
    };
    let limit = MAX_BYTES.max(app.config.limits.blob_upload_bytes);
    let mut upload = app.blobs.begin(limit, response.content_length())?;
    let broke_off = |err: reqwest::Error| Fault::Unreachable { server: old.name(), why: err.without_url().to_string() };
    while let Some(chunk) = response.chunk().await.map_err(broke_off)? {
        upload.write(&chunk).await?;
    }
    let stored = upload.finish().await?;
    if stored.cid != cid {
        let other = stored.cid;
        drop(stored);
        let is_used = app.db.read(|conn| blobs::exists_anywhere(conn, &other).map_err(CollectError::from));
        app.blobs.remove_unless(&other, is_used).await.map_err(|err| Fault::here(&err))?;
        return Err(Lost::Gone("the old server has other bytes under its name".to_owned()));
    }
    let owner = account.clone();
    let declared = app.db.scan(move |conn| declared_type(conn, &owner, &cid)).await.map_err(Fault::from)?;
    match blob::register(&app.db, account.id, stored, &declared).await {
        // One that was taken down here, when the account was here before, stays so.
        Ok(_) | Err(RegisterError::TakenDown) => Ok(()),
        Err(err) => Err(Lost::Fault(Fault::here(&err))),
    }
}
