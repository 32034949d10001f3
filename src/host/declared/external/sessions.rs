//! The sessions with stores: made when they are first needed, kept between passes, given back in the end.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bulla_crds::SecretStoreSpec;
use futures::future::join_all;

use super::around::Around;
use crate::providers::gate::Meter;
use crate::providers::{Gate, Session};
use crate::stores::{StoreError, StoreId, Surroundings, connect, names_its_user};

/// How long a provider may take to take back its login.
const FAREWELL: Duration = Duration::from_secs(5);

/// A store, and for whom it is used where that makes a difference.
type Use = (StoreId, Option<String>);

/// See the module.
pub(super) struct Sessions {
    open: HashMap<Use, Open>,
    /// The one way to a store, whoever asks: the budget and the breaker are the store's as it stands.
    gates: HashMap<StoreId, (SecretStoreSpec, OnceLock<Gate>)>,
    meter: Arc<dyn Meter>,
}

struct Open {
    session: Arc<Session>,
    /// The settings it was made from.
    spec: SecretStoreSpec,
    /// What it was made from besides: changes with its credentials.
    fingerprint: u64,
    /// [`Around::digest`] when that was last looked at.
    digest: u64,
}

impl Sessions {
    pub(super) fn new(meter: Arc<dyn Meter>) -> Self {
        Self { open: HashMap::new(), gates: HashMap::new(), meter }
    }

    /// A session with a store on behalf of `namespace`, if it may use it: the same one as before unless its settings or
    /// credentials changed.
    pub(super) async fn get(
        &mut self,
        around: &Around,
        id: &StoreId,
        namespace: &str,
    ) -> Result<Arc<Session>, StoreError> {
        let spec = around.store(id, namespace)?;
        let user = (id.is_cluster() && names_its_user(spec)).then_some(namespace);
        match self.with(around, id, spec, user).await {
            // It names things in the namespace of whoever uses it.
            Err(StoreError::Referent) if user.is_none() => self.with(around, id, spec, Some(namespace)).await,
            result => result,
        }
    }

    async fn with(
        &mut self,
        around: &Around,
        id: &StoreId,
        spec: &SecretStoreSpec,
        user: Option<&str>,
    ) -> Result<Arc<Session>, StoreError> {
        let of = (id.clone(), user.map(str::to_owned));
        let before = self.open.get_mut(&of).filter(|open| open.spec == *spec);
        if let Some(open) = &before
            && open.digest == around.digest()
        {
            return Ok(Arc::clone(&open.session));
        }
        let fresh = || (spec.clone(), OnceLock::new());
        let gate = self.gates.entry(id.clone()).or_insert_with(fresh);
        if gate.0 != *spec {
            *gate = fresh();
        }
        let surroundings = Surroundings { objects: around, meter: &self.meter };
        let connected = connect(surroundings, id, spec, user, &gate.1).await?;
        if let Some(open) = before
            && open.fingerprint == connected.fingerprint
        {
            open.digest = around.digest();
            return Ok(Arc::clone(&open.session));
        }
        let session = Arc::new(Session::new(connected.provider, connected.gate));
        let (fingerprint, digest) = (connected.fingerprint, around.digest());
        let open = Open { session: Arc::clone(&session), spec: spec.clone(), fingerprint, digest };
        if let Some(old) = self.open.insert(of, open) {
            tracing::info!(namespace = %id.namespace, store = %id, "the store's settings or credentials changed");
            tokio::spawn(close(old.session));
        }
        Ok(session)
    }

    /// Ends the sessions with stores that are not declared any more.
    pub(super) fn retain(&mut self, around: &Around) {
        let declared: HashSet<_> = around.ids().collect();
        for (_, open) in self.open.extract_if(|(id, _), _| !declared.contains(id)) {
            tokio::spawn(close(open.session));
        }
        self.gates.retain(|id, _| declared.contains(id));
    }

    /// Gives back every login.
    pub(super) async fn close(&mut self) {
        join_all(self.open.drain().map(|(_, open)| close(open.session))).await;
        self.gates.clear();
    }
}

async fn close(session: Arc<Session>) {
    if tokio::time::timeout(FAREWELL, session.close()).await.is_err() {
        tracing::info!("a provider did not take back its login in time");
    }
}
