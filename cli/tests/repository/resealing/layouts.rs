//! However a file is written: the bytes of stale values change, and no others.

use bulla::seal::{Identity, Place, Recipient, Scope};

use super::{opens, sealed, x25519};
use crate::checkout::Checkout;
use crate::support::dice::Dice;

/// A value in a file, and where it belongs.
struct Written {
    text: String,
    key: String,
    scope: Scope,
    namespace: String,
    name: String,
}

/// Writes files as people do.
struct Writer<'a> {
    dice: Dice,
    old: &'a Recipient,
    new: &'a Recipient,
    values: Vec<Written>,
}

impl Writer<'_> {
    fn one_in(&mut self, chance: usize) -> bool {
        self.dice.below(chance) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.dice.below(all.len())]
    }

    /// A value that is stale or not.
    fn value(&mut self, key: &str, name: &str, scope: Scope) -> String {
        let (namespace, is_stale) = ("prod".to_owned(), !self.one_in(3));
        let place = Place { namespace: &namespace, name, key };
        let text = sealed(&[if is_stale { self.old } else { self.new }], scope, place);
        if is_stale {
            let (key, name) = (key.to_owned(), name.to_owned());
            self.values.push(Written { text: text.clone(), key, scope, namespace, name });
        }
        text
    }

    fn file(&mut self) -> (bool, String) {
        self.values.clear();
        let is_json = self.one_in(4);
        let mut text = if is_json { self.json() } else { self.yaml() };
        if self.one_in(3) {
            text = text.replace('\n', "\r\n");
        }
        if self.one_in(4) {
            text.insert(0, '\u{feff}');
        }
        (is_json, text)
    }

    fn json(&mut self) -> String {
        let (gap, newline) = self.of(&[("", ""), (" ", ""), (" ", "\n")]);
        let count = 1 + self.dice.below(3);
        let pairs: Vec<String> = (0..count)
            .map(|at| format!("\"k{at}\":{gap}\"{}\"", self.value(&format!("k{at}"), "db", Scope::Strict)))
            .collect();
        let pairs = pairs.join(&format!(",{newline}\t"));
        let object = format!(
            "{{\"kind\":{gap}\"SealedSecret\",{newline}\"apiVersion\":{gap}\"bitnami.com/v1alpha1\",{newline}\"metadata\":{gap}{{\"namespace\":{gap}\"prod\",\"name\":{gap}\"db\"}},{newline}\"spec\":{gap}{{\"encryptedData\":{gap}{{{newline}\t{pairs}{newline}}}}},\"extra\":{gap}[1.50,null]}}"
        );
        if self.one_in(3) {
            return format!("{{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{object}]}}{newline}");
        }
        format!("{object}{newline}")
    }

    fn yaml(&mut self) -> String {
        let mut text = String::new();
        if self.one_in(3) {
            text.push_str("# of team payments: do not touch\n\n");
        }
        for document in 0..1 + self.dice.below(3) {
            if document > 0 || self.one_in(2) {
                text.push_str(self.of(&["---\n", "--- # next\n"]));
            }
            text += &match self.dice.below(5) {
                0 => "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  note: |\n    kind: SealedSecret\n    password: AgA=\n".to_owned(),
                1 => self.list(),
                _ => self.sealed_secret("", document),
            };
        }
        if self.one_in(4) {
            text.push_str("...\n");
        }
        if self.one_in(4) {
            text.truncate(text.trim_end_matches('\n').len());
        }
        text
    }

    fn list(&mut self) -> String {
        let mut text = "apiVersion: v1\nkind: List\nitems:\n".to_owned();
        for item in 0..1 + self.dice.below(2) {
            let object = self.sealed_secret("  ", 10 + item);
            text.push_str(&object.replacen("  ", "- ", 1));
        }
        text
    }

    fn sealed_secret(&mut self, indent: &str, number: usize) -> String {
        let scope = self.of(&[Scope::Strict, Scope::NamespaceWide, Scope::ClusterWide]);
        let name = format!("db{number}");
        let annotations = scope.annotation().map_or_else(String::new, |annotation| {
            format!("{indent}  annotations: {{{annotation}: \"true\", note: 'it''s'}}\n")
        });
        let (name_line, step) = (self.of(&["name: ", "name:   ", "\"name\": "]), self.of(&["  ", "    "]));
        let mut text = format!(
            "{indent}apiVersion: bitnami.com/v1alpha1\n{indent}kind: SealedSecret\n{indent}metadata:\n{indent}  {name_line}{name}\n{indent}  namespace: prod\n{annotations}{indent}spec:\n"
        );
        if self.one_in(3) {
            text += &format!(
                "{indent}  template:\n{indent}    type: Opaque # the usual\n{indent}    data: {{url: \"{{{{ .k0 }}}}\"}}\n"
            );
        }
        if self.one_in(5) {
            let a = self.value("k0", &name, scope);
            let b = self.value("k1", &name, scope);
            text += &format!("{indent}  encryptedData: {{k0: {a},   'k1': \"{b}\"}} # all in one line\n");
            return text;
        }
        text += &format!("{indent}  encryptedData:\n");
        for at in 0..1 + self.dice.below(4) {
            let key = format!("k{at}");
            let value = self.value(&key, &name, scope);
            let own = format!("{indent}  {step}");
            if self.one_in(4) {
                text += &format!("{own}# about {key}, see https://example.com/#x\n");
            }
            text += &match self.dice.below(7) {
                0 => format!("{own}{key}: '{value}'\n"),
                1 => format!("{own}\"{key}\": \"{value}\"  # quoted\n"),
                2 => format!("{own}{key}: |-\n{own}  {value}\n"),
                3 => format!("{own}{key}: >- # folded\n{own}    {value}\n"),
                4 => format!("{own}{key}:\n{own}  {value}\n"),
                _ => format!("{own}{key}:  {value}\n"),
            };
            if self.one_in(5) {
                text.push('\n');
            }
        }
        text
    }
}

