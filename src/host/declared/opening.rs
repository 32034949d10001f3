//! Opening SealedSecrets, on as many threads as there are processors.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bulla_crds::SealedSecret;
use jiff::Timestamp;

use crate::resource;
use crate::seal::Keyring;
use crate::secret::Values;

/// The most threads: opening should not starve the programs that the secrets are for.
const MOST_THREADS: usize = 8;

/// What each of these holds, or why it does not open, in their order.
pub(super) fn open_all(objects: &[&SealedSecret], keyring: &Keyring, now: Timestamp) -> Vec<Result<Values, String>> {
    let mut opened: Vec<Result<Values, String>> = objects
        .iter()
        .map(|_| Err("was not opened: a thread ended early; this is a defect of Bulla".to_owned()))
        .collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(object) = objects.get(index) else { return done };
            let result = resource::open(object, keyring, now).map(|opened| opened.target.data);
            done.push((index, result.map_err(|error| error.to_string())));
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS).min(objects.len());
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let all = others.into_iter().map(|thread| thread.join().unwrap_or_default());
        for (index, result) in std::iter::once(work()).chain(all).flatten() {
            if let Some(place) = opened.get_mut(index) {
                *place = result;
            }
        }
    });
    opened
}
