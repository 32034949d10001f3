//! The C2SP test vectors for age (CCTV): every file is either run against our reader or left out for a stated reason,
//! and both are counted, so that none is skipped silently.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;

use bulla::seal::{Damage, MAX_VALUE, Refusal, Scope, open};
use sha2::{Digest as _, Sha256};

use crate::given::{PLACE, base64, keyring, one, refusal};
use crate::support::tools;

struct Vector {
    name: String,
    expect: String,
    payload: Option<String>,
    identities: Vec<String>,
    has_passphrase: bool,
    is_armored: bool,
    file: Vec<u8>,
}

impl Vector {
    fn read(name: String, bytes: &[u8]) -> Self {
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").expect("a blank line ends the vector's header");
        let (mut expect, mut payload, mut identities) = (None, None, Vec::new());
        let (mut has_passphrase, mut is_armored, mut is_compressed) = (false, false, false);
        for line in std::str::from_utf8(&bytes[..end]).unwrap().lines() {
            let (field, value) = line.split_once(": ").unwrap();
            match field {
                "expect" => expect = Some(value.to_owned()),
                "payload" => payload = Some(value.to_owned()),
                "identity" => identities.push(value.to_owned()),
                "armored" => is_armored = value == "yes",
                "compressed" => is_compressed = value == "zlib",
                "passphrase" => has_passphrase = true,
                "file key" | "comment" => {}
                other => panic!("{name}: what is the field {other:?}?"),
            }
        }
        let mut file = bytes[end + 2..].to_vec();
        if is_compressed {
            let compressed = std::mem::take(&mut file);
            flate2::read::ZlibDecoder::new(compressed.as_slice()).read_to_end(&mut file).unwrap();
        }
        Self { name, expect: expect.unwrap(), payload, identities, has_passphrase, is_armored, file }
    }
}

fn vectors() -> Vec<Vector> {
    let mut vectors: Vec<Vector> = fs::read_dir(tools::age_vectors())
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| Vector::read(entry.file_name().into_string().unwrap(), &fs::read(entry.path()).unwrap()))
        .collect();
    vectors.sort_by(|one, other| one.name.cmp(&other.name));
    vectors
}

/// The class of the vectors that an answer of ours belongs to.
#[expect(clippy::wildcard_enum_match_arm, reason = "what no vector may be answered with need not be listed")]
fn class(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NotSealed | Refusal::UnknownVersion { .. } => "header failure",
        Refusal::Corrupt { what: Damage::CutOff | Damage::Header } => "header failure",
        Refusal::Corrupt { what: Damage::HeaderMac } => "HMAC failure",
        Refusal::Corrupt { what: Damage::Payload } => "payload failure",
        Refusal::NoKeyOpens { .. } => "no match",
        other => panic!("no vector should be answered with: {other}"),
    }
}

/// Why a vector says nothing about us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LeftOut {
    /// Sealed values are binary age files in base64, never armored: each of these is refused as no sealed value.
    Armor,
    /// Nobody types a passphrase into a controller: each of these is refused, whatever else is wrong with it.
    Passphrase,
    /// Larger than a Secret may be: each of these is refused before anything is read.
    Large,
}

fn left_out(vector: &Vector) -> Option<LeftOut> {
    if vector.is_armored {
        Some(LeftOut::Armor)
    } else if vector.has_passphrase && vector.identities.is_empty() {
        Some(LeftOut::Passphrase)
    } else if vector.file.len() > 16 * MAX_VALUE {
        Some(LeftOut::Large)
    } else {
        None
    }
}

#[test]
fn every_vector_is_answered_with_its_class_or_left_out_for_a_reason() {
    let (mut applied, mut out) = (BTreeMap::<&str, usize>::new(), BTreeMap::<LeftOut, usize>::new());
    let vectors = vectors();
    for vector in &vectors {
        let name = &vector.name;
        let keyring = keyring(vector.identities.iter().map(|identity| one(identity)));
        let answer = open(&keyring, &base64(&vector.file), PLACE, Scope::ClusterWide);
        if let Some(reason) = left_out(vector) {
            *out.entry(reason).or_default() += 1;
            let refusal = refusal(answer);
            let is_as_stated = match reason {
                LeftOut::Armor => refusal == Refusal::NotSealed,
                LeftOut::Passphrase => matches!(class(&refusal), "no match" | "header failure"),
                LeftOut::Large => matches!(refusal, Refusal::TooLarge { .. }),
            };
            assert!(is_as_stated, "{name}: {refusal}");
            continue;
        }
        let class = match &answer {
            Ok(opened) => {
                let digest = Sha256::digest(opened.plaintext.expose());
                let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(Some(&digest), vector.payload.as_ref(), "{name}: the content");
                "success"
            }
            Err(refusal) => class(refusal),
        };
        assert_eq!(class, vector.expect, "{name}: {:?}", answer.err());
        *applied.entry(class).or_default() += 1;
    }
    assert_eq!(vectors.len(), 143);
    let counts =
        [("HMAC failure", 1), ("header failure", 41), ("no match", 8), ("payload failure", 18), ("success", 15)];
    assert_eq!(applied, BTreeMap::from(counts));
    let counts = [(LeftOut::Armor, 33), (LeftOut::Passphrase, 24), (LeftOut::Large, 3)];
    assert_eq!(out, BTreeMap::from(counts));
}

#[test]
fn the_vectors_open_only_where_the_object_says_cluster_wide() {
    let mut tried = 0;
    for vector in vectors().iter().filter(|vector| vector.expect == "success" && left_out(vector).is_none()) {
        let keyring = keyring(vector.identities.iter().map(|identity| one(identity)));
        for scope in [Scope::Strict, Scope::NamespaceWide] {
            assert_eq!(
                refusal(open(&keyring, &base64(&vector.file), PLACE, scope)),
                Refusal::Unbound,
                "{}",
                vector.name
            );
            tried += 1;
        }
    }
    assert_eq!(tried, 2 * 15);
}
