//! `disk.perm`, `disk.space`, `disk.sync`: the data folder.

use crate::doctor::facts::{Facts, Folder, FolderState, Holder, Use};
use crate::doctor::finding::Finding;
use crate::doctor::said::{Said, said};
use crate::telemetry::disk::in_words;
use crate::telemetry::room::Forecast;

const GIB: u64 = 1 << 30;
/// Below these, in bytes or as a share of the disk, whichever is less demanding of a big disk.
const SPACE_WARNING: (u64, f64) = (2 * GIB, 0.05);
const SPACE_ERROR: (u64, f64) = (GIB / 2, 0.025);
/// Time to get another disk.
const WARNING_DAYS: u64 = 14;
/// Most that are named of what takes room.
const MAX_USES: usize = 3;
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
                with_uses(
                    said!("folder.full", "The disk under {path} is full: the server takes no writes; reads go on.", path),
                    &facts.folder.uses,
                ),
                said!(
                    "folder.full.do",
                    "Make room: remove what is not the server's, or move the data folder to a bigger disk. The server goes on by itself, \
                     without a restart."
                )
                .then(smaller(&facts.folder.uses)),
            ));
        }
        FolderState::Writable { open, foreign, owner, space, sync_micros } => {
            findings.push(permissions(&path.to_string(), open));
            findings.extend(ownership(&path.to_string(), foreign, *owner));
            findings.push(free_space(*space, &facts.folder));
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

fn ownership(path: &str, foreign: &[std::path::PathBuf], (uid, gid): (u32, u32)) -> Option<Finding> {
    let (first, count) = (foreign.first()?.display(), foreign.len());
    let sentence = said!(
        "folder.foreign",
        "{count} files of the data folder belong to another user than the folder does, {first} among them, so the server may not get at them.",
        first,
        count
    );
    // Whose it should be is plain only where somebody made the folder the server's.
    Some(if uid == 0 {
        let remedy =
            said!("folder.foreign_root.do", "Give all of it to the user of the server: `sudo chown -R USER {path}`.", path);
        Finding::warning("disk.owner", sentence, remedy)
    } else {
        let remedy =
            said!("folder.foreign.do", "Run `sudo relay doctor --fix`, or `sudo chown -R {uid}:{gid} {path}`.", uid, gid, path);
        Finding::error("disk.owner", sentence, remedy).fixable()
    })
}

/// Whether there is, or soon will be, too little room, so that it is worth looking at what takes it.
pub(in crate::doctor) fn is_short(free: u64, total: u64, forecast: Option<Forecast>) -> bool {
    is_below(SPACE_WARNING, free, total) || forecast.is_some_and(|forecast| forecast.days_left < WARNING_DAYS)
}

fn is_below((bytes, share): (u64, f64), free: u64, total: u64) -> bool {
    free < bytes && (free as f64) < total as f64 * share || free < bytes / 4
}

fn free_space(space: Option<(u64, u64)>, folder: &Folder) -> Finding {
    const ID: &str = "disk.space";
    let Some((free, total)) = space else {
        return Finding::skipped(ID, said!("disk.unknown", "The system does not tell how much space is left."));
    };
    let mut sentence =
        said!("disk.free", "{free} of {total} are free on the disk.", free = in_words(free), total = in_words(total));
    if let Some(Forecast { days_left, seen_days }) = folder.forecast {
        sentence = sentence.then(said!(
            "disk.fills",
            "If it fills as in the last {seen} days, it is full in {left} days.",
            seen = seen_days,
            left = days_left
        ));
    }
    if !is_short(free, total, folder.forecast) {
        return Finding::good(ID, sentence);
    }
    let sentence = with_uses(sentence, &folder.uses);
    let remedy =
        said!("disk.free.do", "Make space, or move the data folder to a bigger disk: when it is full, nobody can post.")
            .then(smaller(&folder.uses));
    if is_below(SPACE_ERROR, free, total) {
        Finding::error(ID, sentence, remedy)
    } else {
        Finding::warning(ID, sentence, remedy)
    }
}

/// Adds what takes the most room.
fn with_uses(sentence: Said, uses: &[Use]) -> Said {
    uses.iter().take(MAX_USES).fold(sentence, |sentence, Use { by, bytes, complete }| {
        let size = format!("{}{}", if *complete { "" } else { "≥ " }, in_words(*bytes));
        sentence.then(match by {
            Holder::Database => said!("disk.by_database", "The database takes {size}.", size),
            Holder::Blobs => said!("disk.by_blobs", "Blobs take {size}.", size),
            Holder::Backups => said!("disk.by_backups", "Backups on the same disk take {size}.", size),
            Holder::Spool => said!("disk.by_spool", "What waits for a place of backups takes {size}.", size),
            Holder::Evidence => said!("disk.by_evidence", "What repairs replaced takes {size}.", size),
            Holder::Logs => said!("disk.by_logs", "Logs of the system take {size}.", size),
        })
    })
}

/// Says how that which takes the most is made smaller.
fn smaller(uses: &[Use]) -> Said {
    match uses.first().map(|largest| largest.by) {
        None | Some(Holder::Database) => Said::nothing(),
        Some(Holder::Blobs) => said!("disk.by_blobs.do", "Blobs can be in a bucket in place of this disk: set blobs.store."),
        Some(Holder::Backups) => said!(
            "disk.by_backups.do",
            "Let backup.to name a place on another machine: what is on this disk is lost with it in any case."
        ),
        Some(Holder::Spool) => {
            said!("disk.by_spool.do", "It goes once a backup succeeds; backup.age says what is wrong with that.")
        }
        Some(Holder::Evidence) => {
            said!("disk.by_evidence.do", "Once all is as it should be, the folder evidence in the data folder can be removed.")
        }
        Some(Holder::Logs) => {
            said!(
                "disk.by_logs.do",
                "`sudo journalctl --vacuum-size=500M` removes old ones; `SystemMaxUse=` in journald.conf keeps them small."
            )
        }
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
