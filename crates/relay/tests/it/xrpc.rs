//! The rules that hold for every method: verbs, paths, parameters, bodies, headers.

use std::net::SocketAddr;
use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Client, Reply, TestPds};

/// Sends bytes as they are, and returns all that comes back until the server closes the connection.
async fn raw(address: SocketAddr, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    // A server that has heard enough may close before all is written.
    drop(socket.write_all(request).await);
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), socket.read_to_end(&mut answer)).await;
    drop(read.expect("the server closes the connection"));
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends a request whose method, path and headers a client library would not write.
async fn send(client: &Client, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let request = headers.iter().fold(client.request(method, path), |request, (name, value)| request.header(*name, *value));
    client.send(request).await
}

fn header<'r>(reply: &'r Reply, name: &str) -> &'r str {
    reply.headers.get(name).map_or("-", |value| value.to_str().unwrap())
}

/// Whether `vary` names a header, in any of its lines.
fn varies(reply: &Reply, name: &str) -> bool {
    let lines = reply.headers.get_all("vary").iter().map(|value| value.to_str().unwrap());
    lines.flat_map(|line| line.split(',')).any(|one| one.trim().eq_ignore_ascii_case(name))
}

fn message(reply: &Reply) -> String {
    format!("{}: {}", reply.summary(), reply.json()["message"].as_str().unwrap())
}

