//! One file: everything that can be said of it without the others.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use bulla_crds::object::GROUP;

use zeroize::Zeroizing;

use super::check::Shared;
use super::duplicates::Written;
use super::judge::{self, Judge, Landing};
use super::kustomize::{Kind, Source, Target};
use super::sealed::{self, Sealed};
use super::{host, leak, rules, template, values};
use crate::document::DocumentError;
use crate::external::{Documents, Take};
use crate::findings::{Finding, Note};
use crate::leaks;
use crate::outline::{Outline, View, within};
use crate::repository::Rule;

/// The kinds that are looked at.
const KINDS: [&str; 6] =
    ["SealedSecret", "Secret", "ExternalSecret", "ClusterExternalSecret", "SecretStore", "ClusterSecretStore"];
/// The kinds that [`Documents`] wants to see, Namespaces for their labels.
const EXTERNAL_KINDS: [&str; 5] =
    ["ExternalSecret", "ClusterExternalSecret", "SecretStore", "ClusterSecretStore", "Namespace"];
/// Kinds that are not ours, and what in their files is looked at.
const OTHERS: [&str; 4] = [leaks::GENERATORS[0], leaks::GENERATORS[1], values::FIELD, values::NATIVE];

/// How one file is looked at.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// Whether what is wrong with it is reported.
    pub(super) is_checked: bool,
    /// Whether a kustomization pulls it in: where its values land is then for the build to say.
    pub(super) is_pulled_in: bool,
    /// Whether it is only a patch, which need not be whole.
    pub(super) is_patch: bool,
    /// Whether a kustomization says that it is a patch of Secrets.
    pub(super) patches_secrets: bool,
}

/// What was seen in a file.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) findings: Vec<Finding>,
    pub(super) notes: Vec<Note>,
    pub(super) is_ours: bool,
    pub(super) sealed_secrets: usize,
    pub(super) values: usize,
    pub(super) documents: Documents,
    /// Secrets that its objects write.
    pub(super) written: Vec<Written>,
    /// Its objects, for builds.
    pub(super) sources: Vec<Source>,
    /// Secrets that its Host documents name, and those that its objects make.
    pub(super) hosts: usize,
    pub(super) named_by_hosts: Vec<host::Reference>,
    pub(super) made: Vec<host::Made>,
    /// The text of standard input, which cannot be read again.
    pub(super) stdin: Option<Zeroizing<String>>,
}

/// Looks at the text of a file; `named` is what it is called in findings.
pub(super) fn look(path: &Path, named: &str, text: &str, shared: &Shared<'_>, look: Look) -> Seen {
    let mut seen = Seen::default();
    let unfilled = unfilled(text);
    let text = unfilled.as_deref().map_or(text, String::as_str);
    let is_external = mentions(text, &EXTERNAL_KINDS);
    let is_host = text.contains("bulla.dev/") && mentions(text, &["Host"]);
    seen.is_ours = is_host || mentions(text, &KINDS);
    if !seen.is_ours && !is_external && !look.patches_secrets && !is_worth_a_look(text) {
        return seen;
    }
    let rule = if path == Path::new("-") { None } else { shared.book.rule_for(path) };
    let mut reader = Reader { path, named, shared, look, rule, seen };
    let is_chart = text.contains("{{") && path != Path::new("-") && is_chart_template(path);
    if is_chart {
        reader.template(text)
    } else {
        reader.text(text, is_external)
    }
    reader.seen
}

/// Reads one file.
struct Reader<'a> {
    path: &'a Path,
    named: &'a str,
    shared: &'a Shared<'a>,
    look: Look,
    rule: Option<Arc<Rule>>,
    seen: Seen,
}

