//! docs/API.md, which is written out of the router, and the account of which methods are served.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use relay::router::{Route, routes};
use serde_json::Value;

const INTRODUCTION: &str = r"# HTTP API

<!-- Written out of the router by `UPDATE_DOCS=1 cargo test -p relay --test it api_doc`; do not edit. -->

Methods are called at `/xrpc/<NSID>`, as <https://atproto.com/specs/xrpc> says, and are described by their lexicons. All other
methods are passed on to the service that the `atproto-proxy` header names, or to the AppView.

## Who may call

";

const STATUSES: &str = r#"
## Statuses

Errors are `{"error": "<name>", "message": "<text>"}`. Beside the names in the tables, which come with status 400 unless the
lexicon's meaning asks for another:

| status | when |
| --- | --- |
| 200 | it is done; for writes: record, commit and event are on disk |
| 400 `InvalidRequest` | parameters or body are not what the method takes; `SyntaxError`: the body is not JSON |
| 400 `ExpiredToken`, `InvalidToken` | the token is too old (refresh the session), or not one |
| 401 `AuthMissing`, `AuthenticationRequired` | there is no token, or it does not allow this; `AccountTakedown`, `AccountDeactivated` |
| 403 | the account is not here, or is not the caller's |
| 404 | a blob or page that is not there |
| 413 `PayloadTooLarge`, `PayloadTooLargeError` | the body is larger than the settings allow |
| 429 `RateLimitExceeded` | a limit is reached; `Retry-After` tells when it begins anew |
| 500 `InternalServerError` | a fault of this server, which its log explains |
| 502 `UpstreamFailure`, 504 `UpstreamTimeout` | another server did not do what it was asked, or not in time |
| 503 `NotEnoughResources` | the disk is full, or too much is going on; `Retry-After` tells when to try again |

Where `limits.rate_limits` is on, an address has 3000 requests in 5 minutes, and the methods below have limits of their own.
The `RateLimit-*` headers tell of the one that has the least left.
"#;

/// Who may call, by the type that the handler takes, with what it is called in the tables.
const CALLERS: &[(&str, &str, &str)] = &[
    ("Auth<Standard>", "session", "any session, also of an app password"),
    ("Auth<StandardOrTakendown>", "session, also taken down", "any session, also of an account that was taken down"),
    ("Auth<Full>", "full session", "a session of the account's password, not of an app password"),
    ("Auth<FullOrTakendown>", "full session, also taken down", "the same, also of an account that was taken down"),
    (
        "RepoAuth",
        "session, own repo, or app with `repo:`",
        "any session of an active account, or an app with the scope `repo:` for what is written, for the account's own repo",
    ),
    (
        "RpcAuth",
        "session, or app with `rpc:`",
        "any session, or an app with the scope `rpc:` for the method and the service that answers it",
    ),
    (
        "RpcAuth<StandardOrTakendown>",
        "session, also taken down, or app with `rpc:`",
        "the same, also of an account that was taken down",
    ),
    ("RefreshAuth<false>", "refresh token", "a refresh token that has not expired"),
    ("RefreshAuth<true>", "refresh token, also expired", "a refresh token, be it expired"),
    ("OptionalAuth", "anyone, or session", "anyone; what is not public shows to its owner's session and to the operator"),
    (
        "OptionalServiceAuth",
        "anyone, or service token",
        "anyone, or an account that proves with a service token that it moves here",
    ),
    ("Admin", "operator", "`Basic admin:<password>`, with the setting `secrets.admin_password`"),
    ("Moderator", "operator, or moderation service", "the operator, or the moderation service with a service token"),
    ("SignedIn", "signed in", "someone who is signed in in this browser"),
    ("Confirmed", "signed in, lately", "the same, who gave their password or passkey some minutes ago at most"),
    (
        "Uploader",
        "session, or app with `blob:`, or service token",
        "any session, an app with the scope `blob:` for the media type, or a service that acts for the account",
    ),
];

/// Which apps may call besides, by the rule beside the type above.
const APPS: &[(&str, &str)] = &[
    ("NoApps", ""),
    ("AnyApp", ", or app"),
    ("ChangesHandle", ", or app with `identity:handle`"),
    ("ChangesIdentity", ", or app with `identity:*`"),
    ("ManagesEmail", ", or app with `account:email?action=manage`"),
    ("ManagesRepo", ", or app with `account:repo?action=manage`"),
    ("ManagesStatus", ", or app with `account:status?action=manage`"),
];

/// Other types that handlers take: they do not tell who calls.
const OTHER: &[&str] = &[
    "()",
    "ClientOrigin",
    "CsrfForm",
    "CsrfJson",
    "Extension",
    "HeaderMap",
    "Meter",
    "Method",
    "OauthForm",
    "OriginalUri",
    "Path",
    "Query",
    "RecordJson",
    "Request",
    "State",
    "ViaParts",
    "ViaRequest",
    "Visitor",
    "WebSocketUpgrade",
    "XrpcJson",
    "XrpcQuery",
];

