//! One text, looked at: every detector, one pass to find where, and what remains of what they say.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use zeroize::Zeroizing;

use super::hit::Hit;
use super::rules::{GENERATED_SECRET, GENERIC, PLAIN_SECRET, PLAIN_TEMPLATE, SERVICE_ACCOUNT, URL_PASSWORD};
use super::shapes::{SHAPES, Token};
use super::{
    assigned, commands, encoded, jwt, legible, logins, manifests, private_keys, remarks, shapes, stores, urls,
};

/// Findings of one text; more of the same file would tell nobody anything.
const MAX_HITS: usize = 1000;

/// How far before a secret its name is looked for.
const NAME_AND_SIGNS: usize = 80;

/// What one text came to.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// What was found, in order.
    pub(crate) hits: Vec<Hit>,
    /// How many more there are, left out with a remark in the text that gives a reason.
    pub(crate) allowed: usize,
    /// Lines of remarks without a reason, which leave nothing out.
    pub(crate) unreasoned: Vec<usize>,
}

/// Who looks closer at a place.
#[derive(Clone, Copy)]
enum Detector {
    Shape(usize),
    PrivateKey,
    Login,
    Url,
    Name,
    Command,
}

struct Anchors {
    search: AhoCorasick,
    of: Vec<(Detector, &'static str)>,
}

static ANCHORS: LazyLock<Option<Anchors>> = LazyLock::new(|| {
    let mut of: Vec<(Detector, &'static str)> = Vec::new();
    for (at, shape) in SHAPES.iter().enumerate() {
        of.extend(shape.anchors.iter().map(|anchor| (Detector::Shape(at), *anchor)));
    }
    of.extend(private_keys::ANCHORS.map(|anchor| (Detector::PrivateKey, anchor)));
    of.extend(logins::ANCHORS.map(|anchor| (Detector::Login, anchor)));
    of.extend(assigned::ANCHORS.map(|anchor| (Detector::Name, anchor)));
    of.push((Detector::Url, urls::ANCHOR));
    of.extend(commands::ANCHORS.map(|anchor| (Detector::Command, anchor)));
    let search = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .kind(Some(AhoCorasickKind::DFA))
        .build(of.iter().map(|(_, anchor)| anchor))
        .ok()?;
    Some(Anchors { search, of })
});

/// Whether a file is to be looked at: texts, and what holds keys without being one.
pub(super) fn is_wanted(bytes: &[u8]) -> bool {
    legible::is_legible(bytes) || stores::is_one(bytes) || private_keys::may_hold_one(bytes)
}

/// Looks at a text; `name` is that of its file.
pub(crate) fn look(bytes: &[u8], name: &str) -> Looked {
    if let Some(hit) = stores::find(bytes) {
        return Looked { hits: vec![hit], ..Looked::default() };
    }
    if !legible::is_legible(bytes) {
        // Of bytes that are no text the rest would be chance.
        let mut hits = without_overlaps(private_keys::all(bytes));
        place(&legible::text(bytes), &mut hits);
        return Looked { hits, ..Looked::default() };
    }
    let text = legible::text(bytes);
    let mut hits = manifests::find(&text);
    tokens(text.as_bytes(), is_settings(name), &mut hits);
    if name.ends_with("pgpass") || name.ends_with("pgpass.conf") {
        hits.extend(logins::pgpass(text.as_bytes()));
    }
    for (run, inner) in encoded::texts(text.as_bytes()) {
        let inner = Zeroizing::new(inner);
        let mut within = Vec::new();
        tokens(&inner, true, &mut within);
        if memchr::memmem::find(&inner, b"Secret").is_some() {
            within.extend(manifests::find(&String::from_utf8_lossy(&inner)));
        }
        for hit in without_overlaps(within) {
            let what = Cow::Owned(format!("{} in base64", hit.what));
            hits.push(Hit { span: run.clone(), what, ..hit });
        }
    }
    let mut hits = without_overlaps(hits);
    hits.truncate(MAX_HITS);
    place(&text, &mut hits);
    let remarks = remarks::read(&text);
    let before = hits.len();
    hits.retain(|hit| !remarks.allow(&text, hit));
    Looked { allowed: before - hits.len(), hits, unreasoned: remarks.unreasoned }
}

/// What the first secret in some bytes is.
pub(super) fn first(bytes: &[u8]) -> Option<Cow<'static, str>> {
    let mut hits = Vec::new();
    tokens(bytes, true, &mut hits);
    hits.into_iter().find(|hit| hit.rule != &GENERIC).map(|hit| hit.what)
}

/// Everything but what the structure of a manifest tells.
fn tokens(text: &[u8], is_settings: bool, hits: &mut Vec<Hit>) {
    let Some(anchors) = ANCHORS.as_ref() else { return };
    let mut named = 0;
    for found in anchors.search.find_overlapping_iter(text) {
        let Some((detector, anchor)) = anchors.of.get(found.pattern().as_usize()).copied() else { continue };
        let span = found.start()..found.end();
        let is_exact = || text.get(span.clone()) == Some(anchor.as_bytes());
        let hit = match detector {
            Detector::Name if span.start < named => None,
            Detector::Name => {
                let (end, hit) = assigned::find(text, span, is_settings);
                named = end;
                hit
            }
            Detector::Url => urls::find(text, span.start),
            Detector::Shape(at) if is_exact() => shapes::find(at, text, span.start).map(|token| told(at, text, token)),
            Detector::PrivateKey if is_exact() => private_keys::find(text, span.start),
            Detector::Login if is_exact() => logins::find(text, span.start),
            Detector::Command if is_exact() => commands::find(text, span),
            Detector::Shape(_) | Detector::PrivateKey | Detector::Login | Detector::Command => None,
        };
        hits.extend(hit);
        if hits.len() > 4 * MAX_HITS {
            return;
        }
    }
}

fn told(at: usize, text: &[u8], token: Token) -> Hit {
    let shape = &SHAPES[at];
    let secret = &text[token.span.clone()];
    let (rule, what) = if secret.starts_with(b"eyJ") && jwt::is_service_account(secret) {
        (&SERVICE_ACCOUNT, "a token of a Kubernetes ServiceAccount")
    } else {
        (shape.rule, shape.what)
    };
    let hit = Hit::new(rule, token.span.clone(), what, secret).with_level(token.level);
    Hit { remark: token.remark, ..hit }
}

/// Of what was found twice in one place, what says more about it.
fn without_overlaps(mut hits: Vec<Hit>) -> Vec<Hit> {
    let weight = |hit: &Hit| match hit.rule {
        rule if rule == &PLAIN_SECRET || rule == &GENERATED_SECRET => 0,
        rule if rule == &URL_PASSWORD => 2,
        rule if rule == &PLAIN_TEMPLATE => 3,
        rule if rule == &GENERIC => 4,
        _ => 1,
    };
    hits.sort_by_key(|hit| (weight(hit), hit.span.start));
    // What is taken does not overlap, so only the nearest on each side can.
    let mut taken: BTreeMap<usize, Hit> = BTreeMap::new();
    for hit in hits {
        let before =
            taken.range(..=hit.span.start).next_back().is_none_or(|(_, other)| other.span.end <= hit.span.start);
        let after = taken.range(hit.span.start..).next().is_none_or(|(start, _)| hit.span.end <= *start);
        if before && after {
            taken.insert(hit.span.start, hit);
        }
    }
    taken.into_values().collect()
}

/// Fills in lines and columns; the hits are in order.
fn place(text: &str, hits: &mut [Hit]) {
    let (mut line, mut column, mut at) = (1, 1, 0);
    for hit in hits {
        let to = hit.span.start.min(text.len());
        let Some(passed) = text.get(at..to) else { continue };
        let fresh = match passed.rfind('\n') {
            Some(newline) => {
                line += memchr::memchr_iter(b'\n', passed.as_bytes()).count();
                column = 1;
                &passed[newline + 1..]
            }
            None => passed,
        };
        column += fresh.chars().count();
        at = to;
        let from = text[..to].char_indices().rev().take(NAME_AND_SIGNS).last().map_or(to, |(from, _)| from);
        let before = &text[from..to];
        let before = before.rsplit('\n').next().unwrap_or(before);
        (hit.line, hit.column, hit.context) = (line, column, name_before(before).to_owned());
    }
}

/// The name that is set to what comes next, if that is what the line does.
fn name_before(line: &str) -> &str {
    let rest = line.trim_end_matches(['"', '\'', '`', ' ', '\t', '\\']);
    let name = rest.trim_end_matches([':', '=', '>', '"', '\'', ' ']);
    let is_set = rest[name.len()..].contains([':', '=', '>']);
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
    let start = name
        .rfind(|letter: char| !is_part(letter))
        .map_or(0, |at| at + name[at..].chars().next().map_or(1, char::len_utf8));
    if is_set && name.len() - start <= 64 { &name[start..] } else { "" }
}

/// Whether values may stand without quotes in a file of this name.
fn is_settings(name: &str) -> bool {
    const CODE: [&str; 34] = [
        "rs", "go", "py", "js", "jsx", "ts", "tsx", "mjs", "cjs", "java", "kt", "scala", "rb", "php", "c", "h", "cc",
        "cpp", "hpp", "cs", "swift", "m", "lua", "pl", "ex", "exs", "erl", "hs", "clj", "dart", "vue", "svelte", "css",
        "sql",
    ];
    let file = name.rsplit('/').next().unwrap_or(name);
    file.rsplit_once('.').is_none_or(|(_, extension)| !CODE.contains(&extension.to_ascii_lowercase().as_str()))
}

/// Bytes of a text.
pub(super) type Span = Range<usize>;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::look;

