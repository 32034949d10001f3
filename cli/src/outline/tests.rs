//! What an outline shows, and that hostile files cost no more than others.

use super::{Outline, View};

fn one<T>(text: &str, look: impl FnOnce(View<'_, '_>) -> T) -> T {
    let outline = Outline::parse(text).unwrap();
    look(outline.documents().next().unwrap())
}

#[test]
fn values_know_their_place_and_their_path() {
    let text = "a: 1\nspec:\n  data:\n  - {k: v}\n  - k:   'wé' # c\n    z: |\n      block\n---\n{\"b\": [true]}\n";
    one(text, |root| {
        let value = root.find(&["spec", "data"]).unwrap().items().nth(1).unwrap().get("k").unwrap();
        assert_eq!((value.place(), value.text(), value.path().as_str()), ((5, 10), Some("wé"), "spec.data[1].k"));
        let (key, _) = value.parent().unwrap().entry("z").unwrap();
        assert_eq!((key.place(), key.path().as_str()), ((6, 5), "spec.data[1].z"));
        assert_eq!(root.get("a").unwrap().string(), None);
    });
    let outline = Outline::parse(text).unwrap();
    let last = outline.documents().last().unwrap().get("b").unwrap().items().next().unwrap();
    assert_eq!((last.place(), last.path().as_str(), last.string()), ((9, 8), "b[0]", None));
}

#[test]
fn aliases_and_merge_keys_are_followed_and_never_in_a_circle() {
    let text = "base: &b {x: 1, y: &y '2'}\none: {<<: *b, x: 3}\nmany: {<<: [*b, {z: 4}]}\nsame: *y\n";
    one(text, |root| {
        let keys = |name: &str| {
            let pairs = root.get(name).unwrap().pairs();
            pairs
                .iter()
                .map(|(key, value)| format!("{}{}", key.text().unwrap(), value.text().unwrap()))
                .collect::<String>()
        };
        assert_eq!((keys("one").as_str(), keys("many").as_str()), ("x3y2", "x1y2z4"));
        assert_eq!(root.get("one").unwrap().get("y").unwrap().string(), Some("2"));
        assert_eq!((root.get("same").unwrap().string(), root.get("same").unwrap().line()), (Some("2"), 4));
    });
    one("kind: List\nitems: &l\n- *l\n- &m {<<: *m, kind: A}\n", |root| {
        assert_eq!(root.outline.objects().len(), 1);
        let item = root.get("items").unwrap().items().nth(1).unwrap();
        assert_eq!(item.pairs().len(), 1);
        assert!(root.get("items").unwrap().items().next().unwrap().get("kind").is_none());
    });
    // Each line ten times the one before.
    let mut bomb = "a0: &a0 {k: v}\n".to_owned();
    for level in 1..30 {
        let names = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} {{<<: [{names}]}}\n"));
    }
    one(&bomb, |root| assert!(root.get("a29").unwrap().pairs().len() <= 1));
}

#[test]
fn deep_and_broken_files_are_an_error_and_never_a_panic() {
    for text in ["a: [", "a: b: c", "\t- a", "{", "a: *none", "\"a", "%", "? [a]: b\n", "&a &b c"] {
        drop(Outline::parse(text));
    }
    drop(Outline::parse(&"[".repeat(200_000)));
    drop(Outline::parse(&"- ".repeat(200_000)));
    drop(Outline::parse(&"{a: ".repeat(100_000)));
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    if let Ok(outline) = Outline::parse(&deep) {
        assert!(outline.all().last().unwrap().path().starts_with("[0]"));
    }
}

#[test]
fn keys_that_are_there_twice_are_seen() {
    one("a: 1\nb: 2\n'a': 3\n", |root| assert_eq!(root.duplicate().unwrap().place(), (3, 1)));
}
