//! What hostile input can make us do. The bounds are generous, so that a slow machine passes; what they rule out is
//! work that grows faster than the input, which would take minutes here.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bulla::seal::{Binding, MAX_RECIPIENTS, MAX_SEALED, MAX_VALUE};
use bulla::seal::{Certificate, Damage, Identity, KeyId, Recipient, Refusal, Scope, SealError, inspect, open, seal};
use bulla::secret::Plaintext;

use crate::given::{PLACE, base64, bytes, day, keyring, one, refusal, rsa_2048, sealed_to};

const MEBIBYTE: usize = 1 << 20;

/// Runs `work` and fails if it took longer than anything linear would, unoptimised and on a busy machine.
#[track_caller]
fn quick<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let answer = work();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{what} took {took:?}");
    answer
}

fn age_file(stanzas: &str) -> String {
    let mac = "A".repeat(43);
    base64(format!("age-encryption.org/v1\n{stanzas}--- {mac}\n{}", "x".repeat(64)).as_bytes())
}

fn hostile_values() -> Vec<(&'static str, String)> {
    let tiny = |count: usize| "-> a\n\n".repeat(count);
    let mut garbage = vec![0; MEBIBYTE];
    let mut state = 1_u32;
    for byte in &mut garbage {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    let behind = |prefix: &[u8]| base64(&[prefix, &garbage].concat());
    vec![
        ("garbage", base64(&garbage)),
        ("garbage as age", behind(b"age-encryption.org/v1\n")),
        ("garbage as a stanza", behind(b"age-encryption.org/v1\n-> ")),
        ("garbage as kubeseal's", behind(&[1, 0])),
        ("garbage as a larger kubeseal's", behind(&[4, 0])),
        ("not base64", "!".repeat(MEBIBYTE)),
        ("line feeds", "\n".repeat(MEBIBYTE)),
        ("spaces", " ".repeat(MEBIBYTE)),
        ("letters on lines of their own", "QQ==\n".repeat(MEBIBYTE / 5)),
        ("100,000 stanzas", age_file(&tiny(100_000))),
        ("stanzas to the limit of recipients", age_file(&tiny(MAX_RECIPIENTS))),
        ("one endless line", age_file(&format!("-> {}\n\n", "a".repeat(MEBIBYTE)))),
        (
            "one endless line that does not end",
            base64(&[b"age-encryption.org/v1\n-> ".as_slice(), &vec![b'a'; MEBIBYTE]].concat()),
        ),
        ("one endless version", base64(&[b"age-encryption.org/v".as_slice(), &vec![b'1'; MEBIBYTE]].concat())),
        ("endless arguments", age_file(&format!("-> a{}\n\n", " b".repeat(MEBIBYTE / 2)))),
        ("an endless body", age_file(&format!("-> a\n{}\n", format!("{}\n", "A".repeat(64)).repeat(MEBIBYTE / 65)))),
        ("endless arguments of a known type", age_file(&format!("-> X25519 {}\n\n", "A".repeat(MEBIBYTE)))),
        (
            "an endless binding",
            age_file(&format!("-> bulla v1\n{}\n", format!("{}\n", "e30g".repeat(16)).repeat(MEBIBYTE / 65))),
        ),
        (
            "deep JSON in the binding",
            age_file(&format!("-> bulla v1\n{}\n\n", format!("{}\n", "W1tb".repeat(16)).repeat(100))),
        ),
        ("longer than any value", "A".repeat(64 * MEBIBYTE)),
    ]
}

#[test]
fn hostile_values_are_refused_quickly() {
    let keys = (0..4).flat_map(|_| [Identity::generate_hybrid().unwrap(), Identity::generate_x25519().unwrap()]);
    let mut keyring = keyring(keys);
    keyring.insert(rsa_2048().identity(), bulla::seal::KeyState::Active);
    for (what, value) in hostile_values() {
        let refused = quick(what, || open(&keyring, &value, PLACE, Scope::ClusterWide).err());
        assert!(refused.is_some(), "{what}");
        // From the outside a value may look whole. It must only be quick.
        drop(quick(what, || inspect(&value)));
    }
}

#[test]
fn the_limits_are_checked_before_the_work() {
    let keyring = keyring([Identity::generate_x25519().unwrap()]);
    let refused = |value: &str| refusal(open(&keyring, value, PLACE, Scope::ClusterWide));
    assert_eq!(
        refused(&"A".repeat(MAX_SEALED + 1)),
        Refusal::TooLarge { characters: MAX_SEALED + 1, limit: MAX_SEALED }
    );
    assert_eq!(refused(&age_file(&"-> a\n\n".repeat(81))), Refusal::Corrupt { what: Damage::TooManyRecipients });
    assert_eq!(refused(&age_file(&"-> a\n\n".repeat(80))), Refusal::NoKeyOpens { tried: 1 });
    let long = [b"age-encryption.org/v1\n--- ".as_slice(), &[b'A'; 43], b"\n", &vec![0; MAX_VALUE + 1024]].concat();
    assert_eq!(refused(&base64(&long)), Refusal::Corrupt { what: Damage::TooLarge });
}

#[test]
fn the_most_recipients_work_and_one_more_does_not() {
    let identities: Vec<Identity> = (0..=MAX_RECIPIENTS).map(|_| Identity::generate_hybrid().unwrap()).collect();
    let recipients: Vec<Recipient> = identities.iter().map(|identity| identity.recipient().clone()).collect();
    let binding = Binding::new(Scope::Strict, PLACE, day());
    assert_eq!(
        seal(&recipients, &Plaintext::copy_of(b"x"), &binding),
        Err(SealError::TooManyRecipients { count: MAX_RECIPIENTS + 1, limit: MAX_RECIPIENTS })
    );
    let sealed = sealed_to(&recipients[..MAX_RECIPIENTS], b"x", Scope::Strict);
    // The first, the last, and all at once.
    let mut identities = identities.into_iter().take(MAX_RECIPIENTS).rev();
    for keyring in [keyring(identities.next()), keyring(identities)] {
        let opened = quick("64 recipients", || open(&keyring, &sealed, PLACE, Scope::Strict));
        assert!(opened.is_ok());
    }
}

/// Somebody lists all our keys and puts rubbish where they would open: one unwrapping a key, not keys by stanzas.
#[test]
fn a_header_that_names_all_our_keys_costs_one_unwrapping_a_key() {
    let identities: Vec<Identity> = (0..MAX_RECIPIENTS).map(|_| Identity::generate_hybrid().unwrap()).collect();
    let mut file = bytes(&sealed_to(
        &identities.iter().map(|identity| identity.recipient().clone()).collect::<Vec<_>>(),
        b"x",
        Scope::Strict,
    ));
    // The last characters of every stanza of ours: 64 wrapped keys that no longer open.
    let lines: Vec<usize> = file.windows(4).enumerate().filter(|(_, w)| w == b"\n-> ").map(|(at, _)| at).collect();
    // Ours and a stanza of no meaning that the age crate adds come after the recipients.
    for at in &lines[1..=MAX_RECIPIENTS] {
        file[at - 20] = if file[at - 20] == b'A' { b'B' } else { b'A' };
    }
    let keyring = keyring(identities);
    let refused =
        quick("64 keys, none of which opens", || refusal(open(&keyring, &base64(&file), PLACE, Scope::Strict)));
    assert_eq!(refused, Refusal::Corrupt { what: Damage::Keys });
}

/// A plain age file names no key: what it may cost is bounded all the same.
#[test]
fn a_plain_age_file_is_not_tried_for_ever() {
    let keyring = keyring((0..64).map(|_| Identity::generate_x25519().unwrap()));
    let foreign: Vec<Recipient> = (0..64).map(|_| Identity::generate_x25519().unwrap().recipient().clone()).collect();
    let file = bytes(&sealed_to(&foreign, b"x", Scope::ClusterWide));
    let at = file.windows(9).position(|window| window == b"-> bulla ").unwrap();
    let plain = [&file[..at + 3], b"other", &file[at + 8..]].concat();
    let refused = quick("64 keys, 64 stanzas", || refusal(open(&keyring, &base64(&plain), PLACE, Scope::ClusterWide)));
    assert_eq!(refused, Refusal::Corrupt { what: Damage::TooManyRecipients });
}

#[test]
fn hostile_keys_are_refused_quickly() {
    let identity = Identity::generate_x25519().unwrap().to_text().unwrap();
    let many = [identity.as_str(), "\n"].concat().repeat(257);
    let mut texts = vec![
        ("nothing", String::new()),
        ("a long line", "A".repeat(MEBIBYTE)),
        ("a long identity", format!("AGE-SECRET-KEY-1{}", "Q".repeat(MEBIBYTE))),
        ("a long recipient", format!("age1{}", "q".repeat(MEBIBYTE))),
        ("a recipient as long as is looked at", format!("age1{}", "q".repeat(4000))),
        ("many comments", "#\n".repeat(MEBIBYTE / 2)),
        ("many lines", "x\n".repeat(MEBIBYTE / 2)),
        ("many identities", many),
        ("many beginnings", "-----BEGIN PRIVATE KEY-----\n".repeat(MEBIBYTE / 28)),
        ("many blocks", "-----BEGIN X-----\nQQ==\n-----END X-----\n".repeat(MEBIBYTE / 40)),
        ("many certificates", "-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n".repeat(MEBIBYTE / 60)),
        ("an endless block", format!("-----BEGIN PRIVATE KEY-----\n{}", "QUFB\n".repeat(MEBIBYTE / 5))),
        (
            "a long certificate",
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", "MIIB".repeat(MEBIBYTE / 4)),
        ),
        ("digits", "0".repeat(MEBIBYTE)),
    ];
    let mut nested = String::from("-----BEGIN CERTIFICATE-----\n");
    writeln!(nested, "{}\n-----END CERTIFICATE-----", base64(&[0x30, 0x80].repeat(100_000))).unwrap();
    texts.push(("nested DER", nested));
    for (what, text) in texts {
        assert!(quick(what, || Identity::parse_all(&text).map(|_| ())).is_err(), "{what}");
        assert!(quick(what, || text.parse::<Recipient>().map(|_| ())).is_err(), "{what}");
        assert!(quick(what, || Certificate::from_pem(text.as_bytes()).map(|_| ())).is_err(), "{what}");
        assert!(quick(what, || text.parse::<KeyId>().map(|_| ())).is_err(), "{what}");
    }
    assert_eq!(one(&identity).to_text().unwrap().as_str(), identity.as_str(), "and what is right still works");
}
