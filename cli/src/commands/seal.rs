//! `bulla seal`: plain Secrets in, SealedSecrets out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bulla::seal::{Place, Scope};
use bulla::secret::Plaintext;
use bulla_crds::SealedSecret;

use crate::args::{KeyAndPath, SealArguments, Syntax};
use crate::document::{Document, Manifest, SealedManifest, SealedTemplate};
use crate::failure::{OrFail as _, Outcome, refuse, usage};
use crate::output::{self, Access};
use crate::repository::Rule;
use crate::sealing::Sealer;
use crate::secret_manifest::{self, SecretManifest};
use crate::{input, recipients};

/// Runs the verb.
pub(super) fn run(mut arguments: SealArguments) -> Outcome {
    arguments.out = arguments.out.filter(|out| out != Path::new("-"));
    let file = arguments.out.clone().or_else(|| arguments.files.first().cloned());
    let secrets = plain_secrets(&arguments)?;
    let resolved = recipients::resolve(&arguments.to, file.as_deref())?;
    let mut sealer = Sealer::new(resolved.recipients);
    if arguments.raw {
        return raw(&arguments, secrets, resolved.rule.as_ref(), &mut sealer);
    }

    let existing = Existing::read(arguments.out.as_deref())?;
    let mut sealed = Vec::new();
    for secret in secrets {
        let mut place = Sealing::resolve(&arguments, resolved.rule.as_ref(), &secret)?;
        if arguments.scope.is_none() && secret.scope.is_none() {
            place.scope = existing.scope_of(place.name.as_deref()).unwrap_or(place.scope);
        }
        sealed.push(place.seal(secret, &mut sealer, &existing)?);
    }
    let to_whom = recipients::describe(sealer.recipients());
    let Some(out) = &arguments.out else {
        sealer.finish();
        return output::print(&write(&sealed, arguments.format.unwrap_or(Syntax::Yaml)));
    };
    existing.is_covered_by(&sealed, out)?;
    let text = existing.updated(&sealed).unwrap_or_else(|| write(&sealed, syntax_of(out, arguments.format)));
    let (new, kept) = sealer.finish();
    if existing.text.as_deref() == Some(text.as_str()) {
        output::note(&format!("{} is unchanged: {kept} value(s) are the same as before", out.display()));
        return Ok(());
    }
    // The first secret of a namespace: its folder is not there yet.
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).or_usage(format!("making {}", folder.display()))?;
    }
    output::write_file(out, text.as_bytes(), Access::Ordinary)?;
    let kept = if kept > 0 { format!(", {kept} kept as they were") } else { String::new() };
    output::note(&format!("{}: {new} value(s) sealed to {to_whom}{kept}", out.display()));
    Ok(())
}

/// The Secrets to seal: from files or standard input, or made from single values.
fn plain_secrets(arguments: &SealArguments) -> Outcome<Vec<SecretManifest>> {
    let SealArguments { files, from_literal, from_file, secret_type, name, .. } = arguments;
    let single = from_literal.is_some() || !from_file.is_empty();
    if single && !files.is_empty() {
        return Err(usage!("either manifests or --from-literal and --from-file, not both"));
    }
    if !single && secret_type.is_some() {
        return Err(usage!("--type goes with --from-literal and --from-file: a manifest says its type itself"));
    }
    let mut secrets = Vec::new();
    if single {
        let mut secret = SecretManifest { name: name.clone(), type_: secret_type.clone(), ..SecretManifest::default() };
        // Before anybody is asked to type a value.
        let keys = from_file.iter().map(|file| &file.key).chain(from_literal);
        keys.into_iter().try_for_each(|key| super::valid_key(key))?;
        for KeyAndPath { key, path } in from_file {
            secret.values.insert(key.clone(), input::value(key, Some(path))?);
        }
        if let Some(key) = from_literal {
            secret.values.insert(key.clone(), input::value(key, None)?);
        }
        secrets.push(secret);
    } else if files.is_empty() {
        let stdin = Path::new("-");
        secrets = secret_manifest::parse(&input::manifest(stdin)?, "standard input")?;
    } else {
        for file in files {
            secrets.extend(secret_manifest::parse(&input::manifest(file)?, &file.display().to_string())?);
        }
    }
    if name.is_some() && secrets.len() > 1 {
        return Err(usage!("--name names one Secret, and there are {}", secrets.len()));
    }
    Ok(secrets)
}

