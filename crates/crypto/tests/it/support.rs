//! What the tests share.

use std::path::PathBuf;

use crypto::{Curve, SigningKey};

/// Returns a key that is the same in every run.
pub(crate) fn key(curve: Curve, seed: u8) -> SigningKey {
    SigningKey::from_bytes(curve, &[seed; 32]).expect("repeated small bytes are a key")
}

pub(crate) fn did_key(key: &SigningKey) -> String {
    key.verifying_key().to_did_key()
}

/// Reads a JSON file of the interop vectors; `None`, with a note, where they are not at hand.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub(crate) fn vectors(path: &str) -> Option<serde_json::Value> {
    let folder = std::env::var_os("EZPDS_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"), PathBuf::from);
    let file = folder.join(path);
    let Ok(text) = std::fs::read(&file) else {
        println!("skipped: no vectors at {}", file.display());
        return None;
    };
    Some(serde_json::from_slice(&text).expect("vectors are JSON"))
}