/// Statuses that a handler gives beside those that its types tell of.
const OWN_STATUSES: &[(&str, &[u16])] = &[
    ("com.atproto.server.createSession", &[401]),
    ("com.atproto.server.deleteAccount", &[401]),
    ("com.atproto.sync.getBlob", &[206, 304, 412, 416]),
    ("com.atproto.sync.subscribeRepos", &[426]),
    ("com.atproto.repo.uploadBlob", &[408]),
    ("com.atproto.repo.importRepo", &[408]),
    ("/xrpc/_health", &[401, 503]),
    ("/.well-known/atproto-did", &[404]),
    ("/.well-known/did.json", &[404]),
    ("/.well-known/oauth-authorization-server", &[404]),
    ("/.well-known/oauth-protected-resource", &[404]),
    ("/oauth/par", &[201, 400, 401, 413]),
    ("/oauth/token", &[400, 401, 413]),
    ("/oauth/revoke", &[400, 401, 413]),
    ("/oauth/introspect", &[400, 401, 413]),
    ("/xrpc/{nsid}", &[400, 502, 504]),
    ("/xrpc/{nsid}/", &[400, 502, 504]),
];

/// Methods of `com.atproto` that are not in the router, and why.
const NOT_SERVED: &[(&str, &str)] = &[
    ("com.atproto.label.queryLabels", "proxied: a labeler's"),
    ("com.atproto.label.subscribeLabels", "proxied: a labeler's"),
    ("com.atproto.lexicon.resolveLexicon", "proxied: an AppView's"),
    ("com.atproto.sync.listHosts", "refused, or proxied to a service that is named: a relay's"),
    ("com.atproto.sync.notifyOfUpdate", "refused, or proxied to a service that is named: a relay's"),
    ("com.atproto.sync.requestCrawl", "refused, or proxied to a service that is named: a relay's"),
    ("com.atproto.temp.fetchLabels", "proxied: an AppView's, deprecated"),
    ("com.atproto.temp.requestPhoneVerification", "proxied: an entryway's"),
];

/// The types that a route's handler takes: names without paths, generic arguments of auth types kept.
fn extractors(route: &Route) -> Vec<String> {
    let inner = route.extractors.strip_prefix('(').and_then(|tuple| tuple.strip_suffix(')')).unwrap();
    split(inner).into_iter().map(short).collect()
}

