//! Permission sets: what a lexicon bundles under one name.
//!
//! A set may hold permissions for records and calls, and only within its own name space: `com.example.authBasic` has nothing to
//! say about `org.example.*`.
//!
//! Spec: <https://atproto.com/specs/permission#permission-sets>

use common::Nsid;
use common::lexicon::PermissionSet;

use super::parse::{read_actions, read_audience};
use super::{Actions, Audience, Names, Permission};

/// Returns what the set `nsid` stands for. What it may not hold, or what is not understood, is left out.
pub(crate) fn expand(nsid: &Nsid, set: &PermissionSet, audience: Option<&str>) -> Vec<Permission> {
    let read = |entry: &common::lexicon::Permission| match &*entry.resource {
        "repo" => {
            let actions =
                if entry.action.is_empty() { Actions::ALL } else { read_actions(entry.action.iter().map(AsRef::as_ref))? };
            Some(Permission::Repo { collections: own_names(nsid, &entry.collection)?, actions })
        }
        "rpc" => {
            let audience = match (&entry.aud, entry.inherit_aud) {
                (None, true) => Audience::Service(audience?.to_owned()),
                (Some(text), false) => read_audience(text)?,
                (None, false) | (Some(_), true) => return None,
            };
            Some(Permission::Rpc { methods: own_names(nsid, &entry.lxm)?, audience })
        }
        _ => None,
    };
    set.permissions.iter().filter_map(read).collect()
}

/// Reads names, which must all be within the authority of the set.
fn own_names(set: &Nsid, names: &[Box<str>]) -> Option<Names> {
    let own = |name: &str| {
        let rest = name.strip_prefix(set.authority())?;
        if rest.starts_with('.') { name.parse::<Nsid>().ok() } else { None }
    };
    let names = names.iter().map(|name| own(name)).collect::<Option<Vec<_>>>()?;
    (!names.is_empty()).then_some(Names::Some(names))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_set_speaks_for_its_own_names_only() {
        let nsid: Nsid = "com.example.authBasic".parse().unwrap();
        let set: PermissionSet = serde_json::from_value(json!({
            "title": "Basics",
            "permissions": [
                { "type": "permission", "resource": "repo", "collection": ["com.example.note", "com.example.sub.note"] },
                { "type": "permission", "resource": "repo", "collection": ["com.example.a"], "action": ["create"] },
                { "type": "permission", "resource": "repo", "collection": ["org.example.note"] },
                { "type": "permission", "resource": "repo", "collection": ["com.examples.note"] },
                { "type": "permission", "resource": "repo", "collection": ["*"] },
                { "type": "permission", "resource": "rpc", "lxm": ["com.example.get"], "inheritAud": true },
                { "type": "permission", "resource": "rpc", "lxm": ["com.example.put"], "aud": "*" },
                { "type": "permission", "resource": "rpc", "lxm": ["com.example.put"] },
                { "type": "permission", "resource": "blob", "accept": ["*/*"] },
                { "type": "permission", "resource": "identity", "attr": "*" }
            ]
        }))
        .unwrap();
        let scopes = |audience| expand(&nsid, &set, audience).iter().map(ToString::to_string).collect::<Vec<_>>();
        let repo = ["repo?collection=com.example.note&collection=com.example.sub.note", "repo:com.example.a?action=create"];
        assert_eq!(
            scopes(Some("did:web:x.y#z")),
            [repo[0], repo[1], "rpc:com.example.get?aud=did:web:x.y%23z", "rpc:com.example.put?aud=*"]
        );
        assert_eq!(scopes(None), [repo[0], repo[1], "rpc:com.example.put?aud=*"]);
    }
}
