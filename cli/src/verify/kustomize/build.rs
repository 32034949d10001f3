//! The builds themselves: the objects that come out of a kustomization, and what was done to them on the way.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::item::{By, Item, Source};
use super::patch::set_annotation;
use super::read::{Kustomization, Place, Step};
use super::tree::Tree;
use crate::verify::sealed::{Annotation, At};

/// More objects than any build has, and more folders than any build goes through; a bound for hostile input.
const MAX_ITEMS: usize = 100_000;
const MAX_FOLDERS: usize = 10_000;
/// How deep kustomizations may pull each other in.
const MAX_DEPTH: usize = 64;

/// The annotation of objects that Kustomize reads and leaves out.
const LOCAL: &str = "config.kubernetes.io/local-config";

/// The objects of files, by the path of the file with links resolved.
pub(crate) type Sources = HashMap<PathBuf, Vec<Source>>;

/// What comes out of a kustomization.
pub(crate) struct Build {
    pub(crate) items: Vec<Item>,
    /// What would make it fail: the kustomization, where in it, the field, and why.
    pub(crate) refusals: Vec<(Arc<str>, At, String, String)>,
}

impl Build {
    /// Builds a kustomization of the tree.
    pub(crate) fn of(tree: &Tree, root: usize, sources: &Sources) -> Self {
        let mut builder = Builder { tree, sources, refusals: Vec::new(), folders: 0, open: Vec::new() };
        let mut items = Vec::new();
        builder.accumulate(root, &mut items);
        items.retain(|item| item.annotations.get(LOCAL).and_then(|one| one.value.as_deref()) != Some("true"));
        Self { items, refusals: builder.refusals }
    }
}

struct Builder<'a> {
    tree: &'a Tree,
    sources: &'a Sources,
    refusals: Vec<(Arc<str>, At, String, String)>,
    folders: usize,
    /// The kustomizations that are being built.
    open: Vec<usize>,
}

impl Builder<'_> {
    /// Adds what a kustomization pulls in, and does to everything in `items` what it does. A component gets the
    /// objects of the one that pulls it in, any other kustomization starts with none.
    fn accumulate(&mut self, index: usize, items: &mut Vec<Item>) {
        let tree = self.tree;
        let Some(one) = tree.all.get(index) else { return };
        self.folders += 1;
        if self.open.contains(&index) {
            return self.refuse(one, (1, 1), "resources", "pulls itself in");
        }
        if self.folders > MAX_FOLDERS || self.open.len() > MAX_DEPTH || items.len() > MAX_ITEMS {
            return self.refuse(one, (1, 1), "resources", "pulls in more than is followed here");
        }
        self.open.push(index);
        for named in &one.resources {
            match &named.place {
                Place::File(file) => items.extend(self.sources.get(file).into_iter().flatten().map(Item::of)),
                Place::Folder(folder) => {
                    let Some(below) = tree.by_folder.get(folder) else { continue };
                    if tree.all.get(*below).is_some_and(|below| below.is_component) {
                        self.refuse(one, named.at, "resources", "is a component: put it under components");
                        continue;
                    }
                    let mut made = Vec::new();
                    self.accumulate(*below, &mut made);
                    items.extend(made);
                }
                Place::Remote | Place::Missing => {}
            }
        }
        for named in &one.components {
            let Place::Folder(folder) = &named.place else { continue };
            let Some(below) = tree.by_folder.get(folder) else { continue };
            if tree.all.get(*below).is_some_and(|below| !below.is_component) {
                self.refuse(one, named.at, "components", "is no component: put it under resources");
                continue;
            }
            self.accumulate(*below, items);
        }
        for step in &one.steps {
            self.step(one, step, items);
        }
        self.open.pop();
    }

    fn step(&mut self, one: &Kustomization, step: &Step, items: &mut Vec<Item>) {
        let by = |at: At, what: String| By { file: Arc::clone(&one.file), at, what };
        match step {
            Step::Patch { patch, at, field } => {
                if let Err(problem) = patch.apply(items)
                    && self.open.iter().all(|open| self.tree.all.get(*open).is_some_and(Kustomization::is_complete))
                    && self.is_complete(one)
                {
                    self.refuse(one, *at, field, &problem);
                }
            }
            Step::Namespace { value, at, only_where_none } => {
                for item in items.iter_mut().filter(|item| !only_where_none || item.namespace.is_empty()) {
                    item.remember();
                    if item.namespace != *value {
                        item.namespace.clone_from(value);
                        item.by.push(by(*at, format!("namespace: {value}")));
                    }
                }
            }
            Step::Prefix { value, at } => {
                for item in items {
                    item.remember();
                    item.name.insert_str(0, value);
                    item.by.push(by(*at, format!("namePrefix: {value}")));
                }
            }
            Step::Suffix { value, at } => {
                for item in items {
                    item.remember();
                    item.name.push_str(value);
                    item.by.push(by(*at, format!("nameSuffix: {value}")));
                }
            }
            Step::Labels(labels) => items.iter_mut().for_each(|item| item.labels.extend(labels.clone())),
            Step::Annotations { values, at } => {
                for item in items {
                    for (name, value) in values {
                        let annotation = Annotation { value: Some(value.clone()), is_template: false, at: *at };
                        set_annotation(item, name, annotation, || {
                            by(*at, format!("commonAnnotations {name}: {value:?}"))
                        });
                    }
                }
            }
            Step::Unknown => items.iter_mut().for_each(|item| item.is_doubtful = true),
        }
    }

    /// Whether all that a kustomization pulls in is here.
    fn is_complete(&self, one: &Kustomization) -> bool {
        let index = self.tree.by_folder.get(&one.folder);
        index.is_some_and(|index| {
            let reach = self.tree.reach(*index);
            reach.kustomizations.iter().all(|index| self.tree.all.get(*index).is_some_and(Kustomization::is_complete))
        })
    }

    fn refuse(&mut self, one: &Kustomization, at: At, field: &str, problem: &str) {
        self.refusals.push((Arc::clone(&one.file), at, field.to_owned(), problem.to_owned()));
    }
}
