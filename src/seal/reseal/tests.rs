//! What is sealed again, what keeps its bytes, and what is refused rather than lost.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;
use crate::seal::{Identity, KeyState};

const PLACE: Place<'static> = Place { namespace: "prod", name: "db", key: "password" };
const SCOPES: [Scope; 3] = [Scope::Strict, Scope::NamespaceWide, Scope::ClusterWide];

fn day() -> Date {
    jiff::civil::date(2026, 11, 21)
}

/// Two RSA keys, as text: making one takes long.
fn rsa(index: usize) -> Identity {
    static KEYS: OnceLock<[String; 2]> = OnceLock::new();
    let make = || {
        let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        pair.serialize_pem()
    };
    let keys = KEYS.get_or_init(|| [make(), make()]);
    Identity::parse_all(&keys[index]).unwrap().remove(0)
}

fn again(identity: &Identity) -> Identity {
    Identity::parse_all(&identity.to_text().unwrap()).unwrap().remove(0)
}

/// Oldest first.
fn keyring(identities: impl IntoIterator<Item = (Identity, KeyState)>) -> Keyring {
    let mut keyring = Keyring::new();
    for (identity, state) in identities {
        keyring.insert(identity, state);
    }
    keyring
}

fn place(key: &str) -> Place<'_> {
    Place { key, ..PLACE }
}

fn x25519() -> Identity {
    Identity::generate_x25519().unwrap()
}

fn sealed(to: &[&Identity], scope: Scope, place: Place<'_>) -> String {
    let to: Vec<Recipient> = to.iter().map(|identity| identity.recipient().clone()).collect();
    seal(&to, &Plaintext::copy_of(b"CANARY"), &Binding::new(scope, place, jiff::civil::date(2020, 1, 1))).unwrap()
}

fn reseal<'a>(keyring: &'a Keyring, targets: &'a Targets, declared: Scope) -> Reseal<'a> {
    let (namespace, name) = (PLACE.namespace, PLACE.name);
    Reseal { keyring, targets, namespace, name, declared, today: day(), pace: Pace::Quick }
}

fn new_text(outcome: Outcome) -> String {
    match outcome {
        Outcome::Resealed { sealed, .. } => sealed,
        Outcome::Kept { .. } | Outcome::Refused(_) => panic!("{outcome:?}"),
    }
}

#[test]
fn only_stale_values_are_sealed_again_and_the_rest_keep_their_bytes() {
    let (old, new) = (x25519(), x25519());
    let (old_id, new_id, rsa_id) = (old.key_id(), new.key_id(), rsa(1).key_id());
    for scope in SCOPES {
        let values = [
            ("fresh", sealed(&[&new], scope, place("fresh"))),
            ("fresh-rsa", sealed(&[&rsa(1)], scope, place("fresh-rsa"))),
            ("stale", sealed(&[&old], scope, place("stale"))),
            ("stale-rsa", sealed(&[&rsa(0)], scope, place("stale-rsa"))),
        ];
        let keys = [(again(&old), KeyState::Opening), (again(&new), KeyState::Active)];
        let keyring = keyring(keys.into_iter().chain([(rsa(0), KeyState::Active), (rsa(1), KeyState::Active)]));
        let targets = Targets::newest(&keyring);
        for pace in [Pace::Quick, Pace::Even] {
            let work = Reseal { pace, ..reseal(&keyring, &targets, scope) };
            let resealed = work.object(values.iter().map(|(key, value)| (*key, value.as_str())), None);
            let changed: Vec<&str> = resealed.changes().map(|(key, _)| key).collect();
            assert_eq!(changed, ["stale", "stale-rsa"], "{scope} {pace:?}");
            assert_eq!(resealed.refusals().count(), 0);
            assert_eq!(resealed.key_ids(), BTreeSet::from([old_id, new_id, rsa_id, rsa(0).key_id()]));
            for (key, value) in resealed.changes() {
                let opened = open(&keyring, value, place(key), scope).unwrap_or_else(|refusal| panic!("{refusal}"));
                assert!(opened.plaintext.same_as(b"CANARY"));
                assert_eq!(opened.key_id, if key == "stale" { new_id } else { rsa_id });
                // A second pass finds nothing to do.
                assert_eq!(work.value(key, value), Outcome::Kept { key: opened.key_id });
            }
            assert!(!format!("{resealed:?}").contains("CANARY"));
        }
    }
}

