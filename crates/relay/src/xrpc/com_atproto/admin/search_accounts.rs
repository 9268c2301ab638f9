//! `com.atproto.admin.searchAccounts`: lists accounts, all or those whose e-mail address contains a text, oldest first.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/admin/searchAccounts.json>

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::AccountView;
use crate::auth::Moderator;
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;
use crate::store::{AccountId, StoreError, account};
use crate::xrpc::com_atproto::sync::list_repos::cursor;

pub(crate) struct Parameters {
    email: Option<String>,
    cursor: Option<AccountId>,
    limit: usize,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        Ok(Self { email: params.optional("email")?, cursor: cursor(params)?, limit: params.integer("limit", &(1..=100), 50)? })
    }
}

#[derive(Serialize)]
pub(crate) struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    accounts: Vec<AccountView>,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    _moderator: Moderator,
    XrpcQuery(params): XrpcQuery<Parameters>,
) -> Result<Json<Output>, XrpcError> {
    let page = app.db.scan(move |conn| {
        let after = params.cursor.unwrap_or(AccountId(0));
        let found = account::search(conn, params.email.as_deref().unwrap_or_default(), after, params.limit)?;
        let cursor = found.last().filter(|_| found.len() == params.limit).map(|account| account.id.0.to_string());
        let views = found.into_iter().map(|account| AccountView::of(conn, account));
        let accounts = views.filter_map(Result::transpose).collect::<Result<Vec<_>, StoreError>>()?;
        Ok::<_, StoreError>(Output { cursor, accounts })
    });
    Ok(Json(page.await?))
}
