//! Reads that show what the caller has just written.

use serde_json::{Value, json};

use crate::support::{AppView, TestPds, User};

async fn start() -> (TestPds, AppView, User) {
    let appview = AppView::start().await;
    let own = appview.clone();
    let pds = TestPds::start_with(move |config| own.configure(config)).await;
    let alice = pds.create_account("alice").await;
    // Without anything from before, what is new could be an import.
    alice.create_post("before").await;
    let old = json!({ "$type": "app.bsky.actor.profile", "displayName": "Old name" });
    alice.put_record("app.bsky.actor.profile", "self", old).await.good();
    appview.has_seen(&alice.latest_commit().await.1);
    (pds, appview, alice)
}

fn view(uri: &str, did: &str, indexed_at: &str) -> Value {
    json!({ "uri": uri, "cid": "c", "author": { "did": did, "handle": "h.test" }, "record": {}, "indexedAt": indexed_at })
}

fn uris(feed: &Value) -> Vec<&str> {
    feed["feed"].as_array().unwrap().iter().map(|item| item["post"]["uri"].as_str().unwrap()).collect()
}

const PAST: &str = "2020-01-01T00:00:00.000Z";
const FUTURE: &str = "2100-01-01T00:00:00.000Z";

#[tokio::test]
async fn an_answer_that_knows_everything_passes_as_it_is() {
    let (_pds, appview, alice) = start().await;
    alice.create_post("new").await;
    appview.has_seen(&alice.latest_commit().await.1);
    appview.say("app.bsky.feed.getTimeline", json!({ "feed": [] }));
    let reply = alice.get("app.bsky.feed.getTimeline", &[]).await.good();
    assert_eq!(reply.json(), json!({ "feed": [] }));
    assert!(!reply.headers.contains_key("atproto-upstream-lag"));
    assert!(reply.headers.contains_key("atproto-repo-rev"));
}

#[tokio::test]
async fn a_new_post_is_in_the_timeline_where_its_time_is() {
    let (_pds, appview, alice) = start().await;
    let rkey = alice.create_post("new").await;
    let uri = format!("at://{}/app.bsky.feed.post/{rkey}", alice.did);
    let feed = json!({ "cursor": "x", "feed": [
        { "post": view("at://b/c/later", "did:plc:bob", FUTURE) },
        { "post": view("at://b/c/reposted", "did:plc:bob", PAST), "reason": { "indexedAt": FUTURE } },
        { "post": view("at://b/c/before", "did:plc:bob", PAST) },
    ] });
    appview.say("app.bsky.feed.getTimeline", feed.clone());
    let reply = alice.get("app.bsky.feed.getTimeline", &[]).await.good();
    assert!(reply.headers["atproto-upstream-lag"].to_str().unwrap().parse::<u64>().is_ok());
    let merged = reply.json();
    assert_eq!(uris(&merged), ["at://b/c/later", "at://b/c/reposted", &uri, "at://b/c/before"]);
    let post = &merged["feed"][2]["post"];
    assert_eq!((&post["author"]["handle"], &post["author"]["displayName"]), (&json!("alice.test"), &json!("Old name")));
    assert_eq!((&post["record"]["text"], &post["likeCount"]), (&json!("new"), &json!(0)));
    assert_eq!(merged["cursor"], "x");
    // The next page begins after what the first one ended with.
    assert_eq!(alice.get("app.bsky.feed.getTimeline", &[("cursor", "x")]).await.good().json(), feed);
}

