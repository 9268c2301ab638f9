//! The server behind real proxies, which run the examples of docs/PROXIES.md with other ports and paths.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::Version;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Frame, Pebble, Program, Quirks, SecurePds, client, free_port, is_there, key, on_path, sign};

const HOST: &str = "pds.example.com";
const ALICE: &str = "alice.pds.example.com";
const UPLOAD_BYTES: usize = 30 << 20;

/// Returns the example in docs/PROXIES.md that is written in `language`.
fn example(language: &str) -> String {
    let document = include_str!("../../../../docs/PROXIES.md");
    let begin = format!("```{language}\n");
    let (_, rest) = document.split_once(&begin).expect("the document has the example");
    rest.split_once("```").unwrap().0.to_owned()
}

/// Starts a server for whose TLS a proxy at `https` is responsible.
async fn behind(https: SocketAddr) -> SecurePds {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    SecurePds::start_at(nowhere, https, vec![("tls.mode", "proxy".to_owned())]).await
}

#[tokio::test]
async fn nginx_passes_everything_on() {
    if !is_there("nginx") {
        return;
    }
    let (http, https) = (free_port(), free_port());
    let pds = behind(SocketAddr::from(([127, 0, 0, 1], https))).await;
    let (certificate, certificate_key, root) = pds.write_files(&[HOST, "*.pds.example.com"]);
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let folder = path(pds.dir.path());
    let mut text = String::new();
    for line in example("nginx").lines().filter(|line| !line.contains("listen [::]")) {
        text.push_str(line);
        text.push('\n');
    }
    let text = text
        .replace("listen 80;", &format!("listen 127.0.0.1:{http};"))
        .replace("listen 443 ", &format!("listen 127.0.0.1:{https} "))
        .replace("/etc/letsencrypt/live/pds.example.com/fullchain.pem", &path(&certificate))
        .replace("/etc/letsencrypt/live/pds.example.com/privkey.pem", &path(&certificate_key))
        .replace("127.0.0.1:2583", &pds.plain_address().to_string());
    // One process, as the user who runs the test.
    let config = format!(
        "daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr notice; events {{}}\n\
         http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; \
         fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;\n{text}}}\n"
    );
    let file = pds.dir.path().join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(on_path("nginx").unwrap());
    command.args(["-p", &folder, "-e", "stderr", "-c"]).arg(&file);
    let _nginx = Program::start(command, "using the \"").await;
    wait_for(https).await;
    passes_everything(&pds, &root).await;
    leads_to_https(http).await;
}

#[tokio::test]
async fn caddy_gets_certificates_on_demand_and_passes_everything_on() {
    if !is_there("caddy") || !Pebble::is_there() {
        return;
    }
    let (http, https) = (free_port(), free_port());
    let pebble = Pebble::start(http, https, Quirks::default()).await;
    let pds = behind(SocketAddr::from(([127, 0, 0, 1], https))).await;
    let text = example("caddyfile").replace("127.0.0.1:2583", &pds.plain_address().to_string()).replacen(
        "{\n",
        &format!(
            "{{\nadmin off\nhttp_port {http}\nhttps_port {https}\ndefault_bind 127.0.0.1\nskip_install_trust\n\
             acme_ca {}\nacme_ca_root {}\nstorage file_system {}\n",
            pebble.directory(),
            pebble.own_root().display(),
            pds.dir.path().join("caddy").display(),
        ),
        1,
    );
    let file = pds.dir.path().join("Caddyfile");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(on_path("caddy").unwrap());
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file).env("HOME", pds.dir.path());
    command.env("XDG_CONFIG_HOME", pds.dir.path().join("config"));
    let caddy = Program::start(command, "serving initial configuration").await;
    wait_for(https).await;
    let root = pebble.root().await;
    passes_everything(&pds, &root).await;
    leads_to_https(http).await;
    assert!(pds.connect(&root, "nobody.pds.example.com").await.is_err());
    assert!(!pebble.log().contains("nobody.pds.example.com"), "{}", caddy.output());
}

