use super::*;
#[test]
fn smoke() {
    let identity = Identity::generate_hybrid().unwrap();
    let place = Place { namespace: "prod", name: "db", key: "password" };
    let binding = Binding::new(Scope::Strict, place, jiff::civil::date(2026, 11, 21));
    let sealed = seal(&[identity.recipient().clone()], &Plaintext::copy_of(b"x"), &binding).unwrap();
    let mut ring = Keyring::new();
    ring.insert(identity, KeyState::Active);
    assert_eq!(open(&ring, &sealed, place, Scope::Strict).unwrap_or_else(|e| panic!("{e}")).plaintext.expose(), b"x");
}
