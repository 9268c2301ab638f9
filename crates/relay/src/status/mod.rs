//! How the server is doing, for its operator: `relay status`, the deep health check, and what goes into a support bundle.

mod health;
pub(crate) mod milestone;
pub(crate) mod view;

use std::collections::BTreeMap;
use std::path::Path;

use common::Clock as _;
use serde::{Deserialize, Serialize};

pub(crate) use health::{Health, deep};

use self::milestone::{Milestone, Outcome};
use crate::backup::{self, Backups};
use crate::crawlers::Report;
use crate::error::XrpcError;
use crate::notice::Problem;
use crate::state::{App, AppState};
use crate::store::{StoreError, account, crawler, meta};
use crate::tasks::registry::TaskRecord;
use crate::telemetry::disk;
use crate::telemetry::latency::Counted;
use crate::telemetry::room::RoomHistory;

/// How the server is doing. Times are milliseconds since the epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    pub(crate) version: String,
    pub(crate) public_url: String,
    pub(crate) now: i64,
    pub(crate) started_at: i64,
    pub(crate) uptime_seconds: u64,
    /// Accounts by status.
    pub(crate) accounts: BTreeMap<String, u64>,
    /// The span of time that rates and latencies are of: the last minute.
    pub(crate) span_seconds: f64,
    /// Requests that read.
    pub(crate) reads: Rate,
    /// Requests that change something.
    pub(crate) writes: Rate,
    /// Transactions of the database.
    pub(crate) transactions: Rate,
    pub(crate) write_queue: Queue,
    pub(crate) firehose: FirehoseStatus,
    pub(crate) crawlers: Vec<CrawlerStatus>,
    pub(crate) disk: DiskStatus,
    /// The last backup, drill and verification.
    pub(crate) milestones: BTreeMap<String, Outcome>,
    /// The backups in each place.
    pub(crate) backups: Vec<backup::Status>,
    pub(crate) tasks: BTreeMap<String, TaskRecord>,
    /// What is not well.
    pub(crate) problems: Vec<Problem>,
}

/// How often something happens and how long it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
}

/// How much waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Queue {
    pub(crate) waiting: usize,
    pub(crate) places: usize,
}

/// The firehose.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FirehoseStatus {
    pub(crate) seq: i64,
    pub(crate) events_per_second: f64,
    pub(crate) subscribers: usize,
}

/// What is known of a crawler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CrawlerStatus {
    pub(crate) host: String,
    /// When it was last told of this server.
    pub(crate) told_at: Option<i64>,
    pub(crate) failures: u32,
    pub(crate) error: Option<String>,
    /// How far it has read, by its own word, as a sentence; none before it was first asked.
    pub(crate) reading: Option<String>,
    /// Whether there is nothing to do about that.
    pub(crate) follows: Option<bool>,
    /// Whether it may come when it is told once more.
    #[serde(default)]
    pub(crate) telling_helps: bool,
}

/// The data folder and its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DiskStatus {
    pub(crate) free_bytes: Option<u64>,
    pub(crate) total_bytes: Option<u64>,
    pub(crate) database_bytes: u64,
    /// The write-ahead log.
    pub(crate) log_bytes: u64,
}

