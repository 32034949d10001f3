//! What an action of a Go template writes out by itself: text that stands in it and ends up in what is rendered.
//!
//! `{{ "x" | b64enc }}` writes `x`, `{{ default "x" .Values.pw }}` does where nothing else is given, and
//! `{{ include "x" . }}`, `{{ required "x" .Values.pw }}` and `{{ .Files.Get "x" }}` never do. Only functions that are
//! known to hand their text on count; what any other one does with it is not guessed.

use crate::scan::looks_random;

/// Deeper than any action that somebody wrote; a bound for hostile input.
const MAX_DEPTH: usize = 16;

/// What an action writes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written<'t> {
    /// Nothing, or what only whoever renders it knows.
    Unknown,
    /// Just this text, as it stands.
    Bare(&'t str),
    /// A text that stands in it, encoded or put together.
    Literal,
    /// A text that stands in it, if nothing else is given.
    Fallback {
        /// Whether it looks as if a machine had made it up.
        is_random: bool,
    },
}

/// What an action, braces and all, writes out.
pub(crate) fn written(action: &str) -> Written<'_> {
    let inside = action.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    let Some(inside) = inside else { return Written::Unknown };
    let inside = inside.strip_prefix("- ").unwrap_or(inside);
    let inside = inside.strip_suffix(" -").unwrap_or(inside);
    if inside.trim_start().starts_with("/*") {
        return Written::Unknown;
    }
    let mut reader = Reader { rest: inside, depth: 0 };
    let Some(value) = reader.pipeline().filter(|_| reader.rest.trim().is_empty()) else { return Written::Unknown };
    match value {
        Value::Text { text, is_bare: true } => Written::Bare(text),
        // What has no letter in it is put between others.
        Value::Text { text, .. } if !text.chars().any(char::is_alphanumeric) => Written::Unknown,
        Value::Text { .. } => Written::Literal,
        Value::Fallback(text) if !text.is_empty() => Written::Fallback { is_random: looks_random(text) },
        Value::Fallback(_) | Value::Unknown => Written::Unknown,
    }
}

/// What a part of an action comes to.
#[derive(Clone, Copy)]
enum Value<'t> {
    Unknown,
    /// A text that stands in the action, as it is or changed.
    Text {
        text: &'t str,
        is_bare: bool,
    },
    /// One that is taken if there is nothing else.
    Fallback(&'t str),
}

impl<'t> Value<'t> {
    const fn text(self) -> Option<&'t str> {
        match self {
            Self::Text { text, .. } => Some(text),
            Self::Unknown | Self::Fallback(_) => None,
        }
    }

    const fn changed(self) -> Self {
        match self {
            Self::Text { text, .. } => Self::Text { text, is_bare: false },
            Self::Unknown | Self::Fallback(_) => self,
        }
    }
}

/// One operand of a command.
enum Operand<'t> {
    Word(&'t str),
    Value(Value<'t>),
}

struct Reader<'t> {
    rest: &'t str,
    depth: usize,
}

impl<'t> Reader<'t> {
    /// Commands, each of which gets what the one before it came to. `None` for what is none.
    fn pipeline(&mut self) -> Option<Value<'t>> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let mut before: Option<Value<'t>> = None;
        loop {
            let mut operands = Vec::new();
            while let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            before = Some(call(operands, before)?);
            self.skip_spaces();
            match self.rest.strip_prefix('|') {
                Some(rest) => self.rest = rest,
                None => break,
            }
        }
        self.depth -= 1;
        before
    }

    /// The next operand of a command; `Some(None)` at its end.
    fn operand(&mut self) -> Option<Option<Operand<'t>>> {
        self.skip_spaces();
        let Some(first) = self.rest.chars().next() else { return Some(None) };
        Some(match first {
            '|' | ')' => None,
            '`' => {
                let (text, rest) = self.rest[1..].split_once('`')?;
                self.rest = rest;
                Some(Operand::Value(Value::Text { text, is_bare: true }))
            }
            '"' => {
                let end = end_of_string(&self.rest[1..])?;
                let text = &self.rest[1..=end];
                self.rest = &self.rest[end + 2..];
                // What escapes mean does not matter, but the text is not just this one.
                Some(Operand::Value(Value::Text { text, is_bare: !text.contains('\\') }))
            }
            '(' => {
                self.rest = &self.rest[1..];
                let value = self.pipeline()?;
                self.skip_spaces();
                self.rest = self.rest.strip_prefix(')')?;
                // A field of what is in parentheses.
                let is_field = self.rest.starts_with('.');
                if is_field {
                    self.word();
                }
                Some(Operand::Value(if is_field { Value::Unknown } else { value.changed() }))
            }
            _ => Some(Operand::Word(self.word())),
        })
    }

    fn word(&mut self) -> &'t str {
        let is_end = |letter: char| letter.is_whitespace() || matches!(letter, '|' | '(' | ')' | '"' | '`');
        let end = self.rest.find(is_end).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }
}

