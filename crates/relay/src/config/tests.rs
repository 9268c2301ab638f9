//! What holds for the configuration as a whole.

use std::{fs, path::Path, time::Duration};

use super::*;

const PUBLIC: &str = "[server]\npublic_url = \"https://pds.example.com\"\n";

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn flag(path: &str, value: &str) -> Override {
    Override { flag: format!("--set {path}"), path: path.to_owned(), value: value.to_owned() }
}

fn load_toml(toml: &str, pairs: &[(&str, &str)], overrides: &[Override]) -> Result<Loaded, ConfigErrors> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("relay.toml");
    fs::write(&file, toml).unwrap();
    Config::load(Some(&file), env(pairs), overrides)
}

/// The text of all mistakes, with the temporary folder left out.
fn mistakes(toml: &str, pairs: &[(&str, &str)], overrides: &[Override]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("relay.toml");
    fs::write(&file, toml).unwrap();
    let errors = Config::load(Some(&file), env(pairs), overrides).unwrap_err();
    errors.to_string().replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn a_public_url_is_enough() {
    let config = load_toml(PUBLIC, &[], &[]).unwrap().config;
    assert_eq!(config.identity.service_did.to_string(), "did:web:pds.example.com");
    assert_eq!(config.identity.handle_domains[0].as_str(), ".pds.example.com");
    assert_eq!(config.server.service_name, "pds.example.com PDS");
    assert_eq!(config.limits.backfill, Duration::from_hours(72));
    assert_eq!(config.limits.blob_upload_bytes, 100_000_000);
    assert!(config.accounts.invite_required && config.limits.rate_limits && config.network.protect_private_addresses);
    assert!(config.network.trusts("127.0.0.1".parse().unwrap()) && !config.network.trusts("10.0.0.1".parse().unwrap()));
    assert!(config.mail.ordinary.is_none() && config.secrets.admin_password.is_none());
    assert!(matches!(&config.secrets.master_key, MasterKeySource::DataDir(file) if file.ends_with("data/master.key")));
    assert_eq!(config.services.report.unwrap().did.to_string(), "did:plc:ar7c4by46qjdydhdevvrndac");
}

#[test]
fn a_server_that_speaks_tls_listens_on_more() {
    let loaded = |toml: &str| load_toml(&format!("{PUBLIC}{toml}"), &[], &[]).unwrap().config;
    let ports = |config: Config| config.addresses().iter().map(std::net::SocketAddr::port).collect::<Vec<_>>();
    assert_eq!(loaded("").tls.mode, TlsMode::Proxy);
    assert_eq!(ports(loaded("")), [2583]);
    assert_eq!(ports(loaded("[tls]\nmode = \"auto\"\n")), [2583, 443, 443, 80, 80]);
    assert_eq!(ports(loaded("[tls]\nmode = \"auto\"\nhttp_bind = []\n")), [2583, 443, 443]);
}

#[test]
fn settings_of_tls_that_do_not_go_together_are_told() {
    let told = |toml: &str| mistakes(&format!("{PUBLIC}[tls]\n{toml}\n"), &[], &[]);
    let is_told = |toml: &str, what: &str| assert!(told(toml).contains(what), "{}", told(toml));
    is_told("mode = \"files\"", "needs the files of a certificate");
    is_told("certificate = \"/x\"", "is not set, though tls.certificate is");
    is_told("acme_directory = \"http://ca.example\"", "is not the directory of a certificate authority");
    is_told("dns_provider = \"desec\"", "is not set, though the DNS provider needs a token");
    is_told("dns_provider = \"rfc2136\"\ndns_server = \"192.0.2.53\"", "is not set, though dynamic updates need it");
    let local = mistakes("[server]\npublic_url = \"https://localhost\"\n[tls]\nmode = \"auto\"\n", &[], &[]);
    assert!(local.contains("nobody gives one for this machine's own name"), "{local}");
}

#[test]
fn flags_win_over_variables_over_the_file() {
    let toml = format!("{PUBLIC}service_name = \"file\"\n");
    let name =
        |pairs: &[(&str, &str)], overrides: &[Override]| load_toml(&toml, pairs, overrides).unwrap().config.server.service_name;
    assert_eq!(name(&[], &[]), "file");
    assert_eq!(name(&[("RELAY_SERVER_SERVICE_NAME", "env")], &[]), "env");
    assert_eq!(name(&[("RELAY_SERVER_SERVICE_NAME", "env")], &[flag("server.service_name", "flag")]), "flag");
    assert_eq!(name(&[("RELAY_SERVER_SERVICE_NAME", "")], &[]), "file");
}

#[test]
fn every_setting_is_read_from_every_source_and_shown() {
    let dir = tempfile::tempdir().unwrap();
    let roots = dir.path().join("roots.pem");
    // Any bytes will do: certificates are parsed where they are used.
    fs::write(&roots, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let example = |setting: &Setting| match setting.path {
        "network.extra_root_certificates" | "server.terms_file" | "server.privacy_policy_file" => {
            roots.to_str().unwrap().to_owned()
        }
        _ => setting.example.to_owned(),
    };
    // Settings that cannot be set alone, or beside each other.
    let companions = |path: &str| -> Vec<(&'static str, &'static str)> {
        let all = [
            ("services.appview_url", "https://appview.example.com"),
            ("services.appview_did", "did:web:appview.example.com"),
            ("services.moderation_url", "https://mod.example.com"),
            ("services.moderation_did", "did:web:mod.example.com"),
            ("services.report_url", "https://reports.example.com"),
            ("services.report_did", "did:web:reports.example.com"),
            ("server.public_url", "https://pds.example.com"),
        ];
        let mail = [("mail.host", "mail.example.com"), ("mail.from", "pds@example.com")];
        let login = [("mail.user", "me"), ("mail.password", "secret")];
        let mut chosen = all.to_vec();
        match path {
            "mail.url" => chosen.push(mail[1]),
            "tls.certificate" => chosen.push(("tls.certificate_key", "/etc/relay/privkey.pem")),
            "tls.certificate_key" => chosen.push(("tls.certificate", "/etc/relay/fullchain.pem")),
            "tls.dns_provider" => chosen.push(("tls.dns_secret", "a-token")),
            "blobs.s3_access_key" => chosen.push(("blobs.s3_secret_key", "secret")),
            "blobs.s3_secret_key" => chosen.push(("blobs.s3_access_key", "key")),
            "backup.to" => chosen.push(("backup.passphrase", "correct horse")),
            "backup.s3_access_key" => chosen.push(("backup.s3_secret_key", "secret")),
            "backup.s3_secret_key" => chosen.push(("backup.s3_access_key", "key")),
            path if path.starts_with("mail.") => {
                chosen.extend(mail);
                chosen.extend(login);
            }
            _ => {}
        }
        chosen.retain(|(other, _)| *other != path);
        chosen
    };
    for setting in SETTINGS {
        if setting.path == "telemetry.otlp_endpoint" && !cfg!(feature = "otel") {
            continue;
        }
        let value = example(setting);
        let others = companions(setting.path);
        let other_flags: Vec<_> = others.iter().map(|(path, value)| flag(path, value)).collect();
        let held = |loaded: Loaded| loaded.effective.into_iter().find(|held| held.setting.path == setting.path).unwrap();

        let from_env = held(Config::load(None, env(&[(&setting.env(), &value)]), &other_flags).unwrap());
        assert_eq!(from_env.origin, Origin::Env { name: setting.env() });

        let mut flags = other_flags.clone();
        flags.push(flag(setting.path, &value));
        let from_flag = held(Config::load(None, [], &flags).unwrap());
        assert_eq!(from_flag.shown, from_env.shown);

        let text = match setting.kind {
            Kind::Bool | Kind::Integer => value.clone(),
            Kind::List(_) => {
                format!("[{}]", value.split(", ").map(|item| format!("{item:?}")).collect::<Vec<_>>().join(", "))
            }
            _ => format!("{value:?}"),
        };
        let toml = format!("\n[{}]\n{} = {text}\n", setting.section(), setting.key());
        let from_file = held(load_toml(&toml, &[], &other_flags).unwrap());
        assert!(matches!(from_file.origin, Origin::File { line: 3, .. }), "{}", setting.path);
        assert_eq!(from_file.shown, from_env.shown);
        match (&from_env.shown, setting.secret) {
            (Shown::Hidden, true) => {}
            (Shown::One(shown), false) => assert_eq!(*shown, value),
            (Shown::Many(shown), false) => assert_eq!(shown.join(", "), value),
            (other, _) => panic!("{} is shown as {other:?}", setting.path),
        }
    }
}

#[test]
fn examples_differ_from_defaults() {
    for setting in SETTINGS {
        assert_ne!(SettingDefault::Value(setting.example), setting.default, "{}", setting.path);
    }
}

#[test]
fn what_is_shown_loads_again() {
    let toml = format!("{PUBLIC}bind = [\"127.0.0.1:80\", \"[::1]:80\"]\n[services]\nappview_url = \"none\"\ncrawlers = []\n");
    let first = load_toml(&toml, &[("RELAY_SECRETS_ADMIN_PASSWORD", "hunter2222")], &[]).unwrap();
    let text = show(&first.effective);
    assert!(!text.contains("hunter2222"), "{text}");
    let second = load_toml(&text, &[("RELAY_SECRETS_ADMIN_PASSWORD", "hunter2222")], &[]).unwrap();
    assert_eq!(format!("{:?}", second.config.server), format!("{:?}", first.config.server));
    assert_eq!(format!("{:?}", second.config.services), format!("{:?}", first.config.services));
    assert!(first.config.services.crawlers.is_empty() && first.config.services.appview.is_none());
}

#[test]
fn all_mistakes_are_reported_with_place_reason_and_remedy() {
    let toml = r#"
[server]
public_url = "htp://example.com"
bind = ["127.0.0.1:2583", "2583"]
pubic_url = "x"
[limits]
backfill = 72
blob_upload = "100 megs"
rate_limits = "maybe"
[identiy]
x = 1
[services]
moderation_url = "https://mod.example.com"
"#;
    let pairs =
        [("RELAY_NETWORK_TRUSTED_PROXIES", "10.0.0.0/99"), ("RELAY_LIMIT_IMPORT", "1"), ("RELAY_PORT", "tcp://10.0.0.1:80")];
    insta::assert_snapshot!(mistakes(toml, &pairs, &[flag("logging.level", "loud"), flag("nothing", "1")]), @r#"
    relay.toml:3: server.public_url = "htp://example.com" is not a URL that begins with https://
        Write the address that people reach this server by, such as "https://pds.example.com".
    relay.toml:4: server.bind = "2583" is not an IP address with a port
        Write it as "127.0.0.1:2583", "0.0.0.0:2583" or "[::]:2583".
    relay.toml:5: server.pubic_url is not a setting
        Did you mean server.public_url?
    relay.toml:7: limits.backfill = "72" is not a duration
        Write a number with a unit (ms, s, m, h, d or w), such as "72h", "30m" or "1h30m".
    relay.toml:8: limits.blob_upload = "100 megs" is not a size
        Write a number with a unit (B, kB, MB, GB, KiB, MiB or GiB), such as "100MB".
    relay.toml:9: limits.rate_limits = "maybe" is neither true nor false
        Write true or false.
    relay.toml:10: identiy is not a setting
        Did you mean [identity]?
    relay.toml:13: services.moderation_url = "https://mod.example.com" is set without its DID
        Set services.moderation_did as well.
    RELAY_LIMIT_IMPORT is not a setting
        Did you mean RELAY_LIMITS_IMPORT?
    RELAY_NETWORK_TRUSTED_PROXIES = "10.0.0.0/99" is not an IP address or range
        Write it as "10.1.2.3", "10.0.0.0/8" or "fd00::/8".
    --set nothing is not a setting
        `relay config docs` lists all settings.
    --set logging.level = "loud" is not a log level
        Write error, warn, info, debug or trace, or "info,relay::firehose=debug".
    "#);
}

#[test]
fn secrets_are_in_no_message_and_no_debug() {
    let toml = r#"
[secrets]
admin_password = "hunt3r"
master_key = "hunt3r"
[mail]
url = "smtps://me:hunt3r@"
[services]
report_url = "htp://me:hunt3r@example.com"
"#;
    let text = mistakes(toml, &[("RELAY_LIMITS_RATE_LIMIT_BYPASS_KEY", "hunt3r")], &[]);
    assert!(!text.contains("hunt3r"), "{text}");
    insta::assert_snapshot!(text, @r#"
    relay.toml:3: secrets.admin_password is shorter than 8 characters
        Choose a longer one, such as `openssl rand -hex 16` prints.
    relay.toml:4: secrets.master_key is not a key of 32 bytes
        Write 64 hexadecimal digits, such as `openssl rand -hex 32` prints, or base64.
    relay.toml:6: mail.url is not a URL
        Write it as smtps://user:password@mail.example.com:465, with user and password percent-encoded.
    relay.toml:8: services.report_url = "htp://***@example.com" is not a URL that begins with https://
        Write the address of the service, such as "https://api.example.com".
    RELAY_LIMITS_RATE_LIMIT_BYPASS_KEY is shorter than 8 characters
        Choose a longer one, such as `openssl rand -hex 16` prints.
    server.public_url is not set
        Write the address that people reach this server by, such as "https://pds.example.com".
    "#);

    let pairs = [
        ("RELAY_SERVER_PUBLIC_URL", "http://localhost:2583"),
        ("RELAY_SECRETS_ADMIN_PASSWORD", "hunt3rhunt3r"),
        ("RELAY_LIMITS_RATE_LIMIT_BYPASS_KEY", "hunt3rhunt3r"),
        ("RELAY_MAIL_URL", "smtps://me:hunt3r@mail.example.com"),
        ("RELAY_MAIL_FROM", "me@example.com"),
    ];
    let loaded = Config::load(None, env(&pairs), &[]).unwrap();
    assert!(!format!("{loaded:?}").contains("hunt3r"));
    assert!(!show(&loaded.effective).contains("hunt3r"));
    assert_eq!(loaded.config.secrets.admin_password.unwrap().expose(), "hunt3rhunt3r");
}

#[test]
fn a_broken_line_is_named_and_gives_nothing_away() {
    let toml = "[secrets]\nadmin_password = hunt3r two\n[server]\npublic_url = \"https://pds.example.com\"\n";
    let text = mistakes(toml, &[], &[]);
    assert!(text.starts_with("relay.toml:2: is not TOML: "), "{text}");
    assert!(!text.contains("hunt3r"), "{text}");
}

#[test]
fn secrets_come_from_files_and_credentials() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("password"), "from the file\n").unwrap();
    fs::write(dir.path().join("secrets.admin_password"), "from the credential\n").unwrap();
    let folder = dir.path().to_str().unwrap();
    let named = format!("{folder}/password");
    let password = |pairs: &[(&str, &str)]| {
        let toml = format!("{PUBLIC}[secrets]\nadmin_password = \"from relay.toml\"\n");
        load_toml(&toml, pairs, &[]).map(|loaded| loaded.config.secrets.admin_password.unwrap().expose().to_owned())
    };
    assert_eq!(password(&[]).unwrap(), "from relay.toml");
    assert_eq!(password(&[("CREDENTIALS_DIRECTORY", folder)]).unwrap(), "from the credential");
    let file = ("RELAY_SECRETS_ADMIN_PASSWORD_FILE", named.as_str());
    assert_eq!(password(&[("CREDENTIALS_DIRECTORY", folder), file]).unwrap(), "from the file");
    let twice = password(&[file, ("RELAY_SECRETS_ADMIN_PASSWORD", "from the environment")]).unwrap_err();
    assert_eq!(twice.mistakes()[0].why, "is set twice: as a value and as a file");
    let absent = password(&[("RELAY_SECRETS_ADMIN_PASSWORD_FILE", "/nowhere/at/all")]).unwrap_err();
    assert_eq!(absent.mistakes()[0].path, "secrets.admin_password_file");
}

#[test]
fn paths_in_the_file_are_relative_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("relay.toml");
    fs::write(&file, format!("{PUBLIC}[data]\ndir = \"pds\"\n")).unwrap();
    assert_eq!(Config::load(Some(&file), [], &[]).unwrap().config.data.dir, dir.path().join("pds"));
    let flags = [flag("data.dir", "pds")];
    assert_eq!(Config::load(Some(&file), [], &flags).unwrap().config.data.dir, Path::new("pds"));
}

#[test]
fn a_missing_file_is_a_mistake() {
    let errors =
        Config::load(Some(Path::new("/nowhere/relay.toml")), [], &[flag("server.public_url", "http://localhost")]).unwrap_err();
    insta::assert_snapshot!(errors, @r#"
    /nowhere/relay.toml: there is no such file
        Check the path that --config or RELAY_CONFIG gives.
    "#);
}

#[test]
fn mail_comes_as_parts_or_as_a_url() {
    let loaded = load_toml(
        &format!(
            "{PUBLIC}[mail]\nhost = \"mail.example.com\"\nport = 587\nuser = \"me\"\n\
             password = \"p@:/ss\"\nfrom = \"pds@example.com\"\n"
        ),
        &[],
        &[],
    );
    let mail = loaded.unwrap().config.mail;
    let route = mail.ordinary.unwrap();
    assert_eq!((route.server.host.as_str(), route.server.port, route.server.tls), ("mail.example.com", 587, MailTls::StartTls));
    assert_eq!(route.server.login.unwrap().password.expose(), "p@:/ss");
    assert_eq!(mail.moderation.unwrap().from, route.from);
    let text = mistakes(&format!("{PUBLIC}[mail]\nurl = \"smtps://a:b@c.example\"\nport = 465\n"), &[], &[]);
    insta::assert_snapshot!(text, @r#"
    relay.toml:5: mail.port = "465" is set beside mail.url
        Keep one of the two forms: mail.url, or host, port, user, password and tls.
    mail.from is not set, though there is a mail server
        Write the sender, such as "pds@example.com".
    "#);
}

#[test]
#[cfg(not(feature = "otel"))]
fn a_program_without_opentelemetry_says_so() {
    let text = mistakes(PUBLIC, &[], &[flag("telemetry.otlp_endpoint", "http://127.0.0.1:4318")]);
    insta::assert_snapshot!(text, @r#"
    --set telemetry.otlp_endpoint = "http://127.0.0.1:4318" is set, but this program was built without OpenTelemetry
        Remove it, or use a program that was built with `cargo build --release --features otel`.
    "#);
}

#[test]
fn plain_http_services_need_a_closed_network() {
    let plc = flag("identity.plc_url", "http://plc.internal:2582");
    assert!(load_toml(PUBLIC, &[], std::slice::from_ref(&plc)).is_err());
    assert!(load_toml(PUBLIC, &[], &[plc, flag("network.protect_private_addresses", "false")]).is_ok());
}

#[test]
fn a_development_server_is_offline_and_open() {
    let options = DevOptions {
        bind: "127.0.0.1:2583".parse().unwrap(),
        plc_url: "http://localhost:2582".to_owned(),
        data_dir: "/tmp/dev data".into(),
        admin_password: None,
        settings: Vec::new(),
    };
    let config = Config::dev(&options).unwrap();
    assert_eq!(config.server.public_url.as_str(), "http://localhost:2583");
    assert_eq!(config.identity.handle_domains[0].as_str(), ".test");
    assert_eq!(config.identity.plc_url.as_str(), "http://localhost:2582");
    assert!(!config.accounts.invite_required && !config.limits.rate_limits && !config.network.protect_private_addresses);
    assert!(config.services.appview.is_none() && config.services.report.is_none() && config.services.crawlers.is_empty());
    assert_eq!(config.data.dir, options.data_dir);
    let wrong = Config::dev(&DevOptions { plc_url: "plc".to_owned(), ..options }).unwrap_err();
    assert!(wrong.to_string().starts_with("--plc-url = \"plc\" is not"), "{wrong}");
}
