//! `com.atproto.identity.requestPlcOperationSignature`: mails the caller a code, by which an operation is signed.
//!
//! Lexicon: <https://github.com/bluesky-social/atproto/blob/main/lexicons/com/atproto/identity/requestPlcOperationSignature.json>

use axum::extract::{Request, State};

use crate::account;
use crate::auth::{Auth, ChangesIdentity, FullOrTakendown};
use crate::error::XrpcError;
use crate::extract::no_body;
use crate::state::AppState;
use crate::store::email_token::Purpose;

#[tracing::instrument(skip_all, fields(did = %auth.account.did))]
pub(crate) async fn handler(
    State(app): State<AppState>,
    auth: Auth<FullOrTakendown, ChangesIdentity>,
    request: Request,
) -> Result<(), XrpcError> {
    no_body(request).await?;
    Ok(account::mail_code(&app, &auth.account, Purpose::PlcOperation).await?)
}
