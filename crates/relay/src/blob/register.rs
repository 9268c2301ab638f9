//! An uploaded blob becomes one of an account.

use common::Cid;

use super::RegisterError;
use super::upload::Stored;
use crate::store::{AccountId, Db, blob};

/// A blob as its account may refer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registered {
    pub(crate) cid: Cid,
    pub(crate) mime_type: String,
    /// In bytes.
    pub(crate) size: u64,
}

/// Gives `account` a blob whose bytes are durable, and returns when its row is.
///
/// Its media type is what its first bytes look like, else `declared`; one that a record refers to keeps the type it has, since
/// references have to state that.
///
/// # Errors
///
/// [`RegisterError::TakenDown`] when a moderator took this blob of the account down.
pub(crate) async fn register(db: &Db, account: AccountId, stored: Stored, declared: &str) -> Result<Registered, RegisterError> {
    let Stored { cid, size, media_type, claim } = stored;
    let mime_type = media_type.unwrap_or(declared).to_owned();
    let permit = db.reserve_write()?;
    let pending = permit.submit(
        move |tx| {
            let row = blob::upsert(tx, account, &blob::NewBlob { cid, mime_type: &mime_type, size })?;
            if row.taken_down {
                return Err(RegisterError::TakenDown);
            }
            Ok(Registered { cid, mime_type: row.mime_type, size })
        },
        // Until here, and not until the caller hears of it: a client that goes away drops this future, not the write.
        move |_| drop(claim),
    );
    pending.await
}
