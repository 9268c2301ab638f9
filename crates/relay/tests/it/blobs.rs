//! Blobs: uploaded, referred to, fetched, collected.

use std::collections::BTreeSet;

use common::Cid;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::{Client, Reply, TestPds, User};

const UPLOAD: &str = "com.atproto.repo.uploadBlob";
const PROFILE: &str = "app.bsky.actor.profile";
/// The beginning of a PNG, which is all that tells what it is.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";

impl User {
    async fn upload(&self, content_type: &str, bytes: &[u8]) -> Value {
        self.post_bytes(UPLOAD, content_type, bytes.to_vec()).await.good().json()["blob"].clone()
    }

    async fn upload_image(&self, tail: &str) -> Value {
        self.upload("image/png", &[PNG, tail.as_bytes()].concat()).await
    }

    async fn fetch(&self, blob: &Value, headers: &[(&str, &str)]) -> Reply {
        fetch(self, "GET", &self.did, cid_of(blob), headers).await
    }

    async fn blobs(&self, extra: &[(&str, &str)]) -> Vec<String> {
        let params = [&[("did", self.did.as_str())], extra].concat();
        let reply = self.get("com.atproto.sync.listBlobs", &params).await.good().json();
        reply["cids"].as_array().unwrap().iter().map(|cid| cid.as_str().unwrap().to_owned()).collect()
    }
}

async fn fetch(client: &Client, method: &str, did: &str, cid: &str, headers: &[(&str, &str)]) -> Reply {
    let request = client.request(method, &format!("/xrpc/com.atproto.sync.getBlob?did={did}&cid={cid}"));
    client.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

fn cid_of(blob: &Value) -> &str {
    blob["ref"]["$link"].as_str().unwrap()
}

fn header<'r>(reply: &'r Reply, name: &str) -> &'r str {
    reply.headers.get(name).map_or("-", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn an_upload_names_what_it_stored() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let reply = alice.post_bytes(UPLOAD, "text/plain; charset=utf-8", b"hello world".to_vec()).await.good();
    assert_snapshot!(
        reply.text(),
        @r#"{"blob":{"$type":"blob","ref":{"$link":"bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"},"mimeType":"text/plain","size":11}}"#
    );
    assert_eq!(alice.upload("text/plain", b"hello world").await, reply.json()["blob"], "the same bytes are the same blob");
    let cid = Cid::raw(b"hello world").to_string();
    assert_eq!(cid_of(&reply.json()["blob"]), cid);
}

#[tokio::test]
async fn the_type_is_what_the_bytes_say_or_else_the_sender() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let stored = async |content_type: &str, bytes: &[u8]| {
        alice.upload(content_type, bytes).await["mimeType"].as_str().unwrap().to_owned()
    };
    assert_eq!(stored("application/octet-stream", PNG).await, "image/png");
    assert_eq!(stored("*/*", b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01").await, "image/jpeg");
    assert_eq!(stored("video/mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom").await, "video/mp4");
    assert_eq!(stored("text/vtt", b"WEBVTT\n\n").await, "text/vtt");
    assert_eq!(stored("application/json", b"{}").await, "application/json");
    assert_eq!(stored("image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'/>").await, "image/svg+xml");
}

/// Incident 14: the official PDS answered 500 to an image that was cut off.
#[tokio::test]
async fn a_truncated_image_is_stored() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    for len in 1..PNG.len() {
        let blob = alice.upload("image/png", &PNG[..len]).await;
        assert_eq!((&blob["mimeType"], &blob["size"]), (&json!("image/png"), &json!(len)));
    }
}

