//! Buckets of S3-compatible stores, which several sections name.

use url::Url;

use super::{
    error::Wrong,
    reader::Reader,
    secret::{Secret, parse_any},
    values::parse_text,
};

/// A bucket of an S3-compatible store.
#[derive(Debug, Clone)]
pub struct S3Place {
    /// The bucket.
    pub bucket: String,
    /// What the names of all objects begin with; may be empty.
    pub prefix: String,
    /// The store; `None` is Amazon's.
    pub endpoint: Option<Url>,
    /// The region.
    pub region: String,
    /// Who writes; `None` asks without a signature.
    pub access: Option<S3Access>,
}

/// Who writes to an S3-compatible store.
#[derive(Debug, Clone)]
pub struct S3Access {
    /// The access key.
    pub key: String,
    /// The secret key.
    pub secret: Secret,
}

/// The settings of a section that say which store it is, and who writes.
pub(super) struct Names {
    pub(super) endpoint: &'static str,
    pub(super) region: &'static str,
    pub(super) access_key: &'static str,
    pub(super) secret_key: &'static str,
}

/// A store, without a bucket.
#[derive(Debug, Clone)]
pub(super) struct Store {
    endpoint: Option<Url>,
    region: String,
    access: Option<S3Access>,
}

impl Store {
    pub(super) fn read(reader: &mut Reader, names: &Names) -> Self {
        let endpoint = reader.optional(names.endpoint, parse_endpoint);
        let region = reader.value(names.region, parse_text);
        let access_key = reader.optional(names.access_key, parse_text);
        let secret_key = reader.optional(names.secret_key, parse_any);
        if access_key.is_some() != secret_key.is_some() {
            let set = if access_key.is_some() { names.access_key } else { names.secret_key };
            let remedy = format!("Set {} and {}, or neither.", names.access_key, names.secret_key);
            reader.complain(set, "is set alone", &remedy);
        }
        let access = access_key.zip(secret_key).map(|(key, secret)| S3Access { key, secret });
        Self { endpoint, region, access }
    }

    /// Returns a bucket of this store.
    pub(super) fn place(&self, bucket: S3Place) -> S3Place {
        let Self { endpoint, region, access } = self.clone();
        S3Place { endpoint, region, access, ..bucket }
    }
}

impl S3Place {
    /// Reads `s3://bucket/prefix`; what else the store needs is added by the caller.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("s3://")?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let s3 = Self {
            bucket: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
            endpoint: None,
            region: "us-east-1".to_owned(),
            access: None,
        };
        (!bucket.is_empty()).then_some(s3)
    }

    /// Returns how operators call it.
    pub fn describe(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }
}

fn parse_endpoint(text: &str) -> Result<Url, Wrong> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| Wrong::new("is not a URL", "Write it as https://s3.example.com."))
}
