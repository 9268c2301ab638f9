//! A certificate authority: Debian's `pebble`, which validates for real, and its DNS server, which leads every name here.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use super::program::{Program, free_port, is_there};

/// How the authority misbehaves.
#[derive(Clone, Copy, Default)]
pub(crate) struct Quirks {
    /// Of a hundred good nonces, how many it refuses.
    pub(crate) refused_nonces: u8,
    /// Of a hundred orders, how many are proved by an earlier proof.
    pub(crate) reused_proofs: u8,
}

/// A running authority.
pub(crate) struct Pebble {
    dir: TempDir,
    authority: Program,
    dns: Program,
    ports: Ports,
    quirks: Quirks,
}

#[derive(Clone, Copy)]
struct Ports {
    acme: u16,
    management: u16,
    dns: u16,
    dns_management: u16,
    http: u16,
    tls: u16,
}

impl Pebble {
    /// Whether the programs are there.
    pub(crate) fn is_there() -> bool {
        ["pebble", "pebble-challtestsrv"].into_iter().all(is_there)
    }

    /// Starts an authority that looks for challenges at these ports of this machine.
    pub(crate) async fn start(http: u16, tls: u16, quirks: Quirks) -> Self {
        let dir = TempDir::new().unwrap();
        let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        fs::write(dir.path().join("root.pem"), own.cert.pem()).unwrap();
        fs::write(dir.path().join("key.pem"), own.signing_key.serialize_pem()).unwrap();
        let ports =
            Ports { acme: free_port(), management: free_port(), dns: free_port(), dns_management: free_port(), http, tls };
        let dns = start_dns(ports).await;
        let authority = start_authority(dir.path(), ports, quirks).await;
        Self { dir, authority, dns, ports, quirks }
    }

    pub(crate) fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.ports.acme)
    }

    /// The file with the certificate that the authority itself speaks TLS with.
    pub(crate) fn own_root(&self) -> PathBuf {
        self.dir.path().join("root.pem")
    }

    /// The root of the certificates that it gives; another one each time it starts.
    pub(crate) async fn root(&self) -> Vec<u8> {
        let own = relay::identity::http::roots_from_pem(&fs::read(self.own_root()).unwrap()).unwrap();
        let client = client(&own, &[]);
        let url = format!("https://localhost:{}/roots/0", self.ports.management);
        client.get(url).send().await.unwrap().bytes().await.unwrap().to_vec()
    }

    /// What the authority has logged.
    pub(crate) fn log(&self) -> String {
        self.authority.output()
    }

    /// The address of its DNS server.
    pub(crate) fn dns(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.dns))
    }

    /// Where its DNS server is told what to say.
    pub(crate) fn dns_management(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.dns_management)
    }

    /// Ends the authority; its DNS goes on.
    pub(crate) fn stop(&mut self) {
        self.authority.end();
    }

    /// Starts the authority anew, which has forgotten everything.
    pub(crate) async fn restart(&mut self) {
        self.stop();
        self.authority = start_authority(self.dir.path(), self.ports, self.quirks).await;
    }

    pub(crate) fn is_dns_up(&mut self) -> bool {
        self.dns.is_up()
    }
}

async fn start_dns(ports: Ports) -> Program {
    let mut command = Command::new("pebble-challtestsrv");
    command.args([
        "-dns01",
        &format!("127.0.0.1:{}", ports.dns),
        "-management",
        &format!("127.0.0.1:{}", ports.dns_management),
    ]);
    command.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]);
    Program::start(command, "Starting management server").await
}

async fn start_authority(dir: &Path, ports: Ports, quirks: Quirks) -> Program {
    let config = json!({ "pebble": {
        "listenAddress": format!("127.0.0.1:{}", ports.acme),
        "managementListenAddress": format!("127.0.0.1:{}", ports.management),
        "certificate": dir.join("root.pem"),
        "privateKey": dir.join("key.pem"),
        "httpPort": ports.http,
        "tlsPort": ports.tls,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": false,
    }});
    fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let mut command = Command::new("pebble");
    command.arg("-config").arg(dir.join("config.json")).args(["-dnsserver", &format!("127.0.0.1:{}", ports.dns), "-strict"]);
    command.env("PEBBLE_VA_NOSLEEP", "1").env_remove("PEBBLE_VA_ALWAYS_VALID");
    command.env("PEBBLE_WFE_NONCEREJECT", quirks.refused_nonces.to_string());
    command.env("PEBBLE_AUTHZREUSE", quirks.reused_proofs.to_string());
    Program::start(command, "ACME directory available at").await
}

/// A client that trusts these roots and finds these hosts at these addresses.
#[expect(clippy::disallowed_methods, reason = "a test talks to its own servers")]
pub(crate) fn client(roots: &[rustls::pki_types::CertificateDer<'static>], hosts: &[(&str, SocketAddr)]) -> reqwest::Client {
    let tls = relay::identity::http::tls_config(roots).unwrap();
    let mut builder = reqwest::Client::builder().tls_backend_preconfigured(tls).redirect(reqwest::redirect::Policy::none());
    for (host, address) in hosts {
        builder = builder.resolve(host, *address);
    }
    builder.build().unwrap()
}