#[tokio::test]
async fn uploads_that_cannot_be_are_refused() {
    let pds = TestPds::start_with(|config| config.limits.blob_upload_bytes = 1000).await;
    let alice = pds.create_account("alice").await;
    alice.upload("a/b", &[0; 1000]).await;
    assert_eq!(alice.post_bytes(UPLOAD, "a/b", vec![0; 1001]).await.summary(), "413 PayloadTooLarge");
    // As chunks, whose sum is not announced.
    let chunks = futures_util::stream::iter((0..11).map(|_| Ok::<_, std::io::Error>(vec![0_u8; 100])));
    let request = alice.request("POST", &format!("/xrpc/{UPLOAD}")).header("content-type", "a/b");
    assert_eq!(alice.send(request.body(reqwest::Body::wrap_stream(chunks))).await.summary(), "413 PayloadTooLarge");

    assert_eq!(pds.anonymous().post_bytes(UPLOAD, "a/b", b"x".to_vec()).await.summary(), "401 AuthMissing");
    let request = alice.request("POST", &format!("/xrpc/{UPLOAD}")).body(b"x".to_vec());
    let told = alice.send(request).await.json()["message"].clone();
    assert_eq!(told, "Request encoding (Content-Type) required but not provided");
    assert_eq!(alice.post_bytes(UPLOAD, "nonsense", b"x".to_vec()).await.status, 400);
    assert!(matches!(alice.post_bytes(UPLOAD, "a/b", Vec::new()).await.status, 200 | 400));
    for (encoding, statuses) in [("gzip", [400, 415]), ("compress", [400, 415])] {
        let request = alice.request("POST", &format!("/xrpc/{UPLOAD}"));
        let request = request.header("content-type", "a/b").header("content-encoding", encoding).body("not packed at all");
        let reply = alice.send(request).await;
        assert!(statuses.contains(&reply.status), "{encoding}: {}", reply.text());
    }
}

#[tokio::test]
async fn a_blob_is_fetched_only_while_a_record_refers_to_it() {
    let pds = TestPds::start().await;
    let (alice, bob) = (pds.create_account("alice").await, pds.create_account("bob").await);
    let blob = alice.upload("text/plain", b"hello").await;
    assert_eq!(alice.fetch(&blob, &[]).await.status, 400, "a temporary blob is not for others");
    assert!(alice.blobs(&[]).await.is_empty());

    for key in ["one", "two"] {
        alice.put_record("a.b.c", key, json!({ "blob": blob })).await.good();
    }
    assert_eq!(alice.fetch(&blob, &[]).await.good().text(), "hello");
    assert_eq!(alice.blobs(&[]).await, [cid_of(&blob)]);
    assert_eq!(fetch(&alice, "GET", &bob.did, cid_of(&blob), &[]).await.status, 400, "bob has no such blob");

    alice.delete_record("a.b.c", "one").await.good();
    alice.fetch(&blob, &[]).await.good();
    alice.put_record("a.b.c", "two", json!({ "blob": null })).await.good();
    assert_eq!(alice.fetch(&blob, &[]).await.status, 400);
    assert!(alice.blobs(&[]).await.is_empty());
    // The same bytes may be uploaded again.
    let again = alice.upload("text/plain", b"hello").await;
    alice.put_record("a.b.c", "three", json!({ "blob": again })).await.good();
    alice.fetch(&blob, &[]).await.good();

    let pds = pds.restart().await;
    assert_eq!(fetch(&pds.anonymous(), "GET", &alice.did, cid_of(&blob), &[]).await.good().text(), "hello");
    alice.post("com.atproto.server.deactivateAccount", &json!({})).await.good();
    assert_eq!(fetch(&pds.anonymous(), "GET", &alice.did, cid_of(&blob), &[]).await.summary(), "400 RepoDeactivated");
    fetch(&alice, "GET", &alice.did, cid_of(&blob), &[]).await.good();
}

