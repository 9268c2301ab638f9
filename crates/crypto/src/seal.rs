//! Secrets at rest, sealed under one master key.
//!
//! A sealed secret is `version (1) | key id (8) | salt (32) | ciphertext | tag (16)`. Each has its own key and nonce: HKDF-SHA256
//! of the master key, with the random salt and, as info, a label and the context. The cipher is ChaCha20-Poly1305 with the
//! context as associated data. A context names what is sealed ("account signing key of did:plc:..."), so that a sealed secret
//! cannot be moved to another row; the key id lets opening tell a wrong master key from damage.
//!
//! Tricky bits: one salt must not be used twice under one master key. It is 32 random bytes, so chance does not.

use std::fmt;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const VERSION: u8 = 1;
const LABEL: &[u8] = b"ezpds seal v1";
const KEY_ID_LABEL: &[u8] = b"ezpds master key id v1";
const SALT_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const HEADER_BYTES: usize = 1 + KeyId::BYTES + SALT_BYTES;

/// How many bytes a sealed secret is longer than the secret.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + TAG_BYTES;

/// The key under which all secrets of a server are sealed. It never prints.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

/// A short name for a master key, which tells nothing else about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; KeyId::BYTES]);

/// Why a sealed secret did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("a sealed secret has at least {OVERHEAD_BYTES} bytes, this has {0}")]
    Truncated(usize),
    #[error("the secret was sealed in version {0}, which this program does not know")]
    Version(u8),
    #[error("the secret was sealed under master key {sealed_under}, not {given}; give the server the master key it had then")]
    WrongKey { sealed_under: KeyId, given: KeyId },
    #[error("the sealed secret was altered, or belongs elsewhere")]
    Altered,
}

impl MasterKey {
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub fn id(&self) -> KeyId {
        let labelled = Zeroizing::new([KEY_ID_LABEL, &self.0].concat());
        let hash = digest(&SHA256, &labelled);
        KeyId(*hash.as_ref().first_chunk().expect("a SHA-256 has 32 bytes"))
    }

    fn cipher(&self, context: &str, salt: &[u8]) -> (LessSafeKey, Nonce) {
        let prk = Salt::new(HKDF_SHA256, salt).extract(&self.0);
        let mut okm = Zeroizing::new([0; Okm::BYTES]);
        // The label has a fixed length, so label and context cannot be confused.
        let info = [LABEL, context.as_bytes()];
        prk.expand(&info, Okm).and_then(|out| out.fill(&mut okm[..])).expect("HKDF-SHA256 gives up to 8160 bytes");
        let (key, nonce) = okm.split_at(Okm::BYTES - NONCE_LEN);
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).expect("the key has 32 bytes");
        (LessSafeKey::new(key), Nonce::try_assume_unique_for_key(nonce).expect("the nonce has 12 bytes"))
    }
}

/// Seals `plaintext` for `context`; `random` must be fresh.
pub fn seal(master: &MasterKey, context: &str, plaintext: &[u8], random: [u8; 32]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(OVERHEAD_BYTES + plaintext.len());
    sealed.push(VERSION);
    sealed.extend_from_slice(&master.id().0);
    sealed.extend_from_slice(&random);
    sealed.extend_from_slice(plaintext);
    let (key, nonce) = master.cipher(context, &random);
    let tag = key
        .seal_in_place_separate_tag(nonce, Aad::from(context), &mut sealed[HEADER_BYTES..])
        .expect("a secret is far below the cipher's limit of 256 GiB");
    sealed.extend_from_slice(tag.as_ref());
    sealed
}

/// Opens what [`seal`] made for the same `context`.
///
/// # Errors
///
/// [`SealError::WrongKey`] apart from [`SealError::Altered`], because the operator can mend the first.
pub fn open(master: &MasterKey, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let sealed_under = key_id(sealed)?;
    let given = master.id();
    if sealed_under != given {
        return Err(SealError::WrongKey { sealed_under, given });
    }
    let (header, ciphertext) = sealed.split_at(HEADER_BYTES);
    let (key, nonce) = master.cipher(context, &header[1 + KeyId::BYTES..]);
    let mut opened = Zeroizing::new(ciphertext.to_vec());
    let len = key.open_in_place(nonce, Aad::from(context), &mut opened).map_err(|_| SealError::Altered)?.len();
    opened.truncate(len);
    Ok(opened)
}

