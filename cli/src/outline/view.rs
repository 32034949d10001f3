//! One node of an [`Outline`].

use std::collections::HashSet;

use super::{Content, Node, Outline, Typed};
use crate::document::is_typed;

/// How many names may stand for each other.
const MAX_ALIASES: usize = 8;
/// How many maps may be merged into one, and how many entries of each.
const MAX_MERGES: usize = 64;
const MAX_MERGED: usize = 4096;

/// A node and the file that it is in. Looking at an alias is looking at what it stands for; its place is its own.
#[derive(Clone, Copy)]
pub(crate) struct View<'o, 't> {
    pub(super) outline: &'o Outline<'t>,
    pub(super) id: u32,
}

impl<'o, 't> View<'o, 't> {
    fn node(self) -> Option<&'o Node<'t>> {
        self.outline.nodes.get(self.id as usize)
    }

    fn with(self, id: u32) -> Self {
        Self { id, ..self }
    }

    /// What the node is, or what the alias stands for.
    fn content(self) -> Option<&'o Content<'t>> {
        self.target().and_then(|target| target.node()).map(|node| &node.content)
    }

    fn target(self) -> Option<Self> {
        let mut view = self;
        for _ in 0..MAX_ALIASES {
            match &view.node()?.content {
                Content::Alias(anchor) => view = view.with(*self.outline.anchors.get(anchor)?),
                Content::Text { .. } | Content::Map(_) | Content::List(_) => return Some(view),
            }
        }
        None
    }

    /// Line, from 1.
    pub(crate) fn line(self) -> usize {
        self.node().map_or(1, |node| node.line as usize)
    }

    /// Column in characters, from 1.
    pub(crate) fn column(self) -> usize {
        self.node().map_or(1, |node| node.column as usize)
    }

    /// Line and column.
    pub(crate) fn place(self) -> (usize, usize) {
        (self.line(), self.column())
    }

    /// Whether both are one node of one file.
    pub(crate) fn is_same(self, other: Self) -> bool {
        self.id == other.id
    }

    pub(crate) fn is_alias(self) -> bool {
        matches!(self.node().map(|node| &node.content), Some(Content::Alias(_)))
    }

    pub(crate) fn is_map(self) -> bool {
        matches!(self.content(), Some(Content::Map(_)))
    }

    pub(crate) fn is_list(self) -> bool {
        matches!(self.content(), Some(Content::List(_)))
    }

    /// `null` in one of its spellings, or nothing at all.
    pub(crate) fn is_null(self) -> bool {
        match self.content() {
            Some(Content::Text { value, is_string: Typed::Plain }) => {
                matches!(value.as_ref(), "" | "~" | "null" | "Null" | "NULL")
            }
            Some(_) => false,
            None => true,
        }
    }

    /// The text of a scalar, whatever type YAML would give it.
    pub(crate) fn text(self) -> Option<&'o str> {
        match self.content()? {
            Content::Text { value, .. } => Some(value),
            Content::Map(_) | Content::List(_) | Content::Alias(_) => None,
        }
    }

    /// The text of a scalar that every reader takes for a string.
    pub(crate) fn string(self) -> Option<&'o str> {
        match self.content()? {
            Content::Text { value, is_string: Typed::String } => Some(value),
            Content::Text { value, is_string: Typed::Plain } if !is_typed(value) => Some(value),
            Content::Text { .. } | Content::Map(_) | Content::List(_) | Content::Alias(_) => None,
        }
    }

    /// The items of a list; of anything else none.
    pub(crate) fn items(self) -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        let items: &'o [u32] = match self.content() {
            Some(Content::List(items)) => items,
            Some(Content::Text { .. } | Content::Map(_) | Content::Alias(_)) | None => &[],
        };
        items.iter().map(move |id| self.with(*id))
    }

    /// The entries of a map as they are written, without what merge keys bring.
    pub(crate) fn own_pairs(self) -> impl Iterator<Item = (Self, Self)> {
        let pairs: &'o [(u32, u32)] = match self.content() {
            Some(Content::Map(pairs)) => pairs,
            Some(Content::Text { .. } | Content::List(_) | Content::Alias(_)) | None => &[],
        };
        pairs.iter().map(move |(key, value)| (self.with(*key), self.with(*value)))
    }

    /// The entries of a map, and those that merge keys (`<<`) bring into it.
    pub(crate) fn pairs(self) -> Vec<(Self, Self)> {
        let is_merge = |key: Self| key.text() == Some("<<");
        let mut pairs: Vec<(Self, Self)> = self.own_pairs().filter(|(key, _)| !is_merge(*key)).collect();
        let mut merges: Vec<Self> = self.own_pairs().filter(|(key, _)| is_merge(*key)).map(|(_, from)| from).collect();
        if merges.is_empty() {
            return pairs;
        }
        merges.reverse();
        let mut known: HashSet<&str> = pairs.iter().filter_map(|(key, _)| key.text()).collect();
        let mut left = MAX_MERGES;
        while let (Some(from), true) = (merges.pop(), left > 0) {
            left -= 1;
            merges.extend(from.items().take(MAX_MERGES).rev());
            for (key, value) in from.own_pairs().take(MAX_MERGED) {
                if is_merge(key) {
                    merges.push(value);
                } else if key.text().is_none_or(|text| known.insert(text)) {
                    pairs.push((key, value));
                }
            }
        }
        pairs
    }

    /// The entry of a map with that key: the key and its value.
    pub(crate) fn entry(self, key: &str) -> Option<(Self, Self)> {
        let is_it = |(known, _): &(Self, Self)| known.text() == Some(key);
        let has_merge = || self.own_pairs().any(|(known, _)| known.text() == Some("<<"));
        let own = self.own_pairs().find(is_it);
        own.or_else(|| has_merge().then(|| self.pairs().into_iter().find(is_it)).flatten())
    }

    /// The value of a key of a map.
    pub(crate) fn get(self, key: &str) -> Option<Self> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The value behind several keys in a row.
    pub(crate) fn find(self, path: &[&str]) -> Option<Self> {
        path.iter().try_fold(self, |view, key| view.get(key))
    }

    /// Where it is in its document, such as `spec.data[0].remoteRef`.
    pub(crate) fn path(self) -> String {
        let mut parts = Vec::new();
        let mut view = self;
        while let Some(parent) = view.node().map(|node| node.parent).filter(|parent| *parent != view.id) {
            let parent = view.with(parent);
            match parent.node().map(|node| &node.content) {
                Some(Content::Map(pairs)) => {
                    let own = pairs.iter().find(|(key, value)| *value == view.id || *key == view.id);
                    let key = own.and_then(|(key, _)| view.with(*key).text()).unwrap_or_default();
                    parts.push(format!(".{key}"));
                }
                Some(Content::List(items)) => {
                    let index = items.iter().position(|item| *item == view.id).unwrap_or_default();
                    parts.push(format!("[{index}]"));
                }
                Some(Content::Text { .. } | Content::Alias(_)) | None => {}
            }
            view = parent;
        }
        parts.reverse();
        parts.concat().trim_start_matches('.').to_owned()
    }

    /// The collection that it is in; a root has none.
    pub(crate) fn parent(self) -> Option<Self> {
        let parent = self.node()?.parent;
        (parent != self.id).then(|| self.with(parent))
    }

    /// The first key of this map that is there twice.
    pub(crate) fn duplicate(self) -> Option<Self> {
        let mut seen = HashSet::new();
        self.own_pairs().map(|(key, _)| key).find(|key| key.text().is_some_and(|text| !seen.insert(text)))
    }
}
