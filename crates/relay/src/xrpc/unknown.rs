//! Methods that are not served here.

use axum::extract::Path;
use http::{HeaderMap, Method};

use crate::auth::{Credentials, credentials};
use crate::error::XrpcError;

pub(crate) async fn handler(Path(nsid): Path<String>, method: Method, headers: HeaderMap) -> XrpcError {
    if nsid.parse::<common::Nsid>().is_err() {
        return XrpcError::invalid_request("Invalid xrpc path");
    }
    if !matches!(method, Method::GET | Method::HEAD | Method::POST) {
        return XrpcError::invalid_request("XRPC requests only supports GET and POST");
    }
    match credentials(&headers) {
        Ok(Credentials::None) => XrpcError::unauthorized("AuthMissing", "Authentication Required"),
        Ok(_) => XrpcError::invalid_request(format!("No service configured for {nsid}")),
        Err(err) => err,
    }
}

/// Answers a path that names no method.
pub(crate) async fn no_method() -> XrpcError {
    XrpcError::invalid_request("Invalid xrpc path")
}
