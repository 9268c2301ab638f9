//! A mail server, as much of one as sending takes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use data_encoding::BASE64;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Whose mail a server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Anyone's.
    Open,
    /// That of who signs in with this name and password.
    Login(&'static str, &'static str),
    /// Nobody's: it quotes the recipient when it says so.
    Refuse,
}

/// A mail server on this machine, without TLS.
#[derive(Clone)]
pub(crate) struct MailServer {
    pub(crate) address: SocketAddr,
    mails: Arc<Mutex<Vec<Received>>>,
}

/// A mail as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) from: String,
    pub(crate) to: String,
    /// Headers and body.
    pub(crate) data: String,
}

impl MailServer {
    pub(crate) async fn start(policy: Policy) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { address: listener.local_addr().unwrap(), mails: Arc::default() };
        let mails = Arc::clone(&server.mails);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream, policy, Arc::clone(&mails)));
            }
        });
        server
    }

    pub(crate) fn mails(&self) -> Vec<Received> {
        self.mails.lock().unwrap().clone()
    }
}

impl Received {
    /// Returns the value of a header, as it is written.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.data.split("\r\n\r\n").next()?;
        headers.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Returns the code, which stands alone on its line of the text.
    pub(crate) fn code(&self) -> String {
        let is_code = |line: &&str| line.len() == 11 && line.as_bytes()[5] == b'-';
        self.data.lines().map(str::trim).find(is_code).unwrap_or_else(|| panic!("no code in {}", self.data)).to_owned()
    }
}

/// Talks to one client: RFC 5321, and AUTH PLAIN of RFC 4954.
async fn talk(stream: TcpStream, policy: Policy, mails: Arc<Mutex<Vec<Received>>>) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 test ESMTP\r\n").await.ok()?;
    let mut signed_in = !matches!(policy, Policy::Login(..));
    let (mut from, mut to) = (String::new(), String::new());
    while let Some(line) = lines.next_line().await.ok()? {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let inside = |line: &str| line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let answer = match verb.as_str() {
            "EHLO" if policy == Policy::Open => "250 test".to_owned(),
            "EHLO" => "250-test\r\n250 AUTH PLAIN".to_owned(),
            "AUTH" => {
                let given = line.rsplit(' ').next().and_then(|text| BASE64.decode(text.as_bytes()).ok()).unwrap_or_default();
                signed_in = matches!(policy, Policy::Login(user, password)
                    if given == format!("\0{user}\0{password}").into_bytes());
                if signed_in { "235 welcome".to_owned() } else { "535 wrong name or password".to_owned() }
            }
            "MAIL" if !signed_in => "530 sign in first".to_owned(),
            "MAIL" => {
                from = inside(&line);
                "250 ok".to_owned()
            }
            "RCPT" => {
                to = inside(&line);
                if policy == Policy::Refuse { format!("550 no mail for <{to}> from here") } else { "250 ok".to_owned() }
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await.ok()?;
                let mut data = String::new();
                loop {
                    let line = lines.next_line().await.ok()??;
                    if line == "." {
                        break;
                    }
                    data.push_str(line.strip_prefix('.').unwrap_or(&line));
                    data.push_str("\r\n");
                }
                mails.lock().unwrap().push(Received { from: from.clone(), to: to.clone(), data });
                "250 taken".to_owned()
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await.ok()?;
                return Some(());
            }
            _ => "250 ok".to_owned(),
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
    Some(())
}