#[test]
fn a_native_value_keeps_its_binding_but_for_the_day() {
    let (old, new) = (x25519(), Identity::generate_hybrid().unwrap());
    let bound = Binding {
        not_after: Some(jiff::civil::date(2027, 1, 1)),
        owner: Some("payments".to_owned()),
        ..Binding::new(Scope::Strict, PLACE, jiff::civil::date(2020, 1, 1))
    };
    let value = seal(&[old.recipient().clone()], &Plaintext::copy_of(b"x"), &bound).unwrap();
    let new_id = new.key_id();
    let keyring = keyring([(old, KeyState::Opening), (new, KeyState::Active)]);
    let text = new_text(reseal(&keyring, &Targets::newest(&keyring), Scope::Strict).value("password", &value));
    let expected = Binding { sealed: day(), keys: vec![new_id], ..bound };
    assert_eq!(inspect(&text).unwrap().binding, Some(expected));
}

#[test]
fn other_recipients_stay_whether_their_public_halves_are_known_or_not() {
    for make in [Identity::generate_x25519, Identity::generate_hybrid] {
        let [old, new, person, stranger] = [(); 4].map(|()| make().unwrap());
        let keyring = keyring([(again(&old), KeyState::Active), (again(&new), KeyState::Active)]);
        let value = sealed(&[&old, &person], Scope::Strict, PLACE);
        let unknown = Targets::newest(&keyring);
        let known = vec![stranger.recipient().clone(), person.recipient().clone()];
        for targets in [Targets { others: known, ..unknown.clone() }, unknown] {
            let text = new_text(reseal(&keyring, &targets, Scope::Strict).value("password", &value));
            let binding = inspect(&text).unwrap().binding.unwrap();
            assert_eq!(binding.keys, [new.key_id(), person.key_id()], "the old key of ours gave its place");
            assert_eq!(binding.sealed, day());
            assert!(open(&Keyring::new(), &text, PLACE, Scope::Strict).is_err());
            for (identity, opens) in [(&person, true), (&new, true), (&old, false)] {
                let theirs = self::keyring([(again(identity), KeyState::Active)]);
                let opened = open(&theirs, &text, PLACE, Scope::Strict);
                assert_eq!(opened.is_ok_and(|opened| opened.plaintext.same_as(b"CANARY")), opens);
            }
            // And on: the newest key changes once more.
            assert!(matches!(reseal(&keyring, &targets, Scope::Strict).value("password", &text), Outcome::Kept { .. }));
        }
    }
}

#[test]
fn a_header_that_was_altered_is_not_written_anew() {
    let [old, new, person] = [(); 3].map(|()| x25519());
    let (new_id, person_id) = (new.key_id().to_string(), person.key_id().to_string());
    let value = sealed(&[&old, &person], Scope::Strict, PLACE);
    let keyring = keyring([(old, KeyState::Opening), (new, KeyState::Active)]);
    let bytes = crate::seal::decode(&value).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(!text.contains(&new_id) && !text.contains(&person_id), "the ids are in base64");
    for at in (0..bytes.len()).step_by(7) {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        let altered = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, altered);
        let outcome = reseal(&keyring, &Targets::newest(&keyring), Scope::Strict).value("password", &altered);
        assert!(matches!(outcome, Outcome::Refused(_)), "{at}: {outcome:?}");
    }
}

#[test]
fn two_active_keys_of_ours_in_one_value_both_stay_and_a_retired_one_goes() {
    let [shared, old, new, retired, opening] = [(); 5].map(|()| x25519());
    let value = sealed(&[&shared, &old, &retired, &opening], Scope::Strict, PLACE);
    let (ids, gone) = ([new.key_id(), shared.key_id(), old.key_id()], retired.key_id());
    let keyring = keyring([
        (shared, KeyState::Active),
        (old, KeyState::Active),
        (retired, KeyState::Retired),
        (opening, KeyState::Opening),
        (new, KeyState::Active),
    ]);
    assert!(keyring.refusal(&gone).is_some());
    let text = new_text(reseal(&keyring, &Targets::newest(&keyring), Scope::Strict).value("password", &value));
    assert_eq!(inspect(&text).unwrap().binding.unwrap().keys, ids);
}

