//! Where apps have their users sent back to.

use url::{Host, Url};

/// What is wrong with an address to send users back to; `None` when it is fine for an app of this kind and host.
pub(super) fn problem(text: &str, client_host: Option<&str>, is_native: bool) -> Option<&'static str> {
    let Ok(url) = Url::parse(text) else { return Some("is not a URL") };
    if url.fragment().is_some() {
        return Some("has a fragment");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("has a user name or password in it");
    }
    match (url.scheme(), url.host()) {
        ("https", Some(Host::Domain("localhost"))) => Some("is on localhost; use http://127.0.0.1"),
        ("https", Some(_)) => None,
        ("http", Some(Host::Domain("localhost"))) => Some("is on localhost; use http://127.0.0.1 or http://[::1] (RFC 8252)"),
        ("http", _) if is_loopback(&url) => (!is_native).then_some("is plain http, which is for native apps"),
        ("http" | "https", _) => Some("is plain http for another host than 127.0.0.1 and [::1]"),
        (scheme, _) if !scheme.contains('.') => {
            Some("has neither the scheme https nor one made of the app's host name reversed")
        }
        (_, _) if !is_native => Some("has a scheme of its own, which is for native apps (application_type native)"),
        (scheme, _) => {
            let reversed = client_host.map(|host| host.split('.').rev().collect::<Vec<_>>().join("."));
            if reversed.as_deref() != Some(scheme) {
                return Some("has a scheme that is not the host name of the client_id reversed");
            }
            let rest = text.get(scheme.len() + 1..).unwrap_or_default();
            let one_slash = rest.starts_with('/') && !rest.starts_with("//");
            (!one_slash).then_some("does not have exactly one slash after its scheme, as in com.example.app:/callback")
        }
    }
}

/// Whether an address is on this very machine, by number.
pub(super) fn is_loopback(url: &Url) -> bool {
    let here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(_)) | None => false,
    };
    here && url.scheme() == "http"
}

/// Whether `asked` is the registered address: the same text, but for the port of a native app, which takes a free one.
pub(super) fn fits(registered: &str, asked: &str) -> bool {
    if registered == asked {
        return true;
    }
    let (Ok(registered), Ok(mut asked)) = (Url::parse(registered), Url::parse(asked)) else { return false };
    if !is_loopback(&registered) || !is_loopback(&asked) || registered.port().is_some() {
        return false;
    }
    asked.set_port(None).is_ok() && registered == asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_the_app() {
        let good = |text: &str, is_native| problem(text, Some("app.example.com"), is_native).is_none();
        assert!(good("https://app.example.com/callback", false) && good("https://other.example/callback?a=b", true));
        assert!(good("http://127.0.0.1/callback", true) && good("http://[::1]:8080/callback", true));
        assert!(good("com.example.app:/callback", true));
        for bad in [
            "callback",
            "https://app.example.com/#a",
            "https://me@app.example.com/",
            "https://localhost/",
            "http://localhost/callback",
            "http://app.example.com/callback",
            "http://127.0.0.1.example.com/callback",
            "myapp:/callback",
            "com.example:/callback",
            "com.example.other:/callback",
            "com.example.app://callback",
            "com.example.app:callback",
            "javascript:alert(1)",
            "data:text/html,x",
        ] {
            assert!(!good(bad, true), "{bad}");
        }
        assert!(!good("http://127.0.0.1/callback", false) && !good("com.example.app:/callback", false));
        assert!(problem("com.example.app:/callback", None, true).is_some());
    }

    #[test]
    fn an_address_is_compared_as_text_but_for_the_port_of_this_machine() {
        assert!(fits("https://a.example/cb", "https://a.example/cb"));
        for other in [
            "https://a.example/cb/",
            "https://a.example/cb?x",
            "https://a.example:8443/cb",
            "https://a.example/CB",
            "https://a.example/cb/../cb",
            "https://a.example.evil.example/cb",
        ] {
            assert!(!fits("https://a.example/cb", other), "{other}");
        }
        assert!(fits("http://127.0.0.1/cb", "http://127.0.0.1:4567/cb") && fits("http://[::1]/", "http://[::1]:1/"));
        assert!(!fits("http://127.0.0.1/cb", "http://127.0.0.1:4567/other"));
        assert!(!fits("http://127.0.0.1/cb", "http://[::1]:4567/cb"));
        assert!(!fits("http://127.0.0.1:80/cb", "https://127.0.0.1/cb"));
        assert!(!fits("http://127.0.0.1:4567/cb", "http://127.0.0.1:4568/cb"));
    }
}
