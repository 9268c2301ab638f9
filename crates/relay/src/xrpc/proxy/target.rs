//! Where a call goes.

use common::{Did, Nsid};
use http::{HeaderMap, HeaderName};
use url::Url;

use crate::config::Service;
use crate::error::XrpcError;
use crate::identity::ResolveError;
use crate::identity::fetch::FetchError;
use crate::identity::http::HttpClient;
use crate::state::App;

const HEADER: HeaderName = HeaderName::from_static("atproto-proxy");
/// The entry of an AppView in its DID document, and that of a labeler or moderation service.
const APPVIEW: &str = "bsky_appview";
const LABELER: &str = "atproto_labeler";

/// What the header `atproto-proxy` names: an entry in the DID document of a service.
///
/// Spec: <https://atproto.com/specs/xrpc#service-proxying>
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceRef {
    did: Did,
    /// What follows the `#`.
    id: String,
}

impl ServiceRef {
    /// Reads the header, which may be absent or empty.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, XrpcError> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next().filter(|value| !value.is_empty()) else { return Ok(None) };
        let malformed = || XrpcError::invalid_request("invalid proxy header format");
        if values.next().is_some() {
            return Err(malformed());
        }
        Self::parse(value.to_str().map_err(|_| malformed())?).map(Some)
    }

    fn parse(text: &str) -> Result<Self, XrpcError> {
        let refused = |message: &'static str| Err(XrpcError::invalid_request(message));
        if text.contains(' ') {
            return refused("proxy header cannot contain spaces");
        }
        let Some((did, id)) = text.split_once('#') else { return refused("no service id specified in proxy header") };
        if did.is_empty() {
            return refused("no did specified in proxy header");
        }
        if id.is_empty() {
            return refused("no service id specified in proxy header");
        }
        if id.contains('#') {
            return refused("invalid proxy header format");
        }
        match did.parse() {
            Ok(did) => Ok(Self { did, id: id.to_owned() }),
            Err(_) => refused("the proxy header does not begin with a did"),
        }
    }

    /// Whether this is another AppView than the configured one, or a service of another kind.
    pub(crate) fn is_foreign(&self, app: &App) -> bool {
        app.config.services.appview.as_ref().is_some_and(|own| own.did != self.did || self.id != APPVIEW)
    }
}

/// A service that calls are passed on to.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    did: Did,
    /// Its entry in the DID document.
    id: String,
    url: Url,
    /// Whether the operator configured it, so that it may be anywhere.
    configured: bool,
}

impl Target {
    fn of(service: &Service, id: &str) -> Self {
        Self { did: service.did.clone(), id: id.to_owned(), url: service.url.url().clone(), configured: true }
    }

    /// Returns the AppView of this server.
    pub(crate) fn appview(app: &App) -> Option<Self> {
        app.config.services.appview.as_ref().map(|appview| Self::of(appview, APPVIEW))
    }

    /// Returns where a call goes: where the caller says, or else where `nsid` is at home.
    ///
    /// # Errors
    ///
    /// 400 when the named service is none, or none is configured; 502 when its DID could not be looked up.
    pub(crate) async fn find(app: &App, headers: &HeaderMap, nsid: &Nsid) -> Result<Self, XrpcError> {
        if let Some(service) = ServiceRef::from_headers(headers)? {
            return Self::resolve(app, &service).await;
        }
        let (service, id) = default_service(app, nsid);
        service.map(|service| Self::of(service, id)).ok_or_else(|| no_service(nsid))
    }

    /// Finds the service in its DID document, or among the configured ones.
    pub(crate) async fn resolve(app: &App, service: &ServiceRef) -> Result<Self, XrpcError> {
        let services = &app.config.services;
        let known = [(&services.appview, APPVIEW), (&services.moderation, LABELER), (&services.report, LABELER)];
        let known = known
            .into_iter()
            .filter(|(_, id)| service.id == *id)
            .find_map(|(known, _)| known.as_ref().filter(|known| known.did == service.did));
        if let Some(known) = known {
            return Ok(Self::of(known, &service.id));
        }
        let document = app.identity.resolve_did(&service.did).await.map_err(|err| unresolved(&err))?;
        let endpoint = document.service(&service.id).and_then(|entry| Url::parse(&entry.endpoint).ok());
        let url = endpoint.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let url = url.ok_or_else(|| XrpcError::invalid_request("could not resolve proxy did service url"))?;
        Ok(Self { did: service.did.clone(), id: service.id.clone(), url, configured: false })
    }

    /// Finds the service `id` of `did`, for a method whose input names the DID.
    pub(crate) async fn of_did(app: &App, did: Did, id: &str) -> Result<Self, XrpcError> {
        Self::resolve(app, &ServiceRef { did, id: id.to_owned() }).await
    }

    pub(crate) fn did(&self) -> &Did {
        &self.did
    }