/// Waits until something listens.
async fn wait_for(port: u16) {
    let up = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), up).await.expect("the proxy listens");
}

async fn leads_to_https(http: u16) {
    let request = client(&[], &[]).get(format!("http://127.0.0.1:{http}/xrpc/_health")).header("host", HOST);
    let reply = request.send().await.unwrap();
    assert!(reply.status().is_redirection());
    assert!(reply.headers()["location"].to_str().unwrap().starts_with("https://pds.example.com"));
}

async fn passes_everything(pds: &SecurePds, root: &[u8]) {
    let account = pds.create_account("alice").await;
    let (did, token) = (account["did"].as_str().unwrap(), account["accessJwt"].as_str().unwrap());
    let client = pds.client(root);
    let url = |path: &str| format!("{}{path}", pds.url());

    let health = client.get(url("/xrpc/_health")).send().await.unwrap();
    assert_eq!((health.status().as_u16(), health.version()), (200, Version::HTTP_2));

    let handle = format!("https://{ALICE}:{}/.well-known/atproto-did", pds.https.port());
    assert_eq!(client.get(handle).send().await.unwrap().text().await.unwrap(), did);

    let upload = client.post(url("/xrpc/com.atproto.repo.uploadBlob")).bearer_auth(token);
    let upload = upload.header("content-type", "application/octet-stream").body(vec![7; UPLOAD_BYTES]);
    let reply = upload.send().await.unwrap();
    assert_eq!(reply.status(), 200, "{}", reply.text().await.unwrap());
    let reply: Value = reply.json().await.unwrap();
    assert_eq!(reply["blob"]["size"], UPLOAD_BYTES);

    takes_a_proof(pds, &client).await;
    streams(pds, root, did).await;
}

/// Checks that DPoP proofs arrive, made for the public address.
async fn takes_a_proof(pds: &SecurePds, client: &reqwest::Client) {
    let url = format!("{}/oauth/par", pds.url());
    let push = async |nonce: Option<&str>| {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key(7).verifying_key().to_jwk() });
        let claims = json!({ "jti": nonce.unwrap_or("first"), "htm": "POST", "htu": url, "iat": 7, "nonce": nonce });
        let form = "client_id=http%3A%2F%2Flocalhost&redirect_uri=http%3A%2F%2F127.0.0.1%2F&response_type=code&scope=atproto\
                    &state=s&code_challenge=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU&code_challenge_method=S256";
        let request = client.post(&url).header("dpop", sign(&key(7), &header, &claims));
        let reply = request.header("content-type", "application/x-www-form-urlencoded").body(form).send().await.unwrap();
        let nonce = reply.headers().get("dpop-nonce").map(|nonce| nonce.to_str().unwrap().to_owned());
        (reply.status().as_u16(), nonce, reply.text().await.unwrap())
    };
    let (status, nonce, body) = push(None).await;
    assert!(status == 400 && body.contains("use_dpop_nonce"), "{status} {body}");
    let (status, _, body) = push(Some(&nonce.unwrap())).await;
    assert_eq!(status, 201, "{body}");
}

/// Follows the firehose through the proxy.
async fn streams(pds: &SecurePds, root: &[u8], did: &str) {
    let roots = relay::identity::http::roots_from_pem(root).unwrap();
    let mut config = relay::identity::http::tls_config(&roots).unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(pds.https).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(ServerName::try_from(HOST).unwrap(), stream).await.unwrap();
    let url = format!("ws://{HOST}/xrpc/com.atproto.sync.subscribeRepos?cursor=0");
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    let first = async {
        loop {
            if let Message::Binary(bytes) = socket.next().await.unwrap().unwrap() {
                return Frame::parse(&bytes);
            }
        }
    };
    let frame = tokio::time::timeout(Duration::from_secs(20), first).await.expect("an event comes");
    assert_eq!(frame.did(), did);
}
