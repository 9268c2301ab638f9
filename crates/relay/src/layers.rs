//! What applies to every request: the log line, CORS, compression, entity tags, time limits, panics.

use std::hash::{DefaultHasher, Hasher as _};
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tower::ServiceBuilder;
use tower_http::catch_panic::{CatchPanicLayer, ResponseForPanic};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tracing::Instrument as _;

use crate::auth::Caller;
use crate::error::{ErrorName, XrpcError};
use crate::limits::{self, RateLimits};
use crate::state::{App, AppState};
use crate::telemetry::spans;
use crate::tls::proxy_headers;
use crate::update::probation;
use crate::{oauth, pages};

/// Puts the layers over `routes`. The last one that is added is the first that a request meets.
pub(crate) fn apply(routes: Router<AppState>, app: &AppState) -> Router<AppState> {
    let compressible =
        SizeAbove::new(1024).and(NotForContentType::const_new("image/")).and(NotForContentType::const_new("video/"));
    let surroundings = Arc::new(Surroundings { app: app.clone(), limits: RateLimits::new(app) });
    let layers = ServiceBuilder::new()
        .layer(from_fn_with_state(surroundings, surround))
        .layer(CompressionLayer::new().compress_when(compressible))
        .layer(from_fn(describe))
        .layer(CatchPanicLayer::custom(Panicked(Arc::clone(&app.telemetry.panics))));
    routes.layer(layers)
}

/// What the layers around a request look at.
struct Surroundings {
    app: AppState,
    limits: Option<Arc<RateLimits>>,
}

/// The layers above compression, from the outermost to the innermost. They are functions, one calling the next, within one layer
/// of the router: each that the router knows of costs every request three allocations and a copy of all that are below it.
async fn surround(State(surroundings): State<Arc<Surroundings>>, request: Request, next: Next) -> Response {
    let Surroundings { app, limits } = &*surroundings;
    let next = async |request| next.run(request).await;
    let next = async |request| time_limit(app, request, next).await;
    // Below CORS, so that pages in browsers can read what a refusal says.
    let next = async |request| match limits {
        Some(limits) => limits::layer(limits, request, next).await,
        None => next(request).await,
    };
    let next = async |request| probation::layer(app, request, next).await;
    let next = async |request| oauth::give_nonce(app, request, next).await;
    let next = async |request| pages::guard(app, request, next).await;
    let next = async |request| cors(request, next).await;
    let next = async |request| proxy_headers::layer(app, request, next).await;
    log(app, request, next).await
}

/// The layers below compression, likewise.
async fn describe(request: Request, next: Next) -> Response {
    let next = async |request| next.run(request).await;
    let next = async |request| entity_tag(request, next).await;
    caller_dependence(request, next).await
}

/// Answers for a handler that panicked, and counts it.
#[derive(Clone, Default)]
struct Panicked(Arc<AtomicU64>);

impl ResponseForPanic for Panicked {
    type ResponseBody = Body;

    fn response_for_panic(&mut self, panic: Box<dyn std::any::Any + Send + 'static>) -> Response {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        self.0.fetch_add(1, Relaxed);
        tracing::error!(panic = text, "a handler panicked; please report this with the log around it");
        XrpcError::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "Internal Server Error").into_response()
    }
}

/// Counts each request, and writes one line for it.
async fn log(app: &App, mut request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let begun = Instant::now();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let caller = Caller(Arc::new(OnceLock::new()));
    request.extensions_mut().insert(caller.clone());
    let span = spans::request(&method, matched.as_ref().map(MatchedPath::as_str), &path, request.headers());
    let response = next(request).instrument(span.clone()).await;
    spans::answered(&span, response.status());
    let nsid = path.strip_prefix("/xrpc/").map(|nsid| nsid.trim_end_matches('/'));
    let error = response.extensions().get::<ErrorName>().map(|name| &*name.0);
    let took = begun.elapsed();
    let duration_ms = took.as_secs_f64() * 1000.0;
    let did = caller.0.get().map(common::Did::as_str);
    let status = response.status().as_u16();
    app.telemetry.requests.count(matched.as_ref().map(MatchedPath::as_str), status, took);
    match method {
        Method::GET | Method::HEAD => app.telemetry.reads.observe(took),
        Method::POST => app.telemetry.writes.observe(took),
        _ => {}
    }
    // A path can be anything that a stranger likes; NSIDs and a few others are known.
    if let Some(nsid) = nsid {
        tracing::info!(nsid, %method, status, duration_ms, did, error, "request");
    } else {
        tracing::info!(path, %method, status, duration_ms, did, error, "request");
    }
    response
}

