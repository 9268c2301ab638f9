//! Whose a place is.
//!
//! Two servers in one place would each remove what the other needs: old backups, and pieces that none of its own has. So a place
//! belongs to the server that first writes there, which is known by a number in its database and leaves it in the place.
//!
//! A restored database gets a number of its own, and the word whom it follows: it takes over the places of that one, without being
//! told, and the server that it was made from, should it still run somewhere, is refused from then on.

use data_encoding::HEXLOWER;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::{BackupError, Place, report};
use crate::store::{Db, StoreError, meta};

/// The object that says it.
pub(super) const OWNER: &str = "owner.json";
/// Name of the number in `meta`.
const INSTANCE: &str = "backup_instance";
const MAX_BYTES: usize = 64 << 10;

/// A server, as places know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Instance {
    id: String,
    /// The server whose data it was restored from.
    follows: Option<String>,
}

/// What stands in a place.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Owner {
    instance: String,
    /// The address that the server had, for people.
    public_url: String,
    /// Since when, in milliseconds since 1970.
    since: i64,
}

impl Instance {
    fn new(follows: Option<String>) -> Self {
        Self { id: HEXLOWER.encode(&crate::random::bytes::<16>()), follows }
    }

    /// Returns that of this server, which is made when there is none.
    pub(super) async fn of(db: &Db) -> Result<Self, BackupError> {
        let found = db.read(read).await?;
        match found {
            Some(instance) => Ok(instance),
            None => {
                db.write(|tx| -> Result<_, BackupError> {
                    // Several places ask at once.
                    if let Some(instance) = read(tx)? {
                        return Ok(instance);
                    }
                    let instance = Self::new(None);
                    write(tx, &instance)?;
                    Ok(instance)
                })
                .await
            }
        }
    }
}

/// Makes a restored database another server's than the one that it was made from.
pub(super) fn follow(conn: &Connection) -> Result<(), StoreError> {
    let before = read(conn)?.map(|instance| instance.id);
    write(conn, &Instance::new(before))
}

fn read(conn: &Connection) -> Result<Option<Instance>, StoreError> {
    // What does not parse is as good as none: then the place says that it is another's.
    Ok(meta::find(conn, INSTANCE)?.and_then(|json| serde_json::from_slice(&json).ok()))
}

fn write(conn: &Connection, instance: &Instance) -> Result<(), StoreError> {
    let json = serde_json::to_vec(instance).expect("an instance is JSON");
    meta::set(conn, INSTANCE, &json)
}

/// Sees to it that the place is this server's: it is, it was nobody's, or it was that of the server that this one follows.
///
/// # Errors
///
/// [`BackupError::NotOurs`] when it is another server's.
pub(super) async fn claim(place: &Place, own: &Instance, public_url: &str, now: i64) -> Result<(), BackupError> {
    if let Some(owner) = find(place).await? {
        if owner.instance == own.id {
            return Ok(());
        }
        if own.follows.as_ref() != Some(&owner.instance) {
            return Err(BackupError::NotOurs {
                place: place.describe().to_owned(),
                public_url: owner.public_url,
                since: report::time(owner.since),
            });
        }
        tracing::info!(
            place = place.describe(),
            "the place for backups is taken over from the server that this one was restored from"
        );
    }
    take(place, own, public_url, now).await
}

/// Makes the place this server's, whosever it was.
pub(super) async fn take(place: &Place, own: &Instance, public_url: &str, now: i64) -> Result<(), BackupError> {
    let owner = Owner { instance: own.id.clone(), public_url: public_url.to_owned(), since: now };
    let json = serde_json::to_vec(&owner).map_err(|err| BackupError::Pack(err.into()))?;
    place.put(OWNER, json).await
}

/// Returns the address of the server that a folder is the place of, if it is one's.
pub(crate) fn of_folder(folder: &std::path::Path) -> Option<String> {
    let json = std::fs::read(folder.join(OWNER)).ok()?;
    serde_json::from_slice::<Owner>(&json).ok().map(|owner| owner.public_url)
}

async fn find(place: &Place) -> Result<Option<Owner>, BackupError> {
    let Some(json) = place.get(OWNER, MAX_BYTES).await? else { return Ok(None) };
    let damaged = |err: serde_json::Error| BackupError::Damaged { name: OWNER.to_owned(), reason: err.to_string() };
    serde_json::from_slice(&json).map(Some).map_err(damaged)
}
