//! A folder of blobs.
//!
//! ```text
//! 00/ .. ff/<rest of the digest in hex>     the blobs, by the first byte of their digest
//! tmp/<number>                              uploads that are not finished
//! trash/<digest in hex>                     blobs that no row named when the sweep came by
//! ```
//!
//! A file gets its name when its content is durable, and a name is given by renaming: a file with a name is whole. The 256
//! folders are made at the start, so an upload makes none and has one folder to sync.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use common::{Cid, Codec};
use data_encoding::HEXLOWER;

use crate::bulk;

/// A folder that this process has to itself; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct LocalFolder(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    dir: PathBuf,
    unfinished: Mutex<Unfinished>,
}

/// The numbers of the uploads that are not finished.
#[derive(Debug, Default)]
struct Unfinished {
    next: u64,
    /// As many as there are uploads.
    live: HashSet<u64>,
}

/// An unfinished upload's file. It is removed when this is dropped, unless it was placed.
#[derive(Debug)]
pub(super) struct TempFile {
    file: File,
    name: TempName,
    is_placed: bool,
    /// Bytes of it that the disk has been given.
    written_out: u64,
    /// In bytes.
    size: u64,
}

/// A name in `tmp/` that is in use for as long as this lives.
#[derive(Debug)]
struct TempName {
    folder: LocalFolder,
    number: u64,
}

impl LocalFolder {
    pub(super) fn open(dir: PathBuf) -> io::Result<Self> {
        let mut made = false;
        for name in (0..=u8::MAX).map(|byte| HEXLOWER.encode(&[byte])).chain([TMP.to_owned(), TRASH.to_owned()]) {
            match make_dir(&dir.join(name)) {
                Ok(()) => made = true,
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
                Err(err) => return Err(err),
            }
        }
        if made {
            sync_dir(&dir)?;
        }
        for entry in fs::read_dir(dir.join(TMP))? {
            fs::remove_file(entry?.path())?;
        }
        Ok(Self(Arc::new(Folder { dir, unfinished: Mutex::default() })))
    }

    /// Names a folder to be read only: nothing is made or cleared away there.
    pub(super) fn look_at(dir: PathBuf) -> Self {
        Self(Arc::new(Folder { dir, unfinished: Mutex::default() }))
    }

    /// Makes the file of an upload.
    pub(super) fn create_temp(&self) -> io::Result<TempFile> {
        let number = {
            let mut unfinished = self.unfinished();
            let number = unfinished.next;
            unfinished.next += 1;
            unfinished.live.insert(number);
            number
        };
        let name = TempName { folder: self.clone(), number };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(TempFile { file: options.open(name.path())?, name, is_placed: false, written_out: 0, size: 0 })
    }

    /// Gives a synced file the name of its content, durably. A file that has the name already is replaced by its equal.
    pub(super) fn place(&self, mut temp: TempFile, digest: &[u8; 32]) -> io::Result<()> {
        let to = self.path(digest);
        fs::rename(temp.name.path(), &to)?;
        temp.is_placed = true;
        sync_dir(to.parent().expect("a blob lies in a folder"))
    }

    pub(super) fn open_file(&self, digest: &[u8; 32]) -> io::Result<Option<File>> {
        absent_is_none(File::open(self.path(digest)))
    }

    #[cfg(test)]
    pub(super) fn size(&self, digest: &[u8; 32]) -> io::Result<Option<u64>> {
        Ok(absent_is_none(fs::metadata(self.path(digest)))?.map(|metadata| metadata.len()))
    }

    /// Removes a blob; returns whether it was there.
    pub(super) fn remove(&self, digest: &[u8; 32]) -> io::Result<bool> {
        Ok(absent_is_none(fs::remove_file(self.path(digest)))?.is_some())
    }

    /// Lists the blobs whose digest begins with `first`. Files with other names are not ours, and left alone.
    pub(super) fn list(&self, first: u8) -> io::Result<Vec<Cid>> {
        let prefix = HEXLOWER.encode(&[first]);
        let mut cids = Vec::new();
        for entry in fs::read_dir(self.0.dir.join(&prefix))? {
            let name = entry?.file_name();
            let digest = name.to_str().and_then(|rest| HEXLOWER.decode(format!("{prefix}{rest}").as_bytes()).ok());
            if let Some(digest) = digest.and_then(|digest| digest.try_into().ok()) {
                cids.push(Cid::new(Codec::Raw, digest));
            }
        }
        Ok(cids)
    }

