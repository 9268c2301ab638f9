//! The server, called by its public name as others call it.

use std::net::IpAddr;
use std::sync::Arc;

use common::Did;
use futures_util::future::join_all;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::PATIENCE;
use crate::config::{Config, TlsMode};
use crate::doctor::facts::{CertificateSeen, Public};
use crate::identity::dns::Dns;
use crate::identity::http::tls_config;
use crate::tls::redirect::NO_CHALLENGE;

/// The description of a server is far smaller.
const MAX_BYTES: usize = 256 << 10;
const MAX_ADDRESSES: usize = 8;
/// Names of a certificate that are told.
const MAX_NAMES: usize = 5;

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A connection, and its certificate; `None` without TLS.
type Connection = (Box<dyn Socket>, Option<CertificateSeen>);

pub(super) async fn look(config: &Config) -> Public {
    let certificate = match within(connect(config)).await {
        Ok((_, seen)) => seen.map(Ok),
        Err(reason) => Some(Err(reason)),
    };
    let (service, websocket, issuer, upload, addresses, challenge) = tokio::join!(
        within(describe(config)),
        within(subscribe(config)),
        within(issuer(config)),
        within(announce_upload(config)),
        call_all(config),
        find_challenge(config),
    );
    let own_service = config.identity.service_did.clone();
    let upload = (config.limits.blob_upload_bytes, upload);
    Public { addresses, certificate, challenge, service, own_service, websocket, issuer, upload }
}

async fn within<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let late = |_| format!("there was no answer within {} s", PATIENCE.as_secs());
    tokio::time::timeout(PATIENCE, work).await.map_err(late)?
}

/// Connects to the first address of the public name that takes it, by TLS where the URL says so.
async fn connect(config: &Config) -> Result<Connection, String> {
    let url = &config.server.public_url;
    let host = bare_host(config);
    let port = port(config);
    let addresses = addresses(config).await?;
    let mut last = "the name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect((address, port)).await {
            Ok(stream) if url.is_https() => return secure(config, host, stream).await,
            Ok(stream) => return Ok((Box::new(stream), None)),
            Err(err) => last = format!("{address} port {port}: {err}"),
        }
    }
    Err(last)
}

fn bare_host(config: &Config) -> &str {
    config.server.public_url.host().trim_start_matches('[').trim_end_matches(']')
}

fn port(config: &Config) -> u16 {
    let url = &config.server.public_url;
    url.port().unwrap_or(if url.is_https() { 443 } else { 80 })
}

/// Returns the addresses of the public name.
async fn addresses(config: &Config) -> Result<Vec<IpAddr>, String> {
    let host = bare_host(config);
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let dns = Dns::new(config.network.dns_servers.as_deref().unwrap_or_default(), PATIENCE).map_err(|err| err.to_string())?;
    dns.addresses(host).await.map_err(|err| err.to_string())
}

/// Calls each address of the public name.
async fn call_all(config: &Config) -> Vec<(IpAddr, Result<(), String>)> {
    let addresses = addresses(config).await.unwrap_or_default();
    let called = addresses.into_iter().take(MAX_ADDRESSES).map(async |address| {
        let connecting = async { TcpStream::connect((address, port(config))).await.map(drop).map_err(|err| err.to_string()) };
        (address, within(connecting).await)
    });
    join_all(called).await
}

/// Asks for an answer to a challenge that there is not, as the certificate authority would at port 80.
async fn find_challenge(config: &Config) -> Option<Result<(), String>> {
    let by_http = config.tls.mode == TlsMode::Auto && config.tls.dns.is_none() && !config.tls.http_bind.is_empty();
    if !by_http || config.server.public_url.is_local() {
        return None;
    }
    let host = bare_host(config);
    let ask = async {
        let addresses = addresses(config).await?;
        let address = *addresses.first().ok_or("the name has no address")?;
        let stream = TcpStream::connect((address, 80)).await.map_err(|err| format!("{address} port 80: {err}"))?;
        let path = format!("/.well-known/acme-challenge/{}", data_encoding::HEXLOWER.encode(&crate::random::bytes::<8>()));
        let request =
            Request::get(path).header(header::HOST, host).body(Empty::<Bytes>::new()).map_err(|err| err.to_string())?;
        let (status, body) = exchange(Box::new(stream), request).await?;
        // Nobody else says it in these words.
        if status == StatusCode::NOT_FOUND && body.as_ref() == NO_CHALLENGE.as_bytes() {
            return Ok(());
        }
        Err(format!("another program answers there, with status {}", status.as_u16()))
    };
    Some(within(ask).await)
}

