//! Whether the store's account may read Secrets at all.

use serde::Deserialize;
use serde_json::json;

use super::server::Server;
use crate::providers::{Cause, ProviderError};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rules {
    resource_rules: Option<Vec<Rule>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rule {
    verbs: Option<Vec<String>>,
    api_groups: Option<Vec<String>>,
    resources: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Access {
    allowed: bool,
}

#[derive(Deserialize)]
struct Review<T> {
    status: T,
}

impl Rule {
    /// Also a rule for some names only: the store may be meant for these.
    fn lets_get_secrets(&self) -> bool {
        let has =
            |list: &Option<Vec<String>>, wanted: &str| list.iter().flatten().any(|one| one == wanted || one == "*");
        has(&self.verbs, "get") && has(&self.api_groups, "") && has(&self.resources, "secrets")
    }
}

/// Asks for the account's rules, and where none of them fits, whether it may all the same: the rules of authorizers
/// other than RBAC need not be in the list.
pub(super) async fn may_get_secrets(server: &Server) -> Result<(), ProviderError> {
    let namespace = server.namespace();
    let spec = json!({"namespace": namespace});
    let body = server.review("CreateSelfSubjectRulesReview", "SelfSubjectRulesReview", &spec).await?;
    let rules: Option<Review<Rules>> = serde_json::from_slice(&body).ok();
    let mut rules = rules.into_iter().flat_map(|review| review.status.resource_rules.unwrap_or_default());
    if rules.any(|rule| rule.lets_get_secrets()) {
        return Ok(());
    }
    let spec = json!({"resourceAttributes": {"namespace": namespace, "verb": "get", "resource": "secrets"}});
    let body = server.review("CreateSelfSubjectAccessReview", "SelfSubjectAccessReview", &spec).await?;
    let access: Option<Review<Access>> = serde_json::from_slice(&body).ok();
    if access.is_some_and(|review| review.status.allowed) {
        return Ok(());
    }
    let message = format!("client is not allowed to get secrets in namespace {namespace:?}");
    Err(ProviderError::new(Cause::Denied, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_fits_by_verb_group_and_resource() {
        let fits = |rule: serde_json::Value| serde_json::from_value::<Rule>(rule).unwrap().lets_get_secrets();
        assert!(fits(json!({"verbs": ["list", "get"], "apiGroups": [""], "resources": ["secrets"]})));
        assert!(fits(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})));
        assert!(fits(json!({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"]})));
        assert!(!fits(json!({"verbs": ["list"], "apiGroups": [""], "resources": ["secrets"]})));
        assert!(!fits(json!({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["secrets"]})));
        assert!(!fits(json!({"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"]})));
        assert!(!fits(json!({"verbs": null})));
    }
}
