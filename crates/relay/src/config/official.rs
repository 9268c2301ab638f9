//! The official PDS's variables: which of our settings means the same, and why some have no counterpart.

use std::collections::BTreeMap;

use super::registry::{Convert, SETTINGS, Setting};

/// A variable of the official PDS that is set and does nothing here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The variable: `PDS_HOSTNAME`.
    pub official: String,
    /// What to do instead, as a sentence or assignment: `RELAY_SERVER_PUBLIC_URL=https://pds.example.com`.
    pub instead: String,
}

/// Variables of the official PDS without a setting of their own here, each with the reason.
pub(super) const WITHOUT_SETTING: [(&str, &str); 44] = [
    ("PDS_VERSION", "the program's own version is shown"),
    ("PDS_DEV_MODE", "use `relay dev`, or plain http on localhost"),
    ("PDS_PRIMARY_COLOR", "pages have one design"),
    ("PDS_ERROR_COLOR", "pages have one design"),
    ("PDS_WARNING_COLOR", "pages have one design"),
    ("PDS_INFO_COLOR", "pages have one design"),
    ("PDS_SUCCESS_COLOR", "pages have one design"),
    ("PDS_BACKGROUND_LIGHT_URL", "pages have one design"),
    ("PDS_BACKGROUND_DARK_URL", "pages have one design"),
    ("PDS_OAUTH_TRUSTED_CLIENTS", "no client is trusted more than another"),
    ("PDS_HCAPTCHA_SITE_KEY", "no third party takes part in registration; use invites"),
    ("PDS_HCAPTCHA_SECRET_KEY", "no third party takes part in registration; use invites"),
    ("PDS_HCAPTCHA_TOKEN_SALT", "no third party takes part in registration; use invites"),
    ("PDS_DPOP_SECRET", "made and kept by the server"),
    ("PDS_LEXICON_AUTHORITY_DID", "authorities are resolved as the specification says"),
    ("PDS_ACCOUNT_DB_LOCATION", "one database in data.dir"),
    ("PDS_SEQUENCER_DB_LOCATION", "one database in data.dir"),
    ("PDS_DID_CACHE_DB_LOCATION", "one database in data.dir"),
    ("PDS_ACTOR_STORE_DIRECTORY", "one database in data.dir"),
    ("PDS_ACTOR_STORE_CACHE_SIZE", "see data.reader_cache"),
    ("PDS_SQLITE_DISABLE_WAL_AUTO_CHECKPOINT", "checkpoints are the server's own"),
    ("PDS_BLOBSTORE_DISK_LOCATION", "blobs are in data.dir"),
    ("PDS_BLOBSTORE_DISK_TMP_LOCATION", "blobs are in data.dir"),
    ("PDS_BLOBSTORE_S3_FORCE_PATH_STYLE", "objects are always addressed by path"),
    ("PDS_BLOBSTORE_S3_UPLOAD_TIMEOUT_MS", "fixed bounds"),
    ("PDS_BLOBSTORE_S3_REQUEST_TIMEOUT_MS", "fixed bounds"),
    ("PDS_ENTRYWAY_URL", "the server is its own authorization server"),
    ("PDS_ENTRYWAY_DID", "the server is its own authorization server"),
    ("PDS_ENTRYWAY_JWT_VERIFY_KEY_K256_PUBLIC_KEY_HEX", "the server is its own authorization server"),
    ("PDS_ENTRYWAY_PLC_ROTATION_KEY", "the server is its own authorization server"),
    ("PDS_ENTRYWAY_ADMIN_TOKEN", "the server is its own authorization server"),
    ("PDS_EMAIL_DISABLE_CONFIRMATION_LINK", "mail links to this server only"),
    ("PDS_REDIS_SCRATCH_ADDRESS", "counters are kept in the process"),
    ("PDS_REDIS_SCRATCH_PASSWORD", "counters are kept in the process"),
    ("PDS_FETCH_MAX_RESPONSE_SIZE", "fixed bounds"),
    ("PDS_PROXY_ALLOW_HTTP2", "fixed bounds"),
    ("PDS_PROXY_HEADERS_TIMEOUT", "fixed bounds"),
    ("PDS_PROXY_BODY_TIMEOUT", "fixed bounds"),
    ("PDS_PROXY_MAX_RESPONSE_SIZE", "fixed bounds"),
    ("PDS_PROXY_MAX_RETRIES", "fixed bounds"),
    ("PDS_PROXY_PREFER_COMPRESSED", "fixed bounds"),
    ("PDS_JWT_SECRET", "made and kept by the server"),
    ("PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX", "made and kept by the server, sealed under secrets.master_key"),
    ("PDS_PLC_ROTATION_KEY_KMS_KEY_ID", "made and kept by the server, sealed under secrets.master_key"),
];

