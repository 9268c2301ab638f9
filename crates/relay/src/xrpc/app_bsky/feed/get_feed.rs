//! `app.bsky.feed.getFeed`: a page of a feed, which the AppView gets from the feed's generator on the caller's behalf.
//!
//! The token is therefore for the generator, not for the AppView that carries it there.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/app/bsky/feed/getFeed.json>

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use common::{AtUri, Did, Nsid};
use http::{HeaderMap, Method};
use serde::Deserialize;

use crate::auth::RpcAuth;
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;
use crate::xrpc::proxy::{self, Call, Failure, Target};

const GET_RECORD: &str = "com.atproto.repo.getRecord";
/// The entry of a feed generator in its DID document.
const GENERATOR: &str = "bsky_fg";
const GET_FEED_SKELETON: &str = "app.bsky.feed.getFeedSkeleton";

pub(crate) struct Parameters {
    feed: AtUri,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self { feed: params.required("feed")? })
    }
}

/// The answer of getRecord, and in it an `app.bsky.feed.generator`.
#[derive(Deserialize)]
struct Found {
    value: Generator,
}

#[derive(Deserialize)]
struct Generator {
    did: Did,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    XrpcQuery(params): XrpcQuery<Parameters>,
    auth: RpcAuth,
    request: Request,
) -> Result<Response, Failure> {
    let nsid = proxy::method_of(request.uri())?;
    let target = Target::find(&app, request.headers(), &nsid).await?;
    auth.permit(Some(&nsid), &target.name())?;
    let generator = generator_of(&app, &target, &params.feed).await?;
    let skeleton = known(GET_FEED_SKELETON);
    let account = auth.permit(Some(&skeleton), &format!("{generator}#{GENERATOR}"))?;
    let token = Some(proxy::service_token(&app, account, &generator, &skeleton).await?);
    let (parts, body) = request.into_parts();
    let call = Call {
        target: &target,
        nsid: &nsid,
        method: parts.method,
        query: parts.uri.query(),
        headers: &parts.headers,
        body,
        token,
    };
    Ok(proxy::send(&app, call).await?.pass())
}

/// Asks the AppView who makes a feed.
async fn generator_of(app: &AppState, target: &Target, feed: &AtUri) -> Result<Did, Failure> {
    let unknown = || XrpcError::bad_request("UnknownFeed", "could not resolve the feed's generator");
    let (collection, rkey) = feed.collection().zip(feed.rkey()).ok_or_else(unknown)?;
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("repo", feed.authority().as_str())
        .append_pair("collection", collection.as_str())
        .append_pair("rkey", rkey.as_str())
        .finish();
    let call = Call {
        target,
        nsid: &known(GET_RECORD),
        method: Method::GET,
        query: Some(&query),
        headers: &HeaderMap::new(),
        body: Body::empty(),
        token: None,
    };
    let found = proxy::send(app, call).await?.bytes().await?;
    let found: Found = serde_json::from_slice(&found).map_err(|_| unknown())?;
    Ok(found.value.did)
}

fn known(nsid: &str) -> Nsid {
    nsid.parse().expect("the constants above are NSIDs")
}
