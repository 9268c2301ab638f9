//! The real binary, to be killed.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::Client;

/// A `relay dev` with its data in `<dir>/data`, and its log in `<dir>/log`.
pub(crate) struct Process {
    child: Child,
    dir: PathBuf,
    address: SocketAddr,
    directory: Directory,
}

/// The PLC directory of a server.
#[derive(Clone)]
enum Directory {
    /// Its own, which listens there.
    Own(SocketAddr),
    At(String),
}

const ANY: &str = "127.0.0.1:0";

/// Returns a command that runs the binary in `dir`, where no configuration is found.
pub(crate) fn relay(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relay"));
    command.current_dir(dir).env_remove("RELAY_CONFIG").stdin(Stdio::null());
    command
}

impl Process {
    /// Starts a server at free ports.
    pub(crate) async fn start(dir: &Path) -> Self {
        Self::start_by(relay(dir), dir, ANY.parse().unwrap(), Directory::Own(ANY.parse().unwrap())).await
    }

    /// Starts a server that uses the PLC directory at `plc_url`.
    pub(crate) async fn start_with_plc(dir: &Path, plc_url: &str) -> Self {
        Self::start_by(relay(dir), dir, ANY.parse().unwrap(), Directory::At(plc_url.to_owned())).await
    }

    /// Starts a server whose attempts to write beyond the limit of file sizes fail instead of ending it.
    pub(crate) async fn start_limitable(dir: &Path) -> Self {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg("trap '' XFSZ; exec \"$0\" \"$@\"").arg(env!("CARGO_BIN_EXE_relay"));
        shell.current_dir(dir).env_remove("RELAY_CONFIG").stdin(Stdio::null());
        Self::start_by(shell, dir, ANY.parse().unwrap(), Directory::Own(ANY.parse().unwrap())).await
    }

    async fn start_by(command: Command, dir: &Path, bind: SocketAddr, directory: Directory) -> Self {
        let mut child = spawn(command, dir, bind, &directory);
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let log = dir.join("log");
        let ready = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            out.read_line(&mut line).unwrap();
            line
        });
        let line = ready.await.unwrap();
        let json = line.strip_prefix("READY ");
        let json = json.unwrap_or_else(|| panic!("the server did not start: {}", std::fs::read_to_string(log).unwrap()));
        let ready: Value = serde_json::from_str(json).unwrap();
        let port = |url: &Value| url.as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap();
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let directory = match directory {
            Directory::Own(_) => Directory::Own(at(port(&ready["plc"]))),
            Directory::At(url) => Directory::At(url),
        };
        Self { child, dir: dir.to_owned(), address: at(port(&ready["pds"])), directory }
    }

    /// Ends the server at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Begins to start the killed server again, for it to be killed before it is up.
    pub(crate) fn begin_restart(&self) -> Child {
        spawn(relay(&self.dir), &self.dir, self.address, &self.directory)
    }

    /// Starts the killed server again, at the same addresses.
    pub(crate) async fn restart(self) -> Self {
        Self::start_by(relay(&self.dir), &self.dir, self.address, self.directory.clone()).await
    }

    /// Asks the server to stop, and starts it again at the same addresses.
    pub(crate) async fn stop_and_restart(mut self) -> Self {
        assert!(Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap().success());
        while self.child.try_wait().unwrap().is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        self.restart().await
    }

    /// Asks the server to stop, and returns its exit code.
    pub(crate) async fn stop(mut self) -> Option<i32> {
        assert!(Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap().success());
        tokio::task::spawn_blocking(move || self.child.wait().unwrap().code()).await.unwrap()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of the PLC directory that the server brought.
    pub(crate) fn plc_address(&self) -> SocketAddr {
        match &self.directory {
            Directory::Own(address) => *address,
            Directory::At(url) => panic!("the directory is another's, at {url}"),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(crate) fn anonymous(&self) -> Client {
        Client::new(format!("http://{}", self.address), None)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn spawn(mut command: Command, dir: &Path, bind: SocketAddr, directory: &Directory) -> Child {
    let log = File::options().create(true).append(true).open(dir.join("log")).unwrap();
    command.args(["dev", "--json-ready", "--data-dir"]).arg(dir.join("data"));
    command.args(["--bind", &bind.to_string()]);
    match directory {
        Directory::Own(address) => command.args(["--plc-bind", &address.to_string()]),
        Directory::At(url) => command.args(["--plc-url", url]),
    };
    command.stdout(Stdio::piped()).stderr(log).spawn().unwrap()
}