/// Prints one value alone.
fn raw(arguments: &SealArguments, secrets: Vec<SecretManifest>, rule: Option<&Rule>, sealer: &mut Sealer) -> Outcome {
    let mut secrets = secrets.into_iter();
    let (Some(secret), None) = (secrets.next(), secrets.next()) else {
        return Err(usage!("--raw prints one value: give one Secret"));
    };
    if secret.values.len() != 1 {
        return Err(usage!(
            "--raw prints one value, and there are {}: name it with --from-literal KEY",
            secret.values.len()
        ));
    }
    let place = Sealing::resolve(arguments, rule, &secret)?;
    for (key, value) in &secret.values {
        let sealed = place.value(key, value, sealer, None)?;
        output::print(&format!("{sealed}\n"))?;
    }
    Ok(())
}

/// Where one SealedSecret will stand.
struct Sealing {
    scope: Scope,
    namespace: Option<String>,
    name: Option<String>,
}

impl Sealing {
    fn resolve(arguments: &SealArguments, rule: Option<&Rule>, secret: &SecretManifest) -> Outcome<Self> {
        let scope = match (arguments.scope, secret.scope) {
            (Some(given), Some(own)) if given != own => {
                return Err(refuse!("the Secret is annotated {own}, but --scope says {given}: make them agree"));
            }
            (given, own) => given.or(own).or_else(|| rule.and_then(|rule| rule.scope)).unwrap_or_default(),
        };
        let name = arguments.name.clone().or_else(|| secret.name.clone());
        let namespace = match (&secret.namespace, &arguments.namespace) {
            (Some(own), Some(given)) if own != given => {
                return Err(refuse!("the Secret is in namespace {own}, but --namespace says {given}: make them agree"));
            }
            (own, given) => {
                own.clone().or_else(|| given.clone()).or_else(|| rule.and_then(|rule| rule.namespace.clone()))
            }
        };
        let needed = name.as_deref().unwrap_or("the Secret");
        if scope != Scope::ClusterWide && namespace.is_none() {
            return Err(super::no_namespace(needed));
        }
        if name.is_none() && (scope == Scope::Strict || !arguments.raw) {
            return Err(usage!("the Secret has no name: pass --name (a strict value is bound to it)"));
        }
        Ok(Self { scope, namespace, name })
    }

    fn value(&self, key: &str, value: &Plaintext, sealer: &mut Sealer, old: Option<&str>) -> Outcome<String> {
        super::valid_key(key)?;
        let place = Place {
            namespace: self.namespace.as_deref().unwrap_or_default(),
            name: self.name.as_deref().unwrap_or_default(),
            key,
        };
        sealer.seal(self.scope, place, value, old)
    }

    fn seal(self, secret: SecretManifest, sealer: &mut Sealer, existing: &Existing) -> Outcome<SealedManifest> {
        let old = existing.values_of(&self);
        let data = existing.templates_of(&self);
        let mut encrypted_data = Vec::new();
        for (key, value) in &secret.values {
            let sealed = self.value(key, value, sealer, old.get(key.as_str()).copied())?;
            encrypted_data.push((key.clone(), sealed));
        }
        let name = self.name.clone().unwrap_or_default();
        if encrypted_data.is_empty() {
            return Err(refuse!("the Secret {name} has no data: nothing to seal"));
        }
        Ok(SealedManifest {
            name,
            namespace: self.namespace.clone(),
            annotations: self.scope.annotation().map(|name| (name.to_owned(), "true".to_owned())).into_iter().collect(),
            encrypted_data,
            template: SealedTemplate {
                labels: secret.labels,
                annotations: secret.annotations,
                // Opaque is what the server makes of no type: saying it would only be noise in the file.
                type_: secret.type_.filter(|type_| !type_.is_empty() && type_ != "Opaque"),
                immutable: secret.immutable,
                data,
            },
        })
    }
}

/// The file that is written onto, if there is one.
#[derive(Default)]
struct Existing {
    text: Option<String>,
    document: Option<Document>,
    objects: Vec<SealedSecret>,
}

impl Existing {
    fn read(out: Option<&Path>) -> Outcome<Self> {
        let Some(path) = out.filter(|path| path.is_file()) else { return Ok(Self::default()) };
        let text = fs::read_to_string(path).or_usage(format!("reading {}", path.display()))?;
        let document = Document::parse(text.clone())
            .or_refuse(format!("{} exists and is not a manifest: choose another file for --out", path.display()))?;
        if let Some(other) = document.manifests().iter().find(|manifest| !manifest.is_sealed_secret()) {
            let kind = &other.kind;
            return Err(refuse!("{} exists and holds a {kind}: choose another file for --out", path.display()));
        }
        if document.manifests().is_empty() && !text.trim().is_empty() {
            return Err(refuse!("{} exists and holds no SealedSecret: choose another file for --out", path.display()));
        }
        let objects = serde_saphyr::from_multiple(&text)
            .map_err(|error| refuse!("{}: {}", path.display(), error.without_snippet()))?;
        Ok(Self { text: Some(text), document: Some(document), objects })
    }

