//! Kubernetes Secrets by their structure: in YAML and JSON, in lists and in texts within texts, also where templates
//! or mistakes keep a parser from reading the file.
//!
//! | module | what it reads |
//! | --- | --- |
//! | `parsed` | what a parser can read |
//! | `lines` | block YAML, line by line, of what it cannot |
//! | `braces` | JSON and flow YAML, piece by piece, of what it cannot |
//! | `value` | whether one value gives something away |

mod braces;
mod lines;
mod parsed;
pub(super) mod value;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use zeroize::Zeroizing;

use super::hit::Hit;
use super::rules::PLAIN_SECRET;

/// Texts within texts within texts are not followed any further.
const MAX_DEPTH: usize = 3;

/// How many Secrets are looked for one by one.
const MAX_APART: usize = 200;

/// Where a text says that something is a Secret.
static KIND: LazyLock<Option<Regex>> = LazyLock::new(|| {
    // A tag or an anchor may stand before the word.
    let kind = r#"(?:\b|\\n)kind\\{0,3}["']?[ \t]*:\s{0,64}(?:[!&][^\s"']{0,64}[ \t]+){0,2}"#;
    Regex::new(&format!(r#"{kind}\\{{0,3}}["']?Secret(?:List)?\b"#)).ok()
});

/// Where a text says what something is by a tag, an alias, a block, after a comment, or with escapes.
static ODD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"kind["']?\s{0,64}:\s{0,64}(?:[!&*|>#]|"[^"]{0,100}\\)|\?[ \t]{1,64}["']?kind"#).ok()
});

/// A key that is `kind` once its escapes are resolved.
static ESCAPED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let letter = |plain: char| {
        let code = u32::from(plain);
        format!(r"(?:{plain}|\\(?:x{code:02x}|u00{code:02x}|U000000{code:02x}))(?:\\\r?\n[ \t]*)?")
    };
    Regex::new(&format!(r#"(?i)"{}"[ \t]*:"#, "kind".chars().map(letter).collect::<String>())).ok()
});

/// A Secret in the clear.
#[derive(Default)]
struct Found {
    namespace: Option<String>,
    name: Option<String>,
    /// Where it says what it is, and where it begins.
    starts: Vec<usize>,
    values: Vec<Value>,
}

/// One value of a Secret.
struct Value {
    /// Whether it is of `data`, in base64, or of `stringData`.
    is_data: bool,
    key: String,
    text: Zeroizing<String>,
    /// Where it is written.
    span: Range<usize>,
}

/// Every value in the clear of the Secrets, generators and templates of a text.
pub(super) fn find(text: &str) -> Vec<Hit> {
    within(text, 0)
}

fn within(text: &str, depth: usize) -> Vec<Hit> {
    let kinds: Vec<Range<usize>> = match KIND.as_ref() {
        Some(kind) if text.contains("Secret") => kind
            .find_iter(text)
            .map(|found| found.range())
            .filter(|range| {
                !text[range.end..].starts_with(|next: char| next.is_ascii_alphanumeric() || matches!(next, '-' | '_'))
            })
            .collect(),
        Some(_) | None => Vec::new(),
    };
    let has_generator = text.contains("secretGenerator");
    let has_template = may_have_template(text);
    if kinds.is_empty() && !has_generator && !has_template && !is_oddly_written(text) {
        return Vec::new();
    }
    let mut read = parsed::read(text, depth);
    for found in &read.secrets {
        read.hits.extend(hits(found));
    }
    // What the parser did not get to see, or not as a Secret.
    let seen = merged(std::mem::take(&mut read.seen));
    let is_seen =
        |at: usize| seen.get(seen.partition_point(|part| part.end <= at)).is_some_and(|part| part.contains(&at));
    let left: Vec<&Range<usize>> = kinds.iter().filter(|kind| !is_seen(kind.start)).collect();
    if !left.is_empty() {
        let is_quoted =
            |kind: &&Range<usize>| text[..kind.start].ends_with('"') || text[kind.start..kind.end].contains("\\");
        let (quoted, bare): (Vec<_>, Vec<_>) = left.into_iter().partition(|kind| is_quoted(kind));
        if !quoted.is_empty() || bare.iter().any(|kind| text[..kind.start].trim_end().ends_with(['{', ','])) {
            let found = in_braces(text, &quoted);
            let is_new = |found: &&Found| !found.starts.iter().any(|start| is_seen(*start));
            read.hits.extend(found.iter().filter(is_new).flat_map(hits));
        }
        let blocks = bare.into_iter().filter_map(|kind| lines::secret(text, kind.start));
        read.hits.extend(blocks.flat_map(|found| hits(&found)));
    }
    if has_generator && !read.is_whole {
        read.hits.extend(lines::generators(text));
    }
    read.hits
}

