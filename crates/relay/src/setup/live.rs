//! The server while it is being set up: it speaks TLS to the world, so that an authority can see that the name leads here, and
//! takes the first account. What listens on `server.bind` is the set-up itself.

use std::sync::Arc;

use url::Url;

use crate::clock::SystemClock;
use crate::config::{Config, MasterKeySource, TlsMode};
use crate::server::Server;
use crate::state::{AppState, StartError};

/// Folder of the rehearsal, in the data folder.
const REHEARSAL: &str = "rehearsal";
const LETS_ENCRYPT_HOST: &str = "acme-v02.api.letsencrypt.org";
/// Gives certificates that nobody trusts, and so many of them that mistakes cost nothing.
/// <https://letsencrypt.org/docs/staging-environment/>
const LETS_ENCRYPT_REHEARSAL: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// Why the server did not come up, or has no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LiveError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{0}")]
    Certificate(String),
}

/// The server that runs while it is set up.
#[derive(Debug)]
pub(super) struct Live(Server);

impl Live {
    /// Starts the server.
    pub(super) async fn start(config: Config, clock: Arc<SystemClock>) -> Result<Self, LiveError> {
        let app = Box::pin(AppState::open(config, clock)).await?;
        Ok(Self(Server::start_in_front(app)?))
    }

    /// Starts the server and waits for the certificate of its name; without one it stops again.
    pub(super) async fn start_with_certificate(config: Config, clock: Arc<SystemClock>) -> Result<Self, LiveError> {
        let live = Self::start(config, clock).await?;
        Box::pin(live.app().renew_certificates()).await;
        match live.certificate_problem() {
            None => Ok(live),
            Some(problem) => {
                live.stop().await;
                Err(LiveError::Certificate(problem))
            }
        }
    }

    fn certificate_problem(&self) -> Option<String> {
        let host = self.app().config.server.public_url.host();
        if self.app().config.tls.mode != TlsMode::Auto {
            return None;
        }
        let status = self.app().certificates().into_iter().find(|status| status.name == host);
        match status {
            Some(status) if status.not_after.is_some() => None,
            Some(status) => Some(status.problem.unwrap_or_else(|| "the order is still under way".to_owned())),
            None => Some(format!("no certificate is ordered for {host}")),
        }
    }

    pub(super) const fn server(&self) -> &Server {
        &self.0
    }

    pub(super) fn app(&self) -> &AppState {
        self.0.app()
    }

    pub(super) async fn stop(self) {
        self.0.stop().await;
    }
}

/// Orders a certificate that nobody trusts, over the way that the real one will take. A mistake then does not count against what
/// the authority gives in a week. Authorities that have no such way are not asked.
pub(super) async fn rehearse(config: &Config, clock: Arc<SystemClock>) -> Result<(), LiveError> {
    let Some(rehearsal) = rehearsal(config) else { return Ok(()) };
    let folder = rehearsal.data.dir.clone();
    let result = match Box::pin(Live::start_with_certificate(rehearsal, clock)).await {
        Ok(live) => {
            live.stop().await;
            Ok(())
        }
        Err(err) => Err(err),
    };
    if let Err(err) = std::fs::remove_dir_all(&folder) {
        tracing::warn!(folder = %folder.display(), error = &err as &dyn std::error::Error, "the rehearsal could not be removed");
    }
    result
}

/// Returns the configuration of the rehearsal: another authority, a folder of its own, and nobody is told of the server.
fn rehearsal(config: &Config) -> Option<Config> {
    if config.tls.acme.directory.host_str() != Some(LETS_ENCRYPT_HOST) {
        return None;
    }
    let mut config = config.clone();
    config.tls.acme.directory = Url::parse(LETS_ENCRYPT_REHEARSAL).expect("the address of the authority is a URL");
    config.data.dir = config.data.dir.join(REHEARSAL);
    config.secrets.master_key = MasterKeySource::DataDir(config.data.dir.join("master.key"));
    config.backup.to = Vec::new();
    config.services.crawlers.clear();
    Some(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Override;

    #[test]
    fn only_an_authority_with_a_rehearsal_has_one() {
        let with = |directory: &str| {
            let set = |path: &str, value: &str| Override { flag: "a test".into(), path: path.into(), value: value.into() };
            let overrides = [
                set("server.public_url", "https://pds.example.com"),
                set("tls.mode", "auto"),
                set("data.dir", "/d"),
                set("tls.acme_directory", directory),
            ];
            rehearsal(&Config::load(None, [], &overrides).unwrap().config)
        };
        let config = with("letsencrypt").unwrap();
        assert_eq!(config.tls.acme.directory.as_str(), LETS_ENCRYPT_REHEARSAL);
        assert!(config.services.crawlers.is_empty(), "crawlers hear of the real server only");
        assert_eq!(config.data.dir, std::path::Path::new("/d/rehearsal"));
        assert!(with("letsencrypt-staging").is_none());
        assert!(with("https://ca.example.com/dir").is_none());
    }
}