/// The new texts of the values, where everything between them is as it was.
fn replaced(before: &str, stale: &[Written], after: &str) -> Vec<String> {
    let mut places: Vec<(usize, &Written)> =
        stale.iter().map(|value| (before.find(&value.text).unwrap(), value)).collect();
    places.sort_by_key(|(at, _)| *at);
    let (mut from, mut rest, mut new) = (0, after, vec![String::new(); stale.len()]);
    for (at, value) in places {
        let between = &before[from..at];
        rest =
            rest.strip_prefix(between).unwrap_or_else(|| panic!("{between:?} is not kept in\n{after}\nof\n{before}"));
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        let length = rest.bytes().position(|byte| !is_base64(byte)).unwrap_or(rest.len());
        let index = stale.iter().position(|other| other.text == value.text).unwrap();
        new[index] = rest[..length].to_owned();
        (from, rest) = (at + value.text.len(), &rest[length..]);
    }
    assert_eq!(rest, &before[from..], "of\n{before}");
    new
}

#[test]
fn only_the_bytes_of_stale_values_change_however_a_file_is_written() {
    let checkout = Checkout::plain();
    let (old, new): (Identity, Identity) = (x25519(), x25519());
    let identities = [checkout.key_file("old.key", &old), checkout.key_file("new.key", &new)];
    let mut writer = Writer { dice: Dice(7), old: old.recipient(), new: new.recipient(), values: Vec::new() };
    let mut files = Vec::new();
    for number in 0..240 {
        let (is_json, text) = writer.file();
        let name = format!("d{}/f{number}.{}", number % 7, if is_json { "json" } else { "yaml" });
        checkout.write(&name, &text);
        files.push((name, text, std::mem::take(&mut writer.values)));
    }
    let arguments = ["--identity", &identities[0], "--identity", &identities[1]];
    checkout.reseal(&[&["--dry-run", "--exclude", "d1/**"], &arguments[..]].concat()).exits(0);
    for (name, before, _) in &files {
        assert_eq!(checkout.read(name), *before, "a dry run writes nothing");
    }
    checkout.reseal(&arguments).exits(0);
    let mut count = 0;
    for (name, before, stale) in &files {
        let after = checkout.read(name);
        for (text, value) in replaced(before, stale, &after).iter().zip(stale) {
            let Written { key, scope, namespace, name, text: old_text } = value;
            let place = Place { namespace, name, key };
            assert!(opens(text, *scope, place, &[&new]) && !opens(text, *scope, place, &[&old]), "{after}");
            assert_ne!(text, old_text);
            count += 1;
        }
    }
    assert!(count > 300, "{count}");
    // And again: not a byte.
    let all: Vec<String> = files.iter().map(|(name, ..)| checkout.read(name)).collect();
    checkout.reseal(&arguments).exits(0);
    checkout.reseal(&["--check", "--to", &new.recipient().to_string()]).exits(0);
    for ((name, ..), before) in files.iter().zip(all) {
        assert_eq!(checkout.read(name), before);
    }
}

#[test]
fn a_value_in_several_lines_becomes_one_line_and_what_is_shared_is_refused() {
    let checkout = Checkout::plain();
    let (old, new) = (x25519(), x25519());
    let value = |key: &str| super::value(&[old.recipient()], key);
    let wrapped = |key: &str| {
        value(key)
            .as_bytes()
            .chunks(76)
            .map(|line| format!("      {}\n", std::str::from_utf8(line).unwrap()))
            .collect::<String>()
    };
    let head = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: db, namespace: prod}\nspec:\n  encryptedData:\n";
    checkout.write("wrapped.yaml", &format!("{head}    a: |\n{}    b: {}\n", wrapped("a"), value("b")));
    checkout
        .write("anchor.yaml", &format!("{head}    a: &shared {}\n    b: {}\n    c: *shared\n", value("a"), value("b")));
    let tagged = format!("{head}    a: !!binary {}\n    b: {}\n", value("a"), value("b"));
    checkout.write("tag.yaml", &tagged);
    let keys = [checkout.key_file("old.key", &old), checkout.key_file("new.key", &new)];
    let run = checkout.reseal(&["-i", &keys[0], "-i", &keys[1]]).exits(1);
    for said in
        ["anchor.yaml:6: prod/db a line 6, column", "an anchor (&name)", "an alias (*name)", "tag.yaml:6: prod/db a"]
    {
        assert!(run.out.contains(said), "{said}: {}", run.out);
    }
    let place = |key| Place { namespace: "prod", name: "db", key };
    let wrapped = checkout.read("wrapped.yaml");
    let lines: Vec<&str> = wrapped.lines().collect();
    assert_eq!((lines.len(), lines[5]), (8, "    a: |-"), "{wrapped}");
    assert!(opens(lines[6].trim(), Scope::Strict, place("a"), &[&new]));
    // The others of the same files were done.
    for file in ["anchor.yaml", "tag.yaml", "wrapped.yaml"] {
        let text = checkout.read(file);
        let b = text.lines().find_map(|line| line.strip_prefix("    b: ")).unwrap();
        assert!(opens(b, Scope::Strict, place("b"), &[&new]), "{file}");
    }
    assert!(checkout.read("anchor.yaml").contains("    c: *shared\n"));
}