#[tokio::test]
async fn a_method_that_is_not_served_asks_for_a_token_and_then_for_a_service() {
    let pds = TestPds::start().await;
    let (anyone, alice) = (pds.anonymous(), pds.create_account("alice").await);
    for method in ["GET", "POST"] {
        assert_eq!(send(&anyone, method, "/xrpc/app.example.thing", &[]).await.summary(), "401 AuthMissing");
        let reply = send(&alice, method, "/xrpc/app.example.thing", &[]).await;
        assert_eq!(message(&reply), "400 InvalidRequest: No service configured for app.example.thing");
    }
    assert_eq!(send(&alice, "GET", "/xrpc/not-an-nsid", &[]).await.summary(), "400 InvalidRequest");
    assert_eq!(send(&anyone, "DELETE", "/xrpc/app.example.thing", &[]).await.summary(), "400 InvalidRequest");
    assert_eq!(send(&anyone, "GET", "/xrpc/", &[]).await.summary(), "400 InvalidRequest");
    for path in ["/nothing", "/xrpc", "/xrpc/a.b.c/d", "/../etc/passwd"] {
        assert_eq!(send(&anyone, "GET", path, &[]).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_wrong_verb_is_told_the_right_one() {
    let pds = TestPds::start().await;
    let anyone = pds.anonymous();
    let wrong = async |method, nsid| message(&send(&anyone, method, &format!("/xrpc/{nsid}"), &[]).await);
    assert_snapshot!(
        wrong("GET", "com.atproto.repo.createRecord").await,
        @"400 InvalidRequest: Incorrect HTTP method (GET) expected POST"
    );
    assert_snapshot!(
        wrong("POST", "com.atproto.repo.getRecord").await,
        @"400 InvalidRequest: Incorrect HTTP method (POST) expected GET"
    );
    for method in ["PUT", "DELETE", "PATCH"] {
        for nsid in ["com.atproto.repo.createRecord", "com.atproto.repo.getRecord"] {
            assert_eq!(wrong(method, nsid).await, "400 InvalidRequest: XRPC requests only supports GET and POST");
        }
    }
    let head = send(&anyone, "HEAD", "/xrpc/com.atproto.repo.createRecord", &[]).await;
    assert_eq!((head.status, head.bytes.len()), (400, 0));
}

#[tokio::test]
async fn a_slash_at_the_end_changes_nothing() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let with = send(&alice, "GET", "/xrpc/com.atproto.server.describeServer/", &[]).await.good();
    let without = send(&alice, "GET", "/xrpc/com.atproto.server.describeServer", &[]).await.good();
    assert_eq!(with.bytes, without.bytes);
    let body = json!({ "repo": alice.did, "collection": "a.b.c", "record": {} });
    let request = alice.request("POST", "/xrpc/com.atproto.repo.createRecord/").json(&body);
    alice.send(request).await.good();
}

#[tokio::test]
async fn parameters_are_checked_before_the_token() {
    let pds = TestPds::start().await;
    let garbled = pds.anonymous().with_token("garbage");
    for path in [
        "/xrpc/com.atproto.server.getAccountInviteCodes?includeUsed=maybe",
        "/xrpc/com.atproto.server.getServiceAuth",
        "/xrpc/com.atproto.sync.getBlob",
        "/xrpc/com.atproto.sync.listBlobs?did=nobody",
        "/xrpc/com.atproto.sync.getRepo?did=nobody",
        "/xrpc/com.atproto.sync.getLatestCommit",
    ] {
        let told = message(&send(&garbled, "GET", path, &[]).await);
        let nsid = path.trim_start_matches("/xrpc/").split('?').next().unwrap();
        assert!(told.starts_with(&format!("400 InvalidRequest: Invalid {nsid} params: ")), "{path}: {told}");
    }
}

#[tokio::test]
async fn parameters_are_parsed_and_bounded() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    for n in 0..3 {
        alice.create_post(&n.to_string()).await;
    }
    let list = async |query: &str| {
        let path = format!("/xrpc/com.atproto.repo.listRecords?repo={}&collection=app.bsky.feed.post{query}", alice.did);
        let reply = send(&pds.anonymous(), "GET", &path, &[]).await;
        match reply.status {
            200 => format!("{} records", reply.json()["records"].as_array().unwrap().len()),
            _ => message(&reply),
        }
    };
    assert_eq!(list("").await, "3 records");
    assert_eq!(list("&limit=2").await, "2 records");
    assert_eq!(list("&limit=").await, "3 records", "an empty value is an absent one");
    assert_eq!(list("&limit=100&unknown=1&unknown=2&%ff=%ff").await, "3 records", "unknown parameters are tolerated");
    assert_eq!(list("&reverse=true").await, "3 records");
    for wrong in
        ["limit=0", "limit=101", "limit=-1", "limit=ten", "limit=1.5", "limit=99999999999999999999", "reverse=yes", "reverse=1"]
    {
        let told = list(&format!("&{wrong}")).await;
        assert!(told.starts_with("400 InvalidRequest: Invalid com.atproto.repo.listRecords params: "), "{wrong}: {told}");
    }
    for query in [
        "",
        "repo=alice.test",
        "repo=a&collection=a.b.c",
        "repo=alice.test&collection=a",
        "repo=alice.test&collection=a.b.c%00",
    ] {
        let reply = send(&alice, "GET", &format!("/xrpc/com.atproto.repo.listRecords?{query}"), &[]).await;
        assert_eq!(reply.summary(), "400 InvalidRequest", "{query}");
    }
    // Repeated keys are an array, where one is expected.
    let (head, _) = alice.latest_commit().await;
    let path = format!("/xrpc/com.atproto.sync.getBlocks?did={}&cids={head}&cids={head}", alice.did);
    send(&alice, "GET", &path, &[]).await.good();
    let missing = "bafyreihffx5a2e7k5uwrmmgofbvzujc5cmw5h4espouwuxt3liqoflx3ee";
    assert_eq!(send(&alice, "GET", &format!("{path}&cids={missing}"), &[]).await.status, 400);
    assert_eq!(send(&alice, "GET", &format!("{path}&cids=nonsense"), &[]).await.summary(), "400 InvalidRequest");
}

#[tokio::test]
async fn a_body_must_be_there_and_be_json() {
    let pds = TestPds::start().await;
    let address = pds.address();
    let call = async |headers: &str, body: &str| {
        let request = format!(
            "POST /xrpc/com.atproto.server.createSession HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n{body}"
        );
        let answer = raw(address, request.as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let (error, message) = (body["error"].as_str().unwrap(), body["message"].as_str().unwrap());
        format!("{} {error}: {message}", &head[9..12])
    };
    assert_snapshot!(call("", "").await, @"400 InvalidRequest: A request body is expected but none was provided");
    assert_snapshot!(
        call("content-length: 2\r\n", "{}").await,
        @"400 InvalidRequest: Request encoding (Content-Type) required but not provided"
    );
    assert_snapshot!(
        call("content-length: 2\r\ncontent-type: text/plain\r\n", "{}").await,
        @"400 InvalidRequest: Wrong request encoding (Content-Type): text/plain"
    );
    assert_snapshot!(
        call("content-length: 0\r\ncontent-type: application/json\r\n", "").await,
        @"400 InvalidRequest: A request body is expected but none was provided"
    );
    for broken in [
        "{",
        "{\"identifier\":}",
        "nonsense",
        "{\"identifier\":\"a\",\"password\":\"b\"}{}",
        "{\"identifier\":\"\\ud800\",\"password\":\"\"}",
    ] {
        let headers = format!("content-length: {}\r\ncontent-type: application/json\r\n", broken.len());
        let told = call(&headers, broken).await;
        assert!(told.starts_with("400 SyntaxError: "), "{broken}: {told}");
    }
    for wrong in
        ["{}", "[]", "null", "\"text\"", "1", "{\"identifier\":1,\"password\":\"\"}", "{\"identifier\":\"alice.test\"}"]
    {
        let headers = format!("content-length: {}\r\ncontent-type: application/json; charset=utf-8\r\n", wrong.len());
        let told = call(&headers, wrong).await;
        assert!(told.starts_with("400 InvalidRequest: "), "{wrong}: {told}");
    }
    let long = format!("[{}]", "1,".repeat(80_000));
    let chunked = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let announced = format!("content-length: {}\r\ncontent-type: application/json\r\n", long.len());
    for told in [
        call(&announced, &long).await,
        call("transfer-encoding: chunked\r\ncontent-type: application/json\r\n", &chunked).await,
    ] {
        assert!(told.starts_with("413 PayloadTooLargeError: "), "{told}");
    }
}

/// Records may be larger than other input, though not by much.
#[tokio::test]
async fn a_body_that_holds_records_has_a_limit_of_its_own() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let large = |bytes: usize| json!({ "$type": "a.b.c", "text": "x".repeat(bytes) });
    alice.create_record("a.b.c", large(900_000)).await.good();
    assert_eq!(alice.create_record("a.b.c", large(1_000_000)).await.summary(), "413 PayloadTooLargeError");
    assert_eq!(alice.put_record("a.b.c", "key", large(1_000_000)).await.summary(), "413 PayloadTooLargeError");
    let write = json!([{ "$type": "com.atproto.repo.applyWrites#create", "collection": "a.b.c", "value": large(1_000_000) }]);
    assert_eq!(alice.apply_writes(write).await.summary(), "413 PayloadTooLargeError");
}

/// Mobile clients send `content-length: 0` with and without a content type.
#[tokio::test]
async fn methods_without_input_take_an_empty_body_and_no_other() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let call = async |headers: &str, body: &str| {
        let request = format!(
            "POST /xrpc/com.atproto.server.refreshSession HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             authorization: Bearer {}\r\n{headers}\r\n{body}",
            alice.refresh
        );
        raw(pds.address(), request.as_bytes()).await
    };
    for headers in ["", "content-length: 0\r\n", "content-length: 0\r\ncontent-type: application/json\r\n"] {
        assert!(call(headers, "").await.starts_with("HTTP/1.1 200"), "{headers:?}");
    }
    assert!(call("transfer-encoding: chunked\r\n", "0\r\n\r\n").await.starts_with("HTTP/1.1 200"), "no chunk but the last");
    for (headers, body) in [
        ("content-length: 2\r\ncontent-type: application/json\r\n", "{}"),
        ("content-length: 2\r\n", "{}"),
        ("transfer-encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
    ] {
        let answer = call(headers, body).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("when none was expected"), "{headers:?}: {answer}");
    }
}

