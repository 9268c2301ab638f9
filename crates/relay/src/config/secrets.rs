//! `[secrets]`: secrets of the server itself.

use std::path::PathBuf;

use super::{
    reader::{Reader, Shown},
    secret::{MasterKey, Secret, parse_master_key, parse_strong},
};

/// The section `[secrets]`.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// The password of the admin API; `None` means that it answers nobody.
    pub admin_password: Option<Secret>,
    /// Where the key that seals all others comes from.
    pub master_key: MasterKeySource,
}

/// Where the master key comes from.
#[derive(Debug, Clone)]
pub enum MasterKeySource {
    /// The operator gave it: by a file, a variable or a credential.
    Given(MasterKey),
    /// It is kept in this file, which the first start makes.
    DataDir(PathBuf),
}

impl Secrets {
    pub(super) fn read(reader: &mut Reader, data_dir: &std::path::Path) -> Self {
        let given = reader.optional("secrets.master_key", parse_master_key);
        reader.derived("secrets.master_key", Shown::Hidden);
        Self {
            admin_password: reader.optional("secrets.admin_password", parse_strong),
            master_key: given.map_or_else(|| MasterKeySource::DataDir(data_dir.join("master.key")), MasterKeySource::Given),
        }
    }
}
