//! `relay`, `relay setup --browser`: the set-up on pages, and the link to them.

use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use common::Clock as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::SetupArgs;
use crate::cli::CliError;
use crate::cli::terminal::Terminal;
use crate::clock::SystemClock;
use crate::setup::web::{self, Door, Parts};
use crate::setup::{Ending, Setup};

const PORT: u16 = 2583;

/// What the terminal says, by what the machine is.
#[derive(Clone, Debug)]
struct Words {
    address: SocketAddr,
    container: bool,
    /// The name of this machine as seen by whoever is logged in by SSH.
    ssh: bool,
    qr: bool,
    again: bool,
}

/// Serves the pages until they end.
pub(super) async fn run(
    setup: Setup,
    args: &SetupArgs,
    env: Vec<(String, String)>,
) -> Result<(Option<Ending>, SocketAddr), CliError> {
    let container = setup.place().is_container();
    let bind = args.bind.or_else(|| given_bind(&env)).unwrap_or_else(|| default_bind(container));
    let listener = TcpListener::bind(bind).await.map_err(|source| CliError::Failed {
        problem: format!("The set-up cannot listen on {bind}: {source}."),
        remedy: "Does it run already? Name another address with `relay setup --browser --bind`; port 0 takes a free one."
            .to_owned(),
    })?;
    let address = listener.local_addr()?;
    let has = |name: &str| env.iter().any(|(known, value)| known == name && !value.is_empty());
    let ssh = has("SSH_CONNECTION");
    let interactive = std::io::stdin().is_terminal();
    let words = Words { address, container, ssh, qr: std::io::stdout().is_terminal(), again: interactive };
    let door = Arc::new(Mutex::new(Door::closed()));
    let clock = Arc::clone(setup.clock());
    let link = announce(&words, &door, &clock)?;
    let has_desktop = cfg!(target_os = "macos") || has("DISPLAY") || has("WAYLAND_DISPLAY");
    if interactive && has_desktop && !ssh && !container {
        open(&link);
    }
    if interactive {
        tokio::spawn(announce_again(words, Arc::clone(&door), clock));
    }
    let install = |config, env| crate::cli::service::install(config, env).map_err(|err: CliError| err.to_string());
    let parts =
        Parts { setup: Arc::new(setup), door, hosts: args.host.iter().map(|host| host.to_lowercase()).collect(), env, install };
    let ending = web::serve(listener, parts, crate::cli::asked_to_stop()).await?;
    Ok((ending, address))
}

fn default_bind(container: bool) -> SocketAddr {
    let ip = if container { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
    SocketAddr::new(IpAddr::V4(ip), PORT)
}

/// Returns where the server will listen, if that is said, as it is in the image.
fn given_bind(env: &[(String, String)]) -> Option<SocketAddr> {
    let (_, value) = env.iter().find(|(name, _)| name == "RELAY_SERVER_BIND")?;
    value.split(',').find_map(|address| address.trim().parse().ok())
}

/// Makes a link, prints it and returns it.
fn announce(words: &Words, door: &Mutex<Door>, clock: &SystemClock) -> Result<String, CliError> {
    let token = door.lock().unwrap_or_else(PoisonError::into_inner).new_link(clock.millis());
    let link = link(words.address, &token);
    match Terminal.say(&text(words, &link)) {
        // Whoever read the link and closed the pipe has it.
        Err(err) if err.kind() != std::io::ErrorKind::BrokenPipe => Err(err.into()),
        Ok(()) | Err(_) => Ok(link),
    }
}

fn link(address: SocketAddr, token: &str) -> String {
    let host = match address.ip() {
        ip if ip.is_unspecified() || ip.is_loopback() => "localhost".to_owned(),
        IpAddr::V6(ip) => format!("[{ip}]"),
        IpAddr::V4(ip) => ip.to_string(),
    };
    format!("http://{host}:{}/setup?token={token}", address.port())
}

fn text(words: &Words, link: &str) -> String {
    let mut text = format!("Open this link to set up the server. It works once, within half an hour:\n\n    {link}\n");
    let port = words.address.port();
    if words.container {
        text.push_str("\nFrom another machine, write this one's name or address in place of localhost.\n");
    } else if words.ssh {
        write!(text, "\nYou came by SSH: on your own machine, first run\n\n    ssh -L {port}:localhost:{port} THIS-MACHINE\n")
            .expect("a String takes all text");
    }
    if words.qr {
        // One that is too long for it is there to be copied.
        write!(text, "\n{}", crate::qr::in_terminal(link).unwrap_or_default()).expect("a String takes all text");
    }
    if words.again {
        text.push_str("\nEnter makes a new link, Ctrl-C ends; `relay setup` asks here in the terminal instead.\n");
    }
    text
}

/// Opens the person's browser; a machine without one has the link in the terminal.
fn open(link: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started = Command::new(program).arg(link).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if let Err(err) = started {
        tracing::debug!(program, error = &err as &dyn std::error::Error, "the browser could not be opened");
    }
}

/// Makes a new link whenever Enter is pressed.
async fn announce_again(words: Words, door: Arc<Mutex<Door>>, clock: Arc<SystemClock>) {
    let (tell, mut told) = mpsc::channel(1);
    // Reading a terminal cannot be cut off, so it has a thread of its own, which ends with the process.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if line.is_err() || tell.blocking_send(()).is_err() {
                return;
            }
        }
    });
    while told.recv().await.is_some() {
        if announce(&words, &door, &clock).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(container: bool, ssh: bool) -> Words {
        Words { address: default_bind(container), container, ssh, qr: false, again: false }
    }

    #[test]
    fn the_link_is_told_as_the_place_needs_it() {
        let at = |address: &str| link(address.parse().unwrap(), "T");
        assert_eq!(at("127.0.0.1:2583"), "http://localhost:2583/setup?token=T");
        assert_eq!(at("0.0.0.0:2583"), "http://localhost:2583/setup?token=T");
        assert_eq!(at("192.168.1.2:80"), "http://192.168.1.2:80/setup?token=T");
        assert_eq!(at("[2001:db8::1]:80"), "http://[2001:db8::1]:80/setup?token=T");
        let here = text(&words(false, false), "LINK");
        assert!(here.contains("\n    LINK\n") && !here.contains("ssh"), "{here}");
        assert!(text(&words(false, true), "LINK").contains("\n    ssh -L 2583:localhost:2583 THIS-MACHINE\n"));
        assert!(text(&words(true, true), "LINK").contains("From another machine"), "a container knows nothing of SSH");
    }

    #[test]
    fn only_a_container_listens_everywhere() {
        assert!(default_bind(false).ip().is_loopback());
        assert!(default_bind(true).ip().is_unspecified());
        let env = vec![("RELAY_SERVER_BIND".to_owned(), "0.0.0.0:3000, [::]:3000".to_owned())];
        assert_eq!(given_bind(&env), Some("0.0.0.0:3000".parse().unwrap()));
    }
}
