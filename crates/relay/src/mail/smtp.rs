//! Mail through a mail server, by SMTP.

use std::time::{Duration, UNIX_EPOCH};

use data_encoding::HEXLOWER;
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use super::{Letter, MailError, PATIENCE};
use crate::config::{Config, MailRoute, MailTls};

/// A mail server and the sender to use there.
#[derive(Debug)]
pub(super) struct SmtpRoute {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    /// The mail server.
    server: String,
    /// The part of message ids after the `@`.
    host: String,
}

impl SmtpRoute {
    pub(super) fn open(route: &MailRoute, config: &Config) -> Result<Self, String> {
        let server = &route.server;
        // An address in brackets, as URLs have it, is a host to us and none to the resolver.
        let host = server.host.trim_start_matches('[').trim_end_matches(']');
        let tls = match server.tls {
            MailTls::None => Tls::None,
            MailTls::StartTls => Tls::Required(tls_parameters(host, config)?),
            MailTls::Implicit => Tls::Wrapper(tls_parameters(host, config)?),
        };
        let own_host = config.server.public_url.host().to_owned();
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(server.port)
            .tls(tls)
            .timeout(Some(PATIENCE))
            // Some servers refuse who greets them with an address.
            .hello_name(ClientId::Domain(own_host.clone()));
        if let Some(login) = &server.login {
            builder = builder.credentials(Credentials::new(login.user.clone(), login.password.expose().to_owned()));
        }
        let mut from: Mailbox =
            route.from.as_str().parse().map_err(|err| format!("the sender {:?}: {err}", route.from.as_str()))?;
        if from.name.is_none() {
            from.name = Some(config.server.service_name.clone());
        }
        Ok(Self { transport: builder.build(), from, server: host.to_owned(), host: own_host })
    }

    /// Connects and logs in; returns the name of the mail server and why that failed.
    pub(super) async fn test(&self) -> (String, Result<(), String>) {
        let tested = match tokio::time::timeout(PATIENCE, self.transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err("it ended the conversation".to_owned()),
            Ok(Err(err)) => Err(reason(&err, self.from.email.as_ref())),
            Err(_) => Err(format!("it did not answer within {} s", PATIENCE.as_secs())),
        };
        (self.server.clone(), tested)
    }

    /// Hands a letter to the mail server.
    pub(super) async fn send(&self, to: &str, letter: &Letter, now_millis: i64) -> Result<(), MailError> {
        let recipient: Address = to.parse().map_err(MailError::Address)?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, recipient))
            .subject(letter.subject())
            .date(UNIX_EPOCH + Duration::from_millis(now_millis.max(0).cast_unsigned()))
            .message_id(Some(format!("<{}@{}>", HEXLOWER.encode(&crate::random::bytes::<16>()), self.host)))
            .multipart(MultiPart::alternative_plain_html(letter.as_text(), letter.as_html()))
            .map_err(MailError::Compose)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(err) => Err(MailError::Refused { reason: reason(&err, to) }),
        }
    }
}

fn tls_parameters(host: &str, config: &Config) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(host.to_owned());
    for root in config.network.extra_roots.iter().flat_map(|roots| &roots.certificates) {
        let root = Certificate::from_der(root.to_vec()).map_err(|err| format!("a certificate for mail: {err}"))?;
        builder = builder.add_root_certificate(root);
    }
    builder.build_rustls().map_err(|err| format!("TLS to {host}: {err}"))
}

/// Returns an error and its causes as text for the log, where addresses do not belong.
fn reason(err: &(dyn std::error::Error + 'static), to: &str) -> String {
    let mut reason = err.to_string();
    let mut source = err.source();
    while let Some(err) = source {
        let text = err.to_string();
        if !reason.contains(&text) {
            reason = format!("{reason}: {text}");
        }
        source = err.source();
    }
    reason.replace(to, "[e-mail address]").chars().take(500).collect()
}
