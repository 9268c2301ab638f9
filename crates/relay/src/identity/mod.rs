//! Who is behind a DID or a handle, and the clients that other hosts are asked with.
//!
//! [`http`] makes the only HTTP clients: one for hosts that strangers name, which does not go to private addresses, and one for
//! services that the operator configured. [`did`] and [`handle`] resolve with bounded caches ([`lookups`]) over it; [`plc`]
//! speaks to the PLC directory. [`Identity`] is what the rest of the server uses.

pub mod address;
pub mod did;
pub mod dns;
pub mod document;
mod error;
pub mod fetch;
pub mod handle;
pub mod http;
pub(crate) mod lookups;
pub mod plc;
mod service;
#[cfg(test)]
pub(crate) mod test_support;
#[cfg(test)]
mod tests;

pub use document::DidDocument;
pub use error::ResolveError;
pub use plc::{PlcClient, PlcClientError};
pub use service::{Identity, IdentityInfo, open};
