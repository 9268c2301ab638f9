//! Reads after writes: the AppView sees a record some time after its author wrote it, and authors expect to see it at once. So
//! answers about the caller get what the caller wrote since, as far as this server can tell how it will look.
//!
//! The AppView says in `atproto-repo-rev` up to which commit of the caller's repo it knows. Where nothing is newer, which is
//! nearly always, the answer streams through as it is; and whatever goes wrong here, the caller gets the answer as it came.

mod local;
mod merge;
mod view;

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use common::Nsid;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use self::local::Local;
use self::merge::{Merge, Shape};
use self::view::Viewer;
use crate::auth::RpcAuth;
use crate::extract::Params;
use crate::state::AppState;
use crate::store::account::Account;
use crate::xrpc::proxy::{self, Answer, Call, Failure, Refusal, Target};

/// How many milliseconds the AppView is behind.
const UPSTREAM_LAG: HeaderName = HeaderName::from_static("atproto-upstream-lag");

/// `app.bsky.actor.getProfile`
pub(crate) async fn get_profile(app: State<AppState>, auth: RpcAuth, request: Request) -> Result<Response, Failure> {
    let (read, answer) = Read::begin(app, auth, request).await?;
    read.merged(answer?, Shape::Profile).await
}

/// `app.bsky.actor.getProfiles`
pub(crate) async fn get_profiles(app: State<AppState>, auth: RpcAuth, request: Request) -> Result<Response, Failure> {
    let (read, answer) = Read::begin(app, auth, request).await?;
    read.merged(answer?, Shape::Profiles).await
}

/// `app.bsky.feed.getActorLikes`
pub(crate) async fn get_actor_likes(app: State<AppState>, auth: RpcAuth, request: Request) -> Result<Response, Failure> {
    let (read, answer) = Read::begin(app, auth, request).await?;
    read.merged(answer?, Shape::Likes).await
}

/// `app.bsky.feed.getAuthorFeed`
pub(crate) async fn get_author_feed(app: State<AppState>, auth: RpcAuth, request: Request) -> Result<Response, Failure> {
    let (read, answer) = Read::begin(app, auth, request).await?;
    read.merged(answer?, Shape::AuthorFeed).await
}

/// `app.bsky.feed.getTimeline`
pub(crate) async fn get_timeline(app: State<AppState>, auth: RpcAuth, request: Request) -> Result<Response, Failure> {
    let (read, answer) = Read::begin(app, auth, request).await?;
    read.merged(answer?, Shape::Timeline).await
}

/// `app.bsky.feed.getPostThread`: also of a post that the AppView does not know yet.
pub(crate) async fn get_post_thread(app: State<AppState>, auth: RpcAuth, request: Request) -> Result<Response, Failure> {
    let (read, answer) = Read::begin(app, auth, request).await?;
    match answer {
        Err(Failure::Theirs(refusal)) if refusal.is_not_found() && !read.is_head => read.thread_of_own(refusal).await,
        answer => read.merged(answer?, Shape::Thread).await,
    }
}

/// A read on its way.
struct Read {
    app: AppState,
    account: Account,
    nsid: Nsid,
    target: Target,
    params: Params,
    is_head: bool,
}

impl Read {
    /// Asks the AppView.
    async fn begin(
        State(app): State<AppState>,
        auth: RpcAuth,
        request: Request,
    ) -> Result<(Self, Result<Answer, Failure>), Failure> {
        let nsid = proxy::method_of(request.uri())?;
        let target = Target::find(&app, request.headers(), &nsid).await?;
        let account = auth.permit(Some(&nsid), &target.name())?.clone();
        let params = Params::parse(request.uri().query().unwrap_or_default());
        let is_head = request.method() == Method::HEAD;
        let answer = proxy::ask(&app, &account, &target, &nsid, request).await;
        Ok((Self { app, account, nsid, target, params, is_head }, answer))
    }

