//! How SealedSecrets are served.

use std::collections::BTreeMap;

use clap::{ArgAction, Args};

use crate::controllers::SealedConfig;
use crate::secret::label;

/// Flags for SealedSecrets, by the names that upstream's controller has for them.
#[derive(Debug, Args)]
pub struct SealedArguments {
    /// Serve only the SealedSecrets that this label selector finds, such as `team in (a, b), !draft`.
    #[arg(long, env = "BULLA_LABEL_SELECTOR", value_name = "SELECTOR", value_parser = selector)]
    pub label_selector: Option<String>,
    /// Labels for every Secret that a SealedSecret owns; what its template says wins.
    #[arg(long, env = "BULLA_SECRET_LABELS", value_name = "NAME=VALUE,...", value_delimiter = ',', value_parser = label)]
    pub secret_labels: Vec<(String, String)>,
    /// Whether the status of SealedSecrets is written; without it the controller opens everything at each start.
    #[arg(long, env = "BULLA_UPDATE_STATUS", default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    pub update_status: bool,
    /// Do not watch Secrets: one that is edited or deleted by hand stays so, and no right to list Secrets is needed.
    #[arg(long, env = "BULLA_SKIP_RECREATE", default_value_t = false, action = ArgAction::Set, value_name = "BOOL")]
    pub skip_recreate: bool,
    /// Whether `spec.data`, the deprecated form of a whole Secret in one value, is opened.
    #[arg(long, env = "BULLA_ACCEPT_DEPRECATED_V1_DATA", default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    pub accept_deprecated_v1_data: bool,
    /// Delete the Secret of a deleted SealedSecret ourselves, for clusters whose garbage collector does not.
    #[arg(long, env = "BULLA_OLD_GC_BEHAVIOR", default_value_t = false, action = ArgAction::Set, value_name = "BOOL")]
    pub old_gc_behavior: bool,
}

impl SealedArguments {
    pub(super) fn config(&self) -> SealedConfig {
        let labels = self.secret_labels.iter().filter(|(name, _)| !name.is_empty());
        SealedConfig {
            selector: self.label_selector.clone().filter(|selector| !selector.trim().is_empty()),
            labels: labels.cloned().collect::<BTreeMap<_, _>>(),
            writes_status: self.update_status,
            watches_targets: !self.skip_recreate,
            opens_whole_secrets: self.accept_deprecated_v1_data,
            deletes_targets: self.old_gc_behavior,
        }
    }
}

/// `name=value`; nothing at all is no label.
fn label(text: &str) -> Result<(String, String), String> {
    if text.trim().is_empty() {
        return Ok((String::new(), String::new()));
    }
    let (name, value) = text.trim().split_once('=').ok_or("it must be NAME=VALUE")?;
    if !label::is_name(name) {
        return Err("the name is not valid for a label".to_owned());
    }
    if !label::is_value(value) {
        return Err("the value is not valid for a label (letters, digits, '-', '_' and '.', at most 63)".to_owned());
    }
    if label::is_reserved(name) {
        return Err("this label is not to be set by hand".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// A label selector as the API server reads it; said here, since the API server would only say it to the log, for ever.
fn selector(text: &str) -> Result<String, String> {
    let mut rest = text;
    while !rest.trim().is_empty() {
        // Commas in brackets belong to the requirement.
        let open = rest.find('(').unwrap_or(rest.len());
        let end = match rest.find(',') {
            Some(comma) if comma < open => comma,
            None | Some(_) if open == rest.len() => rest.len(),
            None | Some(_) => {
                let close = rest.find(')').ok_or("a bracket is not closed")?;
                rest[close..].find(',').map_or(rest.len(), |comma| close + comma)
            }
        };
        requirement(rest[..end].trim())?;
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    Ok(text.to_owned())
}

fn requirement(text: &str) -> Result<(), String> {
    let (name, values) = if let Some((head, list)) = text.split_once('(') {
        let list = list.strip_suffix(')').ok_or("a bracket is not closed")?;
        let mut words = head.split_whitespace();
        let (name, operator, more) = (words.next(), words.next(), words.next());
        if !matches!(operator, Some("in" | "notin")) || more.is_some() {
            return Err(format!("{text:?} must be NAME in (...) or NAME notin (...)"));
        }
        (name.unwrap_or_default(), list.split(',').map(str::trim).collect())
    } else if let Some(at) = text.find(['=', '!', '<', '>']).filter(|at| *at > 0) {
        let value = text[at..].trim_start_matches(['=', '!', '<', '>']);
        let operator = &text[at..text.len() - value.len()];
        if !matches!(operator, "=" | "==" | "!=" | "<" | ">") {
            return Err(format!("{operator:?} in {text:?} is no operator"));
        }
        (text[..at].trim(), vec![value.trim()])
    } else {
        (text.strip_prefix('!').unwrap_or(text).trim(), Vec::new())
    };
    if !label::is_name(name) {
        return Err(format!("{name:?} in {text:?} is not valid for a label's name"));
    }
    match values.iter().find(|value| !label::is_value(value)) {
        Some(value) => Err(format!("{value:?} in {text:?} is not valid for a label's value")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_judged_as_the_api_server_judges_them() {
        for good in [
            "",
            "a",
            "!a",
            "a=b",
            "a==b",
            "a != b",
            "a=",
            "a in (b, c),d notin (e)",
            "example.com/a=b,!c",
            "a>1",
            "x in ()",
        ] {
            assert_eq!(selector(good).as_deref(), Ok(good), "{good}");
        }
        for bad in ["a=b c", "a in b", "a in (b", "=b", "a=!b", "a==!b", "-a", "a,,b", "a is (b)", "a b", "a=(b)"] {
            assert!(selector(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn labels_are_judged_when_the_controller_starts() {
        assert_eq!(label("velero.io/exclude-from-backup=true").unwrap().1, "true");
        assert_eq!(label("").unwrap().0, "");
        for bad in
            ["a", "a b=c", "a=b c", "bulla.dev/managed-by=x", "sealedsecrets.bitnami.com/sealed-secrets-key=active"]
        {
            assert!(label(bad).is_err(), "{bad}");
        }
    }
}
