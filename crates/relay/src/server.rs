//! Listening, serving, stopping.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::control::ControlSocket;
use crate::file_limit;
use crate::state::{AppState, StartError};
use crate::tls::Acceptor;

/// How long requests that are under way may take when the server stops.
const DRAIN: Duration = Duration::from_secs(8);

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    app: AppState,
    addresses: Vec<SocketAddr>,
    connections: TaskTracker,
    listeners: TaskTracker,
}

impl Server {
    /// Binds the addresses of the configuration and begins to serve.
    pub fn start(app: AppState) -> Result<Self, StartError> {
        let tls = &app.config.tls;
        let (https, http) = if tls.mode.serves() { (&tls.https_bind[..], &tls.http_bind[..]) } else { (&[][..], &[][..]) };
        let listeners = Listeners {
            plain: bind(&app.config.server.bind, "server.bind")?,
            https: bind(https, "tls.https_bind")?,
            redirect: bind(http, "tls.http_bind")?,
        };
        let metrics = bind(&app.config.metrics.bind, "metrics.bind")?;
        let server = Self::start_on(app, listeners);
        for listener in metrics {
            server.serve_metrics(listener);
        }
        Ok(server)
    }

    /// Begins to serve what the world reaches, but not `server.bind`, which another has meanwhile.
    pub(crate) fn start_in_front(app: AppState) -> Result<Self, StartError> {
        let tls = &app.config.tls;
        let (https, http) = if tls.mode.serves() { (&tls.https_bind[..], &tls.http_bind[..]) } else { (&[][..], &[][..]) };
        let (https, redirect) = (bind(https, "tls.https_bind")?, bind(http, "tls.http_bind")?);
        Ok(Self::start_on(app, Listeners { plain: Vec::new(), https, redirect }))
    }

    /// Serves the metrics, to anyone, on a listener that is bound already.
    pub fn serve_metrics(&self, listener: TcpListener) {
        if let Ok(address) = listener.local_addr() {
            self.listeners.spawn(crate::telemetry::serve(self.app.clone(), listener, address));
        }
    }

    /// Begins to serve on listeners that are bound already.
    pub fn start_on(app: AppState, bound: impl Into<Listeners>) -> Self {
        let bound = bound.into();
        let router = crate::router::router(app.clone());
        let redirect = crate::tls::redirect::router(app.clone());
        let tls = app.tls.acceptor(&app.config);
        let (connections, listeners) = (TaskTracker::new(), TaskTracker::new());
        let limit = Arc::new(Semaphore::new(file_limit::connections(app.config.server.max_connections)));
        // Before anyone is answered: who sees that the server runs may use the operator's verbs.
        let control = ControlSocket::bind(&app.config.data.dir);
        let mut addresses = Vec::new();
        let plain = bound.plain.into_iter().map(|listener| (listener, &router, None));
        let https = bound.https.into_iter().map(|listener| (listener, &router, tls.clone()));
        let redirecting = bound.redirect.into_iter().map(|listener| (listener, &redirect, None));
        for (listener, router, tls) in plain.chain(https).chain(redirecting) {
            if let Ok(address) = listener.local_addr() {
                addresses.push(address);
            }
            let accept = Accept {
                router: router.clone(),
                tls,
                connections: connections.clone(),
                limit: Arc::clone(&limit),
                stop: app.stop.clone(),
                header_timeout: app.config.server.header_timeout,
                idle_timeout: app.config.server.idle_timeout,
            };
            listeners.spawn(accept.run(listener));
        }
        crate::tasks::start(&app, &listeners);
        if let Some(control) = control {
            listeners.spawn(control.serve(app.clone(), app.stop.clone()));
        }
        let watched = app.clone();
        listeners.spawn(async move {
            watched.stop.run_until_cancelled(watched.probation.expire()).await;
        });
        listeners.close();
        Self { app, addresses, connections, listeners }
    }

    /// Returns the addresses that the server listens on: for plain HTTP, for TLS, and for redirects.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub fn app(&self) -> &AppState {
        &self.app
    }

    /// Stops: no new connections, firehose sockets closed with a word, requests under way finished within [`DRAIN`].
    pub async fn stop(self) {
        self.app.stop.cancel();
        self.listeners.wait().await;
        self.connections.close();
        self.app.work.close();
        let finished = async { tokio::join!(self.connections.wait(), self.app.work.wait()) };
        if tokio::time::timeout(DRAIN, finished).await.is_err() {
            tracing::warn!(
                connections = self.connections.len(),
                work = self.app.work.len(),
                "connections and work under way were cut off after waiting {} s for them; what was acknowledged is stored",
                DRAIN.as_secs()
            );
        }
        // Mails that nobody waits for; they were promised.
        if tokio::time::timeout(DRAIN, self.app.mail.idle()).await.is_err() {
            tracing::warn!("mails were given up that the mail server did not take within {} s", DRAIN.as_secs());
        }
    }
}

/// Sockets that listen, by what is spoken on them.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Plain HTTP.
    pub plain: Vec<TcpListener>,
    /// TLS.
    pub https: Vec<TcpListener>,
    /// Plain HTTP, of which everything but challenges is sent on to https.
    pub redirect: Vec<TcpListener>,
}

impl From<Vec<TcpListener>> for Listeners {
    fn from(plain: Vec<TcpListener>) -> Self {
        Self { plain, ..Self::default() }
    }
}