#[tokio::test]
async fn procedures_without_output_answer_with_nothing() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let reply = alice.with_token(&alice.refresh).post_nothing("com.atproto.server.deleteSession").await.good();
    assert_eq!((reply.bytes.len(), header(&reply, "content-type")), (0, "-"));
}

#[tokio::test]
async fn pages_of_any_origin_may_call() {
    let pds = TestPds::start().await;
    let anyone = pds.anonymous();
    let asked = [
        ("origin", "https://app.example.com"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,atproto-proxy,content-type"),
    ];
    for path in ["/xrpc/com.atproto.repo.createRecord", "/xrpc/app.example.unknown", "/.well-known/atproto-did"] {
        let reply = send(&anyone, "OPTIONS", path, &asked).await;
        assert_eq!((reply.status, reply.bytes.len()), (204, 0), "{path}");
        assert_eq!(header(&reply, "access-control-allow-origin"), "*");
        assert_eq!(header(&reply, "access-control-allow-methods"), "GET,HEAD,PUT,PATCH,POST,DELETE");
        assert_eq!(header(&reply, "access-control-allow-headers"), "authorization,atproto-proxy,content-type");
        assert_eq!(header(&reply, "access-control-max-age"), "86400");
    }
    // Also on errors, or a page could not read them.
    for path in ["/xrpc/com.atproto.server.describeServer", "/xrpc/com.atproto.server.getSession", "/nothing"] {
        let reply = send(&anyone, "GET", path, &[("origin", "https://app.example.com")]).await;
        assert_eq!(header(&reply, "access-control-allow-origin"), "*", "{path}");
        let exposed = header(&reply, "access-control-expose-headers").to_lowercase();
        for name in
            ["dpop-nonce", "www-authenticate", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "retry-after"]
        {
            assert!(exposed.split(", ").any(|one| one == name), "{name} of {path}");
        }
    }
}

#[tokio::test]
async fn who_has_an_answer_already_is_told_so() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let path = "/xrpc/com.atproto.server.getSession";
    let first = send(&alice, "GET", path, &[]).await.good();
    let tag = header(&first, "etag");
    assert!(tag.starts_with("W/\""), "{tag}");
    assert_eq!(header(&send(&alice, "GET", path, &[]).await, "etag"), tag);
    for known in [tag, "*", &format!("\"other\", {tag}"), tag.trim_start_matches("W/")] {
        let reply = send(&alice, "GET", path, &[("if-none-match", known)]).await;
        assert_eq!((reply.status, reply.bytes.len(), header(&reply, "etag")), (304, 0, tag), "{known}");
    }
    assert_eq!(send(&alice, "GET", path, &[("if-none-match", "\"other\"")]).await.good().bytes, first.bytes);
    // The tag of one account's answer is not that of another's.
    let bob = pds.create_account("bob").await;
    send(&bob, "GET", path, &[("if-none-match", tag)]).await.good();

    let head = send(&alice, "HEAD", path, &[]).await.good();
    assert_eq!((head.bytes.len(), header(&head, "etag"), header(&head, "content-type")), (0, tag, "application/json"));
    assert_eq!(header(&send(&pds.anonymous(), "GET", path, &[]).await, "etag"), "-", "errors have no tag");
}

