//! The machine: its file system, clock, sleep and limits, as far as the system tells without asking for rights.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::doctor::facts::{Machine, Sleep};

/// Looks at the machine under the data folder, and at the limits of the server's process, if one runs.
pub(super) async fn look(data_dir: &Path, server: Option<u32>) -> Machine {
    let data_dir = data_dir.to_owned();
    tokio::task::spawn_blocking(move || machine(&data_dir, server)).await.unwrap_or_default()
}

fn machine(data_dir: &Path, server: Option<u32>) -> Machine {
    // A folder that is not there yet will be on the disk of the one above.
    let there = data_dir.ancestors().find_map(|folder| folder.canonicalize().ok());
    Machine {
        file_system: there.and_then(|folder| {
            let mounts = fs::read_to_string("/proc/self/mountinfo").ok().map(|table| linux_mounts(&table));
            kind_of(&folder, &mounts.or_else(|| Some(bsd_mounts(&said("mount", &[])?)))?)
        }),
        clock_is_set: said("timedatectl", &["show", "--property=NTPSynchronized", "--value"]).and_then(|word| {
            match word.trim() {
                "yes" => Some(true),
                "no" => Some(false),
                _ => None,
            }
        }),
        sleep: if cfg!(target_os = "macos") {
            said("pmset", &["-g", "custom"]).map(|text| mac_sleep(&text))
        } else {
            linux_sleep()
        },
        files: server.and_then(|server| open_files(&fs::read_to_string(format!("/proc/{server}/limits")).ok()?)),
        memory: server.and_then(memory),
    }
}

fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stdin(std::process::Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Reads mount points and kinds of file systems from /proc/self/mountinfo, proc(5).
fn linux_mounts(table: &str) -> Vec<(String, String)> {
    let line = |line: &str| {
        let (mount, file_system) = line.split_once(" - ")?;
        // A space in a path is written so.
        let point = mount.split(' ').nth(4)?.replace("\\040", " ");
        Some((point, file_system.split(' ').next()?.to_owned()))
    };
    table.lines().filter_map(line).collect()
}

/// Reads them from what mount(8) of macOS and the BSDs says: `/dev/disk1 on /Volumes/A (apfs, local)`.
fn bsd_mounts(text: &str) -> Vec<(String, String)> {
    let line = |line: &str| {
        let (point, rest) = line.split_once(" on ")?.1.rsplit_once(" (")?;
        Some((point.to_owned(), rest.split([',', ')']).next()?.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// Returns the kind of the file system that `path` is on: of the last of the longest mount points above it.
fn kind_of(path: &Path, mounts: &[(String, String)]) -> Option<String> {
    let above = mounts.iter().filter(|(point, _)| path.starts_with(point));
    above.max_by_key(|(point, _)| point.len()).map(|(_, kind)| kind.clone())
}

/// Reads how many files a process may open from /proc/PID/limits.
fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// Returns the least of the machine's memory and the limits of the control groups that a process is in.
fn memory(process: u32) -> Option<u64> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    let total =
        info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.split_whitespace().next()?.parse::<u64>().ok()? << 10;
    let groups = fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap_or_default();
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let limits = Path::new(group).ancestors().filter_map(|group| {
        let limit = fs::read_to_string(Path::new("/sys/fs/cgroup").join(group).join("memory.max")).ok()?;
        limit.trim().parse::<u64>().ok()
    });
    limits.chain([total]).min()
}

/// Whether this is a laptop, by its case, that nobody keeps awake.
fn linux_sleep() -> Option<Sleep> {
    let case: u32 = fs::read_to_string("/sys/class/dmi/id/chassis_type").ok()?.trim().parse().ok()?;
    // SMBIOS, table 17: portable, laptop, notebook, hand held, sub notebook, convertible, detachable.
    if !matches!(case, 8..=11 | 14 | 31 | 32) {
        return Some(Sleep::Never);
    }
    let state = Command::new("systemctl").args(["is-enabled", "sleep.target"]).output().ok()?;
    let masked = String::from_utf8_lossy(&state.stdout).trim() == "masked";
    Some(if masked { Sleep::Never } else { Sleep::Laptop })
}

/// Reads when a Mac sleeps while it is on mains, from `pmset -g custom`; something that keeps it awake is named in the line.
fn mac_sleep(text: &str) -> Sleep {
    let mains = text.split_once("AC Power:").map_or(text, |(_, rest)| rest);
    let line = mains.lines().map(str::trim).find(|line| line.starts_with("sleep "));
    let kept_awake = line.is_some_and(|line| line.contains("prevented by"));
    match line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()) {
        Some(minutes) if minutes > 0 && !kept_awake => Sleep::After(minutes),
        _ => Sleep::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_are_found_by_their_mount_points() {
        let linux = linux_mounts(
            "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
             30 22 0:26 / /srv/my\\040disk rw shared:2 - nfs4 nas:/x rw,vers=4.2\n\
             31 30 0:27 / /srv/my\\040disk/inner rw - xfs /dev/sdb rw\n",
        );
        let kind = |path: &str| kind_of(Path::new(path), &linux);
        assert_eq!(kind("/var/lib/relay").as_deref(), Some("ext4"));
        assert_eq!(kind("/srv/my disk/relay").as_deref(), Some("nfs4"));
        assert_eq!(kind("/srv/my disk/inner").as_deref(), Some("xfs"));
        assert_eq!(kind("/srv/my diskette").as_deref(), Some("ext4"));
        let mac = bsd_mounts(
            "/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)\n//me@nas/data on /Volumes/Data (1) (smbfs, nodev)\n",
        );
        assert_eq!(kind_of(Path::new("/usr/local/var/relay"), &mac).as_deref(), Some("apfs"));
        assert_eq!(kind_of(Path::new("/Volumes/Data (1)/relay"), &mac).as_deref(), Some("smbfs"));
    }

    #[test]
    fn limits_and_sleep_are_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            1024                 524288               files\n";
        assert_eq!(open_files(limits), Some(1024));
        assert_eq!(open_files(""), None);
        let mac = "Battery Power:\n sleep                1\nAC Power:\n displaysleep         10\n sleep                30\n";
        assert_eq!(mac_sleep(mac), Sleep::After(30));
        assert_eq!(mac_sleep(&mac.replace("30", "0")), Sleep::Never);
        assert_eq!(mac_sleep(&mac.replace("30", "1 (sleep prevented by caffeinate)")), Sleep::Never);
        assert_eq!(mac_sleep(" sleep 15\n"), Sleep::After(15), "a Mac without a battery");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_has_limits() {
        let found = machine(&std::env::temp_dir().join("not/there"), Some(std::process::id()));
        assert!(found.file_system.is_some() && found.files.is_some());
        assert!(found.memory.is_some_and(|bytes| bytes > 1 << 20));
    }
}
