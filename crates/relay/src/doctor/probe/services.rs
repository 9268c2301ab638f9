//! The services that the server calls, and the time that they have.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::Clock;
use futures_util::future::join_all;
use url::Url;

use crate::clock::SystemClock;
use crate::config::Config;
use crate::doctor::facts::ServiceFacts;
use crate::identity::Identity;

/// A health document is far smaller.
const MAX_BYTES: usize = 64 << 10;

/// Returns what answers, and how far this machine's clock is ahead of each host's.
pub(super) async fn look(config: &Config, identity: &Identity, clock: &SystemClock) -> (Vec<ServiceFacts>, Vec<(String, i64)>) {
    let mut services = vec![("plc", "PLC directory", config.identity.plc_url.as_str().to_owned(), "/_health")];
    if let Some(appview) = &config.services.appview {
        services.push(("appview", "AppView", appview.url.as_str().to_owned(), "/xrpc/_health"));
    }
    for crawler in &config.services.crawlers {
        services.push(("crawler", "Relay", crawler.as_str().to_owned(), "/xrpc/_health"));
    }
    let asked = join_all(services.into_iter().map(async |(id, name, url, path)| {
        let before = clock.millis();
        let (problem, date) = ask(identity, &format!("{url}{path}")).await;
        // Half of the time that the answer took, it was on its way back.
        let now = i64::midpoint(before, clock.millis());
        let host = Url::parse(&url).ok().and_then(|url| url.host_str().map(ToOwned::to_owned));
        let ahead = date.zip(host).map(|(date, host)| (host, now - date));
        (ServiceFacts { id, name, url, problem }, ahead)
    }))
    .await;
    let (services, clocks): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
    (services, clocks.into_iter().flatten().collect())
}

/// Asks a service, and returns why it does not answer, and the time by its `Date` header, in milliseconds since 1970.
async fn ask(identity: &Identity, url: &str) -> (Option<String>, Option<i64>) {
    let Ok(url) = Url::parse(url) else { return (Some("its address is not a URL".to_owned()), None) };
    match identity.clients().trusted.get_bounded(&url, MAX_BYTES).await {
        Ok(reply) => {
            let date = reply.headers.get(http::header::DATE).and_then(|date| millis(date.to_str().ok()?));
            // Any answer shows that it can be reached; some have no such path.
            let problem = reply.status.is_server_error().then(|| format!("it answers with status {}", reply.status.as_u16()));
            (problem, date)
        }
        Err(err) => (Some(err.to_string()), None),
    }
}

/// `Date` is in whole seconds; the middle of the second is nearest.
fn millis(date: &str) -> Option<i64> {
    let time: SystemTime = httpdate::parse_http_date(date).ok()?;
    let since: Duration = time.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()?.checked_add(500)
}
