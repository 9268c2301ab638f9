//! The one table of all settings: what reads, checks, shows and documents them goes by it.
//!
//! **Invariant:** a setting that is not here cannot be read (`Reader` looks it up), and one that is here is read by its
//! section (a test loads them all), so code, environment names, `config show` and docs/CONFIG.md cannot drift apart.

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Section and key in `relay.toml`: `server.public_url`.
    pub path: &'static str,
    /// What a value looks like.
    pub kind: Kind,
    /// What holds when nobody sets it.
    pub default: Default,
    /// A valid value that differs from the default, for documentation and tests.
    pub example: &'static str,
    /// What it does, in sentences, for the operator.
    pub doc: &'static str,
    /// Whether its value is never shown.
    pub secret: bool,
    /// The variable of the official PDS that means the same.
    pub official: Option<Official>,
}

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text on one line.
    Text,
    /// An http or https URL.
    Url,
    /// A DID.
    Did,
    /// A public key as `did:key`.
    DidKey,
    /// An e-mail address.
    Email,
    /// A path; in `relay.toml` relative to that file.
    Path,
    /// True or false.
    Bool,
    /// A whole number.
    Integer,
    /// Bytes.
    Size,
    /// A span of time.
    Duration,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// Several of what the text says.
    List(&'static str),
}

impl Kind {
    /// Describes the kind in a few words.
    pub fn describe(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Url => "URL".to_owned(),
            Self::Did => "DID".to_owned(),
            Self::DidKey => "did:key".to_owned(),
            Self::Email => "e-mail address".to_owned(),
            Self::Path => "path".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Integer => "number".to_owned(),
            Self::Size => "size".to_owned(),
            Self::Duration => "duration".to_owned(),
            Self::Choice(words) => words.join(", "),
            Self::List(of) => format!("list of {of}"),
        }
    }
}

/// What holds when nobody sets a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// This text, read like one that was set.
    Value(&'static str),
    /// Something that follows from other settings, as described.
    Derived(&'static str),
    /// Nothing: the feature is off, or the description says what then happens.
    Unset,
    /// The server does not start without it.
    Required,
}

/// A variable of the official PDS, and how its value becomes ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Official {
    pub(super) name: &'static str,
    pub(super) convert: Convert,
}

/// How a value of the official PDS becomes ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Convert {
    Same,
    /// A host name becomes an https URL.
    HostToUrl,
    /// A port becomes the addresses of all interfaces.
    PortToBind,
    /// Bare milliseconds get their unit.
    Millis,
    /// The name of a bucket becomes its address.
    BucketToStore,
    /// The official one says what is off, ours what is on.
    Invert,
}

impl Official {
    /// Returns the name of the variable.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl Setting {
    /// Returns the environment variable: `RELAY_` and the path in capitals, with `_` for the dot.
    pub fn env(&self) -> String {
        env_name(self.path)
    }

    /// Returns the part before the dot.
    pub fn section(&self) -> &'static str {
        self.path.split_once('.').expect("a path has a section and a key").0
    }

    /// Returns the part after the dot.
    pub fn key(&self) -> &'static str {
        self.path.split_once('.').expect("a path has a section and a key").1
    }

    const fn new(path: &'static str, kind: Kind, default: Default, example: &'static str, doc: &'static str) -> Self {
        Self { path, kind, default, example, doc, secret: false, official: None }
    }

    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    const fn like(self, name: &'static str) -> Self {
        self.like_as(name, Convert::Same)
    }

    const fn like_as(self, name: &'static str, convert: Convert) -> Self {
        Self { official: Some(Official { name, convert }), ..self }
    }
}

/// Returns the environment variable of a path.
pub(super) fn env_name(path: &str) -> String {
    format!("RELAY_{}", path.replace('.', "_").to_ascii_uppercase())
}

/// Returns the setting at `path`.
pub fn find(path: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.path == path)
}

