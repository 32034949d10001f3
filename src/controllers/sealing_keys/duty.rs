//! What only the leader does: make keys that are due, say on the labels what is so, publish the public halves.

use std::time::Instant;

use bulla_crds::names;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tracing::{info, warn};

use super::facts::Facts;
use super::make::{self, Line, Order};
use super::renewal::{self, Rules, Why};
use super::trouble::Trouble;
use super::{Keys, load::Loaded, publish};
use crate::audit;
use crate::controllers::api::{self, ApiError, FIELD_MANAGER};
use crate::seal::KeyState;

/// How many keys of a line can be had through the ConfigMap within [`WINDOW`]. Whoever may write there may not make the
/// cluster's keys more than can be published.
const BUDGET: usize = 5;
/// See [`BUDGET`].
const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// What the leader remembers of its own doings.
#[derive(Default)]
pub(super) struct Duties {
    /// Somebody asked this process for a key of each of these lines.
    asked: Vec<Line>,
    /// The request in the ConfigMap that is to be served.
    pub(super) request: Option<Timestamp>,
    /// When this process last made a key of a line.
    made: [Option<Instant>; 2],
    /// When this process last made a key of a line because of a request in the ConfigMap.
    requested: [Option<Instant>; 2],
    /// Why a key could not be made, as it was said last.
    said_failed: Option<String>,
    /// Said that requests are over the budget.
    said_over: bool,
    /// The name that somebody else had last time.
    contested: Option<(Line, u32)>,
    /// Numbers up to here are taken by Secrets that are no keys.
    taken: [u32; 2],
    /// The highest numbers that there ever were, as far as is remembered.
    pub(super) marks: [u32; 2],
}

impl Duties {
    /// Notes that a key is to be made now.
    pub(super) fn ask(&mut self) {
        self.asked = Line::ALL.to_vec();
    }

    /// Remembers the numbers that there are, and those that `map` remembers.
    ///
    /// A number is not given twice, though its Secret was deleted: a backup that is applied must not put an old key in
    /// the place of one that is sealed to.
    pub(super) fn remember(&mut self, map: Option<&ConfigMap>, loaded: &Loaded, upstream: &str) {
        for line in Line::ALL {
            let there = loaded.highest(line.prefix(upstream));
            let mark = &mut self.marks[line as usize];
            *mark = there.max(*mark).max(map.map_or(0, |map| publish::mark(map, line)));
        }
    }
}

impl Keys {
    /// What has to be made, as far as `keys` tell.
    pub(super) fn wanted(&self, keys: &[Facts]) -> Vec<(Line, Why)> {
        Line::ALL.into_iter().filter_map(|line| Some((line, self.why(line, keys)?))).collect()
    }

    /// Whether there should be keys of this line.
    fn is_on(&self, line: Line, keys: &[Facts]) -> bool {
        match line {
            Line::Native => true,
            Line::Certificate => {
                self.parts.config.certificates.unwrap_or_else(|| keys.iter().any(|key| line.is_of(key.kind)))
            }
        }
    }

    fn why(&self, line: Line, keys: &[Facts]) -> Option<Why> {
        let (config, duties) = (&self.parts.config, &self.duties);
        let of_line = || keys.iter().filter(move |key| line.is_of(key.kind));
        if !self.is_on(line, keys) {
            return None;
        }
        if !of_line().any(|key| key.state == KeyState::Active) {
            return Some(Why::None);
        }
        if duties.asked.contains(&line) {
            return Some(Why::Asked);
        }
        let rested = |since: &[Option<Instant>; 2]| since[line as usize].is_none_or(|at| at.elapsed() >= config.pause);
        let is_open = |request| !of_line().any(|key| answers(key, request));
        let now = config.clock.now();
        if duties.request.is_some_and(is_open) && rested(&duties.requested) && !is_spent(line, keys, now) {
            return Some(Why::Asked);
        }
        if !rested(&duties.made) {
            return None;
        }
        let rules = Rules { period: config.renew_period, cutoff: config.cutoff };
        let ages = of_line().filter(|key| key.state.opens()).map(|key| key.age(config.order));
        renewal::due(ages, rules, now)
    }

    /// Makes one key; whether that changed what there is.
    pub(super) async fn make(&mut self, line: Line, why: Why) -> Result<(), Trouble> {
        let prefix = line.prefix(&self.parts.config.upstream_prefix);
        let highest = self.duties.marks[line as usize].max(self.duties.taken[line as usize]);
        let number = highest.saturating_add(1);
        let order = Order { line, why, number, request: self.duties.request };
        match make::key(&self.parts, &mut self.wrappers, &order).await {
            Ok((name, id)) => {
                self.tell(&name, "KeyMade", format!("the sealing key {id} was made, since {}", why.as_str()));
                self.duties.made[line as usize] = Some(Instant::now());
                self.duties.said_failed = None;
                if order.request.is_some() {
                    self.duties.requested[line as usize] = Some(Instant::now());
                }
                self.duties.asked.retain(|asked| *asked != line);
                Ok(())
            }
            Err(Trouble::Api(ApiError::AlreadyExists)) => {
                // By another controller, whose key is found when the keys are read again; or by a Secret that is no
                // key, which would be in the way for ever: then the next number is tried.
                info!(prefix, number, "somebody else made the Secret of the next sealing key");
                if self.duties.contested == Some((line, number)) {
                    self.duties.taken[line as usize] = number;
                }
                self.duties.contested = Some((line, number));
                Ok(())
            }
            Err(error) => {
                let message = error.to_string();
                if self.duties.said_failed.as_ref() != Some(&message) {
                    warn!(%error, why = why.as_str(), "cannot make a sealing key; trying again");
                    self.duties.said_failed = Some(message);
                }
                Err(error)
            }
        }
    }

