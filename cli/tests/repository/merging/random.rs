//! Random edits on two branches, merged by the real git: different keys always come together, the same key never does.

use std::collections::{BTreeMap, BTreeSet};

use super::FILE;
use crate::checkout::{Checkout, Key, manifest};
use crate::support::dice::Dice;

const FILES: usize = 40;
const KEYS: [&str; 9] = ["password", "username", "tls.crt", "tls.key", "a", "b", ".dockerconfigjson", "token", "x_y"];

/// One version of a file: keys in order, each with its text and how it is written.
#[derive(Clone)]
struct Version {
    json: bool,
    entries: Vec<(String, String, usize)>,
    /// A line outside of the values.
    team: String,
}

impl Version {
    fn text(&self) -> String {
        if self.json {
            let entries: Vec<String> =
                self.entries.iter().map(|(key, value, _)| format!("      \"{key}\": \"{value}\"")).collect();
            return format!(
                "{{\n  \"apiVersion\": \"bitnami.com/v1alpha1\",\n  \"kind\": \"SealedSecret\",\n  \"metadata\": {{\n    \
                 \"labels\": {{\"team\": \"{}\"}},\n    \"name\": \"db\",\n    \"namespace\": \"prod\"\n  }},\n  \"spec\": \
                 {{\n    \"encryptedData\": {{\n{}\n    }}\n  }}\n}}\n",
                self.team,
                entries.join(",\n")
            );
        }
        let lines: Vec<String> = self
            .entries
            .iter()
            .map(|(key, value, style)| match style {
                0 => format!("{key}: {value}"),
                1 => format!("# about {key}\n{key}: {value} # {key}"),
                2 => format!("\n'{key}': '{value}'"),
                _ => {
                    let (front, back) = value.split_at(value.len() / 2);
                    format!("{key}: >-\n  {front}\\\n  {back}")
                        .replace(">-", "\"\\")
                        .replace(back, &format!("{back}\""))
                }
            })
            .collect();
        manifest("prod/db", &lines.join("\n")).replace("payments", &self.team)
    }

    fn values(&self) -> BTreeMap<String, String> {
        self.entries.iter().map(|(key, value, _)| (key.clone(), value.clone())).collect()
    }
}

struct World {
    key: Key,
    dice: Dice,
    count: usize,
}

impl World {
    fn value(&mut self, key: &str) -> String {
        self.count += 1;
        self.key.seal(key, &format!("value {}", self.count), "2026-11-01")
    }

    fn base(&mut self) -> Version {
        let json = self.dice.below(4) == 0;
        let mut keys: Vec<&str> = KEYS.to_vec();
        let entries = (0..2 + self.dice.below(5))
            .map(|_| {
                let key = keys.remove(self.dice.below(keys.len())).to_owned();
                let value = self.value(&key);
                (key, value, self.dice.below(4))
            })
            .collect();
        Version { json, entries, team: "payments".to_owned() }
    }

    /// An edit of these keys alone: changed, taken out, or put in anywhere.
    fn edit(&mut self, base: &Version, keys: &[&str]) -> Version {
        let mut version = base.clone();
        for key in keys {
            let at = version.entries.iter().position(|(known, ..)| known == key);
            match (at, self.dice.below(4)) {
                (Some(at), 0) if version.entries.len() > 1 => drop(version.entries.remove(at)),
                (Some(at), 1..) => version.entries[at].1 = self.value(key),
                (Some(_), _) => {}
                (None, 0) => {}
                (None, _) => {
                    let place = self.dice.below(version.entries.len() + 1);
                    let value = self.value(key);
                    version.entries.insert(place, ((*key).to_owned(), value, self.dice.below(4)));
                }
            }
        }
        version
    }
}

/// The entries of a file as an independent reader sees them.
fn read(text: &str) -> BTreeMap<String, String> {
    let object: serde_json::Value = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let data = object["spec"]["encryptedData"].as_object().unwrap();
    data.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect()
}

fn name(index: usize) -> String {
    format!("{index}/{FILE}")
}

