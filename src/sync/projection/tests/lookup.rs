use super::{pairs, shown, values};
use crate::secret::Plaintext;
use crate::sync::projection::{fields, property};
use crate::sync::remote::Document;

fn opaque(text: &str) -> Document {
    Document::Opaque(Plaintext::copy_of(text.as_bytes()))
}

fn object(text: &str) -> Document {
    Document::Object(Plaintext::copy_of(text.as_bytes()))
}

fn one(document: &Document, name: &str) -> Result<String, String> {
    let name = Some(name).filter(|name| !name.is_empty());
    match property(document, name, "prod/db") {
        Ok(value) => Ok(String::from_utf8_lossy(value.expose()).into_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn all(document: &Document, name: &str) -> Result<Vec<(String, String)>, String> {
    fields(document, Some(name), "prod/db").map(|values| shown(&values)).map_err(|error| error.to_string())
}

#[test]
fn a_property_of_opaque_bytes_is_a_literal_with_dots_then_a_path() {
    let document = opaque(
        r#"{"user":"ann","tls.crt":"PEM","tls":{"crt":"nested","key":"k"},"port":5432,"ratio":1.50,"none":null,
            "yes":true,"list":[1,{"a":2}],"quote":"a\"b\u00e9","big":12345678901234567890123}"#,
    );
    for (name, wanted) in [
        ("user", "ann"),
        ("tls.crt", "PEM"),
        ("tls.key", "k"),
        ("port", "5432"),
        ("ratio", "1.5"),
        ("none", ""),
        ("yes", "true"),
        ("list", r#"[1,{"a":2}]"#),
        ("list.1.a", "2"),
        ("list.#", "2"),
        ("quote", "a\"bé"),
        ("big", "12345678901234567890123"),
    ] {
        assert_eq!(one(&document, name).as_deref(), Ok(wanted), "{name}");
    }
    assert_eq!(one(&document, "tls.none").unwrap_err(), "key tls.none does not exist in secret prod/db");
    assert_eq!(one(&opaque("not json"), "user").unwrap_err(), "key user does not exist in secret prod/db");
    assert_eq!(one(&opaque(" raw \u{0} "), ""), Ok(" raw \u{0} ".to_owned()));
    let bytes = Document::Opaque(Plaintext::copy_of(&[0xff, 0x00]));
    assert_eq!(property(&bytes, None, "k").unwrap().expose(), [0xff, 0x00]);
}

#[test]
fn fields_of_opaque_bytes_are_strings_or_the_json_as_written() {
    let document =
        opaque(r#"{"s":"a\nb","n":1.50,"o":{ "x" : 1 },"l":[1, 2],"t":true,"z":null,"in":{"k":"v"},"s":"last"}"#);
    let wanted = [
        ("in", r#"{"k":"v"}"#),
        ("l", "[1, 2]"),
        ("n", "1.50"),
        ("o", r#"{ "x" : 1 }"#),
        ("s", "last"),
        ("t", "true"),
        ("z", ""),
    ];
    assert_eq!(all(&document, "").unwrap(), pairs(&wanted));
    assert_eq!(all(&document, "in").unwrap(), pairs(&[("k", "v")]));
    assert_eq!(all(&opaque("null"), "").unwrap(), []);
    assert_eq!(all(&opaque(r#"{"s":"{\"k\":1}"}"#), "s").unwrap(), pairs(&[("k", "1")]));
    let not_an_object = "unable to unmarshal secret prod/db: it is not a JSON object";
    for text in ["", "text", "[1]", "5", r#"{"a":1}x"#, r#"{"a":"canary"#] {
        assert_eq!(all(&opaque(text), "").unwrap_err(), not_an_object, "{text}");
    }
    assert_eq!(all(&document, "t").unwrap_err(), not_an_object);
    assert_eq!(all(&document, "nope").unwrap_err(), "key nope does not exist in secret prod/db");
    // Half a surrogate pair, as Go reads it.
    assert_eq!(
        all(&opaque(r#"{"h":"\ud800x","p":"\ud83d\ude00"}"#), "").unwrap(),
        pairs(&[("h", "\u{fffd}x"), ("p", "😀")])
    );
}

#[test]
fn a_property_of_an_object_is_a_literal_key_then_a_path() {
    let document = object(
        r#"{"z":"<&>","a.b":"literal","a":{"b":"path","<":"<x>","n":1.50},"num":1.50,"exp":1e3,"big":123456789012345678901,
            "none":null,"on":false,"list":[2,"<"],"@this":"odd"}"#,
    );
    for (name, wanted) in [
        ("z", "<&>"),
        ("a.b", "literal"),
        ("a", r#"{"\u003c":"\u003cx\u003e","b":"path","n":1.50}"#),
        ("a.n", "1.5"),
        ("num", "1.50"),
        ("exp", "1e3"),
        ("big", "123456789012345678901"),
        ("none", ""),
        ("on", "false"),
        ("list", r#"[2,"\u003c"]"#),
        ("list.1", "<"),
        ("@this", "odd"),
    ] {
        assert_eq!(one(&document, name).as_deref(), Ok(wanted), "{name}");
    }
    assert_eq!(one(&document, "a.c").unwrap_err(), "cannot find secret data for key: \"a.c\"");
    assert_eq!(
        one(&object(r#"{"b":"x&y","a":[1, 2.0],"n":12345678901234567890,"l":"\u2028\u0007"}"#), "").unwrap(),
        r#"{"a":[1,2.0],"b":"x\u0026y","l":"\u2028\u0007","n":12345678901234567890}"#
    );
    assert!(one(&object("[1]"), "").unwrap_err().contains("not a JSON object"));
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(500), "]".repeat(500));
    assert!(one(&object(&deep), "").unwrap_err().contains("not a JSON object"));
}

#[test]
fn fields_of_an_object_lose_no_digit() {
    let document = object(
        r#"{"s":"<","i":9007199254740993,"n":-0,"f":1.50,"e":1.5e3,"small":1e-7,"o":{"b":"<","a":1.0,"i":9007199254740993,"t":1e21,"q":1e-7},"z":null,"t":true}"#,
    );
    let wanted = [
        ("e", "1500"),
        ("f", "1.5"),
        ("i", "9007199254740993"),
        ("n", "-0"),
        ("o", r#"{"a":1,"b":"\u003c","i":9007199254740993,"q":1e-7,"t":1e+21}"#),
        ("s", "<"),
        ("small", "0.0000001"),
        ("t", "true"),
        ("z", ""),
    ];
    assert_eq!(all(&document, "").unwrap(), pairs(&wanted));
    assert_eq!(all(&document, "o").unwrap()[1], ("b".to_owned(), "<".to_owned()));
}

#[test]
fn a_property_of_fields_is_a_name_then_a_path_in_the_first_part() {
    let document = Document::Fields(values(&[
        ("tls.crt", "PEM"),
        ("config", r#"{"user":{"name":"ann"},"a.b":"dotted","n":1.50}"#),
        ("labels", r#"{"app.kubernetes.io/name":"shop"}"#),
        ("plain", "text"),
    ]));
    for (name, wanted) in [
        ("tls.crt", "PEM"),
        ("config.user.name", "ann"),
        ("config.user", r#"{"name":"ann"}"#),
        ("config.n", "1.5"),
        ("config.a.b", "dotted"),
        ("labels.app.kubernetes.io/name", "shop"),
    ] {
        assert_eq!(one(&document, name).as_deref(), Ok(wanted), "{name}");
    }
    for name in ["none", "none.x", "plain.x", "config.user.none"] {
        let wanted = format!("property {name} does not exist in data of secret \"prod/db\"");
        assert_eq!(one(&document, name).unwrap_err(), wanted);
    }
    let mut mangled = values(&[("b", "<a&b>\n\"")]);
    mangled.insert("a".to_owned(), Plaintext::copy_of(&[0xff, 0xfe, b'x']));
    assert_eq!(one(&Document::Fields(mangled), "").unwrap(), r#"{"a":"\ufffd\ufffdx","b":"<a&b>\n\""}"#);
}

#[test]
fn fields_of_fields_are_bytes_or_json_with_quotes() {
    let mut given = values(&[("json", r#"{"s":"<x>","n":1.0,"o":{"b":1,"a":null}}"#), ("text", "t")]);
    given.insert("raw".to_owned(), Plaintext::copy_of(&[0xff]));
    let document = Document::Fields(given);
    assert_eq!(fields(&document, None, "k").unwrap()["raw"].expose(), [0xff]);
    assert_eq!(all(&document, "json").unwrap(), pairs(&[("n", "1"), ("o", r#"{"a":null,"b":1}"#), ("s", "\"<x>\"")]));
    assert_eq!(all(&document, "none").unwrap_err(), "property none does not exist in key prod/db");
    assert!(all(&document, "text").unwrap_err().contains("not a JSON object"));
}

#[test]
fn errors_tell_no_value() {
    let canary = "c4n4ry";
    for document in
        [opaque(canary), object(canary), object("{\"a\":\"c4n4ry"), Document::Fields(values(&[("a", canary)]))]
    {
        for name in ["", "a", "a.b", "x"] {
            for error in [one(&document, name).err(), all(&document, name).err()].into_iter().flatten() {
                assert!(!error.contains(canary), "{error}");
            }
        }
    }
}
