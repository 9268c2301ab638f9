//! The browser that a request comes from, known by a cookie.
//!
//! The cookie holds the device's id and a secret. A browser gets one with its first page, and it is written down only once
//! someone signs in there: a stranger who asks for pages leaves nothing behind. The secret changes whenever someone signs in or
//! out, so a cookie that was planted in a browser beforehand is worth nothing afterwards. The id stays: it is what an OAuth
//! request is bound to.

use data_encoding::BASE64URL_NOPAD;
use http::HeaderMap;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::cookies;
use crate::state::App;
use crate::store::web_session::{DeviceId, WebDevice};

/// A browser, as its cookie says.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) id: DeviceId,
    secret: [u8; 32],
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Device({})", self.id)
    }
}

impl Device {
    /// Makes a device that no browser has yet.
    pub(super) fn new() -> Self {
        Self { id: DeviceId(crate::random::bytes()), secret: crate::random::bytes() }
    }

    /// Returns the same device with another secret.
    pub(super) fn with_new_secret(&self) -> Self {
        Self { id: self.id, secret: crate::random::bytes() }
    }

    /// Reads the cookie of a request. Whether the secret is right is not looked at.
    pub(super) fn find(headers: &HeaderMap, app: &App) -> Option<Self> {
        let (id, secret) = cookies::find(headers, cookie_name(app))?.split_once('.')?;
        let secret = BASE64URL_NOPAD.decode(secret.as_bytes()).ok()?.try_into().ok()?;
        Some(Self { id: id.parse().ok()?, secret })
    }

    pub(super) fn cookie_value(&self) -> String {
        format!("{}.{}", self.id, BASE64URL_NOPAD.encode(&self.secret))
    }

    pub(super) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    pub(super) fn secret_hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret).into()
    }

    /// Whether this is the device that was written down.
    pub(super) fn is(&self, stored: &WebDevice) -> bool {
        self.secret_hash().ct_eq(&stored.secret_hash).into()
    }
}

/// Returns the cookie's name. With the prefix, browsers take it over TLS only, for this very host, and from nobody below it.
pub(super) fn cookie_name(app: &App) -> &'static str {
    if app.config.server.public_url.is_https() { "__Host-device" } else { "device" }
}
