//! The server that has the account still: what is asked of it in the person's name.
//!
//! A token that has ended is renewed once for a call. The new ones are stored, sealed, before they are used: a server forgets
//! the old ones.

use bytes::Bytes;
use common::Did;
use http::{HeaderMap, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use url::Url;
use zeroize::{Zeroize, Zeroizing};

use super::Fault;
use crate::identity::http::{HttpClient, Reply, read_bounded};
use crate::state::AppState;
use crate::store::{AccountId, move_in};

/// Most bytes of an answer that is read whole.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// The tokens of a session there.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tokens {
    access_jwt: String,
    refresh_jwt: String,
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.access_jwt.zeroize();
        self.refresh_jwt.zeroize();
    }
}

/// What signing in tells.
#[derive(Deserialize)]
pub(super) struct SignedIn {
    pub(super) did: Did,
    pub(super) email: Option<String>,
    #[serde(flatten)]
    pub(super) tokens: Tokens,
}

/// What a server says in place of what was asked for.
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) error: String,
    pub(super) message: String,
    retry_after: Option<u64>,
}

impl Refusal {
    fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let said: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |field: &str| -> String { said[field].as_str().unwrap_or_default().chars().take(300).collect() };
        let retry_after = headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let message = match text("message") {
            message if message.is_empty() => format!("status {status}"),
            message => message,
        };
        Self { status, error: text("error"), message, retry_after }
    }

    fn is_of_an_ended_token(&self) -> bool {
        self.error == "ExpiredToken" || (self.status == StatusCode::UNAUTHORIZED && self.error != "AuthFactorTokenRequired")
    }

    /// What it means where nothing more is known of it.
    pub(super) fn into_fault(self, server: &str) -> Fault {
        let server = server.to_owned();
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => Fault::RateLimited { server, seconds: self.retry_after },
            status if status.is_server_error() => Fault::Unreachable { server, why: self.message },
            _ if self.is_of_an_ended_token() => Fault::SessionOver { server },
            _ => Fault::Refused { server, message: self.message.trim_end_matches('.').to_owned() },
        }
    }
}

/// What is asked.
struct Call<'a> {
    method: Method,
    nsid: &'a str,
    params: &'a [(&'a str, &'a str)],
    body: Option<&'a Value>,
}

/// A server on the network, by its URL.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) name: String,
    base: Url,
    http: HttpClient,
}

impl Server {
    /// Strangers name it, in their DID document.
    pub(super) fn new(app: &AppState, url: &str) -> Result<Self, Fault> {
        let base = Url::parse(url).map_err(|err| Fault::Unreachable { server: url.to_owned(), why: err.to_string() })?;
        let name = base.host_str().unwrap_or(url).to_owned();
        Ok(Self { name, base, http: app.identity.clients().guarded.clone() })
    }

    fn request(&self, call: &Call<'_>, token: Option<&str>) -> Result<reqwest::RequestBuilder, Fault> {
        let mut url = self.base.clone();
        url.set_path(&format!("/xrpc/{}", call.nsid));
        if !call.params.is_empty() {
            url.query_pairs_mut().extend_pairs(call.params);
        }
        let request = self.http.request(call.method.clone(), &url).map_err(|err| Fault::fetch(&self.name, &err))?;
        let request = match call.body {
            Some(body) => request.json(body),
            // Some servers want to be told that there is nothing.
            None if call.method == Method::POST => request.header(http::header::CONTENT_LENGTH, 0),
            None => request,
        };
        Ok(match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    }

    /// Asks, and returns a small answer.
    async fn ask(&self, call: &Call<'_>, token: Option<&str>) -> Result<Result<Bytes, Refusal>, Fault> {
        let request = self.request(call, token)?;
        let reply = self.http.exchange(request, MAX_ANSWER_BYTES).await.map_err(|err| Fault::fetch(&self.name, &err))?;
        let Reply { status, headers, body } = reply;
        Ok(if status.is_success() { Ok(body) } else { Err(Refusal::read(status, &headers, &body)) })
    }

    /// Asks, and returns a response whose body is still to come.
    async fn open(&self, call: &Call<'_>, token: &str) -> Result<Result<reqwest::Response, Refusal>, Fault> {
        let request = self.request(call, Some(token))?;
        let response = self.http.send(request).await.map_err(|err| Fault::fetch(&self.name, &err))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_success() {
            return Ok(Ok(response));
        }
        let body = read_bounded(response, MAX_ANSWER_BYTES).await.unwrap_or_default();
        Ok(Err(Refusal::read(status, &headers, &body)))
    }

    pub(super) fn parse<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, Fault> {
        let not_understood = |err: serde_json::Error| Fault::Refused {
            server: self.name.clone(),
            message: format!("its answer is not understood ({err})"),
        };
        serde_json::from_slice(body).map_err(not_understood)
    }

    /// Returns the domains under which the server gives handles out.
    pub(super) async fn handle_domains(&self) -> Result<Vec<String>, Fault> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Output {
            #[serde(default)]
            available_user_domains: Vec<String>,
        }
        let call = Call { method: Method::GET, nsid: "com.atproto.server.describeServer", params: &[], body: None };
        let body = self.ask(&call, None).await?.map_err(|refusal| refusal.into_fault(&self.name))?;
        Ok(self.parse::<Output>(&body)?.available_user_domains)
    }

