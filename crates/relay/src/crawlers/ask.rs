//! Asking crawlers how far they have read.

use common::Clock as _;
use serde::Deserialize;
use url::Url;

use super::{Answer, HostStatus, Report, own_name};
use crate::config::ServiceUrl;
use crate::error::XrpcError;
use crate::identity::fetch::FetchError;
use crate::identity::http::Reply;
use crate::state::{App, AppState};
use crate::store::{StoreError, crawler, event};

const MAX_ANSWER_BYTES: usize = 64 << 10;
/// How much of a stranger's error text is kept.
const MAX_REASON_CHARS: usize = 300;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Output {
    seq: Option<i64>,
    account_count: Option<i64>,
    status: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// Asks each crawler, one after the other, keeps what they say, and returns how many were asked. Those that are no longer
/// configured are forgotten.
pub(crate) async fn ask_all(app: AppState) -> Result<usize, XrpcError> {
    let Some(own_name) = own_name(&app.config) else { return Ok(0) };
    let crawlers = &app.config.services.crawlers;
    let hosts: Vec<String> = crawlers.iter().map(|crawler| crawler.host().to_owned()).collect();
    app.db.write::<_, XrpcError>(move |tx| Ok(crawler::retain(tx, &hosts)?)).await?;
    for crawler in crawlers {
        if app.stop.is_cancelled() {
            break;
        }
        let answer = match ask(&app, crawler, &own_name).await {
            Ok(answer) => answer,
            Err(err) => return Err(err.into()),
        };
        let report = Report { crawler: crawler.host().to_owned(), asked_at: app.clock.millis(), answer };
        let judged = report.judge();
        if judged.good {
            tracing::debug!(crawler = report.crawler, "{}", judged.text);
        } else {
            tracing::warn!(crawler = report.crawler, "{}", judged.text);
        }
        app.db.write::<_, XrpcError>(move |tx| Ok(crawler::set(tx, &report)?)).await?;
    }
    Ok(crawlers.len())
}

async fn ask(app: &App, crawler: &ServiceUrl, own_name: &str) -> Result<Answer, StoreError> {
    let url = format!("{}/xrpc/com.atproto.sync.getHostStatus", crawler.as_str());
    let reply = match Url::parse(&url) {
        Ok(mut url) => {
            url.query_pairs_mut().append_pair("hostname", own_name);
            app.identity.clients().trusted.get_json(&url, MAX_ANSWER_BYTES).await
        }
        Err(_) => Err(FetchError::BadUrl { url, reason: "it is no URL" }),
    };
    match reply {
        Ok(reply) => read(app, &reply).await,
        Err(err) => Ok(Answer::Failed(shorten(&err.to_string()))),
    }
}

async fn read(app: &App, reply: &Reply) -> Result<Answer, StoreError> {
    if !reply.status.is_success() {
        let error = serde_json::from_slice::<Refusal>(&reply.body).map(|refusal| refusal.error).unwrap_or_default();
        return Ok(match (reply.status.as_u16(), error.as_str()) {
            (_, "HostNotFound") => Answer::Unknown,
            (404 | 501, _) | (_, "MethodNotImplemented" | "XRPCNotSupported") => Answer::Unsupported,
            (status, _) => Answer::Failed(format!("it answered with status {status}")),
        });
    }
    let output: Output = match serde_json::from_slice(&reply.body) {
        Ok(output) => output,
        Err(err) => return Ok(Answer::Failed(shorten(&format!("its answer is not understood: {err}")))),
    };
    let (own_seq, seq) = (app.firehose.latest_seq(), output.seq);
    let unread = match seq {
        Some(seq) if seq < own_seq => Some(app.db.scan(move |conn| event::after(conn, seq, Report::MAX_UNREAD)).await?),
        Some(_) | None => None,
    };
    Ok(Answer::Known {
        status: output.status.as_deref().and_then(HostStatus::parse),
        seq,
        own_seq,
        unread: unread.map_or(0, |(count, _)| count),
        unread_since: unread.and_then(|(_, first)| first),
        accounts: output.account_count,
    })
}

fn shorten(text: &str) -> String {
    text.chars().take(MAX_REASON_CHARS).collect()
}