#[tokio::test]
async fn a_feed_of_the_author_gets_what_its_filter_lets_through() {
    let (_pds, appview, alice) = start().await;
    alice.create_post("new").await;
    let parent = json!({ "uri": "at://did:plc:bob/app.bsky.feed.post/a", "cid": "bafyreiclp443lavogvhj3d2ob2cxbfuscni2k5jk7bebjzg7khl3esabwq" });
    let reply = json!({
        "$type": "app.bsky.feed.post", "text": "reply", "createdAt": FUTURE, "reply": { "root": parent, "parent": parent },
    });
    alice.create_record("app.bsky.feed.post", reply).await.good();
    appview.say("app.bsky.feed.getAuthorFeed", json!({ "feed": [] }));
    let texts = async |actor: &str, filter: &str| {
        let feed = alice.get("app.bsky.feed.getAuthorFeed", &[("actor", actor), ("filter", filter)]).await.good().json();
        let texts =
            feed["feed"].as_array().unwrap().iter().map(|item| item["post"]["record"]["text"].as_str().unwrap().to_owned());
        texts.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(texts(&alice.did, "").await, "reply new");
    assert_eq!(texts("alice.test", "posts_no_replies").await, "new");
    assert_eq!(texts("alice.test", "posts_with_media").await, "");
    assert_eq!(texts("bob.test", "").await, "");
}

#[tokio::test]
async fn a_new_profile_is_seen_in_views_of_its_owner() {
    let (_pds, appview, alice) = start().await;
    let new = json!({ "$type": "app.bsky.actor.profile", "displayName": "New name" });
    alice.put_record("app.bsky.actor.profile", "self", new).await.good();
    let shown =
        |did: &str| json!({ "did": did, "handle": "h.test", "displayName": "Old name", "description": "old", "labels": [1] });
    appview.say("app.bsky.actor.getProfile", shown(&alice.did));
    let profile = alice.get("app.bsky.actor.getProfile", &[("actor", "alice.test")]).await.good().json();
    // What is not in the record any more is gone; what is not of it stays.
    assert_eq!(profile, json!({ "did": alice.did, "handle": "h.test", "displayName": "New name", "labels": [1] }));
    appview.say("app.bsky.actor.getProfiles", json!({ "profiles": [shown("did:plc:bob"), shown(&alice.did)] }));
    let profiles = alice.get("app.bsky.actor.getProfiles", &[("actors", "x")]).await.good().json();
    assert_eq!(profiles["profiles"], json!([shown("did:plc:bob"), profile]));
    let feed = json!({ "feed": [{ "post": view("at://a/b/c", &alice.did, PAST) }] });
    appview.say("app.bsky.feed.getActorLikes", feed);
    let likes = alice.get("app.bsky.feed.getActorLikes", &[("actor", "alice.test")]).await.good().json();
    assert_eq!(likes["feed"][0]["post"]["author"]["displayName"], "New name");
}

#[tokio::test]
async fn replies_are_below_what_they_answer() {
    let (_pds, appview, alice) = start().await;
    let bobs = "at://did:plc:bob/app.bsky.feed.post/a";
    let reply_to = async |parent: &str| {
        let to = |uri: &str| json!({ "uri": uri, "cid": "bafyreiclp443lavogvhj3d2ob2cxbfuscni2k5jk7bebjzg7khl3esabwq" });
        let reply = json!({ "root": to(bobs), "parent": to(parent) });
        let record = json!({ "$type": "app.bsky.feed.post", "text": "reply", "createdAt": FUTURE, "reply": reply });
        alice.create_record("app.bsky.feed.post", record).await.good().json()["uri"].as_str().unwrap().to_owned()
    };
    let first = reply_to(bobs).await;
    let second = reply_to(&first).await;
    let kind = "app.bsky.feed.defs#threadViewPost";
    let thread = json!({ "thread": { "$type": kind, "post": view(bobs, "did:plc:bob", PAST), "replies": [] } });
    appview.say("app.bsky.feed.getPostThread", thread);
    let merged = alice.get("app.bsky.feed.getPostThread", &[("uri", bobs)]).await.good().json();
    let shown = &merged["thread"]["replies"][0];
    assert_eq!((&shown["post"]["uri"], &shown["replies"][0]["post"]["uri"]), (&json!(first), &json!(second)));
}

#[tokio::test]
async fn a_thread_of_a_post_that_is_not_known_yet_is_made_of_what_is_here() {
    let (_pds, appview, alice) = start().await;
    let rkey = alice.create_post("new").await;
    let uri = format!("at://{}/app.bsky.feed.post/{rkey}", alice.did);
    // The service says that it does not know this post.
    let made = alice.get("app.bsky.feed.getPostThread", &[("uri", &uri)]).await.good().json();
    assert_eq!((&made["thread"]["post"]["uri"], &made["thread"]["post"]["record"]["text"]), (&json!(uri), &json!("new")));
    let by_handle = uri.replace(&alice.did, "alice.test");
    alice.get("app.bsky.feed.getPostThread", &[("uri", &by_handle)]).await.good();
    let other = "at://did:plc:bob/app.bsky.feed.post/a";
    assert_eq!(alice.get("app.bsky.feed.getPostThread", &[("uri", other)]).await.summary(), "400 NotFound");
    assert!(appview.asked().len() >= 3);
}

/// After a move every record is newer than what the AppView knew of the old server; none of them is new to it.
#[tokio::test]
async fn a_repo_that_was_just_imported_adds_nothing() {
    let (_pds, appview, alice) = start().await;
    alice.create_post("old").await;
    appview.has_seen("2222222222222");
    appview.say("app.bsky.feed.getTimeline", json!({ "feed": [] }));
    assert_eq!(alice.get("app.bsky.feed.getTimeline", &[]).await.good().json(), json!({ "feed": [] }));
}
