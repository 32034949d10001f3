//! One kustomization: what it pulls in, and what it does to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::patch::{self, Change, Patch};
use super::selector::Selector;
use super::transformers;
use super::tree::Names;
use crate::input;
use crate::outline::{Outline, View, within};
use crate::verify::sealed::At;

/// The names that the file of a kustomization may have.
const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// The API group of Flux, whose objects have the same kind.
const FLUX: &str = "kustomize.toolkit.fluxcd.io/";

/// Whether a file is a kustomization by its name.
pub(crate) fn is_kustomization(file: &Path) -> bool {
    file.file_name().is_some_and(|name| NAMES.iter().any(|known| name == *known))
}

/// A kustomization.
#[derive(Debug)]
pub(crate) struct Kustomization {
    /// Its file, as it is called in findings.
    pub(super) file: Arc<str>,
    /// Its file and its folder, with links resolved.
    pub(super) path: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) is_component: bool,
    pub(super) resources: Vec<Named>,
    pub(super) components: Vec<Named>,
    /// What it does to all that it pulled in, in order.
    pub(super) steps: Vec<Step>,
    /// Files of patches and transformers.
    pub(super) patches: Vec<PathBuf>,
    /// Those of them that are patches of Secrets.
    pub(super) secret_patches: Vec<PathBuf>,
    pub(super) problems: Vec<Problem>,
}

/// Something that it pulls in.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) at: At,
    pub(super) place: Place,
}

/// Where it is.
#[derive(Debug)]
pub(super) enum Place {
    File(PathBuf),
    Folder(PathBuf),
    /// In another repository, or behind a URL.
    Remote,
    Missing,
}

/// What is wrong with a kustomization, or not understood.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) at: At,
    pub(crate) field: String,
    pub(crate) message: String,
    /// Whether a build would fail, or is only not understood here.
    pub(crate) is_wrong: bool,
}

/// The text that something is read from, and what files are called.
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    pub(super) names: &'a Names,
}

/// One thing that a kustomization does.
#[derive(Debug)]
pub(super) enum Step {
    Patch {
        patch: Box<Patch>,
        at: At,
        field: String,
    },
    Namespace {
        value: String,
        at: At,
        only_where_none: bool,
    },
    Prefix {
        value: String,
        at: At,
    },
    Suffix {
        value: String,
        at: At,
    },
    Labels(BTreeMap<String, String>),
    Annotations {
        values: BTreeMap<String, String>,
        at: At,
    },
    /// What it does to names and namespaces is not understood.
    Unknown,
}

impl Kustomization {
    /// Reads a file; `None` if it is not a kustomization, or is one of Flux.
    pub(super) fn read(path: &Path, names: &Names) -> Option<Self> {
        let resolved = path.canonicalize().ok()?;
        let folder = resolved.parent()?.to_path_buf();
        let mut read = Self {
            file: names.of(&resolved),
            path: resolved,
            folder,
            is_component: false,
            resources: Vec::new(),
            components: Vec::new(),
            steps: Vec::new(),
            patches: Vec::new(),
            secret_patches: Vec::new(),
            problems: Vec::new(),
        };
        let text = input::manifest(path).ok()?;
        let outline = match Outline::parse(&text) {
            Ok(outline) => outline,
            Err(error) => {
                read.wrong(error.place().unwrap_or((1, 1)), "", error.to_string());
                return Some(read);
            }
        };
        let root = outline.documents().next()?;
        if root.get("apiVersion").and_then(View::text).is_some_and(|version| version.starts_with(FLUX)) {
            return None;
        }
        read.is_component = root.get("kind").and_then(View::text) == Some("Component");
        read.fields(root, &Text { text: &text, names });
        Some(read)
    }

