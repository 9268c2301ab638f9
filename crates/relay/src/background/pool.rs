//! Threads that come with work and go without it.
//!
//! Whoever rested last works first. A pool that wakes its threads in turn, as tokio's does, keeps all that a burst made busy for as
//! long as there is any work, and each keeps memory of its own: what the allocator has in hand for it, and a stack that was used.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Work for a thread. It catches its own panics.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// How long a thread rests before it ends.
const REST: Duration = Duration::from_secs(1);

/// So many threads at most, all named alike.
#[derive(Debug)]
pub(super) struct Pool {
    name: &'static str,
    most: usize,
    on_start: fn(),
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    threads: usize,
    /// Those that have nothing to do; who came last is at the end.
    resting: Vec<Arc<Bed>>,
    /// What no thread has taken, since all are at work.
    waiting: VecDeque<Job>,
}

/// Where one thread rests until it is given something.
#[derive(Default)]
struct Bed {
    job: Mutex<Option<Job>>,
    woken: Condvar,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("threads", &self.threads).field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl Inner {
    /// Gives `job` to a thread that rests, or has it wait when there are `most` threads or more and all are at work. Otherwise it
    /// comes back.
    fn give(&mut self, job: Job, most: usize) -> Result<(), Job> {
        if let Some(bed) = self.resting.pop() {
            *lock(&bed.job) = Some(job);
            bed.woken.notify_one();
        } else if self.threads > 0 && self.threads >= most {
            self.waiting.push_back(job);
        } else {
            return Err(job);
        }
        Ok(())
    }
}

impl Pool {
    pub(super) const fn new(name: &'static str, most: usize, on_start: fn()) -> Self {
        let inner = Inner { threads: 0, resting: Vec::new(), waiting: VecDeque::new() };
        Self { name, most, on_start, inner: Mutex::new(inner) }
    }

    /// Has `job` run: now, or when one of the threads is free. It runs on the calling thread when there can be no other.
    pub(super) fn run(&'static self, job: Job) {
        let mut inner = self.lock();
        if let Err(job) = inner.give(job, self.most) {
            inner.threads += 1;
            drop(inner);
            self.start(job);
        }
    }

    fn start(&'static self, job: Job) {
        // In a place of its own, so that it is still here when no thread was made.
        let first = Arc::new(Mutex::new(Some(job)));
        let of_thread = Arc::clone(&first);
        let made = std::thread::Builder::new().name(self.name.to_owned()).spawn(move || {
            (self.on_start)();
            let job = lock(&of_thread).take();
            drop(of_thread);
            self.work(job);
        });
        let Err(err) = made else { return };
        let Some(job) = lock(&first).take() else { return };
        let mut inner = self.lock();
        inner.threads -= 1;
        let threads = inner.threads;
        if let Err(job) = inner.give(job, threads) {
            drop(inner);
            tracing::warn!(
                error = &err as &dyn std::error::Error,
                "no thread could be started; long work keeps others waiting"
            );
            job();
        }
    }

    /// The life of a thread.
    fn work(&self, mut job: Option<Job>) {
        while let Some(now) = job {
            now();
            job = self.next();
        }
    }

    /// Returns what the calling thread does next; `None` when it has rested for long enough, and is no longer one of the pool.
    fn next(&self) -> Option<Job> {
        let bed = Arc::<Bed>::default();
        {
            let mut inner = self.lock();
            if let Some(job) = inner.waiting.pop_front() {
                return Some(job);
            }
            inner.resting.push(Arc::clone(&bed));
        }
        let rested = bed.woken.wait_timeout_while(lock(&bed.job), REST, |job| job.is_none());
        let (mut job, _) = rested.unwrap_or_else(PoisonError::into_inner);
        if let Some(job) = job.take() {
            return Some(job);
        }
        // Whoever gives work holds the lock of the pool before that of the bed.
        drop(job);
        let mut inner = self.lock();
        if let Some(job) = lock(&bed.job).take() {
            return Some(job);
        }
        inner.resting.retain(|other| !Arc::ptr_eq(other, &bed));
        inner.threads -= 1;
        None
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::mpsc;
    use std::thread::ThreadId;

    use super::*;

    fn pool(most: usize) -> &'static Pool {
        Box::leak(Box::new(Pool::new("pool of a test", most, || ())))
    }

    /// Runs `jobs` that all wait for each other, and returns who ran them.
    fn together(pool: &'static Pool, jobs: usize) -> HashSet<ThreadId> {
        let (said, told) = mpsc::channel();
        let barrier = Arc::new(std::sync::Barrier::new(jobs));
        for _ in 0..jobs {
            let (said, barrier) = (said.clone(), Arc::clone(&barrier));
            pool.run(Box::new(move || {
                barrier.wait();
                said.send(std::thread::current().id()).unwrap();
            }));
        }
        (0..jobs).map(|_| told.recv().unwrap()).collect()
    }

    fn until(pool: &'static Pool, holds: impl Fn(&Inner) -> bool) {
        while !holds(&pool.lock()) {
            std::thread::yield_now();
        }
    }

    /// After a burst, work that came one at a time went to all threads in turn, and each kept megabytes of memory.
    #[test]
    fn one_thread_does_what_one_can_and_the_others_go() {
        let pool = pool(8);
        assert_eq!(together(pool, 8).len(), 8);
        until(pool, |inner| inner.resting.len() == inner.threads);
        let mut who = HashSet::new();
        while pool.lock().threads > 1 && who.len() <= 2 {
            who.extend(together(pool, 1));
            until(pool, |inner| inner.resting.len() == inner.threads);
        }
        assert!(who.len() <= 2, "of eight, {} had the work of one", who.len());
        until(pool, |inner| inner.threads == 0 && inner.resting.is_empty());
    }

    #[test]
    fn what_is_too_much_waits_for_a_thread() {
        let pool = pool(2);
        let (go, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let (said, told) = mpsc::channel();
        for n in 0..5 {
            let (said, wait) = (said.clone(), Arc::clone(&wait));
            pool.run(Box::new(move || {
                lock(&wait).recv().unwrap();
                said.send(n).unwrap();
            }));
        }
        until(pool, |inner| inner.threads == 2 && inner.waiting.len() == 3);
        for _ in 0..5 {
            go.send(()).unwrap();
        }
        let mut ran: Vec<i32> = (0..5).map(|_| told.recv().unwrap()).collect();
        ran.sort_unstable();
        assert_eq!(ran, [0, 1, 2, 3, 4]);
    }
}
