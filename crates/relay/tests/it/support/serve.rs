//! The real binary as operators run it: `relay serve` with a configuration file, and the verbs beside it.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use super::{Client, relay};

/// A `relay serve` with its data in `<dir>/data`, its configuration in `<dir>/relay.toml` and its log in `<dir>/log`.
pub(crate) struct Served {
    child: Child,
    dir: PathBuf,
    address: SocketAddr,
}

/// Writes the configuration of a local server at `port`, with `more` at its end.
pub(crate) fn configure(dir: &Path, port: u16, plc_url: &str, more: &str) {
    let mut toml = String::new();
    write!(
        toml,
        "[server]\npublic_url = \"http://localhost:{port}\"\nbind = [\"127.0.0.1:{port}\"]\n\
         [data]\ndir = \"{}\"\n\
         [identity]\nplc_url = \"{plc_url}\"\nhandle_domains = [\".test\"]\n\
         [accounts]\ninvite_required = false\naccept_disposable_mail = true\n\
         [services]\nappview_url = \"none\"\nreport_url = \"none\"\ncrawlers = \"none\"\n\
         [network]\nprotect_private_addresses = false\n[limits]\nrate_limits = false\n{more}",
        dir.join("data").display()
    )
    .unwrap();
    std::fs::write(dir.join("relay.toml"), toml).unwrap();
}

impl Served {
    /// Starts the server that is configured in `dir`, and returns when it is up.
    pub(crate) async fn start(dir: &Path, port: u16) -> Self {
        let mut command = relay(dir);
        command.args(["serve", "--config", "relay.toml"]);
        Self::start_by(command, dir, port).await
    }

    /// As [`Self::start`], by a command that ends in the server.
    pub(crate) async fn start_by(mut command: Command, dir: &Path, port: u16) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut file = std::fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
        let (up, is_up) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut up = Some(up);
            for line in log.lines().map_while(Result::ok) {
                drop(writeln!(file, "{line}"));
                if line.contains("the server is up")
                    && let Some(up) = up.take()
                {
                    let _ = up.send(());
                }
            }
        });
        assert!(is_up.await.is_ok(), "the server did not start: {}", std::fs::read_to_string(dir.join("log")).unwrap());
        Self { child, dir: dir.to_owned(), address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    /// Ends the server at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the server to stop, and waits until it has.
    pub(crate) async fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        tokio::task::spawn_blocking(move || self.child.wait().unwrap()).await.unwrap();
    }

    pub(crate) fn anonymous(&self) -> Client {
        Client::new(format!("http://{}", self.address), None)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs a verb with the server's configuration.
    pub(crate) async fn verb(&self, args: &[&str]) -> Output {
        run(&self.dir, &[args, &["--config", "relay.toml"]].concat()).await
    }

    /// Runs a verb that must succeed and prints JSON.
    pub(crate) async fn verb_json(&self, args: &[&str]) -> Value {
        json(&self.verb(&[args, &["--json"]].concat()).await)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs the binary in `dir`.
pub(crate) async fn run(dir: &Path, args: &[&str]) -> Output {
    let mut command = relay(dir);
    command.args(args);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// Returns the JSON that a verb printed, which must have succeeded.
pub(crate) fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
