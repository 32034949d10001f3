//! The name of a certificate's subject in the words of Go's `pkix.Name`: the name under which Java finds it.

use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use super::super::encoding::hex;

/// Types that have a short name, in the order of Go's text.
const KNOWN: [(&str, &str); 9] = [
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.3", "CN"),
    ("2.5.4.17", "POSTALCODE"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.8", "ST"),
    ("2.5.4.7", "L"),
    ("2.5.4.11", "OU"),
    ("2.5.4.10", "O"),
    ("2.5.4.6", "C"),
];

/// The subject of a certificate. Of several common or serial names the last counts, as in Go.
pub(super) fn subject(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let attributes: Vec<_> = certificate.subject().iter_attributes().collect();
    let mut parts = Vec::new();
    for (oid, name) in KNOWN {
        let values = attributes.iter().filter(|attribute| attribute.attr_type().to_id_string() == oid);
        let mut values: Vec<String> =
            values.filter_map(|value| Some(format!("{name}={}", escaped(value.as_str().ok()?)))).collect();
        if matches!(name, "CN" | "SERIALNUMBER") {
            values.drain(..values.len().saturating_sub(1));
        }
        if !values.is_empty() {
            parts.push(values.join("+"));
        }
    }
    for attribute in attributes.iter().rev() {
        let oid = attribute.attr_type().to_id_string();
        if !KNOWN.iter().any(|(known, _)| *known == oid) {
            let value = attribute.attr_value();
            let mut der = vec![u8::try_from(value.header.tag().0).ok()?];
            der.push(u8::try_from(value.data.len()).ok().filter(|length| *length < 0x80)?);
            der.extend_from_slice(value.data);
            parts.push(format!("{oid}=#{}", hex(&der)));
        }
    }
    Some(parts.join(","))
}

fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (index, character) in value.chars().enumerate() {
        let escape = match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => true,
            ' ' => index == 0 || index == last,
            '#' => index == 0,
            _ => false,
        };
        if escape {
            text.push('\\');
        }
        text.push(character);
    }
    text
}
