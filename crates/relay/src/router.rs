//! Every route, on a line. An NSID that is not here is not served.

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn;
use axum::routing::{MethodRouter, any, get, post};
use http::{Method, StatusCode};

use crate::error::XrpcError;
use crate::extract::refuse_body;
use crate::oauth::endpoints as oauth;
use crate::state::AppState;
use crate::xrpc::app_bsky::{actor, age_assurance, feed, notification, read_after_write};
use crate::xrpc::com_atproto::{admin, identity, moderation, repo, server, sync, temp};
use crate::{pages, telemetry, web, well_known, xrpc};

/// Builds the service: the routes below the layers that apply to all of them.
pub fn router(app: AppState) -> Router {
    crate::layers::apply(table().router.fallback(web::not_found::handler), &app).with_state(app)
}

/// Returns every route, for docs/API.md.
pub fn routes() -> Vec<Route> {
    table().routes
}

#[expect(clippy::too_many_lines, reason = "a table of contents has a line for each entry")]
fn table() -> Table {
    Table::default()
        // What people and probes see.
        .page("/", web::home::handler)
        .page("/robots.txt", web::robots::handler)
        .page("/xrpc/_health", xrpc::health::handler)
        .page("/metrics", telemetry::handler)
        .page("/.well-known/atproto-did", well_known::atproto_did::handler)
        .page("/.well-known/did.json", well_known::did_json::handler)
        .page("/.well-known/oauth-authorization-server", oauth::metadata::handler)
        .page("/.well-known/oauth-protected-resource", oauth::protected_resource::handler)
        // What apps call to act for users.
        .page("/oauth/jwks", oauth::jwks::handler)
        .endpoint("/oauth/par", oauth::par::handler)
        .endpoint("/oauth/token", oauth::token::handler)
        .endpoint("/oauth/revoke", oauth::revoke::handler)
        .endpoint("/oauth/introspect", oauth::introspect::handler)
        // For proxies that get certificates on demand.
        .page("/tls-check", web::tls_check::handler)
        // The mailbox of `relay dev`; elsewhere there is nothing.
        .page("/_dev/mail", web::dev_mail::handler)
        // The pages of the account, and what they load.
        .view("/assets/{file}", pages::assets::handler)
        .form("/language", pages::switch_language::handler)
        .view("/status", pages::public::status::handler)
        .view("/terms", pages::public::document::terms)
        .view("/privacy", pages::public::document::privacy)
        .view("/join/{code}", pages::public::join::show)
        .form("/join/{code}", pages::public::join::submit)
        .view("/oauth/authorize", pages::authorize::show)
        .form("/oauth/authorize", pages::authorize::decide)
        .view("/account", pages::account::home::handler)
        .view("/account/welcome", pages::account::welcome::handler)
        .view("/account/sign-in", pages::account::sign_in::show)
        .form("/account/sign-in", pages::account::sign_in::submit)
        .form("/account/sign-in/code", pages::account::sign_in_code::submit)
        .view("/account/sign-in/link", pages::account::sign_in_link::show)
        .form("/account/sign-in/link", pages::account::sign_in_link::submit)
        .form("/account/sign-in/passkey/begin", pages::account::sign_in_passkey::start)
        .form("/account/sign-in/passkey", pages::account::sign_in_passkey::submit)
        .view("/account/sign-up", pages::account::sign_up::show)
        .form("/account/sign-up", pages::account::sign_up::submit)
        .view("/account/forgot-password", pages::account::forgot_password::show)
        .form("/account/forgot-password", pages::account::forgot_password::submit)
        .view("/account/reset-password", pages::account::reset_password::show)
        .form("/account/reset-password", pages::account::reset_password::submit)
        .form("/account/sign-out", pages::account::sign_out::handler)
        .form("/account/switch", pages::account::switch::handler)
        .view("/account/confirm", pages::account::confirm::show)
        .form("/account/confirm", pages::account::confirm::submit)
        .form("/account/confirm/passkey", pages::account::confirm::begin)
        .form("/account/confirm/passkey/answer", pages::account::confirm::finish)
        .view("/account/handle", pages::account::handle::show)
        .form("/account/handle", pages::account::handle::submit)
        .view("/account/email", pages::account::email::show)
        .form("/account/email", pages::account::email::submit)
        .form("/account/email/code", pages::account::email::send_code)
        .form("/account/email/confirm", pages::account::email::confirm)
        .view("/account/security", pages::account::security::show)
        .view("/account/password", pages::account::password::show)
        .form("/account/password", pages::account::password::submit)
        .form("/account/passkeys/begin", pages::account::security::begin_passkey)
        .form("/account/passkeys/finish", pages::account::security::finish_passkey)
        .form("/account/passkeys/rename", pages::account::security::rename_passkey)
        .form("/account/passkeys/remove", pages::account::security::remove_passkey)
        .view("/account/authenticator", pages::account::authenticator::show)
        .form("/account/authenticator", pages::account::authenticator::submit)
        .form("/account/authenticator/remove", pages::account::authenticator::remove)
        .form("/account/backup-codes", pages::account::backup_codes::submit)
        .form("/account/mail-codes", pages::account::security::mail_codes)
        .form("/account/alerts", pages::account::security::alerts)
        .view("/account/app-passwords", pages::account::app_passwords::show)
        .form("/account/app-passwords", pages::account::app_passwords::submit)
        .form("/account/app-passwords/revoke", pages::account::app_passwords::revoke)
        .view("/account/devices", pages::account::devices::show)
        .form("/account/devices/browser", pages::account::devices::sign_out_browser)
        .form("/account/devices/app", pages::account::devices::sign_out_app)
        .form("/account/devices/password-sessions", pages::account::devices::sign_out_password_sessions)
        .view("/account/data", pages::account::data::show)
        .form("/account/archive", pages::account::data::download)
        .form("/account/deactivate", pages::account::data::deactivate)
        .form("/account/activate", pages::account::data::activate)
        .form("/account/delete", pages::account::data::delete)
        // Methods that are not listed below.
        .any("/xrpc/{nsid}", xrpc::proxy::handler)
        .any("/xrpc/{nsid}/", xrpc::proxy::handler)
        .any("/xrpc/", xrpc::proxy::no_method)
        // The methods of the protocol.
        .query("app.bsky.actor.getPreferences", actor::get_preferences::handler)
        .query("app.bsky.actor.getProfile", read_after_write::get_profile)
        .query("app.bsky.actor.getProfiles", read_after_write::get_profiles)
        .procedure("app.bsky.actor.putPreferences", actor::put_preferences::handler)
        .query("app.bsky.ageassurance.getConfig", age_assurance::get_config)
        .query("app.bsky.ageassurance.getState", age_assurance::get_state)
        .query("app.bsky.feed.getActorLikes", read_after_write::get_actor_likes)
        .query("app.bsky.feed.getAuthorFeed", read_after_write::get_author_feed)
        .query("app.bsky.feed.getFeed", feed::get_feed::handler)
        .query("app.bsky.feed.getPostThread", read_after_write::get_post_thread)
        .query("app.bsky.feed.getTimeline", read_after_write::get_timeline)
        .procedure("app.bsky.notification.registerPush", notification::handler)
        .procedure("app.bsky.notification.unregisterPush", notification::handler)
        .query("app.bsky.unspecced.getAgeAssuranceState", age_assurance::get_old_state)
        .procedure("com.atproto.admin.deleteAccount", admin::delete_account::handler)
        .procedure("com.atproto.admin.disableAccountInvites", admin::disable_account_invites::handler)
        .procedure("com.atproto.admin.disableInviteCodes", admin::disable_invite_codes::handler)
        .procedure("com.atproto.admin.enableAccountInvites", admin::enable_account_invites::handler)
        .query("com.atproto.admin.getAccountInfo", admin::get_account_info::handler)
        .query("com.atproto.admin.getAccountInfos", admin::get_account_infos::handler)
        .query("com.atproto.admin.getInviteCodes", admin::get_invite_codes::handler)
        .query("com.atproto.admin.getSubjectStatus", admin::get_subject_status::handler)
        .query("com.atproto.admin.searchAccounts", admin::search_accounts::handler)
        .procedure("com.atproto.admin.sendEmail", admin::send_email::handler)
        .procedure("com.atproto.admin.updateAccountEmail", admin::update_account_email::handler)
        .procedure("com.atproto.admin.updateAccountHandle", admin::update_account_handle::handler)
        .procedure("com.atproto.admin.updateAccountPassword", admin::update_account_password::handler)
        .procedure("com.atproto.admin.updateAccountSigningKey", admin::update_account_signing_key::handler)
        .procedure("com.atproto.admin.updateSubjectStatus", admin::update_subject_status::handler)
        .query("com.atproto.identity.getRecommendedDidCredentials", identity::get_recommended_did_credentials::handler)
        .procedure("com.atproto.identity.requestPlcOperationSignature", identity::request_plc_operation_signature::handler)
        .query("com.atproto.identity.resolveDid", identity::resolve_did::handler)
        .query("com.atproto.identity.resolveHandle", identity::resolve_handle::handler)
        .query("com.atproto.identity.resolveIdentity", identity::resolve_identity::handler)
        .procedure("com.atproto.identity.refreshIdentity", identity::refresh_identity::handler)
        .procedure("com.atproto.identity.signPlcOperation", identity::sign_plc_operation::handler)
        .procedure("com.atproto.identity.submitPlcOperation", identity::submit_plc_operation::handler)
        .procedure("com.atproto.identity.updateHandle", identity::update_handle::handler)
        .procedure("com.atproto.moderation.createReport", moderation::create_report::handler)
        .procedure("com.atproto.repo.applyWrites", repo::apply_writes::handler)
        .procedure("com.atproto.repo.createRecord", repo::create_record::handler)
        .procedure("com.atproto.repo.deleteRecord", repo::delete_record::handler)
        .query("com.atproto.repo.describeRepo", repo::describe_repo::handler)
        .query("com.atproto.repo.getRecord", repo::get_record::handler)
        .procedure("com.atproto.repo.importRepo", repo::import_repo::handler)
        .query("com.atproto.repo.listMissingBlobs", repo::list_missing_blobs::handler)
        .query("com.atproto.repo.listRecords", repo::list_records::handler)
        .procedure("com.atproto.repo.putRecord", repo::put_record::handler)
        .procedure("com.atproto.repo.uploadBlob", repo::upload_blob::handler)
        .procedure("com.atproto.server.activateAccount", server::activate_account::handler)
        .query("com.atproto.server.checkAccountStatus", server::check_account_status::handler)
        .procedure("com.atproto.server.confirmEmail", server::confirm_email::handler)
        .procedure("com.atproto.server.createAccount", server::create_account::handler)
        .procedure("com.atproto.server.createAppPassword", server::create_app_password::handler)
        .procedure("com.atproto.server.createInviteCode", server::create_invite_code::handler)
        .procedure("com.atproto.server.createInviteCodes", server::create_invite_codes::handler)
        .procedure("com.atproto.server.createSession", server::create_session::handler)
        .procedure("com.atproto.server.deactivateAccount", server::deactivate_account::handler)
        .procedure("com.atproto.server.deleteAccount", server::delete_account::handler)
        .procedure("com.atproto.server.deleteSession", server::delete_session::handler)
        .query("com.atproto.server.describeServer", server::describe_server::handler)
        .query("com.atproto.server.getAccountInviteCodes", server::get_account_invite_codes::handler)
        .query("com.atproto.server.getServiceAuth", server::get_service_auth::handler)
        .query("com.atproto.server.getSession", server::get_session::handler)
        .query("com.atproto.server.listAppPasswords", server::list_app_passwords::handler)
        .procedure("com.atproto.server.refreshSession", server::refresh_session::handler)
        .procedure("com.atproto.server.requestAccountDelete", server::request_account_delete::handler)
        .procedure("com.atproto.server.requestEmailConfirmation", server::request_email_confirmation::handler)
        .procedure("com.atproto.server.requestEmailUpdate", server::request_email_update::handler)
        .procedure("com.atproto.server.requestPasswordReset", server::request_password_reset::handler)
        .procedure("com.atproto.server.reserveSigningKey", server::reserve_signing_key::handler)
        .procedure("com.atproto.server.resetPassword", server::reset_password::handler)
        .procedure("com.atproto.server.revokeAppPassword", server::revoke_app_password::handler)
        .procedure("com.atproto.server.updateEmail", server::update_email::handler)
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
        .procedure("com.atproto.temp.addReservedHandle", temp::add_reserved_handle::handler)
        .query("com.atproto.temp.checkHandleAvailability", temp::check_handle_availability::handler)
        .query("com.atproto.temp.checkSignupQueue", temp::check_signup_queue::handler)
        .query("com.atproto.temp.dereferenceScope", temp::dereference_scope::handler)
        .procedure("com.atproto.temp.revokeAccountCredentials", temp::revoke_account_credentials::handler)
}

