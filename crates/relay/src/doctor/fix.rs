//! `relay doctor --fix`: what can be mended without harm.

use std::io;

use super::facts::{Facts, FolderState};

/// Takes the data folder's files from everybody but their owner; returns how many were changed.
pub(crate) fn fix(facts: &Facts) -> io::Result<usize> {
    let FolderState::Writable { open, .. } = &facts.folder.state else { return Ok(0) };
    for (path, mode) in open {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o700))?;
        }
        #[cfg(not(unix))]
        let _ = (path, mode);
    }
    Ok(open.len())
}
