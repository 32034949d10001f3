//! Finds plain Secrets among manifests: what must not be committed.
//!
//! By structure, not by pattern: a document of kind Secret with data in it, or what Kustomize makes Secrets of. Sealed
//! values are never reported, nor are values that only stand for one: `${NAME}`, `<path:...>`, `{{ ... }}`.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use crate::actions::{Written, written};
use crate::outline::{Outline, View};
use crate::scan::is_sensitive_name;

/// A plain Secret in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leak {
    /// The file.
    pub(crate) path: PathBuf,
    /// Where its first value in the clear stands: line and column, from 1.
    pub(crate) place: (usize, usize),
    /// Namespace and name of the Secret, as far as it says.
    pub(crate) name: String,
    /// Its values in the clear: the fields, in the order of the file, and where they stand.
    pub(crate) values: Vec<Value>,
    /// What it comes from.
    pub(crate) source: Source,
}

/// What a Secret comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Itself, or a patch of it.
    Secret,
    /// Kustomize makes it.
    Generator,
    /// The template of an object of this kind.
    Template(&'static str),
    /// A store or a generator of this kind that hands out what stands in it.
    Fake(&'static str),
}

impl Source {
    /// The kind of object that has it.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Secret | Self::Generator | Self::Template(_) => "Secret",
            Self::Fake(kind) => kind,
        }
    }
}

/// A value in the clear, without the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    /// Such as `data.password`.
    pub(crate) field: String,
    /// Line and column of its key, from 1.
    pub(crate) place: (usize, usize),
    /// Whether a template takes it only where nothing else is given.
    pub(crate) is_fallback: bool,
}

/// What stands where a template had an action.
pub(crate) const FILLED: char = '\u{e000}';
/// After it: the action writes a text of its own, or one if nothing else is given, which perhaps a machine made up.
pub(crate) const LITERAL: char = '\u{e001}';
pub(crate) const FALLBACK: char = '\u{e002}';
pub(crate) const RANDOM_FALLBACK: char = '\u{e003}';

/// `Secret` where YAML says `!!binary`.
pub(crate) const SECRET_IN_BASE64: &str = "U2VjcmV0";

/// The text without [`FILLED`], also where an escape writes it: in a file as it is written nothing was filled in. Lines
/// and columns stay.
pub(crate) fn unfilled(text: &str) -> Cow<'_, str> {
    let has_escape = || memchr::memmem::find_iter(text.as_bytes(), "000").any(|at| text[..at].ends_with(['e', 'E']));
    if !text.contains(FILLED) && !has_escape() {
        return Cow::Borrowed(text);
    }
    let mut text = text.replace(FILLED, "\u{fffd}");
    for (escape, instead) in
        [("\\ue000", "\\ufffd"), ("\\uE000", "\\ufffd"), ("\\U0000e000", "\\U0000fffd"), ("\\U0000E000", "\\U0000fffd")]
    {
        if text.contains(escape) {
            text = text.replace(escape, instead);
        }
    }
    Cow::Owned(text)
}

/// Whether a text may hold a Secret in some spelling: the word, or what can hide a letter of it. Cheap and too wide.
pub(crate) fn may_hold_one(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memmem::find(bytes, b"ecret").is_some()
        || memchr::memmem::find(bytes, b"stringData").is_some()
        || memchr::memmem::find(bytes, SECRET_IN_BASE64.as_bytes()).is_some()
        || memchr::memchr_iter(b'\\', bytes)
            .any(|at| bytes.get(at + 1).is_some_and(|next| matches!(next, b'u' | b'U' | b'x' | b'\n' | b'\r')))
}

/// The field of a Kustomization that makes Secrets, and the kind of a generator that does.
pub(crate) const GENERATORS: [&str; 2] = ["secretGenerator", "SecretGenerator"];

/// The plain Secrets of one file. A file that is not YAML or JSON has none.
pub(crate) fn find(path: &Path, text: &str) -> Vec<Leak> {
    let text = unfilled(text);
    Outline::parse(&text).map(|outline| look(path, &outline)).unwrap_or_default()
}

