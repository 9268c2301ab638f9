//! The data folder: who may read it, and that one process has it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crypto::seal::MasterKey;

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("the data folder {path} could not be made or read: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("another relay process has the data folder {path}; stop that one first, or name another folder with --data-dir")]
    InUse { path: PathBuf },
    #[error("{path} is not a master key; it has to hold 64 hexadecimal digits. Restore the file from your backup")]
    MasterKey { path: PathBuf },
    #[error(
        "{path} is missing, but the folder has a database. Without the master key its secrets cannot be opened; restore the file from your backup"
    )]
    MasterKeyMissing { path: PathBuf },
}

/// Name of the database in the folder.
pub(crate) const DATABASE: &str = "relay.sqlite";
/// Name of the file whose lock the process holds that has the folder.
const LOCK: &str = "relay.lock";

/// A data folder that this process has to itself, until it is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the folder if need be, for its owner's eyes only, and takes its lock.
    pub(crate) fn open(path: &Path) -> Result<Self, DataDirError> {
        let failed = |source| DataDirError::Io { path: path.to_owned(), source };
        make_private_dir(path).map_err(failed)?;
        let lock = private_file().truncate(false).open(path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => Err(DataDirError::InUse { path: path.to_owned() }),
            Err(fs::TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Returns the path of the database, whose file is made for its owner's eyes only; SQLite gives its log the same rights.
    pub(crate) fn private_database(&self) -> Result<PathBuf, DataDirError> {
        let path = self.database();
        match private_file().truncate(false).open(&path) {
            Ok(_) => Ok(path),
            Err(source) => Err(DataDirError::Io { path, source }),
        }
    }

    /// Makes a folder inside, and returns its path.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf, DataDirError> {
        let path = self.path.join(name);
        make_private_dir(&path).map_err(|source| DataDirError::Io { path: path.clone(), source })?;
        Ok(path)
    }

    /// Reads the master key from `file`, which a new data folder gets.
    pub(crate) fn master_key(&self, file: &Path) -> Result<MasterKey, DataDirError> {
        let failed = |source| DataDirError::Io { path: file.to_owned(), source };
        match read_master_key(file) {
            Err(DataDirError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                if self.database().exists() {
                    return Err(DataDirError::MasterKeyMissing { path: file.to_owned() });
                }
                let key = MasterKey::from_bytes(crate::random::bytes());
                write_master_key(file, &key).map_err(failed)?;
                Ok(key)
            }
            read => read,
        }
    }
}

/// Whether a server has the data folder.
pub(crate) fn is_taken(data_dir: &Path) -> bool {
    if !data_dir.join(DATABASE).exists() {
        return false;
    }
    match File::open(data_dir.join(LOCK)) {
        Ok(lock) => matches!(lock.try_lock(), Err(fs::TryLockError::WouldBlock)),
        Err(_) => false,
    }
}

/// Reads a master key from a file, which has to be there.
pub(crate) fn read_master_key(file: &Path) -> Result<MasterKey, DataDirError> {
    let text = fs::read_to_string(file).map_err(|source| DataDirError::Io { path: file.to_owned(), source })?;
    let not_a_key = || DataDirError::MasterKey { path: file.to_owned() };
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).map_err(|_| not_a_key())?;
    Ok(MasterKey::from_bytes(bytes.try_into().map_err(|_| not_a_key())?))
}

/// Writes a master key to a new file, and returns when it is durable: a key that a loss of power takes away would take everything
/// with it that is sealed under it. The file appears as a whole: half a key would keep the next start from going on.
///
/// # Errors
///
/// Also when the file exists.
pub(crate) fn write_master_key(file: &Path, key: &MasterKey) -> io::Result<()> {
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Only the owner may read it.
    let mut out = tempfile::NamedTempFile::new_in(dir)?;
    writeln!(out, "{}", data_encoding::HEXLOWER.encode(key.as_bytes()))?;
    out.as_file().sync_all()?;
    out.persist_noclobber(file).map_err(|err| err.error)?;
    File::open(dir)?.sync_all()
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

pub(crate) fn make_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    // A folder that was there, such as a mounted volume, may be open to others.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path)?.permissions().mode();
        if mode & 0o077 != 0 && fs::set_permissions(path, fs::Permissions::from_mode(0o700)).is_err() {
            tracing::warn!(path = %path.display(), "the data folder is open to others and belongs to someone else; make it private");
        }
    }
    Ok(())
}
