//! A user, who acts through the public API alone.

use std::ops::Deref;

use serde_json::{Value, json};

use super::{Client, Reply, TestPds};

/// An account that is signed in.
#[derive(Clone)]
pub(crate) struct User {
    client: Client,
    pub(crate) did: String,
    pub(crate) handle: String,
    pub(crate) password: String,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Deref for User {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl User {
    pub(crate) async fn create(pds: &TestPds, name: &str) -> Self {
        Self::register(&pds.anonymous(), name).await
    }

    /// Creates `<name>.test` through `client`.
    pub(crate) async fn register(client: &Client, name: &str) -> Self {
        let (handle, password) = (format!("{name}.test"), format!("{name}-password"));
        let body = json!({ "handle": handle, "email": format!("{name}@example.com"), "password": password });
        let reply = client.post("com.atproto.server.createAccount", &body).await.good().json();
        Self::of(client, &reply, password)
    }

    /// Opens an account at `pds` for `old`, an account elsewhere, and signs in there.
    pub(crate) async fn arrive(pds: &TestPds, old: &User) -> Self {
        let anyone = pds.anonymous();
        let server = anyone.get("com.atproto.server.describeServer", &[]).await.good().json();
        let params = [("aud", server["did"].as_str().unwrap()), ("lxm", "com.atproto.server.createAccount")];
        let reply = old.get("com.atproto.server.getServiceAuth", &params).await.good().json();
        let password = "a new password".to_owned();
        let body = json!({ "did": old.did, "handle": old.handle, "email": "arrival@example.com", "password": password });
        let arrival = anyone.with_token(reply["token"].as_str().unwrap());
        let reply = arrival.post("com.atproto.server.createAccount", &body).await.good().json();
        Self::of(&anyone, &reply, password)
    }

    /// Signs in to `<name>.test`, whose password is as of [`User::register`].
    pub(crate) async fn sign_in(client: &Client, name: &str) -> Self {
        Self::sign_in_with(client, &format!("{name}.test"), &format!("{name}-password")).await
    }

    pub(crate) async fn sign_in_with(client: &Client, identifier: &str, password: &str) -> Self {
        let body = json!({ "identifier": identifier, "password": password });
        let reply = client.post("com.atproto.server.createSession", &body).await.good().json();
        Self::of(client, &reply, password.to_owned())
    }

    fn of(client: &Client, reply: &Value, password: String) -> Self {
        let text = |field: &str| reply[field].as_str().unwrap().to_owned();
        let access = text("accessJwt");
        Self {
            client: client.with_token(&access),
            did: text("did"),
            refresh: text("refreshJwt"),
            handle: text("handle"),
            password,
            access,
        }
    }

    /// Creates a record, under a new key.
    pub(crate) async fn create_record(&self, collection: &str, record: Value) -> Reply {
        let body = json!({ "repo": self.did, "collection": collection, "record": record });
        self.post("com.atproto.repo.createRecord", &body).await
    }

    /// Creates a post and returns its rkey.
    pub(crate) async fn create_post(&self, text: &str) -> String {
        let reply = self.create_record("app.bsky.feed.post", post(text)).await.good().json();
        reply["uri"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
    }

    pub(crate) async fn put_record(&self, collection: &str, rkey: &str, record: Value) -> Reply {
        let body = json!({ "repo": self.did, "collection": collection, "rkey": rkey, "record": record });
        self.post("com.atproto.repo.putRecord", &body).await
    }

    pub(crate) async fn delete_record(&self, collection: &str, rkey: &str) -> Reply {
        let body = json!({ "repo": self.did, "collection": collection, "rkey": rkey });
        self.post("com.atproto.repo.deleteRecord", &body).await
    }

    pub(crate) async fn apply_writes(&self, writes: Value) -> Reply {
        let body = json!({ "repo": self.did, "writes": writes });
        self.post("com.atproto.repo.applyWrites", &body).await
    }

    pub(crate) async fn get_record(&self, collection: &str, rkey: &str) -> Reply {
        let params = [("repo", self.did.as_str()), ("collection", collection), ("rkey", rkey)];
        self.get("com.atproto.repo.getRecord", &params).await
    }

    /// Returns CID and rev of the head.
    pub(crate) async fn latest_commit(&self) -> (String, String) {
        let reply = self.get("com.atproto.sync.getLatestCommit", &[("did", &self.did)]).await.good().json();
        (reply["cid"].as_str().unwrap().to_owned(), reply["rev"].as_str().unwrap().to_owned())
    }

    /// Returns the repo as a CAR.
    pub(crate) async fn export(&self) -> Vec<u8> {
        self.get("com.atproto.sync.getRepo", &[("did", &self.did)]).await.good().bytes
    }
}

/// A post.
pub(crate) fn post(text: &str) -> Value {
    json!({ "$type": "app.bsky.feed.post", "text": text, "createdAt": "2026-01-01T00:00:00.000Z" })
}
