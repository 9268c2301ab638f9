//! One connection to a server, kept alive.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::Result;

/// A connection.
pub(crate) struct Client {
    host: String,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// `base` is `http://host:port`.
    pub(crate) fn new(base: &str) -> Self {
        Self { host: base.trim_start_matches("http://").trim_end_matches('/').to_owned(), sender: None }
    }

    async fn connect(&mut self) -> Result<SendRequest<Full<Bytes>>> {
        if let Some(mut sender) = self.sender.take()
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        let stream = TcpStream::connect(&self.host).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    /// Sends a request, and returns the body of its answer, which must be a 200.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        auth: Option<&str>,
        kind: &str,
        body: Bytes,
    ) -> Result<Bytes> {
        let mut sender = self.connect().await?;
        let mut request = Request::builder().method(method).uri(path).header("host", &self.host);
        if let Some(auth) = auth {
            request = request.header("authorization", auth);
        }
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        let answer = sender.send_request(request.body(Full::new(body))?).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        self.sender = Some(sender);
        if !status.is_success() {
            let said = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
            return Err(format!("{path}: {status}: {said}").into());
        }
        Ok(body)
    }

    pub(crate) async fn get(&mut self, path: &str, auth: Option<&str>) -> Result<Bytes> {
        self.send(Method::GET, path, auth, "", Bytes::new()).await
    }

    pub(crate) async fn get_json(&mut self, path: &str) -> Result<Value> {
        Ok(serde_json::from_slice(&self.get(path, None).await?)?)
    }

    /// Calls a procedure with a body of JSON.
    pub(crate) async fn call(&mut self, nsid: &str, auth: Option<&str>, body: &Value) -> Result<Value> {
        let path = format!("/xrpc/{nsid}");
        let answer = self.send(Method::POST, &path, auth, "application/json", body.to_string().into()).await?;
        if answer.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&answer)?) }
    }
}
