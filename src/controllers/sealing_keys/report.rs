//! Saying what is so: how many values each key opens, on its Secret and in metrics; and that a key changed its state.

use std::collections::BTreeMap;
use std::time::Instant;

use bulla_crds::names;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tracing::debug;

use super::Keys;
use super::facts::Facts;
use super::usage::Use;
use crate::controllers::api::{self, ApiError, FIELD_MANAGER};
use crate::controllers::notify::{Notice, Occasion};
use crate::seal::{KeyId, KeyState};

impl Keys {
    /// Brings the metrics up to date, and now and then the annotations on the key Secrets.
    pub(super) async fn report(&mut self) {
        let leads = self.parts.leadership.is_leader();
        let uses = self.parts.key_use.totals().filter(|_| leads);
        self.parts.key_metrics.show(&self.known, uses.as_ref());
        let rested = self.reported.is_none_or(|at| at.elapsed() >= self.parts.config.report);
        let Some(uses) = uses.filter(|_| rested) else { return };
        let news = news(&self.known, &uses);
        if news.is_empty() {
            return;
        }
        self.reported = Some(Instant::now());
        for (name, line) in news {
            // The next time tells what this one could not.
            if let Err(error) = self.annotate(name, &line).await {
                debug!(secret = name, %error, "cannot write what a sealing key is and opens");
            }
        }
    }

    async fn annotate(&self, name: &str, line: &Line) -> Result<(), ApiError> {
        let change =
            json!({ "metadata": { "annotations": line.annotations().into_iter().collect::<BTreeMap<_, _>>() } });
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let request = api::at::<Secret>(&self.parts.namespace).patch(name, &parameters, &Patch::Merge(change))?;
        self.parts.api.write(api::with_body(request)).await.map(drop)
    }

    /// Tells of the keys that were switched off since `before`.
    pub(super) fn tell_changes(&self, before: &[Facts]) {
        for key in &self.known {
            let Some(was) = before.iter().find(|was| was.id == key.id && was.state != key.state) else { continue };
            let (reason, what) = match key.state {
                KeyState::Retired => ("KeyRetired", "retired: what is sealed to it does not open any more"),
                KeyState::Compromised => ("KeyCompromised", "declared compromised: change the secrets sealed to it"),
                KeyState::Active | KeyState::Opening if !was.state.opens() => ("KeyReturned", "switched on again"),
                // Said where it was done, if it was done here.
                KeyState::Active | KeyState::Opening => continue,
            };
            self.record(key, "somebody");
            self.tell(&key.secret.name, reason, format!("the sealing key {} was {what}", key.id));
        }
    }

    /// One notice about a key's Secret.
    pub(super) fn tell(&self, secret: &str, reason: &'static str, message: String) {
        self.parts.notices.post(Notice {
            occasion: Occasion::Rotated,
            kind: "Secret",
            namespace: self.parts.namespace.clone(),
            name: secret.to_owned(),
            reason,
            message,
        });
    }
}

/// What is said on a key Secret. Several keys in one Secret are one line.
#[derive(Default)]
struct Line {
    ids: Vec<String>,
    used: Use,
}

impl Line {
    fn annotations(&self) -> [(&'static str, String); 3] {
        [
            (names::KEY_IDS, self.ids.join(",")),
            (names::KEY_VALUES, self.used.values.to_string()),
            (names::KEY_OBJECTS, self.used.objects.to_string()),
        ]
    }
}

/// The key Secrets whose annotations do not say what is so, and what they should say.
fn news<'a>(keys: &'a [Facts], uses: &BTreeMap<KeyId, Use>) -> Vec<(&'a str, Line)> {
    let mut secrets: BTreeMap<&str, (Line, &Facts)> = BTreeMap::new();
    for key in keys {
        let (line, _) = secrets.entry(&key.secret.name).or_insert_with(|| (Line::default(), key));
        let used = uses.get(&key.id).copied().unwrap_or_default();
        line.used = Use { values: line.used.values + used.values, objects: line.used.objects + used.objects };
        line.ids.push(key.id.to_string());
    }
    let is_right = |line: &Line, key: &Facts| {
        line.annotations().iter().all(|(name, says)| key.secret.annotation(name) == Some(says.as_str()))
    };
    let wrong = secrets.into_iter().filter(|(_, (line, key))| !is_right(line, key));
    wrong.map(|(name, (line, _))| (name, line)).collect()
}
