//! What `transformers` do that are files or objects of their own.

use super::read::{Kustomization, Step, Text, strings};
use crate::outline::View;
use crate::verify::sealed::At;

/// Transformers that change neither names nor values.
const HARMLESS: [&str; 5] =
    ["ImageTagTransformer", "ReplicaCountTransformer", "LabelTransformer", "HashTransformer", "ValueAddTransformer"];

/// Reads one object of a kustomization's `transformers`; `at` is where it is named.
pub(super) fn read(into: &mut Kustomization, object: View<'_, '_>, text: &Text<'_>, at: At) {
    let value =
        |path: &[&str]| object.find(path).and_then(View::text).filter(|text| !text.is_empty()).map(str::to_owned);
    let is_builtin = object.get("apiVersion").and_then(View::text) == Some("builtin");
    let kind = value(&["kind"]).unwrap_or_default();
    if !is_builtin {
        into.unclear(at, "transformers", "what a plugin does is not known here");
        into.steps.push(Step::Unknown);
        return;
    }
    match kind.as_str() {
        "NamespaceTransformer" => {
            let only_where_none = value(&["unsetOnly"]).as_deref() == Some("true");
            into.steps.extend(value(&["metadata", "namespace"]).map(|value| Step::Namespace {
                value,
                at,
                only_where_none,
            }));
        }
        "PrefixTransformer" | "SuffixTransformer" | "PrefixSuffixTransformer" if is_for(object, "metadata/name") => {
            into.steps.extend(value(&["prefix"]).map(|value| Step::Prefix { value, at }));
            into.steps.extend(value(&["suffix"]).map(|value| Step::Suffix { value, at }));
        }
        "AnnotationsTransformer" if is_for(object, "metadata/annotations") => {
            let values = object.get("annotations").map(strings).unwrap_or_default();
            into.steps.push(Step::Annotations { values, at });
        }
        "PatchTransformer" | "PatchJson6902Transformer" => into.patch(object, text, "transformers"),
        "PatchStrategicMergeTransformer" => {
            for path in object.get("paths").into_iter().flat_map(View::items) {
                into.patch(path, text, "transformers");
            }
            if let Some(inline) = object.get("patches") {
                into.patch(inline, text, "transformers");
            }
        }
        "ReplacementTransformer" => {
            into.unclear(at, "transformers", "what a replacement puts into names is not known here");
        }
        other if HARMLESS.contains(&other) => {}
        // One of the four above, for other fields.
        "PrefixTransformer" | "SuffixTransformer" | "PrefixSuffixTransformer" | "AnnotationsTransformer" => {}
        _ => {
            into.unclear(at, "transformers", "what this transformer does is not known here");
            into.steps.push(Step::Unknown);
        }
    }
}

/// Whether the field specs of a transformer name a field of SealedSecrets.
fn is_for(object: View<'_, '_>, path: &str) -> bool {
    let text = |spec: View<'_, '_>, field: &str| spec.get(field).and_then(View::text).unwrap_or_default().to_owned();
    object.get("fieldSpecs").into_iter().flat_map(View::items).any(|spec| {
        let (kind, group) = (text(spec, "kind"), text(spec, "group"));
        text(spec, "path") == path
            && matches!(kind.as_str(), "" | "SealedSecret")
            && matches!(group.as_str(), "" | bulla_crds::sealed_secret::GROUP)
    })
}

/// Whether a replacement may change where a SealedSecret lands.
pub(super) fn replaces_places(replacement: View<'_, '_>) -> bool {
    let targets: Vec<View<'_, '_>> = replacement.get("targets").into_iter().flat_map(View::items).collect();
    // In a file of its own: not followed.
    if targets.is_empty() {
        return replacement.get("path").is_some();
    }
    targets.into_iter().any(|target| {
        let kind = target.find(&["select", "kind"]).and_then(View::text);
        let is_place = |field: &str| {
            ["metadata.name", "metadata.annotations", "spec.encryptedData"].iter().any(|place| field.starts_with(place))
        };
        let mut fields = target.get("fieldPaths").into_iter().flat_map(View::items).filter_map(View::text);
        kind.is_none_or(|kind| kind == "SealedSecret") && fields.any(is_place)
    })
}