/// One account's deletion must not take away what another's record refers to.
#[tokio::test]
async fn two_accounts_may_hold_the_same_bytes() {
    let pds = TestPds::start().await;
    let (alice, bob) = (pds.create_account("alice").await, pds.create_account("bob").await);
    for user in [&alice, &bob] {
        let blob = user.upload("text/plain", b"shared").await;
        user.put_record("a.b.c", "key", json!({ "blob": blob })).await.good();
    }
    let blob = json!({ "ref": { "$link": Cid::raw(b"shared").to_string() } });
    alice.delete_record("a.b.c", "key").await.good();
    assert_eq!(alice.fetch(&blob, &[]).await.status, 400);
    assert_eq!(bob.fetch(&blob, &[]).await.good().text(), "shared");
}

/// Incidents 14 and 15: the official PDS compares these for temporary blobs alone.
#[tokio::test]
async fn a_reference_that_misstates_its_blob_is_refused() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let blob = alice.upload_image("").await;
    let with = |field: &str, value: Value| {
        let mut blob = blob.clone();
        blob[field] = value;
        json!({ "blob": blob })
    };
    for permanent in [false, true] {
        for key in ["key", "new"] {
            for (wrong, expected) in [
                (with("mimeType", json!("image/jpeg")), "400 InvalidMimeType"),
                (with("size", json!(PNG.len() + 1)), "400 InvalidSize"),
                (with("size", json!(0)), "400 InvalidSize"),
            ] {
                let told = alice.put_record("a.b.c", key, wrong).await.summary();
                assert_eq!(told, expected, "permanent: {permanent}");
            }
        }
        alice.put_record("a.b.c", "key", json!({ "blob": blob })).await.good();
    }
    // The schema of a known type has its own opinion.
    let text = alice.upload("text/plain", b"no picture").await;
    assert_eq!(alice.put_record(PROFILE, "self", json!({ "avatar": text })).await.status, 400);
    let large = alice.upload("image/png", &[PNG, &vec![0; 1_000_000]].concat()).await;
    assert_eq!(alice.put_record(PROFILE, "self", json!({ "avatar": large })).await.status, 400);
}

/// Incident 7: every second edit of a profile failed where the reference to its picture was not a link.
#[tokio::test]
async fn an_avatar_may_be_changed_and_kept() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let mut follower = pds.follow(None).await;
    let (first, second) = (alice.upload_image("1").await, alice.upload_image("2").await);
    let put = async |name: &str, avatar: &Value| {
        alice.put_record(PROFILE, "self", json!({ "displayName": name, "avatar": avatar })).await.good();
        alice.fetch(avatar, &[]).await.good();
        let got = alice.get_record(PROFILE, "self").await.good().json();
        assert_eq!(got["value"]["avatar"], *avatar);
        got["cid"].as_str().unwrap().to_owned()
    };
    put("Alice", &first).await;
    put("Alice", &second).await;
    assert_eq!(alice.fetch(&first, &[]).await.status, 400, "nothing refers to the old picture");
    put("Alice Liddell", &second).await;
    let first = alice.upload_image("1").await;
    let cid = put("Alice", &first).await;
    assert_eq!(alice.blobs(&[]).await, [cid_of(&first)]);

    // In the block it is a link, not a map.
    let blocks = alice.get("com.atproto.sync.getBlocks", &[("did", &alice.did), ("cids", &cid)]).await.good().bytes;
    let record = common::cbor::decode(&repo_engine::car::read_all(&blocks).unwrap().1[0].bytes).unwrap();
    assert_eq!(record.get("avatar").unwrap().get("ref").unwrap().as_link().unwrap().to_string(), cid_of(&first));
    for expected in ["create", "update", "update", "update"] {
        assert_eq!(follower.next().await.unwrap().ops(), [format!("{expected} {PROFILE}/self")]);
    }
}

