//! Tells crawlers that there is something to fetch (`com.atproto.sync.requestCrawl`): at the start, and when events come after
//! a while. A crawler that is down is asked again, at growing intervals.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use common::Clock as _;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio_util::task::TaskTracker;
use url::Url;

use crate::config::{CrawlPace, ServiceUrl};
use crate::crawlers;
use crate::error::XrpcError;
use crate::identity::fetch::FetchError;
use crate::notice::Topic;
use crate::state::AppState;

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

/// Failures in a row from which on the operator is told: a quarter of an hour.
const TELL_AFTER: u32 = 5;

/// What became of telling the crawlers.
#[derive(Debug, Default)]
pub(crate) struct Crawlers(Mutex<BTreeMap<String, Told>>);

/// What became of telling one crawler. Times are milliseconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// When it last took the word.
    pub(crate) told_at: Option<i64>,
    /// Attempts that failed since.
    pub(crate) failures: u32,
    /// What the last of them failed with.
    pub(crate) error: Option<String>,
}

impl Crawlers {
    /// Returns what became of each crawler, by host.
    pub(crate) fn all(&self) -> BTreeMap<String, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, host: &str, result: Result<i64, String>) -> u32 {
        let mut crawlers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = crawlers.entry(host.to_owned()).or_default();
        match result {
            Ok(now) => *told = Told { told_at: Some(now), failures: 0, error: None },
            Err(error) => {
                told.failures = told.failures.saturating_add(1);
                told.error = Some(error);
            }
        }
        told.failures
    }
}

/// Starts a task for each crawler, and one that asks them how far they have read. A server at localhost cannot be crawled.
pub(super) fn start(app: &AppState, tracker: &TaskTracker) {
    let Some(own_name) = crawlers::own_name(&app.config) else { return };
    for crawler in app.config.services.crawlers.clone() {
        let own_name = own_name.clone();
        super::supervise(app, tracker, "tell crawlers", move |app| {
            let (crawler, own_name) = (crawler.clone(), own_name.clone());
            async move { keep_told(&app, &crawler, &own_name).await }
        });
    }
    super::every(app, tracker, "ask crawlers", app.config.services.crawl_pace.ask_every, crawlers::ask_all);
}

/// Tells the crawlers of this server at once, when what is new does not bear waiting. That it fails does no harm: they are told
/// regularly.
pub(crate) fn tell_now(app: &AppState) {
    let Some(own_name) = crawlers::own_name(&app.config) else { return };
    for crawler in app.config.services.crawlers.clone() {
        let (app, own_name) = (app.clone(), own_name.clone());
        let work = app.work.clone();
        work.spawn(async move {
            if let Err(err) = request_crawl(&app, &crawler, &own_name).await {
                let error = &err as &dyn std::error::Error;
                tracing::warn!(crawler = crawler.host(), error, "a crawler was not told of an account that came");
            }
        });
    }
}

/// What came of telling a crawler when the operator asked for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Telling {
    pub(crate) host: String,
    /// Why it was not told.
    pub(crate) problem: Option<String>,
}

/// Tells all crawlers of this server now, and asks them how far they have read.
pub(crate) async fn tell_all(app: &AppState) -> Result<Vec<Telling>, XrpcError> {
    let Some(own_name) = crawlers::own_name(&app.config) else { return Ok(Vec::new()) };
    let told = join_all(app.config.services.crawlers.iter().map(async |crawler| {
        let host = crawler.host().to_owned();
        let problem = match request_crawl(app, crawler, &own_name).await {
            Ok(()) => {
                app.crawlers.note(&host, Ok(app.clock.millis()));
                app.notices.well(&Topic::Crawler(host.clone()));
                None
            }
            Err(err) => Some(err.to_string()),
        };
        Telling { host, problem }
    }));
    let told = told.await;
    crawlers::ask_all(app.clone()).await?;
    Ok(told)
}

async fn keep_told(app: &AppState, crawler: &ServiceUrl, own_name: &str) {
    let CrawlPace { at_most_every, look_every, first_retry, ask_every: _ } = app.config.services.crawl_pace;
    loop {
        let seq = app.firehose.latest_seq();
        let mut retry = first_retry;
        // Crawlers come at once, and new accounts' hosts shall answer them.
        app.tls.settled().await;
        while let Err(err) = request_crawl(app, crawler, own_name).await {
            note_failure(app, crawler, &err, retry);
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(at_most_every);
        }
        tracing::info!(crawler = crawler.host(), "told a crawler of this server");
        app.crawlers.note(crawler.host(), Ok(app.clock.millis()));
        app.notices.well(&Topic::Crawler(crawler.host().to_owned()));
        tokio::time::sleep(at_most_every).await;
        // Looked at now and then: a receiver would count among the subscribers, and be woken by every event.
        while app.firehose.latest_seq() == seq {
            tokio::time::sleep(look_every).await;
        }
    }
}

fn note_failure(app: &AppState, crawler: &ServiceUrl, err: &CrawlError, retry: Duration) {
    let (error, retry_seconds) = (err as &dyn std::error::Error, retry.as_secs());
    tracing::warn!(crawler = crawler.host(), error, retry_seconds, "a crawler was not told of this server");
    let failures = app.crawlers.note(crawler.host(), Err(err.to_string()));
    if failures >= TELL_AFTER {
        app.notices.failing(
            &Topic::Crawler(crawler.host().to_owned()),
            format!("The crawler {} cannot be told of this server: {err}.", crawler.host()),
            "It is tried again. Where it is gone for good, take it out of services.crawlers.",
        );
    }
}

async fn request_crawl(app: &AppState, crawler: &ServiceUrl, own_name: &str) -> Result<(), CrawlError> {
    let url = format!("{}/xrpc/com.atproto.sync.requestCrawl", crawler.as_str());
    let url = Url::parse(&url).map_err(|_| FetchError::BadUrl { url, reason: "it is no URL" })?;
    let client = &app.identity.clients().trusted;
    let reply = client.post_json(&url, &Input { hostname: own_name }, MAX_ANSWER_BYTES).await?;
    if reply.status.is_success() { Ok(()) } else { Err(CrawlError::Status(reply.status.as_u16())) }
}
