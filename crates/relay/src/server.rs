//! Listening, serving, stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::state::{AppState, StartError};

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
        let mut bound = Vec::new();
        for &address in &app.config.server.bind {
            let listener = listen(address).map_err(|source| StartError::Bind { address, source })?;
            bound.push(listener);
        }
        Ok(Self::start_on(app, bound))
    }

    /// Begins to serve on listeners that are bound already.
    pub fn start_on(app: AppState, bound: Vec<TcpListener>) -> Self {
        let router = crate::router::router(app.clone());
        let (connections, listeners) = (TaskTracker::new(), TaskTracker::new());
        let limit = Arc::new(Semaphore::new(app.config.server.max_connections));
        let mut addresses = Vec::new();
        for listener in bound {
            if let Ok(address) = listener.local_addr() {
                addresses.push(address);
            }
            let accept = Accept {
                router: router.clone(),
                connections: connections.clone(),
                limit: Arc::clone(&limit),
                stop: app.stop.clone(),
                header_timeout: app.config.server.header_timeout,
                idle_timeout: app.config.server.idle_timeout,
            };
            listeners.spawn(accept.run(listener));
        }
        crate::tasks::start(&app, &listeners);
        let control = (app.clone(), app.config.data.dir.clone(), app.stop.clone());
        listeners.spawn(async move { crate::control::serve(control.0, &control.1, control.2).await });
        listeners.close();
        Self { app, addresses, connections, listeners }
    }

    /// Returns the addresses that the server listens on.
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
        if tokio::time::timeout(DRAIN, self.connections.wait()).await.is_err() {
            tracing::warn!(
                left = self.connections.len(),
                "connections were cut off after waiting {} s for them",
                DRAIN.as_secs()
            );
        }
        // Mails that nobody waits for; they were promised.
        if tokio::time::timeout(DRAIN, self.app.mail.idle()).await.is_err() {
            tracing::warn!("mails were given up that the mail server did not take within {} s", DRAIN.as_secs());
        }
    }
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
                    let serve = serve_connection(stream, peer, self.router.clone(), self.stop.clone(), timeouts);
                    self.connections.spawn(async move {
                        serve.await;
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
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    stop: CancellationToken,
    (header_timeout, idle_timeout): (Duration, Duration),
) {
    // Answers are written whole; waiting to fill a packet would only delay them.
    drop(stream.set_nodelay(true));
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
