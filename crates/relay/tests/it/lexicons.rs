//! Records of lexicons that are found in the network.

use serde_json::{Value, json};

use crate::support::{Dns, TestPds, User};

const NOTE: &str = "com.example.note";

/// A lexicon of notes: a text, and where it was written, which another lexicon describes.
fn note_lexicon() -> Value {
    json!({
        "$type": "com.atproto.lexicon.schema", "lexicon": 1, "id": NOTE,
        "defs": { "main": { "type": "record", "key": "tid", "record": {
            "type": "object", "required": ["text"],
            "properties": {
                "text": { "type": "string", "maxLength": 10 },
                "place": { "type": "ref", "ref": "com.example.defs#place" },
                "of": { "type": "ref", "ref": "com.atproto.repo.strongRef" },
            },
        } } },
    })
}

fn place_lexicon() -> Value {
    json!({
        "$type": "com.atproto.lexicon.schema", "lexicon": 1, "id": "com.example.defs",
        "defs": { "place": { "type": "object", "required": ["name"], "properties": { "name": { "type": "string" } } } },
    })
}

async fn publish(author: &User, lexicon: Value) {
    let rkey = lexicon["id"].as_str().unwrap().to_owned();
    author.put_record("com.atproto.lexicon.schema", &rkey, lexicon).await.good();
}

/// A server that looks lexicons up in `dns`.
async fn resolving(dns: &Dns) -> TestPds {
    let address = dns.address;
    TestPds::start_with(move |config| {
        config.network.resolve_record_lexicons = true;
        config.network.dns_servers = Some(vec![address]);
    })
    .await
}

async fn create(user: &User, record: Value, validate: Option<bool>) -> String {
    let mut body = json!({ "repo": user.did, "collection": NOTE, "record": record });
    if let Some(validate) = validate {
        body["validate"] = json!(validate);
    }
    let reply = user.post("com.atproto.repo.createRecord", &body).await;
    match reply.status {
        200 => format!("200 {}", reply.json()["validationStatus"].as_str().unwrap_or("-")),
        status => format!("{status} {}", reply.json()["message"].as_str().unwrap()),
    }
}

async fn assert_checked(user: &User) {
    let (good, bad) = (json!({ "text": "hello" }), json!({ "text": "much too long" }));
    assert_eq!(create(user, good.clone(), None).await, "200 valid");
    assert_eq!(create(user, good.clone(), Some(true)).await, "200 valid");
    assert_eq!(create(user, good, Some(false)).await, "200 -");
    let refused = format!("400 Invalid {NOTE} record: Record/text must not be longer than 10 bytes of UTF-8 (got 13)");
    assert_eq!(create(user, bad.clone(), None).await, refused);
    assert_eq!(create(user, bad.clone(), Some(true)).await, refused);
    assert_eq!(create(user, bad, Some(false)).await, "200 -");
    let somewhere = json!({ "text": "hello", "place": { "name": 5 } });
    assert_eq!(create(user, somewhere, None).await, format!("400 Invalid {NOTE} record: Record/place/name must be a string"));
}

#[tokio::test]
async fn a_record_is_checked_against_the_lexicon_that_its_authority_publishes() {
    let dns = Dns::start().await;
    let pds = resolving(&dns).await;
    let theirs = pds.start_beside().await;
    let author = theirs.create_account("author").await;
    publish(&author, note_lexicon()).await;
    publish(&author, place_lexicon()).await;
    dns.set("_lexicon.example.com", &format!("did={}", author.did));
    let alice = pds.create_account("alice").await;
    assert_checked(&alice).await;

    // It is remembered: the next writes ask nobody, not even when the authority's server is gone.
    let asked = dns.asked();
    theirs.stop().await;
    assert_eq!(create(&alice, json!({ "text": "again" }), None).await, "200 valid");
    let create =
        |text: &str| json!({ "$type": "com.atproto.repo.applyWrites#create", "collection": NOTE, "value": { "text": text } });
    let reply = alice.apply_writes(json!([create("one"), create("two")])).await.good().json();
    assert_eq!(reply["results"][1]["validationStatus"], "valid");
    assert_eq!(alice.apply_writes(json!([create("one"), create("much too long")])).await.summary(), "400 InvalidRequest");
    assert_eq!(dns.asked(), asked);
}

/// The author has an account here: the server does not ask itself over the network, where it may not reach its own name.
#[tokio::test]
async fn a_lexicon_that_is_published_here_is_read_here() {
    let dns = Dns::start().await;
    let pds = resolving(&dns).await;
    let author = pds.create_account("author").await;
    publish(&author, note_lexicon()).await;
    publish(&author, place_lexicon()).await;
    dns.set("_lexicon.example.com", &format!("did={}", author.did));
    assert_checked(&pds.create_account("alice").await).await;
}

#[tokio::test]
async fn a_collection_without_a_lexicon_is_unknown_and_asked_for_once() {
    let dns = Dns::start().await;
    let pds = resolving(&dns).await;
    let alice = pds.create_account("alice").await;
    let note = json!({ "text": "much too long" });
    assert_eq!(create(&alice, note.clone(), None).await, "200 unknown");
    let asked = dns.asked();
    assert!(asked > 0);
    assert_eq!(create(&alice, note.clone(), None).await, "200 unknown");
    assert_eq!(create(&alice, note.clone(), Some(true)).await, format!("400 Unknown lexicon type: {NOTE}"));
    assert_eq!(dns.asked(), asked);
    // Nor are all collections of a large batch looked up, one after the other.
    let write = |n: usize| json!({ "$type": "com.atproto.repo.applyWrites#create", "collection": format!("com.example{n}.a"), "value": {} });
    alice.apply_writes((0..200).map(write).collect()).await.good();
    assert!(dns.asked() < asked + 100, "{}", dns.asked());
}

/// A part of the schema that is missing may be the one that matters.
#[tokio::test]
async fn a_lexicon_that_refers_to_nothing_says_nothing() {
    let dns = Dns::start().await;
    let pds = resolving(&dns).await;
    let author = pds.create_account("author").await;
    publish(&author, note_lexicon()).await;
    dns.set("_lexicon.example.com", &format!("did={}", author.did));
    assert_eq!(create(&author, json!({ "text": "much too long" }), None).await, "200 unknown");
}

#[tokio::test]
async fn nothing_is_looked_up_where_the_operator_does_not_want_it() {
    let dns = Dns::start().await;
    let address = dns.address;
    let pds = TestPds::start_with(move |config| {
        config.network.resolve_record_lexicons = false;
        config.network.dns_servers = Some(vec![address]);
    })
    .await;
    let alice = pds.create_account("alice").await;
    assert_eq!(create(&alice, json!({}), None).await, "200 unknown");
    assert_eq!(dns.asked(), 0);
}
