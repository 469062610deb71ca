//! The full account: every event that was accepted against everything that is in the bucket. Pure.
//!
//! It finds what was lost, what is there twice, what was never accepted, what is out of order, and whether the
//! names tile the sequence, as a customer with nothing but a listing would want them to.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::bucket::DeliveredObject;

/// An event whose acceptance was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The sequence that the answer gave it.
    pub sequence: u64,
    /// Its id.
    pub id: String,
}

/// What the account says. Everything empty is what the promises ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Accepted and expected, but not in the bucket.
    pub lost: Vec<String>,
    /// In the bucket more than once.
    pub twice: Vec<String>,
    /// In the bucket, but not expected there.
    pub unexpected: Vec<String>,
    /// Pairs that stand the wrong way round.
    pub out_of_order: Vec<(String, String)>,
    /// In an object whose range does not cover the event's sequence.
    pub misplaced: Vec<String>,
    /// Where the names do not tile the sequence, or the chain of hashes breaks.
    pub broken_chain: Vec<String>,
    /// How many events are in the bucket exactly once, as expected.
    pub delivered: usize,
}

impl Account {
    /// Whether nothing was lost, doubled, foreign, out of order or broken.
    pub fn is_clean(&self) -> bool {
        let Self { lost, twice, unexpected, out_of_order, misplaced, broken_chain, delivered: _ } = self;
        lost.is_empty()
            && twice.is_empty()
            && unexpected.is_empty()
            && out_of_order.is_empty()
            && misplaced.is_empty()
            && broken_chain.is_empty()
    }

    /// Demands a clean account.
    ///
    /// # Panics
    /// With the account when it is not.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.is_clean(), "{self}");
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn part<T: fmt::Debug>(f: &mut fmt::Formatter<'_>, what: &str, found: &[T]) -> fmt::Result {
            const SHOWN: usize = 10;
            if found.is_empty() {
                return Ok(());
            }
            write!(f, "; {} {what}: {:?}", found.len(), &found[..found.len().min(SHOWN)])
        }
        let Self { lost, twice, unexpected, out_of_order, misplaced, broken_chain, delivered } = self;
        write!(f, "{delivered} delivered once")?;
        part(f, "lost", lost)?;
        part(f, "twice", twice)?;
        part(f, "unexpected", unexpected)?;
        part(f, "out of order", out_of_order)?;
        part(f, "misplaced", misplaced)?;
        part(f, "breaks of the chain", broken_chain)
    }
}

/// Draws up the account of one destination. `expected` are the events that must be there: without those filtered by
/// type or dropped by retention. `objects` are all of the destination's, in any order.
pub fn account(expected: &[Accepted], objects: &[DeliveredObject]) -> Account {
    let mut objects: Vec<&DeliveredObject> = objects.iter().collect();
    objects.sort_by(|one, other| one.name.cmp(&other.name));
    let mut found = Account { broken_chain: chain(&objects), ..Account::default() };

    let sequences: HashMap<&str, u64> =
        expected.iter().map(|event| (event.id.as_str(), event.sequence)).collect();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let mut last_seen: Option<(u64, String)> = None;
    for object in objects {
        let ids = match object.event_ids() {
            Ok(ids) => ids,
            Err(wrong) => {
                found.unexpected.push(wrong);
                continue;
            }
        };
        for id in ids {
            *times.entry(id.clone()).or_default() += 1;
            let Some(&sequence) = sequences.get(id.as_str()) else {
                continue;
            };
            if !(object.name.first..=object.name.last).contains(&sequence) {
                found.misplaced.push(id.clone());
            }
            if let Some((before, before_id)) = &last_seen
                && *before > sequence
            {
                found.out_of_order.push((before_id.clone(), id.clone()));
            }
            last_seen = Some((sequence, id));
        }
    }
    for (id, count) in &times {
        if !sequences.contains_key(id.as_str()) {
            found.unexpected.push(id.clone());
        } else if *count > 1 {
            found.twice.push(id.clone());
        } else {
            found.delivered += 1;
        }
    }
    found.lost = expected
        .iter()
        .filter(|event| !times.contains_key(&event.id))
        .map(|event| event.id.clone())
        .collect();
    found
}