/// Incident 6: references inside arrays were missed, and their blobs collected.
#[tokio::test]
async fn references_are_found_wherever_they_are() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let mut blobs = Vec::new();
    for n in 0..5 {
        blobs.push(alice.upload_image(&n.to_string()).await);
    }
    let image = |blob: &Value| json!({ "image": blob, "alt": "" });
    let post = json!({
        "text": "", "createdAt": "2026-01-01T00:00:00Z",
        "embed": { "$type": "app.bsky.embed.images", "images": [image(&blobs[0]), image(&blobs[1])] },
    });
    let rkey = alice.create_record("app.bsky.feed.post", post).await.good().json()["uri"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let deep = json!({ "a": [[{ "b": [1, { "c": blobs[2] }] }], blobs[3], blobs[3]] });
    let body = json!({ "repo": alice.did, "collection": "a.b.c", "rkey": "key", "record": deep, "validate": false });
    alice.post("com.atproto.repo.putRecord", &body).await.good();
    for blob in &blobs[..4] {
        alice.fetch(blob, &[]).await.good();
    }
    assert_eq!(alice.fetch(&blobs[4], &[]).await.status, 400);
    // A batch that moves a reference from one record to another never lets go of it.
    let batch = json!([
        { "$type": "com.atproto.repo.applyWrites#delete", "collection": "app.bsky.feed.post", "rkey": rkey },
        { "$type": "com.atproto.repo.applyWrites#create", "collection": "a.b.c", "rkey": "heir", "value": { "blobs": [blobs[0]] } },
    ]);
    alice.apply_writes(batch).await.good();
    alice.fetch(&blobs[0], &[]).await.good();
    assert_eq!(alice.fetch(&blobs[1], &[]).await.status, 400);
}

#[tokio::test]
async fn blobs_are_listed_by_rev_and_page_by_page() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let (mut cids, mut revs) = (Vec::new(), Vec::new());
    for n in 0..7 {
        let blob = alice.upload_image(&n.to_string()).await;
        let put = alice.put_record("a.b.c", &n.to_string(), json!({ "blob": blob })).await.good().json();
        cids.push(cid_of(&blob).to_owned());
        revs.push(put["commit"]["rev"].as_str().unwrap().to_owned());
    }
    let set = |cids: &[String]| cids.iter().cloned().collect::<BTreeSet<_>>();
    for n in 0..7 {
        assert_eq!(set(&alice.blobs(&[("since", &revs[n])]).await), set(&cids[n + 1..]));
    }
    let (mut found, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut params = vec![("did", alice.did.as_str()), ("limit", "3")];
        params.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = alice.get("com.atproto.sync.listBlobs", &params).await.good().json();
        let page_cids = page["cids"].as_array().unwrap();
        assert!(page_cids.len() <= 3);
        found.extend(page_cids.iter().map(|cid| cid.as_str().unwrap().to_owned()));
        match page["cursor"].as_str() {
            Some(next) if !page_cids.is_empty() => cursor = Some(next.to_owned()),
            _ => break,
        }
    }
    assert_eq!((found.len(), set(&found)), (7, set(&cids)));

    for (name, wrong) in
        [("limit", "0"), ("limit", "1001"), ("since", "yesterday"), ("cursor", "nonsense"), ("did", "alice.test")]
    {
        let mut params = vec![(name, wrong)];
        if name != "did" {
            params.push(("did", &alice.did));
        }
        assert_eq!(alice.get("com.atproto.sync.listBlobs", &params).await.summary(), "400 InvalidRequest", "{name}={wrong}");
    }
    let nobody = [("did", "did:plc:ewvi7nxzyoun6zhxrhs64oiz")];
    assert_eq!(alice.get("com.atproto.sync.listBlobs", &nobody).await.summary(), "400 RepoNotFound");
}

