//! What can go wrong when another host is asked.

use std::error::Error;

use http::{StatusCode, header};

use crate::identity::http::{HostFailure, Reply};

/// Why another host gave no usable answer.
///
/// It is cloned into caches and to all who wait for one answer, so causes are kept as text.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// The URL is not one that the PDS opens.
    #[error("{url} cannot be opened: {reason}")]
    BadUrl { url: String, reason: &'static str },
    /// Another scheme than `https`.
    #[error("{url} is not an https URL")]
    NotHttps { url: String },
    /// The host is an address that is not global unicast, or has only such ones.
    #[error("{host} is a private address, where the PDS does not go on a stranger's word")]
    PrivateAddress { host: String },
    /// The host name has no address.
    #[error("the host {host} was not found: {cause}")]
    UnknownHost { host: String, cause: String },
    /// No whole answer in time.
    #[error("{url} did not answer in time")]
    Timeout { url: String },
    /// No connection, or no TLS on it.
    #[error("no connection to {url}: {cause}")]
    Connect { url: String, cause: String },
    /// The exchange broke off, or was not HTTP.
    #[error("the answer of {url} broke off: {cause}")]
    Interrupted { url: String, cause: String },
    /// The host sent the PDS elsewhere, where it does not go.
    #[error("{url} answered with a redirect ({status}), which is not followed")]
    Redirect { url: String, status: StatusCode },
    /// The answer is larger than such an answer may be.
    #[error("the answer of {url} is larger than {max_bytes} bytes")]
    TooLarge { url: String, max_bytes: usize },
    /// A page for people where data was asked for.
    #[error("{url} answered {status} with an HTML page (a challenge against bots?) in place of data")]
    HtmlPage { url: String, status: StatusCode },
}

impl FetchError {
    pub(super) fn from_reqwest(error: &reqwest::Error) -> Self {
        let url = error.url().map_or_else(|| "the host".to_owned(), ToString::to_string);
        let mut cause = error.source();
        while let Some(inner) = cause {
            match inner.downcast_ref::<HostFailure>() {
                Some(HostFailure::Unknown { host, source }) => {
                    return Self::UnknownHost { host: host.clone(), cause: source.to_string() };
                }
                Some(HostFailure::Private { host }) => return Self::PrivateAddress { host: host.clone() },
                None => cause = inner.source(),
            }
        }
        if error.is_timeout() {
            Self::Timeout { url }
        } else if error.is_connect() {
            Self::Connect { url, cause: root_cause(error) }
        } else {
            Self::Interrupted { url, cause: root_cause(error) }
        }
    }
}

/// The outer errors only say "error sending request"; the last one knows.
fn root_cause(error: &reqwest::Error) -> String {
    let mut root: &dyn Error = error;
    while let Some(inner) = root.source() {
        root = inner;
    }
    root.to_string()
}

/// Returns whether a reply is a page for people, by its type or its first byte.
pub(super) fn looks_like_html(reply: &Reply) -> bool {
    let content_type = reply.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.to_ascii_lowercase().starts_with("text/html") || reply.body.trim_ascii_start().starts_with(b"<")
}
