//! A new signing key for a repo: the same tree under a new commit.

use common::{Datetime, Did, Tid};
use crypto::SigningKey;
use repo_engine::UnsignedCommit;

use super::prepare::commit_car;
use super::write::{CommitMeta, Repos, WriteError};
use crate::firehose::frames;
use crate::store::{AccountId, BatchTx, account, repo, reserved_key};

impl Repos {
    /// Gives an account another signing key, signs its repo with it, and announces both, in one transaction: `#identity`, so that
    /// consumers look the key up, then `#sync`. The key is not reserved any more after it.
    pub(crate) async fn resign(
        &self,
        account: AccountId,
        did: &Did,
        key: SigningKey,
        sealed: Vec<u8>,
    ) -> Result<CommitMeta, WriteError> {
        let handle = self.handles.get(account, did);
        let mut slot = handle.state.lock().await;
        // Read anew, with the key, by the next write, which waits for the lock until all is done.
        *slot = None;
        let (did, now_micros, clock_id) = (did.clone(), self.clock.micros(), self.clock_id);
        let resign = move |tx: &mut BatchTx<'_>| {
            let before = repo::find(tx, account)?.ok_or(WriteError::RepoNotFound)?;
            let owner = account::find(tx, account)?.ok_or(WriteError::RepoNotFound)?;
            let rev = Tid::next_after(Some(before.rev), now_micros, clock_id);
            let commit = UnsignedCommit { did: did.clone(), rev, data: before.data }.sign(&key);
            let row = repo::RepoRow { head: commit.cid, rev, commit_block: commit.block.to_vec(), ..before };
            repo::put(tx, account, &row)?;
            account::set_signing_key(tx, account, &sealed)?;
            reserved_key::delete(tx, &did)?;
            if owner.status.is_active() {
                let time = Datetime::from_millis(tx.now_millis());
                tx.emit(account, &frames::identity(&did, owner.handle.as_ref(), time.as_str()))?;
                let blocks = commit_car(&commit.cid, &commit.block);
                tx.emit(account, &frames::sync(&did, rev, &blocks, time.as_str()))?;
            }
            Ok(CommitMeta { cid: commit.cid, rev })
        };
        self.db.reserve_write()?.of_repo(account, 1).submit(resign, |_| ()).await
    }
}
