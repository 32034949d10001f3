//! What holds for any value: it comes back as it went in, and nothing but the value itself opens, where it belongs.

use bulla::seal::{Binding, Identity, KeyId, KeyState, Keyring, Place, Refusal, Scope, open, seal};
use bulla::secret::Plaintext;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::given::{
    PLACE, SCOPES, again, base64, bytes, day, each_kind, keyring, refusal, rsa_2048, sealed, sealed_to,
};

fn scope() -> impl Strategy<Value = Scope> {
    prop::sample::select(SCOPES.to_vec())
}

/// Names as Kubernetes has them, and worse.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?", "\\PC{1,40}", Just("x".repeat(253))]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_come_back_in_every_format_and_scope(
        content in prop_oneof![vec(any::<u8>(), 0..100), vec(any::<u8>(), 0..=65_537)],
        scope in scope(), namespace in name(), name in name(), key in name(),
    ) {
        let place = Place { namespace: &namespace, name: &name, key: &key };
        let binding = Binding::new(scope, place, day());
        for identity in each_kind() {
            let recipient = identity.recipient().clone();
            let sealed = seal(&[recipient], &Plaintext::copy_of(&content), &binding).unwrap();
            let id = identity.key_id();
            let keyring = keyring([identity]);
            let opened = open(&keyring, &sealed, place, scope).map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
            prop_assert!(opened.plaintext.same_as(&content));
            prop_assert_eq!(opened.key_id, id);
            if let Some(found) = opened.binding {
                prop_assert_eq!(found, Binding { keys: vec![id], ..binding.clone() });
            }
        }
    }

    #[test]
    fn a_changed_place_or_declaration_is_refused_as_the_scope_says(
        sealed_as in scope(), declared in scope(), namespace in name(), name in name(), key in name(),
        change in prop::sample::select(vec!["namespace", "name", "key"]), changed in name(),
    ) {
        let place = Place { namespace: &namespace, name: &name, key: &key };
        let binding = Binding::new(sealed_as, place, day());
        let (mut there, before) = (place, match change { "namespace" => &namespace, "name" => &name, _ => &key });
        prop_assume!(&changed != before);
        match change {
            "namespace" => there.namespace = &changed,
            "name" => there.name = &changed,
            _ => there.key = &changed,
        }
        let is_bound = match sealed_as {
            Scope::Strict => true,
            Scope::NamespaceWide => change == "namespace",
            Scope::ClusterWide => false,
        };
        for identity in each_kind() {
            let is_native = identity.recipient().certificate().is_none();
            let sealed = seal(&[identity.recipient().clone()], &Plaintext::copy_of(b"x"), &binding).unwrap();
            let outcome = open(&keyring([identity]), &sealed, there, declared).map(|_| ());
            if is_native {
                match outcome {
                    Ok(()) => prop_assert!(!is_bound && sealed_as == declared),
                    Err(Refusal::WrongScope { .. }) => prop_assert!(is_bound),
                    Err(other) => {
                        prop_assert!(!is_bound);
                        prop_assert_eq!(other, Refusal::ScopeDisagrees { sealed: sealed_as, declared });
                    }
                }
            } else {
                // Upstream's rule: the label is all that binds, and the data key is not in it.
                let label = |scope, place: Place<'_>| match scope {
                    Scope::Strict => format!("{}/{}", place.namespace, place.name),
                    Scope::NamespaceWide => place.namespace.to_owned(),
                    Scope::ClusterWide => String::new(),
                };
                let expected = if label(sealed_as, place) == label(declared, there) {
                    Ok(())
                } else {
                    Err(Refusal::NoKeyOpens { tried: 1 })
                };
                prop_assert_eq!(outcome, expected);
            }
        }
    }

    #[test]
    fn any_change_of_any_bytes_is_refused(
        content in vec(any::<u8>(), 0..300), scope in scope(),
        at in any::<prop::sample::Index>(), with in vec(any::<u8>(), 1..40),
    ) {
        for identity in each_kind() {
            let sealed = sealed(&identity, &content, scope);
            let keyring = keyring([identity]);
            let mut altered = bytes(&sealed);
            let at = at.index(altered.len());
            for (byte, new) in altered[at..].iter_mut().zip(&with) {
                *byte = *new;
            }
            prop_assume!(altered != bytes(&sealed));
            prop_assert!(open(&keyring, &base64(&altered), PLACE, scope).is_err());
        }
    }

    #[test]
    fn anything_added_is_refused(content in vec(any::<u8>(), 0..300), extra in vec(any::<u8>(), 1..40)) {
        for identity in each_kind() {
            let sealed = sealed(&identity, &content, Scope::Strict);
            let longer = [bytes(&sealed), extra.clone()].concat();
            prop_assert!(open(&keyring([identity]), &base64(&longer), PLACE, Scope::Strict).is_err());
        }
    }

    #[test]
    fn a_keyring_without_the_key_names_it(count in 1_usize..6, others in 0_usize..3) {
        for generate in [Identity::generate_hybrid, Identity::generate_x25519] {
            let identities: Vec<Identity> = (0..count).map(|_| generate().unwrap()).collect();
            let recipients: Vec<_> = identities.iter().map(|identity| identity.recipient().clone()).collect();
            let ids: Vec<KeyId> = identities.iter().map(Identity::key_id).collect();
            let sealed = sealed_to(&recipients, b"x", Scope::Strict);
            let mut keyring = keyring((0..others).map(|_| generate().unwrap()));
            let missing = refusal(open(&keyring, &sealed, PLACE, Scope::Strict));
            prop_assert_eq!(missing, Refusal::UnknownKey { ids: ids.clone() });
            // A key that was retired is named as such, whether its private half was ever here or not.
            keyring.refuse(ids[count - 1], KeyState::Retired);
            let retired = refusal(open(&keyring, &sealed, PLACE, Scope::Strict));
            prop_assert_eq!(retired, Refusal::RetiredKey { id: ids[count - 1] });
            // Any one of the keys opens.
            for identity in identities {
                let mut keyring = Keyring::new();
                keyring.insert(identity, KeyState::Opening);
                prop_assert!(open(&keyring, &sealed, PLACE, Scope::Strict).is_ok());
            }
        }
    }
}