/// Splits at the commas that are not within brackets.
fn split(list: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut begin) = (Vec::new(), 0, 0);
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            b'<' | b'(' => depth += 1,
            b'>' | b')' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(list[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(list[begin..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

fn short(path: &str) -> String {
    let (path, arguments) = path.split_once('<').map_or((path, ""), |(path, rest)| (path, rest.strip_suffix('>').unwrap()));
    let name = path.rsplit("::").next().unwrap();
    match name {
        "Auth" | "RefreshAuth" | "RpcAuth" if !arguments.is_empty() => {
            let arguments: Vec<String> = split(arguments).into_iter().map(short).collect();
            format!("{name}<{}>", arguments.join(", "))
        }
        // A handler that answers a failed check itself.
        "Result" | "Option" => short(split(arguments)[0]),
        _ => name.to_owned(),
    }
}

/// Who may call a route, in the words of the tables.
fn caller(route: &Route) -> String {
    let mut callers = Vec::new();
    for name in extractors(route) {
        let (kind, apps) = match name.strip_suffix('>').and_then(|name| name.split_once(", ")) {
            Some((kind, rule)) => {
                let (_, apps) = APPS.iter().find(|(known, _)| *known == rule).expect("the rule is in APPS of api_doc.rs");
                (format!("{kind}>"), *apps)
            }
            None => (name.clone(), ""),
        };
        if let Some((_, who, _)) = CALLERS.iter().find(|(caller, ..)| *caller == kind) {
            callers.push(format!("{who}{apps}"));
        } else {
            let known = OTHER.contains(&name.as_str());
            assert!(
                known,
                "{}: who may call a handler that takes {name}? Say so in CALLERS or OTHER of api_doc.rs",
                route.name
            );
        }
    }
    if callers.is_empty() { "anyone".to_owned() } else { callers.join("; ") }
}

/// The statuses that a route can have beside those that any has (429, 500, 503).
fn statuses(route: &Route, lexicon: Option<&Value>) -> String {
    let takes = |name: &str| extractors(route).iter().any(|extractor| extractor == name);
    let has_input = lexicon.is_some_and(|lexicon| !lexicon["input"].is_null());
    let caller = caller(route);
    let mut statuses = BTreeSet::from([if takes("WebSocketUpgrade") { 101 } else { 200 }]);
    if route.is_method {
        statuses.insert(400);
    }
    if caller != "anyone" {
        statuses.insert(401);
    }
    if caller.contains("session") {
        statuses.insert(403);
    }
    if has_input || takes("XrpcJson") || takes("RecordJson") {
        statuses.insert(413);
    }
    let own = OWN_STATUSES.iter().filter(|(name, _)| *name == route.name);
    statuses.extend(own.flat_map(|(_, own)| *own));
    if route.name.starts_with("app.bsky.") {
        // Asked of the AppView.
        statuses.extend([502, 504]);
    }
    if route.name == "/xrpc/" {
        return "400".to_owned();
    }
    statuses.iter().map(u16::to_string).collect::<Vec<_>>().join(" ")
}

/// The `main` definitions of the methods, by NSID.
fn lexicons() -> BTreeMap<String, Value> {
    let file = root().join("tests/lexicons/methods.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let lexicons = file["lexicons"].as_array().unwrap().iter();
    lexicons.map(|lexicon| (lexicon["id"].as_str().unwrap().to_owned(), lexicon["defs"]["main"].clone())).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn document() -> String {
    let lexicons = lexicons();
    let mut methods: Vec<Route> = routes().into_iter().filter(|route| route.is_method).collect();
    methods.sort_unstable_by_key(|route| route.name);
    let mut out = INTRODUCTION.to_owned();
    out.push_str("| in the tables | who |\n| --- | --- |\n| anyone | no token is asked for |\n");
    for (_, who, meaning) in CALLERS {
        if methods.iter().any(|route| caller(route) == *who) {
            writeln!(out, "| {who} | {meaning} |").unwrap();
        }
    }
    out.push_str(STATUSES);
    let mut namespace = "";
    for route in &methods {
        let (family, name) = route.name.rsplit_once('.').unwrap();
        if family != namespace {
            namespace = family;
            write!(out, "\n## {family}\n\n| method | verb | who may call | statuses | errors | limit |\n").unwrap();
            out.push_str("| --- | --- | --- | --- | --- | --- |\n");
        }
        let lexicon = lexicons.get(route.name);
        let errors = lexicon.and_then(|lexicon| lexicon["errors"].as_array()).into_iter().flatten();
        let errors: Vec<String> = errors.map(|error| format!("`{}`", error["name"].as_str().unwrap())).collect();
        let cells = [
            name.to_owned(),
            route.verb.to_owned(),
            caller(route),
            statuses(route, lexicon),
            errors.join(" "),
            route.limits().unwrap_or_default(),
        ];
        writeln!(out, "| {} |", cells.join(" | ")).unwrap();
    }
    out.push_str("\n## Methods of com.atproto that are not served here\n\n| method | |\n| --- | --- |\n");
    for (nsid, why) in NOT_SERVED {
        writeln!(out, "| {nsid} | {why} |").unwrap();
    }
    out.push_str("\n## Other paths\n\n| path | verb | who may call | statuses |\n| --- | --- | --- | --- |\n");
    for route in routes().iter().filter(|route| !route.is_method) {
        writeln!(out, "| `{}` | {} | {} | {} |", route.name, route.verb, caller(route), statuses(route, None)).unwrap();
    }
    out
}

#[test]
fn the_document_is_up_to_date() {
    let file = root().join("docs/API.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, document()).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    let stale = "docs/API.md is out of date: run UPDATE_DOCS=1 cargo test -p relay --test it api_doc";
    assert!(written == document(), "{stale}");
}

/// Every method of `com.atproto` is in the router, or has a reason why it is not.
#[test]
fn every_method_of_com_atproto_is_accounted_for() {
    let routes = routes();
    let served: BTreeMap<&str, &Route> =
        routes.iter().filter(|route| route.is_method).map(|route| (route.name, route)).collect();
    let mut wrong = Vec::new();
    for (nsid, lexicon) in lexicons().iter().filter(|(nsid, _)| nsid.starts_with("com.atproto.")) {
        let verb = match lexicon["type"].as_str() {
            Some("query" | "subscription") => "GET",
            Some("procedure") => "POST",
            _ => continue,
        };
        let excused = NOT_SERVED.iter().any(|(other, _)| other == nsid);
        match served.get(nsid.as_str()) {
            Some(_) if excused => wrong.push(format!("{nsid} is served: take it out of NOT_SERVED")),
            Some(route) if route.verb != verb => wrong.push(format!("{nsid} is called by {verb}, not {}", route.verb)),
            None if !excused => wrong.push(format!("{nsid} is neither served nor in NOT_SERVED of api_doc.rs")),
            Some(_) | None => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (nsid, _) in NOT_SERVED {
        assert!(lexicons().contains_key(*nsid), "{nsid} is not in the lexicons");
    }
}

/// No route goes past the table from which the document is written.
#[test]
fn all_routes_are_in_the_table() {
    let source = include_str!("../../src/router.rs");
    assert_eq!(source.matches("router.route(").count(), 1, "routes are added by `Table`, which notes them");
    for way_around in [".merge(", ".nest(", ".route_service(", ".nest_service("] {
        assert!(!source.contains(way_around), "{way_around} adds routes that `Table` does not note");
    }
    let mut seen = BTreeSet::new();
    for route in routes() {
        assert!(seen.insert((route.name, route.verb)), "{} {} is there twice", route.verb, route.name);
    }
}
