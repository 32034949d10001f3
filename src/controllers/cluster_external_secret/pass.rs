//! One pass over one ClusterExternalSecret: the calls of a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bulla_crds::cluster_external_secret::KIND;
use bulla_crds::condition::find_condition;
use bulla_crds::object::API_VERSION;
use bulla_crds::{ClusterExternalSecretStatus, ConditionType};
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{Instrument as _, debug, info, warn};

use super::calls::{self, Outcome};
use super::children::{Child, Parent};
use super::plan::{FOREIGN, Plan, Release, Step};
use super::status::{self, Verdict};
use super::wanted::Wanted;
use crate::controllers::api::{Api, ApiError};
use crate::controllers::events::{Events, Kind, Regarding};
use crate::controllers::metrics::{self, Objects, Passes, Standing};
use crate::controllers::notify::{self, Notices};
use crate::controllers::queue::Key;
use crate::controllers::trace;
use crate::sync::schedule::Class;

/// Calls of one pass at the same time.
const CALLS: usize = 8;

/// What passes share.
pub(in crate::controllers) struct Context {
    pub(in crate::controllers) api: Api,
    pub(in crate::controllers) events: Events,
    pub(in crate::controllers) objects: Objects,
    pub(in crate::controllers) passes: Passes,
    pub(in crate::controllers) notices: Notices,
}

const THIS: metrics::Kind = metrics::Kind::ClusterExternalSecret;

impl Context {
    /// An object is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.objects.forget(THIS, key);
        self.notices.forget(THIS, key);
    }

    /// A pass over an object that is there ended, well or for this reason.
    fn passed(&self, subject: &Subject, failure: Option<&str>, took: Duration) {
        let key = Key::new("", &subject.parent.name);
        let reason = if failure.is_some() { "NotProvisioned" } else { "Provisioned" };
        self.passes.took(THIS, took);
        self.objects.passed(THIS, &key, failure.is_none(), took, Duration::ZERO);
        self.objects.stands(THIS, &key, Standing::new(failure.is_none(), reason));
        match failure {
            None => self.notices.good(THIS, &key),
            Some(message) => {
                let is_news = status::ready(&subject.status).is_none_or(|(holds, said)| holds || said != message);
                let ready = find_condition(&subject.status.conditions, ConditionType::Ready);
                let lasted = notify::lasted(is_news, ready, Timestamp::now());
                self.notices.failed(THIS, &key, reason, message, lasted);
            }
        }
    }
}

/// Who a pass is about.
pub(super) struct Subject {
    pub(super) parent: Parent,
    pub(super) generation: Option<i64>,
    /// What it wants, or why it cannot be had; `None` is for one that is going or gone.
    pub(super) wanted: Option<Result<Arc<Wanted>, String>>,
    /// The status that it has.
    pub(super) status: ClusterExternalSecretStatus,
    /// The finalizers to leave on it, and the version that has ESO's too.
    pub(super) finalizers: Option<(Vec<String>, String)>,
}

/// What came of a pass.
#[derive(Default)]
pub(super) struct Report {
    /// ExternalSecrets as they were written.
    pub(super) written: Vec<(Key, Child)>,
    /// ExternalSecrets that go, by name and identity.
    pub(super) deleted: Vec<(Key, String)>,
    /// Namespaces where one that is not ours was met.
    pub(super) foreign: BTreeSet<String>,
    /// Failures that another try may mend.
    pub(super) failures: Vec<Class>,
    /// The status and version that were written.
    pub(super) status: Option<(ClusterExternalSecretStatus, String)>,
}

/// Does what is planned and says so.
pub(super) async fn run(context: &Context, subject: Subject, plan: Plan) -> Report {
    let key = Key::new("", &subject.parent.name);
    work(context, subject, plan).instrument(trace::pass!(THIS, key)).await
}

