//! What is known of everybody's Leases, and whether they still count.
//!
//! A Lease has run out when it has not changed for its duration by our own clock. What it says about times is not looked
//! at: the clock of whoever wrote that may be wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::runtime::watcher::{self, Event};
use tokio::time::Instant;

use super::lease::{self, holder};
use super::quota::Member;
use crate::controllers::queue::{Known, Version};

/// See the module.
pub(super) struct Observations {
    me: String,
    /// The duration of a Lease that does not say its own.
    duration: Duration,
    leases: BTreeMap<String, Observed>,
    /// Names of the list that is under way or was last completed.
    listed: BTreeSet<String>,
    lists: Known,
}

struct Observed {
    lease: Lease,
    version: Version,
    /// When it was last seen to change.
    since: Instant,
    /// Whether it was deleted while somebody held it, who may not know yet: it counts until it would have run out.
    deleted: bool,
}

impl Observations {
    pub(super) fn new(me: &str, duration: Duration) -> Self {
        let (leases, listed) = (BTreeMap::new(), BTreeSet::new());
        Self { me: me.to_owned(), duration, leases, listed, lists: Known::new(1) }
    }

    /// Takes what the watch says.
    pub(super) fn hear(&mut self, said: Result<Event<Lease>, watcher::Error>, now: Instant) {
        let Some(event) = self.lists.heard(0, said, "Leases") else { return };
        match event {
            Event::Init => {
                self.lists.begin(0);
                self.listed.clear();
            }
            Event::InitApply(lease) | Event::Apply(lease) => {
                self.listed.insert(name(&lease).to_owned());
                self.see(lease, now);
            }
            Event::Delete(lease) => {
                // A late word about one that was there before is none about this one.
                if self.leases.get(name(&lease)).is_some_and(|known| uid(&known.lease) == uid(&lease)) {
                    self.gone(name(&lease));
                }
            }
            Event::InitDone => {
                self.lists.finish(0);
                let gone: Vec<_> = self.leases.keys().filter(|name| !self.listed.contains(*name)).cloned().collect();
                gone.iter().for_each(|name| self.gone(name));
            }
        }
    }

    /// Whether all Leases have been seen once.
    pub(super) fn is_complete(&self) -> bool {
        self.lists.is_complete()
    }

    /// Takes note of how a Lease is, unless something newer is known.
    pub(super) fn see(&mut self, lease: Lease, now: Instant) {
        let version = version(&lease);
        let known = self.leases.get(name(&lease));
        if known.is_none_or(|known| known.version < version || uid(&known.lease) != uid(&lease)) {
            self.leases.insert(name(&lease).to_owned(), Observed { lease, version, since: now, deleted: false });
        }
    }

    /// A Lease does not exist.
    pub(super) fn gone(&mut self, name: &str) {
        if let Some(observed) = self.leases.get_mut(name) {
            observed.deleted = true;
        }
        // A member deletes its own when it goes.
        let counts = |lease: &Lease| lease::shard(lease).is_some() && !holder(lease).is_empty();
        self.leases.retain(|_, observed| !observed.deleted || counts(&observed.lease));
    }

    /// A Lease as it was last seen, if it exists.
    pub(super) fn get(&self, name: &str) -> Option<&Lease> {
        self.leases.get(name).filter(|observed| !observed.deleted).map(|observed| &observed.lease)
    }

    /// Whether a Lease is another's by now, or gone, `held` being how we had it.
    pub(super) fn is_taken_from(&self, held: &Lease) -> bool {
        let same = self.leases.get(name(held)).filter(|observed| uid(&observed.lease) == uid(held));
        if same.is_some_and(|observed| observed.deleted) {
            return true;
        }
        let newer = self.leases.get(name(held)).filter(|observed| observed.version > version(held));
        newer.is_some_and(|observed| holder(&observed.lease) != self.me)
    }

    /// Whether a Lease can be taken: there is none, nobody holds it, it has run out, or it is ours from before.
    pub(super) fn is_free(&self, name: &str, now: Instant) -> bool {
        self.leases.get(name).is_none_or(|observed| !self.is_anothers(observed, now))
    }

