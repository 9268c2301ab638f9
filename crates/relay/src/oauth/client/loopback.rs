//! Apps in development: their id says all.
//!
//! Spec: <https://atproto.com/specs/oauth#localhost-client-development>

use url::Url;

use super::super::{Client, OauthError};
use super::{Keys, Registered, redirect_uri};
use crate::oauth::scope::ATPROTO;

const MAX_REDIRECT_URIS: usize = 16;

/// Reads the app out of its id, which was given as `text`.
pub(super) fn read(text: &str, url: &Url) -> Result<Registered, OauthError> {
    let refused = |what: String| OauthError::invalid_client(format!("client_id {what}"));
    let (mut redirect_uris, mut scope) = (Vec::new(), None);
    for (name, value) in url.query_pairs() {
        match &*name {
            "redirect_uri" if redirect_uris.len() == MAX_REDIRECT_URIS => {
                return Err(refused("has too many redirect_uri".to_owned()));
            }
            "redirect_uri" => {
                let address = Url::parse(&value).ok().filter(redirect_uri::is_loopback).filter(|url| url.fragment().is_none());
                if address.is_none() {
                    let why =
                        "whose parameter redirect_uri is not on http://127.0.0.1 or http://[::1] (nor may it be localhost)";
                    return Err(refused(format!("is one {why}")));
                }
                redirect_uris.push(value.into_owned());
            }
            "scope" if scope.is_some() => return Err(refused("has more than one scope".to_owned())),
            "scope" => scope = Some(value.into_owned()),
            _ => return Err(refused("has other parameters than redirect_uri and scope".to_owned())),
        }
    }
    if redirect_uris.is_empty() {
        redirect_uris = vec!["http://127.0.0.1/".to_owned(), "http://[::1]/".to_owned()];
    }
    let scope = scope.unwrap_or_else(|| ATPROTO.to_owned());
    let scopes: Vec<String> = scope.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    if !scopes.iter().any(|scope| scope == ATPROTO) {
        return Err(refused("has a scope without atproto".to_owned()));
    }
    Ok(Registered {
        client: Client {
            id: text.to_owned(),
            name: None,
            uri: None,
            logo_uri: None,
            policy_uri: None,
            tos_uri: None,
            is_loopback: true,
            may_refresh: true,
        },
        redirect_uris,
        scopes,
        keys: Keys::None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Registered, OauthError> {
        read(text, &Url::parse(text).unwrap())
    }

    #[test]
    fn an_app_in_development_is_what_its_id_says() {
        let plain = read_text("http://localhost").unwrap();
        assert_eq!(plain.client.id, "http://localhost");
        assert_eq!(plain.scopes, ["atproto"]);
        assert!(plain.may_redirect_to("http://127.0.0.1:5173/") && !plain.may_redirect_to("http://127.0.0.1:5173/cb"));
        let text = "http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%3A3000%2Fcb&scope=atproto%20transition%3Ageneric";
        let one = read_text(text).unwrap();
        assert_eq!(one.scopes, ["atproto", "transition:generic"]);
        assert!(one.may_redirect_to("http://127.0.0.1:3000/cb") && !one.may_redirect_to("http://127.0.0.1:3001/cb"));
        for bad in [
            "http://localhost?redirect_uri=https%3A%2F%2Fevil.example%2F",
            "http://localhost?redirect_uri=http%3A%2F%2Flocalhost%2F",
            "http://localhost?scope=transition%3Ageneric",
            "http://localhost?scope=atproto&scope=atproto",
            "http://localhost?client_name=Bank",
        ] {
            assert!(read_text(bad).is_err(), "{bad}");
        }
    }
}
