//! The list of what a backup consists of, written last: a backup without one is none.

use std::collections::BTreeMap;

use common::Datetime;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::key::BackupKey;
use super::place::Place;
use super::{BackupError, SNAPSHOTS};

/// The format that this program writes.
const FORMAT: u32 = 1;
/// A megabyte lists 15 GB of database.
const MAX_BYTES: usize = 256 << 20;

/// A whole backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    /// Its name; names sort by time.
    pub(crate) id: String,
    /// Of the program that made it.
    pub(crate) version: String,
    /// The address that the server had.
    pub(crate) public_url: String,
    /// When it began and ended, in milliseconds since the epoch. It restores what was true at its end.
    pub(crate) began_at: i64,
    pub(crate) ended_at: i64,
    pub(crate) database_bytes: u64,
    /// The database file, piece by piece.
    pub(crate) chunks: Vec<String>,
    /// The segments that make the pieces, which were read one after the other while writes went on, one state.
    pub(crate) chain: String,
    pub(crate) first_segment: u64,
    /// The one after the last that is needed.
    pub(crate) end_segment: u64,
    pub(crate) blobs: u64,
    pub(crate) blob_bytes: u64,
    /// Blobs that were not there to be copied.
    pub(crate) missing_blobs: Vec<String>,
    /// Files beside the database by name: the master key, the configuration.
    pub(crate) files: BTreeMap<String, String>,
}

impl Manifest {
    pub(super) const FORMAT: u32 = FORMAT;

    pub(super) async fn write(&self, place: &Place, key: &BackupKey) -> Result<(), BackupError> {
        let json = serde_json::to_vec(self).map_err(|err| BackupError::Pack(err.into()))?;
        let mut signed = key.code("manifest", &[&json]).to_vec();
        signed.extend_from_slice(&json);
        place.put(&object(&self.id), key.seal(&signed)?).await
    }

    pub(super) async fn read(place: &Place, key: &BackupKey, id: &str) -> Result<Self, BackupError> {
        let name = object(id);
        let damaged = |reason: String| BackupError::Damaged { name: name.clone(), reason };
        let signed = key.open(&name, &place.get_or_missing(&name, MAX_BYTES).await?, MAX_BYTES)?;
        let Some((code, json)) = signed.split_at_checked(32) else { return Err(damaged("it is too short".into())) };
        if !bool::from(key.code("manifest", &[json]).ct_eq(code)) {
            return Err(damaged("it was not written by who has the key".into()));
        }
        let manifest: Self = serde_json::from_slice(json).map_err(|err| damaged(err.to_string()))?;
        if manifest.format != FORMAT {
            return Err(BackupError::FromTheFuture { version: manifest.version });
        }
        if manifest.id != id {
            return Err(damaged("it is the manifest of another backup".into()));
        }
        Ok(manifest)
    }
}

fn object(id: &str) -> String {
    format!("{SNAPSHOTS}/{id}.manifest")
}

/// Returns the name of the object that lists the blobs of a backup.
pub(super) fn blob_list(id: &str) -> String {
    format!("{SNAPSHOTS}/{id}.blobs")
}

/// Lists the ids of the backups in a place, the oldest first.
pub(super) async fn list_ids(place: &Place) -> Result<Vec<String>, BackupError> {
    let listed = place.list(SNAPSHOTS).await?;
    Ok(listed.into_iter().filter_map(|listed| Some(listed.name.strip_suffix(".manifest")?.to_owned())).collect())
}

/// Makes a name for what begins now.
pub(super) fn new_id(millis: i64) -> String {
    let time: String =
        Datetime::from_millis(millis).as_str().chars().filter(|c| c.is_ascii_digit() || matches!(c, 'T' | 'Z')).collect();
    format!("{time}-{}", HEXLOWER.encode(&crate::random::bytes::<4>()))
}
