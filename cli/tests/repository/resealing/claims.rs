//! What a header says is the word of whoever wrote it: whoever holds the key tries.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::{in_file, json, keys_of, object, value, x25519};
use crate::checkout::Checkout;

/// The value with other words in its binding, as somebody without its file key can write them.
pub(crate) fn rewritten(sealed: &str, from: &str, to: &str) -> String {
    let bytes = STANDARD.decode(sealed).unwrap();
    let mark = b"-> bulla v1\n";
    let start = bytes.windows(mark.len()).position(|part| part == mark).unwrap() + mark.len();
    let end = start + bytes[start..].windows(2).position(|part| part == b"\n-").unwrap() + 1;
    let body: Vec<u8> = bytes[start..end].iter().copied().filter(|byte| *byte != b'\n').collect();
    let body = String::from_utf8(STANDARD_NO_PAD.decode(body).unwrap()).unwrap();
    assert!(body.contains(from), "{body}");
    let body = STANDARD_NO_PAD.encode(body.replace(from, to));
    let mut lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    if body.len().is_multiple_of(64) {
        lines.push("");
    }
    let body = format!("{}\n", lines.join("\n"));
    STANDARD.encode([&bytes[..start], body.as_bytes(), &bytes[end..]].concat())
}

#[test]
fn a_value_that_claims_the_new_key_is_tried_with_it() {
    let (old, new) = (x25519(), x25519());
    let checkout = Checkout::plain();
    let [old_key, new_key] = [checkout.key_file("old.key", &old), checkout.key_file("new.key", &new)];
    let liar = rewritten(&value(&[old.recipient()], "liar"), &old.key_id().to_string(), &new.key_id().to_string());
    assert_eq!(keys_of(&liar), [new.key_id().to_string()]);
    let text = object(&[("good", value(&[new.recipient()], "good")), ("liar", liar.clone())]);
    checkout.write("db.yaml", &text);
    checkout.write("values.yaml", &format!("token: {liar}\n"));
    let said = format!("says that it is sealed to {}, and does not open with it", new.key_id());
    for arguments in
        [vec!["-i", new_key.as_str()], vec!["-i", &old_key, "-i", &new_key], vec!["--check", "-i", &new_key]]
    {
        let run = checkout.reseal(&arguments).exits(1);
        assert_eq!(run.out.matches(&said).count(), 2, "{}", run.out);
        assert_eq!(checkout.read("db.yaml"), text);
    }
    let report = json(&checkout.reseal(&["-i", &new_key, "--output", "json"]).exits(1));
    assert_eq!((&report["current"], &report["failed"], &report["resealed"]), (&1.into(), &2.into(), &0.into()));

    // The audit too, where it has the key; without one a value's word is all there is.
    checkout.bulla(&["keys", "audit", "-i", &new_key]).exits(0).says(&said);
    let audit = json(&checkout.bulla(&["keys", "audit", "-i", &new_key, "--output", "json"]).exits(0));
    let refuted: Vec<_> = audit["refuted"].as_array().unwrap().iter().map(|one| (&one["file"], &one["line"])).collect();
    assert_eq!(refuted, [(&"db.yaml".into(), &10.into()), (&"values.yaml".into(), &1.into())]);
    let audit = json(&checkout.bulla(&["keys", "audit", "-i", &old_key, "--output", "json"]).exits(0));
    assert!(audit["refuted"].is_null(), "{audit:#}");

    std::fs::remove_file(checkout.path("values.yaml")).unwrap();
    checkout.write("db.yaml", &object(&[("good", in_file(&text, "good"))]));
    checkout.reseal(&["--check", "-i", &new_key]).exits(0);
}
