use proptest::prelude::*;

use crate::secret::Plaintext;
use crate::sync::projection::{Decoding, NullBytes, check_null_bytes, decode, decode_all};

fn decoded(strategy: Decoding, text: &str) -> Result<Vec<u8>, String> {
    match decode(strategy, Plaintext::copy_of(text.as_bytes())) {
        Ok(value) => Ok(value.expose().to_vec()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn strategies() {
    use Decoding::{Auto, Base64, Base64Url, None};
    let bad = |name| Err(format!("error applying decoding strategy {name} to data: illegal base64 data"));
    let ok = |bytes: &[u8]| Ok(bytes.to_vec());
    for (strategy, text, wanted) in [
        (None, "aGk=", ok(b"aGk=")),
        (Base64, "aGk=", ok(b"hi")),
        (Base64, "", ok(b"")),
        (Base64, "aG\r\nk=\n", ok(b"hi")),
        // Go does not look at the bits that are left over.
        (Base64, "aGl=", ok(b"hi")),
        (Base64, "aGk", bad("Base64")),
        (Base64, " aGk=", bad("Base64")),
        (Base64, "aGk=aGk=", bad("Base64")),
        (Base64, "-_8=", bad("Base64")),
        (Base64, "+/8=", ok(&[0xfb, 0xff])),
        (Base64Url, "-_8=", ok(&[0xfb, 0xff])),
        (Base64Url, "-_8", bad("Base64URL")),
        (Base64Url, "+/8=", bad("Base64URL")),
        (Auto, "+/8=", ok(&[0xfb, 0xff])),
        (Auto, "-_8=", ok(&[0xfb, 0xff])),
        (Auto, "no base64!", ok(b"no base64!")),
        (Auto, "aGk", ok(b"aGk")),
    ] {
        assert_eq!(decoded(strategy, text), wanted, "{strategy:?} {text:?}");
    }
}

#[test]
fn many_values_name_the_key() {
    let error = decode_all(Decoding::Base64, super::values(&[("a", "aGk="), ("b", "%c4n4ry")])).err().unwrap();
    assert_eq!(
        error.to_string(),
        "failure decoding key b: error applying decoding strategy Base64 to data: illegal base64 data"
    );
    let decoded = decode_all(Decoding::Base64, super::values(&[("a", "aGk=")])).ok().unwrap();
    assert_eq!(super::shown(&decoded), super::pairs(&[("a", "hi")]));
}

#[test]
fn null_bytes() {
    let with = Plaintext::copy_of(b"a\0b");
    let error = check_null_bytes(NullBytes::Fail, "key", &with).unwrap_err().to_string();
    assert!(error.starts_with("fetched secret value for key \"key\" contains null bytes; "), "{error}");
    assert_eq!(check_null_bytes(NullBytes::Ignore, "key", &with), Ok(()));
    assert_eq!(check_null_bytes(NullBytes::Fail, "key", &Plaintext::copy_of(b"ab")), Ok(()));
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(bytes: Vec<u8>) {
        use base64::{Engine as _, prelude::{BASE64_STANDARD, BASE64_URL_SAFE}};
        let (standard, url) = (BASE64_STANDARD.encode(&bytes), BASE64_URL_SAFE.encode(&bytes));
        prop_assert_eq!(decoded(Decoding::Base64, &standard), Ok(bytes.clone()));
        prop_assert_eq!(decoded(Decoding::Base64Url, &url), Ok(bytes.clone()));
        prop_assert_eq!(decoded(Decoding::Auto, &standard), Ok(bytes.clone()));
        prop_assert_eq!(decoded(Decoding::Auto, &url), Ok(bytes));
    }
}
