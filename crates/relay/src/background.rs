//! Work that may take long, on threads that give way to all others.
//!
//! An export, an import, a hash of a password or a consumer that reads days of events takes a core for as long as it may. On
//! threads like any other it would have as much of the processor as those that answer requests, who would wait behind it. So
//! such work runs on threads of lower priority (on Linux, where each thread has its own): it gets all that is left, and about a
//! tenth of a core when nothing is.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};

use crate::work::joined;

/// Threads at most. Each kind of work has a bound of its own that is lower; this one is for all of them.
const THREADS: usize = 64;

/// Added to the niceness of the process.
#[cfg(target_os = "linux")]
const NICER_BY: i32 = 10;

/// Runs `work` on a thread that gives way to others. It runs to its end whether or not anyone waits for it.
pub(crate) async fn background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    joined(spawn(work).await)
}

/// Begins `work` on such a thread.
pub(crate) fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> tokio::task::JoinHandle<T> {
    match threads() {
        Some(threads) => threads.spawn_blocking(work),
        None => tokio::task::spawn_blocking(work),
    }
}

/// Runs `work` on `items` where it is. When they are many it takes milliseconds: then the other tasks of this thread go to another.
pub(crate) fn in_place<T>(items: usize, work: impl FnOnce() -> T) -> T {
    /// So many take less than it costs to move the others away.
    const FEW: usize = 16;
    let has_others = || Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    if items > FEW && has_others() { tokio::task::block_in_place(work) } else { work() }
}

/// The pool of threads, for the life of the process: a runtime of which nothing is used but its blocking threads.
fn threads() -> Option<&'static Handle> {
    static POOL: OnceLock<Option<Runtime>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        let made = Builder::new_current_thread()
            .thread_name("background")
            .max_blocking_threads(THREADS)
            .on_thread_start(give_way)
            .build();
        made.inspect_err(|err| {
            tracing::warn!(error = err as &dyn std::error::Error, "long work runs on the same threads as all other");
        })
        .ok()
    });
    pool.as_ref().map(Runtime::handle)
}

/// Lowers the priority of the calling thread.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Ok(niceness) = rustix::process::getpriority_process(None) {
        // 0 is the calling thread here. A system that refuses this leaves the thread as it was.
        let _allowed = rustix::process::setpriority_process(None, niceness + NICER_BY).is_ok();
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn background_work_gives_way_and_leaves_others_as_they_were() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let own = niceness();
        assert_eq!(background(niceness).await, (own + NICER_BY).min(19));
        assert_eq!(niceness(), own);
        assert_eq!(tokio::task::spawn_blocking(niceness).await.unwrap(), own);
    }

    #[tokio::test]
    #[should_panic(expected = "of its own")]
    async fn a_panic_goes_to_who_waits() {
        background(|| panic!("of its own")).await;
    }
}
