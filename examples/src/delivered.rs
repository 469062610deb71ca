//! What is in the bucket, read as a stranger would: list the keys, unpack every object, look at every event's id.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::GzDecoder;

/// The most one object may unpack to, in bytes; far above what a batch's limits allow.
const OBJECT_MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// An object, unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveredObject {
    /// The whole key.
    pub key: String,
    /// Its lines, one event each.
    pub lines: Vec<String>,
}

/// Why the bucket cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{what} cannot be read: {source}")]
pub struct ReadError {
    what: String,
    source: io::Error,
}

/// How what is there differs from what was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// A line is not an event.
    #[error("{key} line {line} is not an event with an id")]
    NotAnEvent {
        /// Where.
        key: String,
        /// Counted from 1.
        line: usize,
    },
    /// An event is there twice.
    #[error("event {id} was delivered again in {key}")]
    Duplicated {
        /// Which.
        id: String,
        /// Where it is the second time.
        key: String,
    },
    /// An event is there that should not be, or at another place.
    #[error("{key} holds event {found} where {expected} was expected")]
    OutOfOrder {
        /// Where.
        key: String,
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
    /// Events are missing at the end.
    #[error("{missing} events are missing, the first is {first}")]
    Missing {
        /// How many.
        missing: usize,
        /// The first one's id.
        first: String,
    },
}

/// Every key below this folder, sorted as a listing is. Files whose names begin with a dot are the store's own.
///
/// # Errors
/// When a folder cannot be read.
pub fn keys(bucket_folder: &Path) -> Result<Vec<String>, ReadError> {
    let mut found = Vec::new();
    collect(bucket_folder, "", &mut found)
        .map_err(|source| ReadError { what: bucket_folder.display().to_string(), source })?;
    found.sort_unstable();
    Ok(found)
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{prefix}{name}/"), found)?;
        } else if !name.starts_with('.') {
            found.push(format!("{prefix}{name}"));
        }
    }
    Ok(())
}

/// Unpacks one object.
///
/// # Errors
/// When it is not there, not gzip or not UTF-8.
pub fn read(bucket_folder: &Path, key: &str) -> Result<DeliveredObject, ReadError> {
    let mut text = String::new();
    std::fs::File::open(bucket_folder.join(key))
        // One member on purpose: more than one would be cut here as some readers cut it, and then be missed.
        .and_then(|file| GzDecoder::new(file).take(OBJECT_MAX_BYTES).read_to_string(&mut text))
        .map_err(|source| ReadError { what: key.to_owned(), source })?;
    Ok(DeliveredObject { key: key.to_owned(), lines: text.lines().map(str::to_owned).collect() })
}

/// Checks that the objects, in the order of their keys, hold exactly these events: each once, and in this order.
///
/// # Errors
/// The first difference.
pub fn verify<'a>(
    expected: &[String],
    objects: impl IntoIterator<Item = &'a DeliveredObject>,
) -> Result<(), Mismatch> {
    let mut seen = HashSet::new();
    let mut expected = expected.iter();
    for object in objects {
        for (index, line) in object.lines.iter().enumerate() {
            let key = object.key.clone();
            let Some(id) = event_id(line) else {
                return Err(Mismatch::NotAnEvent { key, line: index + 1 });
            };
            if !seen.insert(id.clone()) {
                return Err(Mismatch::Duplicated { id, key });
            }
            match expected.next() {
                Some(wanted) if *wanted == id => {}
                Some(wanted) => {
                    return Err(Mismatch::OutOfOrder { key, found: id, expected: wanted.clone() });
                }
                None => {
                    return Err(Mismatch::OutOfOrder { key, found: id, expected: "nothing more".to_owned() });
                }
            }
        }
    }
    let missing = expected.len();
    expected.next().map_or(Ok(()), |first| Err(Mismatch::Missing { missing, first: first.clone() }))
}

fn event_id(line: &str) -> Option<String> {
    let event: serde_json::Value = serde_json::from_str(line).ok()?;
    event["id"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn object(key: &str, ids: &[&str]) -> DeliveredObject {
        let lines = ids.iter().map(|id| format!(r#"{{"id":"{id}","type":"AUDIT"}}"#)).collect();
        DeliveredObject { key: key.to_owned(), lines }
    }

    fn expected(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|&id| id.to_owned()).collect()
    }

    #[test]
    fn every_event_once_and_in_order_is_what_is_promised() {
        let objects = [object("a", &["1", "2"]), object("b", &["3"])];
        assert_eq!(verify(&expected(&["1", "2", "3"]), &objects), Ok(()));
    }

    #[test]
    fn a_missing_a_doubled_a_swapped_and_a_foreign_event_are_each_named() {
        let three = expected(&["1", "2", "3"]);
        let outcome =
            |ids: &[&str]| verify(&three, &[object("a", ids)]).map_err(|mismatch| mismatch.to_string());
        assert_eq!(outcome(&["1"]), Err("2 events are missing, the first is 2".to_owned()));
        assert_eq!(outcome(&["1", "2", "2"]), Err("event 2 was delivered again in a".to_owned()));
        assert_eq!(outcome(&["1", "3", "2"]), Err("a holds event 3 where 2 was expected".to_owned()));
        assert_eq!(
            outcome(&["1", "2", "3", "4"]),
            Err("a holds event 4 where nothing more was expected".to_owned())
        );
        let odd = DeliveredObject { key: "a".into(), lines: vec!["{}".into()] };
        assert_eq!(verify(&three, &[odd]), Err(Mismatch::NotAnEvent { key: "a".into(), line: 1 }));
    }

    #[test]
    fn objects_are_listed_in_key_order_and_unpacked() {
        let folder = tempfile::tempdir().expect("a folder");
        for key in ["p/hour=02/b.jsonl.gz", "p/hour=01/z.jsonl.gz", "p/hour=02/a.jsonl.gz", "p/.internal"] {
            let path = folder.path().join(key);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            let file = std::fs::File::create(path).expect("a file");
            let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            encoder.write_all(b"{\"id\":\"1\"}\n{\"id\":\"2\"}\n").expect("disk");
            encoder.finish().expect("disk");
        }
        let keys = keys(folder.path()).expect("a listing");
        assert_eq!(keys, ["p/hour=01/z.jsonl.gz", "p/hour=02/a.jsonl.gz", "p/hour=02/b.jsonl.gz"]);
        let object = read(folder.path(), &keys[0]).expect("an object");
        assert_eq!(object.lines.len(), 2);
        assert_eq!(verify(&expected(&["1", "2"]), &[object]), Ok(()));
        assert!(
            read(folder.path(), "nothing").expect_err("missing").to_string().starts_with("nothing cannot")
        );
    }
}