#[test]
fn a_recipient_that_is_compromised_makes_a_value_stale_also_beside_the_newest_key() {
    let [new, person, leaked] = [(); 3].map(|()| x25519());
    let value = sealed(&[&leaked, &new, &person], Scope::Strict, PLACE);
    let ids = [new.key_id(), person.key_id()];
    let keyring = keyring([(leaked, KeyState::Compromised), (new, KeyState::Active)]);
    let targets = Targets { others: vec![person.recipient().clone()], ..Targets::newest(&keyring) };
    let text = new_text(reseal(&keyring, &targets, Scope::Strict).value("password", &value));
    assert_eq!(inspect(&text).unwrap().binding.unwrap().keys, ids);
}

#[test]
fn kinds_that_age_does_not_mix_are_refused_in_words() {
    let (old, new, person) = (x25519(), Identity::generate_hybrid().unwrap(), x25519());
    let value = sealed(&[&old, &person], Scope::Strict, PLACE);
    let keyring = keyring([(old, KeyState::Active), (new, KeyState::Active)]);
    let unknown = Targets::newest(&keyring);
    for targets in [Targets { others: vec![person.recipient().clone()], ..unknown.clone() }, unknown] {
        let outcome = reseal(&keyring, &targets, Scope::Strict).value("password", &value);
        let Outcome::Refused(refusal @ ResealRefusal::Seal(SealError::MixedKinds { .. })) = outcome else {
            panic!("{outcome:?}");
        };
        assert!(refusal.to_string().contains("hybrid and x25519"), "{refusal}");
    }
}

#[test]
fn what_does_not_open_or_has_no_target_is_refused_and_does_not_stop_the_others() {
    let (ours, foreign) = (x25519(), x25519());
    let values = [
        ("foreign", sealed(&[&foreign], Scope::Strict, place("foreign"))),
        ("good", sealed(&[&ours], Scope::Strict, place("good"))),
        ("moved", sealed(&[&ours], Scope::Strict, place("elsewhere"))),
        ("nonsense", "%%%".to_owned()),
        ("rsa", sealed(&[&rsa(0)], Scope::Strict, place("rsa"))),
        ("wider", sealed(&[&ours], Scope::ClusterWide, place("wider"))),
    ];
    let new = x25519();
    let keys = [(ours, KeyState::Opening), (rsa(0), KeyState::Opening), (new, KeyState::Active)];
    let keyring = keyring(keys);
    let targets = Targets::newest(&keyring);
    let resealed = reseal(&keyring, &targets, Scope::Strict)
        .object(values.iter().map(|(key, value)| (*key, value.as_str())), Some("AgA="));
    let refused: Vec<(&str, String)> = resealed.refusals().map(|(key, refusal)| (key, refusal.to_string())).collect();
    let keys: Vec<&str> = refused.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, ["spec.data", "foreign", "moved", "nonsense", "rsa", "wider"]);
    assert!(refused[0].1.contains("deprecated") && refused[4].1.contains("certificate"), "{refused:?}");
    assert_eq!(resealed.changes().map(|(key, _)| key).collect::<Vec<_>>(), ["good"]);
}

/// A file of plain `age`, which is bound to nothing, in an object that is cluster-wide.
fn plain(to: &[&Identity]) -> String {
    use base64::Engine as _;
    let recipients: Vec<age::x25519::Recipient> =
        to.iter().map(|identity| identity.recipient().to_string().parse().unwrap()).collect();
    let recipients = recipients.iter().map(|recipient| -> &dyn age::Recipient { recipient });
    let mut file = Vec::new();
    let mut writer = age::Encryptor::with_recipients(recipients).unwrap().wrap_output(&mut file).unwrap();
    std::io::Write::write_all(&mut writer, b"x").unwrap();
    writer.finish().unwrap();
    base64::engine::general_purpose::STANDARD.encode(file)
}

#[test]
fn a_plain_age_file_to_one_recipient_becomes_ours_and_one_to_several_is_refused() {
    let [old, new, other] = [(); 3].map(|()| x25519());
    let (alone, shared, fresh) = (plain(&[&old]), plain(&[&old, &other]), plain(&[&new]));
    let new_id = new.key_id();
    let keyring = keyring([(old, KeyState::Opening), (new, KeyState::Active)]);
    let targets = Targets::newest(&keyring);
    let work = reseal(&keyring, &targets, Scope::ClusterWide);
    let text = new_text(work.value("password", &alone));
    assert_eq!(inspect(&text).unwrap().binding.unwrap().scope, Scope::ClusterWide);
    assert_eq!(work.value("password", &shared), Outcome::Refused(ResealRefusal::UnnamedRecipients { count: 2 }));
    assert_eq!(work.value("password", &fresh), Outcome::Kept { key: new_id });
}

