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
    plc: SocketAddr,
}

/// Returns a command that runs the binary in `dir`, where no configuration is found.
pub(crate) fn relay(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relay"));
    command.current_dir(dir).env_remove("RELAY_CONFIG").stdin(Stdio::null());
    command
}

impl Process {
    /// Starts a server at free ports.
    pub(crate) async fn start(dir: &Path) -> Self {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        Self::start_by(relay(dir), dir, any, any).await
    }

    /// Starts a server whose attempts to write beyond the limit of file sizes fail instead of ending it.
    pub(crate) async fn start_limitable(dir: &Path) -> Self {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut shell = Command::new("sh");
        shell.arg("-c").arg("trap '' XFSZ; exec \"$0\" \"$@\"").arg(env!("CARGO_BIN_EXE_relay"));
        shell.current_dir(dir).env_remove("RELAY_CONFIG").stdin(Stdio::null());
        Self::start_by(shell, dir, any, any).await
    }

    async fn start_by(command: Command, dir: &Path, bind: SocketAddr, plc: SocketAddr) -> Self {
        let mut child = spawn(command, dir, bind, plc);
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
        Self { child, dir: dir.to_owned(), address: at(port(&ready["pds"])), plc: at(port(&ready["plc"])) }
    }

    /// Ends the server at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Begins to start the killed server again, for it to be killed before it is up.
    pub(crate) fn begin_restart(&self) -> Child {
        spawn(relay(&self.dir), &self.dir, self.address, self.plc)
    }

    /// Starts the killed server again, at the same addresses.
    pub(crate) async fn restart(self) -> Self {
        Self::start_by(relay(&self.dir), &self.dir, self.address, self.plc).await
    }

    /// Asks the server to stop, and returns its exit code.
    pub(crate) async fn stop(mut self) -> Option<i32> {
        assert!(Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap().success());
        tokio::task::spawn_blocking(move || self.child.wait().unwrap().code()).await.unwrap()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
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

fn spawn(mut command: Command, dir: &Path, bind: SocketAddr, plc: SocketAddr) -> Child {
    let log = File::options().create(true).append(true).open(dir.join("log")).unwrap();
    command.args(["dev", "--json-ready", "--data-dir"]).arg(dir.join("data"));
    command.args(["--bind", &bind.to_string(), "--plc-bind", &plc.to_string()]);
    command.stdout(Stdio::piped()).stderr(log).spawn().unwrap()
}
