//! How much was spent in each window, in bounded memory.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;

use super::rules::Window;
use crate::store::AccountId;

/// Most counts that are kept of each kind of key; one takes about 100 bytes. Strangers can make many keys by address and by
/// login, but cannot push those of accounts out.
const MAX_COUNTS: usize = 1 << 16;

/// A part of the network that counts as one client: an IPv4 address, or the /64 that an IPv6 subscriber has at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Network {
    V4(u32),
    V6(u64),
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// Whose points are spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Who {
    Network(Network),
    Account(AccountId),
    /// The hash of what someone signs in by, and from where.
    Login(u64, Network),
}

/// What is left of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) window: Window,
    pub(super) remaining: u32,
    /// Seconds since the epoch.
    pub(super) resets_at: u32,
}

/// The window does not have as many points left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exceeded(pub(super) Reading);

/// End of the window in seconds since the epoch (upper half) and points spent in it (lower half).
type Count = Arc<AtomicU64>;

/// The counts of all windows. A window begins with the first request in it.
#[derive(Debug)]
pub(super) struct Counts {
    networks: Cache<(Window, Who), Count>,
    accounts: Cache<(Window, Who), Count>,
    logins: Cache<(Window, Who), Count>,
}

impl Counts {
    pub(super) fn new() -> Self {
        let cache = || Cache::new(MAX_COUNTS);
        Self { networks: cache(), accounts: cache(), logins: cache() }
    }

    /// Spends points in a window. What is refused costs nothing.
    pub(super) fn spend(&self, window: Window, who: Who, points: u32, now_seconds: u32) -> Result<Reading, Exceeded> {
        let cache = match who {
            Who::Network(_) => &self.networks,
            Who::Account(_) => &self.accounts,
            Who::Login(..) => &self.logins,
        };
        let Ok(count) = cache.get_or_insert_with(&(window, who), || Ok::<_, Infallible>(Count::default()));
        let quota = window.quota();
        let mut seen = count.load(Ordering::Relaxed);
        loop {
            let (mut resets_at, mut spent) = ((seen >> 32) as u32, seen as u32);
            // A window of the far future was begun before the clock stepped back by much. A small step lifts no limit.
            if resets_at <= now_seconds || resets_at - now_seconds > 2 * quota.seconds {
                (resets_at, spent) = (now_seconds.saturating_add(quota.seconds), 0);
            }
            let after = spent.saturating_add(points);
            if after > quota.points {
                return Err(Exceeded(Reading { window, remaining: quota.points - spent, resets_at }));
            }
            let new = u64::from(resets_at) << 32 | u64::from(after);
            match count.compare_exchange_weak(seen, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(Reading { window, remaining: quota.points - after, resets_at }),
                Err(other) => seen = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window::CreateSession;

    fn address(text: &str) -> Who {
        Who::Network(text.parse::<IpAddr>().unwrap().into())
    }

    #[test]
    fn a_window_begins_with_the_first_request_and_ends() {
        let counts = Counts::new();
        let who = address("192.0.2.1");
        for left in (0..30).rev() {
            let reading = counts.spend(WINDOW, who, 1, 1000).unwrap();
            assert_eq!((reading.remaining, reading.resets_at), (left, 1300));
        }
        let full = Exceeded(Reading { window: WINDOW, remaining: 0, resets_at: 1300 });
        assert_eq!(counts.spend(WINDOW, who, 1, 1299), Err(full));
        assert!(counts.spend(WINDOW, address("192.0.2.2"), 1, 1299).is_ok());
        assert!(counts.spend(Window::Requests, who, 1, 1299).is_ok());
        assert_eq!(counts.spend(WINDOW, who, 1, 1300).unwrap().resets_at, 1600);
    }

    #[test]
    fn what_is_refused_costs_nothing() {
        let counts = Counts::new();
        let who = Who::Account(AccountId(1));
        assert_eq!(counts.spend(WINDOW, who, 29, 0).unwrap().remaining, 1);
        assert_eq!(counts.spend(WINDOW, who, 2, 0).unwrap_err().0.remaining, 1);
        assert_eq!(counts.spend(WINDOW, who, 1, 0).unwrap().remaining, 0);
    }

    /// A clock that was an hour ahead and is set right must not lock anyone out for that hour.
    #[test]
    fn a_window_of_the_future_is_begun_anew() {
        let counts = Counts::new();
        let who = address("192.0.2.1");
        assert!(counts.spend(WINDOW, who, 30, 5000).is_ok());
        assert!(counts.spend(WINDOW, who, 1, 4990).is_err(), "a small step back does not lift the limit");
        assert_eq!(counts.spend(WINDOW, who, 1, 1400).unwrap().resets_at, 1700);
    }

    #[test]
    fn an_ipv6_network_is_one_client_and_a_mapped_address_is_ipv4() {
        assert_eq!(address("2001:db8:1:2::3"), address("2001:db8:1:2:ffff::"));
        assert_ne!(address("2001:db8:1:2::3"), address("2001:db8:1:3::3"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    }

    /// However many addresses come, memory is bounded, and they do not push accounts out.
    #[test]
    fn a_flood_of_addresses_is_bounded() {
        let counts = Counts::new();
        let account = Who::Account(AccountId(1));
        counts.spend(Window::WritesPerDay, account, 35_000, 0).unwrap();
        for n in 0..(MAX_COUNTS as u32 * 3) {
            counts.spend(Window::Requests, Who::Network(Network::V4(n)), 1, 0).unwrap();
        }
        assert!(counts.networks.len() <= MAX_COUNTS);
        assert!(counts.spend(Window::WritesPerDay, account, 1, 0).is_err());
    }

    /// Many at once spend what there is, and not a point more.
    #[test]
    fn concurrent_spending_adds_up() {
        let counts = Counts::new();
        let who = address("192.0.2.1");
        let granted: usize = std::thread::scope(|scope| {
            let run = || (0..1000).filter(|_| counts.spend(Window::Requests, who, 1, 0).is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(granted, 3000);
    }
}