/// The sections in the order of the documentation, each with what it is about.
pub const SECTIONS: [(&str, &str); 17] = [
    ("server", "Where the server listens, the name that the network knows it by, and what it tells visitors about itself."),
    (
        "tls",
        "Who speaks TLS to the world, and where certificates come from. With `auto` the server needs no proxy: it orders and \
         renews the certificates of its own name and of its accounts' handles by itself.",
    ),
    ("data", "Where data is kept and how SQLite is tuned."),
    (
        "blobs",
        "Where the bytes of images and videos are. Without `blobs.store` they are files in `data.dir`. With it, files that are \
         still there are moved to the store while the server runs.",
    ),
    (
        "backup",
        "Copies of everything, encrypted, to a folder on another disk or to an S3-compatible store; docs/OPERATIONS.md tells \
         how to restore them. Without `backup.to` there are none.",
    ),
    ("identity", "DIDs, handles and their resolution."),
    ("accounts", "Who may have an account."),
    (
        "services",
        "Other services that this server calls or passes requests on to. Write \"none\" to do without one that has a default.",
    ),
    (
        "mail",
        "Outgoing mail. Set `mail.host` (with user, password and the like) or `mail.url`, and `mail.from`. \
         Without mail the server works, but people cannot reset a password or confirm an address by \
         themselves.",
    ),
    ("limits", "Bounds on what clients may send, and on how fast."),
    ("network", "Outgoing connections and the proxies in front."),
    ("secrets", "Secrets of the server itself."),
    ("logging", "What the server writes to standard error."),
    ("metrics", "Figures for Prometheus; docs/OBSERVE.md explains them."),
    ("telemetry", "Traces for OpenTelemetry, in a program that was built for them; docs/OBSERVE.md tells how."),
    (
        "notices",
        "How the operator hears that something broke, or is well again; only changes are told. Each channel that is set \
         gets every notice.",
    ),
    ("update", "Where `relay update` finds new versions. docs/INSTALL.md tells how releases are made and signed."),
];

const MAIL_TLS: Kind = Kind::Choice(&["implicit", "starttls", "none"]);

