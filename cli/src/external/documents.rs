//! The objects in the files that were given: ExternalSecrets, stores, and what stores and templates name.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla::secret::{Plaintext, Values};
use bulla_crds::external_secret::{StoreKind, StoreRef};
use bulla_crds::object::{API_VERSION, GROUP, OLDER_VERSION};
use bulla_crds::{
    ClusterExternalSecret, ClusterSecretStore, ExternalSecret, SecretStore, SecretStoreSpec, Unreadable,
    cluster_external_secret,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value};
use zeroize::{Zeroize as _, Zeroizing};

use super::check::Finding;
use super::fields;
use crate::failure::{OrFail as _, Outcome, refuse};
use crate::outline::{Outline, View};
use crate::{input, recipients};

/// Where an object is written.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The file, as it was named.
    pub(crate) file: String,
    /// Line of its first key, from 1.
    pub(crate) line: Option<usize>,
    /// Kind, namespace and name.
    pub(crate) object: String,
    /// Where the spec of an ExternalSecret is in it.
    pub(crate) root: &'static str,
}

impl Place {
    /// The same place, of an object with another name.
    fn renamed(&self, new: &Landed) -> Self {
        let kind = self.object.split(' ').next().unwrap_or_default();
        let is_cluster = kind.starts_with("Cluster");
        let object = match new.namespace() {
            Some(namespace) if !is_cluster => format!("{kind} {namespace}/{}", new.name),
            Some(_) | None => format!("{kind} {}", new.name),
        };
        Self { object, ..self.clone() }
    }
}

impl Landed {
    fn namespace(&self) -> Option<String> {
        (self.is_known && !self.namespace.is_empty()).then(|| self.namespace.clone())
    }
}

/// Where a ClusterExternalSecret has the spec of its ExternalSecrets.
const INNER: &str = "spec.externalSecretSpec";

/// An ExternalSecret in a file, or those of a ClusterExternalSecret.
pub(crate) struct External {
    pub(crate) place: Place,
    pub(crate) object: ExternalSecret,
}

impl External {
    /// Its namespace; empty where nobody says.
    pub(crate) fn namespace(&self) -> &str {
        self.object.metadata.namespace.as_deref().unwrap_or_default()
    }
}

/// A store in a file.
pub(crate) struct Store {
    pub(crate) place: Place,
    /// The file's folder.
    pub(crate) folder: PathBuf,
    pub(crate) is_cluster: bool,
    /// Empty for a ClusterSecretStore, and where nobody says.
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) spec: Result<SecretStoreSpec, Unreadable>,
}

type Named<T> = BTreeMap<(String, String), T>;

/// An object that somebody, a kustomization say, gives another name.
pub(crate) struct Landed {
    /// Where it is written.
    pub(crate) file: String,
    pub(crate) line: usize,
    /// Its namespace, empty for none, and its name.
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Whether these are known; otherwise it may be anywhere.
    pub(crate) is_known: bool,
}

/// Everything that was read.
#[derive(Default)]
pub(crate) struct Documents {
    pub(crate) externals: Vec<External>,
    pub(crate) stores: Vec<Store>,
    /// Labels of the namespaces that are among the documents.
    pub(crate) namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// What is wrong with the documents as such.
    pub(crate) findings: Vec<Finding>,
    secrets: Named<Values>,
    config_maps: Named<Values>,
}

/// What is taken from a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    /// Everything.
    All,
    /// Everything but Secrets and ConfigMaps, whose values a check has no use for.
    Checked,
    /// Stores and what they name; ExternalSecrets in it are somebody else's.
    Stores,
}

impl Documents {
    /// Reads a file, or standard input for `-`. `namespace` is that of manifests that name none; without one, it is
    /// what `.bulla.yaml` says for the file.
    pub(crate) fn read(&mut self, file: &Path, namespace: Option<&str>, take: Take) -> Outcome {
        let is_stdin = file == Path::new("-");
        let named = if is_stdin { "standard input".to_owned() } else { file.display().to_string() };
        let text = input::manifest(file)?;
        let ruled = match namespace {
            None if !is_stdin => recipients::rule_for(Some(file))?.and_then(|rule| rule.namespace),
            None | Some(_) => None,
        };
        let namespace = namespace.map(str::to_owned).or(ruled).unwrap_or_default();
        self.read_text(file, &named, &text, &namespace, take)
    }

