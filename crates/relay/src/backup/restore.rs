//! The way back: pieces of the database, the segments over them, the blobs, the key.
//!
//! All is built in a folder inside the target and checked there; only then does it move to where a server looks.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{Cid, Clock};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::manifest::{self, Manifest};
use super::segment::{self, Segment};
use super::{
    AT_ONCE, BLOB_PART_BYTES, BackupError, BackupKey, CHUNK_BYTES, Opened, Place, SEGMENTS, announce, blob_object, blob_parts,
    chunk_object, owner, report,
};
use crate::store::{StoreError, blob, meta};
use crate::work::blocking;

const BLOBS_AT_A_TIME: usize = 1000;
/// Larger than what is sealed, by compression that does not help and by encryption.
const MARGIN: usize = 1 << 16;
/// Where it is built.
const WORKSHOP: &str = "restoring";

/// What is being restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Database,
    Changes,
    Checks,
    Blobs,
}

/// Is told how far it is: the step, how much of it is done, and how much there is.
pub(crate) type Progress<'a> = &'a (dyn Fn(Step, u64, u64) + Send + Sync);

/// What shall be restored, and where to.
pub(crate) struct Request<'a> {
    pub(crate) opened: &'a Opened,
    /// The moment; `None` is the newest.
    pub(crate) at: Option<i64>,
    pub(crate) into: &'a Path,
    /// Whether blobs are restored; not when they are in a store that is still there.
    pub(crate) with_blobs: bool,
    /// The new address of the server, when it moves.
    pub(crate) move_to: Option<String>,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) progress: Progress<'a>,
}

/// What was restored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Restored {
    pub(crate) id: String,
    /// The address that the server had.
    pub(crate) public_url: String,
    /// The moment that it is of: all that was committed until then, in milliseconds since the epoch.
    pub(crate) through: i64,
    pub(crate) accounts: u64,
    pub(crate) records: u64,
    pub(crate) blobs: u64,
    pub(crate) missing_blobs: Vec<String>,
}

/// A restored database.
pub(super) struct Database {
    pub(super) manifest: Manifest,
    pub(super) through: i64,
}

/// Restores into an empty folder.
pub(crate) async fn restore(request: Request<'_>) -> Result<Restored, BackupError> {
    let Request { opened, at, into, with_blobs, move_to, clock, progress } = request;
    let workshop = prepare(into)?;
    let path = workshop.join("relay.sqlite");
    let Database { manifest, through } = database(opened, at, &path, progress).await?;
    if clock.millis() < through {
        return Err(BackupError::Clock);
    }
    progress(Step::Checks, 0, 1);
    let checked = path.clone();
    let (accounts, records) = blocking(move || check(&checked)).await?;
    progress(Step::Checks, 1, 1);
    let (blobs, missing_blobs) =
        if with_blobs { blobs(opened, &path, &workshop.join("blobs"), progress).await? } else { (0, Vec::new()) };
    for (name, text) in &manifest.files {
        write_private(&workshop, name, text)?;
    }
    let mark = announce::Mark::new(clock.millis(), through, &manifest.public_url, move_to);
    let finish = (path, workshop, into.to_owned());
    blocking(move || {
        let (path, workshop, into) = finish;
        put_mark(&path, &mark)?;
        put_in_place(&workshop, &into).map_err(BackupError::io(&into))
    })
    .await?;
    Ok(Restored { id: manifest.id, public_url: manifest.public_url, through, accounts, records, blobs, missing_blobs })
}

/// Makes the folder in which it is built, over one that an earlier attempt left.
fn prepare(into: &Path) -> Result<PathBuf, BackupError> {
    let failed = |err| BackupError::Io { path: into.to_owned(), source: err };
    private_dirs(into).map_err(failed)?;
    for entry in fs::read_dir(into).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        // A new file system has a folder of its own.
        if name != WORKSHOP && name != "lost+found" {
            return Err(BackupError::NotEmpty { path: into.to_owned() });
        }
    }
    let workshop = into.join(WORKSHOP);
    match fs::remove_dir_all(&workshop) {
        Ok(()) => {}
        Err(err) if err.kind() == io::ErrorKind::NotFound => {}
        Err(err) => return Err(failed(err)),
    }
    private_dirs(&workshop).map_err(failed)?;
    Ok(workshop)
}

