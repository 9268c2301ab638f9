//! Much to store or to delete, in slices between which others write.
//!
//! The writer does one transaction after the other, so a long one is felt by everyone. What has many rows goes to it a slice at a
//! time, each in a transaction of its own behind the small ones that wait, and of all who have much there is one slice on its way.
//! A slice ends when its time is over, whatever it has done by then: that is shorter while others write.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::store::{BatchTx, Db, WriteFailed, WritePermit};

/// How long the statements of a slice may take; what they changed is written and synced on top of that.
const ALONE: Duration = Duration::from_millis(1);
const AMONG_OTHERS: Duration = Duration::from_micros(250);
/// How long a slice waits for a place in the write queue, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The turns of those who have much to store or to delete.
#[derive(Debug, Default)]
pub(super) struct Slices {
    /// Jobs that the writer had been given when the last slice went to it.
    jobs: Mutex<u64>,
}

/// Tells a slice when to end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    until: Instant,
}

impl Budget {
    pub(super) fn is_left(self) -> bool {
        Instant::now() < self.until
    }
}

/// A slice that is durable.
pub(super) struct Stored<T> {
    pub(super) value: T,
    /// Whether others wrote since the slice before.
    pub(super) among_others: bool,
}

impl Slices {
    /// Hands the next slice to the writer, and returns when it is durable.
    pub(super) async fn next<T, E>(
        &self,
        db: &Db,
        slice: impl FnOnce(&mut BatchTx<'_>, Budget) -> Result<T, E> + Send + 'static,
    ) -> Result<Stored<T>, E>
    where
        T: Send + 'static,
        E: From<WriteFailed> + Send + 'static,
    {
        let mut jobs_before = self.jobs.lock().await;
        let permit = place(db).await?;
        let jobs = db.stats().jobs.load(Relaxed);
        // The last slice was one.
        let among_others = jobs - std::mem::replace(&mut *jobs_before, jobs) > 1;
        let time = if among_others { AMONG_OTHERS } else { ALONE };
        let job = move |tx: &mut BatchTx<'_>| slice(tx, Budget { until: Instant::now() + time });
        let value = permit.of_many_rows().submit(job, |_| ()).await?;
        Ok(Stored { value, among_others })
    }
}

/// Takes a place in the write queue, also where it is full for a moment: what came so far would be in vain.
pub(super) async fn place(db: &Db) -> Result<WritePermit, WriteFailed> {
    let until = Instant::now() + PATIENCE;
    loop {
        match db.reserve_write() {
            Err(WriteFailed::Overloaded(_)) if Instant::now() < until => tokio::time::sleep(LOOK_EVERY).await,
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::test_support;

    #[tokio::test]
    async fn a_slice_is_told_whether_others_wrote_since_the_one_before() {
        let (_dir, db, _clock) = test_support::db();
        let slices = Slices::default();
        let next = || slices.next(&db, |_, budget| Ok::<_, WriteFailed>(budget.is_left()));
        let first = next().await.unwrap();
        assert!(first.value && !first.among_others);
        assert!(!next().await.unwrap().among_others);
        db.write(|_| Ok::<_, WriteFailed>(())).await.unwrap();
        assert!(next().await.unwrap().among_others);
        assert!(!next().await.unwrap().among_others);
    }
}