    /// Returns what the service is called in scopes: its DID, and its entry in the document.
    pub(crate) fn name(&self) -> String {
        format!("{}#{}", self.did, self.id)
    }

    /// Returns the client that may go there.
    pub(super) fn client<'a>(&self, app: &'a App) -> &'a HttpClient {
        let clients = app.identity.clients();
        if self.configured { &clients.trusted } else { &clients.guarded }
    }

    /// Returns the address of a method.
    pub(super) fn method_url(&self, nsid: &Nsid, query: Option<&str>) -> Url {
        let mut url = self.url.clone();
        let path = format!("{}/xrpc/{nsid}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url.set_query(query);
        url.set_fragment(None);
        url
    }
}

/// Returns what the AppView of this server is called in scopes. Without one, this server does its part, as far as it goes.
pub(crate) fn appview_name(app: &App) -> String {
    let did = app.config.services.appview.as_ref().map_or(&app.config.identity.service_did, |appview| &appview.did);
    format!("{did}#{APPVIEW}")
}

/// The answer to a call that nobody is there for.
pub(super) fn no_service(nsid: &Nsid) -> XrpcError {
    XrpcError::invalid_request(format!("No service configured for {nsid}"))
}

fn default_service<'a>(app: &'a App, nsid: &Nsid) -> (Option<&'a Service>, &'static str) {
    let services = &app.config.services;
    if nsid.as_str().starts_with("tools.ozone.") {
        (services.moderation.as_ref(), LABELER)
    } else if nsid.as_str() == "com.atproto.moderation.createReport" {
        (services.report.as_ref(), LABELER)
    } else {
        (services.appview.as_ref(), APPVIEW)
    }
}

fn unresolved(err: &ResolveError) -> XrpcError {
    const MESSAGE: &str = "could not resolve proxy did";
    let theirs = match err {
        ResolveError::DidNotFound(_)
        | ResolveError::DidDeactivated(_)
        | ResolveError::Unsupported(_)
        | ResolveError::Document { .. }
        | ResolveError::HandleNotFound { .. } => true,
        ResolveError::Status { status, .. } => *status < 500,
        ResolveError::Fetch(err) => match err {
            FetchError::BadUrl { .. }
            | FetchError::NotHttps { .. }
            | FetchError::PrivateAddress { .. }
            | FetchError::UnknownHost { .. }
            | FetchError::Redirect { .. }
            | FetchError::TooLarge { .. }
            | FetchError::HtmlPage { .. } => true,
            FetchError::Timeout { .. } | FetchError::Connect { .. } | FetchError::Interrupted { .. } => false,
        },
        ResolveError::Slow(_) | ResolveError::Lost => false,
    };
    tracing::debug!(%err, "a call was not passed on");
    if theirs { XrpcError::invalid_request(MESSAGE) } else { XrpcError::upstream(MESSAGE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_names_one_service_of_one_did() {
        let parsed = ServiceRef::parse("did:web:api.bsky.app#bsky_appview").unwrap();
        assert_eq!((parsed.did.as_str(), parsed.id.as_str()), ("did:web:api.bsky.app", "bsky_appview"));
        let message = |text: &str| ServiceRef::parse(text).unwrap_err().message().to_owned();
        assert_eq!(message("did:web:api.bsky.app"), "no service id specified in proxy header");
        assert_eq!(message("did:web:api.bsky.app#"), "no service id specified in proxy header");
        assert_eq!(message("#bsky_appview"), "no did specified in proxy header");
        assert_eq!(message("did:web:a.b#c#d"), "invalid proxy header format");
        assert_eq!(message("did:web:a.b#c, did:web:a.b#c"), "proxy header cannot contain spaces");
        assert_eq!(message("nonsense#c"), "the proxy header does not begin with a did");
    }

    #[test]
    fn an_empty_header_is_none_and_two_are_one_too_many() {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, "".parse().unwrap());
        assert_eq!(ServiceRef::from_headers(&headers).unwrap(), None);
        headers.insert(HEADER, "did:web:a.b#c".parse().unwrap());
        assert!(ServiceRef::from_headers(&headers).unwrap().is_some());
        headers.append(HEADER, "did:web:d.e#f".parse().unwrap());
        assert!(ServiceRef::from_headers(&headers).is_err());
    }

    #[test]
    fn a_method_is_below_the_endpoint() {
        let target = |url: &str| Target {
            did: "did:web:a.b".parse().unwrap(),
            id: String::new(),
            url: Url::parse(url).unwrap(),
            configured: false,
        };
        let nsid: Nsid = "com.example.get".parse().unwrap();
        let url = |base: &str, query| target(base).method_url(&nsid, query).to_string();
        assert_eq!(url("https://a.b", None), "https://a.b/xrpc/com.example.get");
        assert_eq!(url("https://a.b/c/?d#e", Some("x=%20&y[]=1")), "https://a.b/c/xrpc/com.example.get?x=%20&y[]=1");
    }
}
