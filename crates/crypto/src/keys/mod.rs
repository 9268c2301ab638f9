//! ECDSA keys on the two curves that AT Protocol allows, and their text forms.
//!
//! Tricky bits: a signature has a second valid form with the other `s`. AT Protocol (commits, PLC operations) allows only the
//! smaller one, [`VerifyingKey::verify`]; tokens made by browsers and other JOSE libraries have either one,
//! [`VerifyingKey::verify_allowing_high_s`].
//!
//! Spec: <https://atproto.com/specs/cryptography>

mod error;
mod jwk;
mod multikey;
mod signing;
mod verifying;

pub use error::{KeyError, SignatureError};
pub(crate) use multikey::is_did_key_syntax;
pub use signing::SigningKey;
pub use verifying::VerifyingKey;

/// The elliptic curve that a key is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Curve {
    /// secp256k1, in JOSE `ES256K`: what accounts here sign with.
    K256,
    /// NIST P-256 (secp256r1), in JOSE `ES256`: what hardware and browsers sign with.
    P256,
}
