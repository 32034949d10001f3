//! What the public interface cannot show: the parts of the formats, and what the keyring remembers.

use super::*;

#[test]
fn kubeseals_format_is_taken_apart_only_within_its_bounds() {
    let of = |length: u16, rest: usize| [&length.to_be_bytes()[..], &vec![1; rest]].concat();
    assert!(rsa::parts(&[]).is_none() && rsa::parts(&[2]).is_none());
    assert!(rsa::parts(&of(255, 2000)).is_none(), "a modulus below RSA-2048");
    assert!(rsa::parts(&of(1025, 2000)).is_none(), "a modulus above RSA-8192");
    assert!(rsa::parts(&of(256, 256 + 15)).is_none(), "no room for the tag");
    let bytes = of(256, 256 + 16);
    let parts = rsa::parts(&bytes).unwrap();
    assert_eq!((parts.wrapped.len(), parts.ciphertext.len()), (256, 16));
}

#[test]
fn the_oaep_label_is_upstreams() {
    let place = Place { namespace: "prod", name: "db", key: "password" };
    let label = |scope| Binding::new(scope, place, jiff::civil::Date::ZERO).label();
    assert_eq!(label(Scope::Strict), b"prod/db");
    assert_eq!(label(Scope::NamespaceWide), b"prod");
    assert_eq!(label(Scope::ClusterWide), b"");
}

#[test]
fn a_keyring_seals_to_the_newest_active_key_and_keeps_no_retired_one() {
    let [old, new, opening, retired] = [(); 4].map(|()| Identity::generate_x25519().unwrap());
    let ids = [&old, &new, &opening, &retired].map(Identity::key_id);
    let mut keyring = Keyring::new();
    for (identity, state) in [old, new, opening, retired].into_iter().zip([
        KeyState::Active,
        KeyState::Active,
        KeyState::Opening,
        KeyState::Retired,
    ]) {
        keyring.insert(identity, state);
    }
    assert_eq!(keyring.active().map(Recipient::key_id), Some(ids[1]));
    assert!(ids[..3].iter().all(|id| keyring.contains(id) && keyring.refusal(id).is_none()));
    assert!(!keyring.contains(&ids[3]) && keyring.refusal(&ids[3]).is_some());
    assert_eq!(keyring.digest_key().map(|key| DigestKey::id_of(&key.digest([]))), Some(Some(ids[0])));
    keyring.remove(&ids[1]);
    assert_eq!(keyring.active().map(Recipient::key_id), Some(ids[0]));
    assert_eq!(keyring.get(&ids[2]).map(Identity::key_id), Some(ids[2]), "the index follows");
    keyring.refuse(ids[0], KeyState::Retired);
    assert!(keyring.active().is_none());
}

#[test]
fn digests_depend_on_the_key_the_names_the_values_and_where_one_ends() {
    let [one, two] = [(); 2].map(|()| Identity::generate_x25519().unwrap());
    let digest = |identity: &Identity, parts: &[(&'static str, &'static [u8])]| {
        identity.digest_key().digest(parts.iter().copied())
    };
    let base = digest(&one, &[("a", b"bc"), ("d", b"")]);
    assert!(DigestKey::same(&base, &digest(&one, &[("a", b"bc"), ("d", b"")])));
    for other in
        [&[("ab", &b"c"[..]), ("d", b"")][..], &[("a", b"bc")], &[("a", b"bcd")], &[("d", b""), ("a", b"bc")], &[]]
    {
        assert!(!DigestKey::same(&base, &digest(&one, other)));
    }
    assert!(!DigestKey::same(&base, &digest(&two, &[("a", b"bc"), ("d", b"")])));
    assert_eq!(DigestKey::id_of(&base), Some(one.key_id()));
    assert!(!DigestKey::same("", ""), "nothing is not a digest");
    let again = Identity::parse_all(&one.to_text().unwrap()).unwrap().remove(0);
    assert!(DigestKey::same(&base, &digest(&again, &[("a", b"bc"), ("d", b"")])), "the same after a restart");
}

#[test]
fn annotations_are_read_as_upstream_reads_them() {
    let of = |cluster: Option<&'static str>, namespace: Option<&'static str>| {
        Scope::from_annotations(|name| match name {
            Scope::CLUSTER_WIDE_ANNOTATION => cluster,
            Scope::NAMESPACE_WIDE_ANNOTATION => namespace,
            _ => None,
        })
    };
    assert_eq!(of(None, None), Scope::Strict);
    assert_eq!(of(Some("True"), Some("1")), Scope::Strict, "only `true` is");
    assert_eq!(of(None, Some("true")), Scope::NamespaceWide);
    assert_eq!(of(Some("true"), Some("true")), Scope::ClusterWide);
}

#[test]
fn a_value_is_told_by_its_first_bytes() {
    assert_eq!(Format::of(b"age-encryption.org/v9"), Some(Format::Native));
    assert_eq!(Format::of(&[1, 0]), Some(Format::Kubeseal));
    assert_eq!(Format::of(&[4, 0]), Some(Format::Kubeseal));
    for bytes in [&b""[..], b"age-encryption", &[0, 0], &[5, 0], b"-----BEGIN AGE ENCRYPTED FILE-----"] {
        assert_eq!(Format::of(bytes), None);
    }
}

#[test]
fn the_worked_example_of_the_design_is_what_is_written() {
    let identity = Identity::generate_x25519().unwrap();
    let place = Place { namespace: "prod", name: "db", key: "password" };
    let binding = Binding::new(Scope::Strict, place, jiff::civil::date(2026, 11, 21));
    let sealed = seal(&[identity.recipient().clone()], &Plaintext::copy_of(b"x"), &binding).unwrap();
    let bytes = STANDARD.decode(sealed).unwrap();
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let ours = lines.iter().position(|line| *line == b"-> bulla v1").expect("our stanza");
    assert!(lines[1].starts_with(b"-> X25519 "), "one recipient, then ours");
    let body =
        lines[ours + 1..].iter().take_while(|line| !line.starts_with(b"-")).fold(Vec::new(), |mut body, line| {
            base64::engine::general_purpose::STANDARD_NO_PAD.decode_vec(line, &mut body).unwrap();
            body
        });
    let expected = format!(
        r#"{{"scope":"strict","namespace":"prod","name":"db","key":"password","keys":["{}"],"sealed":"2026-11-21"}}"#,
        identity.key_id()
    );
    assert_eq!(std::str::from_utf8(&body).unwrap(), expected);
}
