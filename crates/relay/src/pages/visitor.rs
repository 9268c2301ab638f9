//! Who looks at a page, and how a page is answered.

use askama::Template;
use axum::extract::FromRequestParts;
use axum::response::{Html, IntoResponse as _, Response};
use http::header::LOCATION;
use http::request::Parts;
use http::{HeaderValue, StatusCode};

use super::cookies::NewCookies;
use super::device::{self, Device};
use super::{Frame, Language, csrf, guard};
use crate::error::XrpcError;
use crate::extract::ClientOrigin;
use crate::state::{App, AppState};

/// Whoever asked for a page.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    pub(crate) app: AppState,
    pub(crate) device: Device,
    pub(crate) language: Language,
    /// The path and query that was asked for.
    pub(crate) here: String,
    /// What the browser calls itself, cut short.
    pub(crate) user_agent: String,
    pub(crate) ip: String,
    pub(super) cookies: NewCookies,
}

impl Visitor {
    /// Reads a request. A browser without a cookie gets one with the response.
    pub(super) fn of(parts: &Parts, app: &AppState) -> Self {
        let cookies = NewCookies::default();
        let device = Device::find(&parts.headers, app).unwrap_or_else(|| {
            let device = Device::new();
            cookies.set(device::cookie_name(app), device.cookie_value());
            device
        });
        let origin = ClientOrigin::of(parts, app).0;
        Self {
            app: app.clone(),
            device,
            language: Language::of(&parts.headers),
            here: parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            user_agent: origin.user_agent,
            ip: origin.ip,
            cookies,
        }
    }

    /// Returns the visitor as one who asked for another page: where to come back to from the answer to a form.
    pub(crate) fn seen_at(self, here: String) -> Self {
        Self { here, ..self }
    }

    /// Returns the frame of a page in this browser.
    pub(crate) fn frame(&self) -> Frame {
        Frame::new(&self.app, self.language, csrf::token(&self.app, &self.device), &self.here)
    }

    /// Answers with a page.
    #[expect(clippy::unused_self, reason = "only who was let in by the guard is answered with a page")]
    pub(crate) fn page(&self, status: StatusCode, page: &impl Template) -> Result<Response, XrpcError> {
        let html = page.render().map_err(XrpcError::internal)?;
        Ok((status, Html(html)).into_response())
    }

    /// Gives the browser another device cookie with the response.
    pub(super) fn set_device(&self, device: &Device) {
        self.cookies.set(device::cookie_name(&self.app), device.cookie_value());
    }
}

impl FromRequestParts<AppState> for Visitor {
    type Rejection = XrpcError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, XrpcError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(guard::missing)
    }
}

/// Returns a path of a page of this server, where to go next; `None` for everything else, above all for other sites.
pub(crate) fn local_path(text: &str) -> Option<&str> {
    let path = text.split(['?', '#']).next()?;
    let plain = text.len() <= 4000 && text.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'\\');
    // `//host/` is another site, and a browser takes `/../` apart.
    (plain && !path.contains("//") && !path.contains("/.") && (path == "/" || guard::is_page(path))).then_some(text)
}

/// Leads the browser on, by GET.
pub(crate) fn see_other(app: &App, path: &str) -> Response {
    // Whole, so that a proxy that rewrites the host does not lead people astray.
    let target = if path.starts_with('/') && app.config.server.public_url.is_https() {
        format!("{}{path}", app.config.server.public_url.as_str())
    } else {
        path.to_owned()
    };
    match HeaderValue::try_from(target) {
        Ok(target) => (StatusCode::SEE_OTHER, [(LOCATION, target)]).into_response(),
        Err(err) => XrpcError::internal(err).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::local_path;

    #[test]
    fn only_pages_of_this_server_are_led_on_to() {
        for good in
            ["/account", "/account/sign-in?next=%2Faccount", "/oauth/authorize?client_id=https%3A%2F%2Fa.example%2F&x=1"]
        {
            assert_eq!(local_path(good), Some(good));
        }
        for bad in [
            "",
            "account",
            "https://evil.example/account",
            "//evil.example/account",
            "/\\evil.example",
            "/account\\..\\",
            "/account/../xrpc/x",
            "/account//evil.example",
            "/account\r\nLocation: https://evil.example",
            "/account\t",
            "/xrpc/com.atproto.server.describeServer",
            "javascript:alert(1)",
            "/accounting",
        ] {
            assert_eq!(local_path(bad), None, "{bad}");
        }
    }
}
