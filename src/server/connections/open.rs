//! Open connections: how many each address has, and which one goes when a newcomer finds all places taken.
//!
//! Whoever connects and says nothing costs nothing to leave out: the one that we have waited for longest makes room. So
//! strangers who fill all places keep nobody out, least of all those whose requests come at once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

/// Open connections in all. Each costs a few tens of kilobytes.
const CONNECTIONS: usize = 512;
/// Open connections from one address: the API server proxies many callers by one, and nobody can keep the others out.
const FROM_ONE: usize = 128;

/// See the module; clones share the places.
#[derive(Clone, Default)]
pub(super) struct Open(Arc<Mutex<Places>>);

#[derive(Default)]
struct Places {
    opened: u64,
    taken: BTreeMap<u64, Taken>,
    by_peer: HashMap<IpAddr, usize>,
}

struct Taken {
    peer: IpAddr,
    /// Since when the client is waited for; `None` while it waits for us.
    waiting: Option<Instant>,
    lost: CancellationToken,
}

/// One place, given back when it is dropped.
pub(super) struct Place {
    activity: Activity,
    peer: IpAddr,
    lost: CancellationToken,
}

/// Who waits for whom on a connection; each of its requests has one.
#[derive(Clone)]
pub(in crate::server) struct Activity {
    open: Open,
    id: u64,
}

impl Open {
    /// A place for `peer`; `None` where each that could be had is being worked for.
    pub(super) fn take(&self, peer: IpAddr) -> Option<Place> {
        let mut places = self.places();
        if places.by_peer.get(&peer).is_some_and(|count| *count >= FROM_ONE) {
            places.make_room(|other| other == peer)?;
        } else if places.taken.len() >= CONNECTIONS {
            places.make_room(|_| true)?;
        }
        places.opened += 1;
        let (id, lost) = (places.opened, CancellationToken::new());
        places.taken.insert(id, Taken { peer, waiting: Some(Instant::now()), lost: lost.clone() });
        *places.by_peer.entry(peer).or_default() += 1;
        drop(places);
        Some(Place { activity: Activity { open: self.clone(), id }, peer, lost })
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        // Plain numbers: a panic elsewhere leaves them whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    /// Takes a place away from one of those who are waited for: from whom has most, the one that has been longest.
    fn make_room(&mut self, of: impl Fn(IpAddr) -> bool) -> Option<()> {
        let waiting = self.taken.iter().filter(|(_, taken)| of(taken.peer));
        let waiting =
            waiting.filter_map(|(id, taken)| Some((Reverse(self.by_peer.get(&taken.peer)), taken.waiting?, *id)));
        let (_, _, id) = waiting.min()?;
        self.leave(id).map(|taken| taken.lost.cancel())
    }

    fn leave(&mut self, id: u64) -> Option<Taken> {
        let taken = self.taken.remove(&id)?;
        if let Some(count) = self.by_peer.get_mut(&taken.peer) {
            *count -= 1;
            if *count == 0 {
                self.by_peer.remove(&taken.peer);
            }
        }
        Some(taken)
    }
}

impl Place {
    /// The address at the other end.
    pub(super) const fn peer(&self) -> IpAddr {
        self.peer
    }

    pub(super) fn activity(&self) -> Activity {
        self.activity.clone()
    }

    /// Returns when somebody else has the place.
    pub(super) async fn taken(&self) {
        self.lost.cancelled().await;
    }
}

impl Activity {
    /// The client is waited for from now on.
    pub(in crate::server) fn waiting(&self) {
        self.set(Some(Instant::now()));
    }

    /// The client has sent all that is needed and waits for us.
    pub(in crate::server) fn working(&self) {
        self.set(None);
    }

    fn set(&self, waiting: Option<Instant>) {
        if let Some(taken) = self.open.places().taken.get_mut(&self.id) {
            taken.waiting = waiting;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.activity.open.places().leave(self.activity.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn fill(open: &Open, last: u8) -> Vec<Place> {
        (0..FROM_ONE).map(|_| open.take(address(last)).unwrap()).collect()
    }

    fn lost(places: &[Place]) -> Vec<usize> {
        places.iter().enumerate().filter(|(_, place)| place.lost.is_cancelled()).map(|(index, _)| index).collect()
    }

    #[test]
    fn one_address_only_takes_its_own_places_and_only_from_who_is_waited_for() {
        let open = Open::default();
        let other = open.take(address(9)).unwrap();
        let first = fill(&open, 1);
        first[0].activity().working();
        first[1].activity().working();
        first[1].activity().waiting();
        let newcomer = open.take(address(1)).unwrap();
        assert_eq!(
            (lost(&first), other.lost.is_cancelled()),
            (vec![2], false),
            "neither at work nor waited for lately"
        );
        newcomer.activity().working();
        first.iter().for_each(|place| place.activity().working());
        assert!(open.take(address(1)).is_none(), "all are at work");
        assert!(open.take(address(2)).is_some(), "the others are not concerned");
        drop((first, newcomer, other));
        let places = open.places();
        assert!(places.taken.is_empty() && places.by_peer.is_empty(), "places come back");
    }

    #[test]
    fn with_all_places_taken_a_newcomer_gets_one_of_those_who_have_most() {
        let open = Open::default();
        let few = open.take(address(9)).unwrap();
        let many: Vec<Vec<Place>> = (1..4).map(|last| fill(&open, last)).collect();
        let rest: Vec<Place> = (1..FROM_ONE).map(|_| open.take(address(4)).unwrap()).collect();
        assert_eq!(open.places().taken.len(), CONNECTIONS);
        let newcomers: Vec<Place> = (10..200).map(|last| open.take(address(last)).unwrap()).collect();
        assert_eq!((lost(&newcomers), few.lost.is_cancelled()), (vec![], false));
        assert_eq!(open.places().taken.len(), CONNECTIONS);
        many.iter().flatten().chain(&rest).for_each(|place| place.activity().working());
        newcomers.iter().chain([&few]).for_each(|place| place.activity().working());
        assert!(open.take(address(250)).is_none());
    }
}
