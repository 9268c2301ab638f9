//! Apps: who they are, by the metadata that they publish or by what their id says.
//!
//! The id of an app is the URL of its metadata, which is fetched with the client that does not go to private addresses, and kept
//! for some minutes. An app in development has none: its id is `http://localhost` with its parameters as a query.
//!
//! Spec: <https://atproto.com/specs/oauth#clients>

mod assertion;
mod fetch;
mod id;
mod keys;
mod loopback;
mod metadata;
mod redirect_uri;
mod request_object;

use url::Url;

pub(crate) use assertion::authenticate;
pub(crate) use fetch::Clients;
pub(crate) use id::ClientId;
pub(crate) use keys::ClientKey;
pub(crate) use metadata::SIGNING_ALGORITHMS;
pub(crate) use request_object::open as open_request_object;

use super::Client;

/// What is known of an app: its metadata, checked.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub(crate) client: Client,
    /// Where its users may be sent back to.
    pub(crate) redirect_uris: Vec<String>,
    /// What it may ask for.
    pub(crate) scopes: Vec<String>,
    pub(crate) keys: Keys,
}

/// By which keys an app proves who it is.
#[derive(Clone, Debug)]
pub(crate) enum Keys {
    /// It does not.
    None,
    Here(Vec<ClientKey>),
    At(Url),
}

impl Registered {
    /// Whether users may be sent back to `asked`.
    pub(crate) fn may_redirect_to(&self, asked: &str) -> bool {
        self.redirect_uris.iter().any(|registered| redirect_uri::fits(registered, asked))
    }
}
