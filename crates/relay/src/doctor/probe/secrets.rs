//! Files with secrets that are not in the data folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::config::{BackupKeySource, Config};
use crate::doctor::facts::OpenSecret;

/// Returns those that any user of the machine can read.
pub(super) fn look(config: &Config) -> Vec<OpenSecret> {
    let backup_keys = config.backup.to.iter().filter_map(|to| match &to.key {
        BackupKeySource::File(path) => Some(path),
        BackupKeySource::Passphrase(_) => None,
    });
    // The places for backups may have one key.
    let paths: BTreeSet<&PathBuf> = config.texts.secret_files.iter().chain(backup_keys).collect();
    paths.into_iter().filter_map(|path| open(&config.data.dir, path)).collect()
}

#[cfg(unix)]
fn open(data_dir: &Path, path: &Path) -> Option<OpenSecret> {
    use std::os::unix::fs::MetadataExt as _;
    let path = path.canonicalize().ok()?;
    let found = path.metadata().ok()?;
    // A folder on the way that is closed to others keeps them from it.
    let gets_through = |folder: &Path| folder.metadata().is_ok_and(|folder| folder.mode() & 0o001 != 0);
    if found.mode() & 0o004 == 0 || !path.ancestors().skip(1).all(gets_through) {
        return None;
    }
    // The server may read a file of root's only because everybody may.
    let ours = data_dir.metadata().is_ok_and(|folder| folder.uid() == found.uid());
    Some(OpenSecret { path, mode: found.mode(), ours })
}

#[cfg(not(unix))]
fn open(_: &Path, _: &Path) -> Option<OpenSecret> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_open_when_its_folders_are_too() {
        let dir = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap();
        let (folder, file) = (dir.path().join("etc"), dir.path().join("etc/password"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&file, "secret").unwrap();
        let set = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        set(&folder, 0o755);
        set(&file, 0o644);
        let found = open(dir.path(), &file).expect("anybody reads it");
        assert_eq!((found.mode & 0o777, found.ours), (0o644, true));
        assert!(!open(&dir.path().join("not there"), &file).unwrap().ours);
        set(&folder, 0o750);
        assert_eq!(open(dir.path(), &file), None);
        set(&folder, 0o755);
        set(&file, 0o640);
        assert_eq!(open(dir.path(), &file), None);
    }
}
