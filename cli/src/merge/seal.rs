//! What the seal of a value tells from the outside, in one line: never a byte of what is in it.
//!
//! Nothing of it is proven: only opening does that. It is what a reviewer can know.

use std::collections::BTreeSet;

use bulla::seal::{self, Binding, KeyId, Place, Scope};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::document::Manifest;
use crate::output;

/// The seal of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seal {
    /// A sealed value.
    Whole(Facts),
    /// Something else where a sealed value should be, and why it is none. It may be a secret in the clear.
    None(String),
}

/// What is known of a sealed value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// `native` or `kubeseal`.
    pub(crate) format: &'static str,
    /// The kinds of its keys, each once.
    pub(crate) kinds: Vec<String>,
    /// What it says about itself; kubeseal's format says nothing.
    pub(crate) binding: Option<Binding>,
    /// Length in bytes of what it holds.
    pub(crate) held: usize,
    /// A short name for this ciphertext.
    pub(crate) digest: String,
}

/// What tells two seals of one place apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Told {
    pub(crate) format: &'static str,
    pub(crate) kinds: Vec<String>,
    pub(crate) keys: Vec<KeyId>,
    pub(crate) scope: Option<Scope>,
    pub(crate) sealed: Option<String>,
    pub(crate) bytes: usize,
    pub(crate) ciphertext: String,
}

impl Seal {
    /// Looks at a value; `None` is one that is not a string.
    pub(crate) fn of(value: Option<&str>) -> Self {
        let Some(value) = value else { return Self::None("is not a string".to_owned()) };
        match seal::inspect(value) {
            Ok(inspection) => {
                let mut kinds = inspection.kinds;
                kinds.dedup();
                Self::Whole(Facts {
                    format: inspection.format.as_str(),
                    kinds,
                    binding: inspection.binding,
                    held: inspection.held,
                    digest: digest(value),
                })
            }
            Err(refusal) => Self::None(refusal.to_string()),
        }
    }

    /// The facts of a sealed value.
    pub(crate) const fn facts(&self) -> Option<&Facts> {
        match self {
            Self::Whole(facts) => Some(facts),
            Self::None(_) => None,
        }
    }

    /// In one line.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Whole(facts) => facts.line(),
            Self::None(problem) => format!("NOT SEALED: {problem}"),
        }
    }
}

impl Facts {
    /// In one line: the same for the same ciphertext, another one for any other.
    fn line(&self) -> String {
        let mut parts = vec![format!("{} {}", self.format, self.kinds.join("+"))];
        if let Some(binding) = &self.binding {
            let ids: Vec<String> = binding.keys.iter().map(short).collect();
            parts[0].push_str(&format!(" to {}", ids.join(" ")));
            parts.push(place(binding));
            parts.push(format!("sealed {}", binding.sealed));
        }
        parts.push(format!("{} bytes", self.held));
        if let Some(binding) = &self.binding {
            parts.extend(binding.not_after.map(|date| format!("replace after {date}")));
            parts.extend(binding.owner.as_ref().map(|owner| format!("owner {owner:?}")));
        }
        parts.push(format!("ciphertext {}", self.digest));
        parts.join(", ")
    }

    /// The keys that open it, as far as it names them.
    pub(crate) fn keys(&self) -> BTreeSet<KeyId> {
        self.binding.iter().flat_map(|binding| binding.keys.iter().copied()).collect()
    }

    /// For machines.
    pub(crate) fn told(&self) -> Told {
        Told {
            format: self.format,
            kinds: self.kinds.clone(),
            keys: self.binding.as_ref().map(|binding| binding.keys.clone()).unwrap_or_default(),
            scope: self.binding.as_ref().map(|binding| binding.scope),
            sealed: self.binding.as_ref().map(|binding| binding.sealed.to_string()),
            bytes: self.held,
            ciphertext: self.digest.clone(),
        }
    }
}

/// Whether a value that stands under `key` of `object` may be used there, as far as that can be seen from outside.
/// kubeseal's values do not say: `None`.
pub(crate) fn fits(value: &str, object: &Manifest, key: &str) -> Option<bool> {
    let binding = seal::inspect(value).ok()?.binding?;
    // What the manifest leaves open is for others to say.
    let namespace = object.namespace.as_deref().or(binding.namespace.as_deref()).unwrap_or_default().to_owned();
    let name = object.name.as_deref().or(binding.name.as_deref()).unwrap_or_default().to_owned();
    Some(binding.admits(Place { namespace: &namespace, name: &name, key }, object.scope()).is_ok())
}

/// The first half of a key's id.
pub(crate) fn short(id: &KeyId) -> String {
    output::short(&id.to_string()).to_owned()
}

fn place(binding: &Binding) -> String {
    let parts = [&binding.namespace, &binding.name, &binding.key];
    let parts: Vec<String> = parts.into_iter().flatten().map(|part| part.escape_debug().to_string()).collect();
    format!("{} {}", binding.scope, parts.join("/")).trim_end().to_owned()
}

/// Line breaks aside, which may be in a folded value.
fn digest(value: &str) -> String {
    let bytes: Vec<u8> = value.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    Sha256::digest(bytes).iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}
