//! `bulla sync`: has the controller sync one object now, and waits for what comes of it.

use std::fmt;
use std::time::{Duration, Instant};

use bulla::sync::external::hash;
use bulla_crds::condition::find_condition;
use bulla_crds::external_secret::RefreshPolicy;
use bulla_crds::names::RECONCILE_REQUESTED_AT;
use bulla_crds::names::external_secrets::FORCE_SYNC;
use bulla_crds::{Condition, ConditionStatus, ConditionType, ExternalSecret, SealedSecret};
use indicatif::ProgressBar;
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::args::{Report, SyncArguments, SyncedKind};
use crate::cluster;
use crate::failure::{OrFail as _, Outcome, refuse, usage};
use crate::output::{self, BAD, DIM, GOOD};

/// How often the status is looked at.
const LOOK: Duration = Duration::from_millis(150);
/// How long a failure that is new must stand before it counts as the answer, where the controller does not say which
/// request it answered (the External Secrets Operator).
const SETTLED: Duration = Duration::from_secs(3);

/// What came of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    object: String,
    synced: bool,
    reason: String,
    message: String,
    refresh_time: Option<String>,
    /// The Secret that was written, where there is one.
    secret: Option<String>,
    seconds: f64,
}

/// An object whose controller can be asked for a sync.
trait Synced:
    kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope> + Clone + DeserializeOwned + fmt::Debug
{
    /// The annotation that asks.
    const ANNOTATION: &'static str;
    /// Kind in words.
    const KIND: &'static str;

    /// Why asking is of no use.
    fn refusal(&self) -> Option<String>;
    /// Whether the status is the answer to `request`; `None` if it does not say.
    fn answers(&self, request: &str) -> Option<bool>;
    /// What it says.
    fn condition(&self) -> Option<&Condition>;
    /// When it was synced last, and the Secret that was written.
    fn result(&self) -> (Option<String>, Option<String>);
}

impl Synced for ExternalSecret {
    const ANNOTATION: &'static str = FORCE_SYNC;
    const KIND: &'static str = bulla_crds::external_secret::KIND;

    fn refusal(&self) -> Option<String> {
        let once = self.spec.as_ref().is_ok_and(|spec| spec.refresh_policy() == RefreshPolicy::CreatedOnce);
        let done = self.status.as_ref().is_some_and(|status| status.synced_resource_version.is_some());
        (once && done).then(|| "refreshPolicy CreatedOnce: it was synced once and never will be again".to_owned())
    }

    fn answers(&self, request: &str) -> Option<bool> {
        let status = self.status.as_ref()?;
        if status.last_force_sync.as_deref() == Some(request) {
            return Some(true);
        }
        let metadata = &self.metadata;
        let (none, generation) = (std::collections::BTreeMap::new(), metadata.generation.unwrap_or_default());
        let labels = metadata.labels.as_ref().unwrap_or(&none);
        let annotations = metadata.annotations.as_ref().unwrap_or(&none);
        let version = hash::synced_resource_version(generation, labels, annotations);
        if status.synced_resource_version.as_ref() == Some(&version) {
            return Some(true);
        }
        // A controller that has answered by name before will do so again.
        status.last_force_sync.is_some().then_some(false)
    }

    fn condition(&self) -> Option<&Condition> {
        find_condition(&self.status.as_ref()?.conditions, ConditionType::Ready)
    }

    fn result(&self) -> (Option<String>, Option<String>) {
        let Some(status) = &self.status else { return (None, None) };
        let secret = status.binding.as_ref().map(|binding| binding.name.clone()).filter(|name| !name.is_empty());
        (status.refresh_time.as_ref().map(|time| time.0.to_string()), secret)
    }
}

impl Synced for SealedSecret {
    const ANNOTATION: &'static str = RECONCILE_REQUESTED_AT;
    const KIND: &'static str = bulla_crds::sealed_secret::KIND;

    fn refusal(&self) -> Option<String> {
        None
    }

    fn answers(&self, request: &str) -> Option<bool> {
        Some(self.status.as_ref()?.last_handled_reconcile_at.as_deref() == Some(request))
    }

    fn condition(&self) -> Option<&Condition> {
        find_condition(&self.status.as_ref()?.conditions, ConditionType::Synced)
    }

    fn result(&self) -> (Option<String>, Option<String>) {
        let written = self.status.as_ref().is_some_and(|status| status.secret.is_some());
        (None, self.metadata.name.clone().filter(|_| written))
    }
}

/// Runs the verb.
pub(super) fn run(arguments: &SyncArguments) -> Outcome {
    let answer = cluster::block_on(ask(arguments))?;
    match arguments.output {
        Report::Json => output::print_json(&answer)?,
        Report::Text => output::print(&text(&answer))?,
    }
    if answer.synced { Ok(()) } else { Err(refuse!("{} is not in sync: {}", answer.object, answer.message)) }
}