#[tokio::test]
async fn a_blob_is_sent_so_that_no_browser_runs_it() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let blob = alice.upload("text/html", b"<script>alert(1)</script>").await;
    alice.put_record("a.b.c", "key", json!({ "blob": blob })).await.good();
    for method in ["GET", "HEAD"] {
        let reply = fetch(&pds.anonymous(), method, &alice.did, cid_of(&blob), &[]).await.good();
        let names = [
            "content-type",
            "content-length",
            "content-disposition",
            "x-content-type-options",
            "content-security-policy",
            "accept-ranges",
        ];
        let headers: Vec<_> = names.iter().map(|name| header(&reply, name)).collect();
        let file = format!("attachment; filename=\"{}\"", cid_of(&blob));
        assert_eq!(headers, ["text/html", "25", &file, "nosniff", "default-src 'none'; sandbox", "bytes"]);
        assert_eq!(reply.bytes.len(), if method == "GET" { 25 } else { 0 });
    }
    for (did, cid, told) in [
        ("nobody", cid_of(&blob), "400 InvalidRequest"),
        (alice.did.as_str(), "nonsense", "400 InvalidRequest"),
        ("did:plc:ewvi7nxzyoun6zhxrhs64oiz", cid_of(&blob), "400 RepoNotFound"),
    ] {
        assert_eq!(fetch(&alice, "GET", did, cid, &[]).await.summary(), told);
    }
    // The digest of a blob, but the CID of something else.
    let other_codec = Cid::dag_cbor(b"<script>alert(1)</script>").to_string();
    assert_eq!(fetch(&alice, "GET", &alice.did, &other_codec, &[]).await.status, 400);
}

#[tokio::test]
async fn parts_of_a_blob_are_sent() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let blob = alice.upload("text/plain", b"hello world").await;
    alice.put_record("a.b.c", "key", json!({ "blob": blob })).await.good();
    let etag = header(&alice.fetch(&blob, &[]).await.good(), "etag").to_owned();
    let part = async |headers: &[(&str, &str)]| {
        let reply = alice.fetch(&blob, headers).await;
        let text = if reply.status == 416 { String::new() } else { reply.text() };
        format!("{} {} {} {text}", reply.status, header(&reply, "content-length"), header(&reply, "content-range"))
    };
    assert_eq!(part(&[("range", "bytes=2-4")]).await, "206 3 bytes 2-4/11 llo");
    assert_eq!(part(&[("range", "bytes=6-")]).await, "206 5 bytes 6-10/11 world");
    assert_eq!(part(&[("range", "bytes=-3")]).await, "206 3 bytes 8-10/11 rld");
    assert_eq!(part(&[("range", "bytes=-300")]).await, "206 11 bytes 0-10/11 hello world");
    assert_eq!(part(&[("range", "bytes=0-300")]).await, "206 11 bytes 0-10/11 hello world");
    assert!(part(&[("range", "bytes=11-")]).await.contains(" bytes */11 "));
    assert!(part(&[("range", "bytes=11-")]).await.starts_with("416 "));
    for whole in ["bytes=4-2", "lines=1-2", "bytes=a-b", "bytes=0-1,4-5", "", "bytes=99999999999999999999999-"] {
        let sent = part(&[("range", whole)]).await;
        assert!(sent == "200 11 - hello world" || sent.starts_with("416 ") || sent.starts_with("206 "), "{whole}: {sent}");
    }
    assert_eq!(part(&[("range", "bytes=2-4"), ("if-range", &etag)]).await, "206 3 bytes 2-4/11 llo");
    assert_eq!(part(&[("range", "bytes=2-4"), ("if-range", "\"other\"")]).await, "200 11 - hello world");
    let head = fetch(&alice, "HEAD", &alice.did, cid_of(&blob), &[("range", "bytes=2-4")]).await;
    assert_eq!((head.status, header(&head, "content-length")), (200, "11"));
}

