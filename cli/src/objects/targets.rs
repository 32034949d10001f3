//! Whether Secrets are there: by their metadata only, never by what is in them.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, Client};

/// More Secrets than this in one namespace are asked for by one list instead of one by one.
const SINGLE: usize = 8;
/// Secrets in one page of a list.
const PAGE: u32 = 500;

/// Whether a Secret is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It is.
    There,
    /// It is not.
    Missing,
    /// Nobody may look.
    Forbidden,
}

/// The Secrets of a cluster.
pub(crate) struct Targets {
    client: Client,
}

impl Targets {
    pub(crate) const fn new(client: Client) -> Self {
        Self { client }
    }

    /// Looks for Secrets by namespace and name.
    pub(crate) async fn look(
        &self,
        wanted: &BTreeSet<(String, String)>,
    ) -> Result<BTreeMap<(String, String), Presence>, kube::Error> {
        let mut by_namespace: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (namespace, name) in wanted {
            by_namespace.entry(namespace).or_default().insert(name);
        }
        let mut found = BTreeMap::new();
        for (namespace, names) in by_namespace {
            let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
            let listed = if names.len() > SINGLE { list(&api, &names).await? } else { None };
            for name in names {
                let presence = match &listed {
                    Some(there) if there.contains(name) => Presence::There,
                    Some(_) => Presence::Missing,
                    None => one(&api, name).await?,
                };
                found.insert((namespace.to_owned(), name.to_owned()), presence);
            }
        }
        Ok(found)
    }
}

async fn one(api: &Api<Secret>, name: &str) -> Result<Presence, kube::Error> {
    match api.get_metadata_opt(name).await {
        Ok(Some(_)) => Ok(Presence::There),
        Ok(None) => Ok(Presence::Missing),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(Presence::Forbidden),
        Err(error) => Err(error),
    }
}

/// Those of `names` that are there; `None` where listing is not allowed.
async fn list(api: &Api<Secret>, names: &BTreeSet<&str>) -> Result<Option<BTreeSet<String>>, kube::Error> {
    let mut there = BTreeSet::new();
    let mut parameters = ListParams::default().limit(PAGE);
    loop {
        let page = match api.list_metadata(&parameters).await {
            Ok(page) => page,
            Err(kube::Error::Api(status)) if status.code == 403 => return Ok(None),
            Err(error) => return Err(error),
        };
        let own = page.items.into_iter().filter_map(|secret| secret.metadata.name);
        there.extend(own.filter(|name| names.contains(name.as_str())));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters.continue_token = Some(token),
            None => return Ok(Some(there)),
        }
    }
}
