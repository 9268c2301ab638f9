//! The server, called by its public name as others call it.

use std::sync::Arc;

use common::Did;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::PATIENCE;
use crate::config::Config;
use crate::doctor::facts::Public;
use crate::identity::dns::Dns;
use crate::identity::http::tls_config;

/// The description of a server is far smaller.
const MAX_BYTES: usize = 256 << 10;

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A connection, and until when its certificate is good, in milliseconds since 1970; `None` without TLS.
type Connection = (Box<dyn Socket>, Option<i64>);

pub(super) async fn look(config: &Config, now_millis: i64) -> Public {
    let certificate = match within(connect(config)).await {
        Ok((_, until)) => until.map(Ok),
        Err(reason) => Some(Err(reason)),
    };
    let (service, websocket) = tokio::join!(within(describe(config)), within(subscribe(config)));
    let own_service = config.identity.service_did.clone();
    Public { certificate, now_millis, service, own_service, websocket }
}

async fn within<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let late = |_| format!("there was no answer within {} s", PATIENCE.as_secs());
    tokio::time::timeout(PATIENCE, work).await.map_err(late)?
}

/// Connects to the first address of the public name that takes it, by TLS where the URL says so.
async fn connect(config: &Config) -> Result<Connection, String> {
    let url = &config.server.public_url;
    let host = url.host().trim_start_matches('[').trim_end_matches(']');
    let port = url.port().unwrap_or(if url.is_https() { 443 } else { 80 });
    let dns = Dns::new(config.network.dns_servers.as_deref().unwrap_or_default(), PATIENCE).map_err(|err| err.to_string())?;
    let addresses = match host.parse() {
        Ok(address) => vec![address],
        Err(_) => dns.addresses(host).await.map_err(|err| err.to_string())?,
    };
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

async fn secure(config: &Config, host: &str, stream: TcpStream) -> Result<Connection, String> {
    let roots = config.network.extra_roots.as_ref().map(|roots| roots.certificates.as_slice()).unwrap_or_default();
    let mut tls = tls_config(roots).map_err(|err| err.to_string())?;
    // The upgrade to a WebSocket is of HTTP/1.1.
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(host.to_owned()).map_err(|err| err.to_string())?;
    let stream = tokio_rustls::TlsConnector::from(Arc::new(tls)).connect(name, stream).await.map_err(|err| err.to_string())?;
    let first = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let until = first.and_then(|der| Some(X509Certificate::from_der(der).ok()?.1.validity().not_after.timestamp() * 1000));
    Ok((Box::new(stream), until))
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

async fn ask(config: &Config, path: &str, websocket: bool) -> Result<(StatusCode, Bytes), String> {
    let (stream, _) = connect(config).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|err| err.to_string())?;
    let connection = tokio::spawn(connection.with_upgrades());
    let url = &config.server.public_url;
    let host = url.port().map_or_else(|| url.host().to_owned(), |port| format!("{}:{port}", url.host()));
    let mut request = Request::get(path).header(header::HOST, host);
    if websocket {
        request = request
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            // RFC 6455, section 4.1: any 16 bytes.
            .header(header::SEC_WEBSOCKET_KEY, data_encoding::BASE64.encode(&crate::random::bytes::<16>()));
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|err| err.to_string())?;
    let response = sender.send_request(request).await.map_err(|err| err.to_string())?;
    let status = response.status();
    let body = if status == StatusCode::OK {
        Limited::new(response.into_body(), MAX_BYTES).collect().await.map_err(|err| err.to_string())?.to_bytes()
    } else {
        Bytes::new()
    };
    connection.abort();
    Ok((status, body))
}
