//! Rate limits: what is counted, by whom, and what clients are told.

use relay::config::{Config, Override, Secret};
use serde_json::{Value, json};

use crate::support::{Client, Reply, TestPds, User};

const APPLY: &str = "com.atproto.repo.applyWrites";
const SIGN_IN: &str = "com.atproto.server.createSession";
const RESET: &str = "com.atproto.server.requestPasswordReset";
const BYPASS_KEY: &str = "a-key-that-lifts-the-limits";

async fn limited() -> TestPds {
    TestPds::start_with(|config| config.limits.rate_limits = true).await
}

fn header(reply: &Reply, name: &str) -> String {
    reply.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// What an answer says of the tightest limit, without the time.
fn limits(reply: &Reply) -> String {
    let [limit, remaining, policy] =
        ["ratelimit-limit", "ratelimit-remaining", "ratelimit-policy"].map(|name| header(reply, name));
    format!("{remaining} of {limit} ({policy})")
}

impl User {
    /// Creates and deletes records, in one batch.
    async fn batch(&self, creates: usize, deletes: &[String]) -> Reply {
        let create = json!({ "$type": "com.atproto.repo.applyWrites#create", "collection": "a.b.c", "value": {} });
        let delete =
            |rkey: &String| json!({ "$type": "com.atproto.repo.applyWrites#delete", "collection": "a.b.c", "rkey": rkey });
        let writes = std::iter::repeat_n(create, creates).chain(deletes.iter().map(delete));
        self.apply_writes(writes.collect()).await
    }
}

/// Returns the keys of the records that a batch created.
fn rkeys(reply: &Reply) -> Vec<String> {
    let results = reply.json()["results"].as_array().unwrap().clone();
    results.iter().map(|result| result["uri"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
}

async fn sign_in(client: &Client, identifier: &str) -> Reply {
    client.post(SIGN_IN, &json!({ "identifier": identifier, "password": "a guess" })).await
}

async fn from_address(client: &Client, forwarded_for: &str) -> Reply {
    let request = client.request("POST", &format!("/xrpc/{RESET}")).header("x-forwarded-for", forwarded_for);
    client.send(request.json(&json!({ "email": "nobody@example.com" }))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_cost_points_of_the_account_and_come_back_with_the_hour() {
    let pds = limited().await;
    let (alice, bob) = (pds.create_account("alice").await, pds.create_account("bob").await);
    let reply = alice.create_record("a.b.c", json!({})).await.good();
    assert_eq!(header(&reply, "ratelimit-policy"), "3000;w=300", "the address has fewer requests left than the account points");

    let mut made = Vec::new();
    for _ in 0..8 {
        made = rkeys(&alice.batch(200, &[]).await.good());
    }
    // 5000 - 3 - 8 * 200 * 3 points are left.
    let reply = alice.put_record("a.b.c", "self", json!({})).await.good();
    assert_eq!(limits(&reply), "195 of 5000 (5000;w=3600)");
    assert_eq!(limits(&alice.batch(0, &made[..4]).await.good()), "191 of 5000 (5000;w=3600)");
    let refused = alice.batch(64, &[]).await;
    assert_eq!(refused.summary(), "429 RateLimitExceeded");
    assert_eq!(limits(&refused), "191 of 5000 (5000;w=3600)", "what is refused costs nothing");
    let seconds: u64 = header(&refused, "retry-after").parse().unwrap();
    assert!((3500..=3600).contains(&seconds), "{seconds}");
    assert_eq!(header(&refused, "access-control-allow-origin"), "*", "a page can read why");

    alice.delete_record("a.b.c", &made[5]).await.good();
    bob.batch(100, &[]).await.good();
    pds.clock().shift_micros(3_600_000_000);
    // Tokens last two hours.
    alice.batch(64, &[]).await.good();
}

/// A script that guesses passwords of one account gets 30 tries in five minutes; its owner, elsewhere, can sign in all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_passwords_is_limited_by_name_and_address() {
    let pds = limited().await;
    let alice = pds.create_account("alice").await;
    let anyone = pds.anonymous();
    let tries = (0..30).map(|n| {
        let anyone = anyone.clone();
        // Names are compared as they are looked up.
        let name = if n % 2 == 0 { "alice.test" } else { "Alice.Test" };
        async move { sign_in(&anyone, name).await.summary() }
    });
    let replies = futures_util::future::join_all(tries).await;
    assert!(replies.iter().all(|reply| reply == "401 AuthenticationRequired"), "{replies:?}");

    let refused = sign_in(&anyone, "alice.test").await;
    assert_eq!((refused.summary(), limits(&refused)), ("429 RateLimitExceeded".to_owned(), "0 of 30 (30;w=300)".to_owned()));
    let reset: i64 = header(&refused, "ratelimit-reset").parse().unwrap();
    let now = common::Clock::seconds(pds.clock());
    assert!((now..=now + 300).contains(&reset), "{reset} at {now}");
    assert_eq!(sign_in(&anyone, "bob.test").await.summary(), "401 AuthenticationRequired");

    let body = json!({ "identifier": "alice.test", "password": alice.password });
    let elsewhere = anyone.request("POST", &format!("/xrpc/{SIGN_IN}")).header("x-forwarded-for", "203.0.113.9");
    anyone.send(elsewhere.json(&body)).await.good();
    pds.clock().shift_micros(301_000_000);
    anyone.post(SIGN_IN, &body).await.good();
}

#[tokio::test]
async fn an_address_is_what_trusted_proxies_say() {
    let pds = limited().await;
    let anyone = pds.anonymous();
    for _ in 0..15 {
        assert_ne!(from_address(&anyone, "203.0.113.9").await.status, 429);
    }
    let refused = from_address(&anyone, "203.0.113.9").await;
    assert_eq!((refused.summary(), limits(&refused)), ("429 RateLimitExceeded".to_owned(), "0 of 15 (15;w=3600)".to_owned()));
    assert_eq!(from_address(&anyone, "198.51.100.1, 203.0.113.9").await.status, 429, "a client cannot write another address");
    assert_eq!(from_address(&anyone, "203.0.113.9, 127.0.0.1").await.status, 429, "a second trusted proxy is looked through");
    assert_ne!(from_address(&anyone, "198.51.100.1").await.status, 429);

    for nth in 0..15 {
        assert_ne!(from_address(&anyone, &format!("2001:db8::{nth}")).await.status, 429);
    }
    assert_eq!(from_address(&anyone, "2001:db8::ffff").await.status, 429, "a /64 is one client");
    assert_ne!(from_address(&anyone, "2001:db8:0:1::1").await.status, 429);
}

#[tokio::test]
async fn a_proxy_that_is_not_trusted_is_a_client() {
    let pds = TestPds::start_with(|config| {
        config.limits.rate_limits = true;
        config.network.trusted_proxies.clear();
    })
    .await;
    let anyone = pds.anonymous();
    for nth in 0..15 {
        assert_ne!(from_address(&anyone, &format!("203.0.113.{nth}")).await.status, 429);
    }
    assert_eq!(from_address(&anyone, "203.0.113.77").await.status, 429);
}

#[tokio::test]
async fn what_sends_mail_is_limited_by_account() {
    let pds = limited().await;
    let (alice, bob) = (pds.create_account("alice").await, pds.create_account("bob").await);
    for _ in 0..5 {
        assert_ne!(alice.post_nothing("com.atproto.server.requestEmailConfirmation").await.status, 429);
    }
    assert_eq!(alice.post_nothing("com.atproto.server.requestEmailConfirmation").await.status, 429);
    assert_ne!(bob.post_nothing("com.atproto.server.requestEmailConfirmation").await.status, 429);
}

/// A crawler that fetches all repos of a large server is not stopped by the limit of ordinary requests.
#[tokio::test]
async fn exports_are_counted_apart() {
    let pds = limited().await;
    let alice = pds.create_account("alice").await;
    let reply = alice.get("com.atproto.sync.getRepo", &[("did", &alice.did)]).await.good();
    assert_eq!(limits(&reply), "5999 of 6000 (6000;w=300)");
    let probe = pds.anonymous().send(pds.anonymous().request("GET", "/xrpc/_health")).await.good();
    assert_eq!(header(&probe, "ratelimit-limit"), "", "probes are not counted");
}

/// Anyone may reserve keys, and the oldest go when there are too many: nobody shall push out all others'.
#[tokio::test]
async fn keys_are_reserved_in_moderation() {
    let pds = limited().await;
    let reserve = async || pds.anonymous().post("com.atproto.server.reserveSigningKey", &json!({})).await;
    for _ in 0..50 {
        reserve().await.good();
    }
    assert_eq!(reserve().await.summary(), "429 RateLimitExceeded");
}

#[tokio::test]
async fn the_operator_can_lift_the_limits() {
    let pds = TestPds::start_with(|config| {
        config.limits.rate_limits = true;
        config.limits.rate_limit_bypass_key = Some(Secret::new(BYPASS_KEY));
    })
    .await;
    let anyone = pds.anonymous();
    let ask = async |key: &str| {
        let request = anyone.request("POST", &format!("/xrpc/{RESET}")).header("x-ratelimit-bypass", key);
        anyone.send(request.json(&json!({ "email": "nobody@example.com" }))).await
    };
    for _ in 0..20 {
        assert_eq!(header(&ask(BYPASS_KEY).await, "ratelimit-limit"), "");
    }
    for _ in 0..15 {
        assert_ne!(ask("another key").await.status, 429);
    }
    assert_eq!(ask("another key").await.status, 429);
    assert_ne!(ask(BYPASS_KEY).await.status, 429);

    let set = |path: &str, value: &str| Override { flag: "test".to_owned(), path: path.to_owned(), value: value.to_owned() };
    let overrides =
        [set("server.public_url", "https://pds.example.com"), set("limits.rate_limit_bypass_addresses", "192.0.2.0/24")];
    let lifted = Config::load(None, [], &overrides).unwrap().config.limits;
    let pds = TestPds::start_with(move |config| config.limits = lifted.clone()).await;
    for _ in 0..20 {
        assert_eq!(header(&from_address(&pds.anonymous(), "192.0.2.9").await, "ratelimit-limit"), "");
    }
    assert_eq!(header(&from_address(&pds.anonymous(), "192.0.3.9").await, "ratelimit-limit"), "15");

    let free = TestPds::start().await;
    let reply: Value = free.anonymous().get("com.atproto.server.describeServer", &[]).await.good().json();
    assert!(reply["did"].is_string());
    assert_eq!(limits(&free.anonymous().post(APPLY, &json!({})).await), " of  ()");
}
