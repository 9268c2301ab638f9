//! The metadata that an app publishes.
//!
//! Spec: <https://atproto.com/specs/oauth#client-id-metadata-document>

use serde::Deserialize;
use url::Url;

use super::super::Client;
use super::{Keys, Registered, keys, redirect_uri};
use crate::oauth::scope::ATPROTO;

const MAX_REDIRECT_URIS: usize = 64;
const MAX_NAME_CHARS: usize = 120;
const MAX_SCOPES: usize = 500;

/// The algorithms of assertions.
pub(crate) const SIGNING_ALGORITHMS: [&str; 2] = ["ES256", "ES256K"];

#[derive(Deserialize)]
struct Document {
    client_id: Option<String>,
    client_name: Option<String>,
    client_uri: Option<String>,
    logo_uri: Option<String>,
    policy_uri: Option<String>,
    tos_uri: Option<String>,
    #[serde(default)]
    redirect_uris: Vec<String>,
    scope: Option<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    application_type: Option<String>,
    token_endpoint_auth_method: Option<String>,
    token_endpoint_auth_signing_alg: Option<String>,
    dpop_bound_access_tokens: Option<bool>,
    jwks: Option<serde_json::Value>,
    jwks_uri: Option<String>,
}

/// Reads the metadata of the app whose id is `url`.
///
/// # Errors
///
/// What is wrong, in words for whoever wrote it.
pub(super) fn read(url: &Url, json: &[u8]) -> Result<Registered, String> {
    let document: Document = serde_json::from_slice(json).map_err(|err| format!("is not what it should be: {err}"))?;
    if document.client_id.as_deref() != Some(url.as_str()) {
        return Err(format!("has another client_id than its address, {url}"));
    }
    let grant_types = document.grant_types.unwrap_or_else(|| vec!["authorization_code".to_owned()]);
    if !grant_types.iter().any(|kind| kind == "authorization_code") {
        return Err("lacks authorization_code in grant_types".to_owned());
    }
    if document.response_types.is_some_and(|kinds| !kinds.iter().any(|kind| kind == "code")) {
        return Err("lacks code in response_types".to_owned());
    }
    if document.dpop_bound_access_tokens != Some(true) {
        return Err("has to say \"dpop_bound_access_tokens\": true".to_owned());
    }
    let scope = document.scope.ok_or("lacks scope")?;
    let scopes: Vec<String> = scope.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    if !scopes.iter().any(|scope| scope == ATPROTO) {
        return Err("lacks atproto in scope".to_owned());
    }
    if scopes.len() > MAX_SCOPES {
        return Err("has too many scopes".to_owned());
    }
    let is_native = match document.application_type.as_deref() {
        None | Some("web") => false,
        Some("native") => true,
        Some(_) => return Err("has an application_type that is neither web nor native".to_owned()),
    };
    if document.redirect_uris.is_empty() {
        return Err("lacks redirect_uris".to_owned());
    }
    if document.redirect_uris.len() > MAX_REDIRECT_URIS {
        return Err("has too many redirect_uris".to_owned());
    }
    for address in &document.redirect_uris {
        if let Some(problem) = redirect_uri::problem(address, url.host_str(), is_native) {
            let shown: String = address.chars().take(200).collect();
            return Err(format!("has a redirect URI that {problem}: {shown}"));
        }
    }
    let auth = Auth {
        method: document.token_endpoint_auth_method,
        algorithm: document.token_endpoint_auth_signing_alg,
        keys: document.jwks,
        keys_uri: document.jwks_uri,
        is_native,
    };
    let keys = auth.keys()?;
    if let Some(uri) = &document.client_uri {
        check_client_uri(url, uri)?;
    }
    let link = |uri: Option<String>| uri.filter(|uri| Url::parse(uri).is_ok_and(|uri| uri.scheme() == "https"));
    Ok(Registered {
        client: Client {
            id: url.to_string(),
            name: document.client_name.map(|name| shown(&name)).filter(|name| !name.is_empty()),
            uri: link(document.client_uri),
            logo_uri: link(document.logo_uri),
            policy_uri: link(document.policy_uri),
            tos_uri: link(document.tos_uri),
            is_loopback: false,
            may_refresh: grant_types.iter().any(|kind| kind == "refresh_token"),
        },
        redirect_uris: document.redirect_uris,
        scopes,
        keys,
    })
}

/// How an app says that it proves who it is.
struct Auth {
    method: Option<String>,
    algorithm: Option<String>,
    keys: Option<serde_json::Value>,
    keys_uri: Option<String>,
    is_native: bool,
}

