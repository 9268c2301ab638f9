//! Looks up the sets of permissions that scopes include, in their lexicons.

use common::Nsid;
use common::lexicon::Def;

use super::scope::{self, Permission};
use crate::lexicon::LexiconError;
use crate::state::App;

/// The most sets of one request.
pub(super) const MAX_SETS: usize = 16;
/// How much of what a lexicon says about a set is shown.
const MAX_CHARS: usize = 500;

/// Why a set is of no use.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum SetError {
    #[error("the lexicon of the permission set {nsid} cannot be had: {source}")]
    Lexicon { nsid: Nsid, source: LexiconError },
    #[error("{0} is not a permission set")]
    OtherKind(Nsid),
    #[error("there are more than {MAX_SETS} permission sets")]
    TooMany,
}

/// A permission set: what its lexicon says about it, and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResolvedSet {
    pub(crate) title: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) permissions: Vec<Permission>,
}

/// Returns what the permission set `nsid` stands for, with calls going to `audience` where it leaves that open.
pub(super) async fn resolve(app: &App, nsid: &Nsid, audience: Option<&str>) -> Result<ResolvedSet, SetError> {
    let document = app.lexicons.resolve(nsid).await.map_err(|source| SetError::Lexicon { nsid: nsid.clone(), source })?;
    let Some(Def::PermissionSet(set)) = document.def("main") else { return Err(SetError::OtherKind(nsid.clone())) };
    let text = |text: &Option<Box<str>>| text.as_deref().map(|text| text.chars().take(MAX_CHARS).collect());
    Ok(ResolvedSet { title: text(&set.title), detail: text(&set.detail), permissions: scope::expand(nsid, set, audience) })
}
