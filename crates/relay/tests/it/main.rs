//! The server through its public API: the real router over real sockets, on real SQLite in a temporary folder.

#![expect(clippy::unwrap_used, reason = "a test panics when what it relies on is not so, helpers included")]

mod account_pages;
mod admin;
mod adopt;
mod alerts;
mod api_doc;
mod arrivals;
mod authorize;
mod backlinks;
mod backup;
mod backup_s3;
mod behind_proxies;
mod blobs;
mod blobs_s3;
mod cancel;
mod clock;
mod crash;
mod crawlers;
mod discretion;
mod disk;
mod doctor;
mod doctor_fix;
mod email;
mod faults;
mod firehose;
mod full_disk;
mod hostile;
mod identity;
mod imports;
mod invites;
mod lexicons;
mod migration;
mod move_in;
mod new_dids;
mod oauth;
mod oauth_clients;
mod oauth_scopes;
mod observe;
mod operator;
mod pages;
mod passkeys;
mod preferences;
mod proxy;
mod public_pages;
mod rate_limits;
mod read_after_write;
mod records;
mod rotate;
mod second_factor;
mod service_manager;
mod sessions;
mod setup;
mod sign_ins;
mod soak;
mod support;
mod support_bundle;
mod sync;
mod takedown;
mod tls;
mod tls_dns;
mod update;
mod verify;
mod writers;
mod xrpc;

/// A file that is not declared above would never run.
#[test]
fn no_file_is_forgotten() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let declared = include_str!("main.rs");
    for entry in std::fs::read_dir(dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // Such as what a failed snapshot leaves behind.
        if name.starts_with('.') {
            continue;
        }
        let module = name.strip_suffix(".rs").unwrap_or(&name);
        assert!(module == "main" || declared.contains(&format!("mod {module};")), "{name} is not declared in main.rs");
    }
}