/// Where neighbours do not tile, the hours go back, the destinations differ, or a hash does not name its predecessor.
fn chain(objects: &[&DeliveredObject]) -> Vec<String> {
    let mut broken = Vec::new();
    for pair in objects.windows(2) {
        let [before, after] = pair else { continue };
        let (one, other) = (&before.name, &after.name);
        if one.log_epoch == other.log_epoch && one.last.checked_add(1) != Some(other.first) {
            broken.push(format!(
                "{} ends with {}, {} begins with {}",
                before.key, one.last, after.key, other.first
            ));
        }
        if one.destination != other.destination {
            broken.push(format!("{} and {} belong to two destinations", before.key, after.key));
        }
        if (&one.date, &one.hour) > (&other.date, &other.hour) {
            broken.push(format!("{} has an earlier hour than {}", after.key, before.key));
        }
        if after.metadata.get("previous-sha256") != Some(&before.uncompressed_sha256) {
            broken.push(format!("{} does not name the hash of {}", after.key, before.key));
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::take_apart;
    use crate::bucket::tests::object;

    fn line(id: &str) -> String {
        format!(r#"{{"id":"{id}"}}"#)
    }

    /// Objects of these ranges and ids, well chained.
    fn objects(contents: &[(u64, u64, &[&str])]) -> Vec<DeliveredObject> {
        let mut previous: Option<String> = None;
        contents
            .iter()
            .map(|(first, last, ids)| {
                let lines: Vec<String> = ids.iter().map(|id| line(id)).collect();
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                let taken =
                    take_apart("p/", &object(*first, *last, &lines, previous.as_deref())).expect("faultless");
                previous = Some(taken.uncompressed_sha256.clone());
                taken
            })
            .collect()
    }

    fn accepted(ids: &[&str]) -> Vec<Accepted> {
        ids.iter().zip(1..).map(|(id, sequence)| Accepted { sequence, id: (*id).to_owned() }).collect()
    }

    #[test]
    fn a_faultless_delivery_is_clean_in_any_listing_order() {
        let mut objects = objects(&[(1, 2, &["a", "b"]), (3, 3, &["c"])]);
        objects.reverse();
        let found = account(&accepted(&["a", "b", "c"]), &objects);
        found.assert_clean();
        assert_eq!(found.delivered, 3);
    }

    #[test]
    fn events_left_out_on_purpose_are_covered_by_the_ranges() {
        let mut expected = accepted(&["a", "filtered", "c"]);
        expected.remove(1);
        account(&expected, &objects(&[(1, 3, &["a", "c"])])).assert_clean();
    }

    #[test]
    fn each_kind_of_fault_has_its_place() {
        let expected = accepted(&["a", "b", "c", "d"]);
        let found = account(&expected, &objects(&[(1, 2, &["b", "a"]), (4, 4, &["d"])]));
        assert_eq!(found.lost, ["c"]);
        assert_eq!(found.out_of_order, [("b".to_owned(), "a".to_owned())]);
        assert_eq!(found.broken_chain.len(), 1, "{found}");

        let found = account(&expected, &objects(&[(1, 3, &["a", "b", "c"]), (4, 6, &["c", "d", "x"])]));
        assert_eq!(found.twice, ["c"]);
        assert_eq!(found.unexpected, ["x"]);
        assert_eq!(found.misplaced, ["c"]);
        assert!(found.to_string().contains("1 twice: [\"c\"]"), "{found}");
    }

    #[test]
    fn a_missing_object_breaks_the_chain_of_hashes() {
        let mut objects = objects(&[(1, 1, &["a"]), (2, 2, &["b"]), (3, 3, &["c"])]);
        objects.remove(1);
        let found = account(&accepted(&["a", "b", "c"]), &objects);
        assert_eq!((found.lost.as_slice(), found.broken_chain.len()), (&["b".to_owned()][..], 2));
    }
}
