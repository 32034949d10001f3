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
fn other_recipients_are_kept_or_the_value_is_refused() {
    let [old, new, person, stranger] = [(); 4].map(|()| x25519());
    let keyring = keyring([(again(&old), KeyState::Active), (again(&new), KeyState::Active)]);
    let value = sealed(&[&old, &person], Scope::Strict, PLACE);
    let nobody = Targets::newest(&keyring);
    let refused = reseal(&keyring, &nobody, Scope::Strict).value("password", &value);
    let unknown = ResealRefusal::UnknownRecipients { ids: vec![person.key_id()] };
    assert!(unknown.to_string().contains(&person.key_id().to_string()), "{unknown}");
    assert_eq!(refused, Outcome::Refused(unknown));

    let known = Targets { others: vec![stranger.recipient().clone(), person.recipient().clone()], ..nobody };
    let text = new_text(reseal(&keyring, &known, Scope::Strict).value("password", &value));
    let keys = inspect(&text).unwrap().binding.unwrap().keys;
    assert_eq!(keys, [new.key_id(), person.key_id()], "the old key of ours gave its place, the person stayed");
    let theirs = Keyring::new();
    assert!(open(&theirs, &text, PLACE, Scope::Strict).is_err());
    let theirs = self::keyring([(person, KeyState::Active)]);
    assert!(open(&theirs, &text, PLACE, Scope::Strict).is_ok());
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
    let targets = Targets { others: vec![person.recipient().clone()], ..Targets::newest(&keyring) };
    let outcome = reseal(&keyring, &targets, Scope::Strict).value("password", &value);
    let Outcome::Refused(refusal @ ResealRefusal::Seal(SealError::MixedKinds { .. })) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(refusal.to_string().contains("hybrid and x25519"), "{refusal}");
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
        if !known && !people.is_empty() {
            let refused = matches!(outcome, Outcome::Refused(ResealRefusal::UnknownRecipients { .. }));
            prop_assert!(refused);
            return Ok(());
        }
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