    /// Moves a blob to another folder of the same file system, under a name of its own.
    pub(super) fn set_aside(&self, digest: &[u8; 32], aside: &Path, now_millis: i64) -> io::Result<()> {
        let from = self.path(digest);
        if absent_is_none(fs::metadata(&from))?.is_none() {
            return Ok(());
        }
        crate::data_dir::make_private_dir(aside)?;
        fs::rename(from, aside.join(format!("blob-{}-{now_millis}", HEXLOWER.encode(digest))))?;
        sync_dir(aside)
    }

    /// Moves a blob that was written before `before` to the trash; returns whether it did.
    pub(super) fn discard(&self, digest: &[u8; 32], before: SystemTime) -> io::Result<bool> {
        let from = self.path(digest);
        let Some(metadata) = absent_is_none(fs::metadata(&from))? else { return Ok(false) };
        if metadata.modified()? >= before {
            return Ok(false);
        }
        fs::rename(from, self.0.dir.join(TRASH).join(HEXLOWER.encode(digest)))?;
        Ok(true)
    }

    /// Deletes what came into the trash before `before`, and files in `tmp/` that could not be removed when their upload ended.
    pub(super) fn clear(&self, before: SystemTime) -> io::Result<usize> {
        let trash = remove_files(&self.0.dir.join(TRASH), |_, metadata| changed(metadata) < before)?;
        // By what we know and not by their age, which a clock that was set tells wrong. A listed file whose upload has ended since
        // is gone.
        let tmp = remove_files(&self.0.dir.join(TMP), |name, _| {
            let number = name.to_str().and_then(|name| name.parse().ok());
            number.is_none_or(|number| !self.unfinished().live.contains(&number))
        })?;
        Ok(trash + tmp)
    }

    fn unfinished(&self) -> MutexGuard<'_, Unfinished> {
        self.0.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, digest: &[u8; 32]) -> PathBuf {
        path_in(&self.0.dir, digest)
    }
}

impl TempFile {
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Gives the disk what it has not been given, once that is much. For a file that is to be synced.
    pub(super) fn write_out(&mut self) -> io::Result<()> {
        if self.size - self.written_out >= bulk::PIECE {
            bulk::write_out(&self.file, self.written_out..self.size)?;
            self.written_out = self.size;
        }
        Ok(())
    }

    /// Opens the content from its beginning.
    pub(super) fn reader(&self) -> io::Result<File> {
        File::open(self.name.path())
    }

    /// Makes the content durable. The name in `tmp/` need not be.
    pub(super) fn sync(&self) -> io::Result<()> {
        // What is small need not wait for the turn of what is much.
        if self.written_out > 0 { bulk::sync(&self.file) } else { self.file.sync_data() }
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if self.is_placed {
            return;
        }
        let path = self.name.path();
        if let Err(err) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), error = &err as &dyn std::error::Error, "could not remove a dropped upload");
        }
    }
}

impl TempName {
    fn path(&self) -> PathBuf {
        self.folder.0.dir.join(TMP).join(self.number.to_string())
    }
}

impl Drop for TempName {
    fn drop(&mut self) {
        self.folder.unfinished().live.remove(&self.number);
    }
}

/// Returns the file of a blob in the folder of blobs `dir`.
pub(super) fn path_in(dir: &Path, digest: &[u8; 32]) -> PathBuf {
    let hex = HEXLOWER.encode(digest);
    let (first, rest) = hex.split_at(2);
    dir.join(first).join(rest)
}

const TMP: &str = "tmp";
const TRASH: &str = "trash";

fn make_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Returns when a file was last renamed or written.
fn changed(metadata: &fs::Metadata) -> SystemTime {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let seconds = u64::try_from(metadata.ctime()).unwrap_or_default();
        SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)
    }
    #[cfg(not(unix))]
    metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn remove_files(dir: &Path, is_stale: impl Fn(&OsStr, &fs::Metadata) -> bool) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        // An upload may end at any time, and its file with it.
        let Some(metadata) = absent_is_none(entry.metadata())? else { continue };
        let stale = metadata.is_file() && is_stale(&entry.file_name(), &metadata);
        if stale && absent_is_none(fs::remove_file(entry.path()))?.is_some() {
            removed += 1;
        }
    }
    Ok(removed)
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err),
    }
}
