//! The work of one pass: fetch what the stores hold and lay it out.

use std::collections::BTreeMap;
use std::time::Duration;

use bulla_crds::ExternalSecret;
use bulla_crds::external_secret::DeletionPolicy;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::error::SyncError;
use super::reconcile::{Context, Hints};
use super::status::{Good, SyncReason};
use super::stores::{self, StoreId};
use crate::controllers::api::ApiError;
use crate::controllers::queue::Key;
use crate::controllers::{observe, trace};
use crate::providers::Urgency;
use crate::resource::external_secret::{self as resource, Asked, TemplateObject};
use crate::secret::template::Delimiters;
use crate::secret::{Target, Values};
use crate::sync::external::{Assembled, refresh};
use crate::sync::remote::Request;
use crate::sync::target::Creation;

pub(super) struct Pass<'a> {
    pub(super) context: &'a Context,
    pub(super) key: &'a Key,
    pub(super) object: &'a ExternalSecret,
    pub(super) asked: &'a Asked,
    pub(super) hints: Hints,
    pub(super) reason: SyncReason,
    pub(super) began: (Timestamp, Instant),
}

/// What a pass did to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrote {
    Nothing,
    Created,
    Updated,
    Deleted,
}

/// A target that is right now.
pub(super) struct Done {
    pub(super) good: Good,
    pub(super) version: Option<String>,
    pub(super) digest: Option<u64>,
    pub(super) wrote: Wrote,
    pub(super) skipped: Vec<String>,
}

impl Done {
    pub(super) const fn without_target(good: Good, wrote: Wrote) -> Self {
        Self { good, version: None, digest: None, wrote, skipped: Vec::new() }
    }
}

/// How old an answer to somebody else may be.
const SHARED: Duration = Duration::from_secs(10);

impl Pass<'_> {
    pub(super) async fn run(&self) -> Result<Done, SyncError> {
        self.still_refused().await?;
        // Before the provider is asked: an object that is not there yet costs no call of the provider's.
        let texts = self.template_texts().await?;
        let fetched = self.fetch().instrument(trace::step!("fetch")).await?;
        let skipped: Vec<_> = fetched.skipped.iter().map(ToString::to_string).collect();
        let deletion = self.object.spec.as_ref().map(|spec| spec.deletion_policy()).unwrap_or_default();
        let mut done = if self.asked.creation == Creation::None {
            Done::without_target(Good::Synced, Wrote::Nothing)
        } else if fetched.values.is_empty() && deletion == DeletionPolicy::Delete {
            self.delete().await?
        } else if fetched.values.is_empty() && deletion == DeletionPolicy::Retain {
            self.retained()
        } else {
            let target = trace::step!("render").in_scope(|| self.lay_out(fetched.values, &texts))?;
            self.write(&target).instrument(trace::step!("write")).await?
        };
        // Under another name only once there is one under this.
        if done.version.is_some() && matches!(done.good, Good::Synced | Good::Frozen) {
            self.remove_renamed().await?;
        }
        done.skipped = skipped;
        Ok(done)
    }

    /// Asks all stores at once and makes values of what they say.
    async fn fetch(&self) -> Result<Assembled, SyncError> {
        let namespace = self.key.namespace();
        let urgency = if self.reason.is_urgent() { Urgency::Soon } else { Urgency::Later };
        let now = self.began.1;
        // Whoever asked for a sync by an edit wants what is there now.
        let forced = matches!(self.reason, SyncReason::Due(refresh::Reason::Metadata | refresh::Reason::Spec));
        let not_before = if forced { now } else { now.checked_sub(SHARED).unwrap_or(now) };
        let stores = &self.context.stores;
        let ask = |id: StoreId, requests: Vec<Request>| async move {
            stores::ask(stores, &id, namespace, &requests, urgency, not_before).await
        };
        Ok(crate::stores::fetch(self.asked, namespace, self.began.0, ask).await?)
    }

    async fn template_texts(&self) -> Result<BTreeMap<TemplateObject, Values>, SyncError> {
        let mut texts = BTreeMap::new();
        if let (Ok(spec), true) = (&self.object.spec, self.asked.creation != Creation::None) {
            for object in resource::template_objects(spec) {
                let values = self.template_object(&object).await?;
                texts.insert(object, values);
            }
        }
        Ok(texts)
    }

    fn lay_out(&self, values: Values, texts: &BTreeMap<TemplateObject, Values>) -> Result<Target, SyncError> {
        let (left, right) = &self.context.delimiters;
        let delimiters = Delimiters { left, right };
        resource::target(self.object, self.asked, values, texts, self.began.0, delimiters).map_err(SyncError::Target)
    }

    async fn template_object(&self, object: &TemplateObject) -> Result<Values, SyncError> {
        let (api, namespace, name) = (&self.context.api, self.key.namespace(), object.name.as_str());
        let kind = if object.is_secret { "secret" } else { "configmap" };
        let failed = |error: &ApiError| SyncError::TemplateFrom(format!("{kind} {name}: {error}"), error.class());
        if object.is_secret {
            let live = observe::secret(api, namespace, name).await.map_err(|error| failed(&error))?;
            return live.map(|live| live.data).ok_or_else(|| failed(&ApiError::NotFound));
        }
        let map = api.get::<ConfigMap>(namespace, name).await.map_err(|error| failed(&error))?;
        Ok(map.data.unwrap_or_default().into_iter().map(|(key, text)| (key, text.into())).collect())
    }
}
