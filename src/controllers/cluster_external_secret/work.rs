//! When a ClusterExternalSecret is worked on, and what follows from that.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinError};
use tokio::time::Instant;

use super::follow::{DEBOUNCE, Follower};
use super::pass::{self, Report};
use super::plan::{Cluster, Plan};
use crate::controllers::queue::{Key, Version};
use crate::controllers::random;
use crate::sync::schedule::{self, Class};

impl Follower {
    /// Has it looked at after `wait`, or earlier if that was planned; after the pass that is under way, if one is.
    pub(super) fn mark(&mut self, name: &str, wait: Duration) {
        let entry = self.entries.entry(name.to_owned()).or_default();
        if entry.working {
            entry.again = true;
            return;
        }
        let at = Instant::now() + wait;
        match entry.timer {
            Some(timer) if timer.0 <= at => return,
            Some(timer) => self.timers.cancel(timer),
            None => {}
        }
        entry.timer = Some(self.timers.set(at, Key::new("", name)));
    }

    /// Starts the pass that is due.
    pub(super) fn on_due(&mut self) {
        let Some(due) = self.timers.pop(Instant::now()) else { return };
        let name = due.name();
        let Some(entry) = self.entries.get_mut(name) else { return };
        (entry.timer, entry.working) = (None, true);
        entry.freed.clear();
        if entry.recheck.is_some_and(|at| at <= Instant::now()) {
            // Whoever is in the way is met again.
            entry.foreign.clear();
        }
        let subject = entry.subject(name);
        let cluster = Cluster { places: &self.places, children: &self.children, foreign: &entry.foreign };
        let plan = match (&subject.wanted, &entry.object) {
            (Some(Ok(wanted)), _) => Plan::provide(&subject.parent, wanted, &cluster),
            // Nothing is taken from anybody because of a slip of the pen.
            (Some(Err(_)), _) => Plan::default(),
            (None, Some(object)) if object.is_withdrawn() => Plan::withdraw(&subject.parent, &cluster),
            (None, _) => Plan::abandon(name, &self.places),
        };
        let context = Arc::clone(&self.context);
        let task = self.passes.spawn(async move { pass::run(&context, subject, plan).await });
        self.working_on.insert(task.id(), name.to_owned());
    }

    /// Takes in what a pass did.
    pub(super) fn on_done(&mut self, done: Result<(Id, Report), JoinError>) {
        let (id, report) = match done {
            Ok(done) => done,
            Err(panicked) => (panicked.id(), Report { failures: vec![Class::Terminal], ..Report::default() }),
        };
        let Some(name) = self.working_on.remove(&id) else { return };
        for (key, child) in report.written {
            self.children.see(&key, child, self.list.0);
        }
        for (key, uid) in &report.deleted {
            self.children.leave(key, uid);
        }
        let Some(entry) = self.entries.get_mut(&name) else { return };
        entry.working = false;
        if entry.object.is_none() {
            // The pass may have said something of it after it was gone.
            self.context.forget(&Key::new("", &name));
        }
        entry.foreign.extend(report.foreign.difference(&entry.freed).cloned());
        if let (Some((status, version)), Some(object)) = (report.status, &mut entry.object) {
            let version = Version::parse(&version);
            if version > object.version {
                (object.status, object.version) = (status, version);
            }
        }
        if std::mem::take(&mut entry.again) {
            return self.mark(&name, DEBOUNCE);
        }
        if report.failures.is_empty() {
            entry.attempts = 0;
            match (&entry.object, entry.wanted().map(|wanted| wanted.refresh)) {
                (None, _) => drop(self.entries.remove(&name)),
                (Some(_), Some(Some(refresh))) => {
                    let now = Instant::now();
                    let at = entry.recheck.filter(|at| *at > now).unwrap_or(now + refresh);
                    entry.recheck = Some(at);
                    self.mark(&name, at - now);
                }
                (Some(_), _) => {}
            }
            return;
        }
        entry.attempts = entry.attempts.saturating_add(1);
        let waits = report.failures.iter().map(|class| schedule::delay(*class, entry.attempts, random()));
        let wait = waits.min().unwrap_or(DEBOUNCE);
        self.mark(&name, wait);
    }
}
