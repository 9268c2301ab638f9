//! Password hashes: argon2id for our own, and the official PDS's scrypt form for accounts that come with a database of it.
//!
//! Both take tens of milliseconds and megabytes of memory: callers run them on a bounded pool, and refuse overlong passwords
//! before that.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The most that a stored hash may ask for, in KiB; one from elsewhere shall not take the memory of the server.
const MAX_MEMORY_KIB: u32 = 128 * 1024;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 4;

const SCRYPT_LOG_N: u8 = 14;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 1;
const SCRYPT_BYTES: usize = 64;
const MAX_SCRYPT_SALT_CHARS: usize = 128;

/// Why a stored hash cannot be checked against. It is never the password's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("the stored password hash is neither argon2id nor the official PDS's scrypt form")]
    Format,
    #[error("the stored password hash asks for more memory or time than allowed")]
    Cost,
}

/// Hashes a new password into a PHC string; `salt` must be fresh.
pub fn hash(password: &str, salt: [u8; 16]) -> String {
    ours()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .expect("a password is shorter than 4 GiB, and the salt has 16 bytes")
        .to_string()
}

/// Tells whether `password` is the one that `stored` was made of: a PHC string of argon2id, or `salt_hex:hash_hex`.
pub fn verify(password: &str, stored: &str) -> Result<bool, PasswordError> {
    if stored.starts_with('$') { verify_argon2id(password, stored) } else { verify_scrypt(password, stored) }
}

/// Hashes an app password as the official PDS stores it: under a salt that follows from the DID, so that it can be looked up.
pub fn official_app_password_hash(did: &str, password: &str) -> String {
    let salt = HEXLOWER.encode(&Sha256::digest(did)[..16]);
    let hash = HEXLOWER.encode(&*scrypt_hash(password, &salt));
    format!("{salt}:{hash}")
}

/// Tells whether `stored` has the form in which the official PDS stores passwords and app passwords.
pub fn is_official_form(stored: &str) -> bool {
    parse_scrypt(stored).is_ok()
}

/// Tells whether `stored` should be replaced by a fresh [`hash`] at the next login, because it is of another form or cost.
pub fn needs_rehash(stored: &str) -> bool {
    let current = parse_argon2id(stored).map(|(_, params)| (params.m_cost(), params.t_cost(), params.p_cost()));
    current != Ok((MEMORY_KIB, PASSES, LANES))
}

fn ours() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are within argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn parse_argon2id(stored: &str) -> Result<(PasswordHash, Params), PasswordError> {
    let hash = PasswordHash::new(stored).map_err(|_| PasswordError::Format)?;
    if hash.algorithm.as_str() != "argon2id" || hash.salt.is_none() || hash.hash.is_none() {
        return Err(PasswordError::Format);
    }
    let params = Params::try_from(&hash).map_err(|_| PasswordError::Format)?;
    Ok((hash, params))
}

fn verify_argon2id(password: &str, stored: &str) -> Result<bool, PasswordError> {
    let (hash, params) = parse_argon2id(stored)?;
    if params.m_cost() > MAX_MEMORY_KIB || params.t_cost() > MAX_PASSES || params.p_cost() > MAX_LANES {
        return Err(PasswordError::Cost);
    }
    match ours().verify_password(password.as_bytes(), &hash) {
        Ok(()) => Ok(true),
        Err(Error::PasswordInvalid) => Ok(false),
        Err(_) => Err(PasswordError::Format),
    }
}

fn parse_scrypt(stored: &str) -> Result<(&str, Vec<u8>), PasswordError> {
    let (salt, expected) = stored.split_once(':').ok_or(PasswordError::Format)?;
    if salt.is_empty() || salt.len() > MAX_SCRYPT_SALT_CHARS || expected.len() != 2 * SCRYPT_BYTES {
        return Err(PasswordError::Format);
    }
    Ok((salt, HEXLOWER.decode(expected.as_bytes()).map_err(|_| PasswordError::Format)?))
}

fn verify_scrypt(password: &str, stored: &str) -> Result<bool, PasswordError> {
    let (salt, expected) = parse_scrypt(stored)?;
    Ok(scrypt_hash(password, salt).ct_eq(expected.as_slice()).into())
}

fn scrypt_hash(password: &str, salt: &str) -> Zeroizing<[u8; SCRYPT_BYTES]> {
    let params = scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P).expect("the parameters are within scrypt's limits");
    let mut hash = Zeroizing::new([0; SCRYPT_BYTES]);
    // The official PDS hands scrypt the salt's hexadecimal text, not the bytes that it stands for.
    scrypt::scrypt(password.as_bytes(), salt.as_bytes(), &params, &mut hash[..]).expect("64 bytes are a valid length");
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the official PDS's algorithm makes of "correct horse" (Node's `scryptSync` with its defaults).
    const OFFICIAL: &str = include_str!("../tests/fixtures/official-scrypt.txt");

    #[test]
    fn a_hash_verifies_only_its_password() {
        let stored = hash("correct horse", [5; 16]);
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_eq!(verify("correct horse", &stored), Ok(true));
        assert_eq!(verify("correct horse ", &stored), Ok(false));
        assert_eq!(verify("", &stored), Ok(false));
        assert!(!needs_rehash(&stored));
    }

    #[test]
    fn hashes_of_the_official_pds_verify() {
        let stored = OFFICIAL.trim_end();
        assert_eq!(verify("correct horse", stored), Ok(true));
        assert_eq!(verify("wrong horse", stored), Ok(false));
        assert!(needs_rehash(stored));
    }

    #[test]
    fn app_passwords_of_the_official_pds_are_found_by_their_hash() {
        let stored = official_app_password_hash("did:plc:ewvi7nxzyoun6zhxrhs64oiz", "abcd-2345-wxyz-mnop");
        assert!(
            stored.starts_with("099e4ea96cd62c05a232331859d20c97:f08922e4a0bef09ee571aff2675d2a75e87780e17b1aa9b35e"),
            "{stored}"
        );
        assert!(is_official_form(&stored) && !is_official_form(&hash("x", [5; 16])));
        assert_eq!(verify("abcd-2345-wxyz-mnop", &stored), Ok(true));
    }

    #[test]
    fn a_stored_hash_may_not_ask_for_everything() {
        let ours = hash("x", [5; 16]);
        for (cost, refused) in [("m=4194304,t=2,p=1", true), ("m=19456,t=4000000,p=1", true), ("m=64,t=1,p=1", false)] {
            let stored = ours.replace("m=19456,t=2,p=1", cost);
            assert_eq!(verify("x", &stored) == Err(PasswordError::Cost), refused, "{cost}");
            assert!(needs_rehash(&stored));
        }
    }

    #[test]
    fn other_text_is_no_hash() {
        let salt_only = "$argon2id$v=19$m=19456,t=2,p=1$BQUFBQUFBQUFBQUFBQUFBQ";
        for stored in ["", ":", "$", "$2b$12$abc", "ab:cd", salt_only, "$argon2i$v=19$m=64,t=1,p=1$BQUFBQUFBQU$BQUFBQUFBQUFBQ"]
        {
            assert_eq!(verify("x", stored), Err(PasswordError::Format), "{stored}");
        }
    }
}