    /// Signs in with the main password.
    pub(super) async fn sign_in(&self, did: &Did, password: &str, factor: Option<&str>) -> Result<SignedIn, Fault> {
        let mut body = json!({ "identifier": did, "password": password, "allowTakendown": true });
        if let Some(factor) = factor {
            body["authFactorToken"] = json!(factor.trim());
        }
        let call = Call { method: Method::POST, nsid: "com.atproto.server.createSession", params: &[], body: Some(&body) };
        let server = self.name.clone();
        let answer = self.ask(&call, None).await?.map_err(|refusal| match refusal.error.as_str() {
            "AuthFactorTokenRequired" => Fault::NeedsFactor { server },
            "InvalidToken" | "ExpiredToken" => Fault::WrongFactor { server, message: refusal.message },
            "AuthenticationRequired" | "InvalidPassword" => Fault::WrongPassword { server },
            _ => refusal.into_fault(&self.name),
        })?;
        let session: SignedIn = self.parse(&answer)?;
        if session.did != *did {
            return Err(Fault::OtherAccount { found: session.did });
        }
        if is_of_an_app_password(&session.tokens.access_jwt) {
            return Err(Fault::AppPassword);
        }
        Ok(session)
    }
}

/// Whether a token says that it was given for an app password. One of another form says nothing.
fn is_of_an_app_password(token: &str) -> bool {
    #[derive(Deserialize)]
    struct Claims {
        scope: Option<String>,
    }
    let claims = crypto::jwt::Unverified::parse(token).and_then(|token| token.claims_before_verification::<Claims>());
    claims.is_ok_and(|claims| claims.scope.is_some_and(|scope| scope.starts_with("com.atproto.appPass")))
}

/// The server, with a session of the account.
pub(super) struct OldServer {
    pub(super) server: Server,
    pub(super) did: Did,
    app: AppState,
    /// `None` before the account is here, whose row keeps the tokens.
    account: Option<AccountId>,
    tokens: Mutex<Tokens>,
}

impl OldServer {
    pub(super) fn new(app: &AppState, server: Server, did: Did, account: Option<AccountId>, tokens: Tokens) -> Self {
        Self { server, did, app: app.clone(), account, tokens: Mutex::new(tokens) }
    }

    pub(super) fn name(&self) -> String {
        self.server.name.clone()
    }

    /// Returns the tokens as they are stored.
    pub(super) async fn sealed(&self) -> Vec<u8> {
        seal(&self.app, &self.did, &*self.tokens.lock().await)
    }

    async fn access(&self) -> Zeroizing<String> {
        Zeroizing::new(self.tokens.lock().await.access_jwt.clone())
    }

    /// Renews the tokens, unless somebody did since `used` was taken.
    async fn renew(&self, used: &str) -> Result<(), Fault> {
        let mut tokens = self.tokens.lock().await;
        if tokens.access_jwt != used {
            return Ok(());
        }
        let call = Call { method: Method::POST, nsid: "com.atproto.server.refreshSession", params: &[], body: None };
        let answer = self.server.ask(&call, Some(&tokens.refresh_jwt)).await?;
        let answer = answer.map_err(|refusal| match refusal.into_fault(&self.server.name) {
            Fault::Refused { server, .. } => Fault::SessionOver { server },
            fault => fault,
        })?;
        let renewed: Tokens = self.server.parse(&answer)?;
        if let Some(account) = self.account {
            let sealed = seal(&self.app, &self.did, &renewed);
            self.app.db.write::<_, Fault>(move |tx| Ok(move_in::set_session(tx, account, &sealed)?)).await?;
        }
        *tokens = renewed;
        Ok(())
    }

