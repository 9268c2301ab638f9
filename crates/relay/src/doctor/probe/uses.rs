//! What takes the room on the disk of the data folder.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::doctor::facts::{Holder, Use};
use crate::state::{EVIDENCE, SPOOL};

/// How long all folders are walked through at most: millions of blobs take long on a slow disk.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is smaller frees nothing to speak of.
const MIN_BYTES: u64 = 1 << 20;

/// Returns what takes room, the largest first.
pub(super) async fn look(config: &Config) -> Vec<Use> {
    let data_dir = config.data.dir.clone();
    let backups: Vec<PathBuf> = config.backup.folders().map(Path::to_owned).collect();
    tokio::task::spawn_blocking(move || uses(&data_dir, &backups, Path::new("/var/log"), Instant::now() + PATIENCE))
        .await
        .unwrap_or_default()
}

fn uses(data_dir: &Path, backups: &[PathBuf], logs: &Path, until: Instant) -> Vec<Use> {
    let Some(disk) = device(data_dir) else { return Vec::new() };
    let files = std::fs::read_dir(data_dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_database = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("relay.sqlite"));
    let holders = [
        (Holder::Database, files.filter(is_database).collect()),
        (Holder::Spool, vec![data_dir.join(SPOOL)]),
        (Holder::Evidence, vec![data_dir.join(EVIDENCE)]),
        (Holder::Logs, vec![logs.to_owned()]),
        (Holder::Backups, backups.to_vec()),
        (Holder::Blobs, vec![data_dir.join("blobs")]),
    ];
    let looked = holders.into_iter().map(|(by, paths)| {
        let (bytes, complete) = size(paths, disk, until);
        Use { by, bytes, complete }
    });
    let mut uses: Vec<Use> = looked.filter(|of| of.bytes >= MIN_BYTES).collect();
    uses.sort_by_key(|of| std::cmp::Reverse(of.bytes));
    uses
}

/// Returns the room that the paths take, with what is in them, on one disk; and whether there was time for all of it.
fn size(mut paths: Vec<PathBuf>, disk: u64, until: Instant) -> (u64, bool) {
    let mut bytes = 0;
    while let Some(path) = paths.pop() {
        if Instant::now() >= until {
            return (bytes, false);
        }
        let Ok(found) = std::fs::symlink_metadata(&path) else { continue };
        if of_device(&found) != disk {
            continue;
        }
        bytes += room_of(&found);
        if found.is_dir() {
            paths.extend(std::fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
    (bytes, true)
}

fn device(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().as_ref().map(of_device)
}

#[cfg(unix)]
fn of_device(found: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::dev(found)
}

#[cfg(unix)]
fn room_of(found: &std::fs::Metadata) -> u64 {
    // The unit of st_blocks, whatever the file system's own.
    std::os::unix::fs::MetadataExt::blocks(found) * 512
}

#[cfg(not(unix))]
fn of_device(_: &std::fs::Metadata) -> u64 {
    0
}

#[cfg(not(unix))]
fn room_of(found: &std::fs::Metadata) -> u64 {
    found.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_the_most_comes_first() {
        let dir = tempfile::TempDir::new().unwrap();
        let put = |path: &str, mib: usize| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![7; mib << 20]).unwrap();
        };
        put("data/relay.sqlite", 2);
        put("data/relay.sqlite-wal", 1);
        put("data/blobs/ab/one", 3);
        put("data/blobs/cd/two", 2);
        put("backups/chunks/a", 8);
        put("log/journal/system.journal", 1);
        let look = |until| {
            let found = uses(&dir.path().join("data"), &[dir.path().join("backups")], &dir.path().join("log"), until);
            found.into_iter().map(|of| (of.by, of.bytes >> 20, of.complete)).collect::<Vec<_>>()
        };
        let found = look(Instant::now() + PATIENCE);
        let expected =
            [(Holder::Backups, 8, true), (Holder::Blobs, 5, true), (Holder::Database, 3, true), (Holder::Logs, 1, true)];
        assert_eq!(found, expected);
        assert_eq!(look(Instant::now()), [], "it ends in time");
        assert_eq!(uses(&dir.path().join("none"), &[], dir.path(), Instant::now() + PATIENCE), []);
    }
}
