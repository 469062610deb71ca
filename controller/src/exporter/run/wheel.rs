//! One wheel of due times for all destinations.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use tokio::time::Instant;

/// Keys ordered by when they are due; each key at most once.
#[derive(Debug)]
pub(super) struct Wheel<K> {
    by_time: BTreeSet<(Instant, K)>,
    by_key: HashMap<K, Instant>,
}

impl<K> Default for Wheel<K> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), by_key: HashMap::new() }
    }
}

impl<K: Ord + Hash + Clone> Wheel<K> {
    /// Makes the key due then, and at no other time.
    pub(super) fn set(&mut self, key: K, at: Instant) {
        self.remove(&key);
        self.by_key.insert(key.clone(), at);
        self.by_time.insert((at, key));
    }

    /// Makes the key due then, unless it is due earlier.
    pub(super) fn set_if_earlier(&mut self, key: K, at: Instant) {
        if self.by_key.get(&key).is_none_or(|known| at < *known) {
            self.set(key, at);
        }
    }

    /// Makes the key not due.
    pub(super) fn remove(&mut self, key: &K) {
        if let Some(at) = self.by_key.remove(key) {
            self.by_time.remove(&(at, key.clone()));
        }
    }

    /// When the first key is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes a key that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<K> {
        let (at, key) = self.by_time.first()?;
        if *at > now {
            return None;
        }
        let key = key.clone();
        self.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn keys_come_when_they_are_due_and_only_once() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut wheel = Wheel::default();
        wheel.set("a", later);
        wheel.set("b", now);
        wheel.set_if_earlier("b", later);
        assert_eq!((wheel.pop(now), wheel.pop(now), wheel.next()), (Some("b"), None, Some(later)));
        wheel.set_if_earlier("a", now);
        assert_eq!((wheel.pop(now), wheel.next()), (Some("a"), None));
    }
}
