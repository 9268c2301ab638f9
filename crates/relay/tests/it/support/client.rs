//! Calls of XRPC methods.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// A caller with a token, or none.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

/// What a call answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Client {
    pub(crate) fn new(url: String, token: Option<String>) -> Self {
        Self { http: builder().build().unwrap(), url, token }
    }

    /// A caller that is told where a redirect leads, and does not go there.
    pub(crate) fn without_redirects(url: String) -> Self {
        Self { http: builder().redirect(reqwest::redirect::Policy::none()).build().unwrap(), url, token: None }
    }

    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Calls a query.
    pub(crate) async fn get(&self, nsid: &str, params: &[(&str, &str)]) -> Reply {
        let mut url = reqwest::Url::parse(&format!("{}/xrpc/{nsid}", self.url)).unwrap();
        if !params.is_empty() {
            url.query_pairs_mut().extend_pairs(params);
        }
        self.send(self.http.get(url)).await
    }

    /// Calls a procedure with a JSON body.
    pub(crate) async fn post(&self, nsid: &str, body: &Value) -> Reply {
        self.send(self.http.post(format!("{}/xrpc/{nsid}", self.url)).json(body)).await
    }

    /// Calls a procedure without a body.
    pub(crate) async fn post_nothing(&self, nsid: &str) -> Reply {
        self.send(self.http.post(format!("{}/xrpc/{nsid}", self.url))).await
    }

    /// Calls a procedure with bytes.
    pub(crate) async fn post_bytes(&self, nsid: &str, content_type: &str, bytes: Vec<u8>) -> Reply {
        let request = self.http.post(format!("{}/xrpc/{nsid}", self.url)).header("content-type", content_type).body(bytes);
        self.send(request).await
    }

    /// A request of any shape, to a path.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.url))
    }

    /// Calls a procedure of a server that may be gone before it answers.
    pub(crate) async fn try_post(&self, nsid: &str, body: &Value) -> Result<Reply, reqwest::Error> {
        self.try_send(self.http.post(format!("{}/xrpc/{nsid}", self.url)).json(body)).await
    }

    /// Gets a path of a server that may be gone before it answers.
    pub(crate) async fn try_get(&self, path: &str) -> Result<Reply, reqwest::Error> {
        self.try_send(self.request("GET", path)).await
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        self.try_send(request).await.unwrap()
    }

    async fn try_send(&self, request: reqwest::RequestBuilder) -> Result<Reply, reqwest::Error> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Reply { status, headers, bytes: response.bytes().await?.to_vec() })
    }
}

#[expect(clippy::disallowed_methods, reason = "a test talks to its own server")]
fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().tls_backend_preconfigured(relay::identity::http::tls_config(&[]).unwrap())
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Asserts success.
    #[track_caller]
    pub(crate) fn good(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.text());
        self
    }

    /// Returns status and error name, as in `400 InvalidSwap`.
    pub(crate) fn summary(&self) -> String {
        let error = self.json()["error"].as_str().unwrap_or("-").to_owned();
        format!("{} {error}", self.status)
    }
}
