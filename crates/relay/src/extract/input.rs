//! Bodies.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use tower::{ServiceExt as _, service_fn};
use tower_http::decompression::{DecompressionBody, RequestDecompression};

use crate::error::XrpcError;

/// Most bytes of a JSON body.
const JSON_LIMIT: usize = 150 << 10;
/// Most bytes of a JSON body that holds records.
const RECORD_JSON_LIMIT: usize = 1_000_000;

/// Extracts a JSON body of at most [`JSON_LIMIT`] bytes.
#[derive(Debug)]
pub(crate) struct XrpcJson<T>(pub(crate) T);

/// Extracts a JSON body of at most [`RECORD_JSON_LIMIT`] bytes.
#[derive(Debug)]
pub(crate) struct RecordJson<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for XrpcJson<T> {
    type Rejection = XrpcError;

    async fn from_request(request: Request, _: &S) -> Result<Self, XrpcError> {
        json(request, JSON_LIMIT).await.map(Self)
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for RecordJson<T> {
    type Rejection = XrpcError;

    async fn from_request(request: Request, _: &S) -> Result<Self, XrpcError> {
        json(request, RECORD_JSON_LIMIT).await.map(Self)
    }
}

async fn json<T: DeserializeOwned>(request: Request, limit: usize) -> Result<T, XrpcError> {
    body_of(request.headers(), "application/json")?;
    let body = read(request, limit).await?;
    if body.is_empty() {
        return Err(XrpcError::invalid_request("A request body is expected but none was provided"));
    }
    let deserializer = &mut serde_json::Deserializer::from_slice(&body);
    let value = serde_path_to_error::deserialize(&mut *deserializer).map_err(|err| {
        let path = err.path().to_string();
        refused(&err.into_inner(), &path)
    })?;
    deserializer.end().map_err(|err| refused(&err, "."))?;
    Ok(value)
}

/// Tells what is wrong with a body: not JSON, or JSON that is not what the method takes.
fn refused(err: &serde_json::Error, path: &str) -> XrpcError {
    let too_deep = err.to_string().starts_with("recursion limit");
    match err.classify() {
        serde_json::error::Category::Data => {
            let place = if path == "." { String::new() } else { format!(" at {path}") };
            XrpcError::invalid_request(format!("Invalid input{place}: {err}"))
        }
        serde_json::error::Category::Syntax if too_deep => {
            XrpcError::invalid_request("Invalid input: objects and arrays are nested too deeply")
        }
        serde_json::error::Category::Syntax | serde_json::error::Category::Eof | serde_json::error::Category::Io => {
            XrpcError::bad_request("SyntaxError", format!("The body is not JSON: {err}"))
        }
    }
}

/// Returns the media type of a request, without parameters.
fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let media_type = value.split(';').next().unwrap_or_default().trim();
    (!media_type.is_empty()).then_some(media_type)
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING)
}

/// Checks that there is a body of the media type `expected`, or of any when that is `*/*`; returns the type.
pub(crate) fn body_of<'h>(headers: &'h HeaderMap, expected: &str) -> Result<&'h str, XrpcError> {
    // HTTP/2 bodies need neither header; a content type alone tells of one.
    if !has_body(headers) && media_type(headers).is_none() {
        return Err(XrpcError::invalid_request("A request body is expected but none was provided"));
    }
    let Some(found) = media_type(headers) else {
        return Err(XrpcError::invalid_request("Request encoding (Content-Type) required but not provided"));
    };
    if expected != "*/*" && !found.eq_ignore_ascii_case(expected) {
        return Err(XrpcError::invalid_request(format!("Wrong request encoding (Content-Type): {found}")));
    }
    Ok(found)
}

/// Checks that a method without input was sent none. Mobile clients send `content-length: 0`, with and without a type.
pub(crate) async fn no_body(request: Request) -> Result<(), XrpcError> {
    let body = read(request, 1).await;
    match body {
        Ok(body) if body.is_empty() => Ok(()),
        _ => Err(XrpcError::invalid_request("A request body was provided when none was expected")),
    }
}

/// Refuses a body on a query. An empty one passes, also one whose length was not announced.
pub(crate) async fn refuse_body(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let headers = parts.headers.clone();
    let mut probe = Request::new(body);
    *probe.headers_mut() = headers;
    match no_body(probe).await {
        Ok(()) => next.run(Request::from_parts(parts, Body::empty())).await,
        Err(err) => err.into_response(),
    }
}

/// Returns the body, unpacked if it came compressed, and the size that was announced for it, if one was.
pub(crate) async fn unpacked(request: Request) -> Result<(Body, Option<u64>), XrpcError> {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    match request.headers().get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok((request.into_body(), announced)),
        Some(b"gzip" | b"deflate" | b"br") => {
            // The decompression is made for services; one that gives the body back makes a function of it.
            let give_back = service_fn(|request: Request<DecompressionBody<Body>>| async move {
                Ok::<_, Infallible>(Response::new(request.into_body()))
            });
            let Ok(response) = RequestDecompression::new(give_back).oneshot(request).await;
            Ok((Body::new(response.into_body()), None))
        }
        Some(_) => Err(XrpcError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            "Unsupported Content-Encoding; send the body as it is, or with gzip, deflate or br",
        )),
    }
}

async fn read(request: Request, limit: usize) -> Result<Bytes, XrpcError> {
    let too_large = || XrpcError::new(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeError", "request entity too large");
    let (body, announced) = unpacked(request).await?;
    if announced.is_some_and(|bytes| bytes > limit as u64) {
        return Err(too_large());
    }
    match http_body_util::Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(err) if err.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Err(err) => Err(XrpcError::invalid_request("The request body could not be read").with_cause(err)),
    }
}
