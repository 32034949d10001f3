//! `bulla open`: SealedSecrets back to Secrets, offline, with private keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla::resource;
use bulla::secret::Target;
use bulla_crds::SealedSecret;
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::args::{OpenArguments, Syntax};
use crate::document::emit::{Tree, json, push_map, yaml};
use crate::failure::{OrFail as _, Outcome, refuse, usage};
use crate::{identities, input, output};

/// Runs the verb.
pub(super) fn run(arguments: &OpenArguments) -> Outcome {
    let name = arguments.file.display().to_string();
    let text = input::manifest(&arguments.file)?;
    let mut objects = sealed_secrets(&text, &name)?;
    let keyring = identities::keyring(&arguments.identity)?;
    if let Some(namespace) = &arguments.namespace {
        for object in &mut objects {
            let own = object.metadata.namespace.get_or_insert_with(|| namespace.clone());
            if own != namespace {
                return Err(refuse!("{name} is in namespace {own}, not {namespace}"));
            }
        }
    }
    let now = Timestamp::now();
    let mut opened = Vec::new();
    let mut refused = Vec::new();
    for object in &objects {
        let named = object.metadata.name.clone().unwrap_or_default();
        match resource::open(object, &keyring, now) {
            Ok(desired) => opened.push(desired.target),
            Err(error) => refused.push(format!("{named}: {error}")),
        }
    }
    match &arguments.key {
        Some(key) => value(&opened, key, &refused, &name)?,
        None => output::print_bytes(manifests(&opened, arguments.format).as_bytes())?,
    }
    if refused.is_empty() { Ok(()) } else { Err(refuse!("{name}: {}", refused.join("\n"))) }
}

/// Every SealedSecret of a file; lists count.
fn sealed_secrets(text: &str, name: &str) -> Outcome<Vec<SealedSecret>> {
    let documents: Vec<Option<serde_json::Value>> =
        serde_saphyr::from_multiple(text).map_err(|error| refuse!("{name}: {}", error.without_snippet()))?;
    let mut objects = Vec::new();
    for document in documents.into_iter().flatten() {
        let items = match document.get("items").and_then(serde_json::Value::as_array) {
            Some(items) => items.clone(),
            None => vec![document],
        };
        for item in items {
            if item.get("kind").and_then(serde_json::Value::as_str) == Some(bulla_crds::sealed_secret::KIND) {
                objects.push(serde_json::from_value::<SealedSecret>(item).or_refuse(name.to_owned())?);
            }
        }
    }
    if objects.is_empty() { Err(refuse!("{name} holds no SealedSecret")) } else { Ok(objects) }
}

/// Prints one value, byte for byte.
fn value(opened: &[Target], key: &str, refused: &[String], name: &str) -> Outcome {
    match opened.iter().filter_map(|target| target.data.get(key)).collect::<Vec<_>>().as_slice() {
        [value] => output::print_bytes(value.expose()),
        // What went wrong is said by the caller.
        [] if !refused.is_empty() => Ok(()),
        [] => Err(refuse!("{name} has no value {key}")),
        _ => Err(usage!("several Secrets in {name} have a value {key}: put them into files of their own")),
    }
}

/// The Secrets as manifests. What is printed is wiped here; what the terminal or the file keeps is not ours.
fn manifests(opened: &[Target], format: Syntax) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    for (index, target) in opened.iter().enumerate() {
        let tree = tree(target);
        let document = Zeroizing::new(match format {
            Syntax::Yaml => yaml(&tree),
            Syntax::Json => json(&tree),
        });
        if index > 0 && format == Syntax::Yaml {
            text.push_str("---\n");
        }
        text.push_str(&document);
    }
    text
}

fn tree(target: &Target) -> Tree {
    let said = |text: &str| Tree::Text(text.to_owned());
    let mut metadata = vec![("name".to_owned(), said(&target.name))];
    if !target.namespace.is_empty() {
        metadata.push(("namespace".to_owned(), said(&target.namespace)));
    }
    push_map(&mut metadata, "labels", &target.shape.labels);
    push_map(&mut metadata, "annotations", &target.shape.annotations);
    if !target.shape.finalizers.is_empty() {
        metadata.push(("finalizers".to_owned(), Tree::List(target.shape.finalizers.clone())));
    }
    let data = target.data.iter().map(|(key, value)| (key.clone(), Tree::Text(STANDARD.encode(value.expose()))));
    let mut fields = vec![
        ("apiVersion".to_owned(), said("v1")),
        ("kind".to_owned(), said("Secret")),
        ("metadata".to_owned(), Tree::Map(metadata)),
        ("type".to_owned(), said(target.shape.effective_kind())),
    ];
    fields.extend(target.shape.immutable.map(|immutable| ("immutable".to_owned(), Tree::Bool(immutable))));
    fields.push(("data".to_owned(), Tree::Map(data.collect())));
    Tree::Map(fields)
}
