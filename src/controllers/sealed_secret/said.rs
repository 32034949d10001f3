//! What was already said about an object where no status remembers it.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Mutex;

use crate::controllers::queue::Key;

/// The last failure of each object that fails, as a number. Only used while no status is written.
#[derive(Default)]
pub(in crate::controllers) struct Said(Mutex<HashMap<Key, u64>>);

impl Said {
    /// Notes what there is to say now, `None` where all is well; whether that is another thing than the last time.
    pub(super) fn is_news(&self, key: &Key, failure: Option<&str>) -> bool {
        // A poisoned lock repeats a message, no more.
        let Ok(mut said) = self.0.lock() else { return true };
        match failure {
            Some(text) => {
                let now = BuildHasherDefault::<DefaultHasher>::default().hash_one(text);
                said.insert(key.clone(), now) != Some(now)
            }
            None => said.remove(key).is_some(),
        }
    }

    /// An object is gone: one of its name is another.
    pub(super) fn forget(&self, key: &Key) {
        if let Ok(mut said) = self.0.lock() {
            said.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_failure_is_said_once() {
        let (said, key) = (Said::default(), Key::new("ns", "db"));
        let heard = [Some("a"), Some("a"), Some("b"), None, None, Some("b")].map(|text| said.is_news(&key, text));
        assert_eq!(heard, [true, false, true, true, false, true]);
        said.forget(&key);
        assert!(said.is_news(&key, Some("b")), "another object of that name");
        said.forget(&key);
        assert!(said.0.lock().unwrap().is_empty());
    }
}
