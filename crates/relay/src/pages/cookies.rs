//! Cookies: read from a request, collected for its response.

use std::sync::{Arc, Mutex, PoisonError};

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

/// Returns the value of the first cookie of this name.
pub(crate) fn find<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let pairs = headers.get_all(COOKIE).into_iter().filter_map(|header| header.to_str().ok()).flat_map(|text| text.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// How long a browser keeps a cookie.
const MAX_AGE_SECONDS: u32 = 400 * 24 * 3600;

/// The cookies that a response will set.
#[derive(Clone, Debug, Default)]
pub(super) struct NewCookies(Arc<Mutex<Vec<(String, String)>>>);

impl NewCookies {
    /// Sets a cookie; the last one of a name holds.
    pub(super) fn set(&self, name: &str, value: String) {
        let mut cookies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cookies.retain(|(other, _)| other != name);
        cookies.push((name.to_owned(), value));
    }

    /// Writes the headers. Scripts see no cookie, other sites do not send it with forms, and over TLS it never goes without.
    pub(super) fn write(&self, headers: &mut HeaderMap, secure: bool) {
        let secure = if secure { "; Secure" } else { "" };
        for (name, value) in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let cookie = format!("{name}={value}; Path=/; Max-Age={MAX_AGE_SECONDS}; HttpOnly; SameSite=Lax{secure}");
            if let Ok(cookie) = HeaderValue::try_from(cookie) {
                headers.append(SET_COOKIE, cookie);
            }
        }
    }
}
