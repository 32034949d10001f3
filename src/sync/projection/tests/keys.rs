use super::{pairs, shown, values};
use crate::sync::projection::{Conversion, convert_key, convert_keys, validate_keys};

#[test]
fn conversion() {
    for (key, default, unicode) in [
        ("plain-1.2_3", "plain-1.2_3", "plain-1.2_3"),
        ("prod/db", "prod_db", "prod_U002f_db"),
        ("a b", "a_b", "a_U0020_b"),
        ("😀", "_", "_U1f600_"),
        ("größe", "größe", "größe"),
        ("٣", "٣", "٣"),
        // A mark is neither a letter nor a number.
        ("e\u{301}", "e_", "e_U0301_"),
        ("", "", ""),
    ] {
        assert_eq!(convert_key(Conversion::Default, key), default);
        assert_eq!(convert_key(Conversion::Unicode, key), unicode);
    }
}

#[test]
fn keys_that_become_the_same_collide() {
    let given = || values(&[("a/b", "1"), ("a:b", "2")]);
    let error = convert_keys(Conversion::Default, given()).err().unwrap();
    assert_eq!(error.to_string(), "secret name collision during conversion: a_b");
    let converted = convert_keys(Conversion::Unicode, given()).ok().unwrap();
    assert_eq!(shown(&converted), pairs(&[("a_U002f_b", "1"), ("a_U003a_b", "2")]));
}

#[test]
fn validation() {
    let checked =
        |key: &str| validate_keys(values(&[(key, "v")])).map(|values| shown(&values)).map_err(|e| e.to_string());
    assert_eq!(checked("a-._9").unwrap(), pairs(&[("a-._9", "v")]));
    assert_eq!(checked("").unwrap(), []);
    assert_eq!(
        checked("a/b").unwrap_err(),
        "invalid secret keys (TIP: use rewrite or conversionStrategy to change keys): key has invalid character /, only \
         alphanumeric, '-', '.' and '_' are allowed: a/b"
    );
    assert!(checked(&"a".repeat(253)).is_ok());
    assert!(checked(&"a".repeat(254)).unwrap_err().contains("key has length 254 but max is 253"));
}