#[tokio::test]
async fn who_has_a_blob_need_not_fetch_it() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let blob = alice.upload("text/plain", b"hello world").await;
    alice.put_record("a.b.c", "key", json!({ "blob": blob })).await.good();
    let etag = header(&alice.fetch(&blob, &[]).await.good(), "etag").to_owned();
    assert_eq!(etag, format!("\"{}\"", cid_of(&blob)));
    let status = async |headers: &[(&str, &str)]| alice.fetch(&blob, headers).await.status;
    assert_eq!(status(&[("if-none-match", &etag)]).await, 304);
    assert_eq!(status(&[("if-none-match", &format!("\"a\", W/{etag}"))]).await, 304);
    assert_eq!(status(&[("if-none-match", "*")]).await, 304);
    assert_eq!(status(&[("if-none-match", "\"other\"")]).await, 200);
    assert_eq!(status(&[("if-match", "\"other\"")]).await, 412);
    assert_eq!(status(&[("if-match", &etag)]).await, 200);
    // A blob that is gone is gone, also for who has it.
    alice.delete_record("a.b.c", "key").await.good();
    assert_eq!(status(&[("if-none-match", &etag)]).await, 400);
}

/// The video service uploads with a token that its user asked for.
#[tokio::test]
async fn a_service_uploads_for_who_sent_it() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let service = alice.get("com.atproto.server.describeServer", &[]).await.good().json()["did"].as_str().unwrap().to_owned();
    let token = async |aud: &str, lxm: &str| {
        let reply = alice.get("com.atproto.server.getServiceAuth", &[("aud", aud), ("lxm", lxm)]).await.good();
        reply.json()["token"].as_str().unwrap().to_owned()
    };
    let upload = async |token: &str| alice.with_token(token).post_bytes(UPLOAD, "video/mp4", b"video".to_vec()).await;
    let good = token(&service, UPLOAD).await;
    let blob = upload(&good).await.good().json()["blob"].clone();
    alice.put_record("a.b.c", "key", json!({ "blob": blob })).await.good();
    assert_eq!(upload(&token(&service, "com.atproto.repo.createRecord").await).await.status, 401);
    assert_eq!(upload(&token("did:web:other.example.com", UPLOAD).await).await.status, 401);
    let (head, signature) = good.rsplit_once('.').unwrap();
    let flipped = format!("{head}.{}{}", if signature.starts_with('A') { "B" } else { "A" }, &signature[1..]);
    assert_eq!(upload(&flipped).await.status, 401);
    pds.clock().shift_micros(61_000_000);
    assert_eq!(upload(&good).await.status, 401, "it was good for a minute");
}

/// Whoever moves here uploads before the account is active.
#[tokio::test]
async fn a_deactivated_account_may_upload() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    alice.post("com.atproto.server.deactivateAccount", &json!({})).await.good();
    alice.upload("text/plain", b"moving").await;
}

/// An app that edits a profile of 2022 sends its pictures back as it found them: maps of CID and type alone. Each such edit
/// was refused, since new records must not have them.
#[tokio::test]
async fn a_profile_of_the_first_days_can_be_edited() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let avatar = alice.upload("text/plain", b"a picture").await;
    let legacy = json!({ "cid": avatar["ref"]["$link"], "mimeType": "image/png" });
    let profile = json!({ "displayName": "Alice", "other": legacy });
    assert_eq!(alice.put_record("app.bsky.actor.profile", "self", profile).await.summary(), "400 InvalidRequest");
    let unknown = json!({ "cid": "bafkreiclp443lavogvhj3d2ob2cxbfuscni2k5jk7bebjzg7khl3esabwq", "mimeType": "image/png" });
    let profile = json!({ "avatar": unknown });
    assert_eq!(alice.put_record("app.bsky.actor.profile", "self", profile).await.summary(), "400 InvalidRequest");

    let body = json!({
        "repo": alice.did, "collection": "app.bsky.actor.profile", "rkey": "self", "validate": false,
        "record": { "displayName": "Alice", "avatar": legacy },
    });
    alice.post("com.atproto.repo.putRecord", &body).await.good();
    let stored = alice.get_record("app.bsky.actor.profile", "self").await.good().json();
    assert_eq!(stored["value"]["avatar"], avatar);
    assert_eq!(alice.fetch(&avatar, &[]).await.good().text(), "a picture");
}