/// A shared cache must not give one account's answer to another.
#[tokio::test]
async fn answers_that_depend_on_the_caller_say_so() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let status = format!("/xrpc/com.atproto.sync.getLatestCommit?did={}", alice.did);
    for path in ["/xrpc/com.atproto.server.getSession", &status] {
        let reply = send(&alice, "GET", path, &[]).await.good();
        assert_eq!(header(&reply, "cache-control"), "private", "{path}");
        assert!(varies(&reply, "authorization"), "{path}");
    }
}

#[tokio::test]
async fn long_answers_are_compressed_for_who_asks() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    for _ in 0..20 {
        alice.create_post(&"compressible ".repeat(20)).await;
    }
    let list = format!("/xrpc/com.atproto.repo.listRecords?repo={}&collection=app.bsky.feed.post", alice.did);
    let export = format!("/xrpc/com.atproto.sync.getRepo?did={}", alice.did);
    for path in [&list, &export] {
        let plain = send(&pds.anonymous(), "GET", path, &[]).await.good();
        let packed = send(&pds.anonymous(), "GET", path, &[("accept-encoding", "gzip")]).await.good();
        assert_eq!((header(&plain, "content-encoding"), header(&packed, "content-encoding")), ("-", "gzip"));
        assert!(packed.bytes.starts_with(&[0x1f, 0x8b]) && packed.bytes.len() < plain.bytes.len(), "{path}");
        assert!(varies(&packed, "accept-encoding") && varies(&packed, "authorization"));
    }
    let short = send(&alice, "GET", "/xrpc/_health", &[("accept-encoding", "gzip")]).await.good();
    assert_eq!(header(&short, "content-encoding"), "-");
    // The tag of the compressed answer is good for asking again.
    let packed = send(&alice, "GET", &list, &[("accept-encoding", "gzip")]).await.good();
    let again = [("accept-encoding", "gzip"), ("if-none-match", header(&packed, "etag"))];
    assert_eq!(send(&alice, "GET", &list, &again).await.status, 304);
}

