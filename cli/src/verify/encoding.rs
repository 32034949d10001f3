//! The text of a file, whatever its encoding: what kubectl takes is looked at, and so is a file that only one byte makes
//! no text.

use zeroize::{Zeroize as _, Zeroizing};

use crate::utf16;

/// What is wrong with bytes that are not UTF-8.
const NOT_UTF8: &str = "is not UTF-8 text, so only what can be read of it was looked at";
/// And with those that have a zero byte.
const HAS_ZERO: &str = "has a zero byte, where a reader may stop, so perhaps not all of it was looked at";

/// The text, and why perhaps not all of it can be looked at.
pub(crate) fn text(mut bytes: Zeroizing<Vec<u8>>) -> (Zeroizing<String>, Option<&'static str>) {
    let (text, is_whole) = match utf16::marked(&bytes) {
        Some((letters, unit)) => utf16::text(letters, unit),
        None => match String::from_utf8(std::mem::take(&mut *bytes)) {
            Ok(text) => (Zeroizing::new(text), true),
            Err(error) => {
                let mut bytes = error.into_bytes();
                let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
                bytes.zeroize();
                (text, false)
            }
        },
    };
    if !text.contains('\0') {
        return (text, (!is_whole).then_some(NOT_UTF8));
    }
    // Letters of two bytes without a mark, or one that hides what comes after it.
    let mut text = text;
    let shown = Zeroizing::new(text.replace('\0', ""));
    text.zeroize();
    (shown, Some(HAS_ZERO))
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::text;

    const YAML: &str = "kind: Secret\nstringData: {p: é}\n";

    fn read(bytes: Vec<u8>) -> (String, bool) {
        let (text, doubt) = text(Zeroizing::new(bytes));
        (text.to_string(), doubt.is_some())
    }

    #[test]
    fn text_is_read_in_every_encoding_and_what_is_none_is_told() {
        let units = |unit: fn(u16) -> [u8; 2]| YAML.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        let (little, big) = (units(u16::to_le_bytes), units(u16::to_be_bytes));
        assert_eq!(read(YAML.into()), (YAML.to_owned(), false));
        assert_eq!(read([vec![0xff, 0xfe], little.clone()].concat()), (YAML.to_owned(), false));
        assert_eq!(read([vec![0xfe, 0xff], big].concat()), (YAML.to_owned(), false));
        assert_eq!(read(vec![0xff, 0xfe, b'a', 0, b'b']), ("a".to_owned(), true));
        assert_eq!(read([b"# \xff\n", YAML.as_bytes()].concat()), (format!("# \u{fffd}\n{YAML}"), true));
        assert_eq!(read([b"# \0\n", YAML.as_bytes()].concat()), (format!("# \n{YAML}"), true));
        let (without_mark, is_told) = read(little);
        assert!(without_mark.starts_with("kind: Secret\n") && is_told);
    }
}
