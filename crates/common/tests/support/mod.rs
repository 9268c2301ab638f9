//! Finds the network's test vectors, which are not part of this repository.

use std::path::PathBuf;

/// Returns the text of a vector file, or `None` (with a note) where the vectors are absent.
///
/// They are looked for in the folder that `EZPDS_VECTORS` names, and else in `../shared/vectors` beside the workspace.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub(crate) fn vectors(path: &str) -> Option<String> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    let root = std::env::var_os("EZPDS_VECTORS").map_or_else(beside, PathBuf::from);
    if !root.is_dir() {
        println!("skipped {path}: there is no folder {}", root.display());
        return None;
    }
    Some(std::fs::read_to_string(root.join(path)).unwrap_or_else(|err| panic!("{path} is unreadable: {err}")))
}