async fn work(context: &Context, subject: Subject, plan: Plan) -> Report {
    let began = Instant::now();
    let mut report = Report::default();
    let Plan { deletions, steps, releases, mut right, mut failed } = plan;
    let digest = subject.wanted.as_ref().and_then(|wanted| Some(wanted.as_ref().ok()?.digest));
    for batch in [deletions, steps] {
        let calls = batch.into_iter().map(|(key, step)| async move {
            let outcome = calls::take(&context.api, &key, &step, digest).await;
            (key, step, outcome)
        });
        let mut calls = stream::iter(calls).buffer_unordered(CALLS);
        while let Some((key, step, outcome)) = calls.next().await {
            settle(&key, &step, outcome, &subject.parent, &mut report, (&mut right, &mut failed));
        }
    }
    let still = |release: &Release| failed.contains_key(&release.namespace);
    for release in releases.into_iter().filter(|release| !still(release)) {
        if let Err(error) = calls::lift(&context.api, &release).await {
            debug!(namespace = release.namespace, %error, "cannot take the finalizer off the namespace");
            report.failures.push(error.class());
        }
    }
    match &subject.wanted {
        Some(Ok(wanted)) => {
            let verdict = Verdict::Done { name: wanted.name.clone(), provisioned: right, failed };
            say(context, &subject, verdict, &mut report, began).await;
        }
        Some(Err(problem)) => say(context, &subject, Verdict::Invalid(problem.clone()), &mut report, began).await,
        None => {}
    }
    if let (Some((rest, version)), true) = (&subject.finalizers, report.failures.is_empty())
        && let Err(error) = calls::let_go(&context.api, &subject.parent.name, rest, version).await
    {
        report.failures.push(error.class());
    }
    report
}

fn settle(
    key: &Key,
    step: &Step,
    outcome: Outcome,
    parent: &Parent,
    report: &mut Report,
    (right, failed): (&mut BTreeSet<String>, &mut BTreeMap<String, String>),
) {
    let namespace = key.namespace().to_owned();
    let what = match step {
        Step::Create(_) => "create",
        Step::Patch(_) => "update",
        Step::Delete(_) => "delete",
    };
    match outcome {
        Outcome::Written(child) => {
            debug!(%key, ces = parent.name, what, "wrote the ExternalSecret");
            right.insert(namespace);
            report.written.push((key.clone(), *child));
        }
        Outcome::Deleted(uid) => {
            debug!(%key, ces = parent.name, "deleted the ExternalSecret");
            report.deleted.push((key.clone(), uid));
        }
        Outcome::Foreign => {
            failed.insert(namespace.clone(), FOREIGN.to_owned());
            report.foreign.insert(namespace);
        }
        Outcome::Failed(error @ ApiError::Conflict) => {
            // Somebody was faster; it is looked at again at once. It is there all the same.
            report.failures.push(error.class());
            if matches!(step, Step::Patch(_)) {
                right.insert(namespace);
            }
        }
        Outcome::Failed(error) => {
            warn!(%key, ces = parent.name, %error, "cannot {what} the ExternalSecret");
            report.failures.push(error.class());
            failed.insert(namespace, format!("could not {what} ExternalSecret: {error}"));
        }
    }
}

async fn say(context: &Context, subject: &Subject, verdict: Verdict, report: &mut Report, began: Instant) {
    let news = status::news(&subject.status, subject.generation, verdict, Timestamp::now());
    let failure = match status::ready(news.as_ref().unwrap_or(&subject.status)) {
        Some((false, message)) => Some(message),
        Some((true, _)) | None => None,
    };
    context.passed(subject, failure, began.elapsed());
    let Some(new) = news else { return };
    match calls::write(&context.api, &subject.parent, &new).await {
        Ok(version) => {
            let said = status::ready(&new);
            if said != status::ready(&subject.status) {
                tell(context, &subject.parent, said);
            }
            report.status = Some((new, version));
        }
        Err(error) => {
            debug!(ces = subject.parent.name, %error, "cannot write the status");
            report.failures.push(error.class());
        }
    }
}

fn tell(context: &Context, parent: &Parent, said: Option<(bool, &str)>) {
    let Some((holds, message)) = said else { return };
    let regarding = Regarding {
        api_version: API_VERSION,
        kind: KIND,
        namespace: String::new(),
        name: parent.name.clone(),
        uid: Some(parent.uid.clone()),
    };
    if holds {
        info!(ces = parent.name, "ClusterExternalSecret is in every namespace that it selects");
        context.events.post(&regarding, Kind::Normal, "Provision", "Provisioned", "external secrets provisioned");
    } else {
        warn!(ces = parent.name, message, "ClusterExternalSecret is not ready");
        context.events.post(&regarding, Kind::Warning, "Provision", "UpdateFailed", message);
    }
}
