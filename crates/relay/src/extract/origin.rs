//! Where a call comes from, for the owner of the account to recognise.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::header::USER_AGENT;
use http::request::Parts;

use crate::account::Origin;
use crate::limits::client_address;
use crate::server::Peer;
use crate::state::{App, AppState};

/// Most characters of a user agent that are kept.
const MAX_USER_AGENT: usize = 300;

/// What the caller calls itself, and its address.
#[derive(Clone, Debug)]
pub(crate) struct ClientOrigin(pub(crate) Origin);

impl ClientOrigin {
    pub(crate) fn of(parts: &Parts, app: &App) -> Self {
        let peer = parts.extensions.get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip());
        let ip = client_address(peer, &parts.headers, |address| app.config.network.trusts(address)).to_string();
        let user_agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Self(Origin { user_agent: user_agent.chars().take(MAX_USER_AGENT).collect(), ip, browser: None })
    }
}

impl FromRequestParts<AppState> for ClientOrigin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Infallible> {
        Ok(Self::of(parts, app))
    }
}