fn text(answer: &Answer) -> String {
    let mark = if answer.synced { format!("{GOOD}✓{GOOD:#}") } else { format!("{BAD}✗{BAD:#}") };
    let mut text = format!("{mark} {} {}", answer.object, answer.reason);
    if answer.synced {
        text.push_str(&format!(": {}", answer.message));
    }
    let mut facts = Vec::new();
    facts.extend(answer.secret.as_ref().map(|secret| format!("Secret {secret}")));
    facts.extend(answer.refresh_time.as_ref().map(|time| format!("last good sync {time}")));
    facts.push(format!("{:.1} s", answer.seconds));
    text.push_str(&format!("\n  {DIM}{}{DIM:#}\n", facts.join(", ")));
    text
}

async fn ask(arguments: &SyncArguments) -> Outcome<Answer> {
    let client = cluster::connect(&arguments.connection).await?;
    let namespace = arguments.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
    let request = Request { client, namespace, name: &arguments.object.name, timeout: arguments.timeout };
    let answer = match arguments.object.kind {
        Some(SyncedKind::ExternalSecret) => request.sync::<ExternalSecret>().await?,
        Some(SyncedKind::SealedSecret) => request.sync::<SealedSecret>().await?,
        None => match request.sync::<ExternalSecret>().await? {
            None => request.sync::<SealedSecret>().await?,
            answer => answer,
        },
    };
    answer.ok_or_else(|| {
        let what = match arguments.object.kind {
            Some(SyncedKind::ExternalSecret) => "ExternalSecret",
            Some(SyncedKind::SealedSecret) => "SealedSecret",
            None => "ExternalSecret or SealedSecret",
        };
        let Request { namespace, name, .. } = &request;
        usage!("there is no {what} {name:?} in namespace {namespace}: see --namespace")
    })
}

struct Request<'a> {
    client: Client,
    namespace: String,
    name: &'a str,
    timeout: Duration,
}

impl Request<'_> {
    /// Asks and waits. `None` if there is no such object.
    async fn sync<K: Synced + 'static>(&self) -> Outcome<Option<Answer>> {
        let Self { client, namespace, name, timeout } = self;
        let api: Api<K> = Api::namespaced(client.clone(), namespace);
        let object = format!("{} {namespace}/{name}", K::KIND);
        let Some(before) = api.get_opt(name).await.or_usage(format!("reading {object}"))? else { return Ok(None) };
        if let Some(why) = before.refusal() {
            return Err(refuse!("{object}: {why}"));
        }
        let request = Timestamp::now().as_nanosecond().to_string();
        let patch = Patch::Merge(json!({ "metadata": { "annotations": { K::ANNOTATION: request } } }));
        let parameters = PatchParams { field_manager: Some("bulla".to_owned()), ..PatchParams::default() };
        api.patch(name, &parameters, &patch).await.or_usage(format!("asking for a sync of {object}"))?;

        let began = Instant::now();
        // On a terminal only, and on standard error.
        let spinner = ProgressBar::new_spinner().with_message(format!("waiting for {object}"));
        spinner.enable_steady_tick(Duration::from_millis(100));
        let mut failing_since = None;
        let (now, is_answer) = loop {
            let now = api.get_opt(name).await.or_usage(format!("reading {object}"))?;
            let Some(now) = now else { return Err(refuse!("{object} was deleted meanwhile")) };
            match now.answers(&request) {
                Some(true) if now.condition().is_some() => break (now, true),
                None if is_new_failure(&before, &now) => {
                    let since = *failing_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= SETTLED {
                        break (now, true);
                    }
                }
                Some(_) | None => failing_since = None,
            }
            // Its one sync may have been under way when this one was asked for.
            if let Some(why) = now.refusal() {
                return Err(refuse!("{object}: {why}"));
            }
            if began.elapsed() >= *timeout {
                break (now, false);
            }
            tokio::time::sleep(LOOK).await;
        };
        spinner.finish_and_clear();
        let fails = now.condition().is_some_and(|condition| condition.status == ConditionStatus::False);
        if !is_answer && !fails {
            let seconds = timeout.as_secs_f64();
            return Err(usage!(
                "{object}: no controller has answered within {seconds} s. Is one running that serves namespace {namespace}?"
            ));
        }
        let condition = now.condition();
        let (refresh_time, secret) = now.result();
        Ok(Some(Answer {
            object,
            synced: is_answer && condition.is_some_and(|condition| condition.status == ConditionStatus::True),
            reason: condition.and_then(|condition| condition.reason.clone()).unwrap_or_default(),
            message: condition.and_then(|condition| condition.message.clone()).unwrap_or_default(),
            refresh_time,
            secret,
            seconds: began.elapsed().as_secs_f64(),
        }))
    }
}

/// Whether the object says that it failed, and did not say that before.
fn is_new_failure<K: Synced>(before: &K, now: &K) -> bool {
    let Some(condition) = now.condition().filter(|condition| condition.status == ConditionStatus::False) else {
        return false;
    };
    before.condition().is_none_or(|before| !before.says_the_same_as(condition))
}