    fn manifests(&self) -> &[Manifest] {
        self.document.as_ref().map_or(&[], Document::manifests)
    }

    /// The old ciphertexts of the object, if it stays in its place.
    fn values_of(&self, place: &Sealing) -> BTreeMap<&str, &str> {
        self.manifests()
            .iter()
            .filter(|old| old.name == place.name)
            .filter(|old| old.namespace.is_none() || old.namespace == place.namespace)
            .flat_map(|old| &old.entries)
            .filter_map(|entry| Some((entry.key.as_str(), entry.value.as_deref()?)))
            .collect()
    }

    /// Refuses to lose an object that the input does not name.
    fn is_covered_by(&self, sealed: &[SealedManifest], out: &Path) -> Outcome {
        let named = |old: &&Manifest| sealed.iter().all(|new| Some(&new.name) != old.name.as_ref());
        match self.manifests().iter().find(named) {
            Some(lost) => Err(refuse!(
                "{} also holds the SealedSecret {}, which would be lost: seal into a file of its own, or change values with `bulla set`",
                out.display(),
                lost.name.as_deref().unwrap_or("(no name)")
            )),
            None => Ok(()),
        }
    }

    /// The scope that the object has in the file.
    fn scope_of(&self, name: Option<&str>) -> Option<Scope> {
        let old = self.manifests().iter().find(|old| old.name.as_deref() == name)?;
        Some(old.scope()).filter(|scope| *scope != Scope::Strict)
    }

    /// Templates written by hand into the object stay.
    fn templates_of(&self, place: &Sealing) -> BTreeMap<String, String> {
        let same = |object: &&SealedSecret| object.metadata.name == place.name;
        let template = self.objects.iter().find(same).and_then(|object| object.spec.template.as_ref());
        template.map(|template| template.data.clone()).unwrap_or_default()
    }

    /// The file with only the values changed that have changed, comments and all; `None` if more than values differ.
    fn updated(&self, sealed: &[SealedManifest]) -> Option<String> {
        let mut document = Document::parse(self.text.clone()?).ok()?;
        if document.manifests().len() != sealed.len() || self.objects.len() != sealed.len() {
            return None;
        }
        for (index, (new, object)) in sealed.iter().zip(&self.objects).enumerate() {
            let old = document.manifests().get(index)?;
            if !only_values_differ(new, object) {
                return None;
            }
            let wanted: BTreeMap<&str, &str> =
                new.encrypted_data.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let kept: BTreeMap<&str, Option<&str>> =
                old.entries.iter().map(|entry| (entry.key.as_str(), entry.value.as_deref())).collect();
            let gone: Vec<String> =
                kept.keys().filter(|key| !wanted.contains_key(*key)).map(ToString::to_string).collect();
            let changed: Vec<(&str, &str)> = wanted
                .iter()
                .filter(|(key, value)| kept.get(*key) != Some(&Some(**value)))
                .map(|(key, value)| (*key, *value))
                .collect();
            for key in gone {
                document.unset(index, &key).ok()?;
            }
            document.set_all(index, &changed).ok()?;
        }
        Some(document.text().to_owned())
    }
}

/// Whether the new object differs from the one in the file in its values at the most.
fn only_values_differ(new: &SealedManifest, old: &SealedSecret) -> bool {
    let annotation = |name: &str| old.metadata.annotations.as_ref()?.get(name).map(String::as_str);
    let declared = |name: &str| new.annotations.get(name).map(String::as_str);
    let template = old.spec.template.clone().unwrap_or_default();
    old.metadata.name.as_deref() == Some(new.name.as_str())
        && (old.metadata.namespace.is_none() || old.metadata.namespace == new.namespace)
        && Scope::from_annotations(annotation) == Scope::from_annotations(declared)
        && template.metadata.labels == new.template.labels
        && template.metadata.annotations == new.template.annotations
        && template.r#type.filter(|type_| type_ != "Opaque") == new.template.type_
        && template.immutable == new.template.immutable
        && old.spec.data.is_none()
}

fn syntax_of(out: &Path, asked: Option<Syntax>) -> Syntax {
    let json = out.extension().is_some_and(|extension| extension == "json");
    asked.unwrap_or(if json { Syntax::Json } else { Syntax::Yaml })
}

fn write(sealed: &[SealedManifest], syntax: Syntax) -> String {
    let documents = sealed.iter().map(|manifest| match syntax {
        Syntax::Yaml => manifest.to_yaml(),
        Syntax::Json => manifest.to_json(),
    });
    match syntax {
        Syntax::Yaml => documents.collect::<Vec<_>>().join("---\n"),
        Syntax::Json => documents.collect(),
    }
}
