//! Orders a certificate from an authority (RFC 8555).
//!
//! The account's key is made at the first order and kept, sealed. An authority that does not know the account any more gets
//! a new one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::Datetime;
use http_body_util::{BodyExt as _, Full};
use instant_acme::{
    Account, AccountCredentials, AuthorizationHandle, AuthorizationStatus, BodyWrapper, BytesResponse, CertificateIdentifier,
    ChallengeType, Error, Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::sync::Mutex;
use url::Url;
use zeroize::Zeroizing;

use super::challenges::{Answer, Challenges};
use super::dns::{DnsChallenges, DnsError, Record};
use crate::config::Acme as AcmeConfig;
use crate::identity::http::HttpClient;
use crate::secrets::{SecretError, Secrets};
use crate::store::{Db, StoreError, WriteFailed, tls};

/// Answers of an authority are small; chains of certificates are the largest.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// How long the authority may take to look at a challenge, and to make the certificate.
const VALIDATION: Duration = Duration::from_secs(90);
/// Orders that are begun anew when the authority keeps refusing nonces.
const NONCE_RETRIES: u32 = 3;

/// How it is proved that a name leads here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Http,
    Tls,
    Dns,
}

impl Proof {
    fn kind(self) -> ChallengeType {
        match self {
            Self::Http => ChallengeType::Http01,
            Self::Tls => ChallengeType::TlsAlpn01,
            Self::Dns => ChallengeType::Dns01,
        }
    }

    /// Returns what the operator has to see to.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Http => "DNS must lead the name to this machine, and port 80 of it to tls.http_bind",
            Self::Tls => "DNS must lead the name to this machine, and port 443 of it to tls.https_bind",
            Self::Dns => "the DNS provider must serve the record _acme-challenge of the domain to the world",
        }
    }
}

