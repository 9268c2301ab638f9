//! TLS in process: certificates that the server orders from a real authority (pebble), and certificates from files.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Version;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Pebble, Quirks, SecurePds, Settings};

const HOST: &str = "pds.example.com";
const ALICE: &str = "alice.pds.example.com";

fn set(path: &'static str, value: &str) -> Settings {
    vec![(path, value.to_owned())]
}

#[tokio::test]
async fn the_first_certificate_comes_by_http_01_and_port_80_leads_to_https() {
    if !Pebble::is_there() {
        return;
    }
    let (pds, pebble) = SecurePds::with_pebble(Quirks::default(), Settings::new()).await;
    pds.app().renew_certificates().await;
    assert_eq!(pds.problem(HOST), None);
    assert!(pebble.log().contains("validate w/ HTTP"), "{}", pebble.log());
    let client = pds.client(&pebble.root().await);

    let reply = client.get(format!("{}/xrpc/_health", pds.url())).send().await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.version()), (200, Version::HTTP_2));

    let sent_on = async |host: &str| {
        let url = format!("http://{}/xrpc/_health?x=1", pds.http);
        let reply = client.get(url).header("host", host).send().await.unwrap();
        (reply.status().as_u16(), reply.headers()["location"].to_str().unwrap().to_owned())
    };
    let port = pds.https.port();
    let to = |host: &str| (308, format!("https://{host}:{port}/xrpc/_health?x=1"));
    assert_eq!(sent_on(HOST).await, to(HOST));
    assert_eq!(sent_on(ALICE).await, to(ALICE));
    assert_eq!(sent_on("evil.example.org").await, to(HOST), "never to where the request says");
    let missing = client.get(format!("http://{}/.well-known/acme-challenge/x", pds.http)).send().await.unwrap();
    assert_eq!(missing.status(), 404);
}

#[tokio::test]
async fn without_port_80_the_certificate_comes_by_tls_alpn_01() {
    if !Pebble::is_there() {
        return;
    }
    let (pds, pebble) = SecurePds::with_pebble(Quirks::default(), set("tls.http_bind", "none")).await;
    pds.app().renew_certificates().await;
    assert_eq!(pds.problem(HOST), None);
    assert!(!pebble.log().contains("validate w/ HTTP"));
    pds.certificate(&pebble.root().await, HOST).await;
}

#[tokio::test]
async fn where_port_80_leads_elsewhere_the_other_proof_is_tried() {
    if !Pebble::is_there() {
        return;
    }
    let (pds, pebble) = SecurePds::with_pebble(Quirks::default(), set("tls.http_bind", "127.0.0.1:0")).await;
    pds.app().renew_certificates().await;
    assert_eq!(pds.problem(HOST), None);
    pds.certificate(&pebble.root().await, HOST).await;
}

#[tokio::test]
async fn a_new_account_has_its_certificate_when_it_is_told() {
    if !Pebble::is_there() {
        return;
    }
    let (pds, pebble) = SecurePds::with_pebble(Quirks::default(), Settings::new()).await;
    pds.app().renew_certificates().await;
    let account = pds.create_account("alice").await;
    let names: Vec<_> = pds.app().certificates().into_iter().filter(|status| status.not_after.is_some()).collect();
    assert_eq!(names.iter().map(|status| &*status.name).collect::<Vec<_>>(), [ALICE, HOST]);

    let client = pds.client(&pebble.root().await);
    let url = format!("https://{ALICE}:{}/.well-known/atproto-did", pds.https.port());
    assert_eq!(client.get(url).send().await.unwrap().text().await.unwrap(), account["did"].as_str().unwrap());
}

#[tokio::test]
async fn a_handle_gets_its_certificate_when_a_client_asks_and_others_get_none() {
    if !Pebble::is_there() {
        return;
    }
    let (pds, pebble) = SecurePds::with_pebble(Quirks::default(), set("tls.mode", "off")).await;
    pds.create_account("alice").await;
    let pds = pds.restart_with(set("tls.mode", "auto")).await;
    let root = pebble.root().await;

    // Many at once make one order.
    let several = (0..8).map(|_| pds.certificate(&root, ALICE));
    let several = futures_util::future::join_all(several).await;
    assert!(several.iter().all(|one| *one == several[0]));

    for foreign in ["nobody.pds.example.com", "example.org", "a.alice.pds.example.com", "xpds.example.com"] {
        assert!(pds.connect(&root, foreign).await.is_err(), "{foreign}");
        assert!(!pebble.log().contains(foreign), "{foreign}");
    }
    assert!(pds.app().certificates().iter().all(|status| [ALICE, HOST].contains(&&*status.name)));
}