    /// In the order in which Kustomize does it.
    fn fields(&mut self, root: View<'_, '_>, text: &Text<'_>) {
        for field in ["resources", "bases"] {
            let named = self.named(root, field);
            self.resources.extend(named);
        }
        self.components = self.named(root, "components");
        self.patches_in(root, text, "patchesStrategicMerge");
        self.patches_in(root, text, "patches");
        let value = |field: &str| {
            let (key, value) = root.entry(field)?;
            Some((value.text().filter(|text| !text.is_empty())?.to_owned(), key.place()))
        };
        if let Some((value, at)) = value("namespace") {
            self.steps.push(Step::Namespace { value, at, only_where_none: false });
        }
        if let Some((value, at)) = value("namePrefix") {
            self.steps.push(Step::Prefix { value, at });
        }
        if let Some((value, at)) = value("nameSuffix") {
            self.steps.push(Step::Suffix { value, at });
        }
        for labels in root.get("labels").into_iter().flat_map(View::items) {
            self.steps.extend(labels.get("pairs").map(|pairs| Step::Labels(strings(pairs))));
        }
        self.steps.extend(root.get("commonLabels").map(|labels| Step::Labels(strings(labels))));
        if let Some((key, values)) = root.entry("commonAnnotations") {
            self.steps.push(Step::Annotations { values: strings(values), at: key.place() });
        }
        self.patches_in(root, text, "patchesJson6902");
        for replacement in root.get("replacements").into_iter().flat_map(View::items) {
            if transformers::replaces_places(replacement) {
                self.unclear(
                    replacement.place(),
                    "replacements",
                    "what a replacement puts into names is not known here",
                );
            }
        }
        for (index, item) in root.get("transformers").into_iter().flat_map(View::items).enumerate() {
            self.transformer(item, text.names, index);
        }
    }

    /// The list of paths in a field.
    fn named(&mut self, root: View<'_, '_>, field: &str) -> Vec<Named> {
        let mut all = Vec::new();
        for (index, item) in root.get(field).into_iter().flat_map(View::items).enumerate() {
            let Some(text) = item.text() else { continue };
            let place = self.place(text);
            let field = format!("{field}[{index}]");
            match &place {
                Place::Missing => self.wrong(item.place(), &field, format!("there is no {text:?}")),
                Place::Remote => {
                    self.unclear(item.place(), &field, "is in another place: what comes from there is not looked at");
                }
                Place::Folder(folder) if file_in(folder).is_none() => {
                    self.wrong(item.place(), &field, format!("there is no kustomization in the folder {text:?}"));
                }
                Place::File(_) | Place::Folder(_) => {}
            }
            all.push(Named { at: item.place(), place });
        }
        all
    }

    /// What a path means. What is there is meant first, as in Kustomize.
    fn place(&self, text: &str) -> Place {
        let is_remote = text.contains("://") || text.starts_with("git@") || text.contains("?ref=");
        match self.folder.join(text).canonicalize() {
            Ok(path) if path.is_file() => Place::File(path),
            Ok(path) if path.is_dir() => Place::Folder(path),
            Ok(_) => Place::Missing,
            Err(_) if is_remote || is_host(text) => Place::Remote,
            Err(_) => Place::Missing,
        }
    }

    fn patches_in(&mut self, root: View<'_, '_>, text: &Text<'_>, field: &str) {
        for (index, item) in root.get(field).into_iter().flat_map(View::items).enumerate() {
            self.patch(item, text, &format!("{field}[{index}]"));
        }
    }

    /// A patch: text or path, inline or in a map with a target.
    pub(super) fn patch(&mut self, item: View<'_, '_>, text: &Text<'_>, field: &str) {
        let may_rename = item.find(&["options", "allowNameChange"]).and_then(View::text) == Some("true");
        let target = match item.get("target").map(Selector::read) {
            None => None,
            Some(Ok(target)) => Some(target),
            Some(Err(problem)) => return self.wrong(item.place(), &format!("{field}.target"), problem),
        };
        let known = self.patches.len();
        let inline = item.get("patch").or_else(|| item.get("jsonOp"));
        let changes = match (inline, item.get("path"), item.text()) {
            (Some(inline), _, _) => self.inline(inline, text),
            (None, Some(path), _) => self.in_file(path, field, text.names),
            // For legacy reasons it may be the patch, or the path of one.
            (None, None, Some(own)) if own.contains('\n') => self.inline(item, text),
            (None, None, Some(_)) => self.in_file(item, field, text.names),
            (None, None, None) => return self.wrong(item.place(), field, "has neither patch nor path".to_owned()),
        };
        if target.as_ref().is_some_and(Selector::is_for_secrets) {
            self.secret_patches.extend(self.patches.iter().skip(known).cloned());
        }
        let Some(changes) = changes else { return };
        if changes.is_empty() {
            return self.wrong(item.place(), field, "is neither a strategic merge patch nor a JSON patch".to_owned());
        }
        let patch = Box::new(Patch { target, may_rename, changes });
        self.steps.push(Step::Patch { patch, at: item.place(), field: field.to_owned() });
    }

