//! A bounded cache of what other hosts answered, with one question at a time per key.
//!
//! A good answer is fresh for a while, then stale: still given, while a background flight asks again, until it is too old.
//! An absence is believed for a shorter time, a failure for a shorter still, and a failure never displaces a good answer.
//!
//! A question runs in its own task (a *flight*), so that it goes on when the request that began it is cancelled, and so that all
//! who ask meanwhile share its outcome. Flights end by the timeouts of what they do, and only so many run at once.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::Clock;
use quick_cache::sync::Cache;
use tokio::sync::{Semaphore, watch};

/// How many questions are out at once; the others wait in line.
const CONCURRENT_FLIGHTS: usize = 64;

/// How long answers are kept, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheOptions {
    /// The most keys that are remembered.
    pub capacity: usize,
    /// A good answer is given without a question until this age.
    pub fresh_for: Duration,
    /// A good answer is not given beyond this age.
    pub max_age: Duration,
    /// How long an authoritative absence is believed.
    pub absence_for: Duration,
    /// How long a failure to get an answer is repeated to those who ask.
    pub failure_for: Duration,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            capacity: 20_000,
            fresh_for: Duration::from_secs(3600),
            max_age: Duration::from_secs(24 * 3600),
            absence_for: Duration::from_secs(60),
            failure_for: Duration::from_secs(5),
        }
    }
}

/// What the cache must know of an error.
pub(crate) trait LookupError: Clone + Send + Sync + 'static {
    /// Whether the other side said that there is nothing, as opposed to not answering.
    fn is_absence(&self) -> bool;

    /// The error of those who waited for a flight that did not end.
    fn lost() -> Self;
}

type Outcome<V, E> = Result<V, E>;
type Answer<V, E> = Pin<Box<dyn Future<Output = Outcome<V, E>> + Send>>;
type Ask<K, V, E> = Box<dyn Fn(K) -> Answer<V, E> + Send + Sync>;
type Flight<V, E> = watch::Receiver<Option<Outcome<V, E>>>;

#[derive(Clone)]
struct Entry<V, E> {
    outcome: Outcome<V, E>,
    at_millis: i64,
}

/// The cache; cloned by `Arc`.
pub(crate) struct Lookups<K, V, E> {
    cache: Cache<K, Entry<V, E>>,
    flights: Mutex<HashMap<K, Flight<V, E>>>,
    permits: Semaphore,
    options: CacheOptions,
    clock: Arc<dyn Clock>,
    ask: Ask<K, V, E>,
}

impl<K, V, E> fmt::Debug for Lookups<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookups").field("options", &self.options).finish_non_exhaustive()
    }
}

impl<K, V, E> Lookups<K, V, E>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    E: LookupError,
{
    pub(crate) fn new<F>(
        options: CacheOptions,
        clock: Arc<dyn Clock>,
        ask: impl Fn(K) -> F + Send + Sync + 'static,
    ) -> Arc<Self>
    where
        F: Future<Output = Outcome<V, E>> + Send + 'static,
    {
        Arc::new(Self {
            cache: Cache::new(options.capacity),
            flights: Mutex::default(),
            permits: Semaphore::new(CONCURRENT_FLIGHTS),
            options,
            clock,
            ask: Box::new(move |key| Box::pin(ask(key))),
        })
    }

    /// Returns what is known of `key`, or asks.
    pub(crate) async fn get(self: &Arc<Self>, key: &K) -> Outcome<V, E> {
        if let Some(entry) = self.cache.get(key) {
            let age = self.age(&entry);
            match &entry.outcome {
                Ok(_) if age < self.options.fresh_for => return entry.outcome,
                Ok(_) if age < self.options.max_age => {
                    drop(self.join_flight(key));
                    return entry.outcome;
                }
                Err(error) if age < self.believed_for(error) => return entry.outcome,
                Ok(_) | Err(_) => {}
            }
        }
        self.refresh(key).await
    }