    fn is_anothers(&self, observed: &Observed, now: Instant) -> bool {
        let holder = holder(&observed.lease);
        !holder.is_empty() && holder != self.me && now < self.end(observed)
    }

    fn end(&self, observed: &Observed) -> Instant {
        observed.since + lease::duration(&observed.lease).unwrap_or(self.duration)
    }

    /// The next moment after `now` at which a Lease of another runs out if it is not renewed.
    pub(super) fn next_end(&self, now: Instant) -> Option<Instant> {
        let others = self.leases.values().filter(|observed| self.is_anothers(observed, now));
        others.map(|observed| self.end(observed)).min()
    }

    /// A number of shards that is not ours, of somebody who holds a shard.
    pub(super) fn other_count(&self, ours: u32, now: Instant) -> Option<u32> {
        let of_shards = self.leases.values().filter(|observed| lease::shard(&observed.lease).is_some());
        let held = of_shards.filter(|observed| self.is_anothers(observed, now));
        held.filter_map(|observed| lease::shards(&observed.lease)).find(|count| *count != ours)
    }

    /// Everybody who lives and divides the namespaces into `shards` as we do, we ourselves with `holds` of them included.
    pub(super) fn members(&self, shards: u32, holds: usize, now: Instant) -> Vec<Member> {
        let others = || self.leases.values().filter(|observed| self.is_anothers(observed, now));
        let holds_of = |identity: &str| {
            others().filter(|o| lease::shard(&o.lease).is_some() && holder(&o.lease) == identity).count()
        };
        let mut members: Vec<_> = others()
            .filter(|observed| lease::is_member(&observed.lease) && lease::shards(&observed.lease) == Some(shards))
            .map(|observed| holder(&observed.lease))
            .map(|identity| Member { identity: identity.to_owned(), holds: holds_of(identity) })
            .collect();
        members.push(Member { identity: self.me.clone(), holds });
        members
    }

    /// Leases that nobody has needed for `long`: of members that are gone, of shards that there no longer are.
    pub(super) fn litter(&self, shards: u32, long: Duration, now: Instant) -> Vec<Lease> {
        let unneeded =
            |lease: &Lease| lease::is_member(lease) || lease::shard(lease).is_some_and(|shard| shard >= shards);
        let old = |observed: &&Observed| {
            let is_ours = holder(&observed.lease) == self.me;
            !is_ours && !observed.deleted && unneeded(&observed.lease) && now >= self.end(observed) + long
        };
        self.leases.values().filter(old).map(|observed| observed.lease.clone()).collect()
    }
}

fn name(lease: &Lease) -> &str {
    lease.metadata.name.as_deref().unwrap_or_default()
}

fn uid(lease: &Lease) -> Option<&str> {
    lease.metadata.uid.as_deref()
}

