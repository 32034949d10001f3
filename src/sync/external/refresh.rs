//! Whether and when to sync again.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use jiff::Timestamp;

use super::window::Windows;

/// When an ExternalSecret is synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Once in its life.
    CreatedOnce,
    /// When it changes, and at its interval.
    #[default]
    Periodic,
    /// When it changes.
    OnChange,
}

/// What the status says about the last sync that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// `syncedResourceVersion`, see [`synced_resource_version`](super::hash::synced_resource_version).
    pub version: String,
    /// `refreshTime`: when that sync began.
    pub at: Timestamp,
}

/// Everything that decides about the next sync.
#[derive(Clone, Copy, Debug)]
pub struct Refresh<'a> {
    /// The policy.
    pub policy: Policy,
    /// The interval; zero asks for no periodic refresh.
    pub interval: Duration,
    /// When a periodic refresh may happen.
    pub windows: &'a Windows,
    /// The last sync; `None` if there was none.
    pub synced: Option<&'a Synced>,
    /// What `syncedResourceVersion` would be now.
    pub version: &'a str,
    /// Draws the moment within the last tenth of the interval. It must be the same each time that the same object is
    /// asked about the same sync, or the moment moves; [`spread`] makes one.
    pub random: u64,
}

/// When to sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Not until something changes.
    Never,
    /// Now.
    Now(Reason),
    /// At that moment; worth asking again then.
    At(Timestamp),
}

/// Why a sync is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There was none yet.
    First,
    /// The spec has changed.
    Spec,
    /// Labels or annotations have changed: the way to force a sync.
    Metadata,
    /// The interval has passed.
    Interval,
    /// The last sync is said to have been in the future: somebody's clock is or was wrong.
    Clock,
}

/// A number for [`Refresh::random`] that is the same for the same sync of the same object, and evenly spread over
/// objects.
#[must_use]
pub fn spread(uid: &str, synced: Timestamp) -> u64 {
    let mut hasher = DefaultHasher::new();
    (uid, synced.as_nanosecond()).hash(&mut hasher);
    hasher.finish()
}

/// When to sync, given the time.
#[must_use]
pub fn due(refresh: &Refresh<'_>, now: Timestamp) -> Due {
    let Some(synced) = refresh.synced.filter(|synced| !synced.version.is_empty()) else {
        return Due::Now(Reason::First);
    };
    let changed = (synced.version != refresh.version).then(|| change(&synced.version, refresh.version));
    match (refresh.policy, changed) {
        (Policy::CreatedOnce, _) | (Policy::OnChange, None) => Due::Never,
        (Policy::Periodic | Policy::OnChange, Some(reason)) => Due::Now(reason),
        // An interval of zero asks for no periodic refresh, but a change is one: External Secrets forgets that.
        (Policy::Periodic, None) if refresh.interval.is_zero() => Due::Never,
        (Policy::Periodic, None) if synced.at > now => Due::Now(Reason::Clock),
        (Policy::Periodic, None) => periodic(refresh, synced.at, now),
    }
}

fn periodic(refresh: &Refresh<'_>, last: Timestamp, now: Timestamp) -> Due {
    let Some(next) = spread_over_moments(last, refresh.interval, refresh.random) else { return Due::Never };
    match refresh.windows.next_allowed(next.max(now)) {
        None => Due::Never,
        Some(moment) if moment <= now => Due::Now(Reason::Interval),
        Some(moment) => Due::At(moment),
    }
}

/// Moments in an interval at which refreshes happen.
const MOMENTS: u32 = 100;

/// A moment in the last tenth of the interval. Moments are those of a grid that all objects of the same interval share,
/// ten in that tenth: thousands of objects do not fire together, and those of one moment share their provider calls.
fn spread_over_moments(last: Timestamp, interval: Duration, random: u64) -> Option<Timestamp> {
    let next = last.checked_add(jittered(interval, random)).ok()?;
    let grid = i128::try_from((interval / MOMENTS).as_nanos()).ok()?;
    if grid == 0 {
        return Some(next);
    }
    let earliest = last.checked_add(interval - interval / 10).ok()?;
    let moment = next.as_nanosecond().div_euclid(grid) * grid;
    let moment = if moment < earliest.as_nanosecond() { moment + grid } else { moment };
    // Only the shortest of intervals have no moment of the grid in their last tenth.
    let latest = last.checked_add(interval).ok()?;
    Timestamp::from_nanosecond(moment).ok().filter(|moment| *moment <= latest).or(Some(next))
}

/// From nine tenths of the interval to all of it: none is synced later than asked.
fn jittered(interval: Duration, random: u64) -> Duration {
    let tenth = u64::try_from((interval / 10).as_nanos()).unwrap_or(u64::MAX);
    interval - Duration::from_nanos(random % tenth.saturating_add(1))
}

fn change(before: &str, after: &str) -> Reason {
    let generation = |version: &str| version.split_once('-').map(|(generation, _)| generation.to_owned());
    if generation(before) == generation(after) { Reason::Metadata } else { Reason::Spec }
}
