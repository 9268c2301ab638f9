//! `disk.kind`, `files`, `memory`, `sleep`: the machine under the server.

use crate::doctor::facts::{Facts, Sleep};
use crate::doctor::finding::Finding;
use crate::doctor::said::said;

/// File systems over a network, whose locks and syncs SQLite cannot rely on.
const OVER_NETWORK: [&str; 14] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "afs",
    "afpfs",
    "9p",
    "fuse.sshfs",
    "fuse.glusterfs",
    "fuse.s3fs",
    "fuse.rclone",
    "ncpfs",
    "davfs",
];
/// A connection is a file, and so is each blob and each reader of the database.
const FEW_FILES: u64 = 4096;
const LITTLE_MEMORY: u64 = 200 << 20;
const TOO_LITTLE_MEMORY: u64 = 100 << 20;

pub(in crate::doctor) fn evaluate(facts: &Facts, findings: &mut Vec<Finding>) {
    let machine = &facts.machine;
    findings.extend(machine.file_system.as_deref().map(file_system));
    findings.extend(machine.files.map(files));
    findings.extend(machine.memory.map(memory));
    // Nobody else waits for a server that is for this machine alone.
    findings.extend(machine.sleep.filter(|_| !facts.setup.local).map(sleep));
}

fn file_system(kind: &str) -> Finding {
    const ID: &str = "disk.kind";
    let lower = kind.to_lowercase();
    if OVER_NETWORK.contains(&lower.as_str()) {
        return Finding::error(
            ID,
            said!(
                "disk.network",
                "The data folder is on a disk over the network ({kind}), on which a database is damaged sooner or later.",
                kind
            ),
            said!("disk.network.do", "Move data.dir to a disk of this machine; blobs and backups may stay on the other one."),
        );
    }
    match lower.as_str() {
        "tmpfs" | "ramfs" => Finding::error(
            ID,
            said!("disk.memory", "The data folder is in memory ({kind}): all is gone when the machine is off.", kind),
            said!("disk.memory.do", "Set data.dir to a folder on a disk."),
        ),
        "overlay" | "aufs" => Finding::warning(
            ID,
            said!("disk.container", "The data folder is in the container itself ({kind}), and goes with it.", kind),
            said!("disk.container.do", "Give the container a volume for it: `--volume relay-data:/data`."),
        ),
        _ => Finding::good(ID, said!("disk.local", "The data folder is on a disk of this machine ({kind}).", kind)),
    }
}

fn files(limit: u64) -> Finding {
    const ID: &str = "files";
    if limit >= FEW_FILES {
        return Finding::good(ID, said!("files.enough", "The server may have {limit} files and connections open.", limit));
    }
    Finding::warning(
        ID,
        said!("files.few", "The server may have {limit} files and connections open at once, which many readers use up.", limit),
        said!(
            "files.few.do",
            "`relay service install` sets a higher limit. Elsewhere: `LimitNOFILE=65536` in the unit, or `ulimit -n 65536` before the start."
        ),
    )
}

fn memory(bytes: u64) -> Finding {
    const ID: &str = "memory";
    let sentence = said!("memory", "The server can have {mib} MiB of memory.", mib = bytes >> 20);
    let remedy = said!("memory.do", "Raise the limit of the container or the unit (`MemoryMax=`), or add swap.");
    if bytes < TOO_LITTLE_MEMORY {
        Finding::error(ID, sentence, remedy)
    } else if bytes < LITTLE_MEMORY {
        Finding::warning(ID, sentence, remedy)
    } else {
        Finding::good(ID, sentence)
    }
}

fn sleep(sleep: Sleep) -> Finding {
    const ID: &str = "sleep";
    match sleep {
        Sleep::Never => Finding::good(ID, said!("sleep.never", "This machine does not go to sleep by itself.")),
        Sleep::Laptop => Finding::warning(
            ID,
            said!(
                "sleep.laptop",
                "This is a laptop, which may go to sleep, as when its lid is closed; the server sleeps with it."
            ),
            said!(
                "sleep.laptop.do",
                "`sudo systemctl mask sleep.target suspend.target hibernate.target hybrid-sleep.target` keeps it awake."
            ),
        ),
        Sleep::After(minutes) => Finding::warning(
            ID,
            said!("sleep.mac", "This Mac goes to sleep after {minutes} minutes, and the server with it.", minutes),
            said!("sleep.mac.do", "`sudo relay service install --keep-awake`, or `sudo pmset -c sleep 0`."),
        ),
    }
}