/// The plain Secrets of one file.
pub(crate) fn look(path: &Path, outline: &Outline<'_>) -> Vec<Leak> {
    let mut leaks = Vec::new();
    // Also objects in objects: in the values of a chart, say.
    for object in outline.all().filter(|view| view.is_map() && !view.is_alias()) {
        if is_secret(object) {
            leaks.extend(secret(path, object));
        } else if is_called(object, "SecretGenerator") {
            leaks.extend(generator(path, object));
        } else {
            let made = every(object, GENERATORS[0]).into_iter().flat_map(View::items);
            leaks.extend(made.filter_map(|made| generator(path, made)));
            leaks.extend(patch(path, object));
            leaks.extend(template(path, object));
            leaks.extend(fake(path, object));
            leaks.extend(silent_secrets(object).into_iter().filter_map(|item| secret(path, item)));
        }
    }
    leaks
}

/// Whether one of the kinds that an object says is this.
fn is_called(object: View<'_, '_>, wanted: &str) -> bool {
    every(object, "kind").into_iter().filter_map(View::text).any(|kind| kind == wanted)
}

/// Whether an object says that it is a Secret.
pub(crate) fn is_secret(object: View<'_, '_>) -> bool {
    is_called(object, "Secret") || is_called(object, SECRET_IN_BASE64)
}

/// The items of a SecretList that do not say what they are: they need not.
pub(crate) fn silent_secrets<'o, 't>(list: View<'o, 't>) -> Vec<View<'o, 't>> {
    if !is_called(list, "SecretList") {
        return Vec::new();
    }
    let items = every(list, "items").into_iter().flat_map(View::items);
    items.filter(|item| item.is_map() && item.get("kind").is_none()).collect()
}

/// Every value that an object has under a key. Of a key that is there twice Kubernetes takes the last one, other
/// readers take the first: any of them may be the one that counts.
pub(crate) fn every<'o, 't>(object: View<'o, 't>, key: &str) -> Vec<View<'o, 't>> {
    let own = object.own_pairs().filter(|(known, _)| known.text() == Some(key)).map(|(_, value)| value);
    let own: Vec<_> = own.collect();
    if own.is_empty() { object.get(key).into_iter().collect() } else { own }
}

fn secret(path: &Path, object: View<'_, '_>) -> Option<Leak> {
    // SOPS may have been told to leave some values as they are: its mark excuses only what it has encrypted.
    let is_sops = object.find(&["sops", "mac"]).and_then(View::text).is_some_and(|mac| !mac.is_empty());
    let mut values = Vec::new();
    for field in ["data", "stringData"] {
        for (key, value) in every(object, field).into_iter().flat_map(View::pairs) {
            let name = key.text().unwrap_or_default();
            values.extend(given(name, value, is_sops).map(|is_fallback| Value {
                field: format!("{field}.{name}"),
                place: key.place(),
                is_fallback,
            }));
        }
    }
    let metadata = object.get("metadata");
    let text = |field| metadata.and_then(|metadata| metadata.get(field)).and_then(View::text).map(without_filling);
    let (namespace, name) = (text("namespace"), text("name").unwrap_or_default());
    let name = namespace.map_or_else(|| name.clone(), |namespace| format!("{namespace}/{name}"));
    leak(path, name, values, Source::Secret)
}

/// What a JSON patch puts into a Secret: an operation on `stringData`, which nothing else has, or any one on a target
/// that is a Secret.
fn patch(path: &Path, object: View<'_, '_>) -> Option<Leak> {
    if let (Some(pointer), Some(_)) = (object.get("path").and_then(View::text), object.get("op")) {
        // `data` is also of ConfigMaps.
        if !pointer.starts_with("/stringData") {
            return None;
        }
        return leak(path, String::new(), operation(pointer, object, object.entry("value")?.0.place()), Source::Secret);
    }
    let target = object.get("target").filter(|target| target.get("kind").and_then(View::text) == Some("Secret"))?;
    let (key, body) = object.entry("patch")?;
    let inner = Outline::parse(body.text()?).ok()?;
    let mut values = Vec::new();
    for item in inner.documents().flat_map(View::items) {
        let pointer = item.get("path").and_then(View::text).unwrap_or_default();
        // Those on `stringData` are found where they stand.
        if pointer == "/data" || pointer.starts_with("/data/") {
            values.extend(operation(pointer, item, key.place()));
        }
    }
    leak(path, target.get("name").and_then(View::text).unwrap_or_default().to_owned(), values, Source::Secret)
}

