//! An S3-compatible store on this machine that checks signatures, and can be out of reach for a while.

use std::net::SocketAddr;
use std::path::PathBuf;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) const BUCKET: &str = "ours";
pub(crate) const ACCESS_KEY: &str = "AKIATESTACCESSKEY";
pub(crate) const SECRET_KEY: &str = "a-secret-key-of-the-store";

/// The store; its objects are files.
pub(crate) struct S3 {
    dir: TempDir,
    address: SocketAddr,
    service: S3Service,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl S3 {
    pub(crate) async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join(BUCKET)).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(dir.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut s3 = Self { dir, address, service: builder.build(), stop: CancellationToken::new(), tasks: TaskTracker::new() };
        s3.serve(listener);
        s3
    }

    fn serve(&mut self, listener: TcpListener) {
        self.stop = CancellationToken::new();
        self.tasks = TaskTracker::new();
        let (stop, tasks, service) = (self.stop.clone(), self.tasks.clone(), self.service.clone());
        self.tasks.spawn(async move {
            while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
                let (Ok((stream, _)), service, stop) = (accepted, service.clone(), stop.clone()) else { continue };
                tasks.spawn(async move {
                    let builder = Builder::new(TokioExecutor::new());
                    let connection = builder.serve_connection(TokioIo::new(stream), service);
                    // Cut off in the midst of it.
                    drop(stop.run_until_cancelled(connection).await);
                });
            }
        });
    }

    /// Is out of reach from now on; connections are cut.
    pub(crate) async fn suspend(&mut self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Is back, at the same address.
    pub(crate) async fn resume(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the folder of the bucket.
    pub(crate) fn folder(&self) -> PathBuf {
        self.dir.path().join(BUCKET)
    }
}