/// Whether a text may hold a Secret that does not say so in the usual way. Only a parser can tell; what none can read is
/// taken for no manifest.
fn is_oddly_written(text: &str) -> bool {
    text.contains("kind") && ODD.as_ref().is_some_and(|odd| odd.is_match(text))
        || text.contains('\\') && ESCAPED.as_ref().is_some_and(|key| key.is_match(text))
}

/// The Secrets in braces. Where quotes do not come in pairs from the beginning, or are escaped within another text, it is
/// read again from the brace around each word that says what it is.
fn in_braces(text: &str, kinds: &[&Range<usize>]) -> Vec<Found> {
    let plain: Cow<'_, str> = if kinds.iter().any(|kind| text[(*kind).clone()].contains('\\')) {
        text.replace("\\\"", " \"").into()
    } else {
        text.into()
    };
    let mut found = braces::read(&plain, 0);
    for kind in kinds.iter().take(MAX_APART) {
        let is_known = |one: &Found| one.starts.iter().any(|start| (kind.start..kind.end + 2).contains(start));
        if !found.iter().any(is_known) {
            let start = braces::around(&plain, kind.start);
            found.extend(
                braces::read(&plain[start..kind.end + braces::rest(&plain[kind.end..])], start)
                    .into_iter()
                    .filter(is_known),
            );
        }
    }
    found
}

/// The same parts of a text, in order and without overlaps.
fn merged(mut parts: Vec<Range<usize>>) -> Vec<Range<usize>> {
    parts.sort_by_key(|part| part.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(parts.len());
    for part in parts {
        match merged.last_mut() {
            Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
            Some(_) | None => merged.push(part),
        }
    }
    merged
}

/// Whether there may be a template with values: most sealed values have one, and nothing but names in it.
fn may_have_template(text: &str) -> bool {
    let has = |word: &str| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some();
    // `encryptedData` has a capital.
    let has_values = || has(" data:") || has("{data:") || has("\"data\"") || has("stringData");
    has("template") && (has("SealedSecret") || has("ExternalSecret")) && has_values()
}

fn hits(found: &Found) -> Vec<Hit> {
    let name = |part: &Option<String>| {
        part.as_deref().filter(|name| !name.is_empty() && !name.contains("{{")).map(str::to_owned)
    };
    let object = match (name(&found.namespace), name(&found.name)) {
        (Some(namespace), Some(name)) => format!("Secret {namespace}/{name}"),
        (None, Some(name)) => format!("Secret {name}"),
        (_, None) => "Secret".to_owned(),
    };
    let given = |value: &Value| {
        let (what, secret) = value::given_away(&value.key, &value.text, value.is_data)?;
        let field = if value.is_data { "data" } else { "stringData" };
        let hit = Hit::new(&PLAIN_SECRET, value.span.clone(), what, &secret);
        Some(hit.within(Some(object.clone()), format!("{field}.{}", value.key)).starting(&found.starts))
    };
    found.values.iter().filter_map(given).collect()
}

#[cfg(test)]
mod tests {
    use super::find;
    use crate::leaks::KINDS_OF_SECRET;

    #[test]
    fn a_secret_is_found_however_its_kind_is_written() {
        let more = [r#""\x6bi\U0000006ed": Secret"#, "kind: Secret\nkind: ConfigMap"];
        for kind in KINDS_OF_SECRET.into_iter().chain(more) {
            let text = format!("apiVersion: v1\n{kind}\nmetadata: {{name: a}}\nstringData: {{password: hunter2x}}\n");
            let paths: Vec<String> = find(&text).into_iter().map(|hit| hit.path).collect();
            assert_eq!(paths, ["stringData.password"], "{text}");
            let inner: String = text.lines().map(|line| format!("    {line}\n")).collect();
            let within = format!("kind: ConfigMap\ndata:\n  a.yaml: |\n{inner}");
            assert_eq!(find(&within).len(), 1, "{within}");
        }
        for list in [
            "kind: SecretList\nitems: [{stringData: {password: hunter2x}}]\n",
            "x: &x {stringData: {password: hunter2x}}\nkind: SecretList\nitems: [*x]\n",
            "kind: Secret\nstringData: {}\nstringData: {password: hunter2x}\n",
            "kind: Secret\nstringData: {password: '', password: hunter2x}\n",
        ] {
            assert_eq!(find(list).len(), 1, "{list}");
        }
        assert!(find("kind: !!str ConfigMap\nmetadata: {name: a}\ndata: {password: hunter2x}\n").is_empty());
    }

    #[test]
    fn a_tag_before_the_kind_is_read_over_also_where_no_parser_reads_the_file() {
        let text = "{{ if .x }}\nkind: !!str Secret\nstringData:\n  password: hunter2x\n{{ end }}\n";
        assert_eq!(find(text).len(), 1);
    }
}
