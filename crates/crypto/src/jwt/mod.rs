//! JSON Web Tokens in the compact form, with the three algorithms that a PDS meets: HS256 for its own sessions, ES256K and
//! ES256 for service auth, DPoP and client assertions.
//!
//! What a token claims is reached by verifying it; [`Unverified`] gives its header, and its claims only under a name that says
//! what they are worth. `alg: none`, RSA and the rest cannot be expressed, and a key verifies only the algorithm of its curve,
//! so no token can choose how it is checked. Time (`exp`, `nbf`), audience and the like are the caller's to check.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc7515>, <https://www.rfc-editor.org/rfc/rfc8725>

mod encode;
mod header;
mod unverified;

pub use encode::{encode_hs256, encode_signed};
pub use header::{Algorithm, Header};
pub use unverified::Unverified;

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Why a token is refused, or could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    #[error("a token has at most {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    #[error("a token is three parts in base64url without padding, joined by dots")]
    Form,
    #[error("the token's header is not a JSON object with \"alg\"")]
    Header,
    #[error("the token's algorithm is not one of HS256, ES256K and ES256")]
    Algorithm,
    #[error("the token's header has a critical extension, and none is known here")]
    Critical,
    #[error("the token's claims are not the JSON object that was expected")]
    Claims,
    #[error("the token's algorithm does not fit the key that should have signed it")]
    KeyKind,
    #[error("the token's signature is wrong")]
    Signature,
}