/// A route, as its documentation needs it.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The path, or for a method its NSID.
    pub name: &'static str,
    /// `GET`, `POST`, or `any`.
    pub verb: &'static str,
    /// Whether it is a method.
    pub is_method: bool,
    /// The types of what the handler takes, which tell who may call and with what.
    pub extractors: &'static str,
}

impl Route {
    /// Tells the limits of its own that the route has, in words.
    pub fn limits(&self) -> Option<String> {
        crate::limits::describe(self.name)
    }
}

/// The routes while they are written down. Nothing is routed that is not listed.
#[derive(Default)]
struct Table {
    router: Router<AppState>,
    routes: Vec<Route>,
}

impl Table {
    /// A path that is called by GET (and HEAD).
    fn page<H: Handler<T, AppState>, T: 'static>(self, path: &'static str, handler: H) -> Self {
        self.note::<T>(path, "GET", false).route(path, get(handler))
    }

    /// A page, or what pages load.
    fn view<H: Handler<T, AppState>, T: 'static>(self, path: &'static str, handler: H) -> Self {
        assert!(pages::is_page(path), "{path} is not known to `pages::guard`");
        self.page(path, handler)
    }

    /// Where a page sends a form.
    fn form<H: Handler<T, AppState>, T: 'static>(self, path: &'static str, handler: H) -> Self {
        assert!(pages::is_page(path), "{path} is not known to `pages::guard`");
        self.note::<T>(path, "POST", false).route(path, post(handler))
    }

    /// A path that is called by POST, by programs.
    fn endpoint<H: Handler<T, AppState>, T: 'static>(self, path: &'static str, handler: H) -> Self {
        self.note::<T>(path, "POST", false).route(path, post(handler))
    }

    /// A path that is called by whatever verb.
    fn any<H: Handler<T, AppState>, T: 'static>(self, path: &'static str, handler: H) -> Self {
        self.note::<T>(path, "any", false).route(path, any(handler))
    }

    /// A method that is called by GET (and HEAD).
    fn query<H: Handler<T, AppState>, T: 'static>(self, nsid: &'static str, handler: H) -> Self {
        let route = get(handler).layer(from_fn(refuse_body)).fallback(async |method: Method| wrong_verb(&method, "GET"));
        self.note::<T>(nsid, "GET", true).method(nsid, route)
    }

    /// A method that is called by POST.
    fn procedure<H: Handler<T, AppState>, T: 'static>(self, nsid: &'static str, handler: H) -> Self {
        let route = post(handler).fallback(async |method: Method| wrong_verb(&method, "POST"));
        self.note::<T>(nsid, "POST", true).method(nsid, route)
    }

    fn note<T>(mut self, name: &'static str, verb: &'static str, is_method: bool) -> Self {
        self.routes.push(Route { name, verb, is_method, extractors: std::any::type_name::<T>() });
        self
    }

    fn method(self, nsid: &str, route: MethodRouter<AppState>) -> Self {
        let path = format!("/xrpc/{nsid}");
        // Some clients write a slash at the end.
        let with_slash = format!("{path}/");
        self.route(&path, route.clone()).route(&with_slash, route)
    }

    fn route(mut self, path: &str, route: MethodRouter<AppState>) -> Self {
        self.router = self.router.route(path, route);
        self
    }
}

fn wrong_verb(method: &Method, expected: &'static str) -> XrpcError {
    if matches!(*method, Method::GET | Method::HEAD | Method::POST) {
        return XrpcError::invalid_request(format!("Incorrect HTTP method ({method}) expected {expected}"));
    }
    XrpcError::new(StatusCode::BAD_REQUEST, "InvalidRequest", "XRPC requests only supports GET and POST")
}