/// What the operations of a JSON patch put under `data` of their target, which is known to be a Secret.
pub(crate) fn operations(path: &Path, outline: &Outline<'_>) -> Vec<Leak> {
    let items = outline.all().filter(|view| view.is_map() && !view.is_alias() && view.get("op").is_some());
    let made = items.filter_map(|item| {
        let pointer = item.get("path").and_then(View::text)?;
        let is_data = pointer == "/data" || pointer.starts_with("/data/");
        let place = item.entry("value").filter(|_| is_data)?.0.place();
        leak(path, String::new(), operation(pointer, item, place), Source::Secret)
    });
    made.collect()
}

/// What one operation of a JSON patch gives away, of a Secret.
fn operation(pointer: &str, item: View<'_, '_>, place: (usize, usize)) -> Vec<Value> {
    let mut parts = pointer.split('/').skip(1);
    let (Some(field @ ("data" | "stringData")), key) = (parts.next(), parts.next()) else { return Vec::new() };
    let Some(value) = item.get("value") else { return Vec::new() };
    let value_of = |key: &str, value: View<'_, '_>| {
        let is_fallback = given(key, value, false)?;
        Some(Value { field: format!("{field}.{key}"), place, is_fallback })
    };
    match key {
        Some(key) => value_of(key, value).into_iter().collect(),
        None => {
            let pairs = value.pairs().into_iter();
            pairs.filter_map(|(key, value)| value_of(key.text().unwrap_or_default(), value)).collect()
        }
    }
}

/// What a template of a SealedSecret or an ExternalSecret writes out under a name that says that it is secret.
fn template(path: &Path, object: View<'_, '_>) -> Option<Leak> {
    let (kind, at) = match object.get("kind").and_then(View::text)? {
        "SealedSecret" => ("SealedSecret", "spec.template"),
        "ExternalSecret" => ("ExternalSecret", "spec.target.template"),
        _ => return None,
    };
    let template = at.split('.').try_fold(object, View::get)?;
    let mut values = Vec::new();
    for field in ["data", "stringData"] {
        for (key, value) in every(template, field).into_iter().flat_map(View::pairs) {
            let Some(name) = key.text().filter(|name| is_sensitive_name(name)) else { continue };
            // A template of several lines is a file that has the values put in.
            let is_written_out = value.text().is_some_and(|text| !text.contains("{{") && !text.contains('\n'));
            if is_written_out && given(name, value, false) == Some(false) {
                values.push(Value { field: format!("{at}.{field}.{name}"), place: key.place(), is_fallback: false });
            }
        }
    }
    let name = object.find(&["metadata", "name"]).and_then(View::text).map(without_filling);
    leak(path, name.unwrap_or_default(), values, Source::Template(kind))
}

/// What a store of the provider `fake`, or a generator of that kind, hands out: it stands in the manifest.
fn fake(path: &Path, object: View<'_, '_>) -> Option<Leak> {
    let is_of = |group: &str| {
        object.get("apiVersion").and_then(View::text).is_some_and(|version| version.split('/').next() == Some(group))
    };
    let mut values = Vec::new();
    let kind = match object.get("kind").and_then(View::text)? {
        "SecretStore" if is_of("external-secrets.io") => "SecretStore",
        "ClusterSecretStore" if is_of("external-secrets.io") => "ClusterSecretStore",
        "Fake" if is_of("generators.external-secrets.io") => "Fake",
        _ => return None,
    };
    let mut add = |field: String, key: View<'_, '_>, name: &str, value: View<'_, '_>| {
        let place = key.place();
        values.extend(given(name, value, false).map(|is_fallback| Value { field, place, is_fallback }));
    };
    if kind == "Fake" {
        for (key, value) in object.find(&["spec", "data"]).map(View::pairs).unwrap_or_default() {
            let name = key.text().unwrap_or_default();
            add(format!("spec.data.{name}"), key, name, value);
        }
    } else {
        let data = object.find(&["spec", "provider", "fake", "data"]).into_iter().flat_map(View::items);
        for (index, item) in data.enumerate() {
            let field = format!("spec.provider.fake.data[{index}]");
            let name = item.get("key").and_then(View::text).unwrap_or_default();
            if let Some((key, value)) = item.entry("value") {
                add(format!("{field}.value"), key, name, value);
            }
            for (key, value) in item.get("valueMap").map(View::pairs).unwrap_or_default() {
                let name = key.text().unwrap_or_default();
                add(format!("{field}.valueMap.{name}"), key, name, value);
            }
        }
    }
    let name = object.find(&["metadata", "name"]).and_then(View::text).map(without_filling);
    leak(path, name.unwrap_or_default(), values, Source::Fake(kind))
}

