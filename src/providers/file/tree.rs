//! The decrypted file as a tree, and what its entries are as values.

use std::collections::BTreeMap;
use std::io::{self, Write};

use zeroize::Zeroizing;

use crate::secret::Plaintext;

/// Everything in the file.
pub(super) struct Tree(pub(super) Entries);

/// A map of the file.
pub(super) type Entries = BTreeMap<String, Node>;

/// Something in the file.
pub(super) enum Node {
    /// A string.
    Text(Zeroizing<String>),
    /// A number or a truth value, as it was written.
    Plain(Zeroizing<String>),
    /// Nothing.
    Null,
    /// A list.
    List(Vec<Self>),
    /// A map.
    Map(Entries),
}

impl Tree {
    /// The value of an entry: one of the top level by its whole name, or else one further down by its path.
    pub(super) fn get(&self, key: &str) -> Option<Plaintext> {
        locate(&self.0, key).map(Node::value)
    }

    /// The entries below `path` whose name (from the top on) is wanted. What is inside of one that matches does not
    /// match once more by itself.
    pub(super) fn find(&self, path: Option<&str>, is_wanted: impl Fn(&str) -> bool) -> BTreeMap<String, Plaintext> {
        let path = path.map(|path| path.trim_matches('/')).filter(|path| !path.is_empty());
        let is_below = |name: &str| match path {
            Some(path) => name.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')),
            None => true,
        };
        let mut found = BTreeMap::new();
        self.walk(&self.0, "", &|name| is_below(name) && is_wanted(name), &mut found);
        found
    }

    fn walk(
        &self,
        entries: &Entries,
        above: &str,
        matches: &impl Fn(&str) -> bool,
        found: &mut BTreeMap<String, Plaintext>,
    ) {
        for (key, node) in entries {
            let name = format!("{above}{key}");
            if matches(&name) {
                // Of two with one name, that which a lookup gives.
                if locate(&self.0, &name).is_some_and(|first| std::ptr::eq(first, node)) {
                    found.insert(name, node.value());
                }
            } else if let Node::Map(entries) = node {
                self.walk(entries, &format!("{name}/"), matches, found);
            }
        }
    }
}

/// Each key of a map may have slashes itself: all ways to read the path are tried, the longest key last, but the exact
/// one first.
fn locate<'t>(entries: &'t Entries, key: &str) -> Option<&'t Node> {
    if let Some(node) = entries.get(key) {
        return Some(node);
    }
    key.match_indices('/').find_map(|(at, _)| match entries.get(&key[..at]) {
        Some(Node::Map(inner)) => locate(inner, &key[at + 1..]),
        Some(Node::Text(_) | Node::Plain(_) | Node::Null | Node::List(_)) | None => None,
    })
}

impl Node {
    /// The bytes of a scalar, the JSON text of anything else.
    fn value(&self) -> Plaintext {
        match self {
            Self::Text(text) | Self::Plain(text) => Plaintext::copy_of(text.as_bytes()),
            Self::Null => Plaintext::default(),
            Self::List(_) | Self::Map(_) => {
                // Counted first, so that the buffer never moves. Neither sink fails.
                let mut length = Count(0);
                let counted = self.write_json(&mut length);
                let mut json = Zeroizing::new(Vec::with_capacity(length.0));
                let written = self.write_json(&mut *json);
                debug_assert!(counted.is_ok() && written.is_ok() && json.len() == length.0);
                Plaintext::from_guarded(json)
            }
        }
    }

    fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Plain(text) if is_json(text) => out.write_all(text.as_bytes()),
            Self::Text(text) | Self::Plain(text) => write_text(text, out),
            Self::Null => out.write_all(b"null"),
            Self::List(items) => {
                out.write_all(b"[")?;
                for (index, item) in items.iter().enumerate() {
                    out.write_all(if index == 0 { b"" } else { b"," })?;
                    item.write_json(out)?;
                }
                out.write_all(b"]")
            }
            Self::Map(entries) => {
                out.write_all(b"{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    out.write_all(if index == 0 { b"" } else { b"," })?;
                    write_text(key, out)?;
                    out.write_all(b":")?;
                    value.write_json(out)?;
                }
                out.write_all(b"}")
            }
        }
    }
}

/// Whether it stands in JSON as it is: `007` and `0x1F` do not, and become strings rather than other digits.
fn is_json(text: &str) -> bool {
    matches!(text, "true" | "false") || serde_json::from_str::<serde_json::Number>(text).is_ok()
}

fn write_text(text: &str, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::from)
}

/// Counts what is written to it.
struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
