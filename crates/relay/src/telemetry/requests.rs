//! What was asked, by route, and how it was answered.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::latency::Latency;

/// The route of what matches none.
const OTHER: &str = "other";
/// The route of methods that other services answer.
const PROXY: &str = "proxy";

/// Requests by route. The routes are those of the router, so that strangers cannot make up labels.
#[derive(Debug)]
pub(crate) struct Requests {
    routes: HashMap<&'static str, Route>,
    other: Route,
}

/// The requests of one route.
#[derive(Debug, Default)]
pub(crate) struct Route {
    pub(crate) latency: Latency,
    /// Answers by status.
    statuses: Mutex<BTreeMap<u16, u64>>,
}

impl Requests {
    pub(super) fn new() -> Self {
        let routes = crate::router::routes().into_iter().map(|route| (label(route.name), Route::default())).collect();
        Self { routes, other: Route::default() }
    }

    /// Counts a request of the route that the router matched.
    pub(crate) fn count(&self, matched_path: Option<&str>, status: u16, took: Duration) {
        let route = matched_path.and_then(|path| self.routes.get(label(path))).unwrap_or(&self.other);
        // A service that answers a proxied call may say any number.
        let status = if (100..600).contains(&status) { status } else { 0 };
        *route.statuses.lock().unwrap_or_else(PoisonError::into_inner).entry(status).or_default() += 1;
        // A subscription takes as long as it is watched; its answer is its beginning.
        route.latency.observe(took);
    }

    /// Returns the routes that were asked for, in order.
    pub(super) fn asked(&self) -> BTreeMap<&'static str, &Route> {
        let all = self.routes.iter().map(|(label, route)| (*label, route)).chain([(OTHER, &self.other)]);
        all.filter(|(_, route)| route.latency.counted().count() > 0).collect()
    }
}

impl Route {
    pub(super) fn statuses(&self) -> BTreeMap<u16, u64> {
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Returns what a path is called: a method by its NSID.
fn label(path: &str) -> &str {
    match path {
        "/xrpc/{nsid}" | "/xrpc/{nsid}/" | "/xrpc/" => PROXY,
        _ => path.strip_prefix("/xrpc/").map_or(path, |nsid| nsid.trim_end_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_make_up_no_routes() {
        let requests = Requests::new();
        let took = Duration::from_millis(1);
        requests.count(Some("/xrpc/com.atproto.repo.createRecord"), 200, took);
        requests.count(Some("/xrpc/com.atproto.repo.createRecord/"), 200, took);
        requests.count(Some("/xrpc/{nsid}"), 999, took);
        requests.count(Some("/a/{made}/up"), 404, took);
        requests.count(None, 404, took);
        let asked = requests.asked();
        assert_eq!(asked.keys().copied().collect::<Vec<_>>(), ["com.atproto.repo.createRecord", "other", "proxy"]);
        assert_eq!(asked["com.atproto.repo.createRecord"].statuses(), BTreeMap::from([(200, 2)]));
        assert_eq!(asked["proxy"].statuses(), BTreeMap::from([(0, 1)]));
        assert_eq!(asked["other"].statuses(), BTreeMap::from([(404, 2)]));
    }
}
