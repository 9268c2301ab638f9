//! Which of the old server's settings are settings here.

use std::fmt::Write as _;

use crate::config::{Config, Counterpart, Kind, Override, Setting, counterpart};

use super::{EnvFile, Severity};

/// What the old server's settings are here.
#[derive(Clone, Default)]
pub(crate) struct Correspondence {
    settings: Vec<(&'static Setting, String, String)>,
    /// Variables without a counterpart, with the reason.
    pub(crate) without: Vec<(String, &'static str)>,
}

/// Variables that are dealt with here, and are no settings.
const TAKEN: [&str; 2] = ["PDS_JWT_SECRET", "PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX"];
/// Variables that say where the old server's data are; ours are elsewhere.
const PLACES: [&str; 7] = [
    "PDS_DATA_DIRECTORY",
    "PDS_ACCOUNT_DB_LOCATION",
    "PDS_SEQUENCER_DB_LOCATION",
    "PDS_DID_CACHE_DB_LOCATION",
    "PDS_ACTOR_STORE_DIRECTORY",
    "PDS_BLOBSTORE_DISK_LOCATION",
    "PDS_BLOBSTORE_DISK_TMP_LOCATION",
];

/// Finds for each of the old server's settings what it is here.
pub(crate) fn correspond(env: &EnvFile) -> Correspondence {
    let mut found = Correspondence::default();
    for (name, value) in env.iter().filter(|(name, _)| !TAKEN.contains(name) && !PLACES.contains(name)) {
        match counterpart(name, value) {
            Some(Counterpart::Setting(setting, converted)) => {
                let converted = match setting.kind {
                    Kind::Bool => match converted.as_str() {
                        "true" | "1" => "true".to_owned(),
                        "false" | "0" => "false".to_owned(),
                        // As the old server has it: anything else is not set.
                        _ => continue,
                    },
                    _ => converted,
                };
                found.settings.push((setting, name.to_owned(), converted));
            }
            Some(Counterpart::None(reason)) => found.without.push((name.to_owned(), reason)),
            None => {}
        }
    }
    if env.get("PDS_HOSTNAME") == Some("localhost") {
        on_this_machine(env, &mut found);
    }
    found.settings.sort_by_key(|(setting, ..)| crate::config::SETTINGS.iter().position(|known| known.path == setting.path));
    found
}

/// On localhost the port is part of the address, and the old server's DID has none all the same.
fn on_this_machine(env: &EnvFile, found: &mut Correspondence) {
    let port = env.get("PDS_PORT").unwrap_or("2583");
    for (setting, _, value) in &mut found.settings {
        if setting.path == "server.public_url" {
            *value = format!("http://localhost:{port}");
        }
    }
    if env.get("PDS_SERVICE_DID").is_none()
        && let Some(setting) = crate::config::find_setting("identity.service_did")
    {
        found.settings.push((setting, "PDS_HOSTNAME".to_owned(), "did:web:localhost".to_owned()));
    }
}

impl Correspondence {
    /// Returns the settings, to load a configuration with.
    pub(crate) fn overrides(&self) -> Vec<Override> {
        let one = |(setting, name, value): &(&'static Setting, String, String)| Override {
            flag: name.clone(),
            path: setting.path.to_owned(),
            value: value.clone(),
        };
        self.settings.iter().map(one).collect()
    }

    /// Writes the settings as `relay.toml`. Without `secrets`, those are left out and named.
    pub(crate) fn toml(&self, data_dir: Option<&str>, secrets: bool) -> String {
        let mut text = String::new();
        let mut section = "";
        let data = crate::config::find_setting("data.dir").zip(data_dir);
        let settings = self.settings.iter().map(|(setting, _, value)| (*setting, value.as_str()));
        let mut all: Vec<_> = settings.chain(data).collect();
        all.sort_by_key(|(setting, _)| crate::config::SETTINGS.iter().position(|known| known.path == setting.path));
        for (setting, value) in all {
            if setting.section() != section {
                let gap = if section.is_empty() { "" } else { "\n" };
                section = setting.section();
                writeln!(text, "{gap}[{section}]").expect("a String takes all text");
            }
            let value = if setting.secret && !secrets { "\"(as it was)\"".to_owned() } else { literal(setting.kind, value) };
            writeln!(text, "{} = {value}", setting.key()).expect("a String takes all text");
        }
        text
    }
}

fn literal(kind: Kind, value: &str) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    match kind {
        Kind::Bool => value.to_owned(),
        Kind::Integer if value.bytes().all(|b| b.is_ascii_digit()) && !value.is_empty() => value.to_owned(),
        Kind::List(_) => {
            let items: Vec<_> = value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(quoted).collect();
            format!("[{}]", items.join(", "))
        }
        _ => quoted(value),
    }
}

/// Says where a configuration does not agree with the old server's settings.
pub(crate) fn disagreements(env: &EnvFile, config: &Config) -> Vec<(Severity, String)> {
    let mut found = Vec::new();
    if let Some(hostname) = env.get("PDS_HOSTNAME") {
        let ours = config.server.public_url.host();
        if ours != hostname {
            found.push((
                Severity::Error,
                format!("The server is {ours} here, and was {hostname}: DIDs and sessions are bound to the name (server.public_url)."),
            ));
        }
        let did = env.get("PDS_SERVICE_DID").map_or_else(|| format!("did:web:{hostname}"), str::to_owned);
        if config.identity.service_did.as_str() != did {
            let ours = &config.identity.service_did;
            found.push((
                Severity::Error,
                format!("The server's DID is {ours} here, and was {did}: sessions are bound to it (identity.service_did)."),
            ));
        }
    }
    let usual = env.get("PDS_HOSTNAME").map(|hostname| format!(".{hostname}"));
    let domains = env.get("PDS_SERVICE_HANDLE_DOMAINS").map(str::to_owned).or(usual.filter(|usual| usual != ".localhost"));
    let ours: Vec<String> = config.identity.handle_domains.iter().map(ToString::to_string).collect();
    for domain in domains.iter().flat_map(|domains| domains.split(',')).filter(|domain| !domain.is_empty()) {
        if !ours.iter().any(|known| known == domain) {
            found.push((
                Severity::Warning,
                format!("Handles were given under {domain}, which is none of the domains here (identity.handle_domains)."),
            ));
        }
    }
    if let Some(url) = env.get("PDS_DID_PLC_URL") {
        let ours = config.identity.plc_url.as_str();
        if ours.trim_end_matches('/') != url.trim_end_matches('/') {
            found.push((Severity::Warning, format!("The PLC directory is {ours} here, and was {url} (identity.plc_url).")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_a_configuration_that_loads() {
        let env = EnvFile::of(&[
            ("PDS_HOSTNAME", "pds.example.com"),
            ("PDS_PORT", "3000"),
            ("PDS_DATA_DIRECTORY", "/pds"),
            ("PDS_BLOBSTORE_DISK_LOCATION", "/pds/blocks"),
            ("PDS_JWT_SECRET", "hunter1111"),
            ("PDS_ADMIN_PASSWORD", "hunter\"2222"),
            ("PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX", "hunter3333"),
            ("PDS_BLOB_UPLOAD_LIMIT", "104857600"),
            ("PDS_INVITE_REQUIRED", "0"),
            ("PDS_RATE_LIMITS_ENABLED", "maybe"),
            ("PDS_EMAIL_SMTP_URL", "smtps://user:pass@mail.example.com:465/"),
            ("PDS_EMAIL_FROM_ADDRESS", "admin@example.com"),
            ("PDS_CRAWLERS", "https://bsky.network,https://relay.example"),
            ("PDS_DID_CACHE_MAX_TTL", "86400000"),
            ("PDS_PRIMARY_COLOR", "#00ff00"),
        ]);
        let found = correspond(&env);
        insta::assert_snapshot!(found.toml(Some("/srv/relay"), false), @r#"
        [server]
        public_url = "https://pds.example.com"
        bind = ["0.0.0.0:3000", "[::]:3000"]

        [data]
        dir = "/srv/relay"

        [identity]
        did_cache_max = "86400000ms"

        [accounts]
        invite_required = false

        [services]
        crawlers = ["https://bsky.network", "https://relay.example"]

        [mail]
        url = "(as it was)"
        from = "admin@example.com"

        [limits]
        blob_upload = "104857600"

        [secrets]
        admin_password = "(as it was)"
        "#);
        let without: Vec<_> = found.without.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(without, ["PDS_PRIMARY_COLOR"]);

        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("relay.toml");
        std::fs::write(&file, found.toml(Some("/srv/relay"), true)).unwrap();
        let config = Config::load(Some(&file), [], &[]).unwrap().config;
        assert_eq!(config.server.public_url.as_str(), "https://pds.example.com");
        assert_eq!(config.secrets.admin_password.as_ref().unwrap().expose(), "hunter\"2222");
        assert!(!config.accounts.invite_required);
        assert_eq!(disagreements(&env, &config), []);
        let other = Config::load(None, [], &found.overrides()).unwrap().config;
        assert_eq!(other.services.crawlers.len(), 2);
    }

    #[test]
    fn another_name_is_said_to_end_sessions() {
        let env = EnvFile::of(&[("PDS_HOSTNAME", "pds.example.com"), ("PDS_SERVICE_HANDLE_DOMAINS", ".example.org")]);
        let other = EnvFile::of(&[("PDS_HOSTNAME", "other.example.com")]);
        let config = Config::load(None, [], &correspond(&other).overrides()).unwrap().config;
        let found = disagreements(&env, &config);
        let severities: Vec<_> = found.iter().map(|(severity, _)| *severity).collect();
        assert_eq!(severities, [Severity::Error, Severity::Error, Severity::Warning]);
    }
}
