//! An app that signs users in, with a DPoP client of its own.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use crypto::{Curve, SigningKey};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Browser, Client, Reply, TestPds, User};

/// The verifier of PKCE; one is as good as another here.
const VERIFIER: &str = "a-verifier-that-is-long-enough-to-be-one-of-pkce";

/// An app.
pub(crate) struct App {
    http: Client,
    /// The issuer, which is also where the API is.
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    /// The key that tokens are bound to.
    key: SigningKey,
    /// The key by which the app proves who it is, with its id.
    assertion_key: Option<(SigningKey, String)>,
    nonce: Mutex<Option<String>>,
}

/// What an app got for a code.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) scope: String,
    pub(crate) sub: String,
}

/// What a proof says, where it is not what it should say.
#[derive(Default)]
pub(crate) struct Odd {
    pub(crate) htm: Option<&'static str>,
    pub(crate) htu: Option<String>,
    pub(crate) jti: Option<&'static str>,
    pub(crate) nonce: Option<String>,
    pub(crate) typ: Option<&'static str>,
    pub(crate) without_ath: bool,
}

pub(crate) fn key(nth: u8) -> SigningKey {
    SigningKey::from_bytes(Curve::P256, &[nth; 32]).unwrap()
}

impl App {
    /// An app in development.
    pub(crate) fn loopback(pds: &TestPds, scope: &str) -> Self {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("redirect_uri", "http://127.0.0.1/callback")
            .append_pair("scope", scope)
            .finish();
        Self::new(pds, &format!("http://localhost?{query}"), "http://127.0.0.1:4711/callback")
    }

    pub(crate) fn new(pds: &TestPds, client_id: &str, redirect_uri: &str) -> Self {
        Self {
            http: Client::without_redirects(pds.url()),
            issuer: format!("http://localhost:{}", pds.address().port()),
            client_id: client_id.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            key: key(7),
            assertion_key: None,
            nonce: Mutex::default(),
        }
    }

    /// The same app with a key by which it proves who it is.
    pub(crate) fn with_assertion_key(mut self, key: SigningKey, id: &str) -> Self {
        self.assertion_key = Some((key, id.to_owned()));
        self
    }

    /// The same app with another key for its tokens.
    pub(crate) fn with_key(mut self, key: SigningKey) -> Self {
        self.key = key;
        self
    }

    pub(crate) fn nonce(&self) -> Option<String> {
        self.nonce.lock().unwrap().clone()
    }

    pub(crate) fn set_nonce(&self, nonce: Option<&str>) {
        *self.nonce.lock().unwrap() = nonce.map(str::to_owned);
    }

