//! The certificates that handshakes choose from.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;

/// A certificate with its key, ready for handshakes.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) key: Arc<CertifiedKey>,
    /// The names that it is for, in lower case.
    pub(crate) names: Vec<String>,
    /// Milliseconds since 1970.
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    #[error("there is no certificate in PEM form")]
    NoCertificate,
    #[error("there is no private key in PEM form")]
    NoKey,
    #[error("the certificate is damaged: {0}")]
    Damaged(String),
    #[error("the certificate and its key cannot be used together: {0}")]
    Mismatch(#[source] rustls::Error),
}

impl Certificate {
    /// Reads a chain and its key in PEM.
    pub(crate) fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateError::NoKey)?;
        Self::from_chain(chain, key)
    }

    /// Takes a chain in PEM and its key.
    pub(crate) fn from_chain(chain: &[u8], key: PrivateKeyDer<'static>) -> Result<Self, CertificateError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|err| CertificateError::Damaged(err.to_string()))?;
        let leaf = chain.first().ok_or(CertificateError::NoCertificate)?;
        let (_, parsed) =
            x509_parser::parse_x509_certificate(leaf).map_err(|err| CertificateError::Damaged(err.to_string()))?;
        let names = match parsed.subject_alternative_name() {
            Ok(Some(extension)) => extension.value.general_names.iter().filter_map(name_of).collect(),
            Ok(None) => Vec::new(),
            Err(err) => return Err(CertificateError::Damaged(err.to_string())),
        };
        let validity = parsed.validity();
        let (not_before, not_after) = (validity.not_before.timestamp() * 1000, validity.not_after.timestamp() * 1000);
        let provider = rustls::crypto::ring::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(CertificateError::Mismatch)?;
        Ok(Self { key: Arc::new(key), names, not_before, not_after })
    }

    pub(crate) fn leaf(&self) -> Option<&CertificateDer<'static>> {
        self.key.cert.first()
    }
}

fn name_of(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    }
}

/// The certificates by name; they change while connections use them.
#[derive(Debug)]
pub(crate) struct Certificates {
    by_name: RwLock<HashMap<String, Arc<Certificate>>>,
    /// The name whose certificate clients get that name no host, such as probes that go to an address.
    default: RwLock<Option<String>>,
    /// Whether clients that name a host without a certificate get that one too.
    lenient: bool,
}

impl Certificates {
    pub(crate) fn new(default: Option<String>, lenient: bool) -> Self {
        Self { by_name: RwLock::default(), default: RwLock::new(default), lenient }
    }

    /// Puts a certificate in the place of the one of that name.
    pub(crate) fn put(&self, name: &str, certificate: Arc<Certificate>) {
        self.by_name.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), certificate);
    }

    pub(crate) fn remove(&self, name: &str) {
        self.by_name.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Puts one certificate, under all its names, in the place of all.
    pub(crate) fn replace_all(&self, certificate: &Arc<Certificate>) {
        let all = certificate.names.iter().map(|name| (name.clone(), Arc::clone(certificate))).collect();
        *self.by_name.write().unwrap_or_else(PoisonError::into_inner) = all;
        *self.default.write().unwrap_or_else(PoisonError::into_inner) = certificate.names.first().cloned();
    }

    /// Returns the certificate that was put under this very name.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Certificate>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Returns the certificate for a host: its own, or that of the wildcard above it.
    pub(crate) fn find(&self, host: &str) -> Option<Arc<Certificate>> {
        self.get(host).or_else(|| {
            let (_, above) = host.split_once('.')?;
            self.get(&format!("*.{above}"))
        })
    }

    /// Lists names and certificates.
    pub(crate) fn list(&self) -> Vec<(String, Arc<Certificate>)> {
        let all = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(name, certificate)| (name.clone(), Arc::clone(certificate))).collect()
    }

    fn default_certificate(&self) -> Option<Arc<Certificate>> {
        let name = self.default.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        self.find(&name)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let found = match hello.server_name() {
            Some(host) => {
                let found = self.find(&host.to_ascii_lowercase());
                if self.lenient { found.or_else(|| self.default_certificate()) } else { found }
            }
            None => self.default_certificate(),
        };
        found.map(|certificate| Arc::clone(&certificate.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(names: &[&str]) -> Arc<Certificate> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = made.signing_key.serialize_pem();
        Arc::new(Certificate::from_pem(made.cert.pem().as_bytes(), key.as_bytes()).unwrap())
    }

    #[test]
    fn a_host_has_its_own_certificate_or_that_of_the_wildcard_above() {
        let all = Certificates::new(Some("pds.example.com".to_owned()), false);
        all.put("pds.example.com", certificate(&["pds.example.com"]));
        all.put("*.example.com", certificate(&["*.example.com"]));
        assert_eq!(all.find("pds.example.com").unwrap().names, ["pds.example.com"]);
        assert_eq!(all.find("alice.example.com").unwrap().names, ["*.example.com"]);
        assert!(all.find("a.alice.example.com").is_none());
        assert!(all.find("example.com").is_none());
        assert!(all.find("com").is_none());
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let a = rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap();
        let b = rcgen::generate_simple_self_signed(vec!["b.example".to_owned()]).unwrap();
        let (chain, key) = (a.cert.pem(), a.signing_key.serialize_pem());
        let read = |chain: &str, key: &str| Certificate::from_pem(chain.as_bytes(), key.as_bytes());
        assert!(read(&chain, &key).is_ok());
        assert!(matches!(read("", &key), Err(CertificateError::NoCertificate)));
        assert!(matches!(read(&chain, ""), Err(CertificateError::NoKey)));
        assert!(matches!(read(&chain, &b.signing_key.serialize_pem()), Err(CertificateError::Mismatch(_))));
        // A file that is still being written.
        assert!(read(&chain[..chain.len() / 2], &key).is_err());
    }
}
