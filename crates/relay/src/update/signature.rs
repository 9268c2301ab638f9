//! Signatures of minisign: <https://jedisct1.github.io/minisign/>.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use minisign_verify::{PublicKey, Signature};

use super::UpdateError;

/// Whose releases are run.
#[derive(Clone, PartialEq, Eq)]
pub struct ReleaseKey {
    key: PublicKey,
    text: String,
}

impl fmt::Debug for ReleaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl ReleaseKey {
    /// Reads a public key as minisign writes it: the line of base64, or the whole file.
    pub fn parse(text: &str) -> Option<Self> {
        let line = text.trim().lines().last()?.trim();
        Some(Self { key: PublicKey::from_base64(line).ok()?, text: line.to_owned() })
    }

    /// Checks the signature of what is called `name`.
    pub(super) fn verify(&self, name: &str, content: &[u8], signature: &str) -> Result<(), UpdateError> {
        let signature = self.read(name, signature)?;
        self.key.verify(content, &signature, false).map_err(|err| self.refused(name, &err))
    }

    /// Checks the signature of a file.
    pub(super) fn verify_file(&self, name: &str, path: &Path, signature: &str) -> Result<(), UpdateError> {
        let unreadable =
            |source| UpdateError::File { what: "what was fetched cannot be read from", path: path.to_owned(), source };
        let signature = self.read(name, signature)?;
        let mut verifier = self.key.verify_stream(&signature).map_err(|err| self.refused(name, &err))?;
        let mut file = File::open(path).map_err(unreadable)?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            match file.read(&mut buffer).map_err(unreadable)? {
                0 => return verifier.finalize().map_err(|err| self.refused(name, &err)),
                read => verifier.update(&buffer[..read]),
            }
        }
    }

    fn read(&self, name: &str, text: &str) -> Result<Signature, UpdateError> {
        Signature::decode(text).map_err(|err| self.refused(name, &err))
    }

    fn refused(&self, name: &str, err: &minisign_verify::Error) -> UpdateError {
        UpdateError::Signature { name: name.to_owned(), key: self.text.clone(), reason: err.to_string().to_lowercase() }
    }
}