/// Every bit of a value of each format, but for the hybrid one: of its 1.8 KB, one bit of each byte.
#[test]
fn any_flipped_bit_is_refused() {
    for identity in each_kind() {
        let kind = identity.kind().as_str();
        let sealed = sealed(&identity, b"0123456789", Scope::Strict);
        let keyring = keyring([identity]);
        let file = bytes(&sealed);
        let bits: Vec<usize> = (0..file.len() * 8).filter(|bit| kind != "hybrid" || bit / 8 % 8 == bit % 8).collect();
        for bit in bits {
            let mut altered = file.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&keyring, &base64(&altered), PLACE, Scope::Strict).is_err(), "{kind}: bit {bit}");
        }
    }
}

#[test]
fn any_truncation_is_refused() {
    for identity in each_kind() {
        for content in [&b""[..], b"0123456789"] {
            let sealed = sealed(&identity, content, Scope::Strict);
            let identity = if identity.to_text().is_some() { again(&identity) } else { rsa_2048().identity() };
            let keyring = keyring([identity]);
            let file = bytes(&sealed);
            for length in 0..file.len() {
                assert!(open(&keyring, &base64(&file[..length]), PLACE, Scope::Strict).is_err(), "{length}");
            }
            // As text, too: what is left is no base64, or shorter.
            for length in 0..sealed.len() {
                assert!(open(&keyring, &sealed[..length], PLACE, Scope::Strict).is_err(), "{length}");
            }
        }
    }
}

#[test]
fn chunks_cannot_be_dropped_repeated_or_swapped() {
    const CHUNK: usize = 65_536 + 16;
    for generate in [Identity::generate_hybrid, Identity::generate_x25519] {
        let identity = generate().unwrap();
        let content: Vec<u8> = (0..3 * 65_536_u32).map(|at| (at / 65_536) as u8).collect();
        let file = bytes(&sealed(&identity, &content, Scope::Strict));
        let keyring = keyring([identity]);
        let (head, chunks) = file.split_at(file.len() - 3 * CHUNK);
        let chunk = |number: usize| &chunks[number * CHUNK..(number + 1) * CHUNK];
        assert!(open(&keyring, &base64(&[head, chunk(0), chunk(1), chunk(2)].concat()), PLACE, Scope::Strict).is_ok());
        for order in [&[0, 1][..], &[0, 2], &[1, 2], &[2], &[1, 0, 2], &[0, 1, 2, 2], &[0, 0, 1, 2], &[0, 1, 1, 2], &[]]
        {
            let mut file = head.to_vec();
            order.iter().for_each(|number| file.extend_from_slice(chunk(*number)));
            assert!(open(&keyring, &base64(&file), PLACE, Scope::Strict).is_err(), "{order:?}");
        }
    }
}