fn private_dirs(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn write_private(dir: &Path, name: &str, text: &str) -> Result<(), BackupError> {
    // Names are ours, from a manifest that only who has the key can write; all the same nothing leaves the folder.
    if !matches!(name, "master.key" | "configuration/relay.toml" | "configuration/effective.toml") {
        return Ok(());
    }
    let path = dir.join(name);
    let write = || {
        private_dirs(path.parent().unwrap_or(dir))?;
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        io::Write::write_all(&mut file, text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(BackupError::io(&path))
}

/// Restores the database to `path`: the newest backup from before `at`, and the changes until then.
pub(super) async fn database(
    opened: &Opened,
    at: Option<i64>,
    path: &Path,
    progress: Progress<'_>,
) -> Result<Database, BackupError> {
    let manifest = choose(opened, at).await?;
    let file = Arc::new(create(path).map_err(BackupError::io(path))?);
    pieces(opened, &manifest, &file, path, progress).await?;
    let through = segments(opened, &manifest, at, &file, path, progress).await?;
    let synced = path.to_owned();
    blocking(move || file.sync_all().map_err(BackupError::io(synced))).await?;
    Ok(Database { manifest, through })
}

async fn choose(opened: &Opened, at: Option<i64>) -> Result<Manifest, BackupError> {
    let ids = manifest::list_ids(&opened.place).await?;
    let mut oldest = None;
    for id in ids.iter().rev() {
        let manifest = Manifest::read(&opened.place, &opened.key, id).await?;
        if at.is_none_or(|at| manifest.ended_at <= at) {
            return Ok(manifest);
        }
        oldest = Some(report::time(manifest.ended_at));
    }
    Err(match oldest {
        Some(oldest) => BackupError::NoneBefore { oldest },
        None => BackupError::NoBackup { place: opened.place.describe().to_owned() },
    })
}

fn create(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create_new(true).mode(0o600).open(path)
}

async fn pieces(
    opened: &Opened,
    manifest: &Manifest,
    file: &Arc<File>,
    path: &Path,
    progress: Progress<'_>,
) -> Result<(), BackupError> {
    let total = manifest.database_bytes;
    if total.div_ceil(CHUNK_BYTES as u64) != manifest.chunks.len() as u64 {
        let reason = "it does not list the whole database".to_owned();
        return Err(BackupError::Damaged { name: manifest.id.clone(), reason });
    }
    file.set_len(total).map_err(BackupError::io(path))?;
    let written = stream::iter(manifest.chunks.clone().into_iter().enumerate()).map(|(at, name)| {
        let offset = at as u64 * CHUNK_BYTES as u64;
        let length = (total - offset).min(CHUNK_BYTES as u64) as usize;
        let (file, key) = (Arc::clone(file), opened.key.clone());
        async move {
            let object = chunk_object(&name);
            let sealed = opened.place.get_or_missing(&object, CHUNK_BYTES + MARGIN).await?;
            blocking(move || {
                let chunk = key.open(&object, &sealed, CHUNK_BYTES)?;
                if chunk.len() != length || key.name("chunk", &chunk) != name {
                    return Err(BackupError::Damaged { name: object, reason: "its content is another".into() });
                }
                file.write_all_at(&chunk, offset).map_err(BackupError::io("relay.sqlite"))
            })
            .await?;
            Ok::<_, BackupError>(length as u64)
        }
    });
    let mut written = std::pin::pin!(written.buffered(AT_ONCE));
    let mut done = 0;
    progress(Step::Database, 0, total);
    while let Some(bytes) = written.try_next().await? {
        done += bytes;
        progress(Step::Database, done, total);
    }
    Ok(())
}

/// Puts the segments over the pieces, and returns the time through which that is.
async fn segments(
    opened: &Opened,
    manifest: &Manifest,
    at: Option<i64>,
    file: &Arc<File>,
    path: &Path,
    progress: Progress<'_>,
) -> Result<i64, BackupError> {
    let chain = manifest.chain.as_str();
    let listed = opened.place.list(&format!("{SEGMENTS}/{chain}")).await?;
    let there = listed.iter().filter_map(|listed| listed.name.parse::<u64>().ok());
    let end = there.max().map_or(0, |last| last + 1).max(manifest.end_segment);
    let total = end - manifest.first_segment.min(end);
    let sealed = stream::iter(manifest.first_segment..end).map(|number| {
        let name = segment::object(chain, number);
        async move {
            let sealed = opened.place.get_or_missing(&name, segment::MAX_BYTES + MARGIN).await;
            (number, name, sealed)
        }
    });
    let mut sealed = std::pin::pin!(sealed.buffered(AT_ONCE));
    let (mut through, mut previous, mut done) = (manifest.ended_at, None, 0);
    progress(Step::Changes, 0, total);
    // Those of a transaction that its last segment ends; only whole ones are put in.
    let mut unfinished: Vec<Segment> = Vec::new();
    while let Some((number, name, sealed)) = sealed.next().await {
        let opening = async {
            let (key, sealed, chain, link) = (opened.key.clone(), sealed?, chain.to_owned(), previous);
            blocking(move || segment::open(&key, &name, &sealed, (&chain, number), link)).await
        };
        let segment = match opening.await {
            Ok(segment) => segment,
            Err(BackupError::Damaged { .. }) if number >= manifest.end_segment && at.is_some_and(|at| at <= through) => break,
            // The backup itself is whole without it, and what came after it until now as well.
            Err(err @ BackupError::Damaged { .. }) if number >= manifest.end_segment => {
                return Err(BackupError::TailDamaged { until: report::time(through), source: Box::new(err) });
            }
            Err(err) => return Err(err),
        };
        let is_of_backup = number < manifest.end_segment;
        if !is_of_backup && at.is_some_and(|at| segment.header.until > at) {
            break;
        }
        previous = Some(segment.link);
        let (ends, until) = (segment.header.ends, segment.header.until);
        unfinished.push(segment);
        if ends {
            let (file, path, whole) = (Arc::clone(file), path.to_owned(), std::mem::take(&mut unfinished));
            blocking(move || apply(&file, &whole).map_err(BackupError::io(path))).await?;
            through = through.max(until);
        }
        done += 1;
        progress(Step::Changes, done, total);
    }
    Ok(through)
}

pub(super) fn apply(file: &File, segments: &[Segment]) -> io::Result<()> {
    for segment in segments {
        let page_size = u64::from(segment.header.page_size);
        for (number, page) in segment.pages() {
            file.write_all_at(page, u64::from(number.max(1) - 1) * page_size)?;
        }
        if segment.header.ends {
            file.set_len(u64::from(segment.header.database_pages) * page_size)?;
        }
    }
    Ok(())
}

/// Checks the restored database as SQLite can, and returns how many accounts and records it has.
pub(super) fn check(path: &Path) -> Result<(u64, u64), BackupError> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    let mut statement = conn.prepare("PRAGMA integrity_check(10)")?;
    let found: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    drop(statement);
    if found != ["ok"] {
        return Err(BackupError::Unsound(found.join("; ")));
    }
    let mut statement = conn.prepare("PRAGMA foreign_key_check")?;
    if let Some(row) = statement.query([])?.next()? {
        return Err(BackupError::Unsound(format!("a row of {} names one that is not there", row.get::<_, String>(0)?)));
    }
    let count = |table: &str| conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0));
    Ok((count("account")? as u64, count("record")? as u64))
}

