//! What the server says to crawlers, and what it hears from them.

use std::time::Duration;

use relay::config::{Config, CrawlPace, Override};
use rusqlite::Connection;
use serde_json::json;

use crate::support::{Crawler, TestPds};

const REQUEST: &str = "com.atproto.sync.requestCrawl";
const STATUS: &str = "com.atproto.sync.getHostStatus";

/// A server that the network knows as `pds.example.com`, announced to a crawler without the usual patience.
async fn announced_to(crawler: &Crawler, ask_every: Duration) -> TestPds {
    let set = |path: &str, value: String| Override { flag: "test".to_owned(), path: path.to_owned(), value };
    let overrides = [
        set("server.public_url", "https://pds.example.com".to_owned()),
        set("services.crawlers", format!("http://{}", crawler.address)),
        set("network.protect_private_addresses", "false".to_owned()),
    ];
    let named = Config::load(None, [], &overrides).unwrap().config;
    let short = Duration::from_millis(20);
    TestPds::start_with(move |config| {
        config.server.public_url = named.server.public_url.clone();
        config.services.crawlers.clone_from(&named.services.crawlers);
        config.services.crawl_pace = CrawlPace { at_most_every: short, look_every: short, first_retry: short, ask_every };
    })
    .await
}

/// Returns outcome, seq and own seq of what the database keeps of the crawler.
fn kept(pds: &TestPds) -> (String, Option<i64>, Option<i64>, Option<i64>) {
    let conn = Connection::open(pds.data_dir().join("relay.sqlite")).unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    conn.query_row("SELECT outcome, seq, own_seq, unread FROM crawler", [], row).unwrap()
}

#[tokio::test]
async fn a_crawler_is_told_at_the_start_and_when_there_is_something_new() {
    let crawler = Crawler::start().await;
    let never = Duration::from_secs(3600);
    let pds = Box::pin(announced_to(&crawler, never)).await;
    assert_eq!(crawler.asked(REQUEST, 1).await, ["pds.example.com"]);
    let alice = pds.create_account("alice").await;
    assert_eq!(crawler.asked(REQUEST, 2).await.len(), 2);
    alice.create_post("hello").await;
    crawler.asked(REQUEST, 3).await;
    pds.stop().await;
}

/// A crawler that was down when the server started would otherwise not hear of it before the next event.
#[tokio::test]
async fn a_crawler_that_is_down_is_told_again() {
    let crawler = Crawler::start().await;
    crawler.refuse(3);
    let pds = Box::pin(announced_to(&crawler, Duration::from_secs(3600))).await;
    assert_eq!(crawler.asked(REQUEST, 4).await.len(), 4);
    pds.stop().await;
}

/// A relay that has read further than this server has got ignores everything new, for good: people see that likes do not
/// stick, and nothing says why. So relays are asked, and what they say is kept for the operator.
#[tokio::test]
async fn how_far_a_crawler_has_read_is_kept() {
    let crawler = Crawler::start().await;
    let pds = Box::pin(announced_to(&crawler, Duration::from_millis(20))).await;
    let asked = crawler.asked(STATUS, 2).await;
    assert_eq!(asked[0], "pds.example.com");
    assert_eq!(kept(&pds).0, "unknown");

    pds.create_account("alice").await;
    crawler.set_status(json!({ "hostname": "pds.example.com", "seq": 5, "accountCount": 1, "status": "active" }));
    // What is kept is so after the answer, and so before the next question.
    let so_far = crawler.asked(STATUS, 1).await.len();
    crawler.asked(STATUS, so_far + 2).await;
    let (outcome, seq, own_seq, unread) = kept(&pds);
    assert_eq!((outcome.as_str(), seq), ("known", Some(5)));
    assert!(own_seq > Some(5) && unread > Some(1), "{own_seq:?} {unread:?}");

    let ahead = own_seq.unwrap() + 1_000_000_000;
    crawler.set_status(json!({ "hostname": "pds.example.com", "seq": ahead }));
    let so_far = crawler.asked(STATUS, 1).await.len();
    crawler.asked(STATUS, so_far + 2).await;
    assert_eq!(kept(&pds).1, Some(ahead));
    pds.stop().await;
}