/// Makes a gzip stream whose content is stored as it is.
fn gzip_stored(content: &[u8]) -> Vec<u8> {
    let mut crc = u32::MAX;
    for byte in content {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let len = u16::try_from(content.len()).unwrap();
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    out.extend(len.to_le_bytes());
    out.extend((!len).to_le_bytes());
    out.extend(content);
    out.extend((!crc).to_le_bytes());
    out.extend(u32::from(len).to_le_bytes());
    out
}

/// The same in zlib's form, which is what HTTP calls deflate.
fn zlib_stored(content: &[u8]) -> Vec<u8> {
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in content {
        low = (low + u32::from(*byte)) % 65521;
        high = (high + low) % 65521;
    }
    let len = u16::try_from(content.len()).unwrap();
    let mut out = vec![0x78, 0x01, 1];
    out.extend(len.to_le_bytes());
    out.extend((!len).to_le_bytes());
    out.extend(content);
    out.extend(((high << 16) | low).to_be_bytes());
    out
}

/// The same in Brotli: one meta-block that is not compressed, then an empty last one.
fn brotli_stored(content: &[u8]) -> Vec<u8> {
    let len = u32::from(u16::try_from(content.len() - 1).unwrap());
    let mut out = ((len << 4) | 1 << 20).to_le_bytes()[..3].to_vec();
    out.extend(content);
    out.push(3);
    out
}

#[tokio::test]
async fn compressed_input_is_read_or_refused_but_never_mistaken() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let body = json!({ "repo": alice.did, "collection": "a.b.c", "record": { "a": 1 } }).to_string();
    let post = async |encoding: &str, bytes: Vec<u8>| {
        let request = alice.request("POST", "/xrpc/com.atproto.repo.createRecord");
        let request = request.header("content-type", "application/json").header("content-encoding", encoding);
        alice.send(request.body(bytes)).await
    };
    post("gzip", gzip_stored(body.as_bytes())).await.good();
    post("identity", body.clone().into_bytes()).await.good();
    post("deflate", zlib_stored(body.as_bytes())).await.good();
    post("br", brotli_stored(body.as_bytes())).await.good();
    for encoding in ["deflate", "br"] {
        assert_eq!(post(encoding, b"not packed at all".to_vec()).await.status, 400, "{encoding}");
    }
    for (encoding, bytes) in [("gzip", body.clone().into_bytes()), ("gzip", gzip_stored(body.as_bytes())[..40].to_vec())] {
        let reply = post(encoding, bytes).await;
        assert_eq!(reply.status, 400, "{}", reply.text());
    }
    assert_eq!(post("compress", body.into_bytes()).await.status, 415);
}

