//! Parameters and bodies of XRPC calls, checked before a handler sees them.

mod input;
mod params;

pub(crate) use input::{RecordJson, XrpcJson, body_of, no_body, unpacked};
pub(crate) use params::{FromParams, Params, XrpcQuery};
