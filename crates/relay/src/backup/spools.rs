//! What waits for each place.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::Clock;

use super::{Spool, tag};
use crate::config;
use crate::store::LogWatch;

/// The spools of all places; before the database is opened, and held for as long. See [`Spool`].
#[derive(Clone, Debug)]
pub(crate) struct Spools(Vec<(PathBuf, Arc<Spool>)>);

impl Spools {
    /// Opens a folder in `dir` for each place, and removes those of places that are no more: what they have is not followed
    /// by what was written meanwhile.
    pub(crate) fn open(dir: &Path, database: &Path, settings: &config::Backup, clock: &Arc<dyn Clock>) -> io::Result<Self> {
        let mut spools = Vec::with_capacity(settings.to.len());
        let mut kept = HashSet::new();
        for to in &settings.to {
            let name = tag(&to.place);
            let folder = dir.join(&name);
            crate::data_dir::make_private_dir(dir)?;
            crate::data_dir::make_private_dir(&folder)?;
            let spool = Spool::open(database, folder.clone(), settings.spool_bytes, Arc::clone(clock))?;
            spools.push((folder, Arc::new(spool)));
            kept.insert(name);
        }
        match fs::read_dir(dir) {
            Ok(entries) => {
                for entry in entries {
                    let entry = entry?;
                    if entry.file_type()?.is_dir() && !entry.file_name().to_str().is_some_and(|name| kept.contains(name)) {
                        fs::remove_dir_all(entry.path())?;
                    }
                }
            }
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            Err(err) => return Err(err),
        }
        Ok(Self(spools))
    }

    /// Returns what watches the log; `None` when there is no place.
    pub(crate) fn watch(&self) -> Option<Arc<dyn LogWatch>> {
        if self.0.is_empty() { None } else { Some(Arc::new(self.clone())) }
    }

    /// Returns the folder and the spool of each place, in the order of the settings.
    pub(crate) fn into_each(self) -> impl Iterator<Item = (PathBuf, Arc<Spool>)> {
        self.0.into_iter()
    }
}

impl LogWatch for Spools {
    fn before_checkpoint(&self, frames: Option<u64>) {
        for (_, spool) in &self.0 {
            spool.before_checkpoint(frames);
        }
    }

    fn closed(&self) {
        for (_, spool) in &self.0 {
            spool.closed();
        }
    }
}