/// Lets pages of any origin call the API, as the protocol's clients in browsers do; our own pages are for nobody's scripts.
async fn cors(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    const EXPOSED: &str = "DPoP-Nonce, WWW-Authenticate, RateLimit-Limit, RateLimit-Reset, RateLimit-Remaining, \
                           RateLimit-Policy, Retry-After, Atproto-Repo-Rev, Atproto-Content-Labelers";
    if pages::is_page(request.uri().path()) {
        return next(request).await;
    }
    let any = HeaderValue::from_static("*");
    let preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if preflight {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE"));
        if let Some(wanted) = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
        headers.insert(header::VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
        return response;
    }
    let mut response = next(request).await;
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    response.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    response
}

/// What takes as long as it goes on: the handlers end uploads that stall.
const UPLOADS: [&str; 2] = ["/xrpc/com.atproto.repo.importRepo", "/xrpc/com.atproto.repo.uploadBlob"];

/// Ends requests that take too long. Downloads and the firehose take what they take; their bodies have limits of their own.
async fn time_limit(app: &App, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    if UPLOADS.contains(&request.uri().path().trim_end_matches('/')) {
        return next(request).await;
    }
    let waits = Arc::new(AtomicBool::new(false));
    let request = request.map(|body| Body::new(Watched { body, waits: Arc::clone(&waits) }));
    match tokio::time::timeout(app.config.server.request_timeout, next(request)).await {
        Ok(response) => response,
        // Whose fault it is depends on what was waited for.
        Err(_) if waits.load(Ordering::Relaxed) => {
            let message = "The request's body did not come in time";
            XrpcError::new(StatusCode::REQUEST_TIMEOUT, "RequestTimeout", message).into_response()
        }
        Err(_) => {
            XrpcError::new(StatusCode::SERVICE_UNAVAILABLE, "UpstreamTimeout", "The request took too long").into_response()
        }
    }
}

/// A request's body, of which it is known whether someone waits for the client to go on with it.
struct Watched {
    body: Body,
    waits: Arc<AtomicBool>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.waits.store(polled.is_pending(), Ordering::Relaxed);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Tells shared caches that an answer of the API depends on who asks, where the handler has not said what holds.
async fn caller_dependence(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let of_api = request.uri().path().starts_with("/xrpc/");
    let has_caller = request.headers().contains_key(header::AUTHORIZATION);
    let mut response = next(request).await;
    let headers = response.headers_mut();
    if of_api && !headers.contains_key(header::VARY) {
        headers.insert(header::VARY, HeaderValue::from_static("Authorization"));
    }
    if of_api && has_caller && !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
    }
    response
}

/// Gives JSON answers a weak entity tag, and answers 304 to who has them already.
async fn entity_tag(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let cacheable = matches!(*request.method(), Method::GET | Method::HEAD);
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let response = next(request).await;
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == "application/json");
    let size = response.body().size_hint().exact();
    if !cacheable || response.status() != StatusCode::OK || !is_json || size.is_none_or(|size| size > 4 << 20) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(body) = body.collect().await else { return Response::from_parts(parts, Body::empty()) };
    let body = body.to_bytes();
    let mut hasher = DefaultHasher::new();
    hasher.write(&body);
    let tag = format!("W/\"{:x}-{:016x}\"", body.len(), hasher.finish());
    let matches = known.as_ref().and_then(|known| known.to_str().ok()).is_some_and(|known| {
        known == "*" || known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag.trim_start_matches("W/"))
    });
    if let Ok(tag) = HeaderValue::try_from(tag) {
        parts.headers.insert(header::ETAG, tag);
    }
    if matches {
        parts.status = StatusCode::NOT_MODIFIED;
        for name in [header::CONTENT_LENGTH, header::CONTENT_TYPE] as [HeaderName; 2] {
            parts.headers.remove(name);
        }
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(body))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    /// A log that can be read.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_panic_in_a_handler_is_one_500_and_one_line() {
        async fn fails() {
            panic!("a bug with a secret")
        }
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let _log = tracing::subscriber::set_default(log);
        let routes = Router::new().route("/", get(fails)).layer(CatchPanicLayer::custom(Panicked::default()));
        for _ in 0..2 {
            lines.0.lock().unwrap().clear();
            let answer = routes.clone().oneshot(Request::new(Body::empty())).await.unwrap();
            assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, r#"{"error":"InternalServerError","message":"Internal Server Error"}"#);
            let said = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(said.contains("a handler panicked") && said.contains("a bug with a secret"), "{said}");
        }
    }
}
