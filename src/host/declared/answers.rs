//! Values from elsewhere: what `declared` asks of those who fetch them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bulla_crds::external_secret::StoreRef;
use bulla_crds::{ClusterSecretStore, ExternalSecret, SecretStore};

use super::{Files, commit};
use crate::resource::external_secret::{self, Asked, SpecError};
use crate::secret::{Target, Values};

/// An object and where it is written.
#[derive(Clone, Debug)]
pub struct Declared<T> {
    /// The object. Its namespace is always set where its kind has one.
    pub object: T,
    /// Its file, below the root of the commit.
    pub file: PathBuf,
    /// The line where its document begins, from 1.
    pub line: usize,
}

impl<T> Declared<T> {
    /// Where that is, for people.
    pub(super) fn place(&self) -> String {
        commit::place(&self.file, self.line)
    }
}

/// An ExternalSecret and what it asks for, which is read once.
#[derive(Clone, Debug)]
pub struct Request {
    /// The object.
    pub object: Arc<ExternalSecret>,
    /// What it asks for, or which rules it breaks.
    pub asked: Result<Arc<Asked>, SpecError>,
}

impl Request {
    /// Reads what `object` asks for.
    #[must_use]
    pub fn new(object: ExternalSecret) -> Self {
        let asked = external_secret::read(&object).map(Arc::new);
        Self { object: Arc::new(object), asked }
    }

    /// Its namespace and name.
    #[must_use]
    pub fn full(&self) -> Full {
        let metadata = &self.object.metadata;
        (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
    }

    /// The Secret that it makes; one that cannot be read stands for that of its own name.
    pub(super) fn target(&self) -> Full {
        let (namespace, name) = self.full();
        (namespace, self.asked.as_ref().map_or(name, |asked| asked.target.clone()))
    }

    /// The stores that it names.
    pub(super) fn stores(&self) -> &[StoreRef] {
        self.asked.as_ref().map_or(&[], |asked| &asked.stores)
    }
}

/// Namespace and name.
pub type Full = (String, String);

/// What is to be fetched.
pub struct Wanted {
    /// The ExternalSecrets whose targets the host uses.
    pub externals: Vec<Declared<Request>>,
    /// The stores that they name, of the host's namespaces.
    pub stores: Vec<Declared<SecretStore>>,
    /// The stores for every namespace that they name.
    pub cluster_stores: Vec<Declared<ClusterSecretStore>>,
    /// What the SealedSecrets hold that stores and templates of these name, or why they do not open.
    pub secrets: BTreeMap<Full, Result<Values, String>>,
    /// The ConfigMaps of the host's namespaces.
    pub config_maps: BTreeMap<Full, BTreeMap<String, String>>,
    /// The files of the commit, for stores that are files beside their manifest.
    pub files: Arc<Files>,
}

/// What came of it.
#[derive(Default)]
pub struct Answered {
    /// For each of [`Wanted::externals`], in their order, the Secret that it asks for, or why there is none: text for
    /// people, without values.
    pub targets: Vec<Result<Target, String>>,
    /// What people should know although there is a value, by the index of the ExternalSecret: that it is the last good
    /// one, and why.
    pub stale: Vec<(usize, String)>,
    /// Those whose stores hold nothing any more and whose `deletionPolicy` is `Delete`, by the index of the
    /// ExternalSecret: the Secret is gone, and so is every file with it.
    pub gone: BTreeSet<usize>,
    /// When to fetch again; nothing for never.
    pub refresh: Option<Duration>,
}

/// Who fetches.
pub trait Answers: Send {
    /// Fetches. Failure is local: each object has its own result.
    fn answers(&mut self, wanted: Wanted) -> impl Future<Output = Answered> + Send;
}

/// Nobody fetches: every ExternalSecret is refused.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Answers for Nobody {
    async fn answers(&mut self, wanted: Wanted) -> Answered {
        let refused = || Err("values from elsewhere are not fetched here".to_owned());
        Answered { targets: wanted.externals.iter().map(|_| refused()).collect(), ..Answered::default() }
    }
}