/// Counted, not timed: every RSA key is used once on every value, whether it opens, where and with which.
#[test]
fn at_an_even_pace_the_work_does_not_tell_what_opened() {
    let values = [
        sealed(&[&rsa(0)], Scope::Strict, PLACE),
        sealed(&[&rsa(1)], Scope::Strict, PLACE),
        sealed(&[&rsa(1)], Scope::ClusterWide, PLACE),
        sealed(&[&rsa(1)], Scope::Strict, Place { name: "other", ..PLACE }),
    ];
    let keyring = keyring([(rsa(0), KeyState::Active), (rsa(1), KeyState::Active)]);
    let targets = Targets::newest(&keyring);
    let work = Reseal { pace: Pace::Even, ..reseal(&keyring, &targets, Scope::Strict) };
    // Twice: nothing is learnt from the first time.
    for _ in 0..2 {
        let mut opened = Vec::new();
        for value in &values {
            let before = keyring.rsa_operations();
            opened.push(!matches!(work.value("password", value), Outcome::Refused(_)));
            assert_eq!(keyring.rsa_operations() - before, 2);
        }
        assert_eq!(opened, [true, true, false, false]);
    }
    // A damaged payload is not seen before all keys were tried.
    let mut damaged = values[0].clone();
    damaged.replace_range(352..356, "AAAA");
    let before = keyring.rsa_operations();
    assert!(open_evenly(&keyring, &damaged, PLACE, Scope::Strict).is_err());
    assert_eq!(keyring.rsa_operations() - before, 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever a value is and whoever it is sealed to: after sealing again it says the same to all who could read it,
    /// opens nowhere else, and is sealed to the newest key.
    #[test]
    fn nobody_loses_a_value_and_nobody_gains_one(
        content in proptest::collection::vec(any::<u8>(), 0..200),
        scope in prop::sample::select(SCOPES.to_vec()),
        hybrid in any::<bool>(), others in 0_usize..3, known in any::<bool>(), rsa_format in any::<bool>(),
    ) {
        let make = || if hybrid { Identity::generate_hybrid() } else { Identity::generate_x25519() }.unwrap();
        let (old, new) = if rsa_format { (rsa(0), rsa(1)) } else { (make(), make()) };
        let people: Vec<Identity> = (0..if rsa_format { 0 } else { others }).map(|_| make()).collect();
        let mut to = vec![old.recipient().clone()];
        to.extend(people.iter().map(|person| person.recipient().clone()));
        let value = seal(&to, &Plaintext::copy_of(&content), &Binding::new(scope, PLACE, day())).unwrap();
        let new_id = new.key_id();
        let keyring = keyring([(old, KeyState::Active), (new, KeyState::Active)]);
        let mut targets = Targets::newest(&keyring);
        if known {
            targets.others = people.iter().map(|person| person.recipient().clone()).collect();
        }
        let outcome = reseal(&keyring, &targets, scope).value(PLACE.key, &value);
        let text = new_text(outcome);
        let opened = open(&keyring, &text, PLACE, scope).map_err(|r| TestCaseError::fail(r.to_string()))?;
        prop_assert!(opened.plaintext.same_as(&content));
        prop_assert_eq!(opened.key_id, new_id);
        for declared in SCOPES.into_iter().filter(|declared| *declared != scope) {
            prop_assert!(open(&keyring, &text, PLACE, declared).is_err());
        }
        if scope != Scope::ClusterWide {
            let elsewhere = Place { namespace: "dev", ..PLACE };
            prop_assert!(open(&keyring, &text, elsewhere, scope).is_err());
        }
        let kinds = inspect(&text).unwrap().kinds;
        prop_assert_eq!(kinds.len(), 1 + people.len());
        for person in people {
            let theirs = self::keyring([(person, KeyState::Active)]);
            let opened = open(&theirs, &text, PLACE, scope).map_err(|r| TestCaseError::fail(r.to_string()))?;
            prop_assert!(opened.plaintext.same_as(&content));
        }
    }

    /// Hostile texts get an answer.
    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}", key in "\\PC{0,20}") {
        let keyring = keyring([(x25519(), KeyState::Active), (rsa(0), KeyState::Active)]);
        let targets = Targets::newest(&keyring);
        for pace in [Pace::Quick, Pace::Even] {
            let work = Reseal { pace, ..reseal(&keyring, &targets, Scope::ClusterWide) };
            prop_assert!(matches!(work.value(&key, &text), Outcome::Refused(_)));
        }
    }
}

