//! Access and refresh tokens.
//!
//! An access token is a signed note that names its session and the key that it is bound to. What the session may do is not in it:
//! that is looked up at each call.
//!
//! A refresh token is made of its session's id and of how often the session was refreshed, under a secret of ours. So every token
//! that there ever was is known again, and one that comes after its time tells that two parties have it; nothing of it is
//! stored.

use common::Did;
use crypto::jwt::{self, JwtError, Unverified};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::secrets::Secrets;

/// How long an access token is good for.
pub(crate) const ACCESS_SECONDS: i64 = 60 * 60;
const TYP: &str = "at+jwt";
pub(crate) const REFRESH_PREFIX: &str = "ref-";

/// The secrets that tokens are made with.
pub(crate) struct TokenSecrets {
    access: [u8; 32],
    refresh: [u8; 32],
}

impl std::fmt::Debug for TokenSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSecrets").finish_non_exhaustive()
    }
}

/// The claims of an access token.
///
/// Spec: <https://www.rfc-editor.org/rfc/rfc9068#section-2.2>
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AccessClaims {
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) sub: Did,
    pub(crate) client_id: String,
    /// The session.
    pub(crate) sid: String,
    pub(crate) jti: String,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
    pub(crate) cnf: Confirmation,
}

/// The key that a token is bound to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Confirmation {
    pub(crate) jkt: String,
}

/// A refresh token that this server made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefreshToken {
    /// The session.
    pub(crate) session: String,
    /// How often the session was refreshed when the token was made.
    pub(crate) count: i64,
}

impl TokenSecrets {
    pub(crate) fn new(secrets: &Secrets) -> Self {
        Self { access: secrets.derive("oauth access token"), refresh: secrets.derive("oauth refresh token") }
    }

    pub(crate) fn issue_access(&self, claims: &AccessClaims) -> Result<String, JwtError> {
        jwt::encode_hs256(&self.access, TYP, claims)
    }

    /// Returns the claims of an access token that this server made, whatever its age.
    pub(crate) fn read_access(&self, token: &str) -> Result<AccessClaims, JwtError> {
        let token = Unverified::parse(token)?;
        if token.header().typ.as_deref() != Some(TYP) {
            return Err(JwtError::Header);
        }
        token.verify_hs256(&self.access)
    }

    pub(crate) fn issue_refresh(&self, token: &RefreshToken) -> String {
        let tag = HEXLOWER.encode(&self.refresh_mac(token).finalize().into_bytes());
        format!("{REFRESH_PREFIX}{}-{}-{tag}", token.session, token.count)
    }

    /// Returns what a refresh token says, if this server made it.
    pub(crate) fn read_refresh(&self, text: &str) -> Option<RefreshToken> {
        let mut parts = text.strip_prefix(REFRESH_PREFIX)?.splitn(3, '-');
        let token = RefreshToken { session: parts.next()?.to_owned(), count: parts.next()?.parse().ok()? };
        let tag = HEXLOWER.decode(parts.next()?.as_bytes()).ok()?;
        // Compares in constant time.
        self.refresh_mac(&token).verify_slice(&tag).ok()?;
        Some(token)
    }

    fn refresh_mac(&self, token: &RefreshToken) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.refresh).expect("HMAC takes a key of any length");
        mac.update(format!("{}-{}", token.session, token.count).as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_token_is_known_again_and_no_other_is() {
        let secrets = TokenSecrets { access: [1; 32], refresh: [2; 32] };
        let token = RefreshToken { session: "0123abcd".to_owned(), count: 7 };
        let text = secrets.issue_refresh(&token);
        assert_eq!(secrets.read_refresh(&text), Some(token));
        for other in
            [text.replace("-7-", "-8-"), text.replace("0123", "0124"), text[..text.len() - 2].to_owned(), String::new()]
        {
            assert_eq!(secrets.read_refresh(&other), None, "{other}");
        }
        assert_eq!(TokenSecrets { access: [1; 32], refresh: [3; 32] }.read_refresh(&text), None);
    }
}
