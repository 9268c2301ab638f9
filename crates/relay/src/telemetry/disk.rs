//! Room on a disk.

use std::path::Path;

/// What a file system has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// Bytes that this process may still use.
    pub(crate) free_bytes: u64,
    pub(crate) total_bytes: u64,
}

/// Returns the space of the file system that holds `path`, where the system tells.
#[cfg(unix)]
pub(crate) fn space(path: &Path) -> Option<Space> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(Space {
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
    })
}

/// Returns the space of the file system that holds `path`, where the system tells.
#[cfg(not(unix))]
pub(crate) fn space(_: &Path) -> Option<Space> {
    None
}

/// Writes a number of bytes for people: `1.5 GiB`.
pub(crate) fn in_words(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} bytes") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_in_words() {
        assert_eq!(in_words(0), "0 bytes");
        assert_eq!(in_words(1536), "1.5 KiB");
        assert_eq!(in_words(5 << 30), "5.0 GiB");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_has_a_disk() {
        let space = space(&std::env::temp_dir()).unwrap();
        assert!(space.total_bytes >= space.free_bytes && space.total_bytes > 0);
    }
}
