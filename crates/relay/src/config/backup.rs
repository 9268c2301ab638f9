//! `[backup]`: where copies of everything go, how often, and for how long they are kept.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{
    error::Wrong,
    reader::Reader,
    s3::{Names, S3Place, Store},
    secret::{Secret, parse_strong},
    values::{days, hours, parse_size},
};

/// How many places there may be: each reads the write-ahead log for itself.
const PLACES: usize = 4;

/// The section `[backup]`.
#[derive(Debug, Clone)]
pub struct Backup {
    /// The places; none when there are no backups.
    pub to: Vec<BackupTo>,
    /// How often a whole backup is made.
    pub every: Duration,
    /// How often what changed since is copied.
    pub ship_every: Duration,
    /// How many backups are kept.
    pub keep: Keep,
    /// Whether each backup is restored on trial.
    pub drill: bool,
    /// Bytes a second that may be sent; `None` is as many as there can be.
    pub bandwidth: Option<u64>,
    /// Most bytes of changes that wait on the disk while the place is out of reach.
    pub spool_bytes: u64,
}

/// A place for backups, and the key to what is there.
#[derive(Debug, Clone)]
pub struct BackupTo {
    /// The place.
    pub place: BackupPlace,
    /// The key.
    pub key: BackupKeySource,
}

/// A place for backups.
#[derive(Debug, Clone)]
pub enum BackupPlace {
    /// A folder.
    Folder(PathBuf),
    /// A bucket of an S3-compatible store.
    S3(S3Place),
}

/// What opens the backups.
#[derive(Debug, Clone)]
pub enum BackupKeySource {
    /// A passphrase.
    Passphrase(Secret),
    /// A file with an age identity.
    File(PathBuf),
}

/// How many backups are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// The newest of each of so many days.
    pub daily: usize,
    /// The newest of each of so many weeks.
    pub weekly: usize,
    /// The newest of each of so many months.
    pub monthly: usize,
    /// For how long every moment can be restored.
    pub every_moment: Duration,
}

impl BackupPlace {
    /// Reads `/mnt/backup` or `s3://bucket/prefix`; what else an S3-compatible store needs is added by the caller.
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with("s3://") {
            return S3Place::parse(text).map(Self::S3);
        }
        let path = PathBuf::from(text);
        path.is_absolute().then_some(Self::Folder(path))
    }

    /// Returns how operators call the place.
    pub fn describe(&self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
            Self::S3(s3) => s3.describe(),
        }
    }
}

fn parse_place(text: &str) -> Result<BackupPlace, Wrong> {
    BackupPlace::parse(text).ok_or_else(|| {
        Wrong::new("is neither a folder nor a bucket", "Write an absolute path such as /mnt/backup, or s3://bucket/prefix.")
    })
}

impl Backup {
    /// Returns the folders among the places.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.to.iter().filter_map(|to| match &to.place {
            BackupPlace::Folder(folder) => Some(folder.as_path()),
            BackupPlace::S3(_) => None,
        })
    }

    pub(super) fn read(reader: &mut Reader) -> Self {
        let places = reader.list("backup.to", parse_place).unwrap_or_default();
        let names: HashSet<String> = places.iter().map(BackupPlace::describe).collect();
        if names.len() != places.len() || places.len() > PLACES {
            reader.complain("backup.to", "names a place twice, or more than four", "Name each place once, at most four.");
        }
        let store = Store::read(
            reader,
            &Names {
                endpoint: "backup.s3_endpoint",
                region: "backup.s3_region",
                access_key: "backup.s3_access_key",
                secret_key: "backup.s3_secret_key",
            },
        );
        let passphrase = reader.optional("backup.passphrase", parse_strong);
        let key_file = reader.optional_path("backup.key_file");
        let places = places.into_iter().map(|place| match place {
            BackupPlace::S3(s3) => BackupPlace::S3(store.place(s3)),
            folder @ BackupPlace::Folder(_) => folder,
        });
        let places: Vec<BackupPlace> = places.collect();
        let key = match (passphrase, key_file) {
            (Some(passphrase), None) => Some(BackupKeySource::Passphrase(passphrase)),
            (None, Some(file)) => Some(BackupKeySource::File(file)),
            (Some(_), Some(_)) => {
                reader.complain("backup.key_file", "is set beside backup.passphrase", "Keep one of the two.");
                None
            }
            (None, None) => {
                if !places.is_empty() && !reader.is_given("backup.passphrase") {
                    reader.complain(
                        "backup.to",
                        "is set without a key",
                        "Set backup.passphrase or backup.key_file: backups hold every key of the server, so they are encrypted.",
                    );
                }
                None
            }
        };
        let number = |reader: &mut Reader, path| reader.number(path, 0..=10_000) as usize;
        Self {
            to: key.map_or_else(Vec::new, |key| {
                let with_key = |place| BackupTo { place, key: key.clone() };
                places.into_iter().map(with_key).collect()
            }),
            every: reader.duration("backup.every", hours(1)..=days(31)),
            ship_every: reader.duration("backup.ship_every", Duration::from_millis(100)..=hours(24)),
            keep: Keep {
                daily: number(reader, "backup.keep_daily"),
                weekly: number(reader, "backup.keep_weekly"),
                monthly: number(reader, "backup.keep_monthly"),
                every_moment: reader.duration("backup.keep_every_moment", hours(0)..=days(3650)),
            },
            drill: reader.flag("backup.drill"),
            bandwidth: reader.optional("backup.bandwidth", |text| match parse_size(text)? {
                bytes if bytes >= 16 << 10 => Ok(bytes),
                _ => Err(Wrong::new("is too small", "Write at least 16KiB.")),
            }),
            spool_bytes: reader.size("backup.spool", 1 << 20),
        }
    }
}
