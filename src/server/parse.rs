//! Text into JSON values: no more of them than a SealedSecret has, whatever the text.
//!
//! A value costs many times the bytes that it is written with (`[],` becomes a list of its own), so the length of a body
//! does not bound what reading it costs.

use serde_json::Value;

use super::document::Malformed;

/// The most values (objects, lists, texts, numbers) that one body may have. An object of 1.5 MiB, which is what fits into a
/// cluster, has a few thousand.
const VALUES: usize = 20_000;
/// How deep they may stand in each other.
const DEPTH: usize = 64;

const TOO_MANY: Malformed = "the body has too many values, or too deep ones, or aliases";

/// Reads JSON, or YAML with one document and without aliases.
pub(super) fn parse(text: &str) -> Result<Value, Malformed> {
    if text.trim_start().starts_with('{') {
        if values(text) > VALUES {
            return Err(TOO_MANY);
        }
        return serde_json::from_str(text).map_err(|_| "the body is not one valid JSON object");
    }
    // What is wrong with it may quote it: not said.
    serde_saphyr::from_str_with_options(text, yaml()).map_err(|error| {
        let is_over = matches!(error.without_snippet(), serde_saphyr::Error::Budget { .. });
        if is_over { TOO_MANY } else { "the body is neither JSON nor one valid YAML document" }
    })
}

/// At least as many as the text has values, before it is known to be JSON: each but the first follows one of these
/// signs. What stands in quotes is a part of one text.
fn values(json: &str) -> usize {
    let (mut values, mut quoted, mut escaped) = (1_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'[' | b'{' | b',' if !quoted => values += 1,
            _ => {}
        }
    }
    values
}

/// The reader counts while it reads.
fn yaml() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 2,
            max_nodes: VALUES,
            max_events: 3 * VALUES,
            max_depth: DEPTH,
            flow_nesting_limit: DEPTH + 1,
            // Two bytes that stand for megabytes. kubeseal sends JSON, which has none.
            max_aliases: 0,
        },
        emit_comments: false,
        with_snippet: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::body;

    /// As long as a body may be, and not to be read to its end: what is said shows that nobody tried.
    fn filled(start: &str, piece: &str) -> String {
        format!("{start}{}", piece.repeat((body::LIMIT - start.len()) / piece.len()))
    }

    #[test]
    fn megabytes_of_small_values_are_refused_before_they_are_made() {
        let bodies = [
            filled(r#"{"a":["#, "[],"),
            filled(r#"{"a":["#, "[[[]]],"),
            filled("{", r#""":{},"#),
            filled(r#"{"a":["#, r#""\"",0,"#),
            filled(r#"{"a":"#, "["),
            filled("a: [", "[],"),
            filled("a: [", "[[[]]],"),
            filled("a:\n", "- []\n"),
            filled("a:\n", "-\n"),
            filled("a: &a x\nb: [", "*a,"),
        ];
        for body in bodies {
            assert_eq!(parse(&body), Err(TOO_MANY), "{}", &body[..20]);
        }
        // The reader's own limit on depth is not told apart from other faults.
        for body in [filled("a: ", "["), filled("a: ", "{a: "), filled("", "- ")] {
            assert!(parse(&body).is_err(), "{}", &body[..20]);
        }
    }

    #[test]
    fn one_long_text_is_one_value_whatever_it_holds() {
        let text = "[],{\"\\\n".repeat(100_000);
        let object = serde_json::json!({"a": text, "b": [1, 2]});
        assert_eq!(parse(&object.to_string()), Ok(object.clone()));
        assert_eq!(parse(&serde_saphyr::to_string(&object).unwrap()), Ok(object));
    }

    #[test]
    fn the_limit_is_on_the_number_of_values() {
        let list = |length: usize| format!("{{\"a\":[{}0]}}", "0,".repeat(length - 1));
        // The object, its list and what is in it.
        assert!(parse(&list(VALUES - 2)).is_ok());
        assert_eq!(parse(&list(VALUES + 1)), Err(TOO_MANY));
    }
}
