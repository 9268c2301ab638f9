//! The first run, by the real binary: by arguments, by answers in the terminal, and cut off in between.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use relay::clock::SystemClock;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Dns, MailServer, Pebble, PlcFault, Policy, Program, Quirks, TestPds, client, free_port, is_there, own_mounts, relay,
    start_plc,
};

/// A machine with an empty folder, a DNS server and a PLC directory.
struct Machine {
    dir: TempDir,
    dns: Dns,
    plc: SocketAddr,
}

impl Machine {
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let plc = start_plc(&dir.path().join("plc.sqlite"), &Arc::new(SystemClock::default())).await;
        let dns = Dns::start().await;
        dns.set("pds.example.com", "203.0.114.7");
        Self { dir, dns, plc }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Returns a command that knows this machine's services and nothing of the real one's home.
    fn command(&self, verb: &[&str]) -> Command {
        let mut command = relay(self.dir.path());
        command.env_remove("RELAY_SERVER_PUBLIC_URL").env("RELAY_DATA_DIR", self.data()).env("HOME", self.dir.path());
        command.args(verb);
        for (setting, value) in [
            ("identity.plc_url", format!("http://localhost:{}", self.plc.port())),
            ("network.dns_servers", self.dns.address.to_string()),
            ("network.protect_private_addresses", "false".to_owned()),
            ("services.appview_url", "none".to_owned()),
            ("services.report_url", "none".to_owned()),
            ("services.crawlers", "none".to_owned()),
            ("server.bind", format!("127.0.0.1:{}", free_port())),
        ] {
            command.arg("--set").arg(format!("{setting}={value}"));
        }
        command
    }

