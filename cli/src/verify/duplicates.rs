//! Objects that write the same Secret.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::kustomize::{Item, Kind, Target};
use super::rules;
use super::sealed::{Annotation, At, Sealed};
use crate::findings::{Finding, Level, Related};

/// The annotation of a SealedSecret that writes into a Secret of somebody else.
const PATCH: &str = "sealedsecrets.bitnami.com/patch";

/// A Secret that an object of a file writes.
pub(super) struct Written {
    /// The folder of the file: what is in one folder is applied together.
    folder: PathBuf,
    namespace: String,
    name: String,
    what: String,
    file: Arc<str>,
    at: At,
}

impl Written {
    /// What an object writes; `None` if it writes no Secret of its own.
    pub(super) fn of(path: &Path, named: &str, kind: &Kind, sealed: &Sealed) -> Option<Self> {
        let own = sealed.name.clone()?;
        let name = match kind {
            Kind::SealedSecret if shares(sealed.annotations.get(PATCH)) => return None,
            Kind::SealedSecret | Kind::ExternalSecret { target: Some(Target::Same) } => own.clone(),
            Kind::ExternalSecret { target: Some(Target::Named(name)) } => name.clone(),
            Kind::ExternalSecret { target: None } | Kind::Store(_) => return None,
        };
        Some(Self {
            folder: path.parent().map(Path::to_path_buf).unwrap_or_default(),
            namespace: sealed.namespace.clone().unwrap_or_default(),
            name,
            what: what(kind, sealed.namespace.as_deref().unwrap_or_default(), &own),
            file: Arc::from(named),
            at: sealed.at,
        })
    }
}

fn shares(annotation: Option<&Annotation>) -> bool {
    annotation.is_some_and(|one| one.value.as_deref() == Some("true"))
}

fn what(kind: &Kind, namespace: &str, name: &str) -> String {
    let full = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
    format!("{} {full}", kind.as_str())
}

/// Objects of one folder that write the same Secret.
pub(super) fn in_folders(written: &[Written]) -> Vec<Finding> {
    let mut first: HashMap<(&Path, &str, &str), &Written> = HashMap::new();
    let mut findings = Vec::new();
    for one in written {
        let key = (one.folder.as_path(), one.namespace.as_str(), one.name.as_str());
        let Some(other) = first.get(&key) else {
            first.insert(key, one);
            continue;
        };
        findings.push(found(&one.file, one.at, &one.what, &one.name, (&other.file, other.at, &other.what)));
    }
    findings
}

/// Objects of one build that write the same Secret. Kustomize takes no two objects of one kind and name.
pub(super) fn in_build(items: &[Item]) -> Vec<Finding> {
    let mut first: HashMap<(&str, &str), &Item> = HashMap::new();
    let mut findings = Vec::new();
    for item in items.iter().filter(|item| !item.is_doubtful && !shares(item.annotations.get(PATCH))) {
        let Some(name) = item.target() else { continue };
        let Some(other) = first.get(&(item.namespace.as_str(), name)) else {
            first.insert((item.namespace.as_str(), name), item);
            continue;
        };
        let what = |item: &Item| what(&item.kind, &item.namespace, &item.name);
        let finding = found(&item.file, item.at, &what(item), name, (&other.file, other.at, &what(other)));
        let is_refused = item.kind.as_str() == other.kind.as_str() && item.name == other.name;
        findings.push(if is_refused { finding.as_level(Level::Error) } else { finding });
    }
    findings
}

fn found(file: &str, (line, column): At, what: &str, name: &str, (other, at, other_what): (&str, At, &str)) -> Finding {
    let message = format!("writes the Secret {name:?}, and so does {other_what} in {other}:{}", at.0);
    let related = Related {
        file: other.to_owned(),
        line: Some(at.0),
        column: Some(at.1),
        message: format!("{other_what} is here"),
    };
    Finding::new(&rules::DUPLICATE, file, message).at(line, column).of(what).see(related)
}
