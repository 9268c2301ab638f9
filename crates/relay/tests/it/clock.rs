//! A clock that steps.

use std::collections::HashSet;

use crate::support::{Dice, Ledger, Load, TestPds, User, audit};

const HOUR_MICROS: i64 = 3_600_000_000;

/// The clock steps back by an hour, while the server runs and once more while it is stopped: revs and seqs grow all the same,
/// no record key is given twice, and sessions go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_steps_back_takes_nothing_with_it() {
    let mut dice = Dice::from_env();
    let mut pds = TestPds::start().await;
    let mut alice = pds.create_account("alice").await;
    let mut ledger = Ledger::default();
    let mut revs = Vec::new();
    let mut rkeys = HashSet::new();
    for stage in 0..4 {
        match stage {
            0 => {}
            1 => pds.clock().shift_micros(-HOUR_MICROS),
            2 => {
                pds.clock().shift_micros(-HOUR_MICROS);
                pds = pds.restart().await;
                alice = User::sign_in(&pds.anonymous(), "alice").await;
            }
            _ => {
                // And forward, past where it began, as when the time was set at last.
                pds.clock().shift_micros(3 * HOUR_MICROS);
                pds = pds.restart().await;
                alice = User::sign_in(&pds.anonymous(), "alice").await;
            }
        }
        for _ in 0..10 {
            assert!(rkeys.insert(alice.create_post(&format!("stage {stage}")).await));
            revs.push(alice.latest_commit().await.1);
        }
        let mut load = Load::new(&alice, format!("s{stage}"), dice.fork());
        load.write_many(20).await;
        revs.extend(load.ledger.acknowledged.iter().map(|write| write.rev.clone()));
        ledger.merge(load.ledger);
    }
    assert!(revs.is_sorted_by(|a, b| a < b), "{revs:?}");
    // It has the checks of seqs and of the chain of each repo.
    audit(pds.address(), &[alice], &ledger).await;
}

/// A session outlives a small step back: the token is from the future then.
#[tokio::test]
async fn a_token_is_good_after_the_clock_stepped_back() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    pds.clock().shift_micros(-HOUR_MICROS);
    alice.create_post("from the past").await;
    let pds = pds.restart().await;
    alice.create_post("and again").await;
    drop(pds);
}
