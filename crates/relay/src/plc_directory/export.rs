//! `/export`: all operations of all DIDs in the order in which they came, as lines of JSON.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use common::{Cid, Datetime, Did};
use crypto::plc::Operation;
use serde::{Deserialize, Serialize};

use super::store::{self, Stored};
use super::{AuditEntry, Failure, PlcStore};

/// The most lines of an answer, and how many there are when the caller does not say.
const MAX_COUNT: u32 = 1000;

/// What the caller asks for; read by hand, since the public directory names the parameter that is wrong.
#[derive(Deserialize)]
pub(super) struct Params {
    count: Option<String>,
    after: Option<String>,
}

/// After which operation an answer begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum After {
    Start,
    Time(i64),
    /// Lines then have the number too, and leave out `nullified`, which can change later.
    Seq(i64),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SequencedLine {
    seq: i64,
    r#type: &'static str,
    did: Did,
    cid: Cid,
    created_at: Datetime,
    operation: Operation,
}

pub(super) async fn handler(
    State(store): State<PlcStore>,
    params: Result<Query<Params>, QueryRejection>,
) -> Result<impl IntoResponse, Failure> {
    let Query(params) = params?;
    let count = params.count()?;
    let after = params.after()?;
    let entries = store.read(move |conn| store::list(conn, after, count)).await?;
    let lines = entries.into_iter().map(|stored| line(after, stored)).collect::<Result<Vec<_>, _>>().map_err(Failure::Write)?;
    // No line break at the end: the official client splits at line breaks and parses each part.
    Ok(([(CONTENT_TYPE, "application/jsonlines")], lines.join("\n")))
}

fn line(after: After, stored: Stored) -> serde_json::Result<String> {
    match after {
        After::Start | After::Time(_) => serde_json::to_string(&AuditEntry::from(stored)),
        After::Seq(_) => serde_json::to_string(&SequencedLine {
            seq: stored.seq,
            r#type: "sequenced_op",
            did: stored.did,
            cid: stored.entry.cid,
            created_at: Datetime::from_millis(stored.entry.created_at_millis),
            operation: stored.entry.operation,
        }),
    }
}

impl Params {
    fn count(&self) -> Result<u32, Failure> {
        let Some(text) = self.count.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(MAX_COUNT);
        };
        match text.parse::<u32>() {
            Ok(count) if count > 0 => Ok(count.min(MAX_COUNT)),
            Ok(_) | Err(_) => Err(Failure::Parameter("count")),
        }
    }

    fn after(&self) -> Result<After, Failure> {
        let Some(text) = self.after.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(After::Start);
        };
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().map(After::Seq).map_err(|_| Failure::Parameter("after"));
        }
        let time: Datetime = text.parse().map_err(|_| Failure::Parameter("after"))?;
        Ok(After::Time(time.millis()))
    }
}
