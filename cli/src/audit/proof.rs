//! Whether values open with the keys that they name: what a header says is the word of whoever wrote it.

use bulla::seal::{self, Binding, Keyring, Place};

/// Why a native value does not open although a private key that it names is at hand. `None` if it opens, or if none is:
/// then nobody here can tell.
pub(crate) fn refuted(keyring: &Keyring, sealed: &str, binding: &Binding) -> Option<String> {
    let at_hand: Vec<String> = binding.keys.iter().filter(|id| keyring.contains(id)).map(ToString::to_string).collect();
    if at_hand.is_empty() {
        return None;
    }
    // Where it is bound to, so that only the keys decide.
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    let (namespace, name, key) = (part(&binding.namespace), part(&binding.name), part(&binding.key));
    let place = Place { namespace: &namespace, name: &name, key: &key };
    let refusal = seal::open(keyring, sealed, place, binding.scope).err()?;
    Some(format!("says that it is sealed to {}, and does not open with it: {refusal}", at_hand.join(" and ")))
}