/// Why there is no certificate. The texts are for the operator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OrderError {
    #[error("{limit} certificates were ordered within {span}, which is as many as {setting} allows")]
    Capped { limit: u64, span: &'static str, setting: &'static str, until: i64 },
    #[error("the certificate authority at {host} cannot be reached: {cause}")]
    Unreachable { host: String, cause: String },
    #[error("the certificate authority gives no more certificates for now: {detail}")]
    RateLimited { detail: String, until: Option<i64> },
    #[error("the certificate authority could not see that {name} is here: {detail}. {}", .proof.remedy())]
    NotSeen { name: String, proof: Proof, detail: String },
    #[error("the certificate authority offers no way to prove {name} that this server is set up for")]
    NoProof { name: String },
    #[error("the certificate authority refused the order: {0}")]
    Refused(String),
    #[error("the certificate authority did not finish the order in time")]
    TimedOut,
    #[error("the certificate that came cannot be used: {0}")]
    Unusable(String),
    #[error("the DNS record for the challenge could not be set: {0}")]
    Dns(#[from] DnsError),
    #[error("the account at the certificate authority could not be kept: {0}")]
    Secret(#[from] SecretError),
    #[error("the stored account at the certificate authority is damaged: {0}")]
    Account(#[source] serde_json::Error),
    #[error("the database failed: {0}")]
    Store(#[from] StoreError),
    #[error("the database failed: {0}")]
    Write(#[from] WriteFailed),
}

/// What an order brought.
pub(super) struct Issued {
    /// In PEM.
    pub(super) chain: String,
    /// PKCS#8.
    pub(super) key: Zeroizing<Vec<u8>>,
}

/// Speaks to the authority.
pub(super) struct Acme {
    pub(super) config: AcmeConfig,
    pub(super) http: HttpClient,
    pub(super) db: Arc<Db>,
    pub(super) secrets: Arc<Secrets>,
    pub(super) challenges: Arc<Challenges>,
    pub(super) dns: Option<DnsChallenges>,
    pub(super) account: Mutex<Option<Account>>,
}

impl std::fmt::Debug for Acme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acme").field("directory", &self.config.directory.as_str()).finish_non_exhaustive()
    }
}

impl Acme {
    /// Orders a certificate for `name`, which may begin with `*.`. `replaces` is the certificate that it takes the place of.
    pub(super) async fn order(
        &self,
        name: &str,
        proof: Proof,
        replaces: Option<CertificateIdentifier<'_>>,
    ) -> Result<Issued, OrderError> {
        let mut forgotten = false;
        let mut nonces = 0;
        loop {
            let account = self.account().await?;
            let failed = match self.order_once(&account, name, proof, replaces.clone()).await {
                Ok(issued) => return Ok(issued),
                Err(failed) => failed,
            };
            match &failed {
                Failed::Acme(Error::Api(problem)) if is(problem, "badNonce") && nonces < NONCE_RETRIES => nonces += 1,
                Failed::Acme(Error::Api(problem)) if is(problem, "accountDoesNotExist") && !forgotten => {
                    forgotten = true;
                    self.forget_account().await?;
                }
                Failed::Acme(_) | Failed::Other(_) => return Err(self.explain(failed)),
            }
        }
    }

    /// Returns the window in which the authority wants a certificate to be renewed, and how long that holds. `None` when it
    /// does not say. Times are seconds since 1970.
    pub(super) async fn renewal_window(&self, certificate: &CertificateIdentifier<'_>) -> Option<(i64, i64, Duration)> {
        let account = self.account().await.ok()?;
        let (info, again) = account.renewal_info(certificate).await.ok()?;
        let window = info.suggested_window;
        Some((window.start.unix_timestamp(), window.end.unix_timestamp(), again))
    }

    async fn order_once(
        &self,
        account: &Account,
        name: &str,
        proof: Proof,
        replaces: Option<CertificateIdentifier<'_>>,
    ) -> Result<Issued, Failed> {
        let identifiers = [Identifier::Dns(name.to_owned())];
        let mut order = match replaces {
            None => account.new_order(&NewOrder::new(&identifiers)).await?,
            Some(replaced) => match account.new_order(&NewOrder::new(&identifiers).replaces(replaced)).await {
                Ok(order) => order,
                Err(err @ Error::Api(_)) if !is_about_replacing(&err) => return Err(err.into()),
                // The authority does not know the certificate that is replaced, or that it can be.
                Err(_) => account.new_order(&NewOrder::new(&identifiers)).await?,
            },
        };
        let mut answers = Answers::default();
        let proved = self.prove(&mut order, name, proof, &mut answers).await;
        let records = std::mem::take(&mut answers.records);
        if let Some(dns) = &self.dns {
            for record in &records {
                if let Err(err) = dns.clear(record).await {
                    tracing::warn!(
                        name,
                        error = &err as &dyn std::error::Error,
                        "the record of a challenge could not be removed"
                    );
                }
            }
        }
        proved?;
        drop(answers);
        let key = KeyPair::generate().map_err(unusable)?;
        let mut params = CertificateParams::new([name.to_owned()]).map_err(unusable)?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key).map_err(unusable)?;
        order.finalize_csr(request.der()).await?;
        let chain = order.poll_certificate(&RetryPolicy::new().timeout(VALIDATION)).await?;
        Ok(Issued { chain, key: Zeroizing::new(key.serialize_der()) })
    }

    /// Answers the order's challenges until the authority is content.
    async fn prove(&self, order: &mut Order, name: &str, proof: Proof, answers: &mut Answers) -> Result<(), Failed> {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let authorization = authorization?;
            match authorization.status {
                // The authority remembers an earlier proof.
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                AuthorizationStatus::Invalid
                | AuthorizationStatus::Revoked
                | AuthorizationStatus::Expired
                | AuthorizationStatus::Deactivated => {
                    let detail = "an earlier proof is no longer valid".to_owned();
                    return Err(Failed::Other(OrderError::NotSeen { name: name.to_owned(), proof, detail }));
                }
            }
            self.answer(authorization, name, proof, answers).await?;
        }
        match order.poll_ready(&RetryPolicy::new().timeout(VALIDATION)).await {
            Ok(OrderStatus::Ready | OrderStatus::Valid) => Ok(()),
            Ok(OrderStatus::Pending | OrderStatus::Processing | OrderStatus::Invalid) => {
                Err(Failed::Other(not_seen(order, name, proof, String::new()).await))
            }
            // What the order says is less than what its challenges say.
            Err(Error::Api(problem)) if !is(&problem, "badNonce") => {
                Err(Failed::Other(not_seen(order, name, proof, problem.to_string()).await))
            }
            Err(err) => Err(err.into()),
        }
    }

    async fn answer(
        &self,
        mut authorization: AuthorizationHandle<'_>,
        name: &str,
        proof: Proof,
        answers: &mut Answers,
    ) -> Result<(), Failed> {
        let no_proof = || Failed::Other(OrderError::NoProof { name: name.to_owned() });
        let mut challenge = authorization.challenge(proof.kind()).ok_or_else(no_proof)?;
        let key = challenge.key_authorization();
        match proof {
            Proof::Http => answers.held.push(self.challenges.answer_http(&challenge.token, key.as_str())),
            Proof::Tls => {
                let digest = key.digest();
                answers.held.push(self.challenges.answer_tls(name, digest.as_ref()).map_err(unusable)?);
            }
            Proof::Dns => {
                let dns = self.dns.as_ref().ok_or_else(no_proof)?;
                let domain = name.strip_prefix("*.").unwrap_or(name);
                let record = Record { name: format!("_acme-challenge.{domain}"), value: key.dns_value() };
                answers.records.push(record.clone());
                dns.set(&record).await.map_err(|err| Failed::Other(err.into()))?;
            }
        }
        Ok(challenge.set_ready().await?)
    }

    /// Returns the account, which is made when there is none.
    async fn account(&self) -> Result<Account, OrderError> {
        let mut held = self.account.lock().await;
        if let Some(account) = &*held {
            return Ok(account.clone());
        }
        let directory = self.config.directory.to_string();
        let builder = Account::builder_with_http(Box::new(AcmeHttp(self.http.clone())));
        let stored = self.db.read(|conn| tls::find_account(conn, &directory)).await?;
        let account = if let Some(sealed) = stored {
            let text = self.secrets.open_acme_account(&directory, &sealed)?;
            let credentials: AccountCredentials = serde_json::from_slice(&text).map_err(OrderError::Account)?;
            builder.from_credentials(credentials).await.map_err(|err| self.explain(err.into()))?
        } else {
            let contact = self.config.contact.as_ref().map(|address| format!("mailto:{}", address.bare()));
            let contact: Vec<&str> = contact.as_deref().into_iter().collect();
            let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
            let made = builder.create(&new, directory.clone(), None).await;
            let (account, credentials) = made.map_err(|err| self.explain(err.into()))?;
            let text = Zeroizing::new(serde_json::to_vec(&credentials).map_err(OrderError::Account)?);
            let sealed = self.secrets.seal_acme_account(&directory, &text);
            self.db.write(move |tx| tls::put_account(tx, &directory, &sealed).map_err(OrderError::Store)).await?;
            tracing::info!(directory = %self.config.directory, "registered with the certificate authority");
            account
        };
        *held = Some(account.clone());
        Ok(account)
    }

    async fn forget_account(&self) -> Result<(), OrderError> {
        tracing::warn!(directory = %self.config.directory, "the certificate authority does not know this server any more");
        *self.account.lock().await = None;
        let directory = self.config.directory.to_string();
        self.db.write(move |tx| tls::delete_account(tx, &directory).map_err(OrderError::Store)).await
    }

    fn explain(&self, failed: Failed) -> OrderError {
        let err = match failed {
            Failed::Other(err) => return err,
            Failed::Acme(err) => err,
        };
        let host = self.config.directory.host_str().unwrap_or_default().to_owned();
        match err {
            Error::Api(problem) if is(&problem, "rateLimited") => {
                let detail = text_of(&problem);
                OrderError::RateLimited { until: retry_after(&detail), detail }
            }
            Error::Api(problem) => OrderError::Refused(text_of(&problem)),
            Error::Timeout(_) => OrderError::TimedOut,
            Error::Other(err) => OrderError::Unreachable { host, cause: err.to_string() },
            // What is not JSON comes from something else than the authority, such as a proxy before it.
            other => OrderError::Unreachable { host, cause: other.to_string() },
        }
    }
}