    /// The documents of a patch in the kustomization itself; none if it cannot be read.
    fn inline(&self, inline: View<'_, '_>, text: &Text<'_>) -> Option<Vec<Change>> {
        let body = inline.text().unwrap_or_default();
        let moved = within(text.text, inline.place(), body);
        Some(patch::read(body, &self.file, moved).unwrap_or_default())
    }

    /// The documents of a patch in a file; `None` if there is none, which is said.
    fn in_file(&mut self, named: View<'_, '_>, field: &str, names: &Names) -> Option<Vec<Change>> {
        let name = named.text().unwrap_or_default();
        let Place::File(path) = self.place(name) else {
            self.wrong(named.place(), field, format!("there is no file {name:?}"));
            return None;
        };
        let text = input::manifest(&path).ok()?;
        let changes = patch::read(&text, &names.of(&path), |at| at).unwrap_or_default();
        self.patches.push(path);
        Some(changes)
    }

    /// An entry of `transformers`: an object inline, or the path of a file or folder of them.
    fn transformer(&mut self, item: View<'_, '_>, names: &Names, index: usize) {
        let own = item.text().unwrap_or_default();
        let field = format!("transformers[{index}]");
        if own.contains('\n') {
            let at = item.place();
            return self.transformers_in(&Text { text: own, names }, at);
        }
        match self.place(own) {
            Place::File(path) => {
                let Ok(read) = input::manifest(&path) else { return };
                self.patches.push(path);
                self.transformers_in(&Text { text: &read, names }, item.place());
            }
            Place::Missing => self.wrong(item.place(), &field, format!("there is no {own:?}")),
            Place::Folder(_) | Place::Remote => {
                self.unclear(item.place(), &field, "transformers in a folder or elsewhere are not followed");
                self.steps.push(Step::Unknown);
            }
        }
    }

    fn transformers_in(&mut self, text: &Text<'_>, at: At) {
        let Ok(outline) = Outline::parse(text.text) else { return };
        for object in outline.objects() {
            transformers::read(self, object, text, at);
        }
    }

    pub(super) fn wrong(&mut self, at: At, field: &str, message: String) {
        self.problems.push(Problem { at, field: field.to_owned(), message, is_wrong: true });
    }

    pub(super) fn unclear(&mut self, at: At, field: &str, message: &str) {
        self.problems.push(Problem { at, field: field.to_owned(), message: message.to_owned(), is_wrong: false });
    }

    /// Whether it makes everything that its build has: nothing comes from elsewhere.
    pub(super) fn is_complete(&self) -> bool {
        self.problems.is_empty()
    }
}

/// The file of the kustomization in a folder.
pub(super) fn file_in(folder: &Path) -> Option<PathBuf> {
    NAMES.iter().map(|name| folder.join(name)).find(|file| file.is_file())
}

/// `example.org/team/repository//path`.
fn is_host(text: &str) -> bool {
    let first = text.split('/').next().unwrap_or_default();
    text.contains('/')
        && first.contains('.')
        && !first.starts_with('.')
        && !text.ends_with(".yaml")
        && !text.ends_with(".yml")
}

pub(super) fn strings(map: View<'_, '_>) -> BTreeMap<String, String> {
    let pairs = map.pairs().into_iter();
    pairs.filter_map(|(key, value)| Some((key.text()?.to_owned(), value.text()?.to_owned()))).collect()
}