    /// Asks, whatever is known; joins a question that is already out.
    pub(crate) async fn refresh(self: &Arc<Self>, key: &K) -> Outcome<V, E> {
        let mut flight = self.join_flight(key);
        // The sender is gone without an outcome only when its task panicked or the runtime is shutting down.
        let outcome = flight.wait_for(Option::is_some).await.map_err(|_| E::lost())?;
        outcome.clone().unwrap_or_else(|| Err(E::lost()))
    }

    /// Forgets what is known of `key`.
    pub(crate) fn forget(&self, key: &K) {
        self.cache.remove(key);
    }

    /// Returns how many keys are remembered.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.cache.len()
    }

    fn join_flight(self: &Arc<Self>, key: &K) -> Flight<V, E> {
        let mut flights = self.lock_flights();
        if let Some(flight) = flights.get(key) {
            return flight.clone();
        }
        let (sender, receiver) = watch::channel(None);
        flights.insert(key.clone(), receiver.clone());
        drop(flights);
        let landing = Landing { lookups: Arc::clone(self), key: key.clone() };
        tokio::spawn(async move {
            let outcome = landing.lookups.fly(&landing.key).await;
            // First out of the list, then told: whoever asks after this gets a new flight or the cache.
            drop(landing);
            sender.send_replace(Some(outcome));
        });
        receiver
    }

    async fn fly(&self, key: &K) -> Outcome<V, E> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let outcome = (self.ask)(key.clone()).await;
        if self.may_keep(key, &outcome) {
            self.cache.insert(key.clone(), Entry { outcome: outcome.clone(), at_millis: self.clock.millis() });
        }
        outcome
    }

    /// A failure must not take the place of an answer that can still be given.
    fn may_keep(&self, key: &K, outcome: &Outcome<V, E>) -> bool {
        let Err(error) = outcome else { return true };
        error.is_absence()
            || !self.cache.peek(key).is_some_and(|known| known.outcome.is_ok() && self.age(&known) < self.options.max_age)
    }

    fn believed_for(&self, error: &E) -> Duration {
        if error.is_absence() { self.options.absence_for } else { self.options.failure_for }
    }

    fn age(&self, entry: &Entry<V, E>) -> Duration {
        Duration::from_millis(u64::try_from(self.clock.millis() - entry.at_millis).unwrap_or(0))
    }
}