impl Reader<'_> {
    fn text(&mut self, text: &str, is_external: bool) {
        match Outline::parse(text) {
            Ok(outline) => {
                self.outline(&outline, (0, text));
                drop(outline);
                if is_external {
                    self.external(text, 0);
                }
            }
            // One document that is a template, or broken, does not hide the others.
            Err(error) if text.contains("{{") => self.documents_apart(text, &error),
            Err(error) => self.syntax(&error),
        }
    }

    /// A template of a chart, as far as it can be read before it is rendered.
    fn template(&mut self, text: &str) {
        let filled = template::filled_with_texts(text);
        match Outline::parse(&filled) {
            Ok(outline) => self.outline(&outline, (0, &filled)),
            Err(error) => self.documents_apart(text, &error),
        }
    }

    fn documents_apart(&mut self, text: &str, error: &DocumentError) {
        let mut said = false;
        for (before, alone) in template::apart(text) {
            if let Ok(outline) = Outline::parse_part(alone, before) {
                self.outline(&outline, (before, alone));
                drop(outline);
                if mentions(alone, &EXTERNAL_KINDS) {
                    self.external(alone, before);
                }
                continue;
            }
            let filled = template::filled_with_texts(alone);
            match Outline::parse_part(&filled, before) {
                Ok(outline) => self.outline(&outline, (before, &filled)),
                Err(_) if template::is_one(alone) => {
                    let message = "passed over: a template, not YAML. Check what it renders: ... | bulla verify -";
                    if !self.seen.notes.iter().any(|note| note.message == message) {
                        self.seen.notes.push(Note { file: self.named.to_owned(), message: message.to_owned() });
                    }
                }
                Err(error) => self.syntax(&error),
            }
            said = true;
        }
        if !said {
            self.syntax(error);
        }
    }

    fn syntax(&mut self, error: &DocumentError) {
        if !self.seen.is_ours && !super::kustomize::is_kustomization(self.path) {
            return;
        }
        // The place is told beside it.
        let message =
            if let DocumentError::Syntax { message, .. } = error { message.clone() } else { error.to_string() };
        let found = Finding::new(&rules::SYNTAX, self.named, message);
        let found = error.place().map_or(found.clone(), |(line, column)| found.at(line, column));
        self.seen.findings.push(found);
    }

    /// Looks at a text that comes after so many lines of the file.
    fn outline(&mut self, outline: &Outline<'_>, text: (usize, &str)) {
        let found = self.leaks(outline);
        self.seen.is_ours |= !found.is_empty();
        self.seen.findings.extend(found);
        let shared = self.shared;
        let allowed = self.rule.as_ref().and_then(|rule| shared.policy.of(rule));
        let judge = Judge {
            file: self.named,
            keyring: shared.keyring.as_ref(),
            allowed: allowed.as_deref(),
            today: shared.today,
            soon: shared.soon,
        };
        for object in outline.all().filter(|view| view.is_map() && !view.is_alias()) {
            if sealed::is_one(object) {
                self.seen.is_ours = true;
                self.made(object);
                self.sealed(object, &judge);
            } else if host::is_one(object) {
                self.host(object);
            } else if let Some(kind) = external_kind(object) {
                self.made(object);
                self.keep(kind, Arc::new(Sealed::read(object)));
            }
        }
        let (count, findings) = values::check(outline, &judge);
        self.seen.values += count;
        self.seen.findings.extend(findings);
        self.embedded(outline, text, &judge);
    }

    fn made(&mut self, object: View<'_, '_>) {
        let ruled = self.rule.as_ref().and_then(|rule| rule.namespace.as_deref());
        self.seen.made.extend(host::Made::of(object, self.shared.namespace.or(ruled)));
    }

    fn host(&mut self, object: View<'_, '_>) {
        let is_there = |path: &Path| host::find(path, &|path| self.shared.text(path));
        let (findings, references) = host::check(object, self.path, self.named, &is_there);
        self.seen.findings.extend(findings);
        self.seen.hosts += 1;
        self.seen.named_by_hosts.extend(references);
    }

    /// Manifests and values in a text of the file: an inline patch, the values of a release, a ConfigMap.
    fn embedded(&mut self, outline: &Outline<'_>, (before, text): (usize, &str), judge: &Judge<'_>) {
        for view in outline.all().filter(|view| !view.is_alias()) {
            let Some(body) =
                view.text().filter(|body| body.contains('\n') && body.contains(':') && is_worth_a_look(body))
            else {
                continue;
            };
            let Ok(inner) = Outline::parse(body) else { continue };
            let mut findings = self.leaks(&inner);
            for object in inner.all().filter(|view| view.is_map() && sealed::is_one(*view)) {
                let Sealed { entries, data_at, name, namespace, .. } = Sealed::read(object);
                let entries: Vec<_> = entries.into_iter().filter(|entry| !is_null(object, &entry.key)).collect();
                let named = full_name(namespace.as_deref(), name.as_deref());
                self.seen.values += entries.len();
                findings.extend(judge.values(&entries, data_at, Some(&named), "spec.encryptedData"));
            }
            let (count, more) = values::check(&inner, judge);
            self.seen.values += count;
            findings.extend(more);
            if findings.is_empty() {
                continue;
            }
            let (line, column) = view.place();
            let moved = within(text, (line - before.min(line), column), body);
            self.seen.findings.extend(findings.into_iter().map(|found| {
                let (line, column) = moved((found.line.unwrap_or(1), found.column.unwrap_or(1)));
                found.at(before + line, column)
            }));
        }
    }

    fn leaks(&self, outline: &Outline<'_>) -> Vec<Finding> {
        let mut leaks = leaks::look(self.path, outline);
        if self.look.patches_secrets {
            leaks.extend(leaks::operations(self.path, outline));
        }
        leaks.iter().flat_map(|leak| leak::findings(leak, self.named)).collect()
    }

    fn sealed(&mut self, object: View<'_, '_>, judge: &Judge<'_>) {
        let mut sealed = Sealed::read(object);
        if self.look.is_patch {
            sealed.entries.retain(|entry| !is_null(object, &entry.key));
        }
        self.seen.sealed_secrets += 1;
        self.seen.values += sealed.entries.len();
        let ruled = self.rule.as_ref().and_then(|rule| rule.namespace.as_deref());
        let namespace = sealed.namespace.as_deref().or(self.shared.namespace).or(ruled);
        let named = full_name(namespace, sealed.name.as_deref());
        let is_pulled_in = self.look.is_pulled_in;
        self.seen.findings.extend(if self.look.is_patch {
            judge.values(&sealed.entries, sealed.data_at, Some(&named), "spec.encryptedData")
        } else {
            judge.object(&sealed, &named)
        });
        if !is_pulled_in {
            let is_open = sealed.is_named_by_template;
            let landing = Landing {
                namespace: namespace.filter(|_| !is_open || sealed.namespace.is_some()),
                name: sealed.name.as_deref(),
                scope: sealed.scope(),
            };
            for entry in &sealed.entries {
                if let Some(wrong) = judge::place(entry, landing) {
                    let field = format!("spec.encryptedData.{}", entry.key);
                    self.seen.findings.push(wrong.found(self.named, entry.at, Some(named.clone()), field));
                }
            }
        }
        self.keep(Kind::SealedSecret, Arc::new(sealed));
    }

    /// Remembers an object for what takes several files together.
    fn keep(&mut self, kind: Kind, sealed: Arc<Sealed>) {
        if self.look.is_pulled_in {
            self.seen.sources.push(Source { file: Arc::from(self.named), kind, sealed });
        } else if self.look.is_checked && !sealed.is_named_by_template {
            self.seen.written.extend(Written::of(self.path, self.named, &kind, &sealed));
        }
    }

    fn external(&mut self, text: &str, before: usize) {
        // A patch is no object.
        if self.look.is_patch || !(self.look.is_checked || self.look.is_pulled_in) {
            return;
        }
        let ruled = self.rule.as_ref().and_then(|rule| rule.namespace.clone());
        let namespace = self.shared.namespace.map(str::to_owned).or(ruled).unwrap_or_default();
        let read = self.seen.documents.read_part(self.path, self.named, (before, text), &namespace, Take::Checked);
        if let Err(failure) = read {
            let prefix = format!("{}: ", self.named);
            let message = failure.to_string();
            let message = message.strip_prefix(&prefix).unwrap_or(&message).to_owned();
            self.seen.findings.push(Finding::new(&rules::SYNTAX, self.named, message));
        }
    }
}