#[tokio::test]
async fn a_certificate_is_renewed_while_connections_go_on() {
    if !Pebble::is_there() {
        return;
    }
    let quirks = Quirks { reused_proofs: 100, ..Quirks::default() };
    let (pds, pebble) = SecurePds::with_pebble(quirks, Settings::new()).await;
    pds.app().renew_certificates().await;
    let root = pebble.root().await;
    let before = pds.certificate(&root, HOST).await;
    let mut open = pds.connect(&root, HOST).await.unwrap();

    pds.app().renew_certificates().await;
    assert_eq!(pds.certificate(&root, HOST).await, before, "nothing is due");
    pds.clock.shift_micros(two_thirds_of(&before));
    pds.app().renew_certificates().await;
    assert_eq!(pds.problem(HOST), None);
    assert_ne!(pds.certificate(&root, HOST).await, before);

    // The connection from before speaks HTTP/2, whose preface is answered with settings.
    open.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut frame = [0; 9];
    open.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[3], 4);
}

#[tokio::test]
async fn an_authority_that_refuses_nonces_is_asked_again() {
    if !Pebble::is_there() {
        return;
    }
    let quirks = Quirks { refused_nonces: 25, reused_proofs: 50 };
    let (pds, pebble) = SecurePds::with_pebble(quirks, Settings::new()).await;
    pds.app().renew_certificates().await;
    pds.create_account("alice").await;
    let root = pebble.root().await;
    pds.certificate(&root, HOST).await;
    pds.certificate(&root, ALICE).await;
}

#[tokio::test]
async fn while_the_authority_is_down_the_old_certificate_stays_and_the_reason_is_plain() {
    if !Pebble::is_there() {
        return;
    }
    let (pds, mut pebble) = SecurePds::with_pebble(Quirks::default(), Settings::new()).await;
    pds.app().renew_certificates().await;
    let root = pebble.root().await;
    let before = pds.certificate(&root, HOST).await;

    pebble.stop();
    assert!(pebble.is_dns_up());
    pds.clock.shift_micros(two_thirds_of(&before));
    pds.app().renew_certificates().await;
    let problem = pds.problem(HOST).unwrap();
    assert!(problem.starts_with("the certificate authority at localhost cannot be reached: "), "{problem}");
    assert_eq!(pds.certificate(&root, HOST).await, before);

    // It comes back without its memory: the server registers anew. Not before the time for another try.
    pebble.restart().await;
    pds.app().renew_certificates().await;
    assert_eq!(pds.certificate(&root, HOST).await, before);
    pds.clock.shift_micros(120_000_000);
    pds.app().renew_certificates().await;
    assert_eq!(pds.problem(HOST), None);
    assert_ne!(pds.certificate(&pebble.root().await, HOST).await, before);
}

#[tokio::test]
async fn a_restart_uses_the_stored_certificates() {
    if !Pebble::is_there() {
        return;
    }
    let (pds, mut pebble) = SecurePds::with_pebble(Quirks::default(), Settings::new()).await;
    pds.app().renew_certificates().await;
    pds.create_account("alice").await;
    let root = pebble.root().await;
    let before = (pds.certificate(&root, HOST).await, pds.certificate(&root, ALICE).await);
    pebble.stop();
    let pds = pds.restart_with(Settings::new()).await;
    assert_eq!((pds.certificate(&root, HOST).await, pds.certificate(&root, ALICE).await), before);
    let database = std::fs::read(pds.data_dir().join("relay.sqlite")).unwrap();
    let log = std::fs::read(pds.data_dir().join("relay.sqlite-wal")).unwrap_or_default();
    let readable = [database, log].concat();
    assert!(!readable.windows(11).any(|bytes| bytes == b"PRIVATE KEY"), "keys are sealed");
}

#[tokio::test]
async fn no_more_is_ordered_than_is_set() {
    if !Pebble::is_there() {
        return;
    }
    let (pds, pebble) = SecurePds::with_pebble(Quirks::default(), set("tls.orders_per_hour", "1")).await;
    pds.app().renew_certificates().await;
    // The account is made all the same.
    pds.create_account("alice").await;
    let problem = "1 certificates were ordered within an hour, which is as many as tls.orders_per_hour allows";
    assert_eq!(pds.problem(ALICE).as_deref(), Some(problem));
    let root = pebble.root().await;
    assert!(pds.connect(&root, ALICE).await.is_err());
    assert!(!pebble.log().contains(ALICE));

    // A restart does not make it forget, an hour does.
    let pds = pds.restart_with(Settings::new()).await;
    assert!(pds.connect(&root, ALICE).await.is_err());
    pds.clock.shift_micros(3_600_000_000);
    pds.certificate(&root, ALICE).await;
}

