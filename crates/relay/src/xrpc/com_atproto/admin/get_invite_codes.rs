//! `com.atproto.admin.getInviteCodes`: lists all invite codes, newest or most used first.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/admin/getInviteCodes.json>

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::auth::Moderator;
use crate::error::XrpcError;
use crate::extract::{FromParams, Params, XrpcQuery};
use crate::state::AppState;
use crate::store::invite::{self, After, Order, Page};
use crate::xrpc::com_atproto::server::get_account_invite_codes::InviteCode;

pub(crate) struct Parameters {
    order: Order,
    limit: usize,
    after: Option<After>,
}

impl FromParams for Parameters {
    fn from_params(params: &Params) -> Result<Self, String> {
        let sort: Option<String> = params.optional("sort")?;
        let order = match sort.as_deref() {
            None | Some("recent") => Order::CreatedAt,
            Some("usage") => Order::Uses,
            Some(other) => return Err(format!("unknown sort method: {}", other.chars().take(64).collect::<String>())),
        };
        let cursor: Option<String> = params.optional("cursor")?;
        let after = cursor.map(|cursor| parse_cursor(&cursor).ok_or("Malformed cursor")).transpose()?;
        Ok(Self { order, limit: params.integer("limit", &(1..=500), 100)?, after })
    }
}

/// Reads a cursor: what the order is by, and the code.
fn parse_cursor(cursor: &str) -> Option<After> {
    let (value, code) = cursor.split_once("::")?;
    Some(After { value: value.parse().ok()?, code: code.to_owned() })
}

#[derive(Serialize)]
pub(crate) struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    codes: Vec<InviteCode>,
}

pub(crate) async fn handler(
    State(app): State<AppState>,
    _moderator: Moderator,
    XrpcQuery(params): XrpcQuery<Parameters>,
) -> Result<Json<Output>, XrpcError> {
    let page = app.db.scan(move |conn| invite::list(conn, params.order, params.after.as_ref(), params.limit));
    let Page { codes, next } = page.await?;
    let codes = codes.into_iter().map(|(code, uses)| InviteCode::new(code, uses)).collect();
    Ok(Json(Output { cursor: next.map(|after| format!("{}::{}", after.value, after.code)), codes }))
}