    fn unique() -> String {
        // Several apps of a test may have the same key.
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        COUNTER.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// Makes a proof.
    pub(crate) fn proof(&self, method: &str, path: &str, token: Option<&str>, odd: &Odd) -> String {
        let jwk = self.key.verifying_key().to_jwk();
        let header = json!({ "typ": odd.typ.unwrap_or("dpop+jwt"), "alg": "ES256", "jwk": jwk });
        let mut claims = json!({
            "jti": odd.jti.map_or_else(Self::unique, str::to_owned),
            "htm": odd.htm.unwrap_or(method),
            "htu": odd.htu.clone().unwrap_or_else(|| format!("{}{path}", self.issuer)),
            // The server does not mind that the app's clock is wrong.
            "iat": 7,
        });
        if let Some(nonce) = odd.nonce.clone().or_else(|| self.nonce()) {
            claims["nonce"] = nonce.into();
        }
        if let Some(token) = token.filter(|_| !odd.without_ath) {
            claims["ath"] = BASE64URL_NOPAD.encode(&Sha256::digest(token)).into();
        }
        sign(&self.key, &header, &claims)
    }

    /// Makes an assertion of who the app is, with changes to what it says.
    pub(crate) fn assertion(&self, now_seconds: i64, changes: &Value) -> String {
        let (key, id) = self.assertion_key.as_ref().unwrap();
        let mut claims = json!({
            "iss": self.client_id, "sub": self.client_id, "aud": self.issuer, "jti": Self::unique(), "iat": now_seconds,
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        sign(key, &json!({ "alg": "ES256", "kid": id }), &claims)
    }

    /// Sends a form with a proof, and again when it needed another nonce.
    pub(crate) async fn post(&self, pds: &TestPds, path: &str, form: &[(&str, &str)]) -> Reply {
        let mut form: BTreeMap<String, String> =
            form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        form.entry("client_id".to_owned()).or_insert_with(|| self.client_id.clone());
        let own_assertion = self.assertion_key.is_some() && !form.contains_key("client_assertion");
        for attempt in 0.. {
            if own_assertion {
                let now = common::Clock::seconds(pds.clock());
                form.insert("client_assertion".to_owned(), self.assertion(now, &json!({})));
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                form.insert("client_assertion_type".to_owned(), kind.to_owned());
            }
            let reply = self.send(path, &form, &self.proof("POST", path, None, &Odd::default())).await;
            if attempt == 0 && reply.summary() == "400 use_dpop_nonce" {
                continue;
            }
            return reply;
        }
        unreachable!()
    }

    async fn send(&self, path: &str, form: &BTreeMap<String, String>, proof: &str) -> Reply {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.http.request("POST", path).header("content-type", "application/x-www-form-urlencoded").body(body);
        let reply = self.http.send(request.header("dpop", proof)).await;
        self.keep_nonce(&reply);
        reply
    }

    fn keep_nonce(&self, reply: &Reply) {
        if let Some(nonce) = reply.headers.get("dpop-nonce") {
            self.set_nonce(Some(nonce.to_str().unwrap()));
        }
    }

    /// Sends a form with a proof of one's own making.
    pub(crate) async fn post_with_proof(&self, path: &str, form: &[(&str, &str)], proof: &str) -> Reply {
        let form = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.send(path, &form, proof).await
    }

    /// Returns what is pushed.
    pub(crate) fn request<'a>(&'a self, scope: &'a str) -> Vec<(&'a str, &'a str)> {
        // The challenge of `VERIFIER`.
        static CHALLENGE: std::sync::LazyLock<String> =
            std::sync::LazyLock::new(|| BASE64URL_NOPAD.encode(&Sha256::digest(VERIFIER)));
        vec![
            ("client_id", &self.client_id),
            ("response_type", "code"),
            ("redirect_uri", &self.redirect_uri),
            ("scope", scope),
            ("state", "a state"),
            ("code_challenge", &CHALLENGE),
            ("code_challenge_method", "S256"),
        ]
    }

    /// Pushes a request, and returns the path that the user is sent to.
    pub(crate) async fn push(&self, pds: &TestPds, scope: &str, more: &[(&str, &str)]) -> String {
        let mut form = self.request(scope);
        form.extend(more);
        let reply = self.post(pds, "/oauth/par", &form).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        self.authorize_path(reply.json()["request_uri"].as_str().unwrap())
    }

    pub(crate) fn authorize_path(&self, request_uri: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("client_id", &self.client_id).append_pair("request_uri", request_uri);
        format!("/oauth/authorize?{}", query.finish())
    }

    /// Has a user agree, and returns the parameters that the app is given.
    pub(crate) async fn consent(&self, browser: &mut Browser, path: &str, scopes: &[&str]) -> BTreeMap<String, String> {
        let page = browser.open(path).await;
        // What was granted before is not asked again.
        let location = if page.status() == 303 {
            page.leads_to()
        } else {
            let mut fields: Vec<(&str, &str)> = scopes.iter().map(|scope| ("scope", *scope)).collect();
            fields.push(("decision", "allow"));
            browser.submit(&page.good(), "/oauth/authorize", &fields).await.leads_to()
        };
        assert!(location.starts_with(&self.redirect_uri), "{location}");
        let url = reqwest::Url::parse(&location).unwrap();
        url.query_pairs().into_owned().collect()
    }

    /// Returns the form by which a code is redeemed.
    pub(crate) fn redemption<'a>(&'a self, code: &'a str) -> Vec<(&'a str, &'a str)> {
        vec![
            ("client_id", &self.client_id),
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", VERIFIER),
        ]
    }

    /// Has a user sign in and agree to all that is asked, and returns the code.
    pub(crate) async fn code(&self, pds: &TestPds, user: &User, scope: &str) -> String {
        let mut browser = Browser::new(pds);
        browser.sign_in(&user.handle, &user.password).await;
        let path = self.push(pds, scope, &[]).await;
        let answer = self.consent(&mut browser, &path, &scope.split(' ').collect::<Vec<_>>()).await;
        assert_eq!((answer["iss"].as_str(), answer["state"].as_str()), (self.issuer.as_str(), "a state"));
        answer["code"].clone()
    }

    /// Signs a user in.
    pub(crate) async fn sign_in(&self, pds: &TestPds, user: &User, scope: &str) -> Tokens {
        let code = self.code(pds, user, scope).await;
        Tokens::of(&self.post(pds, "/oauth/token", &self.redemption(&code)).await.good().json())
    }

    pub(crate) async fn refresh(&self, pds: &TestPds, refresh: &str) -> Reply {
        self.post(pds, "/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await
    }

    /// Calls a method with a token, and again when it needed another nonce.
    pub(crate) async fn call(&self, tokens: &Tokens, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let reply = self.call_once(tokens, method, path, body, &Odd::default()).await;
        let wants_nonce = reply.headers.get("www-authenticate").is_some_and(|value| {
            let value = value.to_str().unwrap();
            value.starts_with("DPoP ") && value.contains("error=\"use_dpop_nonce\"")
        });
        if wants_nonce { self.call_once(tokens, method, path, body, &Odd::default()).await } else { reply }
    }

    /// Calls a method once, with a proof that says something odd.
    pub(crate) async fn call_once(&self, tokens: &Tokens, method: &str, path: &str, body: Option<&Value>, odd: &Odd) -> Reply {
        let proof = self.proof(method, path.split('?').next().unwrap(), Some(&tokens.access), odd);
        let mut request = self.http.request(method, path).header("dpop", proof);
        request = request.header("authorization", format!("DPoP {}", tokens.access));
        if let Some(body) = body {
            request = request.json(body);
        }
        let reply = self.http.send(request).await;
        self.keep_nonce(&reply);
        reply
    }

    pub(crate) async fn get(&self, tokens: &Tokens, nsid: &str) -> Reply {
        self.call(tokens, "GET", &format!("/xrpc/{nsid}"), None).await
    }

    pub(crate) async fn post_json(&self, tokens: &Tokens, nsid: &str, body: &Value) -> Reply {
        self.call(tokens, "POST", &format!("/xrpc/{nsid}"), Some(body)).await
    }

    /// Uploads a blob.
    pub(crate) async fn upload(&self, tokens: &Tokens, media_type: &str) -> Reply {
        const PATH: &str = "/xrpc/com.atproto.repo.uploadBlob";
        let proof = self.proof("POST", PATH, Some(&tokens.access), &Odd::default());
        let request = self.http.request("POST", PATH).header("dpop", proof).header("content-type", media_type);
        let request = request.header("authorization", format!("DPoP {}", tokens.access)).body("some bytes");
        self.http.send(request).await
    }
}

impl Tokens {
    pub(crate) fn of(reply: &Value) -> Self {
        assert_eq!(reply["token_type"], "DPoP");
        let text = |name: &str| reply[name].as_str().unwrap().to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token"), scope: text("scope"), sub: text("sub") }
    }
}

/// Signs a JWT.
pub(crate) fn sign(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let input = format!("{}.{}", part(header), part(claims));
    let signature = BASE64URL_NOPAD.encode(&key.sign(input.as_bytes()));
    format!("{input}.{signature}")
}
