//! `relay serve`: runs the server.

use std::sync::Arc;

use clap::Args;

use super::{CliError, ConfigSourceArgs};
use crate::adopt;
use crate::config::{Loaded, Override};
use crate::server::Server;
use crate::service_manager;
use crate::state::{AppState, StartError};

/// The arguments of `relay serve`.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// Where the configuration comes from.
    #[command(flatten)]
    pub source: ConfigSourceArgs,
    /// The address that people reach the server by (server.public_url)
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// An address to listen on (server.bind); may be repeated
    #[arg(long, value_name = "ADDR")]
    pub bind: Vec<String>,
}

impl ServeArgs {
    /// Loads the configuration with these flags on top.
    pub fn load(&self, env: Vec<(String, String)>) -> Result<Loaded, CliError> {
        let mut flags = Vec::new();
        let mut set = |flag: &str, path: &str, value: String| {
            flags.push(Override { flag: flag.to_owned(), path: path.to_owned(), value });
        };
        if let Some(url) = &self.public_url {
            set("--public-url", "server.public_url", url.clone());
        }
        if !self.bind.is_empty() {
            set("--bind", "server.bind", self.bind.join(","));
        }
        self.source.load_with(env, &flags)
    }
}

/// Runs the server until it is asked to stop.
pub(super) async fn run(loaded: Loaded) -> Result<(), CliError> {
    let told = super::Told::start(&loaded.config)?;
    for hint in &loaded.hints {
        tracing::warn!(variable = hint.official, instead = ?hint.instead, "a variable of the official PDS does nothing here");
    }
    let public_url = loaded.config.server.public_url.as_str().to_owned();
    let app = AppState::open(loaded.config, Arc::default()).await?;
    if adopt::is_unfinished(&app.db).await.map_err(StartError::from)? {
        return Err(CliError::Failed {
            problem: "The accounts of another server were begun to be taken over, and not all are here.".into(),
            remedy: "Run `relay adopt` again, as before: it goes on where it was.".into(),
        });
    }
    let server = Server::start(app)?;
    tracing::info!(public_url, addresses = ?server.addresses(), version = env!("CARGO_PKG_VERSION"), "the server is up");
    service_manager::ready(server.app());
    super::asked_to_stop().await;
    service_manager::stopping();
    tracing::info!("the server stops");
    server.stop().await;
    told.end().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_and_are_named_in_mistakes() {
        let env = vec![("RELAY_SERVER_PUBLIC_URL".to_owned(), "https://env.example.com".to_owned())];
        let args = ServeArgs {
            public_url: Some("https://flag.example.com".to_owned()),
            bind: vec!["127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned()],
            ..ServeArgs::default()
        };
        let config = args.load(env.clone()).unwrap().config;
        assert_eq!(config.server.public_url.as_str(), "https://flag.example.com");
        assert_eq!(config.server.bind.len(), 2);
        let wrong = ServeArgs { public_url: Some("example.com".to_owned()), ..ServeArgs::default() };
        let err = wrong.load(env).unwrap_err();
        assert_eq!(err.exit_code(), 2);
        assert!(err.to_string().starts_with("--public-url = \"example.com\" is not a URL"), "{err}");
    }
}
