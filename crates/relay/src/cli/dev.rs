//! `relay dev`: a whole local network in one process: the PDS, a did:plc directory, and test accounts.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::CliError;
use super::source::{SetArg, parse_set};
use crate::account::operator;
use crate::clock::SystemClock;
use crate::config::{Config, DevOptions, Secret};
use crate::plc_directory::{self, PlcStore};
use crate::server::Server;
use crate::state::AppState;

/// The arguments of `relay dev`.
#[derive(Debug, Clone, Args)]
pub struct DevArgs {
    /// Keep the data in this folder [default: a temporary one, deleted at the end]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:2583")]
    pub bind: SocketAddr,
    /// The address of the built-in PLC directory; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:2582")]
    pub plc_bind: SocketAddr,
    /// Use this PLC directory instead of the built-in one
    #[arg(long, value_name = "URL", conflicts_with = "plc_bind")]
    pub plc_url: Option<String>,
    /// Print one line of JSON with the addresses and accounts when the server is ready
    #[arg(long)]
    pub json_ready: bool,
    /// Set a setting, such as accounts.invite_required=true or network.extra_root_certificates=ca.pem; may be repeated
    #[arg(long, value_name = "SETTING=VALUE", value_parser = parse_set)]
    pub set: Vec<SetArg>,
    /// Make no test accounts
    #[arg(long)]
    pub no_accounts: bool,
}

/// The accounts that are ready-made; the password of each is its name with `-password`.
const ACCOUNTS: [&str; 2] = ["alice", "bob"];
/// Where the mail is that the server would have sent.
const MAILBOX: &str = "/_dev/mail";
const ADMIN_PASSWORD: &str = "admin-password-of-relay-dev";

/// Runs the network until it is asked to stop.
pub(super) async fn run(args: &DevArgs) -> Result<(), CliError> {
    let temporary = match args.data_dir {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("relay-dev-").tempdir()?),
    };
    let data_dir = args.data_dir.clone().or_else(|| temporary.as_ref().map(|dir| dir.path().to_owned())).unwrap_or_default();
    let clock = Arc::new(SystemClock::default());
    let stop_directory = CancellationToken::new();

    let (plc_url, directory) = if let Some(url) = &args.plc_url {
        (url.clone(), None)
    } else {
        std::fs::create_dir_all(&data_dir)?;
        let store = PlcStore::open(&data_dir.join("plc.sqlite"), Arc::clone(&clock) as _).map_err(|err| CliError::Failed {
            problem: format!("The PLC directory could not be opened: {err}."),
            remedy: "Name another folder with --data-dir.".into(),
        })?;
        let listener = bind(args.plc_bind, "--plc-bind").await?;
        let url = format!("http://localhost:{}", listener.local_addr()?.port());
        let serve = axum::serve(listener, plc_directory::router(store));
        let stop = stop_directory.clone();
        let task = tokio::spawn(serve.with_graceful_shutdown(stop.cancelled_owned()).into_future());
        (url, Some(task))
    };

    let listener = bind(args.bind, "--bind").await?;
    let address = listener.local_addr()?;
    let config = Config::dev(&DevOptions {
        bind: address,
        plc_url: plc_url.clone(),
        data_dir: data_dir.clone(),
        admin_password: Some(Secret::new(ADMIN_PASSWORD)),
        settings: args.set.iter().map(SetArg::to_override).collect(),
    })
    .map_err(|errors| CliError::Config { errors, hints: Vec::new() })?;
    let told = super::Told::start(&config)?;
    let app = AppState::open(config, clock).await?;
    let server = Server::start_on(app.clone(), vec![listener]);

    let mut accounts = Vec::new();
    if !args.no_accounts {
        for name in ACCOUNTS {
            let (handle, password) = (format!("{name}.test"), format!("{name}-password"));
            let did = operator::ensure_account(&app, &handle, &format!("{name}@example.com"), &password).await?;
            accounts.push(json!({ "handle": handle, "did": did, "password": password }));
        }
    }
    let pds = format!("http://localhost:{}", address.port());
    let mut out = std::io::stdout();
    if args.json_ready {
        let ready = json!({
            "pds": format!("http://{address}"),
            "plc": plc_url,
            "mailbox": format!("http://{address}{MAILBOX}"),
            "pdsPid": std::process::id(),
            "adminPassword": ADMIN_PASSWORD,
            "handleDomain": ".test",
            "version": env!("CARGO_PKG_VERSION"),
            "data": data_dir,
            "accounts": accounts,
        });
        writeln!(out, "READY {ready}")?;
    } else {
        writeln!(out, "A local AT Protocol network is up.\n")?;
        writeln!(out, "  PDS            {pds}")?;
        writeln!(out, "  PLC directory  {plc_url}")?;
        writeln!(out, "  Mailbox        {pds}{MAILBOX}")?;
        let kept = if temporary.is_some() { " (temporary, deleted at the end)" } else { "" };
        writeln!(out, "  Data           {}{kept}", data_dir.display())?;
        for account in &accounts {
            let field = |name: &str| account[name].as_str().unwrap_or_default().to_owned();
            writeln!(out, "  Account        {}  password {}  {}", field("handle"), field("password"), field("did"))?;
        }
        writeln!(out, "\nTry it:\n")?;
        writeln!(out, "  curl '{pds}/xrpc/com.atproto.identity.resolveHandle?handle=alice.test'\n")?;
        writeln!(out, "Ctrl-C ends it.")?;
    }
    out.flush()?;

    super::asked_to_stop().await;
    server.stop().await;
    drop(app);
    told.end().await;
    stop_directory.cancel();
    if let Some(directory) = directory {
        // A client that keeps its connection open does not hold the end up.
        drop(tokio::time::timeout(std::time::Duration::from_secs(1), directory).await);
    }
    Ok(())
}

async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, CliError> {
    TcpListener::bind(address).await.map_err(|source| CliError::Failed {
        problem: format!("The server cannot listen on {address}: {source}."),
        remedy: format!("Is it running already? Name another address with {flag}; port 0 takes a free one."),
    })
}
