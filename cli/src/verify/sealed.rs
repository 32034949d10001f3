//! The rules for SealedSecrets.

use bulla::seal::{self, Binding, Format, Place, Refusal, Scope};
use bulla_crds::sealed_secret::API_VERSION;
use jiff::civil::Date;

use super::known::Known;
use super::rules;
use crate::document::{Entry, Manifest};
use crate::findings::{Finding, Rule};

/// The annotations that declare a scope.
const SCOPES: [&str; 2] = [Scope::CLUSTER_WIDE_ANNOTATION, Scope::NAMESPACE_WIDE_ANNOTATION];

/// What holds for every SealedSecret of a file.
pub(super) struct Rules<'a> {
    pub(super) file: &'a str,
    /// The namespace of manifests that name none; `None` where nobody says.
    pub(super) namespace: Option<&'a str>,
    /// The keys that values may be sealed to; `None` is any.
    pub(super) known: Option<&'a Known>,
    pub(super) today: Date,
}

impl Rules<'_> {
    /// Everything that is wrong with one.
    pub(super) fn check(&self, manifest: &Manifest) -> Vec<Finding> {
        let namespace = manifest.namespace.as_deref().or(self.namespace);
        let name = manifest.name.as_deref().unwrap_or_default();
        let full = namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"));
        let found = |rule, (line, column), path: String, message: String| {
            Finding::new(rule, self.file, message).at(line, column).of(format!("SealedSecret {full}")).field(path)
        };
        let start = (manifest.line, 1);
        let mut findings = Vec::new();
        if manifest.api_version != API_VERSION {
            let message = format!("{} is not served: write {API_VERSION}", manifest.api_version);
            findings.push(found(&rules::API_VERSION, start, "apiVersion".to_owned(), message));
        }
        if name.is_empty() {
            findings.push(found(&rules::NAME, start, "metadata.name".to_owned(), "must be set".to_owned()));
        }
        for (path, message) in annotations(manifest) {
            findings.push(found(&rules::SCOPE, start, path, message));
        }
        let mut missing = Vec::new();
        for entry in &manifest.entries {
            let path = format!("spec.encryptedData.{}", entry.key);
            for (rule, message) in self.value(entry, manifest, namespace, &mut missing) {
                findings.push(found(rule, (entry.line, entry.column), path.clone(), message));
            }
        }
        // One line an object: a recipient that was added later is missing in every value.
        if let Some(known) = self.known.filter(|_| !missing.is_empty()) {
            let ids: Vec<String> =
                known.ids.iter().filter(|id| missing.contains(id)).map(ToString::to_string).collect();
            let message = format!(
                "some values are not sealed to {}, which {} names: whoever holds only that key cannot open them; seal them again",
                ids.join(" and "),
                known.by
            );
            findings.push(found(&rules::MISSING_RECIPIENT, start, "spec.encryptedData".to_owned(), message));
        }
        findings
    }

    /// What is wrong with one value: the rule that it breaks, and how.
    fn value(
        &self,
        entry: &Entry,
        manifest: &Manifest,
        namespace: Option<&str>,
        missing: &mut Vec<seal::KeyId>,
    ) -> Vec<(&'static Rule, String)> {
        let looked = entry.value.as_deref().map_or(Err(Refusal::NotAString), seal::inspect);
        let inspection = match looked {
            Ok(inspection) => inspection,
            Err(refusal) => return vec![(&rules::SEALED_VALUE, refusal.to_string())],
        };
        let declared = manifest.scope();
        let Some(binding) = inspection.binding else {
            // kubeseal's values say nothing about their place; a plain age file is taken anywhere or nowhere.
            let is_unbound = inspection.format == Format::Native && declared != Scope::ClusterWide;
            return if is_unbound { vec![(&rules::WRONG_PLACE, Refusal::Unbound.to_string())] } else { Vec::new() };
        };
        let mut wrong = Vec::new();
        if let Err(refusal) = admits(&binding, entry, manifest, namespace) {
            let rule =
                if matches!(refusal, Refusal::ScopeDisagrees { .. }) { &rules::SCOPE } else { &rules::WRONG_PLACE };
            wrong.push((rule, refusal.to_string()));
        }
        if let Some(end) = binding.not_after.filter(|end| *end < self.today) {
            let owner = binding.owner.as_ref().map(|owner| format!(" (owner {owner:?})")).unwrap_or_default();
            wrong.push((
                &rules::NOT_AFTER,
                format!("should have been replaced by {end}{owner}: change it where it is from"),
            ));
        }
        if let Some(known) = self.known {
            let unknown: Vec<String> =
                binding.keys.iter().filter(|id| !known.ids.contains(id)).map(ToString::to_string).collect();
            if !unknown.is_empty() {
                let message = format!("is sealed to {}, which {} does not name", unknown.join(" and "), known.by);
                wrong.push((&rules::UNKNOWN_KEY, message));
            }
            if known.is_complete {
                missing.extend(known.ids.iter().filter(|id| !binding.keys.contains(id)));
            }
        }
        wrong
    }
}

/// Whether the value belongs where it is. Where nobody says the namespace, the value's own is taken.
fn admits(binding: &Binding, entry: &Entry, manifest: &Manifest, namespace: Option<&str>) -> Result<(), Refusal> {
    let namespace = namespace.or(binding.namespace.as_deref()).unwrap_or_default();
    let name = manifest.name.as_deref().or(binding.name.as_deref()).unwrap_or_default();
    binding.admits(Place { namespace, name, key: &entry.key }, manifest.scope())
}

/// What is wrong with the annotations that declare a scope.
fn annotations(manifest: &Manifest) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    for name in SCOPES {
        let path = format!("metadata.annotations.{name}");
        if manifest.odd_annotations.iter().any(|odd| odd == name) {
            wrong.push((
                path,
                "must be a string: write \"true\" in quotes, or an API server refuses the object".to_owned(),
            ));
        } else if let Some(value) =
            manifest.annotations.get(name).filter(|value| !matches!(value.as_str(), "true" | "false"))
        {
            wrong.push((path, format!("is {value:?}: only \"true\" counts, so the object is {}", manifest.scope())));
        }
    }
    if SCOPES.iter().all(|name| manifest.annotations.get(*name).is_some_and(|value| value == "true")) {
        let path = format!("metadata.annotations.{}", Scope::NAMESPACE_WIDE_ANNOTATION);
        wrong.push((path, "is without effect beside cluster-wide: keep the one that is meant".to_owned()));
    }
    wrong
}