    /// Answers with what the AppView said, and what is newer.
    async fn merged(self, answer: Answer, shape: Shape) -> Result<Response, Failure> {
        if self.is_head || !answer.is_json() {
            return Ok(answer.pass());
        }
        let Some(local) = local::newer(&self.app, &self.account, answer.headers()).await else { return Ok(answer.pass()) };
        let mut headers = answer.passed_headers();
        let bytes = answer.bytes().await?;
        headers.remove(CONTENT_LENGTH);
        headers.remove(CONTENT_ENCODING);
        let Ok(mut body) = serde_json::from_slice(&bytes) else { return Ok((headers, bytes).into_response()) };
        self.merge_with(&local).await.add_to(shape, &mut body);
        headers.insert(UPSTREAM_LAG, local.lag_millis.into());
        Ok((headers, body.to_string()).into_response())
    }

    /// Answers with a thread whose first post the AppView does not know, if it is one of the new ones.
    async fn thread_of_own(self, refusal: Box<Refusal>) -> Result<Response, Failure> {
        let local = local::newer(&self.app, &self.account, refusal.headers()).await;
        let own = match &local {
            Some(local) => self.own_thread(local).await,
            None => None,
        };
        let (Some(local), Some(thread)) = (local, own) else { return Err(Failure::Theirs(refusal)) };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(UPSTREAM_LAG, local.lag_millis.into());
        Ok((headers, json!({ "thread": thread }).to_string()).into_response())
    }

    /// Returns the thread of the post that is asked for, if it is among the new ones.
    async fn own_thread(&self, local: &Local) -> Option<Value> {
        let uri: common::AtUri = self.params.optional("uri").ok()??;
        let own = match uri.authority() {
            common::AtIdentifier::Did(did) => did == self.account.did,
            common::AtIdentifier::Handle(handle) => self.account.handle.as_ref() == Some(&handle),
        };
        let (collection, rkey) = uri.collection().zip(uri.rkey()).filter(|_| own)?;
        let merge = self.merge_with(local).await;
        let (mut thread, above) = merge.own_thread(common::AtUri::record(&self.account.did, &collection, &rkey).as_str())?;
        if let Some(above) = above {
            let height: Option<String> = self.params.optional("parentHeight").ok().flatten();
            let height = height.as_deref().unwrap_or("80");
            let asked = self.ask(&self.nsid, &[("uri", above), ("depth", "0"), ("parentHeight", height)]).await;
            if let Some(mut asked) = asked {
                // The topmost of the new posts hangs below what the AppView knows.
                let mut top = &mut thread;
                while top.get("parent").is_some() {
                    top = &mut top["parent"];
                }
                top["parent"] = asked["thread"].take();
            }
        }
        Some(thread)
    }

    async fn merge_with<'a>(&'a self, local: &'a Local) -> Merge<'a> {
        let uris: Vec<_> =
            local.posts.iter().filter_map(|post| view::quoted_uri(&post.record)).map(|uri| ("uris", uri)).collect();
        let mut quoted = HashMap::new();
        if !uris.is_empty()
            && let Some(found) = self.ask(&"app.bsky.feed.getPosts".parse().expect("it is an NSID"), &uris).await
        {
            for post in found["posts"].as_array().into_iter().flatten() {
                if let Some(uri) = post["uri"].as_str() {
                    quoted.insert(uri.to_owned(), post.clone());
                }
            }
        }
        let viewer = Viewer { app: &self.app, account: &self.account, profile: local.profile.as_ref(), quoted };
        Merge { viewer, local, params: &self.params }
    }

    /// Asks the AppView something more on the caller's behalf; `None` when it does not say.
    async fn ask(&self, nsid: &Nsid, params: &[(&str, &str)]) -> Option<Value> {
        let token = proxy::service_token(&self.app, &self.account, self.target.did(), nsid).await.ok()?;
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        let call = Call {
            target: &self.target,
            nsid,
            method: Method::GET,
            query: Some(&query),
            headers: &HeaderMap::new(),
            body: Body::empty(),
            token: Some(token),
        };
        let bytes: Bytes = proxy::send(&self.app, call).await.ok()?.bytes().await.ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}