/// All settings, in the order of the documentation.
pub static SETTINGS: &[Setting] = &[
    Setting::new(
        "server.public_url",
        Kind::Url,
        Default::Required,
        "https://pds.example.com",
        "The address that people and other servers reach this server by, without a path. It cannot change \
         once there are accounts. Plain http is for localhost, 127.0.0.1 and ::1 only.",
    )
    .like_as("PDS_HOSTNAME", Convert::HostToUrl),
    Setting::new(
        "server.bind",
        Kind::List("addresses"),
        Default::Value("127.0.0.1:2583"),
        "0.0.0.0:2583, [::]:2584",
        "The addresses to listen on. Use 0.0.0.0 or [::] in a container, or when the proxy is on another machine.",
    )
    .like_as("PDS_PORT", Convert::PortToBind),
    Setting::new(
        "server.service_name",
        Kind::Text,
        Default::Derived("the public URL's host, followed by \"PDS\""),
        "Example Social",
        "The name of the server in pages and mail.",
    )
    .like("PDS_SERVICE_NAME"),
    Setting::new("server.home_url", Kind::Url, Default::Unset, "https://example.com", "Link to the operator's home page.")
        .like("PDS_HOME_URL"),
    Setting::new(
        "server.logo_url",
        Kind::Url,
        Default::Unset,
        "https://example.com/logo.png",
        "Picture that stands for the server in pages and mail.",
    )
    .like("PDS_LOGO_URL"),
    Setting::new(
        "server.support_url",
        Kind::Url,
        Default::Unset,
        "https://example.com/help",
        "Link to where people find help.",
    )
    .like("PDS_SUPPORT_URL"),
    Setting::new(
        "server.privacy_policy_url",
        Kind::Url,
        Default::Unset,
        "https://example.com/privacy",
        "Link to the privacy policy, also in describeServer.",
    )
    .like("PDS_PRIVACY_POLICY_URL"),
    Setting::new(
        "server.terms_url",
        Kind::Url,
        Default::Unset,
        "https://example.com/terms",
        "Link to the terms of service, also in describeServer.",
    )
    .like("PDS_TERMS_OF_SERVICE_URL"),
    Setting::new(
        "server.terms_file",
        Kind::Path,
        Default::Unset,
        "/etc/relay/terms.md",
        "A text file with the terms of service, in place of a link: the server shows it at /terms. Plain text, or Markdown with \
         headings, lists, links, bold and italics. A translation may lie beside it, as terms.de.md.",
    ),
    Setting::new(
        "server.privacy_policy_file",
        Kind::Path,
        Default::Unset,
        "/etc/relay/privacy.md",
        "The same for the privacy policy, which the server shows at /privacy.",
    ),
    Setting::new(
        "server.show_account_count",
        Kind::Bool,
        Default::Value("false"),
        "true",
        "Whether the status page, which everyone may see, tells how many accounts there are.",
    ),
    Setting::new(
        "server.app_url",
        Kind::Url,
        Default::Value("https://bsky.app"),
        "https://deer.social",
        "The app that people are sent to once they have an account.",
    ),
    Setting::new(
        "server.contact_email",
        Kind::Email,
        Default::Unset,
        "admin@example.com",
        "The operator's address, public in describeServer.",
    )
    .like("PDS_CONTACT_EMAIL_ADDRESS"),
    Setting::new(
        "server.header_timeout",
        Kind::Duration,
        Default::Value("10s"),
        "5s",
        "How long a client may take to send a request's headers.",
    ),
    Setting::new(
        "server.idle_timeout",
        Kind::Duration,
        Default::Value("75s"),
        "2m",
        "How long a connection may stay open without a request.",
    ),
    Setting::new(
        "server.request_timeout",
        Kind::Duration,
        Default::Value("60s"),
        "30s",
        "How long an ordinary request may take. Uploads, exports and subscriptions are bound by progress instead.",
    ),
    Setting::new(
        "server.max_connections",
        Kind::Integer,
        Default::Value("10000"),
        "2000",
        "How many connections may be open at once, subscriptions included.",
    ),
    Setting::new(
        "tls.mode",
        Kind::Choice(&["auto", "files", "proxy", "off"]),
        Default::Value("proxy"),
        "auto",
        "Who speaks TLS: this server with certificates that it orders (auto) or reads from files (files), a proxy in front of \
         it (proxy), or nobody (off). With proxy and off it listens on server.bind only; with auto and files, on \
         tls.https_bind and tls.http_bind too.",
    ),
    Setting::new(
        "tls.https_bind",
        Kind::List("addresses"),
        Default::Value("0.0.0.0:443, [::]:443"),
        "0.0.0.0:8443",
        "The addresses to speak TLS on.",
    ),
    Setting::new(
        "tls.http_bind",
        Kind::List("addresses"),
        Default::Value("0.0.0.0:80, [::]:80"),
        "0.0.0.0:8080",
        "The addresses that send browsers on to https, and where the certificate authority looks for HTTP-01 challenges; it \
         asks at port 80. \"none\": challenges are answered by TLS-ALPN-01 alone, at port 443.",
    ),
    Setting::new(
        "tls.certificate",
        Kind::Path,
        Default::Unset,
        "/etc/relay/fullchain.pem",
        "With files: the certificate in PEM, with those that lead to its root behind it. It is read again when it changes.",
    ),
    Setting::new(
        "tls.certificate_key",
        Kind::Path,
        Default::Unset,
        "/etc/relay/privkey.pem",
        "With files: the certificate's private key in PEM.",
    ),
    Setting::new(
        "tls.acme_directory",
        Kind::Text,
        Default::Value("letsencrypt"),
        "letsencrypt-staging",
        "With auto: the certificate authority. letsencrypt, letsencrypt-staging (for trying things out; browsers do not trust \
         it), or the https URL of another one's ACME directory. Using it means that you agree to its terms of service.",
    ),
    Setting::new(
        "tls.acme_contact",
        Kind::Email,
        Default::Derived("server.contact_email"),
        "admin@example.com",
        "With auto: the address that the certificate authority may write to.",
    ),
    Setting::new(
        "tls.orders_per_hour",
        Kind::Integer,
        Default::Value("20"),
        "5",
        "With auto: the most certificates that are ordered within an hour.",
    ),
    Setting::new(
        "tls.orders_per_week",
        Kind::Integer,
        Default::Value("45"),
        "200",
        "With auto: the most certificates that are ordered within a week. Let's Encrypt gives 50 for one domain; with more \
         accounts than that, use tls.dns_provider.",
    ),
    Setting::new(
        "tls.dns_provider",
        Kind::Choice(&["none", "rfc2136", "cloudflare", "desec"]),
        Default::Value("none"),
        "cloudflare",
        "With auto: who serves the DNS of the domain. The server then proves by DNS-01 that the domain is yours, needs no port \
         80, and has one wildcard certificate for all handles instead of one for each.",
    ),
    Setting::new(
        "tls.dns_secret",
        Kind::Text,
        Default::Unset,
        "c2VjcmV0LW9mLWEta2V5",
        "The DNS provider's API token, or the HMAC-SHA256 secret of the TSIG key in base64.",
    )
    .secret(),
    Setting::new(
        "tls.dns_api",
        Kind::Url,
        Default::Derived("the provider's own"),
        "https://desec.example.com/api/v1",
        "Another address of the DNS provider's API.",
    ),
    Setting::new(
        "tls.dns_server",
        Kind::Text,
        Default::Unset,
        "192.0.2.53:53",
        "With rfc2136: the address of the zone's primary server, which takes updates over TCP.",
    ),
    Setting::new("tls.dns_zone", Kind::Text, Default::Unset, "example.com", "With rfc2136: the zone that is updated."),
    Setting::new(
        "tls.dns_key_name",
        Kind::Text,
        Default::Unset,
        "relay-key",
        "With rfc2136: the name of the TSIG key. Unset: updates are not signed.",
    ),
    Setting::new(
        "data.dir",
        Kind::Path,
        Default::Value("data"),
        "/var/lib/relay",
        "The folder of the database, the blobs and the master key. It is created if it is not there.",
    )
    .like("PDS_DATA_DIRECTORY"),
    Setting::new(
        "data.sqlite_synchronous",
        Kind::Choice(&["full", "normal"]),
        Default::Value("full"),
        "normal",
        "With full, what was acknowledged survives a power failure. With normal it survives a crash of the \
         process only; use it where the disk is slow and the loss of the last second is acceptable.",
    ),
    Setting::new(
        "data.writer_cache",
        Kind::Size,
        Default::Value("8MiB"),
        "64MiB",
        "SQLite's page cache of the connection that writes.",
    ),
    Setting::new(
        "data.reader_cache",
        Kind::Size,
        Default::Value("2MiB"),
        "8MiB",
        "SQLite's page cache of each connection that reads.",
    ),
    Setting::new("data.readers", Kind::Integer, Default::Value("4"), "8", "How many connections read from the database."),
    Setting::new(
        "data.writer_queue",
        Kind::Integer,
        Default::Value("1024"),
        "256",
        "How many writes may wait for the database. When the queue is full, clients are told to try again.",
    ),
    Setting::new(
        "data.verify",
        Kind::Bool,
        Default::Value("true"),
        "false",
        "Whether the server verifies what is stored by itself, as `relay verify` does but for the accounts' DIDs. What it \
         finds is in the log.",
    ),
    Setting::new(
        "data.verify_every",
        Kind::Duration,
        Default::Value("24h"),
        "7d",
        "How often the server verifies what is stored.",
    ),
    Setting::new(
        "data.verify_rate",
        Kind::Size,
        Default::Value("20MB"),
        "100MB",
        "How much the server reads in a second, at most, while it verifies what is stored.",
    ),
    Setting::new(
        "blobs.store",
        Kind::Text,
        Default::Unset,
        "s3://my-blobs/pds",
        "A bucket of an S3-compatible store for the bytes of blobs, as `s3://bucket/prefix`. One server to a place, and not the \
         place of its backups. Unset: a folder in `data.dir`.",
    )
    .like_as("PDS_BLOBSTORE_S3_BUCKET", Convert::BucketToStore),
    Setting::new(
        "blobs.s3_endpoint",
        Kind::Url,
        Default::Unset,
        "https://s3.eu-central-003.backblazeb2.com",
        "The S3-compatible store. Unset: Amazon's. Objects are addressed by path: `<endpoint>/<bucket>/<object>`.",
    )
    .like("PDS_BLOBSTORE_S3_ENDPOINT"),
    Setting::new("blobs.s3_region", Kind::Text, Default::Value("us-east-1"), "eu-central-1", "The region of the store.")
        .like("PDS_BLOBSTORE_S3_REGION"),
    Setting::new(
        "blobs.s3_access_key",
        Kind::Text,
        Default::Unset,
        "AKIAIOSFODNN7EXAMPLE",
        "The access key to the store. It has to read, write, list and delete.",
    )
    .like("PDS_BLOBSTORE_S3_ACCESS_KEY_ID"),
    Setting::new(
        "blobs.s3_secret_key",
        Kind::Text,
        Default::Unset,
        "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
        "The secret key to the store.",
    )
    .like("PDS_BLOBSTORE_S3_SECRET_ACCESS_KEY")
    .secret(),
    Setting::new(
        "backup.to",
        Kind::List("places"),
        Default::Unset,
        "/mnt/backup, s3://my-backups/pds",
        "Where backups go: a folder as an absolute path, on another disk than the data, or `s3://bucket/prefix`; or several \
         of them, which do not wait for one another. One server to a place. Unset: there are no backups.",
    ),
    Setting::new(
        "backup.s3_endpoint",
        Kind::Url,
        Default::Unset,
        "https://s3.eu-central-003.backblazeb2.com",
        "The S3-compatible store. Unset: Amazon's. Objects are addressed by path: `<endpoint>/<bucket>/<object>`.",
    ),
    Setting::new("backup.s3_region", Kind::Text, Default::Value("us-east-1"), "eu-central-1", "The region of the store."),
    Setting::new(
        "backup.s3_access_key",
        Kind::Text,
        Default::Unset,
        "AKIAIOSFODNN7EXAMPLE",
        "The access key to the store. It has to read, write, list and delete.",
    ),
    Setting::new(
        "backup.s3_secret_key",
        Kind::Text,
        Default::Unset,
        "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
        "The secret key to the store.",
    )
    .secret(),
    Setting::new(
        "backup.passphrase",
        Kind::Text,
        Default::Unset,
        "correct horse battery staple",
        "Opens the backups. Keep a copy apart from the server: without it they are worthless. It cannot change for \
         a place that has backups.",
    )
    .secret(),
    Setting::new(
        "backup.key_file",
        Kind::Path,
        Default::Unset,
        "/etc/relay/backup.key",
        "A file with the key that opens the backups, in place of a passphrase: an age identity, as `relay backup new-key` \
         prints. Keep a copy apart from the server.",
    ),
    Setting::new(
        "backup.every",
        Kind::Duration,
        Default::Value("24h"),
        "12h",
        "How often a whole backup is made. What did not change since the one before is not sent again.",
    ),
    Setting::new(
        "backup.ship_every",
        Kind::Duration,
        Default::Value("5s"),
        "2s",
        "How often what changed is sent between whole backups: about as much as this is lost when the server's disk is.",
    ),
    Setting::new(
        "backup.keep_daily",
        Kind::Integer,
        Default::Value("7"),
        "14",
        "Of how many days the newest backup is kept. The newest of all is always kept.",
    ),
    Setting::new("backup.keep_weekly", Kind::Integer, Default::Value("4"), "8", "Of how many weeks the newest backup is kept."),
    Setting::new(
        "backup.keep_monthly",
        Kind::Integer,
        Default::Value("6"),
        "12",
        "Of how many months the newest backup is kept.",
    ),
    Setting::new(
        "backup.keep_every_moment",
        Kind::Duration,
        Default::Value("7d"),
        "30d",
        "How far back `relay restore --at` can go to any moment. Before that there are the backups that are kept.",
    ),
    Setting::new(
        "backup.drill",
        Kind::Bool,
        Default::Value("true"),
        "false",
        "Whether each backup is restored into a temporary folder and checked there. It takes as much disk as the database.",
    ),
    Setting::new(
        "backup.bandwidth",
        Kind::Size,
        Default::Unset,
        "2MB",
        "How much may be sent in a second. Unset: as much as there is.",
    ),
    Setting::new(
        "backup.spool",
        Kind::Size,
        Default::Value("1GiB"),
        "10GiB",
        "How many bytes of changes may wait in the data folder while the place cannot be reached. Beyond that they are \
         dropped, and a whole backup follows when it is back.",
    ),
    Setting::new(
        "identity.service_did",
        Kind::Did,
        Default::Derived("did:web of the public URL's host"),
        "did:web:example.com",
        "The DID of this server, the audience of service tokens.",
    )
    .like("PDS_SERVICE_DID"),
    Setting::new(
        "identity.handle_domains",
        Kind::List("domains"),
        Default::Derived("a dot and the public URL's host; .test on localhost"),
        ".example.com, .example.org",
        "The domains that handles are given under. Each begins with a dot and needs wildcard DNS that leads here.",
    )
    .like("PDS_SERVICE_HANDLE_DOMAINS"),
    Setting::new(
        "identity.plc_url",
        Kind::Url,
        Default::Value("https://plc.directory"),
        "http://localhost:2582",
        "The PLC directory, where did:plc identities are registered and resolved.",
    )
    .like("PDS_DID_PLC_URL"),
    Setting::new(
        "identity.recovery_did_key",
        Kind::DidKey,
        Default::Unset,
        "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme",
        "A public key that is put before the server's rotation key in the identity of each new account, so \
         that its holder can undo what the server's key does.",
    )
    .like("PDS_RECOVERY_DID_KEY"),
    Setting::new(
        "identity.did_cache_stale",
        Kind::Duration,
        Default::Value("1h"),
        "30m",
        "After this time a DID document is still used, and fetched again in the background.",
    )
    .like_as("PDS_DID_CACHE_STALE_TTL", Convert::Millis),
    Setting::new(
        "identity.did_cache_max",
        Kind::Duration,
        Default::Value("24h"),
        "12h",
        "After this time a DID document is no longer used.",
    )
    .like_as("PDS_DID_CACHE_MAX_TTL", Convert::Millis),
    Setting::new(
        "identity.resolver_timeout",
        Kind::Duration,
        Default::Value("3s"),
        "5s",
        "How long the resolution of a handle or DID may take.",
    )
    .like_as("PDS_ID_RESOLVER_TIMEOUT", Convert::Millis),
    Setting::new(
        "accounts.invite_required",
        Kind::Bool,
        Default::Value("true"),
        "false",
        "Whether a new account needs an invite code. Open registration attracts spam.",
    )
    .like("PDS_INVITE_REQUIRED"),
    Setting::new(
        "accounts.invite_interval",
        Kind::Duration,
        Default::Unset,
        "7d",
        "How often each account gets an invite code to give away. Unset: never.",
    )
    .like_as("PDS_INVITE_INTERVAL", Convert::Millis),
    Setting::new(
        "accounts.invite_epoch_ms",
        Kind::Integer,
        Default::Value("0"),
        "1767225600000",
        "Accounts made before this moment earn invite codes only from it on; milliseconds since 1970.",
    )
    .like("PDS_INVITE_EPOCH"),
    Setting::new(
        "accounts.accept_disposable_mail",
        Kind::Bool,
        Default::Value("false"),
        "true",
        "Whether an account may have the address of a throw-away mail service.",
    ),
    Setting::new(
        "accounts.deletion_grace",
        Kind::Duration,
        Default::Value("7d"),
        "30d",
        "How long an account is kept, hidden, after its owner deleted it on the account pages; until then signing in can take \
         that back. Apps that delete an account with a code from the mail delete it at once.",
    ),
    Setting::new(
        "accounts.did_doc_in_session",
        Kind::Bool,
        Default::Value("false"),
        "true",
        "Whether session responses carry the account's DID document.",
    )
    .like("PDS_ENABLE_DID_DOC_WITH_SESSION"),
    Setting::new(
        "services.appview_url",
        Kind::Url,
        Default::Value("https://api.bsky.app"),
        "https://appview.example.com",
        "The AppView that app.bsky requests are passed on to.",
    )
    .like("PDS_BSKY_APP_VIEW_URL"),
    Setting::new(
        "services.appview_did",
        Kind::Did,
        Default::Value("did:web:api.bsky.app"),
        "did:web:appview.example.com",
        "The DID of the AppView. Set it together with its URL.",
    )
    .like("PDS_BSKY_APP_VIEW_DID"),
    Setting::new(
        "services.appview_cdn_url_pattern",
        Kind::Text,
        Default::Unset,
        "https://cdn.example.com/img/%s/plain/%s/%s@jpeg",
        "Where the AppView serves pictures: a URL with three %s, for the preset, the DID and the CID.",
    )
    .like("PDS_BSKY_APP_VIEW_CDN_URL_PATTERN"),
    Setting::new(
        "services.moderation_url",
        Kind::Url,
        Default::Unset,
        "https://mod.example.com",
        "A moderation service (Ozone) that may act on accounts of this server.",
    )
    .like("PDS_MOD_SERVICE_URL"),
    Setting::new(
        "services.moderation_did",
        Kind::Did,
        Default::Unset,
        "did:web:mod.example.com",
        "The DID of the moderation service. Set it together with its URL.",
    )
    .like("PDS_MOD_SERVICE_DID"),
    Setting::new(
        "services.report_url",
        Kind::Url,
        Default::Derived("the moderation service; without one https://mod.bsky.app"),
        "https://reports.example.com",
        "The service that gets reports by the users of this server.",
    )
    .like("PDS_REPORT_SERVICE_URL"),
    Setting::new(
        "services.report_did",
        Kind::Did,
        Default::Derived("the moderation service's; without one did:plc:ar7c4by46qjdydhdevvrndac"),
        "did:web:reports.example.com",
        "The DID of the report service. Set it together with its URL.",
    )
    .like("PDS_REPORT_SERVICE_DID"),
    Setting::new(
        "services.crawlers",
        Kind::List("URLs"),
        Default::Value("https://bsky.network"),
        "https://bsky.network, https://relay.example.com",
        "The Relays that are told about new commits, so that they fetch them.",
    )
    .like("PDS_CRAWLERS"),
    Setting::new(
        "mail.url",
        Kind::Url,
        Default::Unset,
        "smtps://pds%40example.com:password@mail.example.com:465",
        "The mail server as one URL: smtps:// for TLS from the start, smtp:// for STARTTLS. User and password \
         are percent-encoded. It replaces host, port, user, password and tls.",
    )
    .secret()
    .like("PDS_EMAIL_SMTP_URL"),
    Setting::new("mail.host", Kind::Text, Default::Unset, "mail.example.com", "The host of the mail server."),
    Setting::new(
        "mail.port",
        Kind::Integer,
        Default::Derived("465 for implicit TLS, 587 for starttls, 25 for none"),
        "2525",
        "The port of the mail server.",
    ),
    Setting::new("mail.user", Kind::Text, Default::Unset, "pds@example.com", "The user name at the mail server."),
    Setting::new("mail.password", Kind::Text, Default::Unset, "correct horse", "The password at the mail server, as it is.")
        .secret(),
    Setting::new(
        "mail.tls",
        MAIL_TLS,
        Default::Derived("none for this machine, starttls for the ports 25, 587 and 2525, otherwise implicit"),
        "starttls",
        "How the connection is secured: TLS from the start, STARTTLS before anything else is said, or not at all.",
    ),
    Setting::new(
        "mail.from",
        Kind::Email,
        Default::Unset,
        "Example Social <pds@example.com>",
        "The sender of mail. Required when there is a mail server.",
    )
    .like("PDS_EMAIL_FROM_ADDRESS"),
    Setting::new(
        "mail.moderation_url",
        Kind::Url,
        Default::Unset,
        "smtps://mod:password@mail.example.com",
        "Another mail server, for mail that moderators send. Unset: the one above.",
    )
    .secret()
    .like("PDS_MODERATION_EMAIL_SMTP_URL"),
    Setting::new(
        "mail.moderation_from",
        Kind::Email,
        Default::Unset,
        "moderation@example.com",
        "The sender of mail by moderators. Unset: the one above.",
    )
    .like("PDS_MODERATION_EMAIL_ADDRESS"),
    Setting::new("limits.blob_upload", Kind::Size, Default::Value("100MB"), "50MB", "The largest blob that may be uploaded.")
        .like("PDS_BLOB_UPLOAD_LIMIT"),
    Setting::new(
        "limits.accept_imports",
        Kind::Bool,
        Default::Value("true"),
        "false",
        "Whether accounts may bring a repository along from another server.",
    )
    .like("PDS_ACCEPTING_REPO_IMPORTS"),
    Setting::new("limits.import", Kind::Size, Default::Value("1GiB"), "200MB", "The largest repository that may be imported.")
        .like("PDS_MAX_REPO_IMPORT_SIZE"),
    Setting::new(
        "limits.backfill",
        Kind::Duration,
        Default::Value("72h"),
        "24h",
        "How far back a subscriber of the event stream may begin. Older events are deleted.",
    )
    .like_as("PDS_REPO_BACKFILL_LIMIT_MS", Convert::Millis),
    Setting::new(
        "limits.subscriber_buffer",
        Kind::Integer,
        Default::Value("1000"),
        "500",
        "How many events a live subscriber may be behind before it reads from the database instead.",
    )
    .like("PDS_MAX_SUBSCRIPTION_BUFFER"),
    Setting::new(
        "limits.rate_limits",
        Kind::Bool,
        Default::Value("true"),
        "false",
        "Whether clients are limited in how much they may ask.",
    )
    .like("PDS_RATE_LIMITS_ENABLED"),
    Setting::new(
        "limits.rate_limit_bypass_key",
        Kind::Text,
        Default::Unset,
        "d41d8cd98f00b204",
        "A request whose x-ratelimit-bypass header has this value is not limited.",
    )
    .secret()
    .like("PDS_RATE_LIMIT_BYPASS_KEY"),
    Setting::new(
        "limits.rate_limit_bypass_addresses",
        Kind::List("IP ranges"),
        Default::Unset,
        "192.0.2.7, 2001:db8::/48",
        "Clients at these addresses are not limited.",
    )
    .like("PDS_RATE_LIMIT_BYPASS_IPS"),
    Setting::new(
        "network.protect_private_addresses",
        Kind::Bool,
        Default::Value("true"),
        "false",
        "Whether the server refuses to call private and local addresses on behalf of others. Turn it off in a \
         closed test network only.",
    )
    .like_as("PDS_DISABLE_SSRF_PROTECTION", Convert::Invert),
    Setting::new(
        "network.trusted_proxies",
        Kind::List("IP ranges"),
        Default::Value("127.0.0.0/8, ::1"),
        "10.0.0.0/8, fd00::/8",
        "The proxies whose X-Forwarded-For header tells a client's address. \"none\": no header is believed.",
    ),
    Setting::new(
        "network.dns_servers",
        Kind::List("DNS servers"),
        Default::Derived("those of the system"),
        "9.9.9.9, 127.0.0.1:5353",
        "The DNS servers that handles are resolved with.",
    )
    .like("PDS_HANDLE_BACKUP_NAMESERVERS"),
    Setting::new(
        "network.resolve_record_lexicons",
        Kind::Bool,
        Default::Value("true"),
        "false",
        "Whether the server looks up, in DNS and at their authors' servers, the lexicons of records that it has \
         no schema of, to check records against them. Off: such records are stored unchecked.",
    ),
    Setting::new(
        "network.open_ports",
        Kind::Bool,
        Default::Value("false"),
        "true",
        "Whether the server asks the router, by UPnP, NAT-PMP or PCP, to pass ports 443 and 80 on to it, where it speaks TLS \
         itself: for a server at home. It asks again every 5 minutes, also after the router was restarted, and what it got \
         ends an hour after the server stopped; at the few routers that know no end, when you remove it there.",
    ),
    Setting::new(
        "network.extra_root_certificates",
        Kind::Path,
        Default::Unset,
        "/etc/relay/roots.pem",
        "A PEM file of certificate authorities to trust besides the public ones, such as that of a test network.",
    ),
    Setting::new(
        "secrets.admin_password",
        Kind::Text,
        Default::Unset,
        "9c1185a5c5e9fc54",
        "The password of the admin API. Unset: the admin API answers nobody.",
    )
    .secret()
    .like("PDS_ADMIN_PASSWORD"),
    Setting::new(
        "secrets.master_key",
        Kind::Text,
        Default::Derived("the file master.key in data.dir, made on first start"),
        "5f1d2c3b4a5968778695a4b3c2d1e0f05f1d2c3b4a5968778695a4b3c2d1e0f0",
        "The key that seals the keys of all accounts: 64 hexadecimal digits, or 32 bytes in base64. Whoever \
         loses it loses the accounts' signing keys, so keep a copy apart from the data.",
    )
    .secret(),
    Setting::new(
        "logging.format",
        Kind::Choice(&["auto", "human", "json"]),
        Default::Value("auto"),
        "json",
        "With auto, lines for people on a terminal and JSON elsewhere.",
    ),
    Setting::new(
        "logging.level",
        Kind::Text,
        Default::Value("info"),
        "debug",
        "error, warn, info, debug or trace; also by module, such as \"info,relay::firehose=debug\".",
    )
    .like("LOG_LEVEL"),
    Setting::new(
        "metrics.bind",
        Kind::List("addresses"),
        Default::Unset,
        "127.0.0.1:9464",
        "Addresses where anyone who reaches them may read /metrics. Unset: only the operator may, with the admin password, \
         at the server's own address.",
    ),
    Setting::new(
        "telemetry.otlp_endpoint",
        Kind::Url,
        Default::Unset,
        "http://127.0.0.1:4318",
        "The collector that traces go to, by OTLP over HTTP; `/v1/traces` is added. Only for a program that was built with \
         `--features otel`.",
    ),
    Setting::new(
        "telemetry.otlp_headers",
        Kind::Text,
        Default::Unset,
        "authorization=Bearer example",
        "Headers of each request to the collector: `name=value`, several with commas between them.",
    )
    .secret(),
    Setting::new(
        "telemetry.service_name",
        Kind::Text,
        Default::Value("ezpds"),
        "pds-europe",
        "What this server is called in traces.",
    ),
    Setting::new(
        "telemetry.sample_percent",
        Kind::Integer,
        Default::Value("100"),
        "10",
        "Of how many requests in a hundred there is a trace. What an incoming `traceparent` says of it does not count.",
    ),
    Setting::new(
        "notices.mail_to",
        Kind::Email,
        Default::Unset,
        "operator@example.com",
        "Who gets a mail. It needs the section [mail].",
    ),
    Setting::new(
        "notices.ntfy_url",
        Kind::Url,
        Default::Unset,
        "https://ntfy.sh/my-pds-3f9c",
        "A topic of ntfy.sh or of a server like it, for push messages to a phone. Whoever knows the topic can read along.",
    )
    .secret(),
    Setting::new(
        "notices.ntfy_token",
        Kind::Text,
        Default::Unset,
        "tk_example",
        "The access token for a topic of ntfy that needs one.",
    )
    .secret(),
    Setting::new(
        "notices.webhook_url",
        Kind::Url,
        Default::Unset,
        "https://hooks.example.com/T000/B000",
        "A URL that gets each notice as JSON, by POST. Its `text` is what chat services show.",
    )
    .secret(),
    Setting::new(
        "notices.ping_url",
        Kind::Url,
        Default::Unset,
        "https://hc-ping.com/00000000-0000-0000-0000-000000000000",
        "A dead man's switch: a URL that is opened at each interval as long as writes work and no data is in danger. The \
         service behind it tells you when that ends.",
    )
    .secret(),
    Setting::new("notices.ping_interval", Kind::Duration, Default::Value("1m"), "5m", "How often notices.ping_url is opened."),
    Setting::new(
        "notices.disk_free_below",
        Kind::Size,
        Default::Value("1GiB"),
        "5GB",
        "Less room on the disk of data.dir than this is a problem.",
    ),
    Setting::new(
        "update.source",
        Kind::Text,
        Default::Derived("what the program was built with, if anything"),
        "https://releases.example.com/relay/index.json",
        "The index of releases: a URL, or the path of a file. What it names lies beside it.",
    ),
    Setting::new(
        "update.public_key",
        Kind::Text,
        Default::Derived("what the program was built with, if anything"),
        "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3",
        "The public key of minisign that releases have to be signed with. Nothing else is ever run.",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn paths_names_and_sections_are_sound() {
        let mut names = BTreeSet::new();
        for setting in SETTINGS {
            assert!(names.insert(setting.env()), "{} has a name of its own", setting.env());
            if setting.secret {
                assert!(names.insert(format!("{}_FILE", setting.env())));
            }
            assert!(SECTIONS.iter().any(|(name, _)| *name == setting.section()), "{}", setting.path);
            assert!(setting.doc.ends_with('.'), "{}", setting.path);
        }
        assert!(SECTIONS.iter().all(|(name, _)| SETTINGS.iter().any(|setting| setting.section() == *name)));
    }

    #[test]
    fn settings_of_a_section_stand_together() {
        let mut order: Vec<_> = SETTINGS.iter().map(Setting::section).collect();
        order.dedup();
        assert_eq!(order, SECTIONS.map(|(name, _)| name));
    }
}
