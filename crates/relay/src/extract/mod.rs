//! Parameters and bodies of XRPC calls, checked before a handler sees them.

mod input;
mod origin;
mod params;

pub(crate) use input::{RecordJson, XrpcJson, body_of, no_body, refuse_body, unpacked};
pub(crate) use origin::ClientOrigin;
pub(crate) use params::{FromParams, Params, XrpcQuery};
