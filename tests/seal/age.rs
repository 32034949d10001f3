//! The real `age` 1.3 and ours read each other's files and keys, so that a disaster never depends on Bulla.

use std::fs;
use std::path::PathBuf;

use bulla::seal::{Identity, KeyKind, Scope, inspect, open};
use tempfile::TempDir;

use crate::given::{PLACE, SCOPES, again, base64, bytes, keyring, one, sealed, sealed_to};
use crate::support::tools::{age, age_keygen, stdout_of};

/// Empty, binary, and around the edges of age's chunks of 64 KiB.
fn contents() -> Vec<Vec<u8>> {
    let sizes = [0, 1, 31, 65_535, 65_536, 65_537, 131_072, 200_000];
    sizes.iter().map(|size| (0..*size).map(|at: usize| (at * 7 % 251) as u8).collect()).collect()
}

/// Writes our identity file for `age -i`.
fn identity_file(folder: &TempDir, name: &str, identity: &Identity) -> PathBuf {
    let path = folder.path().join(name);
    let created = "2026-11-21T10:00:00Z".parse().unwrap();
    fs::write(&path, identity.to_file_text(created).unwrap().as_bytes()).unwrap();
    path
}

fn native() -> [Identity; 2] {
    [Identity::generate_hybrid().unwrap(), Identity::generate_x25519().unwrap()]
}

#[test]
fn age_opens_what_we_seal() {
    let folder = TempDir::new().unwrap();
    for identity in native() {
        let file = identity_file(&folder, identity.kind().as_str(), &identity);
        for content in contents() {
            for scope in SCOPES {
                let sealed = bytes(&sealed(&identity, &content, scope));
                let opened = stdout_of(age(&["-d", "-i", file.to_str().unwrap()], &sealed));
                assert!(opened == content, "{} bytes, {scope}, {}", content.len(), identity.kind().as_str());
            }
        }
    }
}

#[test]
fn age_opens_with_each_of_several_recipients() {
    let folder = TempDir::new().unwrap();
    for generate in [Identity::generate_hybrid, Identity::generate_x25519] {
        let identities: Vec<Identity> = (0..5).map(|_| generate().unwrap()).collect();
        let recipients: Vec<_> = identities.iter().map(|identity| identity.recipient().clone()).collect();
        let sealed = sealed_to(&recipients, b"for five", Scope::Strict);
        for identity in identities {
            let file = identity_file(&folder, "identity", &identity);
            let opened = stdout_of(age(&["-d", "-i", file.to_str().unwrap()], &bytes(&sealed)));
            assert_eq!(opened, b"for five");
            let id = identity.key_id();
            let opened = open(&keyring([identity]), &sealed, PLACE, Scope::Strict).map_err(|e| e.to_string()).unwrap();
            assert_eq!((opened.plaintext.expose(), opened.key_id), (b"for five".as_slice(), id));
        }
    }
}

#[test]
fn age_takes_our_header_as_not_altered_only_while_it_is_not() {
    let folder = TempDir::new().unwrap();
    for identity in native() {
        let file = identity_file(&folder, identity.kind().as_str(), &identity);
        let mut sealed = bytes(&sealed(&identity, b"x", Scope::Strict));
        let stanza = b"-> bulla v1\n";
        let at = sealed.windows(stanza.len()).position(|window| window == stanza).unwrap() + stanza.len();
        sealed[at] = if sealed[at] == b'A' { b'B' } else { b'A' };
        let output = age(&["-d", "-i", file.to_str().unwrap()], &sealed);
        assert!(!output.status.success(), "the binding is covered by the MAC");
        assert!(String::from_utf8_lossy(&output.stderr).contains("bad header MAC"), "{output:?}");
    }
}

#[test]
fn we_open_what_age_seals() {
    for identity in native() {
        let recipient = identity.recipient().to_string();
        let keyring = keyring([again(&identity)]);
        for content in contents() {
            let sealed = base64(&stdout_of(age(&["-r", &recipient], &content)));
            let opened = open(&keyring, &sealed, PLACE, Scope::ClusterWide).map_err(|e| e.to_string()).unwrap();
            assert!(opened.plaintext.same_as(&content), "{} bytes", content.len());
            assert_eq!((opened.binding, opened.key_id), (None, identity.key_id()));
        }
    }
}

#[test]
fn we_open_what_age_seals_to_several_of_both_kinds_of_team() {
    for generate in [Identity::generate_hybrid, Identity::generate_x25519] {
        let others: Vec<String> = (0..3).map(|_| generate().unwrap().recipient().to_string()).collect();
        let ours = generate().unwrap();
        let recipient = ours.recipient().to_string();
        let arguments = ["-r", &others[0], "-r", &others[1], "-r", &recipient, "-r", &others[2]];
        let sealed = base64(&stdout_of(age(&arguments, b"team")));
        assert_eq!(inspect(&sealed).unwrap().kinds, vec![ours.kind().as_str(); 4]);
        let opened = open(&keyring([ours]), &sealed, PLACE, Scope::ClusterWide).map_err(|e| e.to_string()).unwrap();
        assert_eq!(opened.plaintext.expose(), b"team");
    }
}

#[test]
fn keys_of_age_keygen_are_ours_with_the_same_recipient() {
    for (arguments, kind) in [(&["-pq"][..], KeyKind::Hybrid), (&[], KeyKind::X25519)] {
        let file = String::from_utf8(stdout_of(age_keygen(arguments, b""))).unwrap();
        let identity = one(&file);
        assert_eq!(identity.kind(), kind);
        let recipient = identity.recipient().to_string();
        assert!(file.contains(&format!("# public key: {recipient}\n")), "{file}");
        assert_eq!(stdout_of(age_keygen(&["-y"], file.as_bytes())), format!("{recipient}\n").into_bytes());
        // The key itself goes back out as it came in.
        assert!(file.lines().any(|line| line == identity.to_text().unwrap().as_str()));
        // And a value can be sealed to it and opened again.
        let sealed = sealed(&identity, b"x", Scope::Strict);
        assert!(open(&keyring([identity]), &sealed, PLACE, Scope::Strict).is_ok());
    }
}

#[test]
fn age_keygen_derives_our_recipients_from_our_identity_files() {
    let created = "2026-11-21T10:00:00Z".parse().unwrap();
    for identity in native() {
        let file = identity.to_file_text(created).unwrap();
        let recipient = stdout_of(age_keygen(&["-y"], file.as_bytes()));
        assert_eq!(recipient, format!("{}\n", identity.recipient()).into_bytes());
    }
}

#[test]
fn age_refuses_the_mixture_that_we_refuse() {
    let [hybrid, x25519] = native();
    let output = age(&["-r", &hybrid.recipient().to_string(), "-r", &x25519.recipient().to_string()], b"x");
    assert!(!output.status.success(), "then the message of SealError::MixedKinds would be wrong");
}
