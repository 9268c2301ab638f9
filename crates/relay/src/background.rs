//! Work that may take long, on threads that give way to all others.
//!
//! An export, an import, a commit of many records, a hash of a password or a consumer that reads days of events takes a core for
//! as long as it may. On threads like any other it would have as much of the processor as those that answer requests, who would
//! wait behind it. So such work runs on threads of lower priority (on Linux, where each thread has its own): it gets all that is
//! left, and about a tenth of a core when nothing is. What is long also takes a [`Breath`] now and then.

mod breath;
mod pool;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

pub(crate) use self::breath::{Breath, hold_back};
use self::pool::Pool;

/// Threads at most. Each kind of work has a bound of its own that is lower; this one is for all of them.
const THREADS: usize = 64;

static POOL: Pool = Pool::new("background", THREADS, give_way);

/// Added to the niceness of the process.
#[cfg(target_os = "linux")]
const NICER_BY: i32 = 10;

/// Runs `work` on a thread that gives way to others. It runs to its end whether or not anyone waits for it.
pub(crate) async fn background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    spawn(work).await
}

/// Begins `work` on such a thread, where the runtime of the caller is the current one. Whoever waits for what is returned gets
/// what it came to, or its panic.
pub(crate) fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T> + Send {
    let (done, ended) = oneshot::channel();
    let server = Handle::try_current().ok();
    POOL.run(Box::new(move || {
        let _current = server.as_ref().map(Handle::enter);
        // It may be that nobody waits.
        drop(done.send(catch_unwind(AssertUnwindSafe(work))));
    }));
    async move {
        match ended.await.expect("a thread of the pool runs what it takes to its end") {
            Ok(done) => done,
            Err(panic) => resume_unwind(panic),
        }
    }
}

/// Whether work on so many items takes milliseconds, and not what it costs to hand it to another thread.
pub(crate) const fn is_much(items: usize) -> bool {
    items > 16
}

/// Lowers the priority of the calling thread.
pub(crate) fn give_way() {
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

    /// The daily check of blobs in a bucket asked for them in a runtime without sockets, and panicked.
    #[tokio::test]
    async fn background_work_may_wait_for_sockets() {
        let bound = background(|| Handle::current().block_on(tokio::net::TcpListener::bind("127.0.0.1:0")));
        assert!(bound.await.is_ok());
    }

    #[tokio::test]
    #[should_panic(expected = "of its own")]
    async fn a_panic_goes_to_who_waits() {
        background(|| panic!("of its own")).await;
    }
}
