//! What verify and rotate find out: pure, and the same work for what opens and what does not.

use std::time::Duration;

use axum::http::StatusCode;
use jiff::civil::Date;

use super::answer::Problem;
use super::document::Document;
use crate::seal::{Format, KeyId, Keyring, Pace, Place, Reseal, Targets, inspect, open_evenly};

/// The most work that one request is worth, by the estimate of [`cost`].
const MOST: Duration = Duration::from_secs(10);
/// One use of a private key: RSA-4096, the hybrid, and X25519 in a file that names no key.
const RSA: Duration = Duration::from_micros(1_600);
const HYBRID: Duration = Duration::from_micros(270);
const UNNAMED: Duration = Duration::from_micros(100);

/// What became of a request.
pub(super) struct Finding {
    /// The answer.
    pub(super) verdict: Verdict,
    /// The keys that opened values, and those that values are sealed to now.
    pub(super) keys: Vec<KeyId>,
}

/// The answer.
pub(super) enum Verdict {
    /// All values open.
    Opens,
    /// Not all values open.
    Closed,
    /// The object with its stale values sealed again, in JSON.
    Rotated(Vec<u8>),
    /// Anything else.
    Problem(Problem),
}

/// One answer for every reason: which of them it was is nobody's business.
const REFUSED: &str = "the SealedSecret was not sealed again: not all of its values open here under its own name, \
    namespace and scope, or one has recipients of another kind than the newest key. Nothing was changed; \
    whoever may read the object's status in the cluster sees what is wrong with it\n";
const LEGACY: &str = "spec.data is the deprecated form that seals a whole Secret at once; it is opened but not sealed \
    again: seal the Secret afresh with kubeseal or bulla seal\n";
const TOO_MUCH: &str = "the SealedSecret has more values than this controller tries all of its keys on for one \
    request: split it, or seal it again with bulla where the keys are\n";

impl Finding {
    const fn problem(problem: Problem) -> Self {
        Self { verdict: Verdict::Problem(problem), keys: Vec::new() }
    }
}

/// Whether every value of the object opens. No template is looked at. The deprecated form of a whole Secret in one value
/// opens only where the controller opens it: `opens_whole_secrets`.
pub(super) fn verify(document: &Document, keyring: &Keyring, opens_whole_secrets: bool) -> Finding {
    if let Some(problem) = too_much(document, keyring) {
        return Finding::problem(problem);
    }
    let (namespace, name, declared) = (document.namespace(), document.name(), document.declared());
    let (mut keys, mut all) = (Vec::new(), true);
    // Two forms in one object never open, nor one that is switched off; each is looked at all the same.
    all &= document.legacy().is_none() || (opens_whole_secrets && document.values().next().is_none());
    for (key, sealed) in document.values().chain(document.legacy().map(|legacy| ("spec.data", legacy))) {
        match open_evenly(keyring, sealed, Place { namespace, name, key }, declared) {
            Ok(opened) => keys.push(opened.key_id),
            Err(_) => all = false,
        }
    }
    keys.sort_unstable();
    keys.dedup();
    Finding { verdict: if all { Verdict::Opens } else { Verdict::Closed }, keys }
}

/// Seals the stale values of the object again, or none of them.
pub(super) fn rotate(document: Document, keyring: &Keyring, today: Date) -> Finding {
    if document.legacy().is_some() {
        return Finding::problem(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "whole-secret-form", LEGACY));
    }
    if let Some(problem) = too_much(&document, keyring) {
        return Finding::problem(problem);
    }
    let targets = Targets::newest(keyring);
    let resealed = Reseal {
        keyring,
        targets: &targets,
        namespace: document.namespace(),
        name: document.name(),
        declared: document.declared(),
        today,
        pace: Pace::Even,
    }
    .object(document.values(), None);
    let keys = resealed.key_ids().into_iter().collect();
    // Written out in either case: that is work too.
    let is_refused = resealed.refusals().next().is_some();
    let verdict = match document.with(&resealed) {
        Some(json) if !is_refused => Verdict::Rotated(json),
        _ => Verdict::Problem(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", REFUSED)),
    };
    Finding { verdict, keys }
}

fn too_much(document: &Document, keyring: &Keyring) -> Option<Problem> {
    let sealed = document.values().map(|(_, sealed)| sealed).chain(document.legacy());
    let total = sealed.fold(Duration::ZERO, |total, sealed| total.saturating_add(cost(sealed, keyring)));
    (total > MOST).then(|| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-much-work", TOO_MUCH))
}

/// What a value costs at most, from its outside.
fn cost(sealed: &str, keyring: &Keyring) -> Duration {
    let Ok(inspection) = inspect(sealed) else { return Duration::ZERO };
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let (rsa, all) = (keyring.rsa_keys(), keyring.iter().count());
    match (inspection.format, &inspection.binding) {
        (Format::Kubeseal, _) => RSA.saturating_mul(count(rsa)),
        (Format::Native, Some(binding)) => HYBRID.saturating_mul(count(binding.keys.len().min(all - rsa).max(1))),
        (Format::Native, None) => UNNAMED.saturating_mul(count(inspection.kinds.len() * (all - rsa))),
    }
}

#[cfg(test)]
mod tests;