#[tokio::test]
async fn an_authority_that_does_not_find_the_server_is_quoted() {
    if !Pebble::is_there() {
        return;
    }
    // Both ports where it looks belong to nobody.
    let pebble = Pebble::start(crate::support::free_port(), crate::support::free_port(), Quirks::default()).await;
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let (http, https) = (crate::support::free_port(), crate::support::free_port());
    let pds = SecurePds::start_at(at(http), at(https), SecurePds::settings_for(&pebble)).await;
    pds.app().renew_certificates().await;
    let problem = pds.problem(HOST).unwrap();
    assert!(problem.starts_with("the certificate authority could not see that pds.example.com is here: "), "{problem}");
    assert!(problem.contains("for the tls-alpn-01 challenge"), "{problem}");
    assert!(problem.ends_with("DNS must lead the name to this machine, and port 443 of it to tls.https_bind"), "{problem}");
}

#[tokio::test]
async fn certificates_from_files_are_read_again_when_they_change() {
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let (http, https) = (crate::support::free_port(), crate::support::free_port());
    let pds = SecurePds::start_at(at(http), at(https), set("tls.mode", "off")).await;
    let (certificate, key, first_root) = pds.write_files(&[HOST, "*.pds.example.com"]);
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let files =
        vec![("tls.mode", "files".to_owned()), ("tls.certificate", text(&certificate)), ("tls.certificate_key", text(&key))];
    let pds = pds.restart_with(files).await;
    let client = pds.client(&first_root);
    let health = format!("{}/xrpc/_health", pds.url());
    let reply = client.get(&health).send().await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.version()), (200, Version::HTTP_2));
    pds.certificate(&first_root, ALICE).await;

    // Half a file is not what is used.
    let whole = std::fs::read(&certificate).unwrap();
    std::fs::write(&certificate, &whole[..whole.len() / 2]).unwrap();
    pds.certificate(&first_root, HOST).await;

    let (_, _, second_root) = pds.write_files(&[HOST]);
    let changed = async {
        while pds.connect(&second_root, HOST).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), changed).await.expect("the new certificate is used");
    assert!(pds.connect(&first_root, HOST).await.is_err());
    // The connection from before goes on.
    assert_eq!(client.get(&health).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_client_that_says_nothing_is_cut_off() {
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let (http, https) = (crate::support::free_port(), crate::support::free_port());
    let pds = SecurePds::start_at(at(http), at(https), set("tls.mode", "off")).await;
    let (certificate, key, _) = pds.write_files(&[HOST]);
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let files = vec![
        ("tls.mode", "files".to_owned()),
        ("tls.certificate", text(&certificate)),
        ("tls.certificate_key", text(&key)),
        ("server.header_timeout", "200ms".to_owned()),
    ];
    let pds = pds.restart_with(files).await;
    let mut silent = tokio::net::TcpStream::connect(pds.https).await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), silent.read_to_end(&mut rest)).await.expect("it is closed").ok();
    let mut plain = tokio::net::TcpStream::connect(pds.https).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: pds.example.com\r\n\r\n").await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), plain.read_to_end(&mut rest)).await.expect("it is closed").ok();
}

#[tokio::test]
async fn a_proxy_is_told_for_which_names_to_get_certificates() {
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let (http, https) = (crate::support::free_port(), crate::support::free_port());
    let pds = SecurePds::start_at(at(http), at(https), set("tls.mode", "proxy")).await;
    pds.create_account("alice").await;
    let client = pds.client(&pds.write_files(&[HOST]).2);
    let ask =
        async |query: &str| client.get(format!("{}/tls-check{query}", pds.plain_url())).send().await.unwrap().status().as_u16();
    assert_eq!(ask("?domain=pds.example.com").await, 200);
    assert_eq!(ask("?domain=Alice.pds.example.com").await, 200);
    assert_eq!(ask("?domain=bob.pds.example.com").await, 404);
    assert_eq!(ask("?domain=example.org").await, 400);
    assert_eq!(ask("?domain=..pds.example.com").await, 400);
    assert_eq!(ask("").await, 400);
}

/// Returns two thirds of a certificate's life, and a second, in microseconds.
fn two_thirds_of(certificate: &CertificateDer<'_>) -> i64 {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
    let validity = parsed.validity();
    let seconds = validity.not_after.timestamp() - validity.not_before.timestamp();
    (seconds / 3 * 2 + 10) * 1_000_000
}
