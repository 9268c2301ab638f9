//! Who is busy with a blob: uploads or a removal, never both. Why is told in the module above.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

type Digest = [u8; 32];

/// The digests that someone is busy with; bounded by the number of uploads, and the one collector.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    busy: Mutex<HashMap<Digest, Busy>>,
    /// Told when a removal ends.
    removed: Notify,
}

#[derive(Debug)]
enum Busy {
    /// This many uploads; at least one.
    Uploads(usize),
    Removal,
}

/// An upload's hold on a digest: while it lives, the bytes are not removed.
#[derive(Debug)]
pub(crate) struct Claim {
    shared: Arc<Shared>,
    digest: Digest,
}

/// A removal's hold on a digest: while it lives, no upload puts the bytes in place.
#[derive(Debug)]
pub(super) struct Removal {
    shared: Arc<Shared>,
    digest: Digest,
}

impl Claims {
    /// Claims a digest for an upload, when a removal of it has ended.
    pub(super) async fn claim(&self, digest: Digest) -> Claim {
        loop {
            let mut ended = std::pin::pin!(self.0.removed.notified());
            // Before looking, so that an end between looking and waiting is not missed.
            ended.as_mut().enable();
            if self.0.try_claim(digest) {
                return Claim { shared: Arc::clone(&self.0), digest };
            }
            ended.await;
        }
    }

    /// Begins a removal; `None` when an upload, or another removal, is busy with the digest.
    pub(super) fn begin_removal(&self, digest: &Digest) -> Option<Removal> {
        match self.0.busy().entry(*digest) {
            Entry::Occupied(_) => None,
            Entry::Vacant(entry) => {
                entry.insert(Busy::Removal);
                Some(Removal { shared: Arc::clone(&self.0), digest: *digest })
            }
        }
    }
}

impl Shared {
    fn busy(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Busy>> {
        // Each change is one step on the map, so a panic elsewhere leaves it whole.
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_claim(&self, digest: Digest) -> bool {
        match self.busy().entry(digest).or_insert(Busy::Uploads(0)) {
            Busy::Uploads(count) => {
                *count += 1;
                true
            }
            Busy::Removal => false,
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut busy = self.shared.busy();
        if let Entry::Occupied(mut entry) = busy.entry(self.digest)
            && let Busy::Uploads(count) = entry.get_mut()
        {
            *count -= 1;
            if *count == 0 {
                entry.remove();
            }
        }
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        self.shared.busy().remove(&self.digest);
        self.shared.removed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const DIGEST: Digest = [7; 32];

    #[tokio::test]
    async fn a_removal_waits_for_every_claim_and_a_claim_for_the_removal() {
        let claims = Claims::default();
        let first = claims.claim(DIGEST).await;
        let second = claims.claim(DIGEST).await;
        assert!(claims.begin_removal(&DIGEST).is_none());
        drop(first);
        assert!(claims.begin_removal(&DIGEST).is_none());
        drop(second);

        let removal = claims.begin_removal(&DIGEST).expect("nobody is busy");
        assert!(claims.begin_removal(&DIGEST).is_none());
        let mut waiting = std::pin::pin!(claims.claim(DIGEST));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(claims.claim([8; 32]).now_or_never().is_some(), "other digests are free");
        drop(removal);
        drop(waiting.await);
        assert!(claims.0.busy().is_empty(), "nothing is left over");
    }
}
