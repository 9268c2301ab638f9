//! The operator, who acts through the admin methods.

use serde_json::{Value, json};

use super::{ADMIN_PASSWORD, Client, Reply, TestPds, User};

/// A caller with the admin password.
pub(crate) struct Admin(Client);

impl TestPds {
    pub(crate) fn admin(&self) -> Admin {
        Admin(self.anonymous())
    }
}

impl Admin {
    /// Calls a query.
    pub(crate) async fn get(&self, nsid: &str, params: &[(&str, &str)]) -> Reply {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        let request = self.0.request("GET", &format!("/xrpc/{nsid}?{query}"));
        self.0.send(request.basic_auth("admin", Some(ADMIN_PASSWORD))).await
    }

    /// Calls a procedure.
    pub(crate) async fn post(&self, nsid: &str, body: &Value) -> Reply {
        let request = self.0.request("POST", &format!("/xrpc/{nsid}")).json(body);
        self.0.send(request.basic_auth("admin", Some(ADMIN_PASSWORD))).await
    }

    /// Takes `subject` down, or puts it back.
    pub(crate) async fn take_down(&self, subject: &Value, applied: bool) -> Reply {
        let body = json!({ "subject": subject, "takedown": { "applied": applied, "ref": "case 1" } });
        self.post("com.atproto.admin.updateSubjectStatus", &body).await
    }

    pub(crate) async fn deactivate(&self, user: &User, applied: bool) -> Reply {
        let body = json!({ "subject": user.as_subject(), "deactivated": { "applied": applied } });
        self.post("com.atproto.admin.updateSubjectStatus", &body).await
    }
}

impl User {
    /// The account, as moderators name it.
    pub(crate) fn as_subject(&self) -> Value {
        json!({ "$type": "com.atproto.admin.defs#repoRef", "did": self.did })
    }
}
