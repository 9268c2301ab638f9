//! Buckets of S3-compatible stores, opened.

use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{BackoffConfig, RetryConfig};

use crate::config::S3Place;
use crate::identity::http::ObjectStoreClient;

/// Who waits when a store is out of reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waits {
    /// A client, who is better told so soon.
    Client,
    /// Work in the background, which tries again later.
    Background,
}

fn retries(waits: Waits) -> RetryConfig {
    let (max_retries, seconds) = match waits {
        Waits::Client => (2, 10),
        Waits::Background => (5, 60),
    };
    let backoff = BackoffConfig { init_backoff: Duration::from_millis(200), max_backoff: Duration::from_secs(10), base: 2.0 };
    RetryConfig { backoff, max_retries, retry_timeout: Duration::from_secs(seconds) }
}

/// Opens a bucket, and returns it with what the names of our objects begin with. Nothing is asked of the store yet.
pub(crate) fn open(s3: &S3Place, client: ObjectStoreClient, waits: Waits) -> object_store::Result<(AmazonS3, Path)> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&s3.bucket)
        .with_region(&s3.region)
        .with_http_connector(client)
        .with_retry(retries(waits))
        .with_virtual_hosted_style_request(false);
    if let Some(endpoint) = &s3.endpoint {
        builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/')).with_allow_http(endpoint.scheme() == "http");
    }
    builder = match &s3.access {
        Some(access) => builder.with_access_key_id(&access.key).with_secret_access_key(access.secret.expose()),
        None => builder.with_skip_signature(true),
    };
    Ok((builder.build()?, Path::from(s3.prefix.as_str())))
}

/// Returns the path of an object below a prefix.
pub(crate) fn path(prefix: &Path, name: &str) -> Path {
    name.split('/').fold(prefix.clone(), Path::join)
}
