//! The server's secrets, and what they protect.
//!
//! Everything secret in the database is sealed under one master key: each account's signing key, the server's rotation key for
//! did:plc, and the secret that session tokens are signed with. The contexts below are part of the format: what was sealed
//! for one purpose, or for one account, does not open for another.

pub(crate) mod rotate;
pub(crate) mod sealed;

use std::sync::Arc;

use common::Did;
use crypto::seal::{self, MasterKey};
use crypto::{Curve, KeyError, SigningKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::store::email_token::Purpose;
use crate::store::{BatchTx, Db, StoreError, WriteFailed, meta};

/// The opened secrets of the server.
pub(crate) struct Secrets {
    master: MasterKey,
    rotation_key: SigningKey,
    jwt_secret: Zeroizing<[u8; 32]>,
    adopted_jwt_secret: Option<AdoptedJwtSecret>,
}

/// What the session tokens were signed with of the server whose accounts were adopted (`relay adopt`).
pub(crate) struct AdoptedJwtSecret {
    pub(crate) secret: Zeroizing<Vec<u8>>,
    /// No token that was signed later is one of that server.
    pub(crate) until_seconds: i64,
}

/// Why a secret could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("a sealed secret could not be opened; is the master key the one that this data folder was made with?")]
    Sealed(#[source] seal::SealError),
    #[error("a sealed secret is not a key")]
    Key(#[source] KeyError),
    #[error("a sealed secret has the wrong length")]
    Length,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Write(#[from] WriteFailed),
}

pub(crate) const ROTATION_KEY: &str = "plc_rotation_key";
/// The rotation key that takes the place of the one above when all DIDs name it.
pub(crate) const NEXT_ROTATION_KEY: &str = "plc_rotation_key_next";
const JWT_SECRET: &str = "jwt_secret";
const ADOPTED_JWT_SECRET: &str = "adopted_jwt_secret";

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    /// Opens the secrets in `db`, which gets new ones when it is new.
    pub(crate) async fn open(db: &Db, master: MasterKey) -> Result<Arc<Self>, SecretError> {
        let rotation_key = open_or_make(db, &master, ROTATION_KEY).await?;
        let rotation_key = SigningKey::from_bytes(Curve::K256, &rotation_key).map_err(SecretError::Key)?;
        let jwt_secret = open_or_make(db, &master, JWT_SECRET).await?;
        let adopted_jwt_secret = open_adopted(db, &master).await?;
        Ok(Arc::new(Self { master, rotation_key, jwt_secret, adopted_jwt_secret }))
    }

    /// Returns the key that signs did:plc operations for accounts of this server.
    pub(crate) fn rotation_key(&self) -> &SigningKey {
        &self.rotation_key
    }

    pub(crate) fn jwt_secret(&self) -> &[u8] {
        &*self.jwt_secret
    }

    pub(crate) fn adopted_jwt_secret(&self) -> Option<&AdoptedJwtSecret> {
        self.adopted_jwt_secret.as_ref()
    }

    /// Keeps what another server signed session tokens with until now; the next start takes them.
    pub(crate) fn keep_adopted_jwt_secret(&self, tx: &BatchTx<'_>, secret: &str) -> Result<(), StoreError> {
        let until_seconds = tx.now_millis() / 1000;
        let value = Zeroizing::new([&until_seconds.to_be_bytes(), secret.as_bytes()].concat());
        meta::set(tx, ADOPTED_JWT_SECRET, &seal::seal(&self.master, ADOPTED_JWT_SECRET, &value, crate::random::bytes()))
    }

    /// Puts another key in the place of the server's rotation key; the next start has it.
    pub(crate) fn keep_rotation_key(&self, tx: &BatchTx<'_>, key: &SigningKey) -> Result<(), StoreError> {
        meta::set(tx, ROTATION_KEY, &self.seal_server_key(ROTATION_KEY, key))
    }

    /// Returns a secret for one purpose.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.jwt_secret()).expect("HMAC takes a key of any length");
        mac.update(b"secret for\0");
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Returns the key under which everything is sealed, for whoever changes it.
    pub(crate) fn master(&self) -> &MasterKey {
        &self.master
    }

    /// Seals a key of the server itself, which is kept under `name`.
    pub(crate) fn seal_server_key(&self, name: &str, key: &SigningKey) -> Vec<u8> {
        seal::seal(&self.master, name, &*key.to_bytes(), crate::random::bytes())
    }

    pub(crate) fn open_server_key(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<[u8; 32]>, SecretError> {
        open_32(&self.master, name, sealed)
    }

    /// Makes a signing key for an account.
    pub(crate) fn new_signing_key() -> SigningKey {
        loop {
            // All but about one in 2^128 random values are keys.
            if let Ok(key) = SigningKey::from_bytes(Curve::K256, &crate::random::bytes()) {
                return key;
            }
        }
    }

    pub(crate) fn seal_signing_key(&self, did: &Did, key: &SigningKey) -> Vec<u8> {
        seal::seal(&self.master, &signing_key_context(did), &*key.to_bytes(), crate::random::bytes())
    }

    pub(crate) fn open_signing_key(&self, did: &Did, sealed: &[u8]) -> Result<SigningKey, SecretError> {
        let bytes = open_32(&self.master, &signing_key_context(did), sealed)?;
        SigningKey::from_bytes(Curve::K256, &bytes).map_err(SecretError::Key)
    }

    pub(crate) fn seal_totp_secret(&self, did: &Did, secret: &[u8]) -> Vec<u8> {
        seal::seal(&self.master, &totp_context(did), secret, crate::random::bytes())
    }

    pub(crate) fn open_totp_secret(&self, did: &Did, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        seal::open(&self.master, &totp_context(did), sealed).map_err(SecretError::Sealed)
    }

    /// Seals the tokens that an account which moves here has on its old server.
    pub(crate) fn seal_old_session(&self, did: &Did, tokens: &[u8]) -> Vec<u8> {
        seal::seal(&self.master, &old_session_context(did), tokens, crate::random::bytes())
    }

    pub(crate) fn open_old_session(&self, did: &Did, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        seal::open(&self.master, &old_session_context(did), sealed).map_err(SecretError::Sealed)
    }

    pub(crate) fn seal_code(&self, did: &Did, purpose: Purpose, code: &str) -> Vec<u8> {
        seal::seal(&self.master, &code_context(did, purpose), code.as_bytes(), crate::random::bytes())
    }

    pub(crate) fn open_code(&self, did: &Did, purpose: Purpose, sealed: &[u8]) -> Result<String, SecretError> {
        let opened = seal::open(&self.master, &code_context(did, purpose), sealed).map_err(SecretError::Sealed)?;
        String::from_utf8(opened.to_vec()).map_err(|_| SecretError::Length)
    }

    pub(crate) fn seal_tls_key(&self, name: &str, key: &[u8]) -> Vec<u8> {
        seal::seal(&self.master, &tls_key_context(name), key, crate::random::bytes())
    }

    pub(crate) fn open_tls_key(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        seal::open(&self.master, &tls_key_context(name), sealed).map_err(SecretError::Sealed)
    }

    pub(crate) fn seal_acme_account(&self, directory: &str, account: &[u8]) -> Vec<u8> {
        seal::seal(&self.master, &acme_account_context(directory), account, crate::random::bytes())
    }

    pub(crate) fn open_acme_account(&self, directory: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        seal::open(&self.master, &acme_account_context(directory), sealed).map_err(SecretError::Sealed)
    }

    /// Returns what a code is known by in the database; without the server's secret it tells nothing of the code.
    pub(crate) fn code_digest(&self, purpose: Purpose, code: &str) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.jwt_secret()).expect("HMAC takes a key of any length");
        mac.update(format!("e-mail code for {}\0{code}", purpose.as_str()).as_bytes());
        mac.finalize().into_bytes().into()
    }
}

fn code_context(did: &Did, purpose: Purpose) -> String {
    format!("e-mail code of {did} for {}", purpose.as_str())
}

fn old_session_context(did: &Did) -> String {
    format!("session of {did} on its old server")
}

fn totp_context(did: &Did) -> String {
    format!("authenticator app of {did}")
}

/// Returns what an account's signing key is sealed for.
fn tls_key_context(name: &str) -> String {
    format!("TLS key of {name}")
}

fn acme_account_context(directory: &str) -> String {
    format!("ACME account at {directory}")
}

pub(crate) fn signing_key_context(did: &Did) -> String {
    format!("account signing key of {did}")
}

fn open_32(master: &MasterKey, context: &str, sealed: &[u8]) -> Result<Zeroizing<[u8; 32]>, SecretError> {
    let opened = seal::open(master, context, sealed).map_err(SecretError::Sealed)?;
    let bytes: [u8; 32] = opened.as_slice().try_into().map_err(|_| SecretError::Length)?;
    Ok(Zeroizing::new(bytes))
}

async fn open_adopted(db: &Db, master: &MasterKey) -> Result<Option<AdoptedJwtSecret>, SecretError> {
    let Some(sealed) = db.read(|conn| meta::find(conn, ADOPTED_JWT_SECRET)).await? else { return Ok(None) };
    let opened = seal::open(master, ADOPTED_JWT_SECRET, &sealed).map_err(SecretError::Sealed)?;
    let (until_seconds, secret) = opened.split_first_chunk().ok_or(SecretError::Length)?;
    Ok(Some(AdoptedJwtSecret { secret: Zeroizing::new(secret.to_vec()), until_seconds: i64::from_be_bytes(*until_seconds) }))
}

async fn open_or_make(db: &Db, master: &MasterKey, name: &'static str) -> Result<Zeroizing<[u8; 32]>, SecretError> {
    if let Some(sealed) = db.read(|conn| meta::find(conn, name)).await? {
        return open_32(master, name, &sealed);
    }
    let secret = loop {
        let secret = Zeroizing::new(crate::random::bytes::<32>());
        // One of the two is a key, and asking it of both costs nothing.
        if SigningKey::from_bytes(Curve::K256, &secret).is_ok() {
            break secret;
        }
    };
    let sealed = seal::seal(master, name, &*secret, crate::random::bytes());
    db.write(move |tx| meta::set(tx, name, &sealed).map_err(SecretError::Store)).await?;
    Ok(secret)
}