/// Whether a patch takes a value away, or this is none but a directive.
fn is_null(object: View<'_, '_>, key: &str) -> bool {
    let value = || object.find(&["spec", "encryptedData"]).and_then(|data| data.get(key));
    key == "$patch" || value().is_some_and(View::is_null)
}

/// The text without what only a template's actions leave, where it has to be changed for that.
fn unfilled(text: &str) -> Option<Zeroizing<String>> {
    match leaks::unfilled(text) {
        Cow::Borrowed(_) => None,
        Cow::Owned(text) => Some(Zeroizing::new(text)),
    }
}

/// Whether a text may hold something of ours.
fn is_worth_a_look(text: &str) -> bool {
    leaks::may_hold_one(text) || mentions(text, &KINDS) || OTHERS.iter().any(|word| text.contains(word))
}

/// Kind, namespace and name, as findings say them.
pub(super) fn full_name(namespace: Option<&str>, name: Option<&str>) -> String {
    let name = name.unwrap_or_default();
    let full = namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"));
    format!("SealedSecret {full}")
}

/// The kind of an object of External Secrets.
fn external_kind(object: View<'_, '_>) -> Option<Kind> {
    let text = |field| object.get(field).and_then(View::text);
    text("apiVersion").and_then(|version| version.split_once('/')).filter(|(group, _)| *group == GROUP)?;
    match text("kind")? {
        "ExternalSecret" => Some(target_of(object)),
        "ClusterExternalSecret" => Some(Kind::Store("ClusterExternalSecret")),
        "SecretStore" => Some(Kind::Store("SecretStore")),
        "ClusterSecretStore" => Some(Kind::Store("ClusterSecretStore")),
        _ => None,
    }
}

/// The Secret that an ExternalSecret writes.
fn target_of(object: View<'_, '_>) -> Kind {
    let target = object.find(&["spec", "target"]);
    let text = |field: &str| target.and_then(|target| target.get(field)).and_then(View::text);
    let is_shared = matches!(text("creationPolicy"), Some("Merge" | "None"));
    let is_no_secret = target.is_some_and(|target| target.get("manifest").is_some());
    let target = match text("name") {
        _ if is_shared || is_no_secret => None,
        Some(name) if template::known(name).is_none() => None,
        Some(name) if !name.is_empty() => Some(Target::Named(name.to_owned())),
        Some(_) | None => Some(Target::Same),
    };
    Kind::ExternalSecret { target }
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
