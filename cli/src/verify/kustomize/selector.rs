//! Which objects a patch is for.

#[cfg(test)]
use std::collections::BTreeMap;

use regex::Regex;

use super::item::Item;
use crate::outline::View;

/// More than any pattern for names needs; a bound for hostile input.
const MAX_PATTERN: usize = 1024;

/// `target` of a patch: every field that is there has to match.
#[derive(Debug, Default)]
pub(super) struct Selector {
    group: Option<Regex>,
    version: Option<Regex>,
    kind: Option<Regex>,
    name: Option<Regex>,
    namespace: Option<Regex>,
    labels: Vec<Requirement>,
    annotations: Vec<Requirement>,
}

/// One condition of a label selector.
#[derive(Debug, PartialEq, Eq)]
enum Requirement {
    In { key: String, values: Vec<String> },
    NotIn { key: String, values: Vec<String> },
    Exists(String),
    Missing(String),
}

impl Selector {
    /// Reads a target.
    ///
    /// # Errors
    /// What is wrong with which field.
    pub(super) fn read(target: View<'_, '_>) -> Result<Self, String> {
        let text = |field: &str| target.get(field).and_then(View::text).filter(|text| !text.is_empty());
        let pattern = |field: &'static str| match text(field) {
            None => Ok(None),
            Some(text) if text.len() > MAX_PATTERN => Err(format!("{field} is longer than any pattern")),
            Some(text) => match Regex::new(&format!("^(?:{text})$")) {
                Ok(pattern) => Ok(Some(pattern)),
                Err(_) => Err(format!("{field} is not a regular expression")),
            },
        };
        let requirements = |field: &'static str| match text(field) {
            None => Ok(Vec::new()),
            Some(text) => requirements(text).ok_or_else(|| format!("{field} is not a selector")),
        };
        Ok(Self {
            group: pattern("group")?,
            version: pattern("version")?,
            kind: pattern("kind")?,
            name: pattern("name")?,
            namespace: pattern("namespace")?,
            labels: requirements("labelSelector")?,
            annotations: requirements("annotationSelector")?,
        })
    }

    /// Whether Secrets are meant, and not objects of every kind.
    pub(super) fn is_for_secrets(&self) -> bool {
        let is_meant = |kind: &str| self.kind.as_ref().is_some_and(|pattern| pattern.is_match(kind));
        is_meant("Secret") && !is_meant("ConfigMap")
    }

    /// Whether an object is meant, by its first or its present name.
    pub(super) fn is_for(&self, item: &Item) -> bool {
        let fits = |pattern: &Option<Regex>, text: &str| pattern.as_ref().is_none_or(|pattern| pattern.is_match(text));
        let (group, version) = item.version.split_once('/').unwrap_or(("", item.version.as_str()));
        let (first, now) = (item.first_id(), item.id());
        fits(&self.group, group)
            && fits(&self.version, version)
            && fits(&self.kind, item.kind.as_str())
            && (fits(&self.name, &first.name) || fits(&self.name, &now.name))
            && (fits(&self.namespace, first.namespace()) || fits(&self.namespace, now.namespace()))
            && all(&self.labels, |key| item.labels.get(key).map(String::as_str))
            && all(&self.annotations, |key| item.annotations.get(key).and_then(|one| one.value.as_deref()))
    }
}

fn all<'a>(requirements: &[Requirement], value: impl Fn(&str) -> Option<&'a str>) -> bool {
    requirements.iter().all(|requirement| match requirement {
        Requirement::In { key, values } => value(key).is_some_and(|value| values.iter().any(|one| one == value)),
        Requirement::NotIn { key, values } => value(key).is_none_or(|value| values.iter().all(|one| one != value)),
        Requirement::Exists(key) => value(key).is_some(),
        Requirement::Missing(key) => value(key).is_none(),
    })
}

/// A selector as Kubernetes writes it: `a=b,c!=d,e in (f,g),!h`.
fn requirements(text: &str) -> Option<Vec<Requirement>> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let open = rest.find('(').filter(|open| rest[..*open].find(',').is_none());
        let end = match open {
            Some(open) => open + rest[open..].find(')')? + 1,
            None => rest.find(',').unwrap_or(rest.len()),
        };
        found.push(requirement(rest[..end].trim())?);
        rest = rest[end..].trim_start();
        rest = match rest.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    Some(found)
}

fn requirement(text: &str) -> Option<Requirement> {
    let key = |text: &str| {
        let text = text.trim();
        let is_key =
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
        is_key.then(|| text.to_owned())
    };
    if let Some((before, values)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        return match before.trim().rsplit_once(char::is_whitespace)? {
            (name, "in") => Some(Requirement::In { key: key(name)?, values }),
            (name, "notin") => Some(Requirement::NotIn { key: key(name)?, values }),
            _ => None,
        };
    }
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some((name, value)) = text.split_once("!=") {
        return Some(Requirement::NotIn { key: key(name)?, values: one(value) });
    }
    if let Some((name, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Some(Requirement::In { key: key(name)?, values: one(value) });
    }
    match text.strip_prefix('!') {
        Some(name) => Some(Requirement::Missing(key(name)?)),
        None => Some(Requirement::Exists(key(text)?)),
    }
}

/// Labels for tests of selectors.
#[cfg(test)]
fn holds(selector: &str, labels: &BTreeMap<&str, &str>) -> Option<bool> {
    requirements(selector).map(|found| all(&found, |key| labels.get(key).copied()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::holds;

    #[test]
    fn label_selectors_are_read_as_kubernetes_reads_them() {
        let labels = BTreeMap::from([("app", "db"), ("tier", "back"), ("example.org/x", "")]);
        for (selector, expected) in [
            ("", Some(true)),
            ("app=db", Some(true)),
            ("app == db , tier!=front", Some(true)),
            ("app in (web, db),!canary", Some(true)),
            ("app notin (db)", Some(false)),
            ("none notin (db)", Some(true)),
            ("example.org/x", Some(true)),
            ("example.org/x=", Some(true)),
            ("!app", Some(false)),
            ("app in (web", None),
            ("a b", None),
            ("app in (db) tier", None),
        ] {
            assert_eq!(holds(selector, &labels), expected, "{selector}");
        }
    }
}
