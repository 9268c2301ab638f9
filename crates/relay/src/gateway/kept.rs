//! What the router did the last time, while the server keeps its ports open.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use common::Clock;
use serde::{Deserialize, Serialize};

use super::{GatewayError, Mapping, Opened, Protocol, RENEW_EVERY};

/// What is known of the router. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RouterStatus {
    /// The ports that it is asked for.
    pub(crate) ports: Vec<u16>,
    /// What it granted last: how it was asked, its address in the world, and when that was.
    pub(crate) granted: Option<Grant>,
    /// Why it did not the last time.
    pub(crate) problem: Option<String>,
}

/// A router's yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Grant {
    pub(crate) by: Protocol,
    pub(crate) address: IpAddr,
    pub(crate) at: i64,
}

/// The router of a running server.
#[derive(Debug, Default)]
pub(crate) struct KeptRouter(Mutex<Option<RouterStatus>>);

impl KeptRouter {
    /// Whether it is time to ask again.
    pub(crate) fn is_due(&self, clock: &dyn Clock) -> bool {
        let Some(RouterStatus { granted: Some(grant), problem: None, .. }) = self.status() else { return true };
        // A clock that was set back is no reason to wait.
        !(0..RENEW_EVERY.as_millis() as i64).contains(&(clock.millis() - grant.at))
    }

    /// Notes that it is being asked.
    pub(crate) fn begin(&self, mappings: &[Mapping]) {
        let ports = mappings.iter().map(|mapping| mapping.external).collect();
        let mut status = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        status.get_or_insert(RouterStatus { ports, granted: None, problem: None });
    }

    pub(crate) fn note(&self, mappings: &[Mapping], opened: &Result<Opened, GatewayError>, clock: &dyn Clock) {
        let before = self.status().and_then(|status| status.granted);
        let ports = mappings.iter().map(|mapping| mapping.external).collect();
        let status = match opened {
            Ok(Opened { address, by }) => {
                if before.as_ref().is_some_and(|before| before.address != *address) {
                    tracing::warn!(%address, "the router has another address now; DNS has to lead there");
                }
                RouterStatus { ports, granted: Some(Grant { by: *by, address: *address, at: clock.millis() }), problem: None }
            }
            Err(err) => RouterStatus { ports, granted: before, problem: Some(err.to_string()) },
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
    }

    /// Returns what is known; `None` where the router is not asked.
    pub(crate) fn status(&self) -> Option<RouterStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::identity::test_support::TestClock;

    #[test]
    fn a_router_is_asked_again_before_its_word_ends_and_at_once_after_a_failure() {
        let (clock, router) = (TestClock::default(), KeptRouter::default());
        let mappings = [Mapping { external: 443, internal: 8443 }];
        let yes = Ok(Opened { address: "203.0.114.7".parse().unwrap(), by: Protocol::NatPmp });
        let no = Err(GatewayError::Silent { upnp: "silence".into(), port_control: "silence".into() });
        assert!(router.is_due(&clock) && router.status().is_none());
        router.note(&mappings, &yes, &clock);
        assert!(!router.is_due(&clock));
        clock.advance(RENEW_EVERY.checked_sub(Duration::from_secs(1)).unwrap());
        assert!(!router.is_due(&clock));
        clock.advance(Duration::from_secs(1));
        assert!(router.is_due(&clock));
        router.note(&mappings, &yes, &clock);
        router.note(&mappings, &no, &clock);
        assert!(router.is_due(&clock));
        let status = router.status().unwrap();
        assert_eq!(status.ports, [443]);
        assert!(status.granted.is_some() && status.problem.unwrap().contains("silence"));
    }
}