/// Seals again under another master key what was sealed under `old`.
pub fn rewrap(old: &MasterKey, new: &MasterKey, context: &str, sealed: &[u8], random: [u8; 32]) -> Result<Vec<u8>, SealError> {
    Ok(seal(new, context, &open(old, context, sealed)?, random))
}

/// Returns what everything begins with that was sealed under `key`.
pub fn prefix(key: KeyId) -> [u8; 1 + KeyId::BYTES] {
    let mut prefix = [VERSION; 1 + KeyId::BYTES];
    prefix[1..].copy_from_slice(&key.0);
    prefix
}

/// Tells under which master key something was sealed.
pub fn key_id(sealed: &[u8]) -> Result<KeyId, SealError> {
    match sealed.first() {
        Some(&VERSION) if sealed.len() >= OVERHEAD_BYTES => {
            Ok(KeyId(*sealed[1..].first_chunk().expect("a sealed secret is longer than its header")))
        }
        Some(&VERSION) | None => Err(SealError::Truncated(sealed.len())),
        Some(&other) => Err(SealError::Version(other)),
    }
}

struct Okm;

impl Okm {
    const BYTES: usize = 32 + NONCE_LEN;
}

impl KeyType for Okm {
    fn len(&self) -> usize {
        Self::BYTES
    }
}

impl KeyId {
    const BYTES: usize = 8;
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MASTER: MasterKey = MasterKey::from_bytes([1; 32]);
    const OTHER: MasterKey = MasterKey::from_bytes([2; 32]);

    #[test]
    fn the_wrong_master_key_is_told_from_damage() {
        let sealed = seal(&MASTER, "a", b"secret", [3; 32]);
        let wrong = SealError::WrongKey { sealed_under: MASTER.id(), given: OTHER.id() };
        assert_eq!(open(&OTHER, "a", &sealed), Err(wrong));
        assert_eq!(open(&MASTER, "b", &sealed), Err(SealError::Altered));
        let mut damaged = sealed.clone();
        damaged[OVERHEAD_BYTES] ^= 1;
        assert_eq!(open(&MASTER, "a", &damaged), Err(SealError::Altered));
        assert_eq!(open(&MASTER, "a", &sealed[..OVERHEAD_BYTES - 1]), Err(SealError::Truncated(OVERHEAD_BYTES - 1)));
        damaged[0] = 9;
        assert_eq!(open(&MASTER, "a", &damaged), Err(SealError::Version(9)));
        assert_eq!(open(&MASTER, "a", &[]), Err(SealError::Truncated(0)));
    }

    #[test]
    fn rewrapping_moves_a_secret_to_a_new_master_key() {
        let old = seal(&MASTER, "a", b"secret", [3; 32]);
        let new = rewrap(&MASTER, &OTHER, "a", &old, [4; 32]).unwrap();
        assert_eq!(key_id(&new), Ok(OTHER.id()));
        assert_eq!(open(&OTHER, "a", &new).unwrap().as_slice(), b"secret");
    }

    /// Sealed secrets outlive releases: these bytes must open forever. They were checked against another implementation.
    #[test]
    fn the_stored_form_is_fixed() {
        let sealed = seal(&MASTER, "account signing key", b"secret", [3; 32]);
        assert_eq!(data_encoding::HEXLOWER.encode(&sealed), include_str!("../tests/fixtures/sealed-v1.hex").trim_end());
    }

    #[test]
    fn a_master_key_does_not_print() {
        assert!(!format!("{MASTER:?}").contains("0101"));
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens(key: [u8; 32], context: String, secret: Vec<u8>, random: [u8; 32]) {
            let master = MasterKey::from_bytes(key);
            let sealed = seal(&master, &context, &secret, random);
            prop_assert_eq!(sealed.len(), secret.len() + OVERHEAD_BYTES);
            let opened = open(&master, &context, &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), secret.as_slice());
        }

        #[test]
        fn no_altered_byte_goes_unseen(at in 0..OVERHEAD_BYTES + 6, flip in 1..=255_u8) {
            let mut sealed = seal(&MASTER, "a", b"secret", [3; 32]);
            sealed[at] ^= flip;
            prop_assert!(open(&MASTER, "a", &sealed).is_err());
        }

        #[test]
        fn opening_any_bytes_never_panics(bytes: Vec<u8>) {
            prop_assert!(open(&MASTER, "a", &bytes).is_err());
        }
    }
}