/// What of a generator is in the clear: literals with a value, and files that lie beside `path`.
fn generator(path: &Path, made: View<'_, '_>) -> Option<Leak> {
    let mut values = Vec::new();
    let list = |field: &str| made.get(field).map(View::items).into_iter().flatten();
    for literal in list("literals") {
        let (key, value) = literal.text().unwrap_or_default().split_once('=').unwrap_or_default();
        if !value.is_empty() && !is_placeholder(value) {
            values.push(Value { field: format!("literals.{key}"), place: literal.place(), is_fallback: false });
        }
    }
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let env = made.get("env").into_iter().map(|named| ("env", named));
    let files = list("files").map(|named| ("files", named)).chain(list("envs").map(|named| ("envs", named))).chain(env);
    for (field, named) in files {
        let text = named.text().unwrap_or_default();
        let file = text.split_once('=').map_or(text, |(_, file)| file);
        if !file.is_empty() && folder.join(file).is_file() {
            values.push(Value { field: format!("{field}.{file}"), place: named.place(), is_fallback: false });
        }
    }
    let name = made.get("name").or_else(|| made.find(&["metadata", "name"]));
    leak(path, name.and_then(View::text).unwrap_or_default().to_owned(), values, Source::Generator)
}

fn leak(path: &Path, name: String, values: Vec<Value>, source: Source) -> Option<Leak> {
    let place = values.first()?.place;
    Some(Leak { path: path.to_path_buf(), place, name, values, source })
}

/// Whether a value gives something away: `None` if not, else whether only where nothing else is given.
fn given(name: &str, value: View<'_, '_>, is_sops: bool) -> Option<bool> {
    if value.is_null() {
        return None;
    }
    match value.text() {
        Some("") => None,
        Some(text) => match written_by_action(name, text) {
            Some(written) => written,
            None => (!(is_placeholder(text) || is_sops && is_encrypted(text))).then_some(false),
        },
        // A list or a map, which no API server takes; somebody wrote it there all the same.
        None => (value.is_map() || value.is_list()).then_some(false),
    }
}

/// What the actions of a template in a value write out by themselves; `None` where there is none that says something.
fn written_by_action(name: &str, text: &str) -> Option<Option<bool>> {
    // `admin` under `user` is a name that charts give; under `password` it is a password.
    let fallback = |is_random: bool| (is_random || is_sensitive_name(name)).then_some(true);
    if text.contains(FILLED) {
        let mut marks = text.match_indices(FILLED).filter_map(|(at, mark)| text[at + mark.len()..].chars().next());
        let mark = marks.clone().find(|mark| *mark == LITERAL);
        return match mark.or_else(|| marks.find(|mark| matches!(*mark, FALLBACK | RANDOM_FALLBACK))) {
            Some(LITERAL) => Some(Some(false)),
            Some(mark) => Some(fallback(mark == RANDOM_FALLBACK)),
            None => None,
        };
    }
    match written(text.trim()) {
        Written::Bare("") => Some(None),
        Written::Bare(_) | Written::Literal => Some(Some(false)),
        Written::Fallback { is_random } => Some(fallback(is_random)),
        Written::Unknown => None,
    }
}

