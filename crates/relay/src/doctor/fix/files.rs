//! Who may read files, and whose they are.

use std::path::{Path, PathBuf};

use super::Mended;

/// Takes all rights from a file but those in `kept`.
#[cfg(unix)]
pub(super) fn close(path: &Path, mode: u32, kept: u32) -> Mended {
    use std::os::unix::fs::PermissionsExt as _;
    let (shown, now) = (path.display(), mode & kept);
    match std::fs::set_permissions(path, std::fs::Permissions::from_mode(now)) {
        Ok(()) => Ok(format!("{shown} has mode {now:04o} now, and had {:04o}.", mode & 0o7777)),
        Err(err) => Err(format!("The mode of {shown} stays as it is: {err}. Run this as its owner, or as root.")),
    }
}

#[cfg(not(unix))]
pub(super) fn close(path: &Path, _: u32, _: u32) -> Mended {
    Err(format!("{} has no mode on this system.", path.display()))
}

/// Gives something in the data folder, and what is in it, to the owner of the folder.
#[cfg(unix)]
pub(super) fn give_back(folder: &Path, path: &Path) -> Mended {
    use std::os::unix::fs::{MetadataExt as _, lchown};
    let shown = path.display();
    let failed = |err: std::io::Error| format!("{shown} stays whose it is: {err}. Run this as root.");
    let owner = std::fs::metadata(folder).map_err(failed)?;
    let mut rest: Vec<PathBuf> = vec![path.to_owned()];
    while let Some(path) = rest.pop() {
        let found = std::fs::symlink_metadata(&path).map_err(failed)?;
        // What has a second name may be somebody else's, who is not in this folder.
        if found.is_file() && found.nlink() > 1 {
            continue;
        }
        // Never through a link: root does this in a folder that another user writes to.
        lchown(&path, Some(owner.uid()), Some(owner.gid())).map_err(failed)?;
        if found.is_dir() {
            for entry in std::fs::read_dir(&path).map_err(failed)? {
                rest.push(entry.map_err(failed)?.path());
            }
        }
    }
    Ok(format!("{shown} belongs to the owner of the data folder now."))
}

#[cfg(not(unix))]
pub(super) fn give_back(_: &Path, path: &Path) -> Mended {
    Err(format!("{} has no owner on this system.", path.display()))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

    use super::*;

    #[test]
    fn a_mode_loses_what_is_not_kept_and_nothing_else() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("master.key");
        std::fs::write(&path, "secret").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let said = close(&path, 0o100_644, 0o700).unwrap();
        assert!(said.ends_with("master.key has mode 0600 now, and had 0644."), "{said}");
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "secret");
        let said = close(&dir.path().join("gone"), 0o644, 0o700).unwrap_err();
        assert!(said.contains("gone stays as it is: No such file"), "{said}");
    }

    /// Root ran the server once, and since then its user cannot write to what it left.
    #[test]
    fn what_root_left_is_given_back_and_nothing_beyond_the_folder() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = |name: &str| dir.path().join(name);
        for folder in ["data", "data/blobs", "data/blobs/ab"] {
            std::fs::create_dir(path(folder)).unwrap();
        }
        std::fs::write(path("data/blobs/ab/one"), "a blob").unwrap();
        std::fs::write(path("elsewhere"), "root's own").unwrap();
        symlink(path("elsewhere"), path("data/blobs/link")).unwrap();
        std::fs::hard_link(path("elsewhere"), path("data/blobs/name")).unwrap();
        if chown(path("data"), Some(4242), Some(4343)).is_err() {
            assert!(std::env::var_os("CI").is_none(), "only root can give files away");
            println!("SKIP: only root can give files away");
            return;
        }
        give_back(&path("data"), &path("data/blobs")).unwrap();
        for name in ["data/blobs", "data/blobs/ab", "data/blobs/ab/one"] {
            let found = path(name).metadata().unwrap();
            assert_eq!((found.uid(), found.gid()), (4242, 4343), "{name}");
        }
        assert_eq!(path("elsewhere").metadata().unwrap().uid(), 0);
    }
}