impl Auth {
    fn keys(self) -> Result<Keys, String> {
        match self.method.as_deref() {
            None | Some("none") => return Ok(Keys::None),
            Some("private_key_jwt") => {}
            Some(_) => return Err("has a token_endpoint_auth_method that is neither none nor private_key_jwt".to_owned()),
        }
        if self.is_native {
            return Err("is of a native app, which cannot keep a key: its token_endpoint_auth_method has to be none".to_owned());
        }
        if !self.algorithm.as_deref().is_some_and(|algorithm| SIGNING_ALGORITHMS.contains(&algorithm)) {
            return Err("has to have ES256 or ES256K as token_endpoint_auth_signing_alg".to_owned());
        }
        match (self.keys, self.keys_uri) {
            (Some(_), Some(_)) => Err("has both jwks and jwks_uri; use one of them".to_owned()),
            (None, None) => Err("has neither jwks nor jwks_uri, which private_key_jwt needs".to_owned()),
            (Some(set), None) => keys::read(&set).map(Keys::Here).map_err(|problem| format!("has a jwks that {problem}")),
            (None, Some(uri)) => match Url::parse(&uri) {
                Ok(uri) if uri.scheme() == "https" => Ok(Keys::At(uri)),
                Ok(_) | Err(_) => Err("has a jwks_uri that is not an https URL".to_owned()),
            },
        }
    }
}

/// Checks that the home of the app is above its metadata, so that no app names the home of another.
fn check_client_uri(url: &Url, uri: &str) -> Result<(), String> {
    let uri = Url::parse(uri).map_err(|_| "has a client_uri that is not a URL")?;
    let folder = uri.path().trim_end_matches('/');
    let is_above = url.path().strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if uri.origin() != url.origin() || !is_above {
        return Err("has a client_uri that is not at or above the address of the metadata".to_owned());
    }
    Ok(())
}

/// Returns a name as it may be shown: short, and without characters that change how other text looks.
fn shown(name: &str) -> String {
    let plain = |char: &char| {
        !char.is_control()
            && !matches!(char, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    name.chars().filter(plain).take(MAX_NAME_CHARS).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document() -> Value {
        json!({
            "client_id": "https://app.example.com/client-metadata.json",
            "client_name": " My \u{202e}App\n",
            "client_uri": "https://app.example.com",
            "redirect_uris": ["https://app.example.com/callback"],
            "scope": "atproto transition:generic",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "application_type": "web",
            "token_endpoint_auth_method": "none",
            "dpop_bound_access_tokens": true
        })
    }

    fn read_with(changes: &Value) -> Result<Registered, String> {
        let mut document = document();
        for (name, value) in changes.as_object().unwrap() {
            document[name] = value.clone();
        }
        let url = Url::parse("https://app.example.com/client-metadata.json").unwrap();
        read(&url, document.to_string().as_bytes())
    }

    #[test]
    fn an_app_is_what_its_metadata_say() {
        let app = read_with(&json!({})).unwrap();
        assert_eq!(app.client.name.as_deref(), Some("My App"));
        assert!(app.client.may_refresh && !app.client.is_loopback);
        assert_eq!(app.scopes, ["atproto", "transition:generic"]);
        let few = read_with(&json!({ "grant_types": null, "response_types": null, "application_type": null })).unwrap();
        assert!(!few.client.may_refresh);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let key = json!({ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
        let confidential = |changes: &Value| {
            let mut all =
                json!({ "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256" });
            all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            read_with(&all)
        };
        assert!(confidential(&json!({ "jwks": { "keys": [key] } })).is_ok());
        assert!(confidential(&json!({ "jwks_uri": "https://keys.example.com/jwks" })).is_ok());
        let private = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "d": "x" }] });
        for (problem, outcome) in [
            ("another client_id", read_with(&json!({ "client_id": "https://app.example.com/other.json" }))),
            ("dpop_bound_access_tokens", read_with(&json!({ "dpop_bound_access_tokens": false }))),
            ("authorization_code", read_with(&json!({ "grant_types": ["implicit"] }))),
            ("response_types", read_with(&json!({ "response_types": ["token"] }))),
            ("atproto in scope", read_with(&json!({ "scope": "transition:generic" }))),
            ("lacks redirect_uris", read_with(&json!({ "redirect_uris": [] }))),
            ("native apps", read_with(&json!({ "redirect_uris": ["com.example.app:/cb"] }))),
            ("client_uri", read_with(&json!({ "client_uri": "https://bank.example.com" }))),
            ("client_uri", read_with(&json!({ "client_uri": "https://app.example.com/client" }))),
            (
                "client_secret",
                read_with(&json!({ "token_endpoint_auth_method": "client_secret_basic" }))
                    .map_err(|err| format!("client_secret {err}")),
            ),
            ("neither jwks nor", confidential(&json!({}))),
            ("both jwks and", confidential(&json!({ "jwks": {}, "jwks_uri": "https://a.example/" }))),
            ("private key", confidential(&json!({ "jwks": private }))),
            ("no key for", confidential(&json!({ "jwks": { "keys": [{ "kty": "RSA" }] } }))),
            ("https URL", confidential(&json!({ "jwks_uri": "http://keys.example.com/jwks" }))),
            ("native app", confidential(&json!({ "application_type": "native", "jwks_uri": "https://a.example/" }))),
            (
                "signing_alg",
                confidential(&json!({ "token_endpoint_auth_signing_alg": "none", "jwks_uri": "https://a.example/" })),
            ),
        ] {
            let err = outcome.unwrap_err();
            assert!(err.contains(problem), "{problem}: {err}");
        }
    }
}
