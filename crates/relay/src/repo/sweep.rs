//! Deleting what no account has (any more): the repos of accounts that are gone, those that an import replaced, and what imports
//! left that came to nothing.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::write::{Repos, WriteError};
use crate::store::{RepoId, unused_repo};

/// How long a sweep pauses after a slice while others write.
const PAUSE: Duration = Duration::from_millis(5);

/// The numbers under which this process is importing: they are on the list of those to be swept, for whatever may happen.
#[derive(Clone, Debug, Default)]
pub(super) struct UnderWay(Arc<Mutex<HashSet<RepoId>>>);

impl UnderWay {
    /// Keeps a number from being swept until the returned value is dropped.
    pub(super) fn begin(&self, number: RepoId) -> Importing {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
        Importing { number, under_way: self.clone() }
    }

    fn has(&self, number: RepoId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&number)
    }
}

/// A number under which an import is stored.
#[derive(Debug)]
pub(super) struct Importing {
    pub(super) number: RepoId,
    under_way: UnderWay,
}

impl Drop for Importing {
    fn drop(&mut self) {
        self.under_way.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

impl Repos {
    /// Deletes what is stored under numbers that no account has, slice by slice until `stop`, and returns how many rows those
    /// were.
    pub(crate) async fn sweep(&self, stop: &CancellationToken) -> Result<usize, WriteError> {
        let _turn = self.sweeping.lock().await;
        let mut total = 0;
        for number in self.db.read(unused_repo::list).await? {
            while !self.importing.has(number) && !stop.is_cancelled() {
                let slice = self.slices.next(&self.db, move |tx, budget| {
                    Ok::<_, WriteError>(unused_repo::sweep(tx, number, || budget.is_left())?)
                });
                let slice = slice.await?;
                total += slice.value.rows;
                if slice.value.done {
                    break;
                }
                if slice.among_others {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        Ok(total)
    }
}
