//! Programs of others that tests run, and what these need.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

/// A program whose output is kept. It ends with the value.
pub(crate) struct Program {
    child: Child,
    output: Arc<Mutex<String>>,
}

impl Program {
    /// Starts a program and waits until it says `ready`.
    pub(crate) async fn start(mut command: Command, ready: &'static str) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = Arc::new(Mutex::new(String::new()));
        let (tell, told) = oneshot::channel();
        let tell = Arc::new(Mutex::new(Some(tell)));
        let streams: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let (output, tell) = (Arc::clone(&output), Arc::clone(&tell));
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let is_ready = line.contains(ready);
                    let mut output = output.lock().unwrap();
                    output.push_str(&line);
                    output.push('\n');
                    drop(output);
                    if is_ready && let Some(tell) = tell.lock().unwrap().take() {
                        let _ = tell.send(());
                    }
                }
            });
        }
        drop(tell);
        let started = told.await;
        assert!(started.is_ok(), "{}", output.lock().unwrap());
        Self { child, output }
    }

    /// What it has said.
    pub(crate) fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    pub(crate) fn is_up(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn end(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether a program is there; says so when it is not. On CI it must be.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub(crate) fn is_there(name: &str) -> bool {
    let there = on_path(name).is_some();
    assert!(there || std::env::var("CI").as_deref() != Ok("true"), "{name} is not installed");
    if !there {
        eprintln!("SKIP: {name} is not installed");
    }
    there
}

/// Returns a command after which what is mounted is seen by that command alone; `None` where this user may not do that.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub(crate) fn own_mounts() -> Option<&'static [&'static str]> {
    const WAYS: [&[&str]; 2] = [&["unshare", "--mount"], &["unshare", "--user", "--map-root-user", "--mount"]];
    let works = |way: &&&[&str]| {
        let tried = Command::new(way[0]).args(&way[1..]).args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    let way = WAYS.iter().find(works).copied();
    assert!(way.is_some() || std::env::var("CI").as_deref() != Ok("true"), "no namespaces of mounts can be made");
    if way.is_none() {
        eprintln!("SKIP: this machine lets nobody mount anything");
    }
    way
}

/// Returns where a program is.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/bin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Returns a port that nothing listens on, for a program that has to be told one before it starts. Each is given out once, and
/// from below those that the system gives to whoever asks for any, so no test that runs beside this one gets it meanwhile.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 12_000;
    const PORTS: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Another process of tests begins elsewhere.
        let turn = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + turn % PORTS).unwrap();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