    /// Pieces of everything that is looked for, whole and broken.
    const PIECES: [&str; 48] = [
        "kind: Secret\n",
        "\"kind\": \"Secret\"",
        "kind: SealedSecret\n",
        "apiVersion: v1\n",
        "data:\n",
        "stringData: ",
        "metadata:\n  name: a\n",
        "  password: ",
        "- ",
        "items:\n",
        "secretGenerator:\n",
        "  literals: [",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        ":",
        ",",
        "\n",
        "\r\n",
        "---\n",
        "# ",
        "{{ ",
        " }}",
        "| b64enc",
        "|\n",
        ">-\n",
        "-----BEGIN ",
        "RSA PRIVATE KEY-----",
        "-----END",
        "\\n",
        "AGE-SECRET-KEY-1",
        "eyJhbGciOi",
        ".eyJ",
        "://",
        "user:pass@",
        "aHVudGVyMg==",
        "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCg",
        "AKIA",
        "Q~",
        "T3BlbkFJ",
        "machine a login b password ",
        ":$apr1$",
        "\"auth\": \"",
        concat!("bulla", ":allow"),
        "é\u{1f512}",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_whatsoever_stops_the_search(pieces in prop::collection::vec((0..PIECES.len(), "[ -~]{0,6}"), 0..60), cut in any::<prop::sample::Index>()) {
            let text: String = pieces.iter().map(|(at, between)| format!("{}{between}", PIECES[*at])).collect();
            let looked = look(text.as_bytes(), "a.yaml");
            let lines = text.matches('\n').count() + 1;
            prop_assert!(looked.hits.iter().all(|hit| (1..=lines).contains(&hit.line) && hit.column > 0), "{text:?}");
            // Cut anywhere, also within a character.
            let end = cut.index(text.len() + 1);
            look(&text.as_bytes()[..end], "a.rs");
            look(&[&[0xff, 0xfe], &text.as_bytes()[..end]].concat(), ".pgpass");
        }

        #[test]
        fn no_bytes_whatsoever_stop_the_search(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            look(&bytes, "a");
        }
    }

    #[test]
    fn long_lines_and_deep_nesting_take_no_long_time() {
        let began = std::time::Instant::now();
        let one = "{\"kind\": \"Secret\", \"stringData\": {\"password\": \"hunter2x\"}}";
        for text in [
            format!("[{}]", vec![one; 4000].join(", ")),
            one.repeat(4000),
            "password=\"k3J9sQp1Zx8w\";".repeat(20_000),
            "[".repeat(200_000) + "kind: Secret",
            "-----BEGIN PRIVATE KEY-----".repeat(5_000),
            "://a:".repeat(100_000),
            "{{ if }}\nkind: Secret\ndata:\n".repeat(300),
            format!("a: |\n  kind: Secret\n{}", "  data: {a: b}\n".repeat(50_000)),
            "eyJ".repeat(100_000),
        ] {
            look(text.as_bytes(), "a.yaml");
        }
        assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
    }
}
