//! The deep health check: does each part do its work?

use std::io::Write as _;
use std::time::{Duration, Instant};

use common::Clock as _;
use serde::{Deserialize, Serialize};

use super::{probe_read, probe_write};
use crate::error::XrpcError;
use crate::state::App;
use crate::telemetry::disk;

/// How long one part may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was found.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Health {
    pub(crate) version: String,
    /// When this process began to serve, in milliseconds since the epoch.
    pub(crate) started_at: i64,
    /// Whether all parts without which people cannot write do their work.
    pub(crate) ok: bool,
    pub(crate) checks: Vec<Check>,
    /// The topics that are not well.
    pub(crate) problems: Vec<String>,
}

/// What was found of one part.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) ok: bool,
    /// Whether the server is of no use without it.
    pub(crate) required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    pub(crate) duration_ms: u64,
}

/// Tries each part.
pub(crate) async fn deep(app: &App) -> Health {
    let database_read = check("database_read", true, async { probe_read(app).await.map_err(|err| err.to_string()) });
    let database_write = check("database_write", true, async { probe_write(app).await.map_err(|err| err.describe()) });
    let in_store = app.config.blobs.store.is_some();
    let blobs = check(if in_store { "blob_store" } else { "blob_folder" }, true, write_a_blob(app));
    let room = check("disk_space", false, async {
        let Some(space) = disk::space(&app.config.data.dir) else { return Ok(()) };
        let free = disk::in_words(space.free_bytes);
        let enough = space.free_bytes >= app.config.notices.disk_free_below_bytes;
        if enough { Ok(()) } else { Err(format!("{free} free")) }
    });
    let plc = check("plc_directory", false, async {
        let url = url::Url::parse(app.config.identity.plc_url.as_str()).map_err(|err| err.to_string())?;
        let reply = app.identity.clients().trusted.get_bounded(&url, 1 << 20).await.map_err(|err| err.to_string())?;
        if reply.status.is_server_error() { Err(format!("it answers {}", reply.status)) } else { Ok(()) }
    });
    let (database_read, database_write, blobs, room, plc) = tokio::join!(database_read, database_write, blobs, room, plc);
    let checks = vec![database_read, database_write, blobs, room, plc];
    Health {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: app.telemetry.started_millis,
        ok: checks.iter().all(|check| check.ok || !check.required),
        checks,
        problems: app.notices.problems().into_iter().map(|problem| problem.topic).collect(),
    }
}

async fn check(name: &'static str, required: bool, work: impl Future<Output = Result<(), String>>) -> Check {
    let begun = Instant::now();
    let result = tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err("it takes too long".to_owned()));
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Check { name: name.to_owned(), ok: result.is_ok(), required, message: result.err(), duration_ms }
}

async fn write_a_blob(app: &App) -> Result<(), String> {
    match app.blobs.probe_bucket().await {
        Some(probed) => probed.map_err(|err| XrpcError::from(err).describe()),
        None => write_a_file(app).await,
    }
}

async fn write_a_file(app: &App) -> Result<(), String> {
    let dir = app.config.data.dir.join("blobs");
    let now = app.clock.millis();
    let write = move || {
        let mut file = tempfile::Builder::new().prefix(".health").tempfile_in(dir)?;
        file.write_all(&now.to_be_bytes())?;
        file.as_file().sync_all()
    };
    match tokio::task::spawn_blocking(write).await {
        Ok(written) => written.map_err(|err| err.to_string()),
        Err(err) => Err(err.to_string()),
    }
}
