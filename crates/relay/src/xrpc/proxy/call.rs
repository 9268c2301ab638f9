//! One call of another service.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use common::{Clock as _, Did, Nsid};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tracing::Instrument as _;

use super::failure::{Failure, MAX_ERROR_BYTES, Refusal};
use super::stream::{self, CutShort};
use super::{Target, headers};
use crate::auth::service;
use crate::config::UpstreamBounds;
use crate::error::XrpcError;
use crate::identity::fetch::FetchError;
use crate::state::App;
use crate::store::account::{self, Account};
use crate::telemetry::spans;

/// How long the token of a call is good for.
const TOKEN_SECONDS: i64 = 60;

/// A call as it leaves.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) target: &'a Target,
    pub(crate) nsid: &'a Nsid,
    pub(crate) method: Method,
    pub(crate) query: Option<&'a str>,
    /// The headers of the caller, of which only some pass.
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: Body,
    /// The token that says on whose behalf it is made.
    pub(crate) token: Option<String>,
}

/// A good answer, whose body has yet to come.
#[derive(Debug)]
pub(crate) struct Answer {
    response: reqwest::Response,
    bounds: UpstreamBounds,
}

/// Makes a token by which `account` calls the method `lxm` of the service `aud`.
pub(crate) async fn service_token(app: &App, account: &Account, aud: &Did, lxm: &Nsid) -> Result<String, XrpcError> {
    let sealed = app.db.read(|conn| account::sealed_signing_key(conn, account.id)).await?;
    let key = app.secrets.open_signing_key(&account.did, &sealed).map_err(XrpcError::internal)?;
    let now = app.clock.seconds();
    let lxm = Some(lxm.as_str());
    service::issue(&key, &account.did, aud.as_str(), lxm, now, now + TOKEN_SECONDS).map_err(XrpcError::internal)
}

/// Makes a call, and returns once the head of a good answer is here.
///
/// # Errors
///
/// [`Failure::Theirs`] with any error of the service; [`Failure::Ours`] when it was not reached, was too slow, or answered with
/// something else than data.
pub(crate) async fn send(app: &App, call: Call<'_>) -> Result<Answer, Failure> {
    let bounds = app.config.network.upstream;
    let client = call.target.client(app);
    let url = call.target.method_url(call.nsid, call.query);
    let unreachable = |err: &FetchError| {
        let cause = err as &dyn std::error::Error;
        tracing::warn!(service = %call.target.did(), nsid = %call.nsid, error = cause, "a service was not reached");
        XrpcError::upstream("Upstream service unreachable")
    };
    let has_body = call.method == Method::POST;
    let mut request = client.request(call.method.clone(), &url).map_err(|err| unreachable(&err))?;
    request = request.headers(headers::of_request(call.headers, has_body));
    if let Some(token) = &call.token {
        request = request.bearer_auth(token);
    }
    let mut cut_short = None;
    if has_body {
        let limit = app.config.limits.blob_upload_bytes;
        if call.body.size_hint().lower() > limit {
            return Err(too_large().into());
        }
        let body = if call.body.is_end_stream() {
            reqwest::Body::from("")
        } else {
            let (body, ended) = stream::outgoing(call.body, limit);
            cut_short = Some(ended);
            body
        };
        request = request.body(body);
    }
    // The time for the head counts from when the call was sent whole: an upload takes what it takes, within the request's time.
    let sent_and_waited = async {
        let ended = match cut_short {
            Some(ended) => ended.await.ok(),
            None => None,
        };
        if ended.is_none() {
            tokio::time::sleep(bounds.head).await;
        }
        ended
    };
    let span = spans::call(call.nsid, &call.method, &url);
    let response = tokio::select! {
        biased;
        ended = sent_and_waited => return Err(match ended {
            Some(CutShort::TooLarge) => too_large().into(),
            Some(CutShort::Broken) => XrpcError::invalid_request("The request body could not be read").into(),
            None => XrpcError::new(StatusCode::GATEWAY_TIMEOUT, "UpstreamTimeout", "Upstream service did not answer in time").into(),
        }),
        response = client.send(request).instrument(span.clone()) => response.map_err(|err| unreachable(&err))?,
    };
    spans::answered(&span, response.status());
    if response.status().is_success() {
        return Answer::new(response, bounds);
    }
    let (status, headers) = (response.status(), response.headers().clone());
    let body = tokio::time::timeout(bounds.head, collect(response, MAX_ERROR_BYTES)).await;
    let body = body.ok().flatten().unwrap_or_default();
    tracing::debug!(service = %call.target.did(), nsid = %call.nsid, status = status.as_u16(), "a service refused a call");
    Err(Refusal::read(status, &headers, &body).into())
}

fn too_large() -> XrpcError {
    XrpcError::new(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLarge", "request entity too large")
}

impl Answer {
    fn new(response: reqwest::Response, bounds: UpstreamBounds) -> Result<Self, Failure> {
        let answer = Self { response, bounds };
        // Pages are for browsers, and a stranger's must not be had from this origin.
        if matches!(answer.media_type(), "text/html" | "application/xhtml+xml") {
            return Err(XrpcError::upstream("Upstream service answered with a page in place of data").into());
        }
        if answer.response.content_length().is_some_and(|bytes| bytes > bounds.body_bytes) {
            return Err(XrpcError::upstream("Upstream service answered with too much data").into());
        }
        Ok(answer)
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Returns the media type without its parameters; empty when there is none.
    fn media_type(&self) -> &str {
        let value = self.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim()
    }

    pub(crate) fn is_json(&self) -> bool {
        self.media_type() == "application/json"
    }

    /// Returns the headers that the caller gets.
    pub(crate) fn passed_headers(&self) -> HeaderMap {
        headers::of_response(self.response.headers())
    }

    /// Returns the answer as the caller gets it, its body on the way.
    pub(crate) fn pass(self) -> Response {
        let (status, headers) = (self.response.status(), self.passed_headers());
        (status, headers, stream::incoming(self.response, &self.bounds)).into_response()
    }

    /// Reads the whole body, decoded.
    pub(crate) async fn bytes(self) -> Result<Bytes, Failure> {
        let body = tokio::time::timeout(self.bounds.body, collect(self.response, self.bounds.body_bytes as usize)).await;
        let failed = || XrpcError::upstream("Upstream service broke off, or answered with too much data");
        Ok(body.ok().flatten().ok_or_else(failed)?)
    }
}

/// Reads a body of at most `max_bytes`, undoing gzip; `None` when it is larger or breaks off.
async fn collect(response: reqwest::Response, max_bytes: usize) -> Option<Bytes> {
    // The layer is made for clients; here what it is asked is the answer already.
    let answered = tower::service_fn(|request: Request<http::Response<reqwest::Body>>| {
        std::future::ready(Ok::<_, std::convert::Infallible>(request.into_body()))
    });
    let decoded = tower_http::decompression::Decompression::new(answered).oneshot(Request::new(response.into())).await;
    let body = decoded.ok()?.into_body();
    http_body_util::Limited::new(body, max_bytes).collect().await.ok().map(http_body_util::Collected::to_bytes)
}
