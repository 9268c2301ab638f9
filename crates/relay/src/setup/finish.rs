//! How a set-up ends.

use super::place::Place;

/// What runs the server from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// This process.
    Here,
    /// A service of the system, which runs already.
    Service,
    /// This process, as a local network to try things on.
    Trial,
}

/// Whether this machine has something that runs services.
pub(crate) fn service_is_possible(place: &Place) -> bool {
    let systemd = || {
        // Where it is not the first process it cannot be asked for anything.
        std::path::Path::new("/run/systemd/system").exists()
    };
    !place.container && (cfg!(target_os = "macos") || systemd())
}