fn ids(of: &[&Identity]) -> Vec<KeyId> {
    of.iter().map(|one| one.key_id()).collect()
}

#[test]
fn exactly_those_that_are_named_get_a_value_and_nobody_else() {
    let [old, new, person, recovery] = [(); 4].map(|()| x25519());
    let keyring = keyring([(again(&old), KeyState::Active)]);
    let targets = Targets::exactly(vec![new.recipient().clone(), recovery.recipient().clone()]);
    let work = reseal(&keyring, &targets, Scope::Strict);
    for before in [&[&old][..], &[&old, &person], &[&old, &new, &recovery], &[&recovery, &old]] {
        let value = sealed(before, Scope::Strict, PLACE);
        assert_eq!(targets.standing(&inspect(&value).unwrap(), &keyring), Standing::Stale);
        let text = new_text(work.value("password", &value));
        assert_eq!(inspect(&text).unwrap().binding.unwrap().keys, ids(&[&new, &recovery]));
        assert_eq!(targets.standing(&inspect(&text).unwrap(), &keyring), Standing::Current);
    }
    // In any order, and without a key of ours: what is as it should be is not opened.
    let value = sealed(&[&recovery, &new], Scope::Strict, PLACE);
    assert!(matches!(work.value("password", &value), Outcome::Kept { .. }));
    // kubeseal's values become native ones, the other way is refused.
    let keyring = self::keyring([(rsa(0), KeyState::Active), (again(&old), KeyState::Active)]);
    let text = new_text(
        reseal(&keyring, &targets, Scope::Strict).value("password", &sealed(&[&rsa(0)], Scope::Strict, PLACE)),
    );
    assert_eq!(inspect(&text).unwrap().binding.unwrap().keys, ids(&[&new, &recovery]));
    let certificate = Targets::exactly(vec![rsa(1).recipient().clone()]);
    let work = reseal(&keyring, &certificate, Scope::Strict);
    let refused = work.value("password", &sealed(&[&old], Scope::Strict, PLACE));
    assert_eq!(refused, Outcome::Refused(ResealRefusal::Downgrade));
    assert!(matches!(work.value("password", &sealed(&[&rsa(0)], Scope::Strict, PLACE)), Outcome::Resealed { .. }));
}

#[test]
fn recipients_are_added_and_taken_away() {
    let [old, new, person, leaver] = [(); 4].map(|()| x25519());
    let keyring = keyring([(again(&old), KeyState::Active), (again(&new), KeyState::Active)]);
    let added = Targets { added: vec![person.recipient().clone()], ..Targets::newest(&keyring) };
    let removed = Targets { removed: [leaver.key_id()].into(), ..Targets::newest(&keyring) };
    let keys = |targets: &Targets, before: &[&Identity]| {
        let text =
            new_text(reseal(&keyring, targets, Scope::Strict).value("password", &sealed(before, Scope::Strict, PLACE)));
        inspect(&text).unwrap().binding.unwrap().keys
    };
    assert_eq!(keys(&added, &[&new, &leaver]), ids(&[&new, &person, &leaver]));
    assert_eq!(keys(&added, &[&old]), ids(&[&new, &person]));
    assert_eq!(keys(&removed, &[&new, &leaver]), ids(&[&new]));
    assert_eq!(keys(&removed, &[&old, &leaver, &person]), ids(&[&new, &person]));
    let work = reseal(&keyring, &added, Scope::Strict);
    assert!(matches!(work.value("password", &sealed(&[&person, &new], Scope::Strict, PLACE)), Outcome::Kept { .. }));
    let rsa_keys = self::keyring([(rsa(0), KeyState::Active), (again(&new), KeyState::Active)]);
    let added = Targets { added: vec![person.recipient().clone()], ..Targets::newest(&rsa_keys) };
    let value = sealed(&[&rsa(0)], Scope::Strict, PLACE);
    let refused = reseal(&rsa_keys, &added, Scope::Strict).value("password", &value);
    assert_eq!(refused, Outcome::Refused(ResealRefusal::OneRecipientOnly));
    let native = Targets { is_native_only: true, ..added };
    let text = new_text(reseal(&rsa_keys, &native, Scope::Strict).value("password", &value));
    assert_eq!(inspect(&text).unwrap().binding.unwrap().keys, ids(&[&new, &person]));
}
