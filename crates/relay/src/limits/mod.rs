//! Limits on how much a client may ask, told by address, account, or name that someone signs in by.
//!
//! The layer counts a request as it comes ([`By::Address`]) and leaves a [`Meter`] in it, by which the extractors of `auth`
//! count by account, and a few handlers what they find in the body. Whatever was counted, the answer's `RateLimit-*` headers
//! tell of the window that has the least left.

mod address;
mod counts;
mod rules;

pub(crate) use address::client_address;
pub(crate) use rules::{CREATE_POINTS, DELETE_POINTS, UPDATE_POINTS, describe};

use std::convert::Infallible;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRequestParts, Request};
use axum::response::{IntoResponse as _, Response};
use common::Clock as _;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use subtle::ConstantTimeEq as _;

use self::counts::{Counts, Exceeded, Network, Reading, Who};
use self::rules::{By, LOGINS, Rule, WRITES, Window};
use crate::error::XrpcError;
use crate::server::Peer;
use crate::state::AppState;
use crate::store::AccountId;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const BYPASS: HeaderName = HeaderName::from_static("x-ratelimit-bypass");

/// What was spent so far, by everyone.
#[derive(Debug)]
pub(crate) struct RateLimits {
    app: AppState,
    counts: Counts,
    /// Keyed at random, so that nobody can choose names whose hashes collide.
    hasher: RandomState,
}

impl RateLimits {
    /// Returns the limits, or `None` when the operator wants none.
    pub(crate) fn new(app: &AppState) -> Option<Arc<Self>> {
        let new = || Arc::new(Self { app: app.clone(), counts: Counts::new(), hasher: RandomState::new() });
        app.config.limits.rate_limits.then(new)
    }

    /// Whether a request has the key that lifts the limits.
    fn are_lifted(&self, headers: &HeaderMap) -> bool {
        let Some(given) = headers.get(BYPASS) else { return false };
        let key = self.app.config.limits.rate_limit_bypass_key.as_ref();
        key.is_some_and(|key| key.expose().as_bytes().ct_eq(given.as_bytes()).into())
    }

    fn now_seconds(&self) -> u32 {
        u32::try_from(self.app.clock.seconds()).unwrap_or_default()
    }
}

/// Counts each request, and refuses what is too much.
pub(crate) async fn layer(
    limits: &Arc<RateLimits>,
    mut request: Request,
    next: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let path = request.uri().path();
    // Probes and the network's resolvers may come as often as they need; what they get costs little.
    if path == "/xrpc/_health" || path.starts_with("/.well-known/") || limits.are_lifted(request.headers()) {
        return next(request).await;
    }
    let rule = rules::rule(path.strip_prefix("/xrpc/").map_or(path, |nsid| nsid.strip_suffix('/').unwrap_or(nsid)));
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    let network = &limits.app.config.network;
    let address = client_address(peer, request.headers(), |address| network.trusts(address));
    if limits.app.config.limits.rate_limit_bypass_addresses.iter().any(|range| range.contains(address)) {
        return next(request).await;
    }
    let meter = Arc::new(Metered { limits: Arc::clone(limits), rule, network: address.into(), tightest: Mutex::new(None) });
    let mut response = match meter.count_arrival() {
        Ok(()) => {
            request.extensions_mut().insert(Meter(Some(Arc::clone(&meter))));
            next(request).await
        }
        Err(err) => err.into_response(),
    };
    meter.tell(response.headers_mut());
    response
}

/// Counts what is known of a request only once it was looked at. Without limits it does nothing.
#[derive(Clone, Debug)]
pub(crate) struct Meter(Option<Arc<Metered>>);

/// A request that is counted.
#[derive(Debug)]
struct Metered {
    limits: Arc<RateLimits>,
    rule: Option<Rule>,
    network: Network,
    /// The window with the least left, of those in which this request was counted.
    tightest: Mutex<Option<Reading>>,
}

impl<S: Sync> FromRequestParts<S> for Meter {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

impl Meter {
    pub(crate) fn of(parts: &Parts) -> Self {
        parts.extensions.get::<Self>().cloned().unwrap_or(Self(None))
    }

