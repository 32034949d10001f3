//! What Vault says when it refuses, in our words.

use std::time::Duration;

use serde::Deserialize;

use super::http::Answer;
use crate::providers::{Cause, ProviderError};

/// Longest reason that is passed on, in characters.
const LONGEST: usize = 240;

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    errors: Option<Vec<String>>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

/// Why a request was refused.
pub(super) struct Fault {
    pub(super) status: u16,
    reason: String,
    /// Whether Vault itself said so, as opposed to something between.
    is_of_vault: bool,
    after: Option<Duration>,
}

impl Fault {
    /// Reads a refusal; `None` where the answer is none.
    pub(super) fn of(answer: &Answer) -> Option<Self> {
        if (200..300).contains(&answer.status) {
            return None;
        }
        // Vault's own error strings and nothing else of the body: what a proxy says may be a page.
        let refusal: Option<Refusal> = serde_json::from_slice(answer.body.expose()).ok();
        let is_of_vault = refusal.as_ref().is_some_and(|refusal| refusal.errors.is_some());
        let said = refusal.map(|refusal| {
            let errors = refusal.errors.unwrap_or_default();
            if errors.is_empty() { refusal.warnings.unwrap_or_default() } else { errors }
        });
        let reason = reason(&said.unwrap_or_default());
        Some(Self { status: answer.status, reason, is_of_vault, after: answer.retry_after })
    }

    /// Whether the token as such is refused. Vault before 1.17 says nothing that tells it from a missing right.
    pub(super) fn is_dead_token(&self) -> bool {
        self.status == 403 && ["invalid token", "bad token"].iter().any(|words| self.reason.contains(words))
    }

    /// Whether nothing is stored at the path, as opposed to a path that leads nowhere, or a proxy's own 404: what is
    /// missing may be deleted from the cluster too.
    pub(super) fn is_missing(&self) -> bool {
        self.status == 404 && self.is_of_vault && self.reason.is_empty()
    }

    /// The error of whoever wanted to do `what`, such as `read kv/data/a`.
    pub(super) fn error(&self, what: &str) -> ProviderError {
        let cause = match self.status {
            404 if self.is_missing() => Cause::Missing,
            403 if self.is_dead_token() => Cause::Unauthenticated,
            403 => Cause::Denied,
            429 => Cause::Throttled { after: self.after },
            // The engine prepares itself after it was mounted or upgraded.
            400 if self.reason.contains("Upgrading from non-versioned") => Cause::Unavailable,
            // The node does not have our last write yet; a standby that cannot serve; a fault of the server's own.
            412 | 472 | 473 | 500..=599 => Cause::Unavailable,
            _ => Cause::Invalid,
        };
        let why = match (self.status, self.reason.as_str()) {
            (503, said) if said.contains("sealed") => "Vault is sealed".to_owned(),
            (status, "") => format!("Vault answered with status {status}"),
            (_, said) => said.to_owned(),
        };
        ProviderError::new(cause, format!("cannot {what}: {why}"))
    }

    /// The error of a login, where whatever is refused are the credentials.
    pub(super) fn login_error(&self, what: &str) -> ProviderError {
        let mut error = self.error(what);
        error.cause = match error.cause {
            Cause::Missing | Cause::Invalid | Cause::Denied => Cause::Unauthenticated,
            other @ (Cause::Unauthenticated | Cause::Throttled { .. } | Cause::Unavailable | Cause::Misconfigured) => {
                other
            }
        };
        error
    }
}

/// One line: `2 errors occurred:\n\t* permission denied\n\t* invalid token` is `permission denied; invalid token`.
fn reason(said: &[String]) -> String {
    let mut parts = Vec::new();
    for text in said {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let items: Vec<_> = lines.clone().filter_map(|line| line.strip_prefix("* ")).collect();
        if items.is_empty() { parts.extend(lines.take(1)) } else { parts.extend(items) }
    }
    let text = parts.join("; ");
    let mut line: String = text.chars().filter(|character| !character.is_control()).take(LONGEST).collect();
    if text.chars().count() > LONGEST {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Plaintext;

    fn fault(status: u16, body: &str) -> Fault {
        let body = Plaintext::copy_of(body.as_bytes());
        Fault::of(&Answer { status, retry_after: None, body }).expect("a refusal")
    }

    #[test]
    fn a_dead_token_is_told_from_a_missing_right() {
        let dead = fault(403, r#"{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}"#);
        assert!(dead.is_dead_token());
        let error = dead.error("read kv/data/a");
        assert_eq!(error.message, "cannot read kv/data/a: permission denied; invalid token");
        assert_eq!(error.cause, Cause::Unauthenticated);
        let denied = fault(403, r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#);
        assert!(!denied.is_dead_token());
        assert_eq!(denied.error("read a").cause, Cause::Denied);
    }

    #[test]
    fn only_an_answer_without_a_reason_is_missing() {
        assert_eq!(fault(404, r#"{"errors":[]}"#).error("read a").cause, Cause::Missing);
        let nowhere = fault(404, r#"{"errors":["no handler for route \"kv/data/a\". route entry not found."]}"#);
        assert_eq!(nowhere.error("read a").cause, Cause::Invalid);
        assert_eq!(fault(404, "<html>not found</html>").error("read a").cause, Cause::Invalid);
        assert_eq!(fault(404, "{}").error("read a").cause, Cause::Invalid);
        let wrong = fault(404, r#"{"data":null,"warnings":["Invalid path for a versioned K/V secrets engine."]}"#);
        assert_eq!(wrong.error("read a").cause, Cause::Invalid);
    }

    #[test]
    fn causes_follow_the_status() {
        for (status, cause) in [
            (400, Cause::Invalid),
            (405, Cause::Invalid),
            (412, Cause::Unavailable),
            (429, Cause::Throttled { after: None }),
            (472, Cause::Unavailable),
            (473, Cause::Unavailable),
            (500, Cause::Unavailable),
            (502, Cause::Unavailable),
        ] {
            assert_eq!(fault(status, "<html>").error("read a").cause, cause, "{status}");
        }
        let sealed = fault(503, r#"{"errors":["Vault is sealed"]}"#).error("read a");
        assert_eq!((sealed.cause, sealed.message.as_str()), (Cause::Unavailable, "cannot read a: Vault is sealed"));
    }

    #[test]
    fn a_reason_is_one_short_line() {
        let long = format!(r#"{{"errors":["{}\nsecond"]}}"#, "x".repeat(1000));
        let message = fault(400, &long).error("read a").message;
        assert!(message.len() < 280 && !message.contains("second"), "{message}");
        assert_eq!(fault(400, r#"{"errors":["a\u0000\u001b[1mb"]}"#).error("x").message, "cannot x: a[1mb");
    }
}
