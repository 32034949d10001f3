//! What Argo CD and Flux make of an object, in their own rules.
//!
//! Argo CD: the built-in health checks of `bitnami.com/SealedSecret`, `external-secrets.io/ExternalSecret`, the stores and
//! `ClusterExternalSecret` (argo-cd, `resource_customizations/`). Flux: kstatus as kustomize-controller uses it
//! (sigs.k8s.io/cli-utils, `pkg/kstatus/README.md`), with `healthCheckExprs` on top. Told here in Rust, case by case.

use serde_json::Value;

use crate::manifests::text;

/// Argo CD's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Argo {
    Healthy,
    Degraded,
    Progressing,
}

/// Flux' word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flux {
    Current,
    InProgress,
    Failed,
    Terminating,
}

fn conditions(object: &Value) -> &[Value] {
    object.pointer("/status/conditions").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn status<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    conditions(object).iter().find(|condition| condition["type"] == kind).map(|condition| text(condition, "/status"))
}

/// Argo CD's check: the first condition of the kind's type decides; the generation is never looked at.
pub(crate) fn argo(object: &Value) -> Argo {
    let said = match text(object, "/kind") {
        "SealedSecret" => status(object, "Synced"),
        "ExternalSecret" | "SecretStore" | "ClusterSecretStore" => status(object, "Ready"),
        "ClusterExternalSecret" => {
            // Only the last condition counts.
            let last = conditions(object).last().filter(|last| last["status"] == "True");
            return match last.map(|last| text(last, "/type")) {
                Some("Ready") => Argo::Healthy,
                Some("PartiallyReady" | "NotReady") => Argo::Degraded,
                _ => Argo::Progressing,
            };
        }
        kind => panic!("Argo CD has no check for {kind}"),
    };
    match said {
        Some("True") => Argo::Healthy,
        Some("False") => Argo::Degraded,
        _ => Argo::Progressing,
    }
}

/// kstatus: deletion, generation, then `Reconciling`, `Stalled` and `Ready`; who says nothing is current.
pub(crate) fn kstatus(object: &Value) -> Flux {
    if object.pointer("/metadata/deletionTimestamp").is_some() {
        return Flux::Terminating;
    }
    let generations = ["/status/observedGeneration", "/metadata/generation"].map(|pointer| object.pointer(pointer));
    if generations[0].is_some() && generations[0] != generations[1] {
        return Flux::InProgress;
    }
    if status(object, "Reconciling") == Some("True") {
        return Flux::InProgress;
    }
    if status(object, "Stalled") == Some("True") {
        return Flux::Failed;
    }
    match status(object, "Ready") {
        Some("True") | None => Flux::Current,
        Some(_) => Flux::InProgress,
    }
}

/// Flux with the `healthCheckExprs` of `deploy/examples/flux`: the generation as before, then the expressions `failed` and
/// `current`; neither is in progress. Deletion is not looked at, and an object without a status cannot be evaluated, which
/// is tried again.
pub(crate) fn flux_with_expressions(object: &Value) -> Flux {
    let generations = ["/status/observedGeneration", "/metadata/generation"].map(|pointer| object.pointer(pointer));
    if generations[0].is_some() && generations[0] != generations[1] {
        return Flux::InProgress;
    }
    let condition = if text(object, "/kind") == "SealedSecret" { "Synced" } else { "Ready" };
    if status(object, "Stalled") == Some("True") {
        return Flux::Failed;
    }
    if status(object, condition) == Some("True") { Flux::Current } else { Flux::InProgress }
}
