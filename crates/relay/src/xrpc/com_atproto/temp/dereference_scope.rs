//! `com.atproto.temp.dereferenceScope`: tells what a reference to a scope stands for. This server makes no references, so none is valid.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/temp/dereferenceScope.json>

use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};

pub(crate) struct Parameters;

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        params.required::<String>("scope").map(|_| Self)
    }
}

pub(crate) async fn handler(_: XrpcQuery<Parameters>) -> XrpcError {
    XrpcError::bad_request("InvalidScopeReference", "This server gave out no such scope reference")
}