/// Looks at everything.
pub(crate) async fn collect(app: &AppState) -> Result<Status, XrpcError> {
    let accounts = app.db.scan(account::count_by_status).await.map_err(XrpcError::from)?;
    let accounts = accounts.into_iter().map(|(status, count)| (status.as_str().unwrap_or("active").to_owned(), count));
    let now = app.telemetry.now();
    let earlier = app.telemetry.earlier().unwrap_or(now);
    let span = now.at.duration_since(earlier.at).as_secs_f64();
    let rate = |now: &Counted, earlier: &Counted| {
        let counted = now.since(earlier);
        Rate {
            per_second: per_second(counted.count(), span),
            p50_ms: counted.quantile_ms(0.5),
            p99_ms: counted.quantile_ms(0.99),
        }
    };
    let (waiting, places) = app.db.write_queue();
    let tasks = app.tasks.all().into_iter().map(|(name, task)| (name.to_owned(), task)).collect();
    Ok(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        public_url: app.config.server.public_url.as_str().to_owned(),
        now: app.clock.millis(),
        started_at: app.telemetry.started_millis,
        uptime_seconds: app.telemetry.started.elapsed().as_secs(),
        accounts: accounts.collect(),
        span_seconds: span,
        reads: rate(&now.reads, &earlier.reads),
        writes: rate(&now.writes, &earlier.writes),
        transactions: rate(&now.transactions, &earlier.transactions),
        write_queue: Queue { waiting, places },
        firehose: FirehoseStatus {
            seq: app.firehose.latest_seq(),
            events_per_second: per_second(now.events - earlier.events, span),
            subscribers: app.firehose.subscribers(),
        },
        crawlers: crawlers(app).await?,
        disk: disk_status(app),
        milestones: milestones(app).await?,
        backups: app.backups.iter().map(Backups::status).collect(),
        tasks,
        problems: app.notices.problems(),
    })
}

/// Returns the last backup, drill and verification, by name.
pub(crate) async fn milestones(app: &App) -> Result<BTreeMap<String, Outcome>, XrpcError> {
    let found: Result<Vec<_>, StoreError> = app
        .db
        .read(|conn| {
            let found = Milestone::ALL.map(|milestone| Ok((milestone, milestone::find(conn, milestone)?)));
            found.into_iter().collect()
        })
        .await;
    let found = found.map_err(XrpcError::from)?.into_iter();
    Ok(found.filter_map(|(milestone, outcome)| Some((milestone.name().to_owned(), outcome?))).collect())
}

/// Returns how the room on the disk went. It serves a forecast alone, so one that cannot be read begins anew.
pub(crate) async fn room_history(app: &App) -> Result<RoomHistory, XrpcError> {
    let stored = app.db.read(|conn| meta::find(conn, RoomHistory::KEY)).await.map_err(XrpcError::from)?;
    Ok(stored.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default())
}

fn per_second(count: u64, span_seconds: f64) -> f64 {
    if span_seconds > 0.0 { count as f64 / span_seconds } else { 0.0 }
}

pub(crate) async fn crawlers(app: &App) -> Result<Vec<CrawlerStatus>, XrpcError> {
    let mut told = app.crawlers.all();
    let reports = app.db.read(crawler::list).await.map_err(XrpcError::from)?;
    let configured = app.config.services.crawlers.iter().map(|service| service.host().to_owned());
    let known = configured.map(|host| {
        let told = told.remove(&host).unwrap_or_default();
        let reading = reports.iter().find(|report| report.crawler == host).map(Report::judge);
        CrawlerStatus {
            host,
            told_at: told.told_at,
            failures: told.failures,
            error: told.error,
            follows: reading.as_ref().map(|reading| reading.good),
            telling_helps: reading.as_ref().is_some_and(|reading| reading.telling_helps),
            reading: reading.map(|reading| reading.text),
        }
    });
    Ok(known.collect())
}

pub(crate) fn disk_status(app: &App) -> DiskStatus {
    let dir = &app.config.data.dir;
    let space = disk::space(dir);
    let size = |name: &str| std::fs::metadata(Path::new(dir).join(name)).map_or(0, |file| file.len());
    DiskStatus {
        free_bytes: space.map(|space| space.free_bytes),
        total_bytes: space.map(|space| space.total_bytes),
        database_bytes: size("relay.sqlite"),
        log_bytes: size("relay.sqlite-wal"),
    }
}

/// Writes a value to the database, as durably as any, to see whether that works.
pub(crate) async fn probe_write(app: &App) -> Result<(), XrpcError> {
    let now = app.clock.millis().to_be_bytes();
    app.db.write(move |tx| meta::set(tx, "health", &now).map_err(XrpcError::from)).await
}

/// Reads a value from the database.
pub(crate) async fn probe_read(app: &App) -> Result<(), StoreError> {
    app.db.read(|conn| meta::find(conn, "health").map(|_| ())).await
}
