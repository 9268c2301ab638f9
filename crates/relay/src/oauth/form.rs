//! Parameters of the OAuth endpoints, as a form or as JSON.

use axum::extract::{FromRequest, Request};
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::OauthError;

/// Most bytes of a body. An assertion takes a few kilobytes at most, and so does a long list of scopes.
const MAX_BYTES: usize = 64 << 10;
const MAX_PARAMETERS: usize = 64;

/// The parameters of a request, each given once.
#[derive(Debug)]
pub(crate) struct OauthForm(Vec<(String, String)>);

impl OauthForm {
    /// Reads parameters that are members of a JSON object.
    pub(super) fn of(members: serde_json::Map<String, serde_json::Value>) -> Result<Self, OauthError> {
        let mut pairs = Vec::new();
        for (name, value) in members {
            match value {
                serde_json::Value::String(text) => pairs.push((name, text)),
                serde_json::Value::Null => {}
                _ => {
                    let name: String = name.chars().take(64).collect();
                    return Err(OauthError::invalid_request(format!("The parameter {name} is not a string")));
                }
            }
        }
        Self(pairs).checked()
    }

    fn checked(self) -> Result<Self, OauthError> {
        for (nth, (name, _)) in self.0.iter().enumerate() {
            if self.0[..nth].iter().any(|(earlier, _)| earlier == name) {
                let name: String = name.chars().take(64).collect();
                return Err(OauthError::invalid_request(format!("The parameter {name} is given more than once")));
            }
            if nth > MAX_PARAMETERS {
                return Err(OauthError::invalid_request("There are too many parameters"));
            }
        }
        Ok(self)
    }

    /// Returns a parameter that may be absent; an empty one is.
    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Returns a parameter that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, OauthError> {
        self.optional(name).ok_or_else(|| OauthError::invalid_request(format!("The parameter {name} is missing")))
    }

    /// Returns a parameter of at most `max` bytes that may be absent.
    pub(crate) fn bounded(&self, name: &str, max: usize) -> Result<Option<&str>, OauthError> {
        match self.optional(name) {
            Some(value) if value.len() > max => {
                Err(OauthError::invalid_request(format!("The parameter {name} is longer than {max} bytes")))
            }
            value => Ok(value),
        }
    }
}

impl<S: Sync> FromRequest<S> for OauthForm {
    type Rejection = OauthError;

    async fn from_request(request: Request, _: &S) -> Result<Self, OauthError> {
        let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let body = match Limited::new(request.into_body(), MAX_BYTES).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(err) if err.is::<LengthLimitError>() => {
                return Err(OauthError::too_large(format!("The body is larger than {MAX_BYTES} bytes")));
            }
            Err(_) => return Err(OauthError::invalid_request("The body broke off")),
        };
        let pairs = match media_type.as_str() {
            "application/x-www-form-urlencoded" => url::form_urlencoded::parse(&body).into_owned().collect(),
            "application/json" => {
                let members = serde_json::from_slice(&body);
                return Self::of(members.map_err(|_| OauthError::invalid_request("The body is not a JSON object"))?);
            }
            other => {
                return Err(OauthError::invalid_request(format!(
                    "The Content-Type is \"{}\"; send application/x-www-form-urlencoded or application/json",
                    other.chars().take(64).collect::<String>()
                )));
            }
        };
        Self(pairs).checked()
    }
}