    async fn call(&self, call: &Call<'_>) -> Result<Result<Bytes, Refusal>, Fault> {
        let token = self.access().await;
        match self.server.ask(call, Some(&token)).await? {
            Err(refusal) if refusal.is_of_an_ended_token() => {
                self.renew(&token).await?;
                self.server.ask(call, Some(&self.access().await)).await
            }
            answer => Ok(answer),
        }
    }

    /// Calls a query.
    pub(super) async fn get(&self, nsid: &str, params: &[(&str, &str)]) -> Result<Result<Bytes, Refusal>, Fault> {
        self.call(&Call { method: Method::GET, nsid, params, body: None }).await
    }

    /// Calls a procedure.
    pub(super) async fn post(&self, nsid: &str, body: Option<&Value>) -> Result<Result<Bytes, Refusal>, Fault> {
        self.call(&Call { method: Method::POST, nsid, params: &[], body }).await
    }

    /// Calls a query whose answer is streamed.
    pub(super) async fn stream(
        &self,
        nsid: &str,
        params: &[(&str, &str)],
    ) -> Result<Result<reqwest::Response, Refusal>, Fault> {
        let call = Call { method: Method::GET, nsid, params, body: None };
        let token = self.access().await;
        match self.server.open(&call, &token).await? {
            Err(refusal) if refusal.is_of_an_ended_token() => {
                self.renew(&token).await?;
                self.server.open(&call, &self.access().await).await
            }
            answer => Ok(answer),
        }
    }

    /// Returns a token that proves to this server whose the account is.
    pub(super) async fn proof(&self) -> Result<String, Fault> {
        #[derive(Deserialize)]
        struct Output {
            token: String,
        }
        let audience = &self.app.config.identity.service_did;
        let params = [("aud", audience.as_str()), ("lxm", "com.atproto.server.createAccount")];
        let answer = self.get("com.atproto.server.getServiceAuth", &params).await?;
        let answer = answer.map_err(|refusal| refusal.into_fault(&self.server.name))?;
        Ok(self.server.parse::<Output>(&answer)?.token)
    }

    /// Ends the session; that it cannot be ended does no harm.
    pub(super) async fn sign_out(&self) {
        let tokens = self.tokens.lock().await;
        let call = Call { method: Method::POST, nsid: "com.atproto.server.deleteSession", params: &[], body: None };
        if let Ok(Err(refusal)) = self.server.ask(&call, Some(&tokens.refresh_jwt)).await {
            tracing::debug!(server = self.server.name, error = refusal.error, "the session at the old server was not ended");
        }
    }
}

fn seal(app: &AppState, did: &Did, tokens: &Tokens) -> Vec<u8> {
    let json = Zeroizing::new(serde_json::to_vec(tokens).expect("tokens are text"));
    app.secrets.seal_old_session(did, &json)
}

/// Opens the tokens of a move that is under way.
pub(super) fn open(app: &AppState, did: &Did, sealed: &[u8]) -> Result<Tokens, Fault> {
    let json = app.secrets.open_old_session(did, sealed).map_err(|err| Fault::here(&err))?;
    serde_json::from_slice(&json).map_err(|err| Fault::here(&err))
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;

    use super::*;

    #[test]
    fn a_token_of_an_app_password_says_so() {
        let token = |claims: &str| {
            let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
            format!("{}.{}.{}", part(r#"{"typ":"at+jwt","alg":"HS256"}"#), part(claims), part("signature"))
        };
        assert!(is_of_an_app_password(&token(r#"{"scope":"com.atproto.appPass"}"#)));
        assert!(is_of_an_app_password(&token(r#"{"scope":"com.atproto.appPassPrivileged"}"#)));
        assert!(!is_of_an_app_password(&token(r#"{"scope":"com.atproto.access"}"#)));
        assert!(!is_of_an_app_password("opaque"));
    }

    #[test]
    fn a_refusal_is_told_by_what_helps() {
        let fault = |status: u16, body: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::RETRY_AFTER, http::HeaderValue::from_static("30"));
            Refusal::read(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes()).into_fault("old.example.com")
        };
        let server = "old.example.com".to_owned();
        assert_eq!(fault(429, "{}"), Fault::RateLimited { server: server.clone(), seconds: Some(30) });
        assert_eq!(fault(400, r#"{"error":"ExpiredToken"}"#), Fault::SessionOver { server: server.clone() });
        assert!(matches!(fault(502, "<html>"), Fault::Unreachable { why, .. } if why.contains("502")));
        let message = "Account has been taken down".to_owned();
        let said = r#"{"error":"AccountTakedown","message":"Account has been taken down."}"#;
        assert_eq!(fault(400, said), Fault::Refused { server, message });
    }
}
