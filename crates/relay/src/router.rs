//! Every route, on a line. An NSID that is not here is not served.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, get, post};
use http::{Method, StatusCode};

use crate::error::XrpcError;
use crate::state::AppState;
use crate::xrpc::com_atproto::{identity, repo, server, sync};
use crate::{web, well_known, xrpc};

/// Builds the service: the routes below the layers that apply to all of them.
pub fn router(app: AppState) -> Router {
    let routes = Router::new()
        // What people and probes see.
        .route("/", get(web::home::handler))
        .route("/robots.txt", get(web::robots::handler))
        .route("/xrpc/_health", get(xrpc::health::handler))
        .route("/.well-known/atproto-did", get(well_known::atproto_did::handler))
        .route("/.well-known/did.json", get(well_known::did_json::handler))
        .merge(methods())
        .route("/xrpc/{nsid}", axum::routing::any(xrpc::unknown::handler))
        .route("/xrpc/{nsid}/", axum::routing::any(xrpc::unknown::handler))
        .route("/xrpc/", axum::routing::any(xrpc::unknown::no_method));
    crate::layers::apply(routes.fallback(web::not_found::handler), &app).with_state(app)
}

/// The methods of the protocol.
fn methods() -> Router<AppState> {
    Methods(Router::new())
        .query("com.atproto.identity.resolveDid", identity::resolve_did::handler)
        .query("com.atproto.identity.resolveHandle", identity::resolve_handle::handler)
        .query("com.atproto.identity.resolveIdentity", identity::resolve_identity::handler)
        .procedure("com.atproto.identity.refreshIdentity", identity::refresh_identity::handler)
        .procedure("com.atproto.repo.applyWrites", repo::apply_writes::handler)
        .procedure("com.atproto.repo.createRecord", repo::create_record::handler)
        .procedure("com.atproto.repo.deleteRecord", repo::delete_record::handler)
        .query("com.atproto.repo.describeRepo", repo::describe_repo::handler)
        .query("com.atproto.repo.getRecord", repo::get_record::handler)
        .query("com.atproto.repo.listRecords", repo::list_records::handler)
        .procedure("com.atproto.repo.putRecord", repo::put_record::handler)
        .procedure("com.atproto.repo.uploadBlob", repo::upload_blob::handler)
        .procedure("com.atproto.server.activateAccount", server::activate_account::handler)
        .query("com.atproto.server.checkAccountStatus", server::check_account_status::handler)
        .procedure("com.atproto.server.createAccount", server::create_account::handler)
        .procedure("com.atproto.server.createAppPassword", server::create_app_password::handler)
        .procedure("com.atproto.server.createInviteCode", server::create_invite_code::handler)
        .procedure("com.atproto.server.createInviteCodes", server::create_invite_codes::handler)
        .procedure("com.atproto.server.createSession", server::create_session::handler)
        .procedure("com.atproto.server.deactivateAccount", server::deactivate_account::handler)
        .procedure("com.atproto.server.deleteSession", server::delete_session::handler)
        .query("com.atproto.server.describeServer", server::describe_server::handler)
        .query("com.atproto.server.getAccountInviteCodes", server::get_account_invite_codes::handler)
        .query("com.atproto.server.getServiceAuth", server::get_service_auth::handler)
        .query("com.atproto.server.getSession", server::get_session::handler)
        .query("com.atproto.server.listAppPasswords", server::list_app_passwords::handler)
        .procedure("com.atproto.server.refreshSession", server::refresh_session::handler)
        .procedure("com.atproto.server.revokeAppPassword", server::revoke_app_password::handler)
        .query("com.atproto.sync.getBlob", sync::get_blob::handler)
        .query("com.atproto.sync.getBlocks", sync::get_blocks::handler)
        .query("com.atproto.sync.getCheckout", sync::get_checkout::handler)
        .query("com.atproto.sync.getHead", sync::get_head::handler)
        .query("com.atproto.sync.getHostStatus", sync::get_host_status::handler)
        .query("com.atproto.sync.getLatestCommit", sync::get_latest_commit::handler)
        .query("com.atproto.sync.getRecord", sync::get_record::handler)
        .query("com.atproto.sync.getRepo", sync::get_repo::handler)
        .query("com.atproto.sync.getRepoStatus", sync::get_repo_status::handler)
        .query("com.atproto.sync.listBlobs", sync::list_blobs::handler)
        .query("com.atproto.sync.listRepos", sync::list_repos::handler)
        .query("com.atproto.sync.listReposByCollection", sync::list_repos_by_collection::handler)
        .query("com.atproto.sync.subscribeRepos", sync::subscribe_repos::handler)
        .0
}

/// The table of methods while it is written.
struct Methods(Router<AppState>);

impl Methods {
    /// A method that is called by GET (and HEAD).
    fn query<H: Handler<T, AppState>, T: 'static>(self, nsid: &str, handler: H) -> Self {
        self.add(nsid, get(handler).fallback(async |method: Method| wrong_verb(&method, "GET")))
    }

    /// A method that is called by POST.
    fn procedure<H: Handler<T, AppState>, T: 'static>(self, nsid: &str, handler: H) -> Self {
        self.add(nsid, post(handler).fallback(async |method: Method| wrong_verb(&method, "POST")))
    }

    fn add(self, nsid: &str, route: MethodRouter<AppState>) -> Self {
        let path = format!("/xrpc/{nsid}");
        // Some clients write a slash at the end.
        let with_slash = format!("{path}/");
        Self(self.0.route(&path, route.clone()).route(&with_slash, route))
    }
}

fn wrong_verb(method: &Method, expected: &'static str) -> XrpcError {
    if matches!(*method, Method::GET | Method::HEAD | Method::POST) {
        return XrpcError::invalid_request(format!("Incorrect HTTP method ({method}) expected {expected}"));
    }
    XrpcError::new(StatusCode::BAD_REQUEST, "InvalidRequest", "XRPC requests only supports GET and POST")
}
