//! Why a key or a signature is refused.

/// Why bytes, text or JSON are not a key that AT Protocol allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the private key is zero or not below the order of the curve")]
    PrivateRange,
    #[error("a did:key begins with \"did:key:z\"")]
    NotDidKey,
    #[error("a multibase key is base58btc text that begins with 'z'")]
    Multibase,
    #[error("the key is neither secp256k1 nor P-256")]
    Curve,
    #[error("the bytes are no point of the curve")]
    Point,
    #[error("the JWK is not a public EC key with \"crv\", \"x\" and \"y\"")]
    Jwk,
    #[error("the JWK holds a private key")]
    JwkPrivate,
}

/// Why a signature is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("a signature has 64 bytes, this has {0}")]
    Length(usize),
    #[error("the signature is not a pair of numbers below the order of the curve")]
    Range,
    #[error("the signature is not in its low-S form")]
    HighS,
    #[error("the signature was not made by this key over this message")]
    Mismatch,
}
