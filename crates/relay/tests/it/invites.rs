//! Invite codes.

use serde_json::{Value, json};

use crate::support::{ADMIN_PASSWORD, Reply, TestPds};

impl TestPds {
    async fn invite_only() -> Self {
        Self::start_with(|config| config.accounts.invite_required = true).await
    }

    async fn as_admin(&self, nsid: &str, body: &Value) -> Reply {
        let anyone = self.anonymous();
        let request = anyone.request("POST", &format!("/xrpc/{nsid}")).basic_auth("admin", Some(ADMIN_PASSWORD));
        anyone.send(request.json(body)).await
    }

    async fn new_code(&self, body: &Value) -> String {
        let reply = self.as_admin("com.atproto.server.createInviteCode", body).await.good().json();
        reply["code"].as_str().unwrap().to_owned()
    }

    async fn sign_up(&self, name: &str, code: Option<&str>) -> Reply {
        let mut body =
            json!({ "handle": format!("{name}.test"), "email": format!("{name}@example.com"), "password": "password" });
        if let Some(code) = code {
            body["inviteCode"] = json!(code);
        }
        self.anonymous().post("com.atproto.server.createAccount", &body).await
    }
}

#[tokio::test]
async fn a_code_makes_as_many_accounts_as_it_says() {
    let pds = TestPds::invite_only().await;
    assert_eq!(pds.anonymous().get("com.atproto.server.describeServer", &[]).await.json()["inviteCodeRequired"], true);
    assert_eq!(pds.sign_up("alice", None).await.summary(), "400 InvalidInviteCode");
    assert_eq!(pds.sign_up("alice", Some("localhost-aaaaa-bbbbb")).await.summary(), "400 InvalidInviteCode");
    let code = pds.new_code(&json!({ "useCount": 2 })).await;
    let parts: Vec<&str> = code.split('-').collect();
    assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), ["localhost".len(), 5, 5], "{code}");
    pds.sign_up("alice", Some(&code)).await.good();
    // A sign-up that fails uses no code.
    assert_eq!(pds.sign_up("alice", Some(&code)).await.status, 400);
    pds.sign_up("bob", Some(&code)).await.good();
    assert_eq!(pds.sign_up("carol", Some(&code)).await.summary(), "400 InvalidInviteCode");
}

/// Incident 12.
#[tokio::test]
async fn a_code_for_one_account_makes_one_however_many_try() {
    let pds = TestPds::invite_only().await;
    let code = pds.new_code(&json!({ "useCount": 1 })).await;
    let names: Vec<String> = (0..8).map(|n| format!("user{n}")).collect();
    let tries = names.iter().map(|name| pds.sign_up(name, Some(&code)));
    let replies = futures_util::future::join_all(tries).await;
    let mut told: Vec<String> = replies.iter().map(Reply::summary).collect();
    told.sort();
    assert_eq!((told[0].as_str(), &told[1..]), ("200 -", &vec!["400 InvalidInviteCode".to_owned(); 7][..]));
    let repos = pds.anonymous().get("com.atproto.sync.listRepos", &[]).await.good().json();
    assert_eq!(repos["repos"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn only_the_operator_makes_codes() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    for nsid in ["com.atproto.server.createInviteCode", "com.atproto.server.createInviteCodes"] {
        let body = json!({ "useCount": 1 });
        assert_eq!(pds.anonymous().post(nsid, &body).await.status, 401);
        assert_eq!(alice.post(nsid, &body).await.status, 401);
        for (user, password) in [("admin", "wrong"), ("root", ADMIN_PASSWORD), ("admin", ""), ("", ADMIN_PASSWORD)] {
            let anyone = pds.anonymous();
            let request = anyone.request("POST", &format!("/xrpc/{nsid}")).basic_auth(user, Some(password)).json(&body);
            assert_eq!(anyone.send(request).await.summary(), "401 AuthenticationRequired");
        }
        for wrong in [json!({}), json!({ "useCount": "1" }), json!({ "useCount": -1 }), json!({ "useCount": 1.5 })] {
            assert_eq!(pds.as_admin(nsid, &wrong).await.summary(), "400 InvalidRequest", "{wrong}");
        }
    }
    let huge = json!({ "useCount": 1, "codeCount": 1_000_000_000 });
    assert_eq!(pds.as_admin("com.atproto.server.createInviteCodes", &huge).await.summary(), "400 InvalidRequest");
}

#[tokio::test]
async fn accounts_see_the_codes_that_are_theirs() {
    let pds = TestPds::invite_only().await;
    let code = pds.new_code(&json!({ "useCount": 1 })).await;
    let account = pds.sign_up("alice", Some(&code)).await.good().json();
    let (did, alice) = (&account["did"], pds.anonymous().with_token(account["accessJwt"].as_str().unwrap()));
    let other = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";
    let body = json!({ "codeCount": 2, "useCount": 3, "forAccounts": [did, other] });
    let made = pds.as_admin("com.atproto.server.createInviteCodes", &body).await.good().json();
    let made = made["codes"].as_array().unwrap();
    assert_eq!(
        made.iter().map(|one| (&one["account"], one["codes"].as_array().unwrap().len())).collect::<Vec<_>>(),
        [(did, 2), (&json!(other), 2)]
    );
    let code = made[0]["codes"][0].as_str().unwrap();
    let carol = pds.sign_up("carol", Some(code)).await.good().json();

    let list = async |params: &[(&str, &str)]| {
        alice.get("com.atproto.server.getAccountInviteCodes", params).await.good().json()["codes"].as_array().unwrap().clone()
    };
    let codes = list(&[]).await;
    assert_eq!(codes.len(), 2);
    let used = codes.iter().find(|one| one["code"] == code).unwrap();
    assert_eq!((&used["forAccount"], &used["createdBy"], &used["disabled"]), (did, &json!("admin"), &json!(false)));
    assert_eq!((&used["available"], &used["uses"][0]["usedBy"]), (&json!(3), &carol["did"]));
    assert!(used["createdAt"].as_str().unwrap().ends_with('Z') && used["uses"][0]["usedAt"].as_str().unwrap().ends_with('Z'));
    assert_eq!(list(&[("includeUsed", "false")]).await.len(), 2, "there are uses left");
    assert_eq!(
        alice.get("com.atproto.server.getAccountInviteCodes", &[("includeUsed", "no")]).await.summary(),
        "400 InvalidRequest"
    );
    assert_eq!(pds.anonymous().get("com.atproto.server.getAccountInviteCodes", &[]).await.summary(), "401 AuthMissing");
}
