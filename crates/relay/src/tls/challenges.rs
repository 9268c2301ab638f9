//! The answers to challenges that the certificate authority is about to look for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The protocol in whose name the authority connects for TLS-ALPN-01.
// https://www.rfc-editor.org/rfc/rfc8737.html#section-3
pub(super) const ACME_TLS: &[u8] = b"acme-tls/1";

/// Answers by token (HTTP-01) and by name (TLS-ALPN-01).
#[derive(Debug, Default)]
pub(crate) struct Challenges {
    http: Mutex<HashMap<String, String>>,
    tls: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

/// An answer that is given until this is dropped.
#[derive(Debug)]
pub(super) struct Answer {
    challenges: Arc<Challenges>,
    key: String,
}

impl Drop for Answer {
    fn drop(&mut self) {
        lock(&self.challenges.http).remove(&self.key);
        lock(&self.challenges.tls).remove(&self.key);
    }
}

impl Challenges {
    /// Answers at `/.well-known/acme-challenge/<token>`.
    pub(super) fn answer_http(self: &Arc<Self>, token: &str, key_authorization: &str) -> Answer {
        lock(&self.http).insert(token.to_owned(), key_authorization.to_owned());
        Answer { challenges: Arc::clone(self), key: token.to_owned() }
    }

    /// Answers with a certificate that carries the digest.
    pub(super) fn answer_tls(self: &Arc<Self>, name: &str, digest: &[u8]) -> Result<Answer, rcgen::Error> {
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing = rustls::crypto::ring::sign::any_ecdsa_type(&der).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
        let certified = CertifiedKey::new(vec![certificate.der().clone()], signing);
        lock(&self.tls).insert(name.to_owned(), Arc::new(certified));
        Ok(Answer { challenges: Arc::clone(self), key: name.to_owned() })
    }

    /// Returns what stands at `/.well-known/acme-challenge/<token>`.
    pub(crate) fn http_answer(&self, token: &str) -> Option<String> {
        lock(&self.http).get(token).cloned()
    }
}

impl ResolvesServerCert for Challenges {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        lock(&self.tls).get(&hello.server_name()?.to_ascii_lowercase()).cloned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
