//! A file with what seals tell in place of ciphertext, for `git diff`.
//!
//! One line a value, the same for the same ciphertext; every other line as it is. What stands in a SealedSecret and is
//! not sealed is not shown either: it may be what somebody forgot to seal.

use std::ops::Range;

use bulla::seal;
use bulla_crds::sealed_secret::KIND;

use super::seal::Seal;
use crate::document::Document;

/// How every native value begins: the first bytes of an age file in base64.
const NATIVE: &str = "YWdlLWVuY3J5cHRpb24ub3Jn";
/// The shortest value of kubeseal's format, in characters: a key of 2048 bits.
const KUBESEAL: usize = 360;

/// These bytes become that text.
struct Splice {
    range: Range<usize>,
    text: String,
}

/// The text as it is shown.
pub(crate) fn shown(text: &str) -> String {
    let is_ours = text.contains(KIND);
    let structured = if is_ours { splices(text) } else { Vec::new() };
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for splice in structured {
        loose(&text[at..splice.range.start], is_ours, &mut out);
        out.push_str(&splice.text);
        at = splice.range.end;
    }
    loose(&text[at..], is_ours, &mut out);
    out
}

/// The values of SealedSecrets, in order; none where the text cannot be read.
fn splices(text: &str) -> Vec<Splice> {
    let Ok(document) = Document::parse(text.to_owned()) else { return Vec::new() };
    let mut splices = Vec::new();
    for (index, manifest) in document.sealed_secrets() {
        let layout = document.layout(index).ok();
        for entry in &manifest.entries {
            let told = format!("<{}>", Seal::of(entry.value.as_deref()).line());
            let placed = layout.as_ref().and_then(|layout| Some((layout.is_flow, layout.entry(&entry.key)?)));
            let Some((is_flow, placed)) = placed else {
                splices.push(Splice { range: entry.span.clone(), text: told });
                continue;
            };
            // Where several stand on one line, each gets its own.
            let begins_line =
                text[..placed.body.start].ends_with(['\n', ' ', '\t']) && text[placed.lead.clone()].contains('\n');
            if is_flow && !begins_line {
                let line = format!("\n{}", " ".repeat(placed.indent + 2));
                splices.push(Splice { range: placed.lead.clone(), text: line });
            }
            let end = placed.value.end;
            let space = if text[..placed.value.start].ends_with(':') { " " } else { "" };
            splices.push(Splice { range: placed.value.start..end, text: format!("{space}{told}") });
        }
    }
    splices.retain(|splice| splice.range.start <= splice.range.end);
    splices.sort_by_key(|splice| splice.range.start);
    let mut end = 0;
    splices.retain(|splice| {
        let is_apart = splice.range.start >= end;
        end = end.max(splice.range.end);
        is_apart
    });
    splices
}

/// Copies text in which sealed values stand by themselves: templates, values of charts, files with conflicts.
fn loose(text: &str, is_ours: bool, out: &mut String) {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let bytes = text.as_bytes();
    let (mut at, mut copied) = (0, 0);
    while at < bytes.len() {
        if !is_base64(bytes[at]) {
            at += 1;
            continue;
        }
        let end = at + bytes[at..].iter().take_while(|byte| is_base64(**byte)).count();
        let run = &text[at..end];
        let may_be = run.starts_with(NATIVE) || (is_ours && run.len() >= KUBESEAL && run.starts_with('A'));
        if may_be && seal::inspect(run).is_ok() {
            out.push_str(&text[copied..at]);
            out.push_str(&format!("<{}>", Seal::of(Some(run)).line()));
            copied = end;
        }
        at = end;
    }
    out.push_str(&text[copied..]);
}

#[cfg(test)]
mod tests {
    use bulla::seal::{Binding, Identity, Place, Scope};
    use bulla::secret::Plaintext;

    use super::shown;

    fn sealed(key: &str) -> String {
        let identity = Identity::generate_x25519().unwrap();
        let place = Place { namespace: "prod", name: "db", key };
        let binding = Binding::new(Scope::Strict, place, "2026-11-21".parse().unwrap());
        bulla::seal::seal(&[identity.recipient().clone()], &Plaintext::copy_of(b"canary-7"), &binding).unwrap()
    }

    const HEAD: &str =
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: db, namespace: prod}\nspec:\n";

    #[test]
    fn each_value_is_one_line_that_tells_what_the_seal_does_and_nothing_else_changes() {
        let (a, b) = (sealed("a"), sealed("b"));
        let (front, back) = b.split_at(100);
        let text = format!(
            "# c\n{HEAD}  encryptedData:\n    a: {a} # one\n    b: |-\n      {front}\n      {back}\n  template: {{}}\n"
        );
        let shown = shown(&text);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 9, "{shown}");
        assert!(lines[6].starts_with("    a: <native x25519 to "), "{shown}");
        assert!(lines[6].contains(", strict prod/db/a, sealed 2026-11-21, 8 bytes, ciphertext "), "{shown}");
        assert!(lines[6].ends_with("> # one") && lines[7].starts_with("    b: <native"), "{shown}");
        assert!(!shown.contains(&a[..40]) && !shown.contains(front), "{shown}");
        let without =
            |text: &str| text.lines().take(6).chain(text.lines().rev().take(1)).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(without(&shown), without(&text));
    }

    #[test]
    fn what_is_not_sealed_is_not_shown_and_other_texts_pass() {
        let shown_text = shown(&format!("{HEAD}  encryptedData:\n    a: canary-7\n    b: 12\n    c:\n"));
        assert!(!shown_text.contains("canary"), "{shown_text}");
        assert_eq!(shown_text.matches("NOT SEALED").count(), 3, "{shown_text}");
        for text in
            ["", "kind: ConfigMap\ndata: {a: b}\n", "no: [yaml", "\u{feff}a: é\r\n", "YWdlLWVuY3J5cHRpb24ub3JnL3Yx"]
        {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn values_in_braces_get_lines_of_their_own() {
        let json = format!(
            r#"{{"apiVersion":"bitnami.com/v1alpha1","kind":"SealedSecret","spec":{{"encryptedData":{{"a":"{}","b":"{}"}}}}}}"#,
            sealed("a"),
            sealed("b")
        );
        let shown = shown(&json);
        assert_eq!(shown.lines().count(), 3, "{shown}");
        assert!(
            shown.lines().nth(1).unwrap().starts_with("  \"a\":<native") || shown.contains("\"a\": <native"),
            "{shown}"
        );
    }

    #[test]
    fn values_in_templates_and_in_files_with_conflicts_are_found_by_their_shape() {
        let value = sealed("a");
        for text in [
            format!("{HEAD}  encryptedData:\n{{{{ if .Values.x }}}}\n    a: {value}\n{{{{ end }}}}\n"),
            format!("<<<<<<< a\n    a: {value}\n=======\n>>>>>>> b\n"),
            format!("db:\n  password: \"{value}\"\n"),
        ] {
            let shown = shown(&text);
            assert!(shown.contains("native x25519 to") && !shown.contains(&value[..60]), "{shown}");
            assert_eq!(shown.lines().count(), text.lines().count());
        }
    }
}
