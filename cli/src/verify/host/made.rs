//! The Secrets that objects make, with their keys.

use std::collections::BTreeSet;

use crate::outline::View;

/// A Secret that an object makes.
pub(in crate::verify) struct Made {
    /// Empty where nobody says.
    pub(super) namespace: String,
    pub(super) name: String,
    /// Nothing where only the store knows.
    pub(super) keys: Option<BTreeSet<String>>,
}

impl Made {
    /// What a SealedSecret or an ExternalSecret makes. `namespace` is that of objects that name none.
    pub(in crate::verify) fn of(object: View<'_, '_>, namespace: Option<&str>) -> Option<Self> {
        let text = |path: &[&str]| object.find(path).and_then(View::text).map(str::to_owned);
        let keys = |path: &[&str]| {
            let pairs = object.find(path).map(View::pairs).unwrap_or_default();
            pairs.into_iter().filter_map(|(key, _)| key.text().map(str::to_owned)).collect::<BTreeSet<_>>()
        };
        let name = text(&["metadata", "name"])?;
        let namespace = text(&["metadata", "namespace"]).or_else(|| namespace.map(str::to_owned)).unwrap_or_default();
        let (name, keys) = match text(&["kind"])?.as_str() {
            "SealedSecret" => {
                let mut all = keys(&["spec", "encryptedData"]);
                all.extend(keys(&["spec", "template", "data"]));
                // The old format seals a whole Secret at once.
                (name, if object.find(&["spec", "data"]).is_some() { None } else { Some(all) })
            }
            "ExternalSecret" => {
                let is_open = object.find(&["spec", "dataFrom"]).is_some()
                    || object.find(&["spec", "target", "template", "templateFrom"]).is_some();
                let items = object.find(&["spec", "data"]).into_iter().flat_map(View::items);
                let mut all: BTreeSet<_> =
                    items.filter_map(|item| item.get("secretKey")?.text().map(str::to_owned)).collect();
                let rendered = keys(&["spec", "target", "template", "data"]);
                if !rendered.is_empty()
                    && text(&["spec", "target", "template", "mergePolicy"]).as_deref() != Some("Merge")
                {
                    all.clear();
                }
                all.extend(rendered);
                (text(&["spec", "target", "name"]).unwrap_or(name), if is_open { None } else { Some(all) })
            }
            _ => return None,
        };
        Some(Self { namespace, name, keys })
    }
}
