//! A certificate from files, which whoever renews it replaces.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::certificates::{Certificate, CertificateError, Certificates};
use crate::config::CertificateFiles;

/// How often it is looked whether the files have changed. Notice by the system does not come from all file systems.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// No certificate is larger.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilesError {
    #[error(
        "{path} cannot be read: {source}. Check tls.certificate and tls.certificate_key, and that the server's user may read"
    )]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} cannot be used: {source}")]
    Unusable { path: PathBuf, source: CertificateError },
}

/// The files and what they held last.
#[derive(Debug)]
pub(crate) struct Files {
    paths: CertificateFiles,
    certificates: Arc<Certificates>,
    /// A hash of the bytes of both files when they were last looked at.
    seen: Mutex<[u8; 32]>,
}

impl Files {
    pub(super) fn open(paths: CertificateFiles) -> Result<Self, FilesError> {
        let certificates = Arc::new(Certificates::new(None, true));
        let opened = Self { paths, certificates, seen: Mutex::new([0; 32]) };
        opened.reload()?;
        Ok(opened)
    }

    pub(super) fn certificates(&self) -> Arc<Certificates> {
        Arc::clone(&self.certificates)
    }

    /// Reads the files if they have changed; what cannot be used leaves the certificate before in its place.
    fn reload(&self) -> Result<bool, FilesError> {
        let chain = read(&self.paths.certificate)?;
        let key = read(&self.paths.key)?;
        let mut hash = Sha256::new();
        hash.update((chain.len() as u64).to_le_bytes());
        hash.update(&chain);
        hash.update(&key);
        let hash: [u8; 32] = hash.finalize().into();
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == hash {
                return Ok(false);
            }
            // Also what cannot be used: it is told once, and looked at again when it changes.
            *seen = hash;
        }
        let certificate = Certificate::from_pem(&chain, &key)
            .map_err(|source| FilesError::Unusable { path: self.paths.certificate.clone(), source })?;
        self.certificates.replace_all(&Arc::new(certificate));
        Ok(true)
    }

    /// Keeps the certificate that of the files.
    pub(super) async fn watch(self: Arc<Self>) {
        // Said once, not each time.
        let mut unreadable = false;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let files = Arc::clone(&self);
            let Ok(done) = tokio::task::spawn_blocking(move || files.reload()).await else { continue };
            if matches!(done, Ok(true)) {
                tracing::info!(file = %self.paths.certificate.display(), "the certificate was read anew");
            }
            let was_unreadable = std::mem::replace(&mut unreadable, matches!(done, Err(FilesError::Read { .. })));
            if let Err(err) = done
                && !(unreadable && was_unreadable)
            {
                let error = &err as &dyn std::error::Error;
                tracing::error!(error, "the certificate's files changed to what cannot be used; the one before stays");
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, FilesError> {
    let failed = |source| FilesError::Read { path: path.to_owned(), source };
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > MAX_FILE_BYTES {
        return Err(failed(io::Error::other("it is far too large for a certificate")));
    }
    fs::read(path).map_err(failed)
}
