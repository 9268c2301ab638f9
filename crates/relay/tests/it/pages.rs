//! The pages: what guards them, and signing in and out.

use crate::support::{Browser, TestPds};

#[tokio::test]
async fn signing_in_and_out() {
    let pds = TestPds::start().await;
    let alice = pds.create_account("alice").await;
    let mut browser = Browser::new(&pds);

    let page = browser.open("/account").await;
    assert_eq!(page.leads_to(), "/account/sign-in?next=%2Faccount");
    let page = browser.follow(&page).await.good();
    let wrong = [("identifier", "alice.test"), ("password", "wrong")];
    let page = browser.submit(&page, "/account/sign-in", &wrong).await;
    assert_eq!(page.status(), 401);
    assert!(page.text().contains("The name or the password is wrong"));
    // What was typed is there still, but for the password.
    assert!(page.text().contains("value=\"alice.test\"") && !page.text().contains("value=\"wrong\""));

    let right = [("identifier", "@Alice.test"), ("password", &*alice.password)];
    let page = browser.submit(&page, "/account/sign-in", &right).await;
    assert_eq!(page.leads_to(), "/account");
    let page = browser.follow(&page).await.good();
    assert!(page.text().contains("alice.test") && page.text().contains(&alice.did));

    let page = browser.submit(&page, "/account/sign-out", &[]).await;
    let page = browser.follow(&page).await.good();
    assert!(page.text().contains("You are signed out."));
    assert_eq!(browser.open("/account").await.status(), 303);
}
