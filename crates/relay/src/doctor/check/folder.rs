//! `disk.perm`, `disk.space`, `disk.sync`: the data folder.

use crate::doctor::facts::{Facts, FolderState};
use crate::doctor::finding::Finding;
use crate::doctor::said::said;
use crate::telemetry::disk::in_words;

const GIB: u64 = 1 << 30;
/// Below these, in bytes or as a share of the disk, whichever is less demanding of a big disk.
const SPACE_WARNING: (u64, f64) = (2 * GIB, 0.05);
const SPACE_ERROR: (u64, f64) = (GIB / 2, 0.025);
/// A write waits this long for the disk at least; above it people notice.
const SLOW_SYNC_MICROS: u64 = 100_000;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    let path = facts.folder.path.display();
    match &facts.folder.state {
        FolderState::Absent => {
            findings.push(Finding::notice(
                "disk.perm",
                said!("folder.absent", "The data folder {path} does not exist yet.", path),
                said!("folder.absent.do", "The server makes it when it first starts."),
            ));
            findings.push(Finding::skipped(
                "disk.space",
                said!("folder.later", "The disk is looked at once the data folder is there."),
            ));
        }
        FolderState::Unwritable(reason) => {
            findings.push(Finding::error(
                "disk.perm",
                said!("folder.unwritable", "Nothing can be written to the data folder {path}: {reason}.", path, reason),
                said!(
                    "folder.unwritable.do",
                    "Run this as the user of the server. If it is that user, give it the folder: `chown -R USER FOLDER`."
                ),
            ));
            findings.push(Finding::skipped(
                "disk.space",
                said!("folder.later_writable", "The disk is looked at once the data folder can be written to."),
            ));
        }
        FolderState::Full => {
            findings.push(Finding::skipped(
                "disk.perm",
                said!("folder.later_room", "It is looked at once there is room for a file."),
            ));
            findings.push(Finding::error(
                "disk.space",
                said!("folder.full", "The disk under {path} is full: the server takes no writes; reads go on.", path),
                said!(
                    "folder.full.do",
                    "Make room: remove what is not the server's, or move the data folder to a bigger disk. The server goes on by itself, \
                     without a restart."
                ),
            ));
        }
        FolderState::Writable { open, space, sync_micros } => {
            findings.push(permissions(&path.to_string(), open));
            findings.push(free_space(*space));
            findings.push(sync(*sync_micros));
        }
    }
}

fn permissions(path: &str, open: &[(std::path::PathBuf, u32)]) -> Finding {
    let Some((first, mode)) = open.first() else {
        return Finding::good("disk.perm", said!("folder.good", "The data folder {path} is writable, and private.", path));
    };
    let (first, mode) = (first.display(), format!("{:04o}", mode & 0o7777));
    let sentence = match open.len() - 1 {
        0 => said!("folder.open", "Other users of this machine can get at {first} (mode {mode}).", first, mode),
        more => said!(
            "folder.open_more",
            "Other users of this machine can get at {first} (mode {mode}) and {more} more files of the data folder.",
            first,
            mode,
            more
        ),
    };
    Finding::error("disk.perm", sentence, said!("folder.open.do", "Run `relay doctor --fix`, or `chmod -R go= {path}`.", path))
        .fixable()
}

fn free_space(space: Option<(u64, u64)>) -> Finding {
    let Some((free, total)) = space else {
        return Finding::skipped("disk.space", said!("disk.unknown", "The system does not tell how much space is left."));
    };
    let below = |(bytes, share): (u64, f64)| free < bytes && (free as f64) < total as f64 * share || free < bytes / 4;
    let sentence =
        said!("disk.free", "{free} of {total} are free on the disk.", free = in_words(free), total = in_words(total));
    let remedy =
        said!("disk.free.do", "Make space, or move the data folder to a bigger disk: when it is full, nobody can post.");
    if below(SPACE_ERROR) {
        Finding::error("disk.space", sentence, remedy)
    } else if below(SPACE_WARNING) {
        Finding::warning("disk.space", sentence, remedy)
    } else {
        Finding::good("disk.space", sentence)
    }
}

fn sync(micros: u64) -> Finding {
    let sentence = said!(
        "disk.sync",
        "The disk takes {millis} ms to make a write durable.",
        millis = format!("{:.1}", micros as f64 / 1000.0)
    );
    if micros < SLOW_SYNC_MICROS {
        return Finding::good("disk.sync", sentence);
    }
    Finding::warning(
        "disk.sync",
        sentence,
        said!(
            "disk.sync.do",
            "Every post waits for that. Use a disk in this machine, not one over the network or a memory card."
        ),
    )
}
