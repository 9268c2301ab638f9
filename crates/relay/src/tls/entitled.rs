//! For which names this server speaks.

use common::Handle;

use crate::config::Config;
use crate::store::{Db, StoreError, account};

/// What a host name is to this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entitled {
    /// The server's own.
    Host,
    /// The handle of an account here, below a domain of this server.
    Account,
    /// Below a domain of this server, but nobody's.
    NoAccount,
    /// Someone else's.
    Foreign,
}

/// Tells what `name`, in lower case, is to this server.
pub(crate) async fn entitled(config: &Config, db: &Db, name: &str) -> Result<Entitled, StoreError> {
    if name == config.server.public_url.host() {
        return Ok(Entitled::Host);
    }
    let ours = config.identity.handle_domains.iter().any(|domain| {
        // The bare domain may be a handle that the operator gave out.
        domain.strip(name).is_some_and(|label| !label.contains('.')) || domain.as_str().strip_prefix('.') == Some(name)
    });
    if !ours {
        return Ok(Entitled::Foreign);
    }
    let Ok(handle) = name.parse::<Handle>() else { return Ok(Entitled::NoAccount) };
    let found = db.read(|conn| account::find_by_handle(conn, &handle)).await?;
    Ok(if found.is_some() { Entitled::Account } else { Entitled::NoAccount })
}