    /// Counts the call of a method that is limited by account.
    pub(crate) fn count_account(&self, account: AccountId) -> Result<(), XrpcError> {
        match self.0.as_deref() {
            Some(Metered { rule: Some(Rule { by: By::Account, points, windows }), .. }) => {
                self.spend(windows, Who::Account(account), *points)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Counts the writes of a batch.
    pub(crate) fn count_writes(&self, account: AccountId, points: u32) -> Result<(), XrpcError> {
        self.spend(WRITES, Who::Account(account), points)
    }

    /// Counts what a page does as a call of the method that does the same, which is limited by address.
    pub(crate) fn count_call(&self, nsid: &str) -> Result<(), XrpcError> {
        match (self.0.as_deref(), rules::rule(nsid)) {
            (Some(metered), Some(Rule { by: By::Address, points, windows })) => {
                metered.spend(windows, Who::Network(metered.network), points)
            }
            (Some(_) | None, Some(_) | None) => Ok(()),
        }
    }

    /// As [`Self::count_call`], for a method that is limited by account.
    pub(crate) fn count_account_call(&self, nsid: &str, account: AccountId) -> Result<(), XrpcError> {
        match rules::rule(nsid) {
            Some(Rule { by: By::Account, points, windows }) => self.spend(windows, Who::Account(account), points),
            Some(_) | None => Ok(()),
        }
    }

    /// Counts an attempt to sign in, by a name as it was typed.
    pub(crate) fn count_login(&self, identifier: &str) -> Result<(), XrpcError> {
        let Some(metered) = self.0.as_deref() else { return Ok(()) };
        let name = metered.limits.hasher.hash_one(identifier.trim().to_lowercase());
        self.spend(LOGINS, Who::Login(name, metered.network), 1)
    }

    fn spend(&self, windows: &[Window], who: Who, points: u32) -> Result<(), XrpcError> {
        self.0.as_deref().map_or(Ok(()), |metered| metered.spend(windows, who, points))
    }
}

impl Metered {
    /// Counts what the address alone tells.
    fn count_arrival(&self) -> Result<(), XrpcError> {
        let who = Who::Network(self.network);
        match self.rule {
            Some(Rule { by: By::Address, points, windows: &[Window::Exports] }) => self.spend(&[Window::Exports], who, points),
            Some(Rule { by: By::Address, points, windows }) => {
                self.spend(&[Window::Requests], who, 1)?;
                self.spend(windows, who, points)
            }
            Some(Rule { by: By::Account | By::AccountAndWrites | By::Login, .. }) | None => {
                self.spend(&[Window::Requests], who, 1)
            }
        }
    }

    fn spend(&self, windows: &[Window], who: Who, points: u32) -> Result<(), XrpcError> {
        let now = self.limits.now_seconds();
        for &window in windows {
            match self.limits.counts.spend(window, who, points, now) {
                Ok(reading) => self.note(reading, |tightest| reading.remaining < tightest.remaining),
                Err(Exceeded(reading)) => {
                    self.note(reading, |_| true);
                    return Err(XrpcError::too_many_requests(reading.resets_at.saturating_sub(now).max(1)));
                }
            }
        }
        Ok(())
    }

    fn note(&self, reading: Reading, is_tighter: impl FnOnce(Reading) -> bool) {
        let mut tightest = self.tightest.lock().unwrap_or_else(PoisonError::into_inner);
        if tightest.is_none_or(is_tighter) {
            *tightest = Some(reading);
        }
    }

    /// Writes the headers that tell of the tightest window.
    fn tell(&self, headers: &mut HeaderMap) {
        let Some(reading) = *self.tightest.lock().unwrap_or_else(PoisonError::into_inner) else { return };
        let quota = reading.window.quota();
        headers.insert(LIMIT, quota.points.into());
        headers.insert(REMAINING, reading.remaining.into());
        headers.insert(RESET, reading.resets_at.into());
        headers.insert(POLICY, HeaderValue::from_static(quota.policy));
    }
}
