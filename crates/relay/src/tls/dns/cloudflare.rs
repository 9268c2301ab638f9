//! Cloudflare's API, version 4.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{DnsError, Provider, Record, ask, zones_above};
use crate::config::Secret;
use crate::identity::http::HttpClient;

pub(super) struct Cloudflare {
    pub(super) api: Url,
    pub(super) token: Secret,
    pub(super) http: HttpClient,
}

#[derive(Deserialize)]
struct Found {
    result: Option<Vec<Id>>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

impl Provider for Cloudflare {
    fn set<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), DnsError>> {
        Box::pin(async move {
            let zone = self.zone(&record.name).await?;
            let body = json!({ "type": "TXT", "name": record.name, "content": format!("\"{}\"", record.value), "ttl": 60 });
            self.call(Method::POST, &format!("zones/{zone}/dns_records"), &[], Some(&body)).await?;
            Ok(())
        })
    }

    fn clear<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), DnsError>> {
        Box::pin(async move {
            let zone = self.zone(&record.name).await?;
            let content = format!("\"{}\"", record.value);
            let query = [("type", "TXT"), ("name", &*record.name), ("content", &*content)];
            let found = self.call(Method::GET, &format!("zones/{zone}/dns_records"), &query, None).await?;
            for record in ids(&found) {
                self.call(Method::DELETE, &format!("zones/{zone}/dns_records/{}", record.id), &[], None).await?;
            }
            Ok(())
        })
    }
}

impl Cloudflare {
    async fn zone(&self, name: &str) -> Result<String, DnsError> {
        for zone in zones_above(name) {
            let found = self.call(Method::GET, "zones", &[("name", zone)], None).await?;
            if let Some(zone) = ids(&found).into_iter().next() {
                return Ok(zone.id);
            }
        }
        Err(DnsError::NoZone(name.to_owned()))
    }

    async fn call(&self, method: Method, path: &str, query: &[(&str, &str)], body: Option<&Value>) -> Result<Bytes, DnsError> {
        let mut url = self.api.join(path).map_err(|_| DnsError::Name(path.to_owned()))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        ask(&self.http, self.http.request(method, &url)?.bearer_auth(self.token.expose()), body).await
    }
}

fn ids(body: &[u8]) -> Vec<Id> {
    serde_json::from_slice::<Found>(body).ok().and_then(|found| found.result).unwrap_or_default()
}
