//! `relay health`: asks a running server whether it is well.
//!
//! Containers run this every few seconds, so it is one plain request over a socket: no runtime, no TLS.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use clap::Args;
use http::Method;
use url::Url;

use super::{CliError, ConfigSourceArgs};
use crate::config::{Config, Override};
use crate::control::ControlClient;
use crate::status::Health;

/// How long connecting and each read may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How much of the answer is read; the real one is far shorter.
const MAX_ANSWER_BYTES: u64 = 16 << 10;

/// The arguments of `relay health`.
#[derive(Debug, Clone, Default, Args)]
pub struct HealthArgs {
    /// The server's address on this network, plain http [default: the configured server.bind]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Try each part of the server, through the control socket in its data folder
    #[arg(long, conflicts_with = "url")]
    pub deep: bool,
    /// Where the configuration comes from.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
}

/// Has the server try each of its parts; prints what it found, and fails when people cannot use it.
pub(super) async fn deep(args: &HealthArgs, env: Vec<(String, String)>) -> Result<(), CliError> {
    let config = load(args, env)?;
    let health: Health = ControlClient::new(&config.data.dir).call(Method::GET, "/health", None::<&()>).await?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&health).map_err(std::io::Error::from)?)?;
    if health.ok {
        return Ok(());
    }
    Err(CliError::Failed { problem: "The server is not well.".into(), remedy: "See `relay doctor`, and the log.".into() })
}

/// Asks the server; prints its answer when it is well.
pub fn run(args: &HealthArgs, env: Vec<(String, String)>, out: &mut impl Write) -> Result<(), CliError> {
    let (address, host) = if let Some(url) = &args.url {
        resolve(url)?
    } else {
        let address = reachable(first_bind(args, env)?);
        (address, address.to_string())
    };
    let body = ask(address, &host)?;
    writeln!(out, "{body}")?;
    Ok(())
}

fn first_bind(args: &HealthArgs, env: Vec<(String, String)>) -> Result<SocketAddr, CliError> {
    let config = load(args, env)?;
    Ok(*config.server.bind.first().expect("a server without an address to listen on is refused"))
}

fn load(args: &HealthArgs, env: Vec<(String, String)>) -> Result<Config, CliError> {
    // The public URL may be known to `relay serve` alone, as a flag, and does not matter here.
    let any = Override {
        flag: "relay health".to_owned(),
        path: "server.public_url".to_owned(),
        value: "http://localhost".to_owned(),
    };
    Ok(args.source.load_with(env, &[any])?.config)
}

/// Returns the address to call for one that a server listens on: `0.0.0.0` and `::` are not places.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

fn resolve(text: &str) -> Result<(SocketAddr, String), CliError> {
    let usage = |problem: &str| CliError::Usage {
        problem: format!("--url {text:?} {problem}."),
        remedy: "Write the address that the server listens on, such as http://127.0.0.1:2583.".to_owned(),
    };
    let url = Url::parse(text).map_err(|_| usage("is not a URL"))?;
    if url.scheme() != "http" {
        return Err(usage("is not a URL that begins with http://"));
    }
    let host = url.host_str().ok_or_else(|| usage("has no host"))?;
    let port = url.port().unwrap_or(80);
    let mut addresses = (host.trim_start_matches('[').trim_end_matches(']'), port)
        .to_socket_addrs()
        .map_err(|_| usage("has an unknown host"))?;
    let address = addresses.next().ok_or_else(|| usage("has an unknown host"))?;
    Ok((address, format!("{host}:{port}")))
}

fn ask(address: SocketAddr, host: &str) -> Result<String, CliError> {
    let failed = |problem: String| CliError::Failed {
        problem: format!("The server at {address} {problem}."),
        remedy: "Check that it runs and listens there, and read its log.".to_owned(),
    };
    let exchange = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        write!(stream, "GET /xrpc/_health HTTP/1.1\r\nhost: {host}\r\nuser-agent: relay-health\r\nconnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().map_err(|err| failed(format!("does not answer: {err}")))?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) =
        answer.split_once("\r\n\r\n").ok_or_else(|| failed("answers with something other than HTTP".to_owned()))?;
    let status = head.split(' ').nth(1).unwrap_or("");
    if status == "200" {
        Ok(body.trim().to_owned())
    } else {
        Err(failed(format!("is not well: it answers with status {status:?}")))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        net::TcpListener,
        thread,
    };

    use super::*;

    fn answer_once(answer: &'static str) -> (SocketAddr, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(&stream).lines();
            let first = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            (&stream).write_all(answer.as_bytes()).unwrap();
            first
        });
        (address, server)
    }

    #[test]
    fn a_server_that_is_well_is_called_so() {
        let (address, server) = answer_once("HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{\"version\":\"1.0\"}");
        let args = HealthArgs { url: Some(format!("http://{address}")), ..HealthArgs::default() };
        let mut out = Vec::new();
        run(&args, Vec::new(), &mut out).unwrap();
        assert_eq!(server.join().unwrap(), "GET /xrpc/_health HTTP/1.1");
        assert_eq!(out, b"{\"version\":\"1.0\"}\n");
    }

    #[test]
    fn the_configured_address_is_asked() {
        let (address, server) = answer_once("HTTP/1.1 503 Service Unavailable\r\n\r\n");
        let env = [("RELAY_SERVER_BIND", format!("0.0.0.0:{}", address.port()))];
        let err =
            run(&HealthArgs::default(), env.map(|(name, value)| (name.to_owned(), value)).into(), &mut Vec::new()).unwrap_err();
        server.join().unwrap();
        assert_eq!(err.exit_code(), 1);
        assert!(err.to_string().contains("\"503\""), "{err}");
    }

    #[test]
    fn a_server_that_is_not_there_is_a_failure_and_a_wrong_url_a_mistake() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let code = |url: String| {
            run(&HealthArgs { url: Some(url), ..HealthArgs::default() }, Vec::new(), &mut Vec::new()).unwrap_err().exit_code()
        };
        assert_eq!(code(format!("http://{free}")), 1);
        assert_eq!(code("https://localhost".to_owned()), 2);
        assert_eq!(code("localhost".to_owned()), 2);
    }
}
