//! Which SealedSecret of one text is which of another: by namespace and name, else by what is in it.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::Manifest;

/// Pairs up the objects of two texts: indices of one and of the other. Each is in at most one pair.
///
/// Objects of the same namespace and name are the same; the first with the first, where a file has several. One that
/// was renamed is found by a value that is in both, or by its keys where it stands in the same place.
pub(crate) fn pairs(one: &[&Manifest], other: &[&Manifest]) -> Vec<(usize, usize)> {
    let mut by_name: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (index, manifest) in other.iter().enumerate().rev() {
        by_name.entry((&manifest.namespace, &manifest.name)).or_default().push(index);
    }
    let mut pairs = Vec::new();
    let (mut rest, mut taken) = (Vec::new(), BTreeSet::new());
    for (index, manifest) in one.iter().enumerate() {
        match by_name.get_mut(&(&manifest.namespace, &manifest.name)).and_then(Vec::pop) {
            Some(found) => {
                taken.insert(found);
                pairs.push((index, found));
            }
            None => rest.push(index),
        }
    }
    let left: Vec<usize> = (0..other.len()).filter(|index| !taken.contains(index)).collect();
    let mut alike: Vec<(usize, usize, usize)> = Vec::new();
    for a in &rest {
        alike.extend(left.iter().filter_map(|b| Some((likeness(one[*a], other[*b], a == b)?, *a, *b))));
    }
    alike.sort_by_key(|(likeness, a, b)| (std::cmp::Reverse(*likeness), *a, *b));
    let mut used = (BTreeSet::new(), BTreeSet::new());
    for (_, a, b) in alike {
        if !used.0.contains(&a) && !used.1.contains(&b) {
            used.0.insert(a);
            used.1.insert(b);
            pairs.push((a, b));
        }
    }
    pairs.sort_unstable();
    pairs
}

/// How much two objects of different names have in common; `None` if they are not the same one under another name.
fn likeness(one: &Manifest, other: &Manifest, same_place: bool) -> Option<usize> {
    let values: BTreeMap<&str, Option<&str>> =
        other.entries.iter().map(|entry| (entry.key.as_str(), entry.value.as_deref())).collect();
    let (mut keys, mut same) = (0, 0);
    for entry in &one.entries {
        if let Some(value) = values.get(entry.key.as_str()) {
            keys += 1;
            same += usize::from(value.is_some() && *value == entry.value.as_deref());
        }
    }
    let most = one.entries.len().max(other.entries.len());
    let is_like = same > 0 || (same_place && keys > 0 && keys * 2 >= most);
    is_like.then_some(same * 1000 + keys)
}

#[cfg(test)]
mod tests {
    use super::pairs;
    use crate::document::Document;

    fn paired(one: &str, other: &str) -> Vec<(usize, usize)> {
        let read = |text: &str| {
            let objects = text.split_whitespace().map(|object| {
                let (name, keys) = object.split_once(':').unwrap();
                let entries: String =
                    keys.split(',').map(|entry| format!("    {}\n", entry.replace('=', ": "))).collect();
                format!(
                    "---\napiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{name: {name}}}\nspec:\n  encryptedData:\n{entries}"
                )
            });
            Document::parse(objects.collect()).unwrap()
        };
        let (one, other) = (read(one), read(other));
        let list = |document: &'_ Document| document.manifests().to_vec();
        let (one, other) = (list(&one), list(&other));
        pairs(&one.iter().collect::<Vec<_>>(), &other.iter().collect::<Vec<_>>())
    }

    #[test]
    fn names_count_first_whatever_the_order() {
        assert_eq!(paired("a:x=one b:y=two", "b:y=three a:x=four"), [(0, 1), (1, 0)]);
        assert_eq!(paired("a:x=one a:x=two", "a:x=one a:x=two"), [(0, 0), (1, 1)]);
    }

    #[test]
    fn a_renamed_object_is_known_by_a_value_or_by_its_place_and_keys() {
        assert_eq!(paired("a:x=one,y=two", "new:z=three b:x=one"), [(0, 1)]);
        assert_eq!(paired("a:x=one,y=two", "b:x=three,y=four"), [(0, 0)]);
        assert_eq!(paired("a:x=one,y=two", "b:p=three,q=four"), []);
        assert_eq!(paired("k:k=k a:x=one", "a:x=one b:x=two"), [(1, 0)]);
    }
}