fn version(lease: &Lease) -> Version {
    Version::parse(lease.metadata.resource_version.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const DURATION: Duration = Duration::from_secs(10);

    fn lease(name: &str, holder: &str, version: &str) -> Lease {
        let kind = if name.contains("member") { "member" } else { "shard" };
        let renewed = "1999-01-01T00:00:00.000000Z";
        let lease: Value = json!({
            "metadata": {"name": name, "resourceVersion": version, "uid": "u", "labels": {"bulla.dev/lease": kind},
                "annotations": {"bulla.dev/shards": "4"}},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 10, "renewTime": renewed},
        });
        serde_json::from_value(lease).unwrap()
    }

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn a_lease_runs_out_by_our_clock_whatever_it_says_itself() {
        let start = Instant::now();
        let mut seen = Observations::new("me", DURATION);
        assert!(seen.is_free("bulla-controller-0", start), "there is none");
        // By its own words it ran out last century.
        seen.see(lease("bulla-controller-0", "other", "5"), start);
        assert!(!seen.is_free("bulla-controller-0", start + seconds(9)));
        assert_eq!(seen.next_end(start), Some(start + seconds(10)));
        // The same again, or older, is no sign of life; a change is.
        seen.see(lease("bulla-controller-0", "other", "5"), start + seconds(9));
        seen.see(lease("bulla-controller-0", "other", "4"), start + seconds(9));
        assert!(seen.is_free("bulla-controller-0", start + seconds(10)));
        seen.see(lease("bulla-controller-0", "other", "10"), start + seconds(9));
        assert!(!seen.is_free("bulla-controller-0", start + seconds(18)));
    }

    #[test]
    fn a_lease_that_was_given_back_or_is_ours_is_free() {
        let now = Instant::now();
        let mut seen = Observations::new("me", DURATION);
        seen.see(lease("bulla-controller-0", "", "5"), now);
        seen.see(lease("bulla-controller-1", "me", "5"), now);
        assert!(seen.is_free("bulla-controller-0", now) && seen.is_free("bulla-controller-1", now));
        assert!(!seen.is_taken_from(&lease("bulla-controller-1", "me", "4")));
        seen.see(lease("bulla-controller-1", "other", "6"), now);
        assert!(seen.is_taken_from(&lease("bulla-controller-1", "me", "5")));
        assert!(!seen.is_taken_from(&lease("bulla-controller-1", "me", "7")), "that was before ours");
    }

    #[test]
    fn one_that_is_deleted_is_its_holders_until_it_would_have_run_out() {
        let start = Instant::now();
        let mut seen = Observations::new("me", DURATION);
        let (theirs, mine) = (lease("bulla-controller-0", "other", "5"), lease("bulla-controller-1", "me", "6"));
        seen.see(theirs.clone(), start);
        seen.see(mine.clone(), start);
        seen.hear(Ok(Event::Delete(theirs)), start);
        seen.hear(Ok(Event::Delete(mine.clone())), start);
        assert!(seen.get("bulla-controller-0").is_none(), "it has to be made anew");
        assert!(!seen.is_free("bulla-controller-0", start + seconds(9)));
        assert!(seen.is_free("bulla-controller-0", start + seconds(10)));
        assert!(seen.is_taken_from(&mine) && seen.is_free("bulla-controller-1", start));
        // Made anew, with a late word about the former one.
        let mut anew = lease("bulla-controller-1", "me", "9");
        anew.metadata.uid = Some("v".to_owned());
        seen.see(anew.clone(), start);
        seen.hear(Ok(Event::Delete(mine)), start);
        assert!(!seen.is_taken_from(&anew) && seen.get("bulla-controller-1").is_some());
        // One that nobody held is simply gone.
        seen.see(lease("bulla-controller-2", "", "10"), start);
        seen.gone("bulla-controller-2");
        assert!(seen.is_free("bulla-controller-2", start));
    }

    #[test]
    fn whoever_does_not_renew_is_no_member_and_its_lease_is_litter_in_the_end() {
        let start = Instant::now();
        let mut seen = Observations::new("me", DURATION);
        seen.see(lease("bulla-controller-member-1", "other", "5"), start);
        seen.see(lease("bulla-controller-2", "other", "6"), start);
        seen.see(lease("bulla-controller-9", "", "7"), start);
        let member = |identity: &str, holds| Member { identity: identity.to_owned(), holds };
        assert_eq!(seen.members(4, 3, start), [member("other", 1), member("me", 3)]);
        assert_eq!(seen.members(2, 3, start), [member("me", 3)], "who divides otherwise takes none of ours");
        assert_eq!(seen.members(4, 3, start + seconds(10)), [member("me", 3)]);
        assert!(seen.litter(4, seconds(60), start + seconds(69)).is_empty());
        let litter = seen.litter(4, seconds(60), start + seconds(70));
        let names: Vec<_> = litter.iter().map(name).collect();
        assert_eq!(names, ["bulla-controller-9", "bulla-controller-member-1"], "shard 2 of 4 is none");
    }

    #[test]
    fn another_number_of_shards_counts_while_it_is_in_use() {
        let start = Instant::now();
        let mut seen = Observations::new("me", DURATION);
        seen.see(lease("bulla-controller-member-1", "other", "5"), start);
        assert_eq!(seen.other_count(2, start), None, "a member that holds nothing is in nobody's way");
        seen.see(lease("bulla-controller-3", "other", "6"), start);
        assert_eq!((seen.other_count(2, start), seen.other_count(4, start)), (Some(4), None));
        assert_eq!(seen.other_count(2, start + seconds(10)), None);
    }
}