/// Fetches the blobs that the restored database names. Returns how many there are, and those that the backup does not have.
async fn blobs(
    opened: &Opened,
    database: &Path,
    folder: &Path,
    progress: Progress<'_>,
) -> Result<(u64, Vec<String>), BackupError> {
    private_dirs(folder).map_err(BackupError::io(folder))?;
    let path = database.to_owned();
    let total = blocking(move || {
        let conn = read_only(&path)?;
        let sql = "SELECT coalesce(sum(size), 0) FROM (SELECT max(size) AS size FROM blob GROUP BY cid)";
        Ok::<_, BackupError>(conn.query_row(sql, [], |row| row.get::<_, i64>(0))? as u64)
    })
    .await?;
    let (mut after, mut count, mut done, mut missing): (Option<Cid>, _, _, _) = (None, 0, 0, Vec::new());
    progress(Step::Blobs, 0, total);
    loop {
        let (path, from) = (database.to_owned(), after);
        let some = blocking(move || {
            let conn = read_only(&path)?;
            Ok::<_, BackupError>(blob::list_all(&conn, from.as_ref(), BLOBS_AT_A_TIME)?)
        })
        .await?;
        let is_last = some.len() < BLOBS_AT_A_TIME;
        after = some.last().map(|(cid, _)| *cid);
        let fetched =
            stream::iter(some).map(|(cid, size)| {
                let to = crate::blob::path_in(folder, &cid);
                async move {
                    Ok::<_, BackupError>((cid, size, fetch_blob(&opened.place, &opened.key, &cid, size, Some(&to)).await?))
                }
            });
        let mut fetched = std::pin::pin!(fetched.buffered(AT_ONCE));
        while let Some((cid, size, found)) = fetched.try_next().await? {
            if found {
                count += 1;
            } else {
                missing.push(cid.to_string());
            }
            done += size;
            progress(Step::Blobs, done, total);
        }
        if is_last {
            return Ok((count, missing));
        }
    }
}

