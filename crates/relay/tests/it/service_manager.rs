//! What a service manager such as systemd hears from the real binary.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::relay;

/// How long something that must come may take.
const PATIENCE: Duration = Duration::from_secs(30);

struct Manager {
    socket: UnixDatagram,
    server: Child,
    dir: TempDir,
}

impl Manager {
    /// Starts a server that has to feed its watchdog ten times a second.
    fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        let mut command = relay(dir.path());
        command.args(["serve", "--public-url", "https://pds.example.com", "--bind", "127.0.0.1:0", "--data-dir"]);
        command.arg(dir.path().join("data")).args(["--set", "services.crawlers=none"]);
        command.env("NOTIFY_SOCKET", dir.path().join("notify")).env("WATCHDOG_USEC", "400000");
        let server = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { socket, server, dir }
    }

    /// Returns what the server says next, or nothing when it is silent for as long as `within`.
    fn hears(&self, within: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(within)).unwrap();
        let mut message = [0; 4096];
        match self.socket.recv(&mut message) {
            Ok(length) => Some(String::from_utf8_lossy(&message[..length]).into_owned()),
            Err(err) if err.kind() == ErrorKind::WouldBlock => None,
            Err(err) => panic!("{err}"),
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

#[test]
fn hears_that_the_server_is_up_works_and_stops() {
    let mut manager = Manager::start();
    assert_eq!(manager.hears(PATIENCE).as_deref(), Some("READY=1\nSTATUS=serving https://pds.example.com\n"));
    assert_eq!(manager.hears(PATIENCE).as_deref(), Some("WATCHDOG=1\n"));
    assert_eq!(manager.hears(PATIENCE).as_deref(), Some("WATCHDOG=1\n"));

    assert!(Command::new("kill").args(["-TERM", &manager.server.id().to_string()]).status().unwrap().success());
    let begun = Instant::now();
    while manager.hears(PATIENCE).expect("the server says that it stops") != "STOPPING=1\n" {
        assert!(begun.elapsed() < PATIENCE);
    }
    assert!(manager.server.wait().unwrap().success());
}

#[test]
fn does_not_hear_from_a_server_whose_database_hangs() {
    let manager = Manager::start();
    assert!(manager.hears(PATIENCE).unwrap().starts_with("READY=1"));
    // Another process has the database, and the writer waits for it.
    let other = rusqlite::Connection::open(manager.dir.path().join("data/relay.sqlite")).unwrap();
    other.busy_timeout(PATIENCE).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = Instant::now();
    while manager.hears(Duration::from_secs(1)).is_some() {
        assert!(begun.elapsed() < PATIENCE, "the watchdog is fed while the writer hangs");
    }
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(manager.hears(PATIENCE).as_deref(), Some("WATCHDOG=1\n"));
}
