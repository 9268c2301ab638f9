//! Another master key: everything is sealed anew, in one transaction.
//!
//! Where the key is a file of the data folder, the new one is durable beside it (`master.key.next`) before the transaction, and
//! takes its name after it. Whatever moment the process ends at, one of the two files opens the database, and the next start
//! finds out which ([`settle`]). The old file is kept under its key's id, since older backups open with nothing else.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crypto::seal::{self, KeyId, MasterKey};
use rusqlite::Connection;

use super::sealed::{self, Sealed};
use super::{ROTATION_KEY, SecretError};
use crate::data_dir::{self, DataDirError};
use crate::store::{Db, StoreError, WriteFailed, meta};

/// Why the master key was not changed. What is sealed is as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RotateError {
    #[error("{place} holds something sealed that this program does not know how to seal anew; nothing was changed")]
    Forgotten { place: String },
    #[error("{place} does not open with the present key; nothing was changed")]
    Unopenable {
        place: String,
        #[source]
        source: seal::SealError,
    },
    #[error("{path} could not be written")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

/// Seals everything that is sealed under `old` under `new` instead, and returns how many values that were.
pub(crate) async fn reseal(db: &Db, old: MasterKey, new: MasterKey) -> Result<usize, RotateError> {
    db.write(move |tx| {
        let mut values = Vec::new();
        sealed::each(tx, |value| {
            values.push(value);
            Ok(())
        })?;
        for Sealed { place, context, bytes, .. } in &values {
            let resealed = seal::rewrap(&old, &new, context, bytes, crate::random::bytes())
                .map_err(|source| RotateError::Unopenable { place: format!("{place:?}"), source })?;
            sealed::replace(tx, place, &resealed)?;
        }
        match sealed::forgotten(tx, old.id())? {
            None => Ok(values.len()),
            Some(place) => Err(RotateError::Forgotten { place }),
        }
    })
    .await
}

/// Returns under which master key the database is sealed; `None` for a new one.
pub(crate) fn sealed_under(conn: &Connection) -> Result<Option<KeyId>, SecretError> {
    let sealed = meta::find(conn, ROTATION_KEY)?;
    sealed.map(|sealed| seal::key_id(&sealed).map_err(SecretError::Sealed)).transpose()
}

/// Returns where the key to come lies.
fn next_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

/// Returns the key that the database is sealed under: the one in `file`, or, in the middle of a change, the next one.
pub(crate) fn choose(file: &Path, present: MasterKey, sealed_under: Option<KeyId>) -> MasterKey {
    match data_dir::read_master_key(&next_path(file)) {
        Ok(next) if sealed_under == Some(next.id()) => next,
        Ok(_) | Err(_) => present,
    }
}

/// Makes a new key, durably, beside the one in `file`.
pub(crate) fn begin(file: &Path) -> Result<MasterKey, RotateError> {
    let path = next_path(file);
    // Left by a change that did not come about; the database was settled with the other key when it was opened.
    drop(fs::remove_file(&path));
    let key = MasterKey::from_bytes(crate::random::bytes());
    data_dir::write_master_key(&path, &key).map_err(|source| RotateError::File { path, source })?;
    Ok(key)
}

/// Brings the files to what the database is sealed under, and returns the key that opens it: at the end of a change, and at a
/// start after one that was interrupted.
pub(crate) fn settle(file: &Path, present: MasterKey, sealed_under: Option<KeyId>) -> Result<MasterKey, RotateError> {
    let path = next_path(file);
    if !path.exists() {
        return Ok(present);
    }
    let next = match data_dir::read_master_key(&path) {
        Ok(next) => next,
        // What is no key is none that anything was sealed under.
        Err(DataDirError::MasterKey { .. }) if sealed_under == Some(present.id()) => {
            fs::remove_file(&path).map_err(|source| RotateError::File { path, source })?;
            return Ok(present);
        }
        Err(err) => return Err(err.into()),
    };
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| RotateError::File { path, source }
    };
    if sealed_under != Some(next.id()) {
        if sealed_under == Some(present.id()) {
            // The transaction did not come about, and nothing was ever sealed under it.
            fs::remove_file(&path).map_err(failed(&path))?;
        }
        return Ok(present);
    }
    if present.id() != next.id() {
        let mut kept = file.as_os_str().to_owned();
        kept.push(format!(".{}", present.id()));
        let kept = PathBuf::from(kept);
        // A second name for it first: there is no moment without a file under the usual one.
        drop(fs::remove_file(&kept));
        fs::hard_link(file, &kept).or_else(|_| fs::copy(file, &kept).map(|_| ())).map_err(failed(&kept))?;
    }
    fs::rename(&path, file).map_err(failed(file))?;
    if let Some(dir) = file.parent() {
        fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed(dir))?;
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_to_come_that_is_torn_keeps_nobody_from_starting() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("master.key");
        let present = || MasterKey::from_bytes([1; 32]);
        data_dir::write_master_key(&file, &present()).unwrap();
        fs::write(next_path(&file), "0a0b").unwrap();
        let other = MasterKey::from_bytes([2; 32]).id();
        assert!(settle(&file, present(), Some(other)).is_err(), "it might have been the one that opens the database");
        assert_eq!(settle(&file, present(), Some(present().id())).unwrap().id(), present().id());
        assert!(!next_path(&file).exists());
        assert!(begin(&file).is_ok_and(|next| next.id() != present().id()));
    }

    #[test]
    fn a_key_is_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("master.key");
        data_dir::write_master_key(&file, &MasterKey::from_bytes([1; 32])).unwrap();
        let again = data_dir::write_master_key(&file, &MasterKey::from_bytes([2; 32]));
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions()) & 0o777, 0o600);
    }
}
