//! The API of deSEC, version 1.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, header};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{DnsError, Provider, Record, ask};
use crate::config::Secret;
use crate::identity::http::HttpClient;

/// The shortest that is allowed for most domains.
const TTL_SECONDS: u32 = 3600;

pub(super) struct Desec {
    pub(super) api: Url,
    pub(super) token: Secret,
    pub(super) http: HttpClient,
}

#[derive(Deserialize)]
struct Domain {
    name: String,
}

impl Provider for Desec {
    fn set<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), DnsError>> {
        Box::pin(self.write(record, json!([format!("\"{}\"", record.value)])))
    }

    fn clear<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), DnsError>> {
        // A set without records is deleted.
        Box::pin(self.write(record, json!([])))
    }
}

impl Desec {
    async fn write(&self, record: &Record, values: Value) -> Result<(), DnsError> {
        let found = self.call(Method::GET, "domains/", Some(&record.name), None).await?;
        let domains: Vec<Domain> = serde_json::from_slice(&found).unwrap_or_default();
        let domain = domains.into_iter().next().ok_or_else(|| DnsError::NoZone(record.name.clone()))?.name;
        let below = record.name.strip_suffix(&domain).and_then(|name| name.strip_suffix('.'));
        let subname = below.ok_or_else(|| DnsError::NoZone(record.name.clone()))?;
        let sets = json!([{ "subname": subname, "type": "TXT", "ttl": TTL_SECONDS, "records": values }]);
        self.call(Method::PUT, &format!("domains/{domain}/rrsets/"), None, Some(&sets)).await?;
        Ok(())
    }

    async fn call(&self, method: Method, path: &str, owns: Option<&str>, body: Option<&Value>) -> Result<Bytes, DnsError> {
        let mut url = self.api.join(path).map_err(|_| DnsError::Name(path.to_owned()))?;
        if let Some(owns) = owns {
            url.query_pairs_mut().append_pair("owns_qname", owns);
        }
        let token = format!("Token {}", self.token.expose());
        ask(&self.http, self.http.request(method, &url)?.header(header::AUTHORIZATION, token), body).await
    }
}
