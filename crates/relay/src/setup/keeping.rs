//! The answers on the disk, so that a set-up that was cut off goes on where it was.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::answers::Answers;
use super::file::config_text;
use super::place::Place;
use crate::config::Override;
use crate::data_dir::make_private_dir;

/// Name of the file with the answers.
const ANSWERS: &str = "setup.json";
/// Name of the configuration while it is not finished.
const DRAFT: &str = "setup.toml";
/// The answers are far smaller.
const MAX_BYTES: u64 = 64 << 10;

/// Why the answers cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    #[error("{path} cannot be written: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} cannot be read: {reason}")]
    Read { path: PathBuf, reason: String },
}

impl Place {
    fn answers_file(&self) -> PathBuf {
        self.data_dir.join(ANSWERS)
    }

    /// Returns the configuration while it is not finished.
    pub(super) fn draft(&self) -> PathBuf {
        self.data_dir.join(DRAFT)
    }

    /// Whether a set-up was begun here.
    pub(crate) fn is_begun(&self) -> bool {
        self.answers_file().exists()
    }

    /// Reads the answers; none were given where there is no file.
    pub(super) fn read(&self) -> Result<Answers, KeepError> {
        let path = self.answers_file();
        match read_answers(&path) {
            Err(KeepError::Read { .. }) if !path.exists() => Ok(Answers::default()),
            read => read,
        }
    }

    /// Keeps the answers, and returns when they are durable.
    pub(super) fn keep(&self, answers: &Answers, besides: &[Override]) -> Result<(), KeepError> {
        self.keep_draft(answers, besides)?;
        let mut text = serde_json::to_vec_pretty(answers).expect("the answers are plain data");
        text.push(b'\n');
        write_private(&self.answers_file(), &text)
    }

    /// Writes the configuration that follows from the answers.
    pub(super) fn keep_draft(&self, answers: &Answers, besides: &[Override]) -> Result<(), KeepError> {
        make_private_dir(&self.data_dir).map_err(|source| KeepError::Write { path: self.data_dir.clone(), source })?;
        write_private(&self.draft(), config_text(answers, &self.data_dir, besides).as_bytes())
    }

    /// Makes the draft the configuration, after which the set-up is over.
    pub(super) fn complete(&self, answers: &Answers, besides: &[Override]) -> Result<(), KeepError> {
        write_private(&self.config(), config_text(answers, &self.data_dir, besides).as_bytes())?;
        for path in [self.answers_file(), self.draft()] {
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(KeepError::Write { path, source }),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Writes a secret to a file of its own in the data folder.
    pub(super) fn keep_secret(&self, name: &str, secret: &str) -> Result<(), KeepError> {
        make_private_dir(&self.data_dir).map_err(|source| KeepError::Write { path: self.data_dir.clone(), source })?;
        write_private(&self.data_dir.join(name), secret.as_bytes())
    }
}

/// Reads answers from a file.
pub(crate) fn read_answers(path: &Path) -> Result<Answers, KeepError> {
    let failed = |reason: String| KeepError::Read { path: path.to_owned(), reason };
    let size = fs::metadata(path).map_err(|err| failed(err.to_string()))?.len();
    if size > MAX_BYTES {
        return Err(failed("it is far too large for answers".to_owned()));
    }
    let text = fs::read(path).map_err(|err| failed(err.to_string()))?;
    serde_json::from_slice(&text).map_err(|err| failed(err.to_string()))
}

/// Puts a file in place of the one that was there, whole or not at all, for its owner's eyes only.
fn write_private(path: &Path, text: &[u8]) -> Result<(), KeepError> {
    let write = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        // Made with the mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|err| err.error)?;
        fs::File::open(folder)?.sync_all()
    };
    write().map_err(|source| KeepError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_up_goes_on_where_it_was_until_it_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { data_dir: dir.path().join("new"), container: false };
        assert_eq!(place.read().unwrap(), Answers::default());
        let answers = Answers { host: Some("pds.example.com".to_owned()), ..Answers::default() };
        place.keep(&answers, &[]).unwrap();
        assert!(place.is_begun() && !place.config().exists());
        assert_eq!(place.read().unwrap(), answers);
        #[cfg(unix)]
        for (path, mode) in [(place.data_dir.clone(), 0o700), (place.answers_file(), 0o600), (place.draft(), 0o600)] {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
        }
        place.complete(&answers, &[]).unwrap();
        assert!(!place.is_begun() && !place.draft().exists() && place.config().exists());
    }

    #[test]
    fn damaged_answers_are_told_and_not_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { data_dir: dir.path().to_owned(), container: false };
        fs::write(place.answers_file(), "{\"host\": ").unwrap();
        assert!(place.read().unwrap_err().to_string().contains("setup.json cannot be read"));
        fs::write(place.answers_file(), " ".repeat(100 << 10)).unwrap();
        assert!(place.read().unwrap_err().to_string().contains("far too large"));
    }
}
