//! What opens backups: an age identity, which lies beside them under a passphrase, or in a file of the operator's.
//!
//! Every object is zstd in an age file for that identity, so `age` and `zstd` alone can read a backup. age tells that nobody
//! changed a file, not who wrote it: names, the manifest and the segments carry codes that only the holder of the identity can
//! make.

use std::io::{Read as _, Write as _};
use std::iter;
use std::str::FromStr as _;

use age::secrecy::{ExposeSecret as _, SecretString};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::BackupError;

/// Fast, and not far from what higher levels do to pages and records.
const ZSTD_LEVEL: i32 = 3;
/// 2^22 is four times what takes a second on a present machine: what a machine made, all can open.
const MAX_WORK_FACTOR: u8 = 22;

/// Opens and makes backups.
#[derive(Clone)]
pub(crate) struct BackupKey {
    identity: age::x25519::Identity,
    recipient: age::x25519::Recipient,
    mac: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for BackupKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackupKey").finish_non_exhaustive()
    }
}

impl BackupKey {
    pub(crate) fn generate() -> Self {
        Self::new(age::x25519::Identity::generate())
    }

    fn new(identity: age::x25519::Identity) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(identity.to_string().expose_secret().as_bytes())
            .expect("HMAC takes a key of any length");
        mac.update(b"relay backup codes");
        Self { recipient: identity.to_public(), identity, mac: Zeroizing::new(mac.finalize().into_bytes().into()) }
    }

    /// Reads an identity file as `age-keygen` writes it: a line with the identity, and comments.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
        Some(Self::new(age::x25519::Identity::from_str(line).ok()?))
    }

    /// Writes the identity as [`Self::parse`] reads it.
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("# public key: {}\n{}\n", self.recipient, self.identity.to_string().expose_secret()))
    }

    /// Puts the identity under a passphrase.
    pub(super) fn wrap(&self, passphrase: &str) -> Result<Vec<u8>, BackupError> {
        let recipient = age::scrypt::Recipient::new(SecretString::from(passphrase.to_owned()));
        encrypt(&recipient, self.to_text().as_bytes())
    }

    /// Takes the identity from under a passphrase.
    pub(super) fn unwrap(wrapped: &[u8], passphrase: &str) -> Result<Self, BackupError> {
        let mut identity = age::scrypt::Identity::new(SecretString::from(passphrase.to_owned()));
        identity.set_max_work_factor(MAX_WORK_FACTOR);
        let text = decrypt(&identity, wrapped, 64 << 10).map_err(|reason| match reason {
            Wrong::Key => BackupError::WrongPassphrase,
            Wrong::Content(reason) => BackupError::Damaged { name: super::KEY_FILE.into(), reason },
        })?;
        let key = std::str::from_utf8(&text).ok().and_then(Self::parse);
        key.ok_or_else(|| BackupError::Damaged { name: super::KEY_FILE.into(), reason: "it holds no key".into() })
    }

    /// Compresses and encrypts.
    pub(super) fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, BackupError> {
        let packed = zstd::bulk::compress(plain, ZSTD_LEVEL).map_err(BackupError::Pack)?;
        encrypt(&self.recipient, &packed)
    }

    /// Opens what [`Self::seal`] made, of at most `limit` bytes.
    pub(super) fn open(&self, name: &str, sealed: &[u8], limit: usize) -> Result<Vec<u8>, BackupError> {
        let damaged = |reason: String| BackupError::Damaged { name: name.to_owned(), reason };
        let packed = decrypt(&self.identity, sealed, limit + (limit >> 4) + 1024).map_err(|wrong| match wrong {
            Wrong::Key => damaged("it was not written with this key".into()),
            Wrong::Content(reason) => damaged(reason),
        })?;
        zstd::bulk::decompress(&packed, limit).map_err(|err| damaged(err.to_string()))
    }

    /// Returns a code of `content` that only who has the key can make.
    pub(super) fn code(&self, kind: &str, content: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.mac).expect("HMAC takes a key of any length");
        mac.update(kind.as_bytes());
        mac.update(&[0]);
        for part in content {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// Returns the name of a piece of content, which tells nothing of it.
    pub(super) fn name(&self, kind: &str, content: &[u8]) -> String {
        HEXLOWER.encode(&self.code(kind, &[content]))
    }
}

enum Wrong {
    Key,
    Content(String),
}

fn encrypt(recipient: &dyn age::Recipient, plain: &[u8]) -> Result<Vec<u8>, BackupError> {
    let encryptor = age::Encryptor::with_recipients(iter::once(recipient)).expect("there is one recipient");
    let mut out = Vec::with_capacity(plain.len() + (plain.len() >> 11) + 512);
    let mut writer = encryptor.wrap_output(&mut out).map_err(BackupError::Pack)?;
    writer.write_all(plain).map_err(BackupError::Pack)?;
    writer.finish().map_err(BackupError::Pack)?;
    Ok(out)
}

fn decrypt(identity: &dyn age::Identity, sealed: &[u8], limit: usize) -> Result<Vec<u8>, Wrong> {
    let content = |err: &dyn std::fmt::Display| Wrong::Content(err.to_string());
    let decryptor = age::Decryptor::new_buffered(sealed).map_err(|err| content(&err))?;
    let reader = decryptor.decrypt(iter::once(identity)).map_err(|err| match err {
        age::DecryptError::NoMatchingKeys | age::DecryptError::DecryptionFailed | age::DecryptError::KeyDecryptionFailed => {
            Wrong::Key
        }
        other => content(&other),
    })?;
    let mut plain = Vec::new();
    reader.take(limit as u64 + 1).read_to_end(&mut plain).map_err(|err| content(&err))?;
    if plain.len() > limit {
        return Err(Wrong::Content("it is larger than such a thing can be".into()));
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_key_alone_and_unchanged() {
        let key = BackupKey::generate();
        let mut sealed = key.seal(b"hello").unwrap();
        assert_eq!(key.open("x", &sealed, 5).unwrap(), b"hello");
        assert!(key.open("x", &sealed, 4).is_err(), "larger than it may be");
        let other = BackupKey::generate();
        assert!(matches!(other.open("x", &sealed, 5), Err(BackupError::Damaged { .. })));
        let last = sealed.len() - 1;
        sealed[last] ^= 1;
        assert!(matches!(key.open("x", &sealed, 5), Err(BackupError::Damaged { .. })));
        assert_eq!(BackupKey::parse(&key.to_text()).unwrap().name("a", b"b"), key.name("a", b"b"));
    }

    #[test]
    fn a_wrong_passphrase_is_told_from_damage() {
        let wrapped = BackupKey::generate().wrap("right").unwrap();
        assert!(BackupKey::unwrap(&wrapped, "right").is_ok());
        assert!(matches!(BackupKey::unwrap(&wrapped, "wrong"), Err(BackupError::WrongPassphrase)));
        assert!(matches!(BackupKey::unwrap(b"no age file", "right"), Err(BackupError::Damaged { .. })));
    }
}