    /// Runs it with these lines as what a person types.
    async fn answer(&self, mut command: Command, lines: &str) -> Output {
        let lines = lines.to_owned();
        let run = move || {
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            // It may end before it has read everything.
            drop(child.stdin.take().unwrap().write_all(lines.as_bytes()));
            child.wait_with_output().unwrap()
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    fn answers(&self) -> Value {
        serde_json::from_slice(&fs::read(self.data().join("setup.json")).unwrap()).unwrap()
    }

    fn config(&self) -> String {
        fs::read_to_string(self.data().join("relay.toml")).unwrap()
    }
}

fn out(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn value_of<'t>(text: &'t str, name: &str) -> &'t str {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_alone_set_a_server_up() {
    let machine = Machine::new().await;
    let backups = machine.dir.path().join("backups");
    let mut command = machine.command(&["setup", "--yes", "--hostname", "https://PDS.example.com/", "--proxy"]);
    command.args(["--handle", "alice", "--email", "alice@example.com", "--password-stdin"]).arg("--backup-to").arg(&backups);
    let done = machine.answer(command, "alice has a password\n").await;
    let text = out(&done);
    assert!(done.status.success(), "{text}");
    assert!(text.contains("*.pds.example.com"), "the rows for DNS are told: {text}");
    assert!(value_of(&text, "account").starts_with("alice.pds.example.com  did:plc:"), "{text}");
    assert!(value_of(&text, "recovery key").starts_with('z'), "{text}");
    assert!(text.contains("AGE-SECRET-KEY-"), "{text}");
    let config = machine.config();
    assert!(config.contains("public_url = \"https://pds.example.com\""), "{config}");
    assert!(!machine.data().join("setup.json").exists(), "it is over");
    for file in ["relay.toml", "backup.key", "master.key"] {
        assert_eq!(mode(&machine.data().join(file)), 0o600, "{file}");
    }

    // The other verbs find it by themselves, and the DID has the key that was printed above the server's.
    let listed = machine.answer(machine.command(&["account", "list", "--json"]), "").await;
    let account: Value = serde_json::from_slice(&listed.stdout).unwrap_or_else(|_| panic!("{}", out(&listed)));
    let url = format!("http://localhost:{}/{}/data", machine.plc.port(), account["did"].as_str().unwrap());
    let data: Value = client(&[], &[]).get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(data["rotationKeys"].as_array().unwrap().len(), 2, "{data}");

    let again = machine.answer(machine.command(&["setup", "--yes", "--hostname", "other.example.com"]), "").await;
    assert_eq!(again.status.code(), Some(2));
    assert!(out(&again).contains("A server is set up here already"), "{}", out(&again));
    assert_eq!(machine.config(), config, "what is there is left alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_in_the_terminal_are_kept_when_it_is_cut_off() {
    let machine = Machine::new().await;
    // A wrong name, a good one, and then the line is cut while it waits for DNS.
    let cut = machine.answer(machine.command(&["setup"]), "nas.local\npds.example.com\n").await;
    assert_eq!(cut.status.code(), Some(2), "{}", out(&cut));
    assert!(out(&cut).contains("a domain that you own") && out(&cut).contains("The answers end here"), "{}", out(&cut));
    assert_eq!(machine.answers()["host"], "pds.example.com");
    assert_eq!(mode(&machine.data().join("setup.json")), 0o600);

    // DNS goes on as it is; a proxy; a mail server that does not answer, then none; a password that is too short, then one that
    // will do; and then the terminal closes.
    let mail = free_port();
    let lines = format!(
        "skip\nno\nlocalhost\n{mail}\n\npds@example.com\nann@example.com\nnone\nann\nann@example.com\nshort\nann\nann@example.com\n\
         ann has a password\n"
    );
    let cut = machine.answer(machine.command(&["setup"]), &lines).await;
    let text = out(&cut);
    assert!(!text.contains("The host name of the server"), "it goes on where it was: {text}");
    assert!(text.contains("The mail was not sent"), "{text}");
    assert!(text.contains("The password is too short"), "{text}");
    assert!(text.contains("You are @ann.pds.example.com (did:plc:"), "{text}");
    assert!(!fs::read_to_string(machine.data().join("setup.json")).unwrap().contains("ann has a password"));
    let key = machine.answers()["recovery_key"].as_str().unwrap().to_owned();
    assert!(text.contains(&key), "{text}");

    // Not the end of the key, the end of it, a folder that is none; and the terminal closes.
    let end: String = key.chars().skip(key.len() - 4).collect();
    let cut = machine.answer(machine.command(&["setup"]), &format!("xxxx\n{end}\nrelative\n")).await;
    let text = out(&cut);
    assert!(text.contains("These are not the last four characters") && text.contains("it has to be a whole path"), "{text}");
    assert!(machine.answers()["recovery_key"].is_null(), "it is forgotten here");
    let done = machine.answer(machine.command(&["setup", "--yes"]), "").await;
    assert!(done.status.success(), "arguments finish what a terminal began: {}", out(&done));
    assert!(machine.config().contains("mode = \"proxy\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_elsewhere_moves_in_by_answers_in_the_terminal() {
    let from = TestPds::start().await;
    let mut machine = Machine::new().await;
    machine.plc = from.plc_url().trim_start_matches("http://").parse().unwrap();
    machine.dns.set("localhost", "127.0.0.1");
    let mover = from.create_account("mover").await;
    mover.create_post("a post").await;
    let there = format!("http://localhost:{}", from.address().port());
    // Up to the code, where the terminal closes.
    let lines = format!(
        "pds.example.com\nskip\nno\nnone\nmove\ndid:plc:ewvi7nxzyoun6zhxrhs64oiz\nmove\n{}\nyes\nmoved\nmover-password\na password for \
         here\nyes\n",
        mover.did
    );
    let cut = machine.answer(machine.command(&["setup"]), &lines).await;
    let text = out(&cut);
    assert!(text.contains("There is no account did:plc:ewvi7nxzyoun6zhxrhs64oiz"), "{text}");
    assert!(text.contains("1 records and 0 of 0 blobs") && text.contains("has mailed you a code"), "{text}");
    assert_eq!(machine.answers()["moving"], json!(mover.did));
    assert!(!fs::read_to_string(machine.data().join("setup.json")).unwrap().contains("password"));
    let plc = crate::support::Client::new(from.plc_url(), None);
    let data = async || plc.send(plc.request("GET", &format!("/{}/data", mover.did))).await.good().json();
    assert_eq!(data().await["services"]["atproto_pds"]["endpoint"], json!(there));

    let code = from.code("mover").await;
    let cut = machine.answer(machine.command(&["setup"]), &format!("yes\n{code}\n")).await;
    let text = out(&cut);
    assert!(text.contains(&format!("@moved.pds.example.com ({}) is here.", mover.did)), "{text}");
    let key = machine.answers()["recovery_key"].as_str().unwrap().to_owned();
    assert!(text.contains(&key), "{text}");
    let data = data().await;
    assert_eq!(data["services"]["atproto_pds"]["endpoint"], "https://pds.example.com");
    assert_eq!(data["rotationKeys"].as_array().unwrap().len(), 2, "the recovery key is one of them");
    let there = from.anonymous().get("com.atproto.sync.getRepoStatus", &[("did", &mover.did)]).await.good().json();
    assert_eq!(there["status"], "deactivated");
    let done = machine.answer(machine.command(&["setup", "--yes"]), "").await;
    assert!(done.status.success() && out(&done).contains(&key), "{}", out(&done));
}

/// The directory went away when the code was typed. The server ends the move as soon as it can, and the set-up takes that in, with
/// the recovery key that the DID has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_the_server_ended_is_no_riddle_to_the_set_up() {
    let from = TestPds::start().await;
    let mut machine = Machine::new().await;
    machine.plc = from.plc_url().trim_start_matches("http://").parse().unwrap();
    machine.dns.set("localhost", "127.0.0.1");
    let mover = from.create_account("mover").await;
    let did = &mover.did;
    let lines = format!("pds.example.com\nskip\nno\nnone\nmove\n{did}\nyes\nmoved\nmover-password\na password for here\nyes\n");
    let cut = machine.answer(machine.command(&["setup"]), &lines).await;
    assert!(out(&cut).contains("has mailed you a code"), "{}", out(&cut));
    let code = from.code("mover").await;
    from.plc_faults().set(PlcFault::Delay);
    let cut = machine.answer(machine.command(&["setup"]), &format!("yes\n{code}\n")).await;
    assert!(out(&cut).contains("The PLC directory cannot be reached"), "{}", out(&cut));
    let key = machine.answers()["recovery_key"].as_str().unwrap().to_owned();
    from.plc_faults().set(PlcFault::None);

    let cut = machine.answer(machine.command(&["setup"]), "").await;
    let text = out(&cut);
    assert!(text.contains("is here.") && text.contains(&key), "{text}");
    let answers = machine.answers();
    assert_eq!((&answers["recovery_key"], &answers["moving"]), (&json!(key), &Value::Null));
    let done = machine.answer(machine.command(&["setup", "--yes"]), "").await;
    assert!(done.status.success() && out(&done).contains(&key), "{}", out(&done));
    // What is left of the move, if it was cut off once more.
    let ended = machine.answer(machine.command(&["account", "move-in", did, "--yes"]), "").await;
    assert!(out(&ended).contains("is here"), "{}", out(&ended));
    let there = from.anonymous().get("com.atproto.sync.getRepoStatus", &[("did", did)]).await.good().json();
    assert_eq!(there["status"], "deactivated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_is_taken_only_from_a_server_that_sends_it() {
    let machine = Machine::new().await;
    let answers = |port: u16| {
        let server = json!({ "host": "127.0.0.1", "port": port, "security": "none", "user": null, "from": "pds@example.com" });
        let file = machine.dir.path().join("answers.json");
        fs::write(&file, json!({ "host": "pds.example.com", "tls": "proxy", "mail": { "server": server } }).to_string())
            .unwrap();
        machine.command(&["setup", "--yes", "--answers", file.to_str().unwrap()])
    };
    let refusing = MailServer::start(Policy::Refuse).await;
    let refused = machine.answer(answers(refusing.address.port()), "").await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(out(&refused).contains("The mail was not sent: the mail server did not take the mail"), "{}", out(&refused));
    assert!(machine.answers()["mail"].is_null() && !machine.data().join("relay.toml").exists());

    let open = MailServer::start(Policy::Open).await;
    let taken = machine.answer(answers(open.address.port()), "").await;
    assert!(taken.status.success(), "{}", out(&taken));
    let mails = open.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].header("Subject"), Some("pds.example.com can send mail"));
    assert!(machine.config().contains(&format!("port = {}", open.address.port())), "{}", machine.config());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_is_there_before_it_goes_on() {
    if !is_there("pebble") || !is_there("pebble-challtestsrv") {
        return;
    }
    let machine = Machine::new().await;
    let (http, https) = (free_port(), free_port());
    let pebble = Pebble::start(http, https, Quirks::default()).await;
    let command = |http: u16, https: u16| {
        let mut command = machine.command(&["setup", "--yes", "--hostname", "pds.example.com"]);
        for (setting, value) in [
            ("tls.acme_directory", pebble.directory()),
            ("tls.http_bind", format!("127.0.0.1:{http}")),
            ("tls.https_bind", format!("127.0.0.1:{https}")),
            ("network.extra_root_certificates", pebble.own_root().display().to_string()),
            ("network.dns_servers", pebble.dns().to_string()),
        ] {
            command.arg("--set").arg(format!("{setting}={value}"));
        }
        command
    };
    // Another program has the port.
    let occupied = std::net::TcpListener::bind(("127.0.0.1", https)).unwrap();
    let refused = machine.answer(command(http, https), "").await;
    assert!(out(&refused).contains("Another program uses the port"), "{}", out(&refused));
    drop(occupied);
    // The authority looks at another port than the server is at.
    let unseen = machine.answer(command(free_port(), free_port()), "").await;
    assert_eq!(unseen.status.code(), Some(1));
    assert!(out(&unseen).contains("could not see that pds.example.com is here"), "{}", out(&unseen));
    assert!(machine.answers()["certificate"] == json!(false) && !machine.data().join("relay.toml").exists());

    let done = machine.answer(command(http, https), "").await;
    assert!(done.status.success(), "{}", out(&done));
    assert!(machine.config().contains("mode = \"auto\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_its_configuration_is_not_set_up_anew() {
    let machine = Machine::new().await;
    fs::create_dir_all(machine.data()).unwrap();
    fs::write(machine.data().join("relay.sqlite"), "").unwrap();
    let refused = machine.answer(machine.command(&["setup", "--yes", "--hostname", "pds.example.com"]), "").await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(out(&refused).contains("holds the data of a server, but there is no configuration"), "{}", out(&refused));
}

/// On a full disk each step says so, and what was answered before is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told() {
    let machine = Machine::new().await;
    let begun = machine.answer(machine.command(&["setup"]), "pds.example.com\n").await;
    assert_eq!(machine.answers()["host"], "pds.example.com", "{}", out(&begun));
    let before = fs::read(machine.data().join("setup.json")).unwrap();
    // No file may grow: what a full disk does to whoever writes.
    let inner = machine.command(&["setup", "--yes", "--proxy"]);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg("trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"").arg(inner.get_program()).args(inner.get_args());
    shell.current_dir(machine.dir.path()).env("RELAY_DATA_DIR", machine.data()).env("HOME", machine.dir.path());
    let full = machine.answer(shell, "").await;
    assert_eq!(full.status.code(), Some(1), "{}", out(&full));
    assert!(out(&full).contains("cannot be written") && out(&full).contains("Make space"), "{}", out(&full));
    assert_eq!(fs::read(machine.data().join("setup.json")).unwrap(), before, "{}", out(&full));
    assert!(!machine.data().join("relay.toml").exists());
    let done = machine.answer(machine.command(&["setup", "--yes", "--proxy"]), "").await;
    assert!(done.status.success(), "{}", out(&done));
}

/// The same on a real disk without room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_file_system_is_told() {
    let Some(apart) = own_mounts() else { return };
    let machine = Machine::new().await;
    let inner = machine.command(&["setup", "--yes", "--proxy", "--hostname", "pds.example.com"]);
    fs::create_dir_all(machine.data()).unwrap();
    let script = "mount -t tmpfs -o size=64k,mode=0700 tmpfs \"$RELAY_DATA_DIR\" || exit 9
        head -c 1000000 /dev/zero >\"$RELAY_DATA_DIR\"/ballast; exec \"$0\" \"$@\"";
    let mut shell = Command::new(apart[0]);
    shell.args(&apart[1..]).args(["sh", "-c", script]).arg(inner.get_program()).args(inner.get_args());
    shell.current_dir(machine.dir.path()).env("RELAY_DATA_DIR", machine.data()).env("HOME", machine.dir.path());
    let full = machine.answer(shell, "").await;
    assert_eq!(full.status.code(), Some(1), "{}", out(&full));
    assert!(out(&full).contains("cannot be written") && out(&full).contains("Make space"), "{}", out(&full));
}

/// `relay` alone: the pages where there is no server yet, as in a container without configuration, and the server where there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_verb_it_sets_up_or_serves() {
    let machine = Machine::new().await;
    let port = free_port();
    let start = |public_url: &str| {
        let mut command = relay(machine.dir.path());
        command.env("RELAY_DATA_DIR", machine.data()).env("RELAY_SERVER_BIND", format!("127.0.0.1:{port}"));
        command.env("RELAY_SERVER_PUBLIC_URL", public_url).env("RELAY_SERVICES_CRAWLERS", "none");
        command
    };
    let client = client(&[], &[]);
    let setup = Program::start(start(""), "/setup?token=").await;
    let link = setup.output().lines().find_map(|line| line.trim().strip_prefix("http://").map(str::to_owned)).unwrap();
    assert!(link.starts_with(&format!("localhost:{port}/setup?token=")), "{link}");
    let page = client.get(format!("http://{link}")).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Set up your server") && page.contains(&machine.data().display().to_string()), "{page}");
    let refused = client.get(format!("http://localhost:{port}/setup/name")).send().await.unwrap();
    assert_eq!(refused.status(), 403);
    // As a container's health check asks.
    let health = client.get(format!("http://127.0.0.1:{port}/xrpc/_health")).send().await.unwrap();
    assert_eq!(health.status(), 200);
    drop(setup);
    assert!(!machine.data().join("relay.sqlite").exists(), "nothing was made yet");

    let server = Program::start(start("https://pds.example.com"), "the server is up").await;
    let described = client.get(format!("http://127.0.0.1:{port}/xrpc/com.atproto.server.describeServer")).send().await.unwrap();
    let described: Value = described.json().await.unwrap();
    assert_eq!(described["did"], "did:web:pds.example.com");
    drop(server);
}
