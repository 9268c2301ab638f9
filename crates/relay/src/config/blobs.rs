//! `[blobs]`: where the bytes of blobs are.

use super::{
    error::Wrong,
    reader::Reader,
    s3::{Names, S3Place, Store},
};

/// The section `[blobs]`.
#[derive(Debug, Clone)]
pub struct Blobs {
    /// The bucket; `None` is a folder in the data folder.
    pub store: Option<S3Place>,
}

impl Blobs {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let bucket = reader.optional("blobs.store", |text| {
            S3Place::parse(text).ok_or_else(|| Wrong::new("is not a bucket", "Write s3://bucket or s3://bucket/prefix."))
        });
        let store = Store::read(
            reader,
            &Names {
                endpoint: "blobs.s3_endpoint",
                region: "blobs.s3_region",
                access_key: "blobs.s3_access_key",
                secret_key: "blobs.s3_secret_key",
            },
        );
        Self { store: bucket.map(|bucket| store.place(bucket)) }
    }
}
