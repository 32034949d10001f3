//! The namespaces that are a replica's, and which shard a namespace is in.

use futures::StreamExt as _;
use kube::Resource;
use kube::runtime::watcher::Event;
use sha2::{Digest as _, Sha256};

use crate::controllers::watch::{Namespaces, Streams};

/// Some of the shards that the namespaces are divided into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controllers) struct Share {
    /// How many shards there are.
    count: u32,
    /// Which of them are in it, ascending.
    shards: Vec<u32>,
}

impl Share {
    /// Every namespace.
    pub(in crate::controllers) fn all() -> Self {
        Self { count: 1, shards: vec![0] }
    }

    /// These of `count` shards.
    pub(super) fn of(count: u32, shards: impl IntoIterator<Item = u32>) -> Self {
        let mut shards: Vec<_> = shards.into_iter().collect();
        shards.sort_unstable();
        Self { count, shards }
    }

    /// None of `count` shards.
    #[cfg(test)]
    pub(in crate::controllers) fn nothing(count: u32) -> Self {
        Self::of(count, [])
    }

    /// Whether there is nothing in it.
    pub(in crate::controllers) fn is_empty(&self) -> bool {
        self.shards.is_empty()
    }

    /// Whether it has the duties that only one replica may have: those of shard 0.
    pub(in crate::controllers) fn leads(&self) -> bool {
        self.has(0)
    }

    /// The shards in it, ascending.
    pub(in crate::controllers) fn shards(&self) -> &[u32] {
        &self.shards
    }

    /// Whether a shard is in it.
    pub(super) fn has(&self, shard: u32) -> bool {
        self.shards.binary_search(&shard).is_ok()
    }

    /// What is in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self { count: self.count, shards: self.shards.iter().copied().filter(|shard| other.has(*shard)).collect() }
    }

    fn is_everything(&self) -> bool {
        u32::try_from(self.shards.len()) == Ok(self.count)
    }

    /// Whether a namespace is in it.
    pub(in crate::controllers) fn covers(&self, namespace: &str) -> bool {
        self.is_everything() || self.has(shard_of(namespace, self.count))
    }

    /// The namespaces to watch: all, or those of the named ones that are in it.
    pub(in crate::controllers) fn namespaces(&self, namespaces: &Namespaces) -> Namespaces {
        match namespaces {
            Namespaces::All => Namespaces::All,
            Namespaces::These(names) => {
                Namespaces::These(names.iter().filter(|name| self.covers(name)).cloned().collect())
            }
        }
    }

    /// The streams without what happens in namespaces of others. The API server cannot choose them for us, so that
    /// each replica is told everything; what is not its own is dropped at once.
    pub(in crate::controllers) fn only<K>(&self, streams: Streams<K>) -> Streams<K>
    where
        K: Resource + Send + 'static,
    {
        if self.is_everything() {
            return streams;
        }
        let share = self.clone();
        let ours = move |object: &K| share.covers(object.meta().namespace.as_deref().unwrap_or_default());
        Box::pin(streams.filter(move |(_, said)| {
            let passes = match said {
                Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) => ours(object),
                Ok(Event::Init | Event::InitDone) | Err(_) => true,
            };
            std::future::ready(passes)
        }))
    }
}

/// The shard of a namespace: the first eight bytes of the SHA-256 of its name as a number, the highest byte first,
/// modulo the number of shards. It is the same in every version and can be computed by hand.
pub(super) fn shard_of(namespace: &str, count: u32) -> u32 {
    let digest = Sha256::digest(namespace.as_bytes());
    let number = digest.iter().take(8).fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    u32::try_from(number % u64::from(count.max(1))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same by hand, with `a` the first 16 hexadecimal digits of `printf %s NAME | sha256sum`: `a` modulo 64.
    /// These must never change: replicas of two versions run at the same time during an update.
    #[test]
    fn the_shard_of_a_namespace_never_changes() {
        let shards = ["default", "kube-system", "prod", ""].map(|name| shard_of(name, 64));
        assert_eq!(shards, SHARDS);
    }

    const SHARDS: [u32; 4] = [61, 1, 30, 20];

    #[test]
    fn namespaces_spread_evenly() {
        let mut counts = [0_u32; 4];
        for number in 0..4000 {
            counts[shard_of(&format!("team-{number}"), 4) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn every_namespace_is_in_exactly_one_shard() {
        let shares: Vec<_> = (0..3).map(|shard| Share::of(3, [shard])).collect();
        for number in 0..100 {
            let name = format!("n-{number}");
            assert_eq!(shares.iter().filter(|share| share.covers(&name)).count(), 1);
        }
        assert!(Share::of(3, [2, 0, 1]).covers("anything") && Share::all().covers("anything"));
        assert!(!Share::of(3, []).covers("anything"));
        assert!(Share::of(3, [2, 0]).leads() && !Share::of(3, [1]).leads());
        assert_eq!(Share::of(4, [0, 1, 2]).and(&Share::of(4, [1, 2, 3])), Share::of(4, [1, 2]));
    }
}