async fn secure(config: &Config, host: &str, stream: TcpStream) -> Result<Connection, String> {
    let roots = config.network.roots();
    let mut tls = tls_config(roots).map_err(|err| err.to_string())?;
    // The upgrade to a WebSocket is of HTTP/1.1.
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(host.to_owned()).map_err(|err| err.to_string())?;
    let stream = tokio_rustls::TlsConnector::from(Arc::new(tls)).connect(name, stream).await.map_err(|err| err.to_string())?;
    let seen = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).and_then(|der| seen(der));
    Ok((Box::new(stream), seen))
}

fn seen(der: &[u8]) -> Option<CertificateSeen> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let organization = certificate.issuer().iter_organization().next().and_then(|name| name.as_str().ok());
    let names = certificate.subject_alternative_name().ok().flatten().map(|extension| {
        let names = extension.value.general_names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
        names.take(MAX_NAMES).collect()
    });
    Some(CertificateSeen {
        not_after: certificate.validity().not_after.timestamp() * 1000,
        issuer: organization.map_or_else(|| certificate.issuer().to_string(), ToOwned::to_owned),
        names: names.unwrap_or_default(),
    })
}

async fn describe(config: &Config) -> Result<Did, String> {
    let (status, body) = ask(config, "/xrpc/com.atproto.server.describeServer", false).await?;
    if status != StatusCode::OK {
        return Err(format!("it answers with status {}", status.as_u16()));
    }
    let description: serde_json::Value =
        serde_json::from_slice(&body).map_err(|_| "what answers there is no such server".to_owned())?;
    let did = description["did"].as_str().and_then(|did| did.parse().ok());
    did.ok_or_else(|| "what answers there is no such server".to_owned())
}

async fn subscribe(config: &Config) -> Result<(), String> {
    let (status, _) = ask(config, "/xrpc/com.atproto.sync.subscribeRepos", true).await?;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(());
    }
    Err(format!("a WebSocket was asked for, and the answer was status {}", status.as_u16()))
}

/// Whom apps that sign users in take the server for.
async fn issuer(config: &Config) -> Result<String, String> {
    let (status, body) = ask(config, "/.well-known/oauth-authorization-server", false).await?;
    let metadata: serde_json::Value = serde_json::from_slice(&body).map_err(|_| format!("status {}", status.as_u16()))?;
    metadata["issuer"].as_str().map(ToOwned::to_owned).ok_or_else(|| "it has no issuer".to_owned())
}

/// Announces the largest upload that the server takes, and returns the status of the first answer: 100 of a proxy that takes it
/// as well, 401 of the server, which wants to know first who uploads.
async fn announce_upload(config: &Config) -> Result<u16, String> {
    let (mut stream, _) = connect(config).await?;
    let head = format!(
        "POST /xrpc/com.atproto.repo.uploadBlob HTTP/1.1\r\nhost: {}\r\ncontent-type: application/octet-stream\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        authority(config),
        config.limits.blob_upload_bytes
    );
    stream.write_all(head.as_bytes()).await.map_err(|err| err.to_string())?;
    let mut answer = Vec::new();
    while !answer.contains(&b'\n') && answer.len() < 1024 {
        if stream.read_buf(&mut answer).await.map_err(|err| err.to_string())? == 0 {
            return Err("the connection was closed".to_owned());
        }
    }
    let line = String::from_utf8_lossy(&answer);
    let status = line.strip_prefix("HTTP/1.").and_then(|line| line.split(' ').nth(1)?.parse().ok());
    status.ok_or_else(|| "the answer is not HTTP".to_owned())
}

/// Returns the host as requests name it.
fn authority(config: &Config) -> String {
    let url = &config.server.public_url;
    url.port().map_or_else(|| url.host().to_owned(), |port| format!("{}:{port}", url.host()))
}

async fn ask(config: &Config, path: &str, websocket: bool) -> Result<(StatusCode, Bytes), String> {
    let (stream, _) = connect(config).await?;
    let mut request = Request::get(path).header(header::HOST, authority(config));
    if websocket {
        request = request
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            // RFC 6455, section 4.1: any 16 bytes.
            .header(header::SEC_WEBSOCKET_KEY, data_encoding::BASE64.encode(&crate::random::bytes::<16>()));
    }
    exchange(stream, request.body(Empty::<Bytes>::new()).map_err(|err| err.to_string())?).await
}

async fn exchange(stream: Box<dyn Socket>, request: Request<Empty<Bytes>>) -> Result<(StatusCode, Bytes), String> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|err| err.to_string())?;
    let connection = tokio::spawn(connection.with_upgrades());
    let response = sender.send_request(request).await.map_err(|err| err.to_string())?;
    let status = response.status();
    let body = if status == StatusCode::SWITCHING_PROTOCOLS {
        Bytes::new()
    } else {
        Limited::new(response.into_body(), MAX_BYTES).collect().await.map_err(|err| err.to_string())?.to_bytes()
    };
    connection.abort();
    Ok((status, body))
}