/// Binds addresses. That there is no IPv6 on the machine is no failure where there is another address.
fn bind(addresses: &[SocketAddr], setting: &'static str) -> Result<Vec<TcpListener>, StartError> {
    let mut bound = Vec::new();
    for &address in addresses {
        match listen(address) {
            Ok(listener) => bound.push(listener),
            Err(err) if address.ip() == Ipv6Addr::UNSPECIFIED && !bound.is_empty() && is_unsupported(&err) => {
                tracing::info!(%address, setting, "this machine has no IPv6, so the server does not listen there");
            }
            Err(source) => {
                let remedy = match source.kind() {
                    std::io::ErrorKind::AddrInUse => "Another program uses the port: stop it, or use another port",
                    std::io::ErrorKind::PermissionDenied => {
                        "Ports below 1024 take a right: CAP_NET_BIND_SERVICE, which the service unit can give; or use another port"
                    }
                    _ => "Use another address",
                };
                return Err(StartError::Bind { address, source, setting, remedy });
            }
        }
    }
    Ok(bound)
}

fn is_unsupported(err: &std::io::Error) -> bool {
    // EAFNOSUPPORT of Linux and of macOS, or the address is none of this machine.
    matches!(err.raw_os_error(), Some(97 | 47)) || err.kind() == std::io::ErrorKind::AddrNotAvailable
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // Each family has its own listener, so that what is logged and limited is the address that came.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}

/// Accepts connections on one address.
struct Accept {
    router: Router,
    /// Where TLS is spoken.
    tls: Option<Arc<Acceptor>>,
    connections: TaskTracker,
    limit: Arc<Semaphore>,
    stop: CancellationToken,
    header_timeout: Duration,
    idle_timeout: Duration,
}

/// The address of the socket's other end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl Accept {
    async fn run(self, listener: TcpListener) {
        loop {
            // When all places are taken the kernel's queue holds newcomers.
            let permit = tokio::select! {
                permit = Arc::clone(&self.limit).acquire_owned() => permit.expect("the limit is never closed"),
                () = self.stop.cancelled() => return,
            };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.cancelled() => return,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let timeouts = (self.header_timeout, self.idle_timeout);
                    let (router, tls, stop) = (self.router.clone(), self.tls.clone(), self.stop.clone());
                    self.connections.spawn(async move {
                        // Answers are written whole; waiting to fill a packet would only delay them.
                        drop(stream.set_nodelay(true));
                        match tls {
                            None => serve_connection(stream, peer, router, stop, timeouts).await,
                            Some(tls) => {
                                if let Some(Some(stream)) = stop.run_until_cancelled(tls.accept(stream)).await {
                                    serve_connection(stream, peer, router, stop, timeouts).await;
                                }
                            }
                        }
                        drop(permit);
                    });
                }
                Err(err) => {
                    // Out of file descriptors, most likely; others close theirs in the meantime.
                    tracing::warn!(error = &err as &dyn std::error::Error, "could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

/// Serves one connection to its end.
async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: SocketAddr,
    router: Router,
    stop: CancellationToken,
    (header_timeout, idle_timeout): (Duration, Duration),
) {
    let begun = CancellationToken::new();
    let has_begun = begun.clone();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        has_begun.cancel();
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(Peer(peer));
        router.clone().oneshot(request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // hyper counts the wait for the next request's headers from the end of the last answer, so this is how long a connection
    // may be idle; the first request has a limit of its own below.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(idle_timeout.max(header_timeout)).max_buf_size(64 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(256)
        .max_header_list_size(64 << 10)
        .keep_alive_interval(Duration::from_secs(60))
        .keep_alive_timeout(Duration::from_secs(20));
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let says_nothing = async {
        if tokio::time::timeout(header_timeout, begun.cancelled()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = says_nothing => {
            tracing::debug!(%peer, "a connection was closed, since no request came over it in time");
            return;
        }
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(err) = result {
        tracing::debug!(error = &*err as &dyn std::error::Error, %peer, "a connection ended with an error");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The default of a server that speaks TLS itself. On some systems a socket of IPv6 takes IPv4 as well, unless told not to,
    /// and then the second one is refused.
    #[tokio::test]
    async fn both_families_have_the_same_port() {
        let port = bind(&["0.0.0.0:0".parse().unwrap()], "a test").unwrap()[0].local_addr().unwrap().port();
        let both = [format!("0.0.0.0:{port}").parse().unwrap(), format!("[::]:{port}").parse().unwrap()];
        let bound = bind(&both, "a test").unwrap();
        for listener in &bound {
            let here: SocketAddr = match listener.local_addr().unwrap() {
                SocketAddr::V4(_) => format!("127.0.0.1:{port}").parse().unwrap(),
                SocketAddr::V6(_) => format!("[::1]:{port}").parse().unwrap(),
            };
            let (called, accepted) = tokio::join!(tokio::net::TcpStream::connect(here), listener.accept());
            let ((_, peer), called) = (accepted.unwrap(), called.unwrap());
            assert_eq!(peer, called.local_addr().unwrap(), "the address that came is the one that is limited and logged");
        }
        // Without IPv6 there is one.
        assert!(!bound.is_empty() && bound[0].local_addr().unwrap().is_ipv4());
    }
}
