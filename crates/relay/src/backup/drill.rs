//! The drill: the newest backup is restored into a temporary folder and looked at. A backup that was never restored is a hope.

use std::path::Path;
use std::time::{Duration, Instant};

use common::{Cid, Codec};
use crypto::seal::MasterKey;
use rusqlite::{Connection, OpenFlags};
use tokio_util::sync::CancellationToken;

use super::restore::{self, Database};
use super::{BLOBS, BackupError, Backups, CHUNKS, DrillReport, Opened};
use crate::store::blob;
use crate::verify;
use crate::verify::finding::Severity;
use crate::work::blocking;

/// How long looking at repos may take, and fetching blobs.
const BUDGET: Duration = Duration::from_secs(60);
/// Blobs after a random place, as many places as there is time for.
const BLOBS_AT_A_PLACE: usize = 4;
const BLOB_PLACES: usize = 50;

/// What was found.
#[derive(Default)]
struct Found {
    accounts: u64,
    records: u64,
    blobs: u64,
}

impl Backups {
    /// Restores the newest backup on trial, and notes what came of it. `Err` is a drill that could not be held, which says
    /// nothing of the backup.
    pub(crate) async fn drill(&self, stop: &CancellationToken) -> Result<DrillReport, BackupError> {
        let _one = self.running.try_lock().map_err(|_| BackupError::Busy)?;
        let _one_anywhere = self.drills.lock().await;
        let begun = Instant::now();
        let dir = self.data_dir.join("backup-drill");
        remove(&dir)?;
        std::fs::create_dir(&dir).map_err(BackupError::io(&dir))?;
        let path = dir.join("relay.sqlite");
        let held = stop.run_until_cancelled(self.hold(&path, stop)).await;
        remove(&dir)?;
        let Some(held) = held else { return Err(BackupError::Stopped) };
        let mut report = DrillReport {
            place: self.place(),
            id: None,
            at: self.now(),
            seconds: begun.elapsed().as_secs_f64(),
            restored_through: None,
            accounts: 0,
            records: 0,
            blobs_checked: 0,
            failure: None,
        };
        match held {
            Ok((database, found)) => {
                report.id = Some(database.manifest.id);
                report.restored_through = Some(database.through);
                (report.accounts, report.records, report.blobs_checked) = (found.accounts, found.records, found.blobs);
            }
            // The place is out of reach, or the disk full: no news of the backup.
            Err(err @ (BackupError::Place { .. } | BackupError::Io { .. } | BackupError::Folder { .. })) => return Err(err),
            Err(err) => {
                if let BackupError::Damaged { name, .. } = &err {
                    self.discard(name).await?;
                }
                report.failure = Some(err.to_string());
            }
        }
        if let Some(why) = &report.failure {
            self.distrust_chain(why);
        }
        self.note_drill(report.clone()).await?;
        Ok(report)
    }

    /// Removes a damaged piece or blob, so that the next backup sends it again. It is of no use to the backups that name it.
    async fn discard(&self, name: &str) -> Result<(), BackupError> {
        let is_content =
            [CHUNKS, BLOBS].iter().any(|folder| name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')));
        if is_content {
            self.opened().await?.place.delete(name).await?;
        }
        Ok(())
    }

    async fn hold(&self, path: &Path, stop: &CancellationToken) -> Result<(Database, Found), BackupError> {
        let opened = self.opened().await?;
        let database = restore::database(opened, None, path, &|_, _, _| ()).await?;
        let master_key = database.manifest.files.get("master.key").map(|text| text.trim().to_owned()).unwrap_or_default();
        let (checked, stop) = (path.to_owned(), stop.clone());
        let mut found = blocking(move || look(&checked, &master_key, stop)).await?;
        found.blobs = sample_blobs(opened, path).await?;
        Ok((database, found))
    }
}

fn remove(dir: &Path) -> Result<(), BackupError> {
    match std::fs::remove_dir_all(dir) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => Err(BackupError::io(dir)(err)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn open(path: &Path) -> Result<Connection, BackupError> {
    Ok(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?)
}

/// Looks at the database as `relay verify` does, for as long as there is time.
fn look(path: &Path, master_key: &str, stop: CancellationToken) -> Result<Found, BackupError> {
    let (accounts, records) = restore::check(path)?;
    let key = data_encoding::HEXLOWER_PERMISSIVE.decode(master_key.as_bytes()).ok();
    let key = key.and_then(|key| <[u8; 32]>::try_from(key).ok());
    let master = MasterKey::from_bytes(key.ok_or_else(|| BackupError::Unsound("it has no master key".into()))?);
    let conn = open(path)?;
    let subject = verify::Subject { conn: &conn, master: Some(&master), blobs: None };
    let options = verify::Options {
        database: verify::DatabaseCheck::Quick,
        blobs: verify::BlobCheck::Skip,
        budget: Some(BUDGET),
        seed: u64::from_be_bytes(crate::random::bytes()),
        stop,
        ..verify::Options::default()
    };
    let report = verify::run(&subject, &options, &verify::Silent);
    match report.findings.iter().find(|finding| finding.severity == Severity::Error) {
        Some(finding) if !report.is_sound() => Err(BackupError::Unsound(finding.sentence.clone())),
        Some(_) | None => Ok(Found { accounts, records, blobs: 0 }),
    }
}

/// Fetches blobs from random places among all, and checks their hashes.
async fn sample_blobs(opened: &Opened, path: &Path) -> Result<u64, BackupError> {
    let (begun, mut checked) = (Instant::now(), 0);
    for place in 0..BLOB_PLACES {
        let from = if place == 0 { [0; 32] } else { crate::random::bytes() };
        let path = path.to_owned();
        let some = blocking(move || {
            let after = Cid::new(Codec::Raw, from);
            Ok::<_, BackupError>(blob::list_all(&open(&path)?, Some(&after), BLOBS_AT_A_PLACE)?)
        });
        for (cid, size) in some.await? {
            if !restore::fetch_blob(&opened.place, &opened.key, &cid, size, None).await? {
                // One that the server itself does not have is no fault of the backup; the manifest names those.
                tracing::warn!(%cid, "a blob is not in the backup");
                continue;
            }
            checked += 1;
        }
        if begun.elapsed() > BUDGET {
            break;
        }
    }
    Ok(checked)
}
