//! Private keys.

use std::fmt;

use k256::ecdsa::signature::Signer;
use zeroize::Zeroizing;

use super::{Curve, KeyError, VerifyingKey, multikey};

/// A private key. It zeroizes itself when dropped, and prints only its public half.
#[derive(Clone)]
pub struct SigningKey {
    secret: Secret,
    public: VerifyingKey,
}

#[derive(Clone)]
enum Secret {
    K256(k256::ecdsa::SigningKey),
    P256(p256::ecdsa::SigningKey),
}

impl SigningKey {
    /// Makes a key of its 32 bytes, big-endian.
    ///
    /// Random bytes are a key nearly always: one draw in 2^128 (K-256) or 2^32 (P-256) is not, and the caller draws again.
    ///
    /// # Errors
    ///
    /// [`KeyError::PrivateRange`].
    pub fn from_bytes(curve: Curve, bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let secret = match curve {
            Curve::K256 => Secret::K256(k256::ecdsa::SigningKey::from_slice(bytes).map_err(|_| KeyError::PrivateRange)?),
            Curve::P256 => Secret::P256(p256::ecdsa::SigningKey::from_slice(bytes).map_err(|_| KeyError::PrivateRange)?),
        };
        let public = match &secret {
            Secret::K256(key) => VerifyingKey::from_k256(*key.verifying_key()),
            Secret::P256(key) => VerifyingKey::from_p256(key.verifying_key()),
        };
        Ok(Self { secret, public })
    }

    /// Returns the 32 bytes that [`SigningKey::from_bytes`] takes.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        match &self.secret {
            Secret::K256(key) => Zeroizing::new(key.to_bytes().into()),
            Secret::P256(key) => Zeroizing::new(key.to_bytes().into()),
        }
    }

    /// Returns the private key as multibase text, which people keep and tools that sign PLC operations by hand take.
    pub fn to_multibase(&self) -> Zeroizing<String> {
        multikey::encode_secret(self.curve(), &self.to_bytes())
    }

    pub const fn curve(&self) -> Curve {
        self.public.curve()
    }

    pub const fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    /// Signs the SHA-256 of `message`: `r` and `s`, always low-S, and always the same bytes for the same message (RFC 6979).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        match &self.secret {
            Secret::K256(key) => {
                let signature: k256::ecdsa::Signature = key.sign(message);
                signature.normalize_s().to_bytes().into()
            }
            Secret::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                // Unlike its K-256 sibling, the library leaves `s` as it falls.
                signature.normalize_s().to_bytes().into()
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {})", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_the_order_are_no_keys() {
        for curve in [Curve::K256, Curve::P256] {
            assert_eq!(SigningKey::from_bytes(curve, &[0; 32]).unwrap_err(), KeyError::PrivateRange);
            assert_eq!(SigningKey::from_bytes(curve, &[0xff; 32]).unwrap_err(), KeyError::PrivateRange);
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = SigningKey::from_bytes(Curve::K256, &[0x5a; 32]).unwrap();
        let text = format!("{key:?}");
        assert!(text.starts_with("SigningKey(of did:key:zQ3s"), "{text}");
        assert!(!text.contains("5a5a") && !text.contains("90, 90"), "{text}");
        assert_eq!(*key.to_bytes(), [0x5a; 32]);
    }

    #[test]
    fn signing_twice_gives_the_same_low_s_signature() {
        for curve in [Curve::K256, Curve::P256] {
            let key = SigningKey::from_bytes(curve, &[7; 32]).unwrap();
            for n in 0..32_u8 {
                let signature = key.sign(&[n]);
                assert_eq!(signature, key.sign(&[n]));
                key.verifying_key().verify(&[n], &signature).unwrap();
            }
        }
    }

    // RFC 6979, appendix A.2.5: P-256, SHA-256, message "sample"; `s` there is high, so its low form is compared.
    #[test]
    fn p256_follows_rfc_6979() {
        let hex = |text: &str| data_encoding::HEXUPPER.decode(text.as_bytes()).unwrap();
        let secret = hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
        let key = SigningKey::from_bytes(Curve::P256, &secret.try_into().unwrap()).unwrap();
        let signature = key.sign(b"sample");
        assert_eq!(signature[..32], hex("EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"));
        let high = [&signature[..32], &hex("F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8")].concat();
        assert!(key.verifying_key().verify(b"sample", &high).is_err());
        key.verifying_key().verify_allowing_high_s(b"sample", &high).unwrap();
    }
}