    /// Labels as `opening` what is not sealed to any more, since a newer key was made here.
    ///
    /// Upstream's keys stay `active`: there the word means that a key opens, and the newest seals.
    pub(super) async fn demote(&self, loaded: &mut Loaded) -> Result<(), ApiError> {
        let is_active = |facts: &Facts| facts.is_native() && facts.state == KeyState::Active;
        let newest = loaded.keys.iter().rposition(|key| is_active(&key.facts) && key.facts.secret.made().is_some());
        let Some((newest, older)) = newest.and_then(|at| loaded.keys[..=at].split_last_mut()) else { return Ok(()) };
        for key in older.iter_mut().filter(|key| is_active(&key.facts)) {
            let secret = &key.facts.secret;
            if secret.name == newest.facts.secret.name {
                continue;
            }
            let change = json!({
                // As it was read: a label that somebody set meanwhile is theirs.
                "metadata": {
                    "resourceVersion": secret.resource_version,
                    "labels": { names::SEALING_KEY: names::KEY_OPENING },
                },
            });
            let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
            let at = api::at::<Secret>(&self.parts.namespace);
            let request = at.patch(&secret.name, &parameters, &Patch::Merge(change))?;
            match self.parts.api.write(api::with_body(request)).await {
                Ok(_) => {
                    key.facts.state = KeyState::Opening;
                    self.record(&key.facts, "controller");
                }
                Err(ApiError::NotFound | ApiError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// One line in the audit log for a key that has another state now.
    pub(super) fn record(&self, key: &Facts, actor: &str) {
        audit::record(audit::Entry {
            action: audit::Action::ChangeKey,
            actor,
            kind: "Secret",
            namespace: &self.parts.namespace,
            name: &key.secret.name,
            keys: &[key.id.to_string()],
            outcome: key.state.as_str(),
        });
    }

    /// The request that all lines have answered, or will not answer since it is over the budget.
    pub(super) fn served(&mut self, keys: &[Facts]) -> Option<Timestamp> {
        let request = self.duties.request?;
        let now = self.parts.config.clock.now();
        let lines = Line::ALL.into_iter().filter(|line| self.is_on(*line, keys));
        let is_answered = |line: &Line| keys.iter().any(|key| line.is_of(key.kind) && answers(key, request));
        let open: Vec<Line> = lines.filter(|line| !is_answered(line)).collect();
        if open.iter().any(|line| !is_spent(*line, keys, now)) {
            return None;
        }
        if open.is_empty() {
            self.duties.said_over = false;
        } else if !std::mem::replace(&mut self.duties.said_over, true) {
            warn!(
                "asked for more than {BUDGET} sealing keys within 24 hours: passing over such requests; look who may \
                 write ConfigMap {}, or send SIGUSR1 to make a key all the same",
                publish::NAME
            );
        }
        Some(request)
    }
}

/// Whether there are as many requested keys of this line as may be, in any state.
fn is_spent(line: Line, keys: &[Facts], now: Timestamp) -> bool {
    let is_requested = |key: &&Facts| line.is_of(key.kind) && key.secret.annotation(names::KEY_REQUESTED_AT).is_some();
    let is_recent = |key: &&Facts| now.duration_since(key.created()) < WINDOW;
    keys.iter().filter(is_requested).filter(is_recent).count() >= BUDGET
}

fn answers(key: &Facts, request: Timestamp) -> bool {
    key.secret.annotation(names::KEY_REQUESTED_AT).and_then(|at| at.parse().ok()) == Some(request)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::super::facts::KeySecret;
    use super::*;
    use crate::seal::{Identity, KeyKind};

    #[test]
    fn a_day_has_a_budget_of_requested_keys() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let key = |hours: i64, is_requested: bool| {
            let made = now - SignedDuration::from_hours(hours);
            let mut annotations = BTreeMap::from([(names::KEY_CREATED_AT.to_owned(), made.to_string())]);
            if is_requested {
                annotations.insert(names::KEY_REQUESTED_AT.to_owned(), made.to_string());
            }
            Facts {
                id: Identity::generate_x25519().unwrap().key_id(),
                kind: KeyKind::X25519,
                state: KeyState::Opening,
                secret: Arc::new(KeySecret { annotations, ..KeySecret::default() }),
                recipient: None,
                certificate: None,
                validity: None,
            }
        };
        let mut keys = vec![key(25, true), key(1, false), key(1, false), key(23, true), key(3, true), key(2, true)];
        keys.push(key(1, true));
        assert!(!is_spent(Line::Native, &keys, now), "four of today");
        keys.push(key(0, true));
        assert!(is_spent(Line::Native, &keys, now));
        assert!(!is_spent(Line::Certificate, &keys, now), "each line has its own");
        assert!(!is_spent(Line::Native, &keys, now + SignedDuration::from_hours(2)));
    }
}