    /// Reads the text of a file; `named` is what it is called in findings, `namespace` is empty where nobody says.
    pub(crate) fn read_text(&mut self, file: &Path, named: &str, text: &str, namespace: &str, take: Take) -> Outcome {
        self.read_part(file, named, (0, text), namespace, take)
    }

    /// Reads a part of a file that comes after so many lines of it.
    ///
    /// # Errors
    /// As for a file.
    pub(crate) fn read_part(
        &mut self,
        file: &Path,
        named: &str,
        (before, text): (usize, &str),
        namespace: &str,
        take: Take,
    ) -> Outcome {
        let folder = file.parent().map(Path::to_path_buf).unwrap_or_default();
        let documents: Vec<Option<Value>> =
            serde_saphyr::from_multiple(text).map_err(|error| refuse!("{named}: {}", error.without_snippet()))?;
        let lines = lines(text);
        let mut objects = Vec::new();
        documents.into_iter().flatten().for_each(|document| flatten(document, &mut objects));
        for (index, object) in objects.into_iter().enumerate() {
            let file = File { named, folder: &folder, namespace, take };
            self.object(&file, lines.get(index).map(|line| before + line), object)?;
        }
        Ok(())
    }

    fn object(&mut self, file: &File<'_>, line: Option<usize>, mut object: Map<String, Value>) -> Outcome {
        let text = |object: &Map<String, Value>, field: &str| {
            object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (api_version, kind) = (text(&object, "apiVersion"), text(&object, "kind"));
        let is_cluster = matches!(kind.as_str(), "ClusterSecretStore" | "ClusterExternalSecret" | "Namespace");
        let metadata = object.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
        let name = text(&metadata, "name");
        let own = text(&metadata, "namespace");
        let namespace = match (is_cluster, own.is_empty()) {
            (true, _) => String::new(),
            (false, true) => file.namespace.to_owned(),
            (false, false) => own,
        };
        let full = if namespace.is_empty() { name.clone() } else { format!("{namespace}/{name}") };
        let place = Place { file: file.named.to_owned(), line, object: format!("{kind} {full}"), root: "spec" };
        let group = api_version.split_once('/').map(|(group, _)| group);
        match (group, kind.as_str()) {
            (Some(GROUP), "ExternalSecret" | "ClusterExternalSecret" | "SecretStore" | "ClusterSecretStore") => {
                if file.take == Take::Stores && kind.ends_with("ExternalSecret") {
                    return Ok(());
                }
                if api_version != API_VERSION && api_version != format!("{GROUP}/{OLDER_VERSION}") {
                    let message =
                        format!("{api_version} is not served: write {API_VERSION} or {GROUP}/{OLDER_VERSION}");
                    self.findings.push(Finding::of(&place, "apiVersion", message));
                }
                if name.is_empty() {
                    self.findings.push(Finding::of(&place, "metadata.name", "must be set"));
                }
                let unknown = fields::unknown(&kind, &object);
                self.findings.extend(unknown.into_iter().map(|field| Finding::of(&place, field.path, field.message)));
                self.external(file, place, &kind, namespace, Value::Object(object))?;
            }
            (None, "Secret" | "ConfigMap") if file.take == Take::Checked => {}
            (None, "Secret") => {
                self.secrets.insert((namespace, name), secret_values(&place, &mut object)?);
            }
            (None, "ConfigMap") => {
                self.config_maps.insert((namespace, name), config_values(&place, &mut object)?);
            }
            (None, "Namespace") => {
                let labels = metadata.get("labels").and_then(Value::as_object).cloned().unwrap_or_default();
                let labels = labels.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned())));
                self.namespaces.insert(name, labels.collect());
            }
            _ => {}
        }
        Ok(())
    }

    fn external(&mut self, file: &File<'_>, place: Place, kind: &str, namespace: String, object: Value) -> Outcome {
        let unreadable = place.object.clone();
        let store = |is_cluster, namespace, name: Option<String>, spec| Store {
            place: place.clone(),
            folder: file.folder.to_path_buf(),
            is_cluster,
            namespace,
            name: name.unwrap_or_default(),
            spec,
        };
        match kind {
            "ExternalSecret" => {
                let mut object: ExternalSecret = serde_json::from_value(object).or_refuse(unreadable)?;
                object.metadata.namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
                self.externals.push(External { place, object });
            }
            "ClusterExternalSecret" => {
                let object: ClusterExternalSecret = serde_json::from_value(object).or_refuse(unreadable)?;
                self.cluster_external(place, object);
            }
            "SecretStore" => {
                let object: SecretStore = serde_json::from_value(object).or_refuse(unreadable)?;
                self.stores.push(store(false, namespace, object.metadata.name, object.spec));
            }
            _ => {
                let object: ClusterSecretStore = serde_json::from_value(object).or_refuse(unreadable)?;
                self.stores.push(store(true, String::new(), object.metadata.name, object.spec));
            }
        }
        Ok(())
    }

    /// The ExternalSecrets that it makes are one, in namespaces that are not known here.
    fn cluster_external(&mut self, place: Place, object: ClusterExternalSecret) {
        let name = object.spec.as_ref().ok().and_then(|spec| spec.external_secret_name.clone());
        let name = name.filter(|name| !name.is_empty()).or(object.metadata.name);
        if let Ok(spec) = &object.spec {
            let own = cluster_external_secret::validate(spec).into_iter().filter(|rule| !rule.path.starts_with(INNER));
            self.findings.extend(own.map(|rule| Finding::of(&place, rule.path, rule.message)));
        }
        let place = Place { root: INNER, ..place };
        let object = ExternalSecret {
            metadata: ObjectMeta { name, ..ObjectMeta::default() },
            spec: object.spec.map(|spec| spec.external_secret_spec),
            status: None,
        };
        self.externals.push(External { place, object });
    }

    /// Adds what another one has read.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.externals.append(&mut other.externals);
        self.stores.append(&mut other.stores);
        self.namespaces.append(&mut other.namespaces);
        self.findings.append(&mut other.findings);
        self.secrets.append(&mut other.secrets);
        self.config_maps.append(&mut other.config_maps);
    }

    /// The ExternalSecrets and stores among these, under their new names.
    pub(crate) fn landed(&self, landed: &[Landed]) -> Self {
        let by_place: HashMap<(&str, Option<usize>), &Landed> =
            landed.iter().map(|one| ((one.file.as_str(), Some(one.line)), one)).collect();
        let of = |place: &Place| by_place.get(&(place.file.as_str(), place.line)).copied();
        let mut documents = Self { namespaces: self.namespaces.clone(), ..Self::default() };
        for External { place, object } in &self.externals {
            let Some(new) = of(place) else { continue };
            let mut object = object.clone();
            // Those of a ClusterExternalSecret are in namespaces that it chooses.
            if place.root == INNER {
                object.metadata.namespace = None;
            } else if new.is_known {
                object.metadata.name = Some(new.name.clone());
                // Where nobody sets one, it is still what .bulla.yaml says.
                object.metadata.namespace = new.namespace().or(object.metadata.namespace);
            } else {
                object.metadata.namespace = None;
            }
            documents.externals.push(External { place: place.renamed(new), object });
        }
        for store in &self.stores {
            let Some(new) = of(&store.place) else { continue };
            let namespace = match new.namespace() {
                Some(namespace) if !store.is_cluster => namespace,
                None if new.is_known => store.namespace.clone(),
                Some(_) | None => String::new(),
            };
            documents.stores.push(Store {
                place: store.place.renamed(new),
                folder: store.folder.clone(),
                is_cluster: store.is_cluster,
                namespace,
                name: if new.is_known { new.name.clone() } else { store.name.clone() },
                spec: store.spec.clone(),
            });
        }
        documents
    }

    /// The store that `reference` means in `namespace`.
    pub(crate) fn store(&self, reference: &StoreRef, namespace: &str) -> Option<&Store> {
        let is_cluster = reference.kind() == StoreKind::ClusterSecretStore;
        let mut named =
            self.stores.iter().filter(|store| store.is_cluster == is_cluster && store.name == reference.name);
        let fits = |store: &&Store| is_cluster || same_namespace(&store.namespace, namespace);
        let exact = named.clone().find(|store| is_cluster || store.namespace == namespace);
        exact.or_else(|| named.find(fits))
    }

    /// The data of a Secret.
    pub(crate) fn secret(&self, namespace: &str, name: &str) -> Option<&Values> {
        lookup(&self.secrets, namespace, name)
    }

    /// The data of a ConfigMap.
    pub(crate) fn config_map(&self, namespace: &str, name: &str) -> Option<&Values> {
        lookup(&self.config_maps, namespace, name)
    }
}