/// Says for each `PDS_*` variable in the environment what does the same here.
pub fn hints(env: impl IntoIterator<Item = (String, String)>) -> Vec<Hint> {
    let env: BTreeMap<String, String> = env.into_iter().collect();
    let official = env.iter().filter(|(name, value)| name.starts_with("PDS_") && !value.is_empty());
    official.filter_map(|(name, value)| Some(Hint { official: name.clone(), instead: instead(name, value, &env)? })).collect()
}

fn instead(name: &str, value: &str, env: &BTreeMap<String, String>) -> Option<String> {
    match counterpart(name, value)? {
        Counterpart::Setting(setting, _) if env.contains_key(&setting.env()) => None,
        Counterpart::Setting(setting, _) if setting.secret => Some(format!("{}=(the same value)", setting.env())),
        Counterpart::Setting(setting, value) => Some(format!("{}={value}", setting.env())),
        Counterpart::None(reason) => Some(format!("not needed: {reason}")),
    }
}

/// What does here what a variable of the official PDS does there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counterpart {
    /// A setting, with this value.
    Setting(&'static Setting, String),
    /// Nothing, for this reason.
    None(&'static str),
}

/// Returns what does the same as a variable of the official PDS; `None` when it has no such variable.
pub fn counterpart(name: &str, value: &str) -> Option<Counterpart> {
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.official.is_some_and(|official| official.name == name)) {
        return Some(Counterpart::Setting(setting, convert(setting, value)));
    }
    WITHOUT_SETTING.iter().find(|(official, _)| *official == name).map(|(_, reason)| Counterpart::None(reason))
}

fn convert(setting: &Setting, value: &str) -> String {
    let how = setting.official.map_or(Convert::Same, |official| official.convert);
    match how {
        Convert::Same => value.to_owned(),
        Convert::HostToUrl if value == "localhost" => "http://localhost:2583".to_owned(),
        Convert::HostToUrl => format!("https://{value}"),
        Convert::BucketToStore => format!("s3://{value}"),
        // A listener is of one family.
        Convert::PortToBind => format!("0.0.0.0:{value},[::]:{value}"),
        Convert::Millis => format!("{value}ms"),
        Convert::Invert => (!matches!(value, "true" | "1")).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_official_variable_is_spoken_of_once() {
        let mut names = BTreeSet::new();
        let mapped = SETTINGS.iter().filter_map(|setting| setting.official).map(|official| official.name);
        let counted = mapped.filter(|name| name.starts_with("PDS_")).chain(WITHOUT_SETTING.map(|(name, _)| name));
        for name in counted {
            assert!(names.insert(name), "{name} is there once");
        }
        assert_eq!(names.len(), 93, "the official PDS 0.5.35 has 93 variables");
    }

    #[test]
    fn set_variables_lead_to_ours_without_secrets() {
        let env = [
            ("PDS_HOSTNAME", "pds.example.com"),
            ("PDS_ADMIN_PASSWORD", "hunter2222"),
            ("PDS_DISABLE_SSRF_PROTECTION", "true"),
            ("PDS_DID_CACHE_MAX_TTL", "1000"),
            ("PDS_JWT_SECRET", "hunter3333"),
            ("PDS_INVITE_REQUIRED", "false"),
            ("RELAY_ACCOUNTS_INVITE_REQUIRED", "false"),
        ];
        let hints = hints(env.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let lines: Vec<_> = hints.iter().map(|hint| format!("{} -> {}", hint.official, hint.instead)).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        PDS_ADMIN_PASSWORD -> RELAY_SECRETS_ADMIN_PASSWORD=(the same value)
        PDS_DID_CACHE_MAX_TTL -> RELAY_IDENTITY_DID_CACHE_MAX=1000ms
        PDS_DISABLE_SSRF_PROTECTION -> RELAY_NETWORK_PROTECT_PRIVATE_ADDRESSES=false
        PDS_HOSTNAME -> RELAY_SERVER_PUBLIC_URL=https://pds.example.com
        PDS_JWT_SECRET -> not needed: made and kept by the server
        "#);
    }
}