/// The last byte of a string before the quote that ends it, from the byte before its first one.
fn end_of_string(text: &str) -> Option<usize> {
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some(at),
            '\\' => drop(letters.next()),
            _ => {}
        }
    }
    None
}

/// What a command comes to, with what was piped into it as its last argument.
fn call<'t>(operands: Vec<Operand<'t>>, piped: Option<Value<'t>>) -> Option<Value<'t>> {
    let mut operands = operands.into_iter();
    let name = match operands.next()? {
        Operand::Word(name) => name,
        Operand::Value(value) if operands.len() == 0 && piped.is_none() => return Some(value),
        Operand::Value(_) => return Some(Value::Unknown),
    };
    let value = |operand| match operand {
        Operand::Value(value) => value,
        Operand::Word(_) => Value::Unknown,
    };
    let all: Vec<Value<'t>> = operands.map(value).chain(piped).collect();
    let last = all.last().copied().unwrap_or(Value::Unknown);
    let texts = || all.iter().filter_map(|value| value.text()).filter(|text| !text.is_empty());
    let is_all_text = all.iter().all(|value| value.text().is_some());
    let together = |all: &[Value<'t>]| {
        let random = all.iter().find(|value| value.text().is_some_and(looks_random));
        let is_text = all.iter().all(|value| value.text().is_some());
        let longest = all.iter().max_by_key(|value| value.text().map_or(0, str::len));
        random.or(longest.filter(|_| is_text)).copied().unwrap_or(Value::Unknown).changed()
    };
    Some(match name {
        "b64enc" | "b32enc" | "quote" | "squote" | "toString" | "trim" | "trunc" | "upper" | "lower" | "title"
        | "untitle" | "nospace" | "indent" | "nindent" | "trimAll" | "trimPrefix" | "trimSuffix" | "replace"
        | "abbrev" | "toJson" | "toYaml" | "toPrettyJson" | "urlquery" | "html" | "js" | "b64dec" | "b32dec"
        | "bcrypt" | "htpasswd" | "repeat" | "wrap" => last.changed(),
        "print" | "println" | "cat" | "list" | "tuple" | "concat" | "join" => together(&all),
        // The first one is no value, unless it is the only one.
        "printf" if all.len() > 1 => together(&all[1..]),
        "printf" => last.changed(),
        "default" => match (all.first().copied().and_then(Value::text), last) {
            (Some(text), Value::Unknown) if all.len() > 1 => Value::Fallback(text),
            _ => last.changed(),
        },
        "coalesce" | "or" | "ternary" => match texts().max_by_key(|text| (looks_random(text), text.len())) {
            Some(text) if is_all_text => Value::Text { text, is_bare: false },
            Some(text) => Value::Fallback(text),
            None => Value::Unknown,
        },
        _ => Value::Unknown,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Written, written};

    const RANDOM: &str = "Zq8fKx2nWv7RtmLp9s";

    #[test]
    fn text_that_an_action_hands_on_is_written_out() {
        for action in [
            r#"{{ "hunter2" | b64enc }}"#,
            r#"{{- b64enc "hunter2" | quote -}}"#,
            r#"{{ printf "%s" "hunter2" }}"#,
            r#"{{ printf "hunter2" | b64enc }}"#,
            r#"{{ print "hunter2" }}"#,
            r#"{{ ("hunter2" | b64enc) }}"#,
            r#"{{ join "" (list "hunt" "er2") | b64enc }}"#,
            r#"{{ default "" "hunter2" }}"#,
            r#"{{ htpasswd .Values.user "hunter2" }}"#,
            r#"{{ printf "%s-%s" .Release.Name "Zq8fKx2nWv7RtmLp9s" | b64enc }}"#,
            r#"{{ "hunt\"er2" }}"#,
        ] {
            assert_eq!(written(action), Written::Literal, "{action}");
        }
        assert_eq!(written("{{ `hunter2` }}"), Written::Bare("hunter2"));
        assert_eq!(written(r#"{{- "hunter2" -}}"#), Written::Bare("hunter2"));
    }

    #[test]
    fn what_is_taken_where_nothing_else_is_given_is_told_apart() {
        let random = [
            format!("{{{{ default \"{RANDOM}\" .Values.pw }}}}"),
            format!("{{{{ .Values.pw | default \"{RANDOM}\" | b64enc | quote }}}}"),
            format!("{{{{ coalesce .Values.a .Values.b `{RANDOM}` }}}}"),
            format!("{{{{ or .Values.a \"{RANDOM}\" }}}}"),
            format!("{{{{ ternary \"{RANDOM}\" \"\" .Values.on }}}}"),
        ];
        for action in random {
            assert_eq!(written(&action), Written::Fallback { is_random: true }, "{action}");
        }
        assert_eq!(written(r#"{{ default "admin" .Values.user }}"#), Written::Fallback { is_random: false });
    }

    #[test]
    fn names_messages_patterns_and_formats_are_not() {
        for action in [
            "{{ .Values.password | b64enc }}",
            r#"{{ include "chart.fullname" . }}"#,
            r#"{{ include "chart.secret" . | b64enc | quote }}"#,
            r#"{{ required "Zq8fKx2nWv7RtmLp9s" .Values.password }}"#,
            r#"{{ required "a password is needed" .Values.password | b64enc }}"#,
            r#"{{ lookup "v1" "Secret" .Release.Namespace "db" }}"#,
            r#"{{ tpl "{{ .Values.password }}" . }}"#,
            r#"{{ index .Values "global" "password" }}"#,
            r#"{{ get $secret "password" | b64enc }}"#,
            r#"{{ (lookup "v1" "Secret" "a" "b").data.password }}"#,
            r#"{{ index (lookup "v1" "Secret" "a" "b").data "password" }}"#,
            r#"{{ printf "postgres://%s:%s@db/app" .Values.user .Values.password | b64enc }}"#,
            r#"{{ printf "%s-db" (include "chart.name" .) }}"#,
            r#"{{ .Files.Get "tls.key" | b64enc }}"#,
            r#"{{ $password := "x" }}"#,
            r#"{{ if eq .Values.mode "production" }}"#,
            "{{ randAlphaNum 32 | b64enc }}",
            r#"{{ default (randAlphaNum 32) .Values.password }}"#,
            r#"{{ .Values.password | default "" | b64enc }}"#,
            r#"{{ .Values.password | replace "a" "b" }}"#,
            r#"{{ regexReplaceAll "x" .Values.password "y" }}"#,
            r#"{{ "{{" }}x"#,
            r#"{{ printf "}}" }}"#,
            "{{/* `hunter2` */}}",
            "{{ \"hunter2",
            "{{}}",
            "{{ | }}",
        ] {
            assert_eq!(written(action), Written::Unknown, "{action}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_action_whatsoever_stops_it(pieces in prop::collection::vec(prop::sample::select(vec![
            "{{", "}}", "(", ")", "\"", "`", "|", "\\", " ", "default", "printf", ".Values.é", "-", "list", "/*", "x",
        ]), 0..40)) {
            let text: String = pieces.concat();
            written(&text);
            written(&format!("{{{{{text}}}}}"));
        }
    }

    #[test]
    fn deep_nesting_is_bounded() {
        assert_eq!(
            written(&format!("{{{{ {}\"x\"{} }}}}", "(".repeat(100_000), ")".repeat(100_000))),
            Written::Unknown
        );
    }
}