/// What has to stay in place until the authority has looked.
#[derive(Default)]
struct Answers {
    held: Vec<Answer>,
    records: Vec<Record>,
}

enum Failed {
    Acme(Error),
    Other(OrderError),
}

impl From<Error> for Failed {
    fn from(err: Error) -> Self {
        Self::Acme(err)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "has the signature that map_err wants")]
fn unusable(err: rcgen::Error) -> Failed {
    Failed::Other(OrderError::Unusable(err.to_string()))
}

/// Asks the order's challenges why the authority is not content.
async fn not_seen(order: &mut Order, name: &str, proof: Proof, mut detail: String) -> OrderError {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else { continue };
        if let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.as_ref()) {
            detail = text_of(problem);
        }
    }
    if detail.is_empty() {
        "it does not say why".clone_into(&mut detail);
    }
    OrderError::NotSeen { name: name.to_owned(), proof, detail }
}

fn text_of(problem: &instant_acme::Problem) -> String {
    // Some hundred characters are enough to know; what the authority cites may be a page.
    problem.detail.as_deref().unwrap_or("it does not say why").trim_end_matches('.').chars().take(400).collect()
}

/// Reads when orders are taken again, in milliseconds since 1970, as Let's Encrypt says it: "retry after 2026-11-24 14:00:00 UTC".
fn retry_after(detail: &str) -> Option<i64> {
    let (_, rest) = detail.split_once("retry after ")?;
    let time = rest.get(..19)?.replace(' ', "T");
    format!("{time}Z").parse::<Datetime>().ok().map(|time| time.millis())
}