fn read_only(path: &Path) -> Result<Connection, BackupError> {
    Ok(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?)
}

/// Fetches a blob and checks its hash; writes it to `to` if that is given. `false` when the backup does not have it.
pub(super) async fn fetch_blob(
    place: &Place,
    key: &BackupKey,
    cid: &Cid,
    size: u64,
    to: Option<&Path>,
) -> Result<bool, BackupError> {
    let failed = |path: &Path| BackupError::io(path.to_owned());
    let mut file = match to {
        Some(path) => {
            private_dirs(path.parent().unwrap_or(path)).map_err(failed(path))?;
            Some((File::options().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed(path))?, path))
        }
        None => None,
    };
    let mut hasher = Sha256::new();
    for part in 0..blob_parts(size) {
        let object = blob_object(key, cid.digest(), part);
        let Some(sealed) = place.get(&object, BLOB_PART_BYTES as usize + MARGIN).await? else {
            if let Some((_, path)) = file {
                fs::remove_file(path).map_err(failed(path))?;
            }
            return Ok(false);
        };
        let key = key.clone();
        let (plain, hashed) = blocking(move || {
            let plain = key.open(&object, &sealed, BLOB_PART_BYTES as usize)?;
            let mut hasher = hasher;
            hasher.update(&plain);
            Ok::<_, BackupError>((plain, hasher))
        })
        .await?;
        hasher = hashed;
        if let Some((file, path)) = &mut file {
            io::Write::write_all(file, &plain).map_err(failed(path))?;
        }
    }
    let digest: [u8; 32] = hasher.finalize().into();
    if digest != *cid.digest() {
        return Err(BackupError::Damaged { name: format!("the blob {cid}"), reason: "its hash is another".into() });
    }
    if let Some((file, path)) = file {
        blocking(move || file.sync_all()).await.map_err(failed(path))?;
    }
    Ok(true)
}

/// Leaves word for the next start.
fn put_mark(path: &Path, mark: &announce::Mark) -> Result<(), BackupError> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    let json = serde_json::to_vec(mark).map_err(|err| BackupError::Pack(err.into()))?;
    meta::set(&conn, announce::MARK, &json)?;
    owner::follow(&conn)?;
    conn.close().map_err(|(_, err)| StoreError::from(err))?;
    Ok(())
}

/// Moves what was built to where a server looks for it, the database last: without one nothing starts.
fn put_in_place(workshop: &Path, into: &Path) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(workshop)? {
        names.push(entry?.file_name());
    }
    names.sort_by_key(|name| name == "relay.sqlite");
    for name in names {
        File::open(workshop.join(&name))?.sync_all()?;
        fs::rename(workshop.join(&name), into.join(&name))?;
    }
    fs::remove_dir(workshop)?;
    File::open(into)?.sync_all()
}
