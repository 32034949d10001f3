//! An object on its way through a build.

use std::collections::BTreeMap;
use std::sync::Arc;

use bulla::seal::Scope;

use crate::verify::sealed::{Annotation, At, Entry, Sealed};

/// The namespace that Kustomize takes for none.
const DEFAULT: &str = "default";

/// Which kind of object it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    SealedSecret,
    /// The Secret that it writes, where that is not called as it is itself; `None` where it writes none of its own.
    ExternalSecret {
        target: Option<Target>,
    },
    /// A store, or an ExternalSecret for many namespaces.
    Store(&'static str),
}

/// The Secret that an ExternalSecret writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// It has the ExternalSecret's name.
    Same,
    Named(String),
}

impl Kind {
    /// The word in manifests.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::SealedSecret => "SealedSecret",
            Self::ExternalSecret { .. } => "ExternalSecret",
            Self::Store(kind) => kind,
        }
    }
}

/// An object as a file has it.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The file, as it is called in findings.
    pub(crate) file: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) sealed: Arc<Sealed>,
}

/// A name that an object has or had.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id {
    pub(crate) name: String,
    /// Empty for none.
    pub(crate) namespace: String,
}

impl Id {
    /// The namespace as Kustomize compares it.
    pub(super) fn namespace(&self) -> &str {
        if self.namespace.is_empty() { DEFAULT } else { &self.namespace }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.namespace() == other.namespace()
    }
}

/// A value on its way through a build.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// The file that has the value, as it is called in findings.
    pub(crate) file: Arc<str>,
    /// Which entry of which object or patch.
    pub(crate) of: Arc<Sealed>,
    pub(crate) index: usize,
}

impl Held {
    pub(crate) fn entry(&self) -> Option<&Entry> {
        self.of.entries.get(self.index)
    }
}

/// What changed where an object lands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct By {
    /// The kustomization or the patch, as it is called in findings.
    pub(crate) file: Arc<str>,
    pub(crate) at: At,
    /// What it does, such as `namespace: dev`.
    pub(crate) what: String,
}

/// An object in a build.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) file: Arc<str>,
    pub(crate) at: At,
    pub(crate) kind: Kind,
    /// `apiVersion`.
    pub(crate) version: String,
    pub(crate) name: String,
    /// Empty for none.
    pub(crate) namespace: String,
    pub(crate) annotations: BTreeMap<String, Annotation>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) entries: Vec<Held>,
    /// The names that it had, oldest first.
    previous: Vec<Id>,
    pub(crate) by: Vec<By>,
    /// Something changes it that is not understood here.
    pub(crate) is_doubtful: bool,
}

impl Item {
    /// An object as its file has it.
    pub(super) fn of(source: &Source) -> Self {
        let Source { file, kind, sealed } = source;
        let held = |index| Held { file: Arc::clone(file), of: Arc::clone(sealed), index };
        Self {
            file: Arc::clone(file),
            at: sealed.at,
            kind: kind.clone(),
            version: sealed.api_version.as_ref().map(|(version, _)| version.clone()).unwrap_or_default(),
            name: sealed.name.clone().unwrap_or_default(),
            namespace: sealed.namespace.clone().unwrap_or_default(),
            annotations: sealed.annotations.clone(),
            labels: sealed.labels.clone(),
            entries: (0..sealed.entries.len()).map(held).collect(),
            previous: Vec::new(),
            by: Vec::new(),
            is_doubtful: sealed.is_named_by_template,
        }
    }

    /// Its present name.
    pub(super) fn id(&self) -> Id {
        Id { name: self.name.clone(), namespace: self.namespace.clone() }
    }

    /// Its first name.
    pub(super) fn first_id(&self) -> Id {
        self.previous.first().cloned().unwrap_or_else(|| self.id())
    }

    /// Whether it has, or had, that name.
    pub(super) fn was_called(&self, id: &Id) -> bool {
        self.previous.iter().any(|known| known.is_same(id)) || self.id().is_same(id)
    }

    /// Keeps the present name as one that it had.
    pub(super) fn remember(&mut self) {
        let id = self.id();
        if self.previous.last() != Some(&id) {
            self.previous.push(id);
        }
    }

    /// The Secret that it writes; `None` if it writes none of its own.
    pub(crate) fn target(&self) -> Option<&str> {
        match &self.kind {
            Kind::SealedSecret => Some(&self.name),
            Kind::ExternalSecret { target: Some(Target::Same) } => Some(&self.name),
            Kind::ExternalSecret { target: Some(Target::Named(name)) } => Some(name),
            Kind::ExternalSecret { target: None } | Kind::Store(_) => None,
        }
    }

    /// The scope that its annotations declare; `None` if a template has a say in it.
    pub(crate) fn scope(&self) -> Option<Scope> {
        crate::verify::sealed::scope(&self.annotations)
    }
}