fn is(problem: &instant_acme::Problem, kind: &str) -> bool {
    problem.r#type.as_deref().and_then(|urn| urn.strip_prefix("urn:ietf:params:acme:error:")) == Some(kind)
}

fn is_about_replacing(err: &Error) -> bool {
    let Error::Api(problem) = err else { return false };
    is(problem, "alreadyReplaced")
        || problem.detail.as_deref().is_some_and(|detail| detail.contains("replace") || detail.contains("certificate"))
}

/// Lets the library speak through the server's own client.
struct AcmeHttp(HttpClient);

impl instant_acme::HttpClient for AcmeHttp {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move {
            let other = |err: Box<dyn std::error::Error + Send + Sync>| Error::Other(err);
            let (parts, body) = request.into_parts();
            let url = Url::parse(&parts.uri.to_string()).map_err(|err| other(Box::new(err)))?;
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(never) => match never {},
            };
            let mut outgoing = client.request(parts.method, &url).map_err(|err| other(Box::new(err)))?;
            if let Some(content_type) = parts.headers.get(http::header::CONTENT_TYPE) {
                outgoing = outgoing.header(http::header::CONTENT_TYPE, content_type);
            }
            if !body.is_empty() {
                outgoing = outgoing.body(body);
            }
            let reply = client.exchange(outgoing, MAX_ANSWER_BYTES).await.map_err(|err| other(Box::new(err)))?;
            let mut response = http::Response::new(Full::new(reply.body));
            *response.status_mut() = reply.status;
            *response.headers_mut() = reply.headers;
            Ok(BytesResponse::from(response))
        })
    }
}

impl Issued {
    /// Returns the key as handshakes want it.
    pub(super) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_limit_is_read() {
        let told = "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s, retry after \
                    2026-11-24 14:00:00 UTC: see https://letsencrypt.org/docs/rate-limits/";
        assert_eq!(retry_after(told), Some(1_795_528_800_000));
        assert_eq!(retry_after("too many certificates, retry after some time"), None);
        assert_eq!(retry_after("retry after 2026"), None);
        assert_eq!(retry_after("too many certificates"), None);
    }
}
