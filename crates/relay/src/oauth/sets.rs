//! Looks up the sets of permissions that scopes include.

use common::Nsid;
use common::lexicon::{Catalog, PermissionSet};

use crate::state::App;

/// Why a set is of no use.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum SetError {
    #[error("the permission set {0} is not known")]
    Unknown(Nsid),
}

/// Returns the permission set `nsid`.
pub(super) async fn resolve(_app: &App, nsid: &Nsid) -> Result<&'static PermissionSet, SetError> {
    Catalog::facts().permission_set(nsid.as_str()).ok_or_else(|| SetError::Unknown(nsid.clone()))
}
