//! The operator's end of the control socket.

use std::path::{Path, PathBuf};

use http::Method;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::SOCKET;

/// Most bytes of an answer.
const ANSWER_LIMIT: usize = 256 << 20;

/// A way to the server that has a data folder.
#[derive(Debug)]
pub(crate) struct ControlClient {
    socket: PathBuf,
}

/// Why the running server did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    #[error("the server does not answer on {socket}")]
    Unreachable {
        socket: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server's own words.
    #[error("{0}")]
    Refused(String),
    #[error("the server's answer is not understood; is it of another version?")]
    Answer(#[source] serde_json::Error),
}

impl ControlClient {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { socket: data_dir.join(SOCKET) }
    }

    /// Asks the server.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        input: Option<&impl Serialize>,
    ) -> Result<T, ControlError> {
        let body = match input {
            Some(input) => serde_json::to_vec(input).map_err(ControlError::Answer)?,
            None => Vec::new(),
        };
        let (status, answer) = self
            .exchange(method, path, body)
            .await
            .map_err(|source| ControlError::Unreachable { socket: self.socket.clone(), source })?;
        if status.is_success() {
            return serde_json::from_slice(&answer).map_err(ControlError::Answer);
        }
        let error: serde_json::Value = serde_json::from_slice(&answer).map_err(ControlError::Answer)?;
        Err(ControlError::Refused(error["message"].as_str().unwrap_or("the server refused").to_owned()))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<(http::StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let stream = tokio::net::UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "control")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let answer = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await?.to_bytes();
        connection.abort();
        Ok((status, answer))
    }
}
