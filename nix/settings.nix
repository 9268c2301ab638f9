# The settings of relay.toml as NixOS options: sections and keys are those of docs/CONFIG.md, which explains them.
#
# `null` leaves a setting to its default. Secrets are no options: what is an option ends in the world-readable store. For
# each there is the path of a file instead, here as `<key>_file`, or in `services.ezpds.credentials`.
{ lib }:
let
  inherit (lib) types;

  matching = words: pattern: types.strMatching pattern // { description = words; };

  url = matching "URL that begins with http:// or https://" "https?://[^/ ]+.*";
  did = matching "DID such as did:web:example.com" "did:[a-z]+:.+";
  didKey = matching "public key as did:key" "did:key:z.+";
  duration = matching "duration such as 30s, 72h or 1h30m" "([0-9]+(ms|s|m|min|h|d|w))+";
  size = types.either types.ints.unsigned (
    matching "size such as 100MB or 1GiB" "[0-9]+ ?([kKMGT]i?)?B?"
  );
  address = matching "address with a port, such as 127.0.0.1:2583 or [::]:2583" "[^ ]+:[0-9]+";
  # A path as text, so that it is not copied to the store.
  file = matching "absolute path" "/.+";
  place = matching "absolute path or s3://bucket/prefix" "/.+|s3://.+";
  text = types.str;
  number = types.ints.unsigned;
  list = types.listOf;

  setting =
    type: description:
    lib.mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };
in
{
  server = {
    public_url = setting url "The address that people and other servers reach this server by, without a path. Required.";
    bind = setting (list address) "The addresses to listen on.";
    service_name = setting text "The name of the server in pages and mail.";
    home_url = setting url "Link to the operator's home page.";
    logo_url = setting url "Picture that stands for the server in pages and mail.";
    support_url = setting url "Link to where people find help.";
    privacy_policy_url = setting url "Link to the privacy policy.";
    terms_url = setting url "Link to the terms of service.";
    terms_file = setting file "A text file with the terms of service, shown at /terms.";
    privacy_policy_file = setting file "A text file with the privacy policy, shown at /privacy.";
    show_account_count = setting types.bool "Whether the status page tells how many accounts there are.";
    app_url = setting url "The app that people are sent to once they have an account.";
    contact_email = setting text "The operator's public address.";
    header_timeout = setting duration "How long a client may take to send a request's headers.";
    idle_timeout = setting duration "How long a connection may stay open without a request.";
    request_timeout = setting duration "How long an ordinary request may take.";
    max_connections = setting number "How many connections may be open at once.";
  };

  tls = {
    mode = setting (types.enum [
      "auto"
      "files"
      "proxy"
      "off"
    ]) "Who speaks TLS: this server with ordered certificates or with files, a proxy, or nobody.";
    https_bind = setting (list address) "The addresses to speak TLS on.";
    http_bind = setting (list address) "The addresses that send browsers on to https.";
    certificate = setting file "The certificate in PEM, for mode files.";
    certificate_key = setting file "The certificate's private key in PEM, for mode files.";
    acme_directory = setting text "The certificate authority: letsencrypt, letsencrypt-staging or a URL.";
    acme_contact = setting text "The address that the certificate authority may write to.";
    orders_per_hour = setting number "The most certificates that are ordered within an hour.";
    orders_per_week = setting number "The most certificates that are ordered within a week.";
    dns_provider = setting (types.enum [
      "none"
      "rfc2136"
      "cloudflare"
      "desec"
    ]) "Who serves the DNS of the domain, for one wildcard certificate.";
    dns_secret_file = setting file "The file with the DNS provider's token or key.";
    dns_api = setting url "Another address of the DNS provider's API.";
    dns_server = setting text "The zone's primary server, for rfc2136.";
    dns_zone = setting text "The zone that is updated, for rfc2136.";
    dns_key_name = setting text "The name of the TSIG key, for rfc2136.";
  };

  data = {
    dir = setting file "The folder of the database, the blobs and the master key.";
    sqlite_synchronous = setting (types.enum [
      "full"
      "normal"
    ]) "Whether what was acknowledged survives a power failure (full) or a crash of the process only.";
    writer_cache = setting size "SQLite's page cache of the connection that writes.";
    reader_cache = setting size "SQLite's page cache of each connection that reads.";
    readers = setting number "How many connections read from the database.";
    writer_queue = setting number "How many writes may wait for the database.";
    verify = setting types.bool "Whether the server verifies what is stored by itself.";
    verify_every = setting duration "How often the server verifies what is stored.";
    verify_rate = setting size "How much the server reads in a second, at most, while it verifies what is stored.";
  };

  blobs = {
    store = setting (matching "s3://bucket/prefix" "s3://.+") "A bucket for the bytes of blobs, in place of a folder.";
    s3_endpoint = setting url "The S3-compatible store, if it is not Amazon's.";
    s3_region = setting text "The region of the store.";
    s3_access_key = setting text "The access key to the store.";
    s3_secret_key_file = setting file "A file with the secret key to the store.";
  };

  backup = {
    to = setting (types.either place (list place)) "Where backups go, one place or several. There are none without it.";
    s3_endpoint = setting url "The S3-compatible store, if it is not Amazon's.";
    s3_region = setting text "The region of the store.";
    s3_access_key = setting text "The access key to the store.";
    s3_secret_key_file = setting file "A file with the secret key to the store.";
    passphrase_file = setting file "A file with the passphrase that opens the backups.";
    key_file = setting file "A file with the age identity that opens the backups, in place of a passphrase.";
    every = setting duration "How often a whole backup is made.";
    ship_every = setting duration "How often what changed is sent between whole backups.";
    keep_daily = setting number "Of how many days the newest backup is kept.";
    keep_weekly = setting number "Of how many weeks the newest backup is kept.";
    keep_monthly = setting number "Of how many months the newest backup is kept.";
    keep_every_moment = setting duration "How far back every moment can be restored.";
    drill = setting types.bool "Whether each backup is restored on trial.";
    bandwidth = setting size "How much may be sent in a second.";
    spool = setting size "How many bytes of changes may wait while the place cannot be reached.";
  };

  identity = {
    service_did = setting did "The DID of this server.";
    handle_domains = setting (list text) "The domains that handles are given under, each with a dot in front.";
    plc_url = setting url "The PLC directory.";
    recovery_did_key = setting didKey "A public key that is put before the server's rotation key in new identities.";
    did_cache_stale = setting duration "After this time a DID document is fetched again in the background.";
    did_cache_max = setting duration "After this time a DID document is no longer used.";
    resolver_timeout = setting duration "How long the resolution of a handle or DID may take.";
  };

  accounts = {
    invite_required = setting types.bool "Whether a new account needs an invite code.";
    invite_interval = setting duration "How often each account gets an invite code to give away.";
    invite_epoch_ms = setting number "Accounts made before this moment earn invite codes only from it on.";
    accept_disposable_mail = setting types.bool "Whether an account may have a throw-away mail address.";
    deletion_grace = setting duration "How long an account is kept, hidden, after its owner deleted it on the account pages.";
    did_doc_in_session = setting types.bool "Whether session responses carry the account's DID document.";
  };

  services = {
    appview_url = setting text "The AppView that app.bsky requests are passed on to, or none.";
    appview_did = setting did "The DID of the AppView.";
    appview_cdn_url_pattern = setting text "Where the AppView serves pictures: a URL with three %s.";
    moderation_url = setting url "A moderation service that may act on accounts of this server.";
    moderation_did = setting did "The DID of the moderation service.";
    report_url = setting text "The service that gets reports by users, or none.";
    report_did = setting did "The DID of the report service.";
    crawlers = setting (list url) "The Relays that are told about new commits.";
  };

  mail = {
    url_file = setting file "The file with the mail server as one URL.";
    host = setting text "The host of the mail server.";
    port = setting types.port "The port of the mail server.";
    user = setting text "The user name at the mail server.";
    password_file = setting file "The file with the password at the mail server.";
    tls = setting (types.enum [
      "implicit"
      "starttls"
      "none"
    ]) "How the connection is secured.";
    from = setting text "The sender of mail. Required when there is a mail server.";
    moderation_url_file = setting file "The file with another mail server's URL, for mail that moderators send.";
    moderation_from = setting text "The sender of mail by moderators.";
  };

  limits = {
    blob_upload = setting size "The largest blob that may be uploaded.";
    accept_imports = setting types.bool "Whether accounts may bring a repository along.";
    import = setting size "The largest repository that may be imported.";
    backfill = setting duration "How far back a subscriber of the event stream may begin.";
    subscriber_buffer = setting number "How many events a live subscriber may be behind.";
    rate_limits = setting types.bool "Whether clients are limited in how much they may ask.";
    rate_limit_bypass_addresses = setting (list text) "The addresses whose clients are not limited.";
    rate_limit_bypass_key_file = setting file "The file with the key that lifts rate limits.";
  };

  network = {
    protect_private_addresses = setting types.bool "Whether calls to private addresses are refused.";
    trusted_proxies = setting (list text) "The proxies whose X-Forwarded-For header is believed.";
    dns_servers = setting (list text) "The DNS servers that handles are resolved with.";
    resolve_record_lexicons = setting types.bool "Whether lexicons of unknown records are looked up.";
    open_ports = setting types.bool "Whether the router is asked, by UPnP, NAT-PMP or PCP, to pass ports on to this machine.";
    extra_root_certificates = setting file "A PEM file of certificate authorities to trust besides the public ones.";
  };

  secrets = {
    admin_password_file = setting file "The file with the password of the admin API.";
    master_key_file = setting file "The file with the key that seals the keys of all accounts.";
  };

  logging = {
    format = setting (types.enum [
      "auto"
      "human"
      "json"
    ]) "What lines of the log look like.";
    level = setting text "error, warn, info, debug or trace; also by module.";
  };

  metrics = {
    bind = setting (list address) "Addresses where anyone who reaches them may read /metrics.";
  };

  telemetry = {
    otlp_endpoint = setting url "The collector that traces go to, for a program that was built with OpenTelemetry.";
    otlp_headers_file = setting file "The file with headers for the collector: name=value, with commas between them.";
    service_name = setting text "What the server is called in traces.";
    sample_percent = setting number "Of how many requests in a hundred there is a trace.";
  };

  notices = {
    mail_to = setting text "Who gets a mail when something breaks.";
    ntfy_url_file = setting file "The file with the URL of a topic of ntfy.";
    ntfy_token_file = setting file "The file with the access token for the topic.";
    webhook_url_file = setting file "The file with the URL that gets each notice as JSON.";
    ping_url_file = setting file "The file with the URL that is opened as long as all is well.";
    ping_interval = setting duration "How often the ping URL is opened.";
    disk_free_below = setting size "Less room on the disk than this is a problem.";
  };

  update = {
    source = setting text "The index of releases; `relay update` does nothing under NixOS but tell of them.";
    public_key = setting text "The public key of minisign that releases have to be signed with.";
  };
}
