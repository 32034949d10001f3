//! The Kubernetes objects in a file, read from the tree.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use bulla::seal::Scope;
use bulla_crds::sealed_secret::{GROUP, KIND};

use super::error::DocumentError;
use super::scalar;
use super::tree::{Content, Node, Tag};

/// One Kubernetes object in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// `apiVersion`.
    pub(crate) api_version: String,
    /// `kind`.
    pub(crate) kind: String,
    /// `metadata.name`, if it says one.
    pub(crate) name: Option<String>,
    /// `metadata.namespace`, if it says one.
    pub(crate) namespace: Option<String>,
    /// `metadata.annotations`, those that are strings.
    pub(crate) annotations: BTreeMap<String, String>,
    /// Keys of `metadata.annotations` whose value is not a string, such as `true` without quotes.
    pub(crate) odd_annotations: Vec<String>,
    /// `spec.encryptedData` in the order of the file; empty where the object is not a SealedSecret.
    pub(crate) entries: Vec<Entry>,
    /// Line of its first key, from 1.
    pub(crate) line: usize,
    /// Which document, then which item of each List around it.
    pub(super) path: Vec<usize>,
}

/// One key of `spec.encryptedData`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The data key.
    pub(crate) key: String,
    /// The text; `None` where the file has anything but a string (a number, null, a list, an alias).
    pub(crate) value: Option<String>,
    /// Bytes of the value in the file, quotes included; of a block scalar the content only.
    pub(crate) span: Range<usize>,
    /// Line of the key, from 1.
    pub(crate) line: usize,
    /// Column of the key in characters, from 1.
    pub(crate) column: usize,
}

impl Manifest {
    /// Is it one that this program seals and opens?
    pub(crate) fn is_sealed_secret(&self) -> bool {
        is_sealed_secret(&self.api_version, &self.kind)
    }

    /// The scope that its annotations declare.
    pub(crate) fn scope(&self) -> Scope {
        Scope::from_annotations(|name| self.annotations.get(name).map(String::as_str))
    }

    /// The entry of that key.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

/// All objects in all documents, items of Lists in place of the Lists.
pub(super) fn read(roots: &[Node]) -> Result<Vec<Manifest>, DocumentError> {
    let mut manifests = Vec::new();
    for (index, root) in roots.iter().enumerate() {
        collect(root, vec![index], &mut manifests)?;
    }
    Ok(manifests)
}

/// The node at a manifest's path.
pub(super) fn at<'a>(roots: &'a [Node], path: &[usize]) -> Option<&'a Node> {
    let (first, items) = path.split_first()?;
    items.iter().try_fold(roots.get(*first)?, |node, index| list_items(node)?.get(*index))
}

fn list_items(node: &Node) -> Option<&[Node]> {
    match &node.find("items")?.value.content {
        Content::List { items } => Some(items),
        Content::Scalar { .. } | Content::Map { .. } | Content::Alias => None,
    }
}

fn collect(node: &Node, path: Vec<usize>, manifests: &mut Vec<Manifest>) -> Result<(), DocumentError> {
    // As it is written: whether a name may be `n` or `12` is for the API server to say.
    let string = |node: &Node, key: &str| Some(node.find(key)?.value.text()?.to_owned());
    let (Some(api_version), Some(kind)) = (string(node, "apiVersion"), string(node, "kind")) else {
        return Ok(());
    };
    if kind.ends_with("List")
        && let Some(items) = list_items(node)
    {
        for (index, item) in items.iter().enumerate() {
            collect(item, [path.as_slice(), &[index]].concat(), manifests)?;
        }
        return Ok(());
    }
    let metadata = node.find("metadata").map(|pair| &pair.value);
    let mut manifest = Manifest {
        name: metadata.and_then(|metadata| string(metadata, "name")),
        namespace: metadata.and_then(|metadata| string(metadata, "namespace")),
        annotations: metadata
            .and_then(|metadata| metadata.find("annotations"))
            .map(|pair| strings_by_key(&pair.value))
            .unwrap_or_default(),
        odd_annotations: metadata
            .and_then(|metadata| metadata.find("annotations"))
            .map(|pair| keys_of_others(&pair.value))
            .unwrap_or_default(),
        entries: Vec::new(),
        line: node.line,
        path,
        api_version,
        kind,
    };
    if manifest.is_sealed_secret() {
        manifest.entries = entries(node, metadata)?;
    }
    manifests.push(manifest);
    Ok(())
}

fn is_sealed_secret(api_version: &str, kind: &str) -> bool {
    kind == KIND && api_version.split_once('/').is_some_and(|(group, _)| group == GROUP)
}

fn entries(object: &Node, metadata: Option<&Node>) -> Result<Vec<Entry>, DocumentError> {
    refuse_duplicates(object)?;
    metadata.map_or(Ok(()), refuse_duplicates)?;
    let Some(spec) = object.find("spec") else {
        return Ok(Vec::new());
    };
    refuse_duplicates(&spec.value)?;
    let Some(data) = spec.value.find("encryptedData") else {
        return Ok(Vec::new());
    };
    refuse_duplicates(&data.value)?;
    let named = data.value.pairs().iter().filter_map(|pair| Some((pair.key.text()?, pair)));
    let entry = |(key, pair): (&str, &super::tree::Pair)| Entry {
        key: key.to_owned(),
        value: string_of(&pair.value),
        span: pair.value.span.clone(),
        line: pair.key.line,
        column: pair.key.column,
    };
    Ok(named.map(entry).collect())
}

fn refuse_duplicates(map: &Node) -> Result<(), DocumentError> {
    let mut seen = HashSet::new();
    for pair in map.pairs() {
        if let Some(key) = pair.key.text()
            && !seen.insert(key)
        {
            let (line, column) = (pair.key.line, pair.key.column);
            return Err(DocumentError::Duplicate { line, column, key: key.to_owned() });
        }
    }
    Ok(())
}

fn strings_by_key(map: &Node) -> BTreeMap<String, String> {
    let strings = map.pairs().iter().filter_map(|pair| Some((pair.key.text()?.to_owned(), string_of(&pair.value)?)));
    strings.collect()
}

fn keys_of_others(map: &Node) -> Vec<String> {
    let others = map.pairs().iter().filter(|pair| string_of(&pair.value).is_none());
    others.filter_map(|pair| pair.key.text().map(str::to_owned)).collect()
}

/// The text of a node that every reader takes for a string.
fn string_of(node: &Node) -> Option<String> {
    let text = node.text()?;
    let is_string = match node.tag {
        Tag::String => true,
        Tag::None => node.style() != Some(granit_parser::ScalarStyle::Plain) || !scalar::is_typed(text),
        Tag::Other => false,
    };
    is_string.then(|| text.to_owned())
}