impl<K, V, E> Lookups<K, V, E> {
    fn lock_flights(&self) -> MutexGuard<'_, HashMap<K, Flight<V, E>>> {
        // Only inserts and removals happen under the lock, so a poisoned map is still whole.
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a flight off the list, also when its task panics.
struct Landing<K: Eq + Hash, V, E> {
    lookups: Arc<Lookups<K, V, E>>,
    key: K,
}

impl<K: Eq + Hash, V, E> Drop for Landing<K, V, E> {
    fn drop(&mut self) {
        self.lookups.lock_flights().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;
    use crate::identity::test_support::TestClock;

    #[derive(Debug, Clone, PartialEq)]
    enum Failure {
        Absent,
        Down,
        Lost,
    }

    impl LookupError for Failure {
        fn is_absence(&self) -> bool {
            *self == Self::Absent
        }

        fn lost() -> Self {
            Self::Lost
        }
    }

    /// A source whose answer tests set; it counts the questions, and tells when one is answered.
    #[derive(Default)]
    struct Source {
        answer: Mutex<Option<Result<u32, Failure>>>,
        asked: AtomicUsize,
        answered: Notify,
    }

    type TestLookups = Lookups<u32, u32, Failure>;

    fn lookups(options: CacheOptions) -> (Arc<TestLookups>, Arc<Source>, Arc<TestClock>) {
        let (source, clock) = (Arc::new(Source::default()), Arc::new(TestClock::default()));
        let asked = Arc::clone(&source);
        let lookups = Lookups::new(options, clock.clone(), move |_key| {
            let source = Arc::clone(&asked);
            async move {
                source.asked.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                let answer = source.answer.lock().unwrap().clone();
                source.answered.notify_one();
                answer.expect("the test has set an answer")
            }
        });
        (lookups, source, clock)
    }

    impl Source {
        fn set(&self, answer: Result<u32, Failure>) {
            *self.answer.lock().unwrap() = Some(answer);
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn all_who_ask_at_once_share_one_question() {
        let (lookups, source, _clock) = lookups(CacheOptions::default());
        source.set(Ok(7));
        let all = futures_util::future::join_all((0..50).map(|_| lookups.get(&1))).await;
        assert!(all.iter().all(|outcome| *outcome == Ok(7)));
        assert_eq!(source.asked(), 1);
        assert!(lookups.lock_flights().is_empty());
    }

    #[tokio::test]
    async fn a_stale_answer_is_given_while_a_new_one_is_fetched() {
        let (lookups, source, clock) = lookups(CacheOptions::default());
        source.set(Ok(1));
        assert_eq!(lookups.get(&1).await, Ok(1));
        source.set(Ok(2));
        clock.advance(Duration::from_secs(3599));
        assert_eq!(lookups.get(&1).await, Ok(1));
        assert_eq!(source.asked(), 1);
        source.answered.notified().await;

        clock.advance(Duration::from_secs(2));
        assert_eq!(lookups.get(&1).await, Ok(1));
        source.answered.notified().await;
        // The flight may not have landed yet; then it is joined.
        assert_eq!(lookups.refresh(&1).await, Ok(2));
        assert_eq!(lookups.get(&1).await, Ok(2));

        clock.advance(Duration::from_secs(24 * 3600));
        source.set(Ok(3));
        assert_eq!(lookups.get(&1).await, Ok(3));
    }

    #[tokio::test]
    async fn a_failure_displaces_nothing_good_and_an_absence_does() {
        let (lookups, source, clock) = lookups(CacheOptions::default());
        source.set(Ok(1));
        lookups.get(&1).await.unwrap();
        source.set(Err(Failure::Down));
        assert_eq!(lookups.refresh(&1).await, Err(Failure::Down));
        assert_eq!(lookups.get(&1).await, Ok(1));
        source.set(Err(Failure::Absent));
        assert_eq!(lookups.refresh(&1).await, Err(Failure::Absent));
        source.set(Ok(2));
        assert_eq!(lookups.get(&1).await, Err(Failure::Absent));
        clock.advance(Duration::from_secs(61));
        assert_eq!(lookups.get(&1).await, Ok(2));
    }

    #[tokio::test]
    async fn a_failure_is_repeated_only_briefly() {
        let (lookups, source, clock) = lookups(CacheOptions::default());
        source.set(Err(Failure::Down));
        lookups.get(&1).await.unwrap_err();
        source.set(Ok(1));
        assert_eq!(lookups.get(&1).await, Err(Failure::Down));
        clock.advance(Duration::from_secs(5));
        assert_eq!(lookups.get(&1).await, Ok(1));
    }

    #[tokio::test]
    async fn the_number_of_remembered_keys_is_bounded() {
        let (lookups, source, _clock) = lookups(CacheOptions { capacity: 10, ..CacheOptions::default() });
        source.set(Ok(1));
        for key in 0..1000 {
            lookups.get(&key).await.unwrap();
        }
        assert!(lookups.len() <= 10, "{}", lookups.len());
    }

    #[tokio::test]
    async fn a_question_that_panics_leaves_no_one_waiting() {
        let (lookups, source, _clock) = lookups(CacheOptions::default());
        assert_eq!(lookups.get(&1).await, Err(Failure::Lost));
        source.set(Ok(1));
        assert_eq!(lookups.get(&1).await, Ok(1));
    }
}
