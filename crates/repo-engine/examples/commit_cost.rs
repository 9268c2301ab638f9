//! Prints what one commit costs the engine: find the place, change the tree, prove, sign and write the event's CAR.
//!
//! `cargo run -p repo-engine --profile dist --example commit_cost`

#![allow(clippy::print_stdout, clippy::cast_precision_loss, unreachable_pub, reason = "it prints means of small numbers")]

#[path = "../benches/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use common::Tid;
use crypto::{Curve, SigningKey};
use repo_engine::{Tree, UnsignedCommit, car};

const COMMITS: u64 = 10_000;

fn main() {
    let signing_key = SigningKey::from_bytes(Curve::K256, &[7; 32]).expect("a key");
    let did: common::Did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().expect("a DID");
    println!("records    place     tree+proof   sign    CAR      CPU per commit   nodes new/proof   CAR bytes");
    for size in [1_000, 10_000, 100_000, 1_000_000] {
        for (place, key_of) in [("end", support::key as fn(u64, u64) -> _), ("anywhere", support::key_between)] {
            let (mut store, mut root) = support::repository(size);
            let (mut tree_time, mut sign_time, mut car_time) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
            let (mut created, mut proof, mut bytes, mut cpu) = (0, 0, 0, Duration::ZERO);
            for n in 0..COMMITS {
                let key = key_of(size + n, size);
                let cid = support::record(size + n);
                let (cpu_before, start) = (cpu_time(), Instant::now());

                let mut tree = Tree::open(&store, root);
                tree.put(&key, cid).expect("all nodes are here");
                let change = tree.finish_with_proof().expect("all nodes are here");
                let after_tree = Instant::now();
                let rev = Tid::from_parts(1_700_000_000_000_000 + n, 0);
                let commit = UnsignedCommit { did: did.clone(), rev, data: change.root }.sign(&signing_key);
                let after_sign = Instant::now();
                let mut archive = car::header(&commit.cid);
                car::write_block(&mut archive, &commit.cid, &commit.block);
                for block in change.created.iter().chain(&change.proof) {
                    car::write_block(&mut archive, &block.cid, &block.bytes);
                }
                let end = Instant::now();

                cpu += cpu_time().zip(cpu_before).map_or(end - start, |(now, before)| now.saturating_sub(before));
                tree_time += after_tree - start;
                sign_time += after_sign - after_tree;
                car_time += end - after_sign;
                (created, proof, bytes) = (created + change.created.len(), proof + change.proof.len(), bytes + archive.len());
                store.apply(&change);
                root = change.root;
            }
            let micros = |time: Duration| time.as_secs_f64() * 1e6 / COMMITS as f64;
            let mean = |count: usize| count as f64 / COMMITS as f64;
            println!(
                "{size:>8}   {place:<8} {:>8.1} us {:>7.1} us {:>5.1} us {:>10.1} us {:>10.1} / {:.1} {:>12.0}",
                micros(tree_time),
                micros(sign_time),
                micros(car_time),
                micros(cpu),
                mean(created),
                mean(proof),
                mean(bytes)
            );
        }
    }
}

/// Returns the CPU time of this thread; `None` where the system does not tell, and wall time is taken instead.
fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}
