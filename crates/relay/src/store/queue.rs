//! In which order waiting writes are stored, and how many share a transaction.
//!
//! Small ones share one. What stores many rows has a transaction of its own, which begins when the small ones that wait have had
//! theirs, and then is followed by another of small ones: so a small write waits for one large one at most, and large ones are
//! never put off for good.
//!
//! The commits of one repo keep their order, for each is prepared on the one before.

use std::collections::{HashSet, VecDeque};

use super::AccountId;

/// Rows up to which a write is a small one.
const SMALL_ROWS: usize = 16;
/// Rows of small writes that share a transaction, which bounds how long the first of them waits.
const BATCH_ROWS: usize = 512;
/// Writes that are taken out of the bounded queue before their turn.
const MOST: usize = 512;

/// What a write is for the order of writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight {
    /// The repo whose commits must stay in order.
    pub(super) repo: Option<AccountId>,
    /// How many rows it stores, roughly.
    pub(super) rows: usize,
}

impl Weight {
    pub(super) const SMALL: Self = Self { repo: None, rows: 1 };
    pub(super) const LARGE: Self = Self { repo: None, rows: BATCH_ROWS };
}

/// The writes whose turn is next, in the order in which they came.
pub(super) struct Waiting<T> {
    jobs: VecDeque<(Weight, T)>,
    /// The small ones had theirs.
    is_turn_of_large: bool,
}

impl<T> Waiting<T> {
    pub(super) fn new() -> Self {
        Self { jobs: VecDeque::new(), is_turn_of_large: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// How many more are to be taken in.
    pub(super) fn room(&self) -> usize {
        MOST - self.jobs.len().min(MOST)
    }

    pub(super) fn push(&mut self, weight: Weight, job: T) {
        self.jobs.push_back((weight, job));
    }

    /// Takes out those that share the next transaction; none when there are none.
    pub(super) fn next_batch(&mut self) -> Vec<T> {
        let batch = if self.is_turn_of_large { Vec::new() } else { self.small() };
        // What is left behind the small ones begins with a large one, unless there were too many of them.
        self.is_turn_of_large = !batch.is_empty() && self.jobs.front().is_some_and(|(weight, _)| weight.rows > SMALL_ROWS);
        if batch.is_empty() { self.jobs.pop_front().map(|(_, job)| job).into_iter().collect() } else { batch }
    }

    fn small(&mut self) -> Vec<T> {
        let (mut batch, mut rows) = (Vec::new(), 0);
        // Repos of which something stays.
        let mut behind = HashSet::new();
        for (weight, job) in std::mem::take(&mut self.jobs) {
            let follows = weight.repo.is_some_and(|repo| behind.contains(&repo));
            if weight.rows <= SMALL_ROWS && !follows && rows < BATCH_ROWS {
                rows += weight.rows;
                batch.push(job);
            } else {
                behind.extend(weight.repo);
                self.jobs.push_back((weight, job));
            }
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(repo, rows)` of each write, with repo 0 for none; the batches, as the places of their writes.
    fn batches(writes: &[(i64, usize)]) -> Vec<Vec<usize>> {
        let mut waiting = Waiting::new();
        for (at, &(repo, rows)) in writes.iter().enumerate() {
            waiting.push(Weight { repo: (repo > 0).then_some(AccountId(repo)), rows }, at);
        }
        std::iter::from_fn(|| Some(waiting.next_batch()).filter(|batch| !batch.is_empty())).collect()
    }

    /// Whoever wrote one record while others stored 200 each waited for all of those.
    #[test]
    fn small_writes_share_a_transaction_and_go_before_large_ones() {
        assert!(batches(&[]).is_empty());
        assert_eq!(batches(&[(1, 3), (0, 1), (2, 3)]), [[0, 1, 2]]);
        assert_eq!(batches(&[(1, 203), (0, 1), (2, 203), (3, 3)]), [vec![1, 3], vec![0], vec![2]]);
    }

    #[test]
    fn commits_of_one_repo_stay_in_order() {
        assert_eq!(batches(&[(1, 3), (1, 203), (1, 3), (2, 3), (1, 3)]), [vec![0, 3], vec![1], vec![2, 4]]);
        assert_eq!(batches(&[(1, 203), (1, 3), (1, 203), (1, 3)]), [[0], [1], [2], [3]]);
    }

    #[test]
    fn neither_kind_waits_for_good() {
        let mut waiting = Waiting::new();
        waiting.push(Weight::LARGE, "large");
        waiting.push(Weight::LARGE, "large");
        waiting.push(Weight::SMALL, "small");
        for _ in 0..2 {
            assert_eq!(waiting.next_batch(), ["small"]);
            // Others come without end.
            waiting.push(Weight::SMALL, "small");
            assert_eq!(waiting.next_batch(), ["large"]);
        }
        assert_eq!(waiting.next_batch(), ["small"]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn a_transaction_of_small_writes_has_an_end() {
        let batches = batches(&[(0, 10); 120]);
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [52, 52, 16]);
    }
}
