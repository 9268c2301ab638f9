//! Mail to the owner when someone signs in on a new device.

use serde_json::json;

use crate::support::{Browser, Reply, TestPds, User};

const SUBJECT: &str = "Someone signed in to your account";

impl TestPds {
    async fn log_in_as(&self, user: &User, password: &str, user_agent: &str) -> Reply {
        let body = json!({ "identifier": user.handle, "password": password });
        let client = self.anonymous();
        let request = client.request("POST", "/xrpc/com.atproto.server.createSession").header("user-agent", user_agent);
        client.send(request.json(&body)).await.good()
    }

    async fn alerts(&self, name: &str) -> Vec<String> {
        let mails = self.mails(name).await;
        let alerts = mails.iter().filter(|mail| mail["subject"] == SUBJECT);
        alerts.map(|mail| mail["text"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_new_device_is_told_once() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    pds.log_in_as(&alice, &alice.password, "bot/1").await;
    assert!(pds.alerts("alice").await.is_empty(), "the first device is new to nobody");
    pds.log_in_as(&alice, &alice.password, "bot/1").await;
    assert!(pds.alerts("alice").await.is_empty());
    pds.log_in_as(&alice, &alice.password, "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0").await;
    let alerts = pds.alerts("alice").await;
    assert!(alerts.len() == 1 && alerts[0].contains("Firefox, Linux") && alerts[0].contains("127.0.0.1"), "{alerts:?}");

    let (mut known, mut other) = (Browser::new(&pds), Browser::new(&pds));
    known.sign_in("alice.test", &alice.password).await;
    assert_eq!(pds.alerts("alice").await.len(), 2);
    known.sign_in("alice.test", &alice.password).await;
    assert_eq!(pds.alerts("alice").await.len(), 2, "the browser keeps its name");
    other.sign_in("alice.test", &alice.password).await;
    assert_eq!(pds.alerts("alice").await.len(), 3);
    // A failed attempt is nobody's sign-in.
    other.sign_in("alice.test", "wrong").await;
    assert_eq!(pds.alerts("alice").await.len(), 3);
}

#[tokio::test]
async fn programs_with_app_passwords_make_no_mail() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    pds.log_in_as(&alice, &alice.password, "app").await;
    let made = alice.post("com.atproto.server.createAppPassword", &json!({ "name": "bot" })).await.good().json();
    pds.log_in_as(&alice, made["password"].as_str().unwrap(), "bot").await;
    assert!(pds.alerts("alice").await.is_empty());
}
