//! A repository, checked without a cluster and without a private key.
//!
//! | module | what it is |
//! | --- | --- |
//! | `rules` | what can be found |
//! | `known` | the keys that values may be sealed to |
//! | `sealed` | the rules for SealedSecrets |
//! | `template` | what cannot be read because it is a template |
//!
//! Plain Secrets are found by [`crate::leaks`], ExternalSecrets and stores are checked by [`crate::external`].

mod known;
mod rules;
mod sealed;
mod template;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

pub(crate) use self::known::Known;
pub(crate) use self::rules::RULES;

use crate::document::Document;
use crate::external::{self, Documents, Take};
use crate::failure::Outcome;
use crate::findings::{Finding, Note};
use crate::repository::Rule;
use crate::{input, leaks, recipients};

/// The kinds that are looked at.
const KINDS: [&str; 6] =
    ["SealedSecret", "Secret", "ExternalSecret", "ClusterExternalSecret", "SecretStore", "ClusterSecretStore"];
/// The kinds that [`Documents`] wants to see, Namespaces for their labels.
const EXTERNAL_KINDS: [&str; 5] =
    ["ExternalSecret", "ClusterExternalSecret", "SecretStore", "ClusterSecretStore", "Namespace"];

/// How much of a file a text is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    /// One document of it, after as many empty lines as there are lines before it.
    Document,
}

/// What was looked at.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    /// Files that hold one of our kinds.
    pub(crate) files: usize,
    pub(crate) sealed_secrets: usize,
    /// Values in them.
    pub(crate) values: usize,
    pub(crate) external_secrets: usize,
    pub(crate) stores: usize,
}

/// A check of a repository.
pub(crate) struct Check {
    pub(crate) findings: Vec<Finding>,
    pub(crate) notes: Vec<Note>,
    pub(crate) counts: Counts,
    documents: Documents,
    /// The keys of `--keyring`.
    keyring: Option<Known>,
    /// The namespace of manifests that name none.
    namespace: Option<String>,
    today: Date,
}

impl Check {
    /// A check in which values may be sealed to the keys of these files; without any, to those of `.bulla.yaml`.
    pub(crate) fn new(keyring: &[PathBuf], namespace: Option<String>) -> Outcome<Self> {
        let keyring = if keyring.is_empty() { None } else { Some(Known::read(keyring)?) };
        Ok(Self {
            findings: Vec::new(),
            notes: Vec::new(),
            counts: Counts::default(),
            documents: Documents::default(),
            today: Timestamp::now().to_zoned(TimeZone::UTC).date(),
            keyring,
            namespace,
        })
    }

    /// Checks one file; `-` is standard input.
    pub(crate) fn file(&mut self, path: &Path) -> Outcome {
        let is_stdin = path == Path::new("-");
        let named = if is_stdin { "standard input".to_owned() } else { shown(path) };
        let text = match input::manifest(path) {
            Ok(text) => text,
            // Too long or not text: no manifest, whatever else it is. Being unable to read it is another matter.
            Err(failure) if failure.is_refusal() => {
                self.note(&named, format!("passed over: {failure}"));
                return Ok(());
            }
            Err(failure) => return Err(failure),
        };
        if !mentions(&text, &KINDS) && !mentions(&text, &["Namespace"]) && !text.contains(leaks::GENERATOR) {
            return Ok(());
        }
        if text.contains("{{") && !is_stdin && is_chart_template(path) {
            self.note(
                &named,
                "passed over: a template of a Helm chart. Check what it renders: helm template CHART | bulla verify -",
            );
            return Ok(());
        }
        if mentions(&text, &KINDS) {
            self.counts.files += 1;
        }
        let rule = if is_stdin { None } else { recipients::rule_for(Some(path))? };
        self.text(path, &named, &text, rule.as_ref(), Part::Whole)
    }

