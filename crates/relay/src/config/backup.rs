//! `[backup]`: where copies of everything go, how often, and for how long they are kept.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::{
    error::Wrong,
    reader::Reader,
    secret::{Secret, parse_any, parse_strong},
    values::{days, hours, parse_size, parse_text},
};

/// The section `[backup]`.
#[derive(Debug, Clone)]
pub struct Backup {
    /// The place; `None` when there are no backups.
    pub to: Option<BackupTo>,
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

/// A bucket of an S3-compatible store.
#[derive(Debug, Clone)]
pub struct S3Place {
    /// The bucket.
    pub bucket: String,
    /// What the names of all objects begin with; may be empty.
    pub prefix: String,
    /// The store; `None` is Amazon's.
    pub endpoint: Option<Url>,
    /// The region.
    pub region: String,
    /// Who writes; `None` asks without a signature.
    pub access: Option<S3Access>,
}

/// Who writes to an S3-compatible store.
#[derive(Debug, Clone)]
pub struct S3Access {
    /// The access key.
    pub key: String,
    /// The secret key.
    pub secret: Secret,
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
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let s3 = S3Place {
                bucket: bucket.to_owned(),
                prefix: prefix.trim_matches('/').to_owned(),
                endpoint: None,
                region: "us-east-1".to_owned(),
                access: None,
            };
            return (!bucket.is_empty()).then_some(Self::S3(s3));
        }
        let path = PathBuf::from(text);
        path.is_absolute().then_some(Self::Folder(path))
    }
}

fn parse_place(text: &str) -> Result<BackupPlace, Wrong> {
    BackupPlace::parse(text).ok_or_else(|| {
        Wrong::new("is neither a folder nor a bucket", "Write an absolute path such as /mnt/backup, or s3://bucket/prefix.")
    })
}

fn parse_endpoint(text: &str) -> Result<Url, Wrong> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| Wrong::new("is not a URL", "Write it as https://s3.example.com."))
}

impl Backup {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let place = reader.optional("backup.to", parse_place);
        let endpoint = reader.optional("backup.s3_endpoint", parse_endpoint);
        let region = reader.value("backup.s3_region", parse_text);
        let access_key = reader.optional("backup.s3_access_key", parse_text);
        let secret_key = reader.optional("backup.s3_secret_key", parse_any);
        let passphrase = reader.optional("backup.passphrase", parse_strong);
        let key_file = reader.optional_path("backup.key_file");
        if access_key.is_some() != secret_key.is_some() {
            let set = if access_key.is_some() { "backup.s3_access_key" } else { "backup.s3_secret_key" };
            reader.complain(set, "is set alone", "Set backup.s3_access_key and backup.s3_secret_key, or neither.");
        }
        let access = access_key.zip(secret_key).map(|(key, secret)| S3Access { key, secret });
        let place = place.map(|place| match place {
            BackupPlace::S3(s3) => BackupPlace::S3(S3Place { endpoint, region, access, ..s3 }),
            folder @ BackupPlace::Folder(_) => folder,
        });
        let key = match (passphrase, key_file) {
            (Some(passphrase), None) => Some(BackupKeySource::Passphrase(passphrase)),
            (None, Some(file)) => Some(BackupKeySource::File(file)),
            (Some(_), Some(_)) => {
                reader.complain("backup.key_file", "is set beside backup.passphrase", "Keep one of the two.");
                None
            }
            (None, None) => {
                if place.is_some() && !reader.is_given("backup.passphrase") {
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
            to: place.zip(key).map(|(place, key)| BackupTo { place, key }),
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