/// Whether SOPS has encrypted the value.
fn is_encrypted(text: &str) -> bool {
    let inside = text.trim().strip_prefix("ENC[AES256_GCM,").and_then(|rest| rest.strip_suffix(']'));
    inside
        .is_some_and(|inside| inside.starts_with("data:") && inside.contains(",type:") && !inside.contains(['[', ' ']))
}

/// Whether the text only stands for a value that is put in later.
fn is_placeholder(text: &str) -> bool {
    let text = text.trim();
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:=".contains(&byte))
    };
    text.contains(FILLED)
        || text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).is_some_and(is_name)
        || (text.starts_with("<path:") && text.ends_with('>'))
        || text.strip_prefix("{{").is_some_and(|rest| rest.find("}}").is_some_and(|end| end + 2 == rest.len()))
}

/// The text as a person wrote it, as far as that is known.
pub(crate) fn without_filling(text: &str) -> String {
    if text.contains(FILLED) { "{{...}}".to_owned() } else { text.to_owned() }
}

/// Ways to write `kind: Secret` that kubectl takes for it: whatever looks for plain Secrets has to.
#[cfg(test)]
pub(crate) const KINDS_OF_SECRET: [&str; 16] = [
    "kind: !!str Secret",
    "kind: !<tag:yaml.org,2002:str> Secret",
    "kind: !!binary U2VjcmV0",
    "kind: &a Secret",
    "x: &k Secret\nkind: *k",
    r#"kind: "S\u0065cret""#,
    r#"kind: "S\x65cret""#,
    r#"kind: "S\U00000065cret""#,
    "kind: \"Se\\\n  cret\"",
    r#""k\u0069nd": Secret"#,
    "? kind\n: Secret",
    "kind:\n  Secret",
    "kind: # c\n  Secret",
    "kind: |-\n  Secret",
    "kind: >-\n  Secret",
    "kind: ConfigMap\nkind: Secret",
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::find;

    fn fields(yaml: &str) -> Vec<String> {
        find(Path::new("x.yaml"), yaml).into_iter().flat_map(|leak| leak.values).map(|value| value.field).collect()
    }

    #[test]
    fn a_plain_secret_is_found_also_when_kind_comes_last_and_in_json_and_lists() {
        let yaml = "data:\n  a: b25l\nmetadata: {name: one}\nkind: Secret\n---\nkind: ConfigMap\ndata: {a: b}\n";
        let leaks = find(Path::new("x.yaml"), yaml);
        assert_eq!(leaks.len(), 1);
        assert_eq!((leaks[0].place, leaks[0].name.as_str()), ((2, 3), "one"));
        let json =
            r#"{"kind": "List", "items": [{"kind": "Secret", "metadata": {"name": "two"}, "stringData": {"b": "c"}}]}"#;
        assert_eq!(find(Path::new("x.json"), json)[0].name, "two");
    }

    #[test]
    fn sops_excuses_only_what_it_encrypted_and_empty_values_give_nothing_away() {
        let data = "kind: Secret\nstringData: {a: 'ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]', b: canary, c: '', d: , e: null, f: 7}\n";
        let all = |keys: &[&str], field: &str| keys.iter().map(|key| format!("{field}.{key}")).collect::<Vec<_>>();
        assert_eq!(fields(&format!("{data}sops: {{mac: x}}\n")), all(&["b", "f"], "stringData"));
        assert_eq!(fields(data), all(&["a", "b", "f"], "stringData"));
        let odd = "kind: Secret\ndata:\n  a: !!binary aGk=\n  b: [c]\n  d: {e: f}\n  g:\n";
        assert_eq!(fields(odd), all(&["a", "b", "d"], "data"));
        assert_eq!(fields("{\"kind\": \"Secret\", \"data\": {\"a\": null, \"b\": \"\"}}"), [""; 0]);
        assert_eq!(fields("kind: Secret\ndata: {a: true, b: 1.5, c: -3, d: ~}\n").len(), 3);
    }

    #[test]
    fn what_a_json_patch_puts_into_a_secret_is_found() {
        let file = "- op: add\n  path: /stringData/password\n  value: canary\n";
        assert_eq!(find(Path::new("p.yaml"), file)[0].place, (3, 3));
        assert_eq!(fields(file), ["stringData.password"]);
        assert_eq!(fields("- {op: add, path: /stringData, value: {a: canary, b: ''}}\n"), ["stringData.a"]);
        let inline = |kind: &str| {
            format!(
                "patches:\n- target: {{kind: {kind}, name: a}}\n  patch: |-\n    - {{op: add, path: /data/p, value: Y2FuYXJ5}}\n"
            )
        };
        assert_eq!(fields(&inline("Secret")), ["data.p"]);
        assert_eq!(fields(&inline("ConfigMap")), [""; 0]);
        for none in [
            "- {op: remove, path: /stringData/password}\n",
            "- {op: add, path: /data/password, value: x}\n",
            "- {op: replace, path: /stringData/p, value: '${P}'}\n",
            "- {op: replace, path: /spec/stringData/p, value: x}\n",
        ] {
            assert_eq!(fields(none), [""; 0], "{none}");
        }
    }

    #[test]
    fn what_a_patch_of_a_secret_puts_under_data_is_found() {
        let text = "- {op: add, path: /data/p, value: Y2FuYXJ5}\n- {op: replace, path: /data, value: {q: Yw==}}\n- {op: remove, path: /data/r}\n- {op: add, path: /metadata/labels/a, value: b}\n";
        let outline = crate::outline::Outline::parse(text).unwrap();
        let leaks = super::operations(Path::new("p.yaml"), &outline);
        let fields: Vec<&str> = leaks.iter().flat_map(|leak| &leak.values).map(|value| value.field.as_str()).collect();
        assert_eq!(fields, ["data.p", "data.q"]);
        // On its own it may be one of a ConfigMap.
        assert!(find(Path::new("p.yaml"), text).is_empty());
    }

    #[test]
    fn text_that_an_action_in_a_value_writes_out_is_found() {
        let of = |value: &str| fields(&format!("kind: Secret\nstringData: {{password: '{value}'}}\n"));
        for value in ["{{ `Zq8fKx2nWv7Rt` }}", r#"{{ "Zq8fKx2nWv7Rt" | b64enc }}"#, r#"{{ default "x" .Values.p }}"#] {
            assert_eq!(of(value), ["stringData.password"], "{value}");
        }
        for value in
            [r#"{{ required "x" .Values.p }}"#, "{{ .Values.p }}", r#"{{ .Values.p | default "" }}"#, "{{ `` }}"]
        {
            assert_eq!(of(value), [""; 0], "{value}");
        }
        assert_eq!(fields("kind: Secret\nstringData: {user: '{{ default \"admin\" .Values.u }}'}\n"), [""; 0]);
    }

    #[test]
    fn what_fake_stores_and_generators_hand_out_is_found() {
        let store = |spec: &str| {
            format!("apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {{name: s}}\nspec: {spec}\n")
        };
        assert_eq!(
            fields(&store(
                "{provider: {fake: {data: [{key: a, value: canary}, {key: b, valueMap: {c: canary, d: ''}}, {key: e}]}}}"
            )),
            ["spec.provider.fake.data[0].value", "spec.provider.fake.data[1].valueMap.c"]
        );
        assert_eq!(fields(&store("{provider: {vault: {data: [{value: x}]}}}")), [""; 0]);
        let generator =
            "apiVersion: generators.external-secrets.io/v1alpha1\nkind: Fake\nspec: {data: {a: canary, b: '${B}'}}\n";
        assert_eq!(fields(generator), ["spec.data.a"]);
        assert_eq!(fields("kind: Fake\nspec: {data: {a: b}}\n"), [""; 0]);
    }

    #[test]
    fn a_template_that_writes_a_password_out_is_found() {
        let of = |data: &str| {
            format!("kind: SealedSecret\nspec: {{encryptedData: {{a: AgBy}}, template: {{data: {data}}}}}\n")
        };
        assert_eq!(fields(&of("{password: canary}")), ["spec.template.data.password"]);
        assert_eq!(
            fields(&of("{password: '{{ .a }}', host: db.internal, api_token: '', f: \"password: x\"}")),
            [""; 0]
        );
    }

    #[test]
    fn the_mark_of_sops_alone_excuses_nothing() {
        for (value, mark) in [
            ("ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]", "{}"),
            ("ENC[Zq8fKx2nWv7R", "{mac: x}"),
            ("ENC[AES256_GCM,data:x]canary", "{mac: x}"),
            ("ENC[canary]", "{mac: x}"),
        ] {
            assert_eq!(
                fields(&format!("kind: Secret\nstringData: {{a: '{value}'}}\nsops: {mark}\n")),
                ["stringData.a"],
                "{value}"
            );
        }
    }

    #[test]
    fn of_keys_that_are_there_twice_each_one_counts() {
        for yaml in [
            "kind: ConfigMap\nkind: Secret\nstringData: {p: canary}\n",
            "kind: Secret\nkind: ConfigMap\nstringData: {p: canary}\n",
            "kind: Secret\nstringData: {}\nstringData: {p: canary}\n",
            "kind: Secret\nstringData: {p: '', p: canary}\n",
        ] {
            assert_eq!(fields(yaml), ["stringData.p"], "{yaml}");
        }
    }

    #[test]
    fn items_of_a_list_of_secrets_need_no_kind() {
        assert_eq!(
            fields("kind: SecretList\nitems:\n- metadata: {name: a}\n  stringData: {p: canary}\n"),
            ["stringData.p"]
        );
        assert_eq!(fields("kind: SecretList\nitems:\n- kind: Secret\n  stringData: {p: canary}\n"), ["stringData.p"]);
        assert_eq!(fields("x: &x {stringData: {p: canary}}\nkind: SecretList\nitems: [*x]\n"), ["stringData.p"]);
    }

    #[test]
    fn the_letter_that_stands_for_an_action_excuses_nothing_in_a_file_as_it_is_written() {
        for value in ["'\u{e000}canary'", r#""\ue000canary""#, r#""\uE000canary""#, r#""\U0000e000canary""#] {
            assert_eq!(fields(&format!("kind: Secret\nstringData: {{p: {value}}}\n")), ["stringData.p"], "{value}");
        }
    }

    #[test]
    fn values_that_an_alias_or_a_merge_key_brings_are_found_and_placeholders_are_not() {
        assert_eq!(fields("x: &x {p: canary}\nkind: Secret\nstringData: *x\n"), ["stringData.p"]);
        assert_eq!(fields("x: &x {p: canary}\nkind: Secret\nstringData: {<<: *x}\n"), ["stringData.p"]);
        let stand_ins =
            "kind: Secret\ndata: {a: '${DB_PASSWORD}', b: '<path:secret/data/db#password>', c: '{{ .x }}'}\n";
        assert_eq!(fields(stand_ins), [""; 0]);
        assert_eq!(fields("kind: Secret\ndata: {a: '${not a name}', b: '{{ .x }}tail', c: '<path'}\n").len(), 3);
    }

    #[test]
    fn what_kustomize_makes_secrets_of_is_found() {
        let yaml = "resources: [a.yaml]\nsecretGenerator:\n- name: db\n  literals: [password=canary, empty=]\n  files: [no=there.is]\n";
        let leaks = find(Path::new("kustomization.yaml"), yaml);
        assert_eq!((leaks[0].place, leaks[0].name.as_str()), ((4, 14), "db"));
        assert_eq!(fields(yaml), ["literals.password"]);
        assert_eq!(
            fields("apiVersion: builtin\nkind: SecretGenerator\nmetadata: {name: db}\nliterals: [a=b]\n"),
            ["literals.a"]
        );
        assert_eq!(fields("secretGenerator: [{name: db, literals: [a=]}]"), [""; 0]);
        assert_eq!(fields("configMapGenerator: [{name: db, literals: [a=b]}]"), [""; 0]);
    }

    #[test]
    fn sealed_and_empty_ones_are_not() {
        let sealed = "kind: SealedSecret\nspec: {encryptedData: {a: AgBy}}\n---\nkind: Secret\nmetadata: {name: a}\n";
        assert_eq!(fields(sealed), [""; 0]);
        assert_eq!(
            fields("kind: Secret\ndata: {a: 'ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]'}\nsops: {mac: x}\n"),
            [""; 0]
        );
        assert_eq!(fields("not: [yaml"), [""; 0]);
    }
}
