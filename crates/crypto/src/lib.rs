//! Keys, signatures, tokens, did:plc operations and sealed secrets.
//!
//! Secrets zeroize when they are dropped and never print. Whatever hands out data that nobody has vouched for yet says so in
//! its name ([`jwt::Unverified::claims_before_verification`]).
//!
//! **Invariant:** no I/O, no clock, no randomness: time, random bytes and keys are arguments.

pub mod jwt;
pub mod keys;
pub mod password;
pub mod plc;
pub mod random_text;
pub mod seal;

pub use keys::{Curve, KeyError, SignatureError, SigningKey, VerifyingKey};