#[test]
fn different_keys_always_merge_to_the_union_and_the_same_key_never_does() {
    let mut seen = BTreeSet::new();
    for seed in [11, 12, 13, 14, 15] {
        let checkout = Checkout::installed();
        let mut world = World { key: Key::new(), dice: Dice(seed), count: 0 };
        let bases: Vec<Version> = (0..FILES).map(|_| world.base()).collect();
        let mut edits: Vec<[Version; 2]> = Vec::new();
        for base in &bases {
            let mut keys: Vec<&str> = KEYS.to_vec();
            let pick = |dice: &mut Dice, keys: &mut Vec<&'static str>| {
                let count = 1 + dice.below(3);
                (0..count).map(|_| keys.remove(dice.below(keys.len()))).collect::<Vec<_>>()
            };
            let (ours, theirs) = (pick(&mut world.dice, &mut keys), pick(&mut world.dice, &mut keys));
            let (mut a, mut b) = (world.edit(base, &ours), world.edit(base, &theirs));
            match world.dice.below(4) {
                0 => a.team = "red".to_owned(),
                1 => b.team = "blue".to_owned(),
                _ => {}
            }
            // Now and then, the same key on both sides.
            if world.dice.below(5) == 0 {
                let (shared, ..) = &base.entries[world.dice.below(base.entries.len())];
                for version in [&mut a, &mut b] {
                    let value = world.value(shared);
                    if let Some(entry) = version.entries.iter_mut().find(|(key, ..)| key == shared) {
                        entry.1 = value;
                    }
                }
            }
            edits.push([a, b]);
        }
        let commit = |versions: &mut dyn Iterator<Item = &Version>| {
            for (index, version) in versions.enumerate() {
                checkout.write(&name(index), &version.text());
            }
            checkout.git(&["add", "-A"]).exits(0);
            checkout.git(&["commit", "-qm", "x", "--no-verify", "--allow-empty"]).exits(0);
        };
        commit(&mut bases.iter());
        checkout.git(&["checkout", "-q", "-b", "other"]).exits(0);
        commit(&mut edits.iter().map(|[_, theirs]| theirs));
        checkout.git(&["checkout", "-q", "main"]).exits(0);
        commit(&mut edits.iter().map(|[ours, _]| ours));
        let run = checkout.git(&["merge", "--no-edit", "other"]);
        assert!(!run.err.contains("merged line by line"), "{}", run.err);
        let unmerged = checkout.git(&["diff", "--name-only", "--diff-filter=U"]).exits(0).out;

        for (index, base) in bases.iter().enumerate() {
            let name = name(index);
            let (old, [a, b]) = (base.values(), &edits[index]);
            let (ours, theirs) = (a.values(), b.values());
            let changed = |new: &BTreeMap<String, String>, key: &str| new.get(key) != old.get(key);
            let keys: BTreeSet<&String> = old.keys().chain(ours.keys()).chain(theirs.keys()).collect();
            let both: Vec<&&String> = keys
                .iter()
                .filter(|key| changed(&ours, key) && changed(&theirs, key) && ours.get(**key) != theirs.get(**key))
                .collect();
            let text = checkout.read(&name);
            let is_conflict = unmerged.lines().any(|line| line == name);
            assert_eq!(is_conflict, !both.is_empty(), "seed {seed}, {name}: {both:?}\n{text}");
            seen.insert((is_conflict, base.json));
            if is_conflict {
                assert_eq!(text.matches("<<<<<<<").count(), both.len(), "{text}");
                continue;
            }
            let expected: BTreeMap<String, String> = keys
                .iter()
                .filter_map(|key| {
                    let side = if changed(&ours, key) { &ours } else { &theirs };
                    Some(((*key).clone(), side.get(*key)?.clone()))
                })
                .collect();
            assert_eq!(read(&text), expected, "seed {seed}, {name}\n{text}");
            let team = [&a.team, &b.team].into_iter().find(|team| *team != "payments");
            assert!(text.contains(team.map_or("payments", String::as_str)), "{text}");
            for (key, _, style) in a.entries.iter().chain(&b.entries).filter(|(key, ..)| expected.contains_key(key)) {
                assert!(base.json || *style != 1 || text.contains(&format!("# about {key}\n")), "{text}");
            }
        }
    }
    assert_eq!(seen.len(), 4, "conflicts and clean merges, of both kinds of files");
}