#[tokio::test]
async fn a_query_takes_no_body() {
    let pds = TestPds::start().await;
    let anyone = pds.anonymous();
    let ask = async |body: reqwest::Body| {
        let request = anyone.request("GET", "/xrpc/com.atproto.server.describeServer");
        anyone.send(request.header("content-type", "application/json").body(body)).await
    };
    let refused = ask("{}".into()).await;
    assert_eq!(refused.summary(), "400 InvalidRequest");
    assert_eq!(refused.json()["message"], "A request body was provided when none was expected");
    // As clients on telephones send it, and as a stream that turns out to be empty.
    ask("".into()).await.good();
    let nothing = futures_util::stream::iter(std::iter::empty::<Result<Vec<u8>, std::io::Error>>());
    ask(reqwest::Body::wrap_stream(nothing)).await.good();
}

#[tokio::test]
async fn a_client_that_waits_to_send_is_told_to_go_on() {
    let pds = TestPds::start().await;
    let mut socket = TcpStream::connect(pds.address()).await.unwrap();
    let body = r#"{"identifier":"nobody.test","password":"wrong"}"#;
    let head = format!(
        "POST /xrpc/com.atproto.server.createSession HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         expect: 100-continue\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    socket.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    socket.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test]
async fn headers_have_limits_of_size_and_time() {
    let pds = TestPds::start_with(|config| config.server.header_timeout = Duration::from_millis(100)).await;
    let long = format!("GET /xrpc/_health HTTP/1.1\r\nhost: localhost\r\nx-long: {}\r\n\r\n", "x".repeat(200_000));
    let answer = raw(pds.address(), long.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let many = format!("GET /xrpc/_health HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x-many: 1\r\n".repeat(1000));
    let answer = raw(pds.address(), many.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    // Whoever does not finish is let go, with an answer or without one.
    for begun in ["", "GET /xrpc/_health HT", "GET /xrpc/_health HTTP/1.1\r\nhost: loc"] {
        let answer = raw(pds.address(), begun.as_bytes()).await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{begun:?}: {answer}");
    }
    pds.anonymous().get("_health", &[]).await.good();
}

#[tokio::test]
async fn a_body_that_does_not_arrive_ends_the_request() {
    let pds = TestPds::start_with(|config| config.server.request_timeout = Duration::from_millis(100)).await;
    let begun = "POST /xrpc/com.atproto.server.createSession HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                 content-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    let answer = raw(pds.address(), begun.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("RequestTimeout"), "{answer}");
}

#[tokio::test]
async fn garbage_is_answered_or_dropped_and_the_server_goes_on() {
    let pds = TestPds::start().await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /xrpc/a.b.c HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /xrpc/a.b.c HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST /xrpc/a.b.c HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let mut socket = TcpStream::connect(pds.address()).await.unwrap();
        socket.write_all(garbage).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = Vec::new();
        drop(socket.read_to_end(&mut answer).await);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    pds.anonymous().get("_health", &[]).await.good();
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let pds = TestPds::start().await;
    let one = "GET /xrpc/_health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let last = "GET /xrpc/_health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = raw(pds.address(), format!("{one}{one}{last}").as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
}

#[tokio::test]
async fn people_and_probes_find_what_they_look_for() {
    let pds = TestPds::start().await;
    let anyone = pds.anonymous();
    let home = send(&anyone, "GET", "/", &[]).await.good();
    assert!(header(&home, "content-type").starts_with("text/plain") && home.text().contains("Personal Data Server"));
    assert!(send(&anyone, "GET", "/robots.txt", &[]).await.good().text().contains("User-agent: *\nAllow: /"));
    let health = anyone.get("_health", &[]).await.good().json();
    assert_eq!(health, json!({ "version": env!("CARGO_PKG_VERSION") }));
}

#[tokio::test]
async fn the_server_describes_itself() {
    let pds = TestPds::start().await;
    let text = pds.anonymous().get("com.atproto.server.describeServer", &[]).await.good().text();
    let text = text.replace(&pds.address().port().to_string(), "<port>");
    assert_snapshot!(
        text,
        @r#"{"did":"did:web:localhost%3A<port>","availableUserDomains":[".test"],"inviteCodeRequired":false,"blobUploadLimit":100000000,"links":{},"contact":{}}"#
    );
}