/// What holds for every object of a file.
struct File<'a> {
    named: &'a str,
    folder: &'a Path,
    namespace: &'a str,
    take: Take,
}

/// Manifests without a namespace are applied together with those beside them.
fn same_namespace(one: &str, other: &str) -> bool {
    one == other || one.is_empty() || other.is_empty()
}

fn lookup<'a>(named: &'a Named<Values>, namespace: &str, name: &str) -> Option<&'a Values> {
    let exact = named.get(&(namespace.to_owned(), name.to_owned()));
    let fits = |((own, named), _): &(&'a (String, String), &'a Values)| named == name && same_namespace(own, namespace);
    exact.or_else(|| named.iter().find(fits).map(|(_, values)| values))
}

/// The objects of a document in the order of the file; items of a List in place of the List.
fn flatten(document: Value, objects: &mut Vec<Map<String, Value>>) {
    let Value::Object(mut object) = document else { return };
    let (Some(Value::String(_)), Some(Value::String(kind))) = (object.get("apiVersion"), object.get("kind")) else {
        return;
    };
    if kind.ends_with("List")
        && let Some(Value::Array(items)) = object.get_mut("items")
    {
        std::mem::take(items).into_iter().for_each(|item| flatten(item, objects));
        return;
    }
    objects.push(object);
}

