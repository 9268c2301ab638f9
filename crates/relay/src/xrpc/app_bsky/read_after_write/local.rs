//! What the caller has written, and a service that answered had not seen yet.

use common::{Clock as _, Datetime, Tid};
use http::HeaderMap;
use rusqlite::Connection;
use serde_json::Value;

use crate::state::App;
use crate::store::account::Account;
use crate::store::recent::{self, RecentRecord};
use crate::store::{AccountId, StoreError, repo};
use crate::xrpc::com_atproto::repo::uri_of;
use crate::xrpc::proxy::REPO_REV;

const POST: &str = "app.bsky.feed.post";
const PROFILE: &str = "app.bsky.actor.profile";
/// At most this many posts are added to an answer. Who is further ahead of the AppView waits for it.
const MAX_POSTS: usize = 10;

/// Records of the caller that are newer than an answer.
#[derive(Debug)]
pub(super) struct Local {
    /// The profile, when there is one, new or not: posts are shown with their author.
    pub(super) profile: Option<Value>,
    pub(super) profile_is_new: bool,
    /// The newest first.
    pub(super) posts: Vec<LocalPost>,
    /// How long the service is behind.
    pub(super) lag_millis: i64,
}

/// A post that the service had not seen.
#[derive(Debug)]
pub(super) struct LocalPost {
    pub(super) uri: String,
    pub(super) cid: String,
    pub(super) record: Value,
    /// When it was written.
    pub(super) indexed_at: String,
}

/// Returns what is newer than the rev that the headers of an answer tell; `None` when there is nothing, or it does not matter.
pub(super) async fn newer(app: &App, account: &Account, headers: &HeaderMap) -> Option<Local> {
    let rev: Tid = headers.get(REPO_REV)?.to_str().ok()?.parse().ok()?;
    match app.db.read(|conn| records_after(conn, account.id, rev)).await {
        Ok(found) => found.and_then(|(profile, posts)| build(app, account, rev, profile, &posts)),
        Err(err) => {
            // The answer is good without.
            tracing::error!(did = %account.did, error = &err as &dyn std::error::Error, "recent records could not be read");
            None
        }
    }
}

type Found = (Option<RecentRecord>, Vec<RecentRecord>);

fn records_after(conn: &Connection, repo: AccountId, rev: Tid) -> Result<Option<Found>, StoreError> {
    // Nearly always the service has seen everything.
    if repo::find_head(conn, repo)?.is_none_or(|(_, head)| head <= rev) || !recent::has_written_by(conn, repo, rev)? {
        return Ok(None);
    }
    let profile = recent::last_of(conn, repo, PROFILE, 1)?.pop();
    let mut posts = recent::last_of(conn, repo, POST, MAX_POSTS)?;
    posts.retain(|post| post.rev > rev);
    Ok(Some((profile, posts)))
}

fn build(app: &App, account: &Account, rev: Tid, profile: Option<RecentRecord>, posts: &[RecentRecord]) -> Option<Local> {
    let profile_is_new = profile.as_ref().is_some_and(|profile| profile.rev > rev);
    if !profile_is_new && posts.is_empty() {
        return None;
    }
    let new = posts.iter().chain(profile.as_ref().filter(|_| profile_is_new));
    let oldest = new.map(|record| millis(record.rev)).min()?;
    let mut posts: Vec<LocalPost> = posts
        .iter()
        .filter_map(|post| {
            Some(LocalPost {
                uri: uri_of(&account.did, &post.path),
                cid: post.cid.to_string(),
                record: json(&post.block)?,
                indexed_at: Datetime::from_millis(millis(post.rev)).as_str().to_owned(),
            })
        })
        .collect();
    posts.sort_by(|a, b| b.indexed_at.cmp(&a.indexed_at));
    Some(Local {
        profile: profile.and_then(|profile| json(&profile.block)),
        profile_is_new,
        posts,
        lag_millis: app.clock.millis().saturating_sub(oldest).max(0),
    })
}

fn millis(rev: Tid) -> i64 {
    (rev.micros() / 1000) as i64
}

fn json(block: &[u8]) -> Option<Value> {
    let mut text = Vec::with_capacity(block.len() * 2);
    common::json::write_cbor(block, &mut text).ok()?;
    serde_json::from_slice(&text).ok()
}
