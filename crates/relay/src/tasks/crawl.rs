//! Tells crawlers that there is something to fetch (`com.atproto.sync.requestCrawl`): at the start, and when events come after
//! a while. A crawler that is down is asked again, at growing intervals.

use std::time::Duration;

use serde::Serialize;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::config::ServiceUrl;
use crate::identity::fetch::FetchError;
use crate::state::AppState;

/// A crawler that was told is not told again before.
const AT_MOST_EVERY: Duration = Duration::from_secs(20 * 60);
/// How often it is looked whether there are new events since.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The first wait after a failure, doubled with each.
const FIRST_RETRY: Duration = Duration::from_secs(30);
const MAX_ANSWER_BYTES: usize = 64 << 10;

#[derive(Serialize)]
struct Input<'a> {
    hostname: &'a str,
}

/// Why a crawler was not told.
#[derive(Debug, thiserror::Error)]
enum CrawlError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("it answered with status {0}")]
    Status(u16),
}

/// Starts a task for each crawler. A server at localhost cannot be crawled.
pub(super) fn start(app: &AppState, tracker: &TaskTracker) {
    if app.config.server.public_url.is_local() {
        return;
    }
    for crawler in app.config.services.crawlers.clone() {
        let app = app.clone();
        tracker.spawn(async move {
            let stop = app.stop.clone();
            stop.run_until_cancelled(keep_told(&app, &crawler)).await;
        });
    }
}

async fn keep_told(app: &AppState, crawler: &ServiceUrl) {
    loop {
        let seq = app.firehose.latest_seq();
        let mut retry = FIRST_RETRY;
        while let Err(err) = request_crawl(app, crawler).await {
            note_failure(crawler, &err, retry);
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(AT_MOST_EVERY);
        }
        tracing::info!(crawler = crawler.host(), "told a crawler of this server");
        tokio::time::sleep(AT_MOST_EVERY).await;
        // Looked at now and then: a receiver would count among the subscribers, and be woken by every event.
        while app.firehose.latest_seq() == seq {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn note_failure(crawler: &ServiceUrl, err: &CrawlError, retry: Duration) {
    let (error, retry_seconds) = (err as &dyn std::error::Error, retry.as_secs());
    tracing::warn!(crawler = crawler.host(), error, retry_seconds, "a crawler was not told of this server");
}

async fn request_crawl(app: &AppState, crawler: &ServiceUrl) -> Result<(), CrawlError> {
    let url = format!("{}/xrpc/com.atproto.sync.requestCrawl", crawler.as_str());
    let url = Url::parse(&url).map_err(|_| FetchError::BadUrl { url, reason: "it is no URL" })?;
    let public_url = &app.config.server.public_url;
    let hostname = match public_url.port() {
        Some(port) => format!("{}:{port}", public_url.host()),
        None => public_url.host().to_owned(),
    };
    let client = &app.identity.clients().trusted;
    let reply = client.post_json(&url, &Input { hostname: &hostname }, MAX_ANSWER_BYTES).await?;
    if reply.status.is_success() { Ok(()) } else { Err(CrawlError::Status(reply.status.as_u16())) }
}