/// The line of each object, in the same order. What the reader of lines cannot follow has none.
fn lines(text: &str) -> Vec<usize> {
    let outline = Outline::parse(text);
    let is_object =
        |view: &View<'_, '_>| ["apiVersion", "kind"].iter().all(|key| view.get(key).and_then(View::text).is_some());
    let lines = |outline: Outline<'_>| outline.objects().into_iter().filter(is_object).map(View::line).collect();
    outline.map(lines).unwrap_or_default()
}

/// A map's strings, taken out so that they can be wiped.
fn strings(place: &Place, object: &mut Map<String, Value>, field: &str) -> Outcome<Vec<(String, Zeroizing<String>)>> {
    let Some(Value::Object(map)) = object.get_mut(field).map(Value::take) else { return Ok(Vec::new()) };
    let mut strings = Vec::new();
    for (key, value) in map {
        match value {
            Value::String(text) => strings.push((key, Zeroizing::new(text))),
            Value::Null => strings.push((key, Zeroizing::default())),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                return Err(refuse!("{}: {}: {field}.{key} must be a string", place.file, place.object));
            }
        }
    }
    Ok(strings)
}

fn decoded(place: &Place, object: &mut Map<String, Value>, field: &str, values: &mut Values) -> Outcome {
    for (key, text) in strings(place, object, field)? {
        let mut text = text;
        text.retain(|c| !c.is_ascii_whitespace());
        let bytes = STANDARD
            .decode(text.as_bytes())
            .map_err(|_| refuse!("{}: {}: {field}.{key} is not base64", place.file, place.object))?;
        text.zeroize();
        values.insert(key, Plaintext::new(bytes));
    }
    Ok(())
}

fn secret_values(place: &Place, object: &mut Map<String, Value>) -> Outcome<Values> {
    let mut values = Values::new();
    decoded(place, object, "data", &mut values)?;
    let plain = strings(place, object, "stringData")?;
    values.extend(plain.into_iter().map(|(key, text)| (key, Plaintext::copy_of(text.as_bytes()))));
    Ok(values)
}

fn config_values(place: &Place, object: &mut Map<String, Value>) -> Outcome<Values> {
    let mut values = Values::new();
    decoded(place, object, "binaryData", &mut values)?;
    let plain = strings(place, object, "data")?;
    values.extend(plain.into_iter().map(|(key, text)| (key, Plaintext::copy_of(text.as_bytes()))));
    Ok(values)
}
