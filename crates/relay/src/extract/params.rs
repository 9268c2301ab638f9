//! Query parameters as XRPC has them: repeated keys are arrays, an empty value is an absent one, unknown keys are tolerated.

use std::ops::RangeInclusive;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::error::XrpcError;

/// The parameters of a call as they came, decoded.
#[derive(Debug)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
}

/// What is wrong with the parameters, in a sentence.
pub(crate) type ParamError = String;

/// A method's parameters, parsed from the query.
pub(crate) trait FromParams: Sized {
    fn from_params(params: &Params) -> Result<Self, ParamError>;
}

impl Params {
    pub(crate) fn parse(query: &str) -> Self {
        let pairs = url::form_urlencoded::parse(query.as_bytes())
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        Self { pairs }
    }

    fn text(&self, name: &str) -> Result<Option<&str>, ParamError> {
        let mut values = self.pairs.iter().filter(|(key, _)| key == name);
        let first = values.next().map(|(_, value)| value.as_str());
        if values.next().is_some() {
            return Err(format!("{name} must be given once"));
        }
        Ok(first)
    }

    /// Returns a parameter that may be absent.
    pub(crate) fn optional<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, ParamError> {
        self.text(name)?.map(|text| parse(name, text)).transpose()
    }

    /// Returns a parameter that must be there.
    pub(crate) fn required<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<T, ParamError> {
        self.optional(name)?.ok_or_else(|| format!("Params must have the property \"{name}\""))
    }

    /// Returns all values of an array parameter that must be there, `max` at most.
    pub(crate) fn list<T: FromStr<Err: std::fmt::Display>>(&self, name: &str, max: usize) -> Result<Vec<T>, ParamError> {
        let values = self.pairs.iter().filter(|(key, _)| key == name);
        let values = values.map(|(_, text)| parse(name, text)).collect::<Result<Vec<T>, _>>()?;
        match values.len() {
            0 => Err(format!("Params must have the property \"{name}\"")),
            len if len > max => Err(format!("{name} must not have more than {max} elements")),
            _ => Ok(values),
        }
    }

    /// Returns an integer within `range`, or `default`.
    pub(crate) fn integer(&self, name: &str, range: &RangeInclusive<usize>, default: usize) -> Result<usize, ParamError> {
        let Some(text) = self.text(name)? else { return Ok(default) };
        let value: i64 = text.parse().map_err(|_| format!("{name} must be an integer (got {})", quoted(text)))?;
        match usize::try_from(value) {
            Ok(value) if range.contains(&value) => Ok(value),
            _ if value > *range.end() as i64 => Err(format!("{name} can not be greater than {} (got {value})", range.end())),
            _ => Err(format!("{name} can not be less than {} (got {value})", range.start())),
        }
    }

    /// Returns a boolean, or `default`.
    pub(crate) fn boolean(&self, name: &str, default: bool) -> Result<bool, ParamError> {
        match self.text(name)? {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(format!("{name} must be a boolean (got {})", quoted(other))),
        }
    }
}

fn parse<T: FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<T, ParamError> {
    text.parse().map_err(|err| format!("{name} is not valid: {err} (got {})", quoted(text)))
}

/// Returns the beginning of a value, for an error.
fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(64).collect::<String>())
}

/// Extracts the parameters of a method.
#[derive(Debug)]
pub(crate) struct XrpcQuery<T>(pub(crate) T);

impl<T: FromParams, S: Sync> FromRequestParts<S> for XrpcQuery<T> {
    type Rejection = XrpcError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, XrpcError> {
        let params = Params::parse(parts.uri.query().unwrap_or_default());
        T::from_params(&params).map(Self).map_err(|reason| {
            let nsid = parts.uri.path().trim_start_matches("/xrpc/").trim_end_matches('/').to_owned();
            XrpcError::invalid_request(format!("Invalid {nsid} params: {reason}"))
        })
    }
}
