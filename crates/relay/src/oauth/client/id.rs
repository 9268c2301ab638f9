//! The ids of apps.

use url::{Host, Url};

use super::super::OauthError;

const MAX_BYTES: usize = 2048;

/// The id of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClientId {
    /// An app in development, which its id describes.
    Loopback(Url),
    /// The address of the app's metadata.
    Discoverable(Url),
}

impl ClientId {
    /// Reads an id. With `plain_hosts`, in development, the metadata may be on this machine.
    pub(crate) fn parse(text: &str, plain_hosts: bool) -> Result<Self, OauthError> {
        let refused = |what: &str| Err(OauthError::invalid_client(format!("client_id {what}")));
        if text.len() > MAX_BYTES {
            return refused("is too long");
        }
        let Ok(url) = Url::parse(text) else {
            return refused("is not a URL: it is the https address of the app's metadata, or http://localhost in development");
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refused("has a user name or password in it");
        }
        if url.fragment().is_some() {
            return refused("has a fragment");
        }
        if url.scheme() == "http" {
            return match url.host() {
                Some(Host::Domain("localhost")) if url.port().is_some() => refused(
                    "has a port: an app in development has the id http://localhost, and says its address by the parameter redirect_uri",
                ),
                Some(Host::Domain("localhost")) if url.path() == "/" => Ok(Self::Loopback(url)),
                Some(Host::Domain("localhost")) => refused("has a path, which http://localhost may not have"),
                _ => refused("is plain http: it has to be https, or http://localhost in development"),
            };
        }
        if url.scheme() != "https" {
            return refused("is not an https URL");
        }
        match url.host() {
            Some(Host::Domain(host)) if plain_hosts || (host.contains('.') && !host.ends_with(".localhost")) => {}
            Some(Host::Domain(_)) => return refused("names a host that is not on the Internet"),
            Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => return refused("names an address instead of a host"),
        }
        if url.path() == "/" {
            return refused(
                "has no path: it is the address of the metadata, such as https://app.example.com/client-metadata.json",
            );
        }
        if url.path().ends_with('/') {
            return refused("ends with a slash");
        }
        if url.as_str() != text {
            return refused(&format!("is not in its plain form, which is {url}"));
        }
        Ok(Self::Discoverable(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_address_of_metadata() {
        for good in ["https://app.example.com/client-metadata.json", "https://app.example.com/a/b?c=d"] {
            assert!(matches!(ClientId::parse(good, false), Ok(ClientId::Discoverable(_))), "{good}");
        }
        for good in
            ["http://localhost", "http://localhost/", "http://localhost?scope=atproto&redirect_uri=http%3A%2F%2F127.0.0.1"]
        {
            assert!(matches!(ClientId::parse(good, false), Ok(ClientId::Loopback(_))), "{good}");
        }
        for bad in [
            "",
            "app",
            "did:web:app.example.com",
            "http://app.example.com/client-metadata.json",
            "http://localhost:3000",
            "http://localhost/client-metadata.json",
            "http://127.0.0.1/",
            "https://localhost/client-metadata.json",
            "https://intranet/client-metadata.json",
            "https://10.0.0.1/client-metadata.json",
            "https://[::1]/client-metadata.json",
            "https://app.example.com",
            "https://app.example.com/",
            "https://app.example.com/a/",
            "https://app.example.com/a#b",
            "https://me@app.example.com/a",
            "https://APP.example.com/a",
            "https://app.example.com:443/a",
            "https://app.example.com/../a",
        ] {
            assert!(ClientId::parse(bad, false).is_err(), "{bad}");
        }
        assert!(ClientId::parse("https://localhost:8443/client-metadata.json", true).is_ok());
    }
}
