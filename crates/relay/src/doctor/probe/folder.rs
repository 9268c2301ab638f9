//! The data folder and its disk.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::uses;
use crate::config::Config;
use crate::doctor::check::folder::is_short;
use crate::doctor::facts::{Folder, FolderState};
use crate::telemetry::disk::{self, Space};
use crate::telemetry::room::RoomHistory;

/// Most files of a folder that are named.
const MAX_FILES: usize = 100;

pub(super) async fn look(config: &Config, room: &RoomHistory, now: i64) -> Folder {
    let path = config.data.dir.clone();
    let looked = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || state(&path)).await
    };
    let state = looked.unwrap_or_else(|err| FolderState::Unwritable(err.to_string()));
    let space = match &state {
        FolderState::Writable { space, .. } => *space,
        FolderState::Full => Some((0, 0)),
        FolderState::Absent | FolderState::Unwritable(_) => None,
    };
    let forecast = space.and_then(|(free_bytes, total_bytes)| room.forecast(now, Space { free_bytes, total_bytes }));
    let uses = match space {
        Some((free, total)) if is_short(free, total, forecast) => uses::look(config).await,
        Some(_) | None => Vec::new(),
    };
    Folder { path, state, forecast, uses }
}

fn state(path: &Path) -> FolderState {
    if !path.exists() {
        return FolderState::Absent;
    }
    match time_a_write(path) {
        Ok(sync_micros) => FolderState::Writable {
            open: open_files(path),
            foreign: foreign_files(path),
            owner: owner(path),
            space: disk::space(path).map(|space| (space.free_bytes, space.total_bytes)),
            sync_micros,
        },
        Err(err) if is_full(&err) => FolderState::Full,
        Err(err) => FolderState::Unwritable(err.to_string()),
    }
}

fn is_full(err: &std::io::Error) -> bool {
    matches!(err.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

/// Writes a page to a file of its own, makes it durable, and returns how long that took.
fn time_a_write(folder: &Path) -> std::io::Result<u64> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&[0; 4096])?;
    let begun = Instant::now();
    file.as_file().sync_all()?;
    Ok(begun.elapsed().as_micros() as u64)
}

#[cfg(unix)]
fn open_files(folder: &Path) -> Vec<(PathBuf, u32)> {
    use std::os::unix::fs::PermissionsExt as _;
    // In a private folder the rights of files matter to backups only, which copy them as they are; so those with secrets count.
    let secret = |entry: &std::fs::DirEntry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name == "master.key" || name.starts_with("relay.sqlite")
    };
    let inside = std::fs::read_dir(folder).into_iter().flatten().flatten().filter(secret).map(|entry| entry.path());
    // Not through a link: what it leads to is no file of the folder.
    let mode = |path: PathBuf| {
        let found = if path == folder { std::fs::metadata(&path) } else { std::fs::symlink_metadata(&path) };
        let found = found.ok().filter(|found| !found.is_symlink())?;
        Some((path, found.permissions().mode()))
    };
    let others_may = |(_, mode): &(PathBuf, u32)| mode & 0o077 != 0;
    std::iter::once(folder.to_owned()).chain(inside).filter_map(mode).filter(others_may).take(MAX_FILES).collect()
}

#[cfg(unix)]
fn owner(folder: &Path) -> (u32, u32) {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(folder).map_or((0, 0), |found| (found.uid(), found.gid()))
}

/// Returns what is in the folder, and in that of the blobs, and belongs to another user than the folder. In a folder of root's,
/// as a container's volume may be, the database says who the server is.
#[cfg(unix)]
fn foreign_files(folder: &Path) -> Vec<PathBuf> {
    use std::os::unix::fs::MetadataExt as _;
    let uid = match owner(folder) {
        (0, _) => std::fs::metadata(folder.join("relay.sqlite")).map_or(0, |database| database.uid()),
        (uid, _) => uid,
    };
    let within = |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let all = within(folder.to_owned()).chain(within(folder.join("blobs")));
    all.filter(|path| std::fs::symlink_metadata(path).is_ok_and(|found| found.uid() != uid)).take(MAX_FILES).collect()
}

#[cfg(not(unix))]
fn owner(_: &Path) -> (u32, u32) {
    (0, 0)
}

#[cfg(not(unix))]
fn foreign_files(_: &Path) -> Vec<PathBuf> {
    Vec::new()
}

#[cfg(not(unix))]
fn open_files(_: &Path) -> Vec<(PathBuf, u32)> {
    Vec::new()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::chown;

    use super::*;

    #[test]
    fn files_of_another_user_are_found() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir(path("blobs")).unwrap();
        for name in ["relay.sqlite", "relay.sqlite-wal", "blobs/ab"] {
            std::fs::write(path(name), "").unwrap();
        }
        assert_eq!(foreign_files(dir.path()), Vec::<PathBuf>::new());
        if owner(dir.path()).0 != 0 {
            assert!(std::env::var_os("CI").is_none(), "only root can give files away");
            println!("SKIP: only root can give files away");
            return;
        }
        let give = |name: &str, uid| chown(path(name), Some(uid), None).unwrap();
        give("", 4242);
        give("blobs", 4242);
        give("relay.sqlite-wal", 4242);
        let mut left = foreign_files(dir.path());
        left.sort();
        assert_eq!(left, [path("blobs/ab"), path("relay.sqlite")]);
        // A volume of a container, with a server that is not root.
        for name in ["relay.sqlite", "blobs/ab"] {
            give(name, 4242);
        }
        give("", 0);
        assert_eq!(foreign_files(dir.path()), Vec::<PathBuf>::new());
        give("blobs/ab", 0);
        assert_eq!(foreign_files(dir.path()), [path("blobs/ab")]);
    }
}