    fn text(&mut self, path: &Path, named: &str, text: &str, rule: Option<&Rule>, part: Part) -> Outcome {
        let syntax = |line: Option<usize>, message: String| {
            let found = Finding::new(&rules::SYNTAX, named, message);
            line.map_or(found.clone(), |line| found.at(line, 1))
        };
        let found = leaks::look(path, text);
        for leak in found.iter().flatten() {
            let found = Finding::new(&rules::PLAIN_SECRET, named, format!("{} in the clear", leak.keys.join(", ")));
            self.findings.push(found.at(leak.line, 1).of(format!("Secret {}", leak.name)).field("data"));
        }
        let has_leaks = found.as_ref().is_some_and(|leaks| !leaks.is_empty());
        let is_readable = found.is_some();
        let namespace = self.namespace.clone().or_else(|| rule.and_then(|rule| rule.namespace.clone()));
        // Where nothing but plain Secrets is in it, it is not read any further: that would copy their values.
        if !has_leaks || mentions(text, &KINDS[..1]) {
            match Document::parse(text.to_owned()) {
                Ok(document) => {
                    let known = match &self.keyring {
                        Some(keyring) => Some(keyring.clone()),
                        None => rule.map(Known::of_rule).transpose()?.flatten(),
                    };
                    let rules = sealed::Rules {
                        file: named,
                        namespace: namespace.as_deref(),
                        known: known.as_ref(),
                        today: self.today,
                    };
                    for manifest in document.manifests().iter().filter(|manifest| manifest.is_sealed_secret()) {
                        self.counts.sealed_secrets += 1;
                        self.counts.values += manifest.entries.len();
                        self.findings.extend(rules.check(manifest));
                    }
                    if !is_readable {
                        let message =
                            "cannot be read as Kubernetes manifests: a field that every object has is of a wrong type";
                        self.findings.push(syntax(None, message.to_owned()));
                    }
                }
                // One document that cannot be read hides the others: each is looked at alone.
                Err(error) if part == Part::Whole && text.contains("{{") => {
                    let said = (self.findings.len(), self.notes.len());
                    for alone in template::apart(text) {
                        self.text(path, named, &alone, rule, Part::Document)?;
                    }
                    if said == (self.findings.len(), self.notes.len()) {
                        self.findings.push(syntax(error.line(), error.to_string()));
                    }
                    return Ok(());
                }
                Err(_) if template::is_one(text) => {
                    let message = "passed over: a template, not YAML. Check what it renders: ... | bulla verify -";
                    if !self.notes.iter().any(|note| note.file == named && note.message == message) {
                        self.note(named, message);
                    }
                    return Ok(());
                }
                Err(error) => {
                    self.findings.push(syntax(error.line(), error.to_string()));
                    return Ok(());
                }
            }
        }
        if mentions(text, &EXTERNAL_KINDS) && is_readable {
            let namespace = namespace.unwrap_or_default();
            if let Err(failure) = self.documents.read_text(path, named, text, &namespace, Take::All) {
                self.findings.push(syntax(None, failure.to_string()));
            }
        }
        Ok(())
    }

    fn note(&mut self, file: &str, message: impl Into<String>) {
        self.notes.push(Note { file: file.to_owned(), message: message.into() });
    }

    /// Checks what takes all files together: ExternalSecrets and the stores that they name.
    pub(crate) fn finish(&mut self) {
        self.counts.external_secrets = self.documents.externals.len();
        self.counts.stores = self.documents.stores.len();
        let mut found = external::check(&self.documents);
        for finding in external::check_stores(&self.documents) {
            if !found.contains(&finding) {
                found.push(finding);
            }
        }
        self.findings.extend(found.into_iter().map(external_finding));
        self.findings.sort_by(|a, b| (&a.file, a.line, &a.path).cmp(&(&b.file, b.line, &b.path)));
        // Two readers may find the same thing wrong in the same place.
        let mut seen = BTreeSet::new();
        self.findings.retain(|one| seen.insert((one.file.clone(), one.line, one.path.clone(), one.message.clone())));
    }
}

fn external_finding(found: external::Finding) -> Finding {
    let external::Finding { file, line, object, path, message, is_missing_store } = found;
    // In a repository, a store may be somewhere else: with another team, or made by hand.
    let (rule, message) = if is_missing_store {
        let given = "in the given files: name the file that has it with --store";
        (&rules::MISSING_STORE, message.replace(given, "in the files that were checked"))
    } else {
        (&rules::EXTERNAL_SECRET, message)
    };
    let found = Finding::new(rule, file, message).of(object).field(path);
    line.map_or(found.clone(), |line| found.at(line, 1))
}

/// The path as people write it.
fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

/// Whether a line of the text says that an object is of one of these kinds.
fn mentions(text: &str, kinds: &[&str]) -> bool {
    text.match_indices("kind").any(|(at, word)| {
        let rest = text[at + word.len()..].trim_start_matches(['"', '\'']).trim_start_matches([' ', '\t']);
        let Some(value) = rest.strip_prefix(':') else { return false };
        let value = value.trim_start_matches([' ', '\t', '"', '\'']);
        let end = value.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(value.len());
        let value = &value[..end];
        kinds.contains(&value)
            || value.strip_suffix("List").is_some_and(|kind| kind.is_empty() || kinds.contains(&kind))
    })
}

/// Whether the file is in the folder `templates` of a Helm chart.
fn is_chart_template(path: &Path) -> bool {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    absolute.ancestors().any(|folder| {
        folder.file_name().is_some_and(|name| name == "templates")
            && folder.parent().is_some_and(|chart| chart.join("Chart.yaml").is_file())
    })
}

#[cfg(test)]
mod tests {
    use super::{KINDS, mentions};

    #[test]
    fn kinds_are_seen_in_yaml_and_json_and_only_as_kinds() {
        for text in
            ["a: b\nkind: Secret\n", "{\"kind\":\"Secret\"}", "kind: 'SecretStore'", "kind: SecretList", "kind: List"]
        {
            assert!(mentions(text, &KINDS), "{text}");
        }
        for text in ["kind: Deployment\n# Secret", "kindness: Secret", "kind: SecretSauce", "Secret"] {
            assert!(!mentions(text, &KINDS), "{text}");
        }
    }
}
