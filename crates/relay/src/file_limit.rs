//! How many files and sockets the process may have open.
//!
//! Many systems begin a process with room for 1024, and let it have more when it asks. A server that has none left cannot open
//! its database or a blob for those who are connected already, so newcomers wait before it comes to that.

/// Kept for all that is no connection of a client: the database, blobs, connections to others.
const OTHER_FILES: u64 = 512;

/// Makes room for `wanted` connections, and returns how many there may be.
pub(crate) fn connections(wanted: usize) -> usize {
    let Some(limit) = raise(wanted as u64 + OTHER_FILES) else { return wanted };
    let most = most(wanted, limit);
    if most < wanted {
        tracing::warn!(
            connections = most,
            limit,
            "the system lets the server have fewer connections than server.max_connections; raise the limit of open files \
             (`LimitNOFILE=65536` in the unit, `ulimit -n 65536`), or lower the setting"
        );
    }
    most
}

/// Returns how many of `wanted` connections a process may have that may have `limit` files.
fn most(wanted: usize, limit: u64) -> usize {
    // A process with next to no files has at least a few connections, and takes its chances with the rest.
    let room = limit.saturating_sub(OTHER_FILES).max(limit / 4).max(1);
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX))
}

/// Raises the limit to `wanted` files, or as far as the process may, and returns it; `None` where there is none.
#[cfg(unix)]
fn raise(wanted: u64) -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current?;
    let target = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if target > current && setrlimit(Resource::Nofile, Rlimit { current: Some(target), maximum }).is_ok() {
        return Some(target);
    }
    Some(current)
}

#[cfg(not(unix))]
fn raise(_: u64) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_the_rest() {
        assert_eq!(most(10_000, 65_536), 10_000);
        assert_eq!(most(10_000, 4096), 4096 - 512);
        assert_eq!(most(10_000, 1024), 512);
        assert_eq!(most(10_000, 256), 64);
        assert_eq!(most(10, 1024), 10);
        assert_eq!(most(10, 0), 1);
    }

    #[cfg(unix)]
    #[test]
    fn the_limit_is_raised_as_far_as_the_process_may() {
        use rustix::process::{Resource, getrlimit};
        let before = getrlimit(Resource::Nofile);
        let Some(current) = before.current else { return };
        let one_more = before.maximum.map_or(current + 1, |maximum| maximum.min(current + 1));
        assert_eq!(raise(one_more), Some(one_more));
        assert_eq!(raise(1), Some(one_more), "it is never lowered");
        assert_eq!(getrlimit(Resource::Nofile).current, Some(one_more));
    }
}
